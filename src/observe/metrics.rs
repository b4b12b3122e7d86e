//! Every metric of the process, and how the parts of the proxy get at theirs.

use super::{
    backend::{self, BackendMetrics, ServerReading},
    expiry::{self, Expiry},
    label::{ReloadResult, Resumption, Trigger},
    listener::{self, ListenerMetrics},
    names::Names,
    process,
    route::{RouteMetrics, RouteSeries, Upgrades},
    series::{self, Count, Exposition},
};
use crate::ending::RequestEnding;
use prometheus::{Histogram, HistogramOpts, HistogramVec, Registry, TextEncoder};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// The media type of [`Metrics::text`].
pub const TEXT_FORMAT: &str = prometheus::TEXT_FORMAT;

/// The label `route` of requests that matched none.
const NO_ROUTE: &str = "none";

const HANDSHAKE: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// 1 s, 10 s, 1 min, 5 min, 15 min, 1 h, 4 h, 12 h, 1 d, 3 d, 7 d, 14 d, 30 d.
const SOCKET: &[f64] = &[
    1.0,
    10.0,
    60.0,
    300.0,
    900.0,
    3_600.0,
    14_400.0,
    43_200.0,
    86_400.0,
    259_200.0,
    604_800.0,
    1_209_600.0,
    2_592_000.0,
];
const CONNECT: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
];
const PING: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// As HTTP servers have it, and longer, for long polls and streams.
const REQUEST: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0,
];

/// Every metric of the process. Clones share the counts.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    shared: Arc<Shared>,
}

/// A route of a configuration.
#[derive(Clone, Copy, Debug)]
pub struct RouteNames<'a> {
    /// The name of the route.
    pub route: &'a str,
    /// The name of its backend.
    pub backend: &'a str,
}

/// Names the routes and backends of a new configuration, and gives each its counts.
pub struct Naming<'m> {
    shared: &'m Shared,
    names: MutexGuard<'m, Names>,
}

/// Counts a WebSocket as depending on a key of the keyring until it is dropped.
#[derive(Debug)]
pub struct KeyGuard(Arc<Count>);

#[derive(Debug)]
struct Shared {
    started: u64,
    listeners: Vec<Arc<ListenerMetrics>>,
    histograms: Histograms,
    /// Upgrades for which no route was found.
    unrouted: Arc<Upgrades>,
    names: Mutex<Names>,
    keys: Mutex<BTreeMap<String, Arc<Count>>>,
    expiries: Mutex<Vec<Expiry>>,
    reloads: HashMap<(Trigger, ReloadResult), Count>,
    resumptions: HashMap<Resumption, Count>,
    reload_successful: Count,
    generation: Count,
    reload_time: Count,
    draining: Count,
    log_lines_dropped: Arc<AtomicU64>,
    /// Bytes of the last scrape; the next one will need about as many.
    length: AtomicUsize,
}

#[derive(Debug)]
struct Histograms {
    socket: HistogramVec,
    ping: HistogramVec,
    request: HistogramVec,
    connect: HistogramVec,
}

impl Metrics {
    /// Makes every metric, and registers the histograms. `listeners` are the names of the listeners,
    /// which never change; `log_lines_dropped` is counted by the log.
    pub fn register(
        registry: &Registry,
        listeners: &[String],
        log_lines_dropped: Arc<AtomicU64>,
    ) -> prometheus::Result<Self> {
        let shared = Shared::register(registry, listeners, log_lines_dropped)?;
        Ok(Self {
            registry: registry.clone(),
            shared: Arc::new(shared),
        })
    }

    /// Metrics that nobody will scrape: for judging offline by a whole snapshot.
    pub fn unscraped(listeners: &[String]) -> prometheus::Result<Self> {
        Self::register(&Registry::new(), listeners, Arc::default())
    }

