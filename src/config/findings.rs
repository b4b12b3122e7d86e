//! What a reading gathers: findings, each with its place, and the files that are named.

use super::{
    diagnostic::{Diagnostic, Severity},
    source::{Place, Text},
};
use std::{
    cell::RefCell,
    ops::Range,
    path::{Path, PathBuf},
};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// Why a value was refused, and what to write instead (empty: nothing better to say).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) hint: String,
}

/// What is wrong, before it is tied to a file.
#[derive(Debug)]
pub(super) struct Finding {
    severity: Severity,
    place: Place,
    /// Another place that has to do with it, and what stands there.
    related: Option<(Range<usize>, &'static str)>,
    message: String,
    hint: String,
}

/// What one reading of a configuration gathers.
#[derive(Debug)]
pub(super) struct Reading {
    folder: PathBuf,
    /// Whether absent keys count: after a syntax error nobody knows what is absent.
    complete: bool,
    findings: RefCell<Vec<Finding>>,
    paths: RefCell<Vec<(PathBuf, Place)>>,
}

impl<T> Placed<T> {
    pub(super) fn new(value: T, place: Place) -> Self {
        Self { value, place }
    }
}

impl Refusal {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: hint.into(),
        }
    }
}

impl Finding {
    pub(super) fn error(place: &Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            place: place.clone(),
            related: None,
            message: message.into(),
            hint: String::new(),
        }
    }

    pub(super) fn warning(place: &Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(place, message)
        }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: hint.into(),
            ..self
        }
    }

    pub(super) fn related(self, place: &Place, label: &'static str) -> Self {
        let related = place.clone().map(|range| (range, label));
        Self { related, ..self }
    }

    pub(super) fn diagnose(self, text: &Text) -> Diagnostic {
        let mut problem = Diagnostic::error(&text.name, self.message).hint(self.hint);
        problem.severity = self.severity;
        let places = self.place.map(|range| (range, ""));
        let places = places.into_iter().chain(self.related);
        places.fold(problem, |problem, (range, label)| {
            problem.at(text.excerpt(&range, label))
        })
    }
}

impl Reading {
    /// A reading of a file in `folder`; `complete` if all of its text was understood.
    pub(super) fn new(folder: &Path, complete: bool) -> Self {
        Self {
            folder: folder.to_owned(),
            complete,
            findings: RefCell::default(),
            paths: RefCell::default(),
        }
    }

    pub(super) fn report(&self, finding: Finding) {
        self.findings.borrow_mut().push(finding);
    }

    /// Reports what is wrong only if nothing of the file was lost.
    pub(super) fn report_absence(&self, finding: Finding) {
        if self.complete {
            self.report(finding);
        }
    }

    /// A path of the configuration, which is relative to the configuration's own folder.
    pub(super) fn resolve(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// Resolves the path of a file, and counts it as named by the configuration.
    pub(super) fn remember_path(&self, path: Placed<PathBuf>) -> Placed<PathBuf> {
        let resolved = self.resolve(&path.value);
        let mut paths = self.paths.borrow_mut();
        paths.push((resolved.clone(), path.place.clone()));
        Placed::new(resolved, path.place)
    }

    /// The problems in the order of the file, those without a place first, and the files named.
    pub(super) fn finish(self, text: &Text) -> (Vec<Diagnostic>, Vec<(PathBuf, Place)>) {
        let findings = self.findings.into_inner().into_iter();
        let mut problems: Vec<_> = findings.map(|finding| finding.diagnose(text)).collect();
        problems.sort_by_key(|problem| (problem.line, problem.column));
        let mut paths = self.paths.into_inner();
        paths.sort_by_key(|(_, place)| place.as_ref().map(|range| range.start));
        (problems, paths)
    }
}
