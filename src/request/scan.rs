//! Finding the end of a head as its bytes come.

use super::error::{RequestError, malformed};

/// Most bytes of a head, with the empty line that ends it: 431 above it.
pub const MAX_HEAD: usize = 32 * 1024;
/// Most fields of a head: 431 above it.
pub const MAX_FIELDS: usize = 100;

/// Looks at every byte of a head once, however the bytes come, and refuses as soon as one
/// cannot belong to a head. One scanner serves one head.
#[derive(Clone, Debug, Default)]
pub struct HeadScanner {
    scanned: usize,
    /// Whole lines so far, the request line included.
    lines: usize,
    /// Whether an empty line came before the request line.
    empty_line: bool,
    at: At,
    #[cfg(test)]
    pub(crate) examined: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    LineStart,
    WithinLine,
    /// After the CR of a line that has something in it.
    LineEnd,
    /// After the CR of an empty line.
    HeadEnd,
}

impl HeadScanner {
    /// Takes everything received since the head began, old bytes included; returns the length of
    /// the head once its end is there, `None` while it is not.
    pub fn find_end(&mut self, received: &[u8]) -> Option<Result<usize, RequestError>> {
        for byte in received.iter().take(MAX_HEAD).skip(self.scanned) {
            self.scanned += 1;
            #[cfg(test)]
            {
                self.examined += 1;
            }
            match self.step(*byte) {
                Ok(false) => {}
                Ok(true) => return Some(Ok(self.scanned)),
                Err(error) => return Some(Err(error)),
            }
        }
        (self.scanned >= MAX_HEAD).then(|| {
            let detail = format!("the header section does not end within {MAX_HEAD} bytes");
            Err(RequestError::TooLarge(detail.into()))
        })
    }

    /// Whether the head ends with this byte.
    fn step(&mut self, byte: u8) -> Result<bool, RequestError> {
        self.at = match (self.at, byte) {
            (At::HeadEnd, b'\n') if self.lines == 0 => self.skip_empty_line()?,
            (At::HeadEnd, b'\n') => return Ok(true),
            (At::LineEnd, b'\n') => self.end_line()?,
            (_, b'\n') => {
                return malformed("a line ends with LF alone, not CRLF (RFC 9112 section 2.2)");
            }
            (At::LineEnd | At::HeadEnd, _) => {
                return malformed("a CR is not followed by LF (RFC 9112 section 2.2)");
            }
            (At::LineStart, b' ' | b'\t') => {
                return malformed("a line begins with white space (RFC 9112 section 5.2)");
            }
            (At::LineStart, b'\r') => At::HeadEnd,
            (At::WithinLine, b'\r') => At::LineEnd,
            (_, b'\t' | b' '..=b'~' | 0x80..) => At::WithinLine,
            (_, control) => {
                return malformed(format!(
                    "the header section has the control character 0x{control:02X} (RFC 9110 section 5.5)"
                ));
            }
        };
        Ok(false)
    }

    /// RFC 9112 section 2.2: a server passes over an empty line before a request; not over many.
    fn skip_empty_line(&mut self) -> Result<At, RequestError> {
        if std::mem::replace(&mut self.empty_line, true) {
            return malformed(
                "the request begins with more than one empty line (RFC 9112 section 2.2)",
            );
        }
        Ok(At::LineStart)
    }

    fn end_line(&mut self) -> Result<At, RequestError> {
        self.lines += 1;
        if self.lines > 1 + MAX_FIELDS {
            let detail = format!("the header section has more than {MAX_FIELDS} fields");
            return Err(RequestError::TooLarge(detail.into()));
        }
        Ok(At::LineStart)
    }
}
