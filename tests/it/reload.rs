//! Freshness: what a reload puts to use, what it refuses, and that it never disturbs anyone.

mod certificates;
mod last;
mod refused;
mod row;
mod storm;
mod timing;
mod widened;

use crate::support::{Backend, Config, Dial, Proxy, Upgrade, Wire, eventually, frame, within};
use tidegate::{cli::certs::Issued, reload::Outcome};

/// Passes if a message comes back.
async fn echoes(socket: &mut Wire) {
    socket.send(&frame::text("still there?")).await;
    assert_eq!(socket.read_frame().await.payload, b"still there?");
}

/// The certificate that a new handshake shows, on a connection that works.
async fn shown(dial: &Dial) -> Vec<u8> {
    let mut session = dial.session().await;
    session.wire.send(&Upgrade::to("/").bytes()).await;
    assert_eq!(session.wire.read_head().await.status(), 101);
    session.wire.finish().await;
    session.server.to_vec()
}

/// Another certificate for the same hosts, of the same CA.
fn another(proxy: &Proxy) -> Issued {
    let hosts = crate::support::credentials::HOSTS;
    proxy.credentials.ca.issue_server(hosts).unwrap()
}

/// How many reloads there were.
fn reloads(proxy: &Proxy, trigger: &str, result: &str) -> f64 {
    let labels = [("trigger", trigger), ("result", result)];
    proxy.metric("tidegate_reloads_total", &labels)
}

/// Waits for that many reloads because of files.
async fn file_reloads(proxy: &Proxy, count: f64) {
    let labels = [("trigger", "file"), ("result", "ok")];
    proxy
        .wait_for("tidegate_reloads_total", &labels, count)
        .await;
}

async fn preview(proxy: &Proxy) -> Outcome {
    let preview = within("a preview", proxy.handle.reload(true));
    preview.await.expect("the proxy runs")
}

#[tokio::test]
async fn nothing_new_is_unchanged_and_keeps_the_generation() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let expected = Outcome::Unchanged { generation: 1 };
    assert_eq!(proxy.try_reload().await, expected);
    assert!((reloads(&proxy, "admin", "unchanged") - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_preview_changes_nothing_and_the_watcher_still_notices_the_file() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    let proxy = Proxy::start(config.clone());
    // The watcher may be faster than a preview on a slow machine: then there is nothing to preview.
    let mut size = 1024;
    loop {
        let new = config
            .clone()
            .set("limits", &format!("message = '{size}B'"));
        proxy.folder.write("proxy.toml", new.text());
        match preview(&proxy).await {
            Outcome::Done { .. } => break,
            Outcome::Unchanged { .. } => size += 1,
            Outcome::Failed { problems } => panic!("{problems:?}"),
        }
    }
    assert!(reloads(&proxy, "admin", "ok").abs() < f64::EPSILON);
    let in_use = || proxy.shared.snapshot.load().limits.message == size;
    eventually("the previewed file in use", in_use).await;
}

#[tokio::test]
async fn without_watch_a_changed_file_waits_for_a_reload_and_previews_tell_of_it() {
    let backend = Backend::echo().await;
    let watched = Config::to(&backend);
    let config = watched.clone().set("server", "watch = false");
    let (proxy, other) = (Proxy::start(config.clone()), Proxy::start(watched.clone()));
    let smaller = |config: &Config| config.clone().set("limits", "message = '1KiB'").text();
    proxy.folder.write("proxy.toml", smaller(&config));
    // By the time that a proxy has noticed what was written later, this one has not.
    other.folder.write("proxy.toml", smaller(&watched));
    file_reloads(&other, 1.0).await;
    for _ in 0..2 {
        let Outcome::Done { changes, .. } = preview(&proxy).await else {
            panic!("the preview tells of no change");
        };
        let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
        assert!(
            changes.contains(&"limits changed".to_owned()),
            "{changes:?}"
        );
    }
    assert_eq!(proxy.shared.snapshot.load().generation, 1);
    proxy.reload().await;
    assert_eq!(proxy.shared.snapshot.load().limits.message, 1024);
    assert!(reloads(&proxy, "file", "ok").abs() < f64::EPSILON);
}

#[tokio::test]
async fn watch_itself_is_reloaded() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend).set("server", "watch = false");
    let proxy = Proxy::start(config.clone());
    let config = config.set("server", "watch = true");
    proxy.apply(&config).await;
    let config = config.set("limits", "message = '1KiB'");
    proxy.folder.write("proxy.toml", config.text());
    file_reloads(&proxy, 1.0).await;
    assert_eq!(proxy.shared.snapshot.load().limits.message, 1024);
}

#[tokio::test]
async fn a_preview_of_a_broken_file_tells_its_problems_and_counts_none() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    proxy.folder.write("proxy.toml", "[server\n");
    let outcome = preview(&proxy).await;
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    assert!(reloads(&proxy, "admin", "failed").abs() < f64::EPSILON);
}

#[tokio::test]
async fn limits_hold_for_the_next_connection_and_open_sockets_keep_theirs() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    let proxy = Proxy::start(config.clone());
    let mut old = proxy.open("/").await;
    proxy.apply(&config.set("limits", "message = '1KiB'")).await;
    let mut new = proxy.open("/").await;
    let message = frame::binary(&[7; 1025]);
    old.send(&message).await;
    assert_eq!(old.read_frame().await.payload.len(), 1025);
    new.send(&message).await;
    assert_eq!(new.read_frame().await.close_code(), Some(1009));
    new.finish().await;
}

#[tokio::test]
async fn timeouts_hold_for_the_next_connection_and_open_sockets_keep_theirs() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    let proxy = Proxy::start(config.clone());
    let mut old = proxy.open("/").await;
    proxy
        .apply(&config.set("timeouts", "upgrade = '100ms'\nidle = '200ms'"))
        .await;
    let mut silent = proxy.connect().await;
    assert_eq!(silent.read_head().await.status(), 408);
    let mut idle = proxy.open("/").await;
    assert!(idle.read_frame().await.close_code().is_some());
    idle.finish().await;
    echoes(&mut old).await;
}

#[tokio::test]
async fn routes_hold_for_the_next_connection_and_open_sockets_stay() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    let proxy = Proxy::start(config.clone());
    let mut old = proxy.open("/").await;
    let route = "name = 'new'\npath = '/new'\nbackend = 'echo'";
    proxy.apply(&config.route(route)).await;
    let mut gone = proxy.connect().await;
    gone.send(&Upgrade::to("/").bytes()).await;
    assert_eq!(gone.read_head().await.status(), 404);
    echoes(&mut proxy.open("/new").await).await;
    echoes(&mut old).await;
}

#[tokio::test]
async fn backends_hold_for_the_next_connection_and_open_sockets_stay() {
    let (first, second) = (Backend::echo().await, Backend::echo().await);
    let config = Config::to(&first);
    let proxy = Proxy::start(config.clone());
    let mut old = proxy.open("/").await;
    proxy.apply(&config.backend("echo", &[second.url()])).await;
    echoes(&mut proxy.open("/").await).await;
    echoes(&mut old).await;
    assert_eq!((first.requests().len(), second.requests().len()), (1, 1));
}
