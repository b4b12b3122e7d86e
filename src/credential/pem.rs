//! PEM (RFC 7468), whole or not at all: every line `BEGIN` and `END` belongs to a block that comes
//! out, or is an error that names the line.
//!
//! Readers of PEM commonly pass over what they do not understand. Of files that decide who may come
//! in, that loses a CA or a revocation list without a word. Understood beside RFC 7468: a byte
//! order mark, indentation, any line ends, blocks joined without a line break between them, the
//! labels of OpenSSL, and text around the blocks.

mod base64;
mod label;
mod marker;

pub use label::Label;
use marker::{Found, Marker, Side};
use std::fmt;
use zeroize::Zeroizing;

/// A block of a file.
pub struct Block {
    /// The line that it begins in, counted from 1.
    pub line: usize,
    /// What it says that it is.
    pub label: Label,
    /// Whether it is encrypted by headers of its own (RFC 1421 section 4.6.1.1).
    pub encrypted: bool,
    /// What it holds, overwritten when dropped: it may be a key.
    pub der: Zeroizing<Vec<u8>>,
}

/// What is wrong with a file. Nothing of what stands in a block is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, counted from 1.
    pub line: usize,
    /// What was found there.
    pub message: String,
    /// What was expected, or what to do next.
    pub hint: String,
}

/// A block whose end has not been seen.
struct Open<'a> {
    line: usize,
    name: &'a [u8],
    label: Label,
    /// Where its content begins.
    start: usize,
}

/// Every block of a file, in its order; none if there is no line `BEGIN`.
pub fn blocks(text: &[u8]) -> Result<Vec<Block>, Problem> {
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
        let hint = "convert it, for example with `iconv -f UTF-16 -t UTF-8`";
        return Err(Problem::new(1, "the file is UTF-16", hint));
    }
    let mut blocks = Vec::new();
    let mut open: Option<Open<'_>> = None;
    for line in lines(text) {
        let mut rest = line;
        while let Some(marker) = next_marker(&rest, open.is_some())? {
            let end = marker.start;
            match (marker.side, open.take()) {
                (Side::Begin, None) => open = Some(begin(&rest, &marker)?),
                (Side::End, Some(begun)) => {
                    blocks.push(close(text, &begun, &marker, rest.number, end)?);
                }
                (Side::Begin, Some(begun)) => return Err(begun.has_no_end(rest.number)),
                (Side::End, None) => return Err(no_begin(&marker, rest.number)),
            }
            rest = rest.after(marker.end);
        }
    }
    match open {
        Some(begun) => Err(begun.is_cut_off()),
        None => Ok(blocks),
    }
}

/// Whether a file begins as DER does: a SEQUENCE whose length has several bytes.
pub fn is_der(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x81..=0x84, ..])
}

/// A line, or what is left of it.
#[derive(Clone, Copy)]
struct Line<'a> {
    number: usize,
    /// Where `text` begins in the file.
    start: usize,
    text: &'a [u8],
    /// Whether a marker stands before it.
    joined: bool,
}

impl Line<'_> {
    /// What is left after a place of the file.
    fn after(&self, place: usize) -> Self {
        Self {
            start: place,
            joined: true,
            text: self.text.get(place - self.start..).unwrap_or_default(),
            ..*self
        }
    }
}

/// The lines of a text, each with its place: LF, CR LF and CR alone end one.
fn lines(text: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    let mut number = 0;
    std::iter::from_fn(move || {
        let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
        let length = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let length = length.unwrap_or(rest.len());
        let (line, ending) = rest.split_at_checked(length)?;
        number += 1;
        let found = Line {
            number,
            start,
            text: line,
            joined: false,
        };
        start += length + if ending.starts_with(b"\r\n") { 2 } else { 1 };
        Some(found)
    })
}

/// The next line `BEGIN` or `END` within a line; an error for what only resembles one.
fn next_marker<'a>(line: &Line<'a>, within: bool) -> Result<Option<Marker<'a>>, Problem> {
    match marker::find(line.text) {
        Found::Nothing if within || !line.joined || marker::is_blank(line.text) => Ok(None),
        Found::Nothing => {
            let hint = "expected a line break after END; delete what stands there";
            Err(Problem::new(line.number, "text stands after an END", hint))
        }
        Found::Like => Err(resembles(line.number)),
        Found::Marker(marker) => {
            let before = line.text.get(..marker.start).unwrap_or_default();
            if within || marker::is_blank(before) {
                return Ok(Some(marker.moved(line.start)));
            }
            let hint =
                "expected it to begin its line; to leave a block out of a file, delete all of it";
            Err(Problem::new(
                line.number,
                format!("text stands before {}", marker.shown()),
                hint,
            ))
        }
    }
}

