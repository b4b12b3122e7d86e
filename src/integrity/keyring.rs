//! Keys by id (section 3). Built whole from checked parts; never changed afterwards.

use super::{ValueError, base64url};
use std::{borrow::Borrow, collections::BTreeMap, fmt, str::FromStr, sync::Arc};
use subtle::ConstantTimeEq;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// The fewest and the most bytes of a secret.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 32..=64;
const KID_LENGTH: std::ops::RangeInclusive<usize> = 1..=64;

/// A key's id: 1 to 64 characters of `A-Z a-z 0-9 . _ -`. Cheap to clone; keeps no key alive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kid(Arc<str>);

/// The kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// `secret`: shared with the client.
    Secret,
    /// `x25519`: nothing secret is distributed.
    X25519,
}

/// What a key consists of. `Debug` shows the kind alone.
#[derive(Clone)]
pub enum KeyMaterial {
    /// Bytes shared with the client.
    Secret(Secret),
    /// The proxy holds the private key, clients the public one (RFC 7748).
    X25519(PrivateKey),
}

/// 32 to 64 bytes shared with the client.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// The private half of an X25519 key.
#[derive(Clone)]
pub struct PrivateKey(Zeroizing<[u8; 32]>);

/// How far a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// Usable.
    Active,
    /// Running connections go on; no new ones.
    Retiring,
    /// Running connections that use it are closed at once.
    Revoked,
}

/// Seconds since 1970 within which new connections may use a key: from `not_before` on, and
/// before `not_after`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validity {
    not_before: Option<i64>,
    not_after: Option<i64>,
}

/// One key of the keyring.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its id.
    pub kid: Kid,
    /// What it consists of.
    pub material: KeyMaterial,
    /// How far it is in its life.
    pub state: KeyState,
    /// When new connections may use it.
    pub validity: Validity,
}

/// Every key, by id.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    keys: BTreeMap<Kid, Key>,
}

/// Why no new connection may use a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unusable {
    /// The keyring has no key of that id.
    #[error("the keyring has no key of that id")]
    Unknown,
    /// The key is retiring.
    #[error("the key is retiring")]
    Retiring,
    /// The key is revoked.
    #[error("the key is revoked")]
    Revoked,
    /// `not_before` is still to come.
    #[error("the key is not valid yet")]
    NotYet,
    /// `not_after` is past.
    #[error("the key has expired")]
    Expired,
}

/// Why connections that depend on a key end when another keyring comes into use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Withdrawal {
    /// The key is revoked.
    #[error("is revoked")]
    Revoked,
    /// The keyring has no key of that id any more.
    #[error("is no longer in the keyring, which counts as revoked")]
    Gone,
    /// Another key has its id now.
    #[error("was replaced by another key of that id, which counts as revoked")]
    Replaced,
}

impl Kid {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Secret, Self::X25519];

    /// The kind as the keyring file writes it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::X25519 => "x25519",
        }
    }
}

impl KeyMaterial {
    /// A key of that kind from base64url without padding: the value of `secret` or of `private`.
    pub fn from_text(kind: KeyKind, text: &str) -> Result<Self, ValueError> {
        match kind {
            KeyKind::Secret => Secret::from_text(text).map(Self::Secret),
            KeyKind::X25519 => PrivateKey::from_text(text).map(Self::X25519),
        }
    }

    /// A new key of that kind from 32 random bytes.
    pub fn generate(kind: KeyKind, random: Zeroizing<[u8; 32]>) -> Self {
        match kind {
            KeyKind::Secret => Self::Secret(Secret(Zeroizing::new(random.to_vec()))),
            KeyKind::X25519 => Self::X25519(PrivateKey(random)),
        }
    }

    /// The kind.
    pub const fn kind(&self) -> KeyKind {
        match self {
            Self::Secret(_) => KeyKind::Secret,
            Self::X25519(_) => KeyKind::X25519,
        }
    }

    /// The public key, where the kind has one.
    pub fn public_key(&self) -> Option<[u8; 32]> {
        match self {
            Self::Secret(_) => None,
            Self::X25519(private) => Some(private.public_key()),
        }
    }

    /// Whether both are one key, compared in constant time.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Secret(one), Self::Secret(other)) => {
                one.0.as_slice().ct_eq(other.0.as_slice()).into()
            }
            (Self::X25519(one), Self::X25519(other)) => {
                one.0.as_slice().ct_eq(other.0.as_slice()).into()
            }
            _ => false,
        }
    }

    /// The bytes in base64url, as the keyring file keeps them. This is the secret itself.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(base64url::encode(match self {
            Self::Secret(secret) => &secret.0,
            Self::X25519(private) => private.0.as_slice(),
        }))
    }
}

impl Secret {
    /// A secret of 32 to 64 random bytes.
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Result<Self, ValueError> {
        if SECRET_BYTES.contains(&bytes.len()) {
            return Ok(Self(bytes));
        }
        let message = format!("the secret has {} bytes", bytes.len());
        Err(ValueError::new(
            message,
            "a secret has 32 to 64 bytes; `tidegate keys generate` makes one",
        ))
    }

    /// The secret that base64url without padding stands for.
    pub fn from_text(text: &str) -> Result<Self, ValueError> {
        Self::new(bytes_of("secret", text)?)
    }

