//! The answer to `tidegate status`.

use super::super::parts::{
    Row, ago, dash, duration, expiry, items, now, problems, rows, safe, table, text,
};
use serde_json::Value;
use std::io::{self, Write};

pub(super) fn status(status: &Value, out: &mut dyn Write) -> io::Result<()> {
    let up = status.get("uptime_seconds").and_then(Value::as_i64);
    writeln!(
        out,
        "tidegate {}, {}, up {}, generation {}, pid {}",
        text(status, "version"),
        text(status, "state"),
        duration(up.unwrap_or(0)),
        text(status, "generation"),
        text(status, "pid"),
    )?;
    if let Some(attempt) = status.get("last_reload") {
        last_reload(attempt, &text(status, "generation"), out)?;
    }
    let listeners = rows(status, "listeners", &["name", "address", "open"]);
    table(&["LISTENER", "ADDRESS", "OPEN"], listeners, out)?;
    let routes = items(status, "routes").iter().map(route);
    table(
        &["ROUTE", "HOST", "PATH", "BACKEND", "OPEN"],
        routes.collect(),
        out,
    )?;
    let servers = items(status, "backends").iter().flat_map(servers);
    table(
        &["BACKEND", "SERVER", "OPEN", "STATE"],
        servers.collect(),
        out,
    )?;
    let certificates = items(status, "certificates").iter().map(certificate);
    table(&["KIND", "NAME", "EXPIRES"], certificates.collect(), out)
}

/// One line while all is well; what is wrong, with its warnings, as `check` prints it.
fn last_reload(attempt: &Value, generation: &str, out: &mut dyn Write) -> io::Result<()> {
    let when = ago(attempt.get("at")).unwrap_or_else(dash);
    let trigger = match text(attempt, "trigger").as_str() {
        "start" => "at the start".to_owned(),
        "file" => "because a file changed".to_owned(),
        "signal" => "because of HUP".to_owned(),
        "admin" => "because an operator asked".to_owned(),
        other => format!("because of {other}"),
    };
    match text(attempt, "result").as_str() {
        "failed" => writeln!(
            out,
            "RELOAD FAILED {when}, {trigger}; generation {generation} stays in use:"
        )?,
        "unchanged" => writeln!(out, "last reload {when}, {trigger}: nothing had changed")?,
        _ => writeln!(out, "configuration loaded {when}, {trigger}")?,
    }
    problems(attempt, "problems", out)?;
    problems(attempt, "warnings", out)?;
    match attempt.get("omitted").and_then(Value::as_u64) {
        None | Some(0) => Ok(()),
        Some(more) => writeln!(out, "and {more} more, which `tidegate check` prints"),
    }
}

fn route(route: &Value) -> Row {
    let hosts = items(route, "hosts").iter().filter_map(Value::as_str);
    let hosts = hosts.map(safe).collect::<Vec<_>>().join(",");
    let hosts = if hosts.is_empty() {
        "any".to_owned()
    } else {
        hosts
    };
    vec![
        text(route, "name"),
        hosts,
        text(route, "path"),
        text(route, "backend"),
        text(route, "open"),
    ]
}

fn servers(backend: &Value) -> impl Iterator<Item = Row> {
    items(backend, "servers").iter().map(|server| {
        vec![
            text(backend, "name"),
            text(server, "address"),
            text(server, "open"),
            state(server),
        ]
    })
}

/// Whether a server is up, since when, and by what that is known.
fn state(server: &Value) -> String {
    let up = server.get("up").and_then(Value::as_bool) == Some(true);
    let state = match text(server, "state").as_str() {
        "never_tried" => return "never tried".to_owned(),
        _ if up => "up",
        _ => "DOWN",
    };
    let since = server.get("since").and_then(Value::as_i64);
    let since = since.map(|since| format!(" for {}", duration(now() - since)));
    let known = ago(server.get("checked")).map(|when| match text(server, "known_by").as_str() {
        "probe" => format!(", probed {when}"),
        _ if up => format!(", connected {when}"),
        _ => format!(", tried {when}"),
    });
    let error = server.get("error").and_then(Value::as_str);
    let error = error.map(|error| format!(": {}", safe(error)));
    [Some(state.to_owned()), since, known, error]
        .into_iter()
        .flatten()
        .collect()
}

