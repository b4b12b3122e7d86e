//! Access rules: which certificates may use a route.
//!
//! | rule | matches a certificate that has |
//! | --- | --- |
//! | `uri:spiffe://example.com/edge/a` | this URI among its SANs; scheme and authority in any case, the rest exactly |
//! | `uri:spiffe://example.com/edge/*` | a URI one or more path segments below `/edge`; not `/edge`, nor `/edge/` itself |
//! | `dns:a.example.com` | this DNS name among its SANs, in any case |
//! | `dns:*.example.com` | a DNS name with exactly one label in place of `*` (RFC 6125 section 6.4.3) |
//! | `email:alice@example.com` | this address among its SANs; the local part exactly, the domain in any case (RFC 5280 section 7.5) |
//! | `email:*@example.com` | any address of exactly this domain |
//! | `cn:Alice` | this common name, exactly |
//! | `sha256:…` | this SHA-256 fingerprint of the whole certificate: 64 hexadecimal digits, with or without colons |
//! | `spki-sha256:…` | this SHA-256 fingerprint of its public key (`SubjectPublicKeyInfo`), which a renewal may keep |
//!
//! A common name is looked at by `cn:` alone: it is never taken for a DNS name, with SANs beside
//! it or without. A wildcard written *in a certificate* matches nothing. A name with a NUL, or
//! another character that has no place in it, matches no rule. URIs with `.` or `..` segments, a
//! query or a fragment are below no wildcard.

use crate::name::{
    host::{Host, HostPattern},
    problem::PatternError,
};
use std::fmt;
use uri::UriRule;

mod parse;
mod uri;

/// One entry of an `allow` or `deny` list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule(Rule);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Uri(UriRule),
    Dns(HostPattern),
    Email {
        /// `None`: any.
        local: Option<Box<str>>,
        domain: Box<str>,
    },
    CommonName(Box<str>),
    Certificate([u8; 32]),
    Key([u8; 32]),
}

/// What a certificate says about its holder, as far as rules look at it.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// SANs of type URI.
    pub uris: &'a [String],
    /// SANs of type DNS.
    pub dns: &'a [String],
    /// SANs of type email.
    pub emails: &'a [String],
    /// The subject's common name.
    pub common_name: Option<&'a str>,
    /// SHA-256 of the certificate.
    pub certificate: [u8; 32],
    /// SHA-256 of its `SubjectPublicKeyInfo`.
    pub key: [u8; 32],
}

/// Whether a certificate may use a route, and which rule says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'r> {
    /// There is no `allow` list, and no `deny` rule matches.
    Unrestricted,
    /// This `allow` rule matches, and no `deny` rule.
    Allowed(&'r AccessRule),
    /// This `deny` rule matches.
    Denied(&'r AccessRule),
    /// There is an `allow` list, and none of it matches.
    NotListed,
}

/// Judges a verified certificate. `deny` wins over `allow`; without an `allow` list every one is
/// admitted, by an empty one none.
pub fn judge<'r>(
    allow: Option<&'r [AccessRule]>,
    deny: &'r [AccessRule],
    names: &Names<'_>,
) -> Verdict<'r> {
    let first = |rules: &'r [AccessRule]| rules.iter().find(|rule| rule.matches(names));
    match (first(deny), allow.and_then(first)) {
        (Some(rule), _) => Verdict::Denied(rule),
        (None, Some(rule)) => Verdict::Allowed(rule),
        (None, None) if allow.is_none() => Verdict::Unrestricted,
        (None, None) => Verdict::NotListed,
    }
}

impl<'r> Verdict<'r> {
    /// Whether the certificate may use the route.
    pub fn is_admitted(self) -> bool {
        matches!(self, Verdict::Unrestricted | Verdict::Allowed(_))
    }

    /// The rule that decided, if it was one rule.
    pub fn rule(self) -> Option<&'r AccessRule> {
        match self {
            Verdict::Allowed(rule) | Verdict::Denied(rule) => Some(rule),
            Verdict::Unrestricted | Verdict::NotListed => None,
        }
    }
}

impl AccessRule {
    /// Whether the rule matches a certificate.
    pub fn matches(&self, names: &Names<'_>) -> bool {
        match &self.0 {
            Rule::Uri(rule) => names.uris.iter().any(|uri| rule.matches(uri)),
            Rule::Dns(pattern) => names.dns.iter().any(|name| dns_matches(pattern, name)),
            Rule::Email { local, domain } => {
                let mut emails = names.emails.iter();
                emails.any(|email| email_matches(local.as_deref(), domain, email))
            }
            Rule::CommonName(name) => names.common_name == Some(name),
            Rule::Certificate(fingerprint) => names.certificate == *fingerprint,
            Rule::Key(fingerprint) => names.key == *fingerprint,
        }
    }
}

/// A presented name that is not a host name (`*`, NUL, an address) matches nothing; nor does one
/// that ends in a dot, which certificates must not have (RFC 5280 section 4.2.1.6).
fn dns_matches(pattern: &HostPattern, name: &str) -> bool {
    let host = Host::from_sni(name).ok().filter(|_| !name.ends_with('.'));
    host.is_some_and(|host| pattern.matches(&host))
}

fn email_matches(local: Option<&str>, domain: &str, email: &str) -> bool {
    let Some((presented, presented_domain)) = email.rsplit_once('@') else {
        return false;
    };
    let whole = !presented.is_empty() && !presented.contains(char::is_control);
    whole
        && local.is_none_or(|local| local == presented)
        && presented_domain.eq_ignore_ascii_case(domain)
}

impl fmt::Display for AccessRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rule::Uri(rule) => write!(f, "uri:{rule}"),
            Rule::Dns(pattern) => write!(f, "dns:{pattern}"),
            Rule::Email { local, domain } => {
                write!(f, "email:{}@{domain}", local.as_deref().unwrap_or("*"))
            }
            Rule::CommonName(name) => write!(f, "cn:{name}"),
            Rule::Certificate(digest) => write_fingerprint(f, "sha256", digest),
            Rule::Key(digest) => write_fingerprint(f, "spki-sha256", digest),
        }
    }
}

fn write_fingerprint(f: &mut fmt::Formatter<'_>, kind: &str, digest: &[u8]) -> fmt::Result {
    write!(f, "{kind}:")?;
    digest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Unrestricted => f.write_str("admitted: every verified certificate is"),
            Verdict::Allowed(rule) => write!(f, "admitted by allow \"{rule}\""),
            Verdict::Denied(rule) => write!(f, "refused by deny \"{rule}\""),
            Verdict::NotListed => f.write_str("refused: no allow rule matches"),
        }
    }
}

#[cfg(test)]
mod tests;
