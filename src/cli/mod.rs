//! The commands.

pub mod admin;
mod arguments;
pub mod certs;
pub mod connect;
#[cfg(feature = "demo")]
pub mod demo;
mod exit;
pub mod explain;
mod files;
pub mod keys;
pub mod run;

use admin::{AdminArgs, AdminCommand, CloseArgs, ConnectionsArgs, Outcome, ReloadArgs};
use arguments::{CONFIG, DEFAULT_CONFIG};
use clap::{Parser, Subcommand};
use exit::{fail, is_enough};
use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

pub use arguments::{Format, LogArgs};

/// A reverse proxy that ends TLS for WebSockets.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, about, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy
    Run(RunArgs),
    /// Read the configuration and every file it names, and print all problems
    Check(CheckArgs),
    /// Show the proxy at work: throw-away credentials, an echo backend, one conversation
    #[cfg(feature = "demo")]
    Demo(demo::DemoArguments),
    /// A small CA for development: certificates, keys, CRL
    #[command(subcommand)]
    Certs(certs::CertsCommand),
    /// The keys of frame integrity
    Keys(keys::KeysArguments),
    /// Talk to a WebSocket server: lines in, messages out
    Connect(connect::ConnectArguments),
    /// Say which rule would admit or refuse a client, and why
    Explain(explain::ExplainArgs),
    /// Show what a running proxy does
    Status(Remote<AdminArgs>),
    /// List the open connections of a running proxy
    Connections(Remote<ConnectionsArgs>),
    /// Make a running proxy read its configuration and files again
    Reload(Remote<ReloadArgs>),
    /// Make a running proxy close its connections and end
    Drain(Remote<AdminArgs>),
    /// Make a running proxy close one connection, or all of an identity
    Close(Remote<CloseArgs>),
}

/// Arguments of `tidegate run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", env = CONFIG, default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it as a help text")]
    pub log: LogArgs,
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", env = CONFIG, default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A command for a running proxy, whose address may stand in its configuration.
#[derive(Debug, clap::Args)]
struct Remote<A: clap::Args> {
    /// The configuration that names the admin listener
    #[arg(long, value_name = "FILE", env = CONFIG, default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    #[command(flatten)]
    rest: A,
}

/// Runs the command line's command; returns the process's exit code.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => run::run(&args.config, &args.log),
        Command::Check(args) => run::check(&args.config, args.json),
        #[cfg(feature = "demo")]
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Certs(command) => run_certs(&command),
        Command::Keys(arguments) => run_keys(&arguments),
        Command::Connect(arguments) => run_connect(&arguments),
        Command::Explain(args) => run_explain(&args),
        Command::Status(remote) => ask(&remote.config, &AdminCommand::Status(remote.rest)),
        Command::Connections(remote) => {
            ask(&remote.config, &AdminCommand::Connections(remote.rest))
        }
        Command::Reload(remote) => ask(&remote.config, &AdminCommand::Reload(remote.rest)),
        Command::Drain(remote) => ask(&remote.config, &AdminCommand::Drain(remote.rest)),
        Command::Close(remote) => ask(&remote.config, &AdminCommand::Close(remote.rest)),
    }
}

fn run_certs(command: &certs::CertsCommand) -> ExitCode {
    use certs::CertsError;
    match certs::run(command, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(CertsError::Output(error)) if is_enough(&error) => ExitCode::SUCCESS,
        Err(error) => fail(&error, error.code()),
    }
}

fn run_keys(arguments: &keys::KeysArguments) -> ExitCode {
    use keys::KeysError;
    match keys::run(arguments, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(KeysError::Output(error)) if is_enough(&error) => ExitCode::SUCCESS,
        Err(error) => fail(&error, error.code()),
    }
}

fn run_explain(args: &explain::ExplainArgs) -> ExitCode {
    use explain::ExplainError;
    match explain::run(args, &mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(ExplainError::Output(error)) if is_enough(&error) => ExitCode::SUCCESS,
        Err(error @ (ExplainError::Output(_) | ExplainError::Internal(_))) => fail(&error, 1),
        Err(error) => fail(&error, 2),
    }
}

fn run_connect(arguments: &connect::ConnectArguments) -> ExitCode {
    use crate::client::ClientError;
    use connect::ConnectError;
    match connect::run(arguments, &mut io::stdout(), &mut io::stderr()) {
        Ok(ending) if ending.is_normal() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(ConnectError::Local(error)) if is_enough(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let usage = matches!(
                error,
                ConnectError::Argument(_)
                    | ConnectError::Client(ClientError::Url { .. } | ClientError::Argument(_))
            );
            fail(&error, if usage { 2 } else { 1 })
        }
    }
}

fn ask(config: &Path, command: &AdminCommand) -> ExitCode {
    let configured = crate::config::admin_address(config);
    let (out, errors) = (&mut io::stdout(), &mut io::stderr());
    match run::block_on(admin::run(command, configured, out, errors)) {
        Ok(Ok(outcome)) => ExitCode::from(Outcome::code(outcome)),
        Ok(Err(error)) => fail(&error, error.code()),
        Err(error) => fail(&error, 1),
    }
}
