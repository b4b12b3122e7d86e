//! Which keyring is meant, and which running proxy uses it.

use super::error::KeysError;
use crate::{
    cli::{arguments::DEFAULT_CONFIG, files::folder_of},
    config,
};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Where the keyring is if no configuration says otherwise, beside the configuration.
const DEFAULT_KEYRING: &str = "certs/keyring.toml";

/// A keyring, and the proxy that uses it as far as the configuration says.
#[derive(Debug)]
pub(super) struct Place {
    /// The keyring's file.
    pub(super) keyring: PathBuf,
    /// The configuration's folder, to which paths in it are relative.
    folder: PathBuf,
    /// The admin listener.
    pub(super) admin: Option<SocketAddr>,
    /// Whether the configuration names the keyring.
    pub(super) configured: bool,
    /// Whether the proxy that uses it takes up changes by itself.
    pub(super) watched: bool,
}

impl Place {
    /// The keyring that was asked for; otherwise what the configuration names; otherwise the
    /// default. A configuration that is there and cannot be read is an error, unless the keyring
    /// was asked for: to go on with another keyring would surprise.
    pub(super) fn find(keyring: Option<&Path>, config: Option<&Path>) -> Result<Self, KeysError> {
        let file = config.unwrap_or(Path::new(DEFAULT_CONFIG));
        let loaded = match config::load(file) {
            Ok(loaded) => Some(loaded.settings),
            Err(_) if keyring.is_some() || (config.is_none() && !file.exists()) => None,
            Err(refused) => return Err(KeysError::Problems(refused.problems.0)),
        };
        let named = loaded.as_ref().and_then(|it| it.keyring.clone());
        let default = || folder_of(file).join(DEFAULT_KEYRING);
        let path = keyring.map(Path::to_owned);
        let path = path.or_else(|| named.clone()).unwrap_or_else(default);
        let configured = named.is_some_and(|named| same(&named, &path));
        let watched = loaded.as_ref().is_none_or(|it| it.server.watch);
        let admin = loaded.and_then(|settings| settings.admin);
        Ok(Self {
            admin: admin.filter(|_| configured).map(|admin| admin.address),
            keyring: path,
            folder: folder_of(file).to_owned(),
            configured,
            watched,
        })
    }

    /// The keyring, once it is there, as the configuration has to name it.
    pub(super) fn named(&self) -> PathBuf {
        let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let keyring = whole(&self.keyring);
        match keyring.strip_prefix(whole(&self.folder)) {
            Ok(relative) => relative.to_owned(),
            Err(_) => keyring,
        }
    }
}

/// Whether two paths lead to one file.
fn same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}
