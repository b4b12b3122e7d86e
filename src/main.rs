//! The binary: an allocator and the command line.

use std::process::ExitCode;

/// Returns memory back after bursts, which glibc's allocator does not: see `docs/performance.md`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    tidegate::cli::main()
}
