//! Freshness: what notices that files have changed, and what puts the change to use.
//!
//! ```text
//! file content ─┐
//! HUP ──────────┼─► prepare (read and verify all) ─► snapshot ─► one ArcSwap store
//! POST /reload ─┘          └─► problems: the old snapshot stays
//! ```

pub mod build;
pub mod changes;
mod keys;
pub mod last;
mod making;
mod outcome;
mod review;
#[cfg(test)]
mod tests;
mod widened;

use crate::{
    config::{Diagnostic, Loaded, Settings, Severity},
    observe::{Trigger, event},
    runtime::clock::unix_time,
    snapshot::{Snapshot, rulebook::Rulebook},
    watch::look::Digests,
    worker::Shared,
};
use arc_swap::ArcSwap;
use build::{Candidate, InUse};
use last::Attempt;
use review::{Closings, Withdrawn};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Instant, SystemTime},
};

pub use outcome::Outcome;
pub use review::Touched;

/// Puts new configurations to use.
pub struct Reloader {
    path: PathBuf,
    loaded: Arc<Loaded>,
    digests: Digests,
    closings: Closings,
    last: Arc<ArcSwap<Attempt>>,
}

impl Reloader {
    /// Begins with the configuration that the process started with.
    pub fn new(path: &Path, candidate: &Candidate) -> Self {
        let last = Attempt::start(&candidate.warnings, SystemTime::now());
        Self {
            path: path.to_owned(),
            loaded: Arc::clone(&candidate.loaded),
            digests: candidate.digests.clone(),
            closings: Closings::default(),
            last: Arc::new(ArcSwap::from_pointee(last)),
        }
    }

    /// The settings in use.
    pub fn settings(&self) -> &Settings {
        &self.loaded.settings
    }

    /// The last attempt, now and later; a preview is not one.
    pub fn last_attempt(&self) -> Arc<ArcSwap<Attempt>> {
        self.last.clone()
    }

    /// Reads everything again and, unless it is a preview, puts it to use.
    ///
    /// `look` is told the files before they are read. Open sockets that no longer pass are ended
    /// by [`Reloader::close_due`].
    pub async fn reload(
        &mut self,
        shared: &Shared,
        trigger: Trigger,
        preview: bool,
        look: impl FnOnce(&[PathBuf]),
    ) -> Outcome {
        let started = Instant::now();
        let outcome = self.attempt(shared, preview, look).await;
        if !preview {
            let last = self.last.load().next(trigger, &outcome, SystemTime::now());
            self.last.store(Arc::new(last));
            report(shared, trigger, &outcome, started);
        }
        outcome
    }

    /// Ends the next of the sockets that reloads have withdrawn; waits while there is none.
    pub async fn close_due(&mut self) {
        self.closings.next().await;
    }

    async fn attempt(
        &mut self,
        shared: &Shared,
        preview: bool,
        look: impl FnOnce(&[PathBuf]),
    ) -> Outcome {
        if let Some(problem) = no_file(&self.path) {
            let problems = vec![problem];
            return Outcome::Failed { problems };
        }
        let (generation, candidate) = {
            let in_use = shared.snapshot.load();
            let known = InUse {
                loaded: &self.loaded,
                digests: &self.digests,
                snapshot: &in_use,
            };
            let candidate = build::prepare(&self.path, Some(known), look);
            (in_use.generation, candidate)
        };
        let candidate = match candidate {
            Ok(candidate) => candidate,
            Err(problems) => return Outcome::Failed { problems },
        };
        let name = self.path.display().to_string();
        let (old, new) = (self.settings(), candidate.settings());
        let fixed = changes::fixed(old, new, &name);
        if !fixed.is_empty() {
            return Outcome::Failed { problems: fixed };
        }
        let changes = changes::between((old, &self.digests), (new, &candidate.digests));
        if changes.is_empty() && self.digests == candidate.digests {
            return Outcome::Unchanged { generation };
        }
        let mut warnings = widened::widened(old, new, &name);
        if !preview {
            log_warnings(&warnings);
        }
        warnings.extend(candidate.warnings.iter().cloned());
        let touched = if preview {
            would_touch(shared, &candidate, &self.closings).await
        } else {
            self.publish(shared, candidate, generation + 1).await
        };
        Outcome::Done {
            generation: generation + 1,
            changes,
            touched,
            warnings,
        }
    }

