use super::*;
use crate::policy::identity::{Fingerprint, tests::*};
use rcgen::{DnValue, string::BmpString};

fn forwarded(der: &[u8], by: Option<&str>) -> String {
    forwarded_client_cert(&Identity::from_der(der).unwrap(), by)
}

/// What one reader of the format, written to Envoy's description, makes of a value.
fn elements(value: &str) -> Vec<(String, String)> {
    let mut elements = Vec::new();
    let mut rest = value;
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').expect("a key and an equals sign");
        let (value, after) = if let Some(inside) = after.strip_prefix('"') {
            until_quotation_mark(inside)
        } else {
            let end = after.find([';', ',']).unwrap_or(after.len());
            (after[..end].to_owned(), &after[end..])
        };
        elements.push((key.to_owned(), value));
        rest = after
            .strip_prefix(';')
            .or_else(|| after.is_empty().then_some(""))
            .expect("a semicolon or the end");
    }
    elements
}

fn until_quotation_mark(inside: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = inside.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &inside[at + 1..]),
            '\\' if characters.peek().map(|next| next.1) == Some('"') => {
                value.push('"');
                characters.next();
            }
            plain => value.push(plain),
        }
    }
    panic!("the quotation mark is never closed: {inside}");
}

fn assert_one_field_value(value: &str) {
    let header = http::HeaderValue::from_str(value).unwrap();
    assert_eq!(header.to_str().unwrap(), value, "visible ASCII");
    assert_eq!(value.trim(), value);
}

#[test]
fn client_cert_is_a_structured_field_byte_sequence() {
    assert_eq!(client_cert(b""), "::");
    assert_eq!(client_cert(b"hello"), ":aGVsbG8=:");
    let der = certificate("x", vec![]);
    let value = client_cert(&der);
    assert_one_field_value(&value);
    let inside = value.strip_prefix(':').unwrap().strip_suffix(':').unwrap();
    assert_eq!(STANDARD.decode(inside).unwrap(), der);
}

#[test]
fn chain_is_a_list_of_what_follows_the_client_certificate() {
    assert_eq!(client_cert_chain([]), None);
    let value = client_cert_chain([b"one".as_slice(), b"two"]).unwrap();
    assert_eq!(value, ":b25l:, :dHdv:");
}

#[test]
fn chain_beyond_the_limit_loses_whole_certificates_from_the_end() {
    let half = vec![7; CHAIN_LIMIT / 2];
    let value = client_cert_chain([half.as_slice(), &half, &half, b"x"]).unwrap();
    assert_eq!(value.matches(", ").count(), 1);
    assert_eq!(
        client_cert_chain([vec![7; CHAIN_LIMIT + 1].as_slice()]),
        None
    );
}

#[test]
fn forwarded_client_cert_has_the_elements_in_order() {
    let names = vec![
        dns("a.test"),
        uri("spiffe://example.com/edge"),
        dns("b.test"),
    ];
    let der = certificate("Alice", names);
    assert_eq!(
        forwarded(&der, Some("spiffe://example.com/proxy")),
        format!(
            "By=spiffe://example.com/proxy;Hash={};Subject=\"CN=Alice\";URI=spiffe://example.com/edge;DNS=a.test;DNS=b.test",
            Fingerprint::of(&der)
        )
    );
    let der = certificate("Alice", vec![]);
    let hash = Fingerprint::of(&der);
    assert_eq!(
        forwarded(&der, None),
        format!("Hash={hash};Subject=\"CN=Alice\"")
    );
}

