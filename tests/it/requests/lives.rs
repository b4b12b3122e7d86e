//! How long connections and requests live: drains, deadlines, and certificates that no longer count.

use crate::{
    support::{
        Backend, Config, End, Proxy, client, eventually,
        http::{answer, get},
        log,
    },
    trust::{revoke, with_list},
};
use std::sync::Arc;
use tokio::sync::Semaphore;

const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Transfer-Encoding: chunked\r\n\r\n6\r\nfirst\n\r\n";

/// Sends one event, and no other.
async fn event_stream() -> Backend {
    Backend::script(|mut served| async move {
        served.request().await;
        served.wire.send(EVENTS.as_bytes()).await;
        served.wire.read_to_end().await;
    })
    .await
}

/// Answers each request once there is a permit.
async fn slow(permits: Arc<Semaphore>) -> Backend {
    Backend::script(move |mut served| {
        let permits = permits.clone();
        async move {
            while served.request().await.is_some() {
                permits.acquire().await.unwrap().forget();
                let whole = answer("200 OK", "", "at last");
                if served.wire.try_send(whole.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_stream_ends_with_its_clients_certificate_and_nobody_elses() {
    let backend = event_stream().await;
    let (proxy, _) = with_list(&backend).await;
    let mallory = Arc::new(proxy.credentials.named("Mallory"));
    let mut good = proxy.connect().await;
    let mut bad = proxy.dial().identity(mallory.clone()).connect().await;
    for wire in [&mut good, &mut bad] {
        wire.send(&get("/events", "")).await;
        wire.read_head().await;
        assert_eq!(wire.read_chunk().await.unwrap(), b"first\n");
    }
    revoke(&proxy, &[&mallory]).await;
    let (rest, end) = bad.read_to_end().await;
    assert_eq!((rest.len(), end == End::Closed), (0, false));
    // The client may see the end before the list does.
    eventually("one that is open", || {
        proxy.shared.connections.all().len() == 1
    })
    .await;
    let lines = proxy.wait_lines(&bad, 2).await;
    assert_eq!(lines[1].field("reason"), "not_allowed");
    assert_eq!(lines[1].field("status"), "200");
    assert_eq!(proxy.lines_of(&good).len(), 0);
}

#[tokio::test]
async fn a_long_poll_of_a_client_that_is_revoked_is_told_so() {
    let permits = Arc::new(Semaphore::new(0));
    let backend = slow(permits).await;
    let (proxy, _) = with_list(&backend).await;
    let mut wire = proxy.connect().await;
    wire.send(&get("/poll", "")).await;
    backend.request().await;
    revoke(&proxy, &[&proxy.credentials.client]).await;
    assert_eq!(wire.read_answer().await.head.status(), 403);
}

#[tokio::test]
async fn each_request_of_a_kept_connection_is_judged_by_the_configuration_in_use() {
    let backend = Backend::http().await;
    let (proxy, config) = with_list(&backend).await;
    let mut wire = proxy.connect().await;
    assert_eq!(wire.ask(&get("/", "")).await.head.status(), 200);
    proxy
        .apply(&config.clone().route_lines("deny = ['dns:nobody.test']"))
        .await;
    assert_eq!(wire.ask(&get("/", "")).await.head.status(), 200);
    revoke(&proxy, &[&proxy.credentials.client]).await;
    wire.send(&get("/", "")).await;
    let refused = wire.read_answer().await;
    assert_eq!(refused.head.status(), 403, "{}", refused.content);
    assert_eq!(backend.requests().len(), 2);
}

#[tokio::test]
async fn a_drain_ends_waiting_connections_and_event_streams_and_lets_requests_be_answered() {
    let permits = Arc::new(Semaphore::new(0));
    let (polled, events) = (slow(permits.clone()).await, event_stream().await);
    let config = Config::to(&polled)
        .backend("events", &[events.url()])
        .route("path = '/poll'\nbackend = 'echo'")
        .route("path = '/events'\nbackend = 'events'")
        .set("server", "drain_spread = '0s'\ndrain_timeout = '10s'");
    let proxy = Proxy::start(config);
    let [mut waiting, mut stream, mut poll] = [
        proxy.connect().await,
        proxy.connect().await,
        proxy.connect().await,
    ];
    permits.add_permits(1);
    waiting.ask(&get("/poll", "")).await;
    stream.send(&get("/events", "")).await;
    stream.read_head().await;
    poll.send(&get("/poll", "")).await;
    eventually("the second poll", || polled.requests().len() == 2).await;
    proxy.handle.drain_soon();
    assert_eq!(waiting.read_to_end().await, (Vec::new(), End::Closed));
    assert_eq!(stream.read_chunk().await.unwrap(), b"first\n");
    assert_ne!(stream.read_to_end().await.1, End::Closed);
    permits.add_permits(1);
    let answered = poll.read_answer().await;
    assert_eq!(answered.content, "at last");
    assert_eq!(answered.head.field("Connection"), Some("close"));
    assert_eq!(answered.end, End::Closed);
}

#[tokio::test]
async fn a_connection_that_waits_too_long_for_its_next_request_is_closed() {
    let backend = Backend::http().await;
    let proxy = Proxy::start(Config::to(&backend).set("timeouts", "idle = '200ms'\nping = '0s'"));
    let mut wire = proxy.connect().await;
    assert_eq!(wire.ask(&get("/", "")).await.head.status(), 200);
    assert_eq!(wire.read_to_end().await, (Vec::new(), End::Closed));
    // It was no request that ended.
    wire.finish().await;
    proxy.wait_for("tidegate_connections_open", &[], 0.0).await;
    assert_eq!(proxy.lines_of(&wire).len(), 1);
}

#[tokio::test]
async fn a_client_that_stops_sending_its_content_is_told_after_timeouts_idle() {
    let backend = Backend::http().await;
    let proxy = Proxy::start(Config::to(&backend).set("timeouts", "idle = '200ms'\nping = '0s'"));
    let mut wire = proxy.connect().await;
    wire.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhel")
        .await;
    let refused = wire.read_answer().await;
    assert_eq!(refused.head.status(), 408, "{}", refused.content);
    assert!(refused.content.contains("request_stalled"));
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_disconnected_after_timeouts_write() {
    let large = answer("200 OK", "", &"x".repeat(32 << 20));
    let backend = Backend::answering(large).await;
    let proxy = Proxy::start(Config::to(&backend).set("timeouts", "write = '200ms'"));
    let mut wire = proxy.connect().await;
    wire.send(&get("/", "")).await;
    let line = proxy.wait_lines(&wire, 1).await.remove(0);
    assert_eq!(line.field("reason"), "request_stalled");
    proxy.wait_for("tidegate_connections_open", &[], 0.0).await;
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_request_at_the_backend_along() {
    let backend = Backend::silent().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut wire = proxy.connect().await;
    wire.send(&get("/poll", "")).await;
    backend.request().await;
    assert_eq!(proxy.metric("tidegate_backend_open", &[]), 1.0);
    wire.finish().await;
    proxy.wait_for("tidegate_backend_open", &[], 0.0).await;
    let line = proxy.wait_lines(&wire, 1).await.remove(0);
    assert_eq!(line.field("reason"), "request_gone");
}

#[tokio::test]
async fn an_operator_sees_a_request_that_lasts_and_ends_it() {
    let backend = event_stream().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut wire = proxy.connect().await;
    wire.send(&get("/events", "")).await;
    wire.read_head().await;
    let mut admin = client::tcp(proxy.admin()).await;
    let ask = |call: &str, id: &str| {
        let host = proxy.admin();
        format!("{call}{id} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    };
    admin.send(ask("GET /connections", "").as_bytes()).await;
    let page: serde_json::Value = serde_json::from_str(&admin.read_answer().await.content).unwrap();
    let row = &page["connections"][0];
    assert_eq!(
        (&row["kind"], &row["route"]),
        (&"request".into(), &"echo".into())
    );
    let mut admin = client::tcp(proxy.admin()).await;
    let id = row["id"].as_str().unwrap();
    admin.send(ask("DELETE /connections/", id).as_bytes()).await;
    assert_eq!(admin.read_answer().await.head.status(), 200);
    wire.read_to_end().await;
    let closed = |line: &log::Line| line.field("reason") == "closed_by_operator";
    proxy.wait_line(closed).await;
}
