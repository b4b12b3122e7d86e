//! Stage 5: which route a request takes, and who may take it.

mod paths;

use crate::support::{Backend, Config, Proxy, Upgrade, Wire, refusal};
use serde_json::Value;

fn route(name: &str, lines: &str) -> String {
    format!("name = '{name}'\nbackend = 'echo'\n{lines}")
}

/// Asks on a fresh connection with the usual certificate, under the name of the request's host.
async fn ask(proxy: &Proxy, host: &str, request: &Upgrade) -> Wire {
    let name = if host.contains("test") {
        host
    } else {
        "localhost"
    };
    let mut wire = proxy.dial().name(name).connect().await;
    wire.send(&request.clone().host(host).bytes()).await;
    wire
}

/// The route that a request takes.
async fn taken(proxy: &Proxy, host: &str, path: &str) -> String {
    let mut wire = ask(proxy, host, &Upgrade::to(path)).await;
    let head = wire.read_head().await;
    assert_eq!(head.status(), 101, "{host} {path}: {head}");
    let lines = proxy.wait_lines(&wire, 1).await;
    lines[0].field("route").to_owned()
}

#[tokio::test]
async fn longest_path_wins_and_a_host_goes_before_none() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend)
        .route(&route("all", "path = '/'"))
        .route(&route("chat", "path = '/chat'"))
        .route(&route("room", "path = '/chat/room'"))
        .route(&route("host", "path = '/'\nhost = ['chat.test']"))
        .route(&route("edge", "path = '/chat'\nhost = ['*.edge.test']"));
    let proxy = Proxy::start(config);
    let rows = [
        ("localhost", "/", "all"),
        ("localhost", "/chat", "chat"),
        ("localhost", "/chat/", "chat"),
        ("localhost", "/chatter", "all"),
        ("localhost", "/chat/room/7?a=/", "room"),
        ("localhost", "/other?path=/chat", "all"),
        ("chat.test", "/x", "host"),
        ("a.edge.test", "/chat/x", "edge"),
        ("A.EDGE.TEST", "/chat/x", "edge"),
        ("127.0.0.1", "/chat", "chat"),
    ];
    for (host, path, expected) in rows {
        assert_eq!(taken(&proxy, host, path).await, expected, "{host} {path}");
    }
}

#[tokio::test]
async fn sockets_of_routes_that_share_a_name_count_for_their_own_backend() {
    let (backend, other) = (Backend::echo().await, Backend::echo().await);
    let config = Config::to(&backend)
        .backend("other", &[other.url()])
        .route("path = '/'\nhost = ['localhost']\nbackend = 'echo'")
        .route("path = '/'\nhost = ['chat.test']\nbackend = 'other'");
    let proxy = Proxy::start(config);
    let mut wire = ask(&proxy, "localhost", &Upgrade::to("/")).await;
    assert_eq!(wire.read_head().await.status(), 101);
    for (backend, count) in [("echo", 1.0), ("other", 0.0)] {
        let labels = [("backend", backend)];
        let name = "tidegate_websockets_open";
        proxy.wait_for(name, &labels, count).await;
    }
}

#[tokio::test]
async fn request_that_no_route_matches_is_not_found() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend).route(&route("chat", "path = '/chat'\nhost = ['chat.test']"));
    for (host, path) in [
        ("chat.test", "/"),
        ("localhost", "/chat"),
        ("chat.test", "/Chat"),
    ] {
        let proxy = Proxy::start(config.for_another());
        let mut wire = ask(&proxy, host, &Upgrade::to(path)).await;
        let document = refusal::expect(&proxy, &mut wire, 404, "no_route").await;
        assert!(
            document["detail"].as_str().unwrap().contains(host),
            "{document}"
        );
        let none = [("route", "none"), ("result", "no_route")];
        assert_eq!(proxy.metric("tidegate_upgrades_total", &none), 1.0);
    }
    assert_eq!(backend.connections(), 0);
}

/// Two hosts of which one asks nobody for a certificate.
fn differing(backend: &Backend) -> Config {
    Config::to(backend)
        .route(&route(
            "open",
            "path = '/'\nhost = ['chat.test']\nclient_cert = 'off'",
        ))
        .route(&route("closed", "path = '/'\nhost = ['*.edge.test']"))
        .route(&route("other", "path = '/other'\nhost = ['localhost']"))
}

#[tokio::test]
async fn host_that_the_session_was_not_authenticated_for_is_misdirected() {
    let backend = Backend::echo().await;
    let rows = [
        ("chat.test", "a.edge.test"),
        ("chat.test", "A.EDGE.TEST"),
        ("chat.test", "localhost"),
        ("a.edge.test", "chat.test"),
        ("localhost", "chat.test."),
    ];
    for (name, host) in rows {
        let proxy = Proxy::start(differing(&backend));
        let mut wire = proxy.dial().name(name).connect().await;
        wire.send(&Upgrade::to("/").host(host).bytes()).await;
        refusal::expect(&proxy, &mut wire, 421, "misdirected").await;
    }
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn absent_name_and_address_are_judged_as_strictly() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(differing(&backend));
    // Without a name the proxy asks, and takes who shows nothing; that authenticates for no host.
    for host in ["a.edge.test", "chat.test"] {
        let mut wire = proxy.dial().without_name().connect().await;
        wire.send(&Upgrade::to("/").host(host).bytes()).await;
        assert_eq!(wire.read_head().await.status(), 421, "{host}");
    }
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn other_host_with_the_same_trust_is_served() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(differing(&backend));
    for (name, host, path) in [
        ("a.edge.test", "b.edge.test", "/"),
        ("a.edge.test", "localhost", "/other"),
        ("localhost", "A.EDGE.TEST.", "/"),
    ] {
        let mut wire = proxy.dial().name(name).connect().await;
        wire.send(&Upgrade::to(path).host(host).bytes()).await;
        assert_eq!(wire.read_head().await.status(), 101, "{name} {host}");
    }
    let dial = proxy.dial().anonymous().name("chat.test");
    let mut wire = dial.connect().await;
    wire.send(&Upgrade::to("/").host("chat.test").bytes()).await;
    assert_eq!(wire.read_head().await.status(), 101);
}

