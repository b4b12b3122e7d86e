use super::*;
use rcgen::{
    CertificateParams, CustomExtension, DnType, DnValue, KeyPair, SanType,
    string::{BmpString, Ia5String, TeletexString, UniversalString},
};

/// A self-signed certificate with this common name and these names.
pub(crate) fn certificate(common_name: impl Into<DnValue>, names: Vec<SanType>) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.subject_alt_names = names;
    self_signed(&params)
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(Ia5String::try_from(text).unwrap())
}

pub(crate) fn dns(text: &str) -> SanType {
    SanType::DnsName(Ia5String::try_from(text).unwrap())
}

fn email(text: &str) -> SanType {
    SanType::Rfc822Name(Ia5String::try_from(text).unwrap())
}

fn self_signed(params: &CertificateParams) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

fn identity(common_name: impl Into<DnValue>, names: Vec<SanType>) -> Identity {
    Identity::from_der(&certificate(common_name, names)).unwrap()
}

#[test]
fn every_kind_of_name_is_read() {
    let address = IpAddr::from([192, 0, 2, 7]);
    let found = identity(
        "Alice",
        vec![
            uri("spiffe://example.com/edge/1"),
            dns("Edge.Example.com"),
            email("alice@example.com"),
            SanType::IpAddress(address),
            SanType::IpAddress("2001:db8::1".parse().unwrap()),
        ],
    );
    assert_eq!(found.subject, "CN=Alice");
    assert_eq!(found.common_name.as_deref(), Some("Alice"));
    assert_eq!(found.uris, ["spiffe://example.com/edge/1"]);
    assert_eq!(found.dns, ["Edge.Example.com"]);
    assert_eq!(found.emails, ["alice@example.com"]);
    assert_eq!(found.ips, [address, "2001:db8::1".parse().unwrap()]);
    assert_eq!(
        found.spiffe_id.as_deref(),
        Some("spiffe://example.com/edge/1")
    );
    assert!(found.unusable.is_empty());
}

#[test]
fn fingerprints_serial_and_validity_are_those_of_the_certificate() {
    let mut params = CertificateParams::default();
    params.serial_number = Some(rcgen::SerialNumber::from_slice(&[0x00, 0xab, 0x01]));
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2026, 2, 1);
    let key = KeyPair::generate().unwrap();
    let der = params.self_signed(&key).unwrap().der().to_vec();
    let found = Identity::from_der(&der).unwrap();
    assert_eq!(found.fingerprint, Fingerprint::of(&der));
    let public_key = rcgen::PublicKeyData::subject_public_key_info(&key);
    assert_eq!(found.key_fingerprint, Fingerprint::of(&public_key));
    assert_eq!(found.serial, "ab01");
    assert_eq!(found.not_before, 1_767_225_600);
    assert_eq!(found.not_after, 1_769_904_000);
}

#[test]
fn fingerprint_shows_lower_case_hexadecimal() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(Fingerprint::of(b"").to_string(), empty);
    assert_eq!(format!("{:?}", Fingerprint::of(b"")), empty);
}

#[test]
fn subject_is_escaped_as_rfc_4514_says() {
    let cases = [
        ("a,b", r"CN=a\,b"),
        (r#"say "hi""#, r#"CN=say \"hi\""#),
        ("a;b+c<d>e=f", r"CN=a\;b\+c\<d\>e=f"),
        (r"a\b", r"CN=a\\b"),
        (" padded ", r"CN=\ padded\ "),
        ("#hash # inside", r"CN=\#hash # inside"),
        (" ", r"CN=\ "),
        ("", "CN="),
        ("a\0b", r"CN=a\00b"),
        ("a\r\nb", r"CN=a\0D\0Ab"),
        ("é", "CN=é"),
        ("a\u{2028}b\u{202e}c", r"CN=a\E2\80\A8b\E2\80\AEc"),
        ("\u{85}", r"CN=\C2\85"),
    ];
    for (name, subject) in cases {
        assert_eq!(identity(name, vec![]).subject, subject, "{name:?}");
    }
}

#[test]
fn subject_begins_with_the_most_specific_part() {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in [
        (DnType::CountryName, "NL"),
        (DnType::OrganizationName, "Ex, Inc."),
        (
            DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 25]),
            "test",
        ),
        (
            DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]),
            "a@b",
        ),
        (DnType::CustomDnType(vec![1, 3, 6, 1, 4, 1, 99_999]), "x"),
        (DnType::CommonName, "Bob"),
    ] {
        params.distinguished_name.push(kind, value);
    }
    let found = Identity::from_der(&self_signed(&params)).unwrap();
    assert_eq!(
        found.subject,
        r"CN=Bob,1.3.6.1.4.1.99999=#0c0178,emailAddress=a@b,DC=test,O=Ex\, Inc.,C=NL"
    );
}

