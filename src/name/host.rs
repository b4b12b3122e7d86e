//! Hosts: one normal form for a request's authority, an SNI name and a configured pattern.
//!
//! The form is lower case, without the root's trailing dot and without a port; IPv6 literals are
//! in brackets and compressed. Two spellings of one host are one key, so a client cannot pick
//! another route or another trust by writing `B.TEST.` for `b.test`.

use super::problem::PatternError;
use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// Longest name in bytes (RFC 1035 section 2.3.4, less the root's length bytes).
const MAX_NAME: usize = 253;
/// Longest label in bytes (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;

/// A host in normal form: a DNS name or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host {
    text: Box<str>,
    address: bool,
}

/// A host and the port that stood after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The host, in normal form.
    pub host: Host,
    /// The port, if one was written.
    pub port: Option<u16>,
}

/// Why a text is not a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing is there.
    #[error("it is empty")]
    Empty,
    /// `user@host`.
    #[error("it has user information before '@' (RFC 9110 section 4.2.4)")]
    Userinfo,
    /// A character outside letters, digits, `-`, `_` and `.`.
    #[error("it contains {0:?}, which no host name has (RFC 1123 section 2.1)")]
    Character(char),
    /// `a..b` or a leading dot.
    #[error("it has an empty label")]
    EmptyLabel,
    /// A label longer than 63 bytes.
    #[error("a label is longer than {MAX_LABEL} bytes (RFC 1035 section 2.3.4)")]
    LabelTooLong,
    /// A name longer than 253 bytes.
    #[error("it is longer than {MAX_NAME} bytes (RFC 1035 section 2.3.4)")]
    NameTooLong,
    /// A label that begins or ends with a hyphen.
    #[error("a label begins or ends with '-' (RFC 1123 section 2.1)")]
    Hyphen,
    /// Something in brackets that is not an IPv6 address, or an IPv6 address without brackets.
    #[error("it is not an IPv6 address in brackets (RFC 3986 section 3.2.2)")]
    Brackets,
    /// `127.1` and the like, which some resolvers take for an IPv4 address.
    #[error("it ends in a number and is not an IPv4 address of four decimal parts")]
    Number,
    /// A port that is not a number from 1 to 65535.
    #[error("its port is not a number from 1 to 65535")]
    Port,
    /// An address where only a name may stand.
    #[error("it is an address, and only a DNS name may stand here (RFC 6066 section 3)")]
    Address,
}

/// A host of `route.host`: an exact name, an address, or a wildcard for the leftmost label.
///
/// `*.example.com` matches `a.example.com`, and neither `example.com` nor `a.b.example.com`
/// (RFC 6125 section 6.4.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPattern(Pattern);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pattern {
    Exact(Host),
    /// The name that must follow the first label.
    Below(Host),
}

impl Host {
    /// The host of a `Host` field or of a target's authority; a port is checked and left out.
    pub fn from_authority(text: &str) -> Result<Self, HostError> {
        Authority::parse(text).map(|authority| authority.host)
    }

    /// The host of a TLS server name, which has neither port nor address (RFC 6066 section 3).
    pub fn from_sni(text: &str) -> Result<Self, HostError> {
        let host = Self::parse_name(text)?;
        if host.address {
            return Err(HostError::Address);
        }
        Ok(host)
    }

    /// The normal form; IPv6 in brackets.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is an IPv4 or IPv6 address.
    pub fn is_address(&self) -> bool {
        self.address
    }

    /// What follows the first label: `example.com` of `a.example.com`. An address has none.
    pub fn parent(&self) -> Option<&str> {
        let (_, parent) = self.text.split_once('.').filter(|_| !self.address)?;
        Some(parent)
    }

    fn parse_name(text: &str) -> Result<Self, HostError> {
        let name = text.strip_suffix('.').unwrap_or(text);
        match name.len() {
            0 => return Err(HostError::Empty),
            1..=MAX_NAME => name.split('.').try_for_each(check_label)?,
            _ => return Err(HostError::NameTooLong),
        }
        let address = ends_in_number(name);
        if address && name.parse::<Ipv4Addr>().is_err() {
            return Err(HostError::Number);
        }
        Ok(Self {
            text: name.to_ascii_lowercase().into(),
            address,
        })
    }

    fn parse_v6(text: &str) -> Result<Self, HostError> {
        let address: Ipv6Addr = text.parse().map_err(|_| HostError::Brackets)?;
        Ok(Self {
            text: format!("[{address}]").into(),
            address: true,
        })
    }
}

