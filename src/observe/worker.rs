//! Counts of the hot path: one set per worker thread and route, summed at a scrape.

use super::label::{Direction, OPCODES, UnitResult};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// What one worker counted on one route.
///
/// A single thread writes, so that adding is a load and a store without a locked instruction; any
/// thread may read. If two threads wrote, counts would be lost, and nothing else would break. The
/// alignment keeps counts of two workers off one cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct WorkerRoute {
    to_backend: Flow,
    to_client: Flow,
}

/// What went one way.
#[derive(Debug, Default)]
struct Flow {
    frames: [AtomicU64; OPCODES.len()],
    units: [AtomicU64; UnitResult::ALL.len()],
    bytes: AtomicU64,
}

/// The sets of every worker that has served a route.
#[derive(Debug, Default)]
pub(super) struct Workers(Mutex<Vec<(usize, Arc<WorkerRoute>)>>);

impl WorkerRoute {
    /// Counts `count` frames of one opcode: 0 continuation, 1 text, 2 binary, 3 close, 4 ping,
    /// 5 pong. Other indices are not counted.
    #[inline]
    pub fn frames(&self, direction: Direction, opcode: usize, count: u64) {
        if let Some(cell) = self.flow(direction).frames.get(opcode) {
            add(cell, count);
        }
    }

    /// Counts bytes of frames, headers included.
    #[inline]
    pub fn bytes(&self, direction: Direction, count: u64) {
        add(&self.flow(direction).bytes, count);
    }

    /// Counts sealed units.
    #[inline]
    pub fn units(&self, direction: Direction, result: UnitResult, count: u64) {
        if let Some(cell) = self.flow(direction).units.get(result as usize) {
            add(cell, count);
        }
    }

    #[inline]
    const fn flow(&self, direction: Direction) -> &Flow {
        match direction {
            Direction::ToBackend => &self.to_backend,
            Direction::ToClient => &self.to_client,
        }
    }
}

impl Workers {
    /// The set of one worker, made when it is first asked for.
    pub(super) fn of(&self, index: usize) -> Arc<WorkerRoute> {
        let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sets.iter().find(|(worker, _)| *worker == index);
        if let Some((_, set)) = known {
            return Arc::clone(set);
        }
        let set = Arc::new(WorkerRoute::default());
        sets.push((index, Arc::clone(&set)));
        set
    }

    pub(super) fn frames(&self, direction: Direction, opcode: usize) -> u64 {
        self.sum(|set| set.flow(direction).frames.get(opcode))
    }

    pub(super) fn bytes(&self, direction: Direction) -> u64 {
        self.sum(|set| Some(&set.flow(direction).bytes))
    }

    pub(super) fn units(&self, direction: Direction, result: UnitResult) -> u64 {
        self.sum(|set| set.flow(direction).units.get(result as usize))
    }

    fn sum(&self, cell: impl Fn(&WorkerRoute) -> Option<&AtomicU64>) -> u64 {
        let sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = sets.iter().filter_map(|(_, set)| cell(set));
        counts.map(|cell| cell.load(Ordering::Relaxed)).sum()
    }
}

#[inline]
fn add(cell: &AtomicU64, count: u64) {
    let before = cell.load(Ordering::Relaxed);
    cell.store(before.wrapping_add(count), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_all_workers_are_summed_exactly() {
        let workers = Workers::default();
        std::thread::scope(|scope| {
            for index in 0..4 {
                let set = workers.of(index);
                scope.spawn(move || {
                    for _ in 0..10_000 {
                        set.frames(Direction::ToClient, 2, 1);
                        set.bytes(Direction::ToBackend, 3);
                    }
                });
            }
        });
        assert_eq!(workers.frames(Direction::ToClient, 2), 40_000);
        assert_eq!(workers.bytes(Direction::ToBackend), 120_000);
        assert_eq!(workers.frames(Direction::ToBackend, 2), 0);
    }

    #[test]
    fn a_worker_finds_its_own_counts_again() {
        let workers = Workers::default();
        assert!(Arc::ptr_eq(&workers.of(1), &workers.of(1)));
        assert!(!Arc::ptr_eq(&workers.of(0), &workers.of(1)));
    }
}
