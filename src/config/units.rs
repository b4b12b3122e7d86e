//! Durations and sizes: a whole number and a unit, in one string.

use super::{findings::Refusal, reader::wrong_type, values::integer};
use std::time::Duration;
use toml::de::DeValue;

/// Longest duration accepted: times far beyond it overflow clocks, and mean a slip anyway.
const LONGEST: Duration = Duration::from_hours(10 * 365 * 24);

/// Largest size accepted: a frame's length has 63 bits (RFC 6455 section 5.2).
const LARGEST: u64 = i64::MAX as u64;

const DURATION_EXPECTED: &str = "a string such as \"30s\"";
const DURATION_HINT: &str = "write a whole number and a unit: ms, s, m, h or d";
const SIZE_EXPECTED: &str = "a string such as \"64KiB\"";
const SIZE_HINT: &str = "write a whole number and a unit: B, KiB, MiB, GiB, KB, MB or GB";

/// Milliseconds in each unit.
const DURATION_UNITS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// Bytes in each unit.
const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// `"30s"`, `"500ms"`, `"0s"`.
pub(super) fn duration(value: &DeValue<'_>) -> Result<Duration, Refusal> {
    let text = quantity(value, DURATION_EXPECTED, "s", "30s")?;
    let milliseconds = scaled(text, DURATION_UNITS, DURATION_HINT)?;
    let duration = Duration::from_millis(milliseconds);
    if duration > LONGEST {
        let message = format!("the duration \"{text}\" is longer than ten years");
        return Err(Refusal::new(message, "the longest is \"3650d\""));
    }
    Ok(duration)
}

/// A duration that is not zero.
pub(super) fn positive_duration(value: &DeValue<'_>) -> Result<Duration, Refusal> {
    match duration(value)? {
        Duration::ZERO => Err(Refusal::new(
            "a deadline of zero would end every connection at once",
            "write how long to wait, such as \"10s\"",
        )),
        duration => Ok(duration),
    }
}

/// `"64KiB"`, `"1GB"`, in bytes, that is not zero.
pub(super) fn size(value: &DeValue<'_>) -> Result<u64, Refusal> {
    let text = quantity(value, SIZE_EXPECTED, "B", "64KiB")?;
    match scaled(text, SIZE_UNITS, SIZE_HINT)? {
        0 => Err(Refusal::new(
            "a limit of zero would refuse everything",
            "write how much is allowed, such as \"16MiB\"",
        )),
        bytes if bytes > LARGEST => Err(too_large(text)),
        bytes => Ok(bytes),
    }
}

/// A size, or `"0"` for no limit.
pub(super) fn size_or_none(value: &DeValue<'_>) -> Result<Option<u64>, Refusal> {
    match value {
        DeValue::String(text) if matches!(&**text, "0" | "0B") => Ok(None),
        _ => size(value).map(Some),
    }
}

/// The string of a quantity. Bare numbers are refused: nobody knows what they count.
fn quantity<'a>(
    value: &'a DeValue<'_>,
    expected: &str,
    unit: &str,
    example: &str,
) -> Result<&'a str, Refusal> {
    let refusal = wrong_type(value, expected);
    match (value, integer(value)) {
        (DeValue::String(text), _) => Ok(text),
        (_, Some(number @ 0..)) => Err(Refusal {
            hint: format!("add a unit and quotes: \"{number}{unit}\""),
            ..refusal
        }),
        _ => Err(Refusal {
            hint: format!("write it as \"{example}\""),
            ..refusal
        }),
    }
}

fn scaled(text: &str, units: &[(&str, u64)], hint: &str) -> Result<u64, Refusal> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    if number.is_empty() {
        return Err(without_number(text, hint));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(without_unit(text, number, unit, units, hint));
    };
    let number: Option<u64> = number.parse().ok();
    let product = number.and_then(|number| number.checked_mul(*factor));
    product.ok_or_else(|| too_large(text))
}

