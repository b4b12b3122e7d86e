//! What a peer may not send, and what each side is told then (RFC 6455 section 7.1.7).

use super::*;
use crate::socket::relay::Fault;
use Violation as V;

/// A frame against the rules, the rule, and the code for whoever sent it.
type Row = (Vec<u8>, Violation, u16);

/// `make` masks or not, as the sender must.
fn offences(make: impl Fn(u8, &[u8]) -> Vec<u8>) -> Vec<Row> {
    let first = |first: u8| make(first, b"a");
    let close = |code: u16| make(CLOSE, &close_payload(code, ""));
    // A header of eight length bytes, whatever they announce.
    let announced = |length: u64| {
        let mut bytes = make(BINARY, &vec![0; 1 << 16]);
        bytes.splice(2..10, length.to_be_bytes());
        bytes.truncate(40);
        bytes
    };
    let mut rows = vec![
        (first(0xc1), V::ReservedBits, 1002),
        (first(0xa2), V::ReservedBits, 1002),
        (first(0x99), V::ReservedBits, 1002),
        (first(0x83), V::UnknownOpcode, 1002),
        (first(0x8f), V::UnknownOpcode, 1002),
        (first(0x80), V::ContinuationWithoutStart, 1002),
        (first(0x00), V::ContinuationWithoutStart, 1002),
        (first(0x09), V::ControlFragmented, 1002),
        (make(PING, &[7; 126]), V::ControlTooLong, 1002),
        (make(CLOSE, &[7; 126]), V::ControlTooLong, 1002),
        (make(CLOSE, b"\x03"), V::ClosePayloadTooShort, 1002),
        (make(CLOSE, b"\x03\xe8\xff"), V::CloseReasonNotUtf8, 1007),
        (announced(125), V::LengthNotMinimal, 1002),
        (announced(1 << 63), V::LengthTopBit, 1009),
        (announced(LIMIT + 1), V::FrameTooLarge, 1009),
        (announced(u64::MAX >> 1), V::FrameTooLarge, 1009),
    ];
    for code in [999, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
        rows.push((close(code), V::CloseCode, 1002));
    }
    rows
}

fn ending_of_client(violation: Violation) -> SocketEnding {
    match violation {
        V::FrameTooLarge | V::LengthTopBit => SocketEnding::FrameTooLarge,
        V::MessageTooLarge => SocketEnding::MessageTooLarge,
        V::CloseReasonNotUtf8 => SocketEnding::NotUtf8,
        _ => SocketEnding::ClientProtocol,
    }
}

#[test]
fn client_that_breaks_a_rule_is_told_which_and_the_backend_gets_nothing_of_it() {
    let mut rows = offences(masked);
    rows.push((plain(TEXT, b"a"), V::Unmasked, 1002));
    rows.push((plain(CLOSE, b""), V::Unmasked, 1002));
    let good = masked(TEXT, b"before");
    for (bad, violation, code) in rows {
        let ending = ending_of_client(violation);
        for split in [1, 1000] {
            let mut run = Run::new();
            let stream = [&good[..], &bad, &masked(TEXT, b"behind")].concat();
            stream.chunks(split).for_each(|piece| {
                run.client(piece);
            });
            run.backend_answers();
            assert_eq!(
                run.at_client(),
                close_to_client(code, violation.sentence()),
                "{violation:?}"
            );
            let told = close_to_backend(ending.close_code().unwrap(), ending.sentence());
            assert_eq!(
                run.at_backend(),
                [&good[..], &told].concat(),
                "{violation:?}"
            );
            run.assert_ended(ending, Some(code));
            assert_eq!(run.record().fault, Some(Fault::from(violation)));
            assert!(run.conversation.client_output_finished(), "FIN follows");
        }
    }
}

#[test]
fn backend_that_breaks_a_rule_is_told_which_and_the_client_gets_1011_or_1009() {
    let mut rows = offences(plain);
    rows.push((masked(TEXT, b"a"), V::Masked, 1002));
    rows.push((masked(PING, b""), V::Masked, 1002));
    let good = plain(TEXT, b"before");
    for (bad, violation, code) in rows {
        let (ending, for_client) = match violation {
            V::FrameTooLarge | V::LengthTopBit => (SocketEnding::BackendFrameTooLarge, 1009),
            _ => (SocketEnding::BackendProtocol, 1011),
        };
        for split in [1, 1000] {
            let mut run = Run::new();
            let stream = [&good[..], &bad, &plain(TEXT, b"behind")].concat();
            stream.chunks(split).for_each(|piece| {
                run.backend(piece);
            });
            run.client(&masked(CLOSE, &close_payload(for_client, "")));
            let told = close_to_client(for_client, ending.sentence());
            assert_eq!(
                run.at_client(),
                [&good[..], &told].concat(),
                "{violation:?}"
            );
            let told = close_to_backend(code, violation.sentence());
            assert_eq!(run.at_backend(), told, "{violation:?}");
            run.assert_ended(ending, Some(for_client));
            assert_eq!(run.record().fault, Some(Fault::from(violation)));
        }
    }
}

