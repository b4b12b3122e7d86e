//! What to ask of a running proxy, and how to reach it.

use std::path::PathBuf;

/// How to reach the proxy, and how to print.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct AdminArgs {
    /// The admin listener of the running proxy [default: admin.address of the configuration]
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<String>,
    /// A file with the proxy's admin token; needed when the proxy is on another machine
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `tidegate connections`.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct ConnectionsArgs {
    /// Print so many at most [default: all]
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it as a help text")]
    pub admin: AdminArgs,
}

/// Arguments of `tidegate reload`.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct ReloadArgs {
    /// Say what would change, and change nothing
    #[arg(long)]
    pub preview: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it as a help text")]
    pub admin: AdminArgs,
}

/// Arguments of `tidegate close`.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct CloseArgs {
    /// The connection's id, as in the log and in `tidegate connections`
    #[arg(required_unless_present = "identity")]
    pub id: Option<String>,
    /// Close every connection of this identity instead
    #[arg(long, conflicts_with = "id")]
    pub identity: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it as a help text")]
    pub admin: AdminArgs,
}

/// What to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminCommand {
    /// `tidegate status`.
    Status(AdminArgs),
    /// `tidegate connections`.
    Connections(ConnectionsArgs),
    /// `tidegate reload`.
    Reload(ReloadArgs),
    /// `tidegate drain`.
    Drain(AdminArgs),
    /// `tidegate close`.
    Close(CloseArgs),
}

impl AdminCommand {
    pub(super) const fn args(&self) -> &AdminArgs {
        match self {
            Self::Status(args) | Self::Drain(args) => args,
            Self::Connections(args) => &args.admin,
            Self::Reload(args) => &args.admin,
            Self::Close(args) => &args.admin,
        }
    }
}
