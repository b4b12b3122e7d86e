//! Private keys: the one of a file, and what makes one unusable.

use super::pem::{self, Block, Label, Problem};
use crate::credential::MaterialError;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use std::path::Path;
use x509_parser::{
    asn1_rs::{Any, FromDer as _, Tag},
    certificate::X509Certificate,
    oid_registry::OID_KEY_TYPE_EC_PUBLIC_KEY,
};

/// The keys that can be used.
pub const EXPECTED: &str = "expected an unencrypted RSA (2048 bits or more), ECDSA (P-256, P-384, P-521) or Ed25519 key in PEM";

/// The kinds of key that are known, by their object identifiers in DER, and their names.
const KINDS: [(&[u8], Kind); 9] = [
    // 1.2.840.113549.1.1.1
    (&[42, 134, 72, 134, 247, 13, 1, 1, 1], Kind::Rsa),
    // 1.2.840.10045.2.1
    (&[42, 134, 72, 206, 61, 2, 1], Kind::Ec),
    // 1.3.101.112
    (&[43, 101, 112], Kind::Usable),
    // 1.2.840.113549.1.1.10
    (
        &[42, 134, 72, 134, 247, 13, 1, 1, 10],
        Kind::Other("RSA-PSS"),
    ),
    // 1.2.840.10040.4.1
    (&[42, 134, 72, 206, 56, 4, 1], Kind::Other("DSA")),
    // 1.3.101.113
    (&[43, 101, 113], Kind::Other("Ed448")),
    // 1.3.101.110, 1.3.101.111
    (&[43, 101, 110], Kind::Other("X25519")),
    (&[43, 101, 111], Kind::Other("X448")),
    // 1.2.840.113549.1.3.1
    (
        &[42, 134, 72, 134, 247, 13, 1, 3, 1],
        Kind::Other("Diffie-Hellman"),
    ),
];
/// P-256, P-384 and P-521: 1.2.840.10045.3.1.7, 1.3.132.0.34 and 1.3.132.0.35.
const CURVES: [&[u8]; 3] = [
    &[42, 134, 72, 206, 61, 3, 1, 7],
    &[43, 129, 4, 0, 34],
    &[43, 129, 4, 0, 35],
];
const RSA_BITS_MIN: usize = 2048;

#[derive(Clone, Copy)]
enum Kind {
    Rsa,
    Ec,
    Usable,
    Other(&'static str),
}

/// The one private key of a PEM file.
///
/// Beside it may stand its chain, its public part, and the parameters that OpenSSL writes before
/// keys of EC and DSA.
pub fn of_text(text: &[u8]) -> Result<Block, Problem> {
    if pem::is_der(text) {
        let hint = "convert it with `openssl pkey -inform DER -in FILE -out NEW`";
        return Err(Problem::new(1, "the file is DER, not PEM", hint));
    }
    let blocks = pem::blocks(text).map_err(with_line)?;
    let other = blocks.iter().find(|it| it.label == Label::RevocationList);
    if let Some(block) = other {
        let message = format!(
            "line {}: a revocation list has no place in a key's file",
            block.line
        );
        return Err(Problem::new(block.line, message, "take it out"));
    }
    let without = missing(&blocks);
    let mut keys = blocks.into_iter().filter(|it| it.label.is_private_key());
    let Some(key) = keys.next() else {
        return Err(without);
    };
    if let Some(second) = keys.next() {
        let message = format!("line {}: a second private key", second.line);
        return Err(Problem::new(
            second.line,
            message,
            "expected one key in the file; take the other out",
        ));
    }
    fault(&key).map_or(Ok(key), Err)
}

fn with_line(problem: Problem) -> Problem {
    Problem {
        message: problem.to_string(),
        ..problem
    }
}

/// That there is no key, and what there is in its place.
fn missing(blocks: &[Block]) -> Problem {
    let expected =
        "expected a PEM block such as BEGIN PRIVATE KEY to END PRIVATE KEY, not encrypted";
    let has = |label| blocks.iter().any(|block| block.label == label);
    let (message, hint) = if has(Label::Certificate) {
        (
            "there are certificates in this file, and no private key",
            "name the key's file; are chain and key mixed up?",
        )
    } else if has(Label::PublicKey) {
        (
            "there is a public key in this file, and no private key",
            "name the file of the private key that it belongs to",
        )
    } else {
        ("no whole private key in this file", expected)
    };
    Problem::new(1, message, hint)
}

/// Why a key cannot be used, as far as its form tells.
fn fault(key: &Block) -> Option<Problem> {
    let found = |message: &str, hint: &str| Some(Problem::new(key.line, message, hint));
    if key.encrypted || key.label == Label::EncryptedKey {
        let hint = "take the passphrase off with `openssl pkey -in FILE -out NEW`, and keep the new file for its owner alone";
        return found("the private key is encrypted", hint);
    }
    match key.label {
        Label::DsaKey => Some(other_kind(key, "DSA")),
        Label::OpensshKey => found(
            "the private key is in OpenSSH's own form",
            "convert a copy of it with `ssh-keygen -p -N '' -m PKCS8 -f COPY`",
        ),
        Label::Pkcs1Key => short_rsa(key, &key.der),
        Label::Sec1Key => ec_fault(key, sec1_parameters(&key.der)),
        _ => pkcs8_fault(key),
    }
}

fn other_kind(key: &Block, name: &str) -> Problem {
    let message = format!("the private key is of the kind {name}, which is not used here");
    Problem::new(key.line, message, EXPECTED)
}

/// RFC 5958 section 2: version, algorithm, key.
fn pkcs8_fault(key: &Block) -> Option<Problem> {
    let parts = elements(&key.der);
    let [_, algorithm, bytes, ..] = parts.as_slice() else {
        return None;
    };
    let algorithm = sequence_of(algorithm.data);
    let oid = algorithm.first()?;
    let (_, kind) = KINDS.iter().find(|(known, _)| *known == oid.data)?;
    match kind {
        Kind::Rsa => short_rsa(key, bytes.data),
        Kind::Ec => ec_fault(key, algorithm.get(1).cloned()),
        Kind::Usable => None,
        Kind::Other(name) => Some(other_kind(key, name)),
    }
}

/// RFC 5915 section 3: version, key, `[0]` parameters, `[1]` public key.
fn sec1_parameters(der: &[u8]) -> Option<Any<'_>> {
    let parts = elements(der);
    let tagged = parts.iter().find(|part| part.tag() == Tag(0))?;
    sequence_of(tagged.data).into_iter().next()
}

