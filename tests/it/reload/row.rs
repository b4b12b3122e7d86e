//! Many reloads in a row: nothing of the old is kept, and nobody notices.

use super::{another, echoes};
use crate::support::{
    Backend, Config, Process, Proxy, Upgrade, Wire, credentials::write_pair, eventually,
};
use std::{
    fs,
    sync::{Arc, Weak},
};
use tidegate::snapshot::Snapshot;

/// As many as somebody once had in ten minutes.
const RELOADS: usize = 136;
const SOCKETS: usize = 20;

async fn open(proxy: &Proxy) -> Vec<Wire> {
    let mut sockets = Vec::new();
    for _ in 0..SOCKETS {
        sockets.push(proxy.open("/").await);
    }
    sockets
}

#[tokio::test]
async fn snapshots_are_freed_though_sockets_stay_that_were_opened_under_them() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut sockets = open(&proxy).await;
    let mut old: Vec<Weak<Snapshot>> = Vec::new();
    for number in 0..RELOADS {
        old.push(Arc::downgrade(&proxy.shared.snapshot.load_full()));
        write_pair(&proxy.folder.path("certs"), "server", &another(&proxy));
        proxy.reload().await;
        let longest = sockets.len();
        echoes(&mut sockets[number % longest]).await;
        if number % 20 == 0 {
            sockets.push(proxy.open("/").await);
        }
    }
    let generation = proxy.shared.snapshot.load().generation;
    assert!(generation > RELOADS as u64, "{generation}");
    eventually("the end of every old snapshot", || {
        old.iter().all(|snapshot| snapshot.strong_count() == 0)
    })
    .await;
    for socket in &mut sockets {
        echoes(socket).await;
    }
    let ended = proxy.metric("tidegate_endings_total", &[]);
    assert_eq!(ended, 0.0, "a socket was lost");
}

/// What a process holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    descriptors: usize,
    threads: usize,
    kibibytes: usize,
}

impl Held {
    fn by(process: &Process) -> Self {
        let folder = format!("/proc/{}", process.id());
        let count = |name: &str| fs::read_dir(format!("{folder}/{name}")).unwrap().count();
        let status = fs::read_to_string(format!("{folder}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let value = line.and_then(|line| line.split_whitespace().nth(1));
        Self {
            descriptors: count("fd"),
            threads: count("task"),
            kibibytes: value.unwrap().parse().unwrap(),
        }
    }
}

#[tokio::test]
async fn reloads_in_a_row_take_no_descriptors_no_threads_and_no_memory() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    let process = Process::start(&config);
    let dial = process.dial().await;
    let mut sockets = Vec::new();
    for _ in 0..SOCKETS {
        let mut socket = dial.connect().await;
        socket.send(&Upgrade::to("/").bytes()).await;
        assert_eq!(socket.read_head().await.status(), 101);
        sockets.push(socket);
    }
    let reloads = || process.lines("configuration in use").len();
    let (first, mut before) = (reloads(), None);
    for number in 1..=RELOADS {
        let limit = format!("message = '{}B'", 4096 + number);
        let text = config.clone().set("limits", &limit).text();
        process.folder.write("proxy.toml", text);
        process.signal("HUP");
        eventually("a reload", || reloads() >= first + number).await;
        echoes(&mut sockets[number % SOCKETS]).await;
        if number == RELOADS / 4 {
            before = Some(Held::by(&process));
        }
    }
    let (before, mut after) = (before.unwrap(), Held::by(&process));
    // A look at the files holds a descriptor for a moment, at either time.
    eventually("no more descriptors and threads than before", || {
        after = Held::by(&process);
        after.descriptors <= before.descriptors && after.threads <= before.threads
    })
    .await;
    let more = after.kibibytes.saturating_sub(before.kibibytes);
    assert!(more < 4096, "{more} KiB for {} reloads", RELOADS * 3 / 4);
    for socket in &mut sockets {
        echoes(socket).await;
    }
}
