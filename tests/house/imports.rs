//! Which file of the sources knows which: paths of imports and of code, resolved to files.

use crate::sources::sources;
use std::collections::{BTreeMap, BTreeSet};

/// The path of a module below the crate's root, such as `["tls", "stream"]`.
pub(crate) type Module = Vec<String>;

/// The files that each file knows, by their modules; tests aside.
pub(crate) struct Imports {
    known: BTreeMap<Module, BTreeSet<Module>>,
}

impl Imports {
    /// Reads every file of `src`.
    pub(crate) fn read() -> Self {
        let sources = sources();
        let files: Vec<_> = sources
            .iter()
            .filter(|source| source.path != "src/main.rs")
            .map(|source| (source.module_path(), source.code()))
            .collect();
        Self::of(&files)
    }

    /// Of files by module and code.
    fn of(files: &[(Module, String)]) -> Self {
        let modules: BTreeSet<&Module> = files.iter().map(|(module, _)| module).collect();
        let reexported = reexports(files, &modules);
        let known = files.iter().map(|(module, code)| {
            let paths = paths(code, false).into_iter();
            let targets = paths
                .filter_map(|path| absolute(module, &path, &modules))
                .filter_map(|path| file_of(path, &modules, &reexported))
                .filter(|target| target != module)
                .collect();
            (module.clone(), targets)
        });
        Self {
            known: known.collect(),
        }
    }

    /// Every pair of files of which the first knows the second.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&Module, &Module)> {
        self.known
            .iter()
            .flat_map(|(from, known)| known.iter().map(move |to| (from, to)))
    }

    /// Files that know each other, directly or by way of others; each circle once.
    pub(crate) fn circles(&self) -> Vec<BTreeSet<Module>> {
        let mut circles: Vec<BTreeSet<Module>> = Vec::new();
        for module in self.known.keys() {
            if circles.iter().any(|circle| circle.contains(module)) {
                continue;
            }
            let reached = self.reached_from(module);
            let circle: BTreeSet<_> = reached
                .iter()
                .filter(|other| self.reached_from(other).contains(module))
                .cloned()
                .collect();
            if !circle.is_empty() {
                circles.push(circle);
            }
        }
        circles
    }

    fn reached_from(&self, module: &Module) -> BTreeSet<Module> {
        let (mut reached, mut next) = (BTreeSet::new(), vec![module]);
        while let Some(module) = next.pop() {
            for known in self.known.get(module).into_iter().flatten() {
                if reached.insert(known.clone()) {
                    next.push(known);
                }
            }
        }
        reached
    }
}

/// What `pub use` makes reachable under another path: the path, and where the item really is.
fn reexports(files: &[(Module, String)], modules: &BTreeSet<&Module>) -> BTreeMap<Module, Module> {
    let mut found = BTreeMap::new();
    for (module, code) in files {
        for path in paths(code, true) {
            let name = path.last().cloned().unwrap_or_default();
            if let Some(target) = absolute(module, &path, modules) {
                let mut from = module.clone();
                from.push(name);
                found.insert(from, target);
            }
        }
    }
    found
}

/// The file that an absolute path leads to; `None`: the root, or nothing of this crate.
fn file_of(
    mut path: Module,
    modules: &BTreeSet<&Module>,
    reexported: &BTreeMap<Module, Module>,
) -> Option<Module> {
    for _ in 0..4 {
        let hit = (1..=path.len()).rev().find_map(|length| {
            let target = reexported.get(&path[..length])?;
            Some([target, &path[length..]].concat())
        });
        match hit {
            Some(target) if target != path => path = target,
            _ => break,
        }
    }
    let lengths = (1..=path.len()).rev();
    let mut candidates = lengths.map(|length| path[..length].to_vec());
    candidates.find(|candidate| modules.contains(candidate))
}

/// A path from the root; `None` where it is of another crate.
fn absolute(module: &Module, path: &[String], modules: &BTreeSet<&Module>) -> Option<Module> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([module, rest].concat()),
        "super" => {
            let ups = path.iter().take_while(|part| *part == "super").count();
            let base = &module[..module.len().checked_sub(ups)?];
            Some([base, &path[ups..]].concat())
        }
        _ => {
            let child = [module.as_slice(), &path[..1]].concat();
            modules
                .contains(&child)
                .then(|| [module.as_slice(), path].concat())
        }
    }
}

