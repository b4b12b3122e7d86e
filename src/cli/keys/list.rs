//! `tidegate keys list`: what the keyring holds, without what must stay in it.

use super::{
    error::KeysError,
    file::{self, instant},
    locate::Place,
};
use crate::{
    cli::{
        admin::{self, AdminArgs, AdminError},
        run,
    },
    integrity::{
        base64url,
        keyring::{Key, KeyMaterial, Kid, Unusable},
    },
    policy::identity::name::hexadecimal,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, io::Write};

/// The gauge of the sockets that depend on a key, up to the key's id.
const SOCKETS: &str = "tidegate_integrity_key_websockets_open{key=\"";
/// Keeps a fingerprint from being the hash of a secret under any other name.
const FINGERPRINT_LABEL: &[u8] = b"tidegate kid fingerprint";
const FINGERPRINT_BYTES: usize = 8;

/// Sockets by kid; `None` if no proxy was asked, or none answered.
type Sockets = Option<BTreeMap<String, u64>>;

pub(super) fn list(
    place: &Place,
    arguments: &AdminArgs,
    now: i64,
    output: &mut impl Write,
) -> Result<(), KeysError> {
    let keyring = file::read(&place.keyring)?;
    let sockets = sockets(place, arguments)?;
    if arguments.json {
        let keys: Vec<Value> = keyring
            .iter()
            .map(|key| object(key, &sockets, now))
            .collect();
        writeln!(output, "{:#}", json!({ "keys": keys }))?;
        return Ok(());
    }
    let head = ["KID", "KIND", "STATE", "VALID", "FINGERPRINT", "SOCKETS"].map(str::to_owned);
    let rows = keyring.iter().map(|key| row(key, &sockets, now));
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let widths: [usize; 6] = std::array::from_fn(|column| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(String::len).max().unwrap_or_default()
    });
    for row in &rows {
        let cells = row.iter().zip(widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        writeln!(output, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

/// Eight bytes that distinguish keys and lead back to none: of the public part where there is
/// one, so that both sides can compare it.
pub(super) fn fingerprint(material: &KeyMaterial) -> String {
    let digest = Sha256::new().chain_update(FINGERPRINT_LABEL);
    let digest = match material.public_key() {
        Some(public) => digest.chain_update(public),
        None => digest.chain_update(base64url::decode(&material.to_text()).unwrap_or_default()),
    };
    let digest = digest.finalize();
    hexadecimal(digest.get(..FINGERPRINT_BYTES).unwrap_or(&digest))
}

fn row(key: &Key, sockets: &Sockets, now: i64) -> [String; 6] {
    let state = match key.check_usable(now) {
        Err(Unusable::NotYet) => "not yet valid",
        Err(Unusable::Expired) => "expired",
        _ => key.state.label(),
    };
    [
        key.kid.to_string(),
        key.material.kind().label().to_owned(),
        state.to_owned(),
        validity(key),
        fingerprint(&key.material),
        count(key, sockets).map_or_else(|| "-".to_owned(), |count| count.to_string()),
    ]
}

fn validity(key: &Key) -> String {
    let start = key.validity.not_before().and_then(instant);
    let end = key.validity.not_after().and_then(instant);
    match (start, end) {
        (None, None) => "always".to_owned(),
        (Some(start), None) => format!("from {start}"),
        (None, Some(end)) => format!("until {end}"),
        (Some(start), Some(end)) => format!("{start} to {end}"),
    }
}

fn object(key: &Key, sockets: &Sockets, now: i64) -> Value {
    json!({
        "kid": key.kid.as_str(),
        "kind": key.material.kind().label(),
        "state": key.state.label(),
        "usable": key.check_usable(now).is_ok(),
        "not_before": key.validity.not_before().and_then(instant),
        "not_after": key.validity.not_after().and_then(instant),
        "fingerprint": fingerprint(&key.material),
        "websockets_open": count(key, sockets),
    })
}

/// A proxy that answers and has no series of the key has no socket that uses it.
fn count(key: &Key, sockets: &Sockets) -> Option<u64> {
    let sockets = sockets.as_ref()?;
    Some(sockets.get(key.kid.as_str()).copied().unwrap_or_default())
}

/// How many open sockets the running proxy has that use a key; 0 if none answers.
pub(super) fn sockets_of(place: &Place, kid: &Kid) -> Result<u64, KeysError> {
    let sockets = sockets(place, &AdminArgs::default())?.unwrap_or_default();
    Ok(sockets.get(kid.as_str()).copied().unwrap_or_default())
}

/// Asks the running proxy. One that was not named and does not answer may well not run.
fn sockets(place: &Place, arguments: &AdminArgs) -> Result<Sockets, KeysError> {
    let configured = || place.admin.map(|address| address.to_string());
    let Some(address) = arguments.admin.clone().or_else(configured) else {
        return Ok(None);
    };
    let token_file = arguments.token_file.as_deref();
    let metrics = run::block_on(admin::metrics(&address, token_file))?;
    match metrics {
        Ok(text) => Ok(Some(parse(&text))),
        Err(error) if arguments.admin.is_some() => Err(error.into()),
        Err(AdminError::Unreachable { .. } | AdminError::Broken { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The gauge's values in the text that Prometheus reads.
fn parse(metrics: &str) -> BTreeMap<String, u64> {
    let lines = metrics.lines();
    let values = lines.filter_map(|line| {
        let (kid, value) = line.strip_prefix(SOCKETS)?.split_once("\"} ")?;
        Some((kid.to_owned(), value.trim().parse().ok()?))
    });
    values.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_read_from_the_proxy_s_metrics() {
        let text = "# HELP tidegate_integrity_key_websockets_open x\n\
            tidegate_integrity_key_websockets_open{key=\"edge-1\"} 12\n\
            tidegate_integrity_key_websockets_open{key=\"edge-2\"} 0\n\
            tidegate_other{key=\"edge-1\"} 7\n";
        let expected = [("edge-1".to_owned(), 12), ("edge-2".to_owned(), 0)];
        assert_eq!(parse(text), BTreeMap::from(expected));
    }
}
