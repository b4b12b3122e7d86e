//! The ways in which servers read one path, and whether they all find the same.
//!
//! The backend gets a path as the client wrote it, and reads it by rules of its own. A route must
//! not be chosen by one reading while the backend serves another, so a path is looked up in every
//! reading that is known, and passes where all of them lead to one route. A reading is a choice in
//! each of these points:
//!
//! - `%2F` is a character of a segment, or separates (after decoding);
//! - `\` is a character, or separates (WHATWG URL), and so may `%5C`;
//! - what follows `;` in a segment belongs to it, or is dropped (servlet containers), and so may
//!   what follows `%3B`;
//! - `.` and `..` are names, or are resolved (RFC 3986 section 5.2.4), and so may `%2E`;
//! - empty segments stay, or are merged, before or after dot segments are resolved;
//! - what stands between `//` and the next `/` is a segment, or a host (`network_path`).
//!
//! Every other percent-encoding is decoded, once (RFC 3986 section 6.2.2.2).

use std::{borrow::Cow, fmt};

/// Bytes that are written for all readings of one path together, at most: a path with many marks
/// has many readings, so it may be the shorter the more it has.
const WORK: usize = 128 * 1024;
/// Stands for an encoded `/` that does not separate: no prefix of a route has a control character.
const SLASH_AS_DATA: u8 = 0;

/// Why a path has no one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ambiguity {
    /// Two readings lead to different routes, or one to a route and another to none.
    Differs(Marks),
    /// It is too long for so many readings.
    TooLong(Marks),
}

/// What in a path is read in more than one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is one mark, and any may be there"
)]
pub struct Marks {
    encoded_slash: bool,
    backslash: bool,
    encoded_backslash: bool,
    semicolon: bool,
    encoded_semicolon: bool,
    dots: bool,
    encoded_dots: bool,
    empty: bool,
    network: bool,
}

/// How far something is read as more than a character of its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Depth {
    Never,
    /// As such, not percent-encoded.
    Plain,
    /// Percent-encoded too.
    Encoded,
}

/// When empty segments are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Merge {
    Never,
    /// Before dot segments are resolved.
    First,
    /// Afterwards.
    Last,
}

/// One way to read a path.
#[derive(Clone, Copy, Debug)]
struct Reading {
    slash: Depth,
    backslash: Depth,
    semicolon: Depth,
    dots: Depth,
    merge: Merge,
}

/// A decoded byte, and whether it was percent-encoded.
type Atom = (u8, bool);

/// What all readings of a path find; the first two that differ end the search.
pub(crate) fn agree<R: PartialEq>(
    path: &str,
    mut find: impl FnMut(&[u8]) -> R,
) -> Result<R, Ambiguity> {
    let marks = Marks::of(path.as_bytes());
    if marks == Marks::default() {
        return Ok(find(&decoded(path)));
    }
    let readings = marks.readings();
    if readings.len().saturating_mul(path.len()) > WORK {
        return Err(Ambiguity::TooLong(marks));
    }
    let mut normal = Vec::with_capacity(path.len());
    let mut found = None;
    for reading in readings {
        reading.read(path.as_bytes(), &mut normal);
        let next = find(&normal);
        if found.as_ref().is_some_and(|found| *found != next) {
            return Err(Ambiguity::Differs(marks));
        }
        found = Some(next);
    }
    Ok(found.unwrap_or_else(|| find(path.as_bytes())))
}

/// The host and the path that URL parsers read in a path that begins with `//` (RFC 3986
/// section 4.2; the WHATWG's pass over further slashes, and take `\` for one).
pub(crate) fn network_path(path: &str) -> Option<(&str, String)> {
    let separates = ['/', '\\'];
    let beyond = path.trim_start_matches(separates);
    if path.len() - beyond.len() < 2 {
        return None;
    }
    let (host, rest) = beyond.split_once(separates).unwrap_or((beyond, ""));
    Some((host, format!("/{rest}")))
}

impl Ambiguity {
    /// The path's own, where its host may be read out of it.
    pub(crate) fn of_network(path: &str) -> Self {
        let marks = Marks::of(path.as_bytes());
        Self::Differs(Marks {
            network: true,
            ..marks
        })
    }
}

impl Marks {
    fn of(path: &[u8]) -> Self {
        let mut marks = Self::default();
        let mut segment = Segment::default();
        for (byte, encoded) in atoms(path) {
            let separates = marks.note(byte, encoded);
            if separates || byte == b';' {
                // What is dropped after a semicolon may leave nothing of a segment.
                marks.empty |= segment.only_dots && segment.length == 0;
                marks.end_segment(&segment);
                segment = Segment::after(separates);
            } else {
                segment.push(byte, encoded);
            }
        }
        marks.end_segment(&segment);
        marks
    }

    /// Notes a byte; returns true if some reader takes it for a separator.
    fn note(&mut self, byte: u8, encoded: bool) -> bool {
        let mark = match (byte, encoded) {
            (b'/', true) => &mut self.encoded_slash,
            (b'\\', false) => &mut self.backslash,
            (b'\\', true) => &mut self.encoded_backslash,
            (b';', false) => &mut self.semicolon,
            (b';', true) => &mut self.encoded_semicolon,
            _ => return byte == b'/',
        };
        *mark = true;
        byte != b';'
    }

    fn end_segment(&mut self, segment: &Segment) {
        if segment.only_dots && matches!(segment.length, 1 | 2) {
            let mark = if segment.encoded {
                &mut self.encoded_dots
            } else {
                &mut self.dots
            };
            *mark = true;
        }
    }