/// Every path that code names: of its imports (`reexports`: of those that are public, and of no
/// others), and in between.
pub(crate) fn paths(code: &str, reexports: bool) -> Vec<Module> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = import_at(rest) {
        let (before, import) = rest.split_at(at);
        let end = import.find(';').expect("an import ends");
        let public = before
            .rsplit(['\n', ';', '}'])
            .next()
            .is_some_and(|line| line.trim_start().starts_with("pub"));
        if !reexports {
            found.extend(plain_paths(before));
        }
        if public == reexports {
            let mut text = &import["use ".len()..end];
            tree(&mut text, &mut Vec::new(), &mut found);
        }
        rest = &import[end..];
    }
    if !reexports {
        found.extend(plain_paths(rest));
    }
    found
}

/// Where the next import begins.
fn import_at(code: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = code[from..].find("use ") {
        let at = from + at;
        let begins = code[..at]
            .chars()
            .next_back()
            .is_none_or(|before| before == '\n' || before == ' ');
        let line = code[..at].rsplit('\n').next().unwrap_or_default().trim();
        if begins && (line.is_empty() || line.starts_with("pub")) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// The paths of an import's tree, which is taken off the text.
fn tree(text: &mut &str, prefix: &mut Module, found: &mut Vec<Module>) {
    let depth = prefix.len();
    loop {
        *text = text.trim_start();
        if let Some(inside) = text.strip_prefix('{') {
            *text = inside;
            while !text.trim_start().starts_with('}') {
                tree(text, prefix, found);
                *text = text.trim_start().trim_start_matches(',');
            }
            *text = &text.trim_start()[1..];
            break;
        }
        let name = word(text);
        *text = text[name.len()..].trim_start_matches('*');
        let stays = name == "self" && !prefix.is_empty();
        if !name.is_empty() && !stays {
            prefix.push(name);
        }
        if let Some(after) = text.strip_prefix("::") {
            *text = after;
            continue;
        }
        if let Some(alias) = text.trim_start().strip_prefix("as ") {
            *text = &alias[word(alias).len()..];
        }
        found.push(prefix.clone());
        break;
    }
    prefix.truncate(depth);
}

/// Paths of two words or more in code.
fn plain_paths(code: &str) -> Vec<Module> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find(|c: char| c.is_alphabetic() || c == '_') {
        let before = &code[..code.len() - rest.len() + at];
        let mut text = &rest[at..];
        let mut path = vec![word(text)];
        text = &text[path[0].len()..];
        while let Some(after) = text.strip_prefix("::") {
            let next = word(after);
            if next.is_empty() {
                break;
            }
            text = &after[next.len()..];
            path.push(next);
        }
        // A visibility says who may know, not who is known.
        let visibility = before.ends_with("(in ");
        if path.len() > 1 && !visibility && !before.ends_with("::") && !before.ends_with('.') {
            found.push(path);
        }
        rest = text;
    }
    found
}

/// The word at the beginning.
pub(crate) fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(path: &str) -> Module {
        path.split("::").map(str::to_owned).collect()
    }

    #[test]
    fn every_way_to_name_a_path_is_found() {
        let code = "use crate::{a::b, c::{self, d as e, f::*}};\npub use g::H;\nfn f() { super::i::j() }\npub(in k::l) fn m() {}";
        let found: Vec<_> = paths(code, false).iter().map(|p| p.join("::")).collect();
        assert_eq!(
            found,
            [
                "crate::a::b",
                "crate::c",
                "crate::c::d",
                "crate::c::f",
                "super::i::j"
            ]
        );
        assert_eq!(paths(code, true), [module("g::H")]);
    }

    #[test]
    fn a_circle_is_found_through_imports_reexports_and_paths_in_code() {
        let files = [
            (module("a"), "pub use b::X;\nmod b;".to_owned()),
            (module("a::b"), "use crate::c::Y;".to_owned()),
            (module("c"), "fn f() { crate::a::X::new() }".to_owned()),
            (module("d"), "use crate::c::Y;".to_owned()),
        ];
        let circles = Imports::of(&files).circles();
        let names: Vec<_> = circles[0].iter().map(|m| m.join("::")).collect();
        assert_eq!(
            (circles.len(), names),
            (1, vec!["a::b".to_owned(), "c".to_owned()])
        );
    }
}
