//! A checked configuration.

use crate::{
    admin::AdminSettings,
    backend::BackendSettings,
    runtime::settings::ServerSettings,
    snapshot::settings::{Limits, ListenerSettings, RouteSettings, Timeouts},
    tls::TlsSettings,
};
use std::path::PathBuf;

/// A configuration whose every value is valid, and whose values fit together.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Workers and drain.
    pub server: ServerSettings,
    /// At least one.
    pub listeners: Vec<ListenerSettings>,
    /// Certificates, and how clients authenticate.
    pub tls: TlsSettings,
    /// How much of everything.
    pub limits: Limits,
    /// How long for everything.
    pub timeouts: Timeouts,
    /// At least one; each names a backend of `backends`.
    pub routes: Vec<RouteSettings>,
    /// In the order of the file.
    pub backends: Vec<BackendSettings>,
    /// `None`: there is no admin listener.
    pub admin: Option<AdminSettings>,
    /// The file with the keys of frame integrity.
    pub keyring: Option<PathBuf>,
}

/// The settings that name files, as far as they are sound.
#[derive(Clone, Debug)]
pub struct NamedFiles {
    /// Certificates, CAs, lists and ticket keys; `None` if something in these tables is wrong.
    pub tls: Option<TlsSettings>,
    /// The keyring.
    pub keyring: Option<PathBuf>,
}
