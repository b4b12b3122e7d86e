//! How often a stage was passed, and how often it ended otherwise.

use super::series::{Count, Family};
use crate::ending::Ending;
use std::marker::PhantomData;

/// The results of one stage: done, or one of its endings.
#[derive(Debug)]
pub(super) struct Results<E> {
    done: Count,
    /// One for each ending of the stage, in the order of [`Ending::ALL`].
    ended: Box<[Count]>,
    stage: PhantomData<E>,
}

impl<E: Ending> Default for Results<E> {
    fn default() -> Self {
        Self {
            done: Count::default(),
            ended: E::ALL.iter().map(|_| Count::default()).collect(),
            stage: PhantomData,
        }
    }
}

impl<E: Ending> Results<E> {
    /// Counts that the stage was passed.
    pub(super) fn done(&self) {
        self.done.increment();
    }

    /// Counts an ending.
    pub(super) fn ended(&self, ending: E) {
        let counts = self.counts();
        counts
            .filter(|(known, _)| *known == ending)
            .for_each(|(_, count)| count.increment());
    }

    /// Adds the samples of the listener or route of this name.
    pub(super) fn collect(&self, name: &str, family: &mut Family<'_>) {
        family.add(&[name, "ok"], self.done.value());
        for (ending, count) in self.counts() {
            family.add(&[name, ending.label()], count.value());
        }
    }

    fn counts(&self) -> impl Iterator<Item = (E, &Count)> {
        E::ALL.iter().copied().zip(&self.ended)
    }
}
