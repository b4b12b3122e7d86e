//! What a client sends before its 101.

use crate::support::{Backend, Config, Process, Upgrade, frame};
use std::fs;

const OFFERED: usize = 64 << 20;

/// The most memory that a process has had so far, in KiB.
fn most_memory(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let value = line.and_then(|line| line.split_whitespace().nth(1));
    value.unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_is_sent_before_the_101_waits_in_the_systems_buffers() {
    let backend = Backend::silent().await;
    let config = Config::to(&backend).set("timeouts", "connect = '500ms'");
    let process = Process::start(&config);
    let dial = process.dial().await;
    let mut socket = dial.connect().await;
    let before = most_memory(&process);
    socket.send(&Upgrade::to("/").bytes()).await;
    backend.request().await;
    let flood = frame::binary(&[7; 1000]).repeat(OFFERED / 1000);
    // The system takes some. Then nobody does, until the backend has had its time and it ends.
    let sent = socket.try_send(&flood).await;
    assert!(sent.is_err(), "all of it was taken");
    process.line("refused").await;
    let more = most_memory(&process) - before;
    assert!(more < 1024, "{more} KiB were held");
}
