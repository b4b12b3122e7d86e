//! The admin listener of a running proxy: what it shows is true, and what it is told is done.

use crate::support::{
    Backend, Config, Proxy, Wire, client, credentials::write_key, frame, log, wire::Answer,
};
use serde_json::Value;

/// A call with further fields; returns the answer.
async fn call_with(proxy: &Proxy, line: &str, fields: &[(&str, &str)]) -> Answer {
    let mut wire = client::tcp(proxy.admin()).await;
    let fields = fields.iter();
    let fields: String = fields
        .flat_map(|(name, value)| [name, ": ", value, "\r\n"])
        .collect();
    let request = format!("{line} HTTP/1.1\r\nConnection: close\r\n{fields}\r\n");
    wire.send(request.as_bytes()).await;
    wire.read_answer().await
}

pub(crate) async fn call(proxy: &Proxy, line: &str) -> Answer {
    let host = proxy.admin().to_string();
    call_with(proxy, line, &[("Host", &host)]).await
}

/// A call that is answered with a document and this status.
async fn document(proxy: &Proxy, line: &str, status: u16) -> Value {
    let answer = call(proxy, line).await;
    assert_eq!(answer.head.status(), status, "{line}: {}", answer.content);
    serde_json::from_str(&answer.content).unwrap()
}

async fn echoes(socket: &mut Wire) {
    socket.send(&frame::text("still there?")).await;
    assert_eq!(socket.read_frame().await.payload, b"still there?");
}

/// Ids of the connections that a page lists.
fn ids(page: &Value) -> Vec<String> {
    let rows = page["connections"].as_array().unwrap().iter();
    rows.map(|row| row["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn status_shows_what_runs() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    let proxy = Proxy::start(config.clone());
    let _sockets = [proxy.open("/").await, proxy.open("/").await];
    let status = document(&proxy, "GET /status", 200).await;
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["pid"], std::process::id());
    assert_eq!(
        (&status["state"], &status["generation"]),
        (&"running".into(), &1.into())
    );
    let listener = &status["listeners"][0];
    assert_eq!(listener["name"], config.listener_name("public"));
    assert_eq!(listener["address"], proxy.address().to_string());
    assert_eq!(listener["open"], 2);
    let route = &status["routes"][0];
    assert_eq!(
        (&route["name"], &route["path"]),
        (&"echo".into(), &"/".into())
    );
    assert_eq!(
        (&route["backend"], &route["open"]),
        (&"echo".into(), &2.into())
    );
    let server = &status["backends"][0]["servers"][0];
    assert_eq!(server["address"], backend.url());
    assert_eq!((&server["up"], &server["open"]), (&true.into(), &2.into()));
    let certificates = status["certificates"].as_array().unwrap();
    let in_a_month = status["configured_at"].as_i64().unwrap() + 30 * 86_400;
    assert!(!certificates.is_empty());
    for certificate in certificates {
        assert!(certificate["expires"].as_i64().unwrap() > in_a_month);
    }
}

#[tokio::test]
async fn status_follows_reloads_servers_and_drains() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend).set("server", "drain_timeout = '1h'");
    let proxy = Proxy::start(config.clone());
    let socket = proxy.open("/").await;
    let gone = Backend::refusing().await;
    let servers = [gone.url(), backend.url()];
    proxy.apply(&config.backend("echo", &servers)).await;
    let status = document(&proxy, "GET /status", 200).await;
    assert_eq!(status["generation"], 2);
    let shown = status["backends"][0]["servers"].as_array().unwrap().iter();
    let shown: Vec<_> = shown.map(|server| server["address"].clone()).collect();
    assert_eq!(shown, servers);
    document(&proxy, "POST /drain", 202).await;
    proxy.wait_for("tidegate_draining", &[], 1.0).await;
    let status = document(&proxy, "GET /status", 200).await;
    assert_eq!(status["state"], "draining");
    drop(socket);
    proxy.stop().await;
}

