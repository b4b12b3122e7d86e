//! Open sockets under another configuration: which of them no longer pass, and how they end.
//!
//! The walk goes over a copy of the list, on the thread that controls, and lets others have a turn
//! after every batch; a chain that several sockets share is verified once, and none where CAs and
//! CRLs are as before.

use crate::{
    ending::SocketEnding,
    observe::event,
    policy::judgement::Standing,
    roster::sockets::{ConnectionId, Connections, Entry},
    runtime::clock::unix_time,
    snapshot::rulebook::{Rulebook, ending_of_socket},
    tls::trust::standing_after,
};
use rustls::pki_types::CertificateDer;
use std::{
    collections::{HashMap, VecDeque},
    future::pending,
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// Sockets that are judged before others have a turn: at most 64 chains, some 10 ms.
const BATCH: usize = 64;

/// An open socket that no longer passes.
#[derive(Clone)]
pub(super) struct Withdrawn {
    entry: Arc<Entry>,
    ending: SocketEnding,
    /// The rule or fact that decided.
    detail: String,
    /// What its chain was worth.
    standing: Standing,
}

/// An open socket that ends because of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Which.
    pub id: ConnectionId,
    /// How.
    pub ending: SocketEnding,
}

/// Sockets that are to end, the next one first.
#[derive(Default)]
pub(super) struct Closings(VecDeque<(Instant, Withdrawn)>);

/// What judging the open sockets found.
#[derive(Default)]
pub(super) struct Review {
    /// Those that no longer pass.
    pub(super) withdrawn: Vec<Withdrawn>,
    /// Those that pass by a path that ends then, in seconds since 1970.
    renewed: Vec<(Arc<Entry>, i64)>,
}

/// Judges every open socket by the rules; `before` is the digest of the trust until now, and
/// `waiting` are those that do not pass already.
pub(super) async fn review(
    connections: &Connections,
    rulebook: &Rulebook<'_>,
    before: &[u8; 32],
    waiting: &Closings,
) -> Review {
    let now = unix_time();
    let entries = connections.all();
    let mut standings = Standings {
        rulebook,
        same_trust: rulebook.trust().digest() == before,
        now,
        known: HashMap::new(),
        waiting: waiting.standings(),
    };
    let mut found = Review::default();
    for batch in entries.chunks(BATCH) {
        for entry in batch.iter().filter(|entry| entry.order().is_none()) {
            let about = &entry.description;
            let (standing, end) = standings.of(entry.id, &about.chain);
            if let Err(denial) = rulebook.judge(about, standing, now) {
                let (ending, detail) = (ending_of_socket(denial), denial.to_string());
                found.withdrawn.push(Withdrawn {
                    standing,
                    ..Withdrawn::new(entry.clone(), ending, detail)
                });
            }
            let other = end.filter(|_| entry.not_after() != end);
            found.renewed.extend(other.map(|end| (entry.clone(), end)));
        }
        tokio::task::yield_now().await;
    }
    found
}

impl Review {
    /// From now on the sockets end with the paths that they were found to have.
    pub(super) fn renew(&self) {
        for (entry, end) in &self.renewed {
            entry.renew(*end);
        }
    }
}

/// The standing of chains and the ends of their paths, each looked at once.
struct Standings<'e> {
    rulebook: &'e Rulebook<'e>,
    same_trust: bool,
    now: i64,
    known: HashMap<&'e [CertificateDer<'static>], (Standing, Option<i64>)>,
    /// Of sockets that are to end already.
    waiting: HashMap<ConnectionId, Standing>,
}

impl<'e> Standings<'e> {
    /// The end is told where the trust is another than before.
    fn of(
        &mut self,
        id: ConnectionId,
        chain: &'e [CertificateDer<'static>],
    ) -> (Standing, Option<i64>) {
        if self.same_trust {
            // All others were trusted when CAs and CRLs changed last.
            let waiting = self.waiting.get(&id).copied();
            return (waiting.unwrap_or(Standing::Trusted), None);
        }
        let verify = || match self.rulebook.trust().verify(chain, self.now) {
            Ok(path) => (Standing::Trusted, Some(path.not_after)),
            Err(error) => (standing_after(&error), None),
        };
        *self.known.entry(chain).or_insert_with(verify)
    }
}

impl Withdrawn {
    pub(super) fn new(entry: Arc<Entry>, ending: SocketEnding, detail: String) -> Self {
        Self {
            entry,
            ending,
            detail,
            standing: Standing::Trusted,
        }
    }

    /// Ends the socket at once.
    pub(super) fn end(&self) {
        self.entry.end(self.ending);
    }

    pub(super) fn touched(&self) -> Touched {
        Touched {
            id: self.entry.id,
            ending: self.ending,
        }
    }

    /// One line for each, with the rule that decided.
    pub(super) fn log(&self) {
        self.entry
            .with_parties(|parties| event::withdrawn(parties, self.ending, &self.detail));
    }
}

