//! Session tickets (RFC 5077, RFC 8446 section 4.6.1), under keys of the proxy's own or under keys
//! that several proxies share; either way a ticket is good only under the trust that it was issued
//! under.
//!
//! `tls.ticket_keys` names a text file: on each line one key, 32 to 80 random bytes in base64url
//! (RFC 4648 section 5); empty lines and lines that begin with `#` are passed over. The first key
//! seals new tickets, all of them open old ones. So to change keys without a full handshake for
//! anyone: add the new key as the last line everywhere, then move it to the first, and after
//! twelve hours remove the old one. A reader of this file can read recorded sessions.
//!
//! A ticket is `key name (16) ‖ random (32) ‖ AES-256-GCM(issued (8) ‖ state)`. Its key and nonce
//! come from HKDF-SHA-256 of the line's secret over the random bytes and the trust that it was
//! issued under, so no nonce repeats however many proxies seal, and a ticket dies with its trust
//! even though the keys stay.

use crate::credential::{MaterialError, file};
use ::aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    rand,
};
use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hkdf::Hkdf;
use rustls::{crypto::aws_lc_rs, server::ProducesTickets};
use sha2::Sha256;
use std::{
    fmt,
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use zeroize::Zeroizing;

/// Seconds for which a ticket is good; as for tickets of keys that are not shared.
const LIFETIME: u32 = 12 * 3600;
/// Seconds by which the clock of the proxy that issued a ticket may be ahead.
const SKEW: u64 = 300;
/// Keys that a file may have.
const KEYS_MAX: usize = 16;
const KEY_BYTES: std::ops::RangeInclusive<usize> = 32..=80;
const NAME: usize = 16;
const RANDOM: usize = 32;
const ISSUED: usize = 8;

/// Padding is not part of base64url here, and harmless.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const HINT: &str = "expected on each line 32 to 80 random bytes in base64url: `openssl rand -base64 48 | tr '+/' '-_'` makes one";

/// What a ticket is bound to: the digest of the trust, and how a certificate was asked for.
pub type Binding = [u8; 33];

/// The keys of a `tls.ticket_keys` file; the first seals.
#[derive(PartialEq)]
pub struct TicketKeys(Vec<TicketKey>);

#[derive(PartialEq)]
struct TicketKey {
    name: [u8; NAME],
    secret: Zeroizing<[u8; 32]>,
}

/// The keys of one trust's tickets.
pub struct Tickets {
    /// They seal where none are shared, and outlive a reload.
    pub own: OwnKeys,
    /// The keys of `tls.ticket_keys`.
    pub shared: Option<Arc<TicketKeys>>,
}

/// Keys that nobody else has, new every six hours; clones share them.
#[derive(Clone, Debug)]
pub struct OwnKeys(Arc<dyn ProducesTickets>);

/// Seals and opens tickets of one trust under the proxy's own keys.
#[derive(Debug)]
struct OwnTicketer {
    keys: OwnKeys,
    binding: Binding,
}

/// Seals and opens the tickets of one trust under shared keys.
struct SharedTicketer {
    keys: Arc<TicketKeys>,
    binding: Binding,
}

impl Tickets {
    /// A ticketer whose tickets are good only where the binding is the same.
    pub fn ticketer(&self, binding: Binding) -> Arc<dyn ProducesTickets> {
        match &self.shared {
            Some(keys) => keys.ticketer(binding),
            None => self.own.ticketer(binding),
        }
    }
}

impl TicketKeys {
    /// Reads a file; group and others must not be able to read it, unless `allow_readable`.
    pub fn load(
        path: &Path,
        allow_readable: bool,
        warnings: &mut Vec<MaterialError>,
    ) -> Result<Self, MaterialError> {
        if let Err(problem) = file::owner_only(path) {
            if !allow_readable {
                return Err(problem);
            }
            warnings.push(problem);
        }
        let bytes = file::read(path)?;
        Self::parse(&bytes).map_err(|message| MaterialError::new(path, message, HINT))
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let mut keys = Vec::new();
        for (number, line) in (1..).zip(lines) {
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            keys.push(TicketKey::parse(line).map_err(|fault| format!("line {number} {fault}"))?);
            if keys.len() > KEYS_MAX {
                return Err(format!("more than {KEYS_MAX} ticket keys"));
            }
        }
        if keys.is_empty() {
            return Err("no ticket key in this file".to_owned());
        }
        Ok(Self(keys))
    }

    fn ticketer(self: &Arc<Self>, binding: Binding) -> Arc<dyn ProducesTickets> {
        Arc::new(SharedTicketer {
            keys: self.clone(),
            binding,
        })
    }
}

impl OwnKeys {
    /// New ones. Fails if the system has no randomness.
    pub fn new() -> Result<Self, rustls::Error> {
        aws_lc_rs::Ticketer::new().map(Self)
    }

    fn ticketer(&self, binding: Binding) -> Arc<dyn ProducesTickets> {
        Arc::new(OwnTicketer {
            keys: self.clone(),
            binding,
        })
    }
}

impl ProducesTickets for OwnTicketer {
    fn enabled(&self) -> bool {
        self.keys.0.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.keys.0.lifetime()
    }

    fn encrypt(&self, state: &[u8]) -> Option<Vec<u8>> {
        self.keys.0.encrypt(&[&self.binding, state].concat())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let plain = self.keys.0.decrypt(ticket)?;
        plain.strip_prefix(&self.binding).map(<[u8]>::to_vec)
    }
}

impl TicketKey {
    fn parse(line: &[u8]) -> Result<Self, String> {
        let bytes = BASE64
            .decode(line)
            .map(Zeroizing::new)
            // The decoder's own message would quote a byte of the key.
            .map_err(|_| "is not base64url".to_owned())?;
        if !KEY_BYTES.contains(&bytes.len()) {
            return Err(format!("has {} bytes", bytes.len()));
        }
        let derive = Hkdf::<Sha256>::new(Some(b"tidegate ticket key 1"), &bytes);
        let (mut name, mut secret) = ([0; NAME], Zeroizing::new([0; 32]));
        let derived = derive
            .expand(b"name", &mut name)
            .and_then(|()| derive.expand(b"secret", secret.as_mut()));
        derived.map_err(|_| "cannot be used".to_owned())?;
        Ok(Self { name, secret })
    }

    /// Key and nonce for one ticket.
    fn cipher(&self, random: &[u8], binding: &Binding) -> Option<(LessSafeKey, Nonce)> {
        let derive = Hkdf::<Sha256>::from_prk(self.secret.as_ref()).ok()?;
        let mut key = Zeroizing::new([0; 32]);
        let mut nonce = [0; 12];
        derive
            .expand_multi_info(&[b"key", random, binding], key.as_mut())
            .ok()?;
        derive
            .expand_multi_info(&[b"nonce", random, binding], &mut nonce)
            .ok()?;
        let key = UnboundKey::new(&AES_256_GCM, key.as_ref()).ok()?;
        Some((LessSafeKey::new(key), Nonce::assume_unique_for_key(nonce)))
    }
}

impl SharedTicketer {
    fn seal(&self, state: &[u8], now: u64) -> Option<Vec<u8>> {
        let key = self.keys.0.first()?;
        let mut random = [0; RANDOM];
        rand::fill(&mut random).ok()?;
        let (cipher, nonce) = key.cipher(&random, &self.binding)?;
        let mut sealed = [&now.to_be_bytes(), state].concat();
        cipher
            .seal_in_place_append_tag(nonce, self.additional(&key.name), &mut sealed)
            .ok()?;
        Some([&key.name, &random[..], &sealed].concat())
    }

    fn open(&self, ticket: &[u8], now: u64) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME>()?;
        let (random, sealed) = rest.split_first_chunk::<RANDOM>()?;
        let mut named = self.keys.0.iter().filter(|key| key.name == *name);
        let plain = named.find_map(|key| {
            let (cipher, nonce) = key.cipher(random, &self.binding)?;
            let mut sealed = sealed.to_vec();
            let additional = self.additional(name);
            let plain = cipher.open_in_place(nonce, additional, &mut sealed).ok()?;
            Some(plain.to_vec())
        })?;
        let (issued, state) = plain.split_first_chunk::<ISSUED>()?;
        let issued = u64::from_be_bytes(*issued);
        let good =
            issued <= now.saturating_add(SKEW) && now <= issued.saturating_add(u64::from(LIFETIME));
        good.then(|| state.to_vec())
    }

    fn additional(&self, name: &[u8; NAME]) -> Aad<Vec<u8>> {
        Aad::from([&name[..], &self.binding].concat())
    }
}

