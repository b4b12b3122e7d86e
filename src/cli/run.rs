//! `tidegate run` and `tidegate check`.

use super::{
    arguments::LogArgs,
    exit::{fail, is_enough},
};
use crate::{
    app::{App, Control, StartError},
    config::Diagnostic,
    observe::{LogFormat, log},
    reload::build,
    runtime::workers,
    tls::Contents,
};
use std::{
    future::Future,
    io::{self, Write},
    path::Path,
    process::ExitCode,
    time::Duration,
};

/// How long the last log lines have to be written.
pub(super) const LAST_LINES: Duration = Duration::from_secs(1);

/// Runs the proxy until a drain has ended.
pub fn run(config: &Path, args: &LogArgs) -> ExitCode {
    let queue = match start_log(args.log_format.into(), args.log_level) {
        Ok(queue) => queue,
        Err(error) => return fail(&error, 1),
    };
    let code = match block_on(serve(config, &queue)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(StartError::Configuration(problems))) => refuse(&problems),
        Ok(Err(error)) => fail(&error, 1),
        Err(error) => fail(&error, 1),
    };
    queue.flush(LAST_LINES);
    code
}

async fn serve(config: &Path, queue: &log::LogQueue) -> Result<(), StartError> {
    let mut control = Control::new();
    control.obey_signals()?;
    let app = App::bind(config, queue.dropped())?;
    Ok(app.run(control).await?)
}

/// Starts the process's log, with the thread that writes it.
pub(super) fn start_log(format: LogFormat, level: log::LogLevel) -> io::Result<log::LogQueue> {
    let (queue, pump) = log::start(format, level).map_err(io::Error::other)?;
    workers::start_thread("log", move || pump.run())?;
    Ok(queue)
}

/// Reads the configuration and everything that it names, and prints every problem.
pub fn check(config: &Path, json: bool) -> ExitCode {
    let (problems, read) = match build::prepare(config, None, |_| {}) {
        Ok(candidate) => {
            let contents = candidate.contents().to_vec();
            (candidate.warnings, Some(contents))
        }
        Err(problems) => (problems, None),
    };
    let refused = read.is_none();
    let printed = if json {
        print_json(&problems)
    } else {
        print_text(config, &problems, read)
    };
    match (printed, refused) {
        (Err(error), _) if !is_enough(&error) => fail(&error, 1),
        (_, true) => ExitCode::from(2),
        (_, false) => ExitCode::SUCCESS,
    }
}

fn print_json(problems: &[Diagnostic]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, problems)?;
    writeln!(out)
}

fn print_text(
    config: &Path,
    problems: &[Diagnostic],
    read: Option<Vec<Contents>>,
) -> io::Result<()> {
    report(problems);
    let Some(read) = read else {
        return Ok(());
    };
    for contents in read {
        writeln!(io::stdout(), "{contents}")?;
    }
    writeln!(io::stdout(), "{}: ok", config.display())
}

pub(super) fn refuse(problems: &[Diagnostic]) -> ExitCode {
    report(problems);
    ExitCode::from(2)
}

fn report(problems: &[Diagnostic]) {
    for problem in problems {
        // A closed stderr leaves the exit code to say it.
        // The stream takes the colours off where they are not wanted (NO_COLOR, no terminal).
        let _ = writeln!(anstream::stderr(), "{}\n", problem.coloured());
    }
}

/// Runs a future on a current-thread runtime of its own.
///
/// # Errors
/// The system has no event queue left.
pub fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let output = runtime.block_on(future);
    // Without waiting for a resolver that does not answer.
    runtime.shutdown_background();
    Ok(output)
}
