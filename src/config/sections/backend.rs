//! A `[backend.NAME]` table, and how the address of a server is written.

use crate::{
    backend::{BackendSettings, Balance, HashOn, ServerAddress},
    config::{
        findings::{Finding, Placed, Reading, Refusal},
        reader::Table,
        source::Place,
        values::{self, word},
    },
    name::host::Authority,
};
use http::HeaderValue;
use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};
use toml::de::DeValue;

/// The port of `ws` (RFC 6455 section 3).
const WS_PORT: u16 = 80;

/// Longest path that fits the address of a Unix socket, its NUL included.
const UNIX_PATH: usize = 108;

const EXAMPLE: &str = "ws://127.0.0.1:9001";

/// A `[backend.NAME]` table as read.
#[derive(Debug)]
pub(in crate::config) struct BackendDraft {
    pub(in crate::config) name: String,
    pub(in crate::config) place: Place,
    servers: Option<Placed<Vec<Placed<ServerAddress>>>>,
    balance: Option<Balance>,
    #[allow(
        clippy::option_option,
        reason = "as with every key: the outer says whether it was read, the inner is the setting"
    )]
    host: Option<Option<HeaderValue>>,
}

/// `balance` as written: what is hashed stands in a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    LeastConnections,
    RoundRobin,
    RandomTwo,
    Hash,
}

impl BackendDraft {
    pub(super) fn read(name: String, mut table: Table<'_>) -> Self {
        let draft = Self {
            place: table.place.clone(),
            servers: read_servers(&name, &mut table),
            balance: read_balance(&mut table),
            host: table.maybe("host", host),
            name,
        };
        table.finish();
        draft
    }

    /// Its servers, as far as they could be read.
    pub(in crate::config) fn servers(&self) -> &[Placed<ServerAddress>] {
        self.servers.as_ref().map_or(&[], |servers| &servers.value)
    }

    pub(super) fn settle(self) -> Option<BackendSettings> {
        let servers = self.servers?.value.into_iter();
        Some(BackendSettings {
            name: self.name,
            servers: servers.map(|server| server.value).collect(),
            balance: self.balance?,
            host: self.host?,
        })
    }
}

fn read_servers(name: &str, table: &mut Table<'_>) -> Option<Placed<Vec<Placed<ServerAddress>>>> {
    let mut servers = table.list("servers", server, Vec::new())?;
    let reading = table.reading();
    if servers.value.is_empty() && table.is_table() {
        let place = servers.place.clone().or_else(|| table.place.clone());
        let finding = Finding::error(&place, format!("backend `{name}` has no servers"));
        reading.report_absence(finding.hint(format!("write servers = [\"{EXAMPLE}\"]")));
    }
    for server in &mut servers.value {
        resolve(server, reading);
    }
    warn_of_repetition(&servers.value, reading);
    Some(servers)
}

/// The path of a Unix socket is relative to the configuration's folder, and short.
fn resolve(server: &mut Placed<ServerAddress>, reading: &Reading) {
    if let ServerAddress::Unix(path) = &mut server.value {
        *path = reading.resolve(path);
        let length = path.as_os_str().len();
        if length >= UNIX_PATH {
            let message = format!("the path of a Unix socket has {length} bytes");
            let hint = format!("the system allows {}", UNIX_PATH - 1);
            reading.report(Finding::error(&server.place, message).hint(hint));
        }
    }
}

fn warn_of_repetition(servers: &[Placed<ServerAddress>], reading: &Reading) {
    for (index, server) in servers.iter().enumerate() {
        let mut earlier = servers.iter().take(index);
        if let Some(first) = earlier.find(|first| first.value == server.value) {
            let finding = Finding::warning(&server.place, "the server is listed twice");
            reading.report(finding.related(&first.place, "first here"));
        }
    }
}

