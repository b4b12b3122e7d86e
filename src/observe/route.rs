//! What is counted of a route: upgrades, open sockets, frames, endings.

use super::{
    label::{Direction, ENDING_SERIES, EndingSeries, OPCODES, UnitResult},
    requests::Requests,
    results::Results,
    series::{self, Count, Exposition, Family},
    worker::{WorkerRoute, Workers},
};
use crate::ending::{Ending, RequestEnding, SocketEnding};
use prometheus::Histogram;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The counts of one route with its backend.
#[derive(Debug)]
pub struct RouteMetrics {
    pub(super) series: Arc<RouteSeries>,
    pub(super) open: Arc<OpenSockets>,
}

/// What is counted by the route's name alone, whatever its backend.
#[derive(Debug)]
pub(super) struct RouteSeries {
    pub(super) name: String,
    pub(super) upgrades: Arc<Upgrades>,
    /// One for each of [`ENDING_SERIES`].
    endings: Vec<Count>,
    workers: Workers,
    socket_seconds: Histogram,
    ping_seconds: Histogram,
    request_seconds: Histogram,
}

/// Results of upgrade requests.
#[derive(Debug)]
pub(super) struct Upgrades {
    pub(super) route: String,
    pub(super) results: Results<RequestEnding>,
    /// Requests that ask for no WebSocket.
    pub(super) requests: Requests,
}

/// Open sockets of one route with one backend.
#[derive(Debug)]
pub(super) struct OpenSockets {
    pub(super) route: String,
    pub(super) backend: String,
    open: Count,
}

/// Counts a WebSocket as open until it is dropped. One that is dropped without
/// [`SocketGuard::end`] counts as [`SocketEnding::Internal`].
#[derive(Debug)]
pub struct SocketGuard {
    route: Arc<RouteMetrics>,
    started: Instant,
    outcome: (SocketEnding, Option<u16>),
}

impl RouteMetrics {
    /// The route's name in the configuration.
    pub fn name(&self) -> &str {
        &self.series.name
    }

    /// Counts a refused upgrade.
    pub fn refused(&self, ending: RequestEnding) {
        self.series.upgrades.results.ended(ending);
    }

    /// Counts a plain request that was refused.
    pub fn request_refused(&self, method: &str, ending: RequestEnding) {
        self.series.upgrades.requests.ended(method, ending.status());
    }

    /// Counts a plain request that ended with this status, or without an answer, and how long it took.
    pub fn requested(&self, method: &str, status: Option<u16>, took: Duration) {
        self.series.upgrades.requests.ended(method, status);
        self.series.request_seconds.observe(took.as_secs_f64());
    }

    /// Counts a finished upgrade, and the WebSocket as open.
    pub fn upgraded(self: &Arc<Self>) -> SocketGuard {
        self.series.upgrades.results.done();
        self.open.open.increment();
        SocketGuard {
            route: Arc::clone(self),
            started: Instant::now(),
            outcome: (SocketEnding::Internal, None),
        }
    }

    /// Counts the time from a Ping of the proxy to its Pong.
    pub fn ping_answered(&self, after: Duration) {
        self.series.ping_seconds.observe(after.as_secs_f64());
    }

    /// The counts that one worker thread, and no other, adds to.
    pub fn worker(&self, index: usize) -> Arc<WorkerRoute> {
        self.series.workers.of(index)
    }
}

impl SocketGuard {
    /// Ends it: `code` is the close code that was sent to the client or, where a peer's Close was
    /// passed on, that peer's; `None` where there was none.
    pub fn end(mut self, ending: SocketEnding, code: Option<u16>) {
        self.outcome = (ending, code);
    }

