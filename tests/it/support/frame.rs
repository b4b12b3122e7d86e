//! Frames as bytes, valid or not.

use tidegate::frame::{Header, Opcode, mask};

/// The masking key of every masked frame here; any is as good.
pub(crate) const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame as it was read, its payload unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) header: Header,
    pub(crate) payload: Vec<u8>,
    /// Its bytes as they came.
    pub(crate) raw: Vec<u8>,
}

impl Frame {
    pub(crate) fn opcode(&self) -> Opcode {
        self.header.opcode
    }

    /// The code of a Close, if it has one.
    pub(crate) fn close_code(&self) -> Option<u16> {
        let (code, _) = self.payload.split_first_chunk::<2>()?;
        (self.header.opcode == Opcode::Close).then(|| u16::from_be_bytes(*code))
    }

    /// The reason of a Close.
    pub(crate) fn close_reason(&self) -> &str {
        std::str::from_utf8(self.payload.get(2..).unwrap_or_default()).unwrap()
    }
}

/// A text from a client.
pub(crate) fn text(text: &str) -> Vec<u8> {
    masked(Opcode::Text, text.as_bytes())
}

/// A binary message from a client.
pub(crate) fn binary(bytes: &[u8]) -> Vec<u8> {
    masked(Opcode::Binary, bytes)
}

/// A Close from a client.
pub(crate) fn close(code: u16, reason: &str) -> Vec<u8> {
    masked(Opcode::Close, &close_payload(code, reason))
}

/// The payload of a Close.
pub(crate) fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

/// A whole message in one masked frame, as clients send it.
pub(crate) fn masked(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    build(true, 0, opcode, Some(MASK), payload)
}

/// A whole message in one frame without mask, as backends send it.
pub(crate) fn plain(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    build(true, 0, opcode, None, payload)
}

/// Any frame: `reserved` are the bits where they stand in the first byte (RSV1 is `0x40`).
pub(crate) fn build(
    fin: bool,
    reserved: u8,
    opcode: Opcode,
    mask: Option<[u8; 4]>,
    payload: &[u8],
) -> Vec<u8> {
    let header = Header {
        fin,
        reserved,
        opcode,
        mask,
        length: payload.len() as u64,
    };
    let mut bytes = header.encode().as_slice().to_vec();
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    if let Some(key) = mask {
        mask::apply(key, 0, &mut bytes[start..]);
    }
    bytes
}
