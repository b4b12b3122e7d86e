//! Why things ended: one closed vocabulary for the metric label, the log field, the HTTP status and
//! the close code.
//!
//! Each stage has a type of its own, so that an ending of another stage does not compile, and every
//! handshake, request and socket has exactly one [`Ending`]. The table below is the whole list;
//! nothing else in the program invents a reason.
//!
//! ```
//! use tidegate::{ending::RequestEnding, worker::refusal::Refusal};
//! let refusal: Refusal = RequestEnding::Overloaded.into();
//! assert_eq!(refusal.ending.status(), Some(503));
//! ```
//!
//! ```compile_fail,E0277
//! use tidegate::{ending::SocketEnding, worker::refusal::Refusal};
//! let refusal: Refusal = SocketEnding::Internal.into();
//! ```

use std::fmt::Debug;

/// Who brought the ending about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum By {
    /// The client closed, vanished, or broke a rule.
    Client,
    /// The backend closed, vanished, or broke a rule.
    Backend,
    /// The proxy decided it: a limit, a deadline, a policy, an operator.
    Proxy,
}

/// What the endings of every stage have.
pub trait Ending: Copy + Debug + Eq + Send + Sync + 'static {
    /// Every ending of the stage, in the order of the table.
    const ALL: &'static [Self];

    /// The value of the metric label and of the log field `reason`.
    fn label(self) -> &'static str;

    /// Who brought it about.
    fn by(self) -> By;

    /// One sentence for people: the problem document's detail, the Close reason, the log.
    fn sentence(self) -> &'static str;
}

