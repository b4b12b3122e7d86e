//! Certificates that govern live sockets: what a reload, a clock and a ticket change.

mod constraints;
mod divided;
mod joined;
mod limits;
mod lists;
mod live;
mod path;
mod resumption;

use crate::support::{
    Backend, Config, Dial, Proxy, Upgrade, Wire, client, frame, log, wire::Answer,
};
use tidegate::cli::certs::Issued;

/// A proxy whose clients are looked up in a list of revoked ones.
pub(crate) async fn with_list(backend: &Backend) -> (Proxy, Config) {
    let config = Config::to(backend).set("tls.clients", "crl = ['certs/ca.crl']");
    (Proxy::start(config.clone()), config)
}

/// Puts a list of revoked certificates to use.
pub(crate) async fn revoke(proxy: &Proxy, revoked: &[&Issued]) {
    let list = proxy.credentials.ca.crl(revoked).unwrap();
    proxy.folder.write("certs/ca.crl", list);
    proxy.reload().await;
}

/// An open WebSocket of whoever dials.
async fn open(dial: &Dial, target: &str) -> Wire {
    let mut wire = dial.connect().await;
    wire.send(&Upgrade::to(target).bytes()).await;
    let head = wire.read_head().await;
    assert_eq!(head.status(), 101, "{head}");
    log::opened(&wire).await;
    wire
}

/// The answer to a client that is refused.
async fn refusal(dial: &Dial, target: &str) -> Answer {
    let mut wire = dial.connect().await;
    wire.send(&Upgrade::to(target).bytes()).await;
    wire.read_answer().await
}

/// Passes if a message comes back.
async fn echoes(socket: &mut Wire) {
    socket.send(&frame::text("still there?")).await;
    assert_eq!(socket.read_frame().await.payload, b"still there?");
}

/// Passes if the socket ends with 1008 and this reason.
async fn closes_with(socket: &mut Wire, reason: &str) {
    let close = socket.read_frame().await;
    assert_eq!(close.close_code(), Some(1008));
    assert_eq!(close.close_reason(), reason);
}

/// A call of the admin listener; returns the document.
async fn ask(proxy: &Proxy, call: &str) -> serde_json::Value {
    let mut wire = client::tcp(proxy.admin()).await;
    let request = format!(
        "{call} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        proxy.admin()
    );
    wire.send(request.as_bytes()).await;
    let answer = wire.read_answer().await;
    assert_eq!(answer.head.status(), 200, "{}", answer.content);
    serde_json::from_str(&answer.content).unwrap()
}
