use super::*;
use crate::cli::certs::{DevelopmentCa, Issued, KeyAlgorithm};
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
            "/a/../b",
            "request",
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
