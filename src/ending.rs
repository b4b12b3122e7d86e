//! Why a connection ended: one closed vocabulary for the metric label, the log field, the HTTP
//! status and the close code.
//!
//! Every connection has exactly one [`Ending`]. The table below is the whole list; nothing else
//! in the program invents a reason.

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

/// How far the connection had come, which decides what its peer can still be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Before TLS was finished: a TLS alert, or nothing.
    Handshake,
    /// Before the 101: an HTTP status with a problem document (RFC 9457).
    Upgrade,
    /// After the 101: a Close frame (RFC 6455 section 5.5.1).
    Socket,
}

/// What one ending means in every place where it is seen.
struct Row {
    label: &'static str,
    stage: Stage,
    by: By,
    /// HTTP status before the upgrade, close code after it; 0 where neither is sent.
    number: u16,
    sentence: &'static str,
}

macro_rules! endings {
    ($($variant:ident $label:literal $stage:ident $by:ident $number:literal $sentence:literal)*) => {
        /// The reason for which a connection ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Ending {
            $(#[doc = $sentence] $variant,)*
        }

        impl Ending {
            /// Every ending, in the order of the table.
            pub const ALL: &[Ending] = &[$(Ending::$variant),*];

            const fn row(self) -> &'static Row {
                match self {
                    $(Ending::$variant => &Row {
                        label: $label,
                        stage: Stage::$stage,
                        by: By::$by,
                        number: $number,
                        sentence: $sentence,
                    },)*
                }
            }
        }
    };
}

endings! {
    ConnectionLimit       "connection_limit"        Handshake Proxy   0    "the proxy holds as many connections as limits.connections allows"
    HandshakeTimeout      "handshake_timeout"       Handshake Client  0    "the TLS handshake was not finished within timeouts.handshake"
    HandshakeGone         "handshake_gone"          Handshake Client  0    "the client went away during the TLS handshake"
    HandshakeNotTls       "not_tls"                 Handshake Client  0    "the client did not speak TLS"
    HandshakeNoCommon     "nothing_in_common"       Handshake Client  0    "client and proxy share no TLS version, cipher suite or key exchange"
    HandshakeProtocol     "tls_protocol"            Handshake Client  0    "the client broke the TLS protocol"
    HandshakeAlert        "alert_from_client"       Handshake Client  0    "the client ended the TLS handshake with an alert"
    CertificateMissing    "certificate_missing"     Handshake Client  0    "the client sent no certificate, and one is required"
    CertificateUnknownCa  "certificate_unknown_ca"  Handshake Client  0    "the client's certificate is not issued by a CA of tls.clients.ca"
    CertificateOutOfDate  "certificate_expired"     Handshake Client  0    "the client's certificate has expired"
    CertificateNotYet     "certificate_not_yet_valid" Handshake Client 0   "the client's certificate is not valid yet"
    CertificatePurpose    "certificate_wrong_purpose" Handshake Client 0   "the client's certificate is not meant for client authentication"
    CertificateIsRevoked  "certificate_revoked"     Handshake Client  0    "the client's certificate is revoked"
    CertificateNoStatus   "certificate_status_unknown" Handshake Client 0  "no current CRL tells whether the client's certificate is revoked"
    CertificateBad        "certificate_bad"         Handshake Client  0    "the client's certificate or its signature is not valid"

    RequestNone           "no_request"              Upgrade   Client  0    "the client closed the connection without a request"
    RequestGone           "request_gone"            Upgrade   Client  0    "the client went away before the upgrade was complete"
    RequestTimeout        "request_timeout"         Upgrade   Client  408  "no whole request came within timeouts.upgrade"
    RequestMalformed      "malformed"               Upgrade   Client  400  "the request is not valid HTTP/1.1"
    RequestTooLarge       "header_too_large"        Upgrade   Client  431  "the request's header section is too large"
    RequestNotWebSocket   "not_websocket"           Upgrade   Client  426  "the request does not ask for a WebSocket"
    RequestVersion        "websocket_version"       Upgrade   Client  426  "the request asks for a WebSocket version other than 13"
    RequestNoRoute        "no_route"                Upgrade   Client  404  "no route matches the request's host and path"
    RequestMisdirected    "misdirected"             Upgrade   Client  421  "this TLS session was not authenticated for the request's host"
    RequestNoCertificate  "certificate_required"    Upgrade   Client  403  "the route requires a client certificate"
    RequestExpired        "certificate_out_of_date" Upgrade   Client  403  "the client's certificate is outside its validity period"
    RequestNotAllowed     "not_allowed"             Upgrade   Client  403  "the client's certificate is not one that the route allows"
    RequestOrigin         "origin_not_allowed"      Upgrade   Client  403  "the request's Origin is not one that the route allows"
    RequestIntegrity      "integrity_required"      Upgrade   Client  400  "the route requires frame integrity, and no acceptable offer was made"
    RequestLimit          "client_limit"            Upgrade   Client  429  "a limit of this client is reached"
    RefusedDraining       "refused_draining"        Upgrade   Proxy   503  "the proxy is draining"
    NoBackendUp           "no_backend_up"           Upgrade   Backend 503  "no server of the backend is up"
    BackendUnreachable    "backend_unreachable"     Upgrade   Backend 502  "the backend could not be reached"
    BackendNonsense       "backend_nonsense"        Upgrade   Backend 502  "the backend's answer is not a valid WebSocket handshake"
    BackendSlow           "backend_timeout"         Upgrade   Backend 504  "the backend did not answer within timeouts.connect"
    BackendDeclined       "backend_declined"        Upgrade   Backend 0    "the backend declined the upgrade with a status of its own"

    ClientClosed          "client_closed"           Socket    Client  0    "the client sent a Close"
    BackendClosed         "backend_closed"          Socket    Backend 0    "the backend sent a Close"
    ClientGone            "client_gone"             Socket    Client  0    "the client's transport ended without a Close"
    BackendGone           "backend_gone"            Socket    Backend 1011 "the backend went away without a Close"
    ClientProtocol        "client_protocol"         Socket    Client  1002 "the client broke RFC 6455"
    BackendProtocol       "backend_protocol"        Socket    Backend 1011 "the backend broke RFC 6455"
    ClientTls             "client_tls"              Socket    Client  0    "the client broke the TLS protocol after the handshake"
    NotUtf8               "not_utf8"                Socket    Client  1007 "a text from the client is not UTF-8"
    FrameTooLarge         "frame_too_large"         Socket    Client  1009 "a frame is larger than limits.frame"
    MessageTooLarge       "message_too_large"       Socket    Client  1009 "a message is larger than limits.message"
    BackendFrameTooLarge  "backend_frame_too_large" Socket    Backend 1009 "a frame of the backend is larger than limits.frame"
    BackendMessageTooLarge "backend_message_too_large" Socket Backend 1009 "a message of the backend is larger than limits.message"
    IdleTimeout           "idle_timeout"            Socket    Proxy   1001 "no frame in either direction for timeouts.idle"
    NoPong                "no_pong"                 Socket    Client  1001 "the client did not answer a Ping"
    ClientStalled         "client_stalled"          Socket    Client  0    "the client did not read for too long"
    BackendStalled        "backend_stalled"         Socket    Backend 1011 "the backend did not read for too long"
    SocketExpired         "certificate_expired"     Socket    Proxy   1008 "the client's certificate expired"
    SocketRevoked         "certificate_revoked"     Socket    Proxy   1008 "the client's certificate was revoked"
    SocketNotAllowed      "no_longer_allowed"       Socket    Proxy   1008 "the client's certificate is no longer allowed"
    SocketLimit           "client_limit"            Socket    Client  1008 "a limit of this client is exceeded"
    IntegrityMismatch     "integrity_mismatch"      Socket    Client  1008 "frame-integrity: mismatch"
    IntegrityMissing      "integrity_missing"       Socket    Client  1008 "frame-integrity: missing"
    IntegrityKeyRevoked   "integrity_key_revoked"   Socket    Proxy   1008 "frame-integrity: key revoked"
    ClosedByOperator      "closed_by_operator"      Socket    Proxy   1008 "closed by the operator"
    Draining              "draining"                Socket    Proxy   1012 "the proxy is draining"
    DrainDeadline         "drain_deadline"          Socket    Proxy   0    "the socket was still open when the drain's time was over"
    KeysUsedUp            "tls_keys_used_up"        Socket    Proxy   1012 "the keys of this TLS 1.2 session are used up; connect again"
    Overloaded            "overloaded"              Socket    Proxy   1013 "the proxy is overloaded"
    Internal              "internal"                Socket    Proxy   1011 "the proxy failed; this is a bug in tidegate"
}

