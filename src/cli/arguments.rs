//! What more than one command takes.

use crate::observe::{LogFormat, log::LogLevel};
use clap::ValueEnum;
use std::io;

/// The configuration that is used where none is named.
pub(super) const DEFAULT_CONFIG: &str = "proxy.toml";
/// The variable that names it instead.
pub(super) const CONFIG: &str = "TIDEGATE_CONFIG";

/// How to log.
#[derive(Clone, Debug, clap::Args)]
pub struct LogArgs {
    /// One line for people, or one JSON object, for each event
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: Format,
    /// off, error, warn, info, debug or trace
    #[arg(
        long,
        value_name = "LEVEL",
        env = "TIDEGATE_LOG",
        default_value = "info"
    )]
    pub log_level: LogLevel,
}

/// The words of `--log-format`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

impl From<Format> for LogFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Text if is_coloured(&io::stderr()) => LogFormat::Terminal,
            Format::Text => LogFormat::Text,
            Format::Json => LogFormat::Json,
        }
    }
}

/// Returns true if a stream is a terminal that shows colours, or `CLICOLOR_FORCE` says so and
/// `NO_COLOR` does not.
fn is_coloured(stream: &impl anstream::stream::RawStream) -> bool {
    anstream::AutoStream::choice(stream) != anstream::ColorChoice::Never
}
