//! A TLS connection over TCP: awaited by the stages in which one thing happens at a time (handshake,
//! request, refusal), polled where a request and its answer are streamed. The relay of a socket takes
//! it apart and drives both directions itself.

use super::{
    session::{Received, Session},
    words,
};
use crate::runtime::{buffers::Buffers, permits::Turnstile};
use rustls::ServerConfig;
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout_at},
};

/// How long a peer has to take note of the last bytes before its connection is cut.
const LINGER: Duration = Duration::from_secs(2);
/// Bytes that are read and thrown away meanwhile, at most: an upload that was under way when its
/// request was refused.
const LINGER_BYTES: usize = 16 << 20;

/// A TCP connection and its TLS session.
pub struct TlsStream {
    /// The transport.
    pub tcp: TcpStream,
    /// The session.
    pub session: Session,
    /// Records that leave together with the next data: a ticket, or what the socket did not take yet.
    queued: Vec<u8>,
}

/// Why reading or writing failed.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The transport broke or ended.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The peer broke TLS, or was not trusted.
    #[error("{}", words::of(.0))]
    Tls(#[from] rustls::Error),
}

impl TlsStream {
    /// Starts a session on a connection of which nothing was read yet; see [`Session::new`].
    pub fn new(
        tcp: TcpStream,
        config: Arc<ServerConfig>,
        exports: bool,
    ) -> Result<Self, rustls::Error> {
        Ok(Self {
            tcp,
            session: Session::new(config, exports)?,
            queued: Vec::new(),
        })
    }

