//! The receiving half of a WebSocket: messages, or the frames that they came in.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, ReadBuf, ReadHalf},
    time::Instant,
};

use super::{
    error::ClientError,
    incoming::{DataFrame, Frame, Incoming},
    transport::Transport,
    writer::Writer,
};
use crate::{
    frame::{Opcode, close},
    integrity::Failure,
};

/// How long answering a Close may take.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes that are read at once.
const READ_SIZE: usize = 16 * 1024;

/// What arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// The answer to a ping, or one that nobody asked for.
    Pong(Vec<u8>),
    /// The server's Close, which has been answered; the last event.
    Closed(Option<CloseFrame>),
}

/// What arrives, frame by frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// A message or a fragment of one. A text was not checked to be UTF-8.
    Data(DataFrame),
    /// The answer to a ping, or one that nobody asked for.
    Pong(Vec<u8>),
    /// The server's Close, which has been answered; the last to arrive.
    Closed(Option<CloseFrame>),
}

/// What a Close says (RFC 6455 section 5.5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// The code.
    pub code: u16,
    /// The reason; may be empty.
    pub reason: String,
}

/// The half that receives, and answers pings and the Close while it is awaited.
pub struct WebSocketReceiver {
    transport: ReadHalf<Box<dyn Transport>>,
    read: Box<[u8]>,
    incoming: Incoming,
    writer: Writer,
    message: Option<Message>,
    phase: Phase,
}

/// A message of which the last fragment has not come yet.
struct Message {
    is_text: bool,
    bytes: Vec<u8>,
}

enum Phase {
    Open,
    /// A Close waits to be written, until the deadline; then the last is returned.
    Closing {
        last: Result<Arrived, ClientError>,
        deadline: Instant,
    },
    Ended,
}

impl WebSocketReceiver {
    pub(super) fn new(
        transport: ReadHalf<Box<dyn Transport>>,
        incoming: Incoming,
        writer: Writer,
    ) -> Self {
        Self {
            transport,
            read: vec![0; READ_SIZE].into(),
            incoming,
            writer,
            message: None,
            phase: Phase::Open,
        }
    }

    /// Waits for the next event; giving up waiting loses nothing. After the last: `Closed`.
    pub async fn next(&mut self) -> Result<Event, ClientError> {
        loop {
            let frame = match self.next_frame().await? {
                Arrived::Data(frame) => frame,
                Arrived::Pong(bytes) => return Ok(Event::Pong(bytes)),
                Arrived::Closed(close) => return Ok(Event::Closed(close)),
            };
            match self.collect(frame) {
                Ok(Some(event)) => return Ok(event),
                Ok(None) => {}
                // What is left to do is to close towards the server; `next_frame` does.
                Err(error) => self.fail(error),
            }
        }
    }

    /// As [`WebSocketReceiver::next`], but fragments are given as they come. A connection is read
    /// either by frames or by events.
    pub async fn next_frame(&mut self) -> Result<Arrived, ClientError> {
        while matches!(self.phase, Phase::Open) {
            match self.incoming.next() {
                Ok(Some(frame)) => {
                    if let Some(arrived) = self.accept(frame) {
                        return Ok(arrived);
                    }
                }
                Ok(None) => {
                    let filled = std::future::poll_fn(|context| self.poll_fill(context));
                    if let Err(error) = filled.await {
                        self.phase = Phase::Ended;
                        return Err(error);
                    }
                }
                Err(error) => self.fail(error),
            }
        }
        self.finish().await
    }

    /// What is to be returned for a frame.
    fn accept(&mut self, frame: Frame) -> Option<Arrived> {
        match frame {
            Frame::Data(frame) => return Some(Arrived::Data(frame)),
            Frame::Pong(bytes) => return Some(Arrived::Pong(bytes)),
            Frame::Ping(bytes) => self.writer.answer_ping(bytes),
            Frame::Close(payload) => match parse_close(&payload) {
                Ok(close) => self.end(Ok(Arrived::Closed(close)), &payload),
                Err(error) => self.fail(error),
            },
        }
        None
    }

    /// Reads what there is. Answers pings meanwhile.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        let mut buffer = ReadBuf::new(&mut self.read);
        let reading = Pin::new(&mut self.transport).poll_read(context, &mut buffer);
        if reading.is_pending() {
            // A failure shows itself in reading too, and says more there.
            let _ = self.writer.poll_flush(context);
        }
        ready!(reading).map_err(ClientError::from_io)?;
        if buffer.filled().is_empty() {
            return Poll::Ready(Err(ClientError::Ended));
        }
        self.incoming.push(buffer.filled());
        Poll::Ready(Ok(()))
    }

    /// Puts fragments together (RFC 6455 section 5.4).
    fn collect(&mut self, frame: DataFrame) -> Result<Option<Event>, ClientError> {
        let message = match self.message.take() {
            // The scanner sees to it that frames follow each other as they may, and to the limit.
            None => Message {
                is_text: frame.opcode == Opcode::Text,
                bytes: frame.payload,
            },
            Some(mut message) => {
                message.bytes.extend_from_slice(&frame.payload);
                message
            }
        };
        if !frame.last {
            self.message = Some(message);
            return Ok(None);
        }
        if !message.is_text {
            return Ok(Some(Event::Binary(message.bytes)));
        }
        let text = String::from_utf8(message.bytes);
        text.map(|text| Some(Event::Text(text)))
            .map_err(|_| ClientError::Protocol {
                code: close::INVALID_FRAME_PAYLOAD_DATA,
                problem: "text that is not UTF-8".to_owned(),
            })
    }

    /// Ends the connection for what the server did.
    fn fail(&mut self, error: ClientError) {
        let payload = match &error {
            ClientError::Protocol { code, .. } => code.to_be_bytes().to_vec(),
            ClientError::Integrity(failure) => close_for(*failure),
            _ => Vec::new(),
        };
        self.end(Err(error), &payload);
    }

    fn end(&mut self, last: Result<Arrived, ClientError>, close: &[u8]) {
        self.writer.close(close);
        self.phase = Phase::Closing {
            last,
            deadline: Instant::now() + CLOSE_TIMEOUT,
        };
    }

    /// Writes the Close, and returns the last. The connection is over; that its end cannot be
    /// written changes nothing.
    async fn finish(&mut self) -> Result<Arrived, ClientError> {
        if let Phase::Closing { deadline, .. } = self.phase {
            let _ = tokio::time::timeout_at(deadline, self.writer.finish()).await;
        }
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Closing { last, .. } => last,
            Phase::Open | Phase::Ended => Err(ClientError::Closed),
        }
    }
}

/// The payload of the Close that section 7 asks for.
fn close_for(failure: Failure) -> Vec<u8> {
    let reason = failure.to_string();
    [&close::POLICY_VIOLATION.to_be_bytes(), reason.as_bytes()].concat()
}

/// RFC 6455 sections 5.5.1 and 7.4.
fn parse_close(payload: &[u8]) -> Result<Option<CloseFrame>, ClientError> {
    close::check(payload)?;
    Ok(payload
        .split_first_chunk()
        .map(|(code, reason)| CloseFrame {
            code: u16::from_be_bytes(*code),
            reason: String::from_utf8_lossy(reason).into_owned(),
        }))
}
