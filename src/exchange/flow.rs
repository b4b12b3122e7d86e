//! What is known of an answer on its way: shared by those who bring it and those who watch over it.

use crate::{
    backend::Server,
    ending::{RequestEnding, SocketEnding},
    worker::refusal::Refusal,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::{
    cell::{Cell, OnceCell, RefCell},
    fmt::Display,
    sync::Arc,
};
use tokio::time::Instant;

/// What is known of an answer on its way.
pub(super) struct Flow {
    pub(super) status: Cell<Option<StatusCode>>,
    pub(super) server: OnceCell<Arc<str>>,
    /// An answer without an end, whose client knows how to come again.
    is_event_stream: Cell<bool>,
    pub(super) moved: Cell<Instant>,
    /// Whether hyper is done with it, and has had all of it.
    pub(super) ended: Cell<Option<bool>>,
    cut: RefCell<Option<String>>,
}

impl Flow {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            status: Cell::default(),
            server: OnceCell::new(),
            is_event_stream: Cell::default(),
            moved: Cell::new(now),
            ended: Cell::default(),
            cut: RefCell::default(),
        }
    }

    /// The head of the answer is here.
    pub(super) fn answered(&self, status: StatusCode, fields: &HeaderMap, server: &Server) {
        self.status.set(Some(status));
        self.is_event_stream.set(is_event_stream(fields));
        let _ = self.server.set(server.label.clone());
        self.moved();
    }

    /// Something of the answer came.
    pub(super) fn moved(&self) {
        self.moved.set(Instant::now());
    }

    /// The answer broke off.
    pub(super) fn cut(&self, error: &dyn Display) {
        self.cut.replace(Some(error.to_string()));
    }

    /// hyper is done with the answer; `whole`: with all of it. The first report counts.
    pub(super) fn end(&self, whole: bool) {
        if self.ended.get().is_none() {
            self.ended.set(Some(whole));
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.ended.get() == Some(true)
    }

    /// A drain lets requests be answered until its deadline, but for streams that have no end.
    pub(super) fn heeds(&self, order: SocketEnding) -> bool {
        order != SocketEnding::Draining || self.is_event_stream.get()
    }

    pub(super) fn why_unfinished(&self, error: Option<hyper::Error>) -> Refusal {
        match (self.cut.take(), error) {
            (Some(cut), _) => Refusal::new(RequestEnding::BackendCut, cut),
            (None, Some(error)) => Refusal::new(RequestEnding::Gone, error),
            (None, None) => RequestEnding::Gone.into(),
        }
    }
}

/// Server-Sent Events (HTML, section 9.2).
fn is_event_stream(fields: &HeaderMap) -> bool {
    let media_type = fields.get(header::CONTENT_TYPE);
    let value = media_type.map(HeaderValue::as_bytes).unwrap_or_default();
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
    essence
        .trim_ascii()
        .eq_ignore_ascii_case(b"text/event-stream")
}
