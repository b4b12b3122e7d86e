//! What a conversation does because of the time: Pings, silence, the closing deadline.

use super::{CLOSE_TIMEOUT, Conversation, Output};
use crate::{ending::SocketEnding, frame::ControlFrame, observe::Direction};
use tokio::time::Instant;

impl Conversation {
    /// Looks at the deadlines; call it at [`Conversation::deadline`] or any time.
    pub fn tick(&mut self, out: &mut Output<'_>, now: Instant) {
        if self.cut_at.is_some_and(|cut| cut <= now) {
            return self.cut();
        }
        self.last_words = self.last_words.filter(|(_, until)| now < *until);
        if self.record.is_some() {
            return self.put_in(out, now);
        }
        if now >= self.last_frame + self.terms.idle {
            self.order(SocketEnding::IdleTimeout, out, now);
        } else if let Some(due) = self.ping_deadline()
            && now >= due
        {
            self.ping(out, now);
        }
    }

    /// When [`Conversation::tick`] has something to do, if nothing happens before.
    pub fn deadline(&self) -> Instant {
        if let Some(cut) = self.cut_at {
            let waits = self.sides.client.is_waiting() || self.sides.backend.is_waiting();
            let words = self.last_words.filter(|_| waits);
            return words.map_or(cut, |(_, words)| words.min(cut));
        }
        let idle = self.last_frame + self.terms.idle;
        self.ping_deadline().map_or(idle, |ping| ping.min(idle))
    }

    pub(super) fn ping(&mut self, out: &mut Output<'_>, now: Instant) {
        let unheard = self.pinged.is_some_and(|pinged| self.client_seen <= pinged);
        if unheard && !self.sides.client.is_waiting() {
            return self.order(SocketEnding::NoPong, out, now);
        }
        self.pinged = Some(now);
        let ping = ControlFrame::ping(&self.terms.ping_mark);
        self.sides.client.send(ping);
        self.put_in(out, now);
    }

    /// When the client is to be pinged, or given up because it did not answer.
    pub(super) fn ping_deadline(&self) -> Option<Instant> {
        if self.terms.ping.is_zero() {
            return None;
        }
        let since = self
            .pinged
            .map_or(self.client_seen, |pinged| pinged.max(self.client_seen));
        Some(since + self.terms.ping)
    }

    /// The client cannot be heard while its bytes are not read: silence is not its fault.
    pub fn excuse_client(&mut self, now: Instant) {
        self.client_seen = now;
    }

    /// The peer that sends in `direction` took bytes that had waited. If they are the last ones
    /// for it, the closing deadline moves along, within bounds. A client shows by it that it
    /// lives: a Ping stands behind what it has still to take.
    pub fn progressed(&mut self, direction: Direction, now: Instant) {
        if direction == Direction::ToBackend {
            self.client_seen = now;
        }
        if self.sides.of(direction).takes_frames() {
            return;
        }
        if let (Some(cut), Some(by)) = (&mut self.cut_at, self.cut_by) {
            *cut = by.min(now + CLOSE_TIMEOUT);
        }
    }
}
