//! What the documents say is what the program does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails where it finds something else than it looks for"
)]

use clap::{CommandFactory, Parser};
use prometheus::Registry;
use std::{
    collections::BTreeSet,
    env, fs,
    path::Path,
    process::Command,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
};
use tidegate::{
    cli::Cli,
    ending::{Ending, HandshakeEnding, RequestEnding, SocketEnding},
    observe::{Expiry, ExpiryKind, Metrics, RouteNames, ServerReading},
};

const README: &str = include_str!("../README.md");
const OPERATIONS: &str = include_str!("../docs/operations.md");
const TRUST: &str = include_str!("../docs/trust.md");
const INTEGRITY: &str = include_str!("../docs/frame-integrity.md");
const CONTRIBUTING: &str = include_str!("../CONTRIBUTING.md");
const JUSTFILE: &str = include_str!("../justfile");
const CONFIGURATION: &str = include_str!("../proxy.toml");

/// Taken while documents are read or written again.
static DOCUMENTS: Mutex<()> = Mutex::new(());

fn updates() -> bool {
    env::var_os("TIDEGATE_UPDATE_SNAPSHOTS").is_some()
}

/// The table with this heading has these rows; or gets them, if snapshots are to be updated.
fn check_table(name: &str, heading: &str, expected: &[String]) {
    let _alone = DOCUMENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let document = fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(heading).expect(heading);
    let mut lines = rest.lines().skip(1);
    let rule = lines.next().unwrap();
    let found: Vec<_> = lines.take_while(|line| line.starts_with('|')).collect();
    if updates() && found != expected {
        let head = ["", rule]
            .into_iter()
            .chain(found)
            .collect::<Vec<_>>()
            .join("\n");
        let new = expected.iter().map(String::as_str);
        let tail = ["", rule]
            .into_iter()
            .chain(new)
            .collect::<Vec<_>>()
            .join("\n");
        let document = format!("{before}{heading}{}", rest.replacen(&head, &tail, 1));
        return fs::write(&path, document).unwrap();
    }
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found, expected, "{name}, below {heading}");
    }
    assert_eq!(found.len(), expected.len(), "{name}, below {heading}");
}

/// A row for every ending that has a number, by number.
fn numbered<E: Ending>(number: impl Fn(E) -> Option<u16>) -> Vec<String> {
    let all = E::ALL.iter();
    let mut endings: Vec<_> = all
        .filter_map(|ending| Some((number(*ending)?, ending)))
        .collect();
    endings.sort_by_key(|(number, _)| *number);
    let row = |(number, ending): &(u16, &E)| {
        format!(
            "| {number} | `{}` | {} |",
            ending.label(),
            ending.sentence()
        )
    };
    endings.iter().map(row).collect()
}

/// A row for every ending without a number, in the order of the table.
fn unnumbered<E: Ending>(number: impl Fn(E) -> Option<u16>) -> Vec<String> {
    let silent = E::ALL.iter().filter(|ending| number(**ending).is_none());
    silent
        .map(|ending| format!("| `{}` | {} |", ending.label(), ending.sentence()))
        .collect()
}

#[test]
fn readme_has_every_status_and_every_close_code_with_its_reason() {
    let statuses = numbered(RequestEnding::status);
    check_table("README.md", "| status | reason | when |", &statuses);
    let codes = numbered(SocketEnding::close_code);
    check_table("README.md", "| code | reason | when |", &codes);
}

#[test]
fn operations_have_every_reason_without_a_number() {
    let tables = [
        (
            "| reason of a handshake | when |",
            unnumbered(|_: HandshakeEnding| None),
        ),
        (
            "| reason of a request | when |",
            unnumbered(RequestEnding::status),
        ),
        (
            "| reason of a socket | when |",
            unnumbered(SocketEnding::close_code),
        ),
    ];
    for (heading, rows) in tables {
        check_table("docs/operations.md", heading, &rows);
    }
}

#[test]
fn readme_has_every_metric_with_its_labels() {
    check_table(
        "README.md",
        "| metric | kind | labels | meaning |",
        &metrics(),
    );
}