    async fn publish(
        &mut self,
        shared: &Shared,
        candidate: Candidate,
        generation: u64,
    ) -> Vec<Touched> {
        let old = shared.snapshot.load_full();
        self.loaded = Arc::clone(&candidate.loaded);
        self.digests = candidate.digests.clone();
        log_warnings(&candidate.warnings);
        let snapshot = candidate.snapshot(generation, &shared.metrics, &shared.servers);
        shared.metrics.published(generation, snapshot.since);
        shared.snapshot.store(Arc::new(snapshot));
        shared.handshakes.limit_changed();
        let snapshot = shared.snapshot.load_full();
        warn_of_expiry(&snapshot);
        if snapshot.judges_like(&old) && self.closings.is_empty() {
            return Vec::new();
        }
        let keyed = keys::withdrawn(&shared.connections, &old.keyring, &snapshot.keyring);
        for withdrawn in &keyed {
            // At once, and not spread: whoever has the key can forge what they carry.
            withdrawn.log();
            withdrawn.end();
        }
        let before = *old.trust.digest();
        // The walk may take a while: nothing of the old snapshot is needed for it.
        drop(old);
        let mut touched = self.withdraw(shared, &snapshot, &before).await;
        touched.extend(keyed.iter().map(Withdrawn::touched));
        touched
    }

    /// Judges every open socket by what is in use now, and lets those end that no longer pass.
    async fn withdraw(
        &mut self,
        shared: &Shared,
        snapshot: &Snapshot,
        before: &[u8; 32],
    ) -> Vec<Touched> {
        let rulebook = Rulebook::of(snapshot);
        let found = review::review(&shared.connections, &rulebook, before, &self.closings).await;
        found.renew();
        let withdrawn = found.withdrawn;
        let touched = withdrawn.iter().map(Withdrawn::touched).collect();
        let spread = self.settings().tls.clients.close_spread;
        let now = tokio::time::Instant::now();
        let new = self.closings.replace(withdrawn, spread, now);
        new.iter().for_each(Withdrawn::log);
        touched
    }
}

/// The start may read from a pipe. Now that would stop whoever controls until somebody writes.
fn no_file(path: &Path) -> Option<Diagnostic> {
    let metadata = fs::metadata(path).ok()?;
    let name = path.display().to_string();
    let problem = Diagnostic::error(name, "cannot read the configuration: this is no file");
    let hint = "put the configuration where it was at the start, as a regular file";
    (!metadata.is_file()).then(|| problem.hint(hint))
}

/// The open sockets that would end if this were put to use.
async fn would_touch(shared: &Shared, candidate: &Candidate, waiting: &Closings) -> Vec<Touched> {
    let old = shared.snapshot.load_full();
    if candidate.judges_like(&old) && waiting.is_empty() {
        return Vec::new();
    }
    let before = *old.trust.digest();
    let keyed = keys::withdrawn(&shared.connections, &old.keyring, candidate.keyring());
    drop(old);
    let rulebook = candidate.rulebook();
    let found = review::review(&shared.connections, &rulebook, &before, waiting).await;
    let withdrawn = found.withdrawn.iter();
    withdrawn.chain(&keyed).map(Withdrawn::touched).collect()
}

/// One log line and one count per event.
fn report(shared: &Shared, trigger: Trigger, outcome: &Outcome, started: Instant) {
    match outcome {
        Outcome::Unchanged { generation } => event::unchanged(trigger, *generation),
        Outcome::Done {
            generation,
            changes,
            ..
        } => {
            let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
            event::reloaded(trigger, *generation, &changes.join(", "), started.elapsed());
        }
        Outcome::Failed { problems } => {
            let generation = shared.snapshot.load().generation;
            event::reload_failed(trigger, generation, &one_liners(problems));
        }
    }
    shared.metrics.reload(trigger, outcome.result());
}

/// Problems without the excerpts, for a log where an event is a line.
fn one_liners(problems: &[Diagnostic]) -> Vec<String> {
    let errors = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error);
    errors.map(Diagnostic::one_line).collect()
}

/// Tells of what is allowed and probably not meant.
pub fn log_warnings(warnings: &[Diagnostic]) {
    for warning in warnings {
        tracing::warn!("{}", warning.one_line());
    }
}

/// Warns of certificates, CRLs and keys that end soon, or have ended.
pub fn warn_of_expiry(snapshot: &Snapshot) {
    let now = unix_time();
    snapshot.expiries.iter().for_each(|expiry| expiry.warn(now));
}
