//! The way from a file or a text to settings.

use super::{
    checks,
    diagnostic::{Diagnostic, Severity},
    findings::{Finding, Reading},
    reader::Table,
    sections::{Draft, Settled},
    settings::{NamedFiles, Settings},
    source::{Places, Source, Text},
};
use std::{
    fmt, fs,
    io::{self, Read},
    path::Path,
    sync::Arc,
};
use toml::de::DeTable;

/// Bytes of a configuration at most.
const LONGEST: u64 = 64 << 20;

/// How a file in PEM begins (RFC 7468 section 2).
const PEM: &str = "-----BEGIN ";

/// The hint where a file is not a configuration.
const ANOTHER: &str = "give the path of a configuration with --config";

/// Settings, and what they came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The checked settings.
    pub settings: Settings,
    /// What is allowed, and probably not meant.
    pub warnings: Vec<Diagnostic>,
    /// The text, to point at what a later step finds wrong.
    pub source: Source,
}

/// Everything that is wrong with a configuration, in the order of the file; warnings included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Diagnostic>);

/// A configuration that is refused.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub problems: Problems,
    /// What of it names files, and its text, so that what is wrong with the files is reported
    /// at the same time; `None` where the text could not be read.
    pub rest: Option<Box<(NamedFiles, Source)>>,
}

/// Reads a configuration's file. Paths in it are relative to the file's folder.
pub fn load(path: &Path) -> Result<Loaded, Refused> {
    parse_file(path, &read_text(path)?)
}

/// The same, but where the file holds the text of `in_use`, which it was loaded from, that is
/// returned and nothing is parsed again.
pub fn load_changed(path: &Path, in_use: Option<&Arc<Loaded>>) -> Result<Arc<Loaded>, Refused> {
    let text = read_text(path)?;
    match in_use.filter(|loaded| loaded.source.is_of(&text)) {
        Some(loaded) => Ok(Arc::clone(loaded)),
        None => parse_file(path, &text).map(Arc::new),
    }
}

fn parse_file(path: &Path, text: &str) -> Result<Loaded, Refused> {
    let folder = path.parent().unwrap_or(Path::new(""));
    parse(&path.display().to_string(), text, folder)
}

fn read_text(path: &Path) -> Result<String, Problems> {
    let name = path.display().to_string();
    let content = read(path).map_err(|error| unreadable(&name, &error))?;
    match String::from_utf8(content) {
        // What stands in a key's file must not be shown, as a problem of each line would.
        Ok(text) if text.starts_with(PEM) => Err(no_configuration(&name)),
        Ok(text) => Ok(text),
        Err(error) => Err(not_utf8(&name, error.as_bytes(), &error.utf8_error())),
    }
}

/// Reads a configuration's text. `name` is what problems call the file; paths in it are relative
/// to `directory`.
pub fn parse(name: &str, text: &str, directory: &Path) -> Result<Loaded, Refused> {
    let (table, syntax) = DeTable::parse_recoverable(text);
    let reading = Reading::new(directory, syntax.is_empty());
    let draft = Draft::read(Table::root(table.get_ref(), &reading));
    checks::check(&draft, &reading);
    let text = Text::new(name, text);
    let (mut problems, paths) = reading.finish(&text);
    report_syntax(&syntax, &text, &mut problems);
    let places = Places {
        paths,
        routes: draft.route_places(),
    };
    let wrong = problems
        .iter()
        .any(|problem| problem.severity == Severity::Error);
    let source = Source::new(text, places);
    let Settled { settings, files } = draft.settle();
    match settings {
        Some(settings) if !wrong => Ok(Loaded {
            settings,
            warnings: problems,
            source,
        }),
        _ => Err(Refused {
            problems: Problems(problems),
            rest: Some(Box::new((files, source))),
        }),
    }
}

pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let file = fs::File::open(path)?;
    file.take(LONGEST + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LONGEST {
        let message = format!("it has more than {LONGEST} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(content)
}

/// Adds the syntax errors, and takes away what only follows from them: what else was found on
/// their lines.
pub(super) fn report_syntax(
    syntax: &[toml::de::Error],
    text: &Text,
    problems: &mut Vec<Diagnostic>,
) {
    let errors = syntax.iter().map(|error| {
        let message = format!("not valid TOML: {}", error.message());
        Finding::error(&error.span(), message).diagnose(text)
    });
    let mut errors: Vec<Diagnostic> = errors.collect();
    errors.sort_by_key(|error| (error.line, error.column));
    errors.dedup_by_key(|error| error.line);
    problems.retain(|problem| errors.iter().all(|error| error.line != problem.line));
    problems.append(&mut errors);
    problems.sort_by_key(|problem| (problem.line, problem.column));
}

fn unreadable(name: &str, error: &io::Error) -> Problems {
    let hint = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::IsADirectory | io::ErrorKind::FileTooLarge => {
            ANOTHER
        }
        io::ErrorKind::PermissionDenied => "allow the user that runs tidegate to read it",
        _ => "",
    };
    let problem = Diagnostic::error(name, format!("cannot read the configuration: {error}"));
    Problems(vec![problem.hint(hint)])
}

fn no_configuration(name: &str) -> Problems {
    let message = "this is a certificate or key in PEM, not a configuration";
    Problems(vec![Diagnostic::error(name, message).hint(ANOTHER)])
}

pub(super) fn not_utf8(name: &str, content: &[u8], error: &std::str::Utf8Error) -> Problems {
    let text = Text::new(name, &String::from_utf8_lossy(content));
    // The valid part is the same in both, so that the offset is too.
    let start = error.valid_up_to();
    let place = Some(start..start + char::REPLACEMENT_CHARACTER.len_utf8());
    let finding = Finding::error(&place, "not valid UTF-8, which TOML has to be");
    Problems(vec![finding.diagnose(&text)])
}

impl From<Problems> for Refused {
    fn from(problems: Problems) -> Self {
        Self {
            problems,
            rest: None,
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let boundary = if index == 0 { "" } else { "\n" };
            write!(f, "{boundary}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problems.fmt(f)
    }
}

impl std::error::Error for Refused {}
