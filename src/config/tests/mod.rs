//! Promises of the configuration as a whole.

use super::*;
use crate::{
    backend::{BackendSettings, Balance, HashOn, ServerAddress},
    credential::CertificateFiles,
    integrity::{Algorithm, Mode},
    policy::ClientCertMode,
    request::{Edits, HeadLimits, client_cert::ForwardCertificate},
    roster::quotas::ClientLimits,
    runtime::settings::ServerSettings,
    snapshot::settings::{Limits, ListenerSettings, RouteSettings, Timeouts},
    tls::{ClientTrust, CrlPolicy, MinVersion, TlsSettings},
};
use std::{fs, path::Path, thread, time::Duration};

mod between;
mod rendering;

/// Every table and every key.
const FULL: &str = r#"
[server]
workers = 2
drain_spread = "1s"
drain_timeout = "2s"
watch = false

[[listener]]
name = "public"
address = "0.0.0.0:8443"
protocols = ["http/1.1"]
client_cert = "optional"

[tls]
certificates = [{ chain = "certs/server.pem", key = "certs/server.key" }]
min_version = "1.3"
allow_readable_keys = true
ticket_keys = "certs/tickets.txt"

[tls.clients]
mode = "required"
ca = ["certs/ca.pem"]
crl = ["certs/ca.crl"]
crl_missing = "allow"
crl_expired = "allow"
close_spread = "1s"

[integrity]
keyring = "certs/keyring.toml"

[limits]
connections = 10
handshakes = 5
message = "64KiB"
frame = "32KiB"

[limits.client]
sockets = 3
sockets_per_second = 4
messages_per_second = 5
bytes_per_second = "6KiB"
burst = "7s"

[timeouts]
handshake = "1s"
upgrade = "2s"
connect = "3s"
idle = "4s"
ping = "0s"

[[route]]
name = "chat"
host = ["chat.example.com", "*.edge.example.com"]
path = "/chat"
backend = "chat"
client_cert = "required"
allow = ["cn:Alice"]
deny = ["cn:Mallory"]
origins = ["https://example.com"]
integrity = "required"
integrity_algorithms = ["hmac-sha-256"]

[backend.chat]
servers = ["ws://127.0.0.1:9001", "unix:run/chat.sock"]
balance = "hash"
hash_on = "ip"

[admin]
address = "127.0.0.1:9191"
token_file = "token"
"#;

/// What cannot be left out.
const LEAST: &str = r#"
[[listener]]
address = "127.0.0.1:0"
[tls]
certificates = [{ chain = "s.pem", key = "s.key" }]
[tls.clients]
ca = ["ca.pem"]
[[route]]
backend = "b"
[backend.b]
servers = ["ws://127.0.0.1:9001"]
"#;

fn read(text: &str) -> Result<Loaded, Problems> {
    parse("proxy.toml", text, Path::new("/etc/tidegate")).map_err(|refused| refused.problems)
}

fn loaded(text: &str) -> Loaded {
    read(text).unwrap_or_else(|problems| panic!("{problems}"))
}

fn problems(text: &str) -> Vec<Diagnostic> {
    read(text).expect_err("the text has problems").0
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn cores() -> usize {
    thread::available_parallelism().unwrap().get()
}

#[test]
fn the_delivered_file_loads_without_a_warning() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("proxy.toml");
    let loaded = load(&file).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.warnings, []);
    let [listener] = loaded.settings.listeners.as_slice() else {
        panic!("one listener");
    };
    assert_eq!(listener.name, "public");
    assert_eq!(listener.address, "127.0.0.1:8443".parse().unwrap());
    assert_eq!(loaded.settings.tls.clients.mode, ClientCertMode::Required);
    assert_eq!(
        loaded.settings.tls.clients.ca,
        [file.with_file_name("certs").join("ca.pem")]
    );
}

/// What the delivered file shows commented out as a default is the default.
#[test]
fn the_defaults_that_the_delivered_file_shows_are_the_defaults() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("proxy.toml");
    let text = fs::read_to_string(file).unwrap();
    let uncommented: Vec<&str> = text.lines().map(uncomment_default).collect();
    let uncommented = uncommented.join("\n");
    assert!(uncommented.contains("\nconnections = 100000"));
    // `hash_on` shows its default, and is refused without balance = "hash".
    let uncommented = uncommented.replace("\nhash_on", "\n# hash_on");
    assert_eq!(loaded(&uncommented).settings, loaded(&text).settings);
}

