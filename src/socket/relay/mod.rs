//! Stage 7: both directions.
//!
//! Takes: a leg to the client and a transport to the backend, both behind their handshakes. Returns:
//! the record of how it ended. Refuses what breaks RFC 6455 or a limit: a Close at a frame boundary.
//! Deadline: `timeouts.idle`, `.ping`, `.write`, and five seconds for closing. Metric: `frames_total`,
//! `bytes_total`, `ping_seconds`.
//!
//! Frames pass verbatim behind a header scanner. One task serves a connection; it takes buffers
//! when there is something to do and gives them back before it sleeps. What one read brought
//! leaves in one write; a side is not read while the other has unsent bytes.

mod account;
mod channel;
mod codes;
mod conversation;
mod side;

#[cfg(test)]
mod tests;

pub use channel::{Fault, Units};
pub use conversation::{CLOSE_TIMEOUT, Conversation, Output, Record, Terms};

use crate::{
    backend::stream::BackendStream,
    ending::SocketEnding,
    frame::{Forward, Header, Opcode},
    integrity::{Mode, agreement::Agreement},
    observe::{Direction, RouteMetrics, WorkerRoute, event::Carried},
    roster::{quotas::Seat, sockets::Listed},
    runtime::buffers::Buffers,
    socket::{
        leg::{Arrival, Broken, Failure, Leg, Then},
        transport::{self, Outgoing},
    },
};
use account::Account;
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;

/// Reads of each side in one turn, at most: others want to run as well.
const READS_A_TURN: usize = 8;

/// What [`Relay::new`] takes.
pub struct Start<L> {
    /// The client.
    pub client: L,
    /// What the client sent behind its request.
    pub from_client: Vec<u8>,
    /// The backend.
    pub backend: BackendStream,
    /// What the backend sent behind its 101.
    pub from_backend: bytes::Bytes,
    /// What the peers must keep to.
    pub terms: Terms,
    /// What was agreed on with the client, where frames are sealed, and how strict the route is.
    pub sealed: Option<(Agreement, Mode)>,
    /// A peer that takes nothing for this long is given up.
    pub write: Duration,
    /// What the client may send, where that is limited.
    pub seat: Option<Seat>,
    /// The socket in the list of connections.
    pub listed: Listed,
    /// What is counted of the route.
    pub metrics: Arc<RouteMetrics>,
    /// What this worker counts of the route.
    pub counts: Arc<WorkerRoute>,
    /// This worker's buffers.
    pub buffers: Buffers,
}

/// The relay of one socket: a future of the record of how it ended.
pub struct Relay<L> {
    client: L,
    backend: BackendStream,
    conversation: Conversation,
    to_backend: Outgoing,
    /// What came with the handshakes, until the first turn.
    early: Option<Box<(Vec<u8>, bytes::Bytes)>>,
    account: Account,
    write: Duration,
    seat: Option<Seat>,
    listed: Listed,
    metrics: Arc<RouteMetrics>,
    buffers: Buffers,
}

/// What a finished relay tells.
pub struct Finished {
    /// How it ended.
    pub record: Record,
    /// From the client to the backend.
    pub to_backend: Carried,
    /// From the backend to the client.
    pub to_client: Carried,
}

impl<L: Leg> Relay<L> {
    /// A relay that has not read anything yet.
    pub fn new(start: Start<L>) -> Self {
        let sealed = start
            .sealed
            .as_ref()
            .map(|(agreement, mode)| (agreement, *mode));
        Self {
            client: start.client,
            backend: start.backend,
            conversation: Conversation::new(start.terms, sealed, Instant::now()),
            to_backend: Outgoing::default(),
            early: Some(Box::new((start.from_client, start.from_backend))),
            account: Account::new(start.counts, sealed.is_some()),
            write: start.write,
            seat: start.seat,
            listed: start.listed,
            metrics: start.metrics,
            buffers: start.buffers,
        }
    }

    /// One turn: everything that can be done now.
    fn turn(&mut self, cx: &mut Context<'_>, now: Instant) {
        if let Some(early) = self.early.take() {
            self.pass(Direction::ToBackend, &early.0, cx, now);
            self.pass(Direction::ToClient, &early.1, cx, now);
        }
        let order = self.listed.entry().order();
        if let Some(ending) = order.or_else(|| self.client.ending()) {
            self.order(ending, cx, now);
        }
        self.flush(cx, now);
        let mut buffer = self.buffers.read();
        let (mut client, mut backend) = (true, true);
        for _ in 0..READS_A_TURN {
            client = client && self.read_client(&mut buffer, cx, now);
            backend = backend && self.read_backend(&mut buffer, cx, now);
            if !client && !backend {
                return self.watch_deadlines(cx, now);
            }
        }
        cx.waker().wake_by_ref();
        self.watch_deadlines(cx, now);
    }

