//! Frames to pass.

use tidegate::frame::{Header, Opcode, mask};

/// What clients mask with here.
pub(crate) const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A binary frame: masked with `key`, or as a server sends it.
pub(crate) fn frame(key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        fin: true,
        reserved: 0,
        opcode: Opcode::Binary,
        mask: key,
        length: payload.len() as u64,
    };
    let mut payload = payload.to_vec();
    if let Some(key) = key {
        mask::apply(key, 0, &mut payload);
    }
    [header.encode().as_slice(), &payload].concat()
}
