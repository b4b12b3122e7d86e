//! The lines `-----BEGIN X-----` and `-----END X-----`, and what people take for them.

use super::label;

/// A line `BEGIN` or `END`, or the part of a line that is one.
pub(super) struct Marker<'a> {
    pub(super) side: Side,
    pub(super) name: &'a [u8],
    /// Where its first hyphen is.
    pub(super) start: usize,
    /// Where its last hyphen has been.
    pub(super) end: usize,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Begin,
    End,
}

/// What a line holds.
pub(super) enum Found<'a> {
    Nothing,
    Marker(Marker<'a>),
    /// Something that was meant as one.
    Like,
}

const HYPHENS: &[u8] = b"-----";
/// The longest label that is taken for one.
const NAME_MAX: usize = 64;

/// The first of a line.
pub(super) fn find(line: &[u8]) -> Found<'_> {
    let Some((side, start, name)) = exact(line) else {
        return if is_like(line) {
            Found::Like
        } else {
            Found::Nothing
        };
    };
    named(line, side, start, name).map_or(Found::Like, Found::Marker)
}

/// Where a marker begins, and where its label does.
fn exact(line: &[u8]) -> Option<(Side, usize, usize)> {
    let mut from = 0;
    loop {
        let start = from + place_of(HYPHENS, line.get(from..)?)?;
        let after = start + HYPHENS.len();
        let rest = line.get(after..)?;
        let side = [(Side::Begin, &b"BEGIN "[..]), (Side::End, b"END ")];
        let Some((side, word)) = side.into_iter().find(|(_, word)| rest.starts_with(word)) else {
            from = start + 1;
            continue;
        };
        let name = after + word.len();
        return Some((side, start, name));
    }
}

fn named(line: &[u8], side: Side, start: usize, from: usize) -> Option<Marker<'_>> {
    let rest = line.get(from..)?;
    let name = rest.get(..place_of(HYPHENS, rest)?)?;
    let end = from + name.len() + HYPHENS.len();
    label::is_well_formed(name, NAME_MAX).then_some(Marker {
        side,
        name,
        start,
        end,
    })
}

fn place_of(wanted: &[u8], text: &[u8]) -> Option<usize> {
    // Most lines are base64, which has no hyphen at all.
    let first = text.iter().position(|byte| *byte == b'-')?;
    let rest = text.get(first..)?;
    let found = rest.windows(wanted.len()).position(|part| part == wanted)?;
    Some(first + found)
}

/// Whether a line was meant as a marker: hyphens are missing or of another kind.
fn is_like(line: &[u8]) -> bool {
    let Some(first) = line.iter().position(u8::is_ascii_alphabetic) else {
        return false;
    };
    if has_hyphened_word(line) {
        return true;
    }
    let (before, words) = line.split_at_checked(first).unwrap_or_default();
    let words = trimmed_end(words);
    let Some(name) = after_word(words) else {
        return false;
    };
    // A comment may speak of blocks.
    !before.contains(&b'#')
        && (label::is_known_in_any_case(name)
            || (before.contains(&b'-') && !name.iter().any(u8::is_ascii_lowercase)))
}

/// Whether a hyphen and `BEGIN` or `END` stand side by side, as no prose does.
fn has_hyphened_word(line: &[u8]) -> bool {
    line.contains(&b'-')
        && [
            &b"-BEGIN "[..],
            b"-END ",
            b"- BEGIN ",
            b"- END ",
            b"-BEGIN-",
            b"-END-",
        ]
        .iter()
        .any(|wanted| place_of(wanted, line).is_some())
}

/// What follows `BEGIN` or `END`, in capitals or not.
fn after_word(words: &[u8]) -> Option<&[u8]> {
    [&b"BEGIN"[..], b"END"].into_iter().find_map(|word| {
        let (head, rest) = words.split_at_checked(word.len())?;
        head.eq_ignore_ascii_case(word).then(|| rest.trim_ascii())
    })
}

fn trimmed_end(text: &[u8]) -> &[u8] {
    let last = text.iter().rposition(u8::is_ascii_alphanumeric);
    text.get(..last.map_or(0, |last| last + 1))
        .unwrap_or_default()
}

/// Whether there is nothing but white space, or byte order marks, which `cat` leaves in the middle.
pub(super) fn is_blank(text: &[u8]) -> bool {
    let mut rest = text.trim_ascii();
    while let Some(after) = rest.strip_prefix(b"\xef\xbb\xbf") {
        rest = after.trim_ascii();
    }
    rest.is_empty()
}

impl Marker<'_> {
    /// With places counted from elsewhere.
    pub(super) fn moved(self, by: usize) -> Self {
        Self {
            start: self.start + by,
            end: self.end + by,
            ..self
        }
    }

    /// For messages.
    pub(super) fn shown(&self) -> String {
        let word = match self.side {
            Side::Begin => "BEGIN",
            Side::End => "END",
        };
        format!("{word} {}", String::from_utf8_lossy(self.name))
    }
}