fn uncomment_default(line: &str) -> &str {
    let example = line.contains("# example") || line.contains("default:");
    match line.strip_prefix("# ") {
        Some(rest) if !example && rest.split_once(" = ").is_some_and(|(key, _)| is_key(key)) => {
            rest
        }
        _ => line,
    }
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

#[test]
fn optional_keys_have_the_documented_defaults() {
    let settings = loaded(LEAST).settings;
    let expected = Settings {
        server: ServerSettings {
            workers: cores(),
            drain_spread: seconds(10),
            drain_timeout: seconds(25),
            watch: true,
        },
        listeners: vec![ListenerSettings {
            redirects: false,
            name: "127.0.0.1:0".to_owned(),
            address: "127.0.0.1:0".parse().unwrap(),
            client_cert: None,
        }],
        tls: TlsSettings {
            certificates: vec![CertificateFiles {
                chain: "/etc/tidegate/s.pem".into(),
                key: "/etc/tidegate/s.key".into(),
            }],
            min_version: MinVersion::Tls12,
            clients: ClientTrust {
                mode: ClientCertMode::Required,
                ca: vec!["/etc/tidegate/ca.pem".into()],
                crl: Vec::new(),
                crl_missing: CrlPolicy::Refuse,
                crl_expired: CrlPolicy::Refuse,
                close_spread: Duration::from_millis(500),
            },
            allow_readable_keys: false,
            ticket_keys: None,
        },
        limits: Limits {
            head: HeadLimits::default(),
            body: None,
            connections: 100_000,
            handshakes: 1024,
            message: 16 << 20,
            frame: 16 << 20,
            client: ClientLimits::OFF,
        },
        timeouts: Timeouts {
            answer: seconds(300),
            handshake: seconds(10),
            upgrade: seconds(10),
            connect: seconds(5),
            idle: seconds(300),
            ping: seconds(30),
            write: seconds(60),
        },
        routes: vec![RouteSettings {
            forwards_requests: true,
            strip_prefix: false,
            request_edits: Edits::default(),
            response_edits: Edits::default(),
            name: "/".to_owned(),
            hosts: Vec::new(),
            path: "/".parse().unwrap(),
            backend: "b".to_owned(),
            client_cert: None,
            allow: None,
            deny: Vec::new(),
            origins: None,
            forward_certificate: ForwardCertificate::Full,
            integrity: Mode::Off,
            integrity_algorithms: vec![Algorithm::HmacSha256, Algorithm::Sha256],
        }],
        backends: vec![BackendSettings {
            host: None,
            name: "b".to_owned(),
            servers: vec![ServerAddress::Ip("127.0.0.1:9001".parse().unwrap())],
            balance: Balance::LeastConnections,
        }],
        admin: None,
        keyring: None,
    };
    assert_eq!(settings, expected);
}

#[test]
fn an_admin_table_without_an_address_listens_on_loopback() {
    let settings = loaded(&format!("{LEAST}\n[admin]")).settings;
    let admin = settings.admin.unwrap();
    assert_eq!(admin.address, "127.0.0.1:9090".parse().unwrap());
    assert_eq!(admin.token_file, None);
}

#[test]
fn every_key_reaches_its_setting() {
    let settings = loaded(FULL).settings;
    assert_eq!(settings.server.workers, 2);
    assert_eq!(settings.server.drain_spread, seconds(1));
    assert_eq!(settings.server.drain_timeout, seconds(2));
    assert!(!settings.server.watch);
    assert_eq!(settings.listeners[0].name, "public");
    assert_eq!(
        settings.listeners[0].client_cert,
        Some(ClientCertMode::Optional)
    );
    assert_eq!(settings.tls.min_version, MinVersion::Tls13);
    assert!(settings.tls.allow_readable_keys);
    assert_eq!(settings.tls.clients.crl_missing, CrlPolicy::Allow);
    assert_eq!(settings.tls.clients.crl_expired, CrlPolicy::Allow);
    assert_eq!(settings.tls.clients.crl.len(), 1);
    assert_eq!(
        settings.keyring,
        Some("/etc/tidegate/certs/keyring.toml".into())
    );
    assert_eq!(
        (settings.limits.connections, settings.limits.handshakes),
        (10, 5)
    );
    assert_eq!(
        (settings.limits.message, settings.limits.frame),
        (65_536, 32_768)
    );
    let client = ClientLimits {
        sockets: Some(3),
        sockets_per_second: Some(4),
        messages_per_second: Some(5),
        bytes_per_second: Some(6 << 10),
        burst: seconds(7),
    };
    assert_eq!(settings.limits.client, client);
    assert_eq!(settings.timeouts.handshake, seconds(1));
    assert_eq!(settings.timeouts.upgrade, seconds(2));
    assert_eq!(settings.timeouts.connect, seconds(3));
    assert_eq!(settings.timeouts.idle, seconds(4));
    assert_eq!(settings.timeouts.ping, Duration::ZERO);
    assert_eq!(settings.backends[0].balance, Balance::Hash(HashOn::Ip));
    assert_eq!(
        settings.backends[0].servers[1],
        ServerAddress::Unix("/etc/tidegate/run/chat.sock".into())
    );
    let admin = settings.admin.unwrap();
    assert_eq!(admin.token_file, Some("/etc/tidegate/token".into()));
    let route = &settings.routes[0];
    assert_eq!(
        (route.name.as_str(), route.backend.as_str()),
        ("chat", "chat")
    );
    assert_eq!(
        (
            route.hosts.len(),
            route.allow.as_ref().map(Vec::len),
            route.deny.len()
        ),
        (2, Some(1), 1)
    );
    assert_eq!(route.path, "/chat".parse().unwrap());
    assert_eq!(route.origins.as_ref().map(Vec::len), Some(1));
    assert_eq!(route.client_cert, Some(ClientCertMode::Required));
    assert_eq!(route.integrity, Mode::Required);
    assert_eq!(route.integrity_algorithms, [Algorithm::HmacSha256]);
}

#[test]
fn an_unknown_key_is_refused_in_every_table() {
    let headers: Vec<&str> = FULL.lines().filter(|line| line.starts_with('[')).collect();
    assert_eq!(headers.len(), 11);
    for header in headers {
        let planted = FULL.replace(
            &format!("\n{header}\n"),
            &format!("\n{header}\nbogus_key = 1\n"),
        );
        assert_unknown(&planted, &format!("in {header}"));
    }
    assert_unknown(&format!("bogus_key = 1\n{FULL}"), "at the top level");
    let inline = FULL.replace("key = \"certs/server.key\"", "key = \"k\", bogus_key = 1");
    assert_unknown(&inline, "in [[tls.certificates]]");
}

fn assert_unknown(text: &str, table: &str) {
    let problems = problems(text);
    let [problem] = problems.as_slice() else {
        panic!("{table}: {problems:?}");
    };
    let wanted = format!("unknown key `bogus_key` {table}");
    assert_eq!(problem.message, wanted);
    let line = text.lines().position(|line| line.contains("bogus_key"));
    assert_eq!(problem.line, line.map(|line| line + 1), "{table}");
}

#[test]
fn all_mistakes_of_a_file_come_at_once_and_in_its_order() {
    let problems = problems(
        r#"
[server]
workers = "two"
drain_spread = 10
[[listener]]
adress = "0.0.0.0:8443"
[tls]
certificates = [{ chain = "s.pem" }]
[tls.clients]
mode = "requried"
[limits]
message = "16 MiB"
[timeouts]
idle = "0s"
[[route]]
backend = "chta"
integrity = "required"
integrity_algorithms = ["md5"]
[backend.chat]
servers = ["wss://127.0.0.1:9001"]
"#,
    );
    let messages: Vec<&str> = problems
        .iter()
        .map(|problem| problem.message.as_str())
        .collect();
    let expected = [
        "found a string, expected a whole number such as 1024, without quotes",
        "found an integer, expected a string such as \"30s\"",
        "missing key `address` in [[listener]]",
        "unknown key `adress` in [[listener]]",
        "missing key `key` in [[tls.certificates]]",
        "\"requried\" is not one of off, optional, required",
        "unknown unit ` MiB` in \"16 MiB\"",
        "a deadline of zero would end every connection at once",
        "unknown backend `chta`",
        "\"md5\" is not one of hmac-sha-256, sha-256",
        "no route uses the backend `chat`",
        "\"wss://127.0.0.1:9001\" asks for TLS to the backend, which is not available",
    ];
    assert_eq!(messages, expected);
    let lines: Vec<_> = problems.iter().filter_map(|problem| problem.line).collect();
    assert_eq!(lines, [3, 4, 5, 6, 8, 10, 12, 14, 16, 18, 19, 20]);
}
