//! A man in the middle changes the traffic: what is noticed, and what each side is told.

use super::{
    middle::{Change, Middle},
    *,
};
use crate::support::{End, frame::Frame, sealed::Stop};
use tidegate::{
    client::{ClientError, Event, IntegrityOffer},
    frame::Opcode,
    integrity::Failure,
};
use tokio::sync::mpsc;

const MESSAGES: [&str; 3] = ["pay Alice 1", "pay Bob 2", "pay Carol 3"];
const DELIBERATE: [Change; 11] = [
    Change::Flip,
    Change::FlipTag,
    Change::Replay,
    Change::Drop,
    Change::Reorder,
    Change::Inject,
    Change::InjectUntagged,
    Change::Retype,
    Change::LoseByte,
    Change::Truncate,
    Change::ForgeClose,
];
const ACCIDENTAL: [Change; 4] = [
    Change::Flip,
    Change::FlipTag,
    Change::LoseByte,
    Change::InjectUntagged,
];
const PASS: (Change, usize) = (Change::Nothing, 0);

/// What both ends saw of a conversation of three messages and a Close.
struct Outcome {
    /// What the client verified, and how that ended.
    received: Vec<Unit>,
    stop: Stop,
    /// What the backend got.
    heard: Vec<Frame>,
}

/// A backend that echoes, and what it hears of each connection.
async fn echoing() -> (Backend, mpsc::UnboundedReceiver<Vec<Frame>>) {
    let (heard, hearing) = mpsc::unbounded_channel();
    let backend = Backend::script(move |mut served| {
        let heard = heard.clone();
        async move {
            if served.accept().await.is_none() {
                return;
            }
            let mut frames = Vec::new();
            while let Ok(frame) = served.wire.try_read_frame().await {
                let back = crate::support::frame::plain(frame.opcode(), &frame.payload);
                let _ = served.wire.try_send(&back).await;
                let last = frame.opcode() == Opcode::Close;
                frames.push(frame);
                if last {
                    break;
                }
            }
            heard.send(frames).unwrap();
        }
    })
    .await;
    (backend, hearing)
}

/// Sends three messages, awaits so many echoes, closes, and looks at what came of it.
async fn converse(
    binding: Binding,
    offer: &ClientOffer,
    echoes: usize,
    c2s: (Change, usize),
    s2c: (Change, usize),
) -> Outcome {
    let (backend, mut heard) = echoing().await;
    let proxy = proxy(&backend, "required");
    let middle = Middle::before(&proxy, c2s, s2c).await;
    let wire = middle.dial(&proxy).connect().await;
    let mut socket = SealedSocket::over(wire, binding, offer).await;
    for message in MESSAGES {
        let frame = socket.seal(Opcode::Text, message.as_bytes());
        // A middle that has cut the connection does not take it.
        let _ = socket.wire.try_send(&frame).await;
    }
    let mut received = Vec::new();
    let stop = loop {
        if received.len() == echoes {
            socket.close(1000, "").await;
        }
        match socket.try_next().await {
            Ok(unit) => received.push(unit),
            Err(stop) => break stop,
        }
    };
    drop(socket);
    drop(middle);
    Outcome {
        received,
        stop,
        heard: heard.recv().await.unwrap(),
    }
}

impl Outcome {
    /// The client got these first messages as they were sent, and what it got next is given.
    fn after_messages(&self) -> (usize, Option<&Unit>) {
        let sent = MESSAGES.map(|text| Unit::Text(text.as_bytes().to_vec()));
        let pairs = sent.iter().zip(&self.received);
        let good = pairs.take_while(|(sent, got)| sent == got).count();
        assert!(self.received.len() <= good + 1, "{:?}", self.received);
        (good, self.received.get(good))
    }

    /// The backend heard these first messages as they were sent, and then this.
    fn heard_after_messages(&self) -> (usize, Option<&Frame>) {
        let pairs = MESSAGES.iter().zip(&self.heard);
        let good = pairs
            .take_while(|(sent, got)| got.payload == sent.as_bytes())
            .count();
        assert!(self.heard.len() <= good + 1, "{:?}", self.heard);
        (good, self.heard.get(good))
    }
}

fn keyed() -> [ClientOffer; 2] {
    let [_, (_, secret), (_, x25519)] = offers();
    [secret, x25519]
}

/// The proxy's nonce is the first message of a binding.
fn second(binding: Binding) -> usize {
    if binding == Binding::Message { 2 } else { 1 }
}

