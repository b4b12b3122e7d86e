//! Stage 6 of a plain request: the backend's connection, and its answer.
//!
//! Takes: an admitted request, and its content as it comes. Returns: an answer whose content is streamed.
//! Refuses when no server is up (503), none can be reached (502), the answer is late (504) or is not
//! one (502). Deadline: `timeouts.connect` for connecting; `timeouts.answer` from the whole request to
//! the head of the answer, kept by whoever polls. Metric: `backend_connect_seconds`, `backend_up`,
//! `backend_open`.

use super::{
    answer::{names_in, remove_hop_by_hop},
    flow::Flow,
};
use crate::{
    backend::{
        OpenConnection, Server,
        requests::{self, Content, Sender},
    },
    ending::RequestEnding,
    request::{Head, Version},
    snapshot::Route,
    socket::{
        backend_request,
        dial::{self, Reached},
    },
    tls::client::Client,
    worker::{Worker, refusal::Refusal, visit::Visit},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Uri, header};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::{
    borrow::Cow,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

/// An admitted request.
pub(super) struct Forwarded<'r> {
    pub(super) visit: &'r Visit,
    pub(super) route: &'r Route,
    pub(super) client: &'r Client,
    pub(super) head: &'r Head<'r>,
    pub(super) flow: Rc<Flow>,
}

/// The content of an answer, as it comes.
pub(super) struct Answer {
    content: Incoming,
    flow: Rc<Flow>,
    /// An answer to HEAD and a 304 say the length of a content that they do not have.
    without_content: bool,
    /// Trailer fields that its head announces, for a client that takes them.
    announced: Vec<HeaderName>,
    connection: Option<Lease>,
}

/// What may not be a trailer field (RFC 9110 section 6.5.1).
const NO_TRAILERS: [HeaderName; 12] = [
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::HOST,
    header::MAX_FORWARDS,
    header::SET_COOKIE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::TE,
];

/// A connection that carries a request, and goes back to wait for the next one.
struct Lease {
    sender: Sender,
    server: Arc<Server>,
    worker: Rc<Worker>,
    _open: OpenConnection,
}

impl Forwarded<'_> {
    /// Makes the request of a server, and returns its answer.
    ///
    /// A request that meets a kept connection which the server has just closed is made again over
    /// another, if none of it was sent, or if repeating it does no harm.
    pub(super) async fn forward(&self, content: Incoming) -> Result<Response<Answer>, Refusal> {
        let mut request = self.request(Content::of(content))?;
        let is_empty = matches!(request.body(), Content::Empty);
        let repeatable = is_empty && request.method().is_idempotent();
        let mut kept_ones = true;
        loop {
            let (mut lease, was_kept) = self.lease(kept_ones).await?;
            let mut error = match lease.sender.try_send_request(request).await {
                Ok(response) => return self.answer(response, lease),
                Err(error) => error,
            };
            kept_ones = false;
            request = match error.take_message() {
                Some(unsent) if was_kept => unsent,
                None if was_kept && repeatable => self.request(Content::Empty)?,
                _ => return Err(dial::nonsense(&lease.server, error.error())),
            };
        }
    }

    /// The request as the backend gets it.
    fn request(&self, content: Content) -> Result<Request<Content>, Refusal> {
        let malformed = |error: http::Error| Refusal::new(RequestEnding::Malformed, error);
        let Self {
            visit,
            route,
            client,
            head,
            ..
        } = self;
        let method = Method::from_bytes(head.method().as_bytes());
        let target = backend_request::target(route, head)?;
        let target: Result<Uri, _> = as_uri(&target).parse();
        let mut request = Request::new(content);
        *request.method_mut() = method.map_err(|error| malformed(error.into()))?;
        *request.uri_mut() = target.map_err(|error| malformed(error.into()))?;
        *request.headers_mut() = backend_request::fields(visit, route, client, head)?;
        if head.takes_trailers() {
            let trailers = http::HeaderValue::from_static("trailers");
            request.headers_mut().insert(header::TE, trailers);
        }
        Ok(request)
    }

    /// A connection to a server of the backend, and whether it is one that was kept.
    async fn lease(&self, kept_ones: bool) -> Result<(Lease, bool), Refusal> {
        let pool = &self.visit.worker.requests;
        let kept = |server: &Server| kept_ones.then(|| pool.take(&server.label)).flatten();
        let reached = dial::reach(self.visit, self.route, self.client, self.head, kept).await?;
        let (server, open, reached) = reached;
        let (sender, was_kept) = match reached {
            Reached::Kept(sender) => (sender, true),
            Reached::New(stream) => {
                let begun = requests::begin(stream).await;
                (
                    begun.map_err(|error| dial::nonsense(&server, &error))?,
                    false,
                )
            }
        };
        let lease = Lease {
            sender,
            server,
            worker: self.visit.worker.clone(),
            _open: open,
        };
        Ok((lease, was_kept))
    }

    /// The answer as the client gets it: end-to-end fields as they came.
    fn answer(
        &self,
        response: Response<Incoming>,
        lease: Lease,
    ) -> Result<Response<Answer>, Refusal> {
        let status = response.status();
        if status == StatusCode::SWITCHING_PROTOCOLS {
            let detail = "it switches protocols, which nobody asked for (RFC 9110 section 15.2.2)";
            return Err(dial::nonsense(&lease.server, &detail));
        }
        let (mut head, content) = response.into_parts();
        remove_hop_by_hop(&mut head.headers);
        self.route.settings.response_edits.apply(&mut head.headers);
        head.version = http::Version::HTTP_11;
        if self.visit.worker.shared.drain.has_begun() && self.head.version() == Version::Http11 {
            let close = http::HeaderValue::from_static("close");
            head.headers.insert(header::CONNECTION, close);
        }
        self.flow.answered(status, &head.headers, &lease.server);
        let without_content = self.head.method() == "HEAD" || status == StatusCode::NOT_MODIFIED;
        let announced = self.announced_trailers(&head.headers);
        let answer = Answer {
            content,
            flow: self.flow.clone(),
            without_content,
            announced,
            connection: Some(lease),
        };
        Ok(Response::from_parts(head, answer))
    }

    fn announced_trailers(&self, fields: &HeaderMap) -> Vec<HeaderName> {
        if !self.head.takes_trailers() || self.head.version() != Version::Http11 {
            return Vec::new();
        }
        let mut names = names_in(fields, header::TRAILER);
        names.retain(|name| !NO_TRAILERS.contains(name));
        names
    }
}