fn certificate(certificate: &Value) -> Row {
    vec![
        text(certificate, "kind"),
        text(certificate, "name"),
        expiry(certificate.get("expires")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn printed(document: &Value) -> String {
        let mut out = Vec::new();
        status(document, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_status_is_printed_in_aligned_columns() {
        let status = json!({
            "version": "0.1.0", "state": "running", "uptime_seconds": 61, "generation": 4, "pid": 7,
            "listeners": [{"name": "public", "address": "0.0.0.0:8443", "open": 12},
                          {"name": "in", "address": "127.0.0.1:1", "open": 3}],
            "routes": [{"name": "chat", "hosts": [], "path": "/chat", "backend": "one", "open": 12}],
            "backends": [{"name": "one", "servers": [{"address": "ws://127.0.0.1:9001", "up": false, "open": 0}]}],
            "certificates": [{"kind": "server", "name": "a.pem", "expires": 0}],
        });
        let expected = "tidegate 0.1.0, running, up 1 min 1 s, generation 4, pid 7\n\
            \nLISTENER  ADDRESS       OPEN\npublic    0.0.0.0:8443  12\nin        127.0.0.1:1   3\n\
            \nROUTE  HOST  PATH   BACKEND  OPEN\nchat   any   /chat  one      12\n\
            \nBACKEND  SERVER               OPEN  STATE\none      ws://127.0.0.1:9001  0     DOWN\n\
            \nKIND    NAME   EXPIRES\nserver  a.pem  1970-01-01 00:00 UTC (expired)\n";
        assert_eq!(printed(&status), expected);
    }

    #[test]
    fn a_failed_reload_stands_out_below_the_first_line() {
        let text = printed(&json!({
            "generation": 4,
            "last_reload": {
                "at": now() - 61, "trigger": "file", "result": "failed", "omitted": 3,
                "problems": [{"severity": "error", "place": "proxy.toml:3:1", "message": "unknown key", "hint": "did you mean path?"}],
                "warnings": [{"severity": "warning", "place": "proxy.toml", "message": "odd\u{1b}", "hint": null}],
            },
        }));
        let lines: Vec<_> = text.lines().skip(1).collect();
        assert!(lines[0].starts_with("RELOAD FAILED 1 min "), "{text}");
        assert!(
            lines[0].ends_with(" ago, because a file changed; generation 4 stays in use:"),
            "{text}"
        );
        let expected = [
            "proxy.toml:3:1: error: unknown key",
            "  hint: did you mean path?",
            r"proxy.toml: warning: odd\u{1b}",
            "and 3 more, which `tidegate check` prints",
        ];
        assert_eq!(lines[1..], expected);
    }

    #[test]
    fn a_good_or_empty_reload_is_one_line() {
        for (result, expected) in [
            ("ok", "configuration loaded 0 s ago, at the start"),
            (
                "unchanged",
                "last reload 0 s ago, at the start: nothing had changed",
            ),
        ] {
            let attempt = json!({ "at": now() + 9, "trigger": "start", "result": result });
            let text = printed(&json!({ "last_reload": attempt }));
            assert_eq!(text.lines().nth(1), Some(expected));
        }
    }

    #[test]
    fn a_server_says_since_when_and_by_what_its_state_is_known() {
        let (since, checked) = (now() - 7200, now() + 9);
        for (server, expected) in [
            (json!({ "up": true, "state": "never_tried" }), "never tried"),
            (
                json!({ "up": true, "state": "up", "since": since, "checked": checked, "known_by": "connection" }),
                "up for 2 h, connected 0 s ago",
            ),
            (
                json!({ "up": true, "state": "up", "since": since, "checked": checked, "known_by": "probe" }),
                "up for 2 h, probed 0 s ago",
            ),
            (
                json!({ "up": false, "state": "down", "since": since, "checked": checked, "known_by": "connection", "error": "Connection refused" }),
                "DOWN for 2 h, tried 0 s ago: Connection refused",
            ),
        ] {
            // A second may pass meanwhile.
            let shown = state(&server).replace(" 2 h 1 s", " 2 h");
            assert_eq!(shown, expected);
        }
    }
}
