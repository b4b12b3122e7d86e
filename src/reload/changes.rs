//! What differs between two configurations, for the answer to whoever reloads.

use crate::{
    config::{Diagnostic, Settings},
    watch::look::Digests,
};
use std::{collections::BTreeSet, ptr};

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// How it differs.
    pub kind: Kind,
    /// What it is: `route`, `backend`, `file`, `limits`, …
    pub what: &'static str,
    /// Its name; empty where there is only one.
    pub name: String,
}

/// How something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another.
    Changed,
}

/// Everything that differs, in the order of the configuration.
pub fn between(old: (&Settings, &Digests), new: (&Settings, &Digests)) -> Vec<Difference> {
    let ((old, old_files), (new, new_files)) = (old, new);
    // The same text: however many routes there are, nothing of them is compared.
    let same = ptr::eq(old, new);
    let mut found = if same { Vec::new() } else { said(old, new) };
    found.extend(files(old_files, new_files));
    found
}

/// What the configuration itself says otherwise.
fn said(old: &Settings, new: &Settings) -> Vec<Difference> {
    let tables = [
        ("server", old.server != new.server),
        ("tls", old.tls != new.tls),
        ("limits", old.limits != new.limits),
        ("timeouts", old.timeouts != new.timeouts),
        ("integrity", old.keyring != new.keyring),
        ("admin", old.admin != new.admin),
    ];
    let changed = tables.into_iter().filter(|(_, differs)| *differs);
    let mut found: Vec<_> = changed
        .map(|(what, _)| Difference::new(Kind::Changed, what, ""))
        .collect();
    let (before, after) = (&old.listeners, &new.listeners);
    found.extend(named("listener", before, after, |listener| &listener.name));
    found.extend(named("route", &old.routes, &new.routes, |route| {
        &route.name
    }));
    let (before, after) = (&old.backends, &new.backends);
    found.extend(named("backend", before, after, |backend| &backend.name));
    found
}

impl Difference {
    fn new(kind: Kind, what: &'static str, name: impl Into<String>) -> Self {
        let name = name.into();
        Self { kind, what, name }
    }
}

/// What is fixed at start and differs all the same: a reload with it is refused.
pub fn fixed(old: &Settings, new: &Settings, file: &str) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let mut refuse = |what: &str| {
        let message = format!("{what} cannot change while the proxy runs");
        problems.push(
            Diagnostic::error(file, message)
                .hint("restart tidegate to change it, or undo the change"),
        );
    };
    let listeners = |settings: &Settings| -> Vec<_> {
        settings
            .listeners
            .iter()
            .map(|l| (l.name.clone(), l.address, l.redirects))
            .collect()
    };
    if listeners(old) != listeners(new) {
        refuse("the listeners' names, addresses and redirects");
    }
    if old.server.workers != new.server.workers {
        refuse("server.workers");
    }
    let address = |settings: &Settings| settings.admin.as_ref().map(|admin| admin.address);
    if address(old) != address(new) {
        refuse("admin.address");
    }
    problems
}

/// What differs among the items of each name; several may share one.
fn named<'a, T: PartialEq>(
    what: &'static str,
    old: &'a [T],
    new: &'a [T],
    name: impl Fn(&'a T) -> &'a String + Copy,
) -> impl Iterator<Item = Difference> {
    let names: BTreeSet<&String> = old.iter().chain(new).map(name).collect();
    names.into_iter().filter_map(move |wanted| {
        let of = |items: &'a [T]| items.iter().filter(move |item| name(item) == wanted);
        let kind = match (of(old).next(), of(new).next()) {
            (None, _) => Kind::Added,
            (_, None) => Kind::Removed,
            _ if of(old).eq(of(new)) => return None,
            _ => Kind::Changed,
        };
        Some(Difference::new(kind, what, wanted))
    })
}

/// Files that both name, and that hold something else.
fn files(old: &Digests, new: &Digests) -> impl Iterator<Item = Difference> {
    let changed = new.iter().filter(|(path, digest)| {
        let known = old.get(*path);
        known.is_some_and(|known| known != *digest)
    });
    changed.map(|(path, _)| {
        let name = path.display().to_string();
        Difference::new(Kind::Changed, "file", name)
    })
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            Kind::Added => "added",
            Kind::Removed => "removed",
            Kind::Changed => "changed",
        };
        if self.name.is_empty() {
            write!(f, "{} {kind}", self.what)
        } else {
            write!(f, "{} {} {kind}", self.what, self.name)
        }
    }
}
