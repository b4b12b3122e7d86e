//! Bytes in text: base64url without padding (RFC 4648 section 5).

use super::{TAG_LENGTH, TAG_TEXT_LENGTH, Tag};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

/// The text for bytes.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a text; `None` for padding, other characters, and stray bits at the end, so that
/// no two texts mean the same bytes. The result is zeroized on drop, since it may be a secret.
pub fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

/// The 32 bytes of a text of 43 characters; `None` as with [`decode`], and for any other length.
pub fn decode_32(text: &str) -> Option<[u8; 32]> {
    decode(text)?.as_slice().try_into().ok()
}

/// The 43 characters of a tag.
pub fn encode_tag(tag: &Tag) -> [u8; TAG_TEXT_LENGTH] {
    let mut text = [0; TAG_TEXT_LENGTH];
    let written = URL_SAFE_NO_PAD.encode_slice(tag, &mut text);
    debug_assert_eq!(written.ok(), Some(TAG_TEXT_LENGTH));
    text
}

/// The tag that 43 characters stand for; `None` if they stand for none.
pub fn decode_tag(text: &[u8; TAG_TEXT_LENGTH]) -> Option<Tag> {
    let mut tag = [0; TAG_LENGTH];
    let written = URL_SAFE_NO_PAD.decode_slice(text, &mut tag).ok()?;
    (written == TAG_LENGTH).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_foreign_characters_and_stray_bits_are_refused() {
        for text in [
            "AA==", "AAA=", "AA+A", "AA/A", "A", "AB", "AA A", "\u{e9}AA",
        ] {
            assert!(decode(text).is_none(), "{text}");
        }
        assert_eq!(decode("AA").unwrap().as_slice(), [0]);
    }

    #[test]
    fn tags_survive_their_text_and_no_other_text_means_the_same() {
        let tag = std::array::from_fn(|i| u8::try_from(i * 7).unwrap());
        let text = encode_tag(&tag);
        assert_eq!(decode_tag(&text), Some(tag));
        for (index, bit) in (0..TAG_TEXT_LENGTH).flat_map(|i| (0..8).map(move |b| (i, b))) {
            let mut changed = text;
            changed[index] ^= 1 << bit;
            assert_ne!(decode_tag(&changed), Some(tag), "byte {index} bit {bit}");
        }
    }

    #[test]
    fn thirty_two_bytes_are_all_that_decode_32_takes() {
        assert_eq!(decode_32(&encode(&[9; 32])), Some([9; 32]));
        assert_eq!(decode_32(&encode(&[9; 31])), None);
        assert_eq!(decode_32(&encode(&[9; 33])), None);
    }
}
