//! The frame binding, sealed: a header that is 32 octets longer, the payload as it streams, then
//! the tag. Nothing is held.

use super::{Ends, Fault, Transform, Units};
use crate::{
    frame::{Header, Rules, Scanner},
    integrity::{Outcome, TAG_LENGTH, seal::Sealer},
};

/// Seals the frames of a backend.
pub(in crate::connection::relay) struct SealFrames {
    scanner: Scanner,
    sealer: Sealer,
}

impl SealFrames {
    pub(super) fn new(rules: Rules, sealer: Sealer) -> Self {
        Self {
            scanner: Scanner::new(rules),
            sealer,
        }
    }
}

impl Transform for SealFrames {
    fn scanner(&mut self) -> &mut Scanner {
        &mut self.scanner
    }

    fn header(&mut self, header: Header, out: &mut Vec<u8>) -> Result<(), Fault> {
        // The limit on frames keeps the length far from overflowing.
        let length = header.length.saturating_add(TAG_LENGTH as u64);
        let sealed = Header { length, ..header };
        self.sealer.begin(sealed.first_octet());
        out.extend_from_slice(sealed.encode().as_slice());
        Ok(())
    }

    fn payload(&mut self, octets: &[u8], ends: Ends, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.sealer.update(octets);
        out.extend_from_slice(octets);
        if ends.frame {
            let tag = self.sealer.finish().map_err(|_| Fault::Exhausted)?;
            out.extend_from_slice(&tag);
        }
        Ok(())
    }
}

impl SealFrames {
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

/// A sealer has only sealed.
pub(super) fn sealed_units(sealer: &Sealer) -> Units {
    let mut units = Units::default();
    if let Some(count) = units.get_mut(Outcome::Sealed as usize) {
        *count = sealer.sequence();
    }
    units
}
