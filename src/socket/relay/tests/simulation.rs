//! Random conversations: frames good and bad in random pieces, orders, lost and ended transports,
//! time. After every step, what came out is judged by the reference.
//!
//! A failure names its seed; `TIDEGATE_SEED=<seed> cargo test relay` plays that one again.

use super::{
    peer::Peer,
    reference::{Passed, Verdict},
    script::Speaker,
    *,
};
use crate::tests::Random;

const SEEDS: u64 = 1500;
const STEPS: usize = 60;
/// What the proxy may add to what it was sent in one step: held back headers, own frames.
const OWN: usize = 600;

struct Simulation {
    random: Random,
    run: Run,
    client: Peer,
    backend: Peer,
    record: Option<Record>,
    /// How much had come out when the client was to get no more.
    final_to_client: Option<usize>,
    final_to_backend: Option<usize>,
    label: String,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let terms = Terms {
            ping: random.of(&[Duration::ZERO, PING_AFTER]),
            ..terms()
        };
        Self {
            random,
            run: Run::with(terms),
            client: Peer::new(ToBackend),
            backend: Peer::new(ToClient),
            record: None,
            final_to_client: None,
            final_to_backend: None,
            label: format!("seed {seed}"),
        }
    }

    fn peer(&mut self, direction: Direction) -> &mut Peer {
        match direction {
            ToBackend => &mut self.client,
            ToClient => &mut self.backend,
        }
    }

    fn step(&mut self) {
        let direction = self.random.of(&[ToBackend, ToClient]);
        match self.random.below(40) {
            0 => self.order(),
            1 => self.end(direction),
            2 => {
                self.peer(direction).lost = true;
                self.run.conversation.lost(direction);
            }
            3 => self.run.conversation.progressed(direction, self.run.now),
            4 => self.run.conversation.excuse_client(self.run.now),
            5..10 => self.pass(),
            _ => self.send(direction),
        }
    }

    fn order(&mut self) {
        let ending = self.random.of(&[
            SocketEnding::Draining,
            SocketEnding::ClosedByOperator,
            SocketEnding::BackendStalled,
            SocketEnding::ClientStalled,
            SocketEnding::DrainDeadline,
        ]);
        self.run.order(ending);
    }

    fn end(&mut self, direction: Direction) {
        self.peer(direction).ended = true;
        self.run.ended(direction);
    }

    fn pass(&mut self) {
        let milliseconds = self
            .random
            .of(&[1, 400, 1000, 7_000, 29_000, 31_000, 299_000]);
        self.run.pass(Duration::from_millis(milliseconds));
        self.client.pinged |= self.run.at_client.ends_with(&MARK);
    }

    fn send(&mut self, direction: Direction) {
        let most = self.random.of(&[1, 3, 50, 500]);
        if self.peer(direction).ended || self.run.conversation.is_over() {
            return;
        }
        let mut random = std::mem::replace(&mut self.random, Random::new(0));
        let bytes = self.peer(direction).send(&mut random, most);
        self.random = random;
        let before = self.produced();
        self.run.send(direction, &bytes);
        let grown = self.produced() - before;
        assert!(grown <= bytes.len() + OWN, "{}: {grown}", self.label);
    }

    fn produced(&self) -> usize {
        self.run.at_client.len() + self.run.at_backend.len()
    }

    fn verdict(&self, direction: Direction) -> Verdict {
        let (peer, out) = match direction {
            ToBackend => (&self.client, &self.run.at_backend),
            ToClient => (&self.backend, &self.run.at_client),
        };
        let (sent, good) = peer.sent();
        let passed = Passed {
            direction,
            sent,
            good,
            out,
        };
        let verdict = passed.judge();
        verdict.unwrap_or_else(|error| panic!("{}, {direction:?}: {error}", self.label))
    }

    fn check(&mut self) {
        let (to_backend, to_client) = (self.verdict(ToBackend), self.verdict(ToClient));
        let label = &self.label;
        let conversation = &self.run.conversation;
        match conversation.record() {
            None => {
                let complete = [to_backend.complete, to_client.complete];
                let lost = [self.backend.lost, self.client.lost];
                assert!(
                    complete[0] || lost[0],
                    "{label}: held back from the backend"
                );
                assert!(complete[1] || lost[1], "{label}: held back from the client");
                let quiet = !self.client.has_offended() && !self.backend.has_offended();
                assert!(quiet, "{label}: an offence went by");
                assert_eq!((to_client.close, to_backend.close), (None, None), "{label}");
                assert!(conversation.deadline() > self.run.now, "{label}");
            }
            Some(record) => self.check_record(record, &to_backend, &to_client),
        }
        self.check_ends();
    }

    fn check_record(&mut self, record: Record, to_backend: &Verdict, to_client: &Verdict) {
        let label = &self.label;
        if let Some(before) = self.record.replace(record) {
            let never_told = (before.ending, before.code) == (SocketEnding::Draining, None);
            let cut = never_told && record.ending == SocketEnding::DrainDeadline;
            assert!(cut || before.ending == record.ending, "{label}");
            assert_eq!(before.fault, record.fault, "{label}");
            let kept = before.code.is_none() || before.code == record.code;
            assert!(kept, "{label}: {before:?} became {record:?}");
        }
        let told = match record.ending {
            SocketEnding::ClientClosed => to_backend.close,
            SocketEnding::BackendClosed => to_client.close,
            ending if ending.close_code().is_none() => Some((None, true)),
            _ => Some(to_client.close.unwrap_or((None, true))),
        };
        if let Some((code, own)) = told {
            assert_eq!(record.code, code, "{label}: {record:?}");
            let passed_on = [SocketEnding::ClientClosed, SocketEnding::BackendClosed];
            assert_eq!(!own, passed_on.contains(&record.ending), "{label}");
        }
    }

    fn check_ends(&mut self) {
        let conversation = &self.run.conversation;
        let label = &self.label;
        let ends = [
            (
                conversation.client_output_finished(),
                &mut self.final_to_client,
                self.run.at_client.len(),
            ),
            (
                conversation.backend_output_finished(),
                &mut self.final_to_backend,
                self.run.at_backend.len(),
            ),
        ];
        for (finished, last, length) in ends {
            assert!(finished || last.is_none(), "{label}: finished no longer");
            if finished {
                let last = *last.get_or_insert(length);
                assert_eq!(last, length, "{label}: bytes behind the end");
            }
        }
        if self.client.ended && self.backend.ended {
            assert!(conversation.is_over(), "{label}: both transports ended");
        }
    }

    /// Whatever happened before, a drain ends it.
    fn finish(&mut self) {
        self.run.order(SocketEnding::Draining);
        self.check();
        self.run.pass(Duration::from_secs(30));
        self.check();
        assert!(self.run.conversation.is_over(), "{}", self.label);
        assert!(self.run.conversation.record().is_some(), "{}", self.label);
    }
}

fn simulate(seed: u64) -> Record {
    let mut simulation = Simulation::new(seed);
    for _ in 0..STEPS {
        simulation.step();
        simulation.check();
    }
    simulation.finish();
    simulation.run.record()
}

#[test]
fn random_conversations_keep_every_promise_and_meet_every_ending() {
    let endings = [
        SocketEnding::ClientClosed,
        SocketEnding::BackendClosed,
        SocketEnding::ClientGone,
        SocketEnding::BackendGone,
        SocketEnding::ClientProtocol,
        SocketEnding::BackendProtocol,
        SocketEnding::NoPong,
        SocketEnding::IdleTimeout,
        SocketEnding::ClientStalled,
        SocketEnding::BackendStalled,
        SocketEnding::ClosedByOperator,
        SocketEnding::Draining,
        SocketEnding::DrainDeadline,
    ];
    meet_every_ending(SEEDS, simulate, &endings);
}
