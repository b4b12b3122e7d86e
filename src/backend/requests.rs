//! Connections to servers that carry one plain request after the other, and those that wait for their
//! next one, which a worker keeps for itself.

use crate::{backend::stream::BackendStream, runtime::workers};
use bytes::Bytes;
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// Connections that wait for each server, at most.
const KEPT_MOST: usize = 64;
/// How long one waits. A server that hangs up earlier is noticed, or its request is made again.
const KEPT_FOR: Duration = Duration::from_mins(1);
/// Bytes of an answer's header section, at most.
const HEAD_MAX: usize = 64 * 1024;
/// Fields of an answer, at most.
const FIELDS_MAX: usize = 256;

/// The content of a request for a server.
#[derive(Debug)]
pub enum Content {
    /// None.
    Empty,
    /// What a client sends, as it comes.
    Streamed(Incoming),
}

/// A connection to a server, for one request at a time.
pub type Sender = http1::SendRequest<Content>;

/// The connections of a worker that wait for a request, by their server's address, the last used last.
#[derive(Default)]
pub struct Pool(RefCell<HashMap<Arc<str>, Vec<Waiting>>>);

struct Waiting {
    sender: Sender,
    since: Instant,
}

/// Makes a connection ready for requests; it is served beside the caller until it ends.
pub async fn begin(stream: BackendStream) -> hyper::Result<Sender> {
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_MAX)
        .max_headers(FIELDS_MAX)
        // Servers of the small kind compare names to the letter.
        .title_case_headers(true)
        .handshake(TokioIo::new(Patient {
            stream,
            is_deaf: false,
        }))
        .await?;
    workers::spawn_beside(async move {
        // How it ends is told to the request that it carries.
        let _ = connection.await;
    });
    Ok(sender)
}

/// A connection to a server that may answer before it has read all of a request, and hang up: what it
/// no longer takes is thrown away, for its answer may be there to be read (RFC 9112 section 9.5).
struct Patient {
    stream: BackendStream,
    is_deaf: bool,
}

impl Patient {
    fn heard(&mut self, result: io::Result<usize>, length: usize) -> io::Result<usize> {
        let hung_up = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
        match result {
            Err(error) if hung_up.contains(&error.kind()) => {
                self.is_deaf = true;
                Ok(length)
            }
            other => other,
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_deaf {
            return Poll::Ready(Ok(bytes.len()));
        }
        let result = ready!(Pin::new(&mut this.stream).poll_write(cx, bytes));
        Poll::Ready(this.heard(result, bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = ready!(Pin::new(&mut this.stream).poll_flush(cx));
        Poll::Ready(this.heard(result.map(|()| 0), 0).map(drop))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl Pool {
    /// A connection to the server of this address that waits, the one used last.
    pub fn take(&self, address: &str) -> Option<Sender> {
        let mut pool = self.0.borrow_mut();
        let waiting = pool.get_mut(address)?;
        waiting.retain(Waiting::may_be_used);
        let ready = waiting.iter().rposition(|it| it.sender.is_ready())?;
        Some(waiting.remove(ready).sender)
    }

    /// Keeps a connection for the next request.
    pub fn keep(&self, address: &Arc<str>, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let mut pool = self.0.borrow_mut();
        let waiting = pool.entry(address.clone()).or_default();
        if waiting.len() < KEPT_MOST {
            let since = Instant::now();
            waiting.push(Waiting { sender, since });
        }
    }

    /// Lets go of connections that have ended, or have waited for long enough.
    pub fn sweep(&self) {
        self.0.borrow_mut().retain(|_, waiting| {
            waiting.retain(Waiting::may_be_used);
            !waiting.is_empty()
        });
    }
}

impl Waiting {
    fn may_be_used(&self) -> bool {
        !self.sender.is_closed() && self.since.elapsed() < KEPT_FOR
    }
}

impl Content {
    /// What a client sends with a request.
    pub fn of(content: Incoming) -> Self {
        if content.is_end_stream() {
            Self::Empty
        } else {
            Self::Streamed(content)
        }
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Streamed(content) => Pin::new(content).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Streamed(content) => content.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Streamed(content) => content.size_hint(),
        }
    }
}
