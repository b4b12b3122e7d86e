//! The message binding, sealed: fragments stream as they come, and the last one carries the tag
//! of the whole message.

use super::{Ends, Fault, Transform, Units, seal_frames::sealed_units};
use crate::{
    frame::{Header, Opcode, Rules, Scanner},
    integrity::{seal::Sealer, seal_message::MessageKind},
};

/// Seals the messages of a backend.
pub(in crate::connection::relay) struct SealMessages {
    scanner: Scanner,
    sealer: Sealer,
    kind: MessageKind,
}

impl SealMessages {
    pub(super) fn new(rules: Rules, sealer: Sealer) -> Self {
        let scanner = Scanner::new(rules);
        Self {
            scanner,
            sealer,
            kind: MessageKind::Binary,
        }
    }
}

impl Transform for SealMessages {
    fn scanner(&mut self) -> &mut Scanner {
        &mut self.scanner
    }

    fn header(&mut self, header: Header, out: &mut Vec<u8>) -> Result<(), Fault> {
        let kind = match header.opcode {
            Opcode::Text => Some(MessageKind::Text),
            Opcode::Binary => Some(MessageKind::Binary),
            _ => None,
        };
        if let Some(kind) = kind {
            self.kind = kind;
            self.sealer.begin(kind.b0());
        }
        let tag = if header.fin {
            self.kind.tag_length()
        } else {
            0
        };
        // The limit on frames keeps the length far from overflowing.
        let length = header.length.saturating_add(tag as u64);
        out.extend_from_slice(Header { length, ..header }.encode().as_slice());
        Ok(())
    }

    fn payload(&mut self, octets: &[u8], ends: Ends, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.sealer.update(octets);
        out.extend_from_slice(octets);
        if ends.message {
            let tag = self.sealer.finish().map_err(|_| Fault::Exhausted)?;
            self.kind.append_tag(&tag, out);
        }
        Ok(())
    }
}

impl SealMessages {
    pub(super) fn at_border(&self) -> bool {
        self.scanner.at_border()
    }

    pub(super) fn remaining(&self) -> u64 {
        self.scanner.remaining()
    }

    pub(super) fn sealer(&mut self) -> &mut Sealer {
        &mut self.sealer
    }

    pub(super) fn units(&self) -> Units {
        sealed_units(&self.sealer)
    }
}
