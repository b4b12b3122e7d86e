//! The listener itself: a bounded number of connections, one request each, all under deadlines.

use super::{
    answer::{Answer, Refusal},
    endpoint,
};
use crate::operations::Operations;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    collections::VecDeque,
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};

/// Connections at once; for one more, the one that has been there longest has to go.
const CONNECTIONS: usize = 64;
/// Accept to a whole header section, and again for the body.
const REQUEST: Duration = Duration::from_secs(10);
/// Accept to the last byte of the answer; a reload may take its time.
const WHOLE: Duration = Duration::from_mins(1);
/// Bytes of a header section at most, of which hyper takes no less than 8 KiB.
const HEADER: usize = 16 * 1024;
/// Bytes of a body at most; no call has a meaning for any.
const BODY: usize = 16 * 1024;
/// The pause after an error of accept(2), as when there are no descriptors left.
const PAUSE: Duration = Duration::from_millis(100);
/// What connections are given to finish after `shutdown`.
const FINISH: Duration = Duration::from_secs(1);

/// A connection, as the listener knows it.
struct Guest {
    task: AbortHandle,
    /// Whether its call is being answered: then it is not sent away.
    busy: Arc<AtomicBool>,
}

/// Serves until `shutdown` is done. Its tasks live in a set of its own, and end with it.
pub async fn serve(
    listener: TcpListener,
    operations: Arc<dyn Operations>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let mut connections = JoinSet::new();
    let mut guests = VecDeque::new();
    let mut shutdown = pin!(shutdown);
    loop {
        guests.retain(|guest: &Guest| !guest.task.is_finished());
        let room = connections.len() < CONNECTIONS || guests.iter().any(Guest::is_idle);
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            (stream, peer) = accept(&listener), if room => {
                if connections.len() >= CONNECTIONS {
                    send_away(&mut guests);
                }
                let busy = Arc::new(AtomicBool::new(false));
                let served = connection(stream, peer, Arc::clone(&operations), Arc::clone(&busy));
                let task = connections.spawn(served);
                guests.push_back(Guest { task, busy });
            }
        }
    }
    drop(listener);
    // What is still under way then is dropped with the set.
    let _ = timeout(FINISH, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
}

impl Guest {
    fn is_idle(&self) -> bool {
        !self.busy.load(Relaxed)
    }
}

/// Makes room: connections that say nothing, or do not take their answer, must not keep a probe
/// of this process waiting until it is thought to be dead.
fn send_away(guests: &mut VecDeque<Guest>) {
    let oldest = guests.iter().position(Guest::is_idle);
    if let Some(guest) = oldest.and_then(|place| guests.remove(place)) {
        guest.task.abort();
    }
}

/// However often it fails until then: that is one event, and one line.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut reported = false;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if reported => {
                tracing::debug!(%error, "the admin listener still cannot accept");
            }
            Err(error) => tracing::warn!(%error, "the admin listener cannot accept for now"),
        }
        reported = true;
        sleep(PAUSE).await;
    }
}

/// One connection with one request: keeping it alive would let a few idle ones shut out the rest.
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    operations: Arc<dyn Operations>,
    busy: Arc<AtomicBool>,
) {
    let service = service_fn(|request| respond(request, peer, &*operations, &busy));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST)
        .keep_alive(false)
        .max_buf_size(HEADER)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(WHOLE, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%peer, %error, "admin connection broken"),
        Err(_) => tracing::debug!(%peer, "admin connection too slow"),
    }
}

async fn respond(
    request: Request<Incoming>,
    peer: SocketAddr,
    operations: &dyn Operations,
    busy: &AtomicBool,
) -> Result<Answer, Infallible> {
    let (head, body) = request.into_parts();
    let answer = match timeout(REQUEST, Limited::new(body, BODY).collect()).await {
        Ok(Ok(_)) => {
            let request = Request::from_parts(head, ());
            busy.store(true, Relaxed);
            let answer = endpoint::answer(&request, peer, operations).await;
            busy.store(false, Relaxed);
            log(&request, peer, &answer);
            answer
        }
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "no call needs a body; leave it out",
        )
        .into(),
        Ok(Err(_)) => Refusal::new(StatusCode::BAD_REQUEST, "the body is malformed").into(),
        Err(_) => Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body came too slowly").into(),
    };
    Ok(answer)
}

/// Who made the proxy do something is worth knowing afterwards; who asked is not, most of the time.
fn log(request: &Request<()>, peer: SocketAddr, answer: &Answer) {
    let (method, path) = (request.method(), request.uri().path());
    let status = answer.status().as_u16();
    if method.is_safe() {
        tracing::debug!(%peer, %method, path, status, "admin call");
    } else {
        tracing::info!(%peer, %method, path, status, "admin call");
    }
}
