//! The TLS 1.3 exporter (RFC 8446 section 7.5), which rustls' unbuffered interface does not offer.
//!
//! rustls hands the exporter secret to a key log; this one keeps it for its own session, in
//! memory that is overwritten, and derives from it what channel binding needs.

use hkdf::Hkdf;
use rustls::{CipherSuite, KeyLog};
use sha2::{Digest, Sha256, Sha384};
use std::{
    fmt,
    sync::{Mutex, PoisonError},
};
use zeroize::Zeroizing;

/// The label under which rustls logs the secret (as in the NSS key log format).
const LOGGED_AS: &str = "EXPORTER_SECRET";
/// RFC 9266 section 2.
const CHANNEL_BINDING: &[u8] = b"EXPORTER-Channel-Binding";

/// The exporter secret of one session.
#[derive(Default)]
pub(super) struct ExporterSecret(Mutex<Option<Zeroizing<Vec<u8>>>>);

impl ExporterSecret {
    /// 32 octets for channel binding, with an empty context; `None` before the handshake is done.
    pub(super) fn channel_binding(&self, suite: CipherSuite) -> Option<Zeroizing<[u8; 32]>> {
        let secret = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()?;
        match suite {
            CipherSuite::TLS13_AES_256_GCM_SHA384 => export_sha384(&secret),
            _ => export_sha256(&secret),
        }
    }
}

fn export_sha256(secret: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let empty = Sha256::digest([]);
    let mut derived = Zeroizing::new([0; 32]);
    let root = Hkdf::<Sha256>::from_prk(secret).ok()?;
    root.expand(&label(CHANNEL_BINDING, &empty, 32), &mut *derived)
        .ok()?;
    let mut octets = Zeroizing::new([0; 32]);
    let derived = Hkdf::<Sha256>::from_prk(&*derived).ok()?;
    derived
        .expand(&label(b"exporter", &empty, 32), &mut *octets)
        .ok()?;
    Some(octets)
}

fn export_sha384(secret: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let empty = Sha384::digest([]);
    let mut derived = Zeroizing::new([0; 48]);
    let root = Hkdf::<Sha384>::from_prk(secret).ok()?;
    root.expand(&label(CHANNEL_BINDING, &empty, 48), &mut *derived)
        .ok()?;
    let mut octets = Zeroizing::new([0; 32]);
    let derived = Hkdf::<Sha384>::from_prk(&*derived).ok()?;
    derived
        .expand(&label(b"exporter", &empty, 32), &mut *octets)
        .ok()?;
    Some(octets)
}

/// `HkdfLabel` (RFC 8446 section 7.1); label and context are shorter than 256 octets.
fn label(name: &[u8], context: &[u8], length: u8) -> Vec<u8> {
    let full = [b"tls13 ", name].concat();
    let mut octets = vec![0, length];
    for part in [full.as_slice(), context] {
        octets.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
        octets.extend_from_slice(part);
    }
    octets
}

impl KeyLog for ExporterSecret {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        if label == LOGGED_AS {
            let kept = Zeroizing::new(secret.to_vec());
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        }
    }

    fn will_log(&self, label: &str) -> bool {
        label == LOGGED_AS
    }
}

impl fmt::Debug for ExporterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExporterSecret(..)")
    }
}
