//! A reverse proxy that ends TLS for WebSockets.
//!
//! ```text
//! 15  main
//! 14  cli                                             the command line
//! 13  app                                             bind first, run later; control, operations
//! 12  reload                                          assemble, publish, review, changes
//! 11  config  listener                                text to checked settings; one TCP and TLS connection
//! 10  exchange                                        one request: head, route, admission, answer
//!  9  socket                                          one WebSocket: seal, dial, open, relay
//!  8  worker                                          what connections of a worker share, what a visit carries
//!  7  snapshot                                        what is in use, as one pointer; settings, rulebook
//!  6  backend  client                                 servers and their state, streams to them; a client for programs
//!  5  tls  roster  admin                              records, trust; sockets, quotas, drain; HTTP face of operations
//!  4  observe                                         metrics and log
//!  3  request                                         heads of requests and their rules
//!  2  policy  credential                              who may do what, which server serves it; certificates and keys
//!  1  name  frame  integrity  ending  runtime  watch  operations    words, bytes, ends; what all runs on
//! ```
//!
//! A room knows the rooms below it, and none beside or above it. The tests read this picture.
//!
//! # What always holds, and the tests that keep it
//!
//! - Arrows go down only: `rooms_know_only_themselves_and_those_below`.
//! - Nor do files of one room know each other in a circle: `no_files_know_each_other_in_a_circle`.
//! - [`name`], [`frame`], [`integrity`], [`ending`], [`policy`] and [`request`] cannot fail by IO; time and
//!   randomness come in as arguments: `pure_rooms_have_no_runtime_clock_log_random_or_io`.
//! - A snapshot (credentials, trust, routes, rules, keyring, limits) is built and verified whole, then
//!   swapped as one pointer; on any error the old one stays, and no route can be dropped on the way. A
//!   connection takes one at accept, and an open socket goes on across the swap:
//!   `demo_proves_everything_and_does_it_again`, `every_route_is_planned_with_its_own_backend`.
//! - A server's state outlives snapshots and has one owner, [`backend::registry`]; choosing a server is a
//!   pure function, and what [`observe`] shows is read by no decision:
//!   `a_server_that_a_reload_keeps_stays_the_same_with_all_that_is_known_of_it`,
//!   `least_connections_spreads_over_a_thousand_servers_within_a_twentieth_whatever_ends`.
//! - Nothing deserialises outside [`config`]: `nothing_deserialises_outside_of_config`.
//! - Nothing spawns outside [`runtime`]: `nothing_spawns_outside_of_runtime`.
//! - No metric and no label is made outside [`observe`], and none of what a client sends:
//!   `no_metric_and_no_label_is_made_outside_of_observe`.
//! - Every stage of [`listener`], [`exchange`] and [`socket`] says its deadline, and keeps it or watches
//!   the drain: `every_stage_says_what_it_takes_returns_and_refuses`.
//! - Nothing a peer sends can panic: no `unwrap`, `expect`, indexing or `unsafe` (lints, in
//!   `Cargo.toml`), and the fuzz targets; `any_two_pieces_give_what_the_whole_gives`,
//!   `no_changed_byte_panics_or_lets_a_control_character_through`.
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
pub mod credential;
pub mod ending;
pub mod exchange;
pub mod frame;
pub mod integrity;
pub mod listener;
pub mod name;
pub mod observe;
pub mod operations;
pub mod policy;
pub mod reload;
pub mod request;
pub mod roster;
pub mod runtime;
pub mod snapshot;
pub mod socket;
#[cfg(test)]
mod tests;
pub mod tls;
pub mod watch;
pub mod worker;
