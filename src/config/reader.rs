//! Tables that know where they stand, and remember which keys they were asked for.
//!
//! A value that is absent or wrong becomes a finding and `None`; reading goes on, so that all
//! findings come at once.

use super::{
    findings::{Finding, Placed, Reading, Refusal},
    source::Place,
};
use std::{fmt::Display, path::PathBuf};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Makes a setting of a value.
pub(super) type Parse<T> = fn(&DeValue<'_>) -> Result<T, Refusal>;

/// A table being read.
#[derive(Debug)]
pub(super) struct Table<'a> {
    /// The way it is written, `[tls.clients]`; empty for the whole document.
    title: String,
    /// Its header; `None` if the file has no such table.
    pub(super) place: Place,
    /// `None` if the file has no such table.
    entries: Option<&'a DeTable<'a>>,
    known: Vec<&'static str>,
    reading: &'a Reading,
}

impl<'a> Table<'a> {
    /// The whole document.
    pub(super) fn root(entries: &'a DeTable<'a>, reading: &'a Reading) -> Self {
        Self {
            title: String::new(),
            place: None,
            entries: Some(entries),
            known: Vec::new(),
            reading,
        }
    }

    /// Whether the file has it, as a table.
    pub(super) fn is_table(&self) -> bool {
        self.entries.is_some()
    }

