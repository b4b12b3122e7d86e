//! Two peers, orders, ends and time in any order: what comes out is a valid stream of frames in
//! both directions, and it comes to an end.
//!
//! The input is one byte of terms, then steps: a byte that says which, and what it needs.

use std::time::Duration;
use tidegate::ending::SocketEnding;
use tidegate::frame::Counts;
use tidegate::frame::Forward;
use tidegate::frame::Opcode;
use tidegate::frame::Passage;
use tidegate::frame::Rules;
use tidegate::integrity::Algorithm;
use tidegate::integrity::Mode;
use tidegate::integrity::agreement::Agreement;
use tidegate::integrity::keyring::Keyring;
use tidegate::integrity::negotiate;
use tidegate::integrity::offer::Extensions;
use tidegate::observe::Direction;
use tidegate::observe::Direction::ToBackend;
use tidegate::observe::Direction::ToClient;
use tidegate::socket::relay::Conversation;
use tidegate::socket::relay::Output;
use tidegate::socket::relay::Record;
use tidegate::socket::relay::Terms;
use tokio::time::Instant;

const LIMIT: u64 = 300;
/// Longer than anything that a conversation waits for once it ends.
const FOR_EVER: Duration = Duration::from_mins(1);
const ORDERS: [SocketEnding; 4] = [
    SocketEnding::Draining,
    SocketEnding::Revoked,
    SocketEnding::BackendStalled,
    SocketEnding::ClientStalled,
];

struct Run {
    conversation: Conversation,
    now: Instant,
    to_client: Vec<u8>,
    to_backend: Vec<u8>,
    record: Option<Record>,
}

pub(crate) fn run(data: &[u8]) {
    let Some((choice, mut steps)) = data.split_first() else {
        return;
    };
    let now = Instant::now();
    let rules = rules(*choice);
    let agreement = (choice & 8 != 0).then(agreement);
    // In report mode, what is not sealed as it should be passes: mutations go on behind it.
    let sealed = agreement.as_ref().map(|sealed| (sealed, Mode::Report));
    let mut run = Run {
        conversation: Conversation::new(terms(*choice, rules), sealed, now),
        now,
        to_client: Vec::new(),
        to_backend: Vec::new(),
        record: None,
    };
    while let [step, size, rest @ ..] = steps {
        steps = run.step(*step, *size, rest);
        run.check_record();
    }
    run.finish();
    let tag = if agreement.is_some() { 32 } else { 0 };
    let to_backend = Rules {
        // A frame that is too short for a tag counts for those behind it.
        message_limit: rules[0].message_limit + tag,
        ..rules[0]
    };
    check_stream(to_backend, &run.to_backend);
    let to_client = Rules {
        trailer: tag,
        sealed_close: tag > 0,
        ..rules[1]
    };
    check_stream(to_client, &run.to_client);
}

/// On a tag that needs no key.
fn agreement() -> Agreement {
    let keyring = Keyring::new([]).expect("no kid twice");
    let terms = negotiate::Terms {
        mode: Mode::Report,
        algorithms: &Algorithm::ALL,
        keyring: &keyring,
        now: 0,
        server_nonce: [7; 32],
        exporter: &|| None,
    };
    let offer = Extensions::parse(["frame-integrity; alg=sha-256".as_bytes()]);
    terms.choose_frame(&offer).expect("a good offer")
}

/// What a client and a backend must keep to.
fn rules(choice: u8) -> [Rules; 2] {
    [true, false].map(|masked| Rules {
        masked,
        reserved_bits: if choice & 1 == 0 { 0 } else { 0x40 },
        reserved_everywhere: choice & 2 != 0,
        ..Rules::for_server(LIMIT, 2 * LIMIT)
    })
}

fn terms(choice: u8, [client, backend]: [Rules; 2]) -> Terms {
    Terms {
        client,
        backend,
        idle: Duration::from_secs(20),
        ping: Duration::from_secs(if choice & 4 == 0 { 0 } else { 3 }),
        ping_mark: *b"the mark",
        mask: [1, 2, 3, 4],
    }
}

impl Run {
    /// Takes one step; returns the input behind what it needed.
    fn step<'a>(&mut self, step: u8, size: u8, rest: &'a [u8]) -> &'a [u8] {
        let direction = if size & 1 == 0 { ToBackend } else { ToClient };
        match step % 16 {
            0..5 => return self.receive(ToBackend, size, rest),
            5..10 => return self.receive(ToClient, size, rest),
            10..13 => self.pass(Duration::from_millis(u64::from(size) * 40)),
            13 => self.order(ORDERS[usize::from(size) % ORDERS.len()]),
            14 => self.conversation.lost(direction),
            _ => self.act(|conversation, out, now| conversation.ended(direction, out, now)),
        }
        rest
    }

    fn receive<'a>(&mut self, direction: Direction, size: u8, rest: &'a [u8]) -> &'a [u8] {
        let (bytes, rest) = rest.split_at(rest.len().min(size.into()));
        if self.conversation.reads(direction) {
            self.act(|conversation, out, now| {
                conversation.receive(direction, bytes, out, now);
            });
        }
        rest
    }

    /// Lets the conversation act, and keeps what comes out.
    fn act<'input>(
        &mut self,
        action: impl FnOnce(&mut Conversation, &mut Output<'input>, Instant),
    ) {
        let mut out = Output::default();
        action(&mut self.conversation, &mut out, self.now);
        self.to_client.extend_from_slice(&out.to_client);
        self.to_backend.extend_from_slice(&out.to_backend);
    }

    fn order(&mut self, ending: SocketEnding) {
        self.act(|conversation, out, now| conversation.order(ending, out, now));
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while !self.conversation.is_over() && self.conversation.deadline() <= end {
            self.now = self.now.max(self.conversation.deadline());
            self.act(Conversation::tick);
            assert!(self.conversation.is_over() || self.conversation.deadline() > self.now);
        }
        self.now = end;
    }

    /// The first ending stays.
    fn check_record(&mut self) {
        let record = self.conversation.record();
        if let Some(before) = self.record {
            assert_eq!(record.map(|record| record.ending), Some(before.ending));
        }
        self.record = record;
    }

    fn finish(&mut self) {
        self.order(SocketEnding::Draining);
        self.pass(FOR_EVER);
        assert!(self.conversation.is_over());
        self.check_record();
        assert!(self.record.is_some());
    }
}

/// Whole frames that obey the rules, perhaps a part of one more, and nothing behind a Close.
fn check_stream(rules: Rules, stream: &[u8]) {
    let mut passage = Passage::new(rules);
    let (mut data, mut counts) = (Forward::default(), Counts::default());
    let mut rest = stream;
    while !rest.is_empty() {
        let passed = passage.advance(rest, &mut data, &mut counts);
        let (size, control) = passed.expect("the proxy obeys the rules");
        rest = &rest[size..];
        if control.is_some_and(|frame| frame.opcode() == Opcode::Close) {
            assert!(rest.is_empty(), "{rest:?} behind a Close");
        }
    }
    let frames: u64 = counts.frames.iter().sum();
    assert!(
        passage.is_idle() || !passage.at_boundary(),
        "after {frames} frames"
    );
}
