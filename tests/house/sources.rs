//! The files of the sources, and what of them is code.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file of the sources.
pub(crate) struct Source {
    /// Below the root, such as `src/tls/mod.rs`.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
}

impl Source {
    /// The room that it belongs to: the module of the first level.
    pub(crate) fn room(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap();
        below.split(['/', '.']).next().unwrap()
    }

    /// The path of its module below the crate's root.
    pub(crate) fn module_path(&self) -> Vec<String> {
        let below = self.path.strip_prefix("src/").unwrap();
        let parts = below.strip_suffix(".rs").unwrap().split('/');
        let parts = parts.filter(|part| *part != "mod" && *part != "lib");
        parts.map(str::to_owned).collect()
    }

    /// The code that is no comment and no test.
    pub(crate) fn code(&self) -> String {
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
    let end = text.find([';', '{']).unwrap();
    if text[end..].starts_with(';') {
        return &text[end + 1..];
    }
    if text.trim_start().starts_with("mod ") {
        return "";
    }
    let mut depth = 0;
    for (index, character) in text[end..].char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[end + index + 1..];
        }
    }
    ""
}

/// Every file of the sources.
pub(crate) fn everything() -> Vec<Source> {
    let mut found = Vec::new();
    collect(Path::new("src"), &mut found);
    assert!(found.len() > 50, "only {} sources were found", found.len());
    found
}

/// Adds every file of Rust or Python below a folder of the repository.
pub(crate) fn collect(folder: &Path, found: &mut Vec<Source>) {
    let root = root();
    let entries = fs::read_dir(root.join(folder)).unwrap();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| folder.join(entry.unwrap().file_name()))
        .collect();
    paths.sort();
    for path in paths {
        if root.join(&path).is_dir() {
            collect(&path, found);
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
pub(crate) fn sources() -> Vec<Source> {
    everything()
        .into_iter()
        .filter(|source| !source.is_test())
        .collect()
}

/// The folder of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_reader_of_sources_finds_what_it_looks_for() {
    let source = |text: &str| Source {
        path: "src/tls/stream.rs".to_owned(),
        text: text.to_owned(),
    };
    let code = source("a\n// b\n#[cfg(test)]\nuse c;\n#[cfg(test)]\nmod tests;\nd\n#[cfg(test)]\nfn e() { {} }\nf\n#[cfg(test)]\nmod tests {\ng }").code();
    let words: Vec<_> = code.split_whitespace().collect();
    assert_eq!(words, ["a", "d", "f"]);
    assert_eq!(source("").room(), "tls");
    assert_eq!(source("").module_path(), ["tls", "stream"]);
}
