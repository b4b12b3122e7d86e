//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1): elements, parameters, tokens
//! and quoted strings, without any meaning given to them.

use std::borrow::Cow;

/// One element of the list: `name; parameter; parameter=value`.
pub(super) struct Extension<'a> {
    pub(super) name: &'a str,
    parameters: Vec<Parameter<'a>>,
}

/// One parameter; its value is a token, unquoted where it was quoted.
struct Parameter<'a> {
    name: &'a str,
    value: Option<Cow<'a, str>>,
}

/// Why the parameters of an element are not the ones that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ParameterError {
    Unknown,
    Twice,
    WithoutValue,
}

impl Extension<'_> {
    /// The values of the parameters of these names, each given at most once and none beside them.
    pub(super) fn values<const N: usize>(
        &self,
        names: [&str; N],
    ) -> Result<[Option<&str>; N], ParameterError> {
        let mut values = [None; N];
        for Parameter { name, value } in &self.parameters {
            let mut slots = names.iter().zip(&mut values);
            let slot = slots
                .find(|(known, _)| *known == name)
                .ok_or(ParameterError::Unknown)?
                .1;
            let value = value.as_deref().ok_or(ParameterError::WithoutValue)?;
            if slot.replace(value).is_some() {
                return Err(ParameterError::Twice);
            }
        }
        Ok(values)
    }
}

/// The elements of one field value: its non-empty parts between commas that are not quoted.
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    split_outside_quotes(value, b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// An element as text; `None` if it is not ASCII, which no well-formed one is.
pub(super) fn ascii(element: &[u8]) -> Option<&str> {
    std::str::from_utf8(element)
        .ok()
        .filter(|text| text.is_ascii())
}

/// The name with which an element begins, whether or not the rest is well-formed.
pub(super) fn leading_name(element: &[u8]) -> &[u8] {
    let end = element.iter().position(|&byte| !is_token_byte(byte));
    element
        .get(..end.unwrap_or(element.len()))
        .unwrap_or_default()
}

/// An element taken apart; `None` if it is not well-formed.
pub(super) fn parse(element: &str) -> Option<Extension<'_>> {
    let mut parts = split_outside_quotes(element.as_bytes(), b';').map(ascii);
    let name = parts.next()??.trim_ascii();
    let parameters = parts.map(|part| parameter(part?)).collect::<Option<_>>()?;
    is_token(name).then_some(Extension { name, parameters })
}

/// Whether a text is a token (RFC 9110 section 5.6.2).
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn parameter(text: &str) -> Option<Parameter<'_>> {
    let (name, value) = match text.split_once('=') {
        None => (text.trim_ascii(), None),
        Some((name, value)) => (
            name.trim_ascii(),
            Some(token_or_quoted(value.trim_ascii())?),
        ),
    };
    is_token(name).then_some(Parameter { name, value })
}

/// RFC 6455 section 9.1: a quoted value has to be a token too, once it is unquoted.
fn token_or_quoted(text: &str) -> Option<Cow<'_, str>> {
    let value = match text.strip_prefix('"') {
        None => Cow::Borrowed(text),
        Some(quoted) => Cow::Owned(unescape(quoted.strip_suffix('"')?)?),
    };
    is_token(&value).then_some(value)
}

fn unescape(quoted: &str) -> Option<String> {
    let mut value = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return None,
            '\\' => value.push(characters.next()?),
            plain => value.push(plain),
        }
    }
    Some(value)
}

fn split_outside_quotes(text: &[u8], delimiter: u8) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |&byte| {
        let splits = !quoted && byte == delimiter;
        quoted ^= byte == b'"' && !escaped;
        escaped = quoted && !escaped && byte == b'\\';
        splits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(element: &str) -> Option<String> {
        let extension = parse(element)?;
        let parameters = extension
            .parameters
            .iter()
            .map(|parameter| match &parameter.value {
                None => format!("|{}", parameter.name),
                Some(value) => format!("|{}={value}", parameter.name),
            });
        Some(extension.name.to_owned() + &parameters.collect::<String>())
    }

    #[test]
    fn commas_and_semicolons_inside_quotes_do_not_split() {
        let value = br#"a; x="1,2\",;3", b , ,c;y"#;
        let found: Vec<_> = elements(value)
            .map(|element| ascii(element).unwrap())
            .collect();
        assert_eq!(found, [r#"a; x="1,2\",;3""#, "b", "c;y"]);
    }

    #[test]
    fn quoted_and_plain_values_mean_the_same() {
        for element in ["a;x=v.1", r#"a;x="v.1""#, r#"a; x = "v\.1" "#, "a ;\tx=v.1"] {
            assert_eq!(shape(element).as_deref(), Some("a|x=v.1"), "{element}");
        }
        assert_eq!(shape("a; x; y=2").as_deref(), Some("a|x|y=2"));
    }

    #[test]
    fn what_is_no_token_is_malformed() {
        let malformed = [
            "",
            ";",
            "a;",
            "a;;x",
            "a b",
            "a; x y",
            "a;=1",
            "a;x=",
            "a;x=\"\"",
            "a;x=\"1",
            "a;x=1\"",
            "a;x=\"1\\\"",
            "a;x=\"1 2\"",
            "a;x=\"1\"2",
            "a;x=1=2",
            "a;x=\"",
            "a/b",
            "(a)",
            "a;x=\"a\"\"b\"",
        ];
        for element in malformed {
            assert_eq!(shape(element), None, "{element}");
        }
        assert_eq!(ascii(b"a;x=\xe9"), None);
    }

    #[test]
    fn the_leading_name_is_found_in_malformed_elements_too() {
        assert_eq!(leading_name(b"frame-integrity; ="), b"frame-integrity");
        assert_eq!(leading_name(b"frame-integrity"), b"frame-integrity");
        assert_eq!(leading_name(b"=x"), b"");
    }
}
