//! Where a request's content ends (RFC 9112 sections 6 and 7.1): a proxy that looks for the next
//! request anywhere else than its backend does is led to take one client's bytes for another's.

use super::{
    error::{RequestError, malformed, shown},
    field::{Field, Version},
    rules::values,
};

/// How a content is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// There is none.
    None,
    /// So many bytes, at least one.
    Length(u64),
    /// Chunks, and an empty one at the end.
    Chunked,
}

/// The content's framing by the fields of its head.
pub(crate) fn framing(version: Version, fields: &[Field<'_>]) -> Result<Content, RequestError> {
    let mut codings = values(fields, "Transfer-Encoding");
    let mut lengths = values(fields, "Content-Length");
    match (codings.next(), lengths.next()) {
        (None, None) => Ok(Content::None),
        (None, Some(length)) => match lengths.next() {
            None => length_of(length),
            Some(_) => {
                malformed("the request has more than one Content-Length (RFC 9112 section 6.3)")
            }
        },
        (Some(_), Some(_)) => malformed(
            "the request has both Content-Length and Transfer-Encoding (RFC 9112 section 6.1)",
        ),
        (Some(coding), None) => chunked(version, coding, codings.next().is_some()),
    }
}

fn length_of(value: &[u8]) -> Result<Content, RequestError> {
    match number(value) {
        Some(0) => Ok(Content::None),
        Some(length) => Ok(Content::Length(length)),
        None => malformed(format!(
            "the Content-Length {} is not a number of bytes (RFC 9110 section 8.6)",
            shown(value)
        )),
    }
}

/// A number in decimal digits and nothing else.
fn number(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| digits)?;
    text.parse().ok()
}

/// No coding but `chunked` is of use to both sides (RFC 9112 section 7), and other spellings of it are
/// how requests are smuggled.
fn chunked(version: Version, coding: &[u8], several: bool) -> Result<Content, RequestError> {
    if version == Version::Http10 {
        return malformed(
            "the request is HTTP/1.0 and has Transfer-Encoding (RFC 9112 section 6.1)",
        );
    }
    if several || !coding.eq_ignore_ascii_case(b"chunked") {
        return malformed(format!(
            "the Transfer-Encoding {} is not \"chunked\" alone (RFC 9112 section 6.1)",
            shown(coding)
        ));
    }
    Ok(Content::Chunked)
}

/// Follows a content to its end, however its bytes come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    at: At,
    /// Bytes of data so far, without the lines of chunks.
    data: u64,
    /// Bytes of trailer fields that may still come.
    trailer_room: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Behind the last byte.
    End,
    /// So many bytes are left.
    Length(u64),
    /// In the line of a chunk's size: its value and digits so far.
    Size(u64, u8),
    /// In a chunk's extension, which nobody reads.
    Extension(u64),
    /// After the CR of a size's line.
    SizeEnd(u64),
    /// So many bytes of the chunk are left.
    Data(u64),
    /// Before the CR after a chunk, and before its LF.
    DataCr,
    DataLf,
    /// At the start of a line of the trailer section, within one, after its CR, after the last CR.
    TrailerStart,
    Trailer,
    TrailerLf,
    LastLf,
}

/// Digits of a chunk's size: more do not fit 64 bits.
const SIZE_DIGITS: u8 = 16;

impl Extent {
    /// Of a content of which nothing came yet; its trailer section may have so many bytes.
    pub fn new(content: Content, trailer_room: usize) -> Self {
        let at = match content {
            Content::None => At::End,
            Content::Length(length) => At::Length(length),
            Content::Chunked => At::Size(0, 0),
        };
        Self {
            at,
            data: 0,
            trailer_room,
        }
    }

    /// Returns true if all of the content was taken.
    pub fn is_at_end(&self) -> bool {
        self.at == At::End
    }

    /// Bytes of data so far, without the framing of chunks.
    pub fn data(&self) -> u64 {
        self.data
    }

    /// Takes the next bytes; returns how many of them belong to the content.
    ///
    /// # Errors
    /// They break the framing of chunks (RFC 9112 section 7.1).
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, RequestError> {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            taken += match self.at {
                At::End => break,
                At::Length(left) => self.skip(left, rest.len(), At::End, At::Length),
                At::Data(left) => self.skip(left, rest.len(), At::DataCr, At::Data),
                _ => self.line(rest)?,
            };
        }
        Ok(taken)
    }

    /// Passes over data: what comes after it, or what is left of it.
    fn skip(&mut self, left: u64, here: usize, after: At, within: impl Fn(u64) -> At) -> usize {
        let count = usize::try_from(left).map_or(here, |left| left.min(here));
        self.data = self.data.saturating_add(count as u64);
        let left = left - count as u64;
        self.at = if left == 0 { after } else { within(left) };
        count
    }

    /// One byte of a line.
    fn line(&mut self, bytes: &[u8]) -> Result<usize, RequestError> {
        let Some(byte) = bytes.first().copied() else {
            return Ok(0);
        };
        self.at = match (self.at, byte) {
            (At::Size(size, digits), _) => within_size(size, digits, byte)?,
            (At::Extension(size), b'\r') => At::SizeEnd(size),
            (At::Extension(size), b'\t' | b' '..=b'~' | 0x80..) => {
                self.spend()?;
                At::Extension(size)
            }
            (At::SizeEnd(0) | At::TrailerLf, b'\n') => At::TrailerStart,
            (At::SizeEnd(size), b'\n') => At::Data(size),
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Size(0, 0),
            (At::TrailerStart, b'\r') => At::LastLf,
            (At::LastLf, b'\n') => At::End,
            (At::Trailer, b'\r') => At::TrailerLf,
            (At::TrailerStart, b'!'..=b'~') | (At::Trailer, b'\t' | b' '..=b'~' | 0x80..) => {
                self.spend()?;
                At::Trailer
            }
            _ => {
                return malformed(format!(
                    "the byte 0x{byte:02X} breaks the framing of a chunk (RFC 9112 section 7.1)"
                ));
            }
        };
        Ok(1)
    }

    /// Counts a byte that is neither data nor framing.
    fn spend(&mut self) -> Result<(), RequestError> {
        match self.trailer_room.checked_sub(1) {
            Some(left) => {
                self.trailer_room = left;
                Ok(())
            }
            None => Err(RequestError::TooLarge(
                "extensions of chunks and trailer fields are larger than limits.header".into(),
            )),
        }
    }
}

