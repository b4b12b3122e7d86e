//! What a client asked for, as the lines of its connection show it: bounded, because a socket keeps
//! it for its last line.

use crate::request::Head;

/// Stands between the values: no field of a request has a line break.
const SEPARATOR: char = '\n';
/// Bytes of a value that are kept; a host is no longer.
const LONG: usize = 256;
/// The same of what is short where it is honest.
const SHORT: usize = 128;

/// All values in one allocation.
#[derive(Debug, Default)]
pub struct Asked(Box<str>);

/// What lines show of a request, as far as it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Details<'a> {
    /// The host in normal form.
    pub host: Option<&'a str>,
    /// The path, without what may be a query.
    pub path: Option<&'a str>,
    /// The first `Origin`.
    pub origin: Option<&'a str>,
    /// The first `User-Agent`.
    pub user_agent: Option<&'a str>,
    /// The first `X-Request-Id` of the client's own; the backend gets the proxy's.
    pub client_request_id: Option<&'a str>,
    /// The subprotocol that the client was answered.
    pub subprotocol: Option<&'a str>,
}

impl Asked {
    /// What a request says, and the subprotocol that was chosen.
    pub fn of(head: &Head<'_>, subprotocol: Option<&[u8]>) -> Self {
        let first = |name| head.values(name).next().unwrap_or_default();
        let path = without_query(head.path());
        let mut text = String::with_capacity(LONG);
        for (value, limit) in [
            (head.host().as_str().as_bytes(), LONG),
            (path.as_bytes(), LONG),
            (first("Origin"), SHORT),
            (first("User-Agent"), LONG),
            (first("X-Request-Id"), SHORT),
            (subprotocol.unwrap_or_default(), SHORT),
        ] {
            push(&mut text, value, limit);
            text.push(SEPARATOR);
        }
        Self(text.into())
    }

    /// The values.
    pub fn details(&self) -> Details<'_> {
        let mut values = self.0.split(SEPARATOR);
        let mut next = || values.next().filter(|value| !value.is_empty());
        Details {
            host: next(),
            path: next(),
            origin: next(),
            user_agent: next(),
            client_request_id: next(),
            subprotocol: next(),
        }
    }
}

/// Some clients put a whole URL into a segment, with a token in its query.
fn without_query(path: &str) -> &str {
    let end = path.find("%3F").into_iter().chain(path.find("%3f")).min();
    end.and_then(|end| path.get(..end)).unwrap_or(path)
}

fn push(text: &mut String, value: &[u8], limit: usize) {
    let kept = value.get(..limit).unwrap_or(value);
    for chunk in kept.utf8_chunks() {
        text.extend(chunk.valid().chars().filter(|c| *c != SEPARATOR));
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    if kept.len() < value.len() {
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::HeadLimits;

    fn asked(line: &str, fields: &str, subprotocol: Option<&[u8]>) -> Asked {
        let received = format!(
            "GET {line} HTTP/1.1\r\nHost: A.test:8443\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
        );
        let (head, _) = Head::parse(received.as_bytes(), HeadLimits::default())
            .unwrap()
            .unwrap();
        Asked::of(&head, subprotocol)
    }

    #[test]
    fn what_is_there_is_shown_and_what_is_not_is_left_out() {
        let fields = "Origin: https://a.test\r\nX-Request-Id: 7\r\nX-Request-Id: 8\r\n";
        let asked = asked("/chat?token=secret", fields, Some(b"chat.v1"));
        let expected = Details {
            host: Some("a.test"),
            path: Some("/chat"),
            origin: Some("https://a.test"),
            user_agent: None,
            client_request_id: Some("7"),
            subprotocol: Some("chat.v1"),
        };
        assert_eq!(asked.details(), expected);
        assert_eq!(Asked::default().details(), Details::default());
    }

    #[test]
    fn a_query_within_a_path_is_not_shown() {
        for encoded in ["%3F", "%3f"] {
            let line = format!("/cool/https%3A%2F%2Fa{encoded}access_token=secret/ws");
            let asked = asked(&line, "", None);
            assert_eq!(asked.details().path, Some("/cool/https%3A%2F%2Fa"));
        }
    }

    #[test]
    fn long_and_odd_values_are_cut_and_kept_apart() {
        let agent = "x".repeat(1000);
        let fields =
            format!("User-Agent: {agent}\r\nOrigin: {agent}\r\nX-Request-Id: \t\u{e9}\r\n");
        let asked = asked(&format!("/{agent}"), &fields, Some(b"\xff\n"));
        let details = asked.details();
        assert_eq!(details.user_agent.unwrap().len(), LONG + '…'.len_utf8());
        assert_eq!(details.path.unwrap().len(), LONG + '…'.len_utf8());
        assert_eq!(details.origin.unwrap().len(), SHORT + '…'.len_utf8());
        assert_eq!(details.client_request_id, Some("\u{e9}"));
        assert_eq!(details.subprotocol, Some("\u{fffd}"));
    }
}
