//! The `[server]` table.

use crate::{
    config::{findings::Placed, reader::Table, units, values},
    runtime::settings::ServerSettings,
};
use std::{num::NonZero, sync::LazyLock, thread, time::Duration};

const DRAIN_SPREAD: Duration = Duration::from_secs(10);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(25);

/// The `[server]` table as read.
#[derive(Debug)]
pub(in crate::config) struct ServerDraft {
    workers: Option<Placed<usize>>,
    pub(in crate::config) drain_spread: Option<Placed<Duration>>,
    pub(in crate::config) drain_timeout: Option<Placed<Duration>>,
    watch: Option<Placed<bool>>,
}

impl ServerDraft {
    pub(super) fn read(mut table: Table<'_>) -> Self {
        let workers = table.or_default("workers", values::workers, cores());
        let spread = table.or_default("drain_spread", units::duration, DRAIN_SPREAD);
        let timeout = table.or_default("drain_timeout", units::duration, DRAIN_TIMEOUT);
        let watch = table.or_default("watch", values::boolean, true);
        table.finish();
        Self {
            workers,
            drain_spread: spread.map(|spread| within(spread, timeout.as_ref())),
            drain_timeout: timeout,
            watch,
        }
    }

    pub(super) fn settle(self) -> Option<ServerSettings> {
        Some(ServerSettings {
            workers: self.workers?.value,
            drain_spread: self.drain_spread?.value,
            drain_timeout: self.drain_timeout?.value,
            watch: self.watch?.value,
        })
    }
}

/// Asked once: what is fixed at start must not differ at a reload because the process was given
/// other cores.
fn cores() -> usize {
    static CORES: LazyLock<usize> =
        LazyLock::new(|| thread::available_parallelism().map_or(1, NonZero::get));
    *CORES
}

/// So that a short timeout alone needs no shorter spread beside it.
fn within(mut spread: Placed<Duration>, timeout: Option<&Placed<Duration>>) -> Placed<Duration> {
    if let (None, Some(timeout)) = (&spread.place, timeout) {
        spread.value = spread.value.min(timeout.value);
    }
    spread
}
