//! Origins: which web pages may open a WebSocket here (RFC 6455 section 10.2).
//!
//! A browser serialises an origin in one way only (RFC 6454 section 6.2): lower case, without
//! the scheme's default port, without a path. So a field's value is compared byte by byte with
//! that form of each configured origin; whatever is spelled otherwise does not come from a
//! browser and is refused.

use super::{
    host::{Authority, HostError},
    problem::PatternError,
};
use std::{fmt, str::FromStr};

/// An origin (RFC 6454) of `route.origins`, kept as browsers serialise it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin(Box<str>);

/// Why no configured origin admits a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginRefusal {
    /// No `Origin` field.
    #[error("the request has no Origin, and the route admits listed origins only")]
    Absent,
    /// Two `Origin` fields or more.
    #[error("the request has more than one Origin (RFC 6454 section 7.3)")]
    Several,
    /// `null`: a sandboxed page, a local file.
    #[error("the Origin is \"null\", which names nobody (RFC 6454 section 7.1)")]
    Null,
    /// An origin that is not in the list.
    #[error("the Origin is none of those that the route lists")]
    NotListed,
}

impl Origin {
    /// The origin as browsers serialise it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The configured origin that admits a request, judged by the values of all its `Origin` fields.
pub fn origin_allowed<'l, 'v>(
    list: &'l [Origin],
    values: impl IntoIterator<Item = &'v [u8]>,
) -> Result<&'l Origin, OriginRefusal> {
    let mut values = values.into_iter();
    let value = values.next().ok_or(OriginRefusal::Absent)?;
    if values.next().is_some() {
        return Err(OriginRefusal::Several);
    }
    if value.eq_ignore_ascii_case(b"null") {
        return Err(OriginRefusal::Null);
    }
    let mut listed = list.iter();
    listed
        .find(|origin| origin.as_str().as_bytes() == value)
        .ok_or(OriginRefusal::NotListed)
}

impl FromStr for Origin {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let refused = |message: &str, hint: &str| {
            PatternError::new(format!("{text:?} is not an origin: {message}"), hint)
        };
        let Some((scheme, authority)) = text.split_once("://") else {
            let (message, hint) = without_scheme(text);
            return Err(refused(message, hint));
        };
        let scheme = scheme.to_ascii_lowercase();
        if let Some((message, hint)) = scheme_fault(&scheme) {
            return Err(refused(message, hint));
        }
        if let Some((origin, _)) = authority.split_once(['/', '?', '#']) {
            let hint = format!("write \"{scheme}://{origin}\"");
            return Err(refused("it has a path, and an origin has none", &hint));
        }
        let authority = Authority::parse(authority)
            .map_err(|error| refused(&error.to_string(), host_hint(&error)))?;
        Ok(Self(serialised(&scheme, &authority).into()))
    }
}

fn without_scheme(text: &str) -> (&'static str, &'static str) {
    match text {
        "null" => (
            "\"null\" is sent by every sandboxed page and local file",
            "serve the page over https and list its origin",
        ),
        "*" => (
            "'*' would match any page",
            "leave `origins` out if the Origin is not to be looked at",
        ),
        _ => (
            "it has no scheme",
            "write it with scheme, as in \"https://example.com\"",
        ),
    }
}

fn scheme_fault(scheme: &str) -> Option<(&'static str, &'static str)> {
    let letter = scheme.starts_with(|first: char| first.is_ascii_alphabetic());
    let allowed = |character: char| character.is_ascii_alphanumeric() || "+-.".contains(character);
    match scheme {
        "ws" | "wss" => Some((
            "browsers send the origin of the page, not of the WebSocket",
            "write the page's origin, as in \"https://example.com\"",
        )),
        _ if letter && scheme.chars().all(allowed) => None,
        _ => Some((
            "its scheme is not one (RFC 3986 section 3.1)",
            "write it as in \"https://example.com\"",
        )),
    }
}

