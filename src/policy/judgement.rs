//! Whether a client may use a route: one judgement for the upgrade and for sockets that are open.
//!
//! ```text
//! certificate (names, validity, standing) ─┐
//! route (client_cert, allow, deny) ────────┼─► judge ─► Admission: the rule that admits
//! time ────────────────────────────────────┘       └──► Denial: the rule or fact that refuses
//! ```
//!
//! The order of the steps is fixed: whether a certificate is there, its validity, its standing
//! with CAs and CRLs, `deny`, `allow`. A client that shows a certificate is judged by it,
//! whatever the route requires: the backend learns of it. What cannot be decided is refused: an
//! unknown standing, and a name that no rule can be compared with where there is a `deny` list.

use super::{
    ClientCertMode,
    access::{self, AccessRule, Names, Verdict},
    identity::Identity,
};
use std::fmt;

#[cfg(test)]
mod tests;

/// What a route asks of its clients.
#[derive(Clone, Copy, Debug)]
pub struct Requirement<'r> {
    /// Whether a certificate has to be shown.
    pub mode: ClientCertMode,
    /// Certificates that may use it; `None`: every verified one.
    pub allow: Option<&'r [AccessRule]>,
    /// Certificates that may not, whatever `allow` says.
    pub deny: &'r [AccessRule],
}

/// A certificate that a client has shown.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'c> {
    /// What it says about its holder.
    pub identity: &'c Identity,
    /// The earliest end of validity in its chain, in seconds since 1970.
    pub not_after: Option<i64>,
    /// What CAs and CRLs say of its chain.
    pub standing: Standing,
}

/// What CAs and CRLs say of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It leads to a trusted CA, and none of it is revoked.
    Trusted,
    /// A certificate of it has expired.
    Expired,
    /// A certificate of it is not valid yet.
    NotYetValid,
    /// A certificate of it is revoked.
    Revoked,
    /// No current CRL says whether it is.
    StatusUnknown,
    /// It leads to no trusted CA.
    UnknownIssuer,
    /// It is not meant for client authentication.
    WrongPurpose,
    /// A signature or an extension of it is not valid.
    Invalid,
}

/// Why a client may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission<'r> {
    /// It shows no certificate, and need not.
    Anonymous,
    /// It has a verified certificate, and the route has no `allow` list.
    Verified,
    /// This `allow` rule matches its certificate.
    Rule(&'r AccessRule),
}

/// Why a client may not use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial<'r> {
    /// It shows no certificate, and has to.
    NoCertificate,
    /// What CAs and CRLs say; never [`Standing::Trusted`].
    Standing(Standing),
    /// This `deny` rule matches its certificate.
    Rule(&'r AccessRule),
    /// There is a `deny` list, and the certificate has a name that no rule can be compared with.
    Incomparable,
    /// There is an `allow` list, and none of it matches.
    NotListed,
}

/// Judges a client at a time, in seconds since 1970; `None`: it shows no certificate.
pub fn judge<'r>(
    route: &Requirement<'r>,
    evidence: Option<&Evidence<'_>>,
    now: i64,
) -> Result<Admission<'r>, Denial<'r>> {
    let Some(evidence) = evidence else {
        return judge_anonymous(route);
    };
    match evidence.standing_at(now) {
        Standing::Trusted => judge_names(route, evidence.identity),
        standing => Err(Denial::Standing(standing)),
    }
}

fn judge_anonymous<'r>(route: &Requirement<'r>) -> Result<Admission<'r>, Denial<'r>> {
    if route.mode == ClientCertMode::Required || route.allow.is_some() {
        Err(Denial::NoCertificate)
    } else {
        Ok(Admission::Anonymous)
    }
}

fn judge_names<'r>(
    route: &Requirement<'r>,
    identity: &Identity,
) -> Result<Admission<'r>, Denial<'r>> {
    let verdict = access::judge(route.allow, route.deny, &identity.names());
    if let Verdict::Denied(rule) = verdict {
        return Err(Denial::Rule(rule));
    }
    if !route.deny.is_empty() && !identity.unusable.is_empty() {
        return Err(Denial::Incomparable);
    }
    match verdict {
        Verdict::Unrestricted => Ok(Admission::Verified),
        Verdict::Allowed(rule) => Ok(Admission::Rule(rule)),
        Verdict::Denied(_) | Verdict::NotListed => Err(Denial::NotListed),
    }
}

impl Evidence<'_> {
    /// RFC 5280 section 4.1.2.5: both ends of the validity belong to it.
    fn standing_at(&self, now: i64) -> Standing {
        let end = self.not_after.unwrap_or(self.identity.not_after);
        if end.min(self.identity.not_after) < now {
            Standing::Expired
        } else if self.identity.not_before > now {
            Standing::NotYetValid
        } else {
            self.standing
        }
    }
}

impl Identity {
    /// What access rules look at.
    pub fn names(&self) -> Names<'_> {
        Names {
            uris: &self.uris,
            dns: &self.dns,
            emails: &self.emails,
            common_name: self.common_name.as_deref(),
            certificate: *self.fingerprint.as_bytes(),
            key: *self.key_fingerprint.as_bytes(),
        }
    }
}

impl Requirement<'_> {
    /// What is asked of the sockets of a route that was removed: that their certificates stay good.
    pub const NONE: Self = Self {
        mode: ClientCertMode::Optional,
        allow: None,
        deny: &[],
    };
}

impl<'r> Admission<'r> {
    /// The rule that admitted, if it was one rule.
    pub fn rule(self) -> Option<&'r AccessRule> {
        match self {
            Admission::Rule(rule) => Some(rule),
            Admission::Anonymous | Admission::Verified => None,
        }
    }
}

impl fmt::Display for Admission<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Admission::Anonymous => f.write_str("the route requires no certificate"),
            Admission::Verified => {
                f.write_str("the route has no allow list: every verified certificate may use it")
            }
            Admission::Rule(rule) => write!(f, "the allow rule \"{rule}\" matches the certificate"),
        }
    }
}

impl fmt::Display for Denial<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Denial::NoCertificate => {
                f.write_str("the route requires a client certificate, and none was shown")
            }
            Denial::Standing(standing) => f.write_str(standing.sentence()),
            Denial::Rule(rule) => write!(f, "the deny rule \"{rule}\" matches the certificate"),
            Denial::Incomparable => f.write_str(
                "the certificate has a name that no rule can be compared with, and the route has a deny list",
            ),
            Denial::NotListed => {
                f.write_str("the certificate matches no rule of the route's allow list")
            }
        }
    }
}

impl Standing {
    /// One sentence for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Standing::Trusted => "the certificate leads to a trusted CA and is not revoked",
            Standing::Expired => "a certificate of the client's chain has expired",
            Standing::NotYetValid => "a certificate of the client's chain is not valid yet",
            Standing::Revoked => "a certificate of the client's chain is revoked",
            Standing::StatusUnknown => {
                "no current CRL says whether the client's certificate is revoked"
            }
            Standing::UnknownIssuer => "the client's certificate leads to no CA of tls.clients.ca",
            Standing::WrongPurpose => {
                "the client's certificate is not meant for client authentication"
            }
            Standing::Invalid => "a signature or extension in the client's chain is not valid",
        }
    }
}