    /// How long it has been open.
    pub fn open_for(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for SocketGuard {
    fn drop(&mut self) {
        let series = &self.route.series;
        series
            .socket_seconds
            .observe(self.started.elapsed().as_secs_f64());
        series.ended(self.outcome.0, self.outcome.1);
        self.route.open.open.decrement();
    }
}

impl RouteSeries {
    pub(super) fn new(upgrades: Arc<Upgrades>, [socket, ping, request]: [Histogram; 3]) -> Self {
        Self {
            name: upgrades.route.clone(),
            upgrades,
            endings: ENDING_SERIES.iter().map(|_| Count::default()).collect(),
            workers: Workers::default(),
            socket_seconds: socket,
            ping_seconds: ping,
            request_seconds: request,
        }
    }

    fn ended(&self, ending: SocketEnding, code: Option<u16>) {
        let series = EndingSeries::of(ending, code);
        let counts = ENDING_SERIES.iter().zip(&self.endings);
        counts
            .filter(|(known, _)| **known == series)
            .for_each(|(_, count)| count.increment());
    }

    fn endings(&self, family: &mut Family<'_>) {
        for (series, count) in ENDING_SERIES.iter().zip(&self.endings) {
            let (by, reason) = (series.ending.by().label(), series.ending.label());
            family.add(&[&self.name, by, reason, series.code], count.value());
        }
    }

    fn frames(&self, direction: Direction, family: &mut Family<'_>) {
        for (index, opcode) in OPCODES.iter().enumerate() {
            let count = self.workers.frames(direction, index);
            family.add(&[&self.name, direction.label(), opcode], count);
        }
    }

    fn bytes(&self, direction: Direction, family: &mut Family<'_>) {
        let count = self.workers.bytes(direction);
        family.add(&[&self.name, direction.label()], count);
    }

    fn units(&self, direction: Direction, family: &mut Family<'_>) {
        for result in UnitResult::ALL {
            let count = self.workers.units(direction, *result);
            let labels = [&self.name, direction.label(), result.label()];
            family.add(&labels, count);
        }
    }
}

impl Upgrades {
    pub(super) fn new(route: &str) -> Self {
        Self {
            route: route.to_owned(),
            results: Results::default(),
            requests: Requests::default(),
        }
    }
}

impl OpenSockets {
    pub(super) fn new(route: &str, backend: &str) -> Self {
        Self {
            route: route.to_owned(),
            backend: backend.to_owned(),
            open: Count::default(),
        }
    }
}

/// The family of all upgrades.
pub(super) fn collect_upgrades(all: &[Arc<Upgrades>], out: &mut Exposition) {
    let mut family = out.family(series::UPGRADES);
    for upgrades in all {
        upgrades.results.collect(&upgrades.route, &mut family);
    }
}

/// The family of all plain requests.
pub(super) fn collect_requests(all: &[Arc<Upgrades>], out: &mut Exposition) {
    let mut family = out.family(series::REQUESTS);
    for upgrades in all {
        upgrades.requests.collect(&upgrades.route, &mut family);
    }
}

/// The family of all open sockets.
pub(super) fn collect_open(all: &[Arc<OpenSockets>], out: &mut Exposition) {
    let mut family = out.family(series::SOCKETS_OPEN);
    for sockets in all {
        family.add(&[&sockets.route, &sockets.backend], sockets.open.value());
    }
}

/// The families of endings, frames, bytes and sealed units of all routes.
pub(super) fn collect_traffic(all: &[Arc<RouteSeries>], out: &mut Exposition) {
    let mut endings = out.family(series::ENDINGS);
    for route in all {
        route.endings(&mut endings);
    }
    let each_way = [
        (series::FRAMES, RouteSeries::frames as Writer),
        (series::BYTES, RouteSeries::bytes),
        (series::UNITS, RouteSeries::units),
    ];
    for (shape, write) in each_way {
        let mut family = out.family(shape);
        for route in all {
            for direction in Direction::ALL {
                write(route, *direction, &mut family);
            }
        }
    }
}

/// Writes what a route has counted in one direction.
type Writer = fn(&RouteSeries, Direction, &mut Family<'_>);
