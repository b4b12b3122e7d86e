//! Lists of revoked certificates, good and bad.

use super::{
    divided::{Kind, Part},
    echoes, open, revoke, with_list,
};
use crate::support::{Backend, Config, Credentials, Proxy, log, within};
use rcgen::{
    CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber,
};
use rustls::AlertDescription;
use tidegate::{
    cli::certs::{Issued, Validity},
    policy::identity::Identity,
    reload::Outcome,
};
use time::{Duration, OffsetDateTime};

/// A list in DER that was made and is to be replaced then, in seconds from now.
fn list(credentials: &Credentials, from: i64, until: i64, revoked: &[&Issued]) -> Vec<u8> {
    let now = OffsetDateTime::now_utc();
    let validity = Validity {
        not_before: now + Duration::seconds(from),
        not_after: now + Duration::seconds(until),
    };
    let entry = |issued: &&Issued| RevokedCertParams {
        serial_number: SerialNumber::from(issued.serial()),
        revocation_time: now,
        reason_code: None,
        invalidity_date: None,
    };
    let revoked = revoked.iter().map(entry).collect();
    let number = SerialNumber::from(1_u64);
    let list = credentials.ca.sign_crl(number, revoked, validity).unwrap();
    list.der().to_vec()
}

/// A list without entries, of any issuer.
fn empty_list(issuer: &Issuer<'_, KeyPair>) -> Vec<u8> {
    without_entries().signed_by(issuer).unwrap().der().to_vec()
}

fn without_entries() -> CertificateRevocationListParams {
    let now = OffsetDateTime::now_utc();
    CertificateRevocationListParams {
        this_update: now,
        next_update: now + Duration::days(1),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    }
}

/// A proxy, its configuration, and a way to give it lists.
pub(super) struct Listed {
    pub(super) proxy: Proxy,
    pub(super) config: Config,
}

impl Listed {
    pub(super) async fn new() -> (Self, Backend) {
        let backend = Backend::echo().await;
        let config = Config::to(&backend);
        let proxy = Proxy::start(config.clone());
        (Self { proxy, config }, backend)
    }

    /// Puts lists to use, with these lines of `[tls.clients]`.
    pub(super) async fn put(&self, lists: &[Vec<u8>], lines: &str) -> Outcome {
        let names: Vec<_> = (0..lists.len()).map(|n| format!("certs/{n}.crl")).collect();
        for (name, list) in names.iter().zip(lists) {
            self.proxy.folder.write(name, list);
        }
        let lines = format!("crl = {names:?}\n{lines}");
        let config = self.config.clone().set("tls.clients", &lines);
        self.proxy.folder.write("proxy.toml", config.text());
        self.proxy.try_reload().await
    }

    async fn admits(&self) {
        open(&self.proxy.dial(), "/").await;
    }

    /// Passes once clients are refused because a list has run out.
    async fn goes_stale(&self) {
        let unknown = [("result", "certificate_status_unknown")];
        let refused = async {
            while self.proxy.metric("tidegate_handshakes_total", &unknown) < 1.0 {
                // In TLS 1.3 the client learns of a refusal only after its own handshake.
                let _ = self.proxy.dial().try_session().await;
            }
        };
        within("the end of the list", refused).await;
    }

    async fn refuses_with(&self, alert: AlertDescription) {
        assert_eq!(self.proxy.dial().alert().await, alert);
    }

    /// Passes if a list does not cover the client: what `crl_missing` says decides.
    async fn learns_nothing_from(&self, list: Vec<u8>) {
        self.put(std::slice::from_ref(&list), "").await;
        self.refuses_with(AlertDescription::UnknownCA).await;
        self.put(&[list], "crl_missing = 'allow'").await;
        self.admits().await;
    }
}

/// Passes if a reload failed, and said this.
pub(super) fn failed(outcome: &Outcome, message: &str) {
    let Outcome::Failed { problems } = outcome else {
        panic!("not refused: {outcome:?}");
    };
    let said = |problem: &tidegate::config::Diagnostic| problem.message.contains(message);
    assert!(problems.iter().any(said), "{problems:?}");
}

#[tokio::test]
async fn an_emptied_list_clears_what_it_held() {
    let backend = Backend::echo().await;
    let (proxy, _) = with_list(&backend).await;
    let client = proxy.credentials.client.clone();
    revoke(&proxy, &[&client]).await;
    let alert = proxy.dial().alert().await;
    assert_eq!(alert, AlertDescription::CertificateRevoked);
    revoke(&proxy, &[]).await;
    open(&proxy.dial(), "/").await;
}

#[tokio::test]
async fn of_several_lists_of_one_issuer_the_newest_counts_wherever_it_is_named() {
    let (listed, _backend) = Listed::new().await;
    let ours = &listed.proxy.credentials;
    let old = list(ours, -1_000, 1_000, &[]);
    let new = list(ours, -10, 1_000, &[&ours.client]);
    for lists in [[old.clone(), new.clone()], [new, old]] {
        listed.put(&lists, "").await;
        listed
            .refuses_with(AlertDescription::CertificateRevoked)
            .await;
    }
}

