//! One event, one line, whatever a peer put into its fields.

use super::LogFormat;
use anstyle::AnsiColor;
use serde_json::{Map, Value};
use std::fmt::{self, Write as _};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};
use tracing::{
    Event, Level,
    field::{Field, Visit},
};

/// Characters of one value; the rest is cut off, so that a peer cannot fill the disk.
const VALUE: usize = 2048;

/// RFC 3339, in UTC, to the millisecond.
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// The fields of one event, in their order.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

/// The line of an event, its line feed included.
pub(super) fn line(format: LogFormat, now: OffsetDateTime, event: &Event<'_>) -> String {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let (level, target) = (event.metadata().level(), event.metadata().target());
    let time = now.format(TIME).unwrap_or_default();
    match format {
        LogFormat::Text => fields.text(&time, &format!("{level:<5}")),
        LogFormat::Terminal => fields.text(&time, &coloured(*level)),
        LogFormat::Json => fields.json(&time, *level, target),
    }
}

/// A level as terminals show it; what a peer chose stays without colour.
fn coloured(level: Level) -> String {
    let colour = match level {
        Level::ERROR => AnsiColor::Red,
        Level::WARN => AnsiColor::Yellow,
        Level::INFO => AnsiColor::Green,
        _ => AnsiColor::BrightBlack,
    };
    let style = colour.on_default();
    format!("{style}{level:<5}{style:#}")
}

impl Fields {
    fn text(&self, time: &str, level: &str) -> String {
        let mut line = format!("{time} {level} ");
        escape(&self.message, &mut line);
        for (name, value) in &self.others {
            line.push(' ');
            line.push_str(name);
            line.push('=');
            match value {
                Value::String(text) if !is_plain(text) => quote(text, &mut line),
                Value::String(text) => line.push_str(text),
                other => line.push_str(&other.to_string()),
            }
        }
        line.push('\n');
        line
    }

    fn json(self, time: &str, level: Level, target: &str) -> String {
        let mut object = Map::new();
        for (name, value) in self.others {
            object.insert(name.to_owned(), value);
        }
        // Last, so that no field of an event can pass for one of these.
        object.insert("time".to_owned(), time.into());
        object.insert("level".to_owned(), level.as_str().to_lowercase().into());
        object.insert("target".to_owned(), target.into());
        object.insert("message".to_owned(), self.message.into());
        let mut line = String::new();
        // JSON leaves some line breaks and terminal controls as they are; all are inside strings here.
        escape(&Value::Object(object).to_string(), &mut line);
        line.push('\n');
        line
    }

    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // Milliseconds are as exact as durations need to be.
        self.add(field, ((value * 1000.0).round() / 1000.0).into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, cut(value).into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, cut(&format!("{value:?}")).into());
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(VALUE) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Whether a value reads well, and cannot be mistaken, without quotes.
fn is_plain(text: &str) -> bool {
    let marks = |c: char| c.is_whitespace() || matches!(c, '"' | '=' | '\\');
    !text.is_empty() && !text.contains(|c| marks(c) || is_unsafe(c))
}

fn quote(text: &str, line: &mut String) {
    line.push('"');
    let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
    escape(&quoted, line);
    line.push('"');
}

/// Appends `text`, with whatever could break a line, steer a terminal or turn the reading order as
/// `\uXXXX`, which is valid inside a JSON string too.
fn escape(text: &str, line: &mut String) {
    for character in text.chars() {
        if is_unsafe(character) {
            // Writing to a String cannot fail.
            let _ = write!(line, "\\u{:04x}", u32::from(character));
        } else {
            line.push(character);
        }
    }
}

/// Controls, line separators, and directional marks; all below U+10000.
const fn is_unsafe(c: char) -> bool {
    matches!(
        c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}
