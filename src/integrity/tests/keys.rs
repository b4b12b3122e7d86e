//! The keyring: what it takes, what it refuses, and what it never shows.

use super::super::{
    keyring::{KeyKind, Unusable, Withdrawal},
    schedule::{SharedKey, Transcript},
};
use super::*;

fn active(kid_text: &str) -> Key {
    let secret = Secret::new(Zeroizing::new(vec![0xab; 32])).unwrap();
    let (material, state) = (KeyMaterial::Secret(secret), KeyState::Active);
    Key {
        kid: kid(kid_text),
        material,
        state,
        validity: Validity::default(),
    }
}

#[test]
fn a_kid_is_1_to_64_characters_of_its_alphabet() {
    for good in ["a", "edge-2026-11", "A.b_c-9", &"k".repeat(64)] {
        assert_eq!(good.parse::<Kid>().unwrap().as_str(), good);
    }
    for bad in ["", "a b", "a~b", "a;b", "é", "a\"", "a/b", &"k".repeat(65)] {
        let error = bad.parse::<Kid>().unwrap_err();
        assert!(error.hint.contains("A-Z a-z 0-9 . _ -"), "{error}");
    }
}

#[test]
fn a_secret_has_32_to_64_bytes() {
    for (bytes, fits) in [(0, false), (31, false), (32, true), (64, true), (65, false)] {
        let made = Secret::new(Zeroizing::new(vec![1; bytes]));
        assert_eq!(made.is_ok(), fits, "{bytes}");
    }
}

#[test]
fn a_private_key_has_32_bytes() {
    for (text, message) in [
        ("AAAA", "the private key has 3 bytes"),
        ("A=", "the private key is not base64url"),
    ] {
        assert_eq!(PrivateKey::from_text(text).unwrap_err().message, message);
    }
}

#[test]
fn a_refused_secret_is_not_repeated_in_the_error() {
    for text in ["c2hvcnQtc2VjcmV0", "c2hvcnQtc2VjcmV0="] {
        let error = KeyMaterial::from_text(KeyKind::Secret, text).unwrap_err();
        assert!(!error.to_string().contains("c2hv") && !error.to_string().contains("short-"));
    }
}

#[test]
fn keys_survive_their_text() {
    for key in keyring().iter() {
        let text = key.material.to_text();
        let read = KeyMaterial::from_text(key.material.kind(), &text).unwrap();
        assert_eq!(*read.to_text(), *text);
        let named: KeyKind = key.material.kind().label().parse().unwrap();
        assert_eq!(named, key.material.kind());
    }
}

#[test]
fn a_generated_key_is_made_of_the_bytes_given() {
    let random = Zeroizing::new(bytes_32(
        "838fc324e4db330e280ca44924f94d6efe38ae759638edc21f4c8912ea156f88",
    ));
    let public = bytes_32("14ddd57d24eff6ef95ae255d7ffeba74ee618235ea5088768f5b061d2c86732a");
    let key = KeyMaterial::generate(KeyKind::X25519, random.clone());
    assert_eq!(key.public_key(), Some(public));
    let secret = KeyMaterial::generate(KeyKind::Secret, random.clone());
    assert_eq!(secret.public_key(), None);
    assert_eq!(
        *secret.to_text(),
        super::super::base64url::encode(random.as_slice())
    );
}

#[test]
fn two_keys_of_one_kid_are_refused() {
    let error = Keyring::new([active("a"), active("b"), active("a")]).unwrap_err();
    assert_eq!(error.message, "two keys have the kid \"a\"");
}

#[test]
fn a_validity_that_never_is_is_refused() {
    assert!(Validity::new(Some(5), Some(5)).is_err());
    let validity = Validity::new(Some(5), Some(6)).unwrap();
    assert_eq!(
        (validity.not_before(), validity.not_after()),
        (Some(5), Some(6))
    );
}

#[test]
fn a_key_is_usable_from_its_first_second_to_before_its_last() {
    let mut key = active("a");
    key.validity = Validity::new(Some(10), Some(20)).unwrap();
    let keyring = Keyring::new([key]).unwrap();
    let usable = |now| keyring.usable("a", now).map(|key| key.kid.to_string());
    assert_eq!(usable(9), Err(Unusable::NotYet));
    assert_eq!(usable(10).as_deref(), Ok("a"));
    assert_eq!(usable(19).as_deref(), Ok("a"));
    assert_eq!(usable(20), Err(Unusable::Expired));
}

