//! The text of a configuration, kept to point at what a later step finds wrong.

use super::diagnostic::{Diagnostic, Excerpt};
use std::{
    ops::Range,
    path::{Path, PathBuf},
};

/// Where in the text something stands, in bytes; `None` where it does not stand there at all.
pub(super) type Place = Option<Range<usize>>;

/// The text that settings came from, and where in it their parts stand.
///
/// The caller that reads the files that a configuration names, or builds what it describes, makes its
/// problems here, so that they show the value that caused them.
#[derive(Clone, Debug)]
pub struct Source {
    text: Text,
    places: Places,
}

/// The text of a file under its name.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) name: String,
    content: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

/// Where the parts of a configuration stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    pub(super) paths: Vec<(PathBuf, Place)>,
    pub(super) routes: Vec<Place>,
}

impl Source {
    pub(super) fn new(text: Text, places: Places) -> Self {
        Self { text, places }
    }

    /// Whether the settings came from this text.
    pub(super) fn is_of(&self, text: &str) -> bool {
        self.text.content == text
    }

    /// Every file that the configuration names, in its order: what has to be read and watched.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.places.paths.iter().map(|(path, _)| path.as_path())
    }

    /// An error at the value that names `path`; an empty hint is none.
    pub fn diagnose_path(
        &self,
        path: &Path,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Diagnostic {
        let mut named = self.places.paths.iter();
        let place = named.find(|(named, _)| named == path);
        self.diagnose(place.and_then(|(_, place)| place.as_ref()), message, hint)
    }

    /// An error at the route with this index in `Settings::routes`.
    pub fn diagnose_route(
        &self,
        index: usize,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Diagnostic {
        let place = self.places.routes.get(index).and_then(Option::as_ref);
        self.diagnose(place, message, hint)
    }

    fn diagnose(
        &self,
        place: Option<&Range<usize>>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Diagnostic {
        let problem = Diagnostic::error(&self.text.name, message).hint(hint);
        match place {
            Some(range) => problem.at(self.text.excerpt(range, "")),
            None => problem,
        }
    }
}

impl Text {
    pub(super) fn new(name: &str, content: &str) -> Self {
        let ends = content.match_indices('\n');
        let later = ends.map(|(end, _)| end + 1);
        Self {
            name: name.to_owned(),
            content: content.to_owned(),
            lines: std::iter::once(0).chain(later).collect(),
        }
    }

    /// The line in which `range` begins, with the part of `range` in it underlined.
    pub(super) fn excerpt(&self, range: &Range<usize>, label: &'static str) -> Excerpt {
        let start = self.boundary(range.start);
        let line = self.lines.partition_point(|begin| *begin <= start);
        let begin = self.lines.get(line.saturating_sub(1)).copied();
        let head = self.content.get(begin.unwrap_or_default()..start);
        let head = head.unwrap_or_default();
        let after = self.content.get(start..).unwrap_or_default();
        let tail = after.split(['\n', '\r']).next().unwrap_or_default();
        let length = range.end.saturating_sub(start).min(tail.len());
        let marked = tail.char_indices().take_while(|(at, _)| *at < length);
        Excerpt {
            line,
            column: head.chars().count() + 1,
            text: format!("{head}{tail}"),
            width: marked.count(),
            label,
        }
    }

    /// The nearest boundary of a character at or before `offset`.
    fn boundary(&self, offset: usize) -> usize {
        let mut boundaries = (0..=offset.min(self.content.len())).rev();
        boundaries
            .find(|at| self.content.is_char_boundary(*at))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_from_one() {
        let excerpt = Text::new("f", "a\nöö = 7\r\n").excerpt(&(9..10), "");
        assert_eq!((excerpt.line, excerpt.column, excerpt.width), (2, 6, 1));
        assert_eq!(excerpt.text, "öö = 7");
    }

    #[test]
    fn a_range_over_several_lines_is_underlined_on_its_first() {
        let excerpt = Text::new("f", "a = [\n1,\n]").excerpt(&(4..10), "");
        assert_eq!((excerpt.line, excerpt.column, excerpt.width), (1, 5, 1));
    }

    #[test]
    fn ranges_outside_the_text_or_inside_a_character_are_survived() {
        for range in [0..0, 1..2, 3..9, 99..100] {
            let excerpt = Text::new("f", "ö\n").excerpt(&range, "");
            assert!(excerpt.line >= 1 && excerpt.column >= 1, "{range:?}");
        }
    }
}
