//! Random conversations of a client that seals, in either binding, where tags are required and
//! where they are only reported: the backend gets the data without tags, and what the client gets
//! opens with its own keys. After every step, that is judged by what both have said.
//!
//! A failure names its seed; `TIDEGATE_SEED=<seed> cargo test sealed` plays that one again.

use super::{
    reference,
    script::Speaker,
    sealed_peer::{Said, SealedPeer},
    *,
};
use crate::{
    integrity::{
        Algorithm, Outcome,
        keyring::{Key, KeyMaterial, KeyState, Keyring, Secret, Validity},
        negotiate,
        offer::Extensions,
        seal_message::MessageKind,
        subprotocol,
    },
    tests::Random,
};
use zeroize::Zeroizing;

const SEEDS: u64 = 400;
const STEPS: usize = 60;
const EXTENSION: &str = "frame-integrity; alg=hmac-sha-256; kid=k; cn=AAAAAAAAAAAAAAAAAAAAAA";
const SUBPROTOCOL: &str = "frame-integrity~hmac-sha-256~k~AAAAAAAAAAAAAAAAAAAAAA~~";

struct Simulation {
    random: Random,
    run: Run,
    agreement: Agreement,
    mode: Mode,
    client: SealedPeer,
    backend: SealedPeer,
    label: String,
}

/// What a peer has got, held against what the other has said.
struct Verdict {
    /// The Close: its payload, and whether it is the proxy's own.
    close: Option<(Vec<u8>, bool)>,
    /// Whether all that was said has come.
    complete: bool,
}

