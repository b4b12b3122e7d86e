//! Covers what must not be shown of a keyring's text.

/// The keys whose values may be shown.
const HARMLESS: [&str; 5] = ["kid", "kind", "state", "not_before", "not_after"];
/// Longer names are none of a keyring's; they may be the rest of a secret.
const LONGEST_NAME: usize = 16;
/// Longer words are no value of a harmless key but `kid`; they may be a secret put there.
const LONGEST_WORD: usize = 25;
const COVER: char = '*';

/// The text with an asterisk for every byte that is not known to be harmless. Lines and offsets
/// stay what they are, so that a problem is shown where it is.
pub(super) fn covered(text: &str) -> String {
    let mut open = false;
    let lines = text.split_inclusive('\n').map(|line| {
        // What stands between triple quotes has lines without a beginning.
        let inside = open;
        open ^= odd(line, "\"\"\"") || odd(line, "'''");
        covered_line(line, inside)
    });
    lines.collect()
}

fn odd(line: &str, quotes: &str) -> bool {
    line.matches(quotes).count() % 2 == 1
}

fn covered_line(line: &str, inside: bool) -> String {
    let (shown, hidden) = line.split_at(if inside { 0 } else { harmless_length(line) });
    let mut covered = shown.to_owned();
    for c in hidden.chars() {
        if c.is_ascii_whitespace() {
            covered.push(c);
        } else {
            covered.extend(std::iter::repeat_n(COVER, c.len_utf8()));
        }
    }
    covered
}

/// How many bytes of a line may be shown.
fn harmless_length(line: &str) -> usize {
    let header = line.trim_start();
    if header.starts_with('[') && !header.contains('=') {
        let end = line.rfind(']').map_or(0, |at| at + 1);
        return if end <= LONGEST_WORD { end } else { 0 };
    }
    let Some((name, value)) = line.split_once('=') else {
        return 0;
    };
    if name.trim().len() > LONGEST_NAME {
        return 0;
    }
    let sign = name.len() + 1;
    match HARMLESS.iter().find(|harmless| **harmless == name.trim()) {
        Some(key) => sign + harmless_value(key, value),
        None => sign,
    }
}

/// How many bytes of the value of a harmless key may be shown: not what follows a comment or a
/// comma, and no long word.
fn harmless_value(key: &str, value: &str) -> usize {
    let end = value.find(['#', ',', '\r', '\n']).unwrap_or(value.len());
    let shown = value.get(..end).unwrap_or_default();
    let short = shown.split('"').all(|word| word.len() <= LONGEST_WORD);
    if key == "kid" || short { end } else { 0 }
}