#[test]
fn second_start_inside_a_message_ends_with_1002() {
    let mut run = Run::new();
    let start = masked(0x01, b"first");
    run.client(&start).client(&masked(TEXT, b"second"));
    run.backend_answers();
    run.assert_ended(SocketEnding::ClientProtocol, Some(1002));
    assert!(run.at_backend().starts_with(&start));
    assert_eq!(run.record().fault, Some(Fault::from(V::StartInsideMessage)));
}

#[test]
fn fragments_beyond_the_message_limit_end_with_1009_however_small_they_are() {
    let mut run = Run::new();
    run.client(&masked(0x02, b"0"));
    let fragment = masked(0x00, b"1");
    for _ in 1..LIMIT {
        run.client(&fragment);
        assert_eq!(run.conversation.record(), None);
    }
    let passed = run.at_backend().len();
    assert_eq!(passed, fragment.len() * usize::try_from(LIMIT).unwrap());
    run.client(&fragment).backend_answers();
    run.assert_ended(SocketEnding::MessageTooLarge, Some(1009));
    assert_eq!(
        run.at_client(),
        close_to_client(1009, V::MessageTooLarge.sentence())
    );
}

#[test]
fn backends_message_beyond_the_limit_ends_with_1009() {
    let mut run = Run::new();
    let half = vec![0; 40_000];
    run.backend(&plain(0x02, &half))
        .backend(&plain(0x80, &half));
    run.assert_ended(SocketEnding::BackendMessageTooLarge, Some(1009));
}

#[test]
fn reserved_bit_passes_only_where_an_extension_uses_it() {
    let mut terms = terms();
    terms.client.reserved_bits = 0x40;
    let mut run = Run::with(terms);
    let compressed = masked(0xc1, b"deflated");
    run.client(&compressed);
    assert_eq!(run.at_backend(), compressed);
    run.client(&masked(0xa1, b"RSV2")).backend_answers();
    run.assert_ended(SocketEnding::ClientProtocol, Some(1002));
}

#[test]
fn announced_length_takes_no_memory() {
    let mut run = Run::new();
    let announced = masked(BINARY, &vec![0; 60_000]);
    run.act(|conversation, out, now| {
        conversation.receive(ToBackend, &announced[..20], out, now);
        assert_eq!(*out.to_backend, announced[..20]);
        assert!(out.to_backend.copied().capacity() < 1000);
    });
}

#[test]
fn answers_to_what_came_before_an_offence_reach_the_client_before_its_close() {
    let mut run = Run::new();
    run.client(&masked(TEXT, b"good"))
        .client(&masked(0x83, b"bad"));
    assert_eq!(run.at_client(), b"");
    let answer = plain(TEXT, b"good");
    run.backend(&answer).backend_answers();
    let told = close_to_client(1002, V::UnknownOpcode.sentence());
    assert_eq!(run.at_client(), [answer, told].concat());
}

#[test]
fn backend_that_does_not_answer_keeps_an_offender_for_a_second_at_most() {
    let mut run = Run::new();
    run.client(&masked(0x83, b"bad"))
        .pass(Duration::from_secs(1));
    assert_eq!(
        run.at_client(),
        close_to_client(1002, V::UnknownOpcode.sentence())
    );
    run.assert_ended(SocketEnding::ClientProtocol, Some(1002));
}

#[test]
fn backend_that_is_gone_does_not_keep_an_offender() {
    let mut run = Run::new();
    run.client(&masked(0x83, b"bad")).ended(ToClient);
    assert_eq!(
        run.at_client(),
        close_to_client(1002, V::UnknownOpcode.sentence())
    );
}

#[test]
fn what_a_client_answered_before_a_backends_offence_reaches_the_backend_before_its_close() {
    let mut run = Run::new();
    run.backend(&plain(TEXT, b"good"))
        .backend(&plain(0x83, b"bad"));
    let answer = masked(TEXT, b"good");
    run.client(&answer)
        .client(&masked(CLOSE, &close_payload(1011, "")));
    let told = close_to_backend(1002, V::UnknownOpcode.sentence());
    assert_eq!(run.at_backend(), [answer, told].concat());
}
