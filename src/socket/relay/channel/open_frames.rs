//! The frame binding, opened: each frame is held until its tag is checked, then forwarded with a
//! header that is 32 bytes shorter and the mask that it came with.
//!
//! The mask is indexed from the start of the payload (RFC 6455 section 5.3), so what stands
//! before the tag stays valid as it is: nothing is masked a second time. What is held grows with
//! what arrives, whatever length the header announces.

use super::{
    fault::Fault,
    opening::{Opening, Units},
    transform::{Ends, Transform},
};
use crate::{
    frame::{Header, Rules, Scanner, mask},
    integrity::{Failure, TAG_LENGTH, Tag, seal::Opener},
};

/// Bytes that are unmasked at a time, to be hashed.
const SCRATCH: usize = 4096;
/// The same for small frames, which are not worth the clearing of the larger space.
const SMALL_SCRATCH: usize = 256;

/// Opens the frames of a client.
pub(crate) struct OpenFrames {
    scanner: Scanner,
    opening: Opening,
    unit: Option<Unit>,
    /// Whether a frame that is too short for a tag, and only reported, is being put out.
    passing: bool,
}

/// A frame whose tag has not been checked.
struct Unit {
    /// The header to forward: its length is that of the data, without the tag.
    header: Header,
    /// Bytes of payload that have come.
    come: u64,
    /// That header, and the masked data that came in earlier input; empty if all comes at once.
    held: Vec<u8>,
    tag: Tag,
}

impl OpenFrames {
    pub(super) fn new(rules: Rules, opening: Opening) -> Self {
        let rules = Rules {
            trailer: TAG_LENGTH as u64,
            ..rules
        };
        Self {
            scanner: Scanner::new(rules),
            opening,
            unit: None,
            passing: false,
        }
    }
}

impl Transform for OpenFrames {
    fn scanner(&mut self) -> &mut Scanner {
        &mut self.scanner
    }

    fn header(&mut self, header: Header, out: &mut Vec<u8>) -> Result<(), Fault> {
        let Some(length) = header.length.checked_sub(TAG_LENGTH as u64) else {
            self.opening.settle(Err(Failure::Missing))?;
            // Only reported: the frame goes on as it is.
            self.passing = true;
            out.extend_from_slice(header.encode().as_slice());
            return Ok(());
        };
        self.opening.opener.begin(header.first_byte());
        self.unit = Some(Unit {
            header: Header { length, ..header },
            come: 0,
            held: Vec::new(),
            tag: [0; TAG_LENGTH],
        });
        Ok(())
    }

    fn payload(&mut self, bytes: &[u8], ends: Ends, out: &mut Vec<u8>) -> Result<(), Fault> {
        let Some(unit) = &mut self.unit else {
            out.extend_from_slice(bytes);
            self.passing = !ends.frame;
            return Ok(());
        };
        let data = unit.take(bytes, &mut self.opening);
        if !ends.frame {
            unit.hold(data);
            return Ok(());
        }
        let verdict = self.opening.opener.verify(&unit.tag);
        self.opening.settle(verdict)?;
        unit.forward(data, out);
        self.unit = None;
        Ok(())
    }
}

impl OpenFrames {
    pub(super) fn opening(&mut self) -> &mut Opening {
        &mut self.opening
    }

    /// A frame that waits for its tag has not begun on the way out.
    pub(super) fn at_boundary(&self) -> bool {
        !self.passing
    }

    pub(super) fn remaining(&self) -> u64 {
        if self.passing {
            self.scanner.remaining()
        } else {
            0
        }
    }

    #[cfg(test)]
    pub(super) fn held_capacity(&self) -> usize {
        self.unit.as_ref().map_or(0, |unit| unit.held.capacity())
    }

    pub(super) fn units(&self) -> Units {
        self.opening.units
    }
}

impl Unit {
    /// Hashes what is data and keeps what is tag; returns the data, masked as it came.
    fn take<'a>(&mut self, bytes: &'a [u8], opening: &mut Opening) -> &'a [u8] {
        let length = self.header.length;
        let missing = usize::try_from(length.saturating_sub(self.come)).unwrap_or(usize::MAX);
        let (data, tag) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
        self.hash(data, opening);
        self.come += data.len() as u64;
        let place = usize::try_from(self.come.saturating_sub(length)).unwrap_or(TAG_LENGTH);
        for (kept, byte) in self.tag.iter_mut().skip(place).zip(tag) {
            *kept = *byte;
        }
        self.unmask_tag(place, tag.len());
        self.come += tag.len() as u64;
        data
    }

    fn hash(&self, data: &[u8], opening: &mut Opening) {
        match self.header.mask {
            None => opening.opener.update(data),
            Some(key) if data.len() <= SMALL_SCRATCH => {
                update_unmasked::<SMALL_SCRATCH>(&mut opening.opener, key, self.come, data);
            }
            Some(key) => update_unmasked::<SCRATCH>(&mut opening.opener, key, self.come, data),
        }
    }

    fn unmask_tag(&mut self, place: usize, length: usize) {
        if let (Some(key), Some(part)) = (self.header.mask, self.tag.get_mut(place..place + length))
        {
            mask::apply(key, self.header.length + place as u64, part);
        }
    }

    fn hold(&mut self, data: &[u8]) {
        if self.held.is_empty() {
            self.held.extend_from_slice(self.header.encode().as_slice());
        }
        self.held.extend_from_slice(data);
    }

    /// Puts out the frame, of which `data` is the last part.
    fn forward(&mut self, data: &[u8], out: &mut Vec<u8>) {
        if self.held.is_empty() {
            out.extend_from_slice(self.header.encode().as_slice());
            out.extend_from_slice(data);
            return;
        }
        self.held.extend_from_slice(data);
        if out.is_empty() {
            // A large frame changes hands, and is not copied.
            std::mem::swap(out, &mut self.held);
        } else {
            out.extend_from_slice(&self.held);
        }
    }
}

/// Hashes `data`, which is masked from place `offset` of its frame's payload on.
fn update_unmasked<const SIZE: usize>(opener: &mut Opener, key: [u8; 4], offset: u64, data: &[u8]) {
    let mut scratch = [0; SIZE];
    let mut place = offset;
    for piece in data.chunks(SIZE) {
        let Some(space) = scratch.get_mut(..piece.len()) else {
            return;
        };
        space.copy_from_slice(piece);
        mask::apply(key, place, space);
        opener.update(space);
        place += piece.len() as u64;
    }
}