#[test]
fn odd_string_types_are_read_as_what_they_are() {
    let cases: [(DnValue, &str); 4] = [
        (
            DnValue::BmpString(BmpString::try_from("žluť").unwrap()),
            "CN=žluť",
        ),
        (
            DnValue::UniversalString(UniversalString::try_from("𝕏").unwrap()),
            "CN=𝕏",
        ),
        (
            DnValue::TeletexString(TeletexString::try_from("plain").unwrap()),
            "CN=plain",
        ),
        (
            DnValue::BmpString(BmpString::try_from("a\0b").unwrap()),
            r"CN=a\00b",
        ),
    ];
    for (value, subject) in cases {
        assert_eq!(identity(value, vec![]).subject, subject);
    }
}

#[test]
fn string_that_cannot_be_decoded_is_written_as_bytes() {
    // A lone surrogate, put in place of the two characters of a well-formed name.
    let marker = DnValue::BmpString(BmpString::try_from("\u{4142}\u{4344}").unwrap());
    let mut der = certificate(marker, vec![]);
    while let Some(at) = der.windows(4).position(|bytes| bytes == b"ABCD") {
        der[at..at + 2].copy_from_slice(&[0xd8, 0x00]);
    }
    let found = Identity::from_der(&der).unwrap();
    assert_eq!(found.subject, "CN=#1e04d8004344");
    assert_eq!(found.common_name, None);
}

#[test]
fn name_with_control_characters_or_nul_is_shown_but_never_matched() {
    for bad in [
        "good.test\0.evil.test",
        "a\r\nX-Admin: 1",
        "a b",
        "",
        "\u{7f}",
    ] {
        let found = identity(bad, vec![dns(bad), uri(bad), email(bad), dns("good.test")]);
        assert_eq!(found.dns, ["good.test"]);
        assert!(found.uris.is_empty() && found.emails.is_empty(), "{bad:?}");
        assert!(found.unusable.len() >= 3);
        assert!(
            found
                .unusable
                .iter()
                .all(|name| !name.chars().any(char::is_control))
        );
    }
    let found = identity("Alice\0", vec![]);
    assert_eq!(found.common_name, None);
    assert_eq!(found.unusable, [r"CN:Alice\00"]);
}

#[test]
fn san_that_is_not_utf_8_is_shown_but_never_matched() {
    let mut params = CertificateParams::default();
    // subjectAltName: dNSName FF FE, uniformResourceIdentifier FF, iPAddress of three bytes.
    let content = [
        0x30, 0x0c, 0x82, 2, 0xff, 0xfe, 0x86, 1, 0xff, 0x87, 3, 1, 2, 3,
    ];
    params.custom_extensions = vec![CustomExtension::from_oid_content(
        &[2, 5, 29, 17],
        content.to_vec(),
    )];
    let found = Identity::from_der(&self_signed(&params)).unwrap();
    assert!(found.dns.is_empty() && found.uris.is_empty() && found.ips.is_empty());
    assert_eq!(found.unusable, ["[2]:fffe", "[6]:ff", "IP:010203"]);
}

