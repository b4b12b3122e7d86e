//! Listeners without TLS.

use crate::support::{Backend, Config, End, Proxy, client, http::get};

fn config(backend: &Backend) -> Config {
    Config::to(backend).listener("plain", "tls = false\nredirect = 'https'")
}

#[tokio::test]
async fn a_listener_without_tls_sends_its_clients_to_the_one_with_it() {
    let backend = Backend::http().await;
    let proxy = Proxy::start(config(&backend));
    let port = proxy.address_of("public").port();
    for (target, host) in [("/a/%20b?c=d", "localhost"), ("/", "LOCALHOST:80")] {
        let mut wire = client::tcp(proxy.address_of("plain")).await;
        let request =
            format!("POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 3\r\n\r\nabc");
        wire.send(request.as_bytes()).await;
        let answer = wire.read_answer().await;
        assert_eq!(answer.head.status(), 308);
        let location = format!("https://localhost:{port}{target}");
        assert_eq!(answer.head.field("Location"), Some(&*location));
        assert_eq!(answer.end, End::Closed);
    }
    let labels = [("method", "POST"), ("code", "3xx"), ("route", "none")];
    assert_eq!(proxy.metric("tidegate_requests_total", &labels), 2.0);
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn what_is_not_http_is_refused_by_a_listener_without_tls() {
    let backend = Backend::http().await;
    let proxy = Proxy::start(config(&backend).set("timeouts", "upgrade = '300ms'"));
    for (bytes, status) in [
        (&b"\x16\x03\x01\x02\x00\x01"[..], 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: evil.test/x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n", 408),
    ] {
        let mut wire = client::tcp(proxy.address_of("plain")).await;
        wire.send(bytes).await;
        let answer = wire.read_answer().await;
        assert_eq!(answer.head.status(), status, "{}", bytes.escape_ascii());
    }
    let mut wire = client::tcp(proxy.address_of("plain")).await;
    wire.send(&get("/", "")).await;
    assert_eq!(wire.read_answer().await.head.status(), 308);
}

#[tokio::test]
async fn a_listener_cannot_begin_to_redirect_while_the_proxy_runs() {
    let backend = Backend::http().await;
    let config = config(&backend);
    let proxy = Proxy::start(config.clone());
    let other = config.listener("plain", "client_cert = 'off'");
    proxy.folder.write("proxy.toml", other.text());
    let outcome = proxy.try_reload().await;
    assert!(matches!(outcome, tidegate::reload::Outcome::Failed { .. }));
}
