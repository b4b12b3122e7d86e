//! What `cargo publish` and `cargo install` would take: what builds, tests and documents the crate, and nothing
//! that happens to lie beside it. The packages in `clients/` have tests of their own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails where it finds something else than it looks for"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Folders of the package, and the kinds of files that may come from each.
const CONTENT: [(&str, &[&str]); 8] = [
    ("src/", &["rs", "html", "css", "js"]),
    ("tests/", &["rs", "txt", "json", "md"]),
    ("benches/", &["rs"]),
    ("examples/", &["rs"]),
    ("docs/", &["md", "svg"]),
    ("certs/README", &["md"]),
    ("clients/js/README", &["md"]),
    ("clients/python/README", &["md"]),
];

/// Files of the package that are in no folder; cargo makes three of them.
const TOP: [&str; 11] = [
    ".cargo_vcs_info.json",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "Cargo.toml.orig",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "proxy.toml",
];

/// Packages of their own and their tests: cargo leaves out the first two whatever `include` says.
const LEFT_OUT: [&str; 4] = [
    "fuzz/",
    "benches/constant-time/",
    "tests/peers/",
    "tests/fuzz_seeds.rs",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of the package; `None` in an unpacked one, from which none is made.
fn listed() -> Option<BTreeSet<String>> {
    if root().join("Cargo.toml.orig").exists() {
        return None;
    }
    let list = ["package", "--list", "--allow-dirty", "--offline"];
    let output = Command::new(env!("CARGO"))
        .args(list)
        .current_dir(root())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let files = String::from_utf8(output.stdout).unwrap();
    Some(files.lines().map(str::to_owned).collect())
}

/// Whether a file is of a kind that its folder may have in the package.
fn belongs(file: &str) -> bool {
    let of_folder = |(folder, kinds): &(&str, &[&str])| {
        let rest = file.strip_prefix(folder);
        let kind = rest.and_then(|rest| rest.rsplit_once('.'));
        kind.is_some_and(|(_, kind)| kinds.contains(&kind))
    };
    TOP.contains(&file) || CONTENT.iter().any(of_folder) && !is_left_out(file)
}

fn is_left_out(file: &str) -> bool {
    LEFT_OUT.iter().any(|prefix| file.starts_with(prefix))
}

/// Every file below a folder that is not hidden, as the package would name it.
fn on_disk(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let path: PathBuf = folder.join(entry.unwrap().file_name());
        let name = path.to_str().unwrap();
        if root().join(&path).is_dir() {
            on_disk(&path, found);
        } else if !name.contains("/.") {
            found.push(name.to_owned());
        }
    }
}

#[test]
fn crate_holds_what_it_is_made_of_and_nothing_else() {
    let Some(listed) = listed() else { return };
    let strange: Vec<_> = listed.iter().filter(|file| !belongs(file)).collect();
    assert!(
        strange.is_empty(),
        "narrow `include` in Cargo.toml, or allow these here: {strange:#?}"
    );
    let made = ["Cargo.toml", "Cargo.lock", "src/lib.rs", "src/main.rs"];
    let licensed = ["LICENSE", "README.md", "proxy.toml"];
    for file in made.iter().chain(&licensed) {
        assert!(listed.contains(*file), "{file} is missing");
    }
}

/// A new kind of file beside the tests is easily forgotten where the package names what it holds.
#[test]
fn crate_lacks_nothing_that_its_build_tests_and_documents_read() {
    let Some(listed) = listed() else { return };
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches", "docs", "examples"] {
        on_disk(Path::new(folder), &mut files);
    }
    assert!(files.len() > 100, "only {} files were found", files.len());
    // Nothing here reads the scripts of `benches/compare`, which measure other proxies too.
    let is_script = |file: &str| file.starts_with("benches/") && !belongs(file);
    let missing: Vec<_> = files
        .iter()
        .filter(|file| !is_left_out(file) && !is_script(file) && !listed.contains(*file))
        .collect();
    assert!(
        missing.is_empty(),
        "remove these, or take them up into `include` in Cargo.toml: {missing:#?}"
    );
}

#[test]
fn no_package_of_another_project_is_a_part_of_the_repository() {
    let files = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root())
        .output();
    // A package comes without a repository, and a machine may be without git.
    let Some(files) = files.ok().filter(|output| output.status.success()) else {
        return;
    };
    let files = String::from_utf8(files.stdout).unwrap();
    let kinds = [".whl", ".tgz", ".tar.gz", ".zip", ".crate", ".egg", ".jar"];
    let foreign: Vec<_> = files
        .split('\0')
        .filter(|file| kinds.iter().any(|kind| file.ends_with(kind)))
        .collect();
    assert!(foreign.is_empty(), "{foreign:#?}");
}
