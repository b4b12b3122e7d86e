//! `tidegate demo`: the proxy at work, with nothing to set up, and what was seen of it.
//!
//! ```text
//! client (this thread) ──wss──► proxy (its own threads) ──ws──► echo (a thread)
//!     └── proofs compare what the client sees with what the echo saw ──┘
//! ```

mod echo;
mod exchange;
mod ground;
mod metrics;
mod proof;
mod proofs;
mod scene;
mod sealing;
mod story;

use super::{
    arguments::{CONFIG, Format},
    exit::fail,
    run::{LAST_LINES, block_on, refuse, start_log},
};
use crate::{
    app::{App, Control, Handle, StartError},
    backend::ServerAddress,
    integrity::Mode,
    observe::log::LogLevel,
    runtime::workers,
};
use echo::{Echo, Fields};
use ground::{Ground, GroundError};
use proofs::PROOFS;
use scene::{Counts, Scene, reachable};
use std::{
    io,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, atomic::AtomicU64, mpsc as std_mpsc},
    time::Duration,
};
use tokio::{sync::mpsc, time::timeout};

/// How long one proof may take.
const PROOF: Duration = Duration::from_secs(20);

/// The arguments of `tidegate demo`.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArguments {
    /// End after the conversation: 0 if everything was as it should be, otherwise 1
    #[arg(long)]
    pub once: bool,
    /// The configuration [default: proxy.toml, or a copy of the one that came with tidegate]
    #[arg(long, value_name = "FILE", env = CONFIG)]
    pub config: Option<PathBuf>,
    /// off, error, warn, info, debug or trace
    #[arg(
        long,
        value_name = "LEVEL",
        env = "TIDEGATE_LOG",
        default_value = "error"
    )]
    pub log_level: LogLevel,
}

/// Why there is no conversation.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error(transparent)]
    Ground(#[from] GroundError),
    #[error(transparent)]
    Echo(#[from] echo::EchoError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{0}")]
    Failed(#[from] io::Error),
}

/// A proxy that runs on threads of its own.
struct Running {
    handle: Handle,
    ended: std_mpsc::Receiver<io::Result<()>>,
}

/// Runs the demo.
pub fn run(arguments: &DemoArguments) -> ExitCode {
    let queue = match start_log(Format::Text.into(), arguments.log_level) {
        Ok(queue) => queue,
        Err(error) => return fail(&error, 1),
    };
    let code = match demonstrate(arguments, queue.dropped()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(DemoError::Start(StartError::Configuration(problems))) => refuse(&problems),
        Err(DemoError::Ground(GroundError::Configuration(problems))) => {
            refuse(&problems.problems.0)
        }
        Err(error) => fail(&error, 1),
    };
    queue.flush(LAST_LINES);
    code
}

/// Returns whether everything was as it should be.
fn demonstrate(arguments: &DemoArguments, dropped: Arc<AtomicU64>) -> Result<bool, DemoError> {
    let ground = Ground::prepare(arguments.config.as_deref())?;
    let (route, servers) = first_route(&ground);
    let (observer, seen) = mpsc::unbounded_channel();
    let (echo, _files) = Echo::bind(&servers, observer)?;
    let app = App::bind(&ground.config, dropped)?;
    let address = app.listeners().first().map(|(_, address)| *address);
    let address = address.ok_or_else(|| io::Error::other("there is no listener"))?;
    let first = ground.settings.routes.first();
    let path = first.map(|route| route.path.as_str());
    let seals = first.is_some_and(|route| route.integrity != Mode::Off);
    let mut scene = Scene {
        address: reachable(address),
        admin: app.admin().map(reachable),
        route,
        seals,
        url: format!("wss://localhost:{}{}", address.port(), path.unwrap_or("/")),
        ground,
        seen,
        socket: None,
        request: Fields::default(),
        count: Counts::default(),
    };
    workers::start_thread("echo", move || serve(echo))?;
    let running = Running::start(app)?;
    let servers: Vec<_> = servers.iter().map(ToString::to_string).collect();
    let output = &mut io::stdout();
    story::begin(&scene, &servers.join(", "), output)?;
    let good = block_on(converse(&mut scene, output))??;
    if arguments.once {
        running.handle.drain_soon();
    } else {
        // Nobody looks any more: what the echo sees must not pile up.
        scene.seen.close();
        story::invite(&scene, output)?;
    }
    running.wait()?;
    Ok(good)
}

/// Runs every proof; returns whether all went well.
async fn converse(scene: &mut Scene, output: &mut impl io::Write) -> io::Result<bool> {
    let mut failed = Vec::new();
    for proof in PROOFS {
        let late = format!("it took longer than {} seconds", PROOF.as_secs());
        let outcome = timeout(PROOF, (proof.run)(scene)).await;
        let outcome = outcome.unwrap_or(Err(late));
        story::show(proof, &outcome, output)?;
        if outcome.is_err() {
            failed.push(proof.name);
        }
    }
    story::end(&failed, PROOFS.len(), output)?;
    Ok(failed.is_empty())
}

/// The name of the first route, and the servers of its backend.
fn first_route(ground: &Ground) -> (String, Vec<ServerAddress>) {
    let Some(route) = ground.settings.routes.first() else {
        return Default::default();
    };
    let mut backends = ground.settings.backends.iter();
    let backend = backends.find(|backend| backend.name == route.backend);
    let servers = backend.map(|backend| backend.servers.clone());
    (route.name.clone(), servers.unwrap_or_default())
}

fn serve(echo: Echo) {
    if let Ok(Err(error)) | Err(error) = block_on(echo.serve()) {
        tracing::error!(%error, "the demo's backend cannot run");
    }
}

impl Running {
    fn start(app: App) -> io::Result<Self> {
        let mut control = Control::new();
        let handle = control.handle();
        let (report, ended) = std_mpsc::channel();
        workers::start_thread("control", move || {
            let result = block_on(async {
                control.obey_signals()?;
                app.run(control).await
            });
            let result = result.and_then(|result| result);
            // Nobody waits for it any more if the demo failed in between.
            let _ = report.send(result);
        })?;
        Ok(Self { handle, ended })
    }

    /// Waits until the proxy has drained.
    fn wait(self) -> io::Result<()> {
        self.ended
            .recv()
            .unwrap_or_else(|gone| Err(io::Error::other(gone)))
    }
}
