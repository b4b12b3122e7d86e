//! The operator's listener: plain HTTP for metrics, probes, status, and the few things that an
//! operator may ask of a running proxy.
//!
//! Reading is for every caller that reaches the address, so it belongs on loopback or a management network.
//! Writing (`POST`, `DELETE`) is for programs on the same machine, and for holders of the token.

mod answer;
mod caller;
mod endpoint;
mod page;
mod query;
mod server;

pub use crate::operations::BackendStatus;
pub use crate::operations::CertificateStatus;
pub use crate::operations::Change;
pub use crate::operations::ChangeKind;
pub use crate::operations::ConnectionPage;
pub use crate::operations::ConnectionRow;
pub use crate::operations::DrainState;
pub use crate::operations::ListenerStatus;
pub use crate::operations::Operations;
pub use crate::operations::PageRequest;
pub use crate::operations::Problem;
pub use crate::operations::ReloadAnswer;
pub use crate::operations::ReloadReport;
pub use crate::operations::ReloadStatus;
pub use crate::operations::RouteStatus;
pub use crate::operations::Selection;
pub use crate::operations::ServerState;
pub use crate::operations::ServerStatus;
pub use crate::operations::Status;
pub use crate::operations::Touched;
pub use caller::check_token_file;
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