#[tokio::test]
async fn an_honest_middle_is_not_noticed_without_a_channel_binding() {
    for binding in BINDINGS {
        for (name, offer) in offers() {
            let outcome = converse(binding, &offer, 3, PASS, PASS).await;
            let (good, close) = outcome.after_messages();
            assert_eq!(
                (good, close),
                (3, Some(&Unit::Close(Some(1000), String::new()))),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn the_proxy_notices_every_change_by_hmac() {
    for binding in BINDINGS {
        for change in DELIBERATE {
            for offer in keyed() {
                let outcome = converse(binding, &offer, 3, (change, 1), PASS).await;
                let (good, close) = outcome.heard_after_messages();
                assert!(good < 3, "{change:?}");
                if change == Change::Truncate {
                    assert_eq!(close, None, "no clean end");
                    continue;
                }
                let finding = match change {
                    Change::InjectUntagged | Change::ForgeClose => "frame-integrity: missing",
                    _ => "frame-integrity: mismatch",
                };
                let close = close.unwrap_or_else(|| panic!("{binding:?} {change:?}: no Close"));
                assert_eq!(close.close_code(), Some(1008), "{change:?}");
                assert_eq!(close.close_reason(), finding, "{change:?}");
                // The echoes before it stand, and the proxy's Close is verified.
                assert_eq!(outcome.after_messages().1, Some(&policy(finding)));
            }
        }
    }
}

#[tokio::test]
async fn the_client_notices_every_change_by_hmac() {
    for binding in BINDINGS {
        for change in DELIBERATE {
            for offer in keyed() {
                let at = second(binding);
                let outcome = converse(binding, &offer, 3, PASS, (change, at)).await;
                let (good, next) = outcome.after_messages();
                assert!(good < 3 && next.is_none(), "{change:?}: {next:?}");
                let expected = match change {
                    Change::InjectUntagged | Change::ForgeClose => {
                        Stop::Integrity(Failure::Missing)
                    }
                    Change::Truncate => {
                        assert!(matches!(outcome.stop, Stop::End(_)), "{:?}", outcome.stop);
                        continue;
                    }
                    _ => Stop::Integrity(Failure::Mismatch),
                };
                assert_eq!(outcome.stop, expected, "{change:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_changed_or_lost_close_is_no_clean_end() {
    let offer = || keyed()[0].clone();
    for binding in BINDINGS {
        let outcome = converse(binding, &offer(), 3, (Change::FlipClose, 0), PASS).await;
        let (_, close) = outcome.heard_after_messages();
        assert_eq!(close.unwrap().close_code(), Some(1008));
        let outcome = converse(binding, &offer(), 3, (Change::DropClose, 0), PASS).await;
        assert_eq!(outcome.heard_after_messages(), (3, None));
        let outcome = converse(binding, &offer(), 3, PASS, (Change::FlipClose, 0)).await;
        assert_eq!(outcome.stop, Stop::Integrity(Failure::Mismatch));
        let outcome = converse(binding, &offer(), 3, PASS, (Change::DropClose, 0)).await;
        assert_eq!(outcome.after_messages(), (3, None));
        assert!(matches!(
            outcome.stop,
            Stop::End(End::Truncated | End::Closed | End::Broken(_))
        ));
    }
}

#[tokio::test]
async fn the_loss_of_the_last_message_is_noticed_at_the_close() {
    for binding in BINDINGS {
        let outcome = converse(binding, &keyed()[0], 2, (Change::Drop, 2), PASS).await;
        let (good, close) = outcome.heard_after_messages();
        assert_eq!(good, 2);
        assert_eq!(close.unwrap().close_code(), Some(1008));
        let at = second(binding) + 1;
        let outcome = converse(binding, &keyed()[0], 2, PASS, (Change::Drop, at)).await;
        assert_eq!(outcome.stop, Stop::Integrity(Failure::Mismatch));
    }
}

#[tokio::test]
async fn accidents_are_noticed_by_sha_256_and_a_replay_is_not() {
    let offer = ClientOffer::sha256();
    for binding in BINDINGS {
        for change in ACCIDENTAL {
            let outcome = converse(binding, &offer, 3, (change, 1), PASS).await;
            let (good, close) = outcome.heard_after_messages();
            assert_eq!(
                (good, close.and_then(Frame::close_code)),
                (1, Some(1008)),
                "{change:?}"
            );
            // No nonce comes first.
            let outcome = converse(binding, &offer, 3, PASS, (change, 1)).await;
            assert_eq!(outcome.after_messages(), (1, None), "{change:?}");
            assert!(matches!(outcome.stop, Stop::Integrity(_)), "{change:?}");
        }
        let outcome = converse(binding, &offer, 4, (Change::Replay, 1), PASS).await;
        assert_eq!(outcome.heard.len(), 5, "an unkeyed hash numbers nothing");
    }
}

/// The client of this crate, on its way through a middle that changes nothing.
async fn through_middle(channel_binding: bool) -> Result<Event, ClientError> {
    let backend = Backend::echo().await;
    let proxy = proxy(&backend, "required");
    let middle = Middle::before(&proxy, PASS, PASS).await;
    let offer = IntegrityOffer::HmacSha256 {
        credential: shared(KID),
        channel_binding,
    };
    let client = proxy.client("/").address(middle.address());
    let mut socket = client.integrity([offer]).connect().await?;
    socket.send_text("who is there?").await?;
    socket.next().await
}

#[tokio::test]
async fn with_a_channel_binding_the_mere_presence_of_a_middle_is_noticed() {
    let without = through_middle(false).await.unwrap();
    assert!(matches!(without, Event::Text(text) if text == "who is there?"));
    let with = through_middle(true).await;
    assert!(
        !matches!(with, Ok(Event::Text(_) | Event::Binary(_))),
        "{with:?}"
    );
}
