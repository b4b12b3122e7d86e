//! Tests of the running proxy, by stage of a connection. They need only cargo.
//!
//! How to write one is in [`support`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_cmp,
    reason = "a test that cannot go on has failed, and counts are whole numbers"
)]

mod support;

mod admin;
mod authenticate;
mod close;
mod cost;
mod dial;
mod drain;
mod handshake;
mod integrity;
mod limits;
mod lines;
mod listen;
mod relay;
mod reload;
mod requests;
mod route;
mod trust;
mod upgrade;
mod whole;
