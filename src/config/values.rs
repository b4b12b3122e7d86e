//! Values that are not quantities: words, counts, addresses, paths, names, patterns.

use super::{
    findings::Refusal,
    reader::{near, wrong_type},
};
use crate::{
    integrity::{Algorithm, Mode},
    name::problem::PatternError,
    policy::ClientCertMode,
    request::client_cert::ForwardCertificate,
};
use std::{net::SocketAddr, path::PathBuf, str::FromStr};
use toml::de::DeValue;

/// More than any machine holds, and less than what overflows a semaphore.
const LARGEST_COUNT: i64 = 1_000_000_000;

/// Any string.
pub(super) fn text<'a>(value: &'a DeValue<'_>, example: &str) -> Result<&'a str, Refusal> {
    match value {
        DeValue::String(text) => Ok(text),
        _ => Err(wrong_type(
            value,
            &format!("a string such as \"{example}\""),
        )),
    }
}

/// The number of an integer that fits; `None` for everything else.
pub(super) fn integer(value: &DeValue<'_>) -> Option<i64> {
    let DeValue::Integer(integer) = value else {
        return None;
    };
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

pub(super) fn boolean(value: &DeValue<'_>) -> Result<bool, Refusal> {
    match value {
        DeValue::Boolean(boolean) => Ok(*boolean),
        _ => Err(wrong_type(value, "true or false")),
    }
}

/// How many of something, at least one.
pub(super) fn count(value: &DeValue<'_>) -> Result<usize, Refusal> {
    if !matches!(value, DeValue::Integer(_)) {
        let expected = "a whole number such as 1024, without quotes";
        return Err(wrong_type(value, expected));
    }
    match integer(value) {
        Some(number @ 1..=LARGEST_COUNT) => usize::try_from(number).map_err(|_| large_count()),
        Some(0) => Err(Refusal::new(
            "a limit of zero would refuse everything",
            "write at least 1",
        )),
        Some(..0) => Err(Refusal::new("the number is negative", "write at least 1")),
        _ => Err(large_count()),
    }
}

fn large_count() -> Refusal {
    let hint = format!("write at most {LARGEST_COUNT}");
    Refusal::new("the number is too large", hint)
}

pub(super) fn workers(value: &DeValue<'_>) -> Result<usize, Refusal> {
    match count(value)? {
        workers @ ..=1024 => Ok(workers),
        _ => Err(Refusal::new(
            "more worker threads than any machine has cores",
            "leave the key out: the default is the number of cores",
        )),
    }
}

/// An address to listen on.
pub(super) fn address(value: &DeValue<'_>) -> Result<SocketAddr, Refusal> {
    let text = text(value, "0.0.0.0:8443")?;
    text.parse().map_err(|_| {
        let message = format!("\"{text}\" is not an IP address and a port");
        let hint = "write for example \"0.0.0.0:8443\", \"127.0.0.1:8443\" or \"[::]:8443\"";
        Refusal::new(message, hint)
    })
}

pub(super) fn path(value: &DeValue<'_>) -> Result<PathBuf, Refusal> {
    let text = text(value, "certs/server.pem")?;
    if text.trim().is_empty() || text.contains('\0') {
        let message = format!("{text:?} is not the path of a file");
        return Err(Refusal::new(message, ""));
    }
    Ok(PathBuf::from(text))
}

/// A name for metrics and logs.
pub(super) fn name(value: &DeValue<'_>) -> Result<String, Refusal> {
    let text = text(value, "public")?;
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(Refusal::new(
            format!("{text:?} is not a name"),
            "a name has at least one character that can be seen, and no control characters",
        ));
    }
    Ok(text.to_owned())
}

/// What the policy has a type for.
pub(super) fn pattern<T>(value: &DeValue<'_>) -> Result<T, Refusal>
where
    T: FromStr<Err = PatternError>,
{
    let DeValue::String(text) = value else {
        return Err(wrong_type(value, "a string"));
    };
    text.parse()
        .map_err(|PatternError { message, hint }| Refusal::new(message, hint))
}

pub(super) fn client_cert(value: &DeValue<'_>) -> Result<ClientCertMode, Refusal> {
    word(
        value,
        &[
            ("off", ClientCertMode::Off),
            ("optional", ClientCertMode::Optional),
            ("required", ClientCertMode::Required),
        ],
    )
}

pub(super) fn forward_certificate(value: &DeValue<'_>) -> Result<ForwardCertificate, Refusal> {
    word(
        value,
        &[
            ("full", ForwardCertificate::Full),
            ("leaf", ForwardCertificate::Leaf),
            ("xfcc", ForwardCertificate::Xfcc),
            ("none", ForwardCertificate::None),
        ],
    )
}

pub(super) fn integrity_mode(value: &DeValue<'_>) -> Result<Mode, Refusal> {
    word(
        value,
        &[
            ("off", Mode::Off),
            ("optional", Mode::Optional),
            ("report", Mode::Report),
            ("required", Mode::Required),
        ],
    )
}

pub(super) fn integrity_algorithm(value: &DeValue<'_>) -> Result<Algorithm, Refusal> {
    word(
        value,
        &[
            ("hmac-sha-256", Algorithm::HmacSha256),
            ("sha-256", Algorithm::Sha256),
        ],
    )
}

/// One of a few words.
pub(super) fn word<T: Clone>(value: &DeValue<'_>, words: &[(&str, T)]) -> Result<T, Refusal> {
    let example = words.first().map_or("", |(word, _)| word);
    let found = text(value, example)?;
    if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == found) {
        return Ok(meaning.clone());
    }
    let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let message = format!("\"{found}\" is not one of {}", words.join(", "));
    // The message lists the words already; the hint is for a slip of the pen.
    let hint = near(found, &words).unwrap_or_default();
    Err(Refusal::new(message, hint))
}