#[test]
fn a_key_that_is_not_usable_is_still_found() {
    let mut key = active("a");
    key.state = KeyState::Revoked;
    let keyring = Keyring::new([key]).unwrap();
    assert_eq!(keyring.usable("a", 0).unwrap_err(), Unusable::Revoked);
    assert_eq!(keyring.key("a").unwrap().state, KeyState::Revoked);
    assert!(keyring.key("b").is_none());
}

#[test]
fn connections_go_on_with_the_same_key_unless_it_is_revoked() {
    let in_state = |state| Key {
        state,
        ..active("a")
    };
    let other = Secret::new(Zeroizing::new(vec![0xcd; 32])).unwrap();
    let replaced = Key {
        material: KeyMaterial::Secret(other),
        ..active("a")
    };
    let exchanged = Key {
        material: KeyMaterial::generate(KeyKind::X25519, Zeroizing::new([0xab; 32])),
        ..active("a")
    };
    let old = Keyring::new([active("a")]).unwrap();
    for (key, expected) in [
        (active("a"), Ok(())),
        (in_state(KeyState::Retiring), Ok(())),
        (in_state(KeyState::Revoked), Err(Withdrawal::Revoked)),
        (active("b"), Err(Withdrawal::Gone)),
        (replaced, Err(Withdrawal::Replaced)),
        (exchanged, Err(Withdrawal::Replaced)),
    ] {
        let new = Keyring::new([key]).unwrap();
        assert_eq!(new.check_kept("a", &old), expected);
    }
}

#[test]
fn debug_shows_no_secret() {
    let material = keyring()
        .iter()
        .map(|key| key.material.to_text())
        .collect::<Vec<_>>();
    let offer = client_offer(&schedule("secret"));
    let shown = format!("{:?} {offer:?} {:?}", keyring(), private_key(SERVER_NONCE));
    for secret in material {
        assert!(!shown.contains(&*secret));
        let bytes = super::super::base64url::decode(&secret).unwrap();
        assert!(!shown.contains(&format!("{}, {}, {}", bytes[0], bytes[1], bytes[2])));
    }
    assert!(shown.contains("edge-2026-11"));
}

#[test]
fn the_all_zero_secret_is_refused_on_both_sides() {
    let own = private_key(SERVER_NONCE);
    // Points of low order (RFC 7748 section 6.1): 0, 1, and p - 1.
    let last = bytes_32("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
    let first = std::array::from_fn(|index| u8::from(index == 0));
    for point in [[0; 32], first, last] {
        assert!(SharedKey::at_server(&own, point).is_err());
        assert!(SharedKey::at_client(&own, point).is_err());
    }
}

#[test]
fn every_input_of_the_schedule_changes_both_keys() {
    let secret =
        |byte| SharedKey::from_secret(&Secret::new(Zeroizing::new(vec![byte; 32])).unwrap());
    let derive =
        |secret: &SharedKey, kid_text: &str, client: u8, server: u8, exporter: Option<u8>| {
            let (kid, client_nonce, server_nonce) = (kid(kid_text), [client; 16], [server; 32]);
            let transcript = Transcript {
                kid: &kid,
                client_nonce: &client_nonce,
                server_nonce: &server_nonce,
            };
            let exporter = exporter.map(|byte| Zeroizing::new([byte; 32]));
            let keys = secret.derive(&transcript, exporter.as_ref());
            [*keys.client_to_server(), *keys.server_to_client()]
        };
    let keys = [
        derive(&secret(1), "a", 1, 1, None),
        derive(&secret(2), "a", 1, 1, None),
        derive(&secret(1), "b", 1, 1, None),
        derive(&secret(1), "a", 2, 1, None),
        derive(&secret(1), "a", 1, 2, None),
        derive(&secret(1), "a", 1, 1, Some(1)),
        derive(&secret(1), "a", 1, 1, Some(2)),
    ];
    let distinct: std::collections::BTreeSet<_> = keys.as_flattened().iter().collect();
    assert_eq!(distinct.len(), 2 * keys.len());
}
