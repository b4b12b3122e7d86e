//! The commands that make, change, remove and hand out keys.

use super::{
    arguments::{DestroyArguments, GenerateArguments, KeyArguments},
    error::KeysError,
    file::{self, KeyringFile},
    list::{self, fingerprint},
    locate::Place,
};
use crate::integrity::{
    base64url,
    keyring::{Key, KeyKind, KeyMaterial, KeyState, Kid, Validity},
};
use std::{io::Write, path::Path};
use time::OffsetDateTime;
use zeroize::Zeroizing;

pub(super) fn generate(
    place: &Place,
    arguments: &GenerateArguments,
    now: i64,
    output: &mut impl Write,
) -> Result<(), KeysError> {
    let validity = validity(arguments, now)?;
    let mut keyring = KeyringFile::open_or_new(&place.keyring)?;
    let keys = keyring.keys();
    if keys.iter().any(|key| key.kid == arguments.kid) {
        return Err(KeysError::Argument(format!(
            "{} has a key {} already; choose another kid, as clients name a key by it",
            place.keyring.display(),
            arguments.kid
        )));
    }
    let key = Key {
        kid: arguments.kid.clone(),
        material: KeyMaterial::generate(arguments.kind, random()?),
        state: KeyState::Active,
        validity,
    };
    keys.push(key.clone());
    keyring.save()?;
    announce(place, &key, arguments.show, output)
}

/// A keyring with one active shared secret.
pub(super) fn make(path: &Path, kid: &str) -> Result<(), KeysError> {
    let mut keyring = KeyringFile::open_or_new(path)?;
    keyring.keys().push(Key {
        kid: kid.parse()?,
        material: KeyMaterial::generate(KeyKind::Secret, random()?),
        state: KeyState::Active,
        validity: Validity::default(),
    });
    keyring.save()
}

fn validity(arguments: &GenerateArguments, now: i64) -> Result<Validity, KeysError> {
    let seconds = |time: Option<OffsetDateTime>| time.map(OffsetDateTime::unix_timestamp);
    let end = seconds(arguments.not_after);
    if end.is_some_and(|end| end <= now) {
        let message = "--not-after is past, so that no connection could use the key";
        return Err(KeysError::Argument(format!("{message}; give a later time")));
    }
    Ok(Validity::new(seconds(arguments.not_before), end)?)
}

fn random() -> Result<Zeroizing<[u8; 32]>, KeysError> {
    let mut bytes = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(bytes.as_mut_slice()).map_err(|_| KeysError::Random)?;
    Ok(bytes)
}

/// Says what was made, where it is, and what comes next.
fn announce(
    place: &Place,
    key: &Key,
    show: bool,
    output: &mut impl Write,
) -> Result<(), KeysError> {
    let file = place.keyring.display();
    let fingerprint = fingerprint(&key.material);
    writeln!(output, "made key {} ({fingerprint}) in {file}", key.kid)?;
    match (key.material.public_key(), show) {
        (Some(public), _) => {
            writeln!(output, "public {}", base64url::encode(&public))?;
        }
        (None, true) => writeln!(output, "secret {}", *key.material.to_text())?,
        (None, false) => writeln!(output, "its secret, for the clients, is in that file")?,
    }
    if !place.configured {
        writeln!(
            output,
            "next: write keyring = \"{}\" in [integrity] of the configuration",
            place.named().display()
        )?;
    }
    remind(place, output)
}

/// Says what has to be done where the proxy does not take up a change by itself.
fn remind(place: &Place, output: &mut impl Write) -> Result<(), KeysError> {
    if place.configured && !place.watched {
        let next = "next: `tidegate reload`, because server.watch is false";
        writeln!(output, "{next}")?;
    }
    Ok(())
}

pub(super) fn set_state(
    place: &Place,
    arguments: &KeyArguments,
    state: KeyState,
    output: &mut impl Write,
) -> Result<(), KeysError> {
    let mut keyring = KeyringFile::open(&place.keyring)?;
    let key = find(keyring.keys(), &arguments.kid, place)?;
    if key.state == state {
        writeln!(output, "key {} was {} already", key.kid, state.label())?;
        return Ok(());
    }
    if key.state == KeyState::Revoked {
        return Err(KeysError::Argument(format!(
            "key {} is revoked, and no connection may go on with it; remove it with `tidegate keys destroy {}`",
            key.kid, key.kid
        )));
    }
    key.state = state;
    keyring.save()?;
    let next = match state {
        KeyState::Revoked => "the proxy ends every connection that uses it",
        _ => "when `tidegate keys list` shows no socket for it, `tidegate keys destroy` removes it",
    };
    writeln!(output, "key {} is {}; {next}", arguments.kid, state.label())?;
    remind(place, output)
}

pub(super) fn destroy(
    place: &Place,
    arguments: &DestroyArguments,
    output: &mut impl Write,
) -> Result<(), KeysError> {
    let kid = &arguments.kid;
    let mut keyring = KeyringFile::open(&place.keyring)?;
    let state = find(keyring.keys(), kid, place)?.state;
    if !arguments.force {
        check_unused(place, kid, state)?;
    }
    keyring.keys().retain(|key| key.kid != *kid);
    keyring.save()?;
    writeln!(
        output,
        "key {kid} is removed, which ends what still uses it, and the file that held it overwritten; backups, and copies that a journal or a flash disk keeps, are beyond this command"
    )?;
    remind(place, output)
}

/// Refuses while somebody depends on the key: new connections, or open sockets as far as a running
/// proxy reports them. Those of a revoked key end anyway.
fn check_unused(place: &Place, kid: &Kid, state: KeyState) -> Result<(), KeysError> {
    let wait = "wait until `tidegate keys list` shows no socket for it, or give --force";
    let refused = match state {
        KeyState::Active => {
            format!("key {kid} is active; run `tidegate keys retire {kid}` first and {wait}")
        }
        KeyState::Retiring => match list::sockets_of(place, kid)? {
            0 => return Ok(()),
            open => format!(
                "key {kid} is still used by open sockets ({open}), which would end with 1008; {wait}"
            ),
        },
        KeyState::Revoked => return Ok(()),
    };
    Err(KeysError::Argument(refused))
}

pub(super) fn public(
    place: &Place,
    arguments: &KeyArguments,
    output: &mut impl Write,
) -> Result<(), KeysError> {
    let keyring = file::read(&place.keyring)?;
    let key = keyring.key(arguments.kid.as_str());
    let key = key.ok_or_else(|| unknown(&arguments.kid, place))?;
    let public = key.material.public_key().ok_or_else(|| {
        KeysError::Argument(format!(
            "key {} is of kind {} and has no public part; `tidegate keys generate KID --kind x25519` makes one that has",
            key.kid,
            KeyKind::Secret.label()
        ))
    })?;
    writeln!(output, "{}", base64url::encode(&public))?;
    Ok(())
}

fn find<'a>(keys: &'a mut [Key], kid: &Kid, place: &Place) -> Result<&'a mut Key, KeysError> {
    let mut keys = keys.iter_mut();
    let found = keys.find(|key| key.kid == *kid);
    found.ok_or_else(|| unknown(kid, place))
}

fn unknown(kid: &Kid, place: &Place) -> KeysError {
    KeysError::Argument(format!(
        "{} has no key {kid}; `tidegate keys list` shows those that it has",
        place.keyring.display()
    ))
}
