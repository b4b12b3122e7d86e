//! Any text: it becomes settings, or problems that a terminal can show.

use std::path::Path;
use tidegate::config;

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let shown = match config::parse("fuzz.toml", text, Path::new("/folder")) {
        Ok(loaded) => {
            assert!(!loaded.settings.listeners.is_empty());
            assert!(!loaded.settings.routes.is_empty());
            return;
        }
        Err(problems) => problems.to_string(),
    };
    assert!(shown.contains("fuzz.toml"));
    let control = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    assert!(!shown.contains(control), "{shown:?}");
}
