//! A request to a backend, and its answer: within stage 6.
//!
//! hyper reads the answer, and does not write the request: it would spell `Sec-Websocket-Key`.

use super::backend_request::BackendRequest;
use crate::{
    backend::stream::BackendStream,
    request::websocket::{SwitchingFault, check_switching},
};
use bytes::{Buf, Bytes};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use std::{
    fmt, io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, timeout_at},
};

/// Bytes of a backend's header section, at most.
const HEAD_MAX: usize = 64 * 1024;
/// Bytes of a declining answer's content that are passed on, at most.
const CONTENT_MAX: usize = 1 << 20;

/// A backend's answer.
pub enum Exchanged {
    /// A verified 101.
    Switched {
        /// The transport.
        stream: BackendStream,
        /// What came after the 101.
        early: Bytes,
        /// The fields of the 101.
        fields: HeaderMap,
    },
    /// Another status.
    Declined(Declined),
}

/// An answer that declines the upgrade.
pub struct Declined {
    /// Status and fields.
    pub head: http::response::Parts,
    /// The content, as far as it came.
    pub content: Vec<u8>,
    /// Whether all of it came.
    pub whole: bool,
}

/// Why a backend's answer is not an answer.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each message says what its variant is")]
pub enum ExchangeError {
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("{0}")]
    Handshake(#[from] SwitchingFault),
}

/// For the log.
impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the backend answered {}", self.head.status)?;
        if self.whole {
            return Ok(());
        }
        let length = self.content.len();
        write!(f, "; its content was cut off after {length} bytes")
    }
}

/// Sends a request and reads the answer; a content that is not whole by the deadline is left at
/// what came.
pub async fn exchange(
    stream: BackendStream,
    request: BackendRequest,
    key: &str,
    deadline: Instant,
) -> Result<Exchanged, ExchangeError> {
    let BackendRequest { head, fields } = request;
    let written = Written {
        stream,
        request: head,
    };
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_MAX)
        .handshake(TokioIo::new(written))
        .await?;
    let mut connection = pin!(connection.without_shutdown());
    let mut answer = pin!(sender.send_request(Request::new(Empty::<Bytes>::new())));
    let mut ended = None;
    let response = tokio::select! {
        biased;
        response = &mut answer => response?,
        result = &mut connection => {
            ended = Some(result);
            // The connection ends with the answer to the request, or without one.
            answer.await?
        }
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let connection = connection.as_mut();
        let declined = decline(response, connection, ended.is_some(), deadline).await;
        return Ok(Exchanged::Declined(declined));
    }
    check_switching(&response, key, &fields)?;
    let parts = match ended {
        Some(result) => result?,
        None => connection.await?,
    };
    Ok(Exchanged::Switched {
        stream: parts.io.into_inner().stream,
        early: parts.read_buf,
        fields: response.into_parts().0.headers,
    })
}

/// Reads the content of a declining answer while the connection still delivers it. However that
/// ends, the status stays.
async fn decline<T>(
    response: Response<Incoming>,
    mut connection: Pin<&mut impl Future<Output = Result<T, hyper::Error>>>,
    ended: bool,
    deadline: Instant,
) -> Declined {
    let (head, body) = response.into_parts();
    let mut content = Vec::new();
    let reading = async {
        let mut reading = pin!(read(body, &mut content));
        tokio::select! {
            biased;
            whole = &mut reading => whole,
            _ = &mut connection, if !ended => reading.await,
        }
    };
    let whole = timeout_at(deadline, reading).await.unwrap_or(false);
    Declined {
        head,
        content,
        whole,
    }
}

/// Reads a content up to its limit; returns true if that was all.
async fn read(mut body: Incoming, content: &mut Vec<u8>) -> bool {
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return false;
        };
        let data = frame.into_data().unwrap_or_default();
        let room = CONTENT_MAX.saturating_sub(content.len());
        content.extend_from_slice(data.get(..room).unwrap_or(&data));
        if data.len() > room {
            return false;
        }
    }
    true
}

/// A transport that sends a request as it is written here instead of what hyper sends.
struct Written {
    stream: BackendStream,
    /// What is left to be sent of it.
    request: Bytes,
}

impl AsyncRead for Written {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Written {
    /// hyper has nothing to send but a head; it is done once all of the request is sent.
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, request } = self.get_mut();
        while !request.is_empty() {
            let count = ready!(Pin::new(&mut *stream).poll_write(cx, request))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            request.advance(count);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
