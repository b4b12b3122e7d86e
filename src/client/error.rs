//! Why a connection could not be made, or ended badly; in words that help.

use std::{error::Error, io, time::Duration};

use crate::{
    integrity::{Failure, seal::SealError},
    tls::words,
};
use http::StatusCode;
use rustls::{AlertDescription, CertificateError, InvalidMessage};

/// Why a connection could not be made, or ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL cannot be used.
    #[error("{url:?} is no WebSocket URL: {problem}; write it like wss://chat.example.com/path")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Another argument cannot be used.
    #[error("{0}")]
    Argument(String),
    /// There is no TCP connection.
    #[error(
        "cannot connect to {host}: {source}; see that it runs, and that host and port are right"
    )]
    Connect {
        /// Host and port.
        host: String,
        /// What the system says.
        source: io::Error,
    },
    /// TLS failed: the server refused, or what it showed was refused here.
    #[error("{explanation}")]
    Tls {
        /// What that means and what to do.
        explanation: String,
        /// What the TLS library says.
        source: rustls::Error,
    },
    /// The server answered, and not with a WebSocket.
    #[error("{0}")]
    Refused(Refusal),
    /// The server's answer breaks the rules of the opening handshake.
    #[error("the server's handshake is wrong: {0}")]
    Handshake(String),
    /// Connecting took too long.
    #[error("no WebSocket after {} seconds", .0.as_secs())]
    Timeout(Duration),
    /// The server broke the WebSocket protocol; a Close reported it.
    #[error("the server broke the protocol: {problem} (closed with {code})")]
    Protocol {
        /// The code of the Close that was sent.
        code: u16,
        /// What it did.
        problem: String,
    },
    /// The server agreed to no frame integrity, and the client was not to go on without.
    #[error(
        "the server did not agree to seal the frames; see that its route allows the algorithm and that the key id is known and active there (`tidegate keys list`)"
    )]
    Unsealed,
    /// A frame is not as the server sealed it. Nothing of it was delivered; a Close (1008)
    /// reported it to the server.
    #[error(
        "a frame is not as the server sealed it ({0}): the secrets differ, or somebody or something changed it on the way"
    )]
    Integrity(Failure),
    /// The connection ended without a Close, or on a sealed one without a sealed Close (RFC 6455 section 7.1.5: 1006).
    #[error("the connection ended without a Close frame")]
    Ended,
    /// The connection is closed; nothing more can be sent or received.
    #[error("the connection is closed")]
    Closed,
    /// Reading or writing failed.
    #[error("the connection failed: {0}")]
    Io(io::Error),
}

/// An HTTP answer that is not an upgrade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// The title of the problem document (RFC 9457), on one line.
    pub title: Option<String>,
    /// The detail of the problem document, or the first line of a text, on one line.
    pub detail: Option<String>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the server refused: {}", self.status)?;
        // The title usually repeats the status.
        let title = self.title.as_deref();
        let title = title.filter(|title| Some(*title) != self.status.canonical_reason());
        for part in title.into_iter().chain(self.detail.as_deref()) {
            write!(f, ": {part}")?;
        }
        Ok(())
    }
}

impl ClientError {
    /// An input or output error, which may be a TLS error in disguise.
    pub(super) fn from_io(error: io::Error) -> Self {
        match tls_error(&error) {
            Some(source) => Self::from_tls(source),
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::Ended,
            None => Self::Io(error),
        }
    }

    /// An error of the HTTP library, whose cause is what matters.
    pub(super) fn from_http(error: &hyper::Error) -> Self {
        match tls_error(error) {
            Some(source) => Self::from_tls(source),
            None if error.is_incomplete_message() => Self::Handshake(
                "the connection ended before an answer; see the server's log".to_owned(),
            ),
            None if error.is_parse() => Self::Handshake(format!(
                "it is not HTTP ({error}); is it the right port, and rather wss:// or ws://?"
            )),
            None => {
                let cause = error.source().map(|cause| format!(": {cause}"));
                Self::Handshake(format!("{error}{}", cause.unwrap_or_default()))
            }
        }
    }

    fn from_tls(source: rustls::Error) -> Self {
        Self::Tls {
            explanation: explain(&source),
            source,
        }
    }
}

impl From<Failure> for ClientError {
    fn from(failure: Failure) -> Self {
        Self::Integrity(failure)
    }
}

impl From<SealError> for ClientError {
    fn from(error: SealError) -> Self {
        Self::Argument(format!(
            "the frame cannot be sealed: {error}; connect again"
        ))
    }
}

/// The TLS error among the causes of an error. An `io::Error` hides what it wraps from `source`.
fn tls_error(error: &(dyn Error + 'static)) -> Option<rustls::Error> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<rustls::Error>() {
            return Some(found.clone());
        }
        let wrapped = cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    None
}

fn explain(error: &rustls::Error) -> String {
    match error {
        rustls::Error::AlertReceived(alert) => explain_alert(*alert),
        rustls::Error::InvalidCertificate(problem) => format!(
            "the server's certificate is refused: {}",
            explain_certificate(problem)
        ),
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the server does not speak TLS there; is it the right port, and wss:// rather than ws://?"
                .to_owned()
        }
        other => format!("TLS failed: {}", words::of(other)),
    }
}

/// The alerts of RFC 8446 section 6.2, by what a user can do about them.
fn explain_alert(alert: AlertDescription) -> String {
    let refused = "the server refused the client certificate: ";
    match alert {
        AlertDescription::CertificateRequired => {
            "the server requires a client certificate; give one with its key".to_owned()
        }
        AlertDescription::CertificateRevoked => format!("{refused}certificate revoked"),
        AlertDescription::CertificateExpired => {
            format!("{refused}certificate expired or not yet valid")
        }
        AlertDescription::UnknownCA => {
            format!("{refused}the server does not trust the CA that issued it")
        }
        AlertDescription::UnsupportedCertificate => {
            format!("{refused}certificate unsupported; is it made for clients?")
        }
        AlertDescription::BadCertificate => {
            format!("{refused}bad certificate; is it made for clients, and signed by its CA?")
        }
        AlertDescription::CertificateUnknown => format!("{refused}certificate unknown"),
        AlertDescription::AccessDenied => format!("{refused}access denied"),
        AlertDescription::UnrecognisedName => {
            "the server has no certificate for this host name".to_owned()
        }
        AlertDescription::ProtocolVersion => {
            "the server speaks no TLS version that this client does (1.2, 1.3)".to_owned()
        }
        AlertDescription::HandshakeFailure => {
            "the server found no common TLS parameters, or wants a client certificate".to_owned()
        }
        AlertDescription::NoApplicationProtocol => {
            "the server does not speak http/1.1 here".to_owned()
        }
        other => format!(
            "the server ended TLS with the alert {}",
            words::of_alert(other)
        ),
    }
}

fn explain_certificate(problem: &CertificateError) -> String {
    match problem {
        CertificateError::UnknownIssuer => {
            "no trusted CA issued it; give the CA's certificate with --ca".to_owned()
        }
        CertificateError::BadSignature => {
            "its signature is not its CA's; is the CA's certificate the current one?".to_owned()
        }
        CertificateError::Revoked => "it was revoked".to_owned(),
        CertificateError::Other(other) => words::spoken(&other.0),
        other => other.to_string(),
    }
}
