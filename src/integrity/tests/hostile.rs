//! Whatever bytes a peer sends, parsing and opening end with a verdict; the fuzz target of the
//! same name goes on from here.

use super::super::{
    Binding, Mode, client::agree_on_frames, negotiate::Terms, offer::Extensions,
    seal_message::MessageKind, subprotocol,
};
use super::*;

/// Numbers that look random and are the same in every run (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).unwrap()
    }

    /// A field value with some bytes changed, removed or doubled.
    fn mutate(&mut self, value: &str) -> Vec<u8> {
        let mut value = value.as_bytes().to_vec();
        for _ in 0..=self.next(4) {
            let at = self.next(value.len());
            match self.next(4) {
                0 => value[at] = b",;=\"\\~ \t-.A\x00\xff"[self.next(13)],
                1 => value.truncate(at + 1),
                2 => value.extend_from_within(at..),
                _ => value[at] ^= 1 << self.next(8),
            }
        }
        value
    }
}

fn examples() -> Vec<String> {
    let rows = rows(vectors(), "handshakes")
        .iter()
        .chain(rows(vectors(), "refused"));
    rows.flat_map(|row| [row["offer"].as_str(), row["answer"].as_str()])
        .flatten()
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_changed_offer_or_answer_is_accepted_or_passed_over_and_never_forwarded() {
    let (examples, keyring, mut numbers) = (examples(), keyring(), Numbers(0x5eed));
    let terms = Terms {
        mode: Mode::Optional,
        algorithms: &Algorithm::ALL,
        keyring: &keyring,
        now: 0,
        server_nonce: bytes_32(SERVER_NONCE),
        exporter: &|| None,
    };
    let offers = [ClientOffer::sha256(), client_offer(&schedule("secret"))];
    for _ in 0..2000 {
        let example = numbers.next(examples.len());
        let value = numbers.mutate(&examples[example]);
        let extensions = Extensions::parse([&value[..]]);
        let forwarded = extensions.forwarded().unwrap_or_default();
        assert!(Extensions::parse([forwarded.as_bytes()]).offers.is_empty());
        let _ = terms.choose_frame(&extensions);
        let _ = agree_on_frames(&offers, [&value[..]], &|| None);
        let names = subprotocol::parse([&value[..]]);
        let sorted = terms.message_offers(&names);
        assert!(
            sorted
                .offered_to_backend()
                .iter()
                .all(|name| !name.is_empty())
        );
    }
}

#[test]
fn random_payloads_are_refused_in_every_form() {
    let mut numbers = Numbers(0x5eed);
    let mut opener = Opener::hmac_sha256(&bytes_32(SERVER_NONCE));
    for length in (0..200).chain([65_536]) {
        let payload: Vec<_> = (0..length)
            .map(|_| u8::try_from(numbers.next(256)).unwrap())
            .collect();
        for kind in [MessageKind::Text, MessageKind::Binary] {
            assert!(opener.open_message(kind, &payload).is_err());
        }
        for binding in [Binding::Frame, Binding::Message] {
            assert!(opener.open_close(binding, &payload).is_err());
        }
    }
}
