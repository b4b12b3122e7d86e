//! One promise, one test.

use super::*;
use crate::frame::{Event, Header, Scanner};

#[test]
fn frames_pass_as_they_came_on_every_split() {
    for rules in [client(), server()] {
        let key = rules.masked.then_some(KEY);
        let sizes = [0, 1, 125, 126, 127, 300];
        let stream: Vec<u8> = sizes
            .iter()
            .flat_map(|size| frame(BINARY, key, &vec![5; *size]))
            .collect();
        let outcome = on_every_split(rules, &stream);
        assert_eq!(outcome.out, stream);
        assert_eq!(outcome.counts.frames, [0, 0, 6, 0, 0, 0]);
        assert_eq!(
            (outcome.counts.messages, outcome.counts.data_bytes),
            (6, 679)
        );
    }
}

#[test]
fn frame_of_65_536_bytes_passes_whatever_splits_its_header() {
    let stream = masked(BINARY, &vec![5; 65536]);
    for boundary in 0..=20 {
        let (left, right) = stream.split_at(boundary);
        let outcome = pieces(client(), left.chunks(1).chain([right]));
        assert_eq!(outcome.out, stream, "{boundary}");
    }
}

#[test]
fn control_frames_are_handed_out_unmasked_and_not_passed_on() {
    let outcome = on_every_split(client(), &good(client()));
    let [ping] = outcome.control[..] else {
        panic!("{:?}", outcome.control)
    };
    assert_eq!(
        (ping.opcode(), ping.payload(), ping.mask()),
        (Opcode::Ping, &b"between"[..], Some(KEY))
    );
    assert_eq!(
        ping.encode(ping.mask()).as_slice(),
        masked(PING, b"between")
    );
    let without: Vec<u8> = [
        masked(TEXT, b"Hello"),
        masked(1, b""),
        masked(0, b"middle"),
        masked(0x80, &[9; 130]),
        masked(BINARY, b""),
    ]
    .concat();
    assert_eq!(outcome.out, without);
    assert_eq!(outcome.counts.frames, [2, 2, 1, 0, 1, 0]);
    assert_eq!(outcome.counts.messages, 3);
}

#[test]
fn passage_stops_right_after_a_control_frame() {
    let stream = [plain(TEXT, b"a"), plain(PING, b"p"), plain(TEXT, b"b")].concat();
    let (mut out, mut counts) = (Forward::default(), Counts::default());
    let mut passage = Passage::new(server());
    let (size, control) = passage.advance(&stream, &mut out, &mut counts).unwrap();
    assert_eq!((size, &*out), (6, &b"\x81\x01a"[..]));
    assert_eq!(control.map(|frame| frame.opcode()), Some(Opcode::Ping));
    assert!(passage.is_idle());
}

#[test]
fn control_frames_of_125_bytes_are_good() {
    let stream = [masked(PING, &[1; 125]), masked(PONG, &[2; 125])].concat();
    let outcome = on_every_split(client(), &stream);
    assert_eq!(outcome.violation, None);
    assert_eq!(
        outcome
            .control
            .iter()
            .map(|f| f.payload().len())
            .sum::<usize>(),
        250
    );
}

#[test]
fn close_is_handed_out_with_its_code_and_reason() {
    let outcome = on_every_split(client(), &masked(CLOSE, "\x0f\u{a0}".as_bytes()));
    assert_eq!(outcome.violation, Some(Violation::CloseReasonNotUtf8));
    let outcome = on_every_split(client(), &masked(CLOSE, b"\x0f\xa0done"));
    assert_eq!(outcome.control[0].close_code(), Some(4000));
    assert_eq!(outcome.control[0].close_reason(), "done");
    let outcome = on_every_split(server(), &plain(CLOSE, b""));
    assert_eq!(outcome.control[0].close_code(), None);
}

#[test]
fn data_after_close_is_consumed_and_ignored() {
    let after = [masked(TEXT, b"late"), vec![0xff; 40], plain(PING, b"")].concat();
    let stream = [masked(TEXT, b"a"), masked(CLOSE, b"\x03\xe8"), after].concat();
    let outcome = on_every_split(client(), &stream);
    assert_eq!(outcome.violation, None);
    assert_eq!(outcome.out, masked(TEXT, b"a"));
    assert_eq!(outcome.counts.frames, [0, 1, 0, 1, 0, 0]);
}

#[test]
fn reserved_bits_of_an_extension_pass_on_first_frames_only() {
    let rules = Rules {
        reserved_bits: 0x40,
        ..client()
    };
    let stream = [masked(0x41, b"a"), masked(0x80, b"b"), masked(0x82, b"c")].concat();
    assert_eq!(on_every_split(rules, &stream).out, stream);
    for offence in [
        masked(0xa1, b"a"),
        masked(0xc9, b""),
        [masked(0x41, b""), masked(0xc0, b"")].concat(),
    ] {
        assert_eq!(
            on_every_split(rules, &offence).violation,
            Some(Violation::ReservedBits)
        );
    }
}

#[test]
fn reserved_bits_allowed_everywhere_pass_everywhere() {
    let rules = Rules {
        reserved_bits: 0x20,
        reserved_everywhere: true,
        ..server()
    };
    let outcome = on_every_split(
        rules,
        &[plain(0x21, b"a"), plain(0xa9, b"p"), plain(0xa0, b"b")].concat(),
    );
    assert_eq!(outcome.violation, None);
    assert_eq!(
        outcome.control[0].encode(None).as_slice(),
        plain(0xa9, b"p"),
        "as it came"
    );
    assert_eq!(
        on_every_split(rules, &plain(0xc1, b"")).violation,
        Some(Violation::ReservedBits)
    );
}

