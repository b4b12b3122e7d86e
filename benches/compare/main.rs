//! The tools of `benches/compare/run` and `benches/compare/scale`: an echo backend, a plain forwarder and the loads.
//!
//! Each is a subcommand, so that the script can put each on its own core. A load prints one line
//! of JSON: what the proxy's process spent, by `/proc`, on each unit of work, and the latencies.

#![allow(
    clippy::print_stdout,
    reason = "the results are read from standard output"
)]

mod backend;
mod certificates;
mod client;
mod crowd;
mod echo;
mod forward;
mod get;
mod handshake;
mod histogram;
mod idle;
mod process;
mod sealed;
mod steady;

use clap::{Args, Parser, Subcommand};
use serde_json::Value;
use std::{error::Error, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};
use tokio::{
    net::TcpListener,
    runtime::{Builder, LocalOptions},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Echo backend, plain forwarder and loads for benches/compare/run and benches/compare/scale.
#[derive(Parser)]
struct Command {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Subcommand)]
enum Tool {
    /// Plain server: echoes messages, and answers requests.
    Backend { listen: SocketAddr },
    /// Plain TCP forwarder with 8 KiB buffers: what any proxy has to pay at least.
    Forward { listen: SocketAddr, to: SocketAddr },
    /// Certificates for the hosts that `handshake --hosts` asks for, beside the CA's.
    Certificates { credentials: PathBuf, count: usize },
    /// Waits, ten seconds at most, until a message comes back: until the proxy is ready.
    Probe {
        #[command(flatten)]
        target: Target,
    },
    /// Messages that come back.
    Echo {
        #[command(flatten)]
        target: Target,
        /// Bytes of a message.
        #[arg(long)]
        size: usize,
        /// Messages that each connection has under way.
        #[arg(long)]
        in_flight: usize,
        #[arg(long)]
        connections: usize,
    },
    /// Plain requests.
    Get {
        #[command(flatten)]
        target: Target,
        /// Bytes of an answer.
        #[arg(long)]
        size: usize,
        #[arg(long)]
        connections: usize,
    },
    /// Connect, open a WebSocket, close it, again and again.
    Handshake {
        #[command(flatten)]
        target: Target,
        /// Resume TLS sessions.
        #[arg(long)]
        resumed: bool,
        /// Clients that do so at once.
        #[arg(long, default_value_t = 4)]
        connections: usize,
        /// How many hosts they ask for, in turn; 0: localhost alone.
        #[arg(long, default_value_t = 0)]
        hosts: u64,
    },
    /// Many connections, of which few are active at a time; told what to do on standard input.
    Crowd {
        #[command(flatten)]
        target: Target,
        #[arg(long)]
        connections: usize,
        /// Connections that are active at a time.
        #[arg(long, default_value_t = 8)]
        active: usize,
    },
    /// Messages that come back, at a fixed rate.
    Steady {
        #[command(flatten)]
        target: Target,
        #[arg(long)]
        connections: usize,
        #[arg(long)]
        per_second: f64,
    },
    /// Connect, open a WebSocket, close it, at a fixed rate.
    Arrivals {
        #[command(flatten)]
        target: Target,
        #[arg(long)]
        per_second: f64,
    },
    /// Memory of the proxy for each connection that stays open and silent.
    Idle {
        #[command(flatten)]
        target: Target,
        #[arg(long, default_value_t = 1000)]
        connections: usize,
        /// With sealed frames.
        #[arg(long)]
        sealed: bool,
    },
    /// Memory that the proxy keeps after many connections came and went at once.
    Storm {
        #[command(flatten)]
        target: Target,
        #[arg(long, default_value_t = 2000)]
        connections: usize,
        /// Seconds after which memory is looked at again.
        #[arg(long, default_value_t = 60)]
        rest: u64,
    },
}

/// What a load is aimed at.
#[derive(Args)]
struct Target {
    /// Where the proxy listens.
    #[arg(long)]
    address: SocketAddr,
    /// The proxy's process.
    #[arg(long)]
    pid: u32,
    /// Folder with ca.pem, client.pem and client.key; without it, no TLS is spoken.
    #[arg(long)]
    credentials: Option<PathBuf>,
    /// Seconds to measure.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

impl Target {
    fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

fn main() -> ExitCode {
    match run(Command::parse().tool) {
        Ok(Value::Null) => ExitCode::SUCCESS,
        Ok(result) => {
            println!("{result}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{}", serde_json::json!({ "error": error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

fn run(tool: Tool) -> Result<Value> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    runtime.block_on(use_tool(tool))
}

/// Returns the result, or null where there is none to print at the end.
async fn use_tool(tool: Tool) -> Result<Value> {
    match tool {
        Tool::Backend { listen } => backend::serve(TcpListener::bind(listen).await?)
            .await
            .map(|()| Value::Null),
        Tool::Forward { listen, to } => forward::serve(listen, to).await.map(|()| Value::Null),
        Tool::Certificates { credentials, count } => certificates::write(&credentials, count),
        Tool::Probe { target } => idle::probe(&target).await,
        Tool::Echo {
            target,
            size,
            in_flight,
            connections,
        } => echo::run(&target, size, in_flight, connections).await,
        Tool::Get {
            target,
            size,
            connections,
        } => get::run(&target, size, connections).await,
        Tool::Handshake {
            target,
            resumed,
            connections,
            hosts,
        } => handshake::run(&target, resumed, connections, hosts).await,
        Tool::Crowd {
            target,
            connections,
            active,
        } => {
            let told = crowd::run(&target, connections, active).await;
            told.map(|()| Value::Null)
        }
        Tool::Steady {
            target,
            connections,
            per_second,
        } => steady::messages(&target, connections, per_second).await,
        Tool::Arrivals { target, per_second } => steady::arrivals(&target, per_second).await,
        Tool::Idle {
            target,
            connections,
            sealed: true,
        } => idle::sealed_slope(&target, connections).await,
        Tool::Idle {
            target,
            connections,
            sealed: false,
        } => idle::slope(&target, connections).await,
        Tool::Storm {
            target,
            connections,
            rest,
        } => idle::storm(&target, connections, Duration::from_secs(rest)).await,
    }
}
