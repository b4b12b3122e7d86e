//! A client whose frames or messages are sealed, from the parts of the protocol's core: every
//! byte between it and the proxy is at hand.

use super::{
    Upgrade, Wire,
    frame::{self, Frame, MASK},
    wire::{End, Head},
};
use aws_lc_rs::rand;
use tidegate::{
    frame::Opcode,
    integrity::{
        Binding, Failure,
        agreement::Agreement,
        base64url,
        client::{ClientOffer, Credential, agree_on_frames},
        keyring::{PrivateKey, Secret},
        schedule::Exporter,
        seal::{Opener, Sealer},
        seal_message::MessageKind,
    },
};
use zeroize::Zeroizing;

/// The secret of every key of kind `secret` here, as its kid makes it.
pub(crate) fn secret(kid: &str) -> [u8; 32] {
    let mut bytes = [0x5a; 32];
    for (byte, from) in bytes.iter_mut().zip(kid.bytes()) {
        *byte ^= from;
    }
    bytes
}

/// A keyring of keys of kind `secret`, each with its state.
pub(crate) fn keyring(keys: &[(&str, &str)]) -> String {
    let key = |(kid, state): &(&str, &str)| {
        let secret = base64url::encode(&secret(kid));
        format!(
            "[[key]]\nkid = '{kid}'\nkind = 'secret'\nsecret = '{secret}'\nstate = '{state}'\n\n"
        )
    };
    keys.iter().map(key).collect()
}

/// A key of kind `x25519` for a keyring, made from its kid as secrets are.
pub(crate) fn x25519_key(kid: &str) -> String {
    let private = base64url::encode(&secret(kid));
    format!("[[key]]\nkid = '{kid}'\nkind = 'x25519'\nprivate = '{private}'\nstate = 'active'\n\n")
}

/// What a client holds of a key of kind `secret`.
pub(crate) fn shared(kid: &str) -> Credential {
    let secret = Secret::new(Zeroizing::new(secret(kid).to_vec())).unwrap();
    Credential::Secret(kid.parse().unwrap(), secret)
}

/// What a client holds of a key of kind `x25519`.
pub(crate) fn public(kid: &str) -> Credential {
    let private = PrivateKey::new(Zeroizing::new(secret(kid)));
    Credential::PublicKey(kid.parse().unwrap(), private.public_key())
}

/// An offer of `hmac-sha-256` with fresh random bytes.
pub(crate) fn hmac(credential: &Credential, channel_binding: bool) -> ClientOffer {
    let (mut nonce, mut ephemeral) = ([0; 32], Zeroizing::new([0; 32]));
    rand::fill(&mut nonce).unwrap();
    rand::fill(ephemeral.as_mut_slice()).unwrap();
    let ephemeral = PrivateKey::new(ephemeral);
    ClientOffer::hmac_sha256(credential, &nonce, &ephemeral, channel_binding).unwrap()
}

/// The request that makes an offer in a binding; with the message binding, for no subprotocol.
pub(crate) fn request(target: &str, binding: Binding, offer: &ClientOffer) -> Upgrade {
    let request = Upgrade::to(target);
    match binding {
        Binding::Frame => request.add("Sec-WebSocket-Extensions", &offer.extension()),
        Binding::Message => {
            request.add("Sec-WebSocket-Protocol", &offer.subprotocol(None).unwrap())
        }
    }
}

/// An open socket that is sealed.
pub(crate) struct SealedSocket {
    pub(crate) wire: Wire,
    pub(crate) head: Head,
    pub(crate) binding: Binding,
    pub(crate) sealer: Sealer,
    opener: Opener,
}

/// What comes to a client, verified.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Continuation(Vec<u8>),
    Close(Option<u16>, String),
    Ping(Vec<u8>),
}

/// Why nothing more comes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Integrity(Failure),
    End(End),
}

impl SealedSocket {
    /// Makes an offer over TLS that is there, and reads what was agreed on.
    pub(crate) async fn over(wire: Wire, binding: Binding, offer: &ClientOffer) -> Self {
        Self::exported(wire, binding, offer, None).await
    }

