//! What a socket has carried: for its log line, and for what its worker counts of the route.

use super::{channel::Units, conversation::Conversation};
use crate::{
    frame::Opcode,
    observe::{
        Direction, UnitResult, WorkerRoute,
        event::{self, Carried},
    },
    roster::sockets::Entry,
};
use std::sync::Arc;

/// The counts of one socket; those of the conversation are read, and what is new is passed on.
pub(super) struct Account {
    carried: [Carried; 2],
    frames: [[u64; Opcode::COUNT]; 2],
    /// Only where frames are sealed.
    units: Option<Box<[Units; 2]>>,
    counts: Arc<WorkerRoute>,
}

impl Account {
    pub(super) fn new(counts: Arc<WorkerRoute>, sealed: bool) -> Self {
        Self {
            carried: Default::default(),
            frames: Default::default(),
            units: sealed.then(Box::default),
            counts,
        }
    }

    /// To the backend and to the client.
    pub(super) fn carried(&self) -> [Carried; 2] {
        self.carried
    }

    /// Counts `bytes` that passed in a direction, and the frames and units that are new. Gives
    /// how many frames those are, further fragments aside.
    pub(super) fn count(
        &mut self,
        direction: Direction,
        bytes: usize,
        conversation: &Conversation,
        entry: &Entry,
    ) -> u64 {
        let total = conversation.counts(direction).frames;
        let (Some(frames), Some(carried)) = (
            self.frames.get_mut(direction as usize),
            self.carried.get_mut(direction as usize),
        ) else {
            return 0;
        };
        let mut begun = 0;
        self.counts.bytes(direction, bytes as u64);
        carried.bytes += bytes as u64;
        for (opcode, (total, counted)) in total.iter().zip(frames).enumerate() {
            if total != counted {
                let new = total - *counted;
                self.counts.frames(direction, opcode, new);
                *counted = *total;
                if opcode != Opcode::Continuation.index() {
                    begun += new;
                }
            }
        }
        carried.frames = total.iter().sum();
        self.count_units(direction, conversation, entry);
        begun
    }

    fn count_units(&mut self, direction: Direction, conversation: &Conversation, entry: &Entry) {
        let Some(units) = &mut self.units else { return };
        let Some(counted) = units.get_mut(direction as usize) else {
            return;
        };
        let total = conversation.units(direction);
        for ((result, total), counted) in UnitResult::ALL.iter().zip(total).zip(counted) {
            if total == *counted {
                continue;
            }
            // Each is counted; the log tells the first, lest a hostile client fill it.
            if *counted == 0 {
                tell_failure(*result, entry);
            }
            self.counts.units(direction, *result, total - *counted);
            *counted = total;
        }
    }
}

fn tell_failure(result: UnitResult, entry: &Entry) {
    if !matches!(result, UnitResult::Mismatch | UnitResult::Missing) {
        return;
    }
    let about = &entry.description;
    let identity = about
        .identity
        .as_ref()
        .map(|identity| identity.display_name());
    let kid = about
        .integrity
        .as_ref()
        .and_then(|sealing| sealing.kid.as_deref());
    event::unit_failed(
        &entry.id.to_string(),
        identity.as_deref(),
        &about.route,
        kid,
        result,
    );
}
