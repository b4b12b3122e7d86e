//! What `tidegate certs` takes.

use super::authority::{KeyAlgorithm, Purpose};
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use rcgen::RevocationReason;
use std::path::PathBuf;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

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

impl Reason {
    pub(super) fn code(self) -> RevocationReason {
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
