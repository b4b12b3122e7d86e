//! Lists that are for some of a CA's certificates, beside the whole one and alone.

use super::{closes_with, lists::Listed, open};
use crate::support::{Authority, Credentials, authority};
use rcgen::{CertificateParams, CrlDistributionPoint, SigningKey as _};
use rustls::AlertDescription;
use std::sync::Arc;
use tidegate::cli::certs::Issued;
use time::{Duration, OffsetDateTime, macros::format_description};
use x509_parser::prelude::{FromDer as _, X509Certificate};

const A: &str = "http://crl.example/a";
const B: &str = "http://crl.example/b";
/// Times of a list beside one that is from a hundred seconds ago: older, as old, newer.
const AGES: [i64; 3] = [-200, -100, -50];

/// What kind of certificate a list is for.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    All,
    Leaves,
    Authorities,
}

/// A list in DER, made by hand: rcgen writes none for a kind alone.
pub(super) struct Part {
    kind: Kind,
    point: Option<&'static str>,
    is_delta: bool,
    from: i64,
    until: i64,
    revoked: Vec<Vec<u8>>,
}

impl Part {
    pub(super) fn of(kind: Kind) -> Self {
        Self {
            kind,
            point: None,
            is_delta: false,
            from: -100,
            until: 1_000,
            revoked: Vec::new(),
        }
    }

    fn at(point: Option<&'static str>) -> Self {
        Self {
            point,
            ..Self::of(Kind::All)
        }
    }

    pub(super) fn from(mut self, seconds: i64) -> Self {
        self.from = seconds;
        self
    }

    pub(super) fn until(mut self, seconds: i64) -> Self {
        self.until = seconds;
        self
    }

    fn delta(mut self) -> Self {
        self.is_delta = true;
        self
    }

    fn revoking(mut self, issued: &Issued) -> Self {
        self.revoked.push(issued.serial());
        self
    }

    pub(super) fn sign(&self, credentials: &Credentials) -> Vec<u8> {
        self.sign_as(&Authority::of(credentials))
    }

    /// RFC 5280 section 5.1, with ECDSA and SHA-256, whether the CA may sign lists or not.
    pub(super) fn sign_as(&self, authority: &Authority) -> Vec<u8> {
        let (_, ca) = X509Certificate::from_der(&authority.certificate).unwrap();
        let algorithm = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
        let entries = self.revoked.iter();
        let entries: Vec<u8> = entries
            .flat_map(|serial| tlv(0x30, &[&tlv(2, &[serial]), &time(-100)]))
            .collect();
        let signed = tlv(
            0x30,
            &[
                &[2, 1, 1],
                &algorithm,
                ca.subject().as_raw(),
                &time(self.from),
                &time(self.until),
                &if entries.is_empty() {
                    Vec::new()
                } else {
                    tlv(0x30, &[&entries])
                },
                &tlv(
                    0xa0,
                    &[&tlv(0x30, &[&number(), &self.scope(), &self.base()])],
                ),
            ],
        );
        let signature = authority.issuer.key().sign(&signed).unwrap();
        tlv(0x30, &[&signed, &algorithm, &tlv(3, &[&[0], &signature])])
    }

    /// RFC 5280 section 5.2.4: the number of the list that it says the changes since of.
    fn base(&self) -> Vec<u8> {
        if !self.is_delta {
            return Vec::new();
        }
        let head = [6, 3, 0x55, 0x1d, 0x1b, 1, 1, 0xff];
        tlv(0x30, &[&head, &tlv(4, &[&[2, 1, 1]])])
    }

    /// RFC 5280 section 5.2.5.
    fn scope(&self) -> Vec<u8> {
        let point = self.point.map(|uri| {
            let name = tlv(0xa0, &[&tlv(0x86, &[uri.as_bytes()])]);
            tlv(0xa0, &[&name])
        });
        let kind: &[u8] = match self.kind {
            Kind::All => &[],
            Kind::Leaves => &[0x81, 1, 0xff],
            Kind::Authorities => &[0x82, 1, 0xff],
        };
        if point.is_none() && kind.is_empty() {
            return Vec::new();
        }
        let scope = tlv(0x30, &[&point.unwrap_or_default(), kind]);
        tlv(
            0x30,
            &[&[6, 3, 0x55, 0x1d, 0x1c, 1, 1, 0xff], &tlv(4, &[&scope])],
        )
    }
}