#[test]
fn hostile_common_names_stay_inside_the_subject() {
    let long = "é".repeat(4096);
    let cases: [(DnValue, &str); 10] = [
        ("a,b".into(), r"CN=a\,b"),
        ("a;URI=spiffe://evil/x".into(), r"CN=a\;URI=spiffe://evil/x"),
        (
            r#"a";URI="spiffe://evil/x"#.into(),
            r"CN=a\22\;URI=\22spiffe://evil/x",
        ),
        (r"ends with \".into(), r"CN=ends with \5C"),
        (r#"\""#.into(), r"CN=\5C\22"),
        ("a=b".into(), "CN=a=b"),
        ("a\r\nX-Admin: 1".into(), r"CN=a\0D\0AX-Admin: 1"),
        ("a\0b".into(), r"CN=a\00b"),
        (
            DnValue::BmpString(BmpString::try_from("ž\n").unwrap()),
            r"CN=\C5\BE\0A",
        ),
        (" é ".into(), r"CN=\ \C3\A9\ "),
    ];
    for (name, subject) in cases {
        let value = forwarded(&certificate(name, vec![]), None);
        assert_one_field_value(&value);
        let found = elements(&value);
        assert_eq!(found.len(), 2, "{value}");
        assert_eq!(found[1], ("Subject".to_owned(), subject.to_owned()));
    }
    let value = forwarded(&certificate(long, vec![dns("a.test")]), None);
    assert_one_field_value(&value);
    let keys: Vec<_> = elements(&value).into_iter().map(|(key, _)| key).collect();
    assert_eq!(
        keys,
        ["Hash", "DNS"],
        "a subject that does not fit is left out"
    );
}

#[test]
fn names_with_delimiters_are_quoted() {
    for (name, written) in [
        ("urn:a,b", r#""urn:a,b""#),
        ("urn:a;DNS=evil", r#""urn:a;DNS=evil""#),
        ("urn:a=b", r#""urn:a=b""#),
        (r#"urn:"a""#, r#""urn:\"a\"""#),
        ("urn:plain", "urn:plain"),
    ] {
        let value = forwarded(&certificate("x", vec![uri(name)]), None);
        assert_one_field_value(&value);
        assert!(value.ends_with(&format!(";URI={written}")), "{value}");
        assert_eq!(elements(&value)[2], ("URI".to_owned(), name.to_owned()));
    }
}

#[test]
fn names_that_readers_could_misunderstand_are_not_told() {
    for bad in [
        "good.test\0.evil",
        "a\r\nb",
        "a b",
        r"a\",
        r#"a\";URI="b"#,
        "",
    ] {
        let der = certificate("x", vec![uri(bad), dns(bad), dns("kept.test")]);
        let value = forwarded(&der, Some(bad));
        assert_one_field_value(&value);
        let found = elements(&value);
        let keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["Hash", "Subject", "DNS"], "{bad:?}: {value}");
        assert_eq!(found[2].1, "kept.test");
    }
}

#[test]
fn elements_that_do_not_fit_are_left_out_whole_and_the_hash_stays() {
    let long = format!("urn:{}", "u".repeat(8 * 1024));
    let by = "b".repeat(FORWARDED_LIMIT - 200);
    let der = certificate("x", vec![uri(&long), uri(&long), dns("a.test")]);
    for by in [None, Some(by.as_str())] {
        let value = forwarded(&der, by);
        assert!(value.len() <= FORWARDED_LIMIT);
        let found = elements(&value);
        assert!(
            found
                .iter()
                .any(|(key, hash)| key == "Hash" && hash.len() == 64)
        );
        assert!(
            found
                .iter()
                .all(|(key, name)| key != "URI" || *name == long)
        );
        assert_eq!(found.last().unwrap().1, "a.test");
    }
}

#[test]
fn no_changed_byte_makes_anything_but_one_field_value() {
    let der = certificate("Al,ice", vec![uri("spiffe://example.com/a")]);
    for at in 0..der.len() {
        for change in [0x01, 0x20, 0x80, 0xff] {
            let mut changed = der.clone();
            changed[at] ^= change;
            if let Ok(identity) = Identity::from_der(&changed) {
                let value = forwarded_client_cert(&identity, None);
                assert_one_field_value(&value);
                assert!(elements(&value).len() >= 2);
            }
        }
    }
}