/// Every metric that a fresh registry shows, by name, kind, labels and help.
fn metrics() -> Vec<String> {
    let registry = Registry::new();
    let dropped = Arc::new(AtomicU64::new(0));
    let metrics = Metrics::register(&registry, &["l".to_owned()], dropped).unwrap();
    let names = RouteNames {
        route: "r",
        backend: "b",
    };
    let server = ServerReading {
        backend: "b".into(),
        server: "ws://s".into(),
        is_up: Some(true),
        open: 0,
    };
    let mut naming = metrics.naming();
    naming.route(names);
    naming.backend("b");
    drop(naming);
    metrics.set_integrity_keys(&["k".to_owned()]);
    let expiry = Expiry {
        kind: ExpiryKind::Server,
        name: "n".to_owned(),
        unix: 1,
    };
    metrics.set_expiries(vec![expiry]);
    let text = metrics.text(&[server]).unwrap();
    let mut families: Vec<_> = text.split("# HELP ").skip(1).map(row_of).collect();
    families.retain(|row| row.starts_with("| `tidegate_"));
    families.sort();
    families
}

/// A row of the table, from a family in the text format without its `# HELP `.
fn row_of(family: &str) -> String {
    let mut lines = family.lines();
    let (name, help) = lines.next().unwrap().split_once(' ').unwrap();
    let kind = lines.next().unwrap().rsplit(' ').next().unwrap();
    let (_, labels) = lines.next().unwrap().split_once('{').unwrap_or_default();
    let labels = labels.split(',').filter_map(|label| label.split_once('='));
    let labels = labels.map(|(name, _)| name).filter(|name| *name != "le");
    let labels: Vec<_> = labels.map(|name| format!("`{name}`")).collect();
    let labels = labels.join(", ");
    format!("| `{name}` | {kind} | {labels} | {help} |").replace("|  |", "| |")
}

/// An unknown key is answered with those that are known: so a table tells all of its keys.
#[test]
fn configuration_file_names_every_key_that_is_known() {
    let tables = [
        ("server", "server"),
        ("listener", "[listener]"),
        ("tls", "tls"),
        ("tls.clients", "tls.clients"),
        ("integrity", "integrity"),
        ("limits", "limits"),
        ("limits.client", "limits.client"),
        ("timeouts", "timeouts"),
        ("route", "[route]"),
        ("backend.echo", "backend.echo"),
        ("admin", "admin"),
    ];
    for (name, header) in tables {
        let text = format!("[{header}]\nqqqqqqqq = 1\n");
        let problems = tidegate::config::parse("x", &text, Path::new(""))
            .unwrap_err()
            .problems
            .0;
        let mut hints = problems
            .iter()
            .filter(|problem| problem.message.contains("qqqqqqqq"));
        let hint = hints
            .next()
            .and_then(|problem| problem.hint.clone())
            .unwrap();
        let documented = keys_of(header);
        for key in hint.split('`').skip(1).step_by(2) {
            let is_table = tables
                .iter()
                .any(|(other, _)| *other == format!("{name}.{key}"));
            assert!(is_table || documented.contains(key), "{key} in [{name}]");
        }
    }
}

/// The keys below a table's header in proxy.toml, those in comments included.
fn keys_of(header: &str) -> BTreeSet<String> {
    let header = format!("[{header}]");
    let section = CONFIGURATION
        .lines()
        .skip_while(|line| *line != header)
        .skip(1);
    let section = section.take_while(|line| !line.starts_with('['));
    let key = |line: &str| {
        let (key, _) = line.trim_start_matches("# ").split_once(" =")?;
        key.chars()
            .all(|c| c.is_ascii_lowercase() || c == '_')
            .then(|| key.to_owned())
    };
    section.filter_map(key).collect()
}

