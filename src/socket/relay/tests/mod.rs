//! Promises of the conversation, without a socket: bytes in, bytes out, the time at will; and of the
//! relay, over a leg in memory.

#![allow(
    clippy::unchecked_time_subtraction,
    reason = "the times of a test are far from the epoch"
)]

mod closing;
mod legs;
mod offences;
mod peer;
mod reference;
mod script;
mod sealed;
mod sealed_peer;
mod silence;
mod simulation;

use super::{CLOSE_TIMEOUT, Conversation, Output, Record, Terms};
use crate::{
    ending::{Ending, SocketEnding},
    frame::{Rules, Violation},
    integrity::{Binding, Mode, agreement::Agreement},
    observe::Direction::{self, ToBackend, ToClient},
    tests::frame,
};
use std::time::Duration;
use tokio::time::Instant;

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
const LIMIT: u64 = 1 << 16;
/// What the clients here mask with, and the proxy.
const KEY: [u8; 4] = [1, 2, 3, 4];
const PROXY_KEY: [u8; 4] = [0x50, 0x60, 0x70, 0x80];
const MARK: [u8; 8] = *b"the mark";
const IDLE: Duration = Duration::from_mins(5);
const PING_AFTER: Duration = Duration::from_secs(30);

/// A conversation, what came out of it, and the time.
struct Run {
    conversation: Conversation,
    now: Instant,
    at_client: Vec<u8>,
    at_backend: Vec<u8>,
}

impl Run {
    fn new() -> Self {
        Self::with(terms())
    }

    fn with(terms: Terms) -> Self {
        Self::sealed(terms, None)
    }

    fn sealed(terms: Terms, sealed: Option<(&Agreement, Mode)>) -> Self {
        let now = Instant::now();
        Self {
            conversation: Conversation::new(terms, sealed, now),
            now,
            at_client: Vec::new(),
            at_backend: Vec::new(),
        }
    }

    fn client(&mut self, bytes: &[u8]) -> &mut Self {
        self.send(ToBackend, bytes)
    }

    fn backend(&mut self, bytes: &[u8]) -> &mut Self {
        self.send(ToClient, bytes)
    }

    fn send(&mut self, direction: Direction, bytes: &[u8]) -> &mut Self {
        self.act(|conversation, out, now| {
            conversation.receive(direction, bytes, out, now);
        })
    }

    /// Lets the conversation act, and keeps what comes out.
    fn act<'input>(
        &mut self,
        action: impl FnOnce(&mut Conversation, &mut Output<'input>, Instant),
    ) -> &mut Self {
        let mut out = Output::default();
        action(&mut self.conversation, &mut out, self.now);
        self.at_client.extend_from_slice(&out.to_client);
        self.at_backend.extend_from_slice(&out.to_backend);
        self
    }

    fn order(&mut self, ending: SocketEnding) -> &mut Self {
        self.act(|conversation, out, now| conversation.order(ending, out, now))
    }

    fn ended(&mut self, direction: Direction) -> &mut Self {
        self.act(|conversation, out, now| conversation.ended(direction, out, now))
    }

    /// The backend answers the proxy's Close.
    fn backend_answers(&mut self) -> &mut Self {
        self.backend(&plain(CLOSE, &close_payload(1002, "")))
    }

    /// Lets time pass, with a tick at every deadline on the way.
    fn pass(&mut self, time: Duration) -> &mut Self {
        let end = self.now + time;
        while !self.conversation.is_over() && self.conversation.deadline() <= end {
            self.now = self.now.max(self.conversation.deadline());
            self.act(Conversation::tick);
            let next = self.conversation.deadline();
            assert!(
                next > self.now || self.conversation.is_over(),
                "a deadline that has passed would come again at once"
            );
        }
        self.now = end;
        self
    }

    /// What the client was sent since the last time.
    fn at_client(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.at_client)
    }

    /// What the backend was sent since the last time.
    fn at_backend(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.at_backend)
    }

    fn record(&self) -> Record {
        self.conversation.record().expect("an ending")
    }

    #[track_caller]
    fn assert_ended(&self, ending: SocketEnding, code: Option<u16>) {
        let record = self.record();
        assert_eq!((record.ending, record.code), (ending, code));
    }
}

fn terms() -> Terms {
    Terms {
        client: Rules::for_client(LIMIT, LIMIT),
        backend: Rules::for_server(LIMIT, LIMIT),
        idle: IDLE,
        ping: PING_AFTER,
        ping_mark: MARK,
        mask: PROXY_KEY,
    }
}

fn without_pings() -> Run {
    Run::with(Terms {
        ping: Duration::ZERO,
        ..terms()
    })
}

/// A client's frame.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, Some(KEY), payload)
}

/// A backend's frame, as the client gets it.
fn plain(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, None, payload)
}

fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

/// The proxy's Close as the client gets it.
fn close_to_client(code: u16, reason: &str) -> Vec<u8> {
    plain(CLOSE, &close_payload(code, reason))
}

/// The proxy's Close as the backend gets it.
fn close_to_backend(code: u16, reason: &str) -> Vec<u8> {
    frame(CLOSE, Some(PROXY_KEY), &close_payload(code, reason))
}

/// Simulates every seed below `seeds`, which come to all of `endings`; or the one seed that
/// `TIDEGATE_SEED` names.
fn meet_every_ending(seeds: u64, simulate: impl Fn(u64) -> Record, endings: &[SocketEnding]) {
    if let Ok(seed) = std::env::var("TIDEGATE_SEED") {
        simulate(seed.parse().expect("TIDEGATE_SEED is a number"));
        return;
    }
    let mut unseen = endings.to_vec();
    for seed in 0..seeds {
        let ending = simulate(seed).ending;
        unseen.retain(|unseen| *unseen != ending);
    }
    assert_eq!(unseen, [], "no seed comes to these");
}