/// The extension with the number of the list: the same for all.
fn number() -> Vec<u8> {
    tlv(0x30, &[&[6, 3, 0x55, 0x1d, 0x14], &tlv(4, &[&[2, 1, 1]])])
}

fn time(seconds: i64) -> Vec<u8> {
    let at = OffsetDateTime::now_utc() + Duration::seconds(seconds);
    let format = format_description!("[year][month][day][hour][minute][second]Z");
    tlv(0x18, &[at.format(format).unwrap().as_bytes()])
}

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let header = match length {
        [0, short @ 0..=127] => vec![tag, short],
        [0, longer] => vec![tag, 0x81, longer],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [header, content].concat()
}

/// A client of the CA whose certificate names this distribution point, if any.
fn client(credentials: &Credentials, point: Option<&str>) -> Arc<Issued> {
    let with_point = |parameters: &mut CertificateParams| {
        let uris = point.map(|uri| vec![uri.to_owned()]);
        let points = uris.map(|uris| CrlDistributionPoint { uris });
        parameters.crl_distribution_points = points.into_iter().collect();
        authority::uri(parameters, "spiffe://test/alice");
    };
    Arc::new(Authority::of(credentials).client("Alice", with_point))
}

/// What becomes of a client under these lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Admitted,
    Revoked,
    Unknown,
}

impl Listed {
    /// Puts lists to use, in this order and the other, and looks what becomes of a client.
    async fn fate(&self, client: &Arc<Issued>, lists: &[Vec<u8>], lines: &str) -> Fate {
        let there = self.fate_once(client, lists, lines).await;
        let mut reversed = lists.to_vec();
        reversed.reverse();
        let back = self.fate_once(client, &reversed, lines).await;
        assert_eq!(there, back, "the order in the file decides");
        there
    }

    async fn fate_once(&self, client: &Arc<Issued>, lists: &[Vec<u8>], lines: &str) -> Fate {
        let outcome = self.put(lists, lines).await;
        let failed = matches!(outcome, tidegate::reload::Outcome::Failed { .. });
        assert!(!failed, "{outcome:?}");
        let dial = self.proxy.dial().identity(client.clone());
        let mut wire = dial.connect().await;
        wire.send(&crate::support::Upgrade::to("/").bytes()).await;
        match wire.try_read_head().await {
            Ok(head) => {
                assert_eq!(head.status(), 101, "{head}");
                Fate::Admitted
            }
            Err(_) => match dial.alert().await {
                AlertDescription::CertificateRevoked => Fate::Revoked,
                AlertDescription::UnknownCA => Fate::Unknown,
                other => panic!("{other:?}"),
            },
        }
    }
}

#[tokio::test]
async fn a_part_of_a_list_never_hides_the_whole_one() {
    let (listed, _backend) = Listed::new().await;
    let ours = &listed.proxy.credentials;
    for point in [None, Some(A)] {
        let client = client(ours, point);
        let whole = Part::at(None).revoking(&client).sign(ours);
        for (part, age) in [A, B]
            .into_iter()
            .flat_map(|part| AGES.map(|age| (part, age)))
        {
            let part_of = Part::at(Some(part)).from(age).sign(ours);
            let fate = listed.fate(&client, &[whole.clone(), part_of], "").await;
            assert_eq!(fate, Fate::Revoked, "point {point:?}, part {part}, {age} s");
        }
    }
}

#[tokio::test]
async fn the_whole_list_never_hides_the_part_that_a_certificate_names() {
    let (listed, _backend) = Listed::new().await;
    let ours = &listed.proxy.credentials;
    for (point, expected) in [(None, Fate::Admitted), (Some(A), Fate::Revoked)] {
        let client = client(ours, point);
        let whole = Part::at(None).sign(ours);
        for age in AGES {
            let part = Part::at(Some(A)).from(age).revoking(&client).sign(ours);
            let fate = listed.fate(&client, &[whole.clone(), part], "").await;
            assert_eq!(fate, expected, "point {point:?}, {age} s");
        }
    }
}

