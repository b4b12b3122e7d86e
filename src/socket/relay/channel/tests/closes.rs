//! The Close of both bindings, in both directions.

use super::*;

const BINDINGS: [Binding; 2] = [Binding::Frame, Binding::Message];

fn opened(binding: Binding, payload: &[u8]) -> Result<ControlFrame, Fault> {
    let mut run = open(binding);
    let close = received_close(&mut run, payload);
    run.channel.open_close(&close)
}

fn payload(binding: Binding, code: Option<u16>, reason: &str) -> Vec<u8> {
    client().seal_close(binding, code, reason).unwrap()
}

#[test]
fn a_sealed_close_gives_its_code_and_reason_and_loses_its_tag() {
    for binding in BINDINGS {
        let close = opened(binding, &payload(binding, Some(4001), "bye")).unwrap();
        assert_eq!(close.payload(), b"\x0f\xa1bye");
    }
}

#[test]
fn a_sealed_close_may_have_no_code_with_the_frame_binding_alone() {
    let close = opened(Binding::Frame, &payload(Binding::Frame, None, "")).unwrap();
    assert_eq!((close.payload(), close.close_code()), (&[][..], None));
    let tag = client().seal(0x88, b"").unwrap();
    let text = crate::integrity::base64url::encode(&tag);
    let missing = Err(Fault::Integrity(Failure::Missing));
    assert_eq!(opened(Binding::Message, text.as_bytes()), missing);
}

#[test]
fn a_close_with_another_tag_is_a_mismatch_and_one_without_is_missing() {
    for binding in BINDINGS {
        let mut changed = payload(binding, Some(1000), "done");
        changed[2] ^= 1;
        let mismatch = Err(Fault::Integrity(Failure::Mismatch));
        assert_eq!(opened(binding, &changed), mismatch);
        let missing = Err(Fault::Integrity(Failure::Missing));
        assert_eq!(opened(binding, b"\x03\xe8"), missing);
        assert_eq!(opened(binding, b""), missing);
    }
}

#[test]
fn the_rules_of_rfc_6455_hold_for_the_close_without_its_tag() {
    for binding in BINDINGS {
        let tagged = |data: &[u8]| {
            let tag = client().seal(0x88, data).unwrap();
            match binding {
                Binding::Frame => [data, &tag].concat(),
                Binding::Message => {
                    let tag = crate::integrity::base64url::encode(&tag);
                    [data, tag.as_bytes()].concat()
                }
            }
        };
        let code = Err(Fault::Violation(Violation::CloseCode));
        assert_eq!(opened(binding, &tagged(b"\x03\xed")), code);
        let reason = Err(Fault::Violation(Violation::CloseReasonNotUtf8));
        assert_eq!(opened(binding, &tagged(b"\x03\xe8\xc3")), reason);
    }
    let short = [&b"\x03"[..], &client().seal(0x88, b"\x03").unwrap()].concat();
    let fault = Fault::Violation(Violation::ClosePayloadTooShort);
    assert_eq!(opened(Binding::Frame, &short), Err(fault));
}

#[test]
fn an_answer_counts_if_its_tag_matches_and_is_left_open_if_not() {
    for binding in BINDINGS {
        let mut run = open(binding);
        let good = ControlFrame::new(Opcode::Close, &payload(binding, Some(1000), "")).unwrap();
        let opened = run.channel.open_answer(&good).unwrap();
        assert_eq!(opened.payload(), b"\x03\xe8");
        assert_eq!(units(&run), (1, 0, 0, 0));
        // A copy of what the proxy sent has the tag of the other direction.
        let copy = seal(binding)
            .channel
            .seal_close(&ControlFrame::close(1001, ""));
        assert_eq!(run.channel.open_answer(&copy), None);
        assert_eq!(units(&run), (1, 0, 0, 0), "neither good nor bad");
    }
}

#[test]
fn a_close_that_is_only_reported_keeps_its_code() {
    for binding in BINDINGS {
        let mut run = report(binding);
        let mut changed = payload(binding, Some(4001), "bye");
        *changed.last_mut().unwrap() ^= 1;
        let close = received_close(&mut run, &changed);
        let opened = run.channel.open_close(&close).unwrap();
        assert_eq!(opened.payload(), b"\x0f\xa1bye");
        let mut run = report(binding);
        let close = received_close(&mut run, b"\x0f\xa1bye");
        let opened = run.channel.open_close(&close).unwrap();
        assert_eq!(opened.payload(), close.payload());
        assert_eq!(units(&run), (0, 0, 1, 0));
    }
}

#[test]
fn a_close_that_was_never_sealed_stays_one_where_that_is_only_reported() {
    for binding in BINDINGS {
        let tag = binding.close_tag_length();
        for reason in ["r".repeat(tag - 1), "€".repeat(30)] {
            let payload = [b"\x0f\xa1", reason.as_bytes()].concat();
            let mut run = report(binding);
            let close = received_close(&mut run, &payload);
            let opened = run.channel.open_close(&close).unwrap();
            assert_eq!(opened.payload(), payload, "{binding:?}");
        }
    }
}

#[test]
fn a_long_reason_is_cut_to_what_a_tag_leaves_between_two_characters() {
    for (binding, most) in [(Binding::Frame, 91), (Binding::Message, 80)] {
        for reason in ["x".repeat(123), "é".repeat(61)] {
            let close = ControlFrame::close(1001, &reason);
            let sealed = seal(binding).channel.seal_close(&close);
            let mut opener = Opener::hmac_sha256(&KEY);
            let data = opener.open_close(binding, sealed.payload()).unwrap();
            let cut = std::str::from_utf8(&data[2..]).unwrap();
            assert!(reason.starts_with(cut) && cut.len() <= most && cut.len() + 1 >= most);
        }
    }
}

#[test]
fn a_close_of_the_backend_without_a_code_is_1000_where_a_code_is_required() {
    let bare = ControlFrame::new(Opcode::Close, &[]).unwrap();
    for (binding, data) in [(Binding::Frame, &[][..]), (Binding::Message, b"\x03\xe8")] {
        let sealed = seal(binding).channel.seal_close(&bare);
        let mut opener = Opener::hmac_sha256(&KEY);
        assert_eq!(opener.open_close(binding, sealed.payload()), Ok(data));
    }
}

#[test]
fn a_plain_socket_passes_a_close_as_it_is() {
    let mut channels = Channels::plain(
        Rules::for_client(LIMIT, LIMIT),
        Rules::for_server(LIMIT, LIMIT),
    );
    let close = ControlFrame::close(1000, &"x".repeat(123));
    assert_eq!(channels.to_client.seal_close(&close), close);
    assert_eq!(channels.to_backend.open_close(&close), Ok(close));
    assert_eq!(channels.to_backend.open_answer(&close), Some(close));
}
