//! How a command ends.

use std::{
    io::{self, Write},
    process::ExitCode,
};

/// Returns true if writing failed because the reader has seen enough, as `head` has.
pub(super) fn is_enough(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Reports why the command failed.
pub(super) fn fail(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    // A closed stderr leaves the exit code to say it.
    let _ = writeln!(io::stderr(), "tidegate: {error}");
    ExitCode::from(code)
}