impl Ending {
    /// The value of the metric label and of the log field `reason`.
    pub const fn label(self) -> &'static str {
        self.row().label
    }

    /// How far the connection had come.
    pub const fn stage(self) -> Stage {
        self.row().stage
    }

    /// Who brought it about.
    pub const fn by(self) -> By {
        self.row().by
    }

    /// The HTTP status with which a request is refused, if it is refused by the proxy's own word.
    pub const fn status(self) -> Option<u16> {
        match (self.stage(), self.row().number) {
            (Stage::Upgrade, 1..) => Some(self.row().number),
            _ => None,
        }
    }

    /// The close code that the proxy sends to the client; `None` where it passes a peer's Close
    /// or can send nothing any more.
    pub const fn close_code(self) -> Option<u16> {
        match (self.stage(), self.row().number) {
            (Stage::Socket, 1..) => Some(self.row().number),
            _ => None,
        }
    }

    /// One sentence for people: the problem document's detail, the Close reason, the log.
    pub const fn sentence(self) -> &'static str {
        self.row().sentence
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

    #[test]
    fn labels_are_unique_within_a_stage() {
        let mut seen = HashSet::new();
        for ending in Ending::ALL {
            assert!(seen.insert((ending.stage(), ending.label())), "{ending:?}");
        }
    }

    #[test]
    fn close_reasons_fit_a_sealed_close_of_either_binding() {
        for ending in Ending::ALL.iter().filter(|e| e.stage() == Stage::Socket) {
            assert!(ending.sentence().len() <= 80, "{ending:?}");
        }
    }

    #[test]
    fn numbers_are_statuses_before_the_upgrade_and_close_codes_after_it() {
        for ending in Ending::ALL {
            if let Some(status) = ending.status() {
                assert!((400..600).contains(&status), "{ending:?}");
            }
            if let Some(code) = ending.close_code() {
                assert!((1001..=1013).contains(&code), "{ending:?}");
            }
        }
    }
}
