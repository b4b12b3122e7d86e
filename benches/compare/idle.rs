//! Memory of a proxy: for each silent connection, and after a storm.

use crate::{
    Result, Target,
    client::{Connector, Message, Socket},
    process,
    sealed::SealedConnector,
};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Handshakes under way at once while silent connections are opened.
pub(crate) const GENTLE: usize = 4;
const STORM: usize = 256;
/// Connections that are opened before the first look, so that what is needed once is there.
const FIRST: usize = 100;
const SETTLE: Duration = Duration::from_secs(3);
/// How long a proxy may take until it is ready, and how long after a failure it is asked again.
const READY: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(100);

/// Waits until a message comes back, which may be some time after the proxy listens.
pub(crate) async fn probe(target: &Target) -> Result<Value> {
    let connector = Connector::new(target, false)?;
    let deadline = Instant::now() + READY;
    loop {
        match open(&connector, 1, 1).await {
            Ok(sockets) => {
                close(sockets.into_iter()).await?;
                return Ok(json!({ "ready": true }));
            }
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => sleep(AGAIN).await,
        }
    }
}

/// KiB for each connection: the slope between two looks at a fresh process.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) async fn slope(target: &Target, connections: usize) -> Result<Value> {
    let connector = Connector::new(target, false)?;
    let fresh = process::memory(target.pid)?;
    let first = open(&connector, FIRST, GENTLE).await?;
    sleep(SETTLE).await;
    let before = process::memory(target.pid)?;
    let more = open(&connector, connections, GENTLE).await?;
    sleep(SETTLE).await;
    let after = process::memory(target.pid)?;
    close(first.into_iter().chain(more)).await?;
    Ok(json!({
        "fresh_kib": fresh,
        "kib_per_connection": (after - before) / connections as f64,
    }))
}

/// The same for connections whose frames are sealed.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) async fn sealed_slope(target: &Target, connections: usize) -> Result<Value> {
    let connector = SealedConnector::new(target)?;
    let mut sockets = connector.open(FIRST).await?;
    sleep(SETTLE).await;
    let before = process::memory(target.pid)?;
    sockets.extend(connector.open(connections).await?);
    sleep(SETTLE).await;
    let after = process::memory(target.pid)?;
    for socket in sockets {
        socket.close(1000, "").await?;
    }
    Ok(json!({ "kib_per_connection": (after - before) / connections as f64 }))
}

/// MiB before, during and after a storm of connections, each with one message.
pub(crate) async fn storm(target: &Target, connections: usize, rest: Duration) -> Result<Value> {
    let connector = Connector::new(target, false)?;
    let before = process::memory(target.pid)?;
    let sockets = open(&connector, connections, STORM).await?;
    let during = process::memory(target.pid)?;
    close(sockets.into_iter()).await?;
    sleep(Duration::from_secs(1)).await;
    let ended = process::memory(target.pid)?;
    sleep(rest).await;
    let rested = process::memory(target.pid)?;
    Ok(json!({
        "before_mib": before / 1024.0,
        "open_mib": during / 1024.0,
        "closed_mib": ended / 1024.0,
        "rested_mib": rested / 1024.0,
    }))
}

pub(crate) async fn open(
    connector: &Connector,
    count: usize,
    at_once: usize,
) -> Result<Vec<Socket>> {
    let message = &Message::new(125);
    let one = |_| async move {
        let mut socket = connector.open().await?;
        socket.exchange(message).await?;
        Ok(socket)
    };
    stream::iter(0..count)
        .map(one)
        .buffer_unordered(at_once)
        .try_collect()
        .await
}

async fn close(sockets: impl Iterator<Item = Socket>) -> Result<()> {
    let closed = stream::iter(sockets)
        .map(Socket::close)
        .buffer_unordered(GENTLE);
    closed.try_collect().await
}
