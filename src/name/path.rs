//! Paths: prefixes on segment boundaries, and which paths mean the same to every reader.
//!
//! A backend normalises paths by rules of its own. What a request asks for is therefore looked up
//! in every way to read it ([`reading`](super::reading)); what a configuration or a certificate
//! names has one meaning from the start. Such a *plain* path
//!
//! - begins with `/` and has no empty segment except the last (`//` is `/` to many servers);
//! - has no `.` or `..` segment, neither as such, percent-encoded, nor followed by `;`
//!   (servlet containers drop what follows `;` and then resolve `..;`);
//! - has no `\` and no `%2F`, `%5C` or encoded control character;
//! - has two hexadecimal digits after every `%`.
//!
//! Every percent-encoding is decoded before a path is compared, once, so that `/%63hat` is judged
//! as `/chat`. The backend is sent the path as the client wrote it.

use super::{problem::PatternError, reading::hexadecimal};
use std::{borrow::Cow, fmt, str::FromStr};

/// A path prefix that matches on segment boundaries: `/chat` matches `/chat` and `/chat/x`, not
/// `/chatter`; `/` matches every path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPrefix {
    text: Box<str>,
    /// Decoded; empty for `/`, so that a boundary always follows.
    bytes: Box<[u8]>,
}

impl PathPrefix {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a request for `target` (a path, and maybe a query) is covered.
    pub fn matches(&self, target: &str) -> bool {
        comparable(target).is_some_and(|path| {
            path.starts_with(&self.bytes) && ends_a_segment(&path, self.bytes.len())
        })
    }

    /// The bytes to compare with those of [`comparable`].
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl FromStr for PathPrefix {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if let Some((message, hint)) = fault(text) {
            return Err(PatternError::new(format!("{text:?} {message}"), hint));
        }
        let bytes = comparable(text).unwrap_or_default();
        Ok(Self {
            text: text.into(),
            bytes: bytes.strip_suffix(b"/").unwrap_or(&bytes).into(),
        })
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What is wrong with a configured prefix, and what to write instead.
fn fault(text: &str) -> Option<(&'static str, &'static str)> {
    let graphic = text.bytes().all(|byte| byte.is_ascii_graphic());
    if !text.starts_with('/') {
        Some(("does not begin with '/'", "write a path, as in \"/chat\""))
    } else if text.contains(['?', '#']) {
        Some((
            "has a query or a fragment",
            "write the path alone: a route matches whatever the query is",
        ))
    } else if !graphic {
        Some((
            "has a character that no path has (RFC 3986 section 3.3)",
            "percent-encode it, as in \"/caf%C3%A9\"",
        ))
    } else if text.ends_with("/*") {
        Some((
            "ends with a wildcard",
            "leave \"/*\" away: a prefix covers everything below it",
        ))
    } else if text.len() > 1 && text.ends_with('/') {
        Some((
            "ends with '/'",
            "leave the last '/' away: \"/chat\" covers \"/chat/\" and everything below it",
        ))
    } else if !path_is_plain(text) {
        Some((
            "can be read as more than one path",
            "write it without \"//\", \".\", \"..\", '\\' and percent-encoded separators",
        ))
    } else {
        None
    }
}

/// What is wrong with a request's path (without its query) for every reader.
pub fn path_fault(path: &str) -> Option<&'static str> {
    if !path.starts_with('/') {
        return Some("does not begin with '/' (RFC 9112 section 3.2.1)");
    }
    let mut encodings = path.split('%').skip(1);
    encodings.find_map(|after| {
        let digits = after.as_bytes().first_chunk::<2>();
        match digits.and_then(|[high, low]| hexadecimal(*high, *low)) {
            Some(byte) if byte.is_ascii_control() => {
                Some("has a percent-encoded control character (RFC 3986 section 7.3)")
            }
            Some(_) => None,
            None => Some("has a broken percent-encoding (RFC 3986 section 2.1)"),
        }
    })
}

/// Whether a path (without a query) means the same to every reader; see the module's rules.
pub fn path_is_plain(path: &str) -> bool {
    let Some(decoded) = decoded(path) else {
        return false;
    };
    let Some(below) = decoded.strip_prefix(b"/") else {
        return false;
    };
    let mut segments = below.split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if is_dots(segment) || (segment.is_empty() && !last) {
            return false;
        }
    }
    true
}

fn is_dots(segment: &[u8]) -> bool {
    let name = segment.split(|byte| *byte == b';').next();
    matches!(name, Some(b"." | b".."))
}

/// The form in which a target's path is compared: without the query, decoded. Allocates only
/// where there is something to decode; `None` where decoding would be ambiguous.
pub(crate) fn comparable(target: &str) -> Option<Cow<'_, [u8]>> {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    decoded(path)
}

/// Whether a segment of the path ends at `length`, which is a length of a prefix.
pub(crate) fn ends_a_segment(path: &[u8], length: usize) -> bool {
    length <= path.len() && path.get(length).is_none_or(|next| *next == b'/')
}

