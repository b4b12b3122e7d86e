//! `tidegate certs`: a small certificate authority for development and tests.
//!
//! It lives in one folder: `ca.pem`, `ca.key` and `ca.crl`, beside the certificates it issued.

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use rcgen::RevocationReason;
use std::{
    io::{self, Write},
    path::PathBuf,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

mod authority;
mod files;
mod issue;
mod revoke;
mod show;
#[cfg(test)]
mod tests;

#[cfg(feature = "demo")]
pub(in crate::cli) use issue::SET;

pub use authority::{DevelopmentCa, Issued, KeyAlgorithm, LeafRequest, Purpose, Validity};

/// What `tidegate certs` can do.
#[derive(Clone, Debug, Subcommand)]
pub enum CertsCommand {
    /// Make a CA, a server and a client certificate, an empty revocation list, and a keyring
    Init(InitArguments),
    /// Issue one more certificate
    Issue(IssueArguments),
    /// Put a certificate on the revocation list, or sign the list again
    Revoke(RevokeArguments),
    /// Describe certificates and revocation lists
    Show(ShowArguments),
}

/// The arguments of `tidegate certs init`.
#[derive(Args, Clone, Debug)]
pub struct InitArguments {
    /// Folder to write to; made if it is missing
    #[arg(long, value_name = "FOLDER", default_value = "certs")]
    pub dir: PathBuf,
    /// Host name or IP address of the server, besides `localhost`, `127.0.0.1` and `::1` [may be repeated]
    #[arg(long, value_name = "HOST")]
    pub host: Vec<String>,
    /// Kind of the keys
    #[arg(long, value_enum, default_value_t)]
    pub algorithm: KeyAlgorithm,
    /// Replace what is there
    #[arg(long)]
    pub force: bool,
}

/// The arguments of `tidegate certs issue`.
#[derive(Args, Clone, Debug)]
pub struct IssueArguments {
    /// What the certificate is for
    #[arg(value_enum)]
    pub purpose: Purpose,
    /// Common name of the subject
    #[arg(long)]
    pub name: String,
    /// DNS name [may be repeated]
    #[arg(long)]
    pub dns: Vec<String>,
    /// IP address [may be repeated]
    #[arg(long)]
    pub ip: Vec<std::net::IpAddr>,
    /// URI, such as `spiffe://example.com/edge` [may be repeated]
    #[arg(long)]
    pub uri: Vec<String>,
    /// Mail address [may be repeated]
    #[arg(long)]
    pub email: Vec<String>,
    /// Days until it expires
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub days: u32,
    /// First moment of its validity, as in 2026-11-01T00:00:00Z [default: five minutes ago]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub not_before: Option<OffsetDateTime>,
    /// Last moment of its validity, instead of --days
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with = "days")]
    pub not_after: Option<OffsetDateTime>,
    /// Kind of its key
    #[arg(long, value_enum, default_value_t)]
    pub algorithm: KeyAlgorithm,
    /// Folder of the CA
    #[arg(long, value_name = "FOLDER", default_value = "certs")]
    pub dir: PathBuf,
    /// Where to write PREFIX.pem and PREFIX.key [default: the name, in the CA's folder]
    #[arg(long, value_name = "PREFIX")]
    pub out: Option<PathBuf>,
    /// Replace what is there
    #[arg(long)]
    pub force: bool,
}

/// The arguments of `tidegate certs revoke`.
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("what").required(true).multiple(true).args(["cert", "serial", "refresh"]))]
pub struct RevokeArguments {
    /// Certificate to revoke [may be repeated]
    #[arg(long, value_name = "FILE")]
    pub cert: Vec<PathBuf>,
    /// Serial number to revoke, in hexadecimal [may be repeated]
    #[arg(long, value_name = "HEX")]
    pub serial: Vec<String>,
    /// Sign the list again, even if nothing is added to it
    #[arg(long)]
    pub refresh: bool,
    /// Why (RFC 5280 section 5.3.1)
    #[arg(long, value_enum, default_value_t)]
    pub reason: Reason,
    /// Days until the list has to be signed again [default: as long as the last one was good for;
    /// 30 for a first list]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub days: Option<u32>,
    /// Folder of the CA
    #[arg(long, value_name = "FOLDER", default_value = "certs")]
    pub dir: PathBuf,
}

/// The arguments of `tidegate certs show`.
#[derive(Args, Clone, Debug)]
pub struct ShowArguments {
    /// Certificates and revocation lists, PEM or DER
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Why a certificate is revoked (RFC 5280 section 5.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Reason {
    /// No reason given
    #[default]
    Unspecified,
    /// The key may be in other hands
    KeyCompromise,
    /// The subject's name or role changed
    AffiliationChanged,
    /// Replaced by another certificate
    Superseded,
    /// No longer needed
    CessationOfOperation,
    /// The subject lost a privilege
    PrivilegeWithdrawn,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// Files that would be overwritten.
    #[error("{} there already; nothing was written. {advice}", listed(.files))]
    Exists {
        /// The files.
        files: Vec<PathBuf>,
        /// What to do instead.
        advice: &'static str,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}. {advice}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// A file or folder could not be written.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file holds something else than it should.
    #[error("{}: {problem}", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was found, and what is expected.
        problem: String,
    },
    /// An argument cannot be used.
    #[error("{0}")]
    Argument(String),
    /// The certificate library refused; what was asked for is in the message.
    #[error("cannot sign: {0}")]
    Sign(#[from] rcgen::Error),
    /// The keyring could not be made.
    #[error(transparent)]
    Keyring(#[from] crate::cli::keys::KeysError),
    /// The output could not be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl CertsError {
    /// The exit code of the process.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Write { .. } | Self::Sign(_) | Self::Output(_) => 1,
            Self::Keyring(error) => error.code(),
            Self::Exists { .. } | Self::Read { .. } | Self::Content { .. } | Self::Argument(_) => 2,
        }
    }
}

/// Runs a command; what a person or a machine reads goes to `output`.
pub fn run(command: &CertsCommand, output: &mut impl Write) -> Result<(), CertsError> {
    let now = OffsetDateTime::now_utc();
    match command {
        CertsCommand::Init(arguments) => issue::init(arguments, now, output),
        CertsCommand::Issue(arguments) => issue::issue(arguments, now, output),
        CertsCommand::Revoke(arguments) => revoke::revoke(arguments, now, output),
        CertsCommand::Show(arguments) => show::show(arguments, now, output),
    }
}

impl Reason {
    fn code(self) -> RevocationReason {
        match self {
            Self::Unspecified => RevocationReason::Unspecified,
            Self::KeyCompromise => RevocationReason::KeyCompromise,
            Self::AffiliationChanged => RevocationReason::AffiliationChanged,
            Self::Superseded => RevocationReason::Superseded,
            Self::CessationOfOperation => RevocationReason::CessationOfOperation,
            Self::PrivilegeWithdrawn => RevocationReason::PrivilegeWithdrawn,
        }
    }
}

fn parse_time(text: &str) -> Result<OffsetDateTime, String> {
    let time = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "write it as RFC 3339 does, for example 2026-11-01T00:00:00Z".to_owned())?;
    if time.unix_timestamp() < 0 {
        return Err("certificates here begin in 1970 at the earliest".to_owned());
    }
    Ok(time)
}

fn listed(files: &[PathBuf]) -> String {
    let names: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(", "))
}

/// Bytes as lower-case digits, the way every command here reads and writes a serial number.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0x0f])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}
