//! Reading from a transport once, and bytes on their way out of one: without ever waiting.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// What a transport has not taken yet; empty, and without memory, nearly always.
#[derive(Default)]
pub(super) struct Outgoing {
    unsent: Vec<u8>,
    sent: usize,
    /// Since when the transport has taken nothing.
    stalled: Option<Instant>,
    finished: bool,
}

impl Outgoing {
    /// Whether the transport has not taken everything.
    pub(super) fn is_blocked(&self) -> bool {
        self.sent < self.unsent.len()
    }

    /// Since when the transport takes nothing of what waits.
    pub(super) fn stalled_since(&self) -> Option<Instant> {
        self.stalled
    }

    /// Sends `bytes` behind what waits.
    ///
    /// What the transport does not take now is copied, right-sized, and `cx` woken when it takes
    /// more. On an error nothing waits any more.
    pub(super) fn send(
        &mut self,
        transport: &mut (impl AsyncWrite + Unpin),
        bytes: &[u8],
        cx: &mut Context<'_>,
        now: Instant,
    ) -> io::Result<()> {
        if self.is_blocked() {
            self.unsent.extend_from_slice(bytes);
            return Ok(());
        }
        let taken = write(transport, bytes, cx)?;
        if let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            self.unsent = rest.to_vec();
            self.sent = 0;
            self.stalled = Some(now);
        }
        Ok(())
    }

    /// Goes on sending what waits; returns whether the transport took any. On an error nothing
    /// waits any more.
    pub(super) fn flush(
        &mut self,
        transport: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
        now: Instant,
    ) -> io::Result<bool> {
        let Some(rest) = self.unsent.get(self.sent..).filter(|rest| !rest.is_empty()) else {
            return Ok(false);
        };
        let taken = write(transport, rest, cx).inspect_err(|_| self.abandon())?;
        self.sent += taken;
        if !self.is_blocked() {
            self.abandon();
        } else if taken > 0 {
            self.stalled = Some(now);
        }
        Ok(taken > 0)
    }

    /// Forgets what the transport has not taken.
    pub(super) fn abandon(&mut self) {
        self.unsent = Vec::new();
        self.sent = 0;
        self.stalled = None;
    }

    /// Ends the transport's outgoing half once everything is sent; returns whether it did so now.
    pub(super) fn finish(
        &mut self,
        transport: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> bool {
        if self.finished || self.is_blocked() {
            return false;
        }
        self.finished = true;
        // Sockets shut down at once; one that cannot is broken, and reading will tell.
        let _ = Pin::new(transport).poll_shutdown(cx);
        true
    }
}

/// Reads once; 0 is the transport's end.
pub(super) fn read(
    transport: &mut (impl AsyncRead + Unpin),
    space: &mut [u8],
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(space);
    match Pin::new(transport).poll_read(cx, &mut buffer) {
        Poll::Ready(Ok(())) => Poll::Ready(Ok(buffer.filled().len())),
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Pending => Poll::Pending,
    }
}

/// Writes until the transport takes no more.
fn write(
    transport: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
    cx: &mut Context<'_>,
) -> io::Result<usize> {
    let mut taken = 0;
    while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
        match Pin::new(&mut *transport).poll_write(cx, rest) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(count)) => taken += count,
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => break,
        }
    }
    Ok(taken)
}
