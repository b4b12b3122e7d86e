//! The structure that `src/lib.rs` draws: arrows go down only, pure modules are pure.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Modules from the bottom up; those of one row do not know each other.
const LAYERS: &[&[&str]] = &[
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

/// What the bottom row gets as arguments, if it needs it at all.
const IMPURE: &[&str] = &[
    "tokio::",
    "tracing::",
    "SystemTime::now",
    "Instant::now",
    "rand::",
    "std::fs",
    "std::net::Tcp",
    "std::env",
];

const LINES_MAX: usize = 450;

/// A file below `src` without its tests.
struct Source {
    path: PathBuf,
    module: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    collect(&root, &root, &mut sources);
    assert!(sources.len() > 50, "only {} files found", sources.len());
    sources
}

fn collect(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, sources);
            continue;
        }
        let below = path.strip_prefix(root).unwrap().to_owned();
        let is_test = below.components().any(|part| {
            let name = Path::new(part.as_os_str()).file_stem().unwrap();
            name == "tests"
        });
        if is_test || path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let first = below.components().next().unwrap();
        let module = Path::new(first.as_os_str()).file_stem().unwrap();
        sources.push(Source {
            module: module.to_str().unwrap().to_owned(),
            text: without_tests_and_comments(&fs::read_to_string(&path).unwrap()),
            path: below,
        });
    }
}

fn without_tests_and_comments(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = code.lines().map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

fn layer(module: &str) -> usize {
    let row = LAYERS.iter().position(|row| row.contains(&module));
    row.unwrap_or_else(|| panic!("{module} has no place in the layers"))
}

/// The modules that a text names behind `crate::`, alone or in braces.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in text.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            None => found.push(first_word(rest)),
            Some(group) => found.extend(members(group)),
        }
    }
    found.retain(|name| !name.is_empty() && name.starts_with(char::is_lowercase));
    found
}

/// The first words of the members of a group, up to its closing brace.
fn members(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut names = vec![first_word(group)];
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(first_word(&group[at + 1..])),
            _ => {}
        }
    }
    names
}

fn first_word(text: &str) -> String {
    let word = |character: &char| character.is_ascii_alphanumeric() || *character == '_';
    text.trim_start().chars().take_while(word).collect()
}

#[test]
fn imports_are_found_alone_and_in_groups() {
    let text = "use crate::{\n    a::{b, c},\n    d,\n};\nuse crate::e::F; let x = crate::g::h();";
    assert_eq!(imports(text), ["a", "d", "e", "g"]);
}

#[test]
fn arrows_go_down_only() {
    let mut upwards = Vec::new();
    for source in sources() {
        for import in imports(&source.text) {
            let own = import == source.module;
            if !own && layer(&import) >= layer(&source.module) {
                upwards.push(format!("{} imports {import}", source.path.display()));
            }
        }
    }
    assert!(upwards.is_empty(), "{upwards:#?}");
}

#[test]
fn bottom_row_has_neither_clock_nor_input_nor_output() {
    let mut impure = Vec::new();
    for source in sources() {
        if layer(&source.module) > 0 {
            continue;
        }
        let named = IMPURE.iter().filter(|name| source.text.contains(**name));
        impure.extend(named.map(|name| format!("{} names {name}", source.path.display())));
    }
    assert!(impure.is_empty(), "{impure:#?}");
}

#[test]
fn stages_say_what_they_take_and_give() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/connection");
    let stages = [
        "listen.rs",
        "handshake.rs",
        "authenticate.rs",
        "upgrade.rs",
        "route.rs",
        "dial.rs",
        "relay/mod.rs",
        "close.rs",
    ];
    for stage in stages {
        let text = fs::read_to_string(root.join(stage)).unwrap();
        let head: String = text.lines().take_while(|l| l.starts_with("//!")).collect();
        for word in ["Takes:", "Gives:", "Refuses", "Deadline:", "Metric:"] {
            assert!(head.contains(word), "{stage} does not say {word}");
        }
    }
}

#[test]
fn files_stay_readable() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut long = Vec::new();
    for folder in ["src", "tests", "benches"] {
        measure(&root.join(folder), &mut long);
    }
    assert!(long.is_empty(), "over {LINES_MAX} lines: {long:#?}");
}

fn measure(folder: &Path, long: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            measure(&path, long);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            if lines > LINES_MAX {
                long.push(format!("{} has {lines}", path.display()));
            }
        }
    }
}
