//! Stage 2 of a listener without TLS: one request, answered with where to go instead.
//!
//! Takes: a TCP connection. Returns: nothing, for it ends with the answer. Refuses what is not HTTP/1:
//! a status with a problem document (RFC 9457). Deadline: `timeouts.upgrade`. Metric:
//! `requests_total` with the route `none`.

use crate::{
    ending::RequestEnding,
    exchange::answer::{refusal_response, written},
    observe::event::{self, Parties, Transferred},
    request::{Head, HeadScanner, RequestError, asked::Asked},
    tls::stream::linger,
    worker::{
        refusal::Refusal,
        visit::{Admission, Visit},
    },
};
use http::{HeaderValue, Response, StatusCode, header};
use std::fmt::Display;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};

/// The port of https (RFC 9110 section 4.2.2).
const HTTPS_PORT: u16 = 443;

/// Answers the one request of a connection with the same address at a listener with TLS.
pub async fn serve(visit: Visit, _admission: Admission, mut tcp: TcpStream, port: u16) {
    let started = Instant::now();
    let deadline = started + visit.snapshot.timeouts.upgrade;
    let mut received = Vec::new();
    let read = timeout_at(deadline, read(&visit, &mut tcp, &mut received)).await;
    let read = read.unwrap_or_else(|_| Err(RequestEnding::Timeout.into()));
    let answer = match read.and_then(|()| redirect(&visit, &received, port)) {
        Ok((response, method, asked)) => {
            let response = written(&response);
            record(&visit, &method, &asked, response.len(), started);
            Some(response)
        }
        Err(refusal) => {
            refuse(&visit, &refusal);
            refusal_response(&refusal, visit.id).map(|response| written(&response))
        }
    };
    let Some(answer) = answer else {
        return;
    };
    // A client that does not take its answer is gone either way.
    let _ = timeout(visit.snapshot.timeouts.write, tcp.write_all(&answer)).await;
    linger(tcp).await;
}

/// Reads until the head is whole.
async fn read(visit: &Visit, tcp: &mut TcpStream, received: &mut Vec<u8>) -> Result<(), Refusal> {
    let mut scanner = HeadScanner::new(visit.snapshot.limits.head);
    loop {
        if let Some(end) = scanner.find_end(received) {
            end?;
            return Ok(());
        }
        let nothing = received.is_empty();
        match tcp.read_buf(received).await {
            Ok(1..) => {}
            Ok(0) if nothing => return Err(RequestEnding::NoRequest.into()),
            Ok(0) => return Err(RequestEnding::Gone.into()),
            Err(error) => return Err(Refusal::new(RequestEnding::Gone, error)),
        }
    }
}

fn redirect(
    visit: &Visit,
    received: &[u8],
    port: u16,
) -> Result<(Response<Vec<u8>>, String, Asked), Refusal> {
    let (head, _) = Head::parse(received, visit.snapshot.limits.head)
        .unwrap_or_else(|| Err(RequestError::Malformed("the head is not whole".into())))?;
    let location = location(&head, port);
    let location = HeaderValue::from_str(&location)
        .map_err(|error| Refusal::new(RequestEnding::Malformed, error))?;
    let mut response = Response::new(Vec::new());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    let fields = response.headers_mut();
    fields.insert(header::LOCATION, location);
    fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok((response, head.method().to_owned(), Asked::of(&head, None)))
}

/// The same host and target, to the byte.
fn location(head: &Head<'_>, port: u16) -> String {
    let (host, target) = (head.host(), head.path_and_query());
    match port {
        HTTPS_PORT => format!("https://{host}{target}"),
        port => format!("https://{host}:{port}{target}"),
    }
}

fn record(visit: &Visit, method: &str, asked: &Asked, length: usize, started: Instant) {
    let status = Some(StatusCode::PERMANENT_REDIRECT.as_u16());
    let metrics = &visit.worker.shared.metrics;
    metrics.requested_without_route(method, status);
    let id = visit.id.to_string();
    let parties = Parties {
        asked: asked.details(),
        ..visit.parties(&id)
    };
    let transferred = Transferred {
        method,
        status,
        took: started.elapsed(),
        to_backend: 0,
        to_client: length as u64,
        ending: None,
    };
    event::answered(&parties, &transferred, None);
}

fn refuse(visit: &Visit, refusal: &Refusal) {
    let ending = refusal.ending;
    let metrics = &visit.worker.shared.metrics;
    metrics.requested_without_route("", ending.status());
    let detail = refusal.detail.as_ref().map(|detail| detail as &dyn Display);
    let id = visit.id.to_string();
    event::request_refused(&visit.parties(&id), Some(""), ending, detail);
}
