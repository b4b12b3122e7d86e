//! How a conversation ends: who says what to whom, and when nothing more is said.

use super::{CLOSE_TIMEOUT, CLOSE_TIMEOUT_SLOW, Conversation, LAST_WORDS, Output, Record};
use crate::{
    ending::SocketEnding,
    frame::{ControlFrame, close},
    observe::Direction,
    socket::relay::{
        channel::Fault,
        codes::{close_for_backend, close_for_client, close_for_offender, ending_of},
    },
};
use tokio::time::Instant;

impl Conversation {
    /// RFC 6455 section 7.1.7: the peer that broke the protocol is told, and not listened to.
    pub(super) fn violated(
        &mut self,
        direction: Direction,
        fault: Fault,
        out: &mut Output<'_>,
        now: Instant,
    ) {
        let ending = ending_of(direction, fault);
        self.sides.pair(direction).0.deaf = true;
        let own = close_for_offender(fault);
        let (to_client, to_backend) = match direction {
            Direction::ToBackend => (own, close_for_backend(ending, fault.code())),
            Direction::ToClient => (close_for_client(ending), own),
        };
        if self.ending(ending, to_client.close_code(), now)
            && let Some(record) = &mut self.record
        {
            record.fault = Some(fault);
        }
        self.last_words.get_or_insert((direction, now + LAST_WORDS));
        self.sides.client.send(to_client);
        self.sides.backend.send(to_backend);
        self.put_in(out, now);
    }

    /// Whether the other peer may still answer what came before an offence in `direction`: those
    /// frames stand, and so do the answers to them.
    pub(super) fn awaits_last_words(&self, direction: Direction, now: Instant) -> bool {
        let other = match direction {
            Direction::ToBackend => &self.sides.backend,
            Direction::ToClient => &self.sides.client,
        };
        let speaks = !other.close_received && !other.ended && !other.deaf;
        let until = self.last_words.filter(|(whose, _)| *whose == direction);
        speaks && until.is_some_and(|(_, until)| now < until)
    }

    /// The proxy decides that it ends: limits, deadlines, policy, operators.
    pub fn order(&mut self, ending: SocketEnding, out: &mut Output<'_>, now: Instant) {
        let Some(code) = ending.close_code() else {
            if !self.ending(ending, None, now) {
                self.never_told(ending);
            }
            return self.cut();
        };
        if !self.ending(ending, Some(code), now) {
            return;
        }
        self.sides.client.send(close_for_client(ending));
        let to_backend = close_for_backend(ending, code);
        self.sides.backend.send(to_backend);
        self.put_in(out, now);
    }

    /// A drain whose Close found no frame boundary until the drain's deadline ended by the deadline.
    fn never_told(&mut self, ending: SocketEnding) {
        let told = self.sides.client.close_sent;
        if let Some(record) = &mut self.record
            && (record.ending, ending, told)
                == (SocketEnding::Draining, SocketEnding::DrainDeadline, false)
        {
            (record.ending, record.code) = (ending, None);
        }
    }

    pub(super) fn close_received(
        &mut self,
        direction: Direction,
        close: &ControlFrame,
        out: &mut Output<'_>,
        now: Instant,
    ) {
        let ending = match direction {
            Direction::ToBackend => SocketEnding::ClientClosed,
            Direction::ToClient => SocketEnding::BackendClosed,
        };
        let (from, to) = self.sides.pair(direction);
        from.close_received = true;
        // Where a Close of our own waits, it says more than this one.
        let passes = to.takes_frames() && !to.is_waiting();
        to.close_sent |= passes;
        self.ending(ending, close.close_code(), now);
        if passes {
            self.push_own(direction, close, out);
        }
    }

    /// The Close that the peer meant. One that only answers ours may be a copy of ours, tag and
    /// all, as WebSocket libraries below a sealed client make it: it is believed.
    pub(super) fn open_close(
        &mut self,
        direction: Direction,
        close: &ControlFrame,
    ) -> Result<ControlFrame, Fault> {
        let code = self.record.and_then(|record| record.code);
        let from = self.sides.of(direction);
        if from.close_sent {
            let copy = ControlFrame::close(code.unwrap_or(close::NO_STATUS_RECEIVED), "");
            return Ok(from.channel.open_answer(close).unwrap_or(copy));
        }
        from.channel.open_close(close)
    }

    /// A peer's transport ended, cleanly or not.
    pub fn ended(&mut self, direction: Direction, out: &mut Output<'_>, now: Instant) {
        let (from, _) = self.sides.pair(direction);
        if std::mem::replace(&mut from.ended, true) {
            return;
        }
        let closed = from.close_received;
        match direction {
            Direction::ToBackend => {
                self.ending(SocketEnding::ClientGone, None, now);
                // A client that has sent its Close may still listen for the answer.
                if !closed {
                    self.sides.client.finish();
                }
                // The backend learns it by the end of its transport, as it would without a
                // proxy: RFC 6455 section 7.1.5, 1006.
                self.sides.backend.finish();
            }
            Direction::ToClient if !closed => self.backend_gone(out, now),
            Direction::ToClient => self.sides.backend.finish(),
        }
    }

    pub(super) fn backend_gone(&mut self, out: &mut Output<'_>, now: Instant) {
        let close = close_for_client(SocketEnding::BackendGone);
        self.ending(SocketEnding::BackendGone, close.close_code(), now);
        self.sides.backend.finish();
        if self.sides.backend.channel.at_boundary() {
            self.sides.client.send(close);
            self.put_in(out, now);
        } else {
            // In mid-frame, no Close can be put in: the end of the transport has to say it.
            self.sides.client.finish();
        }
    }

    /// Nothing more can be sent to the peer that sends in `direction`. What it sent before may
    /// still be read: perhaps its Close is there.
    pub fn lost(&mut self, direction: Direction) {
        self.sides.of(direction).finish();
    }

    /// Sets the record if there is none; starts the closing deadline. Gives whether it was set.
    pub(super) fn ending(&mut self, ending: SocketEnding, code: Option<u16>, now: Instant) -> bool {
        self.cut_at.get_or_insert(now + CLOSE_TIMEOUT);
        self.cut_by.get_or_insert(now + CLOSE_TIMEOUT_SLOW);
        let first = self.record.is_none();
        self.record.get_or_insert(Record {
            ending,
            code,
            fault: None,
        });
        first
    }

    pub(super) fn cut(&mut self) {
        for side in [&mut self.sides.client, &mut self.sides.backend] {
            side.ended = true;
            side.finish();
        }
    }
}
