//! How much each file holds: for `check`, and to notice a reload that has less.

use crate::credential::MaterialError;
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The file, as the configuration names it.
    pub path: PathBuf,
    /// Of what.
    pub kind: Kind,
    /// How many.
    pub count: usize,
}

/// What files are read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Certificates of a chain.
    Chain,
    /// CAs of clients.
    Authorities,
    /// Revocation lists.
    Lists,
}

impl Contents {
    pub(super) fn new(path: &Path, kind: Kind, count: usize) -> Self {
        Self {
            path: path.to_owned(),
            kind,
            count,
        }
    }
}

/// Warnings of files of CAs that hold more than they held before: whom those issue is let in too.
pub(super) fn more_authorities(before: &[Contents], after: &[Contents]) -> Vec<MaterialError> {
    let warning = |new: &Contents| {
        let same = |it: &&Contents| it.path == new.path && it.kind == Kind::Authorities;
        let old = before.iter().find(same).map(|it| it.count);
        let grown = old.filter(|old| new.kind == Kind::Authorities && new.count > *old)?;
        let message = format!("it has {} CAs, and had {grown}", new.count);
        let hint = "this reload admits more clients: those of the new CAs as well; if that is not meant, put the file back";
        Some(MaterialError::new(&new.path, message, hint))
    };
    after.iter().filter_map(warning).collect()
}

/// Warnings of files that hold less than they held before.
///
/// A file that is no longer named holds nothing. It is reported where all of its kind are fewer, and
/// not where another took its place.
pub(super) fn fewer(before: &[Contents], after: &[Contents]) -> Vec<MaterialError> {
    let total = |all: &[Contents], kind| -> usize {
        let alike = all.iter().filter(|it| it.kind == kind);
        alike.map(|it| it.count).sum()
    };
    let warning = |old: &Contents| {
        let same = |it: &&Contents| it.path == old.path && it.kind == old.kind;
        let new = after.iter().find(same).map(|it| it.count);
        let fell = total(after, old.kind) < total(before, old.kind);
        let reported = new.is_some_and(|new| new < old.count) || (new.is_none() && fell);
        reported.then(|| old.warning(new.unwrap_or(0)))
    };
    before.iter().filter_map(warning).collect()
}

impl Contents {
    fn warning(&self, now: usize) -> MaterialError {
        let noun = self.kind.noun(self.count);
        let message = format!("{now} where {} {noun} were in use", self.count);
        let meaning = match self.kind {
            Kind::Chain => "clients that need the others to find the CA refuse the certificate",
            Kind::Authorities => {
                "clients of a CA that was removed are refused, and their open sockets end"
            }
            Kind::Lists => "what a removed list revoked is no longer known to be revoked",
        };
        let hint = format!("{meaning}; if that is not meant, put the file back");
        MaterialError::new(&self.path, message, hint)
    }
}

impl Kind {
    const fn noun(self, count: usize) -> &'static str {
        match (self, count) {
            (Self::Chain, 1) => "certificate",
            (Self::Chain, _) => "certificates",
            (Self::Authorities, 1) => "CA",
            (Self::Authorities, _) => "CAs",
            (Self::Lists, 1) => "revocation list",
            (Self::Lists, _) => "revocation lists",
        }
    }
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = self.kind.noun(self.count);
        write!(f, "{}: {} {noun}", self.path.display(), self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(all: &[(&str, Kind, usize)]) -> Vec<Contents> {
        let one = |(path, kind, count): &(&str, Kind, usize)| {
            Contents::new(Path::new(path), *kind, *count)
        };
        all.iter().map(one).collect()
    }

    fn told(before: &[(&str, Kind, usize)], after: &[(&str, Kind, usize)]) -> Vec<String> {
        let warnings = fewer(&contents(before), &contents(after));
        let told = |it: MaterialError| format!("{}: {}", it.path.display(), it.message);
        warnings.into_iter().map(told).collect()
    }

    #[test]
    fn a_file_that_gives_less_is_told_with_both_counts() {
        let before = [("a", Kind::Authorities, 3), ("b", Kind::Lists, 1)];
        let after = [("a", Kind::Authorities, 1), ("b", Kind::Lists, 2)];
        assert_eq!(told(&before, &after), ["a: 1 where 3 CAs were in use"]);
        assert!(told(&before, &before).is_empty());
    }

    #[test]
    fn a_file_that_gives_more_cas_than_before_is_reported_and_more_of_others_is_not() {
        let before = contents(&[("a", Kind::Authorities, 1), ("b", Kind::Lists, 1)]);
        let after = contents(&[("a", Kind::Authorities, 2), ("b", Kind::Lists, 2)]);
        let found = more_authorities(&before, &after);
        let [warning] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(warning.message, "it has 2 CAs, and had 1");
        assert!(warning.hint.starts_with("this reload admits more clients"));
        assert!(more_authorities(&after, &before).is_empty());
    }

    #[test]
    fn a_file_that_another_takes_the_place_of_is_not_told_of() {
        let before = [("old", Kind::Lists, 2)];
        assert!(told(&before, &[("new", Kind::Lists, 2)]).is_empty());
        let expected = ["old: 0 where 2 revocation lists were in use"];
        assert_eq!(told(&before, &[("new", Kind::Lists, 1)]), expected);
        assert_eq!(told(&before, &[("old", Kind::Chain, 9)]), expected);
    }
}
