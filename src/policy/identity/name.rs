//! Distinguished names as text (RFC 4514), whatever their attributes hold.

use x509_parser::{
    asn1_rs::{Any, Class, Tag, ToDer},
    x509::{AttributeTypeAndValue, RelativeDistinguishedName, X509Name},
};

/// The RFC 4514 string of a name: the most specific part first.
pub fn distinguished_name(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name.iter_rdn().map(relative_name).collect();
    parts.reverse();
    parts.join(",")
}

/// The text of an attribute's value; `None` if it is not a string, or not a valid one.
pub(super) fn text(value: &Any<'_>) -> Option<String> {
    let bytes = value.data;
    if value.class() != Class::Universal {
        return None;
    }
    match value.tag() {
        Tag::Utf8String
        | Tag::PrintableString
        | Tag::Ia5String
        | Tag::NumericString
        | Tag::VisibleString => String::from_utf8(bytes.to_vec()).ok(),
        // In practice everybody writes ISO 8859-1 into what X.520 calls T.61.
        Tag::TeletexString => Some(bytes.iter().copied().map(char::from).collect()),
        Tag::BmpString => utf16(bytes),
        Tag::UniversalString => utf32(bytes),
        _ => None,
    }
}

/// The text with every unprintable character as the hexadecimal pairs of its UTF-8 bytes
/// (RFC 4514 section 2.4), and with the backslash itself doubled.
pub(super) fn printable(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            hidden if unprintable(hidden) => push_pairs(&mut escaped, hidden),
            plain => escaped.push(plain),
        }
    }
    escaped
}

/// Whether a character could end a line, hide, or change how its neighbours read.
pub(super) fn unprintable(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

fn relative_name(name: &RelativeDistinguishedName<'_>) -> String {
    let parts: Vec<String> = name.iter().map(attribute).collect();
    parts.join("+")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let identifier = attribute.attr_type().to_id_string();
    let value = attribute.attr_value();
    match (short_name(&identifier), text(value)) {
        (Some(name), Some(text)) => format!("{name}={}", escaped(&text)),
        (Some(name), None) => format!("{name}={}", encoded(value)),
        // RFC 4514 section 2.4: a type written as numbers has its value written as bytes.
        (None, _) => format!("{identifier}={}", encoded(value)),
    }
}

/// RFC 4514 section 3, and the descriptors of RFC 4519 that certificates use.
fn short_name(identifier: &str) -> Option<&'static str> {
    Some(match identifier {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "title",
        "2.5.4.42" => "givenName",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        _ => return None,
    })
}

/// RFC 4514 section 2.4.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let last = text.char_indices().next_back().map(|(index, _)| index);
    for (index, character) in text.char_indices() {
        match character {
            hidden if unprintable(hidden) => push_pairs(&mut escaped, hidden),
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => escaped.extend(['\\', character]),
            ' ' | '#' if index == 0 => escaped.extend(['\\', character]),
            ' ' if Some(index) == last => escaped.push_str("\\ "),
            plain => escaped.push(plain),
        }
    }
    escaped
}

/// Writes a character as the hexadecimal pairs of its UTF-8 bytes (RFC 4514 section 2.4).
pub(crate) fn push_pairs(escaped: &mut String, character: char) {
    let mut buffer = [0; 4];
    for byte in character.encode_utf8(&mut buffer).bytes() {
        escaped.push('\\');
        escaped.push_str(&hexadecimal(&[byte]).to_ascii_uppercase());
    }
}

/// RFC 4514 section 2.4: a number sign and the DER encoding in hexadecimal.
fn encoded(value: &Any<'_>) -> String {
    let der = value.to_der_vec().unwrap_or_default();
    format!("#{}", hexadecimal(&der))
}

fn utf16(bytes: &[u8]) -> Option<String> {
    let (pairs, []) = bytes.as_chunks::<2>() else {
        return None;
    };
    let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
    char::decode_utf16(units).collect::<Result<_, _>>().ok()
}

fn utf32(bytes: &[u8]) -> Option<String> {
    let (groups, []) = bytes.as_chunks::<4>() else {
        return None;
    };
    let characters = groups.iter().map(|group| u32::from_be_bytes(*group));
    characters.map(char::from_u32).collect()
}

/// Bytes as pairs of lower-case digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0x0f])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}
