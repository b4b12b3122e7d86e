//! The parts of an answer as text: values, problems, rows in aligned columns.
//!
//! Documents are read by name and leniently, for the proxy may be of another version.

use serde_json::Value;
use std::{
    io::{self, Write},
    time::{SystemTime, UNIX_EPOCH},
};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute] UTC");

/// Spaces between columns.
const GAP: usize = 2;

pub(super) type Row = Vec<String>;

/// Prints a list of problems.
pub(super) fn problems(answer: &Value, list: &str, out: &mut dyn Write) -> io::Result<()> {
    for problem in items(answer, list) {
        let part = |name| problem.get(name).and_then(Value::as_str).map(safe);
        if let Some(place) = part("place") {
            write!(out, "{place}: ")?;
        }
        if let Some(severity) = part("severity") {
            write!(out, "{severity}: ")?;
        }
        writeln!(out, "{}", text(problem, "message"))?;
        if let Some(hint) = part("hint") {
            writeln!(out, "  hint: {hint}")?;
        }
    }
    Ok(())
}

/// Prints rows in columns as wide as their widest cell; nothing for no rows.
pub(super) fn table(header: &[&str], rows: Vec<Row>, out: &mut dyn Write) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let head = header
        .iter()
        .map(|name| (*name).to_owned())
        .collect::<Row>();
    let all = (!head.is_empty()).then_some(head).into_iter().chain(rows);
    let all = all.collect::<Vec<Row>>();
    let columns = all.iter().map(Vec::len).max().unwrap_or(0);
    let widest = |column: usize| {
        let cells = all.iter().filter_map(|row: &Row| row.get(column));
        cells.map(|cell: &String| cell.chars().count()).max()
    };
    let widths = (0..columns).filter_map(widest).collect::<Vec<_>>();
    if !header.is_empty() {
        writeln!(out)?;
    }
    for row in &all {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<0$}", width + GAP));
        writeln!(out, "{}", cells.collect::<String>().trim_end())?;
    }
    Ok(())
}

pub(super) fn rows(document: &Value, list: &str, columns: &[&str]) -> Vec<Row> {
    let row = |item: &Value| columns.iter().map(|column| text(item, column)).collect();
    items(document, list).iter().map(row).collect()
}

pub(super) fn items<'a>(document: &'a Value, list: &str) -> &'a [Value] {
    document
        .get(list)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

pub(super) fn text(document: &Value, name: &str) -> String {
    match document.get(name) {
        None | Some(Value::Null) => dash(),
        Some(Value::String(text)) => safe(text),
        Some(other) => other.to_string(),
    }
}

pub(super) fn dash() -> String {
    "-".to_owned()
}

/// Text without what would steer the terminal: a certificate's names are its owner's choice.
pub(super) fn safe(text: &str) -> String {
    let shown = |c: char| match c {
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            c.escape_unicode().to_string()
        }
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.chars().map(shown).collect()
}

pub(super) fn plural(count: &str) -> &'static str {
    if count == "1" { "" } else { "s" }
}

pub(super) fn expiry(unix: Option<&Value>) -> String {
    let Some(unix) = unix.and_then(Value::as_i64) else {
        return dash();
    };
    let day = OffsetDateTime::from_unix_timestamp(unix).ok();
    let day = day
        .and_then(|day| day.format(TIME).ok())
        .unwrap_or_else(|| unix.to_string());
    match unix - now() {
        left @ 0.. => format!("{day} (in {})", duration(left)),
        _ => format!("{day} (expired)"),
    }
}

/// How long ago something was.
pub(super) fn ago(unix: Option<&Value>) -> Option<String> {
    let unix = unix.and_then(Value::as_i64)?;
    Some(format!("{} ago", duration(now() - unix)))
}

/// The two largest units of a time in seconds.
pub(super) fn duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let parts = units.iter().scan(seconds, |rest, (size, name)| {
        let count = *rest / size;
        *rest %= size;
        Some((count, *name))
    });
    let parts = parts.skip_while(|(count, _)| *count == 0).take(2);
    let parts = parts
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"));
    let text = parts.collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        "0 s".to_owned()
    } else {
        text
    }
}

pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_show_their_two_largest_units() {
        for (seconds, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (61, "1 min 1 s"),
            (3_600, "1 h"),
            (90_061, "1 d 1 h"),
            (-5, "0 s"),
        ] {
            assert_eq!(duration(seconds), expected);
        }
    }
}
