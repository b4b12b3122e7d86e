//! The query of a URI: known names only, each at most once.

use super::answer::Refusal;
use http::StatusCode;

/// The values of `names`, in their order; `Some("")` for a name without a value.
pub(super) fn values<const N: usize>(
    query: Option<&str>,
    names: [&str; N],
) -> Result<[Option<String>; N], Refusal> {
    let mut values = [const { None }; N];
    let pairs = query.unwrap_or_default().split('&');
    for pair in pairs.filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let known = names
            .iter()
            .zip(&mut values)
            .find(|(known, _)| **known == name);
        let Some((_, place)) = known else {
            return Err(unknown(name, &names));
        };
        if place.replace(decoded(value)?).is_some() {
            return Err(bad(format!("the query names {name} twice")));
        }
    }
    Ok(values)
}

/// Text without its percent-encoding (RFC 3986 section 2.1); `+` stays, as in every URI but a form's.
pub(super) fn decoded(text: &str) -> Result<String, Refusal> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let Some((digits, after)) = rest.split_at_checked(2) else {
                return Err(bad_encoding());
            };
            bytes.push(byte(digits).ok_or_else(bad_encoding)?);
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).map_err(|_| bad_encoding())
}

fn byte(digits: &[u8]) -> Option<u8> {
    let mut digits = digits.iter().map(|digit| char::from(*digit).to_digit(16));
    let value = digits.try_fold(0, |value, digit| Some(value * 16 + digit?))?;
    u8::try_from(value).ok()
}

fn unknown(name: &str, names: &[&str]) -> Refusal {
    let known = match names {
        [] => "none is known here".to_owned(),
        names => format!("known here: {}", names.join(", ")),
    };
    bad(format!("the query's name {name:?} is unknown; {known}"))
}

fn bad_encoding() -> Refusal {
    bad("the URI is not valid percent-encoded UTF-8")
}

fn bad(detail: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_name_and_decoded() {
        let [limit, after] = values(Some("after=a%2Fb&limit=3"), ["limit", "after"]).unwrap();
        assert_eq!(
            (limit.as_deref(), after.as_deref()),
            (Some("3"), Some("a/b"))
        );
        let [preview] = values(Some("preview"), ["preview"]).unwrap();
        assert_eq!(preview.as_deref(), Some(""));
        assert!(values(None, ["limit"]).unwrap()[0].is_none());
    }

    #[test]
    fn unknown_doubled_and_malformed_queries_are_refused() {
        for query in [
            "limt=3",
            "limit=1&limit=2",
            "limit=%",
            "limit=%2",
            "limit=%zz",
            "limit=%ff",
            "limit=%+1",
        ] {
            let refusal = values(Some(query), ["limit"]).unwrap_err();
            assert_eq!(refusal.status, StatusCode::BAD_REQUEST, "{query}");
        }
    }
}
