//! Bytes from the server → frames, each checked before it is handed on.

use super::ClientError;
use crate::{
    frame::{Event, Header, Opcode, Rules, Scanner, Violation},
    integrity::{Binding, Failure, TAG_LENGTH, seal::Opener},
};
use bytes::{Buf, BytesMut};

/// A frame with data, as it came or as it is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFrame {
    /// Text or binary for the first frame of a message, continuation for the others.
    pub opcode: Opcode,
    /// Whether it is the last of its message.
    pub last: bool,
    /// What it carries, unmasked and without a tag.
    pub payload: Vec<u8>,
}

/// A frame that obeys the rules and, on a sealed connection, is as it was sealed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Data(DataFrame),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// Code and reason, or nothing; not checked yet.
    Close(Vec<u8>),
}

/// The server's direction of a connection.
pub(super) struct Incoming {
    scanner: Scanner,
    /// `None`: the connection is not sealed.
    opener: Option<Opener>,
    input: BytesMut,
    /// The data frame of which a part has come.
    frame: Option<(Header, Vec<u8>)>,
}

impl Incoming {
    /// `limit` is for a message, in bytes and without tags.
    pub(super) fn new(limit: usize, opener: Option<Opener>) -> Self {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let sealed = opener.is_some();
        let rules = Rules {
            trailer: if sealed { TAG_LENGTH as u64 } else { 0 },
            sealed_close: sealed,
            ..Rules::for_server(limit, limit)
        };
        Self {
            scanner: Scanner::new(rules),
            opener,
            input: BytesMut::new(),
            frame: None,
        }
    }

    /// Takes bytes as they arrive.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The next whole frame; `None` if more bytes are needed. An error is final.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, ClientError> {
        loop {
            let (size, event) = self.scanner.next(&self.input)?;
            let finished = match event {
                None => {
                    self.input.advance(size);
                    return Ok(None);
                }
                Some(Event::Control(frame)) => {
                    self.input.advance(size);
                    return self.control(frame.opcode(), frame.payload()).map(Some);
                }
                Some(Event::DataHeader(header)) => {
                    self.frame = Some((header, Vec::new()));
                    false
                }
                Some(Event::DataPayload { finished }) => {
                    self.take(size);
                    finished
                }
            };
            self.input.advance(size);
            if finished && let Some((header, payload)) = self.frame.take() {
                return self.data(header, payload).map(Some);
            }
        }
    }

    fn take(&mut self, size: usize) {
        if let (Some((_, payload)), Some(bytes)) = (&mut self.frame, self.input.get(..size)) {
            payload.extend_from_slice(bytes);
        }
    }

    fn control(&mut self, opcode: Opcode, payload: &[u8]) -> Result<Frame, ClientError> {
        match (opcode, &mut self.opener) {
            (Opcode::Ping, _) => Ok(Frame::Ping(payload.to_vec())),
            (Opcode::Close, Some(opener)) => {
                let data = opener.open_close(Binding::Frame, payload)?;
                Ok(Frame::Close(data.to_vec()))
            }
            (Opcode::Close, None) => Ok(Frame::Close(payload.to_vec())),
            _ => Ok(Frame::Pong(payload.to_vec())),
        }
    }

    fn data(&mut self, header: Header, mut payload: Vec<u8>) -> Result<Frame, ClientError> {
        if let Some(opener) = &mut self.opener {
            let (data, tag) = payload.split_last_chunk().ok_or(Failure::Missing)?;
            opener.open(header.first_byte(), data, tag)?;
            let length = data.len();
            payload.truncate(length);
        }
        Ok(Frame::Data(DataFrame {
            opcode: header.opcode,
            last: header.fin,
            payload,
        }))
    }
}

impl From<Violation> for ClientError {
    fn from(violation: Violation) -> Self {
        Self::Protocol {
            code: violation.code(),
            problem: violation.sentence().to_owned(),
        }
    }
}