/// A target without the bytes that no URI has, but a WebSocket's target may: RFC 3986 section 2 has them
/// percent-encoded, and hyper does not send them otherwise.
fn as_uri(target: &str) -> Cow<'_, str> {
    if !target.contains(['"', '<', '>', '`']) {
        return target.into();
    }
    let encoded = target.replace('"', "%22").replace('<', "%3C");
    encoded.replace('>', "%3E").replace('`', "%60").into()
}

impl Answer {
    fn is_whole(&self) -> bool {
        self.without_content || self.content.is_end_stream()
    }

    /// What a client gets of a part. hyper ends an answer without a word where trailer fields come that
    /// it does not send, which could be before its end is written: it gets no such fields.
    fn passed_on(&self, part: Frame<Bytes>) -> Option<Frame<Bytes>> {
        let fields = match part.into_trailers() {
            Ok(fields) => fields,
            Err(data) => return Some(data),
        };
        let mut passed = HeaderMap::new();
        for name in &self.announced {
            for value in fields.get_all(name) {
                passed.append(name, value.clone());
            }
        }
        (!passed.is_empty()).then(|| Frame::trailers(passed))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let polled = match Pin::new(&mut this.content).poll_frame(cx) {
            Poll::Ready(Some(Ok(part))) => Poll::Ready(this.passed_on(part).map(Ok)),
            other => other,
        };
        match &polled {
            // Nothing comes after trailer fields, and hyper asks for nothing.
            Poll::Ready(Some(Ok(part))) if part.is_trailers() => this.flow.end(true),
            Poll::Ready(Some(Ok(_))) => this.flow.moved(),
            Poll::Ready(Some(Err(error))) => this.flow.cut(error),
            Poll::Ready(None) => this.flow.end(true),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}

/// hyper lets go of an answer when it has written all of it, or will write no more.
impl Drop for Answer {
    fn drop(&mut self) {
        let whole = self.is_whole() || self.flow.is_whole();
        self.flow.end(whole);
        if let Some(lease) = self.connection.take().filter(|_| whole) {
            let Lease {
                sender,
                server,
                worker,
                ..
            } = lease;
            worker.requests.keep(&server.label, sender);
        }
    }
}
