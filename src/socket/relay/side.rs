//! One peer of a conversation: what it sends, and what it has still to be sent.

use super::channel::Channel;
use crate::{
    frame::{ControlFrame, Counts, Opcode},
    observe::Direction,
};

/// Both peers.
pub(super) struct Sides {
    pub(super) client: Side,
    pub(super) backend: Side,
}

/// One peer, as sender and as receiver.
#[allow(
    clippy::struct_excessive_bools,
    reason = "five facts that are independent of each other"
)]
pub(super) struct Side {
    /// What this peer's frames go through.
    pub(super) channel: Channel,
    /// What this peer sent.
    pub(super) counts: Counts,
    /// This peer broke the protocol: nothing it sends is looked at.
    pub(super) deaf: bool,
    /// This peer's Close has come.
    pub(super) close_received: bool,
    /// A Close has been sent to this peer: no frame may follow (RFC 6455 section 5.5.1).
    pub(super) close_sent: bool,
    /// A Ping or Close of the proxy's own, waiting for a frame boundary.
    waiting: Option<Box<ControlFrame>>,
    /// Nothing more will be sent to this peer.
    pub(super) finishing: bool,
    /// This peer's transport has ended: nothing more comes from it.
    pub(super) ended: bool,
}

impl Sides {
    /// Sender and receiver of a direction.
    pub(super) fn pair(&mut self, direction: Direction) -> (&mut Side, &mut Side) {
        match direction {
            Direction::ToBackend => (&mut self.client, &mut self.backend),
            Direction::ToClient => (&mut self.backend, &mut self.client),
        }
    }

    /// The sender of a direction.
    pub(super) fn of(&mut self, direction: Direction) -> &mut Side {
        self.pair(direction).0
    }

    /// Takes the frame that waits for the receiver of a direction, if it may be put in now.
    pub(super) fn due(&mut self, direction: Direction) -> Option<ControlFrame> {
        let (from, to) = self.pair(direction);
        if !from.channel.at_boundary() {
            return None;
        }
        let frame = to.waiting.take()?;
        if !to.takes_frames() {
            return None;
        }
        to.close_sent |= frame.opcode() == Opcode::Close;
        Some(*frame)
    }
}

impl Side {
    pub(super) fn new(channel: Channel) -> Self {
        Self {
            channel,
            counts: Counts::default(),
            deaf: false,
            close_received: false,
            close_sent: false,
            waiting: None,
            finishing: false,
            ended: false,
        }
    }

    /// Whether frames may still be sent to this peer.
    pub(super) fn takes_frames(&self) -> bool {
        !self.close_sent && !self.finishing
    }

    /// Whether a frame of the proxy's own waits for a frame boundary.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Queues a Ping or Close of the proxy's own, unless a Close is on its way already.
    pub(super) fn send(&mut self, frame: ControlFrame) {
        let waiting = self.waiting.as_ref();
        let closing = waiting.is_some_and(|waiting| waiting.opcode() == Opcode::Close);
        if self.takes_frames() && !closing {
            self.waiting = Some(Box::new(frame));
        }
    }

    /// How much of `length` bytes may pass before the waiting frame has to be put in.
    pub(super) fn room_before_own(&self, from: &Side, length: usize) -> usize {
        if self.waiting.is_none() || from.channel.at_boundary() {
            return length;
        }
        usize::try_from(from.channel.remaining())
            .unwrap_or(usize::MAX)
            .clamp(1, length.max(1))
    }

    /// This peer gets what is in the output already, and nothing after it.
    pub(super) fn finish(&mut self) {
        self.waiting = None;
        self.finishing = true;
    }
}
