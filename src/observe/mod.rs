//! What operators see: metrics and logs. Every metric label and every log field is named here.
//!
//! Nothing here is read for a decision: what a part of the proxy decides by is its own, and shown here.

mod backend;
pub mod event;
mod expiry;
mod label;
mod listener;
pub mod log;
mod log_line;
mod log_queue;
mod metrics;
mod names;
mod process;
mod requests;
mod results;
mod route;
mod series;
mod worker;

pub use backend::{BackendMetrics, ServerReading};
pub use expiry::Expiry;
pub use label::{Direction, Evidence, ExpiryKind, ReloadResult, Resumption, Trigger, UnitResult};
pub use listener::{ConnectionGuard, HandshakeTimer, ListenerMetrics};
pub use metrics::{KeyGuard, Metrics, Naming, RouteNames, TEXT_FORMAT};
pub use route::{RouteMetrics, SocketGuard};
pub use worker::WorkerRoute;

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For people at a terminal: the level in colour.
    Terminal,
    /// One JSON object a line.
    Json,
}
