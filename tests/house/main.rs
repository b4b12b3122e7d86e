//! The structure of the sources: who may know whom, and what may stand where.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails where it finds something else than it looks for"
)]

mod imports;
mod picture;
mod sources;

use imports::Imports;
use picture::{Floors, picture};
use sources::{Source, collect, everything, root, sources};
use std::{fs, path::Path};

/// Lines of a file at most.
const LINES: usize = 450;
/// Rooms that decide and compute, and know nothing of the machine.
const PURE: [&str; 6] = ["name", "frame", "integrity", "request", "policy", "ending"];

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
fn rooms_know_only_themselves_and_those_below() {
    let floors = Floors::read();
    let imports = Imports::read();
    let up = imports.pairs().filter(|(from, to)| {
        let (from, to) = (&from[0], &to[0]);
        from != to && floors.of(to) >= floors.of(from)
    });
    let up = up.map(|(from, to)| format!("{} knows {}", from.join("::"), to.join("::")));
    assert_none(&up.collect::<Vec<_>>());
}

#[test]
fn no_files_know_each_other_in_a_circle() {
    let circles = Imports::read().circles();
    let names = circles.iter().map(|circle| {
        let names: Vec<_> = circle.iter().map(|module| module.join("::")).collect();
        names.join(", ")
    });
    assert_none(&names.collect::<Vec<_>>());
}

#[test]
fn the_picture_has_every_room_and_no_other_and_stands_in_every_page_alike() {
    let floors = Floors::read();
    let mut shown: Vec<_> = floors.rooms().filter(|room| *room != "main").collect();
    shown.sort_unstable();
    let mut rooms: Vec<_> = everything()
        .iter()
        .map(|source| source.room().to_owned())
        .collect();
    rooms.sort_unstable();
    rooms.dedup();
    rooms.retain(|room| !["main", "lib", "tests"].contains(&room.as_str()));
    assert_eq!(shown, rooms);
    let page = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let of_the_crate = picture(&page("src/lib.rs"), "//!");
    assert_eq!(picture(&page("ARCHITECTURE.md"), ""), of_the_crate);
}

#[test]
fn no_module_reaches_the_root_by_super() {
    let reaches = |source: &&Source| {
        let depth = source.module_path().len();
        source.code().contains(&"super::".repeat(depth))
    };
    let sources = sources();
    let found = sources
        .iter()
        .filter(|source| source.path != "src/lib.rs")
        .filter(reaches);
    assert_none(&found.map(|source| source.path.clone()).collect::<Vec<_>>());
}

#[test]
fn pure_rooms_have_no_runtime_clock_log_random_or_io() {
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
    let pure = |source: &Source| PURE.contains(&source.room());
    assert_none(&misplaced(&impure, |source| !pure(source)));
}

#[test]
fn nothing_deserialises_outside_of_config() {
    let words = ["Deserialize", "serde_json::from_", "toml::"];
    // Both read an answer of another process, never what an operator writes.
    let clients = ["src/client/handshake.rs", "src/cli/admin/client.rs"];
    let may =
        |source: &Source| source.room() == "config" || clients.contains(&source.path.as_str());
    assert_none(&misplaced(&words, may));
}

#[test]
fn nothing_spawns_outside_of_runtime() {
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
    let may = |source: &Source| source.room() == "runtime" || source.path == "src/admin/server.rs";
    assert_none(&misplaced(&words, may));
}

#[test]
fn no_metric_and_no_label_is_made_outside_of_observe() {
    let words = ["with_label_values", "prometheus::"];
    // It makes the registry that everything is registered with.
    let may = |source: &Source| source.room() == "observe" || source.path == "src/app.rs";
    assert_none(&misplaced(&words, may));
    let app = sources()
        .into_iter()
        .find(|source| source.path == "src/app.rs")
        .unwrap();
    assert_eq!(app.code().matches("prometheus::").count(), 1);
    assert!(app.code().contains("use prometheus::Registry;"));
}

#[test]
fn every_stage_says_what_it_takes_returns_and_refuses() {
    let stages = [
        "listener/accept",
        "listener/handshake",
        "listener/redirect",
        "exchange/h1",
        "exchange/authenticate",
        "exchange/route",
        "exchange/forward",
        "exchange/plain",
        "socket/dial",
        "socket/relay/mod",
        "socket/open",
    ];
    for stage in stages {
        let path = format!("src/{stage}.rs");
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
            "Returns:",
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
        collect(Path::new(folder), &mut files);
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
    let page = include_str!("../../src/lib.rs")
        .lines()
        .filter(|line| line.starts_with("//!"));
    let missing = missing_tests(&page.collect::<String>());
    assert_none(&missing);
}

#[test]
fn every_test_that_the_page_on_hostile_peers_names_exists() {
    let mut missing = missing_tests(include_str!("../../docs/hostile-peers.md"));
    // A package comes without them.
    let peers = root().join("tests/peers");
    missing.retain(|name| peers.exists() || !name.starts_with("test_"));
    assert_none(&missing);
}

/// The tests, in Rust or Python, that a page names between backticks and nobody wrote.
fn missing_tests(page: &str) -> Vec<String> {
    let mut files = everything();
    collect(Path::new("tests"), &mut files);
    let is_name = |word: &&str| word.matches('_').count() > 2 && *word == imports::word(word);
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
