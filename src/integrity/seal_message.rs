//! Whole messages of the message binding (section 4).

use super::{
    Failure, TAG_LENGTH, TAG_TEXT_LENGTH, Tag, base64url,
    seal::{Opener, SealError, Sealer},
};

/// What a message is, however it was fragmented on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// Its tag is written in base64url, so that the whole stays UTF-8.
    Text,
    /// Its tag is 32 bytes.
    Binary,
}

impl MessageKind {
    /// The byte that stands for the frame header in the tag: FIN and the opcode.
    pub const fn b0(self) -> u8 {
        match self {
            Self::Text => 0x81,
            Self::Binary => 0x82,
        }
    }

    /// The length of the tag after the data, in bytes.
    pub const fn tag_length(self) -> usize {
        match self {
            Self::Text => TAG_TEXT_LENGTH,
            Self::Binary => TAG_LENGTH,
        }
    }

    /// Appends a tag as this kind of message carries it.
    pub fn append_tag(self, tag: &Tag, out: &mut Vec<u8>) {
        match self {
            Self::Text => out.extend_from_slice(&base64url::encode_tag(tag)),
            Self::Binary => out.extend_from_slice(tag),
        }
    }
}

impl Sealer {
    /// Appends the sealed message to `out`: data, then tag. On an error `out` is as it was.
    pub fn seal_message(
        &mut self,
        kind: MessageKind,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SealError> {
        let tag = self.seal(kind.b0(), data)?;
        out.reserve(data.len() + kind.tag_length());
        out.extend_from_slice(data);
        kind.append_tag(&tag, out);
        Ok(())
    }
}

impl Opener {
    /// Checks a whole message: the length of its data, with which the payload begins. Whether a
    /// text's data is UTF-8 is for the caller to check. A message too short to hold a tag was
    /// not sealed, and does not count.
    pub fn open_message(&mut self, kind: MessageKind, payload: &[u8]) -> Result<usize, Failure> {
        let data = match kind {
            MessageKind::Text => self.open_with_text_tag(kind.b0(), payload)?,
            MessageKind::Binary => self.open_with_tag(kind.b0(), payload)?,
        };
        Ok(data.len())
    }

    pub(super) fn open_with_tag<'a>(
        &mut self,
        b0: u8,
        payload: &'a [u8],
    ) -> Result<&'a [u8], Failure> {
        let (data, tag) = payload.split_last_chunk().ok_or(Failure::Missing)?;
        self.open(b0, data, tag).map(|()| data)
    }

    pub(super) fn open_with_text_tag<'a>(
        &mut self,
        b0: u8,
        payload: &'a [u8],
    ) -> Result<&'a [u8], Failure> {
        let (data, text) = payload.split_last_chunk().ok_or(Failure::Missing)?;
        // Characters that stand for no tag count as a tag that does not match: all the same to
        // the sequence numbers, and to the peer.
        let tag = base64url::decode_tag(text);
        let verdict = self.open(b0, data, &tag.unwrap_or_default());
        tag.ok_or(Failure::Mismatch)?;
        verdict.map(|()| data)
    }
}
