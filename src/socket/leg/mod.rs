//! A leg: what carries the frames between the client and the relay, whatever that is.
//!
//! The relay asks a leg within its turn and never waits for it: what cannot be done now wakes the
//! task when it can. It is generic over its leg, so that each kind is a relay of its own type.

pub mod tls;

use crate::{ending::SocketEnding, runtime::buffers::Buffers};
use std::{
    io,
    task::{Context, Poll},
};
use tokio::time::Instant;

/// The client's end of a socket. Dropping it cuts the client off, whatever waits.
pub trait Leg: Unpin {
    /// Frames as the client sent them: whatever holds them without a copy.
    type Plain: AsRef<[u8]>;

    /// Reads once; `space` is there to read into, its content of no meaning before and after.
    ///
    /// The relay asks only when what it read before has left for the backend: what a leg must grant
    /// its peer to send more, it grants here. After an end it is not asked again.
    fn poll_read(
        &mut self,
        space: &mut [u8],
        buffers: &Buffers,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> Poll<Arrival<Self::Plain>>;

    /// Sends `plain` behind what waits; what is not taken now is kept. With `last`, nothing follows
    /// it, so that the leg's own end may leave in the same write.
    fn send(
        &mut self,
        plain: &[u8],
        last: bool,
        buffers: &Buffers,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> Result<(), Failure>;

    /// Goes on sending what waits; returns whether any of it was taken. On an error nothing waits
    /// any more.
    fn flush(&mut self, cx: &mut Context<'_>, now: Instant) -> io::Result<bool>;

    /// Ends the outgoing half behind what waits. Called again until the relay is over, and has then
    /// only to go on with it.
    fn finish(&mut self, cx: &mut Context<'_>, now: Instant) -> io::Result<()>;

    /// Whether something waits: the backend is not read meanwhile.
    fn is_blocked(&self) -> bool;

    /// Since when nothing of what waits was taken.
    fn stalled_since(&self) -> Option<Instant>;

    /// The ending that the leg asks for because it cannot carry much more; in time for a Close.
    fn ending(&self) -> Option<SocketEnding> {
        None
    }
}

/// What one reading of a leg brought.
#[derive(Debug)]
pub struct Arrival<P> {
    /// What the client sent; may be empty.
    pub plain: P,
    /// Whether the transport took, or holds, what the leg itself had to answer.
    pub answered: io::Result<()>,
    /// What comes behind `plain`.
    pub then: Then,
}

/// What comes behind what was read.
#[derive(Debug)]
pub enum Then {
    /// Perhaps more.
    Open,
    /// Nothing: the client has ended its half, and may still listen.
    Ended,
    /// Nothing: the client is cut off, and nothing reaches it any more.
    CutOff,
    /// Nothing that could be read.
    Broken(Broken),
}

/// Why a leg did not send.
#[derive(Debug)]
pub enum Failure {
    /// The transport takes nothing any more; what the client sent before may still be read.
    Lost(io::Error),
    /// The leg cannot go on.
    Broken(Broken),
}

/// A leg whose own rules the client broke, or which failed by itself: nobody can be told over it.
#[derive(Debug)]
pub struct Broken {
    /// How the socket ends; one without a close code.
    pub ending: SocketEnding,
    /// What happened, for the log.
    pub error: String,
}

impl<P> Arrival<P> {
    /// What was read, by a leg that has nothing of its own to answer.
    pub fn new(plain: P, then: Then) -> Self {
        Self {
            plain,
            answered: Ok(()),
            then,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}
