//! Plain HTTP beside WebSockets, on the same route.

mod answers;
mod edits;
mod framing;
mod lives;
mod redirects;

use crate::support::{
    Backend, Config, End, Proxy, Upgrade, frame,
    http::{answer, get},
};
use tidegate::frame::Opcode;

#[tokio::test]
async fn a_connection_carries_requests_one_after_the_other_and_then_a_websocket() {
    let backend = Backend::http().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut wire = proxy.connect().await;
    let first = wire.ask(&get("/a?b=c", "")).await;
    assert_eq!((first.head.status(), first.text()), (200, "GET /a?b=c "));
    let post = b"POST /form HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(wire.ask(post).await.text(), "POST /form hello");
    wire.send(&Upgrade::to("/socket").bytes()).await;
    assert_eq!(wire.read_head().await.status(), 101);
    wire.send(&frame::text("to the socket")).await;
    let echoed = wire.read_frame().await;
    assert_eq!(
        (echoed.header.opcode, &echoed.payload[..]),
        (Opcode::Text, &b"to the socket"[..])
    );
}

#[tokio::test]
async fn requests_that_were_sent_ahead_are_answered_in_their_order() {
    let backend = Backend::http().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut wire = proxy.connect().await;
    let chunked = b"PUT /b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n\
        3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
    let all = [&get("/a", "")[..], chunked, &get("/c", "")].concat();
    wire.send(&all).await;
    for expected in ["GET /a ", "PUT /b abcde", "GET /c "] {
        assert_eq!(wire.read_message().await.text(), expected);
    }
}

#[tokio::test]
async fn a_kept_connection_to_the_backend_is_used_again() {
    let backend = Backend::http().await;
    let proxy = Proxy::start(Config::to(&backend).set("server", "workers = 1"));
    let mut wire = proxy.connect().await;
    for _ in 0..3 {
        assert_eq!(wire.ask(&get("/", "")).await.head.status(), 200);
    }
    let mut other = proxy.connect().await;
    assert_eq!(other.ask(&get("/", "")).await.head.status(), 200);
    assert_eq!(backend.connections(), 1);
    assert_eq!(proxy.metric("tidegate_backend_open", &[]), 0.0);
}

#[tokio::test]
async fn a_request_that_meets_a_kept_connection_which_has_ended_is_made_again() {
    // Says that it keeps the connection, and ends it.
    let backend = Backend::script(|mut served| async move {
        if served.request().await.is_some() {
            served
                .wire
                .send(answer("200 OK", "", "once").as_bytes())
                .await;
        }
    })
    .await;
    let proxy = Proxy::start(Config::to(&backend).set("server", "workers = 1"));
    let mut wire = proxy.connect().await;
    for _ in 0..5 {
        assert_eq!(wire.ask(&get("/", "")).await.text(), "once");
    }
    assert_eq!(backend.connections(), 5);
}

#[tokio::test]
async fn the_backend_gets_our_fields_and_none_of_this_hop() {
    let backend = Backend::http().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut wire = proxy.connect().await;
    let fields = "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n\
        X-Forwarded-For: 6.6.6.6\r\nX_Forwarded_Proto: http\r\nClient-Cert: forged\r\n\
        Upgrade: h2c\r\nCookie: a=b\r\nAuthorization: Bearer x\r\n";
    let message = wire.ask(&get("/", fields)).await;
    assert_eq!(message.head.status(), 200);
    let seen = backend.request().await;
    assert_eq!(seen.all("X-Forwarded-For"), ["127.0.0.1"]);
    assert_eq!(seen.all("X-Forwarded-Proto"), ["https"]);
    assert_eq!(seen.all("Host"), ["localhost"]);
    assert_eq!(seen.all("Cookie"), ["a=b"]);
    assert_eq!(seen.all("Authorization"), ["Bearer x"]);
    assert_eq!(seen.all("TE"), ["trailers"]);
    assert_eq!(seen.all("Client-Cert").len(), 1);
    assert!(seen.field("Client-Cert").unwrap().starts_with(':'));
    for gone in [
        "X-Hop",
        "Keep-Alive",
        "X_Forwarded_Proto",
        "Upgrade",
        "Content-Length",
    ] {
        assert_eq!(seen.field(gone), None, "{gone}");
    }
}

#[tokio::test]
async fn each_request_has_an_id_and_a_line_and_is_counted() {
    let backend = Backend::http().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut wire = proxy.connect().await;
    wire.ask(&get("/a?token=secret", "User-Agent: test\r\n"))
        .await;
    let post = b"POST /b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc";
    let answered = wire.ask(post).await.content.len();
    let lines = proxy.wait_lines(&wire, 2).await;
    assert_eq!(lines[0].message, "request answered");
    let field = |line: usize, name| lines[line].field(name).to_owned();
    assert_eq!(field(0, "method"), "GET");
    assert_eq!(field(0, "path"), "/a");
    assert_eq!(field(0, "user_agent"), "test");
    assert_eq!(field(1, "status"), "200");
    assert_eq!(field(1, "bytes_to_backend"), "3");
    assert!(field(1, "bytes_to_client").parse::<usize>().unwrap() > answered);
    assert_ne!(field(0, "id"), field(1, "id"));
    let ids: Vec<_> = backend
        .requests()
        .iter()
        .map(|head| head.field("X-Request-Id").unwrap().to_owned())
        .collect();
    assert_eq!(ids, [field(0, "id"), field(1, "id")]);
    let labels = [("method", "POST"), ("code", "2xx")];
    assert_eq!(proxy.metric("tidegate_requests_total", &labels), 1.0);
    assert_eq!(proxy.metric("tidegate_request_seconds_count", &[]), 2.0);
    assert_eq!(proxy.metric("tidegate_upgrades_total", &[]), 0.0);
}

#[tokio::test]
async fn a_route_for_websockets_alone_tells_others_to_upgrade() {
    let backend = Backend::http().await;
    for lines in [
        "requests = 'websocket'",
        "integrity = 'required'\nintegrity_algorithms = ['sha-256']",
    ] {
        let proxy = Proxy::start(Config::to(&backend).route_lines(lines));
        let post = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc";
        let offers = |protocols| Upgrade::to("/").with("Upgrade", protocols).bytes();
        for request in [
            post.to_vec(),
            offers("h2c"),
            offers("h2c, foo"),
            get("/", ""),
        ] {
            let mut wire = proxy.connect().await;
            wire.send(&request).await;
            let refused = wire.read_answer().await;
            assert_eq!(refused.head.status(), 426, "{}", refused.content);
            let reason = "not_websocket";
            assert!(refused.content.contains(reason), "{}", refused.content);
            assert_eq!(refused.head.field("Upgrade"), Some("websocket"));
            assert_eq!(refused.end, End::Closed);
        }
    }
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn an_origin_that_a_request_names_must_be_listed_and_one_without_passes() {
    let backend = Backend::http().await;
    let config = Config::to(&backend).route_lines("origins = ['https://good.test']");
    let proxy = Proxy::start(config);
    let mut wire = proxy.connect().await;
    assert_eq!(wire.ask(&get("/", "")).await.head.status(), 200);
    let good = get("/", "Origin: https://good.test\r\n");
    assert_eq!(wire.ask(&good).await.head.status(), 200);
    wire.send(&get("/", "Origin: https://evil.test\r\n")).await;
    assert_eq!(wire.read_answer().await.head.status(), 403);
}
