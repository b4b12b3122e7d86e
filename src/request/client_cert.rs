//! What the backend is told about a client's certificate, as HTTP field values.
//!
//! Every value made here is one line of printable ASCII, whatever the certificate holds, so that
//! it can be neither a second field nor a second element of its own.

use crate::policy::identity::{Identity, name::push_pairs};
use base64::{Engine, engine::general_purpose::STANDARD};

#[cfg(test)]
mod tests;

/// The longest `X-Forwarded-Client-Cert` value, in bytes.
pub const FORWARDED_LIMIT: usize = 16 * 1024;
/// The most bytes of DER that `Client-Cert-Chain` carries.
pub const CHAIN_LIMIT: usize = 64 * 1024;

/// What a backend gets of a client's certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardCertificate {
    /// Everything: `Client-Cert`, `Client-Cert-Chain` and `X-Forwarded-Client-Cert`.
    #[default]
    Full,
    /// `Client-Cert` alone.
    Leaf,
    /// `X-Forwarded-Client-Cert` alone: hash and names, not the certificate.
    Xfcc,
    /// Nothing.
    None,
}

impl ForwardCertificate {
    /// Whether `Client-Cert` is set.
    pub fn leaf(self) -> bool {
        matches!(self, Self::Full | Self::Leaf)
    }

    /// Whether `Client-Cert-Chain` is set, where there is one.
    pub fn chain(self) -> bool {
        self == Self::Full
    }

    /// Whether `X-Forwarded-Client-Cert` is set.
    pub fn xfcc(self) -> bool {
        matches!(self, Self::Full | Self::Xfcc)
    }
}

/// The value of `Client-Cert` (RFC 9440 section 2.2): a Structured Field byte sequence
/// (RFC 8941 section 3.3.5).
///
/// Its length is four thirds of the certificate's, so at most 87 386 bytes for one that
/// [`Identity::from_der`] accepts.
pub fn client_cert(der: &[u8]) -> String {
    format!(":{}:", STANDARD.encode(der))
}

/// The value of `Client-Cert-Chain` (RFC 9440 section 2.3) for the certificates after the
/// client's own; `None` where there are none.
///
/// Certificates beyond [`CHAIN_LIMIT`] are left off at the end, each whole.
pub fn client_cert_chain<'a>(rest: impl IntoIterator<Item = &'a [u8]>) -> Option<String> {
    let mut bytes = 0_usize;
    let members: Vec<String> = rest
        .into_iter()
        .take_while(|der| {
            bytes = bytes.saturating_add(der.len());
            bytes <= CHAIN_LIMIT
        })
        .map(client_cert)
        .collect();
    (!members.is_empty()).then(|| members.join(", "))
}

/// The value of `X-Forwarded-Client-Cert` as Envoy writes it: `By`, `Hash`, `Subject`, then a
/// `URI` and a `DNS` for each such name.
///
/// `by` is the URI of the proxy's own certificate. The subject is an RFC 4514 string with
/// everything outside printable ASCII, the quotation mark and the backslash as hexadecimal
/// pairs. Names that [`Identity`] calls unusable, and those with a backslash (which no URI or
/// DNS name has, and readers of this format understand differently), are not told. An element
/// that does not fit in [`FORWARDED_LIMIT`] is left out whole, never cut; `Hash` always fits.
pub fn forwarded_client_cert(identity: &Identity, by: Option<&str>) -> String {
    let mut value = Elements::default();
    value.push_name("By", by.unwrap_or_default());
    value.push("Hash", &identity.fingerprint.to_string());
    value.push("Subject", &format!("\"{}\"", subject(&identity.subject)));
    for uri in &identity.uris {
        value.push_name("URI", uri);
    }
    for name in &identity.dns {
        value.push_name("DNS", name);
    }
    value.0
}

/// Elements joined by semicolons, within the limit.
#[derive(Default)]
struct Elements(String);

impl Elements {
    fn push_name(&mut self, key: &str, name: &str) {
        let forwardable = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
        if !name.is_empty() && name.bytes().all(forwardable) {
            self.push(key, &quoted(name));
        }
    }

    fn push(&mut self, key: &str, value: &str) {
        // The hash, 70 bytes, is kept room for, whatever comes before it.
        let room = FORWARDED_LIMIT - if key == "By" { 128 } else { 0 };
        if self.0.len() + key.len() + value.len() + 2 > room {
            return;
        }
        if !self.0.is_empty() {
            self.0.push(';');
        }
        self.0.extend([key, "=", value]);
    }
}

/// Envoy's rule: a value with a delimiter in it is quoted, and the quotation marks in it escaped.
fn quoted(value: &str) -> String {
    if value.contains([',', ';', '=', '"']) {
        format!("\"{}\"", value.replace('"', "\\\""))
    } else {
        value.to_owned()
    }
}

/// An RFC 4514 string spelled so that it can stand between quotation marks.
///
/// RFC 4514 section 2.4 lets any byte be a hexadecimal pair; with the quotation mark and the
/// backslash written so, `\"` cannot occur, which some readers take for the end and others not.
fn subject(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | '"')) => push_pairs(&mut safe, escaped),
                Some(escaped) => safe.extend(['\\', escaped]),
                None => push_pairs(&mut safe, '\\'),
            },
            ' ' => safe.push(' '),
            plain if plain.is_ascii_graphic() && plain != '"' => safe.push(plain),
            other => push_pairs(&mut safe, other),
        }
    }
    safe
}