fn decoded(path: &str) -> Option<Cow<'_, [u8]>> {
    if path.contains('\\') {
        return None;
    }
    if !path.contains('%') {
        return Some(Cow::Borrowed(path.as_bytes()));
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => unescaped(rest.next()?, rest.next()?)?,
            plain => plain,
        });
    }
    Some(Cow::Owned(bytes))
}

/// The byte of one percent-encoding, unless it is one that readers disagree about.
fn unescaped(high: u8, low: u8) -> Option<u8> {
    let byte = hexadecimal(high, low)?;
    let separator = matches!(byte, b'/' | b'\\');
    (!separator && !byte.is_ascii_control()).then_some(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_matches_on_segment_boundaries() {
        for (prefix, target, matched) in [
            ("/chat", "/chat", true),
            ("/chat", "/chat/", true),
            ("/chat", "/chat/x/y", true),
            ("/chat", "/chat?x", true),
            ("/chat", "/chat?/../", true),
            ("/chat", "/chatter", false),
            ("/chat", "/cha", false),
            ("/chat", "/Chat", false),
            ("/chat", "/", false),
            ("/chat", "/x?/chat", false),
            ("/chat/a", "/chat", false),
            ("/", "/", true),
            ("/", "/anything/at/all", true),
            ("/", "/?x", true),
            ("/chat", "/%63hat", true),
            ("/chat", "/ch%61t/x", true),
            ("/ch%61t", "/chat", true),
            ("/caf%C3%A9", "/caf%c3%a9/x", true),
            ("/a,b", "/a%2Cb", true),
            ("/chat", "/chat%2Fx", false),
            ("/chat", "/chat%3Fx", false),
        ] {
            let parsed: PathPrefix = prefix.parse().unwrap();
            assert_eq!(parsed.matches(target), matched, "{prefix} {target}");
        }
    }

    #[test]
    fn a_path_that_two_readers_may_read_differently_is_not_plain() {
        for (path, plain) in [
            ("/", true),
            ("/a/b/", true),
            ("/a.b/..c/...", true),
            ("/a;v=1/b", true),
            ("/%C3%A9/%20", true),
            ("/a/%252e%252e", true),
            ("", false),
            ("a", false),
            ("*", false),
            ("/..", false),
            ("/.", false),
            ("/a/../b", false),
            ("/a/./b", false),
            ("/a/%2e%2E/b", false),
            ("/a/.%2e", false),
            ("/a/%2e/b", false),
            ("/a/..;x=1/b", false),
            ("/a/..%3bx/b", false),
            ("/a/.;/b", false),
            ("//a", false),
            ("/a//b", false),
            ("/a//", false),
            ("/a\\..\\b", false),
            ("/a%2fb", false),
            ("/a%5Cb", false),
            ("/a%00", false),
            ("/a%0d%0a", false),
            ("/a%7f", false),
            ("/a%", false),
            ("/a%4", false),
            ("/a%4g", false),
            ("/a%+4", false),
        ] {
            assert_eq!(path_is_plain(path), plain, "{path:?}");
        }
    }

    #[test]
    fn a_path_that_is_none_for_any_reader_is_refused_with_its_fault() {
        for (path, fault) in [
            ("/", None),
            ("//a/../%2F;b\\.%5c", None),
            ("/%C3%A9/%20/%252e", None),
            ("", Some("begin")),
            ("a", Some("begin")),
            ("*", Some("begin")),
            ("/a%00", Some("control")),
            ("/a%0d%0a", Some("control")),
            ("/a%7f", Some("control")),
            ("/a%", Some("broken")),
            ("/a%4", Some("broken")),
            ("/a%4g", Some("broken")),
            ("/a%+4", Some("broken")),
            ("/a%%41", Some("broken")),
        ] {
            let found = path_fault(path);
            assert_eq!(found.is_some(), fault.is_some(), "{path}: {found:?}");
            let named = fault.is_none_or(|fault| found.is_some_and(|found| found.contains(fault)));
            assert!(named, "{path}: {found:?}");
        }
    }

    #[test]
    fn a_bad_prefix_is_refused_with_a_hint_that_fits() {
        for (prefix, hint) in [
            ("", "write a path"),
            ("chat", "write a path"),
            ("/chat?x", "the path alone"),
            ("/chat#x", "the path alone"),
            ("/chat room", "percent-encode"),
            ("/café", "percent-encode"),
            ("/chat/*", "covers everything below"),
            ("/chat/", "leave the last '/' away"),
            ("/chat/../x", "without"),
            ("/%2e%2e", "without"),
            ("/a%2Fb", "without"),
            ("/a%zz", "without"),
        ] {
            let error = prefix.parse::<PathPrefix>().unwrap_err();
            assert!(error.hint.contains(hint), "{prefix:?}: {error}");
        }
    }
}