fn read_balance(table: &mut Table<'_>) -> Option<Balance> {
    let method = table.or_default("balance", method, Method::LeastConnections);
    let hash_on = table.or_default("hash_on", hash_on, HashOn::Client);
    let (method, hash_on) = (method?, hash_on?);
    if hash_on.place.is_some() && method.value != Method::Hash {
        let message = "`hash_on` has no effect without balance = \"hash\"";
        let finding = Finding::error(&hash_on.place, message);
        let hint = "write balance = \"hash\", or leave `hash_on` out";
        table.reading().report(finding.hint(hint));
    }
    Some(match method.value {
        Method::LeastConnections => Balance::LeastConnections,
        Method::RoundRobin => Balance::RoundRobin,
        Method::RandomTwo => Balance::RandomTwo,
        Method::Hash => Balance::Hash(hash_on.value),
    })
}

/// A host, with or without a port, as it stands in `Host`.
fn host(value: &DeValue<'_>) -> Result<HeaderValue, Refusal> {
    let text = values::text(value, "app.internal")?;
    let hint = "write a host such as \"app.internal\" or \"app.internal:8080\"";
    match (Authority::parse(text), HeaderValue::from_str(text)) {
        (Ok(_), Ok(value)) => Ok(value),
        (Err(error), _) => Err(Refusal::new(
            format!("\"{text}\" is not a host: {error}"),
            hint,
        )),
        (_, Err(_)) => Err(Refusal::new(format!("\"{text}\" is not a host"), hint)),
    }
}

fn method(value: &DeValue<'_>) -> Result<Method, Refusal> {
    word(
        value,
        &[
            ("least-connections", Method::LeastConnections),
            ("round-robin", Method::RoundRobin),
            ("random-two", Method::RandomTwo),
            ("hash", Method::Hash),
        ],
    )
}

fn hash_on(value: &DeValue<'_>) -> Result<HashOn, Refusal> {
    let Some(name) = values::text(value, "client")?.strip_prefix("header:") else {
        let words = [
            ("client", Some(HashOn::Client)),
            ("ip", Some(HashOn::Ip)),
            ("header:NAME", None),
        ];
        return word(value, &words)?.ok_or_else(|| header_refusal("NAME"));
    };
    let header = name.parse().map_err(|_| header_refusal(name))?;
    Ok(HashOn::Header(header))
}

fn header_refusal(name: &str) -> Refusal {
    let message = format!("\"{name}\" is not the name of a request field");
    Refusal::new(message, "write for example \"header:x-room\"")
}

/// `ws://HOST[:PORT]`, the same with `http`, or `unix:PATH`.
fn server(value: &DeValue<'_>) -> Result<ServerAddress, Refusal> {
    let text = values::text(value, EXAMPLE)?;
    match text.split_once(':') {
        // A backend speaks both over one port.
        Some(("ws" | "http", rest)) => match rest.strip_prefix("//") {
            Some(authority) => tcp_server(text, authority),
            None => Err(refusal(text, "is no URL", EXAMPLE)),
        },
        Some(("unix", path)) => unix_server(text, path),
        Some(("wss" | "https", _)) => Err(Refusal::new(
            format!("\"{text}\" asks for TLS to the backend, which is not available"),
            "write ws://, and reach the backend on loopback, a Unix socket or a private network",
        )),
        _ => Err(refusal(text, "is neither ws:// nor unix:", EXAMPLE)),
    }
}

fn unix_server(text: &str, path: &str) -> Result<ServerAddress, Refusal> {
    if path.is_empty() || path.contains('\0') {
        return Err(refusal(text, "names no socket", "unix:/run/chat.sock"));
    }
    if let Some(path) = path.strip_prefix("//") {
        return Err(refusal(
            text,
            "is a URL, not a path",
            &format!("unix:{path}"),
        ));
    }
    Ok(ServerAddress::Unix(PathBuf::from(path)))
}

fn tcp_server(text: &str, authority: &str) -> Result<ServerAddress, Refusal> {
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    if let Some((authority, _)) = authority.split_once(['/', '?', '#']) {
        return Err(Refusal::new(
            format!("\"{text}\" has a path, but path and query come from the client's request"),
            format!("write \"ws://{authority}\""),
        ));
    }
    if let Some((_, host)) = authority.rsplit_once('@') {
        let example = format!("ws://{host}");
        return Err(refusal(
            text,
            "has a user, which cannot be passed on",
            &example,
        ));
    }
    let (host, port) =
        split_port(authority).ok_or_else(|| refusal(text, "has no valid port", EXAMPLE))?;
    server_address(host, port).ok_or_else(|| refusal(text, "has no valid host", EXAMPLE))
}

