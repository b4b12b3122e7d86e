//! A transport of raw bytes, heads and frames.

use super::{frame::Frame, request::switching, within};
use std::{fmt, io};
use tidegate::frame::Header;
use tidegate::frame::mask;
use tidegate::request::websocket;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// What a [`Wire`] runs over.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// One end of a connection. Everything that waits is bounded.
pub(crate) struct Wire {
    transport: Box<dyn Transport>,
    /// What was read and not yet asked for.
    received: Vec<u8>,
    /// The address of this end, for looking up log lines; none for a Unix socket.
    pub(crate) local: Option<std::net::SocketAddr>,
}

/// How the other end stopped sending.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// TLS `close_notify`, or FIN on a transport without TLS.
    Closed,
    /// FIN without `close_notify` (RFC 8446 section 6.1).
    Truncated,
    /// Anything else: a reset, an alert.
    Broken(String),
}

/// The head of a request or an answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) line: String,
    /// In their order, names as they came.
    pub(crate) fields: Vec<(String, String)>,
}

/// A head and the content behind it, up to the end of the connection.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) content: String,
    pub(crate) end: End,
}

impl Wire {
    /// Over any transport.
    pub(crate) fn new(
        transport: impl Transport + 'static,
        local: Option<std::net::SocketAddr>,
    ) -> Self {
        Self {
            transport: Box::new(transport),
            received: Vec::new(),
            local,
        }
    }

    /// Sends bytes whole.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).await.unwrap();
    }

    /// Sends bytes to an end that may have gone.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        within("sending", async {
            self.transport.write_all(bytes).await?;
            self.transport.flush().await
        })
        .await
    }

    /// Says that nothing more will be sent: `close_notify` over TLS, and FIN.
    pub(crate) async fn finish(&mut self) {
        // The other end may be gone already.
        let _ = within("finishing", self.transport.shutdown()).await;
    }

    /// Reads once; `Ok(0)` at the end.
    pub(crate) async fn read_more(&mut self) -> io::Result<usize> {
        within("reading", self.transport.read_buf(&mut self.received)).await
    }

    /// Bytes that were read and not yet asked for.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.received
    }

    /// Exactly that many bytes.
    pub(crate) async fn read_exact(&mut self, count: usize) -> Vec<u8> {
        while self.received.len() < count {
            let read = self.read_more().await.unwrap();
            assert_ne!(read, 0, "ended after {:?}", self.received.escape_ascii());
        }
        self.received.drain(..count).collect()
    }

    /// A head, up to its empty line.
    pub(crate) async fn read_head(&mut self) -> Head {
        let head = self.try_read_head().await;
        head.unwrap_or_else(|end| panic!("{end:?} instead of a head"))
    }

    /// A head, unless the connection ends before there is one.
    pub(crate) async fn try_read_head(&mut self) -> Result<Head, End> {
        loop {
            if let Some(at) = find(&self.received, b"\r\n\r\n") {
                let bytes: Vec<u8> = self.received.drain(..at + 4).collect();
                return Ok(Head::parse(&bytes));
            }
            match self.read_more().await {
                Ok(0) => return Err(End::Closed),
                Ok(_) => {}
                Err(error) => return Err(End::of(&error)),
            }
        }
    }

    /// A head, all that comes behind it, and how that ended.
    pub(crate) async fn read_answer(&mut self) -> Answer {
        let head = self.read_head().await;
        let (content, end) = self.read_to_end().await;
        let content = String::from_utf8(content).unwrap();
        Answer { head, content, end }
    }

    /// Everything up to the end, and how that was.
    pub(crate) async fn read_to_end(&mut self) -> (Vec<u8>, End) {
        let end = loop {
            match self.read_more().await {
                Ok(0) => break End::Closed,
                Ok(_) => {}
                Err(error) => break End::of(&error),
            }
        };
        (std::mem::take(&mut self.received), end)
    }

    /// A whole frame, unmasked if it was masked.
    pub(crate) async fn read_frame(&mut self) -> Frame {
        let frame = self.try_read_frame().await;
        frame.unwrap_or_else(|end| panic!("{end:?} instead of a frame"))
    }

    /// A whole frame, unless the connection ends before there is one.
    pub(crate) async fn try_read_frame(&mut self) -> Result<Frame, End> {
        loop {
            if let Some(frame) = self.take_frame() {
                return Ok(frame);
            }
            match self.read_more().await {
                Ok(0) => return Err(End::Closed),
                Ok(_) => {}
                Err(error) => return Err(End::of(&error)),
            }
        }
    }

    fn take_frame(&mut self) -> Option<Frame> {
        let (header, start) = Header::decode(&self.received)?.unwrap();
        let end = start + usize::try_from(header.length).unwrap();
        if self.received.len() < end {
            return None;
        }
        let raw: Vec<u8> = self.received.drain(..end).collect();
        let mut payload = raw[start..].to_vec();
        if let Some(key) = header.mask {
            mask::apply(key, 0, &mut payload);
        }
        Some(Frame {
            header,
            payload,
            raw,
        })
    }

    /// As a backend: reads the request and answers 101; returns the request.
    pub(crate) async fn accept_upgrade(&mut self) -> Head {
        let head = self.read_head().await;
        let answer = format!("{}\r\n", switching(&head.accept()));
        self.send(answer.as_bytes()).await;
        head
    }
}

impl End {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            _ => Self::Broken(error.to_string()),
        }
    }
}

impl Head {
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.trim_end_matches("\r\n").split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let field = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_owned(), value.trim().to_owned())
        };
        Self {
            line,
            fields: lines.map(field).collect(),
        }
    }

    /// The status of an answer.
    pub(crate) fn status(&self) -> u16 {
        self.line.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// The values of all fields of a name.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter();
        let named = named.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a field that is there once, or not at all.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} is there {} times", all.len());
        all.first().copied()
    }

    /// What `Sec-WebSocket-Accept` has to say to this request.
    pub(crate) fn accept(&self) -> String {
        websocket::accept_for(self.field("Sec-WebSocket-Key").unwrap_or_default())
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.line)?;
        self.fields
            .iter()
            .try_for_each(|(name, value)| writeln!(f, "{name}: {value}"))
    }
}

/// Where a pattern first stands.
fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes
        .windows(pattern.len())
        .position(|window| window == pattern)
}
