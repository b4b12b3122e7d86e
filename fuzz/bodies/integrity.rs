//! Offers, answers and sealed units from bytes that anybody may send.

use std::sync::LazyLock;
use tidegate::integrity::{
    Algorithm, Binding, Mode,
    client::{ClientOffer, Credential, agree_on_frames},
    keyring::{Key, KeyKind, KeyMaterial, KeyState, Keyring, PrivateKey, Secret, Validity},
    negotiate::Terms,
    offer::Extensions,
    schedule::Exporter,
    seal::{Opener, Sealer},
    seal_message::MessageKind,
    subprotocol,
};

const KEY: [u8; 32] = [7; 32];
const KEY_TEXT: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";

static KEYRING: LazyLock<Keyring> = LazyLock::new(|| {
    let key = |kid: &str, kind| Key {
        kid: kid.parse().expect("a kid"),
        material: KeyMaterial::generate(kind, Exporter::new(KEY)),
        state: KeyState::Active,
        validity: Validity::default(),
    };
    Keyring::new([key("s", KeyKind::Secret), key("x", KeyKind::X25519)]).expect("two kids")
});

static OFFERS: LazyLock<[ClientOffer; 2]> = LazyLock::new(|| {
    let secret = Secret::from_text(KEY_TEXT).expect("32 bytes");
    let credential = Credential::Secret("s".parse().expect("a kid"), secret);
    let ephemeral = PrivateKey::new(Exporter::new(KEY));
    let keyed = ClientOffer::hmac_sha256(&credential, &KEY, &ephemeral, false);
    [ClientOffer::sha256(), keyed.expect("a nonce of 32 bytes")]
});

pub(crate) fn run(input: &[u8]) {
    let Some((&choice, input)) = input.split_first() else {
        return;
    };
    match choice % 4 {
        0 => negotiate(input),
        1 => answers(input),
        2 => open(input),
        _ => seal(input),
    }
}

/// Lines are fields. Whatever is in them, nothing of ours is forwarded.
fn negotiate(input: &[u8]) {
    let exporter = || Some(Exporter::new(KEY));
    let terms = Terms {
        mode: Mode::Optional,
        algorithms: &Algorithm::ALL,
        keyring: &KEYRING,
        now: 0,
        server_nonce: KEY,
        exporter: &exporter,
    };
    let lines = || input.split(|&byte| byte == b'\n');
    let extensions = Extensions::parse(lines());
    let forwarded = extensions.forwarded().unwrap_or_default();
    assert!(Extensions::parse([forwarded.as_bytes()]).offers.is_empty());
    if let Ok(agreement) = terms.choose_frame(&extensions) {
        assert!(agreement.answer().starts_with("frame-integrity; alg="));
    }
    let offers = terms.message_offers(&subprotocol::parse(lines()));
    let choice = offers.offered_to_backend().first().cloned();
    if let Some(agreement) = offers.select(choice.as_deref()) {
        assert_eq!(agreement.application(), choice.as_deref());
    }
}

/// A server's answers, as a client reads them.
fn answers(input: &[u8]) {
    let _ = agree_on_frames(&*OFFERS, [input], &|| None);
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let (selected, first) = text.split_once('\n').unwrap_or((text, ""));
    for offer in &*OFFERS {
        let agreed = offer.agree_on_messages(selected, Some(first));
        assert!(agreed.is_err() || offer.is_selected_by(selected));
    }
}

/// No unit is accepted under a key that its sender does not hold.
fn open(input: &[u8]) {
    let mut opener = Opener::hmac_sha256(&KEY);
    for kind in [MessageKind::Text, MessageKind::Binary] {
        assert!(opener.open_message(kind, input).is_err());
        let _ = Opener::sha256().open_message(kind, input);
    }
    for binding in [Binding::Frame, Binding::Message] {
        assert!(opener.open_close(binding, input).is_err());
        let _ = Opener::sha256().open_close(binding, input);
    }
}

/// What is sealed in pieces opens, and nothing that differs from it by a bit does.
fn seal(input: &[u8]) {
    let Some((&[b0, at], data)) = input.split_first_chunk() else {
        return;
    };
    let (mut sealer, mut opener) = (Sealer::hmac_sha256(&KEY), Opener::hmac_sha256(&KEY));
    let (head, tail) = data.split_at(usize::from(at).min(data.len()));
    sealer.begin(b0);
    sealer.update(head);
    sealer.update(tail);
    let mut tag = sealer.finish().expect("the first unit");
    assert_eq!(opener.open(b0, data, &tag), Ok(()));
    tag[usize::from(at) % 32] ^= 1 << (b0 % 8);
    assert!(Opener::hmac_sha256(&KEY).open(b0, data, &tag).is_err());
    if let Ok(reason) = std::str::from_utf8(data) {
        close(reason);
    }
}

/// A Close keeps within 125 bytes, and its reason is a prefix of the one given.
fn close(reason: &str) {
    for binding in [Binding::Frame, Binding::Message] {
        let payload = Sealer::hmac_sha256(&KEY).seal_close(binding, Some(1000), reason);
        let payload = payload.expect("the first unit, and a code");
        let mut opener = Opener::hmac_sha256(&KEY);
        let data = opener
            .open_close(binding, &payload)
            .expect("sealed under the same key");
        assert!(payload.len() <= 125 && reason.as_bytes().starts_with(&data[2..]));
    }
}
