//! What is held, what goes on, what is refused.

use super::*;

#[test]
fn nothing_of_a_frame_is_put_out_before_its_last_byte() {
    let mut run = open(Binding::Frame);
    let wire = sealed(&mut client(), 0x82, &[9; 300]);
    let (all_but_one, last) = wire.split_at(wire.len() - 1);
    for byte in all_but_one.chunks(1) {
        run.pass(byte).unwrap();
        assert!(run.out.is_empty());
        assert!(run.channel.at_boundary(), "a Close may be put in");
    }
    run.pass(last).unwrap();
    assert_eq!(run.taken(), plain(0x82, &[9; 300]));
}

#[test]
fn a_fragment_is_forwarded_before_the_next_one_comes() {
    let (mut run, mut client) = (open(Binding::Frame), client());
    run.pass(&sealed(&mut client, 0x01, b"first ")).unwrap();
    assert_eq!(run.taken(), plain(0x01, b"first "));
    run.pass(&sealed(&mut client, 0x80, b"second")).unwrap();
    assert_eq!(run.taken(), plain(0x80, b"second"));
    assert_eq!(units(&run), (2, 0, 0, 0));
}

#[test]
fn frames_before_the_offending_one_stand() {
    let (mut run, mut client) = (open(Binding::Frame), client());
    let good = sealed(&mut client, 0x82, b"good");
    let mut bad = sealed(&mut client, 0x82, b"evil");
    *bad.last_mut().unwrap() ^= 1;
    let result = run.pass(&[good, bad].concat());
    assert_eq!(result, Err(Fault::Integrity(Failure::Mismatch)));
    assert_eq!(run.taken(), plain(0x82, b"good"));
    assert_eq!(units(&run), (1, 1, 0, 0));
}

#[test]
fn replayed_reordered_and_retyped_units_do_not_match() {
    for binding in [Binding::Frame, Binding::Message] {
        let mut client = client();
        let mut unit = |data: &[u8]| match binding {
            Binding::Frame => sealed(&mut client, 0x82, data),
            Binding::Message => plain(0x82, &message(&mut client, MessageKind::Binary, data)),
        };
        let (first, second) = (unit(&[1; 20]), unit(&[2; 20]));
        let mut retyped = first.clone();
        retyped[0] = 0x81;
        for sequence in [
            vec![&first, &first],
            vec![&second, &first],
            vec![&second],
            vec![&retyped],
        ] {
            let mut run = open(binding);
            let result = run.pass(&sequence.into_iter().flatten().copied().collect::<Vec<_>>());
            assert_eq!(result, Err(Fault::Integrity(Failure::Mismatch)));
        }
    }
}

#[test]
fn a_unit_too_short_for_a_tag_is_missing_it() {
    for (binding, b0, length) in [
        (Binding::Frame, 0x81, TAG_LENGTH - 1),
        (Binding::Message, 0x82, TAG_LENGTH - 1),
        (Binding::Message, 0x81, TAG_TEXT_LENGTH - 1),
        (Binding::Frame, 0x80 | 0x02, 0),
        (Binding::Message, 0x81, 0),
    ] {
        let mut run = open(binding);
        let result = run.pass(&plain(b0, &vec![b'a'; length]));
        assert_eq!(result, Err(Fault::Integrity(Failure::Missing)), "{length}");
        assert!(run.out.is_empty());
        assert!(run.channel.at_boundary(), "the Close need not wait");
        assert_eq!(units(&run), (0, 0, 1, 0));
    }
}

#[test]
fn empty_frames_and_messages_have_a_tag_and_no_data() {
    let (mut run, mut sealer) = (open(Binding::Frame), client());
    for b0 in [0x01, 0x00, 0x80, 0x82] {
        run.pass(&sealed(&mut sealer, b0, b"")).unwrap();
        assert_eq!(run.taken(), plain(b0, b""));
    }
    for binding in [Binding::Frame, Binding::Message] {
        let mut run = seal(binding);
        run.pass(&frame(0x82, None, b"")).unwrap();
        let tag = client().seal(0x82, b"").unwrap();
        assert_eq!(run.taken(), frame(0x82, None, &tag));
    }
    // A message may end in an empty fragment, on either side.
    let mut run = open(Binding::Message);
    let payload = message(&mut client(), MessageKind::Text, b"");
    run.pass(&plain(0x01, &payload)).unwrap();
    run.pass(&plain(0x80, b"")).unwrap();
    assert_eq!(run.taken(), plain(0x81, b""));
}

#[test]
fn control_frames_pass_between_the_fragments_of_a_sealed_message() {
    for binding in [Binding::Frame, Binding::Message] {
        let (mut run, mut sealer) = (open(binding), client());
        let (first, second) = match binding {
            Binding::Frame => (
                sealed(&mut sealer, 0x01, b"one "),
                sealed(&mut sealer, 0x80, b"two"),
            ),
            Binding::Message => {
                let payload = message(&mut sealer, MessageKind::Text, b"one two");
                let (first, second) = payload.split_at(10);
                (plain(0x01, first), frame(0x80, Some([1, 2, 3, 4]), second))
            }
        };
        let wire = [first, plain(0x89, b"ping"), second].concat();
        run.pass(&wire).unwrap();
        assert_eq!(run.controls.len(), 1);
        assert_eq!(run.controls[0].payload(), b"ping");
        let expected = match binding {
            Binding::Frame => [plain(0x01, b"one "), plain(0x80, b"two")].concat(),
            Binding::Message => frame(0x81, Some([1, 2, 3, 4]), b"one two"),
        };
        assert_eq!(run.taken(), expected);
        assert_eq!(run.counts.messages, 1);
    }
}