impl Closings {
    /// Takes all sockets that do not pass now. Those that waited for their end keep its time, or
    /// stay open if they pass again; the others end evenly over `spread`, the first of them now.
    ///
    /// Returns those that are new.
    pub(super) fn replace(
        &mut self,
        withdrawn: Vec<Withdrawn>,
        spread: Duration,
        now: Instant,
    ) -> Vec<Withdrawn> {
        let waiting = self.0.drain(..);
        let known: HashMap<_, _> = waiting
            .map(|(at, waiting)| (waiting.entry.id, at))
            .collect();
        let is_new = |withdrawn: &Withdrawn| !known.contains_key(&withdrawn.entry.id);
        let new: Vec<_> = withdrawn.iter().filter(|it| is_new(it)).cloned().collect();
        let count = u32::try_from(new.len()).unwrap_or(u32::MAX).max(1);
        let step = spread / count;
        let mut free = (0_u32..).map(|place| now + step * place);
        let at = |withdrawn: &Withdrawn| match known.get(&withdrawn.entry.id) {
            Some(at) => *at,
            None => free.next().unwrap_or(now),
        };
        self.0 = timed(withdrawn, at);
        new
    }

    /// Whether no socket is to end.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn standings(&self) -> HashMap<ConnectionId, Standing> {
        let all = self.0.iter();
        all.map(|(_, it)| (it.entry.id, it.standing)).collect()
    }

    /// Waits for the next sockets to end and ends them; nothing is lost if it is given up.
    pub(super) async fn next(&mut self) {
        match self.0.front() {
            Some((at, _)) => sleep_until(*at).await,
            None => pending().await,
        }
        let now = Instant::now();
        while let Some((_, due)) = self.0.pop_front_if(|(at, _)| *at <= now) {
            due.end();
        }
    }
}

/// Each with the time that it gets, the earliest first.
fn timed(
    withdrawn: Vec<Withdrawn>,
    mut at: impl FnMut(&Withdrawn) -> Instant,
) -> VecDeque<(Instant, Withdrawn)> {
    let mut timed: Vec<_> = withdrawn.into_iter().map(|it| (at(&it), it)).collect();
    timed.sort_by_key(|(at, _)| *at);
    timed.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::sockets::Description;
    use crate::roster::sockets::Listed;

    fn listed(connections: &Arc<Connections>, id: u64) -> Listed {
        connections.list(0, ConnectionId(id), Description::sample())
    }

    fn withdrawn(listed: &Listed) -> Withdrawn {
        Withdrawn {
            entry: listed.entry().clone(),
            ending: SocketEnding::Revoked,
            detail: String::new(),
            standing: Standing::Revoked,
        }
    }

    fn ended(sockets: &[Listed]) -> usize {
        let orders = sockets.iter().filter_map(|socket| socket.entry().order());
        orders.count()
    }

    #[tokio::test(start_paused = true)]
    async fn sockets_end_evenly_over_the_spread() {
        let connections = Arc::new(Connections::new(1));
        let sockets: Vec<_> = (0..10).map(|id| listed(&connections, id)).collect();
        let mut closings = Closings::default();
        let (start, spread) = (Instant::now(), Duration::from_secs(1));
        closings.replace(sockets.iter().map(withdrawn).collect(), spread, start);
        for expected in 1..=10 {
            closings.next().await;
            assert_eq!(ended(&sockets), expected);
        }
        // The last of ten leaves after nine steps; the timer's wheel rounds up to milliseconds.
        let steps = Duration::from_millis(900)..Duration::from_millis(910);
        assert!(steps.contains(&start.elapsed()), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn later_closings_do_not_hold_up_earlier_ones() {
        let connections = Arc::new(Connections::new(1));
        let sockets: Vec<_> = (0..3).map(|id| listed(&connections, id)).collect();
        let mut closings = Closings::default();
        let start = Instant::now();
        let first = sockets.iter().take(2).map(withdrawn).collect();
        closings.replace(first, Duration::from_secs(10), start);
        closings.next().await;
        let left = sockets.iter().skip(1).map(withdrawn).collect();
        let new = closings.replace(left, Duration::ZERO, start);
        assert_eq!(new.len(), 1, "the other was known");
        closings.next().await;
        assert_eq!(sockets[2].entry().order(), Some(SocketEnding::Revoked));
        assert_eq!(ended(&sockets), 2);
        closings.next().await;
        // It kept its time.
        assert!(start.elapsed() >= Duration::from_secs(5));
        assert_eq!(ended(&sockets), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_passes_again_before_its_time_stays() {
        let connections = Arc::new(Connections::new(1));
        let sockets: Vec<_> = (0..3).map(|id| listed(&connections, id)).collect();
        let mut closings = Closings::default();
        let (start, spread) = (Instant::now(), Duration::from_secs(3));
        closings.replace(sockets.iter().map(withdrawn).collect(), spread, start);
        closings.next().await;
        closings.replace(vec![withdrawn(&sockets[2])], spread, start);
        closings.next().await;
        assert_eq!(sockets[1].entry().order(), None);
        assert_eq!(ended(&sockets), 2);
        let idle = tokio::time::timeout(Duration::from_mins(1), closings.next()).await;
        assert!(idle.is_err(), "something is left to end");
    }
}