    /// Reads the client once; returns whether there was something.
    fn read_client(&mut self, buffer: &mut [u8], cx: &mut Context<'_>, now: Instant) -> bool {
        if self.to_backend.is_blocked() || !self.conversation.reads(Direction::ToBackend) {
            return false;
        }
        let read = self.client.poll_read(buffer, &self.buffers, cx, now);
        let Poll::Ready(arrival) = read else {
            return false;
        };
        self.arrived(arrival, cx, now);
        true
    }

    fn arrived(&mut self, arrival: Arrival<L::Plain>, cx: &mut Context<'_>, now: Instant) {
        let answered = arrival.answered.map(|()| false);
        self.sent(Direction::ToBackend, &answered, now);
        self.pass(Direction::ToBackend, arrival.plain.as_ref(), cx, now);
        match arrival.then {
            Then::Open => {}
            Then::Ended => self.ended(Direction::ToBackend, cx, now),
            Then::CutOff => {
                self.conversation.lost(Direction::ToBackend);
                self.ended(Direction::ToBackend, cx, now);
            }
            Then::Broken(broken) => {
                self.note(&broken);
                self.order(broken.ending, cx, now);
            }
        }
    }

    /// Reads the backend once; returns whether there was something.
    fn read_backend(&mut self, buffer: &mut [u8], cx: &mut Context<'_>, now: Instant) -> bool {
        if self.client.is_blocked() || !self.conversation.reads(Direction::ToClient) {
            return false;
        }
        match transport::read(&mut self.backend, buffer, cx) {
            Poll::Pending => return false,
            Poll::Ready(Ok(0) | Err(_)) => self.ended(Direction::ToClient, cx, now),
            Poll::Ready(Ok(count)) => {
                let input = buffer.get(..count).unwrap_or_default();
                self.pass(Direction::ToClient, input, cx, now);
            }
        }
        true
    }

    /// Passes what a peer sent through the conversation.
    fn pass(&mut self, direction: Direction, input: &[u8], cx: &mut Context<'_>, now: Instant) {
        if input.is_empty() {
            return;
        }
        let mut taken = 0;
        let mut space = self.buffers.gather();
        let mut out = Output::default();
        *out.of(direction) = Forward::with_space(std::mem::take(&mut space));
        self.act(&mut out, cx, now, |conversation, out| {
            taken = conversation.receive(direction, input, out, now);
        });
        *space = std::mem::take(out.of(direction)).into_space();
        let begun = self.count(direction, taken);
        if direction == Direction::ToBackend {
            self.charge(begun, taken as u64, cx, now);
        }
        self.listed.entry().touch(now);
        if let Some(after) = self.conversation.take_pong() {
            self.metrics.ping_answered(after);
        }
    }

    /// What the client has sent counts against its limits, once for each read.
    fn charge(&mut self, messages: u64, bytes: u64, cx: &mut Context<'_>, now: Instant) {
        let seat = self.seat.as_ref();
        if seat.is_some_and(|seat| !seat.spend(messages, bytes, now)) {
            self.order(SocketEnding::Limit, cx, now);
        }
    }

    fn order(&mut self, ending: SocketEnding, cx: &mut Context<'_>, now: Instant) {
        self.act(&mut Output::default(), cx, now, |conversation, out| {
            conversation.order(ending, out, now);
        });
    }

    fn ended(&mut self, direction: Direction, cx: &mut Context<'_>, now: Instant) {
        self.act(&mut Output::default(), cx, now, |conversation, out| {
            conversation.ended(direction, out, now);
        });
    }

    /// Lets the conversation act, and sends what it puts out.
    fn act<'input>(
        &mut self,
        out: &mut Output<'input>,
        cx: &mut Context<'_>,
        now: Instant,
        action: impl FnOnce(&mut Conversation, &mut Output<'input>),
    ) {
        action(&mut self.conversation, out);
        if !out.to_backend.is_empty() {
            let backend = &mut self.backend;
            let sent = self.to_backend.send(backend, &out.to_backend, cx, now);
            self.sent(Direction::ToClient, &sent.map(|()| false), now);
        }
        if !out.to_client.is_empty() {
            self.send_to_client(&out.to_client, cx, now);
        }
        self.finish(cx, now);
    }

    fn send_to_client(&mut self, plain: &[u8], cx: &mut Context<'_>, now: Instant) {
        let last = self.conversation.client_output_finished();
        match self.client.send(plain, last, &self.buffers, cx, now) {
            Ok(()) => {}
            Err(Failure::Lost(_)) => self.conversation.lost(Direction::ToBackend),
            Err(Failure::Broken(broken)) => {
                self.note(&broken);
                let conversation = &mut self.conversation;
                conversation.order(broken.ending, &mut Output::default(), now);
            }
        }
    }