#[test]
fn spiffe_id_needs_exactly_one_uri_that_is_well_formed() {
    let good = "spiffe://example.com/a/b-c_d.e";
    assert_eq!(
        identity("x", vec![uri(good), dns("d")])
            .spiffe_id
            .as_deref(),
        Some(good)
    );
    for bad in [
        "spiffe://example.com",
        "spiffe://example.com/",
        "spiffe:///a",
        "spiffe://EXAMPLE.com/a",
        "spiffe://user@example.com/a",
        "spiffe://example.com:1/a",
        "spiffe://example.com/a//b",
        "spiffe://example.com/a/../b",
        "spiffe://example.com/a?q",
        "spiffe://example.com/%41",
        "SPIFFE://example.com/a",
        "https://example.com/a",
    ] {
        assert_eq!(identity("x", vec![uri(bad)]).spiffe_id, None, "{bad}");
    }
    for second in ["https://example.com/", good, "broken\0"] {
        let found = identity("x", vec![uri(good), uri(second)]);
        assert_eq!(found.spiffe_id, None, "{second:?}");
    }
}

#[test]
fn display_name_prefers_spiffe_id_then_names_then_common_name_then_fingerprint() {
    let spiffe = "spiffe://example.com/a";
    let names = vec![email("m@x"), dns("d.test"), uri(spiffe)];
    assert_eq!(identity("Alice", names).display_name(), spiffe);
    let names = vec![email("m@x"), dns("d.test")];
    assert_eq!(identity("Alice", names).display_name(), "d.test");
    assert_eq!(identity("Alice", vec![email("m@x")]).display_name(), "m@x");
    assert_eq!(identity("Alice", vec![]).to_string(), "Alice");
    let nameless = identity("\0", vec![]);
    assert_eq!(
        nameless.display_name(),
        format!("sha256:{}", &nameless.fingerprint.to_string()[..16])
    );
}

#[test]
fn display_name_is_one_short_line() {
    let found = identity("é".repeat(8192), vec![]);
    assert_eq!(found.display_name().chars().count(), DISPLAY_LIMIT);
    assert!(found.display_name().ends_with('…'));
    let found = identity("x", vec![dns(&"d".repeat(8192))]);
    assert_eq!(found.display_name().chars().count(), DISPLAY_LIMIT);
}

#[test]
fn too_many_names_are_refused_rather_than_dropped() {
    let names = |count| (0..count).map(|n| dns(&format!("n{n}"))).collect();
    assert!(Identity::from_der(&certificate("x", names(NAMES_LIMIT))).is_ok());
    let refused = [
        certificate("x", names(NAMES_LIMIT + 1)),
        certificate("x", vec![dns(&"d".repeat(NAMES_BYTES_LIMIT))]),
        certificate("\n".repeat(NAMES_BYTES_LIMIT / 3), vec![]),
    ];
    for der in refused {
        assert_eq!(Identity::from_der(&der), Err(IdentityError::TooManyNames));
    }
}

#[test]
fn certificate_over_the_limit_is_refused() {
    let der = certificate("x".repeat(CERTIFICATE_LIMIT), vec![]);
    let bytes = der.len();
    assert_eq!(
        Identity::from_der(&der),
        Err(IdentityError::CertificateTooLong { bytes })
    );
}

#[test]
fn every_prefix_and_every_trailing_byte_is_refused() {
    let mut der = certificate("x", vec![uri("spiffe://example.com/a")]);
    for length in 0..der.len() {
        assert_eq!(
            Identity::from_der(&der[..length]),
            Err(IdentityError::Malformed)
        );
    }
    der.push(0);
    assert_eq!(Identity::from_der(&der), Err(IdentityError::Malformed));
}

#[test]
fn no_changed_byte_panics_or_lets_a_control_character_through() {
    let der = certificate("Alice", vec![uri("spiffe://example.com/a"), dns("d.test")]);
    for at in 0..der.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = der.clone();
            changed[at] ^= change;
            if let Ok(found) = Identity::from_der(&changed) {
                assert!(!found.display_name().chars().any(char::is_control));
                assert!(!found.subject.chars().any(char::is_control));
            }
        }
    }
}

#[test]
fn second_san_extension_is_refused() {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![dns("a.test")];
    params.custom_extensions = vec![CustomExtension::from_oid_content(
        &[2, 5, 29, 17],
        vec![0x30, 0x03, 0x82, 1, b'b'],
    )];
    assert_eq!(
        Identity::from_der(&self_signed(&params)),
        Err(IdentityError::Malformed)
    );
}