#[test]
fn message_limit_counts_all_fragments_and_only_those_of_one_message() {
    let rules = Rules::for_client(100, 150);
    let full = [masked(0x02, &[1; 100]), masked(0x80, &[1; 50])].concat();
    assert_eq!(on_every_split(rules, &full.repeat(2)).violation, None);
    let over = [
        full.clone(),
        masked(0x02, &[1; 100]),
        masked(0x80, &[1; 51]),
    ]
    .concat();
    let outcome = on_every_split(rules, &over);
    assert_eq!(outcome.violation, Some(Violation::MessageTooLarge));
    assert_eq!(outcome.out, [full, masked(0x02, &[1; 100])].concat());
}

#[test]
fn frame_limit_and_message_limit_are_told_apart() {
    let frame_first = Rules::for_server(100, 50);
    assert_eq!(
        whole(frame_first, &plain(BINARY, &[1; 101])).violation,
        Some(Violation::FrameTooLarge)
    );
    assert_eq!(
        whole(frame_first, &plain(BINARY, &[1; 100])).violation,
        Some(Violation::MessageTooLarge)
    );
    assert_eq!(whole(frame_first, &plain(BINARY, &[1; 50])).violation, None);
}

#[test]
fn limits_do_not_count_the_tag_of_a_sealed_frame() {
    let rules = Rules {
        trailer: 32,
        ..Rules::for_client(10, 15)
    };
    let good = [masked(0x02, &[1; 42]), masked(0x80, &[1; 37])].concat();
    assert_eq!(on_every_split(rules, &good).out, good);
    assert_eq!(
        whole(rules, &masked(BINARY, &[1; 43])).violation,
        Some(Violation::FrameTooLarge)
    );
    let long = [masked(0x02, &[1; 42]), masked(0x80, &[1; 38])].concat();
    assert_eq!(
        whole(rules, &long).violation,
        Some(Violation::MessageTooLarge)
    );
    assert_eq!(
        whole(rules, &masked(BINARY, &[1; 31])).violation,
        None,
        "too short for a tag"
    );
}

#[test]
fn sealed_close_is_handed_out_with_its_tag_unread() {
    let rules = Rules {
        sealed_close: true,
        ..client()
    };
    let tagged = [b"\x03\xe8bye".as_slice(), &[0xff; 32]].concat();
    for payload in [&tagged[..], &[0xff; 32], &[0xff; 125], b"\x03"] {
        let outcome = on_every_split(rules, &masked(CLOSE, payload));
        assert_eq!(outcome.violation, None);
        assert_eq!(outcome.control[0].payload(), payload);
    }
}

#[test]
fn fragments_of_one_byte_end_at_the_message_limit() {
    let rules = Rules::for_client(LIMIT, 130_999);
    let stream = [masked(0x02, b"x"), masked(0x00, b"x").repeat(130_999)].concat();
    let outcome = whole(rules, &stream);
    assert_eq!(outcome.violation, Some(Violation::MessageTooLarge));
    assert_eq!(outcome.counts.data_bytes, 130_999);
    assert_eq!(outcome.out, stream[..7 * 130_999]);
}

#[test]
fn an_announced_payload_costs_nothing_until_it_arrives() {
    let announced = [&[BINARY, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0][..], &KEY, b"x"].concat();
    let outcome = on_every_split(client(), &announced);
    assert_eq!(outcome.out, announced);
    assert!(outcome.out.capacity() < 100);
}

#[test]
fn border_is_where_nothing_told_of_is_unfinished() {
    let stream = [masked(0x01, b"ab"), masked(PING, b"p"), masked(0x80, b"")].concat();
    let mut run = Run::new(client());
    let mut seen = Vec::new();
    for byte in stream.chunks(1) {
        run.feed(byte);
        let state = (
            run.passage.at_boundary(),
            run.passage.is_idle(),
            run.passage.inside_message(),
        );
        seen.push(match state {
            (true, true, false) => '.',
            (true, true, true) => 'm',
            (true, false, false) => 's',
            (true, false, true) => 'S',
            (false, false, true) => 'p',
            _ => panic!("{state:?} after {} bytes", seen.len() + 1),
        });
    }
    assert_eq!(String::from_iter(seen), "sssssppmSSSSSSmSSSSS.");
}

#[test]
fn scanner_tells_of_an_empty_frame_in_two_events() {
    let mut scanner = Scanner::new(client());
    let header = Header {
        fin: true,
        reserved: 0,
        opcode: Opcode::Text,
        mask: Some(KEY),
        length: 0,
    };
    let bytes = masked(TEXT, b"");
    assert_eq!(
        scanner.next(&bytes),
        Ok((6, Some(Event::DataHeader(header))))
    );
    assert!(!scanner.at_boundary() && scanner.inside_message());
    assert_eq!(
        scanner.next(b""),
        Ok((0, Some(Event::DataPayload { finished: true })))
    );
    assert!(scanner.is_idle() && !scanner.inside_message());
    assert_eq!(scanner.next(b""), Ok((0, None)));
}

#[test]
fn scanner_is_small_enough_for_every_idle_connection() {
    assert!(size_of::<Scanner>() <= 200, "{}", size_of::<Scanner>());
    assert_eq!(size_of::<Passage>(), size_of::<Scanner>());
}
