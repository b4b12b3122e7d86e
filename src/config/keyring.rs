//! The keyring's file: keys by id, each with what it consists of, its state and its validity.
//!
//! No problem shows what a `secret` or `private` is set to: of the text, only what is known to be
//! harmless is kept to point at, and the rest is covered.

mod cover;
mod entry;
#[cfg(test)]
mod tests;

use self::{cover::covered, entry::KeyDraft};
use super::{
    diagnostic::Diagnostic,
    findings::{Finding, Reading},
    load::report_syntax,
    reader::Table,
    source::Text,
};
use crate::{
    credential::{MaterialError, file},
    integrity::keyring::{Key, Keyring},
};
use std::{collections::HashMap, path::Path, str};
use toml::de::DeTable;
use zeroize::Zeroizing;

/// Reads a keyring's file, which nobody but its owner may be able to read. Returns all problems at
/// once, in the order of the file; none of them holds a secret.
pub fn load_keyring(path: &Path) -> Result<Keyring, Vec<Diagnostic>> {
    let refused = |error: MaterialError| vec![unusable(path, error)];
    file::owner_only(path).map_err(refused)?;
    let bytes = file::read(path).map_err(refused)?;
    let name = path.display().to_string();
    match str::from_utf8(&bytes) {
        Ok(text) => parse_keyring(&name, text),
        Err(error) => Err(vec![not_utf8(&name, &bytes, error.valid_up_to())]),
    }
}

/// Reads a keyring's text; `name` is what problems call the file.
pub fn parse_keyring(name: &str, text: &str) -> Result<Keyring, Vec<Diagnostic>> {
    let (table, syntax) = DeTable::parse_recoverable(text);
    let reading = Reading::new(Path::new(""), syntax.is_empty());
    let keys = read_keys(Table::root(table.get_ref(), &reading));
    let text = Text::new(name, &covered(text));
    let (mut problems, _) = reading.finish(&text);
    report_syntax(&syntax, &text, &mut problems);
    match keys {
        Some(keys) if problems.is_empty() => Keyring::new(keys).map_err(|error| {
            let problem = Diagnostic::error(name, error.message);
            vec![problem.hint(error.hint)]
        }),
        _ => Err(problems),
    }
}

/// The keys; `None` if one of them was wrong, which has been reported.
fn read_keys(mut root: Table<'_>) -> Option<Vec<Key>> {
    let reading = root.reading();
    let tables = root.tables("key");
    root.finish();
    let drafts: Vec<_> = tables?.value.into_iter().map(KeyDraft::read).collect();
    refuse_repetitions(&drafts, reading);
    drafts.into_iter().map(KeyDraft::settle).collect()
}

fn refuse_repetitions(drafts: &[KeyDraft], reading: &Reading) {
    let mut seen = HashMap::new();
    for kid in drafts.iter().filter_map(|draft| draft.kid.as_ref()) {
        let Some(first) = seen.insert(&kid.value, &kid.place) else {
            continue;
        };
        let message = format!("another key has the kid {:?}", kid.value.as_str());
        let finding = Finding::error(&kid.place, message).related(first, "here");
        reading.report(finding.hint("give each key a kid of its own"));
    }
}

fn unusable(path: &Path, error: MaterialError) -> Diagnostic {
    let missing = path.try_exists().is_ok_and(|there| !there);
    let hint = if missing {
        "`tidegate keys generate KID` makes a key and the file".to_owned()
    } else {
        error.hint
    };
    Diagnostic::error(path.display().to_string(), error.message).hint(hint)
}

fn not_utf8(name: &str, bytes: &[u8], valid: usize) -> Diagnostic {
    let lossy = Zeroizing::new(String::from_utf8_lossy(bytes).into_owned());
    let place = Some(valid..valid + char::REPLACEMENT_CHARACTER.len_utf8());
    let finding = Finding::error(&place, "not valid UTF-8, which TOML has to be");
    finding.diagnose(&Text::new(name, &covered(&lossy)))
}
