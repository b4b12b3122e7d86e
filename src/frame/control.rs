//! Control frames (RFC 6455 section 5.5): small enough to be held whole.

use super::inline::InlineBytes;
use super::{Header, Opcode, close, mask};

/// Bytes that the payload of a control frame may have.
pub const PAYLOAD_MAX: usize = 125;

/// Bytes of the longest control frame: two, a masking key, the payload.
pub const FRAME_MAX: usize = 6 + PAYLOAD_MAX;

/// Bytes of the longest reason: what the code leaves of the payload.
pub const REASON_MAX: usize = PAYLOAD_MAX - 2;

/// A whole control frame, its payload unmasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlFrame {
    opcode: Opcode,
    reserved: u8,
    mask: Option<[u8; 4]>,
    payload: InlineBytes<PAYLOAD_MAX>,
}

/// The bytes of a control frame.
pub type EncodedControl = InlineBytes<FRAME_MAX>;

impl ControlFrame {
    /// A control frame with this payload; `None` if the opcode is one of data or the payload is
    /// over 125 bytes.
    pub fn new(opcode: Opcode, payload: &[u8]) -> Option<Self> {
        let fits = opcode.is_control() && payload.len() <= PAYLOAD_MAX;
        fits.then(|| Self::with(opcode, payload))
    }

    /// A Ping. Of a payload over 125 bytes the first 125 are taken.
    pub fn ping(payload: &[u8]) -> Self {
        Self::with(Opcode::Ping, payload)
    }

    /// A Pong. Of a payload over 125 bytes the first 125 are taken.
    pub fn pong(payload: &[u8]) -> Self {
        Self::with(Opcode::Pong, payload)
    }

    /// A Close. A reason over 123 bytes is cut between two characters. A code that may not be
    /// sent makes a Close without code and reason, which is what 1005 stands for.
    pub fn close(code: u16, reason: &str) -> Self {
        let mut frame = Self::with(Opcode::Close, &[]);
        if close::may_be_sent(code) {
            frame.payload.extend(&code.to_be_bytes());
            let reason = close::truncate(reason, REASON_MAX);
            frame.payload.extend(reason.as_bytes());
        }
        frame
    }

    /// The frame of a received header and its payload as it came, masked if the header says so.
    pub(super) fn received(header: Header, payload: &[u8]) -> Self {
        let mut frame = Self::with(header.opcode, payload);
        frame.reserved = header.reserved;
        frame.mask = header.mask;
        if let Some(mask) = header.mask {
            mask::apply(mask, 0, frame.payload.as_mut_slice());
        }
        frame
    }

    fn with(opcode: Opcode, payload: &[u8]) -> Self {
        let mut frame = ControlFrame {
            opcode,
            reserved: 0,
            mask: None,
            payload: InlineBytes::new(),
        };
        frame.payload.extend(payload);
        frame
    }

    /// Close, Ping or Pong.
    pub fn opcode(&self) -> Opcode {
        self.opcode
    }

    /// The payload, unmasked.
    pub fn payload(&self) -> &[u8] {
        self.payload.as_slice()
    }

    /// The masking key with which it was received; `None` for one that came unmasked or was made
    /// here.
    pub fn mask(&self) -> Option<[u8; 4]> {
        self.mask
    }

    /// The code of a Close; `None` if it has none, or the frame is a Ping or Pong.
    pub fn close_code(&self) -> Option<u16> {
        self.close_parts().map(|(code, _)| code)
    }

    /// The reason of a Close; empty if it has none or, in one that was not checked, is not UTF-8.
    pub fn close_reason(&self) -> &str {
        self.close_parts()
            .and_then(|(_, reason)| str::from_utf8(reason).ok())
            .unwrap_or_default()
    }

    fn close_parts(&self) -> Option<(u16, &[u8])> {
        let (code, reason) = self.payload().split_first_chunk()?;
        (self.opcode == Opcode::Close).then(|| (u16::from_be_bytes(*code), reason))
    }

    /// The frame's bytes, masked if there is a masking key. Encoded with the key that
    /// [`ControlFrame::mask`] returns, a received frame is byte for byte what was received.
    pub fn encode(&self, mask: Option<[u8; 4]>) -> EncodedControl {
        let mut payload = self.payload;
        if let Some(mask) = mask {
            mask::apply(mask, 0, payload.as_mut_slice());
        }
        let header = Header {
            fin: true,
            reserved: self.reserved,
            opcode: self.opcode,
            mask,
            length: payload.len() as u64,
        };
        let mut bytes = EncodedControl::new();
        bytes.extend(header.encode().as_slice());
        bytes.extend(payload.as_slice());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_of_rfc_6455_section_5_7_are_encoded_as_there() {
        let unmasked = ControlFrame::ping(b"Hello").encode(None);
        assert_eq!(unmasked.as_slice(), b"\x89\x05Hello");
        let masked = ControlFrame::pong(b"Hello").encode(Some([0x37, 0xfa, 0x21, 0x3d]));
        assert_eq!(
            masked.as_slice(),
            b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
        );
    }

    #[test]
    fn longest_control_frame_fits() {
        let frame = ControlFrame::new(Opcode::Ping, &[7; 125]).unwrap();
        assert_eq!(frame.encode(Some([1; 4])).len(), FRAME_MAX);
        assert_eq!(ControlFrame::new(Opcode::Ping, &[7; 126]), None);
        assert_eq!(ControlFrame::new(Opcode::Text, b""), None);
        assert_eq!(ControlFrame::ping(&[7; 300]), frame);
    }

    #[test]
    fn close_carries_code_and_reason() {
        let frame = ControlFrame::close(1001, "idle");
        assert_eq!(frame.close_code(), Some(1001));
        assert_eq!(frame.close_reason(), "idle");
        assert_eq!(frame.encode(None).as_slice(), b"\x88\x06\x03\xe9idle");
    }

    #[test]
    fn close_reason_is_cut_between_characters() {
        let frame = ControlFrame::close(1000, &"é".repeat(100));
        assert_eq!(frame.close_reason(), "é".repeat(61));
        assert_eq!(close::check(frame.payload()), Ok(()));
    }

    #[test]
    fn close_with_a_code_that_may_not_be_sent_has_none() {
        for code in [0, 999, 1005, 1006, 1015, 5000] {
            let frame = ControlFrame::close(code, "hidden");
            assert_eq!(frame.payload(), b"", "{code}");
            assert_eq!(frame.close_code(), None);
            assert_eq!(frame.close_reason(), "");
        }
    }

    #[test]
    fn ping_has_no_close_code_whatever_it_carries() {
        let frame = ControlFrame::ping(b"\x03\xe8bye");
        assert_eq!((frame.close_code(), frame.close_reason()), (None, ""));
    }
}