    /// Every choice in every point that the path has.
    fn readings(self) -> Vec<Reading> {
        let mut readings = Vec::new();
        for slash in depths(false, self.encoded_slash) {
            for backslash in depths(self.backslash, self.encoded_backslash) {
                for semicolon in depths(self.semicolon, self.encoded_semicolon) {
                    for dots in depths(self.dots, self.encoded_dots) {
                        readings.extend(self.merges(dots).iter().map(|merge| Reading {
                            slash,
                            backslash,
                            semicolon,
                            dots,
                            merge: *merge,
                        }));
                    }
                }
            }
        }
        readings
    }

    /// Where no dots are resolved, it makes no difference when segments are merged.
    fn merges(self, dots: Depth) -> &'static [Merge] {
        match (self.empty, dots) {
            (false, _) => &[Merge::Never],
            (true, Depth::Never) => &[Merge::Never, Merge::First],
            (true, _) => &[Merge::Never, Merge::First, Merge::Last],
        }
    }
}

fn depths(plain: bool, encoded: bool) -> impl Iterator<Item = Depth> {
    let plain = plain.then_some(Depth::Plain);
    let encoded = encoded.then_some(Depth::Encoded);
    std::iter::once(Depth::Never).chain(plain).chain(encoded)
}

/// What is known of a segment while its marks are looked for.
#[derive(Default)]
struct Segment {
    /// It begins after a separator, and has nothing but dots so far.
    only_dots: bool,
    length: usize,
    encoded: bool,
}

impl Segment {
    fn after(separator: bool) -> Self {
        Self {
            only_dots: separator,
            ..Self::default()
        }
    }

    fn push(&mut self, byte: u8, encoded: bool) {
        self.only_dots &= byte == b'.';
        self.length += 1;
        self.encoded |= encoded;
    }
}

impl Reading {
    /// Writes the path as this reader has it: decoded, each segment after its `/`.
    fn read(self, path: &[u8], normal: &mut Vec<u8>) {
        normal.clear();
        let (mut start, mut dropped, mut encoded_dot) = (0, false, false);
        for (index, (byte, encoded)) in atoms(path).enumerate() {
            if self.separates(byte, encoded) {
                if index > 0 {
                    self.end_segment(normal, start, encoded_dot);
                }
                start = normal.len();
                normal.push(b'/');
                (dropped, encoded_dot) = (false, false);
            } else if byte == b';' && is_within(self.semicolon, encoded) {
                dropped = true;
            } else if !dropped {
                encoded_dot |= byte == b'.' && encoded;
                normal.push(if byte == b'/' { SLASH_AS_DATA } else { byte });
            }
        }
        // The last segment may be empty: then the path ends with a slash.
        if normal.len() > start + 1 {
            self.end_segment(normal, start, encoded_dot);
        }
        if self.merge == Merge::Last {
            normal.dedup_by(|next, last| *next == b'/' && *last == b'/');
        }
    }

    fn separates(self, byte: u8, encoded: bool) -> bool {
        match byte {
            b'/' => !encoded || self.slash == Depth::Encoded,
            b'\\' => is_within(self.backslash, encoded),
            _ => false,
        }
    }

    /// Takes back what the segment from `start` on is not, or what it undoes.
    fn end_segment(self, normal: &mut Vec<u8>, start: usize, encoded_dot: bool) {
        let resolved = is_within(self.dots, encoded_dot);
        match normal.get(start..).unwrap_or_default() {
            b"/" if self.merge == Merge::First => normal.truncate(start),
            b"/." if resolved => normal.truncate(start),
            b"/.." if resolved => {
                normal.truncate(start);
                let parent = normal.iter().rposition(|byte| *byte == b'/');
                normal.truncate(parent.unwrap_or_default());
            }
            _ => {}
        }
    }
}

fn is_within(depth: Depth, encoded: bool) -> bool {
    depth
        >= if encoded {
            Depth::Encoded
        } else {
            Depth::Plain
        }
}

/// The bytes of a path, decoded once; an encoding that is broken stays as it is.
fn atoms(path: &[u8]) -> impl Iterator<Item = Atom> {
    let mut rest = path;
    std::iter::from_fn(move || {
        let (atom, after) = match rest {
            [] => return None,
            [b'%', high, low, after @ ..] => match hexadecimal(*high, *low) {
                Some(byte) => ((byte, true), after),
                None => ((b'%', false), rest.get(1..).unwrap_or_default()),
            },
            [byte, after @ ..] => ((*byte, false), after),
        };
        rest = after;
        Some(atom)
    })
}

/// The byte of two hexadecimal digits.
pub(crate) fn hexadecimal(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// The only reading of a path without marks.
fn decoded(path: &str) -> Cow<'_, [u8]> {
    if path.contains('%') {
        Cow::Owned(atoms(path.as_bytes()).map(|(byte, _)| byte).collect())
    } else {
        Cow::Borrowed(path.as_bytes())
    }
}

/// What in the path is read in more than one way.
impl fmt::Display for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let marks = [
            (self.encoded_slash, "\"%2F\""),
            (self.backslash, "'\\'"),
            (self.encoded_backslash, "\"%5C\""),
            (self.semicolon, "';'"),
            (self.encoded_semicolon, "\"%3B\""),
            (self.dots, "a dot segment"),
            (self.encoded_dots, "an encoded dot segment"),
            (self.empty, "an empty segment"),
            (self.network, "what may be a host"),
        ];
        let there = marks.into_iter().filter(|(is_there, _)| *is_there);
        let names: Vec<_> = there.map(|(_, name)| name).collect();
        f.write_str(&names.join(", "))
    }
}

impl fmt::Display for Ambiguity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs(marks) => write!(
                f,
                "the path has {marks}, and not every way to read it leads to the same route (RFC 3986 section 6.2.2)"
            ),
            Self::TooLong(marks) => write!(
                f,
                "the path has {marks}, and is too long to be judged in every way to read it (RFC 3986 section 6.2.2)"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
