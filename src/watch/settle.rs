//! When a change counts: a state machine without files and clocks.

use super::look::Looks;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// Distinguishes a change that has settled from one that is under way.
#[derive(Debug)]
pub(crate) struct Settling {
    known: Looks,
    pending: Option<Pending>,
    settle: Duration,
    patience: Duration,
}

/// Contents that differ from the known ones.
#[derive(Debug)]
struct Pending {
    looks: Looks,
    /// When the files first differed from what is known.
    began: Instant,
    /// Since when they have looked like this.
    since: Instant,
}

/// What a look means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Everything is as known.
    Unchanged,
    /// Something is under way: look again after this time.
    LookAgain(Duration),
    /// These paths have changed and settled; what was seen is now what is known.
    Changed(Vec<PathBuf>),
}

impl Settling {
    /// Begins with what is known. A change has to rest for `settle`; one that does not rest, or
    /// that leaves files missing or empty, is waited out for `patience` more.
    pub(crate) fn new(known: Looks, settle: Duration, patience: Duration) -> Self {
        Self {
            known,
            pending: None,
            settle,
            patience,
        }
    }

    /// Takes what the files show at a time.
    pub(crate) fn judge(&mut self, seen: Looks, now: Instant) -> Decision {
        let paths = self.differences(&seen);
        if paths.is_empty() {
            self.pending = None;
            return Decision::Unchanged;
        }
        let pending = Pending::at(seen, now, self.pending.take());
        let wait = pending.wait(now, self.settle, self.patience, &paths);
        if wait.is_zero() {
            self.known = pending.looks;
            return Decision::Changed(paths);
        }
        self.pending = Some(pending);
        Decision::LookAgain(wait.min(self.settle))
    }

    /// Goes on with another set of paths: those that stay keep what is known of them, those that
    /// are new are known as they look.
    pub(crate) fn watch(&mut self, looks: Looks) {
        let known = looks.into_iter().map(|(path, look)| {
            let look = self.known.get(&path).copied().unwrap_or(look);
            (path, look)
        });
        self.known = known.collect();
        self.pending = None;
    }

    fn differences(&self, seen: &Looks) -> Vec<PathBuf> {
        let different = seen
            .iter()
            .filter(|(path, look)| self.known.get(*path) != Some(*look));
        different.map(|(path, _)| path.clone()).collect()
    }
}

impl Pending {
    fn at(looks: Looks, now: Instant, earlier: Option<Self>) -> Self {
        let began = earlier.as_ref().map_or(now, |earlier| earlier.began);
        let same = earlier.filter(|earlier| earlier.looks == looks);
        let since = same.map_or(now, |same| same.since);
        Self {
            looks,
            began,
            since,
        }
    }

