//! The last attempt to load the configuration, which operators see until there is another.

use super::outcome::Outcome;
use crate::{
    config::{Diagnostic, Severity},
    observe::{ReloadResult, Trigger},
};
use std::time::SystemTime;

/// Problems that are kept of each severity, and characters of each text: whoever asks for the status
/// gets all of them every time.
const PROBLEMS: usize = 20;
const TEXT: usize = 1000;

/// An attempt to load the configuration that was not a preview.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// When it ended.
    pub at: SystemTime,
    /// What asked for it.
    pub trigger: Trigger,
    /// What became of it.
    pub result: ReloadResult,
    /// Why it failed.
    pub problems: Vec<Diagnostic>,
    /// What it allowed, or would have allowed, and is probably not meant.
    pub warnings: Vec<Diagnostic>,
    /// Problems and warnings that are left out here.
    pub omitted: usize,
    /// The warnings of the configuration in use, and how many more it has.
    in_use: (Vec<Diagnostic>, usize),
}

impl Attempt {
    /// The start, which was good.
    pub(super) fn start(warnings: &[Diagnostic], at: SystemTime) -> Self {
        let in_use = bounded(warnings.iter());
        Self {
            at,
            trigger: Trigger::Start,
            result: ReloadResult::Ok,
            problems: Vec::new(),
            warnings: in_use.0.clone(),
            omitted: in_use.1,
            in_use,
        }
    }

    /// The attempt after this one.
    pub(super) fn next(&self, trigger: Trigger, outcome: &Outcome, at: SystemTime) -> Self {
        let in_use = match outcome {
            Outcome::Done { warnings, .. } => bounded(warnings.iter()),
            Outcome::Unchanged { .. } | Outcome::Failed { .. } => self.in_use.clone(),
        };
        let (problems, (warnings, warnings_omitted)) = match outcome {
            Outcome::Failed { problems } => (
                bounded(problems.iter().filter(|problem| is_error(problem))),
                bounded(problems.iter().filter(|problem| !is_error(problem))),
            ),
            Outcome::Done { .. } | Outcome::Unchanged { .. } => (bounded([]), in_use.clone()),
        };
        Self {
            at,
            trigger,
            result: outcome.result(),
            problems: problems.0,
            warnings,
            omitted: problems.1 + warnings_omitted,
            in_use,
        }
    }
}

fn is_error(problem: &Diagnostic) -> bool {
    problem.severity == Severity::Error
}

/// The first of them, and how many more there are.
fn bounded<'d>(all: impl IntoIterator<Item = &'d Diagnostic>) -> (Vec<Diagnostic>, usize) {
    let mut all = all.into_iter();
    let kept = all.by_ref().take(PROBLEMS).map(short).collect();
    (kept, all.count())
}

/// The same without excerpts and with shorter texts.
fn short(problem: &Diagnostic) -> Diagnostic {
    let hint = problem.hint.as_deref().map_or_else(String::new, cut);
    let mut short = Diagnostic::error(cut(&problem.file), cut(&problem.message)).hint(hint);
    short.severity = problem.severity;
    (short.line, short.column) = (problem.line, problem.column);
    short
}

fn cut(text: &str) -> String {
    if text.chars().nth(TEXT).is_none() {
        return text.to_owned();
    }
    text.chars().take(TEXT).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn failed(problems: Vec<Diagnostic>) -> Outcome {
        Outcome::Failed { problems }
    }

    fn done(warnings: Vec<Diagnostic>) -> Outcome {
        Outcome::Done {
            generation: 2,
            changes: Vec::new(),
            touched: Vec::new(),
            warnings,
        }
    }

    fn error(message: &str) -> Diagnostic {
        Diagnostic::error("proxy.toml", message).hint("mend it")
    }

    fn messages(problems: &[Diagnostic]) -> Vec<&str> {
        let messages = problems.iter().map(|problem| problem.message.as_str());
        messages.collect()
    }

    #[test]
    fn failure_stays_until_an_attempt_succeeds_or_finds_what_is_in_use() {
        let start = Attempt::start(&[error("old").warning()], at(1));
        assert_eq!(messages(&start.warnings), ["old"]);
        let wrong = failed(vec![error("wrong"), error("odd").warning()]);
        let refused = start.next(Trigger::File, &wrong, at(2));
        assert_eq!((refused.at, refused.trigger), (at(2), Trigger::File));
        assert_eq!(refused.result, ReloadResult::Failed);
        assert_eq!(messages(&refused.problems), ["wrong"]);
        assert_eq!(messages(&refused.warnings), ["odd"]);
        let back = Outcome::Unchanged { generation: 1 };
        let back = refused.next(Trigger::File, &back, at(3));
        assert_eq!(back.result, ReloadResult::Unchanged);
        assert!(back.problems.is_empty());
        assert_eq!(messages(&back.warnings), ["old"]);
        let other = done(vec![error("new").warning()]);
        let good = refused.next(Trigger::Admin, &other, at(4));
        assert_eq!(good.result, ReloadResult::Ok);
        assert!(good.problems.is_empty());
        assert_eq!(messages(&good.warnings), ["new"]);
    }

    #[test]
    fn record_is_bounded_whatever_the_problems_are() {
        let long = "ä".repeat(100 * TEXT);
        let problem = Diagnostic::error(long.clone(), long.clone()).hint(long);
        let many = [vec![problem.clone(); 1000], vec![problem.warning(); 1000]].concat();
        let attempt = Attempt::start(&[], at(1)).next(Trigger::Signal, &failed(many), at(2));
        let kept = [&attempt.problems, &attempt.warnings];
        assert!(kept.iter().all(|kept| kept.len() == PROBLEMS));
        assert_eq!(attempt.omitted, 2000 - 2 * PROBLEMS);
        for problem in kept.into_iter().flatten() {
            let texts = [
                &problem.file,
                &problem.message,
                problem.hint.as_ref().unwrap(),
            ];
            assert!(texts.iter().all(|text| text.chars().count() == TEXT + 1));
        }
    }
}
