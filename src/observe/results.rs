//! How often a stage was passed, and how often it ended otherwise.

use super::{
    label::endings_of,
    series::{Count, Family},
};
use crate::ending::{Ending, Stage};

/// The results of one stage: done, or one of its endings.
#[derive(Debug)]
pub(super) struct Results {
    stage: Stage,
    done: Count,
    /// One for each ending of the stage, in the order of [`endings_of`].
    ended: Box<[Count]>,
}

impl Results {
    pub(super) fn new(stage: Stage) -> Self {
        Self {
            stage,
            done: Count::default(),
            ended: endings_of(stage).map(|_| Count::default()).collect(),
        }
    }

    /// Counts that the stage was passed.
    pub(super) fn done(&self) {
        self.done.increment();
    }

    /// Counts an ending; those of another stage are not counted here.
    pub(super) fn ended(&self, ending: Ending) {
        let position = endings_of(self.stage).position(|known| known == ending);
        let count = position.and_then(|position| self.ended.get(position));
        debug_assert!(count.is_some(), "{ending:?} ends another stage");
        if let Some(count) = count {
            count.increment();
        }
    }

    /// Adds the samples of the listener or route of this name.
    pub(super) fn collect(&self, name: &str, family: &mut Family<'_>) {
        family.add(&[name, "ok"], self.done.value());
        for (ending, count) in endings_of(self.stage).zip(&self.ended) {
            family.add(&[name, ending.label()], count.value());
        }
    }
}
