//! What errors of the TLS libraries mean, for logs and answers.
//!
//! Both libraries print most of their errors as Rust writes values; a person who reads a log has
//! never seen the type.

use rustls::{AlertDescription, CertificateError, Error};
use std::fmt::Debug;

/// What an error of rustls means.
pub fn of(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::InappropriateMessage { got_type, .. } => {
            format!("the peer sent a record out of turn: {}", spoken(got_type))
        }
        Error::InappropriateHandshakeMessage { got_type, .. } => format!(
            "the peer sent a handshake message out of turn: {}",
            spoken(got_type)
        ),
        Error::InvalidMessage(what) => {
            format!("the peer sent a malformed message: {}", spoken(what))
        }
        Error::PeerIncompatible(why) => {
            format!(
                "the peer and the proxy have nothing in common: {}",
                spoken(why)
            )
        }
        Error::PeerMisbehaved(why) => format!("the peer broke the protocol: {}", spoken(why)),
        Error::AlertReceived(alert) => format!("the peer sent the alert {}", of_alert(*alert)),
        Error::InvalidEncryptedClientHello(why) => {
            format!("the encrypted ClientHello cannot be used: {}", spoken(why))
        }
        Error::InconsistentKeys(why) => format!("the keys do not fit: {}", spoken(why)),
        Error::InvalidCertRevocationList(why) => {
            format!("a CRL cannot be used: {}", spoken(why))
        }
        other => other.to_string(),
    }
}

/// What an error of rustls-webpki means for a list.
pub(super) fn of_list(error: &webpki::Error) -> String {
    use webpki::Error as E;
    let text = match error {
        E::UnsupportedDeltaCrl => "it is a delta list",
        E::UnsupportedIndirectCrl => "it is indirect: for certificates of other issuers",
        E::UnsupportedCrlVersion => "it is of version 1, not 2",
        E::UnsupportedCriticalExtension => "it has a critical extension that is not known",
        E::UnsupportedRevocationReason => "it has a reason of revocation that is not known",
        E::BadDerTime => "it does not say when the next one comes, or that is not a time",
        E::BadDer | E::MalformedExtensions | E::TrailingData(_) => {
            "it is not as RFC 5280 section 5.1 has it"
        }
        other => return spoken(other),
    };
    text.to_owned()
}

fn of_certificate(error: &CertificateError) -> String {
    use CertificateError as E;
    let text = match error {
        E::Other(other) => {
            let inner = other.0.downcast_ref::<webpki::Error>();
            return inner.map_or_else(|| other.to_string(), of_chain);
        }
        E::BadEncoding => "a certificate of the client's chain is not as RFC 5280 has it",
        E::Expired | E::ExpiredContext { .. } => {
            "a certificate that the client's chain needs has expired"
        }
        E::NotValidYet | E::NotValidYetContext { .. } => {
            "a certificate that the client's chain needs is not valid yet"
        }
        E::Revoked => "a certificate of the client's chain is revoked",
        E::UnknownIssuer => "the client's certificate leads to no CA of tls.clients.ca",
        E::UnknownRevocationStatus => {
            "no CRL of tls.clients.crl covers a certificate of the client's chain"
        }
        E::ExpiredRevocationList | E::ExpiredRevocationListContext { .. } => {
            "the CRL that covers a certificate of the client's chain is past its nextUpdate"
        }
        E::BadSignature => "a signature of the client or in its chain is wrong",
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            "the client's certificate is not meant for client authentication"
        }
        E::UnsupportedSignatureAlgorithmContext { .. }
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "a certificate of the client's chain is signed with an algorithm that is not accepted"
        }
        other => return spoken(other),
    };
    text.to_owned()
}

