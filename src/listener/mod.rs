//! One TCP and TLS connection: accepted, secured, and handed to its exchanges.
//!
//! ```text
//! accept ─► handshake ─► exchange
//!  TCP         TLS       identity, requests
//! ```
//!
//! [`serve`](serve::serve) strings the stages together; [`run`](run::run) is a worker's loop.

pub mod accept;
pub mod handshake;
pub mod redirect;
pub mod run;
pub mod serve;
