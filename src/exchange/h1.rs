//! Stage 4: bytes → the head of a request.
//!
//! Takes: a TLS stream. Returns: a request's head as it was received, and the bytes that came after it.
//! Refuses what is not HTTP/1.1 to the byte: a status with a problem document (RFC 9457). Deadline:
//! `timeouts.upgrade`; before the first byte of a connection's later requests `timeouts.idle`, and it
//! watches the drain. Metric: `upgrades_total`.

use crate::{
    ending::RequestEnding,
    request::{Head, HeadLimits, HeadScanner, RequestError},
    tls::{
        session::Received,
        stream::{StreamError, TlsStream},
    },
    worker::{Worker, refusal::Refusal, visit::Visit},
};
use std::time::Duration;
use tokio::time::timeout;

/// A request as it was received.
pub struct Request {
    /// Everything that was received; the head stands in front.
    received: Vec<u8>,
    /// Bytes of the head.
    length: usize,
    limits: HeadLimits,
}

impl Request {
    /// Reads a whole head under its deadline; `early` came before it was asked for.
    pub async fn read(
        visit: &Visit,
        stream: &mut TlsStream,
        early: Vec<u8>,
    ) -> Result<Self, Refusal> {
        let deadline = visit.snapshot.timeouts.upgrade;
        match timeout(deadline, receive(visit, stream, early)).await {
            Ok(result) => result,
            Err(_) => Err(RequestEnding::Timeout.into()),
        }
    }

    /// Judges the head.
    pub fn head(&self) -> Result<Head<'_>, Refusal> {
        match Head::parse(&self.received, self.limits) {
            Some(Ok((head, _))) => Ok(head),
            Some(Err(error)) => Err(error.into()),
            None => Err(RequestEnding::Malformed.into()),
        }
    }

    /// What came after the head: the start of a content, or frames that the client sent without waiting
    /// for the 101.
    pub fn rest(&self) -> &[u8] {
        self.received.get(self.length..).unwrap_or_default()
    }
}

/// Waits for the first bytes of a connection's next request; `None`: there will be none, because the
/// client has closed, sent nothing for `timeouts.idle`, or the proxy drains.
pub async fn wait_for_next(
    worker: &Worker,
    stream: &mut TlsStream,
    idle: Duration,
) -> Option<Vec<u8>> {
    let mut received = Vec::new();
    let read = stream.read(&mut received, &worker.buffers);
    tokio::select! {
        biased;
        read = timeout(idle, read) => match read {
            Ok(Ok(Received::Open)) => Some(received),
            _ => None,
        },
        () = worker.shared.drain.begun() => None,
    }
}

async fn receive(
    visit: &Visit,
    stream: &mut TlsStream,
    mut received: Vec<u8>,
) -> Result<Request, Refusal> {
    let limits = visit.snapshot.limits.head;
    let mut scanner = HeadScanner::new(limits);
    loop {
        if let Some(end) = scanner.find_end(&received) {
            return Ok(Request {
                length: end?,
                received,
                limits,
            });
        }
        let nothing = received.is_empty();
        match stream.read(&mut received, &visit.worker.buffers).await {
            Ok(Received::Open) => {}
            Ok(Received::Closed) if received.is_empty() => {
                return Err(RequestEnding::NoRequest.into());
            }
            Ok(Received::Closed) => return Err(RequestEnding::Gone.into()),
            Err(StreamError::Io(_)) if nothing => return Err(RequestEnding::NoRequest.into()),
            Err(error) => return Err(Refusal::new(RequestEnding::Gone, error)),
        }
    }
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        let ending = match &error {
            RequestError::Malformed(_) => RequestEnding::Malformed,
            RequestError::TooLarge(_) => RequestEnding::TooLarge,
            RequestError::NotWebSocket(_) => RequestEnding::NotWebSocket,
            RequestError::Version(_) => RequestEnding::Version,
        };
        Refusal::new(ending, error)
    }
}
