//! Stage 8: the record of how a socket ended.
//!
//! Takes: a socket whose 101 was sent. Returns: one log line when it opens, one when it closes, and
//! the counts of both. Refuses nothing. Deadline: the relay's. Metric: `websockets_open`,
//! `websocket_seconds`, `endings_total`.

use super::{
    Admitted,
    dial::Switched,
    leg::tls::TlsLeg,
    relay::{Fault, Finished, Relay, Start, Terms},
};
use crate::{
    backend::OpenConnection,
    ending::SocketEnding,
    frame::Rules,
    integrity::keyring::Kid,
    observe::{
        KeyGuard, SocketGuard,
        event::{self, Closed},
    },
    roster::sockets::{Carries, Description, Entry, Sealing},
    snapshot::rulebook,
    tls::stream::TlsStream,
    worker::visit::{Admission, Visit},
};
use futures_util::FutureExt;
use http::header;
use std::sync::Arc;

/// RSV1, which permessage-deflate uses (RFC 7692 section 6).
const RSV1: u8 = 0x40;
/// All three reserved bits (RFC 6455 section 5.2).
const RSV: u8 = 0x70;

/// What an open socket holds until its end; dropping it is the end.
pub(crate) struct Socket {
    entry: Arc<Entry>,
    guard: Option<SocketGuard>,
    _key: Option<KeyGuard>,
    finished: Option<Finished>,
    _admission: Admission,
    _open: OpenConnection,
}

impl Socket {
    /// Lists, counts and logs a socket as open, and makes its relay.
    pub(crate) fn open(
        visit: &Visit,
        admission: Admission,
        client: TlsStream,
        mut admitted: Admitted,
        switched: Switched,
    ) -> (Self, Relay<TlsLeg>) {
        let description = describe(visit, &client, &mut admitted, &switched);
        let shared = &visit.worker.shared;
        let listed = shared
            .connections
            .list(visit.worker.index, visit.id, description);
        rulebook::recheck(&visit.snapshot, &shared.snapshot.load(), listed.entry());
        let metrics = &admitted.route.metrics;
        let socket = Self {
            entry: listed.entry().clone(),
            guard: Some(metrics.upgraded()),
            _key: kid_of(&admitted).and_then(|kid| shared.metrics.integrity_key(kid.as_str())),
            finished: None,
            _admission: admission,
            _open: switched.open,
        };
        let about = socket
            .entry
            .description
            .integrity
            .as_ref()
            .map(|sealing| sealing.about.as_str());
        socket
            .entry
            .with_parties(|parties| event::opened(parties, about));
        let relay = Relay::new(Start {
            client: TlsLeg::from(client),
            from_client: admitted.behind,
            backend: switched.stream,
            from_backend: switched.early,
            terms: terms(
                visit,
                &switched.fields,
                admitted.agreement.is_some(),
                admitted.random,
            ),
            sealed: admitted
                .agreement
                .map(|agreement| (agreement, admitted.route.settings.integrity)),
            write: visit.snapshot.timeouts.write,
            seat: admitted.seat,
            listed,
            metrics: metrics.clone(),
            counts: metrics.worker(visit.worker.index),
            buffers: visit.worker.buffers.clone(),
        });
        (socket, relay)
    }

    /// Runs the relay to its end. An `async` function would hold the relay twice.
    pub(crate) fn run(mut self, relay: Relay<TlsLeg>) -> impl Future<Output = ()> {
        relay.map(move |finished| {
            self.finished = Some(finished);
            drop(self);
        })
    }
}

/// Also where the relay panicked: then there is no record, and the ending is an internal one.
impl Drop for Socket {
    fn drop(&mut self) {
        let Some(guard) = self.guard.take() else {
            return;
        };
        let finished = self.finished.take();
        let record = finished.as_ref().map(|finished| finished.record);
        let closed = Closed {
            ending: record.map_or(SocketEnding::Internal, |record| record.ending),
            code: record.and_then(|record| record.code),
            open_for: guard.open_for(),
            to_backend: finished
                .as_ref()
                .map(|finished| finished.to_backend)
                .unwrap_or_default(),
            to_client: finished
                .as_ref()
                .map(|finished| finished.to_client)
                .unwrap_or_default(),
        };
        self.entry.with_parties(|parties| {
            event::closed(
                parties,
                &closed,
                record.and_then(|record| record.fault).map(Fault::sentence),
            );
        });
        guard.end(closed.ending, closed.code);
    }
}

fn describe(
    visit: &Visit,
    client: &TlsStream,
    admitted: &mut Admitted,
    switched: &Switched,
) -> Description {
    let asked = std::mem::take(&mut admitted.asked);
    let agreement = admitted.agreement.as_ref();
    Description {
        carries: Carries::WebSocket,
        server: Some(switched.server.label.clone()),
        integrity: agreement.map(|agreement| Sealing {
            about: format!("{} {}", agreement.algorithm(), agreement.binding().label()),
            kid: agreement.kid().map(ToString::to_string),
        }),
        ..visit.describe(client, &admitted.route, &admitted.client, asked)
    }
}

fn kid_of(admitted: &Admitted) -> Option<&Kid> {
    admitted
        .agreement
        .as_ref()
        .and_then(|agreement| agreement.kid())
}

/// What the peers of a socket must keep to, given what they negotiated.
fn terms(visit: &Visit, fields: &http::HeaderMap, sealed: bool, random: [u8; 12]) -> Terms {
    let limits = &visit.snapshot.limits;
    // On a sealed connection the reserved bits are 0 (section 2 of the protocol).
    let (reserved_bits, reserved_everywhere) = if sealed {
        (0, false)
    } else {
        reserved_bits(fields)
    };
    let rules = |masked| Rules {
        masked,
        reserved_bits,
        reserved_everywhere,
        ..Rules::for_server(limits.frame, limits.message)
    };
    let [a, b, c, d, mark @ ..] = random;
    Terms {
        client: rules(true),
        backend: rules(false),
        idle: visit.snapshot.timeouts.idle,
        ping: visit.snapshot.timeouts.ping,
        ping_mark: mark,
        mask: [a, b, c, d],
    }
}

/// The reserved bits that the negotiated extensions use, and whether beyond a message's first
/// frame: those of an extension that the proxy does not know may mean anything.
fn reserved_bits(fields: &http::HeaderMap) -> (u8, bool) {
    let values = fields.get_all(header::SEC_WEBSOCKET_EXTENSIONS).iter();
    let names = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|extension| extension.split(';').next())
        .map(str::trim)
        .filter(|name| !name.is_empty());
    names.fold((0, false), |(bits, everywhere), name| match name {
        "permessage-deflate" => (bits | RSV1, everywhere),
        _ => (RSV, true),
    })
}