#[tokio::test]
async fn the_end_of_a_list_that_a_newer_one_replaces_is_not_told() {
    let (listed, _backend) = Listed::new().await;
    let ours = &listed.proxy.credentials;
    let stale = list(ours, -1_000, -10, &[]);
    let newer = list(ours, -5, 1_000_000, &[]);
    listed.put(&[stale, newer], "").await;
    listed.admits().await;
    let path = |name| listed.proxy.folder.path(name).display().to_string();
    let (stale, newer) = (path("certs/0.crl"), path("certs/1.crl"));
    let name = "tidegate_certificate_expire_timestamp_seconds";
    let series = listed.proxy.series();
    let told = |path: &str| {
        let of_path = |series: &&String| series.starts_with(name) && series.contains(path);
        series.iter().any(|series| of_path(&series))
    };
    assert!(told(&newer) && !told(&stale), "{series:?}");
    let warned = log::lines(|line| line.message.contains(&stale));
    assert_eq!(warned.len(), 0, "{warned:?}");
}

#[tokio::test]
async fn a_list_past_its_time_refuses_unless_it_is_allowed() {
    let (listed, _backend) = Listed::new().await;
    let stale = list(&listed.proxy.credentials, -1_000, -10, &[]);
    listed.put(std::slice::from_ref(&stale), "").await;
    listed.refuses_with(AlertDescription::UnknownCA).await;
    listed.put(&[stale], "crl_expired = 'allow'").await;
    listed.admits().await;
}

#[tokio::test]
async fn a_list_that_goes_stale_refuses_new_clients_and_leaves_open_sockets() {
    let (listed, _backend) = Listed::new().await;
    let short = list(&listed.proxy.credentials, -1_000, 2, &[]);
    listed.put(&[short], "").await;
    let mut socket = open(&listed.proxy.dial(), "/").await;
    listed.goes_stale().await;
    echoes(&mut socket).await;
}

#[tokio::test]
async fn the_older_part_of_a_divided_list_counts_to_its_end() {
    let (listed, _backend) = Listed::new().await;
    let ours = &listed.proxy.credentials;
    let of = |kind, from, until| Part::of(kind).from(from).until(until).sign(ours);
    let clients = of(Kind::Leaves, -1_000, 2);
    let authorities = of(Kind::Authorities, -10, 1_000);
    listed.put(&[clients, authorities], "").await;
    listed.admits().await;
    let path = listed.proxy.folder.path("certs/0.crl");
    let ends = |line: &log::Line| {
        line.message.contains("expires soon") && line.field("name") == path.display().to_string()
    };
    assert_eq!(log::lines(ends).len(), 1);
    listed.goes_stale().await;
}

#[tokio::test]
async fn a_list_that_is_stale_within_two_days_is_warned_of() {
    let (listed, _backend) = Listed::new().await;
    let ours = &listed.proxy.credentials;
    let folder = listed.proxy.folder.path("").display().to_string();
    let warned = || {
        let of_list = |line: &log::Line| {
            line.message.contains("expires soon") && line.field("name").starts_with(&folder)
        };
        log::lines(of_list).len()
    };
    listed.put(&[list(ours, -10, 3 * 86_400, &[])], "").await;
    assert_eq!(warned(), 0);
    listed.put(&[list(ours, -5, 86_400, &[])], "").await;
    assert_eq!(warned(), 1);
}

#[tokio::test]
async fn a_stale_list_that_is_allowed_still_revokes() {
    let (listed, _backend) = Listed::new().await;
    let ours = &listed.proxy.credentials;
    let stale = list(ours, -1_000, -10, &[&ours.client]);
    listed.put(&[stale], "crl_expired = 'allow'").await;
    listed
        .refuses_with(AlertDescription::CertificateRevoked)
        .await;
}

#[tokio::test]
async fn clients_of_an_issuer_without_a_list_are_refused_unless_that_is_allowed() {
    let (listed, _backend) = Listed::new().await;
    let ours = &listed.proxy.credentials;
    let other = Credentials::new();
    let both = [ours.ca.certificate_pem(), other.ca.certificate_pem()].concat();
    listed.proxy.folder.write("certs/ca.pem", both);
    let of_other = list(&other, -10, 1_000, &[]);
    listed.learns_nothing_from(of_other).await;
}