    /// Runs the handshake to its end; `early` are bytes that were already read.
    ///
    /// Application data that came with the last flight is appended to `plain`. The computing is
    /// done in turns, see [`Turnstile`]. On an error the alert has been sent.
    pub async fn handshake(
        &mut self,
        early: &[u8],
        plain: &mut Vec<u8>,
        buffers: &Buffers,
        turnstile: &Turnstile,
    ) -> Result<(), StreamError> {
        let mut early = Some(early).filter(|early| !early.is_empty());
        while self.session.is_handshaking() {
            if early.is_none() {
                self.tcp.readable().await?;
            }
            let turn = turnstile.turn().await;
            let step = self.step(early.take(), plain, buffers);
            tokio::task::yield_now().await;
            drop(turn);
            let Some((reply, result)) = step? else {
                continue;
            };
            let open = matches!(result, Ok(Received::Open)) && self.session.is_open_as_tls13();
            if open && !plain.is_empty() {
                // The request is there already: its answer takes the ticket along.
                self.queued = reply;
            } else {
                self.tcp.write_all(&reply).await?;
            }
            // A close_notify right after a finished handshake is for the next stage to find.
            if result? == Received::Closed && self.session.is_handshaking() {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
        Ok(())
    }

    /// Reads once and processes what came: the reply to send, and how it went. `None`: nothing
    /// was there after all.
    #[allow(
        clippy::type_complexity,
        reason = "a pair used in one place, one screen above"
    )]
    fn step(
        &mut self,
        early: Option<&[u8]>,
        plain: &mut Vec<u8>,
        buffers: &Buffers,
    ) -> Result<Option<(Vec<u8>, Result<Received, rustls::Error>)>, StreamError> {
        let mut buffer = buffers.read();
        let kept = self.session.restore_partial(&mut buffer);
        let space = buffer.get_mut(kept..).unwrap_or_default();
        let count = match early {
            Some(early) => copy(early, space),
            None => match self.tcp.try_read(space) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error.into()),
            },
        };
        let mut reply = Vec::new();
        let input = buffer.get_mut(..kept + count).unwrap_or_default();
        let result = self.session.receive(input, plain, &mut reply);
        Ok(Some((reply, result)))
    }

    /// Waits for application data and appends it to `plain`; returns whether the peer may send more.
    pub async fn read(
        &mut self,
        plain: &mut Vec<u8>,
        buffers: &Buffers,
    ) -> Result<Received, StreamError> {
        let before = plain.len();
        loop {
            self.tcp.readable().await?;
            let Some((mut reply, result)) = self.step(None, plain, buffers)? else {
                continue;
            };
            if !reply.is_empty() {
                // Records leave in the order of their making.
                let mut records = std::mem::take(&mut self.queued);
                records.append(&mut reply);
                self.tcp.write_all(&records).await?;
            }
            if result? == Received::Closed {
                return Ok(Received::Closed);
            }
            if plain.len() > before {
                return Ok(Received::Open);
            }
        }
    }

    /// Sends application data whole.
    pub async fn write(&mut self, plain: &[u8], buffers: &Buffers) -> Result<(), StreamError> {
        let mut records = buffers.gather();
        records.append(&mut self.queued);
        self.session.encrypt(plain, &mut records)?;
        self.tcp.write_all(&records).await?;
        Ok(())
    }

    /// Processes what has come, and appends application data to `plain`; returns whether the peer may
    /// send more.
    pub fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        plain: &mut Vec<u8>,
        buffers: &Buffers,
    ) -> Poll<Result<Received, StreamError>> {
        let before = plain.len();
        loop {
            ready!(self.tcp.poll_read_ready(cx))?;
            let Some((mut reply, result)) = self.step(None, plain, buffers)? else {
                continue;
            };
            if !reply.is_empty() {
                self.queued.append(&mut reply);
                // What does not leave now leaves with the next flush.
                if let Poll::Ready(Err(error)) = self.poll_flush(cx) {
                    return Poll::Ready(Err(error.into()));
                }
            }
            if result? == Received::Closed {
                return Poll::Ready(Ok(Received::Closed));
            }
            if plain.len() > before {
                return Poll::Ready(Ok(Received::Open));
            }
        }
    }

    /// Encrypts application data after what waits to be sent; [`TlsStream::poll_flush`] sends it.
    pub fn queue(&mut self, plain: &[u8]) -> Result<(), rustls::Error> {
        self.session.encrypt(plain, &mut self.queued)
    }

    /// Sends what is queued; ready once the system has taken all of it.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut sent = 0;
        let result = loop {
            let rest = self.queued.get(sent..).unwrap_or_default();
            if rest.is_empty() {
                break Poll::Ready(Ok(()));
            }
            match Pin::new(&mut self.tcp).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => break Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => sent += count,
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
        };
        if result.is_ready() {
            // A connection that sleeps keeps no buffer.
            self.queued = Vec::new();
        } else {
            self.queued.drain(..sent);
        }
        result
    }

    /// Bytes of records that wait to be sent.
    pub fn queued(&self) -> usize {
        self.queued.len()
    }

    /// Ends the connection so that the peer can read all that was sent: `close_notify`, FIN, then
    /// a moment in which what it still sends is thrown away.
    pub async fn close(mut self) {
        let mut notify = std::mem::take(&mut self.queued);
        if self.session.close_notify(&mut notify).is_ok() && !notify.is_empty() {
            let deadline = Instant::now() + LINGER;
            let _ = timeout_at(deadline, self.tcp.write_all(&notify)).await;
        }
        linger(self.tcp).await;
    }
}

/// Ends a TCP connection so that the peer can read all that was sent: closing with unread input
/// would send RST, and the peer's system would throw our last bytes away.
pub async fn linger(mut tcp: TcpStream) {
    let deadline = Instant::now() + LINGER;
    if timeout_at(deadline, tcp.shutdown()).await.is_err() {
        return;
    }
    let mut scratch = vec![0; 8192];
    let mut left = LINGER_BYTES;
    while left > 0 {
        let Ok(Ok(())) = timeout_at(deadline, tcp.readable()).await else {
            return;
        };
        match tcp.try_read(&mut scratch) {
            Ok(0) => return,
            Ok(count) => left = left.saturating_sub(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let count = from.len().min(to.len());
    if let (Some(from), Some(to)) = (from.get(..count), to.get_mut(..count)) {
        to.copy_from_slice(from);
    }
    count
}
