//! The closing handshake, in every order in which two peers and the proxy can bring it about.

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const BETWEEN: [Direction; 2] = [ToBackend, ToClient];

fn close_of(direction: Direction, payload: &[u8]) -> Vec<u8> {
    match direction {
        ToBackend => masked(CLOSE, payload),
        ToClient => plain(CLOSE, payload),
    }
}

fn sent_on(run: &mut Run, direction: Direction) -> Vec<u8> {
    match direction {
        ToBackend => run.at_backend(),
        ToClient => run.at_client(),
    }
}

fn closed_by(direction: Direction) -> SocketEnding {
    match direction {
        ToBackend => SocketEnding::ClientClosed,
        ToClient => SocketEnding::BackendClosed,
    }
}

fn opposite(direction: Direction) -> Direction {
    match direction {
        ToBackend => ToClient,
        ToClient => ToBackend,
    }
}

#[test]
fn close_passes_with_code_and_reason_both_ways() {
    for direction in BETWEEN {
        for code in [1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999] {
            let close = close_of(direction, &close_payload(code, "gründlich"));
            let answer = close_of(opposite(direction), &close_payload(code, ""));
            let mut run = Run::new();
            run.send(direction, &close);
            assert_eq!(sent_on(&mut run, direction), close);
            assert!(!run.conversation.client_output_finished());
            run.send(opposite(direction), &answer);
            assert_eq!(sent_on(&mut run, opposite(direction)), answer);
            assert!(run.conversation.client_output_finished());
            run.assert_ended(closed_by(direction), Some(code));
        }
    }
}

#[test]
fn close_without_a_code_passes_without_one() {
    for direction in BETWEEN {
        let mut run = Run::new();
        let close = close_of(direction, b"");
        run.send(direction, &close);
        assert_eq!(sent_on(&mut run, direction), close);
        run.assert_ended(closed_by(direction), None);
    }
}

#[test]
fn transports_end_in_the_order_of_rfc_6455_section_7_1_1() {
    let mut run = Run::new();
    run.client(&masked(CLOSE, b"")).backend(&plain(CLOSE, b""));
    assert!(
        run.conversation.client_output_finished(),
        "the server first"
    );
    assert!(!run.conversation.backend_output_finished());
    run.ended(ToClient);
    assert!(run.conversation.backend_output_finished());
    assert!(!run.conversation.is_over());
    run.ended(ToBackend);
    assert!(run.conversation.is_over());
}

#[test]
fn backend_that_leaves_the_transport_open_is_left_when_the_client_has_gone() {
    let mut run = Run::new();
    run.client(&masked(CLOSE, b"")).backend(&plain(CLOSE, b""));
    run.ended(ToBackend);
    assert!(run.conversation.backend_output_finished());
}

#[test]
fn data_behind_a_close_is_discarded() {
    for direction in BETWEEN {
        let data = match direction {
            ToBackend => masked(TEXT, b"late"),
            ToClient => plain(TEXT, b"late"),
        };
        let mut run = Run::new();
        let close = close_of(direction, &close_payload(1000, "done"));
        run.send(direction, &[&close[..], &data, &close, b"garbage"].concat());
        run.send(direction, &data);
        assert_eq!(sent_on(&mut run, direction), close);
        run.assert_ended(closed_by(direction), Some(1000));
    }
}

#[test]
fn what_the_other_side_still_sends_passes_up_to_its_close() {
    let mut run = Run::new();
    run.client(&masked(CLOSE, b""));
    let last = [plain(TEXT, b"last words"), plain(CLOSE, b"")].concat();
    run.backend(&[&last[..], &plain(TEXT, b"late")].concat());
    assert_eq!(run.at_client(), last);
}

#[test]
fn peer_that_never_answers_a_close_is_cut_after_five_seconds() {
    for direction in BETWEEN {
        let mut run = Run::new();
        run.send(direction, &close_of(direction, b""));
        run.pass(CLOSE_TIMEOUT - SECOND);
        // Neither what it sends nor what its counterpart takes of it puts that off.
        run.send(
            opposite(direction),
            &close_of(opposite(direction), b"")[..1],
        );
        run.conversation.progressed(direction, run.now);
        assert!(!run.conversation.is_over());
        run.pass(SECOND);
        assert!(run.conversation.is_over());
    }
}

#[test]
fn backend_that_sends_on_for_ever_does_not_put_the_end_off() {
    let mut run = Run::new();
    run.client(&masked(CLOSE, b""));
    for _ in 0..5 {
        run.pass(SECOND).backend(&plain(TEXT, b"on and on"));
        run.conversation.progressed(ToBackend, run.now);
    }
    assert!(run.conversation.is_over());
}

