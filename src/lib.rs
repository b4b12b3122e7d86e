//! A reverse proxy that ends TLS for WebSockets.
//!
//! ```text
//!  6   main ─► cli ─► app                            composition: may know everything
//!                      │
//!  5     config    reload    admin                   text · freshness · the operator's listener
//!                      │
//!  4            connection                           the data's path, one stage a file
//!                      │
//!  3   backend   tls   lifecycle   observe           shared services with IO
//!                      │
//!  2                ending                           one vocabulary of why things end
//!                      │
//!  1     policy   integrity   frame                  pure: no tokio, no clock, no log, no random
//! ```
//!
//! Arrows go down only.
//!
//! # What always holds, and the tests that keep it
//!
//! - A module knows those below it, and the pure ones nothing of this crate:
//!   `modules_know_only_themselves_and_those_below`.
//! - [`policy`], [`integrity`] and [`frame`] cannot fail by IO; time and randomness come in as
//!   arguments: `pure_modules_have_no_runtime_clock_log_random_or_io`.
//! - A snapshot (credentials, trust, routes, rules, keyring, limits) is built and verified whole, then
//!   swapped as one pointer; on any error the old one stays. A connection takes one at accept, and an
//!   open socket goes on across the swap: `demo_proves_everything_and_does_it_again`.
//! - Nothing deserialises outside [`config`]: `nothing_deserialises_outside_of_config`.
//! - Nothing spawns outside [`lifecycle`]: `nothing_spawns_outside_of_lifecycle`.
//! - No metric and no label is made outside [`observe`], and none of what a client sends:
//!   `no_metric_and_no_label_is_made_outside_of_observe`.
//! - Every stage of [`connection`] says its deadline, and keeps it or watches the drain:
//!   `every_stage_says_what_it_takes_gives_and_refuses`.
//! - Nothing a peer sends can panic: no `unwrap`, `expect`, indexing or `unsafe` (lints, in
//!   `Cargo.toml`), and the fuzz targets; `any_two_pieces_give_what_the_whole_gives`,
//!   `no_changed_octet_panics_or_lets_a_control_character_through`.
//! - One closed enum of endings for each stage is at once metric label, log field, and HTTP status or
//!   close code; an ending of another stage does not compile:
//!   `labels_are_unique_within_a_stage`, `every_ending_of_a_socket_has_a_series_for_every_code_there_is`.
//! - The documents say what the program does: `tests/docs.rs`.

pub mod admin;
pub mod app;
pub mod backend;
pub mod cli;
pub mod client;
pub mod config;
pub mod connection;
pub mod ending;
pub mod frame;
pub mod integrity;
pub mod lifecycle;
pub mod observe;
pub mod policy;
pub mod reload;
#[cfg(test)]
mod tests;
pub mod tls;
