//! A refused request: counted, logged, answered, and its connection ended.

use super::answer;
use crate::{
    observe::event::{self, Parties},
    request::{Head, asked::Asked},
    snapshot::Route,
    tls::{client::Client, stream::TlsStream},
    worker::{refusal::Refusal, visit::Visit},
};
use std::{fmt::Display, sync::Arc};
use tokio::time::timeout;

/// A refusal, and how far the request had come.
pub(super) struct Stopped {
    refusal: Refusal,
    route: Option<Arc<Route>>,
    client: Option<Client>,
    /// What was asked for, where that was understood.
    asked: Asked,
    /// The method of a request that asks for no WebSocket.
    method: Option<String>,
}

impl Stopped {
    /// Before there was a head that can be understood.
    pub(super) fn early(refusal: Refusal, client: &Result<Client, Refusal>) -> Self {
        Self {
            refusal,
            route: None,
            client: client.as_ref().ok().cloned(),
            asked: Asked::default(),
            method: None,
        }
    }

    /// With a head.
    pub(super) fn at(
        head: &Head<'_>,
        refusal: Refusal,
        route: Option<Arc<Route>>,
        client: Option<&Client>,
    ) -> Self {
        let plain = !head.asks_for_websocket();
        Self {
            refusal,
            route,
            client: client.cloned(),
            asked: Asked::of(head, None),
            method: plain.then(|| head.method().to_owned()),
        }
    }

    /// Tells the client why its request is refused, and ends the connection.
    pub(super) async fn refuse(&self, visit: &Visit, mut stream: TlsStream) {
        self.count(visit);
        self.log(visit, &stream);
        if let Some(response) = answer::refusal_response(&self.refusal, visit.id) {
            let deadline = visit.snapshot.timeouts.upgrade;
            let response = answer::written(&response);
            let write = stream.write(&response, &visit.worker.buffers);
            // A client that does not take its refusal is gone either way.
            let _ = timeout(deadline, write).await;
        }
        stream.close().await;
    }

    fn count(&self, visit: &Visit) {
        let ending = self.refusal.ending;
        let metrics = &visit.worker.shared.metrics;
        match (&self.method, &self.route) {
            (Some(method), Some(route)) => route.metrics.request_refused(method, ending),
            (Some(method), None) => metrics.requested_without_route(method, ending.status()),
            (None, Some(route)) => route.metrics.refused(ending),
            (None, None) => metrics.refused_without_route(ending),
        }
    }

    fn log(&self, visit: &Visit, stream: &TlsStream) {
        let Self {
            refusal,
            route,
            client,
            asked,
            method,
        } = self;
        let id = visit.id.to_string();
        let identity = client
            .as_ref()
            .and_then(|client| client.identity.as_ref())
            .map(|identity| identity.display_name());
        let parties = Parties {
            identity: identity.as_deref(),
            route: route.as_ref().map(|route| &*route.name),
            backend: route.as_ref().map(|route| &*route.backend.name),
            tls: Some(stream.session.version()),
            cipher: Some(stream.session.cipher()),
            asked: asked.details(),
            ..visit.parties(&id)
        };
        let detail = refusal.detail.as_ref().map(|detail| detail as &dyn Display);
        event::request_refused(&parties, method.as_deref(), refusal.ending, detail);
    }
}
