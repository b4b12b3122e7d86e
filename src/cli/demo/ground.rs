//! What the demo stands on: a configuration, and credentials that it may have made itself.

use crate::{
    cli::certs::{
        self, CertsCommand, CertsError, InitArguments, IssueArguments, KeyAlgorithm, Purpose, SET,
    },
    config::{self, Refused, Settings},
    policy::identity::Fingerprint,
};
use aws_lc_rs::rand;
use std::{
    fs::{self, DirBuilder},
    io,
    net::{Ipv4Addr, Ipv6Addr},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// Used where there is no configuration.
const EMBEDDED: &str = include_str!("../../../proxy.toml");
/// The file that says which credentials are the demo's own.
const MARKER: &str = "made-by-demo";

/// A configuration and its credentials.
pub(super) struct Ground {
    /// The configuration's file.
    pub(super) config: PathBuf,
    /// What it says.
    pub(super) settings: Settings,
    /// The folder with the credentials.
    pub(super) folder: PathBuf,
    /// Where the credentials come from.
    pub(super) origin: Origin,
    /// Where all of that lives, if the demo had to make a place for it.
    pub(super) temporary: Option<Temporary>,
}

/// Where credentials come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// This run made them.
    Now,
    /// An earlier run made them.
    Earlier,
    /// Somebody else did: they are not to be touched.
    Others,
}

/// A folder that is removed in the end.
pub(super) struct Temporary(PathBuf);

/// Why there is nothing to stand on.
#[derive(Debug, thiserror::Error)]
pub(super) enum GroundError {
    #[error("{0}")]
    Configuration(#[from] Refused),
    /// The configuration uses credentials from elsewhere.
    #[error(
        "{} uses credentials other than {}; the demo works with credentials of its own only: run \
         it in a folder without a proxy.toml, or name another configuration with --config",
        .config.display(), .expected.display()
    )]
    Elsewhere {
        config: PathBuf,
        /// The file that was expected there.
        expected: PathBuf,
    },
    /// There are some credentials, and others are missing.
    #[error(
        "{} is missing, and the demo overwrites nothing in {}: move what is there to another \
         place, or make a whole set with `tidegate certs init --dir {} --force`",
        .missing.display(), .folder.display(), .folder.display()
    )]
    Incomplete {
        /// The first file that is missing.
        missing: PathBuf,
        folder: PathBuf,
    },
    /// Credentials cannot be made.
    #[error(transparent)]
    Certs(#[from] CertsError),
    /// A file cannot be read or written.
    #[error("{}: {error}", .path.display())]
    File {
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl Ground {
    /// Finds the configuration, and makes credentials if there are none.
    pub(super) fn prepare(config: Option<&Path>) -> Result<Self, GroundError> {
        let here = Path::new("proxy.toml");
        let (config, temporary) = match config {
            Some(config) => (config.to_owned(), None),
            None if here.exists() => (here.to_owned(), None),
            None => {
                let temporary = Temporary::new()?;
                let config = temporary.0.join("proxy.toml");
                write(&config, EMBEDDED)?;
                (config, Some(temporary))
            }
        };
        let settings = config::load(&config)?.settings;
        let folder = config.parent().unwrap_or(Path::new("")).join("certs");
        expect_own_files(&settings, &config, &folder)?;
        let origin = find_or_make(&folder)?;
        Ok(Self {
            config,
            settings,
            folder,
            origin,
            temporary,
        })
    }

    /// A file of the credentials.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Replaces the server's certificate and key by new ones; only credentials that the demo
    /// itself has made.
    pub(super) fn rotate(&self) -> Result<(), GroundError> {
        let issue = IssueArguments {
            purpose: Purpose::Server,
            name: "localhost".to_owned(),
            dns: vec!["localhost".to_owned()],
            ip: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            uri: Vec::new(),
            email: Vec::new(),
            days: 365,
            not_before: None,
            not_after: None,
            algorithm: KeyAlgorithm::default(),
            dir: self.folder.clone(),
            out: Some(self.file("server")),
            force: true,
        };
        certs::run(&CertsCommand::Issue(issue), &mut io::sink())?;
        mark(&self.folder)
    }
}

impl Temporary {
    fn new() -> Result<Self, GroundError> {
        let mut random = [0; 8];
        let path = std::env::temp_dir();
        let failed = |path: &Path, error| GroundError::File {
            path: path.to_owned(),
            error,
        };
        rand::fill(&mut random).map_err(|error| failed(&path, io::Error::other(error)))?;
        let path = path.join(format!("tidegate-demo-{:016x}", u64::from_be_bytes(random)));
        // Made here and by nobody else: an existing folder is an error.
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| failed(&path, error))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // It stays, if the system says so; nobody is left to hear of it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn expect_own_files(settings: &Settings, config: &Path, folder: &Path) -> Result<(), GroundError> {
    let server = folder.join("server.pem");
    let authority = folder.join("ca.pem");
    let first = settings.tls.certificates.first();
    let expected = if first.is_none_or(|files| files.chain != server) {
        server
    } else if !settings.tls.clients.ca.contains(&authority) {
        authority
    } else {
        return Ok(());
    };
    Err(GroundError::Elsewhere {
        config: config.to_owned(),
        expected,
    })
}

fn find_or_make(folder: &Path) -> Result<Origin, GroundError> {
    let missing = |name: &&&str| folder.join(name).symlink_metadata().is_err();
    if SET.iter().filter(missing).count() == SET.len() {
        let init = InitArguments {
            dir: folder.to_owned(),
            host: Vec::new(),
            algorithm: KeyAlgorithm::default(),
            force: false,
        };
        certs::run(&CertsCommand::Init(init), &mut io::sink())?;
        mark(folder)?;
        return Ok(Origin::Now);
    }
    // The CRL and the CA's key are not needed to talk, and may well be kept elsewhere.
    let mut needed = SET
        .iter()
        .filter(|name| !matches!(**name, "ca.key" | "ca.crl"));
    if let Some(name) = needed.find(missing) {
        return Err(GroundError::Incomplete {
            missing: folder.join(name),
            folder: folder.to_owned(),
        });
    }
    if folder.join("ca.key").exists() && is_marked(folder) {
        return Ok(Origin::Earlier);
    }
    Ok(Origin::Others)
}

/// Whether the credentials that are there now are those that the demo made.
fn is_marked(folder: &Path) -> bool {
    let marker = fs::read_to_string(folder.join(MARKER)).ok();
    marker.is_some() && marker == mark_of(folder).ok()
}

fn mark(folder: &Path) -> Result<(), GroundError> {
    write(&folder.join(MARKER), &mark_of(folder)?)
}

fn mark_of(folder: &Path) -> Result<String, GroundError> {
    let mut text = "# `tidegate demo` made these files, and renews server.pem as long as they \
                    are the ones below.\n"
        .to_owned();
    for name in ["ca.pem", "server.pem"] {
        let path = folder.join(name);
        let content = fs::read(&path).map_err(|error| GroundError::File { path, error })?;
        let fingerprint = Fingerprint::of(&content).to_string();
        text.extend([fingerprint.as_str(), "  ", name, "\n"]);
    }
    Ok(text)
}

fn write(path: &Path, content: &str) -> Result<(), GroundError> {
    fs::write(path, content).map_err(|error| GroundError::File {
        path: path.to_owned(),
        error,
    })
}
