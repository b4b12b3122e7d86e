//! What a backend sends, sealed: the payload as it streams, then the tag behind each frame or each
//! message. Nothing is held.

use super::{
    fault::Fault,
    opening::Units,
    transform::{Ends, Transform},
};
use crate::{
    frame::{Header, Opcode, Rules, Scanner},
    integrity::{Binding, Outcome, TAG_LENGTH, Tag, seal::Sealer, seal_message::MessageKind},
};

/// Seals the frames or the messages of a backend.
pub(crate) struct Seal {
    scanner: Scanner,
    sealer: Sealer,
    unit: Unit,
}

/// What carries a tag.
#[derive(Clone, Copy)]
enum Unit {
    /// Every frame (the frame binding).
    Frame,
    /// The last frame of every message (the message binding); of this kind is the present one.
    Message(MessageKind),
}

impl Seal {
    pub(super) fn new(binding: Binding, rules: Rules, sealer: Sealer) -> Self {
        Self {
            scanner: Scanner::new(rules),
            sealer,
            unit: match binding {
                Binding::Frame => Unit::Frame,
                // Until the first message begins.
                Binding::Message => Unit::Message(MessageKind::Binary),
            },
        }
    }

    pub(super) fn binding(&self) -> Binding {
        match self.unit {
            Unit::Frame => Binding::Frame,
            Unit::Message(_) => Binding::Message,
        }
    }

    pub(super) fn at_boundary(&self) -> bool {
        self.scanner.at_boundary()
    }

    pub(super) fn remaining(&self) -> u64 {
        self.scanner.remaining()
    }

    pub(super) fn sealer(&mut self) -> &mut Sealer {
        &mut self.sealer
    }

    /// A sealer has only sealed.
    pub(super) fn units(&self) -> Units {
        let mut units = Units::default();
        if let Some(count) = units.get_mut(Outcome::Sealed as usize) {
            *count = self.sealer.sequence();
        }
        units
    }

    /// The byte that the tag of a new unit begins with; `None` within a message.
    fn begin(&mut self, header: &Header) -> Option<u8> {
        let kind = match (self.unit, header.opcode) {
            (Unit::Frame, _) => return Some(header.first_byte()),
            (Unit::Message(_), Opcode::Text) => MessageKind::Text,
            (Unit::Message(_), Opcode::Binary) => MessageKind::Binary,
            (Unit::Message(_), _) => return None,
        };
        self.unit = Unit::Message(kind);
        Some(kind.b0())
    }
}

impl Unit {
    /// The length of the tag in a frame, in bytes.
    fn tag_length(self, header: &Header) -> usize {
        match self {
            Self::Frame => TAG_LENGTH,
            Self::Message(kind) if header.fin => kind.tag_length(),
            Self::Message(_) => 0,
        }
    }

    fn ends(self, ends: Ends) -> bool {
        match self {
            Self::Frame => ends.frame,
            Self::Message(_) => ends.message,
        }
    }

    fn append_tag(self, tag: &Tag, out: &mut Vec<u8>) {
        match self {
            Self::Frame => out.extend_from_slice(tag),
            Self::Message(kind) => kind.append_tag(tag, out),
        }
    }
}

impl Transform for Seal {
    fn scanner(&mut self) -> &mut Scanner {
        &mut self.scanner
    }

    fn header(&mut self, header: Header, out: &mut Vec<u8>) -> Result<(), Fault> {
        if let Some(b0) = self.begin(&header) {
            self.sealer.begin(b0);
        }
        // The limit on frames keeps the length far from overflowing.
        let tag = self.unit.tag_length(&header) as u64;
        let length = header.length.saturating_add(tag);
        out.extend_from_slice(Header { length, ..header }.encode().as_slice());
        Ok(())
    }

    fn payload(&mut self, bytes: &[u8], ends: Ends, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.sealer.update(bytes);
        out.extend_from_slice(bytes);
        if self.unit.ends(ends) {
            let tag = self.sealer.finish().map_err(|_| Fault::Exhausted)?;
            self.unit.append_tag(&tag, out);
        }
        Ok(())
    }
}
