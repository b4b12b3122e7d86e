//! CAs that may give some names alone, and other certificates that are out of the ordinary.

use super::open;
use crate::support::{Authority, Backend, Config, Dial, Line, Proxy, authority::uri};
use rcgen::{CertificateParams, CustomExtension, DnType, SanType};
use rustls::{AlertDescription, pki_types::CertificateDer};
use std::sync::Arc;

/// RFC 5280 section 4.2.1.10, of URIs, critical.
fn uris(parameters: &mut CertificateParams, permitted: &[&str], excluded: &[&str]) {
    let content = subtrees(0xa0, permitted)
        .into_iter()
        .chain(subtrees(0xa1, excluded));
    add(parameters, 30, tlv(0x30, &content.collect::<Vec<_>>()));
}

fn subtrees(tag: u8, bases: &[&str]) -> Vec<u8> {
    let bases = bases.iter();
    let content: Vec<u8> = bases
        .flat_map(|base| tlv(0x30, &tlv(0x86, base.as_bytes())))
        .collect();
    if content.is_empty() {
        return content;
    }
    tlv(tag, &content)
}

/// A critical extension below id-ce.
fn add(parameters: &mut CertificateParams, number: u64, value: Vec<u8>) {
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, number], value);
    extension.set_criticality(true);
    parameters.custom_extensions.push(extension);
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap();
    assert!(length < 128);
    [&[tag, length], content].concat()
}

/// A proxy that trusts its own CA, and another.
async fn trusting(root: &Authority) -> (Proxy, Backend) {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let both = [proxy.credentials.ca.certificate_pem(), &root.pem()].concat();
    proxy.folder.write("certs/ca.pem", both);
    proxy.reload().await;
    (proxy, backend)
}

async fn refuses(proxy: &Proxy, dial: &Dial, words: &str) {
    assert_eq!(dial.alert().await, AlertDescription::CertificateUnknown);
    let said = |line: &Line| line.field("detail").contains(words);
    proxy.wait_line(said).await;
}

/// Who has a constrained CA's key could send it twice: as it was signed, and as the proxy shows it
/// to the library, without the constraint. The second was never signed.
#[tokio::test]
async fn a_ca_whose_constraints_were_rewritten_is_not_believed_beside_the_one_that_was_signed() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let plain = Authority::of(&proxy.credentials);
    let signed = plain.below("Constrained", |it| uris(it, &["example.org"], &[]));
    let mut bytes = signed.certificate.to_vec();
    let base = tlv(0x86, b"example.org");
    let at = bytes.windows(base.len()).position(|it| it == base).unwrap();
    bytes[at] = 0x88;
    let rewritten = CertificateDer::from(bytes);
    let outside = Arc::new(signed.client("A", |it| uri(it, "spiffe://other.org/a")));
    let signed = signed.certificate.clone();
    for chain in [
        vec![rewritten.clone()],
        vec![rewritten.clone(), signed.clone()],
        vec![signed, rewritten],
    ] {
        let dial = proxy.dial().identity(outside.clone()).behind(chain);
        assert_eq!(dial.alert().await, AlertDescription::DecryptError);
    }
}

const EXCLUDED: &str = "a name that the name constraints of its CA exclude";

#[tokio::test]
async fn a_spiffe_ca_with_name_constraints_issues_in_its_trust_domain_alone() {
    let names = [
        ("spiffe://example.org/edge/a", true),
        ("spiffe://EXAMPLE.org/edge/a", true),
        ("spiffe://other.org/edge/a", false),
        ("spiffe://sub.example.org/edge/a", false),
        ("spiffe://example.org.evil.org/edge/a", false),
        ("spiffe://other.org/spiffe://example.org", false),
        ("urn:example.org", false),
    ];
    let within = |it: &mut CertificateParams| uris(it, &["example.org"], &[]);
    let root = Authority::root("Constrained root", within);
    let (proxy, _backend) = trusting(&root).await;
    let plain = Authority::of(&proxy.credentials);
    let between = plain.below("Constrained between", within);
    for (name, admitted) in names {
        let of_root = proxy.dial().identity(root.client("A", |it| uri(it, name)));
        let below = proxy
            .dial()
            .identity(between.client("A", |it| uri(it, name)));
        let below = below.behind(vec![between.certificate.clone()]);
        for dial in [of_root, below] {
            if admitted {
                open(&dial, "/").await;
            } else {
                refuses(&proxy, &dial, EXCLUDED).await;
            }
        }
    }
}