    /// The same with what the TLS session exports, for a channel binding.
    pub(crate) async fn exported(
        mut wire: Wire,
        binding: Binding,
        offer: &ClientOffer,
        exporter: Option<Exporter>,
    ) -> Self {
        wire.send(&request("/", binding, offer).bytes()).await;
        let head = wire.read_head().await;
        assert_eq!(head.status(), 101, "{head}");
        let agreement = match binding {
            Binding::Frame => {
                let answers = head.all("Sec-WebSocket-Extensions");
                let answers = answers.iter().map(|answer| answer.as_bytes());
                let offers = std::slice::from_ref(offer);
                let agreed = agree_on_frames(offers, answers, &|| exporter.clone());
                agreed.unwrap().expect("the server accepts")
            }
            Binding::Message => on_messages(&mut wire, &head, offer).await,
        };
        let (opener, sealer) = agreement.client_ends();
        Self {
            wire,
            head,
            binding,
            sealer,
            opener,
        }
    }

    /// A whole message in one frame.
    pub(crate) fn seal(&mut self, opcode: Opcode, data: &[u8]) -> Vec<u8> {
        let payload = match (self.binding, opcode) {
            (Binding::Frame, _) => {
                let tag = self.sealer.seal(0x80 | opcode.to_u8(), data).unwrap();
                [data, &tag].concat()
            }
            (Binding::Message, _) => {
                let mut payload = Vec::new();
                let kind = kind_of(opcode);
                self.sealer.seal_message(kind, data, &mut payload).unwrap();
                payload
            }
        };
        frame::build(true, 0, opcode, Some(MASK), &payload)
    }

    /// Sends a text.
    pub(crate) async fn send(&mut self, text: &str) {
        let frame = self.seal(Opcode::Text, text.as_bytes());
        self.wire.send(&frame).await;
    }

    /// Sends a sealed Close.
    pub(crate) async fn close(&mut self, code: u16, reason: &str) {
        let payload = self.sealer.seal_close(self.binding, Some(code), reason);
        let frame = frame::masked(Opcode::Close, &payload.unwrap());
        // The other end may be gone.
        let _ = self.wire.try_send(&frame).await;
    }

    /// What comes next.
    pub(crate) async fn next(&mut self) -> Unit {
        self.try_next().await.unwrap()
    }

    /// What comes next, or why nothing does.
    pub(crate) async fn try_next(&mut self) -> Result<Unit, Stop> {
        let frame = self.wire.try_read_frame().await.map_err(Stop::End)?;
        self.open(&frame).map_err(Stop::Integrity)
    }

    fn open(&mut self, frame: &Frame) -> Result<Unit, Failure> {
        let payload = &frame.payload;
        match (self.binding, frame.opcode()) {
            (_, Opcode::Ping | Opcode::Pong) => Ok(Unit::Ping(payload.clone())),
            (binding, Opcode::Close) => {
                let data = self.opener.open_close(binding, payload)?;
                let (code, reason) = match data.split_first_chunk() {
                    None => (None, &[][..]),
                    Some((code, reason)) => (Some(u16::from_be_bytes(*code)), reason),
                };
                let reason = String::from_utf8(reason.to_vec()).unwrap();
                Ok(Unit::Close(code, reason))
            }
            (Binding::Frame, opcode) => {
                let (data, tag) = payload.split_last_chunk().ok_or(Failure::Missing)?;
                let b0 = frame.raw[0];
                self.opener.open(b0, data, tag)?;
                Ok(Unit::of(opcode, data))
            }
            (Binding::Message, opcode) => {
                let length = self.opener.open_message(kind_of(opcode), payload)?;
                Ok(Unit::of(opcode, &payload[..length]))
            }
        }
    }

    /// Passes if a message comes back.
    pub(crate) async fn echoes(&mut self) {
        self.send("still there?").await;
        let expected = Unit::Text(b"still there?".to_vec());
        assert_eq!(self.next().await, expected);
    }
}

impl Unit {
    fn of(opcode: Opcode, data: &[u8]) -> Self {
        match opcode {
            Opcode::Text => Self::Text(data.to_vec()),
            Opcode::Binary => Self::Binary(data.to_vec()),
            _ => Self::Continuation(data.to_vec()),
        }
    }
}

async fn on_messages(wire: &mut Wire, head: &Head, offer: &ClientOffer) -> Agreement {
    let selected = head.field("Sec-WebSocket-Protocol").unwrap();
    let first = if offer.awaits_first_message() {
        Some(wire.read_frame().await)
    } else {
        None
    };
    let first = first.map(|frame| {
        assert_eq!(frame.opcode(), Opcode::Text);
        String::from_utf8(frame.payload).unwrap()
    });
    offer.agree_on_messages(selected, first.as_deref()).unwrap()
}

fn kind_of(opcode: Opcode) -> MessageKind {
    match opcode {
        Opcode::Text => MessageKind::Text,
        _ => MessageKind::Binary,
    }
}