fn of_chain(error: &webpki::Error) -> String {
    use webpki::Error as E;
    let text = match error {
        E::CaUsedAsEndEntity => {
            "the client's own certificate is a CA's (basicConstraints has cA), which no client may be"
        }
        E::EndEntityUsedAsCa => {
            "a certificate of the client's chain was issued by one that may not issue any \
             (no cA, or a key usage without keyCertSign)"
        }
        E::NameConstraintViolation => {
            "a certificate of the client's chain has a name that the name constraints of its CA exclude, \
             or that cannot be compared with them"
        }
        E::MalformedNameConstraint | E::InvalidNetworkMaskConstraint => {
            "a CA of the client's chain has name constraints that are not as RFC 5280 has them"
        }
        E::MalformedDnsIdentifier => {
            "a DNS name in the client's chain cannot be compared with the name constraints of its CA"
        }
        E::PathLenConstraintViolated => "the client's chain is longer than a CA in it permits",
        E::SignatureAlgorithmMismatch => {
            "a certificate of the client's chain names two signature algorithms"
        }
        E::UnsupportedCertVersion => {
            "a certificate of the client's chain is not of version 3; issue one that is"
        }
        E::UnsupportedCriticalExtension => {
            "a certificate of the client's chain has a critical extension that is not known"
        }
        E::ExtensionValueInvalid => "a certificate of the client's chain has an extension twice",
        E::EmptyEkuExtension => {
            "a certificate of the client's chain has an extended key usage without any"
        }
        E::MaximumSignatureChecksExceeded
        | E::MaximumPathBuildCallsExceeded
        | E::MaximumPathDepthExceeded
        | E::MaximumNameConstraintComparisonsExceeded => {
            "the client's chain takes more work to verify than a chain may"
        }
        other => return spoken(other),
    };
    text.to_owned()
}

/// The name of an alert as RFC 8446 section 6 writes it.
pub fn of_alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::Unknown(number) => number.to_string(),
        known => spoken(&known).replace(' ', "_"),
    }
}

/// The name of a variant in words, without what it holds.
pub fn spoken(value: &dyn Debug) -> String {
    let text = format!("{value:?}");
    let name = text.split(['(', '{', ' ']).next().unwrap_or_default();
    let mut words = String::new();
    let mut before = ' ';
    let mut rest = name.chars().peekable();
    while let Some(letter) = rest.next() {
        let last_of_capitals =
            before.is_uppercase() && rest.peek().is_some_and(|it| it.is_lowercase());
        if letter.is_uppercase() && (before.is_lowercase() || last_of_capitals) {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
        before = letter;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{ContentType, InvalidMessage, OtherError, PeerIncompatible};
    use std::sync::Arc;

    #[test]
    fn no_error_reads_like_a_value_of_rust() {
        let chain = |error: webpki::Error| {
            Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
        };
        let errors = [
            chain(webpki::Error::UnsupportedCriticalExtension),
            chain(webpki::Error::InvalidSerialNumber),
            Error::AlertReceived(AlertDescription::UnknownCA),
            Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
            Error::InvalidMessage(InvalidMessage::MissingData("ClientHello")),
            Error::InappropriateMessage {
                expect_types: vec![ContentType::Handshake],
                got_type: ContentType::ApplicationData,
            },
        ];
        for error in errors {
            let text = of(&error);
            let words = text.split([' ', ':']);
            let like_rust = |word: &str| {
                let inner = word.chars().skip(1);
                word.contains(['(', '{']) && word.ends_with([')', '}'])
                    || word.chars().all(char::is_alphabetic)
                        && inner.clone().any(char::is_uppercase)
                        && inner.clone().any(char::is_lowercase)
            };
            let found: Vec<_> = words.filter(|word| like_rust(word)).collect();
            assert!(found.is_empty(), "{text}");
        }
    }

    #[test]
    fn an_alert_has_the_name_that_the_standard_gives_it() {
        let text = |alert| of(&Error::AlertReceived(alert));
        assert_eq!(
            text(AlertDescription::BadCertificate),
            "the peer sent the alert bad_certificate"
        );
        assert_eq!(
            text(AlertDescription::UnknownCA),
            "the peer sent the alert unknown_ca"
        );
        assert_eq!(
            text(AlertDescription::from(99)),
            "the peer sent the alert 99"
        );
    }
}
