//! Stage 4: HTTP request → what is asked for; and the answer.
//!
//! Takes: a TLS stream. Returns: a judged request head, and the bytes that came behind it. Refuses
//! what is not a valid opening handshake (RFC 6455 section 4.2.1): a status with a problem
//! document (RFC 9457). Deadline: `timeouts.upgrade`. Metric: `upgrades_total`.

use crate::{
    ending::RequestEnding,
    request::{HeadScanner, RequestError, RequestHead},
    tls::{
        session::Received,
        stream::{StreamError, TlsStream},
    },
    worker::{refusal::Refusal, visit::Visit},
};
use tokio::time::timeout;

/// A request as it was received.
pub struct Request {
    /// Everything that was received; the head stands in front.
    received: Vec<u8>,
    /// Bytes of the head.
    length: usize,
}

impl Request {
    /// Reads a whole head under its deadline; `early` came with the handshake.
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
    pub fn head(&self) -> Result<RequestHead<'_>, Refusal> {
        match RequestHead::parse(&self.received) {
            Some(Ok((head, _))) => Ok(head),
            Some(Err(error)) => Err(error.into()),
            None => Err(RequestEnding::Malformed.into()),
        }
    }

    /// What came behind the head: frames that the client sent without waiting for the 101.
    pub fn behind(&self) -> &[u8] {
        self.received.get(self.length..).unwrap_or_default()
    }
}

async fn receive(
    visit: &Visit,
    stream: &mut TlsStream,
    mut received: Vec<u8>,
) -> Result<Request, Refusal> {
    let mut scanner = HeadScanner::default();
    loop {
        if let Some(end) = scanner.find_end(&received) {
            return Ok(Request {
                length: end?,
                received,
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