    /// The bytes, for the key schedule.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl PrivateKey {
    /// A private key of 32 random bytes.
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// The private key that base64url without padding stands for.
    pub fn from_text(text: &str) -> Result<Self, ValueError> {
        let bytes = bytes_of("private key", text)?;
        let bytes = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| {
            let message = format!("the private key has {} bytes", bytes.len());
            ValueError::new(message, "an X25519 private key has 32 bytes")
        })?;
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// The public key, which clients are given; [`base64url::encode`] writes it.
    pub fn public_key(&self) -> [u8; 32] {
        PublicKey::from(&self.exchange_key()).to_bytes()
    }

    /// The key in the form that exchanges; zeroized on drop.
    pub(super) fn exchange_key(&self) -> StaticSecret {
        StaticSecret::from(*self.0)
    }
}

impl KeyState {
    /// Every state, in the order of a key's life.
    pub const ALL: [Self; 3] = [Self::Active, Self::Retiring, Self::Revoked];

    /// The state as the keyring file writes it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Revoked => "revoked",
        }
    }
}

impl Validity {
    /// From `not_before` on and before `not_after`, either of which may be open.
    pub fn new(not_before: Option<i64>, not_after: Option<i64>) -> Result<Self, ValueError> {
        if let (Some(start), Some(end)) = (not_before, not_after)
            && start >= end
        {
            let message = "not_after is not later than not_before, so the key is never valid";
            return Err(ValueError::new(
                message,
                "set not_after to a later time, or leave it out",
            ));
        }
        Ok(Self {
            not_before,
            not_after,
        })
    }

    /// The first second of it.
    pub fn not_before(&self) -> Option<i64> {
        self.not_before
    }

    /// The first second after it.
    pub fn not_after(&self) -> Option<i64> {
        self.not_after
    }
}

impl Key {
    /// Whether a new connection may use this key at `now`, in seconds since 1970.
    pub fn check_usable(&self, now: i64) -> Result<(), Unusable> {
        match self.state {
            KeyState::Retiring => return Err(Unusable::Retiring),
            KeyState::Revoked => return Err(Unusable::Revoked),
            KeyState::Active => {}
        }
        if self.validity.not_before.is_some_and(|start| now < start) {
            return Err(Unusable::NotYet);
        }
        if self.validity.not_after.is_some_and(|end| now >= end) {
            return Err(Unusable::Expired);
        }
        Ok(())
    }
}

impl Keyring {
    /// A keyring of these keys; an error names an id that two of them have.
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Result<Self, ValueError> {
        let mut keyring = Self::default();
        for key in keys {
            if let Some(twin) = keyring.keys.insert(key.kid.clone(), key) {
                let message = format!("two keys have the kid {:?}", twin.kid.as_str());
                return Err(ValueError::new(message, "give each key a kid of its own"));
            }
        }
        Ok(keyring)
    }

    /// The key of that id, usable or not.
    pub fn key(&self, kid: &str) -> Option<&Key> {
        self.keys.get(kid)
    }

    /// The key of that id, if a new connection may use it at `now`, in seconds since 1970.
    pub fn usable(&self, kid: &str, now: i64) -> Result<&Key, Unusable> {
        let key = self.key(kid).ok_or(Unusable::Unknown)?;
        key.check_usable(now).map(|()| key)
    }

    /// Whether connections that began with this key of `old` go on under this keyring: it has the
    /// same key, and has not revoked it.
    ///
    /// A key that was removed, or replaced under its id, may have been revoked in a file that nobody
    /// read in time. So it counts as revoked.
    pub fn check_kept(&self, kid: &str, old: &Self) -> Result<(), Withdrawal> {
        let (Some(before), Some(now)) = (old.key(kid), self.key(kid)) else {
            return Err(Withdrawal::Gone);
        };
        match now.state {
            KeyState::Revoked => Err(Withdrawal::Revoked),
            _ if !now.material.is_same(&before.material) => Err(Withdrawal::Replaced),
            _ => Ok(()),
        }
    }

    /// Every key, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.keys.values()
    }
}

fn bytes_of(what: &str, text: &str) -> Result<Zeroizing<Vec<u8>>, ValueError> {
    base64url::decode(text).ok_or_else(|| {
        let message = format!("the {what} is not base64url");
        ValueError::new(
            message,
            "write it with A-Z a-z 0-9 - _ and without padding `=`",
        )
    })
}

impl FromStr for Kid {
    type Err = ValueError;
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if KID_LENGTH.contains(&text.len()) && text.bytes().all(allowed) {
            return Ok(Self(text.into()));
        }
        let message = format!("{text:?} is not a kid");
        Err(ValueError::new(
            message,
            "a kid is 1 to 64 characters of A-Z a-z 0-9 . _ -",
        ))
    }
}

impl FromStr for KeyKind {
    type Err = ValueError;
    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.label() == text)
            .ok_or_else(|| {
                ValueError::not_one_of("a kind of key", text, &Self::ALL.map(Self::label))
            })
    }
}

impl FromStr for KeyState {
    type Err = ValueError;
    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::ALL
            .into_iter()
            .find(|state| state.label() == text)
            .ok_or_else(|| ValueError::not_one_of("a key state", text, &Self::ALL.map(Self::label)))
    }
}

impl Borrow<str> for Kid {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().label())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}
