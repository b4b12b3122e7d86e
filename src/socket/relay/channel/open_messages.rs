//! The message binding, opened: a message is put together within the limit, checked, and
//! forwarded as one frame.

use super::{
    fault::Fault,
    opening::{Opening, Units},
    transform::{Ends, Transform},
};
use crate::{
    frame::{Header, Opcode, Rules, Scanner, Violation, mask},
    integrity::{TAG_TEXT_LENGTH, seal_message::MessageKind},
};

/// Opens the messages of a client.
pub(crate) struct OpenMessages {
    scanner: Scanner,
    opening: Opening,
    /// Bytes of data that a frame may have.
    frame_limit: u64,
    /// Bytes of data that a message may have.
    message_limit: u64,
    message: Option<Message>,
}

/// A message that is being put together.
struct Message {
    kind: MessageKind,
    /// The header of the frame under way.
    header: Header,
    /// Bytes of that frame's payload that have come.
    come: u64,
    /// The payload so far, unmasked; grows with what arrives.
    payload: Vec<u8>,
    /// Where in the payload the first frame begins that keeps to the limit only if a part of it
    /// is tag.
    large: Option<usize>,
}

impl OpenMessages {
    pub(super) fn new(rules: Rules, opening: Opening) -> Self {
        Self {
            frame_limit: rules.frame_limit,
            message_limit: rules.message_limit,
            scanner: Scanner::new(with_room_for_tag(rules)),
            opening,
            message: None,
        }
    }
}

impl Transform for OpenMessages {
    fn scanner(&mut self) -> &mut Scanner {
        &mut self.scanner
    }

    fn header(&mut self, header: Header, _: &mut Vec<u8>) -> Result<(), Fault> {
        match (&mut self.message, kind_of(header.opcode)) {
            (Some(message), _) => {
                message.header = header;
                message.come = 0;
            }
            (None, Some(kind)) => {
                self.message = Some(Message {
                    kind,
                    header,
                    come: 0,
                    payload: Vec::new(),
                    large: None,
                });
            }
            // The scanner lets no continuation through without a start.
            (None, None) => {}
        }
        if let Some(message) = &mut self.message
            && header.length > self.frame_limit
        {
            message.large.get_or_insert(message.payload.len());
        }
        Ok(())
    }

    fn payload(&mut self, bytes: &[u8], ends: Ends, out: &mut Vec<u8>) -> Result<(), Fault> {
        if let Some(message) = &mut self.message {
            message.append(bytes);
        }
        if ends.message {
            self.deliver(out)
        } else {
            Ok(())
        }
    }
}

impl OpenMessages {
    fn deliver(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let Some(Message {
            kind,
            header,
            mut payload,
            large,
            ..
        }) = self.message.take()
        else {
            return Ok(());
        };
        let opened = self.opening.opener.open_message(kind, &payload);
        self.opening.settle(opened.map(|_| ()))?;
        let data = opened.unwrap_or_else(|_| reported(kind, &payload));
        payload.truncate(data);
        self.check_limits(payload.len(), large)?;
        if kind == MessageKind::Text && std::str::from_utf8(&payload).is_err() {
            return Err(Fault::NotUtf8);
        }
        forward(kind, header, &mut payload, out);
        Ok(())
    }

    /// The limits count data: what is tag is known only now that the message is whole.
    ///
    /// Of the frames that are too large with what they have of the tag, the first one decides:
    /// if its data is within the limit, it holds the first byte of the tag.
    fn check_limits(&self, data: usize, large: Option<usize>) -> Result<(), Violation> {
        let of_large = large.map_or(0, |start| data.saturating_sub(start));
        if of_large as u64 > self.frame_limit {
            Err(Violation::FrameTooLarge)
        } else if data as u64 > self.message_limit {
            Err(Violation::MessageTooLarge)
        } else {
            Ok(())
        }
    }

    pub(super) fn opening(&mut self) -> &mut Opening {
        &mut self.opening
    }

    #[cfg(test)]
    pub(super) fn held_capacity(&self) -> usize {
        self.message
            .as_ref()
            .map_or(0, |message| message.payload.capacity())
    }

    pub(super) fn units(&self) -> Units {
        self.opening.units
    }
}

impl Message {
    fn append(&mut self, bytes: &[u8]) {
        let start = self.payload.len();
        self.payload.extend_from_slice(bytes);
        if let (Some(key), Some(part)) = (self.header.mask, self.payload.get_mut(start..)) {
            mask::apply(key, self.come, part);
        }
        self.come += bytes.len() as u64;
    }
}

/// One frame with the whole message, masked with the key of the message's last frame.
fn forward(kind: MessageKind, last: Header, payload: &mut [u8], out: &mut Vec<u8>) {
    let opcode = match kind {
        MessageKind::Text => Opcode::Text,
        MessageKind::Binary => Opcode::Binary,
    };
    let header = Header {
        fin: true,
        reserved: 0,
        opcode,
        mask: last.mask,
        length: payload.len() as u64,
    };
    if let Some(key) = header.mask {
        mask::apply(key, 0, payload);
    }
    out.extend_from_slice(header.encode().as_slice());
    out.extend_from_slice(payload);
}

/// The length of what is forwarded of a payload whose tag is only reported not to match. One that
/// was never sealed may be in the middle of a character where its tag would begin.
fn reported(kind: MessageKind, payload: &[u8]) -> usize {
    let within = |place: usize| payload.get(place).is_some_and(|byte| byte & 0xc0 == 0x80);
    payload
        .len()
        .checked_sub(kind.tag_length())
        .filter(|end| kind == MessageKind::Binary || !within(*end))
        .unwrap_or(payload.len())
}

fn kind_of(opcode: Opcode) -> Option<MessageKind> {
    match opcode {
        Opcode::Text => Some(MessageKind::Text),
        Opcode::Binary => Some(MessageKind::Binary),
        Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => None,
    }
}

/// Limits for messages that carry one tag each, of either kind.
fn with_room_for_tag(rules: Rules) -> Rules {
    let tag = TAG_TEXT_LENGTH as u64;
    Rules {
        frame_limit: rules.frame_limit.saturating_add(tag),
        message_limit: rules.message_limit.saturating_add(tag),
        ..rules
    }
}