    fn note(&self, broken: &Broken) {
        let id = &self.listed.entry().id;
        tracing::debug!(%id, error = %broken.error, "the client's connection broke");
    }

    /// Goes on with what the transports have not taken.
    fn flush(&mut self, cx: &mut Context<'_>, now: Instant) {
        if self.client.is_blocked() {
            let taken = self.client.flush(cx, now);
            self.sent(Direction::ToBackend, &taken, now);
        }
        if self.to_backend.is_blocked() {
            let taken = self.to_backend.flush(&mut self.backend, cx, now);
            self.sent(Direction::ToClient, &taken, now);
        }
        self.finish(cx, now);
    }

    /// Notes whether a peer took what had waited; `direction` is the one in which that peer sends.
    fn sent(&mut self, direction: Direction, taken: &io::Result<bool>, now: Instant) {
        match taken {
            Ok(true) => self.conversation.progressed(direction, now),
            Ok(false) => {}
            // What the peer sent before it went may still be there to be read, and then its end.
            Err(_) => self.conversation.lost(direction),
        }
    }

    /// Ends the outgoing halves that have nothing more to carry.
    fn finish(&mut self, cx: &mut Context<'_>, now: Instant) {
        if self.conversation.client_output_finished() {
            let sent = self.client.finish(cx, now);
            self.sent(Direction::ToBackend, &sent.map(|()| false), now);
        }
        if self.conversation.backend_output_finished() {
            self.to_backend.finish(&mut self.backend, cx);
        }
    }

    /// Returns how many frames are new, further fragments aside.
    fn count(&mut self, direction: Direction, bytes: usize) -> u64 {
        let entry = self.listed.entry();
        self.account
            .count(direction, bytes, &self.conversation, entry)
    }

    /// Carries out deadlines that have passed.
    fn watch_deadlines(&mut self, cx: &mut Context<'_>, now: Instant) {
        if self.to_backend.is_blocked() {
            self.conversation.excuse_client(now);
        }
        let [client, backend] = self.stalled_since();
        let is_over = |since: Option<Instant>| since.is_some_and(|since| now >= since + self.write);
        if is_over(client) {
            self.order(SocketEnding::ClientStalled, cx, now);
        } else if is_over(backend) {
            self.give_up_backend(cx, now);
        }
        if self.conversation.deadline() <= now {
            self.act(&mut Output::default(), cx, now, |conversation, out| {
                conversation.tick(out, now);
            });
        }
    }

    /// A backend that takes nothing is sent nothing more: else the client could not be read, and
    /// its answer to the Close not be seen.
    fn give_up_backend(&mut self, cx: &mut Context<'_>, now: Instant) {
        self.order(SocketEnding::BackendStalled, cx, now);
        self.to_backend.abandon();
        self.conversation.lost(Direction::ToClient);
        self.finish(cx, now);
        cx.waker().wake_by_ref();
    }

    /// When something has to be done if nothing happens before.
    fn deadline(&self) -> Instant {
        let stalls = self.stalled_since().into_iter().flatten();
        let deadlines = stalls.map(|since| since + self.write);
        deadlines.fold(self.conversation.deadline(), Instant::min)
    }

    /// Since when the client and the backend take nothing of what waits for them.
    fn stalled_since(&self) -> [Option<Instant>; 2] {
        [self.client.stalled_since(), self.to_backend.stalled_since()]
    }
}

impl<L: Leg> Future for Relay<L> {
    type Output = Finished;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Finished> {
        let now = Instant::now();
        // Before the turn, so that an order that comes during it is not missed.
        self.listed.entry().register(cx.waker());
        self.turn(cx, now);
        if self.conversation.is_over()
            && let Some(record) = self.conversation.record()
        {
            self.count(Direction::ToBackend, 0);
            self.count(Direction::ToClient, 0);
            let [to_backend, to_client] = self.account.carried();
            return Poll::Ready(Finished {
                record,
                to_backend,
                to_client,
            });
        }
        self.listed.entry().wake_at(self.deadline());
        Poll::Pending
    }
}

/// Appends a text message of the proxy's own, in one unmasked frame.
pub fn push_text(text: &str, out: &mut Vec<u8>) {
    let header = Header {
        fin: true,
        reserved: 0,
        opcode: Opcode::Text,
        mask: None,
        length: text.len() as u64,
    };
    out.extend_from_slice(header.encode().as_slice());
    out.extend_from_slice(text.as_bytes());
}