    /// Everything, in the text format that Prometheus reads; `servers` are those of the backends, in
    /// order.
    pub fn text(&self, servers: &[ServerReading]) -> prometheus::Result<String> {
        let length = self.shared.length.load(Ordering::Relaxed);
        let mut out = Exposition::with_capacity(length + length / 16);
        self.shared.collect(servers, &mut out);
        let mut text = out.into_text();
        TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text)?;
        self.shared.length.store(text.len(), Ordering::Relaxed);
        Ok(text)
    }

    /// Begins a new configuration, of which every route and every backend is to be named.
    pub fn naming(&self) -> Naming<'_> {
        Naming {
            shared: &self.shared,
            names: self.shared.names(),
        }
    }

    /// Makes the series of a keyring; keys that are gone keep theirs while sockets use them.
    pub fn set_integrity_keys(&self, ids: &[String]) {
        let mut keys = locked(&self.shared.keys);
        keys.retain(|id, count| ids.contains(id) || Arc::strong_count(count) > 1);
        for id in ids {
            keys.entry(id.clone()).or_default();
        }
    }

    /// Sets when certificates, CRLs and keys end; replaces all that was set before.
    pub fn set_expiries(&self, expiries: Vec<Expiry>) {
        *locked(&self.shared.expiries) = expiries;
    }

    /// The counts of a listener; `None` if there is none of that name.
    pub fn listener(&self, name: &str) -> Option<Arc<ListenerMetrics>> {
        let mut listeners = self.shared.listeners.iter();
        listeners.find(|listener| listener.name() == name).cloned()
    }

    /// Counts a socket that uses a key of the last [`Metrics::set_integrity_keys`].
    pub fn integrity_key(&self, id: &str) -> Option<KeyGuard> {
        let count = locked(&self.shared.keys).get(id).cloned()?;
        count.increment();
        Some(KeyGuard(count))
    }

    /// Counts a request that was refused before a route was found for it.
    pub fn refused_without_route(&self, ending: RequestEnding) {
        self.shared.unrouted.results.ended(ending);
    }

    /// Counts a plain request that ended before a route was found for it, or at a listener that has none,
    /// with this status, or without an answer.
    pub fn requested_without_route(&self, method: &str, status: Option<u16>) {
        self.shared.unrouted.requests.ended(method, status);
    }

    /// Counts how a TLS session began.
    pub fn resumption(&self, result: Resumption) {
        increment(self.shared.resumptions.get(&result));
    }

    /// Counts an attempt to load the configuration.
    pub fn reload(&self, trigger: Trigger, result: ReloadResult) {
        increment(self.shared.reloads.get(&(trigger, result)));
        let successful = result != ReloadResult::Failed;
        self.shared.reload_successful.set(u64::from(successful));
    }

    /// Sets which snapshot is in use, and since when.
    pub fn published(&self, generation: u64, at: SystemTime) {
        self.shared.generation.set(generation);
        self.shared.reload_time.set(unix_seconds(at));
    }

    /// Shows that a drain has begun.
    pub fn draining(&self) {
        self.shared.draining.set(1);
    }
}

impl Naming<'_> {
    /// The counts of a route, whose series are there from now on, at 0 where they are new. Routes may
    /// share a name: then their backends distinguish them.
    pub fn route(&mut self, route: RouteNames<'_>) -> Arc<RouteMetrics> {
        self.shared.route(&mut self.names, route)
    }

    /// The counts of a backend, whose series are there from now on.
    pub fn backend(&self, name: &str) -> BackendMetrics {
        let connect = &self.shared.histograms.connect;
        BackendMetrics::new(connect.with_label_values(&[name]))
    }
}

impl Drop for KeyGuard {
    fn drop(&mut self) {
        self.0.decrement();
    }
}

impl Shared {
    fn register(
        registry: &Registry,
        listeners: &[String],
        log_lines_dropped: Arc<AtomicU64>,
    ) -> prometheus::Result<Self> {
        let handshake = handshake_histogram(registry)?;
        // A name that stood there twice would break the scrape.
        let listeners = listeners.iter().collect::<BTreeSet<_>>().into_iter();
        let each = listeners.map(|name| Arc::new(ListenerMetrics::new(name, handshake.clone())));
        let unrouted = Arc::new(Upgrades::new(NO_ROUTE));
        Ok(Self {
            started: unix_seconds(SystemTime::now()),
            listeners: each.collect(),
            histograms: Histograms::register(registry)?,
            names: Mutex::new(Names::with_upgrades(&unrouted)),
            unrouted,
            keys: Mutex::default(),
            expiries: Mutex::default(),
            reloads: reload_counts(),
            resumptions: Resumption::ALL
                .iter()
                .map(|result| (*result, Count::default()))
                .collect(),
            reload_successful: Count::default(),
            generation: Count::default(),
            reload_time: Count::default(),
            draining: Count::default(),
            log_lines_dropped,
            length: AtomicUsize::new(0),
        })
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        locked(&self.names)
    }

