//! Answers for people: a line or aligned columns.

mod status;

use super::{
    arguments::AdminCommand,
    parts::{Row, dash, duration, expiry, items, now, plural, problems, rows, table, text},
};
use serde_json::Value;
use std::io::{self, Write};

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
        "KIND",
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
        text(row, "kind"),
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
