//! The shape of every metric that tidegate counts itself, and how a family is written at a scrape.
//!
//! Counts live in plain atomics; labels are made here, at scrape time, never per event. A route
//! has more than a hundred series, so that they are written straight into the text: with ten
//! thousand routes, an object for each sample would take a gigabyte.

use std::{
    fmt::{Display, Write},
    sync::atomic::{AtomicU64, Ordering},
};

/// Name, kind, labels and meaning of one metric.
#[derive(Debug)]
pub(super) struct Shape {
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Counter,
    Gauge,
}

/// What a scrape has written so far, in the text format.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

/// One metric, to which samples are being added. Without any, nothing of it is written.
pub(super) struct Family<'a> {
    shape: &'static Shape,
    text: &'a mut String,
    is_begun: bool,
}

/// A count of rare events that any thread may add to.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

macro_rules! shapes {
    ($($constant:ident $kind:ident $name:literal [$($label:literal)*] $help:literal)*) => {
        $(pub(super) const $constant: &Shape = &Shape {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($label),*],
            help: $help,
        };)*
    };
}

shapes! {
    BUILD_INFO        Gauge   "tidegate_build_info"              ["version"] "The version that runs; always 1."
    CONNECTIONS_OPEN  Gauge   "tidegate_connections_open"        ["listener"] "Open client connections."
    CONNECTIONS_TOTAL Counter "tidegate_connections_total"       ["listener"] "Client connections accepted."
    ACCEPT_ERRORS     Counter "tidegate_accept_errors_total"     ["listener"] "Errors of accept(2), after each of which the listener pauses."
    HANDSHAKES        Counter "tidegate_handshakes_total"        ["listener" "result"] "TLS handshakes by result: ok, or why there was none."
    UPGRADES          Counter "tidegate_upgrades_total"          ["route" "result"] "Upgrade requests by result: ok, or why there was no 101; route none: no route was found."
    REQUESTS          Counter "tidegate_requests_total"          ["route" "method" "code"] "Plain HTTP requests by method and class of status; code none: no answer; route none: no route was found."
    SOCKETS_OPEN      Gauge   "tidegate_websockets_open"         ["route" "backend"] "Open WebSockets."
    ENDINGS           Counter "tidegate_endings_total"           ["route" "by" "reason" "code"] "WebSockets that ended, by who brought it about, why, and the close code (none: no Close)."
    FRAMES            Counter "tidegate_frames_total"            ["route" "direction" "opcode"] "Frames forwarded."
    BYTES             Counter "tidegate_bytes_total"             ["route" "direction"] "Bytes of frames forwarded, headers included."
    UNITS             Counter "tidegate_integrity_units_total"   ["route" "direction" "result"] "Sealed units made (sealed) or checked (ok, mismatch, missing)."
    KEY_SOCKETS       Gauge   "tidegate_integrity_key_websockets_open" ["key"] "Open WebSockets whose tags depend on this key of the keyring."
    BACKEND_UP        Gauge   "tidegate_backend_up"              ["backend" "server"] "1 while the server is up: the last attempt to connect succeeded, or there was none yet."
    BACKEND_OPEN      Gauge   "tidegate_backend_open"            ["backend" "server"] "Connections to the server that are open or being opened."
    RELOADS           Counter "tidegate_reloads_total"           ["trigger" "result"] "Attempts to load the configuration and the files it names."
    RELOAD_SUCCESSFUL Gauge   "tidegate_config_last_reload_successful" [] "1 while the last attempt to load the configuration was good, or found nothing new."
    GENERATION        Gauge   "tidegate_config_generation"       [] "The generation of the snapshot in use; 0: none yet."
    RELOAD_TIME       Gauge   "tidegate_config_reload_timestamp_seconds" [] "When the last good configuration was applied (Unix time)."
    EXPIRES           Gauge   "tidegate_certificate_expire_timestamp_seconds" ["kind" "name"] "When the certificate, CRL or key is no longer valid (Unix time)."
    RESUMPTIONS       Counter "tidegate_resumptions_total"       ["result"] "TLS sessions: made by a full handshake, resumed, or refused on resumption."
    DRAINING          Gauge   "tidegate_draining"                [] "1 from the start of a drain."
    LOG_DROPPED       Counter "tidegate_log_lines_dropped_total" [] "Log lines lost because nobody took them in time or writing failed."
    PROCESS_START     Gauge   "process_start_time_seconds"       [] "When the process started (Unix time)."
    PROCESS_CPU       Counter "process_cpu_seconds_total"        [] "User and system CPU time."
    PROCESS_FDS       Gauge   "process_open_fds"                 [] "Open file descriptors."
    PROCESS_MAX_FDS   Gauge   "process_max_fds"                  [] "The limit of open file descriptors."
    PROCESS_RESIDENT  Gauge   "process_resident_memory_bytes"    [] "Resident memory."
    PROCESS_VIRTUAL   Gauge   "process_virtual_memory_bytes"     [] "Virtual memory."
    PROCESS_THREADS   Gauge   "process_threads"                  [] "Threads."
}

impl Exposition {
    /// An empty one with room for so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    /// Begins a metric.
    pub(super) fn family(&mut self, shape: &'static Shape) -> Family<'_> {
        Family {
            shape,
            text: &mut self.0,
            is_begun: false,
        }
    }

    /// A metric of one sample without labels.
    pub(super) fn single(&mut self, shape: &'static Shape, value: impl Display) {
        self.family(shape).add(&[], value);
    }

    /// The text, to which other metrics may be appended.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// Adds a sample; `values` are the label values in the order of the shape's labels.
    pub(super) fn add(&mut self, values: &[&str], value: impl Display) {
        debug_assert_eq!(values.len(), self.shape.labels.len(), "{}", self.shape.name);
        self.begin();
        self.text.push_str(self.shape.name);
        for (index, (name, value)) in self.shape.labels.iter().zip(values).enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            self.text.push_str(name);
            self.text.push_str("=\"");
            push_escaped(self.text, value);
            self.text.push('"');
        }
        if !values.is_empty() {
            self.text.push('}');
        }
        // A string takes whatever is written.
        let _ = writeln!(self.text, " {value}");
    }

    fn begin(&mut self) {
        if self.is_begun {
            return;
        }
        self.is_begun = true;
        let Shape { name, help, .. } = self.shape;
        let kind = match self.shape.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
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

    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Escapes a label value as the text format wants it. Names seldom hold what has to be escaped.
fn push_escaped(text: &mut String, value: &str) {
    let is_special = |byte| matches!(byte, b'\\' | b'"' | b'\n');
    if !value.bytes().any(is_special) {
        text.push_str(value);
        return;
    }
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped_as_the_text_format_wants() {
        let mut exposition = Exposition::default();
        exposition.family(BUILD_INFO).add(&["a\\b\"c\nd"], 1);
        let text = exposition.into_text();
        let sample = text.lines().next_back().unwrap();
        assert_eq!(sample, r#"tidegate_build_info{version="a\\b\"c\nd"} 1"#);
    }

    #[test]
    fn a_family_without_samples_is_not_shown() {
        let mut exposition = Exposition::default();
        exposition.family(BUILD_INFO);
        assert_eq!(exposition.into_text(), "");
    }
}
