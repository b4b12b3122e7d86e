//! Who may do what, and which server serves it: pure decisions about identities, hosts, routes, origins,
//! requests and servers.
//!
//! Nothing here does IO, reads a clock or draws randomness; times come in as arguments.

pub mod access;
pub mod balance;
pub mod identity;
pub mod judgement;
pub mod rate;
pub mod route;

/// Whether a client has to show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientCertMode {
    /// The handshake does not ask for one.
    Off,
    /// The handshake asks for one; a client without one goes on as anonymous.
    Optional,
    /// A client without a valid one is refused.
    Required,
}