#[tokio::test]
async fn a_part_of_a_list_tells_only_of_certificates_that_name_its_point() {
    let (listed, _backend) = Listed::new().await;
    let ours = &listed.proxy.credentials;
    for (point, part, expected) in [
        (None, A, Fate::Unknown),
        (None, B, Fate::Unknown),
        (Some(A), A, Fate::Admitted),
        (Some(A), B, Fate::Unknown),
    ] {
        let client = client(ours, point);
        let list = Part::at(Some(part)).sign(ours);
        let fate = listed.fate(&client, std::slice::from_ref(&list), "").await;
        assert_eq!(fate, expected, "point {point:?}, part {part}");
        let fate = listed.fate(&client, &[list], "crl_missing = 'allow'").await;
        assert_eq!(fate, Fate::Admitted, "point {point:?}, part {part}");
    }
}

#[tokio::test]
async fn of_two_parts_for_one_point_the_newer_counts() {
    let (listed, _backend) = Listed::new().await;
    let ours = &listed.proxy.credentials;
    let client = client(ours, Some(A));
    let revoking = Part::at(Some(A)).revoking(&client).sign(ours);
    for (age, expected) in [(-200, Fate::Revoked), (-50, Fate::Admitted)] {
        let emptied = Part::at(Some(A)).from(age).sign(ours);
        let fate = listed.fate(&client, &[revoking.clone(), emptied], "").await;
        assert_eq!(fate, expected, "{age} s");
    }
}

#[tokio::test]
async fn lists_for_clients_or_for_cas_alone_are_read_and_tell_of_nobody_else() {
    let (listed, _backend) = Listed::new().await;
    let ours = &listed.proxy.credentials;
    let client = client(ours, None);
    let revoking = |kind| Part::of(kind).revoking(&client).sign(ours);
    for (kind, expected) in [
        (Kind::Leaves, Fate::Revoked),
        (Kind::Authorities, Fate::Unknown),
    ] {
        let fate = listed.fate(&client, &[revoking(kind)], "").await;
        assert_eq!(fate, expected);
    }
    let clean = Part::of(Kind::Leaves).sign(ours);
    let lists = [clean, revoking(Kind::Authorities)];
    assert_eq!(listed.fate(&client, &lists, "").await, Fate::Admitted);
}

#[tokio::test]
async fn a_socket_whose_ca_has_only_parts_left_ends_as_its_client_would_be_refused() {
    let (listed, _backend) = Listed::new().await;
    let ours = &listed.proxy.credentials;
    let (with, without) = (client(ours, Some(A)), client(ours, None));
    let dial = listed.proxy.dial();
    let mut covered = open(&dial.clone().identity(with), "/").await;
    let mut uncovered = open(&dial.identity(without), "/").await;
    listed.put(&[Part::at(Some(A)).sign(ours)], "").await;
    closes_with(
        &mut uncovered,
        "the client's certificate is no longer allowed",
    )
    .await;
    super::echoes(&mut covered).await;
}

#[tokio::test]
async fn a_delta_list_revokes_and_is_no_substitute_for_the_whole_one() {
    let (listed, _backend) = Listed::new().await;
    let ours = &listed.proxy.credentials;
    let client = client(ours, None);
    let whole = Part::at(None).sign(ours);
    for age in AGES {
        let delta = Part::at(None).delta().from(age);
        let empty = delta.sign(ours);
        let fate = listed.fate(&client, &[whole.clone(), empty], "").await;
        assert_eq!(fate, Fate::Admitted, "{age} s");
        let revoking = delta.revoking(&client).sign(ours);
        let fate = listed.fate(&client, &[whole.clone(), revoking], "").await;
        assert_eq!(fate, Fate::Revoked, "{age} s");
    }
    let alone = Part::at(None).delta().sign(ours);
    let outcome = listed.put(&[alone], "").await;
    super::lists::failed(&outcome, "no CRL is of a CA in tls.clients.ca");
}