#[tokio::test]
async fn what_a_ca_may_not_name_is_refused_whatever_it_may() {
    let root = Authority::root("Excluding root", |it| {
        uris(it, &[".example.org"], &["b.example.org"]);
    });
    let (proxy, _backend) = trusting(&root).await;
    let dial = |name| proxy.dial().identity(root.client("A", |it| uri(it, name)));
    open(&dial("spiffe://a.example.org/x"), "/").await;
    refuses(&proxy, &dial("spiffe://b.example.org/x"), EXCLUDED).await;
}

#[tokio::test]
async fn a_ca_for_one_organisation_issues_nobody_of_another() {
    let organisation = |name: &str| {
        let mut subject = rcgen::DistinguishedName::new();
        subject.push(DnType::OrganizationName, name);
        subject
    };
    let root = Authority::root("Of one organisation", |it| {
        it.name_constraints = Some(rcgen::NameConstraints {
            permitted_subtrees: vec![rcgen::GeneralSubtree::DirectoryName(organisation("Ours"))],
            excluded_subtrees: Vec::new(),
        });
    });
    let (proxy, _backend) = trusting(&root).await;
    for (name, admitted) in [("Ours", true), ("OURS", true), ("Theirs", false)] {
        let client = root.client("A", |it| {
            it.distinguished_name = organisation(name);
            it.distinguished_name.push(DnType::CommonName, "Alice");
        });
        let dial = proxy.dial().identity(client);
        if admitted {
            open(&dial, "/").await;
        } else {
            refuses(&proxy, &dial, EXCLUDED).await;
        }
    }
}

#[tokio::test]
async fn constraints_of_other_names_stay_in_force_beside_those_of_uris() {
    let root = Authority::root("Of two forms", |it| {
        let dns = tlv(0x30, &tlv(0x82, b"example.org"));
        let uri = tlv(0x30, &tlv(0x86, b"example.org"));
        add(it, 30, tlv(0x30, &tlv(0xa0, &[dns, uri].concat())));
    });
    let (proxy, _backend) = trusting(&root).await;
    for (name, admitted) in [("a.example.org", true), ("a.other.org", false)] {
        let client = root.client("A", |it| {
            let name = SanType::DnsName(name.try_into().unwrap());
            it.subject_alt_names.push(name);
            uri(it, "spiffe://example.org/a");
        });
        let dial = proxy.dial().identity(client);
        if admitted {
            open(&dial, "/").await;
        } else {
            refuses(&proxy, &dial, EXCLUDED).await;
        }
    }
}

#[tokio::test]
async fn critical_policies_are_accepted_and_other_critical_extensions_are_not() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let root = Authority::of(&proxy.credentials);
    // anyPolicy.
    let policies = tlv(0x30, &tlv(0x30, &[6, 4, 0x55, 0x1d, 0x20, 0]));
    let between = root.below("Between", |it| add(it, 32, policies.clone()));
    let behind = vec![between.certificate.clone()];
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = between.client("A", |it| add(it, 32, policies.clone()));
        let dial = proxy.dial().identity(client).behind(behind.clone());
        open(&dial.version(version), "/").await;
    }
    // policyConstraints: requireExplicitPolicy.
    let explicit = tlv(0x30, &[0x80, 1, 0]);
    let client = between.client("A", |it| add(it, 36, explicit));
    let dial = proxy.dial().identity(client).behind(behind);
    refuses(&proxy, &dial, "a critical extension that is not known").await;
}

#[tokio::test]
async fn a_client_whose_certificate_is_a_cas_is_refused_in_words() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let root = Authority::of(&proxy.credentials);
    let client = root.client("A", |it| {
        it.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    });
    let dial = proxy.dial().identity(client);
    refuses(&proxy, &dial, "is a CA's (basicConstraints has cA)").await;
}
