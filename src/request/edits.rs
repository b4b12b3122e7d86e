//! What a route changes of a message's fields on its way.

use super::forward::{FOR_ONE_HOP, SET_BY_PROXY, is_spelling_of};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Fields that a route sets and removes: `request_headers`, `response_headers`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edits {
    /// Set, in place of all of the same name.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Removed.
    pub remove: Vec<HeaderName>,
}

impl Edits {
    /// Changes the fields of a message.
    pub fn apply(&self, fields: &mut HeaderMap) {
        for name in &self.remove {
            fields.remove(name);
        }
        for (name, value) in &self.set {
            fields.insert(name, value.clone());
        }
    }
}

/// Why a route may not change a field; `None`: it may.
///
/// The fields of one hop frame the message, the handshake's are verified, and the proxy's own say who
/// the client is.
pub fn fault_of_edit(name: &str) -> Option<&'static str> {
    let is_one_of = |list: &[&str]| list.iter().any(|known| is_spelling_of(name, known));
    if is_one_of(FOR_ONE_HOP) || name.starts_with("proxy-") {
        Some("it concerns one hop alone (RFC 9110 section 7.6.1)")
    } else if name.starts_with("sec-websocket-") {
        Some("it belongs to the WebSocket handshake")
    } else if is_one_of(SET_BY_PROXY) {
        Some("the proxy sets it itself")
    } else if name == "host" {
        Some("`host` of the backend sets it")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_set_in_place_of_their_namesakes_and_removed_in_any_case() {
        let name = |name: &str| name.parse::<HeaderName>().unwrap();
        let edits = Edits {
            set: vec![(name("X-Env"), HeaderValue::from_static("prod"))],
            remove: vec![name("x-debug")],
        };
        let mut fields = HeaderMap::new();
        for (field, value) in [
            ("x-env", "a"),
            ("x-env", "b"),
            ("X-DEBUG", "1"),
            ("x-kept", "1"),
        ] {
            fields.append(name(field), HeaderValue::from_static(value));
        }
        edits.apply(&mut fields);
        let left: Vec<_> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(left, [("x-env", "prod"), ("x-kept", "1")]);
    }

    #[test]
    fn a_route_cannot_change_what_frames_messages_or_says_who_the_client_is() {
        for name in [
            "connection",
            "content-length",
            "transfer-encoding",
            "proxy-authorization",
            "sec-websocket-key",
            "x-forwarded-for",
            "x_forwarded_for",
            "client-cert",
            "host",
        ] {
            assert!(fault_of_edit(name).is_some(), "{name}");
        }
        for name in ["x-env", "strict-transport-security", "authorization"] {
            assert_eq!(fault_of_edit(name), None, "{name}");
        }
    }
}
