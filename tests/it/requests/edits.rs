//! What a route and a backend change of requests and answers.

use crate::support::{Backend, Config, Proxy, Upgrade, http::get};

fn edited(backend: &Backend) -> Config {
    let edits = "request_headers = { set = { 'X-Env' = 'prod' }, remove = ['X-Debug'] }\n\
        response_headers = { set = { 'X-Safe' = 'yes' }, remove = ['X-From'] }";
    Config::to(backend).route_lines(edits)
}

#[tokio::test]
async fn a_route_sets_and_removes_fields_of_requests_and_answers() {
    let backend = Backend::http().await;
    let proxy = Proxy::start(edited(&backend));
    let mut wire = proxy.connect().await;
    let answered = wire.ask(&get("/", "X-Env: forged\r\nX-Debug: 1\r\n")).await;
    assert_eq!(answered.head.all("X-Safe"), ["yes"]);
    assert_eq!(answered.head.field("X-From"), None);
    let seen = backend.request().await;
    assert_eq!(seen.all("X-Env"), ["prod"]);
    assert_eq!(seen.field("X-Debug"), None);
}

#[tokio::test]
async fn a_websocket_of_the_route_has_the_same_changes() {
    let backend = Backend::http().await;
    let proxy = Proxy::start(edited(&backend));
    let request = Upgrade::to("/").add("X-Debug", "1");
    let (_wire, head) = proxy.open_with(&request).await;
    assert_eq!(head.all("X-Safe"), ["yes"]);
    let seen = backend.request().await;
    assert_eq!(seen.all("X-Env"), ["prod"]);
    assert_eq!(seen.field("X-Debug"), None);
}

#[tokio::test]
async fn a_prefix_is_stripped_and_the_backend_is_told_which() {
    let backend = Backend::http().await;
    let config = Config::to(&backend).route("path = '/app'\nbackend = 'echo'\nstrip_prefix = true");
    let proxy = Proxy::start(config);
    for (target, stripped) in [
        ("/app", "/"),
        ("/app/", "/"),
        ("/app?x=/app", "/?x=/app"),
        ("/app/a%20b?c", "/a%20b?c"),
    ] {
        let mut wire = proxy.connect().await;
        let answered = wire
            .ask(&get(target, "X-Forwarded-Prefix: /forged\r\n"))
            .await;
        assert_eq!(answered.text(), format!("GET {stripped} "));
        let seen = backend.requests().pop().unwrap();
        assert_eq!(seen.all("X-Forwarded-Prefix"), ["/app"]);
    }
    let mut wire = proxy.connect().await;
    wire.send(&get("/app//evil.test/x", "")).await;
    assert_eq!(wire.read_answer().await.head.status(), 400);
    proxy.open("/app/socket").await;
    assert_eq!(
        backend.requests().pop().unwrap().line,
        "GET /socket HTTP/1.1"
    );
}

#[tokio::test]
async fn a_backend_gets_the_host_that_its_table_names() {
    let backend = Backend::http().await;
    let proxy = Proxy::start(Config::to(&backend).set("backend.echo", "host = 'app.internal:81'"));
    let mut wire = proxy.connect().await;
    wire.ask(&get("/", "")).await;
    proxy.open("/").await;
    for seen in backend.requests() {
        assert_eq!(seen.all("Host"), ["app.internal:81"]);
        assert_eq!(seen.all("X-Forwarded-Host"), ["localhost"]);
    }
}
