//! The frame header (RFC 6455 section 5.2): its bytes to a value and back.

use super::inline::InlineBytes;
use super::{Opcode, Violation};

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
const LENGTH_OF_16_BITS: u8 = 126;
const LENGTH_OF_64_BITS: u8 = 127;

/// The header of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether the frame is the last of its message.
    pub fin: bool,
    /// The bits RSV1 (`0x40`), RSV2 (`0x20`) and RSV3 (`0x10`), where they stand in the byte.
    pub reserved: u8,
    /// What the frame is for.
    pub opcode: Opcode,
    /// The masking key; `None` if the payload is not masked.
    pub mask: Option<[u8; 4]>,
    /// Bytes of payload, less than 2^63.
    pub length: u64,
}

/// The bytes of a header.
pub type EncodedHeader = InlineBytes<{ Header::MAX }>;

/// Why no header could be read: too little input, or a rule was broken.
enum Halt {
    Short,
    Broken(Violation),
}

impl Header {
    /// Bytes of the longest header: two, a length of 64 bits, a masking key.
    pub const MAX: usize = 14;

    /// Reads the header at the start of `input`; returns it and the bytes it takes. `None`: it
    /// goes on beyond `input`. What RFC 6455 forbids whoever the sender is, and whatever was sent
    /// before, is refused with the first byte that shows it.
    #[inline]
    pub fn decode(input: &[u8]) -> Option<Result<(Header, usize), Violation>> {
        match Self::read(input) {
            Ok(found) => Some(Ok(found)),
            Err(Halt::Broken(violation)) => Some(Err(violation)),
            Err(Halt::Short) => None,
        }
    }

    /// The header's bytes, its length in as few as it needs.
    pub fn encode(&self) -> EncodedHeader {
        let mut bytes = EncodedHeader::new();
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        match (u8::try_from(self.length), u16::try_from(self.length)) {
            (Ok(length @ ..LENGTH_OF_16_BITS), _) => {
                bytes.extend(&[self.first_byte(), masked | length]);
            }
            (_, Ok(length)) => {
                bytes.extend(&[self.first_byte(), masked | LENGTH_OF_16_BITS]);
                bytes.extend(&length.to_be_bytes());
            }
            _ => {
                bytes.extend(&[self.first_byte(), masked | LENGTH_OF_64_BITS]);
                bytes.extend(&self.length.to_be_bytes());
            }
        }
        bytes.extend(self.mask.as_ref().map_or(&[], <[u8; 4]>::as_slice));
        bytes
    }

    /// How many bytes [`Header::encode`] returns: 2 to 14.
    pub const fn encoded_length(&self) -> usize {
        let length = match self.length {
            0..=125 => 2,
            126..=0xffff => 4,
            _ => 10,
        };
        length + if self.mask.is_some() { 4 } else { 0 }
    }

    /// The first byte: FIN, the reserved bits and the opcode.
    pub const fn first_byte(&self) -> u8 {
        let fin = if self.fin { FIN } else { 0 };
        fin | (self.reserved & RESERVED) | self.opcode.to_u8()
    }

    /// Reads a header's first byte alone: the opcode is known, and a control frame whole
    /// (RFC 6455 sections 5.2 and 5.5).
    #[inline]
    pub(super) fn decode_first(first: u8) -> Result<Opcode, Violation> {
        match Opcode::from_u8(first & OPCODE) {
            None => Err(Violation::UnknownOpcode),
            Some(opcode) if opcode.is_control() && first & FIN == 0 => {
                Err(Violation::ControlFragmented)
            }
            Some(opcode) => Ok(opcode),
        }
    }

    /// The reserved bits of a header's first byte.
    pub(super) const fn reserved_of(first: u8) -> u8 {
        first & RESERVED
    }

    /// Whether a header's second byte announces a masking key.
    pub(super) const fn masked(second: u8) -> bool {
        second & MASKED != 0
    }

    #[inline]
    fn read(input: &[u8]) -> Result<(Header, usize), Halt> {
        let (&first, rest) = input.split_first().ok_or(Halt::Short)?;
        let opcode = Self::decode_first(first)?;
        let (&second, rest) = rest.split_first().ok_or(Halt::Short)?;
        let (length, rest) = read_length(opcode, second & LENGTH, rest)?;
        let (mask, rest) = read_mask(Self::masked(second), rest)?;
        let header = Header {
            fin: first & FIN != 0,
            reserved: Self::reserved_of(first),
            opcode,
            mask,
            length,
        };
        Ok((header, input.len() - rest.len()))
    }
}

