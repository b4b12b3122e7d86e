//! How a sealed direction is opened, whichever the binding: tags are checked, and counted.

use super::fault::Fault;
use crate::{
    frame::close,
    integrity::{Binding, Failure, Outcome, seal::Opener},
};

/// Sealed units by [`Outcome`], in the order of [`Outcome::ALL`].
pub type Units = [u64; Outcome::ALL.len()];

/// How a sealed direction is opened.
pub(super) struct Opening {
    pub(super) opener: Opener,
    /// A mismatch is counted, and the data forwarded (`integrity = "report"`).
    reports: bool,
    pub(super) units: Units,
}

impl Opening {
    pub(super) fn new(opener: Opener, reports: bool) -> Self {
        Self {
            opener,
            reports,
            units: Units::default(),
        }
    }

    /// Counts a verdict; returns whether the unit's data goes on.
    pub(super) fn settle(&mut self, verdict: Result<(), Failure>) -> Result<(), Fault> {
        self.count(match verdict {
            Ok(()) => Outcome::Ok,
            Err(failure) => failure.into(),
        });
        match verdict {
            Err(failure) if !self.reports => Err(Fault::Integrity(failure)),
            _ => Ok(()),
        }
    }

    pub(super) fn count(&mut self, outcome: Outcome) {
        if let Some(count) = self.units.get_mut(outcome as usize) {
            *count += 1;
        }
    }

    /// The payload of a Close without its tag.
    pub(super) fn close<'a>(
        &mut self,
        binding: Binding,
        payload: &'a [u8],
    ) -> Result<&'a [u8], Fault> {
        let opened = self.opener.open_close(binding, payload);
        self.settle(opened.map(|_| ()))?;
        let tag = binding.close_tag_length();
        let reported = payload
            .len()
            .checked_sub(tag)
            .and_then(|end| payload.get(..end))
            // One that was never sealed need not be a Close without its end.
            .filter(|data| close::check(data).is_ok());
        Ok(opened.ok().or(reported).unwrap_or(payload))
    }
}
