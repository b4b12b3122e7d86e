//! The closed sets that metric labels and log fields are taken from.

use crate::ending::{Ending, SocketEnding};
use std::sync::LazyLock;

/// The values of the label `opcode`, in the order of the indices that count them.
pub(super) const OPCODES: [&str; 6] = ["continuation", "text", "binary", "close", "ping", "pong"];

/// The label of a close code that is absent.
const NO_CODE: &str = "none";

/// Close codes that a peer may send (RFC 6455 section 7.4.1 and the IANA registry), each with its label.
const CODES: [(u16, &str); 12] = [
    (1000, "1000"),
    (1001, "1001"),
    (1002, "1002"),
    (1003, "1003"),
    (1007, "1007"),
    (1008, "1008"),
    (1009, "1009"),
    (1010, "1010"),
    (1011, "1011"),
    (1012, "1012"),
    (1013, "1013"),
    (1014, "1014"),
];

/// Declares a closed set: an enum whose variants have a label and an index.
macro_rules! closed_set {
    ($(#[$about:meta])* $name:ident { $($(#[$meaning:meta])* $variant:ident $label:literal)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$meaning])* $variant,)*
        }

        impl $name {
            /// Every value, in the order of the indices that count them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The value of the metric label and of the log field.
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)*
                }
            }
        }
    };
}

closed_set! {
    /// Which way frames go.
    Direction {
        /// From the client to the backend.
        ToBackend "to_backend"
        /// From the backend to the client.
        ToClient "to_client"
    }
}

closed_set! {
    /// What became of a sealed unit.
    UnitResult {
        /// Its tag was right.
        Ok "ok"
        /// Its tag was wrong.
        Mismatch "mismatch"
        /// It had no tag.
        Missing "missing"
        /// The proxy sealed it.
        Sealed "sealed"
    }
}

closed_set! {
    /// What asked for the configuration to be loaded.
    Trigger {
        /// The start of the process.
        Start "start"
        /// A file changed.
        File "file"
        /// The signal HUP.
        Signal "signal"
        /// `POST /reload`.
        Admin "admin"
    }
}

closed_set! {
    /// What became of a reload.
    ReloadResult {
        /// A new snapshot is in use.
        Ok "ok"
        /// Nothing had changed.
        Unchanged "unchanged"
        /// Something was wrong; the old snapshot stays.
        Failed "failed"
    }
}

closed_set! {
    /// What an attempt to connect to a backend's server was for.
    Evidence {
        /// A client's socket.
        Connection "connection"
        /// To see whether the server is back.
        Probe "probe"
    }
}

closed_set! {
    /// How a TLS session began.
    Resumption {
        /// By a full handshake.
        Full "full"
        /// By resuming an earlier one.
        Resumed "resumed"
        /// It was resumed, and then refused as a full handshake would have been.
        Refused "refused"
    }
}

closed_set! {
    /// What it is that expires.
    ExpiryKind {
        /// A certificate that the proxy shows to clients.
        Server "server"
        /// A CA that client certificates may come from.
        ClientCa "client_ca"
        /// A certificate revocation list.
        Crl "crl"
        /// A key of the integrity keyring.
        IntegrityKey "integrity_key"
    }
}

/// One series of `endings_total` below a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct EndingSeries {
    pub(super) ending: SocketEnding,
    pub(super) code: &'static str,
}

/// Every series of `endings_total` that a route has.
pub(super) static ENDING_SERIES: LazyLock<Vec<EndingSeries>> = LazyLock::new(|| {
    let endings = SocketEnding::ALL.iter().copied();
    endings
        .flat_map(|ending| codes_of(ending).map(move |code| EndingSeries { ending, code }))
        .collect()
});

impl EndingSeries {
    /// Where an ending is counted that sent, or passed on, this close code.
    pub(super) fn of(ending: SocketEnding, code: Option<u16>) -> Self {
        let code = label_of(ending, code);
        Self { ending, code }
    }
}

impl ExpiryKind {
    /// What follows from its end.
    pub(super) const fn consequence(self) -> &'static str {
        match self {
            Self::Server => "clients refuse it",
            // RFC 5280 section 6.1.1: of a trusted CA, name and key alone count.
            Self::ClientCa => "its clients are admitted until it is taken out of tls.clients.ca",
            Self::Crl => {
                "new clients of its issuer are refused, unless tls.clients.crl_expired allows them"
            }
            Self::IntegrityKey => "no new connection may use it",
        }
    }
}

/// The label for an ending that sent, or passed on, this close code.
fn label_of(ending: SocketEnding, code: Option<u16>) -> &'static str {
    match (code, passes_a_peers_close(ending)) {
        (None, _) => NO_CODE,
        (Some(code), true) => label_of_code(code),
        // The proxy sends one code for one ending; what the caller says can only be whether it was sent.
        (Some(_), false) => ending.close_code().map_or(NO_CODE, label_of_code),
    }
}

fn label_of_code(code: u16) -> &'static str {
    let known = CODES.iter().find(|(known, _)| *known == code);
    match (known, code) {
        (Some((_, label)), _) => label,
        (None, 3000..=3999) => "3xxx",
        (None, 4000..=4999) => "4xxx",
        (None, _) => "other",
    }
}

fn codes_of(ending: SocketEnding) -> impl Iterator<Item = &'static str> {
    let known = CODES.iter().map(|(_, label)| *label);
    let any = known.chain(["3xxx", "4xxx", "other"]);
    let passed = any.filter(move |_| passes_a_peers_close(ending));
    let own = ending.close_code().map(label_of_code);
    passed.chain(own).chain([NO_CODE])
}

fn passes_a_peers_close(ending: SocketEnding) -> bool {
    matches!(
        ending,
        SocketEnding::ClientClosed | SocketEnding::BackendClosed
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ending_of_a_socket_has_a_series_for_every_code_there_is() {
        for ending in SocketEnding::ALL {
            let codes = (0..=5100).chain([u16::MAX]).map(Some).chain([None]);
            for code in codes {
                let series = EndingSeries::of(*ending, code);
                assert!(ENDING_SERIES.contains(&series), "{series:?} {code:?}");
            }
        }
    }

    #[test]
    fn no_two_series_of_endings_are_the_same() {
        let mut seen = std::collections::HashSet::new();
        for series in ENDING_SERIES.iter() {
            assert!(seen.insert(series), "{series:?}");
        }
    }

    #[test]
    fn a_peers_private_close_code_is_counted_by_its_range() {
        let label = |code| EndingSeries::of(SocketEnding::ClientClosed, Some(code)).code;
        assert_eq!(label(1000), "1000");
        assert_eq!(label(3999), "3xxx");
        assert_eq!(label(4000), "4xxx");
        assert_eq!(label(2000), "other");
    }
}
