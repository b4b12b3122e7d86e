//! `tidegate certs`: a small certificate authority for development and tests.
//!
//! It lives in one folder: `ca.pem`, `ca.key` and `ca.crl`, beside the certificates it issued.

use std::io::Write;
use time::OffsetDateTime;

mod arguments;
mod authority;
mod error;
mod files;
mod issue;
mod revoke;
mod show;
#[cfg(test)]
mod tests;

#[cfg(feature = "demo")]
pub(in crate::cli) use issue::SET;

pub use arguments::{
    CertsCommand, InitArguments, IssueArguments, Reason, RevokeArguments, ShowArguments,
};
pub use authority::{DevelopmentCa, Issued, KeyAlgorithm, LeafRequest, Purpose, Validity};
pub use error::CertsError;

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