    /// What the findings go to.
    pub(super) fn reading(&self) -> &'a Reading {
        self.reading
    }

    /// The value of a key that has to be there.
    pub(super) fn required<T>(&mut self, key: &'static str, parse: Parse<T>) -> Option<Placed<T>> {
        if let Some(value) = self.find(key) {
            return self.parsed(value, parse);
        }
        self.report_missing(key);
        None
    }

    /// The value of a key that may be there.
    pub(super) fn optional<T>(&mut self, key: &'static str, parse: Parse<T>) -> Option<Placed<T>> {
        let value = self.find(key)?;
        self.parsed(value, parse)
    }

    /// The value of a key, or that it is absent; `None` if what is there is wrong.
    #[allow(
        clippy::option_option,
        reason = "as with every key: the outer says whether it was read, the inner is the setting"
    )]
    pub(super) fn maybe<T>(&mut self, key: &'static str, parse: Parse<T>) -> Option<Option<T>> {
        match self.find(key) {
            Some(value) => Some(Some(self.parsed(value, parse)?.value)),
            None => Some(None),
        }
    }

    /// The value of a key or its default; `None` if what is there is wrong.
    pub(super) fn or_default<T>(
        &mut self,
        key: &'static str,
        parse: Parse<T>,
        default: T,
    ) -> Option<Placed<T>> {
        match self.find(key) {
            Some(value) => self.parsed(value, parse),
            None => Some(Placed::new(default, None)),
        }
    }

    /// As [`Table::or_default`], with the default written as it would be in the file.
    pub(super) fn or_written<T>(
        &mut self,
        key: &'static str,
        parse: Parse<T>,
        default: &str,
    ) -> Option<Placed<T>> {
        if let Some(value) = self.find(key) {
            return self.parsed(value, parse);
        }
        let default = parse(&DeValue::String(default.into())).ok()?;
        Some(Placed::new(default, None))
    }

    /// The elements of a list or of its default; `None` if the list or an element is wrong.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        parse: Parse<T>,
        default: Vec<T>,
    ) -> Option<Placed<Vec<Placed<T>>>> {
        let Some(value) = self.find(key) else {
            let elements = default.into_iter();
            let elements = elements.map(|element| Placed::new(element, None));
            return Some(Placed::new(elements.collect(), None));
        };
        let array = self.array_of(value, "a list")?;
        // All elements are read before the first refusal counts, so that each has its finding.
        let elements: Vec<_> = array.iter().map(|item| self.parsed(item, parse)).collect();
        let elements: Option<Vec<_>> = elements.into_iter().collect();
        Some(Placed::new(elements?, Some(value.span())))
    }

    /// As [`Table::list`], for a key that may be left out but not be empty: an empty list would
    /// mean as much as none, or the opposite of it. `hint` says what to write instead.
    pub(super) fn list_of_some<T>(
        &mut self,
        key: &'static str,
        parse: Parse<T>,
        hint: &str,
    ) -> Option<Placed<Vec<Placed<T>>>> {
        let list = self.list(key, parse, Vec::new())?;
        if list.place.is_some() && list.value.is_empty() {
            let message = format!("`{key}` is an empty list");
            let finding = Finding::error(&list.place, message).hint(hint);
            self.reading.report(finding);
            return None;
        }
        Some(list)
    }

    /// The path of a file, which counts as named by the configuration.
    pub(super) fn file(
        &mut self,
        key: &'static str,
        parse: Parse<PathBuf>,
    ) -> Option<Placed<PathBuf>> {
        let path = self.optional(key, parse)?;
        Some(self.reading.remember_path(path))
    }

    /// As [`Table::file`], but the key has to be there.
    pub(super) fn required_file(
        &mut self,
        key: &'static str,
        parse: Parse<PathBuf>,
    ) -> Option<Placed<PathBuf>> {
        let path = self.required(key, parse)?;
        Some(self.reading.remember_path(path))
    }

    /// The paths of files, which count as named by the configuration; none if there is no key.
    pub(super) fn files(
        &mut self,
        key: &'static str,
        parse: Parse<PathBuf>,
    ) -> Option<Placed<Vec<Placed<PathBuf>>>> {
        let list = self.list(key, parse, Vec::new())?;
        let paths = list.value.into_iter();
        let paths = paths.map(|path| self.reading.remember_path(path));
        Some(Placed::new(paths.collect(), list.place))
    }

    /// A table that may be there; an absent one has every default.
    pub(super) fn table(&mut self, key: &'static str) -> Table<'a> {
        let title = format!("[{}]", self.path_of(key));
        match self.find(key) {
            Some(value) => self.table_of(value, title),
            None => self.child(None, None, title),
        }
    }

    /// A table that may be there, and means something by being there.
    pub(super) fn optional_table(&mut self, key: &'static str) -> Option<Table<'a>> {
        let title = format!("[{}]", self.path_of(key));
        let value = self.find(key)?;
        Some(self.table_of(value, title))
    }

    /// The tables of an array of tables, none if there is no key; `None` if it is not an array.
    pub(super) fn tables(&mut self, key: &'static str) -> Option<Placed<Vec<Table<'a>>>> {
        let title = format!("[[{}]]", self.path_of(key));
        let Some(value) = self.find(key) else {
            return Some(Placed::new(Vec::new(), None));
        };
        let array = self.array_of(value, &format!("an array of tables, {title}"))?;
        let tables = array.iter();
        let tables = tables.map(|table| self.table_of(table, title.clone()));
        Some(Placed::new(tables.collect(), Some(value.span())))
    }

    /// The tables under names that the operator chose, in the order of the file.
    pub(super) fn named_tables(&mut self, key: &'static str) -> Vec<(String, Table<'a>)> {
        let path = self.path_of(key);
        let nameless = format!("[{path}.NAME]");
        let Some(value) = self.find(key) else {
            return Vec::new();
        };
        let parent = self.table_of(value, nameless.clone());
        let entries = parent.entries.into_iter().flat_map(DeTable::iter);
        let tables = entries.map(|(name, value)| {
            let name = name.get_ref().clone().into_owned();
            let title = match value.get_ref() {
                DeValue::Table(_) => format!("[{path}.{name}]"),
                // A key where a name belongs: nobody chose it as one.
                _ => nameless.clone(),
            };
            let table = self.table_of(value, title);
            (name, table)
        });
        let mut tables: Vec<_> = tables.filter(|(_, table)| table.is_table()).collect();
        tables.sort_by_key(|(_, table)| table.place.as_ref().map(|range| range.start));
        tables
    }

    /// Values under names that the operator chose, none if there is no key; `None` if a name or a value
    /// is wrong.
    pub(super) fn named_values<N, T>(
        &mut self,
        key: &'static str,
        name: fn(&str) -> Result<N, Refusal>,
        parse: Parse<T>,
    ) -> Option<Vec<(N, T)>> {
        let title = format!("[{}]", self.path_of(key));
        let Some(value) = self.find(key) else {
            return Some(Vec::new());
        };
        let table = self.table_of(value, title);
        let entries: Vec<_> = table
            .entries?
            .iter()
            .map(|(key, value)| {
                let name = self.judged(name(key.get_ref()), Some(key.span()));
                let value = self.parsed(value, parse);
                Some((name?.value, value?.value))
            })
            .collect();
        entries.into_iter().collect()
    }

    /// Reports every key that nobody has asked for.
    pub(super) fn finish(self) {
        let entries = self.entries.into_iter().flat_map(DeTable::iter);
        for (key, _) in entries.filter(|(key, _)| !self.known.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref();
            let message = format!("unknown key `{name}` {}", self.whereabouts());
            let hint = suggestion(name, &self.known);
            let finding = Finding::error(&Some(key.span()), message).hint(hint);
            self.reading.report(finding);
        }
    }

    fn find(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.entries?.get(key)
    }

    fn parsed<T>(&self, value: &Spanned<DeValue<'_>>, parse: Parse<T>) -> Option<Placed<T>> {
        self.judged(parse(value.get_ref()), Some(value.span()))
    }

    fn judged<T>(&self, result: Result<T, Refusal>, place: Place) -> Option<Placed<T>> {
        match result {
            Ok(value) => Some(Placed::new(value, place)),
            Err(Refusal { message, hint }) => {
                let finding = Finding::error(&place, message).hint(hint);
                self.reading.report(finding);
                None
            }
        }
    }

    fn array_of(
        &self,
        value: &'a Spanned<DeValue<'a>>,
        expected: &str,
    ) -> Option<&'a [Spanned<DeValue<'a>>]> {
        if let DeValue::Array(array) = value.get_ref() {
            return Some(array);
        }
        self.report_wrong_type(value, expected);
        None
    }

    fn table_of(&self, value: &'a Spanned<DeValue<'a>>, title: String) -> Table<'a> {
        let place = Some(value.span());
        let DeValue::Table(entries) = value.get_ref() else {
            self.report_wrong_type(value, &format!("a table, {title}"));
            return self.child(None, place, title);
        };
        self.child(Some(entries), place, title)
    }

    fn child(&self, entries: Option<&'a DeTable<'a>>, place: Place, title: String) -> Table<'a> {
        Table {
            title,
            place,
            entries,
            known: Vec::new(),
            reading: self.reading,
        }
    }

    fn path_of(&self, key: &str) -> String {
        match self.title.trim_matches(['[', ']']) {
            "" => key.to_owned(),
            parent => format!("{parent}.{key}"),
        }
    }

    fn whereabouts(&self) -> String {
        match self.title.as_str() {
            "" => "at the top level".to_owned(),
            title => format!("in {title}"),
        }
    }

    fn report_missing(&self, key: &str) {
        // A table of the wrong type has been complained about already.
        if self.entries.is_none() && self.place.is_some() {
            return;
        }
        let message = format!("missing key `{key}` {}", self.whereabouts());
        self.reading
            .report_absence(Finding::error(&self.place, message));
    }

    fn report_wrong_type(&self, value: &Spanned<DeValue<'_>>, expected: &str) {
        let Refusal { message, hint } = wrong_type(value.get_ref(), expected);
        let finding = Finding::error(&Some(value.span()), message).hint(hint);
        self.reading.report(finding);
    }
}

