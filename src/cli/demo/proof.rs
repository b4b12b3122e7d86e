//! What a proof is, and what comes of it.

use super::scene::{Failure, Scene};
use std::{future::Future, pin::Pin, time::Duration};

/// How often is looked whether something has happened.
pub(super) const LOOK: Duration = Duration::from_millis(50);

pub(super) struct Proof {
    /// What it shows.
    pub(super) name: &'static str,
    pub(super) run: for<'a> fn(&'a mut Scene) -> Trial<'a>,
}

/// A proof under way.
pub(super) type Trial<'a> = Pin<Box<dyn Future<Output = Result<Verdict, Failure>> + 'a>>;

/// What came of a proof that did not fail.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is proved; these lines say what was seen.
    Proved(Vec<String>),
    /// It was not tried, for this reason.
    LeftOut(String),
}
