//! A `[[key]]` table.

use crate::{
    config::{
        findings::{Finding, Placed, Refusal},
        reader::{Table, wrong_type},
        source::Place,
        values,
    },
    integrity::{
        ValueError,
        keyring::{Key, KeyKind, KeyMaterial, KeyState, Kid, Validity},
    },
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use toml::de::DeValue;

const LONGEST_KID: usize = 64;
/// No kind and no state is as long; a secret is longer.
const LONGEST_WORD: usize = 25;

#[derive(Debug)]
pub(super) struct KeyDraft {
    pub(super) kid: Option<Placed<Kid>>,
    material: Option<KeyMaterial>,
    state: Option<Placed<KeyState>>,
    validity: Option<Validity>,
}

impl KeyDraft {
    pub(super) fn read(mut table: Table<'_>) -> Self {
        let draft = Self {
            kid: table.required("kid", kid),
            material: read_material(&mut table),
            state: table.or_default("state", state, KeyState::Active),
            validity: read_validity(&mut table),
        };
        table.finish();
        draft
    }

    pub(super) fn settle(self) -> Option<Key> {
        Some(Key {
            kid: self.kid?.value,
            material: self.material?,
            state: self.state?.value,
            validity: self.validity?,
        })
    }
}

fn read_material(table: &mut Table<'_>) -> Option<KeyMaterial> {
    let kind = table.required("kind", kind).map(|kind| kind.value);
    let (material, other) = match kind {
        Some(KeyKind::Secret) => {
            let material = table.required("secret", secret);
            (material, table.optional("private", private))
        }
        Some(KeyKind::X25519) => {
            let material = table.required("private", private);
            (material, table.optional("secret", secret))
        }
        // Which of the two it needs, nobody knows.
        None => (
            table.optional("secret", secret),
            table.optional("private", private),
        ),
    };
    if let (Some(kind), Some(other)) = (kind, &other) {
        refuse_other(table, kind, &other.place);
    }
    Some(material?.value)
}

fn refuse_other(table: &Table<'_>, kind: KeyKind, place: &Place) {
    let (wanted, found) = match kind {
        KeyKind::Secret => ("secret", "private"),
        KeyKind::X25519 => ("private", "secret"),
    };
    let message = format!("a key of kind {:?} has no `{found}`", kind.label());
    let hint = format!("keep its `{wanted}` alone, or change its kind");
    let finding = Finding::error(place, message).hint(hint);
    table.reading().report(finding);
}

fn read_validity(table: &mut Table<'_>) -> Option<Validity> {
    let optional = |time: Option<Placed<i64>>| Placed {
        place: time.as_ref().and_then(|time| time.place.clone()),
        value: time.map(|time| time.value),
    };
    let not_before = optional(table.optional("not_before", instant));
    let not_after = optional(table.optional("not_after", instant));
    let validity = Validity::new(not_before.value, not_after.value);
    let report = |error: ValueError| {
        let finding = Finding::error(&not_after.place, error.message);
        table.reading().report(finding.hint(error.hint));
    };
    validity.map_err(report).ok()
}

fn kid(value: &DeValue<'_>) -> Result<Kid, Refusal> {
    let text = values::text(value, "edge-2026-11")?;
    short(value, LONGEST_KID)?;
    text.parse().map_err(refusal)
}

fn kind(value: &DeValue<'_>) -> Result<KeyKind, Refusal> {
    short(value, LONGEST_WORD)?;
    values::word(value, &KeyKind::ALL.map(|kind| (kind.label(), kind)))
}

fn state(value: &DeValue<'_>) -> Result<KeyState, Refusal> {
    short(value, LONGEST_WORD)?;
    values::word(value, &KeyState::ALL.map(|state| (state.label(), state)))
}

fn secret(value: &DeValue<'_>) -> Result<KeyMaterial, Refusal> {
    material(KeyKind::Secret, value)
}

fn private(value: &DeValue<'_>) -> Result<KeyMaterial, Refusal> {
    material(KeyKind::X25519, value)
}

fn material(kind: KeyKind, value: &DeValue<'_>) -> Result<KeyMaterial, Refusal> {
    match value {
        DeValue::String(text) => KeyMaterial::from_text(kind, text).map_err(refusal),
        _ => Err(wrong_type(value, "a string of base64url")),
    }
}

/// Refuses without showing it what is not a word of a key: where a quotation mark is missing, it may
/// be the line with the secret.
fn short(value: &DeValue<'_>, longest: usize) -> Result<(), Refusal> {
    let DeValue::String(text) = value else {
        return Ok(());
    };
    if text.len() <= longest && !text.contains(['\n', '"', '=']) {
        return Ok(());
    }
    let message = format!("the value has {} bytes and is not such a word", text.len());
    let hint = "look at its quotation marks: each value stands in a pair of them, on one line";
    Err(Refusal::new(message, hint))
}

fn refusal(error: ValueError) -> Refusal {
    Refusal::new(error.message, error.hint)
}

/// Seconds since 1970; a fraction of a second is dropped.
fn instant(value: &DeValue<'_>) -> Result<i64, Refusal> {
    let hint = "write for example 2026-11-01T00:00:00Z, without quotes";
    let DeValue::Datetime(datetime) = value else {
        let refusal = wrong_type(value, "a date and time");
        return Err(Refusal::new(refusal.message, hint));
    };
    let message = "not a date and time with an offset from UTC, such as Z or +01:00";
    // Both are RFC 3339; a local time has no offset and is none of it.
    let instant = OffsetDateTime::parse(&datetime.to_string(), &Rfc3339);
    let instant = instant.map_err(|_| Refusal::new(message, hint))?;
    Ok(instant.unix_timestamp())
}
