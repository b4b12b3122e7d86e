//! `uri:` rules.

use crate::name::{path::path_is_plain, problem::PatternError};
use std::fmt;

/// A URI to equal, or one to be below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UriRule {
    /// Scheme, and authority with its `//` if there is one, in lower case.
    origin: Box<str>,
    /// What follows the authority; without the last `/*` if `below`.
    path: Box<str>,
    below: bool,
}

impl UriRule {
    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        let (exact, below) = match text.strip_suffix("/*") {
            Some(parent) => (parent, true),
            None => (text, false),
        };
        let Some((origin, path)) = split(exact).filter(|_| is_graphic(text)) else {
            return Err(PatternError::new(
                "is not a URI (RFC 3986)",
                "write it in full, as in \"uri:spiffe://example.com/edge/*\"",
            ));
        };
        if let Some((message, hint)) = fault(origin, path, below) {
            return Err(PatternError::new(message, hint));
        }
        Ok(Self {
            origin: origin.to_ascii_lowercase().into(),
            path: path.into(),
            below,
        })
    }

    pub(super) fn matches(&self, uri: &str) -> bool {
        let Some((origin, path)) = split(uri).filter(|_| is_graphic(uri)) else {
            return false;
        };
        let path_matches = if self.below {
            path.strip_prefix(&*self.path).is_some_and(is_below) && path_is_plain(path)
        } else {
            path == &*self.path
        };
        path_matches && origin.eq_ignore_ascii_case(&self.origin)
    }
}

/// Splits after the authority, or after the scheme's colon where there is none
/// (RFC 3986 section 3); `None` if the scheme is not one or an authority has user information.
fn split(uri: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = uri.split_once(':')?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let letter = scheme.starts_with(|first: char| first.is_ascii_alphabetic());
    if !letter || !scheme.bytes().all(allowed) || rest.is_empty() {
        return None;
    }
    let Some(hierarchical) = rest.strip_prefix("//") else {
        return uri.split_at_checked(scheme.len() + 1);
    };
    let end = hierarchical.find(['/', '?', '#']);
    let end = end.unwrap_or(hierarchical.len());
    let authority = hierarchical.get(..end)?;
    if authority.is_empty() || authority.contains('@') {
        return None;
    }
    uri.split_at_checked(scheme.len() + "://".len() + end)
}

/// Whether what follows the prefix is `/` and at least one whole segment, and no query.
fn is_below(rest: &str) -> bool {
    rest.starts_with('/') && !rest.ends_with('/') && !rest.contains(['?', '#'])
}

/// No NUL, control character, space or anything outside ASCII (RFC 5280 section 4.2.1.6).
fn is_graphic(uri: &str) -> bool {
    uri.bytes().all(|byte| byte.is_ascii_graphic())
}

fn fault(origin: &str, path: &str, below: bool) -> Option<(&'static str, &'static str)> {
    let plain = path.is_empty() || path_is_plain(path);
    if origin.contains('*') || path.contains('*') {
        Some((
            "has '*' where it is not a wildcard",
            "'*' may stand once, as the last path segment: \"uri:spiffe://example.com/edge/*\"",
        ))
    } else if below && (!origin.contains("//") || !plain || path.contains(['?', '#'])) {
        Some((
            "has a wildcard below something that is not a path",
            "write a path without \"//\", \".\", \"..\" and query before \"/*\"",
        ))
    } else if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        Some((
            "has a \".\" or \"..\" segment, which no certificate should have",
            "write the path that is meant",
        ))
    } else {
        None
    }
}

impl fmt::Display for UriRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wildcard = if self.below { "/*" } else { "" };
        write!(f, "{}{}{wildcard}", self.origin, self.path)
    }
}