fn agreement(binding: Binding) -> Agreement {
    let key = Key {
        kid: "k".parse().unwrap(),
        material: KeyMaterial::Secret(Secret::new(Zeroizing::new(vec![7; 32])).unwrap()),
        state: KeyState::Active,
        validity: Validity::default(),
    };
    let terms = negotiate::Terms {
        mode: Mode::Required,
        algorithms: &Algorithm::ALL,
        keyring: &Keyring::new([key]).unwrap(),
        now: 0,
        server_nonce: [7; 32],
        exporter: &|| None,
    };
    match binding {
        Binding::Frame => {
            let offers = Extensions::parse([EXTENSION.as_bytes()]);
            terms.choose_frame(&offers).unwrap()
        }
        Binding::Message => {
            let names = subprotocol::parse([SUBPROTOCOL.as_bytes()]);
            terms.message_offers(&names).select(None).unwrap()
        }
    }
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let binding = random.of(&[Binding::Frame, Binding::Message]);
        let mode = random.of(&[Mode::Required, Mode::Report]);
        let terms = Terms {
            ping: random.of(&[Duration::ZERO, PING_AFTER]),
            ..terms()
        };
        let agreement = agreement(binding);
        let (_, sealer) = agreement.client_ends();
        Self {
            random,
            run: Run::sealed(terms, Some((&agreement, mode))),
            client: SealedPeer::new(binding, mode, Some(sealer)),
            backend: SealedPeer::new(binding, mode, None),
            agreement,
            mode,
            label: format!("seed {seed}, {binding:?}, {mode:?}"),
        }
    }

    fn peer(&mut self, direction: Direction) -> &mut SealedPeer {
        match direction {
            ToBackend => &mut self.client,
            ToClient => &mut self.backend,
        }
    }

    fn step(&mut self) {
        let direction = self.random.of(&[ToBackend, ToClient]);
        match self.random.below(80) {
            0 => {
                let orders = [SocketEnding::Draining, SocketEnding::IntegrityKeyRevoked];
                self.run.order(self.random.of(&orders));
            }
            1 => {
                self.peer(direction).ended = true;
                self.run.ended(direction);
            }
            2 => {
                self.peer(direction).lost = true;
                self.run.conversation.lost(direction);
            }
            3..6 => {
                let milliseconds = self.random.of(&[1, 400, 1000, 7_000, 31_000]);
                self.run.pass(Duration::from_millis(milliseconds));
            }
            _ => self.send(direction),
        }
    }

    fn send(&mut self, direction: Direction) {
        let most = self.random.of(&[1, 3, 50, 500]);
        if self.peer(direction).ended || self.run.conversation.is_over() {
            return;
        }
        let mut random = std::mem::replace(&mut self.random, Random::new(0));
        let bytes = self.peer(direction).send(&mut random, most);
        self.random = random;
        self.run.send(direction, &bytes);
    }

    /// What the backend has got, whole frames alone.
    fn at_backend(&self) -> Vec<(u8, Vec<u8>)> {
        let frames = reference::frames(&self.run.at_backend, true).unwrap();
        let whole = frames.into_iter().filter(|frame| frame.missing == 0);
        whole.map(|frame| (frame.bytes[0], frame.payload)).collect()
    }

    /// What the client has got, opened with its own keys: whole units alone.
    fn at_client(&self) -> Vec<(u8, Vec<u8>)> {
        let binding = self.agreement.binding();
        let (mut opener, _) = self.agreement.client_ends();
        let mut message = (0, Vec::new());
        let mut got = Vec::new();
        let frames = reference::frames(&self.run.at_client, false).unwrap();
        for frame in frames.into_iter().filter(|frame| frame.missing == 0) {
            let (first, payload) = (frame.bytes[0], frame.payload);
            let data = match (first, binding) {
                (PING | PONG, _) => Ok(payload),
                (CLOSE, _) => opener.open_close(binding, &payload).map(<[u8]>::to_vec),
                (_, Binding::Frame) => {
                    let (data, tag) = payload.split_last_chunk().expect("a tag");
                    opener.open(first, data, tag).map(|()| data.to_vec())
                }
                (_, Binding::Message) => {
                    message.0 |= 0x80 | first;
                    message.1.extend(payload);
                    if first & 0x80 == 0 {
                        continue;
                    }
                    let (first, payload) = std::mem::take(&mut message);
                    let kind = match first {
                        TEXT => MessageKind::Text,
                        _ => MessageKind::Binary,
                    };
                    let length = opener.open_message(kind, &payload).expect(&self.label);
                    got.push((first, payload[..length].to_vec()));
                    continue;
                }
            };
            got.push((first, data.expect(&self.label)));
        }
        got
    }

    fn judge<'s>(&self, said: impl Iterator<Item = &'s Said>, got: Vec<(u8, Vec<u8>)>) -> Verdict {
        let label = &self.label;
        let mut said = said.peekable();
        let mut close = None;
        for (first, data) in got {
            assert_eq!(close, None, "{label}: behind a Close");
            if (first, &*data) == (PING, &MARK) {
                continue;
            }
            let next = said.next_if(|said| said.first == first && said.data == data);
            if first == CLOSE {
                close = Some((data, next.is_none()));
            } else {
                let expected = said.peek();
                assert!(
                    next.is_some(),
                    "{label}: {first:x} {data:?}, not {expected:?}"
                );
            }
        }
        let complete = said.next().is_none();
        Verdict { close, complete }
    }

    fn check(&self) {
        let to_backend = self.judge(self.client.said(), self.at_backend());
        let to_client = self.judge(self.backend.said(), self.at_client());
        match self.run.conversation.record() {
            None => self.check_open(&to_backend, &to_client),
            Some(record) => self.check_record(record, &to_backend, &to_client),
        }
    }

    fn check_open(&self, to_backend: &Verdict, to_client: &Verdict) {
        let label = &self.label;
        assert!(
            to_backend.complete || self.backend.lost,
            "{label}: held back from the backend"
        );
        assert!(
            to_client.complete || self.client.lost,
            "{label}: held back from the client"
        );
        assert!(!self.client.has_offended(), "{label}: an offence went by");
        assert_eq!(
            (&to_backend.close, &to_client.close),
            (&None, &None),
            "{label}"
        );
        for outcome in Outcome::ALL {
            let (peer, direction) = match outcome {
                Outcome::Sealed => (&self.backend, ToClient),
                _ => (&self.client, ToBackend),
            };
            let counted = self.run.conversation.units(direction)[outcome as usize];
            let said = peer.units(outcome) as u64;
            // The header shows already that a tag is missing.
            let early = u64::from(outcome == Outcome::Missing && counted > said);
            assert_eq!(counted, said + early, "{label}: {outcome:?}");
        }
    }

    fn check_record(&self, record: Record, to_backend: &Verdict, to_client: &Verdict) {
        let label = &self.label;
        let told = match record.ending {
            SocketEnding::ClientClosed => to_backend.close.as_ref(),
            SocketEnding::BackendClosed => to_client.close.as_ref(),
            ending => to_client
                .close
                .as_ref()
                .filter(|_| ending.close_code().is_some()),
        };
        if let Some((data, own)) = told {
            let code = data.first_chunk().map(|code| u16::from_be_bytes(*code));
            assert_eq!(record.code, code, "{label}: {record:?}");
            let passed_on = [SocketEnding::ClientClosed, SocketEnding::BackendClosed];
            assert_eq!(
                !own,
                passed_on.contains(&record.ending),
                "{label}: {record:?}"
            );
        }
        let failed = [
            SocketEnding::IntegrityMismatch,
            SocketEnding::IntegrityMissing,
        ];
        if failed.contains(&record.ending) {
            assert_eq!(self.mode, Mode::Required, "{label}");
            assert!(self.client.offends(), "{label}: nothing was wrong");
            let expected = (close_payload(1008, record.ending.sentence()), true);
            for verdict in [to_backend, to_client] {
                let own = verdict.close.iter().filter(|(_, own)| *own);
                own.for_each(|told| assert_eq!(*told, expected, "{label}"));
            }
        }
    }

    /// Whatever happened before, a drain ends it.
    fn finish(&mut self) {
        self.run.order(SocketEnding::Draining);
        self.run.pass(Duration::from_secs(30));
        self.check();
        assert!(self.run.conversation.is_over(), "{}", self.label);
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
fn random_sealed_conversations_keep_every_promise_and_meet_every_ending() {
    let endings = [
        SocketEnding::ClientClosed,
        SocketEnding::BackendClosed,
        SocketEnding::ClientGone,
        SocketEnding::BackendGone,
        SocketEnding::IntegrityMismatch,
        SocketEnding::IntegrityMissing,
        SocketEnding::IntegrityKeyRevoked,
        SocketEnding::NoPong,
        SocketEnding::Draining,
    ];
    meet_every_ending(SEEDS, simulate, &endings);
}
