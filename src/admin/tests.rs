//! The listener through real sockets on loopback, before a proxy that is none.

mod room;

use super::*;
use std::{
    fs,
    future::Future,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

#[derive(Default)]
struct Fake {
    not_ready: AtomicBool,
    down: Mutex<Vec<String>>,
    token_file: Mutex<Option<PathBuf>>,
    calls: Mutex<Vec<String>>,
    /// Its holder holds up reloads.
    reloading: tokio::sync::Mutex<()>,
}

impl Fake {
    fn note(&self, call: impl Into<String>) {
        self.calls.lock().unwrap().push(call.into());
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

impl Operations for Fake {
    fn ready(&self) -> bool {
        !self.not_ready.load(Ordering::Relaxed)
    }

    fn backends_down(&self) -> Vec<String> {
        self.down.lock().unwrap().clone()
    }

    fn status(&self) -> Status {
        Status::sample()
    }

    fn connections(&self, page: &PageRequest) -> ConnectionPage {
        self.note(format!("connections {page:?}"));
        ConnectionPage {
            total: 0,
            connections: Vec::new(),
            next: None,
        }
    }

    fn reload(&self, preview: bool) -> Pin<Box<dyn Future<Output = ReloadAnswer> + Send + '_>> {
        self.note(format!("reload {preview}"));
        let answer = if preview {
            ReloadAnswer::Refused(vec![Problem {
                severity: "error",
                place: Some("proxy.toml:3:1".to_owned()),
                message: "unknown key".to_owned(),
                hint: None,
            }])
        } else {
            ReloadAnswer::Done(ReloadReport {
                result: "ok".to_owned(),
                preview,
                generation: 5,
                changes: Vec::new(),
                touched: Vec::new(),
                warnings: Vec::new(),
            })
        };
        Box::pin(async move {
            let _begun = self.reloading.lock().await;
            answer
        })
    }

    fn drain(&self) {
        self.note("drain");
    }

    fn close(&self, which: &Selection) -> usize {
        self.note(format!("close {which:?}"));
        usize::from(*which != Selection::Id("gone".to_owned()))
    }

    fn metrics(&self) -> String {
        "tidegate_draining 0\n".to_owned()
    }

    fn token_file(&self) -> Option<PathBuf> {
        self.token_file.lock().unwrap().clone()
    }
}

struct Running {
    address: SocketAddr,
    fake: Arc<Fake>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Running {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let fake = Arc::new(Fake::default());
        let (stop, stopped) = oneshot::channel();
        let operations = Arc::clone(&fake) as Arc<dyn Operations>;
        let serving = tokio::spawn(serve(listener, operations, async {
            let _ = stopped.await;
        }));
        Self {
            address,
            fake,
            stop,
            serving,
        }
    }

    /// What comes back for these bytes, until the connection ends.
    async fn send(&self, bytes: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn call(&self, line: &str) -> String {
        self.call_with(line, "").await
    }

    async fn call_with(&self, line: &str, fields: &str) -> String {
        let host = self.address;
        self.send(&format!("{line} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"))
            .await
    }
}

fn is(answer: &str, status: u16) -> bool {
    answer.starts_with(&format!("HTTP/1.1 {status} "))
}

fn is_problem(answer: &str, status: u16) -> bool {
    let document = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let parsed = serde_json::from_str::<serde_json::Value>(document);
    is(answer, status)
        && answer.contains("content-type: application/problem+json\r\n")
        && parsed.is_ok_and(|value| value["status"] == status && value["detail"].is_string())
}

#[tokio::test]
async fn every_reading_endpoint_answers_get_and_head() {
    let running = Running::start().await;
    for (path, media_type, part) in [
        ("/", "text/html; charset=utf-8", "<title>tidegate</title>"),
        (
            "/metrics",
            "text/plain; version=0.0.4",
            "tidegate_draining 0",
        ),
        ("/livez", "text/plain; charset=utf-8", "alive"),
        ("/readyz", "text/plain; charset=utf-8", "ready"),
        ("/status", "application/json", r#""state":"running""#),
        ("/connections", "application/json", r#""total":0"#),
    ] {
        let got = running.call(&format!("GET {path}")).await;
        assert!(is(&got, 200) && got.contains(part), "{got}");
        assert!(
            got.contains(&format!("content-type: {media_type}\r\n")),
            "{got}"
        );
        let head = running.call(&format!("HEAD {path}")).await;
        assert!(
            is(&head, 200) && head.ends_with("\r\n\r\n") && !head.contains(part),
            "{head}"
        );
    }
}

#[tokio::test]
async fn the_icon_that_browsers_ask_for_is_no_error() {
    let running = Running::start().await;
    let answer = running.call("GET /favicon.ico").await;
    assert!(is(&answer, 204) && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn readyz_is_503_while_the_proxy_is_not_ready_and_livez_stays_200() {
    let running = Running::start().await;
    running.fake.not_ready.store(true, Ordering::Relaxed);
    assert!(is_problem(&running.call("GET /readyz").await, 503));
    assert!(is(&running.call("GET /livez").await, 200));
}

#[tokio::test]
async fn readyz_stays_200_and_names_the_backends_that_have_no_server_up() {
    let running = Running::start().await;
    let body = |answer: String| answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    assert_eq!(body(running.call("GET /readyz").await), "ready\n");
    *running.fake.down.lock().unwrap() = vec!["chat".to_owned(), "news".to_owned()];
    let answer = running.call("GET /readyz").await;
    assert!(is(&answer, 200));
    let expected = "ready\nbackend chat has no server up\nbackend news has no server up\n";
    assert_eq!(body(answer), expected);
}

#[tokio::test]
async fn writing_endpoints_do_what_they_say() {
    let running = Running::start().await;
    let reload = running.call("POST /reload").await;
    assert!(
        is(&reload, 200) && reload.contains(r#""generation":5"#),
        "{reload}"
    );
    let preview = running.call("POST /reload?preview").await;
    assert!(
        is_problem(&preview, 422) && preview.contains("proxy.toml:3:1"),
        "{preview}"
    );
    assert!(is(&running.call("POST /drain").await, 202));
    assert!(is(&running.call("DELETE /connections/c-1").await, 200));
    assert!(is_problem(
        &running.call("DELETE /connections/gone").await,
        404
    ));
    assert!(is(
        &running
            .call("DELETE /connections?identity=uri:spiffe:%2F%2Fa")
            .await,
        200
    ));
    assert_eq!(
        running.fake.calls(),
        [
            "reload false",
            "reload true",
            "drain",
            r#"close Id("c-1")"#,
            r#"close Id("gone")"#,
            r#"close Identity("uri:spiffe://a")"#,
        ]
    );
}

#[tokio::test]
async fn pages_of_connections_follow_limit_and_after() {
    let running = Running::start().await;
    assert!(is(
        &running.call("GET /connections?limit=5&after=c-9").await,
        200
    ));
    let expected = r#"connections PageRequest { limit: 5, after: Some("c-9") }"#;
    assert_eq!(running.fake.calls(), [expected]);
    for query in ["limit=0", "limit=1001", "limit=x", "after=a%0Ab", "page=2"] {
        let answer = running.call(&format!("GET /connections?{query}")).await;
        assert!(is_problem(&answer, 400), "{answer}");
    }
    assert!(running.fake.calls().is_empty());
}

#[tokio::test]
async fn a_wrong_method_is_405_with_allow_and_does_nothing() {
    let running = Running::start().await;
    for (line, allow) in [
        ("GET /reload", "POST"),
        ("GET /drain", "POST"),
        ("PUT /reload", "POST"),
        ("POST /status", "GET, HEAD"),
        ("GET /connections/c-1", "DELETE"),
        ("OPTIONS /drain", "POST"),
    ] {
        let answer = running.call(line).await;
        assert!(is_problem(&answer, 405), "{line}: {answer}");
        assert!(
            answer.contains(&format!("allow: {allow}\r\n")),
            "{line}: {answer}"
        );
    }
    assert!(running.fake.calls().is_empty());
}

#[tokio::test]
async fn an_unknown_path_is_a_404_problem() {
    let running = Running::start().await;
    for path in [
        "/nothing",
        "/status/",
        "//",
        "/connections/",
        "/connections/a/b",
        "/connections/a%2Fb",
    ] {
        let answer = running.call(&format!("DELETE {path}")).await;
        assert!(is_problem(&answer, 404), "{path}: {answer}");
    }
    assert!(running.fake.calls().is_empty());
}

#[tokio::test]
async fn a_foreign_host_neither_writes_nor_reads_who_is_connected() {
    let running = Running::start().await;
    for line in [
        "POST /drain",
        "DELETE /connections/c-1",
        "GET /status",
        "GET /connections",
        "GET /",
    ] {
        let answer = running
            .send(&format!("{line} HTTP/1.1\r\nHost: evil.example\r\n\r\n"))
            .await;
        assert!(is_problem(&answer, 421), "{line}: {answer}");
    }
    assert!(running.fake.calls().is_empty());
    let scrape = running
        .send("GET /metrics HTTP/1.1\r\nHost: proxy.internal\r\n\r\n")
        .await;
    assert!(is(&scrape, 200));
}

#[tokio::test]
async fn a_page_of_another_origin_cannot_drain() {
    let running = Running::start().await;
    let foreign = running
        .call_with("POST /drain", "Origin: https://evil.example\r\n")
        .await;
    assert!(is_problem(&foreign, 403), "{foreign}");
    assert!(running.fake.calls().is_empty());
    let own = format!("Origin: http://{}\r\n", running.address);
    assert!(is(&running.call_with("POST /drain", &own).await, 202));
}

#[tokio::test]
async fn a_large_body_is_413_and_does_nothing() {
    let running = Running::start().await;
    let body = "a".repeat(20_000);
    let length = format!("Content-Length: {}\r\n\r\n{body}", body.len());
    let host = running.address;
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request = format!("POST /drain HTTP/1.1\r\nHost: {host}\r\n{length}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 64];
    let read = stream.read(&mut answer).await.unwrap();
    assert!(is(&String::from_utf8_lossy(&answer[..read]), 413));
    assert!(running.fake.calls().is_empty());
}

#[tokio::test]
async fn a_small_body_is_ignored() {
    let running = Running::start().await;
    let fields = "Content-Length: 4\r\n\r\n{}";
    let answer = running.call_with("POST /drain", fields).await;
    assert!(is(&answer, 202), "{answer}");
}

#[tokio::test]
async fn nonsense_is_refused_and_the_listener_goes_on() {
    let running = Running::start().await;
    for nonsense in ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"] {
        let answer = running.send(nonsense).await;
        assert!(answer.is_empty() || !is(&answer, 200), "{answer}");
    }
    assert!(is(&running.call("GET /livez").await, 200));
}

#[tokio::test]
async fn a_header_section_without_end_is_refused() {
    let running = Running::start().await;
    let endless = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "a".repeat(40_000)
    );
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    // The listener may hang up before it has read everything.
    let _ = stream.write_all(endless.as_bytes()).await;
    let mut answer = [0; 16];
    let read = stream.read(&mut answer).await.unwrap_or(0);
    assert!(!is(&String::from_utf8_lossy(&answer[..read]), 200));
    assert!(is(&running.call("GET /livez").await, 200));
}

#[tokio::test]
async fn serving_ends_with_shutdown_and_frees_the_address() {
    let running = Running::start().await;
    running.stop.send(()).unwrap();
    running.serving.await.unwrap();
    assert!(TcpListener::bind(running.address).await.is_ok());
}

#[tokio::test]
async fn the_token_file_in_use_is_asked_for_at_every_call() {
    let fake = Fake::default();
    let request = http::Request::post("/drain")
        .header("Host", "192.0.2.9:9090")
        .body(())
        .unwrap();
    let status = async || {
        let elsewhere = ([192, 0, 2, 1], 4711).into();
        let answer = endpoint::answer(&request, elsewhere, &fake).await;
        answer.status().as_u16()
    };
    assert_eq!(status().await, 403);
    let path = std::env::temp_dir().join(format!("tidegate-asked-{}", std::process::id()));
    fs::write(&path, "sesame").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    *fake.token_file.lock().unwrap() = Some(path.clone());
    let with_a_file = status().await;
    fs::remove_file(path).unwrap();
    assert_eq!(with_a_file, 401);
    assert_eq!(fake.calls(), [""; 0]);
}