#[test]
fn slow_peer_that_takes_its_last_bytes_has_longer_but_not_for_ever() {
    let mut run = Run::new();
    run.order(SocketEnding::ClosedByOperator);
    let mut seconds = 0;
    while !run.conversation.is_over() {
        run.conversation.progressed(ToBackend, run.now);
        run.pass(SECOND);
        seconds += 1;
    }
    assert_eq!(seconds, 30);
}

#[test]
fn drain_ends_with_1012_at_a_boundary_even_if_every_read_ends_in_mid_frame() {
    let mut run = Run::new();
    let frames: Vec<u8> = (0..10)
        .flat_map(|fill| plain(BINARY, &[fill; 100]))
        .collect();
    let (before, behind) = frames.split_at(102 * 4 + 50);
    run.backend(before)
        .order(SocketEnding::Draining)
        .pass(SECOND);
    assert_eq!(run.at_client(), before, "no boundary yet");
    // 102 bytes a frame: pieces of 102 leave every read in mid-frame.
    behind.chunks(102).for_each(|piece| {
        run.backend(piece);
    });
    let close = close_to_client(1012, SocketEnding::Draining.sentence());
    assert_eq!(run.at_client(), [&behind[..52], &close].concat());
    run.assert_ended(SocketEnding::Draining, Some(1012));
}

#[test]
fn drain_tells_the_backend_that_its_client_goes_away() {
    let mut run = Run::new();
    run.order(SocketEnding::Draining);
    let close = close_to_backend(1001, SocketEnding::Draining.sentence());
    assert_eq!(run.at_backend(), close);
    // Their answers meet a side that was told already.
    run.client(&masked(CLOSE, b"")).backend(&plain(CLOSE, b""));
    assert_eq!(run.at_backend(), b"");
    let own = close_to_client(1012, SocketEnding::Draining.sentence());
    assert_eq!(run.at_client(), own);
}

#[test]
fn close_codes_of_orders_are_those_of_the_table() {
    for ending in SocketEnding::ALL {
        let Some(code) = ending.close_code() else {
            continue;
        };
        let mut run = Run::new();
        run.order(*ending);
        assert_eq!(run.at_client(), close_to_client(code, ending.sentence()));
        run.assert_ended(*ending, Some(code));
    }
}

#[test]
fn order_without_a_code_cuts_at_once() {
    let mut run = Run::new();
    run.order(SocketEnding::DrainDeadline);
    assert!(run.conversation.is_over());
    run.assert_ended(SocketEnding::DrainDeadline, None);
    assert_eq!((run.at_client(), run.at_backend()), (vec![], vec![]));
}

#[test]
fn first_ending_stays() {
    let mut run = Run::new();
    run.order(SocketEnding::Draining)
        .order(SocketEnding::Revoked);
    run.client(&plain(TEXT, b"unmasked")).ended(ToClient);
    run.order(SocketEnding::DrainDeadline);
    run.assert_ended(SocketEnding::Draining, Some(1012));
    let own = close_to_client(1012, SocketEnding::Draining.sentence());
    assert_eq!(run.at_client(), own, "one Close");
}

#[test]
fn drain_without_a_frame_boundary_until_its_deadline_ends_by_the_deadline() {
    let mut run = Run::new();
    let long = plain(BINARY, &[1; 200]);
    run.backend(&long[..100]).order(SocketEnding::Draining);
    run.order(SocketEnding::DrainDeadline);
    run.assert_ended(SocketEnding::DrainDeadline, None);
}

#[test]
fn clients_close_comes_while_the_proxys_waits_for_a_boundary() {
    let mut run = Run::new();
    let long = plain(BINARY, &[1; 200]);
    run.backend(&long[..100]).order(SocketEnding::Draining);
    run.client(&masked(CLOSE, &close_payload(1000, "bye")));
    assert!(!run.conversation.client_output_finished());
    let backend = close_to_backend(1001, SocketEnding::Draining.sentence());
    assert_eq!(run.at_backend(), backend, "and not a second");
    run.backend(&long[100..]);
    let close = close_to_client(1012, SocketEnding::Draining.sentence());
    assert_eq!(run.at_client(), [long, close].concat());
    assert!(run.conversation.client_output_finished());
    run.assert_ended(SocketEnding::Draining, Some(1012));
}

