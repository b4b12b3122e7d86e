//! A configuration and everything that it names → a snapshot, whole or not at all.

use super::look;
use crate::{
    admin,
    backend::{Backend, BackendSettings},
    config::{self, Diagnostic, Loaded, Settings, Source},
    connection::{
        authenticate::unix_time,
        route::RouteSettings,
        snapshot::{Parts, Route, Snapshot},
        trust::Rulebook,
    },
    integrity::keyring::Keyring,
    observe::{BackendNames, Expiry, ExpiryKind, Metrics, RouteNames},
    policy::route::RouteTable,
    tls::{MaterialError, trust::Trust},
};
use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

/// A configuration whose files have been read and verified; nothing of it is in use yet.
pub struct Candidate {
    /// What the configuration says.
    pub settings: Settings,
    /// What is allowed, and probably not meant.
    pub warnings: Vec<Diagnostic>,
    /// SHA-256 of every file that was read; `None`: it could not be read.
    pub digests: Digests,
    trust: Trust,
    keyring: Keyring,
}

/// What files held, by path.
pub type Digests = BTreeMap<PathBuf, Option<[u8; 32]>>;

/// Reads and verifies a configuration and every file that it names; gives all problems at once.
///
/// `in_use` is the trust that this would follow, if any. `look` is told the files before they are
/// read, so that whoever watches them misses nothing.
pub fn prepare(
    path: &Path,
    in_use: Option<&Trust>,
    look: impl FnOnce(&[PathBuf]),
) -> Result<Candidate, Vec<Diagnostic>> {
    let Loaded {
        settings,
        mut warnings,
        source,
    } = config::load(path).map_err(|problems| problems.0)?;
    let mut paths: Vec<PathBuf> = source.paths().map(Path::to_owned).collect();
    paths.insert(0, path.to_owned());
    look(&paths);
    let digests = digests(&paths);
    let mut problems = Vec::new();
    let trust = load_trust(&settings, in_use, &source, &mut warnings, &mut problems);
    refuse_duplicates(&settings.routes, &source, &mut problems);
    warn_of_token(&settings, &source, &mut warnings);
    let keyring = load_keys(&settings, &source, &mut problems);
    match trust {
        Some(trust) if problems.is_empty() => Ok(Candidate {
            settings,
            warnings,
            digests,
            trust,
            keyring,
        }),
        _ => Err(warnings.into_iter().chain(problems).collect()),
    }
}

impl Candidate {
    /// The rules that open sockets would be judged by.
    pub fn rulebook(&self) -> Rulebook<'_> {
        let Settings {
            routes,
            listeners,
            tls,
            ..
        } = &self.settings;
        Rulebook::new(&self.trust, routes, listeners, tls.clients.mode)
    }

    /// The keys of frame integrity.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Makes the snapshot, and the series of its routes and backends.
    pub fn snapshot(self, generation: u64, metrics: &Metrics) -> Snapshot {
        let Self {
            settings,
            trust,
            keyring,
            ..
        } = self;
        announce(&settings, metrics);
        let ids: Vec<_> = keyring.iter().map(|key| key.kid.to_string()).collect();
        metrics.set_integrity_keys(&ids);
        let expiries = expiries(&trust, &keyring);
        metrics.set_expiries(expiries.clone());
        let backends = settings.backends.iter();
        let backends: Vec<_> = backends.map(|it| backend(it, metrics)).collect();
        Snapshot::new(Parts {
            generation,
            trust,
            routes: routes(&settings.routes, &backends, metrics),
            expiries,
            keyring,
            backends,
            limits: settings.limits,
            timeouts: settings.timeouts,
            token_file: settings.admin.and_then(|admin| admin.token_file),
            listeners: settings.listeners,
            mode: settings.tls.clients.mode,
        })
    }
}

/// The routes with their backends, of which the configuration has each.
fn routes(
    settings: &[RouteSettings],
    backends: &[Arc<Backend>],
    metrics: &Metrics,
) -> RouteTable<Arc<Route>> {
    let by_name = backends.iter().map(|backend| (&*backend.name, backend));
    let by_name: HashMap<_, _> = by_name.collect();
    let route = |settings: &RouteSettings| {
        let backend = by_name.get(settings.backend.as_str())?;
        let names = RouteNames {
            route: &settings.name,
            backend: &settings.backend,
        };
        let route = Arc::new(Route {
            name: settings.name.as_str().into(),
            backend: Arc::clone(backend),
            metrics: metrics.route(names)?,
            settings: settings.clone(),
        });
        Some((settings.hosts.clone(), settings.path.clone(), route))
    };
    let table = RouteTable::build(settings.iter().filter_map(route));
    // Duplicates were refused when the candidate was prepared.
    table.unwrap_or_default()
}

