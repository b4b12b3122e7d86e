//! What is counted of plain requests: by method and class of status, which are closed sets.

use super::series::{Count, Family};

/// The label `method`; everything else is `other`.
const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other",
];
/// The label `code`: the class of the status, or `none` where no answer was sent.
const CODES: [&str; 5] = ["2xx", "3xx", "4xx", "5xx", "none"];

/// The plain requests of one route.
#[derive(Debug, Default)]
pub(super) struct Requests([[Count; CODES.len()]; METHODS.len()]);

impl Requests {
    /// Counts a request that has ended.
    pub(super) fn ended(&self, method: &str, status: Option<u16>) {
        let code = code(status);
        let ended = self
            .counts()
            .find(|(labels, _)| *labels == [known(method), code]);
        if let Some((_, count)) = ended {
            count.increment();
        }
    }

    /// Adds the samples of the route of this name.
    pub(super) fn collect(&self, route: &str, family: &mut Family<'_>) {
        for ([method, code], count) in self.counts() {
            family.add(&[route, method, code], count.value());
        }
    }

    fn counts(&self) -> impl Iterator<Item = ([&'static str; 2], &Count)> {
        let rows = METHODS.iter().zip(&self.0);
        rows.flat_map(|(method, row)| {
            let cells = CODES.iter().zip(row);
            cells.map(move |(code, count)| ([*method, *code], count))
        })
    }
}

fn known(method: &str) -> &'static str {
    let known = METHODS.iter().find(|known| **known == method);
    known.copied().unwrap_or("other")
}

fn code(status: Option<u16>) -> &'static str {
    match status {
        Some(..300) => "2xx",
        Some(300..400) => "3xx",
        Some(400..500) => "4xx",
        Some(500..) => "5xx",
        None => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::series::{Exposition, REQUESTS};

    #[test]
    fn methods_and_codes_are_of_closed_sets_whatever_clients_send() {
        let requests = Requests::default();
        requests.ended("GET", Some(200));
        requests.ended("GET", Some(204));
        requests.ended("PROPFIND\n", Some(999));
        requests.ended("POST", None);
        let mut out = Exposition::default();
        requests.collect("chat", &mut out.family(REQUESTS));
        let text = out.into_text();
        let samples: Vec<_> = text.lines().filter(|line| !line.ends_with(" 0")).collect();
        assert_eq!(
            samples[2..],
            [
                "tidegate_requests_total{route=\"chat\",method=\"GET\",code=\"2xx\"} 2",
                "tidegate_requests_total{route=\"chat\",method=\"POST\",code=\"none\"} 1",
                "tidegate_requests_total{route=\"chat\",method=\"other\",code=\"5xx\"} 1",
            ]
        );
        assert_eq!(text.lines().count(), 2 + METHODS.len() * CODES.len());
    }
}
