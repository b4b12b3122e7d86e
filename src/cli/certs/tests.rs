use super::*;
use clap::Parser;
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::{
        CertificateDer, CertificateRevocationListDer, ServerName, UnixTime, pem::PemObject,
    },
    server::WebPkiClientVerifier,
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

mod again;

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidegate-certs-{}-{count}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn certificate(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.path(name)).unwrap()
    }

    /// Runs `certs ARGUMENTS`, where CA stands for this folder.
    fn run(&self, arguments: &str) -> Result<String, CertsError> {
        let folder = self.0.to_str().unwrap();
        let words = arguments
            .split(' ')
            .map(|word| word.replace("CA", folder).replace('_', " "));
        let program = Program::try_parse_from(["certs".to_owned()].into_iter().chain(words));
        let mut output = Vec::new();
        run(&program.unwrap().command, &mut output)?;
        Ok(String::from_utf8(output).unwrap())
    }

    fn client_is_accepted(&self, name: &str) -> Result<(), rustls::Error> {
        let list = CertificateRevocationListDer::from_pem_file(self.path("ca.crl")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots(), provider)
            .with_crls([list])
            .enforce_revocation_expiration()
            .build()
            .unwrap();
        let certificate = self.certificate(name);
        verifier
            .verify_client_cert(&certificate, &[], UnixTime::now())
            .map(|_| ())
    }

    fn server_is_accepted(&self, name: &str, host: &str) -> Result<(), rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(self.roots(), provider)
            .build()
            .unwrap();
        let host = ServerName::try_from(host.to_owned()).unwrap();
        let certificate = self.certificate(name);
        verifier
            .verify_server_cert(&certificate, &[], &host, &[], UnixTime::now())
            .map(|_| ())
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate("ca.pem")).unwrap();
        Arc::new(roots)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[derive(Parser)]
