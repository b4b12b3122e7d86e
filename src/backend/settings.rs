//! What the configuration says of a backend.

use http::HeaderValue;
use std::{fmt, net::SocketAddr, path::PathBuf};

/// A `[backend.NAME]` table, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendSettings {
    /// The name that routes use.
    pub name: String,
    /// Its servers, at least one.
    pub servers: Vec<ServerAddress>,
    /// How a server is chosen.
    pub balance: Balance,
    /// The `Host` that it gets; `None`: the client's.
    pub host: Option<HeaderValue>,
}

/// Where a server of a backend listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerAddress {
    /// `ws://127.0.0.1:9001`: an IP address and a port.
    Ip(SocketAddr),
    /// `ws://chat.internal:9001`: a name, looked up when a connection is made.
    Name(String, u16),
    /// `unix:/run/chat.sock`.
    Unix(PathBuf),
}

/// How a server is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balance {
    /// The one with the fewest open sockets.
    LeastConnections,
    /// Each in turn.
    RoundRobin,
    /// The less loaded of two drawn at random.
    RandomTwo,
    /// The same server for the same key, as long as it is up (rendezvous hashing).
    Hash(HashOn),
}

/// What `balance = "hash"` hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashOn {
    /// The client certificate's fingerprint; the address where there is none.
    Client,
    /// The client's IP address.
    Ip,
    /// A request field.
    Header(http::HeaderName),
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => write!(f, "ws://{address}"),
            Self::Name(host, port) => write!(f, "ws://{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
