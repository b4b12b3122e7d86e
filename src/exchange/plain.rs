//! Stage 7 of a plain request: both directions of one request and its answer, by hyper.
//!
//! Takes: a connection whose request is admitted. Returns: the connection for the next request, or how
//! this one ended. Refuses a content larger than `limits.body` (413), and ends what stands still, and
//! what its client may no longer have. Deadline: `timeouts.answer`, `.idle` and `.write`. Metric:
//! `requests_total`, `request_seconds`.

use super::{
    flow::Flow,
    forward::Forwarded,
    wire::{Lent, Wire},
};
use crate::{
    ending::{RequestEnding, SocketEnding},
    observe::event::{self, Parties, Transferred},
    request::{Content, Head, asked::Asked},
    roster::sockets::{Entry, Listed},
    snapshot::{Route, rulebook},
    tls::{client::Client, stream::TlsStream},
    worker::{refusal::Refusal, visit::Visit},
};
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use std::{
    cell::RefCell,
    fmt::Display,
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
};
use tokio::time::Instant;

/// Bytes of an answer that hyper gathers before it waits for the client.
const GATHERED_MAX: usize = 64 * 1024;

/// An admitted request.
pub(super) struct Plain<'r> {
    pub(super) visit: &'r Visit,
    pub(super) route: &'r Route,
    pub(super) client: &'r Client,
    pub(super) head: &'r Head<'r>,
    pub(super) content: Content,
}

/// What became of a connection with its request.
pub(super) enum Done {
    /// It may carry another, of which these bytes came already.
    Again(TlsStream, Vec<u8>),
    /// Its last answer was sent.
    Close(TlsStream),
    /// The answer could not be finished: all that says so is the end of the transport.
    Cut,
    /// It has had no answer yet.
    Refused(TlsStream, Refusal),
}

/// How the work on a request ended.
enum Ended {
    Finished(Result<(), hyper::Error>),
    /// By an order, as sockets get them.
    Ordered(SocketEnding),
    /// Nothing moved for too long.
    Late(Refusal),
}