#[test]
fn backend_gone_at_a_boundary_is_1011() {
    let mut run = Run::new();
    run.backend(&plain(0x01, b"half a message")).ended(ToClient);
    let close = close_to_client(1011, SocketEnding::BackendGone.sentence());
    assert!(run.at_client().ends_with(&close));
    assert!(run.conversation.backend_output_finished());
    run.assert_ended(SocketEnding::BackendGone, Some(1011));
}

#[test]
fn backend_gone_in_mid_frame_leaves_no_room_for_a_close() {
    let mut run = Run::new();
    let half = &plain(BINARY, &[1; 200])[..100];
    run.backend(half).ended(ToClient);
    assert_eq!(run.at_client(), half);
    assert!(run.conversation.client_output_finished(), "FIN says it");
    run.assert_ended(SocketEnding::BackendGone, None);
}

#[test]
fn close_that_could_not_be_put_in_is_not_recorded() {
    let half = &plain(BINARY, &[1; 200])[..100];
    let mut gone = Run::new();
    gone.backend(half)
        .order(SocketEnding::Draining)
        .ended(ToClient);
    gone.assert_ended(SocketEnding::Draining, None);
    let mut cut = Run::new();
    cut.backend(half)
        .order(SocketEnding::Draining)
        .pass(CLOSE_TIMEOUT);
    assert!(cut.conversation.is_over());
    cut.assert_ended(SocketEnding::Draining, None);
    assert_eq!(cut.at_client(), half);
}

#[test]
fn client_gone_ends_the_backends_transport_and_no_close_is_invented() {
    let mut run = Run::new();
    let half = &masked(BINARY, &[1; 200])[..100];
    run.client(half)
        .ended(ToBackend)
        .backend(&plain(TEXT, b"a"));
    assert_eq!(run.at_backend(), half);
    assert_eq!(run.at_client(), b"");
    assert!(run.conversation.backend_output_finished());
    run.assert_ended(SocketEnding::ClientGone, None);
    run.ended(ToClient);
    assert!(run.conversation.is_over());
}

#[test]
fn client_that_closes_and_half_closes_still_gets_the_answer() {
    let mut run = Run::new();
    run.client(&masked(CLOSE, &close_payload(1000, "")));
    run.ended(ToBackend);
    assert!(!run.conversation.client_output_finished());
    let answer = [plain(TEXT, b"last"), plain(CLOSE, b"\x03\xe8")].concat();
    run.backend(&answer);
    assert_eq!(run.at_client(), answer);
    assert!(run.conversation.client_output_finished());
    run.ended(ToClient);
    assert!(run.conversation.is_over());
    run.assert_ended(SocketEnding::ClientClosed, Some(1000));
}

#[test]
fn backend_that_closes_and_leaves_is_no_backend_gone() {
    let mut run = Run::new();
    let close = plain(CLOSE, &close_payload(4000, "bye"));
    run.backend(&close).ended(ToClient);
    assert_eq!(run.at_client(), close);
    run.client(&masked(CLOSE, b""));
    assert!(run.conversation.client_output_finished());
    run.assert_ended(SocketEnding::BackendClosed, Some(4000));
}

#[test]
fn close_of_a_peer_that_takes_nothing_more_is_still_heard() {
    for direction in BETWEEN {
        let mut run = Run::new();
        run.conversation.lost(direction);
        let close = close_of(direction, &close_payload(4000, "going"));
        run.send(direction, &close).ended(direction);
        assert_eq!(sent_on(&mut run, direction), close);
        run.assert_ended(closed_by(direction), Some(4000));
    }
}

#[test]
fn frames_pass_byte_for_byte_however_they_are_split() {
    for direction in BETWEEN {
        let make = |first, payload: &[u8]| match direction {
            ToBackend => masked(first, payload),
            ToClient => plain(first, payload),
        };
        let stream = [
            make(0x01, b"Hello"),
            make(PING, b"between"),
            make(0x80, &[9; 130]),
            make(BINARY, b""),
            make(PONG, &[5; 125]),
            make(BINARY, &[6; 300]),
        ]
        .concat();
        for boundary in 0..=stream.len() {
            let mut run = Run::new();
            run.send(direction, &stream[..boundary]).pass(SECOND);
            run.send(direction, &stream[boundary..]);
            assert_eq!(sent_on(&mut run, direction), stream, "cut at {boundary}");
        }
        let mut run = without_pings();
        stream.chunks(1).for_each(|byte| {
            run.send(direction, byte).pass(SECOND / 2);
        });
        assert_eq!(sent_on(&mut run, direction), stream);
        assert_eq!(run.conversation.counts(direction).messages, 3);
    }
}