fn ec_fault(key: &Block, parameters: Option<Any<'_>>) -> Option<Problem> {
    let parameters = parameters?;
    if parameters.tag() == Tag::Sequence {
        let hint = "convert it with `openssl ec -param_enc named_curve -in FILE -out NEW`";
        let message = "the private key has explicit EC parameters in place of a named curve";
        return Some(Problem::new(key.line, message, hint));
    }
    let named = parameters.tag() == Tag::Oid;
    if named && !CURVES.contains(&parameters.data) {
        let message = "the private key is on a curve that is not used here";
        return Some(Problem::new(key.line, message, EXPECTED));
    }
    None
}

/// RFC 8017 appendix A.1.2: version, modulus.
fn short_rsa(key: &Block, der: &[u8]) -> Option<Problem> {
    let parts = elements(der);
    let modulus = parts.get(1)?.data;
    let first = modulus.iter().position(|byte| *byte != 0)?;
    let top = modulus.get(first)?;
    let bits = (modulus.len() - first) * 8 - usize::try_from(top.leading_zeros()).ok()?;
    let message = format!("the private key is RSA of {bits} bits");
    (bits < RSA_BITS_MIN).then(|| Problem::new(key.line, message, EXPECTED))
}

/// What a SEQUENCE in DER holds; nothing if it is none.
fn elements(der: &[u8]) -> Vec<Any<'_>> {
    match Any::from_der(der) {
        Ok((_, outer)) if outer.tag() == Tag::Sequence => sequence_of(outer.data),
        _ => Vec::new(),
    }
}

fn sequence_of(mut content: &[u8]) -> Vec<Any<'_>> {
    let mut found = Vec::new();
    while let Ok((rest, element)) = Any::from_der(content) {
        found.push(element);
        content = rest;
    }
    found
}

/// The key as the library takes it; `None` for kinds that it does not take.
pub fn der(key: &Block) -> Option<PrivateKeyDer<'_>> {
    let der = key.der.as_slice();
    match key.label {
        Label::Pkcs8Key => Some(PrivatePkcs8KeyDer::from(der).into()),
        Label::Pkcs1Key => Some(PrivatePkcs1KeyDer::from(der).into()),
        Label::Sec1Key => Some(PrivateSec1KeyDer::from(der).into()),
        _ => None,
    }
}

/// The key for who keeps it; `None` for kinds that the library does not take.
pub fn owned(key: &Block) -> Option<PrivateKeyDer<'static>> {
    der(key).map(|der| der.clone_key())
}

/// RFC 5480 section 2.1.1: in certificates a curve is named.
pub fn refuse_explicit_curve(
    path: &Path,
    chain: &[CertificateDer<'_>],
) -> Result<(), MaterialError> {
    let leaf = chain.first().map(|der| X509Certificate::from_der(der));
    if let Some(Ok((_, leaf))) = leaf
        && let Some(parameters) = &leaf.public_key().algorithm.parameters
        && parameters.tag() == Tag::Sequence
        && leaf.public_key().algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY
    {
        let message = "the certificate's key has explicit EC parameters in place of a named curve";
        let hint = "clients refuse it (RFC 5480 section 2.1.1): have one issued for a key that `openssl ec -param_enc named_curve` has converted";
        return Err(MaterialError::new(path, message, hint));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