#[tokio::test]
async fn a_bad_list_is_refused_and_the_old_one_stays() {
    let (listed, _backend) = Listed::new().await;
    let ours = &listed.proxy.credentials;
    let revoking = list(ours, -10, 1_000, &[&ours.client]);
    listed.put(&[revoking], "").await;
    let whole = list(ours, -5, 1_000, &[]);
    let other_key = KeyPair::generate().unwrap();
    let namesake = Issuer::from_ca_cert_der(ours.ca.certificate(), other_key);
    let namesake = empty_list(&namesake.unwrap());
    let cut = whole.split_at(whole.len() / 2).0.to_vec();
    let longer = [whole.clone(), vec![0]].concat();
    let pem = ours.ca.crl(&[]).unwrap();
    let cut_pem = pem.split_at(pem.len() / 2).0.as_bytes().to_vec();
    for (list, message) in [
        (cut, "not a whole CRL"),
        (longer, "not a whole CRL"),
        (cut_pem, "line 1: the block \"X509 CRL\" does not end"),
        (
            b"-----BEGIN NONSENSE-----\n".to_vec(),
            "line 1: the block \"NONSENSE\" is not understood",
        ),
        (b"# none yet\n".to_vec(), "no whole CRL"),
        (namesake, "is not signed by the CA of that name"),
        (vec![0x30; 50 << 20], "the file has 52428800 bytes"),
    ] {
        let outcome = listed.put(&[list], "").await;
        failed(&outcome, message);
        listed
            .refuses_with(AlertDescription::CertificateRevoked)
            .await;
    }
}

#[tokio::test]
async fn lists_of_none_of_the_cas_are_refused_as_a_mix_up() {
    let (listed, _backend) = Listed::new().await;
    let ca = KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::default();
    parameters
        .distinguished_name
        .push(rcgen::DnType::CommonName, "Somebody else");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = Issuer::new(parameters, ca);
    let foreign = empty_list(&issuer);
    let outcome = listed.put(std::slice::from_ref(&foreign), "").await;
    failed(&outcome, "no CRL is of a CA in tls.clients.ca");
    listed.admits().await;
    // Beside the CA's own it may be an intermediate's.
    let own = list(&listed.proxy.credentials, -10, 1_000, &[]);
    let outcome = listed.put(&[foreign, own], "").await;
    assert!(matches!(
        outcome,
        Outcome::Done { .. } | Outcome::Unchanged { .. }
    ));
    listed.admits().await;
}

/// A certificate of the CA for this key, in PEM, that ends so many days from now.
fn ca_certificate(credentials: &Credentials, key: &KeyPair, days: i64) -> String {
    let ca = Identity::from_der(credentials.ca.certificate()).unwrap();
    let mut parameters = rcgen::CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let names = &mut parameters.distinguished_name;
    names.push(rcgen::DnType::CommonName, ca.common_name.unwrap());
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.not_after = OffsetDateTime::now_utc() + Duration::days(days);
    parameters.self_signed(key).unwrap().pem()
}

/// The CA with another key: who signs for it, and its certificate.
fn with_another_key(credentials: &Credentials) -> (Issuer<'static, KeyPair>, String) {
    let key = KeyPair::generate().unwrap();
    let pem = ca_certificate(credentials, &key, 9);
    let issuer = Issuer::from_ca_cert_der(credentials.ca.certificate(), key).unwrap();
    (issuer, pem)
}

#[tokio::test]
async fn a_ca_that_has_changed_its_key_has_a_list_for_each() {
    let (listed, _backend) = Listed::new().await;
    let ours = &listed.proxy.credentials;
    let (renewed, new_pem) = with_another_key(ours);
    let old = list(ours, -10, 1_000, &[]);
    let new = empty_list(&renewed);
    let old_pem = ours.ca.certificate_pem();
    for pem in [[old_pem, &*new_pem], [&*new_pem, old_pem]] {
        listed.proxy.folder.write("certs/ca.pem", pem.concat());
        listed.put(&[new.clone(), old.clone()], "").await;
        listed.admits().await;
    }
    let revoking = list(ours, -5, 1_000, &[&ours.client]);
    listed.put(&[new, revoking], "").await;
    listed
        .refuses_with(AlertDescription::CertificateRevoked)
        .await;
}

#[tokio::test]
async fn the_list_of_one_key_of_a_ca_is_none_of_the_other() {
    let (listed, _backend) = Listed::new().await;
    let ours = &listed.proxy.credentials;
    let (renewed, new_pem) = with_another_key(ours);
    let old_pem = ours.ca.certificate_pem();
    for pem in [[old_pem, &*new_pem], [&*new_pem, old_pem]] {
        listed.proxy.folder.write("certs/ca.pem", pem.concat());
        let of_new = empty_list(&renewed);
        listed.learns_nothing_from(of_new).await;
    }
}

#[tokio::test]
async fn clients_of_an_expired_ca_are_admitted_and_the_log_warns_of_it() {
    let (listed, _backend) = Listed::new().await;
    let ours = &listed.proxy.credentials;
    let key = KeyPair::from_pem(&ours.ca.key_pem()).unwrap();
    let expired = ca_certificate(ours, &key, -1);
    listed.proxy.folder.write("certs/ca.pem", expired);
    listed.proxy.reload().await;
    listed.admits().await;
    let path = listed.proxy.folder.path("certs/ca.pem");
    let path = path.display().to_string();
    let said = "clients of this CA are admitted all the same";
    let warned = log::lines(|line| line.message.contains(&path) && line.message.contains(said));
    assert_eq!(warned.len(), 1, "{warned:?}");
}
