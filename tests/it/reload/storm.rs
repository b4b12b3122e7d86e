//! A thousand reloads while connections come and go.

use super::{another, echoes, shown};
use crate::support::{Backend, Config, Dial, Proxy, credentials::write_pair};
use std::{
    fs,
    os::unix::fs::symlink,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};
use tidegate::reload::Outcome;
use tokio::task::JoinHandle;

/// A client that connects again and again, until told to stop; returns every certificate it saw.
struct Crowd {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Vec<Vec<u8>>>,
}

impl Crowd {
    fn start(dial: Dial) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut seen = Vec::new();
            while !stopped.load(Relaxed) {
                seen.push(shown(&dial).await);
            }
            seen
        });
        Self { stop, task }
    }

    async fn seen(self) -> Vec<Vec<u8>> {
        self.stop.store(true, Relaxed);
        self.task.await.unwrap()
    }
}

/// Lets `certs/current` lead to another folder, in one step.
fn point_to(proxy: &Proxy, name: &str) {
    let new = proxy.folder.path("certs/new");
    symlink(name, &new).unwrap();
    fs::rename(new, proxy.folder.path("certs/current")).unwrap();
}

#[tokio::test]
async fn every_handshake_is_served_by_a_whole_pair_while_two_pairs_take_turns() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    let proxy = Proxy::start(config.clone());
    let mut open = proxy.open("/").await;
    let pairs = [another(&proxy), another(&proxy)];
    for (name, pair) in ["a", "b"].into_iter().zip(&pairs) {
        let folder = proxy.folder.path("certs").join(name);
        fs::create_dir(&folder).unwrap();
        write_pair(&folder, "server", pair);
    }
    point_to(&proxy, "b");
    let lines = "certificates = [{ chain = 'certs/current/server.pem', \
                 key = 'certs/current/server.key' }]";
    proxy.apply(&config.set("tls", lines)).await;
    let crowd = Crowd::start(proxy.dial());
    for name in ["a", "b"].repeat(500) {
        point_to(&proxy, name);
        proxy.reload().await;
        echoes(&mut open).await;
    }
    let seen = crowd.seen().await;
    for pair in &pairs {
        let count = seen.iter().filter(|shown| ***shown == *pair.certificate);
        assert!(count.count() > 0, "one pair never served");
    }
    let known = |shown: &&Vec<u8>| pairs.iter().any(|pair| ***shown == *pair.certificate);
    assert_eq!(seen.iter().filter(known).count(), seen.len());
    assert_eq!(shown(&proxy.dial()).await, pairs[1].certificate.to_vec());
}

#[tokio::test]
async fn a_thousand_reloads_at_once_end_with_the_last_configuration_and_disturb_nobody() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    let proxy = Proxy::start(config.clone());
    let mut open = proxy.open("/").await;
    let crowd = Crowd::start(proxy.dial());
    let mut reloads = Vec::new();
    for number in 1..=1_000 {
        let limit = format!("message = '{}B'", 4096 + number);
        let text = config.clone().set("limits", &limit).text();
        proxy.folder.write("proxy.toml", text);
        let handle = proxy.handle.clone();
        reloads.push(tokio::spawn(async move { handle.reload(false).await }));
        echoes(&mut open).await;
    }
    for reload in reloads {
        let outcome = reload.await.unwrap().expect("the proxy runs");
        assert!(!matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    }
    let asked = proxy.metric("tidegate_reloads_total", &[("trigger", "admin")]);
    assert!((asked - 1000.0).abs() < f64::EPSILON, "{asked}");
    assert_eq!(proxy.shared.snapshot.load().limits.message, 5096);
    assert!(!crowd.seen().await.is_empty());
    echoes(&mut open).await;
}
