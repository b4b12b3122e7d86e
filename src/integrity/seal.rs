//! Tags (section 4), made and checked as the bytes pass: one pass over the data, nothing held.
//!
//! A [`Sealer`] and an [`Opener`] each serve one direction of one connection. They are small (a
//! pointer and a counter; the hash state is on the heap), so that idle connections stay cheap and
//! moving one leaves no copy of the key behind.

use super::{Algorithm, Failure, Tag};
use hmac::{HmacReset, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

/// Seals the units of one direction, in the order in which they are sent.
#[derive(Debug)]
pub struct Sealer(Tagger);

/// Checks the units of one direction, in the order in which they arrive.
#[derive(Debug)]
pub struct Opener(Tagger);

/// Why a unit cannot be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// No unit was begun.
    #[error("no unit was begun")]
    NotBegun,
    /// The direction has had 2^64 - 1 units: under the next number a tag could be replayed.
    #[error("the sequence numbers of this direction are used up")]
    Exhausted,
    /// A Close of the message binding carries a code (section 4).
    #[error("a Close of the message binding needs a code")]
    CodeMissing,
}

struct Tagger {
    hash: Box<Hash>,
    sequence: u64,
    begun: bool,
}

// Both variants go back to their start in place, where their `Drop` zeroizes them: a state that
// is moved out instead would leave its bytes behind.
enum Hash {
    Sha256(Sha256),
    HmacSha256(HmacReset<Sha256>),
}

impl Sealer {
    /// A sealer for `sha-256`.
    pub fn sha256() -> Self {
        Self(Tagger::new(Hash::Sha256(Sha256::new())))
    }

    /// A sealer for `hmac-sha-256` under the traffic key of its direction.
    pub fn hmac_sha256(key: &[u8; 32]) -> Self {
        Self(Tagger::new(keyed(key)))
    }

    /// Begins a unit. `b0` is the first byte of the frame's header as sent, or, with the message
    /// binding, [`MessageKind::b0`](super::seal_message::MessageKind::b0). A unit that was begun
    /// and not finished is forgotten, and its number used for this one.
    pub fn begin(&mut self, b0: u8) {
        self.0.begin(b0);
    }

    /// Takes the next bytes of the unit's data, in pieces of any size.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// Ends the unit: the tag to send after its data.
    pub fn finish(&mut self) -> Result<Tag, SealError> {
        self.0.finish()
    }

    /// The tag of a unit whose data is at hand.
    pub fn seal(&mut self, b0: u8, data: &[u8]) -> Result<Tag, SealError> {
        self.begin(b0);
        self.update(data);
        self.finish()
    }

    /// The units sealed so far.
    pub fn sequence(&self) -> u64 {
        self.0.sequence
    }

    #[cfg(test)]
    pub(super) fn set_sequence(&mut self, sequence: u64) {
        self.0.sequence = sequence;
    }
}

impl Opener {
    /// An opener for `sha-256`.
    pub fn sha256() -> Self {
        Self(Tagger::new(Hash::Sha256(Sha256::new())))
    }

    /// An opener for `hmac-sha-256` under the traffic key of its direction.
    pub fn hmac_sha256(key: &[u8; 32]) -> Self {
        Self(Tagger::new(keyed(key)))
    }

    /// The algorithm under which this direction is sealed. Under `hmac-sha-256` an end without a
    /// sealed Close is abnormal (section 7).
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }

    /// Begins a unit, as [`Sealer::begin`] does.
    pub fn begin(&mut self, b0: u8) {
        self.0.begin(b0);
    }

    /// Takes the next bytes of the unit's data: unmasked, and without its tag.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// Ends the unit: whether `tag` is its tag, compared in constant time. A unit counts whether
    /// or not it matches; one that was never begun never does.
    pub fn verify(&mut self, tag: &Tag) -> Result<(), Failure> {
        let expected = self.0.finish().map_err(|_| Failure::Mismatch)?;
        if bool::from(expected.ct_eq(tag)) {
            Ok(())
        } else {
            Err(Failure::Mismatch)
        }
    }

    /// Checks a unit whose data is at hand.
    pub fn open(&mut self, b0: u8, data: &[u8], tag: &Tag) -> Result<(), Failure> {
        self.begin(b0);
        self.update(data);
        self.verify(tag)
    }

    /// The units checked so far.
    pub fn sequence(&self) -> u64 {
        self.0.sequence
    }

    #[cfg(test)]
    pub(super) fn set_sequence(&mut self, sequence: u64) {
        self.0.sequence = sequence;
    }
}

impl Tagger {
    fn new(hash: Hash) -> Self {
        Self {
            hash: Box::new(hash),
            sequence: 0,
            begun: false,
        }
    }

    fn algorithm(&self) -> Algorithm {
        match *self.hash {
            Hash::Sha256(_) => Algorithm::Sha256,
            Hash::HmacSha256(_) => Algorithm::HmacSha256,
        }
    }

    fn begin(&mut self, b0: u8) {
        if self.begun {
            self.hash.reset();
        }
        self.begun = true;
        if let Hash::HmacSha256(mac) = &mut *self.hash {
            let mut prefix = [b0; 9];
            prefix
                .iter_mut()
                .zip(self.sequence.to_be_bytes())
                .for_each(|(to, from)| *to = from);
            mac.update(&prefix);
        }
    }

    fn update(&mut self, data: &[u8]) {
        match &mut *self.hash {
            Hash::Sha256(hash) => Digest::update(hash, data),
            Hash::HmacSha256(mac) => mac.update(data),
        }
    }

    fn finish(&mut self) -> Result<Tag, SealError> {
        if !std::mem::take(&mut self.begun) {
            self.hash.reset();
            return Err(SealError::NotBegun);
        }
        let tag = self.hash.finalize_reset();
        self.sequence = self.sequence.checked_add(1).ok_or(SealError::Exhausted)?;
        Ok(tag)
    }
}

impl Hash {
    fn reset(&mut self) {
        match self {
            Self::Sha256(hash) => Digest::reset(hash),
            Self::HmacSha256(mac) => mac.reset(),
        }
    }

    fn finalize_reset(&mut self) -> Tag {
        match self {
            Self::Sha256(hash) => hash.finalize_reset().into(),
            Self::HmacSha256(mac) => mac.finalize_reset().into_bytes().into(),
        }
    }
}

fn keyed(key: &[u8; 32]) -> Hash {
    // A key of at most one block is padded with zeros to the block (RFC 2104 section 2), so that
    // this is the MAC under these 32 bytes, by the constructor that cannot fail.
    let mut block = zeroize::Zeroizing::new([0; 64]);
    for (padded, byte) in block.iter_mut().zip(key) {
        *padded = *byte;
    }
    Hash::HmacSha256(HmacReset::new((&*block).into()))
}

impl fmt::Debug for Tagger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} after {} units", self.algorithm(), self.sequence)
    }
}
