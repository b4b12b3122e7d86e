//! The log: how lines are made, and how they reach stderr.
//!
//! The caller never waits: lines go through a bounded queue to a thread that writes them. Where
//! stderr is closed, full or not read, lines are lost and counted in
//! `tidegate_log_lines_dropped_total`, and the proxy goes on.

pub use super::log_queue::{LogPump, LogQueue};
use super::{LogFormat, log_line, log_queue};
use std::{fmt, io, panic, str::FromStr};
use time::OffsetDateTime;
use tracing::{Event, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    registry,
};

/// How much is logged: `off`, `error`, `warn`, `info`, `debug` or `trace`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLevel(LevelFilter);

/// A value that is no [`LogLevel`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevelError(String);

/// Makes the lines of events.
struct Lines {
    format: LogFormat,
    queue: LogQueue,
}

/// Starts the log of the whole process on stderr. Lines wait in the queue until [`LogPump::run`]
/// is running on a thread of its own; [`LogQueue::flush`] is for the end of the process.
///
/// # Errors
///
/// If there is a log already.
pub fn start(
    format: LogFormat,
    level: LogLevel,
) -> Result<(LogQueue, LogPump), tracing::subscriber::SetGlobalDefaultError> {
    let (queue, pump) = log_queue::queue(Box::new(io::stderr()));
    tracing::subscriber::set_global_default(subscriber(format, level, queue.clone()))?;
    panic::set_hook(Box::new(log_panic));
    Ok((queue, pump))
}

fn subscriber(format: LogFormat, level: LogLevel, queue: LogQueue) -> impl Subscriber {
    registry().with(Lines { format, queue }.with_filter(level.0))
}

/// A panic is one line of the log like everything else.
fn log_panic(panic: &panic::PanicHookInfo<'_>) {
    let reason = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map(ToString::to_string);
    tracing::error!(reason, place, "panic; this is a bug in tidegate");
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = log_line::line(self.format, OffsetDateTime::now_utc(), event);
        self.queue.put(line);
    }
}

impl Default for LogLevel {
    fn default() -> Self {
        Self(LevelFilter::INFO)
    }
}

impl FromStr for LogLevel {
    type Err = LogLevelError;

    fn from_str(text: &str) -> Result<Self, LogLevelError> {
        let level = match text.to_ascii_lowercase().as_str() {
            "off" => LevelFilter::OFF,
            "error" => LevelFilter::ERROR,
            "warn" => LevelFilter::WARN,
            "info" => LevelFilter::INFO,
            "debug" => LevelFilter::DEBUG,
            "trace" => LevelFilter::TRACE,
            _ => return Err(LogLevelError(text.to_owned())),
        };
        Ok(Self(level))
    }
}

impl fmt::Display for LogLevelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = "write off, error, warn, info, debug or trace";
        write!(f, "{:?} is not a log level; {expected}", self.0)
    }
}

impl std::error::Error for LogLevelError {}

#[cfg(test)]
pub(super) fn lines_of(format: LogFormat, level: &str, act: impl FnOnce()) -> Vec<String> {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let sink = Sink::default();
    let (queue, pump) = log_queue::queue(Box::new(sink.clone()));
    let subscriber = subscriber(format, level.parse().unwrap(), queue);
    tracing::subscriber::with_default(subscriber, act);
    pump.run();
    let written = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    written
        .split_terminator('\n')
        .map(ToOwned::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::{debug, info};

    /// CR LF, NUL, ESC, DEL, C1 controls, Unicode line breaks, a directional override.
    const HOSTILE: &str = "a\r\nb\0\x1b[31m\x7f\u{85}\u{9b}\u{2028}\u{202e}\"=\\ z";

    fn is_harmless(line: &str) -> bool {
        let breaks = ['\u{2028}', '\u{2029}', '\u{202e}'];
        !line.contains(|c: char| c.is_control() || breaks.contains(&c))
    }

    #[test]
    fn an_event_with_hostile_values_is_one_harmless_line() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let lines = lines_of(format, "info", || {
                info!(text = HOSTILE, shown = %HOSTILE, debug = ?HOSTILE, "{HOSTILE}");
            });
            assert_eq!(lines.len(), 1, "{format:?}");
            assert!(is_harmless(&lines[0]), "{format:?}: {lines:?}");
        }
    }

    #[test]
    fn a_json_line_gives_hostile_values_back_as_they_came() {
        let lines = lines_of(LogFormat::Json, "info", || {
            info!(text = HOSTILE, "{HOSTILE}");
        });
        let value: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(value["text"], HOSTILE);
        assert_eq!(value["message"], HOSTILE);
    }

    #[test]
    fn a_json_line_has_time_level_target_message_and_flat_fields() {
        let lines = lines_of(LogFormat::Json, "info", || {
            info!(target: "tidegate::test", count = 3, seconds = 1.23456, good = true, "hello");
        });
        let value: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(value["level"], "info");
        assert_eq!(value["target"], "tidegate::test");
        assert_eq!(value["message"], "hello");
        assert_eq!(value["count"], 3);
        assert_eq!(value["seconds"], 1.235);
        assert_eq!(value["good"], true);
        let time = value["time"].as_str().unwrap();
        assert!(
            time.len() == "2026-01-01T00:00:00.000Z".len() && time.ends_with('Z'),
            "{time}"
        );
    }

    #[test]
    fn a_text_line_quotes_values_that_could_be_mistaken() {
        let lines = lines_of(LogFormat::Text, "info", || {
            info!(
                plain = "abc",
                blank = "a b",
                empty = "",
                forged = "x route=chat",
                "hello there"
            );
        });
        let (_time, rest) = lines[0].split_once(' ').unwrap();
        assert_eq!(
            rest,
            r#"INFO  hello there plain=abc blank="a b" empty="" forged="x route=chat""#
        );
    }

    #[test]
    fn a_value_without_end_is_cut() {
        let long = "é".repeat(100_000);
        let lines = lines_of(LogFormat::Text, "info", || info!(long, "hello"));
        assert!(lines[0].len() < 5_000 && lines[0].ends_with('…'));
    }

    #[test]
    fn events_below_the_level_make_no_line() {
        let lines = lines_of(LogFormat::Text, "warn", || {
            debug!("no");
            info!("no");
            tracing::warn!("yes");
        });
        assert_eq!(lines.len(), 1);
        assert!(lines_of(LogFormat::Text, "off", || tracing::error!("no")).is_empty());
    }

    #[test]
    fn a_level_that_is_none_is_refused_with_what_there_is() {
        let error = "loud".parse::<LogLevel>().unwrap_err().to_string();
        assert!(
            error.contains("\"loud\"") && error.contains("debug"),
            "{error}"
        );
        assert_eq!("INFO".parse(), Ok(LogLevel::default()));
    }
}