fn without_number(text: &str, hint: &str) -> Refusal {
    let message = match text.chars().next() {
        None => "found an empty string, expected a number and a unit".to_owned(),
        Some('-') => format!("\"{text}\" is negative"),
        Some(_) => format!("\"{text}\" does not begin with a whole number"),
    };
    Refusal::new(message, hint)
}

fn without_unit(
    text: &str,
    number: &str,
    unit: &str,
    units: &[(&str, u64)],
    hint: &str,
) -> Refusal {
    let message = match unit {
        "" => format!("\"{text}\" has no unit"),
        _ if unit.starts_with('.') => format!("\"{text}\" is not a whole number"),
        _ => format!("unknown unit `{unit}` in \"{text}\""),
    };
    let trimmed = unit.trim();
    let mut names = units.iter().map(|(name, _)| name);
    match names.find(|name| name.eq_ignore_ascii_case(trimmed)) {
        Some(name) => Refusal::new(message, format!("did you mean \"{number}{name}\"?")),
        None => Refusal::new(message, hint),
    }
}

fn too_large(text: &str) -> Refusal {
    Refusal::new(format!("\"{text}\" is too large"), "write a smaller number")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T: std::fmt::Debug>(
        parse: fn(&DeValue<'_>) -> Result<T, Refusal>,
        toml: &str,
    ) -> Refusal {
        parse(DeValue::parse(toml).unwrap().get_ref()).unwrap_err()
    }

    fn read<T>(parse: fn(&DeValue<'_>) -> Result<T, Refusal>, text: &str) -> T {
        parse(&DeValue::String(text.into())).unwrap()
    }

    #[test]
    fn durations_count_in_their_unit() {
        assert_eq!(read(duration, "30s"), Duration::from_secs(30));
        assert_eq!(read(duration, "500ms"), Duration::from_millis(500));
        assert_eq!(read(duration, "5m"), Duration::from_mins(5));
        assert_eq!(read(duration, "1h"), Duration::from_hours(1));
        assert_eq!(read(duration, "2d"), Duration::from_hours(48));
        assert_eq!(read(duration, "0s"), Duration::ZERO);
    }

    #[test]
    fn sizes_tell_binary_from_decimal_units() {
        assert_eq!(read(size, "64KiB"), 65_536);
        assert_eq!(read(size, "16MiB"), 16_777_216);
        assert_eq!(read(size, "1GB"), 1_000_000_000);
        assert_eq!(read(size, "1B"), 1);
    }

    #[test]
    fn bare_numbers_are_refused_with_the_unit_to_add() {
        let refusal = refused(duration, "30");
        assert_eq!(
            refusal.message,
            "found an integer, expected a string such as \"30s\""
        );
        assert_eq!(refusal.hint, "add a unit and quotes: \"30s\"");
        assert_eq!(refused(duration, "\"30\"").message, "\"30\" has no unit");
        assert_eq!(refused(size, "16").hint, "add a unit and quotes: \"16B\"");
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in [
            "\"\"",
            "\"-5s\"",
            "\"s\"",
            "\"1.5s\"",
            "\"5 s\"",
            "\"+5s\"",
            "\"1h30m\"",
            "-3",
            "true",
            "1.5",
        ] {
            refused(duration, text);
            refused(size, text);
        }
    }

    #[test]
    fn overflow_is_refused() {
        for text in ["99999999999999999999s", "18446744073709551615d", "3651d"] {
            refused(duration, &format!("\"{text}\""));
        }
        for text in [
            "99999999999999999999B",
            "18446744073709551615GiB",
            "9223372036854775808B",
        ] {
            refused(size, &format!("\"{text}\""));
        }
    }

    #[test]
    fn units_in_another_case_are_suggested() {
        let hint = refused(size, "\"64kib\"").hint;
        assert_eq!(hint, "did you mean \"64KiB\"?");
        let hint = refused(duration, "\"5 M\"").hint;
        assert_eq!(hint, "did you mean \"5m\"?");
    }

    #[test]
    fn limits_and_deadlines_of_zero_are_refused() {
        refused(size, "\"0B\"");
        refused(positive_duration, "\"0s\"");
    }
}
