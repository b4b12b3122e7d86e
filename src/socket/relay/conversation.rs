//! What passes between two peers, without IO: bytes in, bytes out, the time as an argument.
//!
//! The conversation decides what is forwarded, when the proxy may put in a frame of its own, and
//! how everything ends. [`super::Relay`] moves the bytes; a simulation drives the same functions.

mod deadlines;
mod endings;

use super::{
    channel::{Channels, Fault, Units},
    side::{Side, Sides},
};
use crate::{
    ending::SocketEnding,
    frame::{ControlFrame, Counts, Forward, Opcode, Rules},
    integrity::{Mode, agreement::Agreement},
    observe::Direction,
};
use std::time::Duration;
use tokio::time::Instant;

/// How long the peers have, from the first Close, to answer it and to end their transports.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long all of that may take if a slow peer still takes what was sent before its Close.
const CLOSE_TIMEOUT_SLOW: Duration = Duration::from_secs(30);
/// How long a peer has to answer what came before the other's offence.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Bytes of data that count as a sign of life before their frame is finished.
const PROGRESS: usize = 1024;

/// What the conversation needs to know of the configuration.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What the client must keep to.
    pub client: Rules,
    /// What the backend must keep to.
    pub backend: Rules,
    /// No frame in either direction for this long ends it.
    pub idle: Duration,
    /// A client that is silent for this long is pinged; zero: never.
    pub ping: Duration,
    /// Distinguishes the proxy's own Pings from those of the backend.
    pub ping_mark: [u8; 8],
    /// Masks the frames that the proxy itself sends to the backend.
    pub mask: [u8; 4],
}

/// Bytes for the peers; whoever drives the conversation sends and empties them.
#[derive(Debug, Default)]
pub struct Output<'input> {
    /// Plain frames for the client.
    pub to_client: Forward<'input>,
    /// Masked frames for the backend.
    pub to_backend: Forward<'input>,
}

impl<'input> Output<'input> {
    /// What goes in a direction.
    pub fn of(&mut self, direction: Direction) -> &mut Forward<'input> {
        match direction {
            Direction::ToBackend => &mut self.to_backend,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

/// The record of how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Why.
    pub ending: SocketEnding,
    /// The close code that was sent to the client, or the peer's that was passed on; `None` where
    /// a transport ended without one, or before the proxy's Close could be put in.
    pub code: Option<u16>,
    /// Which rule was broken, where one was.
    pub fault: Option<Fault>,
}

/// Two peers, the frames between them, and how far the closing handshake is.
pub struct Conversation {
    terms: Terms,
    sides: Sides,
    record: Option<Record>,
    /// From the first Close on: when the transports are cut.
    cut_at: Option<Instant>,
    /// From the first Close on: how far that may be put off.
    cut_by: Option<Instant>,
    /// Behind an offence: in which direction it came, and until when the offender's Close waits for
    /// the last words of the other peer.
    last_words: Option<(Direction, Instant)>,
    /// The last frame that counts against `idle`: any but the answer to a Ping of the proxy.
    last_frame: Instant,
    /// The last sign of life of the client.
    client_seen: Instant,
    /// When the outstanding Ping was sent, or began to wait for a frame boundary.
    pinged: Option<Instant>,
    /// How long the last answered Ping took; taken by whoever counts it.
    pong_after: Option<Duration>,
}

impl Conversation {
    /// A conversation that begins at `now`, right behind both handshakes; sealed towards the
    /// client if that was agreed on.
    pub fn new(terms: Terms, sealed: Option<(&Agreement, Mode)>, now: Instant) -> Self {
        let channels = match sealed {
            Some((agreement, mode)) => {
                Channels::sealed(agreement, mode, terms.client, terms.backend)
            }
            None => Channels::plain(terms.client, terms.backend),
        };
        Self {
            sides: Sides {
                client: Side::new(channels.to_backend),
                backend: Side::new(channels.to_client),
            },
            terms,
            record: None,
            cut_at: None,
            cut_by: None,
            last_words: None,
            last_frame: now,
            client_seen: now,
            pinged: None,
            pong_after: None,
        }
    }

    /// Takes what a peer sent; `direction` is the one in which it travels. Gives how many bytes
    /// were looked at: none behind a broken rule.
    pub fn receive<'input>(
        &mut self,
        direction: Direction,
        input: &'input [u8],
        out: &mut Output<'input>,
        now: Instant,
    ) -> usize {
        if direction == Direction::ToBackend {
            self.client_seen = now;
        }
        if input.len() >= PROGRESS {
            self.last_frame = now;
        }
        let mut rest = input;
        while !rest.is_empty() && !self.sides.of(direction).deaf {
            match self.advance(direction, rest, out, now) {
                Ok((consumed, control)) => {
                    rest = rest.get(consumed..).unwrap_or_default();
                    if let Some(control) = control {
                        self.control(direction, &control, out, now);
                    }
                }
                Err(fault) => self.violated(direction, fault, out, now),
            }
            self.put_in(out, now);
        }
        input.len() - rest.len()
    }

