//! Finding the end of a head as its bytes come.

use super::error::{RequestError, malformed};

/// How large a head may be; 431 above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes, with the empty line that ends it: `limits.header`.
    pub bytes: usize,
    /// Fields: `limits.header_fields`.
    pub fields: usize,
}

/// Looks at every byte of a head once, however the bytes come, and refuses as soon as one
/// cannot belong to a head. One scanner serves one head.
#[derive(Clone, Debug)]
pub struct HeadScanner {
    limits: HeadLimits,
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

impl Default for HeadLimits {
    fn default() -> Self {
        Self {
            bytes: 32 * 1024,
            fields: 200,
        }
    }
}

impl HeadScanner {
    /// A scanner for one head.
    pub fn new(limits: HeadLimits) -> Self {
        Self {
            limits,
            scanned: 0,
            lines: 0,
            empty_line: false,
            at: At::default(),
            #[cfg(test)]
            examined: 0,
        }
    }

    /// Takes everything received since the head began, old bytes included; returns the length of
    /// the head once its end is there, `None` while it is not.
    pub fn find_end(&mut self, received: &[u8]) -> Option<Result<usize, RequestError>> {
        for byte in received.iter().take(self.limits.bytes).skip(self.scanned) {
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
        let most = self.limits.bytes;
        (self.scanned >= most).then(|| {
            let detail =
                format!("the header section does not end within the {most} bytes of limits.header");
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
        if self.lines > 1 + self.limits.fields {
            return Err(too_many_fields(self.limits));
        }
        Ok(At::LineStart)
    }
}

/// More fields than a head may have.
pub(crate) fn too_many_fields(limits: HeadLimits) -> RequestError {
    let most = limits.fields;
    let detail =
        format!("the header section has more than the {most} fields of limits.header_fields");
    RequestError::TooLarge(detail.into())
}