#[tokio::test]
async fn pages_of_connections_show_each_one_once() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let sockets = [
        proxy.open("/").await,
        proxy.open("/").await,
        proxy.open("/").await,
    ];
    let first = document(&proxy, "GET /connections?limit=2", 200).await;
    assert_eq!(first["total"], 3);
    let next = first["next"].as_str().expect("there are more");
    let line = format!("GET /connections?limit=2&after={next}");
    let second = document(&proxy, &line, 200).await;
    assert_eq!(second["next"], Value::Null);
    let mut shown = [ids(&first), ids(&second)].concat();
    shown.sort_unstable();
    let logged = sockets.iter().map(|socket| proxy.lines_of(socket));
    let mut logged: Vec<_> = logged
        .map(|lines| lines[0].field("id").to_owned())
        .collect();
    logged.sort_unstable();
    assert_eq!(shown, logged);
}

#[tokio::test]
async fn a_connection_is_shown_as_it_is() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    let proxy = Proxy::start(config.clone());
    let socket = proxy.open("/").await;
    let page = document(&proxy, "GET /connections", 200).await;
    let row = &page["connections"][0];
    assert_eq!(row["listener"], config.listener_name("public"));
    assert_eq!(row["peer"], socket.local.unwrap().to_string());
    assert_eq!(
        (&row["route"], &row["backend"]),
        (&"echo".into(), &"echo".into())
    );
    assert_eq!(row["integrity"], Value::Null);
    assert!(row["idle_seconds"].as_u64().unwrap() < 60);
    drop(socket);
    proxy.wait_for("tidegate_websockets_open", &[], 0.0).await;
    let page = document(&proxy, "GET /connections", 200).await;
    assert_eq!((&page["total"], ids(&page)), (&0.into(), vec![]));
}

#[tokio::test]
async fn metrics_are_those_of_the_running_proxy() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut socket = proxy.open("/").await;
    echoes(&mut socket).await;
    // A scraper uses whatever name it was given.
    let answer = call_with(&proxy, "GET /metrics", &[("Host", "proxy.internal:9090")]).await;
    assert_eq!(answer.head.status(), 200);
    let media = answer.head.field("Content-Type").unwrap();
    assert!(media.starts_with("text/plain; version=0.0.4"), "{media}");
    for sample in [
        "tidegate_websockets_open{",
        "tidegate_frames_total{",
        "tidegate_config_generation",
    ] {
        let mut lines = answer.content.lines();
        assert!(lines.any(|line| line.starts_with(sample)), "{sample}");
    }
}

#[tokio::test]
async fn a_connection_that_is_deleted_ends_with_1008_and_is_gone_for_the_next_call() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let (mut socket, mut other) = (proxy.open("/").await, proxy.open("/").await);
    let id = proxy.lines_of(&socket)[0].field("id").to_owned();
    let line = format!("DELETE /connections/{id}");
    assert_eq!(document(&proxy, &line, 200).await["closed"], 1);
    let close = socket.read_frame().await;
    assert_eq!(close.close_code(), Some(1008));
    assert_eq!(close.close_reason(), "closed by the operator");
    socket.send(&frame::close(1008, "")).await;
    socket.finish().await;
    let lines = proxy.wait_lines(&socket, 2).await;
    assert_eq!(lines[1].field("reason"), "closed_by_operator");
    proxy.wait_for("tidegate_websockets_open", &[], 1.0).await;
    document(&proxy, &line, 404).await;
    echoes(&mut other).await;
}

#[tokio::test]
async fn reload_says_what_changed_and_a_preview_only_says_it() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    let proxy = Proxy::start(config.clone());
    // The watcher may be faster on a slow machine: then nothing is left to tell, and more is changed.
    let mut size = 1024;
    for line in ["POST /reload?preview=true", "POST /reload"] {
        let report = loop {
            size += 1;
            let new = config
                .clone()
                .set("limits", &format!("message = '{size}B'"));
            proxy.folder.write("proxy.toml", new.text());
            let report = document(&proxy, line, 200).await;
            if report["result"] == "ok" {
                break report;
            }
        };
        assert_eq!(report["preview"], line.ends_with("true"));
        let warning = &report["warnings"][0];
        assert_eq!(warning["severity"], "warning", "{report}");
        let message = warning["message"].as_str().unwrap();
        assert!(message.contains("limits.frame is larger"), "{message}");
        let change = &report["changes"][0];
        assert_eq!(
            (&change["change"], &change["what"]),
            (&"changed".into(), &"limits".into())
        );
    }
    assert_eq!(proxy.shared.snapshot.load().limits.message, size);
    let report = document(&proxy, "POST /reload", 200).await;
    assert_eq!(report["result"], "unchanged");
}