/// Declares the types of all stages.
macro_rules! endings {
    ($(
        $(#[$about:meta])*
        $stage:ident $(has $(#[$meaning:meta])* $number:ident)? {
            $($row:tt)*
        }
    )*) => {
        $(stage! { $(#[$about])* $stage $(has $(#[$meaning])* $number)? { $($row)* } })*
    };
}

/// Declares the type of one stage, without or with a column of numbers.
macro_rules! stage {
    (
        $(#[$about:meta])*
        $stage:ident {
            $($variant:ident $label:literal $by:ident $sentence:literal)*
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $stage {
            $(#[doc = $sentence] $variant,)*
        }

        impl Ending for $stage {
            const ALL: &'static [Self] = &[$(Self::$variant),*];

            fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)*
                }
            }

            fn by(self) -> By {
                match self {
                    $(Self::$variant => By::$by,)*
                }
            }

            fn sentence(self) -> &'static str {
                match self {
                    $(Self::$variant => $sentence,)*
                }
            }
        }
    };
    (
        $(#[$about:meta])*
        $stage:ident has $(#[$meaning:meta])* $number:ident {
            $($variant:ident $label:literal $by:ident $value:tt $sentence:literal)*
        }
    ) => {
        stage! { $(#[$about])* $stage { $($variant $label $by $sentence)* } }

        impl $stage {
            $(#[$meaning])*
            pub const fn $number(self) -> Option<u16> {
                match self {
                    $(Self::$variant => number!($value),)*
                }
            }
        }
    };
}

macro_rules! number {
    (-) => {
        None
    };
    ($number:literal) => {
        Some($number)
    };
}

endings! {
    /// Why a handshake failed, from accept on. The client gets a TLS alert, or nothing.
    HandshakeEnding {
        ConnectionLimit        "connection_limit"           Proxy    "the proxy holds as many connections as limits.connections allows"
        Timeout                "handshake_timeout"          Client   "the TLS handshake was not finished within timeouts.handshake"
        Gone                   "handshake_gone"             Client   "the client went away during the TLS handshake"
        NotTls                 "not_tls"                    Client   "the client did not speak TLS"
        NoCommon               "nothing_in_common"          Client   "client and proxy share no TLS version, cipher suite or key exchange"
        Protocol               "tls_protocol"               Client   "the client broke the TLS protocol"
        Alert                  "alert_from_client"          Client   "the client ended the TLS handshake with an alert"
        CertificateMissing     "certificate_missing"        Client   "the client sent no certificate, and one is required"
        CertificateUnknownCa   "certificate_unknown_ca"     Client   "the client's certificate is not issued by a CA of tls.clients.ca"
        CertificateOutOfDate   "certificate_expired"        Client   "the client's certificate has expired"
        CertificateNotYet      "certificate_not_yet_valid"  Client   "the client's certificate is not valid yet"
        CertificatePurpose     "certificate_wrong_purpose"  Client   "the client's certificate is not meant for client authentication"
        CertificateIsRevoked   "certificate_revoked"        Client   "the client's certificate is revoked"
        CertificateNoStatus    "certificate_status_unknown" Client   "no current CRL says whether the client's certificate is revoked"
        CertificateBad         "certificate_bad"            Client   "the client's certificate or its signature is not valid"
    }

    /// Why a request was refused, or came to nothing: up to the 101, or up to the end of its answer.
    RequestEnding
    has
        /// The HTTP status of the problem document (RFC 9457); `None` where nobody is there to read
        /// one, or where the backend has answered itself.
        status
    {
        NoRequest              "no_request"                 Client   -     "the client closed the connection without a request"
        Gone                   "request_gone"               Client   -     "the client went away before it had its answer"
        Timeout                "request_timeout"            Client   408   "no whole request came within timeouts.upgrade"
        Malformed              "malformed"                  Client   400   "the request is not valid HTTP/1.1"
        TooLarge               "header_too_large"           Client   431   "the request's header section is too large"
        BodyTooLarge           "body_too_large"             Client   413   "the request's content is larger than limits.body"
        Stalled                "request_stalled"            Client   408   "the client neither sent nor read for too long"
        NotWebSocket           "not_websocket"              Client   426   "the request does not ask for a WebSocket"
        Version                "websocket_version"          Client   426   "the request asks for a WebSocket version other than 13"
        NoRoute                "no_route"                   Client   404   "no route matches the request's host and path"
        Misdirected            "misdirected"                Client   421   "this TLS session was not authenticated for the request's host"
        NoCertificate          "certificate_required"       Client   403   "the route requires a client certificate"
        Expired                "certificate_out_of_date"    Client   403   "the client's certificate is outside its validity period"
        NotAllowed             "not_allowed"                Client   403   "the client's certificate is not one that the route allows"
        Origin                 "origin_not_allowed"         Client   403   "the request's Origin is not one that the route allows"
        Integrity              "integrity_required"         Client   400   "the route requires frame integrity, and no acceptable offer was made"
        Limit                  "client_limit"               Client   429   "a limit of this client is reached"
        RefusedDraining        "refused_draining"           Proxy    503   "the proxy is draining"
        ClosedByOperator       "closed_by_operator"         Proxy    503   "closed by the operator"
        Overloaded             "overloaded"                 Proxy    503   "the proxy lacks a resource of the system"
        NoBackendUp            "no_backend_up"              Backend  503   "no server of the backend is up"
        BackendUnreachable     "backend_unreachable"        Backend  502   "the backend could not be reached"
        BackendNonsense        "backend_nonsense"           Backend  502   "the backend's answer is not valid"
        BackendSlow            "backend_timeout"            Backend  504   "the backend did not answer in time"
        BackendCut             "backend_cut"                Backend  -     "the backend's answer broke off"
        BackendDeclined        "backend_declined"           Backend  -     "the backend declined the upgrade with a status of its own"
    }

    /// Why an open socket ended, from the 101 on.
    SocketEnding
    has
        /// The code of the Close that the proxy sends to the client (RFC 6455 section 5.5.1);
        /// `None` where it passes a peer's Close or can send nothing any more.
        close_code
    {
        ClientClosed           "client_closed"              Client   -     "the client sent a Close"
        BackendClosed          "backend_closed"             Backend  -     "the backend sent a Close"
        ClientGone             "client_gone"                Client   -     "the client's transport ended without a Close"
        BackendGone            "backend_gone"               Backend  1011  "the backend went away without a Close"
        ClientProtocol         "client_protocol"            Client   1002  "the client broke RFC 6455"
        BackendProtocol        "backend_protocol"           Backend  1011  "the backend broke RFC 6455"
        ClientTls              "client_tls"                 Client   -     "the client broke the TLS protocol after the handshake"
        NotUtf8                "not_utf8"                   Client   1007  "a text from the client is not UTF-8"
        FrameTooLarge          "frame_too_large"            Client   1009  "a frame is larger than limits.frame"
        MessageTooLarge        "message_too_large"          Client   1009  "a message is larger than limits.message"
        BackendFrameTooLarge   "backend_frame_too_large"    Backend  1009  "a frame of the backend is larger than limits.frame"
        BackendMessageTooLarge "backend_message_too_large"  Backend  1009  "a message of the backend is larger than limits.message"
        IdleTimeout            "idle_timeout"               Proxy    1001  "no frame in either direction for timeouts.idle"
        NoPong                 "no_pong"                    Client   1001  "the client did not answer a Ping"
        ClientStalled          "client_stalled"             Client   -     "the client did not read for too long"
        BackendStalled         "backend_stalled"            Backend  1011  "the backend did not read for too long"
        Expired                "certificate_expired"        Proxy    1008  "the client's certificate expired"
        Revoked                "certificate_revoked"        Proxy    1008  "the client's certificate was revoked"
        NotAllowed             "no_longer_allowed"          Proxy    1008  "the client's certificate is no longer allowed"
        Limit                  "client_limit"               Client   1008  "a limit of this client is exceeded"
        IntegrityMismatch      "integrity_mismatch"         Client   1008  "frame-integrity: mismatch"
        IntegrityMissing       "integrity_missing"          Client   1008  "frame-integrity: missing"
        IntegrityKeyRevoked    "integrity_key_revoked"      Proxy    1008  "frame-integrity: key revoked"
        ClosedByOperator       "closed_by_operator"         Proxy    1008  "closed by the operator"
        Draining               "draining"                   Proxy    1012  "the proxy is draining"
        DrainDeadline          "drain_deadline"             Proxy    -     "the socket was still open when the drain's time was over"
        KeysUsedUp             "tls_keys_used_up"           Proxy    1012  "the keys of this TLS 1.2 session are used up; connect again"
        Internal               "internal"                   Proxy    1011  "the proxy failed; this is a bug in tidegate"
    }
}

impl By {
    /// The value of the metric label and of the log field `by`.
    pub const fn label(self) -> &'static str {
        match self {
            By::Client => "client",
            By::Backend => "backend",
            By::Proxy => "proxy",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn assert_unique<E: Ending>() {
        let mut seen = HashSet::new();
        for ending in E::ALL {
            assert!(seen.insert(ending.label()), "{ending:?}");
        }
    }

    #[test]
    fn labels_are_unique_within_a_stage() {
        assert_unique::<HandshakeEnding>();
        assert_unique::<RequestEnding>();
        assert_unique::<SocketEnding>();
    }

    #[test]
    fn close_reasons_fit_a_sealed_close_of_either_binding() {
        for ending in SocketEnding::ALL {
            assert!(ending.sentence().len() <= 80, "{ending:?}");
        }
    }

    #[test]
    fn requests_are_refused_with_statuses_of_errors() {
        let statuses = RequestEnding::ALL.iter().filter_map(|it| it.status());
        for status in statuses {
            assert!((400..600).contains(&status), "{status}");
        }
    }

    #[test]
    fn sockets_are_closed_with_codes_that_an_endpoint_may_send() {
        let codes = SocketEnding::ALL.iter().filter_map(|it| it.close_code());
        for code in codes {
            // RFC 6455 section 7.4.1: 1005 and 1006 stand for what was not sent.
            assert!((1001..=1014).contains(&code) && !(1004..=1006).contains(&code));
        }
    }

    #[test]
    fn a_request_that_meets_a_lack_of_resources_is_one_to_try_again() {
        assert_eq!(RequestEnding::Overloaded.status(), Some(503));
        assert_eq!(RequestEnding::Overloaded.label(), "overloaded");
        assert_eq!(RequestEnding::Overloaded.by(), By::Proxy);
    }
}