/// `TIDEGATE_UPDATE_SNAPSHOTS=1 cargo test --test docs` writes it again.
#[test]
fn help_is_as_in_the_snapshot() {
    let mut pages = String::new();
    help(&Cli::command(), &mut Vec::new(), &mut pages);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/help.txt");
    if updates() {
        fs::write(&path, &pages).unwrap();
    }
    let snapshot = fs::read_to_string(&path).unwrap();
    for (line, (found, expected)) in pages.lines().zip(snapshot.lines()).enumerate() {
        assert_eq!(found, expected, "line {} of {}", line + 1, path.display());
    }
    assert_eq!(pages.len(), snapshot.len());
}

fn help(command: &clap::Command, path: &mut Vec<String>, pages: &mut String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    program.args(&*path).arg("-h");
    program.env("COLUMNS", "80").env_remove("TIDEGATE_LOG");
    let output = program.output().unwrap();
    let page = String::from_utf8(output.stdout).unwrap();
    let words = ["$ tidegate"]
        .into_iter()
        .chain(path.iter().map(String::as_str));
    let line = words.chain(["-h"]).collect::<Vec<_>>().join(" ");
    pages.extend([&line, "\n", &page, "\n"]);
    for below in command
        .get_subcommands()
        .filter(|below| below.get_name() != "help")
    {
        path.push(below.get_name().to_owned());
        help(below, path, pages);
        path.pop();
    }
}

#[test]
fn commands_in_the_documents_are_ones_that_the_program_takes() {
    let mut count = 0;
    for line in [README, OPERATIONS, TRUST, INTEGRITY, CONTRIBUTING]
        .iter()
        .flat_map(|text| shell_lines(text))
    {
        let words = line.replace("cargo run --release --", "tidegate");
        let words = words.split(" #").next().unwrap_or_default();
        if !words.starts_with("tidegate ") {
            continue;
        }
        let parsed = Cli::try_parse_from(words.split_whitespace());
        assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        count += 1;
    }
    assert!(count > 15, "only {count} commands were found");
}

/// The lines in blocks of shell commands.
fn shell_lines(document: &str) -> Vec<String> {
    let blocks = document.split("```sh\n").skip(1);
    let blocks = blocks.filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).map(ToOwned::to_owned).collect()
}

#[test]
fn configurations_in_the_documents_are_valid() {
    let mut count = 0;
    for document in [README, OPERATIONS, TRUST] {
        let blocks = document.split("```toml\n").skip(1);
        for block in blocks.filter_map(|rest| rest.split("```").next()) {
            let parsed = tidegate::config::parse("document", block, Path::new(""));
            assert!(parsed.is_ok(), "{block}\n{}", parsed.unwrap_err());
            count += 1;
        }
    }
    assert!(count > 0);
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "certs/README.md",
        "clients/js/README.md",
        "clients/python/README.md",
        "docs/frame-integrity.md",
        "docs/hostile-peers.md",
        "docs/operations.md",
        "docs/performance.md",
        "docs/trust.md",
    ] {
        let document = fs::read_to_string(root.join(name)).unwrap();
        let links = document
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let file = link.split('#').next().unwrap_or(link);
            let target = root.join(name).with_file_name("").join(file);
            // A package comes without it.
            let fuzz = root.join("fuzz");
            let left_out = target.starts_with(&fuzz) && !fuzz.exists();
            assert!(left_out || target.exists(), "{name}: {link}");
        }
    }
}

#[test]
fn contributing_lists_the_commands_that_the_justfile_has() {
    let recipe = |line: &str| {
        let (head, _) = line.split_once(':').filter(|(_, rest)| rest.is_empty())?;
        head.starts_with(|c: char| c.is_ascii_lowercase())
            .then(|| head.split(' ').next().unwrap().to_owned())
    };
    let word = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_lowercase());
        text[..end.unwrap_or(text.len())].to_owned()
    };
    let recipes: BTreeSet<_> = JUSTFILE.lines().filter_map(recipe).collect();
    let listed: BTreeSet<_> = CONTRIBUTING.split("`just ").skip(1).map(word).collect();
    assert!(recipes.len() > 8, "{recipes:?}");
    assert_eq!(listed, recipes);
}