    /// Lets frames pass up to the next control frame, or up to the boundary at which a frame of the
    /// proxy's own waits to be put in.
    fn advance<'input>(
        &mut self,
        direction: Direction,
        input: &'input [u8],
        out: &mut Output<'input>,
        now: Instant,
    ) -> Result<(usize, Option<ControlFrame>), Fault> {
        let (from, to) = self.sides.pair(direction);
        let room = to.room_before_own(from, input.len());
        let input = input.get(..room).unwrap_or(input);
        let passes = to.takes_frames();
        let gathered = out.of(direction);
        let length = gathered.len();
        let frames = data_frames(&from.counts);
        let result = from.channel.advance(input, gathered, &mut from.counts);
        if !passes {
            // RFC 6455 section 1.4: behind a Close, further data is discarded.
            gathered.truncate(length);
        }
        if data_frames(&from.counts) != frames {
            self.last_frame = now;
        }
        result
    }

    fn control(
        &mut self,
        direction: Direction,
        control: &ControlFrame,
        out: &mut Output<'_>,
        now: Instant,
    ) {
        if self.is_own_pong(direction, control, now) {
            return;
        }
        self.last_frame = now;
        if control.opcode() == Opcode::Close {
            return match self.open_close(direction, control) {
                Ok(close) => self.close_received(direction, &close, out, now),
                Err(fault) => self.violated(direction, fault, out, now),
            };
        }
        let (_, to) = self.sides.pair(direction);
        if to.takes_frames() {
            let bytes = control.encode(control.mask());
            out.of(direction).push(bytes.as_slice());
        }
    }

    /// The answer to a Ping of the proxy ends here: the backend did not ask.
    fn is_own_pong(&mut self, direction: Direction, control: &ControlFrame, now: Instant) -> bool {
        let own = direction == Direction::ToBackend
            && control.opcode() == Opcode::Pong
            && control.payload() == self.terms.ping_mark;
        if own && let Some(pinged) = self.pinged.take() {
            self.pong_after = Some(now.saturating_duration_since(pinged));
        }
        own
    }

    /// Puts out a Ping of the proxy's own, or a Close: sealed where that direction is.
    fn push_own(&mut self, direction: Direction, frame: &ControlFrame, out: &mut Output<'_>) {
        let from = self.sides.of(direction);
        let mask = match direction {
            Direction::ToBackend => Some(frame.mask().unwrap_or(self.terms.mask)),
            Direction::ToClient => None,
        };
        let frame = match frame.opcode() {
            Opcode::Close => from.channel.seal_close(frame),
            _ => *frame,
        };
        let bytes = frame.encode(mask);
        out.of(direction).push(bytes.as_slice());
    }

    /// Puts in the frames that wait for a frame boundary, where there is one now.
    fn put_in(&mut self, out: &mut Output<'_>, now: Instant) {
        if !self.awaits_last_words(Direction::ToBackend, now)
            && let Some(frame) = self.sides.due(Direction::ToClient)
        {
            if frame.opcode() == Opcode::Ping {
                self.pinged = Some(now);
            }
            self.push_own(Direction::ToClient, &frame, out);
        }
        if !self.awaits_last_words(Direction::ToClient, now)
            && let Some(frame) = self.sides.due(Direction::ToBackend)
        {
            self.push_own(Direction::ToBackend, &frame, out);
        }
    }

    /// Whether a side's input is to be read.
    pub fn reads(&self, direction: Direction) -> bool {
        let from = match direction {
            Direction::ToBackend => &self.sides.client,
            Direction::ToClient => &self.sides.backend,
        };
        !from.ended
    }

    /// Whether all that the client will ever get is in the output: `close_notify` and FIN follow.
    pub fn client_output_finished(&self) -> bool {
        let client = &self.sides.client;
        // RFC 6455 section 7.1.1: the server closes the TCP connection first.
        client.finishing
            || client.close_sent && (client.close_received || client.deaf || client.ended)
    }

    /// Whether all that the backend will ever get is in the output: FIN follows.
    pub fn backend_output_finished(&self) -> bool {
        self.sides.backend.finishing
    }

    /// Whether both transports have ended.
    pub fn is_over(&self) -> bool {
        self.sides.client.ended && self.sides.backend.ended
    }

    /// How it ended; `None` while it goes on.
    pub fn record(&self) -> Option<Record> {
        let record = self.record?;
        let own = record.ending.close_code().is_some();
        let said = !own || self.sides.client.close_sent;
        Some(Record {
            code: record.code.filter(|_| said),
            ..record
        })
    }

    /// What passed in a direction so far.
    pub fn counts(&self, direction: Direction) -> &Counts {
        match direction {
            Direction::ToBackend => &self.sides.client.counts,
            Direction::ToClient => &self.sides.backend.counts,
        }
    }

    /// The sealed units that passed in a direction so far.
    pub fn units(&self, direction: Direction) -> Units {
        match direction {
            Direction::ToBackend => self.sides.client.channel.units(),
            Direction::ToClient => self.sides.backend.channel.units(),
        }
    }

    /// How long the last answered Ping took, once.
    pub fn take_pong(&mut self) -> Option<Duration> {
        self.pong_after.take()
    }
}

/// How many frames of each data opcode have passed.
fn data_frames(counts: &Counts) -> Option<[u64; 3]> {
    counts.frames.first_chunk().copied()
}
