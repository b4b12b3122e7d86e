//! Masking of payloads (RFC 6455 section 5.3).

/// Masks or unmasks `payload` in place: byte *i* of the frame's payload is combined with byte
/// *i* mod 4 of the masking key. `offset` is the index of `payload`'s first byte in the frame's
/// payload, so that a payload can be done piece by piece.
pub fn apply(mask: [u8; 4], offset: u64, payload: &mut [u8]) {
    let [a, b, c, d] = turned(mask, offset);
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    // Whole words in a plain loop: the compiler makes vector instructions of it.
    let (words, rest) = payload.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(word.to_ne_bytes()) {
        *byte ^= key;
    }
}

/// The masking key as seen from `offset` on.
const fn turned([a, b, c, d]: [u8; 4], offset: u64) -> [u8; 4] {
    match offset % 4 {
        0 => [a, b, c, d],
        1 => [b, c, d, a],
        2 => [c, d, a, b],
        _ => [d, a, b, c],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn byte_by_byte(mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, key)| byte ^ key)
            .collect()
    }

    #[test]
    fn masks_the_example_of_rfc_6455_section_5_7() {
        let mut payload = *b"Hello";
        apply(MASK, 0, &mut payload);
        assert_eq!(payload, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn any_two_pieces_give_what_the_whole_gives() {
        let plain: Vec<u8> = (0..100).collect();
        let expected = byte_by_byte(MASK, &plain);
        for boundary in 0..=plain.len() {
            let mut payload = plain.clone();
            let (left, right) = payload.split_at_mut(boundary);
            apply(MASK, 0, left);
            apply(MASK, boundary as u64, right);
            assert_eq!(payload, expected, "{boundary}");
        }
    }

    #[test]
    fn every_length_and_every_alignment_is_right() {
        for start in 0..16 {
            for length in 0..80 {
                let mut payload = vec![0x5a; start + length];
                apply(MASK, 0, &mut payload[start..]);
                assert_eq!(payload[start..], byte_by_byte(MASK, &vec![0x5a; length]));
                assert!(payload[..start].iter().all(|byte| *byte == 0x5a));
            }
        }
    }

    #[test]
    fn offset_may_lie_beyond_four_gibibytes() {
        let mut far = [0; 9];
        apply(MASK, (1 << 40) + 3, &mut far);
        let mut near = [0; 9];
        apply(MASK, 3, &mut near);
        assert_eq!(far, near);
    }
}