fn resembles(line: usize) -> Problem {
    let message = "this resembles a BEGIN or END of PEM and is none";
    let hint = "expected five hyphens on each side, one space and a label in capitals, as in -----BEGIN CERTIFICATE-----";
    Problem::new(line, message, hint)
}

fn begin<'a>(line: &Line<'a>, marker: &Marker<'a>) -> Result<Open<'a>, Problem> {
    let label = Label::of(marker.name).ok_or_else(|| {
        let (message, hint) = label::unknown(marker.name);
        Problem::new(line.number, message, hint)
    })?;
    Ok(Open {
        line: line.number,
        name: marker.name,
        label,
        start: marker.end,
    })
}

fn no_begin(marker: &Marker<'_>, line: usize) -> Problem {
    let hint = "a block is cut off before it; replace the file by a whole one";
    Problem::new(line, format!("{} has no BEGIN", marker.shown()), hint)
}

fn close(
    text: &[u8],
    begun: &Open<'_>,
    marker: &Marker<'_>,
    line: usize,
    end: usize,
) -> Result<Block, Problem> {
    if marker.name != begun.name {
        return Err(begun.ends_as_another(marker, line));
    }
    let content = text.get(begun.start..end).unwrap_or_default();
    let (encrypted, der) = decode(content, begun)?;
    Ok(Block {
        line: begun.line,
        label: begun.label,
        encrypted,
        der,
    })
}

/// The headers and the base64 between `BEGIN` and `END`.
fn decode(content: &[u8], begun: &Open<'_>) -> Result<(bool, Zeroizing<Vec<u8>>), Problem> {
    let mut decoder = base64::Decoder::for_text_of(content.len());
    let mut encrypted = false;
    let mut in_headers = true;
    let mut continues = false;
    for line in lines(content) {
        let number = begun.line + line.number - 1;
        // RFC 1421 section 4.6: headers come before the first line of base64, and an indented line
        // continues the one before it.
        let indented = line.text.first().is_some_and(u8::is_ascii_whitespace);
        if in_headers && (line.text.contains(&b':') || (continues && indented)) {
            encrypted |= is_encrypting(line.text);
            continues = true;
            continue;
        }
        continues = false;
        in_headers &= marker::is_blank(line.text);
        decoder
            .push(line.text)
            .map_err(|fault| not_base64(number, &fault))?;
    }
    let last = begun.line + lines(content).count().saturating_sub(1);
    let der = decoder.finish().map_err(|fault| not_base64(last, &fault))?;
    if der.is_empty() {
        let message = format!("the block {} is empty", label::quoted(begun.name));
        return Err(Problem::new(begun.line, message, WHOLE));
    }
    Ok((encrypted, der))
}

const WHOLE: &str = "replace the file by a whole one";

fn is_encrypting(header: &[u8]) -> bool {
    let header = String::from_utf8_lossy(header);
    header
        .split_once(':')
        .is_some_and(|(name, value)| name.trim() == "Proc-Type" && value.contains("ENCRYPTED"))
}

fn not_base64(line: usize, fault: &base64::Fault) -> Problem {
    Problem::new(line, format!("a block is not base64: {fault}"), WHOLE)
}

impl Open<'_> {
    fn has_no_end(&self, line: usize) -> Problem {
        let message = format!(
            "a block begins before the block {} of line {} has ended",
            label::quoted(self.name),
            self.line
        );
        Problem::new(line, message, WHOLE)
    }

    fn ends_as_another(&self, marker: &Marker<'_>, line: usize) -> Problem {
        let message = format!(
            "{} ends the block {} of line {}",
            marker.shown(),
            label::quoted(self.name),
            self.line
        );
        Problem::new(line, message, "expected the same label at BEGIN and END")
    }

    fn is_cut_off(&self) -> Problem {
        let message = format!("the block {} does not end", label::quoted(self.name));
        let hint =
            "expected its END; if the file is being written, the next look will find it whole";
        Problem::new(self.line, message, hint)
    }
}

impl Problem {
    /// A problem in a line.
    pub fn new(line: usize, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            line,
            message: message.into(),
            hint: hint.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("line", &self.line)
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
