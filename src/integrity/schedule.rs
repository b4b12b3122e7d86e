//! The key schedule (section 3): from a key, two nonces and what the handshake says, to one
//! traffic key per direction.

use super::{
    Algorithm,
    keyring::{Kid, PrivateKey, Secret},
};
use hkdf::Hkdf;
use sha2::Sha256;
use std::fmt;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize, Zeroizing};

/// What the TLS 1.3 exporter returns for the label `EXPORTER-Channel-Binding` and an empty context
/// (RFC 9266).
pub type Exporter = Zeroizing<[u8; 32]>;

/// The protocol's name and version, which every traffic key is bound to.
const PROTOCOL: &[u8] = b"frame-integrity v1";

/// One key per direction, zeroized on drop. `Debug` shows neither.
pub struct TrafficKeys {
    client_to_server: Zeroizing<[u8; 32]>,
    server_to_client: Zeroizing<[u8; 32]>,
}

/// What both sides share before the nonces come in, zeroized on drop.
#[derive(Clone)]
pub struct SharedKey {
    bytes: Zeroizing<Vec<u8>>,
    ephemeral: Option<[u8; 32]>,
}

/// What a handshake says in the open, and binds its traffic keys to.
pub struct Transcript<'a> {
    /// The key's id.
    pub kid: &'a Kid,
    /// 16 to 64 bytes that the client chose.
    pub client_nonce: &'a [u8],
    /// 32 bytes that the server chose.
    pub server_nonce: &'a [u8; 32],
}

/// An X25519 exchange gave all zeros: the other side's public key is of low order, and the result
/// known to everybody (RFC 7748 section 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the X25519 exchange gave an all-zero secret")]
pub struct AllZero;

impl SharedKey {
    /// For a key of kind `secret`: the same on both sides.
    pub fn from_secret(secret: &Secret) -> Self {
        let bytes = Zeroizing::new(secret.bytes().to_vec());
        Self {
            bytes,
            ephemeral: None,
        }
    }

    /// The server's side of an X25519 exchange: its private key, the client's ephemeral public one.
    pub fn at_server(private: &PrivateKey, ephemeral: [u8; 32]) -> Result<Self, AllZero> {
        Self::exchange(&private.exchange_key(), ephemeral, ephemeral)
    }

    /// The client's side of an X25519 exchange: 32 random bytes used this once, the server's
    /// public key.
    pub fn at_client(ephemeral: &PrivateKey, server_public: [u8; 32]) -> Result<Self, AllZero> {
        Self::exchange(
            &ephemeral.exchange_key(),
            server_public,
            ephemeral.public_key(),
        )
    }

    /// The client's ephemeral public key, where there was an exchange.
    pub(super) fn ephemeral(&self) -> Option<&[u8; 32]> {
        self.ephemeral.as_ref()
    }

    fn exchange(own: &StaticSecret, other: [u8; 32], ephemeral: [u8; 32]) -> Result<Self, AllZero> {
        let shared = own.diffie_hellman(&PublicKey::from(other));
        if !shared.was_contributory() {
            return Err(AllZero);
        }
        let bytes = Zeroizing::new(shared.as_bytes().to_vec());
        Ok(Self {
            bytes,
            ephemeral: Some(ephemeral),
        })
    }

    /// The traffic keys, bound to the TLS session where an exporter is given.
    pub fn derive(&self, transcript: &Transcript<'_>, exporter: Option<&Exporter>) -> TrafficKeys {
        let binding = exporter.map_or(&[][..], |exporter| exporter.as_slice());
        let input = Zeroizing::new([self.bytes.as_slice(), binding].concat());
        let salt = [transcript.client_nonce, transcript.server_nonce].concat();
        let (mut extracted, hkdf) = Hkdf::<Sha256>::extract(Some(&salt), &input);
        extracted.as_mut_slice().zeroize();
        TrafficKeys {
            client_to_server: self.expand(&hkdf, transcript.kid, b"c2s"),
            server_to_client: self.expand(&hkdf, transcript.kid, b"s2c"),
        }
    }

    fn expand(&self, hkdf: &Hkdf<Sha256>, kid: &Kid, direction: &[u8]) -> Zeroizing<[u8; 32]> {
        let algorithm = Algorithm::HmacSha256.label().as_bytes();
        let ephemeral = self.ephemeral.as_ref().map_or(&[][..], |public| public);
        let parts = [
            PROTOCOL,
            algorithm,
            kid.as_str().as_bytes(),
            ephemeral,
            direction,
        ];
        let mut key = Zeroizing::new([0; 32]);
        let expanded = hkdf.expand(&parts.join(&0), key.as_mut_slice());
        // RFC 5869 section 2.3 allows 255 × 32 bytes; this asks for 32.
        debug_assert!(expanded.is_ok());
        key
    }
}

impl TrafficKeys {
    /// The key under which the client seals and the server opens.
    pub fn client_to_server(&self) -> &[u8; 32] {
        &self.client_to_server
    }

    /// The key under which the server seals and the client opens.
    pub fn server_to_client(&self) -> &[u8; 32] {
        &self.server_to_client
    }
}

impl fmt::Debug for TrafficKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrafficKeys(..)")
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKey(..)")
    }
}
