//! The operator's listener: plain HTTP for metrics, probes, status, and the few things that an
//! operator may tell a running proxy.
//!
//! Reading is for whoever reaches the address, so it belongs on loopback or a management network.
//! Writing (`POST`, `DELETE`) is for programs on the same machine, and for holders of the token.

mod answer;
mod caller;
mod endpoint;
mod operations;
mod page;
mod query;
mod server;

pub use caller::check_token_file;
pub use operations::{
    BackendStatus, CertificateStatus, Change, ChangeKind, ConnectionPage, ConnectionRow,
    DrainState, ListenerStatus, Operations, PageRequest, Problem, ReloadAnswer, ReloadReport,
    RouteStatus, Selection, ServerStatus, Status, Touched,
};
pub use server::serve;

use std::{net::SocketAddr, path::PathBuf};

/// The `[admin]` table, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct AdminSettings {
    /// Where it listens; fixed at start.
    pub address: SocketAddr,
    /// A file that holds the bearer token for writing calls from elsewhere than loopback.
    pub token_file: Option<PathBuf>,
}

#[cfg(test)]
mod tests;