fn within_size(size: u64, digits: u8, byte: u8) -> Result<At, RequestError> {
    let digit = char::from(byte).to_digit(16);
    match (digit, byte) {
        (Some(digit), _) if digits < SIZE_DIGITS => {
            Ok(At::Size(size << 4 | u64::from(digit), digits + 1))
        }
        (None, b'\r') if digits > 0 => Ok(At::SizeEnd(size)),
        (None, b';') if digits > 0 => Ok(At::Extension(size)),
        _ => malformed("a chunk's size is not a hexadecimal number (RFC 9112 section 7.1)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 64;

    fn framed(version: Version, fields: &[(&str, &str)]) -> Result<Content, RequestError> {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| Field {
                name,
                value: value.as_bytes(),
            })
            .collect();
        framing(version, &fields)
    }

    #[test]
    fn a_content_is_framed_in_one_way_or_refused() {
        let (length, coding) = ("Content-Length", "Transfer-Encoding");
        let fine = |fields: &[(&str, &str)]| framed(Version::Http11, fields).unwrap();
        assert_eq!(fine(&[]), Content::None);
        assert_eq!(fine(&[(length, "0")]), Content::None);
        assert_eq!(fine(&[(length, "5")]), Content::Length(5));
        assert_eq!(fine(&[(coding, "Chunked")]), Content::Chunked);
        for fields in [
            &[(length, "5"), (length, "5")][..],
            &[(length, "5, 5")],
            &[(length, "+5")],
            &[(length, "0x5")],
            &[(length, "")],
            &[(length, "18446744073709551616")],
            &[(length, "5"), (coding, "chunked")],
            &[(coding, "chunked"), (length, "0")],
            &[(coding, "gzip, chunked")],
            &[(coding, "chunked, identity")],
            &[(coding, "identity")],
            &[(coding, "xchunked")],
            &[(coding, "chunked"), (coding, "chunked")],
            &[(coding, "")],
        ] {
            let error = framed(Version::Http11, fields).unwrap_err();
            assert!(matches!(error, RequestError::Malformed(_)), "{fields:?}");
        }
        assert!(framed(Version::Http10, &[(coding, "chunked")]).is_err());
    }

    /// Takes a text whole and byte by byte: the same bytes belong to the content.
    fn taken(content: Content, text: &[u8]) -> Result<(usize, bool, u64), RequestError> {
        let mut whole = Extent::new(content, ROOM);
        let result = whole.take(text);
        let mut pieces = Extent::new(content, ROOM);
        let each: Result<usize, _> = text
            .iter()
            .map(|byte| pieces.take(std::slice::from_ref(byte)))
            .sum();
        assert_eq!(result, each);
        Ok((result?, whole.is_at_end(), whole.data()))
    }

    #[test]
    fn a_content_ends_where_its_framing_says_and_what_follows_is_left() {
        let next = b"GET / HTTP/1.1\r\n";
        for (content, text, data) in [
            (Content::None, &b""[..], 0),
            (Content::Length(5), b"hello", 5),
            (Content::Chunked, b"0\r\n\r\n", 0),
            (Content::Chunked, b"5\r\nhello\r\n0\r\n\r\n", 5),
            (Content::Chunked, b"005;a=b\r\n0\r\n\r\n\r\n00\r\n\r\n", 5),
            (
                Content::Chunked,
                b"A\r\n0123456789\r\n0\r\nX: y\r\nZ: \r\n\r\n",
                10,
            ),
        ] {
            let both = [text, next].concat();
            let shown = text.escape_ascii();
            assert_eq!(
                taken(content, &both),
                Ok((text.len(), true, data)),
                "{shown}"
            );
        }
    }

    #[test]
    fn chunks_that_two_readers_could_read_differently_are_refused() {
        for text in [
            &b"\r\n"[..],
            b"x\r\n",
            b"-1\r\n",
            b"0x5\r\n",
            b" 5\r\n",
            b"5 \r\n",
            b"5\nhello\r\n",
            b"5\r\nhello0\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5\r\nhelloX\r\n",
            b"5;a\nb\r\n",
            b"11111111111111111\r\n",
            b"0\r\n\n",
            b"0\r\n X: y\r\n\r\n",
            b"0\r\nX: y\n\r\n",
            b"0\r\n\rX",
        ] {
            let found = taken(Content::Chunked, text);
            assert!(
                matches!(found, Err(RequestError::Malformed(_))),
                "{found:?} {}",
                text.escape_ascii()
            );
        }
    }

    #[test]
    fn extensions_and_trailers_have_a_bound() {
        let long = format!("5;{}\r\n", "x".repeat(ROOM + 1));
        let found = taken(Content::Chunked, long.as_bytes());
        assert!(matches!(found, Err(RequestError::TooLarge(_))));
        let long = format!("0\r\nX: {}\r\n\r\n", "y".repeat(ROOM));
        let found = taken(Content::Chunked, long.as_bytes());
        assert!(matches!(found, Err(RequestError::TooLarge(_))));
    }
}