/// A refusal of a value that is of another type.
pub(super) fn wrong_type(found: &DeValue<'_>, expected: &str) -> Refusal {
    let message = format!("found {}, expected {expected}", kind(found));
    let hint = match found {
        DeValue::String(text) if expected.starts_with("a list") => format!("write [\"{text}\"]"),
        _ => String::new(),
    };
    Refusal::new(message, hint)
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// "did you mean", where one of the words is close to the one found; otherwise all words.
pub(super) fn suggestion<W: AsRef<str> + Display>(found: &str, words: &[W]) -> String {
    near(found, words).unwrap_or_else(|| known_words(words))
}

/// "did you mean", where one of the words is close to the one found.
pub(super) fn near<W: AsRef<str> + Display>(found: &str, words: &[W]) -> Option<String> {
    let found = found.to_lowercase();
    let bound = (found.chars().count() / 3).max(1);
    let distances = words.iter().map(|word| {
        let distance = strsim::damerau_levenshtein(&found, word.as_ref());
        (distance, word)
    });
    let (distance, word) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= bound).then(|| format!("did you mean `{word}`?"))
}

fn known_words<W: Display>(words: &[W]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => String::new(),
        [word] => format!("only {word} is known here"),
        words => format!("known here: {}", words.join(", ")),
    }
}
