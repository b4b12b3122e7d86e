//! What differs between two configurations, for the answer to whoever reloads.

use super::build::Digests;
use crate::config::{Diagnostic, Settings};
use std::{collections::BTreeSet, path::Path};

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
    let mut found = Vec::new();
    let mut changed = |differs: bool, what, name: &str| {
        if differs {
            found.push(Difference {
                kind: Kind::Changed,
                what,
                name: name.to_owned(),
            });
        }
    };
    changed(old.server != new.server, "server", "");
    changed(old.tls != new.tls, "tls", "");
    changed(old.limits != new.limits, "limits", "");
    changed(old.timeouts != new.timeouts, "timeouts", "");
    changed(old.keyring != new.keyring, "integrity", "");
    changed(old.admin != new.admin, "admin", "");
    named(
        "listener",
        &old.listeners,
        &new.listeners,
        |listener| &listener.name,
        &mut found,
    );
    named(
        "route",
        &old.routes,
        &new.routes,
        |route| &route.name,
        &mut found,
    );
    named(
        "backend",
        &old.backends,
        &new.backends,
        |backend| &backend.name,
        &mut found,
    );
    files(old_files, new_files, &mut found);
    found
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
            .map(|l| (l.name.clone(), l.address))
            .collect()
    };
    if listeners(old) != listeners(new) {
        refuse("the listeners' names and addresses");
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

fn named<T: PartialEq>(
    what: &'static str,
    old: &[T],
    new: &[T],
    name: impl Fn(&T) -> &String,
    found: &mut Vec<Difference>,
) {
    let names: BTreeSet<&String> = old.iter().chain(new).map(&name).collect();
    let of = |items: &'_ [T], wanted: &String| -> Vec<usize> {
        let places = items.iter().enumerate();
        places
            .filter(|(_, item)| name(item) == wanted)
            .map(|(place, _)| place)
            .collect()
    };
    for wanted in names {
        let (before, after) = (of(old, wanted), of(new, wanted));
        let same = before.len() == after.len()
            && before
                .iter()
                .zip(&after)
                .all(|(b, a)| old.get(*b) == new.get(*a));
        let kind = match (before.is_empty(), after.is_empty()) {
            (true, _) => Kind::Added,
            (_, true) => Kind::Removed,
            _ => Kind::Changed,
        };
        if !same {
            found.push(Difference {
                kind,
                what,
                name: wanted.clone(),
            });
        }
    }
}

fn files(old: &Digests, new: &Digests, found: &mut Vec<Difference>) {
    let known = |path: &Path| old.get(path).zip(new.get(path));
    for path in new
        .keys()
        .filter(|path| known(path).is_some_and(|(old, new)| old != new))
    {
        let name = path.display().to_string();
        found.push(Difference {
            kind: Kind::Changed,
            what: "file",
            name,
        });
    }
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