    /// How much longer to wait; zero: the change counts.
    fn wait(
        &self,
        now: Instant,
        settle: Duration,
        patience: Duration,
        paths: &[PathBuf],
    ) -> Duration {
        let whole = |path| self.looks.get(path).is_some_and(|look| look.is_whole());
        let bound = self.began + settle + patience;
        let ready = if paths.iter().all(whole) {
            bound.min(self.since + settle)
        } else {
            bound
        };
        ready.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::look::Look;

    const SETTLE: Duration = Duration::from_millis(250);
    const PATIENCE: Duration = Duration::from_secs(2);

    fn looks(entries: &[(&str, Look)]) -> Looks {
        let entries = entries.iter();
        entries
            .map(|(path, look)| (PathBuf::from(path), *look))
            .collect()
    }

    fn pair(certificate: u8, key: u8) -> Looks {
        looks(&[("cert", content(certificate)), ("key", content(key))])
    }

    fn content(byte: u8) -> Look {
        Look::Content([byte; 32])
    }

    fn changed(paths: &[&str]) -> Decision {
        Decision::Changed(paths.iter().map(PathBuf::from).collect())
    }

    /// A machine that knows `pair(1, 1)`, and a clock in milliseconds.
    fn machine() -> (Settling, impl Fn(u64) -> Instant) {
        let start = Instant::now();
        let at = move |milliseconds| start + Duration::from_millis(milliseconds);
        (Settling::new(pair(1, 1), SETTLE, PATIENCE), at)
    }

    #[test]
    fn nothing_happens_while_contents_are_as_known() {
        let (mut machine, at) = machine();
        assert_eq!(machine.judge(pair(1, 1), at(0)), Decision::Unchanged);
        assert_eq!(machine.judge(pair(1, 1), at(9000)), Decision::Unchanged);
    }

    #[test]
    fn a_change_counts_once_it_has_rested() {
        let (mut machine, at) = machine();
        assert_eq!(
            machine.judge(pair(2, 1), at(0)),
            Decision::LookAgain(SETTLE)
        );
        let rest = Duration::from_millis(150);
        assert_eq!(
            machine.judge(pair(2, 1), at(100)),
            Decision::LookAgain(rest)
        );
        assert_eq!(machine.judge(pair(2, 1), at(250)), changed(&["cert"]));
        assert_eq!(machine.judge(pair(2, 1), at(500)), Decision::Unchanged);
    }

    #[test]
    fn certificate_and_key_a_moment_later_are_one_change() {
        let (mut machine, at) = machine();
        machine.judge(pair(2, 1), at(0));
        assert_eq!(
            machine.judge(pair(2, 2), at(200)),
            Decision::LookAgain(SETTLE)
        );
        assert_eq!(
            machine.judge(pair(2, 2), at(450)),
            changed(&["cert", "key"])
        );
    }

    #[test]
    fn a_change_that_is_taken_back_is_none() {
        let (mut machine, at) = machine();
        machine.judge(pair(2, 1), at(0));
        assert_eq!(machine.judge(pair(1, 1), at(100)), Decision::Unchanged);
        // The clock of the next change begins again.
        assert_eq!(
            machine.judge(pair(2, 1), at(400)),
            Decision::LookAgain(SETTLE)
        );
    }

    #[test]
    fn a_file_that_never_rests_is_reported_at_the_bound() {
        let (mut machine, at) = machine();
        for step in 0..22_u8 {
            let decision = machine.judge(pair(2 + step, 1), at(u64::from(step) * 100));
            assert!(matches!(decision, Decision::LookAgain(_)), "{step}");
        }
        assert_eq!(machine.judge(pair(99, 1), at(2250)), changed(&["cert"]));
    }

    #[test]
    fn missing_and_empty_files_are_waited_out_until_the_bound() {
        for look in [Look::Absent, Look::Empty, Look::Unreadable] {
            let (mut machine, at) = machine();
            let gone = looks(&[("cert", look), ("key", content(1))]);
            machine.judge(gone.clone(), at(0));
            let decision = machine.judge(gone.clone(), at(1000));
            assert_eq!(decision, Decision::LookAgain(SETTLE));
            assert_eq!(machine.judge(gone, at(2250)), changed(&["cert"]));
        }
    }

    #[test]
    fn a_file_that_returns_as_it_was_is_no_change() {
        let (mut machine, at) = machine();
        let gone = looks(&[("cert", Look::Absent), ("key", content(1))]);
        machine.judge(gone, at(0));
        assert_eq!(machine.judge(pair(1, 1), at(500)), Decision::Unchanged);
    }

    #[test]
    fn a_file_that_was_missing_all_along_does_not_delay_others() {
        let start = Instant::now();
        let seen = |byte| looks(&[("cert", content(byte)), ("crl", Look::Absent)]);
        let mut machine = Settling::new(seen(1), SETTLE, PATIENCE);
        machine.judge(seen(2), start);
        assert_eq!(machine.judge(seen(2), start + SETTLE), changed(&["cert"]));
    }

    #[test]
    fn paths_that_stay_keep_what_is_known_and_new_ones_are_known_as_they_look() {
        let (mut machine, at) = machine();
        machine.watch(looks(&[("cert", content(2)), ("ca", content(7))]));
        let seen = looks(&[("cert", content(2)), ("ca", content(7))]);
        machine.judge(seen.clone(), at(0));
        assert_eq!(machine.judge(seen, at(250)), changed(&["cert"]));
    }
}
