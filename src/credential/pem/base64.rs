//! Base64 (RFC 4648 section 4) that takes the same time whatever it holds: it may be a key.

use std::fmt;
use zeroize::Zeroizing;

/// Decodes line by line.
pub(super) struct Decoder {
    bytes: Zeroizing<Vec<u8>>,
    /// The characters that make no whole byte yet.
    bits: Zeroizing<u32>,
    /// How many characters were read.
    characters: usize,
    padding: usize,
}

/// Why a text is none.
pub(super) enum Fault {
    /// Another character than those of base64.
    Character,
    /// Characters after the padding.
    AfterPadding,
    /// It breaks off.
    Length,
}

impl Decoder {
    /// With all the room that a text of this length takes, so that no copy of a key is left behind
    /// by growing.
    pub(super) fn for_text_of(length: usize) -> Self {
        Self {
            bytes: Zeroizing::new(Vec::with_capacity(length / 4 * 3 + 3)),
            bits: Zeroizing::new(0),
            characters: 0,
            padding: 0,
        }
    }

    /// Reads a line, in which white space means nothing.
    pub(super) fn push(&mut self, line: &[u8]) -> Result<(), Fault> {
        for byte in line {
            match byte {
                byte if byte.is_ascii_whitespace() => {}
                b'=' => self.padding += 1,
                _ if self.padding > 0 => return Err(Fault::AfterPadding),
                byte => self.push_sextet(sextet(*byte).ok_or(Fault::Character)?),
            }
        }
        Ok(())
    }

    fn push_sextet(&mut self, sextet: u32) {
        *self.bits = *self.bits << 6 | sextet;
        self.characters += 1;
        if self.characters.is_multiple_of(4) {
            let [_, whole @ ..] = self.bits.to_be_bytes();
            self.bytes.extend_from_slice(&whole);
        }
    }

    /// What was read. Padding may be missing altogether, or is whole.
    pub(super) fn finish(mut self) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let left = self.characters % 4;
        let padded = self.padding == 0 || left + self.padding == 4;
        let [_, first, second, _] = match left {
            0 if self.padding == 0 => return Ok(self.bytes),
            2 if padded => (*self.bits << 12).to_be_bytes(),
            3 if padded => (*self.bits << 6).to_be_bytes(),
            _ => return Err(Fault::Length),
        };
        self.bytes.push(first);
        if left == 3 {
            self.bytes.push(second);
        }
        Ok(self.bytes)
    }
}

/// The six bits of a character: no table, no branch that depends on which.
fn sextet(character: u8) -> Option<u32> {
    let character = i32::from(character);
    // All ones where `low < character < high`.
    let within = |low: i32, high: i32| ((low - character) & (character - high)) >> 8;
    let value = (within(0x40, 0x5b) & (character - 64))
        + (within(0x60, 0x7b) & (character - 70))
        + (within(0x2f, 0x3a) & (character + 5))
        + (within(0x2a, 0x2c) & 63)
        + (within(0x2e, 0x30) & 64)
        - 1;
    u32::try_from(value).ok()
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Character => "a character that is none of base64's",
            Self::AfterPadding => "characters after its padding",
            Self::Length => "it breaks off, or its padding is wrong",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::base64::{Engine, engine::general_purpose::STANDARD};

    fn decoded(text: &[u8]) -> Option<Vec<u8>> {
        let mut decoder = Decoder::for_text_of(text.len());
        decoder.push(text).ok()?;
        decoder.finish().ok().map(|bytes| bytes.to_vec())
    }

    #[test]
    fn every_character_and_length_is_decoded_as_the_standard_says() {
        let all: Vec<u8> = (0..=255).collect();
        for length in 0..=all.len() {
            let bytes = &all[..length];
            let text = STANDARD.encode(bytes);
            assert_eq!(decoded(text.as_bytes()).as_deref(), Some(bytes));
            let bare = text.trim_end_matches('=');
            assert_eq!(decoded(bare.as_bytes()).as_deref(), Some(bytes));
        }
        for byte in 0..=255_u8 {
            let known = byte.is_ascii_alphanumeric() || b"+/".contains(&byte);
            assert_eq!(sextet(byte).is_some(), known, "{byte}");
        }
    }

    #[test]
    fn what_breaks_off_or_is_padded_wrongly_is_refused() {
        for text in ["A", "AAAAA", "AA=", "AAA==", "AAAA=", "AA==AA", "AA*A"] {
            assert_eq!(decoded(text.as_bytes()), None, "{text}");
        }
    }
}