impl Authority {
    /// Parses `host[:port]` (RFC 9110 section 7.2); an empty port counts as none.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text.contains('@') {
            return Err(HostError::Userinfo);
        }
        if let Some(literal) = text.strip_prefix('[') {
            let (address, after) = literal.split_once(']').ok_or(HostError::Brackets)?;
            return Ok(Self {
                host: Host::parse_v6(address)?,
                port: parse_port_suffix(after)?,
            });
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err(HostError::Brackets);
        }
        let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
        Ok(Self {
            host: Host::parse_name(name)?,
            port: parse_port_suffix(port)?,
        })
    }
}

/// The port of `""`, `":"` or `":443"`.
fn parse_port_suffix(suffix: &str) -> Result<Option<u16>, HostError> {
    let Some(digits) = suffix.strip_prefix(':') else {
        return suffix
            .chars()
            .next()
            .map_or(Ok(None), |character| Err(HostError::Character(character)));
    };
    if digits.is_empty() {
        return Ok(None);
    }
    // `u16::from_str` alone would take "+443".
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HostError::Port);
    }
    let port = digits.parse().ok().filter(|port| *port != 0);
    port.map(Some).ok_or(HostError::Port)
}

fn check_label(label: &str) -> Result<(), HostError> {
    let allowed = |character: &char| character.is_ascii_alphanumeric() || "-_".contains(*character);
    if let Some(character) = label.chars().find(|character| !allowed(character)) {
        return Err(HostError::Character(character));
    }
    match label.len() {
        0 => Err(HostError::EmptyLabel),
        1..=MAX_LABEL if label.starts_with('-') || label.ends_with('-') => Err(HostError::Hyphen),
        1..=MAX_LABEL => Ok(()),
        _ => Err(HostError::LabelTooLong),
    }
}

/// Whether resolvers may read the name as an IPv4 address, also in octal, hex or short form.
fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    last.bytes().all(|byte| byte.is_ascii_digit())
        || hex.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl HostPattern {
    /// Whether the pattern covers the host.
    pub fn matches(&self, host: &Host) -> bool {
        match &self.0 {
            Pattern::Exact(exact) => exact == host,
            Pattern::Below(parent) => host.parent() == Some(parent.as_str()),
        }
    }

    /// Whether it is a wildcard.
    pub fn is_wildcard(&self) -> bool {
        matches!(self.0, Pattern::Below(_))
    }

    /// Whether it is an address.
    pub fn is_address(&self) -> bool {
        matches!(&self.0, Pattern::Exact(host) if host.is_address())
    }

    pub(crate) fn pattern(&self) -> &Pattern {
        &self.0
    }
}

impl FromStr for HostPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let refused = |error: &HostError| {
            let message = format!("{text:?} is not a host to match: {error}");
            PatternError::new(message, hint_for(text))
        };
        if let Some(parent) = text.strip_prefix("*.") {
            let parent = Host::from_sni(parent).map_err(|error| refused(&error))?;
            return Ok(Self(Pattern::Below(parent)));
        }
        let literal = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let host = match literal.unwrap_or(text) {
            address if address.contains(':') => Host::parse_v6(address),
            _ if literal.is_some() => Err(HostError::Brackets),
            name => Host::parse_name(name),
        };
        host.map(|host| Self(Pattern::Exact(host)))
            .map_err(|error| refused(&error))
    }
}