/// Everything that expires: certificates, CAs, CRLs, and keys with an end.
fn expiries(trust: &Trust, keyring: &Keyring) -> Vec<Expiry> {
    let keys = keyring.iter().filter_map(|key| {
        Some(Expiry {
            kind: ExpiryKind::IntegrityKey,
            name: key.kid.to_string(),
            unix: key.validity.not_after()?,
        })
    });
    trust.expiries.iter().cloned().chain(keys).collect()
}

fn backend(settings: &BackendSettings, metrics: &Metrics) -> Arc<Backend> {
    Arc::new(match metrics.backend(&settings.name) {
        Some(counts) => Backend::new(settings, &counts),
        None => Backend::detached(settings),
    })
}

/// Every series exists from the start: those of new routes and backends from now on.
fn announce(settings: &Settings, metrics: &Metrics) {
    let routes: Vec<_> = settings
        .routes
        .iter()
        .map(|route| RouteNames {
            route: &route.name,
            backend: &route.backend,
        })
        .collect();
    let servers = |backend: &BackendSettings| -> Vec<String> {
        backend.servers.iter().map(ToString::to_string).collect()
    };
    let servers: Vec<_> = settings.backends.iter().map(servers).collect();
    let backends: Vec<_> = settings
        .backends
        .iter()
        .zip(&servers)
        .map(|(backend, servers)| BackendNames {
            backend: &backend.name,
            servers,
        })
        .collect();
    metrics.set_routes(&routes, &backends);
}

fn load_trust(
    settings: &Settings,
    in_use: Option<&Trust>,
    source: &Source,
    warnings: &mut Vec<Diagnostic>,
    problems: &mut Vec<Diagnostic>,
) -> Option<Trust> {
    let place = |error: MaterialError| {
        let message = format!("{}: {}", error.path.display(), error.message);
        source.diagnose_path(&error.path, message, error.hint)
    };
    let mut found = Vec::new();
    let trust = Trust::load(&settings.tls, in_use, unix_time(), &mut found);
    warnings.extend(found.into_iter().map(|warning| place(warning).warning()));
    trust
        .map_err(|errors| problems.extend(errors.into_iter().map(place)))
        .ok()
}

fn refuse_duplicates(routes: &[RouteSettings], source: &Source, problems: &mut Vec<Diagnostic>) {
    let entries = routes
        .iter()
        .map(|route| (route.hosts.clone(), route.path.clone(), ()));
    let duplicates = RouteTable::build(entries).err().unwrap_or_default();
    problems.extend(duplicates.into_iter().map(|duplicate| {
        let host = duplicate
            .host
            .map_or("any host".to_owned(), |host| format!("host {host}"));
        let message = format!("two routes claim {host} with path {}", duplicate.path);
        source.diagnose_route(
            duplicate.second,
            message,
            "remove one, or give it another host or path",
        )
    }));
}

/// A warning, because nothing but the admin's calls from elsewhere depends on it.
fn warn_of_token(settings: &Settings, source: &Source, warnings: &mut Vec<Diagnostic>) {
    let admin = settings.admin.as_ref();
    let Some(path) = admin.and_then(|admin| admin.token_file.as_ref()) else {
        return;
    };
    if let Err(error) = admin::check_token_file(path) {
        let message = format!("{}: the token cannot be used: {error}", path.display());
        let hint = "put one token into a file for its owner alone; until then writing calls from other machines are refused";
        warnings.push(source.diagnose_path(path, message, hint).warning());
    }
}

fn load_keys(settings: &Settings, source: &Source, problems: &mut Vec<Diagnostic>) -> Keyring {
    let Some(path) = &settings.keyring else {
        return Keyring::default();
    };
    config::load_keyring(path).unwrap_or_else(|found| {
        let message = format!("{}: the keyring cannot be used", path.display());
        problems.push(source.diagnose_path(path, message, "see the problems in that file"));
        problems.extend(found);
        Keyring::default()
    })
}

fn digests(paths: &[PathBuf]) -> Digests {
    let digest = |path: &PathBuf| {
        let digest = look::digest(path).ok();
        (path.clone(), digest.map(|(_, digest)| digest))
    };
    paths.iter().map(digest).collect()
}
