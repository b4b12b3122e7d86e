//! The stages of one connection, one after the other.

use super::handshake::{self, Failed};
use crate::{
    exchange::{self, Arrived, authenticate},
    runtime::permits::Held,
    tls::{client::Client, stream::linger},
    worker::visit::{Admission, Visit},
};
use std::fmt::Display;
use tokio::net::TcpStream;

/// Serves one accepted connection until it is refused or becomes a socket.
pub async fn serve(visit: Visit, admission: Admission, tcp: TcpStream, handshake: Held) {
    let timer = visit.listener.metrics.handshake();
    let secured = handshake::run(&visit, tcp).await;
    drop(handshake);
    let secured = match secured {
        Ok(secured) => {
            timer.finish(Ok(()));
            secured
        }
        Err(Failed { refusal, told }) => {
            timer.finish(Err(refusal.ending));
            visit.log_refusal(
                refusal.ending,
                refusal.detail.as_ref().map(|d| d as &dyn Display),
            );
            if let Some(tcp) = told {
                linger(tcp).await;
            }
            return;
        }
    };
    let client = authenticate::identify(&visit, &secured.stream.session);
    visit.count_resumption(
        &secured.stream,
        !client.as_ref().is_ok_and(Client::is_trusted),
    );
    let arrived = Arrived {
        stream: secured.stream,
        early: secured.early,
        asked: secured.mode,
        client,
    };
    exchange::run(visit, admission, arrived).await;
}
