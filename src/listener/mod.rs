//! One TCP and TLS connection: accepted, secured, its client identified, and handed to its exchange.
//!
//! ```text
//! accept ─► handshake ─► authenticate ─► exchange
//!  TCP         TLS         identity
//! ```
//!
//! [`serve`](serve::serve) strings the stages together; [`run`](run::run) is a worker's loop.

pub mod accept;
pub mod authenticate;
pub mod handshake;
pub mod run;
pub mod serve;
