//! Everything that a peer may not do, row by row.

use super::*;
use Violation as V;

/// A name, who does it, a frame against the rules, and the rule.
type Row = (&'static str, Rules, Vec<u8>, Violation);

fn offences() -> Vec<Row> {
    [masks(), controls(), first_bytes(), closes(), lengths()].concat()
}

fn masks() -> Vec<Row> {
    vec![
        (
            "unmasked from a client",
            client(),
            plain(TEXT, b"a"),
            V::Unmasked,
        ),
        (
            "unmasked Ping from a client",
            client(),
            plain(PING, b""),
            V::Unmasked,
        ),
        (
            "masked from a server",
            server(),
            masked(TEXT, b"a"),
            V::Masked,
        ),
        (
            "masked Close from a server",
            server(),
            masked(CLOSE, b""),
            V::Masked,
        ),
    ]
}

fn controls() -> Vec<Row> {
    vec![
        (
            "Ping of 126 bytes",
            client(),
            masked(PING, &[1; 126]),
            V::ControlTooLong,
        ),
        (
            "Pong of 65 536 bytes",
            client(),
            masked(PONG, &vec![1; 65536])[..400].to_vec(),
            V::ControlTooLong,
        ),
        (
            "Close of 126 bytes",
            server(),
            plain(CLOSE, &[1; 126]),
            V::ControlTooLong,
        ),
        (
            "Ping in fragments",
            client(),
            masked(0x09, b"a"),
            V::ControlFragmented,
        ),
        (
            "Close in fragments",
            server(),
            plain(0x08, b""),
            V::ControlFragmented,
        ),
    ]
}

fn first_bytes() -> Vec<Row> {
    vec![
        (
            "RSV1 without extension",
            client(),
            masked(0xc1, b"a"),
            V::ReservedBits,
        ),
        (
            "RSV2 without extension",
            client(),
            masked(0xa2, b"a"),
            V::ReservedBits,
        ),
        (
            "RSV3 without extension",
            server(),
            plain(0x91, b"a"),
            V::ReservedBits,
        ),
        (
            "RSV1 in a Ping",
            client(),
            masked(0xc9, b"a"),
            V::ReservedBits,
        ),
        ("opcode 3", client(), masked(0x83, b"a"), V::UnknownOpcode),
        ("opcode 7", server(), plain(0x87, b"a"), V::UnknownOpcode),
        ("opcode 11", client(), masked(0x8b, b"a"), V::UnknownOpcode),
        ("opcode 15", client(), masked(0x8f, b"a"), V::UnknownOpcode),
    ]
}

fn closes() -> Vec<Row> {
    let not_utf8 = V::CloseReasonNotUtf8;
    let mut rows = vec![
        (
            "Close of one byte",
            client(),
            masked(CLOSE, b"\x03"),
            V::ClosePayloadTooShort,
        ),
        (
            "bad UTF-8 in a reason",
            client(),
            masked(CLOSE, b"\x03\xe8a\xff"),
            not_utf8,
        ),
        (
            "half a character in a reason",
            server(),
            plain(CLOSE, b"\x03\xe8\xe2\x82"),
            not_utf8,
        ),
    ];
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
        let payload = code.to_be_bytes();
        rows.push((
            "close code",
            client(),
            masked(CLOSE, &payload),
            V::CloseCode,
        ));
        rows.push(("close code", server(), plain(CLOSE, &payload), V::CloseCode));
    }
    rows
}

fn lengths() -> Vec<Row> {
    let row = |name, short: u8, long: &[u8], violation| {
        let stream = [&[BINARY, 0x80 | short], long, &KEY].concat();
        (name, client(), stream, violation)
    };
    let most = (u64::MAX >> 1).to_be_bytes();
    vec![
        row("125 in 16 bits", 0x7e, &[0, 125], V::LengthNotMinimal),
        row("0 in 64 bits", 0x7f, &[0; 8], V::LengthNotMinimal),
        row(
            "65 535 in 64 bits",
            0x7f,
            &[0, 0, 0, 0, 0, 0, 0xff, 0xff],
            V::LengthNotMinimal,
        ),
        row(
            "64 bits with the top bit",
            0x7f,
            &[0x80, 0, 0, 0, 0, 0, 0, 1],
            V::LengthTopBit,
        ),
        row("2^63 - 1 bytes", 0x7f, &most, V::FrameTooLarge),
        row(
            "frame over the limit",
            0x7f,
            &[0, 0, 0, 0, 0, 0x10, 0, 1],
            V::FrameTooLarge,
        ),
    ]
}

#[test]
fn every_offence_of_the_table_is_refused_and_nothing_of_that_frame_passes() {
    for (name, rules, offence, violation) in offences() {
        let good = good(rules);
        let passed = whole(rules, &good);
        assert_eq!(passed.violation, None, "{name}");
        let outcome = on_every_split(rules, &[good, offence].concat());
        assert_eq!(outcome.violation, Some(violation), "{name}");
        assert_eq!(outcome.out, passed.out, "{name}");
        assert_eq!(outcome.counts, passed.counts, "{name}");
    }
}

#[test]
fn frames_out_of_sequence_are_refused() {
    let start = masked(0x01, b"a");
    let message = [&start[..], &masked(0x80, b"b")].concat();
    let rows = [
        (&[][..], 0x80, Violation::ContinuationWithoutStart),
        (&start, 0x81, Violation::StartInsideMessage),
        (&start, 0x02, Violation::StartInsideMessage),
        (&message, 0x00, Violation::ContinuationWithoutStart),
    ];
    for (before, first, violation) in rows {
        let stream = [before, &masked(first, b"c")].concat();
        let outcome = on_every_split(client(), &stream);
        assert_eq!(outcome.violation, Some(violation), "{first:x}");
        assert_eq!(outcome.out, before, "{first:x}");
    }
}

#[test]
fn codes_of_the_table_are_1002_1007_and_1009() {
    for (name, _, _, violation) in offences() {
        let expected = match name {
            name if name.contains("reason") => 1007,
            name if name.contains("limit") || name.contains("2^63") || name.contains("top bit") => {
                1009
            }
            _ => 1002,
        };
        assert_eq!(violation.code(), expected, "{name}");
    }
}

#[test]
fn violation_stays_when_asked_again() {
    for (name, rules, offence, violation) in offences() {
        let mut run = Run::new(rules);
        offence.chunks(1).for_each(|byte| run.feed(byte));
        let (mut out, mut counts) = (Forward::default(), Counts::default());
        let good = good(rules);
        for more in [&b""[..], &good] {
            let again = run.passage.advance(more, &mut out, &mut counts);
            assert_eq!(again, Err(violation), "{name}");
        }
        assert_eq!((out.len(), counts), (0, Counts::default()), "{name}");
        assert!(run.passage.at_boundary(), "a Close may be inserted: {name}");
    }
}
