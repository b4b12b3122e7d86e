//! Tests across the files of this folder, on the worked examples of `tests/vectors`.

use super::{
    Algorithm,
    client::{ClientOffer, Credential},
    keyring::{Key, KeyMaterial, KeyState, Keyring, Kid, PrivateKey, Secret, Validity},
    schedule::Exporter,
    seal::{Opener, Sealer},
};
use serde_json::Value;
use std::sync::LazyLock;
use zeroize::Zeroizing;

mod frames;
mod handshakes;
mod hostile;
mod keys;
mod messages;
mod negotiation;
mod sealing;
mod values;

const SERVER_NONCE: &str = "3b7b35906cdec05d472ea6410203cf8db6282c2e6a0a106574fb4bc9592cd334";

fn vectors() -> &'static Value {
    static VECTORS: LazyLock<Value> = LazyLock::new(|| {
        let text = include_str!("../../../tests/vectors/frame-integrity.json");
        serde_json::from_str(text).unwrap()
    });
    &VECTORS
}

fn rows<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {value}"))
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex
        .chars()
        .map(|digit| digit.to_digit(16).unwrap())
        .collect();
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap())
        .collect()
}

fn bytes_32(hex: &str) -> [u8; 32] {
    bytes(hex).try_into().unwrap()
}

fn private_key(hex: &str) -> PrivateKey {
    PrivateKey::new(Zeroizing::new(bytes_32(hex)))
}

fn exporter(schedule: &Value) -> Option<Exporter> {
    schedule["exporter"]
        .as_str()
        .map(|hex| Zeroizing::new(bytes_32(hex)))
}

fn kid(text: &str) -> Kid {
    text.parse().unwrap()
}

fn key(row: &Value) -> Key {
    let material = match text(row, "kind") {
        "secret" => {
            let bytes = Zeroizing::new(bytes(text(row, "secret")));
            KeyMaterial::Secret(Secret::new(bytes).unwrap())
        }
        _ => KeyMaterial::X25519(private_key(text(row, "private"))),
    };
    let (state, validity) = (KeyState::Active, Validity::default());
    Key {
        kid: kid(text(row, "kid")),
        material,
        state,
        validity,
    }
}

fn keyring() -> Keyring {
    Keyring::new(rows(vectors(), "keys").iter().map(key)).unwrap()
}

fn schedule(name: &str) -> Value {
    rows(vectors(), "schedules")
        .iter()
        .find(|row| text(row, "name") == name)
        .unwrap()
        .clone()
}

/// The offer with which a client begins the handshake of a row of `schedules`.
fn client_offer(schedule: &Value) -> ClientOffer {
    let named = |row: &&Value| row["kid"] == schedule["kid"];
    let row = rows(vectors(), "keys").iter().find(named).unwrap();
    let kid = kid(text(row, "kid"));
    let credential = match key(row).material {
        KeyMaterial::Secret(secret) => Credential::Secret(kid, secret),
        KeyMaterial::X25519(_) => Credential::PublicKey(kid, bytes_32(text(row, "public"))),
    };
    let ephemeral = private_key(schedule["client_private"].as_str().unwrap_or(SERVER_NONCE));
    let binding = exporter(schedule).is_some();
    let nonce = bytes(text(schedule, "cn"));
    ClientOffer::hmac_sha256(&credential, &nonce, &ephemeral, binding).unwrap()
}

/// The data of a unit: given, or by the rule that the file states.
fn data(unit: &Value) -> Vec<u8> {
    match unit["data"].as_str() {
        Some(hex) => bytes(hex),
        None => (0..unit["data_len"].as_u64().unwrap())
            .map(|index| u8::try_from(index * 31 % 251).unwrap())
            .collect(),
    }
}

fn b0(unit: &Value) -> u8 {
    bytes(text(unit, "b0"))[0]
}

/// The key of a sequence of units; none with `sha-256`.
fn traffic_key(sequence: &Value) -> Option<[u8; 32]> {
    let row = schedule(sequence["schedule"].as_str()?);
    Some(bytes_32(text(
        &row,
        &format!("k_{}", text(sequence, "direction")),
    )))
}

fn sealer(sequence: &Value) -> Sealer {
    traffic_key(sequence).map_or_else(Sealer::sha256, |key| Sealer::hmac_sha256(&key))
}

fn opener(sequence: &Value) -> Opener {
    traffic_key(sequence).map_or_else(Opener::sha256, |key| Opener::hmac_sha256(&key))
}

fn algorithm(sequence: &Value) -> Algorithm {
    text(sequence, "alg").parse().unwrap()
}

/// The sequences of units with that binding.
fn sequences(binding: &str) -> Vec<Value> {
    let units = rows(vectors(), "units").iter();
    let found: Vec<_> = units
        .filter(|row| text(row, "binding") == binding)
        .cloned()
        .collect();
    assert!(!found.is_empty());
    found
}

/// Every bit of a short wire; of a long one, some of the bits of its ends and between them.
fn bits(length: usize) -> impl Iterator<Item = (usize, u8)> {
    let chosen = move |byte: usize| {
        let of_tail = byte + 34 > length && byte.is_multiple_of(3);
        length < 1000 || byte < 16 || of_tail || byte.is_multiple_of(9973)
    };
    (0..length)
        .filter(move |byte| chosen(*byte))
        .flat_map(move |byte| {
            let one = u8::try_from(byte % 8).unwrap();
            let bits = if length < 1000 { 0..8 } else { one..one + 1 };
            bits.map(move |bit| (byte, bit))
        })
}
