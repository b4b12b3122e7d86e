//! Connections that say nothing, and the calls that need their place.

use super::{Running, is};
use std::{pin::pin, time::Duration};
use tokio::{io::AsyncReadExt, net::TcpStream};

#[tokio::test(start_paused = true)]
async fn silent_connections_end_at_the_deadline_and_make_room() {
    let running = Running::start().await;
    let mut silent = Vec::new();
    for _ in 0..70 {
        silent.push(TcpStream::connect(running.address).await.unwrap());
    }
    assert!(is(&running.call("GET /livez").await, 200));
    for mut stream in silent {
        let mut rest = Vec::new();
        // Ended, by FIN or RST.
        let _ = stream.read_to_end(&mut rest).await;
    }
}

/// In real time: long before the deadline of those who say nothing.
#[tokio::test]
async fn a_call_is_answered_at_once_though_silent_connections_take_every_place() {
    let running = Running::start().await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(running.address).await.unwrap());
    }
    let call = tokio::time::timeout(Duration::from_secs(5), running.call("GET /livez"));
    assert!(is(&call.await.unwrap(), 200));
}

#[tokio::test]
async fn a_call_that_is_being_answered_is_not_sent_away() {
    let running = Running::start().await;
    let hold = running.fake.reloading.lock().await;
    let mut reload = pin!(running.call("POST /reload"));
    let begun = async {
        while running.fake.calls().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = &mut reload => panic!("{answer}"),
        () = begun => {}
    }
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(running.address).await.unwrap());
    }
    assert!(is(&running.call("GET /livez").await, 200));
    drop(hold);
    assert!(is(&reload.await, 200));
}
