//! The text of an access rule.

use super::{AccessRule, Host, HostPattern, PatternError, Rule, uri::UriRule};
use std::str::FromStr;

const FINGERPRINT_HINT: &str =
    "write the SHA-256 as 64 hexadecimal digits; colons may stand between pairs";
const KIND_HINT: &str =
    "begin it with \"uri:\", \"dns:\", \"email:\", \"cn:\", \"sha256:\" or \"spki-sha256:\"";

impl FromStr for AccessRule {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        parse_rule(text).map(Self).map_err(|fault| {
            let message = format!("the rule {text:?} {}", fault.message);
            PatternError::new(message, fault.hint)
        })
    }
}

/// The messages of the faults below go on where "the rule …" ends.
fn parse_rule(text: &str) -> Result<Rule, PatternError> {
    if text.contains(char::is_control) || text.trim() != text {
        let message = "has a control character, or white space at an end";
        return Err(PatternError::new(message, "remove it"));
    }
    let (kind, value) = text.split_once(':').unwrap_or((text, ""));
    match kind {
        "uri" => UriRule::parse(value).map(Rule::Uri),
        "dns" => parse_dns(value),
        "email" => parse_email(value),
        "cn" => parse_common_name(value),
        "sha256" => parse_fingerprint(value).map(Rule::Certificate),
        "spki-sha256" => parse_fingerprint(value).map(Rule::Key),
        _ => Err(unknown_kind(kind, text)),
    }
}

fn unknown_kind(kind: &str, text: &str) -> PatternError {
    let known = ["uri", "dns", "email", "cn", "sha256", "spki-sha256"];
    let lower = kind.to_ascii_lowercase();
    let hint = if known.contains(&lower.as_str()) {
        format!("write \"{lower}:\" in lower case")
    } else if text.contains("://") {
        format!("write \"uri:{text}\"")
    } else if text.contains('@') {
        format!("write \"email:{text}\"")
    } else {
        KIND_HINT.to_owned()
    };
    PatternError::new("does not say what it is about", hint)
}

fn parse_dns(value: &str) -> Result<Rule, PatternError> {
    let pattern: HostPattern = value.parse().map_err(|error: PatternError| {
        let hint = match value {
            "*" => "name the domain, as in \"dns:*.example.com\"".to_owned(),
            _ => error.hint,
        };
        PatternError::new(format!("cannot match: {}", error.message), hint)
    })?;
    if pattern.is_address() {
        return Err(PatternError::new(
            "names an address, and DNS names are never addresses",
            "use a DNS name, a URI or a fingerprint",
        ));
    }
    Ok(Rule::Dns(pattern))
}

fn parse_email(value: &str) -> Result<Rule, PatternError> {
    let hint =
        "write \"email:alice@example.com\", or \"email:*@example.com\" for any of the domain";
    let fault = |message: &str| PatternError::new(message, hint);
    let (local, domain) = value.rsplit_once('@').ok_or_else(|| fault("has no '@'"))?;
    let domain = Host::from_sni(domain)
        .map_err(|error| PatternError::new(format!("has no domain after '@': {error}"), hint))?;
    let local = match local {
        "" => return Err(fault("has nothing before '@'")),
        "*" => None,
        some if some.contains('*') => return Err(fault("has '*' within the local part")),
        exact => Some(exact.into()),
    };
    Ok(Rule::Email {
        local,
        domain: domain.as_str().into(),
    })
}

fn parse_common_name(value: &str) -> Result<Rule, PatternError> {
    if value.trim().is_empty() {
        let hint = "write the name after \"cn:\"";
        return Err(PatternError::new("has no common name", hint));
    }
    if value.contains('*') {
        return Err(PatternError::new(
            "has '*', and common names are compared exactly",
            "write the whole name, or use \"dns:*.example.com\" for names in the SANs",
        ));
    }
    Ok(Rule::CommonName(value.into()))
}

/// 64 digits, or 32 pairs with a colon between each two.
fn parse_fingerprint(value: &str) -> Result<[u8; 32], PatternError> {
    let fault = || PatternError::new("is not a SHA-256 fingerprint", FINGERPRINT_HINT);
    let pairs: Vec<&[u8]> = if value.contains(':') {
        value.as_bytes().split(|byte| *byte == b':').collect()
    } else {
        value.as_bytes().chunks(2).collect()
    };
    let bytes: Option<Vec<u8>> = pairs.into_iter().map(byte_of).collect();
    let bytes = bytes.ok_or_else(fault)?;
    bytes.try_into().map_err(|_| fault())
}

fn byte_of(pair: &[u8]) -> Option<u8> {
    let [high, low] = pair else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}