fn host_hint(error: &HostError) -> &'static str {
    match error {
        HostError::Character('*') => "list each origin by itself: there are no wildcards here",
        _ => "write scheme, host and, if it is not the default, port: \"https://example.com:8443\"",
    }
}

/// RFC 6454 section 6.2.
fn serialised(scheme: &str, authority: &Authority) -> String {
    let host = &authority.host;
    match (scheme, authority.port) {
        (_, None) | ("https", Some(443)) | ("http", Some(80)) => format!("{scheme}://{host}"),
        (_, Some(port)) => format!("{scheme}://{host}:{port}"),
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(values: &[&str]) -> Result<String, OriginRefusal> {
        let list = ["https://good.test", "http://localhost:3000"];
        let list: Vec<Origin> = list.iter().map(|text| text.parse().unwrap()).collect();
        let values = values.iter().map(|value| value.as_bytes());
        origin_allowed(&list, values).map(ToString::to_string)
    }

    #[test]
    fn a_listed_origin_is_admitted_and_named() {
        assert_eq!(judge(&["https://good.test"]).unwrap(), "https://good.test");
        assert!(judge(&["http://localhost:3000"]).is_ok());
    }

    #[test]
    fn an_origin_is_matched_exactly_or_refused() {
        for value in [
            "https://good.test.evil",
            "https://good.test.",
            "https://evil-good.test",
            "https://a.good.test",
            "https://evil@good.test",
            "http://good.test",
            "wss://good.test",
            "HTTPS://good.test",
            "https://GOOD.test",
            "https://good.test:443",
            "https://good.test:8443",
            "http://localhost",
            "http://localhost:30000",
            "https://good.test/",
            "https://good.test https://evil.test",
            "https://good.test, https://good.test",
            "good.test",
            "",
            " https://good.test",
            "https://good.test\0",
        ] {
            assert_eq!(judge(&[value]), Err(OriginRefusal::NotListed), "{value:?}");
        }
    }

    #[test]
    fn absent_null_and_several_origins_are_refused_each_by_its_name() {
        assert_eq!(judge(&[]), Err(OriginRefusal::Absent));
        assert_eq!(judge(&["null"]), Err(OriginRefusal::Null));
        assert_eq!(judge(&["NULL"]), Err(OriginRefusal::Null));
        let twice = ["https://good.test", "https://good.test"];
        assert_eq!(judge(&twice), Err(OriginRefusal::Several));
    }

    #[test]
    fn an_empty_list_admits_nobody() {
        let value: &[u8] = b"https://good.test";
        assert_eq!(origin_allowed(&[], [value]), Err(OriginRefusal::NotListed));
    }

    #[test]
    fn a_configured_origin_is_kept_as_browsers_serialise_it() {
        for (written, serialised) in [
            ("https://Example.com", "https://example.com"),
            ("HTTPS://example.com:443", "https://example.com"),
            ("http://example.com:80", "http://example.com"),
            ("http://example.com:443", "http://example.com:443"),
            ("https://[::1]:8443", "https://[::1]:8443"),
            ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ] {
            assert_eq!(written.parse::<Origin>().unwrap().as_str(), serialised);
        }
    }

    #[test]
    fn a_bad_origin_is_refused_with_a_hint_that_fits() {
        for (written, hint) in [
            ("https://example.com/", "write \"https://example.com\""),
            ("https://example.com/app", "write \"https://example.com\""),
            ("https://example.com?x", "write \"https://example.com\""),
            ("null", "serve the page over https"),
            ("*", "leave `origins` out"),
            ("https://*.example.com", "no wildcards"),
            ("example.com", "with scheme"),
            ("", "with scheme"),
            ("wss://example.com", "the page's origin"),
            ("1s://example.com", "write it as in"),
            ("https://", "write scheme, host"),
            ("https://a@b", "write scheme, host"),
            ("https://a:99999", "write scheme, host"),
        ] {
            let error = written.parse::<Origin>().unwrap_err();
            assert!(error.hint.contains(hint), "{written:?}: {error}");
        }
    }
}