#[tokio::test]
async fn routes_of_one_host_may_differ_in_what_they_require() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend)
        .route(&route("public", "path = '/'\nclient_cert = 'optional'"))
        .route(&route(
            "private",
            "path = '/private'\nclient_cert = 'required'",
        ));
    let proxy = Proxy::start(config);
    let dial = proxy.dial().anonymous();
    let mut wire = dial.connect().await;
    wire.send(&Upgrade::to("/").bytes()).await;
    assert_eq!(wire.read_head().await.status(), 101);
    assert_eq!(taken(&proxy, "localhost", "/private/x").await, "private");
    drop(wire);
    proxy.wait_for("tidegate_connections_open", &[], 0.0).await;
    let mut wire = dial.connect().await;
    wire.send(&Upgrade::to("/private").bytes()).await;
    refusal::expect(&proxy, &mut wire, 403, "certificate_required").await;
}

#[tokio::test]
async fn allow_list_without_certificate_denies() {
    let backend = Backend::echo().await;
    let lines = "client_cert = 'optional'\nallow = ['cn:Alice']";
    let proxy = Proxy::start(Config::to(&backend).route_lines(lines));
    let mut wire = proxy.dial().anonymous().connect().await;
    wire.send(&Upgrade::to("/").bytes()).await;
    refusal::expect(&proxy, &mut wire, 403, "certificate_required").await;
    proxy.open("/").await;
}

/// The refusal of the client `Alice` by a route with these lines.
async fn not_allowed(lines: &str) -> Value {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend).route_lines(lines));
    let mut wire = proxy.connect().await;
    wire.send(&Upgrade::to("/").bytes()).await;
    let document = refusal::expect(&proxy, &mut wire, 403, "not_allowed").await;
    let line = proxy.lines_of(&wire).remove(0);
    assert_eq!(line.field("identity"), "spiffe://test/alice");
    assert_eq!(line.field("route"), "echo");
    assert_eq!(line.field("detail"), document["detail"].as_str().unwrap());
    assert_eq!(backend.connections(), 0);
    document
}

#[tokio::test]
async fn certificate_outside_the_allow_list_is_refused() {
    for rule in ["cn:Bob", "cn:alice", "uri:spiffe://test/bob", "dns:*.test"] {
        let document = not_allowed(&format!("allow = ['{rule}']")).await;
        let detail = document["detail"].as_str().unwrap();
        assert!(detail.contains("allow list"), "{detail}");
    }
}

#[tokio::test]
async fn deny_list_wins_and_its_rule_is_named() {
    let lines = "allow = ['cn:Alice']\ndeny = ['uri:spiffe://test/*']";
    let document = not_allowed(lines).await;
    let detail = document["detail"].as_str().unwrap();
    assert!(detail.contains("uri:spiffe://test/*"), "{detail}");
}

#[tokio::test]
async fn any_rule_of_the_allow_list_suffices() {
    let backend = Backend::echo().await;
    let lines = "allow = ['cn:Bob', 'uri:spiffe://test/*']\ndeny = ['cn:Mallory']";
    let proxy = Proxy::start(Config::to(&backend).route_lines(lines));
    proxy.open("/").await;
}

#[tokio::test]
async fn origin_matches_exactly_or_is_refused() {
    let backend = Backend::echo().await;
    let lines = "origins = ['https://good.test', 'https://port.test:8443']";
    let config = Config::to(&backend).route_lines(lines);
    let proxy = Proxy::start(config.clone());
    for origin in ["https://good.test", "https://port.test:8443"] {
        proxy
            .open_with(&Upgrade::to("/").add("Origin", origin))
            .await;
    }
    let refused = [
        Upgrade::to("/"),
        Upgrade::to("/").add("Origin", "null"),
        Upgrade::to("/").add("Origin", ""),
        Upgrade::to("/").add("Origin", "https://good.test.evil"),
        Upgrade::to("/").add("Origin", "https://evil.test/https://good.test"),
        Upgrade::to("/").add("Origin", "http://good.test"),
        Upgrade::to("/").add("Origin", "https://GOOD.test"),
        Upgrade::to("/").add("Origin", "https://good.test:443"),
        Upgrade::to("/").add("Origin", "https://port.test"),
        Upgrade::to("/").add("Origin", "https://sub.good.test"),
        Upgrade::to("/")
            .add("Origin", "https://good.test")
            .add("Origin", "https://evil.test"),
    ];
    for request in refused {
        let proxy = Proxy::start(config.for_another());
        let mut wire = proxy.connect().await;
        wire.send(&request.bytes()).await;
        refusal::expect(&proxy, &mut wire, 403, "origin_not_allowed").await;
    }
}