impl Plain<'_> {
    /// Serves the request; `rest` came after its head.
    pub(super) async fn serve(&self, stream: TlsStream, rest: &[u8]) -> Done {
        let started = Instant::now();
        let listed = self.list(&stream);
        let flow = Rc::new(Flow::new(started));
        let limits = &self.visit.snapshot.limits;
        let wire = RefCell::new(Wire::new(
            stream,
            self.visit.worker.buffers.clone(),
            self.head,
            (self.content, limits.head.bytes),
            rest,
            limits.body,
        ));
        let refusal = RefCell::new(None);
        let ended = self.run(&wire, &flow, &refusal, listed.entry()).await;
        let mut wire = wire.into_inner();
        let refusal = wire.take_fault().or(refusal.into_inner());
        let outcome = Outcome::of(ended, refusal, &flow);
        if let Outcome::Refused(refusal) = outcome {
            return Done::Refused(wire.into_parts().0, refusal);
        }
        self.record(&outcome, listed.entry(), &flow, &wire, started);
        match outcome {
            Outcome::Answered if self.may_go_on(&wire) => {
                let (stream, early) = wire.into_parts();
                Done::Again(stream, early)
            }
            Outcome::Answered => Done::Close(wire.into_parts().0),
            _ => Done::Cut,
        }
    }

    /// Lists the request as an open exchange, so that it is shown, judged again and ended as sockets are.
    fn list(&self, stream: &TlsStream) -> Listed {
        let Self {
            visit,
            route,
            client,
            head,
            ..
        } = self;
        let asked = Asked::of(head, None);
        let description = visit.describe(stream, route, client, asked);
        let shared = &visit.worker.shared;
        let listed = shared
            .connections
            .list(visit.worker.index, visit.id, description);
        rulebook::recheck(&visit.snapshot, &shared.snapshot.load(), listed.entry());
        listed
    }

    async fn run(
        &self,
        wire: &RefCell<Wire>,
        flow: &Rc<Flow>,
        refusal: &RefCell<Option<Refusal>>,
        entry: &Entry,
    ) -> Ended {
        let forwarded = Forwarded {
            visit: self.visit,
            route: self.route,
            client: self.client,
            head: self.head,
            flow: flow.clone(),
        };
        let service = service_fn(|request: Request<Incoming>| {
            let answer = forwarded.forward(request.into_body());
            async move {
                answer.await.map_err(|why| {
                    refusal.replace(Some(why));
                    Refused
                })
            }
        });
        let connection = http1::Builder::new()
            .max_buf_size(GATHERED_MAX)
            .title_case_headers(true)
            .serve_connection(Lent(wire), service);
        let mut connection = pin!(connection);
        let mut finished = None;
        poll_fn(|cx| self.poll(cx, &mut connection, &mut finished, wire, flow, entry)).await
    }

    fn poll(
        &self,
        cx: &mut Context<'_>,
        connection: &mut Pin<&mut impl Future<Output = Result<(), hyper::Error>>>,
        finished: &mut Option<Result<(), hyper::Error>>,
        wire: &RefCell<Wire>,
        flow: &Flow,
        entry: &Entry,
    ) -> Poll<Ended> {
        entry.register(cx.waker());
        if let Some(order) = entry.order().filter(|order| flow.heeds(*order)) {
            return Poll::Ready(Ended::Ordered(order));
        }
        if finished.is_none() {
            *finished = match connection.as_mut().poll(cx) {
                Poll::Ready(result) => Some(result),
                // hyper has written all of the answer, and would wait for the next request.
                Poll::Pending if flow.ended.get().is_some() => Some(Ok(())),
                Poll::Pending => None,
            };
        }
        if finished.is_some() && wire.borrow_mut().poll_flush(cx).is_ready() {
            return Poll::Ready(Ended::Finished(finished.take().unwrap_or(Ok(()))));
        }
        self.look_at_the_clock(&wire.borrow(), flow, entry)
    }

    /// Ends what stands still, and asks to be woken when that may be so.
    fn look_at_the_clock(&self, wire: &Wire, flow: &Flow, entry: &Entry) -> Poll<Ended> {
        let timeouts = &self.visit.snapshot.timeouts;
        let moved = wire.moved().max(flow.moved.get());
        entry.touch(moved);
        let (limit, ending, detail) = if wire.stream.queued() > 0 {
            let detail = "it did not read within timeouts.write";
            (timeouts.write, RequestEnding::Stalled, detail)
        } else if !wire.is_taken_whole() {
            let detail = "nothing of its content came within timeouts.idle";
            (timeouts.idle, RequestEnding::Stalled, detail)
        } else if flow.status.get().is_none() {
            let detail = "no answer within timeouts.answer";
            (timeouts.answer, RequestEnding::BackendSlow, detail)
        } else {
            let detail = "nothing of the answer came within timeouts.idle";
            (timeouts.idle, RequestEnding::BackendSlow, detail)
        };
        let deadline = moved + limit;
        if deadline <= Instant::now() {
            return Poll::Ready(Ended::Late(Refusal::new(ending, detail)));
        }
        entry.wake_at(deadline);
        Poll::Pending
    }

    /// Whether another request may come over the connection (RFC 9112 section 9.3).
    fn may_go_on(&self, wire: &Wire) -> bool {
        self.head.keeps_alive()
            && wire.is_taken_whole()
            && !wire.stream.session.is_used_up()
            && !self.visit.worker.shared.drain.has_begun()
    }

    fn record(&self, outcome: &Outcome, entry: &Entry, flow: &Flow, wire: &Wire, started: Instant) {
        let took = started.elapsed();
        let why = match outcome {
            Outcome::Cut(why) => Some(why),
            _ => None,
        };
        let status = flow.status.get();
        let metrics = &self.route.metrics;
        metrics.requested(
            self.head.method(),
            status.map(|status| status.as_u16()),
            took,
        );
        let transferred = Transferred {
            method: self.head.method(),
            status: status.map(|status| status.as_u16()),
            took,
            to_backend: wire.content(),
            to_client: wire.written(),
            ending: why.map(|why| why.ending),
        };
        let detail = why.and_then(|why| why.detail.as_ref());
        entry.with_parties(|parties| {
            let server = flow.server.get().map(|server| &**server);
            let parties = Parties { server, ..*parties };
            event::answered(&parties, &transferred, detail.map(|it| it as &dyn Display));
        });
    }
}

/// What became of a request.
enum Outcome {
    Answered,
    /// Its answer was not finished, or had nobody to read it.
    Cut(Refusal),
    /// It can be told why it gets no answer.
    Refused(Refusal),
}

impl Outcome {
    fn of(ended: Ended, refusal: Option<Refusal>, flow: &Flow) -> Self {
        let why = match ended {
            Ended::Finished(Ok(())) if flow.is_whole() => return Self::Answered,
            Ended::Finished(result) => refusal.unwrap_or_else(|| flow.why_unfinished(result.err())),
            Ended::Ordered(order) => ending_of_order(order).into(),
            Ended::Late(why) => why,
        };
        let nobody_hears = why.ending.status().is_none();
        // What was written before the head of an answer is a 100 at most.
        if flow.status.get().is_some() || nobody_hears {
            Self::Cut(why)
        } else {
            Self::Refused(why)
        }
    }
}

/// An order to a request, as its stage's ending.
fn ending_of_order(order: SocketEnding) -> RequestEnding {
    match order {
        SocketEnding::Expired => RequestEnding::Expired,
        SocketEnding::Draining | SocketEnding::DrainDeadline => RequestEnding::RefusedDraining,
        SocketEnding::ClosedByOperator => RequestEnding::ClosedByOperator,
        _ => RequestEnding::NotAllowed,
    }
}

/// The service's error; what it stands for is kept beside it.
#[derive(Debug, thiserror::Error)]
#[error("the request is refused")]
struct Refused;
