//! What the demo did, and what the metrics say about it.

use super::{
    proof::{LOOK, Verdict},
    scene::{Failure, Scene, plain_http},
};

/// A sample, and the value that it has to have.
struct Expected {
    name: &'static str,
    labels: Vec<(&'static str, String)>,
    value: u32,
}

/// Waits until the metrics agree with what was done; counts are folded now and then.
pub(super) async fn agree(scene: &mut Scene) -> Result<Verdict, Failure> {
    let Some(admin) = scene.admin else {
        let reason = "the configuration has no [admin] to ask";
        return Ok(Verdict::LeftOut(reason.to_owned()));
    };
    let expected = expected(scene);
    let deadline = tokio::time::Instant::now() + 100 * LOOK;
    loop {
        let text = plain_http(admin, "/metrics").await?;
        let differs = expected.iter().find(|expected| !expected.holds(&text));
        match differs {
            None => break,
            Some(expected) if tokio::time::Instant::now() > deadline => {
                let found = sample(&text, expected.name, &expected.labels);
                return Err(format!("{expected} was expected, and found was {found:?}"));
            }
            Some(_) => tokio::time::sleep(LOOK).await,
        }
    }
    let lines = expected.iter().map(ToString::to_string);
    Ok(Verdict::Proved(lines.collect()))
}

fn expected(scene: &Scene) -> Vec<Expected> {
    let count = &scene.count;
    let of_route = |name, rest: &[(&'static str, &str)], value| {
        let rest = rest
            .iter()
            .map(|(label, text)| (*label, (*text).to_owned()));
        Expected {
            name,
            labels: [("route", scene.route.clone())]
                .into_iter()
                .chain(rest)
                .collect(),
            value,
        }
    };
    let whole = |name, rest: &[(&'static str, &str)], value| Expected {
        name,
        labels: rest
            .iter()
            .map(|(label, text)| (*label, (*text).to_owned()))
            .collect(),
        value,
    };
    let text = [("direction", "to_backend"), ("opcode", "text")];
    let binary = [("direction", "to_client"), ("opcode", "binary")];
    let ending = [("reason", "client_closed"), ("code", "1000")];
    let mut all = vec![
        of_route("tidegate_upgrades_total", &[("result", "ok")], count.opened),
        of_route("tidegate_frames_total", &text, count.texts),
        of_route("tidegate_frames_total", &binary, count.binaries),
        of_route("tidegate_endings_total", &ending, count.closed),
        of_route(
            "tidegate_websockets_open",
            &[],
            count.opened - count.closed - count.forged,
        ),
    ];
    if count.forged > 0 {
        let forged = [("reason", "integrity_mismatch"), ("code", "1008")];
        all.push(of_route("tidegate_endings_total", &forged, count.forged));
    }
    let missing = [("result", "certificate_missing")];
    all.push(whole(
        "tidegate_handshakes_total",
        &missing,
        count.without_certificate,
    ));
    let reload = [("trigger", "file"), ("result", "ok")];
    all.push(whole("tidegate_reloads_total", &reload, count.rotations));
    all
}

impl Expected {
    fn holds(&self, text: &str) -> bool {
        sample(text, self.name, &self.labels) == Some(&self.value.to_string())
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let short = self.name.strip_prefix("tidegate_").unwrap_or(self.name);
        let labels: Vec<_> = self
            .labels
            .iter()
            .map(|(_, value)| value.as_str())
            .collect();
        write!(f, "{short} {}: {}", labels.join(" "), self.value)
    }
}

/// The value of the first sample with this name and, among others, these labels.
fn sample<'t>(text: &'t str, name: &str, labels: &[(&str, String)]) -> Option<&'t str> {
    let mut lines = text.lines().filter(|line| {
        let rest = line
            .strip_prefix(name)
            .filter(|rest| rest.starts_with(['{', ' ']));
        let has = |(label, value): &(&str, String)| line.contains(&format!("{label}=\"{value}\""));
        rest.is_some() && labels.iter().all(has)
    });
    lines.next()?.rsplit(' ').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_found_by_name_and_labels() {
        let text = "# HELP a_total x\na_total{b=\"1\",c=\"2\"} 3\na_total_more{b=\"1\"} 4\nd 5\n";
        let label = |value: &str| vec![("b", value.to_owned())];
        assert_eq!(sample(text, "a_total", &label("1")), Some("3"));
        assert_eq!(sample(text, "a_total", &label("2")), None);
        assert_eq!(sample(text, "a", &[]), None);
        assert_eq!(sample(text, "d", &[]), Some("5"));
    }
}
