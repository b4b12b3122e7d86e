//! A problem as people and programs read it: where, what, and what to do.

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use std::fmt;

/// One problem of a configuration.
///
/// As text it is `file:line:column: error: message`, the line with carets under the place, and
/// the hint; as JSON the same without the line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Whether the configuration is refused for it.
    pub severity: Severity,
    /// The file, as the operator named it.
    pub file: String,
    /// Line, from 1; `None` if the problem has no place in the file.
    pub line: Option<usize>,
    /// Column in characters, from 1; `None` if the problem has no place in the file.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    #[serde(skip)]
    excerpts: Vec<Excerpt>,
}

/// Whether a configuration is refused for a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It is refused.
    Error,
    /// It is used, and probably does not do what was meant.
    Warning,
}

/// A line of the file with something underlined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// The line's number, from 1.
    pub(super) line: usize,
    /// The column of the first underlined character, from 1.
    pub(super) column: usize,
    /// The line without its end.
    pub(super) text: String,
    /// How many characters are underlined.
    pub(super) width: usize,
    /// What follows the underline.
    pub(super) label: &'static str,
}

impl Diagnostic {
    /// An error that concerns a file as a whole, or that keeps it from being read.
    pub fn error(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: file.into(),
            line: None,
            column: None,
            message: printable_text(&message.into()),
            hint: None,
            excerpts: Vec::new(),
        }
    }

    /// The same as a warning.
    #[must_use]
    pub fn warning(self) -> Self {
        Self {
            severity: Severity::Warning,
            ..self
        }
    }

    /// The same with advice; an empty hint is none.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        let hint = printable_text(&hint.into());
        Self {
            hint: (!hint.is_empty()).then_some(hint),
            ..self
        }
    }

    /// Place, message and hint without the excerpt, for a log where an event is a line.
    pub fn one_line(&self) -> String {
        let place = match (self.line, self.column) {
            (Some(line), Some(column)) => format!(":{line}:{column}"),
            _ => String::new(),
        };
        let hint = self
            .hint
            .as_ref()
            .map_or(String::new(), |hint| format!("; {hint}"));
        format!("{}{place}: {}{hint}", self.file, self.message)
    }

    /// The same at a place; the first excerpt is the problem's own, others are shown below it.
    pub(super) fn at(mut self, excerpt: Excerpt) -> Self {
        if self.line.is_none() {
            self.line = Some(excerpt.line);
            self.column = Some(excerpt.column);
        }
        self.excerpts.push(excerpt);
        self
    }
}

impl Severity {
    /// The word in the rendered problem.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A problem for a terminal that shows colours.
#[derive(Debug)]
pub struct Coloured<'d>(&'d Diagnostic);

/// How the parts of a problem are set off from each other.
#[derive(Clone, Copy, Default)]
struct Styles {
    severity: Style,
    caret: Style,
    faint: Style,
}

impl Diagnostic {
    /// The same for a terminal, in colour.
    pub fn coloured(&self) -> Coloured<'_> {
        Coloured(self)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, styles: Styles) -> fmt::Result {
        f.write_str(&self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        let (on, label) = (styles.severity, self.severity.label());
        write!(f, ": {on}{label}{on:#}: {}", self.message)?;
        for excerpt in &self.excerpts {
            f.write_str("\n")?;
            excerpt.write(f, styles)?;
        }
        let faint = styles.faint;
        match &self.hint {
            Some(hint) => write!(f, "\n      {faint}= hint:{faint:#} {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, Styles::default())
    }
}

impl fmt::Display for Coloured<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.0.severity {
            Severity::Error => AnsiColor::Red.on_default().bold(),
            Severity::Warning => AnsiColor::Yellow.on_default().bold(),
        };
        let styles = Styles {
            severity,
            caret: severity,
            faint: Style::new().dimmed(),
        };
        self.0.write(f, styles)
    }
}

impl Excerpt {
    fn write(&self, f: &mut fmt::Formatter<'_>, styles: Styles) -> fmt::Result {
        let text = printable_text(&self.text);
        let (faint, caret) = (styles.faint, styles.caret);
        writeln!(f, "{faint}{:>5} |{faint:#} {text}", self.line)?;
        // Tabs stay tabs, so that the caret is right whatever width the terminal shows them at.
        let padding: String = text
            .chars()
            .take(self.column.saturating_sub(1))
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let carets = "^".repeat(self.width.max(1));
        write!(
            f,
            "      {faint}|{faint:#} {padding}{caret}{carets}{caret:#}"
        )?;
        match self.label {
            "" => Ok(()),
            label => write!(f, " {label}"),
        }
    }
}

fn printable_text(text: &str) -> String {
    text.chars().map(printable).collect()
}

/// A file may hold what a terminal would obey; only tabs are let through.
fn printable(c: char) -> char {
    if c.is_control() && c != '\t' {
        char::REPLACEMENT_CHARACTER
    } else {
        c
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(text: &str, column: usize, width: usize) -> Excerpt {
        Excerpt {
            line: 12,
            column,
            text: text.to_owned(),
            width,
            label: "",
        }
    }

    #[test]
    fn a_problem_shows_place_caret_and_hint() {
        let problem = Diagnostic::error("proxy.toml", "unknown key `adress` in [[listener]]")
            .hint("did you mean `address`?")
            .at(excerpt("adress = \"0.0.0.0:8443\"", 1, 6));
        assert_eq!(
            problem.to_string(),
            "\
proxy.toml:12:1: error: unknown key `adress` in [[listener]]
   12 | adress = \"0.0.0.0:8443\"
      | ^^^^^^
      = hint: did you mean `address`?"
        );
    }

    #[test]
    fn a_coloured_problem_says_the_same_once_its_colours_are_taken_off() {
        let problem = Diagnostic::error("f", "m")
            .hint("h")
            .at(excerpt("\u{1b}[2Jx", 1, 1));
        let coloured = problem.coloured().to_string();
        assert_ne!(coloured, problem.to_string());
        let plain = anstream::adapter::strip_str(&coloured).to_string();
        assert_eq!(plain, problem.to_string());
    }

    #[test]
    fn carets_stand_under_the_place_behind_tabs_and_characters_of_several_bytes() {
        let problem = Diagnostic::error("f", "m").at(excerpt("\tö = 1", 6, 1));
        assert!(problem.to_string().ends_with("\n      | \t    ^"));
    }

    #[test]
    fn a_problem_without_a_place_is_one_line() {
        let problem = Diagnostic::error("proxy.toml", "no such file").warning();
        assert_eq!(problem.to_string(), "proxy.toml: warning: no such file");
    }

    #[test]
    fn control_characters_of_the_file_do_not_reach_the_terminal() {
        let problem = Diagnostic::error("f", "m").at(excerpt("\u{1b}[2J", 1, 1));
        assert!(!problem.to_string().contains('\u{1b}'));
    }

    #[test]
    fn json_has_the_fields_and_not_the_excerpt() {
        let problem = Diagnostic::error("f", "m").hint("h").at(excerpt("x", 1, 1));
        assert_eq!(
            serde_json::to_value(&problem).unwrap(),
            serde_json::json!({
                "severity": "error", "file": "f", "line": 12, "column": 1,
                "message": "m", "hint": "h",
            })
        );
    }
}