    fn route(&self, names: &mut Names, route: RouteNames<'_>) -> Arc<RouteMetrics> {
        let series = names.series(route.route, |upgrades| {
            let socket = self.histograms.socket.with_label_values(&[route.route]);
            let ping = self.histograms.ping.with_label_values(&[route.route]);
            let request = self.histograms.request.with_label_values(&[route.route]);
            RouteSeries::new(upgrades, [socket, ping, request])
        });
        let open = names.open(route.route, route.backend);
        Arc::new(RouteMetrics { series, open })
    }

    /// Everything but the histograms.
    fn collect(&self, servers: &[ServerReading], out: &mut Exposition) {
        self.whole(out);
        listener::collect(&self.listeners, out);
        // What is counted meanwhile must not wait for the scrape, so nothing is locked while it is written.
        let all = self.names().all();
        all.collect(out);
        backend::collect(servers, out);
        process::collect(self.started, out);
    }

    /// What is counted of the process as a whole.
    fn whole(&self, out: &mut Exposition) {
        let version = env!("CARGO_PKG_VERSION");
        out.family(series::BUILD_INFO).add(&[version], 1);
        self.reload_results(out);
        self.resumption_results(out);
        let successful = self.reload_successful.value();
        out.single(series::RELOAD_SUCCESSFUL, successful);
        out.single(series::GENERATION, self.generation.value());
        out.single(series::RELOAD_TIME, self.reload_time.value());
        out.single(series::DRAINING, self.draining.value());
        let dropped = self.log_lines_dropped.load(Ordering::Relaxed);
        out.single(series::LOG_DROPPED, dropped);
        expiry::collect(&locked(&self.expiries), out);
        self.key_sockets(out);
    }

    fn key_sockets(&self, out: &mut Exposition) {
        let mut family = out.family(series::KEY_SOCKETS);
        for (id, count) in locked(&self.keys).iter() {
            family.add(&[id], count.value());
        }
    }

    fn reload_results(&self, out: &mut Exposition) {
        let mut family = out.family(series::RELOADS);
        for ((trigger, result), count) in &self.reloads {
            family.add(&[trigger.label(), result.label()], count.value());
        }
    }

    fn resumption_results(&self, out: &mut Exposition) {
        let mut family = out.family(series::RESUMPTIONS);
        for (result, count) in &self.resumptions {
            family.add(&[result.label()], count.value());
        }
    }
}

impl Histograms {
    fn register(registry: &Registry) -> prometheus::Result<Self> {
        let of = |name, help, buckets, label| histogram(registry, name, help, buckets, label);
        let socket = "How long WebSockets were open.";
        let ping = "From a Ping of the proxy to the client's Pong.";
        let request = "From a plain request's head to the end of its answer.";
        let connect = "How long connecting to a server took.";
        Ok(Self {
            socket: of("websocket", socket, SOCKET, "route")?,
            ping: of("ping", ping, PING, "route")?,
            request: of("request", request, REQUEST, "route")?,
            connect: of("backend_connect", connect, CONNECT, "backend")?,
        })
    }
}

fn handshake_histogram(registry: &Registry) -> prometheus::Result<Histogram> {
    let help = "From accept to the end of the TLS handshake, good or not.";
    let options = HistogramOpts::new("tidegate_handshake_seconds", help);
    let histogram = Histogram::with_opts(options.buckets(HANDSHAKE.to_vec()))?;
    registry.register(Box::new(histogram.clone()))?;
    Ok(histogram)
}

fn histogram(
    registry: &Registry,
    name: &str,
    help: &str,
    buckets: &[f64],
    label: &str,
) -> prometheus::Result<HistogramVec> {
    let options = HistogramOpts::new(format!("tidegate_{name}_seconds"), help);
    let histogram = HistogramVec::new(options.buckets(buckets.to_vec()), &[label])?;
    registry.register(Box::new(histogram.clone()))?;
    Ok(histogram)
}

fn reload_counts() -> HashMap<(Trigger, ReloadResult), Count> {
    let results = |trigger: &Trigger| {
        let trigger = *trigger;
        let all = ReloadResult::ALL.iter();
        all.map(move |result| ((trigger, *result), Count::default()))
    };
    Trigger::ALL.iter().flat_map(results).collect()
}

fn increment(count: Option<&Count>) {
    if let Some(count) = count {
        count.increment();
    }
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