#[test]
fn the_fragments_of_a_backend_stream_and_the_last_one_carries_the_tag_of_the_message() {
    let mut run = seal(Binding::Message);
    run.pass(&frame(0x01, None, b"one ")).unwrap();
    assert_eq!(run.taken(), frame(0x01, None, b"one "));
    assert!(run.channel.at_boundary());
    run.pass(&frame(0x80, None, b"two")).unwrap();
    let payload = message(&mut client(), MessageKind::Text, b"one two");
    assert_eq!(run.taken(), frame(0x80, None, &payload[4..]));
    assert_eq!(units(&run), (0, 0, 0, 1));
}

#[test]
fn what_a_backend_sends_is_not_held() {
    let mut run = seal(Binding::Frame);
    let wire = frame(0x82, None, &[5; 1000]);
    run.pass(&wire[..504]).unwrap();
    assert_eq!(run.taken().len(), 504);
    assert!(!run.channel.at_boundary());
    assert_eq!(run.channel.remaining(), 500);
    run.pass(&wire[504..]).unwrap();
    assert_eq!(run.taken().len(), 500 + TAG_LENGTH);
    assert!(run.channel.at_boundary());
}

#[test]
fn a_text_that_is_verified_and_not_utf_8_is_refused_as_such() {
    let mut run = open(Binding::Message);
    let payload = message(&mut client(), MessageKind::Text, b"caf\xc3");
    assert_eq!(run.pass(&plain(0x81, &payload)), Err(Fault::NotUtf8));
    assert_eq!(Fault::NotUtf8.code(), 1007);
    assert!(run.out.is_empty());
    let mut run = open(Binding::Message);
    let mut payload = message(&mut client(), MessageKind::Text, b"cafe");
    payload[3] = 0xc3;
    let mismatch = Err(Fault::Integrity(Failure::Mismatch));
    assert_eq!(run.pass(&plain(0x81, &payload)), mismatch);
}

#[test]
fn reserved_bits_are_refused() {
    for binding in [Binding::Frame, Binding::Message] {
        for bit in [0x40, 0x20, 0x10] {
            let fault = Err(Fault::Violation(Violation::ReservedBits));
            let mut run = open(binding);
            assert_eq!(run.pass(&plain(0x82 | bit, &[0; 40])), fault);
            let mut run = seal(binding);
            assert_eq!(run.pass(&frame(0x82 | bit, None, &[0; 40])), fault);
        }
    }
}

#[test]
fn a_reported_mismatch_is_counted_and_its_data_goes_on() {
    for (binding, b0, kind) in [
        (Binding::Frame, 0x81, MessageKind::Binary),
        (Binding::Message, 0x81, MessageKind::Text),
        (Binding::Message, 0x82, MessageKind::Binary),
    ] {
        let (mut run, mut sealer) = (report(binding), client());
        let mut unit = |data: &[u8]| match binding {
            Binding::Frame => sealed(&mut sealer, b0, data),
            Binding::Message => plain(b0, &message(&mut sealer, kind, data)),
        };
        let (mut bad, good) = (unit(b"pay Bob"), unit(b"pay Carol"));
        bad[6] ^= 1;
        run.pass(&[bad, good].concat()).unwrap();
        let mut changed = plain(b0, b"pay Bob");
        changed[6] ^= 1;
        assert_eq!(run.taken(), [changed, plain(b0, b"pay Carol")].concat());
        assert_eq!(units(&run), (1, 1, 0, 0), "the next one is in step");
    }
}

#[test]
fn a_reported_unit_without_a_tag_goes_on_as_it_is() {
    for binding in [Binding::Frame, Binding::Message] {
        let (mut run, mut sealer) = (report(binding), client());
        let good = match binding {
            Binding::Frame => sealed(&mut sealer, 0x81, b"sealed"),
            Binding::Message => plain(0x81, &message(&mut sealer, MessageKind::Text, b"sealed")),
        };
        let short = plain(0x81, b"short");
        run.pass(&[short.clone(), good].concat()).unwrap();
        assert_eq!(run.taken(), [short, plain(0x81, b"sealed")].concat());
        assert_eq!(units(&run), (1, 0, 1, 0));
    }
}

#[test]
fn a_text_that_was_never_sealed_is_not_cut_within_a_character() {
    let mut run = report(Binding::Message);
    let text = plain(0x81, "é".repeat(30).as_bytes());
    run.pass(&text).unwrap();
    assert_eq!(run.taken(), text);
    assert_eq!(units(&run), (0, 1, 0, 0));
}

#[test]
fn a_reported_frame_that_is_half_out_is_no_boundary() {
    let mut run = report(Binding::Frame);
    let short = plain(0x81, b"short");
    run.pass(&short[..8]).unwrap();
    assert_eq!(run.out, short[..8]);
    assert!(!run.channel.at_boundary());
    assert_eq!(run.channel.remaining(), 3);
    run.pass(&short[8..]).unwrap();
    assert!(run.channel.at_boundary());
    assert_eq!(run.channel.remaining(), 0);
}

#[test]
fn unmasked_frames_of_a_client_and_masked_ones_of_a_backend_are_refused() {
    for binding in [Binding::Frame, Binding::Message] {
        let fault = Err(Fault::Violation(Violation::Unmasked));
        assert_eq!(open(binding).pass(&frame(0x82, None, &[0; 40])), fault);
        let fault = Err(Fault::Violation(Violation::Masked));
        assert_eq!(seal(binding).pass(&plain(0x82, &[0; 40])), fault);
    }
}