/// Host and port; a colon inside brackets belongs to the host (RFC 3986 section 3.2.2).
fn split_port(authority: &str) -> Option<(&str, u16)> {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            let port = port.parse().ok().filter(|port| digits && *port != 0)?;
            Some((host, port))
        }
        _ => Some((authority, WS_PORT)),
    }
}

fn server_address(host: &str, port: u16) -> Option<ServerAddress> {
    if let Some(host) = host.strip_prefix('[') {
        let ip: Ipv6Addr = host.strip_suffix(']')?.parse().ok()?;
        return Some(ServerAddress::Ip(SocketAddr::from((ip, port))));
    }
    match host.parse() {
        Ok(IpAddr::V4(ip)) => Some(ServerAddress::Ip(SocketAddr::from((ip, port)))),
        Ok(IpAddr::V6(_)) => None,
        Err(_) => is_name(host).then(|| ServerAddress::Name(host.to_owned(), port)),
    }
}

/// Whether a resolver may be asked for it: labels of 1 to 63 letters, digits, `-` and `_`, the
/// last not of digits alone, which is how a wrong IPv4 address looks (RFC 1123 section 2.1).
fn is_name(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(letter);
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253
        && name.split('.').all(label)
        && !last.bytes().all(|byte| byte.is_ascii_digit())
}

fn refusal(text: &str, problem: &str, example: &str) -> Refusal {
    let message = format!("\"{text}\" {problem}");
    Refusal::new(message, format!("write for example \"{example}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ServerAddress, Refusal> {
        server(&DeValue::String(text.into()))
    }

    fn ip(address: &str) -> ServerAddress {
        ServerAddress::Ip(address.parse().unwrap())
    }

    #[test]
    fn servers_are_addresses_names_and_sockets() {
        let named = |port| ServerAddress::Name("chat.internal".to_owned(), port);
        assert_eq!(read("ws://127.0.0.1:9001").unwrap(), ip("127.0.0.1:9001"));
        assert_eq!(read("ws://[::1]:9001").unwrap(), ip("[::1]:9001"));
        assert_eq!(read("ws://chat.internal:9001").unwrap(), named(9001));
        assert_eq!(read("http://chat.internal").unwrap(), named(80));
        assert_eq!(read("ws://chat.internal/").unwrap(), named(80));
        assert_eq!(read("ws://[::1]").unwrap(), ip("[::1]:80"));
        let socket = ServerAddress::Unix(PathBuf::from("/run/chat.sock"));
        assert_eq!(read("unix:/run/chat.sock").unwrap(), socket);
    }

    #[test]
    fn servers_that_cannot_be_reached_are_refused() {
        for text in [
            "",
            "ws:",
            "ws://",
            "ws://:80",
            "ws://h:",
            "ws://h:0",
            "ws://h:65536",
            "ws://h:+1",
            "ws://::1:80",
            "ws://[::1",
            "ws://[1.2.3.4]:1",
            "ws://256.1.1.1:1",
            "ws://a b:1",
            "ws://a..b",
            "ws://ö:1",
            "ws://h:1?q",
            "ws://u:p@h:1",
            "unix:",
            "unix:///s",
            "h:1",
            "tcp://h:1",
            "WS://h:1",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn refusals_of_servers_say_what_to_write() {
        let wss = read("wss://chat:443").unwrap_err();
        assert!(wss.message.contains("TLS to the backend"), "{wss:?}");
        let path = read("ws://chat:1/room?x").unwrap_err();
        assert_eq!(path.hint, "write \"ws://chat:1\"");
        let https = read("https://chat").unwrap_err();
        assert!(https.message.contains("TLS to the backend"), "{https:?}");
    }

    #[test]
    fn hash_on_takes_a_request_field() {
        let header = hash_on(&DeValue::String("header:X-Room".into())).unwrap();
        assert_eq!(header, HashOn::Header("x-room".parse().unwrap()));
        assert!(hash_on(&DeValue::String("header:a b".into())).is_err());
        assert!(hash_on(&DeValue::String("header:NAME".into())).is_ok());
        assert!(hash_on(&DeValue::String("cookie".into())).is_err());
    }
}
