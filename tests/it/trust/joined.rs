//! Files that `cat` has joined, and files that have less than before.

use super::{echoes, open, with_list};
use crate::support::{Backend, Config, Proxy, log};
use rustls::AlertDescription;
use tidegate::{
    cli::certs::{DevelopmentCa, KeyAlgorithm},
    reload::Outcome,
};

/// One file after the other, of which none ends with a line break.
fn joined(files: &[&str]) -> String {
    files.iter().map(|file| file.trim_end()).collect()
}

fn stranger() -> DevelopmentCa {
    DevelopmentCa::new(KeyAlgorithm::Ecdsa).unwrap()
}

fn warnings(outcome: &Outcome) -> Vec<String> {
    let Outcome::Done { warnings, .. } = outcome else {
        panic!("not reloaded: {outcome:?}");
    };
    warnings.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn the_second_of_two_joined_lists_revokes() {
    let backend = Backend::echo().await;
    let (proxy, config) = with_list(&backend).await;
    let ours = &proxy.credentials;
    let lists = joined(&[
        &stranger().crl(&[]).unwrap(),
        &ours.ca.crl(&[&ours.client]).unwrap(),
    ]);
    proxy.folder.write("certs/ca.crl", &lists);
    let lines = "crl = ['certs/ca.crl']\ncrl_missing = 'allow'";
    proxy.apply(&config.set("tls.clients", lines)).await;
    let alert = proxy.dial().alert().await;
    assert_eq!(alert, AlertDescription::CertificateRevoked);
}

#[tokio::test]
async fn clients_of_the_second_of_two_joined_cas_stay() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut socket = open(&proxy.dial(), "/").await;
    let ours = proxy.credentials.ca.certificate_pem();
    let both = joined(&[stranger().certificate_pem(), ours]);
    proxy.folder.write("certs/ca.pem", both);
    proxy.reload().await;
    echoes(&mut socket).await;
    open(&proxy.dial(), "/").await;
}

#[tokio::test]
async fn a_block_of_cas_that_is_not_understood_refuses_the_reload() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut socket = open(&proxy.dial(), "/").await;
    let ours = proxy.credentials.ca.certificate_pem();
    let trusted = ours.replace(" CERTIFICATE-", " TRUSTED CERTIFICATE-");
    let list = proxy.credentials.ca.crl(&[]).unwrap();
    for (file, message) in [
        (trusted, "line 1: the block \"TRUSTED CERTIFICATE\""),
        (
            ours.replace("-----BEGIN", "----BEGIN"),
            "line 1: this resembles a BEGIN",
        ),
        (
            format!("\n\n{list}"),
            "line 3: a revocation list has no place",
        ),
    ] {
        proxy.folder.write("certs/ca.pem", file);
        let outcome = proxy.try_reload().await;
        let Outcome::Failed { problems } = outcome else {
            panic!("reloaded: {message}");
        };
        let told: String = problems.iter().map(ToString::to_string).collect();
        assert!(told.contains(message), "{told}");
    }
    echoes(&mut socket).await;
}

#[tokio::test]
async fn a_reload_with_more_cas_or_with_fewer_cas_or_lists_warns_with_both_counts() {
    let backend = Backend::echo().await;
    let (proxy, _config) = with_list(&backend).await;
    let (other, ours) = (stranger(), &proxy.credentials.ca);
    let (our_list, other_list) = (ours.crl(&[]).unwrap(), other.crl(&[]).unwrap());
    let cas = joined(&[ours.certificate_pem(), other.certificate_pem()]);
    proxy.folder.write("certs/ca.pem", cas);
    proxy
        .folder
        .write("certs/ca.crl", joined(&[&our_list, &other_list]));
    let more = warnings(&proxy.try_reload().await).concat();
    let expected = "ca.pem: it has 2 CAs, and had 1";
    assert!(more.contains(expected), "{more}");
    assert!(more.contains("this reload admits more clients"), "{more}");
    assert!(!more.contains("ca.crl"), "{more}");
    proxy.folder.write("certs/ca.pem", other.certificate_pem());
    proxy.folder.write("certs/ca.crl", other_list);
    let told = warnings(&proxy.try_reload().await).concat();
    for expected in [
        "ca.pem: 1 where 2 CAs were in use",
        "ca.crl: 1 where 2 revocation lists were in use",
    ] {
        assert!(told.contains(expected), "{told}");
        let path = proxy.folder.path("certs").display().to_string();
        let about =
            |line: &log::Line| line.message.contains(expected) && line.message.contains(&path);
        let logged = log::wait(1, about).await;
        assert_eq!(logged[0].level, tracing::Level::WARN);
    }
}
