//! `certs init` and `certs issue`.

use super::{
    arguments::{InitArguments, IssueArguments},
    authority::{DevelopmentCa, Issued, LeafRequest, Purpose, Validity},
    error::CertsError,
    files::{self, Readers},
};
use crate::cli::keys;
use rcgen::SerialNumber;
use std::{
    io::Write,
    path::{Path, PathBuf},
};
use time::OffsetDateTime;

const INIT_ADVICE: &str = "Issue one more certificate with `tidegate certs issue`, \
     choose another folder with --dir, or replace everything with --force";
const ISSUE_ADVICE: &str = "Choose another place with --out, or replace it with --force";
/// The files of a set of credentials, besides the keyring.
pub(in crate::cli) const SET: [&str; 7] = [
    "ca.pem",
    "ca.key",
    "ca.crl",
    "server.pem",
    "server.key",
    "client.pem",
    "client.key",
];
/// The key in the keyring of a new set.
const FIRST_KID: &str = "dev";
/// The first revocation list lasts as long as the first certificates: a try-out that is taken up
/// again after a holiday should not fail over a list that nobody has touched.
const FIRST_LIST_DAYS: u32 = 365;

/// Longer names leave no room for suffixes in names of files.
const FILE_NAME_MAX: usize = 200;

/// Makes a whole set: CA, server, client, empty revocation list, keyring.
pub(super) fn init(
    arguments: &InitArguments,
    now: OffsetDateTime,
    output: &mut impl Write,
) -> Result<(), CertsError> {
    let inside = |name: &str| arguments.dir.join(name);
    if !arguments.force {
        files::expect_absent(&SET.map(inside), INIT_ADVICE)?;
    }
    write_set(arguments, now)?;
    for name in SET {
        writeln!(output, "{}", inside(name).display())?;
    }
    let keyring = inside("keyring.toml");
    // Never replaced, not even by force: clients may hold its keys.
    if !keyring.exists() {
        keys::make(&keyring, FIRST_KID)?;
        writeln!(output, "{}", keyring.display())?;
    }
    Ok(())
}

/// Writes what [`SET`] names.
fn write_set(arguments: &InitArguments, now: OffsetDateTime) -> Result<(), CertsError> {
    let inside = |name: &str| arguments.dir.join(name);
    let authority = DevelopmentCa::new(arguments.algorithm)?;
    let own = ["localhost", "127.0.0.1", "::1"];
    let hosts: Vec<&str> = own
        .into_iter()
        .chain(arguments.host.iter().map(String::as_str))
        .collect();
    let server = authority.issue_server(&hosts)?;
    let client = authority.issue_client("demo client", "spiffe://tidegate.dev/demo")?;
    let validity = Validity::days(now, FIRST_LIST_DAYS)?;
    let list = authority.sign_crl(SerialNumber::from(1), Vec::new(), validity)?;

    files::make_folder(&arguments.dir)?;
    files::replace(&inside("ca.key"), &authority.key_pem(), Readers::Owner)?;
    let everybody = Readers::Everybody;
    files::replace(&inside("ca.pem"), authority.certificate_pem(), everybody)?;
    files::replace(&inside("ca.crl"), &list.pem()?, everybody)?;
    write_pair(&inside("server"), &server)?;
    write_pair(&inside("client"), &client)
}

/// Issues one certificate.
pub(super) fn issue(
    arguments: &IssueArguments,
    now: OffsetDateTime,
    output: &mut impl Write,
) -> Result<(), CertsError> {
    let prefix = match &arguments.out {
        Some(prefix) => prefix.clone(),
        None => arguments.dir.join(file_name(&arguments.name)?),
    };
    expect_file(&prefix, &arguments.dir)?;
    let written = [with_suffix(&prefix, "pem"), with_suffix(&prefix, "key")];
    if !arguments.force {
        files::expect_absent(&written, ISSUE_ADVICE)?;
    }
    let authority = files::read_authority(&arguments.dir)?;
    let issued = authority.issue(&request(arguments, now)?)?;
    if let Some(folder) = prefix.parent().filter(|path| !path.as_os_str().is_empty()) {
        files::make_folder(folder)?;
    }
    write_pair(&prefix, &issued)?;
    for path in written {
        writeln!(output, "{}", path.display())?;
    }
    Ok(())
}

fn request(arguments: &IssueArguments, now: OffsetDateTime) -> Result<LeafRequest, CertsError> {
    let standard = Validity::days(now, arguments.days)?;
    let mut request = LeafRequest {
        purpose: arguments.purpose,
        common_name: arguments.name.clone(),
        dns: arguments.dns.clone(),
        ips: arguments.ip.clone(),
        uris: arguments.uri.clone(),
        emails: arguments.email.clone(),
        validity: Validity {
            not_before: arguments.not_before.unwrap_or(standard.not_before),
            not_after: arguments.not_after.unwrap_or(standard.not_after),
        },
        algorithm: arguments.algorithm,
    };
    // Clients look for a server's host among these names only (RFC 9525 section 6.1).
    if request.purpose == Purpose::Server && request.dns.is_empty() && request.ips.is_empty() {
        request.add_host(&arguments.name);
    }
    Ok(request)
}

/// Writes PREFIX.key, then PREFIX.pem: a certificate is never there without its key.
fn write_pair(prefix: &Path, issued: &Issued) -> Result<(), CertsError> {
    files::replace(&with_suffix(prefix, "key"), &issued.key_pem, Readers::Owner)?;
    let certificate = with_suffix(prefix, "pem");
    files::replace(&certificate, &issued.certificate_pem, Readers::Everybody)
}

/// Adds a suffix, also to names with dots such as `chat.example.com`.
fn with_suffix(prefix: &Path, suffix: &str) -> PathBuf {
    let mut path = prefix.as_os_str().to_owned();
    path.push(".");
    path.push(suffix);
    PathBuf::from(path)
}

/// A common name as the name of a file; refused where it would have to be another.
fn file_name(common_name: &str) -> Result<&str, CertsError> {
    let plain =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    let usable = common_name.chars().all(plain)
        && !common_name.is_empty()
        && !common_name.starts_with(['.', '-'])
        && common_name.len() <= FILE_NAME_MAX;
    usable.then_some(common_name).ok_or_else(|| {
        CertsError::Argument(format!(
            "the name {common_name:?} does not serve as the name of a file, which has letters, digits, '_', '-' and '.' here; say with --out where to write"
        ))
    })
}

/// A place to write to that names a file, and not the CA's own.
fn expect_file(prefix: &Path, dir: &Path) -> Result<(), CertsError> {
    let refused = |why: &str| {
        let message = format!(
            "{} {why}; choose another place with --out",
            prefix.display()
        );
        Err(CertsError::Argument(message))
    };
    let text = prefix.as_os_str().as_encoded_bytes();
    if prefix.file_name().is_none() || text.ends_with(b"/") || text.ends_with(b"/.") {
        return refused("names a folder, and no file in it");
    }
    if prefix.file_name() == Some("ca".as_ref()) && prefix.parent() == Some(dir) {
        return refused("is the CA itself, which would be gone");
    }
    Ok(())
}