fn hint_for(text: &str) -> &'static str {
    if text == "*" {
        "leave `host` out to match any host"
    } else if text.contains('*') {
        "a wildcard stands for exactly one whole label and comes first, as in \"*.example.com\""
    } else if text.contains("://") || text.contains('/') {
        "write the name alone, without scheme or path, as in \"chat.example.com\""
    } else if text.contains(':') {
        "write the name without a port: a route serves its host on every listener"
    } else if !text.is_ascii() {
        "write an internationalised name in its ASCII form, as in \"xn--bcher-kva.example\""
    } else {
        "write a name, as in \"chat.example.com\", a wildcard, as in \"*.example.com\", or an address"
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Pattern::Exact(host) => write!(f, "{host}"),
            Pattern::Below(parent) => write!(f, "*.{parent}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_host_is_one_key() {
        for (written, normal) in [
            ("b.test", "b.test"),
            ("B.TEST", "b.test"),
            ("b.test.", "b.test"),
            ("B.Test.:443", "b.test"),
            ("b.test:", "b.test"),
            ("b.test:00443", "b.test"),
            ("my_service", "my_service"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[0:0:0:0:0:0:0:1]:8443", "[::1]"),
            ("[2001:DB8::A]", "[2001:db8::a]"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            let host = Host::from_authority(written).unwrap();
            assert_eq!(host.as_str(), normal, "{written}");
        }
    }

    #[test]
    fn what_is_not_a_host_is_refused() {
        let long_label = "a".repeat(64);
        let long_name = "a.".repeat(127) + "aa";
        for (written, error) in [
            ("", HostError::Empty),
            (".", HostError::Empty),
            (":443", HostError::Empty),
            ("a@b", HostError::Userinfo),
            ("a:b@c", HostError::Userinfo),
            ("@", HostError::Userinfo),
            ("a b", HostError::Character(' ')),
            ("a/b", HostError::Character('/')),
            ("a%2eb", HostError::Character('%')),
            ("a,b", HostError::Character(',')),
            ("a\0b", HostError::Character('\0')),
            ("bücher.example", HostError::Character('ü')),
            ("*.test", HostError::Character('*')),
            ("a..b", HostError::EmptyLabel),
            (".a", HostError::EmptyLabel),
            ("a..", HostError::EmptyLabel),
            ("-a.test", HostError::Hyphen),
            ("a-.test", HostError::Hyphen),
            (&long_label, HostError::LabelTooLong),
            (&long_name, HostError::NameTooLong),
            ("127.1", HostError::Number),
            ("0x7f000001", HostError::Number),
            ("a.0X1F", HostError::Number),
            ("127.0.0.01", HostError::Number),
            ("256.0.0.1", HostError::Number),
            ("::1", HostError::Brackets),
            ("[::1", HostError::Brackets),
            ("[127.0.0.1]", HostError::Brackets),
            ("[fe80::1%25eth0]", HostError::Brackets),
            ("[::1]x", HostError::Character('x')),
            ("a:+80", HostError::Port),
            ("a:0", HostError::Port),
            ("a:65536", HostError::Port),
            ("a:80:80", HostError::Port),
            ("a:8x", HostError::Port),
        ] {
            assert_eq!(Host::from_authority(written), Err(error), "{written:?}");
        }
    }

    #[test]
    fn a_server_name_has_neither_port_nor_address() {
        assert_eq!(Host::from_sni("B.test.").unwrap().as_str(), "b.test");
        assert_eq!(Host::from_sni("127.0.0.1"), Err(HostError::Address));
        assert_eq!(Host::from_sni("b:1"), Err(HostError::Character(':')));
        assert_eq!(Host::from_sni("[::1]"), Err(HostError::Character('[')));
    }

    #[test]
    fn a_wildcard_stands_for_exactly_one_leftmost_label() {
        let pattern: HostPattern = "*.Example.com".parse().unwrap();
        for (host, matched) in [
            ("a.example.com", true),
            ("A.EXAMPLE.COM.", true),
            ("example.com", false),
            ("a.b.example.com", false),
            ("aexample.com", false),
            ("a.example.com.evil", false),
        ] {
            let host = Host::from_authority(host).unwrap();
            assert_eq!(pattern.matches(&host), matched, "{host}");
        }
    }

    #[test]
    fn an_exact_pattern_matches_its_host_alone() {
        for (pattern, host, matched) in [
            ("B.test.", "b.test", true),
            ("b.test", "a.b.test", false),
            ("127.0.0.1", "127.0.0.1:8443", true),
            ("::1", "[::1]:8443", true),
            ("[::1]", "[::1]", true),
            ("::1", "[::2]", false),
        ] {
            let parsed: HostPattern = pattern.parse().unwrap();
            let host = Host::from_authority(host).unwrap();
            assert_eq!(parsed.matches(&host), matched, "{pattern} {host}");
        }
    }

    #[test]
    fn a_bad_pattern_is_refused_with_a_hint_that_fits() {
        for (pattern, hint) in [
            ("*", "leave `host` out"),
            ("a*.b", "one whole label"),
            ("*.*.c", "one whole label"),
            ("a.*", "one whole label"),
            ("*.", "one whole label"),
            ("*.0.0.1", "one whole label"),
            ("**.a.b", "one whole label"),
            ("b.test:8443", "without a port"),
            ("[::1]:443", "without a port"),
            ("https://b.test", "without scheme"),
            ("bücher.example", "ASCII form"),
            ("", "write a name"),
            ("a@b", "write a name"),
        ] {
            let error = pattern.parse::<HostPattern>().unwrap_err();
            assert!(error.hint.contains(hint), "{pattern:?}: {error}");
        }
    }

    #[test]
    fn a_pattern_is_shown_in_normal_form() {
        for (written, shown) in [("*.A.b", "*.a.b"), ("A.b.", "a.b"), ("::1", "[::1]")] {
            assert_eq!(written.parse::<HostPattern>().unwrap().to_string(), shown);
        }
    }
}
