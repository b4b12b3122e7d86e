//! Workers: one thread with one current-thread runtime per core.

use futures_util::FutureExt;
use std::{
    future::Future,
    io,
    panic::AssertUnwindSafe,
    thread::{self, JoinHandle},
};
use tokio::runtime::{LocalOptions, LocalRuntime};

/// Starts a worker thread and runs the future that `make` builds on it, to its end.
///
/// # Errors
/// The system has no thread or no event queue left.
pub fn start<F>(
    index: usize,
    make: impl FnOnce() -> F + Send + 'static,
) -> io::Result<JoinHandle<()>>
where
    F: Future<Output = ()> + 'static,
{
    let runtime = |()| -> io::Result<LocalRuntime> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
    };
    let (report, built) = std::sync::mpsc::channel();
    let thread = thread::Builder::new()
        .name(format!("worker-{index}"))
        .spawn(move || match runtime(()) {
            Ok(runtime) => {
                let _ = report.send(Ok(()));
                runtime.block_on(make());
                // Without waiting for a resolver that does not answer.
                runtime.shutdown_background();
            }
            Err(error) => {
                let _ = report.send(Err(error));
            }
        })?;
    built
        .recv()
        .unwrap_or_else(|gone| Err(io::Error::other(gone)))?;
    Ok(thread)
}

/// Starts a thread for something that is not a runtime, such as writing the log.
///
/// # Errors
/// The system has no thread left.
pub fn start_thread(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// Runs one connection's future on this worker; a panic in it ends that connection alone.
///
/// Combinators and no `async` block, which would hold the future twice for as long as it runs.
pub fn spawn_connection(future: impl Future<Output = ()> + 'static) {
    let guarded = AssertUnwindSafe(future).catch_unwind().map(|result| {
        if result.is_err() {
            tracing::error!(
                "a connection's task panicked and was ended; this is a bug in tidegate: please report it"
            );
        }
    });
    tokio::task::spawn_local(guarded);
}

/// Runs something beside the current task, on the same runtime, until it ends or the runtime does.
pub fn spawn_beside(future: impl Future<Output = ()> + 'static) {
    tokio::task::spawn_local(future);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, time::Duration};

    #[test]
    fn a_worker_ends_though_a_resolver_does_not_answer() {
        let (release, held) = mpsc::channel::<()>();
        let worker = start(0, move || async move {
            // As names are looked up.
            tokio::task::spawn_blocking(move || held.recv());
            tokio::task::yield_now().await;
        });
        let (report, reported) = mpsc::channel();
        thread::spawn(move || report.send(worker.unwrap().join().is_ok()));
        assert_eq!(reported.recv_timeout(Duration::from_secs(10)), Ok(true));
        drop(release);
    }

    #[test]
    fn a_panic_ends_its_connection_alone() {
        let (report, reported) = mpsc::channel();
        let worker = start(0, move || async move {
            let (end, ended) = tokio::sync::oneshot::channel();
            spawn_connection(async { panic!("on purpose") });
            spawn_connection(async move {
                // The other has run by now, and this one still does.
                tokio::task::yield_now().await;
                end.send("served").unwrap();
            });
            report.send(ended.await).unwrap();
        });
        worker.unwrap().join().unwrap();
        assert_eq!(reported.recv().unwrap(), Ok("served"));
    }
}