#[tokio::test]
async fn reload_that_is_refused_is_422_with_every_problem() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    let proxy = Proxy::start(config.clone());
    let broken = config
        .set("limits", "message = 'much'")
        .set("timeouts", "idle = 'long'\nunheard = 1")
        .backend("unused", &["ws://127.0.0.1:9001".to_owned()]);
    proxy.folder.write("proxy.toml", broken.text());
    let answer = document(&proxy, "POST /reload", 422).await;
    let problems = answer["problems"].as_array().unwrap();
    let severities = problems.iter().map(|problem| &problem["severity"]);
    let errors = severities.filter(|severity| *severity == "error").count();
    assert_eq!((errors, problems.len()), (3, 4), "{problems:?}");
    for problem in problems {
        let place = problem["place"].as_str().unwrap();
        assert!(place.contains("proxy.toml:"), "{problem}");
        let advised = problem["hint"].is_string() || problem["severity"] == "warning";
        assert!(advised, "{problem}");
    }
    assert_eq!(proxy.shared.snapshot.load().generation, 1);
}

#[tokio::test]
async fn calls_of_a_foreign_page_do_nothing() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut socket = proxy.open("/").await;
    let id = proxy.lines_of(&socket)[0].field("id").to_owned();
    let host = proxy.admin().to_string();
    let delete = format!("DELETE /connections/{id}");
    for line in ["POST /drain", "POST /reload", &delete] {
        for (fields, status) in [
            (&[("Host", "evil.example")][..], 421),
            (&[("Host", &host), ("Origin", "https://evil.example")], 403),
            (&[("Host", &host), ("Sec-Fetch-Site", "cross-site")], 403),
            (&[], 400),
        ] {
            let answer = call_with(&proxy, line, fields).await;
            assert_eq!(answer.head.status(), status, "{line} {fields:?}");
        }
    }
    // A page must not read who is connected either.
    let answer = call_with(&proxy, "GET /connections", &[("Host", "evil.example")]).await;
    assert_eq!(answer.head.status(), 421);
    echoes(&mut socket).await;
    assert!(proxy.metric("tidegate_draining", &[]).abs() < f64::EPSILON);
    let reloads = proxy.metric("tidegate_reloads_total", &[("trigger", "admin")]);
    assert!(reloads.abs() < f64::EPSILON);
}

#[tokio::test]
async fn writing_calls_of_this_machine_need_no_token_even_where_there_is_one() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend)
        .set("admin", "token_file = 'token'")
        .file("token", "sesame");
    let proxy = Proxy::start(config);
    document(&proxy, "POST /reload", 200).await;
}

#[tokio::test]
async fn another_token_file_is_put_to_use_by_a_reload() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend)
        .set("admin", "token_file = 'token'")
        .file("token", "sesame");
    let proxy = Proxy::start(config.clone());
    let other = config.set("admin", "token_file = 'other'");
    std::fs::rename(proxy.folder.path("token"), proxy.folder.path("other")).unwrap();
    proxy.apply(&other).await;
    let in_use = proxy.shared.snapshot.load().token_file.clone();
    assert_eq!(in_use, Some(proxy.folder.path("other")));
}

#[tokio::test]
async fn a_token_file_that_cannot_be_used_is_warned_of() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend).set("admin", "token_file = 'token'");
    let proxy = Proxy::start(config);
    let path = proxy.folder.path("token").display().to_string();
    let told = |line: &log::Line| {
        line.message.contains(&path) && line.message.contains("the token cannot be used")
    };
    assert_eq!(log::lines(told).len(), 1);
    write_key(&proxy.folder.path("token"), b"sesame");
    proxy.reload().await;
    assert_eq!(log::lines(told).len(), 1);
}
