//! A TLS connection as hyper sees it while one request is served: it is given a head of our making, then
//! the request's content to the byte, and nothing of what the client sends after it.
//!
//! Heads are judged by [`crate::request`], which is stricter than hyper; so hyper gets one that says only
//! what it has to know. Where a content ends is found here as well, so that what comes next is read as
//! a request by the same rules.

use crate::{
    ending::RequestEnding,
    request::{Content, Extent, Head, Version},
    runtime::buffers::Buffers,
    tls::{
        session::Received,
        stream::{StreamError, TlsStream},
    },
    worker::refusal::Refusal,
};
use hyper::rt::{Read, ReadBufCursor, Write};
use std::{
    cell::RefCell,
    fmt::Write as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::time::Instant;

/// Bytes of requests to come that are kept while one is served. Beyond it the client waits.
const AHEAD_MAX: usize = 64 * 1024;

/// A connection while one of its requests is served.
pub(super) struct Wire {
    pub(super) stream: TlsStream,
    buffers: Buffers,
    /// What hyper has not taken yet, and after it what belongs to no request yet.
    received: Vec<u8>,
    /// Bytes that hyper has taken.
    taken: usize,
    /// Bytes in front that are of this request.
    own: usize,
    extent: Extent,
    most: Option<u64>,
    /// Why the content cannot be taken any further.
    fault: Option<Refusal>,
    /// When the client last sent or took something.
    moved: Instant,
    /// Bytes of the answer so far, with its head.
    written: u64,
}

/// The same, lent to hyper.
pub(super) struct Lent<'w>(pub(super) &'w RefCell<Wire>);

impl Wire {
    /// A connection whose client has sent a head, and `rest` after it. `most` is the limit of the
    /// content's data, in bytes.
    pub(super) fn new(
        stream: TlsStream,
        buffers: Buffers,
        head: &Head<'_>,
        (content, trailer_room): (Content, usize),
        rest: &[u8],
        most: Option<u64>,
    ) -> Self {
        let mut received = head_for_hyper(head, content);
        let own = received.len();
        received.extend_from_slice(rest);
        let mut wire = Self {
            stream,
            buffers,
            received,
            taken: 0,
            own,
            extent: Extent::new(content, trailer_room),
            most,
            fault: None,
            moved: Instant::now(),
            written: 0,
        };
        wire.follow();
        wire
    }

    /// Finds out how much of what was received belongs to the request.
    fn follow(&mut self) {
        let rest = self.received.get(self.own..).unwrap_or_default();
        match self.extent.take(rest) {
            Ok(count) => self.own += count,
            Err(error) => self.fault = Some(error.into()),
        }
        if self.most.is_some_and(|most| self.extent.data() > most) {
            self.fault = Some(RequestEnding::BodyTooLarge.into());
        }
    }

    /// Returns true if hyper has taken the whole request.
    pub(super) fn is_taken_whole(&self) -> bool {
        self.extent.is_at_end() && self.taken == self.own
    }

    /// Bytes of the content's data so far.
    pub(super) fn content(&self) -> u64 {
        self.extent.data()
    }

    /// Bytes of the answer so far, with its head.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// When the client last sent or took something.
    pub(super) fn moved(&self) -> Instant {
        self.moved
    }

    /// Why the content cannot be taken any further.
    pub(super) fn take_fault(&mut self) -> Option<Refusal> {
        self.fault.take()
    }

    /// The connection, and what the client has sent of its next requests.
    pub(super) fn into_parts(mut self) -> (TlsStream, Vec<u8>) {
        self.received.drain(..self.own);
        (self.stream, self.received)
    }

    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.fault.is_some() {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            let there = self.received.get(self.taken..self.own).unwrap_or_default();
            if !there.is_empty() {
                let count = there.len().min(buffer.remaining());
                buffer.put_slice(there.get(..count).unwrap_or_default());
                self.taken += count;
                self.forget_taken();
                return Poll::Ready(Ok(()));
            }
            if self.received.len() - self.own >= AHEAD_MAX {
                return Poll::Pending;
            }
            // Also where the request is whole: a client that goes away must not be served for nothing.
            let received = self
                .stream
                .poll_receive(cx, &mut self.received, &self.buffers);
            match ready!(received) {
                Ok(Received::Open) => {}
                Ok(Received::Closed) => return Poll::Ready(Ok(())),
                Err(StreamError::Io(error)) => return Poll::Ready(Err(error)),
                Err(StreamError::Tls(error)) => return Poll::Ready(Err(io::Error::other(error))),
            }
            self.moved = Instant::now();
            self.follow();
        }
    }

    fn forget_taken(&mut self) {
        if self.taken == self.own {
            self.received.drain(..self.own);
            (self.taken, self.own) = (0, 0);
        }
    }

    /// Sends what is queued.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let before = self.stream.queued();
        let result = self.stream.poll_flush(cx);
        if self.stream.queued() < before {
            self.moved = Instant::now();
        }
        result
    }
}

/// What hyper has to know of a head: the method (an answer to HEAD has no content), the version, how the
/// content is framed, and whether the connection or a 100 is asked for.
fn head_for_hyper(head: &Head<'_>, content: Content) -> Vec<u8> {
    let version = match head.version() {
        Version::Http10 => "1.0",
        Version::Http11 => "1.1",
    };
    let mut text = format!("{} / HTTP/{version}\r\n", head.method());
    match content {
        Content::None => {}
        Content::Length(length) => {
            // A string takes whatever is written.
            let _ = write!(text, "content-length: {length}\r\n");
        }
        Content::Chunked => text.push_str("transfer-encoding: chunked\r\n"),
    }
    if !head.keeps_alive() {
        text.push_str("connection: close\r\n");
    }
    if head.expects_continue() {
        text.push_str("expect: 100-continue\r\n");
    }
    if head.takes_trailers() {
        text.push_str("te: trailers\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

impl Read for Lent<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_take(cx, buffer)
    }
}

impl Write for Lent<'_> {
    /// Takes everything, for hyper holds back while a flush is not done.
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut wire = self.0.borrow_mut();
        wire.written += bytes.len() as u64;
        let queued = wire.stream.queue(bytes).map_err(io::Error::other);
        Poll::Ready(queued.map(|()| bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_flush(cx)
    }

    /// The connection is ours to end: the next request may come over it.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