/// Reads the payload length, of which `short` are the seven bits in the header's second byte:
/// in as few bytes as it needs, top bit 0, at most 125 in a control frame (RFC 6455 sections
/// 5.2 and 5.5).
#[inline]
fn read_length(opcode: Opcode, short: u8, rest: &[u8]) -> Result<(u64, &[u8]), Halt> {
    match short {
        ..LENGTH_OF_16_BITS => Ok((short.into(), rest)),
        _ if opcode.is_control() => Err(Violation::ControlTooLong.into()),
        LENGTH_OF_16_BITS => {
            let (bytes, rest) = rest.split_first_chunk().ok_or(Halt::Short)?;
            let length = u16::from_be_bytes(*bytes);
            if length < LENGTH_OF_16_BITS.into() {
                return Err(Violation::LengthNotMinimal.into());
            }
            Ok((length.into(), rest))
        }
        _ => read_long_length(rest),
    }
}

fn read_long_length(rest: &[u8]) -> Result<(u64, &[u8]), Halt> {
    if rest.first().is_some_and(|byte| byte & 0x80 != 0) {
        return Err(Violation::LengthTopBit.into());
    }
    if rest.starts_with(&[0; 6]) {
        return Err(Violation::LengthNotMinimal.into());
    }
    let (bytes, rest) = rest.split_first_chunk().ok_or(Halt::Short)?;
    Ok((u64::from_be_bytes(*bytes), rest))
}

#[inline]
fn read_mask(masked: bool, rest: &[u8]) -> Result<(Option<[u8; 4]>, &[u8]), Halt> {
    if !masked {
        return Ok((None, rest));
    }
    let (mask, rest) = rest.split_first_chunk().ok_or(Halt::Short)?;
    Ok((Some(*mask), rest))
}

impl From<Violation> for Halt {
    fn from(violation: Violation) -> Self {
        Halt::Broken(violation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: [u64; 9] = [
        0,
        1,
        125,
        126,
        127,
        0xffff,
        0x1_0000,
        0x1234_5678_9abc,
        (1 << 63) - 1,
    ];

    fn headers() -> impl Iterator<Item = Header> {
        let masks = [None, Some([1, 2, 3, 4])];
        Opcode::ALL.into_iter().flat_map(move |opcode| {
            LENGTHS.into_iter().flat_map(move |length| {
                masks.into_iter().flat_map(move |mask| {
                    (0..8).map(move |bits| Header {
                        fin: length % 2 == 0 || opcode.is_control(),
                        reserved: bits << 4,
                        opcode,
                        mask,
                        length: length.min(if opcode.is_control() { 125 } else { length }),
                    })
                })
            })
        })
    }

    #[test]
    fn decoding_gives_back_what_was_encoded_and_waits_for_its_last_byte() {
        for header in headers() {
            let mut bytes = header.encode().as_slice().to_vec();
            assert_eq!(bytes.len(), header.encoded_length());
            for end in 0..bytes.len() {
                assert_eq!(Header::decode(&bytes[..end]), None, "{header:?} to {end}");
            }
            let size = bytes.len();
            bytes.extend([0xff; 20]);
            assert_eq!(Header::decode(&bytes), Some(Ok((header, size))));
        }
    }

    #[test]
    fn decodes_the_examples_of_rfc_6455_section_5_7() {
        let examples: [(&[u8], bool, Opcode, u64); 4] = [
            (b"\x81\x05", true, Opcode::Text, 5),
            (b"\x01\x03", false, Opcode::Text, 3),
            (b"\x82\x7e\x01\x00", true, Opcode::Binary, 256),
            (
                b"\x82\x7f\0\0\0\0\0\x01\0\0",
                true,
                Opcode::Binary,
                0x0001_0000,
            ),
        ];
        for (bytes, fin, opcode, length) in examples {
            let header = Header {
                fin,
                reserved: 0,
                opcode,
                mask: None,
                length,
            };
            assert_eq!(Header::decode(bytes), Some(Ok((header, bytes.len()))));
        }
    }

    #[test]
    fn a_broken_header_is_refused_with_the_first_byte_that_shows_it() {
        let cases: [(&[u8], Violation); 9] = [
            (b"\x83", Violation::UnknownOpcode),
            (b"\x8f", Violation::UnknownOpcode),
            (b"\x09", Violation::ControlFragmented),
            (b"\x88\x7e", Violation::ControlTooLong),
            (b"\x8a\xff", Violation::ControlTooLong),
            (b"\x81\x7e\x00\x7d", Violation::LengthNotMinimal),
            (b"\x82\xfe\x00\x00", Violation::LengthNotMinimal),
            (b"\x82\x7f\0\0\0\0\0\0", Violation::LengthNotMinimal),
            (b"\x82\xff\x80", Violation::LengthTopBit),
        ];
        for (bytes, violation) in cases {
            let before = &bytes[..bytes.len() - 1];
            assert_eq!(Header::decode(before), None, "{bytes:x?}");
            let longer = [bytes, &[0xff; 12]].concat();
            assert_eq!(Header::decode(bytes), Some(Err(violation)), "{bytes:x?}");
            assert_eq!(Header::decode(&longer), Some(Err(violation)), "{bytes:x?}");
        }
    }
}
