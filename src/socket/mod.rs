//! One WebSocket: agreed on, dialled, opened, relayed, closed.
//!
//! ```text
//! seal ─► dial ─► switched ─► open ─► relay
//! offers  server   its 101     list    frames
//! ```
//!
//! The relay reaches the client over a leg, of whatever kind the client's connection is.
//!
//! What runs after the 101 holds nothing of the snapshot that its request was judged by.

pub mod backend_request;
pub mod dial;
pub mod leg;
pub mod open;
pub mod relay;
pub mod seal;
pub mod switched;
mod transport;

use crate::{
    integrity::agreement::Agreement, request::asked::Asked, roster::quotas::Seat, snapshot::Route,
    tls::client::Client,
};
use std::sync::Arc;

/// An admitted request, and the route that it takes.
pub struct Admitted {
    /// What came after the head: frames that the client sent without waiting for the 101.
    pub behind: Vec<u8>,
    /// Where it goes.
    pub route: Arc<Route>,
    /// Who asks.
    pub client: Client,
    /// What was agreed on about frame integrity.
    pub agreement: Option<Agreement>,
    /// Its place among the client's sockets, where those are limited.
    pub seat: Option<Seat>,
    /// What the lines of its socket show of the request.
    pub asked: Asked,
    /// For its own Pings and masks.
    pub random: [u8; 12],
}