struct Program {
    #[command(subcommand)]
    command: CertsCommand,
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn message(result: Result<String, CertsError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn init_makes_a_set_that_verifiers_accept() {
    for algorithm in ["ecdsa", "rsa"] {
        let folder = Folder::new();
        let arguments = format!(
            "init --dir CA --host chat.example.com --host 192.0.2.1 --host *.example.org --algorithm {algorithm}"
        );
        folder.run(&arguments).unwrap();
        for host in [
            "localhost",
            "127.0.0.1",
            "::1",
            "chat.example.com",
            "192.0.2.1",
            "a.example.org",
        ] {
            folder.server_is_accepted("server.pem", host).unwrap();
        }
        assert!(
            folder
                .server_is_accepted("server.pem", "other.test")
                .is_err()
        );
        folder.client_is_accepted("client.pem").unwrap();
    }
}

#[test]
fn certificates_serve_their_purpose_only() {
    let folder = Folder::new();
    folder.run("init --dir CA").unwrap();
    assert!(folder.client_is_accepted("server.pem").is_err());
    folder
        .run("issue client --dir CA --name x --dns localhost")
        .unwrap();
    assert!(folder.server_is_accepted("x.pem", "localhost").is_err());
}

#[test]
fn keys_and_their_folder_are_the_owners_alone() {
    let folder = Folder::new();
    folder.run("init --dir CA").unwrap();
    for name in ["ca.key", "server.key", "client.key", "keyring.toml"] {
        assert_eq!(mode(&folder.path(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&folder.0), 0o700);
    let names = fs::read_dir(&folder.0).unwrap().count();
    assert_eq!(names, 8, "no temporary file is left");
}

#[test]
fn init_makes_a_keyring_and_never_replaces_one() {
    let folder = Folder::new();
    folder.run("init --dir CA").unwrap();
    let keyring = fs::read(folder.path("keyring.toml")).unwrap();
    folder.run("init --dir CA --force").unwrap();
    assert_eq!(fs::read(folder.path("keyring.toml")).unwrap(), keyring);
}

#[test]
fn init_overwrites_only_when_forced() {
    let folder = Folder::new();
    folder.run("init --dir CA").unwrap();
    let before = fs::read(folder.path("ca.key")).unwrap();
    let refusal = message(folder.run("init --dir CA"));
    assert!(
        refusal.contains("ca.key") && refusal.contains("--force"),
        "{refusal}"
    );
    assert_eq!(fs::read(folder.path("ca.key")).unwrap(), before);
    folder.run("init --dir CA --force").unwrap();
    assert_ne!(fs::read(folder.path("ca.key")).unwrap(), before);
}

#[test]
fn init_with_a_bad_host_writes_nothing() {
    let folder = Folder::new();
    let refusal = message(folder.run("init --dir CA --host bad_host"));
    assert!(refusal.contains("\"bad host\""), "{refusal}");
    assert!(!folder.0.exists());
}

#[test]
fn issued_certificate_holds_what_was_asked_for() {
    let folder = Folder::new();
    folder.run("init --dir CA").unwrap();
    folder
        .run("issue client --dir CA --name Alice_Smith --out CA/alice --uri spiffe://example.com/a --email a@example.com --dns a.test --not-before 2026-01-01T00:00:00Z --not-after 2046-02-01T00:00:00Z --algorithm rsa")
        .unwrap();
    let der = folder.certificate("alice.pem");
    let identity = crate::policy::identity::Identity::from_der(&der).unwrap();
    assert_eq!(identity.subject, "CN=Alice Smith");
    assert_eq!(
        identity.spiffe_id.as_deref(),
        Some("spiffe://example.com/a")
    );
    assert_eq!(identity.emails, ["a@example.com"]);
    assert_eq!(identity.dns, ["a.test"]);
    assert_eq!(identity.not_before, 1_767_225_600);
    assert_eq!(identity.not_after, 2_401_056_000);
    folder.client_is_accepted("alice.pem").unwrap();
}

#[test]
fn expired_certificate_can_be_issued_for_tests() {
    let folder = Folder::new();
    folder.run("init --dir CA").unwrap();
    folder
        .run("issue client --dir CA --name old --not-before 2020-01-01T00:00:00Z --not-after 2021-01-01T00:00:00Z")
        .unwrap();
    let refusal = folder.client_is_accepted("old.pem").unwrap_err();
    assert!(format!("{refusal:?}").contains("Expired"), "{refusal:?}");
    let refusal = message(folder.run(
        "issue client --dir CA --name x --not-before 2020-01-01T00:00:00Z --not-after 2019-01-01T00:00:00Z",
    ));
    assert!(refusal.contains("let it end later"), "{refusal}");
}

#[test]
fn server_without_names_is_named_by_its_common_name() {
    let folder = Folder::new();
    folder.run("init --dir CA").unwrap();
    folder
        .run("issue server --dir CA --name chat.example.com --out CA/deep/chat.example.com")
        .unwrap();
    folder
        .server_is_accepted("deep/chat.example.com.pem", "chat.example.com")
        .unwrap();
}

#[test]
fn issue_overwrites_only_when_forced() {
    let folder = Folder::new();
    folder.run("init --dir CA").unwrap();
    folder.run("issue client --dir CA --name x").unwrap();
    let refusal = message(folder.run("issue client --dir CA --name x"));
    assert!(
        refusal.contains("x.pem") && refusal.contains("--out"),
        "{refusal}"
    );
    folder
        .run("issue client --dir CA --name x --force")
        .unwrap();
}

#[test]
fn issue_without_a_ca_says_how_to_make_one() {
    let refusal = message(Folder::new().run("issue client --dir CA --name x"));
    assert!(
        refusal.contains("ca.pem") && refusal.contains("tidegate certs init"),
        "{refusal}"
    );
}

#[test]
fn key_of_another_ca_is_refused() {
    let (folder, other) = (Folder::new(), Folder::new());
    folder.run("init --dir CA").unwrap();
    other.run("init --dir CA").unwrap();
    fs::copy(other.path("ca.key"), folder.path("ca.key")).unwrap();
    let refusal = message(folder.run("issue client --dir CA --name x"));
    assert!(refusal.contains("does not belong"), "{refusal}");
}

#[test]
fn revoked_certificate_is_refused_and_others_are_not() {
    let folder = Folder::new();
    folder.run("init --dir CA").unwrap();
    folder.run("issue client --dir CA --name other").unwrap();
    folder
        .run("revoke --dir CA --cert CA/client.pem --reason key-compromise")
        .unwrap();
    let refusal = folder.client_is_accepted("client.pem").unwrap_err();
    assert!(format!("{refusal:?}").contains("Revoked"), "{refusal:?}");
    folder.client_is_accepted("other.pem").unwrap();
}

#[test]
fn list_keeps_what_it_held_and_its_number_grows() {
    let folder = Folder::new();
    folder.run("init --dir CA").unwrap();
    let shown = |folder: &Folder| -> serde_json::Value {
        serde_json::from_str(&folder.run("show --json CA/ca.crl").unwrap()).unwrap()
    };
    assert_eq!(shown(&folder)[0]["number"], "1");
    folder
        .run("revoke --dir CA --cert CA/client.pem --reason superseded")
        .unwrap();
    folder.run("revoke --dir CA --serial 0A:bc:f0").unwrap();
    let list = shown(&folder)[0].clone();
    assert_eq!(list["number"], "3");
    assert_eq!(list["revoked"][0]["reason"], "Superseded");
    assert_eq!(list["revoked"][1]["serial"], "0abcf0");
    assert_eq!(list["revoked"][1]["reason"], serde_json::Value::Null);
    // As `init` made it.
    assert_eq!(list["days_left"], 364);

    let said = folder
        .run("revoke --dir CA --serial abcf0 --days 90")
        .unwrap();
    assert!(said.contains("0abcf0 was revoked before"), "{said}");
    let list = shown(&folder)[0]["next_update"].clone();
    let until = format!("good until {};", list.as_str().unwrap());
    assert!(said.contains(&until), "{said}");
    folder.run("revoke --dir CA --refresh").unwrap();
    let list = shown(&folder)[0].clone();
    assert_eq!(list["revoked"].as_array().unwrap().len(), 2);
    assert_eq!(list["number"], "5");
}

#[test]
fn certificate_and_list_of_another_ca_are_refused() {
    let (folder, other) = (Folder::new(), Folder::new());
    folder.run("init --dir CA").unwrap();
    other.run("init --dir CA").unwrap();
    fs::copy(other.path("client.pem"), folder.path("foreign.pem")).unwrap();
    let refusal = message(folder.run("revoke --dir CA --cert CA/foreign.pem"));
    assert!(refusal.contains("of another CA"), "{refusal}");
    fs::copy(other.path("ca.crl"), folder.path("ca.crl")).unwrap();
    let refusal = message(folder.run("revoke --dir CA --serial 01"));
    assert!(refusal.contains("is another CA's"), "{refusal}");
}

#[test]
fn broken_list_is_not_overwritten() {
    let folder = Folder::new();
    folder.run("init --dir CA").unwrap();
    fs::write(folder.path("ca.crl"), "half a li").unwrap();
    let refusal = message(folder.run("revoke --dir CA --serial 01"));
    assert!(refusal.contains("move it away"), "{refusal}");
    assert_eq!(fs::read(folder.path("ca.crl")).unwrap(), b"half a li");
}

#[test]
fn revoke_wants_to_know_what() {
    for arguments in ["", "--days 5", "--dir certs", "--reason superseded"] {
        let words = ["certs", "revoke"]
            .into_iter()
            .chain(arguments.split_terminator(' '));
        assert!(Program::try_parse_from(words).is_err(), "{arguments}");
    }
}

#[test]
fn serial_that_is_none_is_refused() {
    let folder = Folder::new();
    folder.run("init --dir CA").unwrap();
    for serial in ["xyz", "00", ":", &"ab".repeat(21)] {
        let refusal = message(folder.run(&format!("revoke --dir CA --serial {serial}")));
        assert!(refusal.contains("hexadecimal"), "{refusal}");
    }
}

#[test]
fn show_describes_certificates_lists_and_keys() {
    let folder = Folder::new();
    folder.run("init --dir CA").unwrap();
    let text = folder
        .run("show CA/client.pem CA/ca.pem CA/ca.crl CA/ca.key")
        .unwrap();
    for expected in [
        "subject      CN=demo client",
        "name         URI:spiffe://tidegate.dev/demo",
        "issuer       CN=tidegate development CA",
        "(valid, 364 days left)",
        "key          ECDSA 256",
        "for          client",
        "CA           yes",
        "ca.crl: revocation list",
        "number       1",
        "ca.key: private key",
    ] {
        assert!(text.contains(expected), "{expected} in\n{text}");
    }
    assert!(!text.contains("BEGIN"));
}

#[test]
fn show_reads_der_and_prints_json() {
    let folder = Folder::new();
    folder.run("init --dir CA --algorithm rsa").unwrap();
    let der = folder.certificate("server.pem");
    fs::write(folder.path("server.der"), &der).unwrap();
    let text = folder.run("show --json CA/server.der CA/ca.key").unwrap();
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(shown[0]["kind"], "certificate");
    assert_eq!(shown[0]["key"], "RSA 2048");
    assert_eq!(shown[0]["state"], "valid");
    assert_eq!(shown[0]["names"][0], "DNS:localhost");
    assert_eq!(shown[0]["usages"][0], "server");
    assert_eq!(
        shown[1],
        serde_json::json!({ "file": folder.path("ca.key").to_str(), "kind": "private_key" })
    );
}

#[test]
fn show_of_something_else_says_what_is_expected() {
    let folder = Folder::new();
    folder.run("init --dir CA").unwrap();
    for content in [
        "",
        "hello",
        "0not DER",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        fs::write(folder.path("odd"), content).unwrap();
        let refusal = message(folder.run("show CA/odd"));
        assert!(
            refusal.contains("neither a certificate"),
            "{content:?}: {refusal}"
        );
    }
    assert!(message(folder.run("show CA/missing")).contains("missing"));
}

#[test]
fn no_secret_is_in_debug_output() {
    let authority = DevelopmentCa::new(KeyAlgorithm::Ecdsa).unwrap();
    let issued = authority.issue_client("x", "").unwrap();
    let debug = format!("{authority:?} {issued:?}");
    let secret = issued.key_pem.lines().nth(1).unwrap().to_owned();
    assert!(!debug.contains(&secret));
    assert!(!debug.contains("PRIVATE"));
}

#[test]
fn authority_in_memory_revokes_what_it_issued() {
    let authority = DevelopmentCa::new(KeyAlgorithm::Ecdsa).unwrap();
    let issued = authority
        .issue_client("x", "spiffe://example.com/x")
        .unwrap();
    assert_eq!(issued.chain().len(), 1);
    assert!(issued.key().is_ok());
    let list = authority.crl(&[&issued]).unwrap();
    let der = CertificateRevocationListDer::from_pem_slice(list.as_bytes()).unwrap();
    let (_, parsed) = x509_parser::parse_x509_crl(&der).unwrap();
    let serials: Vec<_> = parsed
        .iter_revoked_certificates()
        .map(|entry| entry.user_certificate.to_bytes_be())
        .collect();
    assert_eq!(serials, [issued.serial()]);
}
