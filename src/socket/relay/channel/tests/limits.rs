//! Limits count data, without the tag, in both bindings.

#![allow(
    clippy::cast_possible_truncation,
    reason = "the limits of a test are small"
)]

use super::*;

const SMALL: usize = 100;
const KINDS: [(u8, MessageKind); 2] = [(0x81, MessageKind::Text), (0x82, MessageKind::Binary)];

fn small(binding: Binding) -> Run {
    open_with(binding, client_rules(SMALL as u64), false)
}

/// Rules under which a message may have more than a frame.
fn short_frames() -> Rules {
    Rules {
        message_limit: 10 * SMALL as u64,
        ..client_rules(SMALL as u64)
    }
}

#[test]
fn a_frame_may_have_as_much_data_as_the_limit_and_its_tag_beside() {
    for (b0, _) in KINDS {
        let mut run = small(Binding::Frame);
        let data = [b'a'; SMALL];
        run.pass(&sealed(&mut client(), b0, &data)).unwrap();
        assert_eq!(run.taken(), plain(b0, &data));
    }
}

#[test]
fn a_frame_with_one_byte_more_is_refused_by_its_header() {
    let mut run = small(Binding::Frame);
    let wire = sealed(&mut client(), 0x82, &[0; SMALL + 1]);
    let fault = Fault::Violation(Violation::FrameTooLarge);
    assert_eq!(run.pass(&wire[..8]), Err(fault));
    assert!(run.out.is_empty());
}

#[test]
fn the_tags_of_fragments_do_not_count_against_the_message() {
    let rules = Rules {
        message_limit: 3,
        ..client_rules(SMALL as u64)
    };
    for (data, fits) in [(&b"d"[..], true), (b"de", false)] {
        let (mut run, mut client) = (open_with(Binding::Frame, rules, false), client());
        run.pass(&sealed(&mut client, 0x02, b"ab")).unwrap();
        let result = run.pass(&sealed(&mut client, 0x80, data));
        let refused = Err(Fault::Violation(Violation::MessageTooLarge));
        assert_eq!(result, if fits { Ok(()) } else { refused });
    }
}

#[test]
fn fragments_that_are_reported_to_have_no_tag_count_for_those_behind_them() {
    let mut run = open_with(Binding::Frame, client_rules(SMALL as u64), true);
    run.pass(&plain(0x02, &[0; 31])).unwrap();
    let fault = (0..SMALL).find_map(|_| run.pass(&plain(0x00, &[0; 31])).err());
    assert_eq!(fault, Some(Fault::Violation(Violation::MessageTooLarge)));
    assert_eq!(run.out.len(), 4 * plain(0x00, &[0; 31]).len());
}

#[test]
fn a_message_may_have_as_much_data_as_the_limit_and_its_tag_beside() {
    for (b0, kind) in KINDS {
        let mut run = small(Binding::Message);
        let data = [b'a'; SMALL];
        let payload = message(&mut client(), kind, &data);
        run.pass(&plain(b0, &payload)).unwrap();
        assert_eq!(run.taken(), plain(b0, &data));
    }
}

#[test]
fn a_message_with_one_byte_more_is_refused_whatever_its_kind() {
    for (b0, kind) in KINDS {
        for (rules, violation) in [
            (client_rules(SMALL as u64), Violation::FrameTooLarge),
            (
                Rules {
                    frame_limit: LIMIT,
                    ..client_rules(SMALL as u64)
                },
                Violation::MessageTooLarge,
            ),
        ] {
            let mut run = open_with(Binding::Message, rules, false);
            let payload = message(&mut client(), kind, &[b'a'; SMALL + 1]);
            let result = run.pass(&plain(b0, &payload));
            assert_eq!(result, Err(Fault::Violation(violation)), "{kind:?}");
            assert!(run.out.is_empty());
        }
    }
}

#[test]
fn of_a_fragment_the_data_counts_and_what_it_has_of_the_tag_does_not() {
    for (b0, kind) in KINDS {
        for (data, fits) in [(SMALL, true), (SMALL + 1, false)] {
            let mut run = open_with(Binding::Message, short_frames(), false);
            let payload = message(&mut client(), kind, &vec![b'a'; data]);
            // The tag is divided between the two fragments.
            let (first, second) = payload.split_at(SMALL + 20);
            run.pass(&plain(b0 & 0x0f, first)).unwrap();
            let result = run.pass(&plain(0x80, second));
            let refused = Err(Fault::Violation(Violation::FrameTooLarge));
            assert_eq!(
                result,
                if fits { Ok(()) } else { refused },
                "{kind:?} {data}"
            );
        }
    }
}

#[test]
fn a_message_of_many_fragments_is_refused_before_it_is_whole() {
    let mut run = open_with(Binding::Message, short_frames(), false);
    run.pass(&plain(0x02, &[0; 100])).unwrap();
    let fault = (0..20)
        .find_map(|_| run.pass(&plain(0x00, &[0; 100])).err())
        .unwrap();
    assert_eq!(fault, Fault::Violation(Violation::MessageTooLarge));
}

#[test]
fn an_announced_length_takes_no_memory_until_it_arrives() {
    let rules = client_rules(16 << 20);
    let header = Header {
        fin: true,
        reserved: 0,
        opcode: Opcode::Binary,
        mask: Some(MASK),
        length: 16 << 20,
    };
    for binding in [Binding::Frame, Binding::Message] {
        let mut run = open_with(binding, rules, false);
        run.pass(header.encode().as_slice()).unwrap();
        run.pass(&[1]).unwrap();
        assert!(run.out.is_empty());
        let held = match &run.channel {
            Channel::OpenFrames(open) => open.held_capacity(),
            Channel::OpenMessages(open) => open.held_capacity(),
            _ => unreachable!(),
        };
        assert!(held <= 64, "{held} bytes for one");
    }
}
