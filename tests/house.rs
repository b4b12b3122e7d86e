//! The structure of the sources: who may know whom, and what may stand where.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails where it finds something else than it looks for"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Modules of one level, the lowest first. Those of one level do not know each other.
const LEVELS: [&[&str]; 12] = [
    &["policy", "integrity", "frame"],
    &["ending"],
    &["observe"],
    &["lifecycle"],
    &["tls", "backend"],
    &["connection"],
    &["admin"],
    &["config"],
    &["reload"],
    &["app", "client"],
    &["cli"],
    &["main", "lib"],
];
const LINES: usize = 450;

/// A file of the sources.
struct Source {
    /// Below the root, such as `src/tls/mod.rs`.
    path: String,
    text: String,
}

impl Source {
    /// The module of the first level that it belongs to.
    fn module(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap();
        below.split(['/', '.']).next().unwrap()
    }

    /// How deep its module is: 1 for those that the crate's root names.
    fn depth(&self) -> usize {
        let below = self.path.strip_prefix("src/").unwrap();
        let parts = below.strip_suffix(".rs").unwrap().split('/');
        parts.filter(|part| *part != "mod").count()
    }

    /// The code that is no comment and no test.
    fn code(&self) -> String {
        let lines = self
            .text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let code = lines.collect::<Vec<_>>().join("\n");
        let mut parts = code.split("#[cfg(test)]");
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |code, part| code + after_item(part))
    }

    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }
}

/// What follows the item at the beginning; modules of tests stand last in their files.
fn after_item(text: &str) -> &str {
    if text.trim_start().starts_with("mod ") && text.contains('{') {
        return "";
    }
    let end = text.find([';', '{']).unwrap();
    if text[end..].starts_with(';') {
        return &text[end + 1..];
    }
    let mut depth = 0;
    for (place, character) in text[end..].char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[end + place + 1..];
        }
    }
    ""
}

/// Every file of the sources.
fn everything() -> Vec<Source> {
    let mut found = Vec::new();
    collect(
        Path::new(env!("CARGO_MANIFEST_DIR")),
        Path::new("src"),
        &mut found,
    );
    assert!(found.len() > 50, "only {} sources were found", found.len());
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    let entries = fs::read_dir(root.join(folder)).unwrap();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| folder.join(entry.unwrap().file_name()))
        .collect();
    paths.sort();
    for path in paths {
        if root.join(&path).is_dir() {
            collect(root, &path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "rs" || extension == "py")
        {
            found.push(Source {
                text: fs::read_to_string(root.join(&path)).unwrap(),
                path: path.to_str().unwrap().to_owned(),
            });
        }
    }
}

/// Every file that is not a test as a whole.
fn sources() -> Vec<Source> {
    everything()
        .into_iter()
        .filter(|source| !source.is_test())
        .collect()
}

fn level(module: &str) -> usize {
    let found = LEVELS.iter().position(|level| level.contains(&module));
    found.unwrap_or_else(|| panic!("{module} has no level; give it one in tests/house.rs"))
}

/// The modules that code names after `crate::`, groups included.
fn known_modules(code: &str) -> Vec<String> {
    let uses = code.split("crate::").skip(1);
    uses.flat_map(|rest| match rest.strip_prefix('{') {
        Some(group) => group_heads(group),
        None => vec![word(rest)],
    })
    .collect()
}

/// The first word of every part of a group, up to its closing brace.
fn group_heads(group: &str) -> Vec<String> {
    let (mut depth, mut begins, mut heads) = (0, true, Vec::new());
    for (place, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            letter if begins && letter.is_alphabetic() => {
                heads.push(word(&group[place..]));
                begins = false;
            }
            _ => {}
        }
    }
    heads
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// Where one of these stands in the code of sources that `may` not have it.
fn misplaced(words: &[&str], may: impl Fn(&Source) -> bool) -> Vec<String> {
    let sources = sources();
    let others = sources.iter().filter(|source| !may(source));
    let found = others.flat_map(|source| {
        let code = source.code();
        let words = words.iter().filter(move |word| code.contains(**word));
        words.map(|word| format!("{word} in {}", source.path))
    });
    found.collect()
}

fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn modules_know_only_themselves_and_those_below() {
    let mut wrong = Vec::new();
    for source in sources() {
        let own = source.module();
        for known in known_modules(&source.code()) {
            if known != own && level(&known) >= level(own) {
                wrong.push(format!("{} knows {known}", source.path));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn no_module_reaches_the_root_by_super() {
    let reaches = |source: &&Source| source.code().contains(&"super::".repeat(source.depth()));
    let sources = sources();
    let found = sources
        .iter()
        .filter(|source| source.path != "src/lib.rs")
        .filter(reaches);
    assert_none(&found.map(|source| source.path.clone()).collect::<Vec<_>>());
}

#[test]
fn pure_modules_have_no_runtime_clock_log_random_or_io() {
    let impure = [
        "tokio",
        "tracing",
        "std::fs",
        "std::io",
        "std::env",
        "std::thread",
        "std::process",
        "Instant",
        "SystemTime::now",
        "now_utc",
        "rand::",
        "TcpStream",
        "UnixStream",
    ];
    let pure = |source: &Source| level(source.module()) == 0;
    assert_none(&misplaced(&impure, |source| !pure(source)));
}

#[test]
fn nothing_deserialises_outside_of_config() {
    let words = ["Deserialize", "serde_json::from_", "toml::"];
    // Both read an answer of another process, never what an operator writes.
    let clients = ["src/client/handshake.rs", "src/cli/admin/client.rs"];
    let may =
        |source: &Source| source.module() == "config" || clients.contains(&source.path.as_str());
    assert_none(&misplaced(&words, may));
}

#[test]
fn nothing_spawns_outside_of_lifecycle() {
    let words = [
        "tokio::spawn",
        "task::spawn",
        "spawn_local",
        "spawn_blocking",
        "thread::spawn",
        "thread::Builder",
        "JoinSet",
    ];
    // Its connections end with the listener, which a JoinSet does by being dropped.
    let may =
        |source: &Source| source.module() == "lifecycle" || source.path == "src/admin/server.rs";
    assert_none(&misplaced(&words, may));
}

#[test]
fn no_metric_and_no_label_is_made_outside_of_observe() {
    let words = ["with_label_values", "prometheus::"];
    // It makes the registry that everything is registered with.
    let may = |source: &Source| source.module() == "observe" || source.path == "src/app.rs";
    assert_none(&misplaced(&words, may));
    let app = sources()
        .into_iter()
        .find(|source| source.path == "src/app.rs")
        .unwrap();
    assert_eq!(app.code().matches("prometheus::").count(), 1);
    assert!(app.code().contains("use prometheus::Registry;"));
}

#[test]
fn every_stage_says_what_it_takes_gives_and_refuses() {
    let stages = [
        "listen",
        "handshake",
        "authenticate",
        "upgrade",
        "route",
        "dial",
        "relay/mod",
        "close",
    ];
    for stage in stages {
        let path = format!("src/connection/{stage}.rs");
        let source = sources()
            .into_iter()
            .find(|source| source.path == path)
            .expect(&path);
        let lines = source
            .text
            .lines()
            .take_while(|line| line.starts_with("//!"));
        let page = lines
            .map(|line| line.replace("//!", ""))
            .collect::<String>();
        for part in [
            "Stage ",
            "Takes:",
            "Gives:",
            "Refuses ",
            "Deadline:",
            "Metric:",
        ] {
            assert!(page.contains(part), "{path} does not begin with {part:?}");
        }
    }
}

#[test]
fn no_file_is_longer_than_can_be_read() {
    let mut files = everything();
    for folder in ["tests", "benches", "examples"] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        collect(root, Path::new(folder), &mut files);
    }
    let long = files
        .into_iter()
        .map(|source| (source.text.lines().count(), source.path));
    let long = long.filter(|(lines, _)| *lines > LINES);
    assert_none(
        &long
            .map(|(lines, path)| format!("{path}: {lines}"))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn nothing_is_left_for_later() {
    let words = ["TODO", "FIXME", "todo!", "unimplemented!", "dbg!"];
    let found = everything().into_iter().flat_map(|source| {
        let words = words.iter().filter(|word| source.text.contains(**word));
        words
            .map(|word| format!("{word} in {}", source.path))
            .collect::<Vec<_>>()
    });
    assert_none(&found.collect::<Vec<_>>());
}

#[test]
fn every_test_that_the_crate_names_exists() {
    let page = include_str!("../src/lib.rs")
        .lines()
        .filter(|line| line.starts_with("//!"));
    let missing = missing_tests(&page.collect::<String>());
    assert_none(&missing);
}

#[test]
fn every_test_that_the_page_on_hostile_peers_names_exists() {
    let mut missing = missing_tests(include_str!("../docs/hostile-peers.md"));
    // A package comes without them.
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    missing.retain(|name| peers.exists() || !name.starts_with("test_"));
    assert_none(&missing);
}

/// The tests, in Rust or Python, that a page names between backticks and nobody wrote.
fn missing_tests(page: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = everything();
    collect(root, Path::new("tests"), &mut files);
    let is_name = |word: &&str| word.matches('_').count() > 2 && *word == self::word(word);
    let names: Vec<_> = page.split('`').filter(is_name).collect();
    assert!(names.len() > 8, "{names:?}");
    let is_there = |name: &&str| {
        let (rust, python) = (format!("fn {name}()"), format!("def {name}("));
        let has = |file: &Source| file.text.contains(&rust) || file.text.contains(&python);
        files.iter().any(has)
    };
    let missing = names.into_iter().filter(|name| !is_there(name));
    missing.map(str::to_owned).collect()
}

#[test]
fn the_reader_of_sources_finds_what_it_looks_for() {
    let code = "use crate::{ending::Ending, tls::{files::x, y}, policy};\ncrate::app::X";
    assert_eq!(known_modules(code), ["ending", "tls", "policy", "app"]);
    let source = |text: &str| Source {
        path: "src/tls/stream.rs".to_owned(),
        text: text.to_owned(),
    };
    let code = source("a\n// b\n#[cfg(test)]\nuse c;\nd\n#[cfg(test)]\nfn e() { {} }\nf\n#[cfg(test)]\nmod tests {\ng }").code();
    let words: Vec<_> = code.split_whitespace().collect();
    assert_eq!(words, ["a", "d", "f"]);
    assert_eq!((source("").module(), source("").depth()), ("tls", 2));
}
