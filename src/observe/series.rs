//! The shape of every metric that tidegate collects itself, and how a family is put together at a
//! scrape. Counts live in plain atomics; labels are made here, at scrape time, never per event.

use prometheus::{
    core::Desc,
    proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType},
};
use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

/// Name, kind, labels and meaning of one metric.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    kind: MetricType,
    pub(super) labels: &'static [&'static str],
    help: &'static str,
}

/// The samples of one metric, as a scrape collects them.
pub(super) struct Family {
    shape: &'static Shape,
    samples: Vec<Metric>,
}

/// A count of rare events that any thread may add to.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

macro_rules! shapes {
    ($($constant:ident $kind:ident $name:literal [$($label:literal)*] $help:literal)*) => {
        $(pub(super) const $constant: &Shape = &Shape {
            name: $name,
            kind: MetricType::$kind,
            labels: &[$($label),*],
            help: $help,
        };)*

        /// Every shape, in the order of the table.
        pub(super) const ALL: &[&Shape] = &[$($constant),*];
    };
}

shapes! {
    BUILD_INFO        GAUGE   "tidegate_build_info"              ["version"] "The version that runs; always 1."
    CONNECTIONS_OPEN  GAUGE   "tidegate_connections_open"        ["listener"] "Open client connections."
    CONNECTIONS_TOTAL COUNTER "tidegate_connections_total"       ["listener"] "Client connections accepted."
    ACCEPT_ERRORS     COUNTER "tidegate_accept_errors_total"     ["listener"] "Errors of accept(2), after each of which the listener pauses."
    HANDSHAKES        COUNTER "tidegate_handshakes_total"        ["listener" "result"] "TLS handshakes by result: ok, or why there was none."
    UPGRADES          COUNTER "tidegate_upgrades_total"          ["route" "result"] "Upgrade requests by result: ok, or why there was no 101; route none: no route was found."
    SOCKETS_OPEN      GAUGE   "tidegate_websockets_open"         ["route" "backend"] "Open WebSockets."
    ENDINGS           COUNTER "tidegate_endings_total"           ["route" "by" "reason" "code"] "WebSockets that ended, by who brought it about, why, and the close code (none: no Close)."
    FRAMES            COUNTER "tidegate_frames_total"            ["route" "direction" "opcode"] "Frames forwarded."
    BYTES             COUNTER "tidegate_bytes_total"             ["route" "direction"] "Bytes of frames forwarded, headers included."
    UNITS             COUNTER "tidegate_integrity_units_total"   ["route" "direction" "result"] "Sealed units made (sealed) or checked (ok, mismatch, missing)."
    KEY_SOCKETS       GAUGE   "tidegate_integrity_key_websockets_open" ["key"] "Open WebSockets whose tags depend on this key of the keyring."
    BACKEND_UP        GAUGE   "tidegate_backend_up"              ["backend" "server"] "1 while the server is thought to be up."
    BACKEND_OPEN      GAUGE   "tidegate_backend_open"            ["backend" "server"] "Open connections to the server."
    RELOADS           COUNTER "tidegate_reloads_total"           ["trigger" "result"] "Attempts to load the configuration and the files it names."
    GENERATION        GAUGE   "tidegate_config_generation"       [] "The generation of the snapshot in use; 0: none yet."
    RELOAD_TIME       GAUGE   "tidegate_config_reload_timestamp_seconds" [] "When the last good configuration was put to use (Unix time)."
    EXPIRES           GAUGE   "tidegate_certificate_expire_timestamp_seconds" ["kind" "name"] "When the certificate, CRL or key is no longer valid (Unix time)."
    RESUMPTIONS       COUNTER "tidegate_resumptions_total"       ["result"] "TLS sessions: made by a full handshake, resumed, or refused on resumption."
    DRAINING          GAUGE   "tidegate_draining"                [] "1 from the start of a drain."
    LOG_DROPPED       COUNTER "tidegate_log_lines_dropped_total" [] "Log lines lost because nobody took them in time or writing failed."
    PROCESS_START     GAUGE   "process_start_time_seconds"       [] "When the process started (Unix time)."
    PROCESS_CPU       COUNTER "process_cpu_seconds_total"        [] "User and system CPU time."
    PROCESS_FDS       GAUGE   "process_open_fds"                 [] "Open file descriptors."
    PROCESS_MAX_FDS   GAUGE   "process_max_fds"                  [] "The limit of open file descriptors."
    PROCESS_RESIDENT  GAUGE   "process_resident_memory_bytes"    [] "Resident memory."
    PROCESS_VIRTUAL   GAUGE   "process_virtual_memory_bytes"     [] "Virtual memory."
    PROCESS_THREADS   GAUGE   "process_threads"                  [] "Threads."
}

impl Shape {
    /// What the registry checks for clashes.
    pub(super) fn description(&self) -> prometheus::Result<Desc> {
        let labels = self.labels.iter().map(|label| (*label).to_owned());
        Desc::new(
            self.name.to_owned(),
            self.help.to_owned(),
            labels.collect(),
            HashMap::new(),
        )
    }
}

impl Family {
    pub(super) fn new(shape: &'static Shape) -> Self {
        Self {
            shape,
            samples: Vec::new(),
        }
    }

    /// A family of one sample without labels.
    pub(super) fn single(shape: &'static Shape, value: f64) -> MetricFamily {
        let mut family = Self::new(shape);
        family.add(&[], value);
        family.finish()
    }

    /// Adds a sample; `values` are the label values in the order of the shape's labels.
    pub(super) fn add(&mut self, values: &[&str], value: f64) {
        debug_assert_eq!(values.len(), self.shape.labels.len(), "{}", self.shape.name);
        let pairs = self.shape.labels.iter().zip(values);
        let mut sample = Metric::from_label(pairs.map(|(name, value)| pair(name, value)).collect());
        if self.shape.kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            sample.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            sample.set_gauge(gauge);
        }
        self.samples.push(sample);
    }

    pub(super) fn finish(self) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(self.shape.name.to_owned());
        family.set_help(self.shape.help.to_owned());
        family.set_field_type(self.shape.kind);
        family.set_metric(self.samples);
        family
    }
}

impl Count {
    pub(super) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn decrement(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> f64 {
        number(self.whole())
    }

    pub(super) fn whole(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// `count` as a sample's value.
#[allow(
    clippy::cast_precision_loss,
    reason = "the exposition format has floating-point numbers only"
)]
pub(super) const fn number(count: u64) -> f64 {
    count as f64
}

fn pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}
