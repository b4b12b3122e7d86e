//! A TLS connection over TCP, for the stages in which one thing happens at a time: handshake,
//! request, answer. The relay takes it apart and drives both directions itself.

use super::{
    session::{Received, Session},
    words,
};
use crate::runtime::{buffers::Buffers, permits::Turnstile};
use rustls::ServerConfig;
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{Instant, timeout_at},
};

/// How long a peer has to take note of the last bytes before its connection is cut.
const LINGER: Duration = Duration::from_secs(2);
/// Bytes that are read and thrown away meanwhile, at most.
const LINGER_BYTES: usize = 1 << 20;

/// A TCP connection and its TLS session.
pub struct TlsStream {
    /// The transport.
    pub tcp: TcpStream,
    /// The session.
    pub session: Session,
    /// A ticket that leaves together with the first answer.
    ticket: Vec<u8>,
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
            ticket: Vec::new(),
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
                self.ticket = reply;
            } else {
                self.tcp.write_all(&reply).await?;
            }
            // A close_notify right behind a finished handshake is for the next stage to find.
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
                let mut records = std::mem::take(&mut self.ticket);
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
        records.append(&mut self.ticket);
        self.session.encrypt(plain, &mut records)?;
        self.tcp.write_all(&records).await?;
        Ok(())
    }

    /// Ends the connection so that the peer can read all that was sent: `close_notify`, FIN, then
    /// a moment in which what it still sends is thrown away.
    pub async fn close(mut self) {
        let mut notify = std::mem::take(&mut self.ticket);
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
    let mut scratch = [0; 1024];
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
