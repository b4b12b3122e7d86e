use super::*;
use crate::{
    cli::certs::{DevelopmentCa, Issued, KeyAlgorithm},
    policy::identity::Identity,
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SerialNumber,
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

/// A folder with a configuration, credentials, and a client's certificate; it goes with the test.
struct Folder {
    path: PathBuf,
    ca: DevelopmentCa,
}

const ROUTES: &str = r#"
[[route]]
name = "chat"
path = "/chat"
backend = "b"
allow = ["cn:Bob", "cn:Alice"]
deny = ["cn:Mallory"]
[[route]]
name = "web"
host = ["web.test"]
client_cert = "optional"
origins = ["https://web.test"]
path = "/"
backend = "b"
"#;

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidegate-explain-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        let ca = DevelopmentCa::new(KeyAlgorithm::Ecdsa).unwrap();
        let folder = Self { path, ca };
        let server = folder.ca.issue_server(&["localhost"]).unwrap();
        folder.write("ca.pem", folder.ca.certificate_pem());
        folder.write("ca.crl", &folder.ca.crl(&[]).unwrap());
        folder.write("s.pem", &server.certificate_pem);
        folder.write("s.key", &server.key_pem);
        let owner = fs::Permissions::from_mode(0o600);
        fs::set_permissions(folder.path.join("s.key"), owner).unwrap();
        let head = r#"
[[listener]]
name = "public"
address = "127.0.0.1:0"
[tls]
certificates = [{ chain = "s.pem", key = "s.key" }]
[tls.clients]
ca = ["ca.pem"]
crl = ["ca.crl"]
[backend.b]
servers = ["ws://127.0.0.1:1"]
"#;
        folder.write("proxy.toml", &format!("{head}{ROUTES}"));
        folder
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path.join(name), content).unwrap();
    }

    /// A client's certificate, and its file.
    fn client(&self, common_name: &str) -> (Issued, PathBuf) {
        let issued = self.ca.issue_client(common_name, "").unwrap();
        let name = format!("{common_name}.pem");
        self.write(&name, &issued.certificate_pem);
        (issued, self.path.join(name))
    }

    fn args(&self, cert: Option<&Path>, host: &str, path: &str) -> ExplainArgs {
        ExplainArgs {
            cert: cert.map(Path::to_owned),
            host: host.to_owned(),
            path: path.to_owned(),
            config: self.path.join("proxy.toml"),
            ..ExplainArgs::default()
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left over is in the system's folder for such things.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn explained(args: &ExplainArgs) -> (bool, String) {
    let mut out = Vec::new();
    let admitted = run(args, &mut out).unwrap_or_else(|error| panic!("{error}"));
    (admitted, String::from_utf8(out).unwrap())
}

#[test]
fn the_rule_that_admits_is_named() {
    let folder = Folder::new();
    let (_, alice) = folder.client("Alice");
    let (admitted, text) = explained(&folder.args(Some(&alice), "any.test", "/chat/room?x"));
    assert!(admitted, "{text}");
    assert!(text.contains("the allow rule \"cn:Alice\""), "{text}");
    assert!(text.contains("chat (any host, path /chat)"), "{text}");
    assert!(text.ends_with("admitted\n"), "{text}");
}

#[test]
fn each_refusal_names_the_step_that_decided() {
    let folder = Folder::new();
    let (_, alice) = folder.client("Alice");
    let (_, mallory) = folder.client("Mallory");
    let (_, carol) = folder.client("Carol");
    for (cert, host, path, said, ending) in [
        (
            Some(&mallory),
            "a.test",
            "/chat",
            "the deny rule \"cn:Mallory\"",
            "refused: 403 not_allowed",
        ),
        (
            Some(&carol),
            "a.test",
            "/chat",
            "matches no rule",
            "refused: 403 not_allowed",
        ),
        (
            None,
            "a.test",
            "/chat",
            "sent no certificate",
            "refused in the handshake: certificate_missing",
        ),
        (
            Some(&alice),
            "a.test",
            "/none",
            "none matches host \"a.test\"",
            "refused: 404 no_route",
        ),
        (
            Some(&alice),
            "a.test",
            "/a%zz",
            "request",
            "refused: 400 malformed",
        ),
        (
            Some(&alice),
            "a.test",
            "/chat/../b",
            "a dot segment",
            "refused: 400 malformed",
        ),
        (
            None,
            "web.test",
            "/",
            "no Origin",
            "refused: 403 origin_not_allowed",
        ),
    ] {
        let cert = cert.map(PathBuf::as_path);
        let (admitted, text) = explained(&folder.args(cert, host, path));
        assert!(!admitted && text.contains(said), "{text}");
        assert_eq!(text.lines().last(), Some(ending));
    }
}

#[test]
fn a_revoked_certificate_is_refused_in_the_handshake() {
    let folder = Folder::new();
    let (issued, alice) = folder.client("Alice");
    folder.write("ca.crl", &folder.ca.crl(&[&issued]).unwrap());
    let (admitted, text) = explained(&folder.args(Some(&alice), "a.test", "/chat"));
    assert!(!admitted);
    let ending = "refused in the handshake: certificate_revoked";
    assert_eq!(text.lines().last(), Some(ending));
    let serial = Identity::from_der(&issued.certificate).unwrap().serial;
    let named = format!("CN=Alice with the serial number {serial} is on ");
    assert!(text.contains(&named), "{text}");
}

/// An intermediate CA of the folder's, and a client of it; the chain is in the file.
fn behind_an_intermediate(folder: &Folder) -> (Issued, PathBuf) {
    let key = KeyPair::from_pem(&folder.ca.key_pem()).unwrap();
    let root = Issuer::from_ca_cert_der(folder.ca.certificate(), key).unwrap();
    let mut parameters = CertificateParams::default();
    let name = &mut parameters.distinguished_name;
    name.push(DnType::CommonName, "Middle");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.serial_number = Some(SerialNumber::from(4711_u64));
    let key = KeyPair::generate().unwrap();
    let middle = parameters.signed_by(&key, &root).unwrap();
    let middle = Issued {
        certificate_pem: middle.pem(),
        certificate: middle.der().clone(),
        key_pem: key.serialize_pem().into(),
    };
    let mut parameters = CertificateParams::default();
    let usages = &mut parameters.extended_key_usages;
    usages.push(ExtendedKeyUsagePurpose::ClientAuth);
    let issuer = Issuer::from_ca_cert_der(&middle.certificate, key).unwrap();
    let leaf = parameters.signed_by(&KeyPair::generate().unwrap(), &issuer);
    let chain = leaf.unwrap().pem() + &middle.certificate_pem;
    folder.write("chain.pem", &chain);
    (middle, folder.path.join("chain.pem"))
}

#[test]
fn a_revoked_intermediate_is_told_from_the_client_s_own_certificate() {
    let folder = Folder::new();
    let (middle, chain) = behind_an_intermediate(&folder);
    let text = fs::read_to_string(folder.path.join("proxy.toml")).unwrap();
    let listless = "crl = [\"ca.crl\"]\ncrl_missing = \"allow\"";
    folder.write("proxy.toml", &text.replace("crl = [\"ca.crl\"]", listless));
    folder.write("ca.crl", &folder.ca.crl(&[&middle]).unwrap());
    let (admitted, text) = explained(&folder.args(Some(&chain), "a.test", "/chat"));
    assert!(!admitted);
    let revoked: Vec<_> = text.lines().filter(|l| l.starts_with("revoked")).collect();
    let [line] = revoked.as_slice() else {
        panic!("{text}");
    };
    assert!(
        line.contains("Middle with the serial number 1267"),
        "{line}"
    );
}

/// An RSA key of so many bits, which nobody has the private part of.
struct RsaKey(usize);

impl rcgen::PublicKeyData for RsaKey {
    /// RFC 8017 section A.1.1, modulus and exponent.
    fn der_bytes(&self) -> &[u8] {
        let modulus = vec![0xc5; self.0 / 8];
        let integer = |bytes: &[u8]| {
            let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
            [&[2, 0x82], &length[..], bytes].concat()
        };
        let parts = [integer(&[&[0], &modulus[..]].concat()), vec![2, 3, 1, 0, 1]].concat();
        let length = u16::try_from(parts.len()).unwrap().to_be_bytes();
        [&[0x30, 0x82], &length[..], &parts].concat().leak()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

#[test]
fn a_key_that_no_handshake_can_be_signed_with_is_refused_as_there() {
    let folder = Folder::new();
    let key = KeyPair::from_pem(&folder.ca.key_pem()).unwrap();
    let issuer = Issuer::from_ca_cert_der(folder.ca.certificate(), key).unwrap();
    for (bits, expected) in [(1024, false), (2048, true), (8192, true), (8200, false)] {
        let mut parameters = CertificateParams::default();
        let names = &mut parameters.distinguished_name;
        *names = rcgen::DistinguishedName::new();
        names.push(DnType::CommonName, "Alice");
        let leaf = parameters.signed_by(&RsaKey(bits), &issuer).unwrap();
        folder.write("rsa.pem", &leaf.pem());
        let file = folder.path.join("rsa.pem");
        let (admitted, text) = explained(&folder.args(Some(&file), "a.test", "/chat"));
        assert_eq!(admitted, expected, "{bits}: {text}");
        if !admitted {
            assert!(
                text.contains(&format!("it is RSA of {bits} bits")),
                "{text}"
            );
            assert!(
                text.ends_with("in the handshake: certificate_bad\n"),
                "{text}"
            );
        }
    }
}

#[test]
fn an_origin_is_judged_where_the_route_looks_at_it() {
    let folder = Folder::new();
    let args = ExplainArgs {
        origin: Some("https://web.test".to_owned()),
        ..folder.args(None, "web.test", "/")
    };
    let (admitted, text) = explained(&args);
    assert!(admitted, "{text}");
    assert!(text.contains("requires no certificate"), "{text}");
}

#[test]
fn machines_read_the_same_as_people() {
    let folder = Folder::new();
    let (_, alice) = folder.client("Alice");
    let args = ExplainArgs {
        json: true,
        ..folder.args(Some(&alice), "a.test", "/chat")
    };
    let (_, text) = explained(&args);
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["admitted"], true);
    assert_eq!(document["rule"], "cn:Alice");
    let steps = document["steps"].as_array().unwrap().iter();
    let steps: Vec<_> = steps.map(|step| step["step"].as_str().unwrap()).collect();
    let expected = [
        "handshake",
        "certificate",
        "trust",
        "route",
        "rule",
        "origin",
    ];
    assert_eq!(steps, expected);
}

#[test]
fn an_unknown_listener_is_answered_with_those_that_are_known() {
    let folder = Folder::new();
    let args = ExplainArgs {
        listener: Some("privat".to_owned()),
        ..folder.args(None, "a.test", "/chat")
    };
    let error = run(&args, &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("the configuration has: public"), "{error}");
}

#[test]
fn a_path_that_leads_to_different_routes_is_refused_as_the_proxy_refuses_it() {
    let folder = Folder::new();
    let (_, cert) = folder.client("Alice");
    for (host, path, reason) in [
        ("web.test", "//chat", None),
        ("web.test", "/x/..%2Fy", None),
        ("localhost", "/chat//a%2Fb", None),
        ("localhost", "/chat/../x", Some("malformed")),
        ("localhost", "/x//y", Some("no_route")),
    ] {
        let args = ExplainArgs {
            origin: Some("https://web.test".to_owned()),
            json: true,
            ..folder.args(Some(&cert), host, path)
        };
        let mut out = Vec::new();
        let admitted = run(&args, &mut out).unwrap();
        let said: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(said["reason"].as_str(), reason, "{host}{path}: {said}");
        assert_eq!(admitted, reason.is_none());
    }
}
