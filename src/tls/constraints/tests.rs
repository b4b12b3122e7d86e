//! Names and the constraints that hold them.

use super::*;
use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair};
use x509_parser::prelude::FromDer;

const UNCLEAR: Below = Err(Violation);

#[test]
fn a_uri_is_below_its_host_or_the_domain_that_its_host_is_in() {
    for (uri, base, below) in [
        ("spiffe://a.org/x", "a.org", Ok(true)),
        ("spiffe://A.org", "a.ORG", Ok(true)),
        ("https://me@a.org:443/x", "a.org", Ok(true)),
        ("spiffe://b.a.org/x", "a.org", Ok(false)),
        ("spiffe://b.a.org/x", ".a.org", Ok(true)),
        ("spiffe://c.b.a.org/x", ".a.org", Ok(true)),
        ("spiffe://a.org/x", ".a.org", Ok(false)),
        ("spiffe://ba.org/x", ".a.org", Ok(false)),
        ("spiffe://b.org/a.org", "a.org", Ok(false)),
        ("spiffe://b.org#@a.org", "a.org", Ok(false)),
        ("spiffe://a.org@b.org", "a.org", Ok(false)),
        ("urn:a.org", "a.org", UNCLEAR),
        ("spiffe:/a.org", "a.org", UNCLEAR),
        ("a.org", "a.org", UNCLEAR),
        ("spiffe:///x", "a.org", UNCLEAR),
        ("https://192.0.2.1/", "192.0.2.1", UNCLEAR),
        ("https://[2001:db8::1]/", "a.org", UNCLEAR),
        ("spiffe://a%2eorg/x", "a.org", UNCLEAR),
        ("spiffe://a.org./x", "a.org", UNCLEAR),
        ("spiffe://a.org:x/", "a.org", UNCLEAR),
        ("spiffe://a.org\\.b.org/", "a.org", UNCLEAR),
        ("spiffe://a.org", "", UNCLEAR),
        ("spiffe://a.org", ".", UNCLEAR),
        ("spiffe://a.org", "spiffe://a.org", UNCLEAR),
        ("spiffe://a.org", "*.org", UNCLEAR),
    ] {
        assert_eq!(uri_is_below(uri, base), below, "{uri} below {base}");
    }
}

#[test]
fn an_address_is_below_itself_its_host_or_its_domain() {
    for (address, base, below) in [
        ("Me@a.org", "Me@A.org", Ok(true)),
        ("me@a.org", "Me@a.org", Ok(false)),
        ("me@a.org", "a.org", Ok(true)),
        ("me@b.a.org", "a.org", Ok(false)),
        ("me@b.a.org", ".a.org", Ok(true)),
        ("me@a.org", ".a.org", Ok(false)),
        ("me", "a.org", UNCLEAR),
        ("mé@a.org", "me@a.org", UNCLEAR),
        ("me@a.org", "", UNCLEAR),
    ] {
        assert_eq!(
            email_is_below(address, base),
            below,
            "{address} below {base}"
        );
    }
}

/// A certificate with these organisations and units as its subject.
fn certificate(parts: &[(DnType, DnValue)]) -> Vec<u8> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    for (kind, value) in parts {
        parameters
            .distinguished_name
            .push(kind.clone(), value.clone());
    }
    let key = KeyPair::generate().unwrap();
    parameters.self_signed(&key).unwrap().der().to_vec()
}

fn utf8(text: &str) -> DnValue {
    DnValue::Utf8String(text.to_owned())
}

#[test]
fn a_directory_name_is_below_what_it_begins_with() {
    let organisation = |value| (DnType::OrganizationName, value);
    let printable = DnValue::PrintableString("A  Company".try_into().unwrap());
    let base = certificate(&[organisation(printable)]);
    let unit = (DnType::OrganizationalUnitName, utf8("B"));
    for (name, below) in [
        (vec![organisation(utf8("a company "))], Ok(true)),
        (
            vec![organisation(utf8("A Company")), unit.clone()],
            Ok(true),
        ),
        (vec![organisation(utf8("ACompany"))], Ok(false)),
        (vec![organisation(utf8("A Çompany"))], UNCLEAR),
        (vec![unit], Ok(false)),
        (vec![], Ok(false)),
    ] {
        let der = certificate(&name);
        let (_, name) = X509Certificate::from_der(&der).unwrap();
        let (_, base) = X509Certificate::from_der(&base).unwrap();
        let found = directory_is_below(name.subject(), base.subject());
        assert_eq!(found, below, "{}", name.subject());
    }
}
