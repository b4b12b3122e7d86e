//! Watches what files say, not which files they are.
//!
//! certbot and Kubernetes swap symlinks, editors rename, copies are written in pieces, and a
//! certificate comes a moment before its key. So the truth is a digest of each file's content,
//! looked at every few seconds; notices of the file system only make the next look come sooner;
//! and a change counts when two looks have shown the same.
//!
//! Only digests are kept, never contents.

use self::{
    look::Observer,
    notice::Notices,
    settle::{Decision, Settling},
};
use std::{path::PathBuf, time::Duration};
use tokio::time::{Instant, sleep_until};

/// How often is looked, and how long a change has to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between two looks while nothing happens.
    pub poll: Duration,
    /// How long contents have to stay the same to count as finished.
    pub settle: Duration,
    /// How much longer is waited for files that keep changing, or are missing or empty.
    pub patience: Duration,
}

/// Files whose content has changed, and stayed so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The paths as they were given, in alphabetical order.
    pub paths: Vec<PathBuf>,
}

/// Watches the content of a set of files.
///
/// What a file holds when it comes under watch counts as known. To miss nothing, take it under
/// watch before reading it: the configuration before it is loaded, and with
/// [`Watcher::set_paths`] the files that it names before they are.
///
/// Looking is done in place, with blocking calls: a watcher belongs on the thread that controls,
/// not on one that carries connections.
#[derive(Debug)]
pub struct Watcher {
    pace: Pace,
    paths: Vec<PathBuf>,
    observer: Observer,
    notices: Notices,
    settling: Settling,
    last_look: Instant,
    next_look: Instant,
}

/// Between two looks, however many notices come: the folder may be a busy one.
const SHORTEST: Duration = Duration::from_millis(100);

/// Looking takes one part in so many of the time, at most: thousands of files are looked at less
/// often, unless there are notices.
const SHARE: u32 = 1000;

/// But never less often than this, however long a look took: the machine may have been busy.
const LONGEST: Duration = Duration::from_secs(30);

impl Default for Pace {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(2),
            settle: Duration::from_millis(250),
            patience: Duration::from_secs(2),
        }
    }
}

impl Watcher {
    /// Watches these files at the usual pace. A path that does not exist, or cannot be read, is
    /// watched for the day that it can.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self::with_pace(paths, Pace::default())
    }

    /// Watches these files at the given pace.
    pub fn with_pace(paths: impl IntoIterator<Item = PathBuf>, pace: Pace) -> Self {
        let paths: Vec<PathBuf> = paths.into_iter().collect();
        let mut notices = Notices::new();
        notices.follow(&paths);
        let mut observer = Observer::default();
        let looks = observer.look(&paths);
        let now = Instant::now();
        Self {
            settling: Settling::new(looks, pace.settle, pace.patience),
            pace,
            paths,
            observer,
            notices,
            last_look: now,
            next_look: now + pace.poll,
        }
    }

    /// Watches another set of files from now on. Files that stay are judged against what was
    /// known of them; the content of new ones counts as known.
    pub fn set_paths(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        self.paths = paths.into_iter().collect();
        self.notices.follow(&self.paths);
        let looks = self.observer.look(&self.paths);
        self.settling.watch(looks);
    }

    /// Counts what all files hold now as known: for a caller that is about to read them anyway.
    pub fn acknowledge(&mut self) {
        let looks = self.observer.look(&self.paths);
        self.settling = Settling::new(looks, self.pace.settle, self.pace.patience);
    }

    /// Waits until the content of any file has changed and settled. Changes that settle together
    /// are one. Nothing is lost if the future is dropped.
    pub async fn changed(&mut self) -> Change {
        loop {
            let noticed = self.until_next_look().await;
            let began = Instant::now();
            let looks = self.observer.look(&self.paths);
            let now = Instant::now();
            let decision = self.settling.judge(looks, now.into_std());
            // In a busy folder most notices are about other files; links are not walked for them.
            if !noticed || decision != Decision::Unchanged {
                self.notices.follow(&self.paths);
            }
            self.last_look = now;
            self.next_look = now + self.pace.after(&decision, began.elapsed());
            if let Decision::Changed(paths) = decision {
                return Change { paths };
            }
        }
    }

    /// Whether it was a notice that ended the wait.
    async fn until_next_look(&mut self) -> bool {
        tokio::select! {
            () = sleep_until(self.next_look) => false,
            () = self.notices.next() => {
                sleep_until(self.last_look + SHORTEST).await;
                true
            }
        }
    }
}

impl Pace {
    /// How long to wait after a look that took so long.
    fn after(&self, decision: &Decision, took: Duration) -> Duration {
        match decision {
            Decision::LookAgain(wait) => (*wait).max(SHORTEST),
            Decision::Unchanged | Decision::Changed(_) => {
                self.poll.max((took * SHARE).min(LONGEST))
            }
        }
    }
}

pub(crate) mod look;
mod notice;
mod settle;
#[cfg(test)]
mod tests;
