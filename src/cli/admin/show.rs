//! Answers for people: a line or aligned columns.
//!
//! Documents are read by name and leniently, for the proxy may be of another version.

mod status;

use super::AdminCommand;
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

type Row = Vec<String>;

/// Prints the answer to `command`.
pub(super) fn answer(
    command: &AdminCommand,
    answer: &Value,
    out: &mut dyn Write,
) -> io::Result<()> {
    match command {
        AdminCommand::Status(_) => status::status(answer, out),
        AdminCommand::Connections(_) => connections(answer, out),
        AdminCommand::Reload(_) => reload(answer, out),
        AdminCommand::Drain(_) => writeln!(out, "The proxy is draining."),
        AdminCommand::Close(_) => {
            let count = text(answer, "closed");
            writeln!(out, "Being closed: {count} connection{}.", plural(&count))
        }
    }
}

fn connections(page: &Value, out: &mut dyn Write) -> io::Result<()> {
    let rows = items(page, "connections")
        .iter()
        .map(connection)
        .collect::<Vec<_>>();
    let (shown, total) = (rows.len(), text(page, "total"));
    let header = [
        "ID",
        "PEER",
        "ROUTE",
        "OPEN FOR",
        "IDLE",
        "INTEGRITY",
        "KEY",
        "CERTIFICATE EXPIRES",
        "IDENTITY",
    ];
    table(&header, rows, out)?;
    writeln!(out, "{shown} of {total} connection{}", plural(&total))
}

fn connection(row: &Value) -> Row {
    let number = |name| row.get(name).and_then(Value::as_i64);
    vec![
        text(row, "id"),
        text(row, "peer"),
        text(row, "route"),
        number("opened").map_or_else(dash, |opened| duration(now() - opened)),
        number("idle_seconds").map_or_else(dash, duration),
        text(row, "integrity"),
        text(row, "integrity_key"),
        expiry(row.get("certificate_expires")),
        text(row, "identity"),
    ]
}

fn reload(report: &Value, out: &mut dyn Write) -> io::Result<()> {
    let preview = report.get("preview").and_then(Value::as_bool) == Some(true);
    let generation = text(report, "generation");
    match (text(report, "result").as_str(), preview) {
        ("unchanged", _) => writeln!(
            out,
            "Nothing has changed; generation {generation} stays in use."
        )?,
        (_, true) => writeln!(out, "A reload would change this:")?,
        (_, false) => writeln!(out, "Loaded; generation {generation} is in use.")?,
    }
    table(
        &[],
        rows(report, "changes", &["change", "what", "name"]),
        out,
    )?;
    let touched = items(report, "touched");
    for group in touched {
        let count = items(group, "connections").len().to_string();
        let (verb, reason) = (
            if preview { "would end" } else { "end" },
            text(group, "reason"),
        );
        writeln!(
            out,
            "{count} open socket{} {verb}: {reason}",
            plural(&count)
        )?;
    }
    if touched.is_empty() {
        writeln!(out, "No open socket is touched.")?;
    }
    Ok(())
}

/// Prints why a reload was refused.
pub(super) fn refusal(refusal: &Value, out: &mut dyn Write) -> io::Result<()> {
    problems(refusal, "problems", out)?;
    writeln!(out, "Not loaded; the configuration in use stays.")
}

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
fn table(header: &[&str], rows: Vec<Row>, out: &mut dyn Write) -> io::Result<()> {
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

fn rows(document: &Value, list: &str, columns: &[&str]) -> Vec<Row> {
    let row = |item: &Value| columns.iter().map(|column| text(item, column)).collect();
    items(document, list).iter().map(row).collect()
}

fn items<'a>(document: &'a Value, list: &str) -> &'a [Value] {
    document
        .get(list)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn text(document: &Value, name: &str) -> String {
    match document.get(name) {
        None | Some(Value::Null) => dash(),
        Some(Value::String(text)) => safe(text),
        Some(other) => other.to_string(),
    }
}

fn dash() -> String {
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

fn plural(count: &str) -> &'static str {
    if count == "1" { "" } else { "s" }
}

fn expiry(unix: Option<&Value>) -> String {
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
fn ago(unix: Option<&Value>) -> Option<String> {
    let unix = unix.and_then(Value::as_i64)?;
    Some(format!("{} ago", duration(now() - unix)))
}

/// The two largest units of a time in seconds.
fn duration(seconds: i64) -> String {
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

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::admin::{ConnectionsArgs, ReloadArgs};
    use serde_json::json;

    fn printed(command: &AdminCommand, document: &Value) -> String {
        let mut out = Vec::new();
        answer(command, document, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

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

    #[test]
    fn a_hostile_identity_cannot_steer_the_terminal() {
        let page = json!({ "total": 1, "connections": [{ "id": "c1", "identity": "CN=a\r\n\u{1b}[31m\u{202e}" }] });
        let text = printed(
            &AdminCommand::Connections(ConnectionsArgs::default()),
            &page,
        );
        assert_eq!(text.lines().count(), 4);
        assert!(text.contains(r"CN=a\r\n\u{1b}[31m\u{202e}"), "{text}");
        assert!(text.ends_with("1 of 1 connection\n"), "{text}");
    }

    #[test]
    fn a_reload_says_what_changed_and_which_sockets_end() {
        let command = AdminCommand::Reload(ReloadArgs::default());
        let quiet = json!({ "result": "unchanged", "generation": 3, "changes": [], "touched": [] });
        let text = printed(&command, &quiet);
        assert_eq!(
            text,
            "Nothing has changed; generation 3 stays in use.\nNo open socket is touched.\n"
        );
        let loud = json!({
            "result": "ok", "preview": true, "generation": 3,
            "changes": [{"change": "added", "what": "route", "name": "news"}],
            "touched": [{"reason": "certificate_revoked", "connections": ["c1", "c2"]}],
        });
        let text = printed(&command, &loud);
        assert_eq!(
            text,
            "A reload would change this:\nadded  route  news\n2 open sockets would end: certificate_revoked\n"
        );
    }
}