impl ProducesTickets for SharedTicketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, state: &[u8]) -> Option<Vec<u8>> {
        self.seal(state, unix_seconds())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.open(ticket, unix_seconds())
    }
}

fn unix_seconds() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.unwrap_or_default().as_secs()
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketKeys({})", self.0.len())
    }
}

impl fmt::Debug for SharedTicketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedTicketer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn line(byte: u8, bytes: usize) -> String {
        BASE64.encode(vec![byte; bytes])
    }

    fn ticketer(file: &str, binding: u8) -> SharedTicketer {
        SharedTicketer {
            keys: Arc::new(TicketKeys::parse(file.as_bytes()).unwrap()),
            binding: [binding; 33],
        }
    }

    #[test]
    fn a_ticket_is_opened_by_another_proxy_with_the_same_keys() {
        let file = format!("# shared\n\n  {}  \n", line(1, 48));
        let ticket = ticketer(&file, 7).seal(b"state", NOW).unwrap();
        let opened = ticketer(&file, 7).open(&ticket, NOW + 10);
        assert_eq!(opened.as_deref(), Some(&b"state"[..]));
    }

    #[test]
    fn a_ticket_dies_with_the_trust_that_it_was_issued_under() {
        let file = line(1, 32);
        let ticket = ticketer(&file, 7).seal(b"state", NOW).unwrap();
        assert_eq!(ticketer(&file, 8).open(&ticket, NOW), None);
    }

    #[test]
    fn a_ticket_of_own_keys_is_good_under_its_trust_alone() {
        let keys = OwnKeys::new().unwrap();
        let ticket = keys.ticketer([7; 33]).encrypt(b"state").unwrap();
        let opened = keys.ticketer([7; 33]).decrypt(&ticket);
        assert_eq!(opened.as_deref(), Some(&b"state"[..]));
        assert_eq!(keys.ticketer([8; 33]).decrypt(&ticket), None);
        let others = OwnKeys::new().unwrap();
        assert_eq!(others.ticketer([7; 33]).decrypt(&ticket), None);
    }

    #[test]
    fn the_first_key_seals_and_every_key_opens() {
        let (old, new) = (line(1, 32), line(2, 80));
        let rotated = ticketer(&format!("{new}\n{old}\n"), 7);
        let ticket = ticketer(&old, 7).seal(b"state", NOW).unwrap();
        assert!(rotated.open(&ticket, NOW).is_some());
        let ticket = rotated.seal(b"state", NOW).unwrap();
        assert!(ticketer(&new, 7).open(&ticket, NOW).is_some());
        assert!(ticketer(&old, 7).open(&ticket, NOW).is_none());
    }

    #[test]
    fn a_ticket_is_good_for_twelve_hours() {
        let ticketer = ticketer(&line(1, 32), 7);
        let ticket = ticketer.seal(b"state", NOW).unwrap();
        let last = NOW + u64::from(LIFETIME);
        assert!(ticketer.open(&ticket, last).is_some());
        assert!(ticketer.open(&ticket, last + 1).is_none());
        assert!(ticketer.open(&ticket, NOW - SKEW).is_some());
        assert!(ticketer.open(&ticket, NOW - SKEW - 1).is_none());
    }

    #[test]
    fn a_changed_or_cut_ticket_is_worth_nothing() {
        let ticketer = ticketer(&line(1, 32), 7);
        let ticket = ticketer.seal(b"state", NOW).unwrap();
        for index in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[index] ^= 1;
            assert_eq!(ticketer.open(&changed, NOW), None, "byte {index}");
            assert_eq!(ticketer.open(&ticket[..index], NOW), None, "cut at {index}");
        }
    }

    #[test]
    fn no_two_tickets_of_one_state_are_alike() {
        let ticketer = ticketer(&line(1, 32), 7);
        assert_ne!(ticketer.seal(b"state", NOW), ticketer.seal(b"state", NOW));
    }

    #[test]
    fn a_bad_file_is_refused_by_line_and_without_its_content() {
        let many = vec![line(1, 32); KEYS_MAX + 1].join("\n");
        for (file, fault) in [
            ("", "no ticket key"),
            ("# nothing\n", "no ticket key"),
            ("\nsecret!secret\n", "line 2 is not base64url"),
            (&line(1, 31), "line 1 has 31 bytes"),
            (&line(1, 81), "line 1 has 81 bytes"),
            (&many, "more than 16"),
        ] {
            let error = TicketKeys::parse(file.as_bytes()).unwrap_err();
            assert!(error.starts_with(fault), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
