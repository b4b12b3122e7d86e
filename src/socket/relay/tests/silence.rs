//! Idle peers and Pings.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn own_ping() -> Vec<u8> {
    plain(PING, &MARK)
}

fn own_pong() -> Vec<u8> {
    masked(PONG, &MARK)
}

#[test]
fn silence_in_both_directions_ends_with_1001() {
    let mut run = without_pings();
    run.pass(IDLE - SECOND);
    assert_eq!(run.conversation.record(), None);
    run.pass(SECOND);
    let ending = SocketEnding::IdleTimeout;
    run.assert_ended(ending, Some(1001));
    assert_eq!(run.at_client(), close_to_client(1001, ending.sentence()));
    assert_eq!(run.at_backend(), close_to_backend(1001, ending.sentence()));
}

#[test]
fn any_frame_of_either_peer_puts_the_idle_timeout_off() {
    for (direction, frame) in [
        (ToBackend, masked(TEXT, b"a")),
        (ToBackend, masked(PING, b"a")),
        (ToBackend, masked(PONG, b"a")),
        (ToClient, plain(BINARY, b"")),
        (ToClient, plain(PING, b"a")),
    ] {
        let mut run = without_pings();
        run.pass(IDLE - SECOND).send(direction, &frame);
        run.pass(IDLE - SECOND);
        assert_eq!(run.conversation.record(), None, "{frame:?}");
        run.pass(SECOND);
        run.assert_ended(SocketEnding::IdleTimeout, Some(1001));
    }
}

#[test]
fn a_header_byte_now_and_then_does_not_put_the_idle_timeout_off() {
    let mut run = without_pings();
    // A header of eight bytes.
    for byte in &masked(BINARY, &[0; 200])[..7] {
        run.client(&[*byte]).pass(IDLE / 7);
    }
    run.pass(SECOND);
    let ending = SocketEnding::IdleTimeout;
    run.assert_ended(ending, Some(1001));
    assert_eq!(run.at_backend(), close_to_backend(1001, ending.sentence()));
}

#[test]
fn large_frame_that_still_arrives_is_not_idle() {
    let mut run = without_pings();
    run.client(&masked(BINARY, &vec![0; 50_000])[..10_000]);
    for _ in 0..8 {
        run.pass(IDLE - SECOND).client(&[0; 2000]);
    }
    assert_eq!(run.conversation.record(), None);
}

#[test]
fn silent_client_is_pinged_and_its_pong_goes_no_further() {
    let mut run = Run::new();
    run.pass(PING_AFTER);
    assert_eq!(run.at_client(), own_ping());
    run.pass(SECOND).client(&own_pong());
    assert_eq!(run.at_backend(), b"");
    assert_eq!(run.conversation.take_pong(), Some(SECOND));
    assert_eq!(run.conversation.take_pong(), None);
    run.pass(PING_AFTER);
    assert_eq!(run.at_client(), own_ping(), "the next");
}

#[test]
fn pong_that_the_backend_asked_for_passes() {
    let mut run = Run::new();
    run.pass(PING_AFTER);
    run.backend(&plain(PING, b"backend"));
    let pong = masked(PONG, b"backend");
    run.client(&pong);
    assert_eq!(run.at_backend(), pong);
    assert_eq!(run.conversation.take_pong(), None);
}

#[test]
fn client_that_talks_is_not_pinged() {
    let mut run = Run::new();
    for _ in 0..10 {
        run.pass(PING_AFTER - SECOND).client(&masked(TEXT, b"a"));
    }
    assert_eq!(run.at_client(), b"");
}

#[test]
fn answered_pings_do_not_put_the_idle_timeout_off() {
    let mut run = Run::new();
    while run.conversation.record().is_none() {
        run.pass(SECOND);
        if run.at_client() == own_ping() {
            run.client(&own_pong());
        }
    }
    run.assert_ended(SocketEnding::IdleTimeout, Some(1001));
}

#[test]
fn client_that_does_not_answer_a_ping_ends_with_1001() {
    let mut run = Run::new();
    run.pass(PING_AFTER);
    assert_eq!(run.at_client(), own_ping());
    // What the backend says is no sign of life of the client.
    run.pass(PING_AFTER - SECOND).backend(&plain(TEXT, b"news"));
    assert_eq!(run.conversation.record(), None);
    run.pass(SECOND);
    run.assert_ended(SocketEnding::NoPong, Some(1001));
    let close = close_to_client(1001, SocketEnding::NoPong.sentence());
    assert!(run.at_client().ends_with(&close));
}

#[test]
fn anything_that_the_client_sends_counts_as_an_answer() {
    let mut run = Run::new();
    run.pass(PING_AFTER + SECOND);
    run.client(&masked(BINARY, &[0; 100])[..9]);
    run.pass(PING_AFTER - SECOND);
    assert_eq!(run.conversation.record(), None);
    run.pass(SECOND);
    assert_eq!(run.at_client(), [own_ping(), own_ping()].concat());
}

#[test]
fn client_that_is_not_read_is_not_given_up() {
    let mut run = Run::new();
    run.pass(PING_AFTER);
    for _ in 0..5 {
        run.pass(PING_AFTER - SECOND);
        run.conversation.excuse_client(run.now);
    }
    assert_eq!(run.conversation.record(), None);
}

#[test]
fn client_that_still_takes_what_came_before_the_ping_is_not_given_up() {
    let mut run = Run::new();
    run.pass(PING_AFTER);
    assert_eq!(run.at_client(), own_ping());
    for _ in 0..5 {
        run.pass(PING_AFTER - SECOND);
        run.conversation.progressed(ToBackend, run.now);
    }
    assert_eq!(run.conversation.record(), None);
    run.pass(PING_AFTER * 2);
    run.assert_ended(SocketEnding::NoPong, Some(1001));
}

#[test]
fn ping_waits_for_the_boundary_of_the_backends_frame() {
    let mut run = Run::new();
    let long = plain(BINARY, &[1; 1000]);
    run.backend(&long[..500]).pass(PING_AFTER);
    assert_eq!(run.at_client(), &long[..500]);
    run.pass(SECOND);
    let next = plain(TEXT, b"next");
    run.backend(&[&long[500..], &next].concat());
    assert_eq!(run.at_client(), [&long[500..], &own_ping(), &next].concat());
    // The time runs from when it was put in.
    run.pass(PING_AFTER - SECOND);
    assert_eq!(run.conversation.record(), None);
    run.client(&own_pong());
    assert_eq!(run.conversation.take_pong(), Some(PING_AFTER - SECOND));
}

#[test]
fn client_is_not_given_up_for_a_ping_that_could_not_be_put_in() {
    let mut run = Run::new();
    run.backend(&plain(BINARY, &[1; 1000])[..500]);
    run.pass(PING_AFTER * 5);
    assert_eq!(run.conversation.record(), None);
}

#[test]
fn close_takes_the_place_of_a_ping_that_waits() {
    let mut run = Run::new();
    let long = plain(BINARY, &[1; 1000]);
    run.backend(&long[..500]).pass(PING_AFTER);
    run.order(SocketEnding::Draining).backend(&long[500..]);
    let close = close_to_client(1012, SocketEnding::Draining.sentence());
    assert_eq!(run.at_client(), [long, close].concat());
}
