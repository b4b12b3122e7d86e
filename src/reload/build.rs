//! A configuration and everything that it names → a snapshot, whole or not at all.

use crate::{
    admin,
    backend::{
        Backend, BackendSettings,
        registry::{Configuring, Registry},
    },
    config::{self, Diagnostic, Loaded, Problems, Refused, Settings, Source},
    credential::MaterialError,
    integrity::keyring::Keyring,
    observe::{Expiry, ExpiryKind, Metrics, Naming, RouteNames},
    policy::route::{Duplicate, RouteTable},
    runtime::clock::unix_time,
    snapshot::{Parts, Route, Snapshot, rulebook::Rulebook, settings::RouteSettings},
    tls::{Contents, TlsSettings, trust::Trust},
    watch::look,
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
    routes: RouteTable<Planned>,
    backends: Vec<Arc<BackendSettings>>,
}

/// A route with the backend that it leads to, neither of them in use yet.
struct Planned {
    settings: RouteSettings,
    backend: Arc<BackendSettings>,
}

/// What files held, by path.
pub type Digests = BTreeMap<PathBuf, Option<[u8; 32]>>;

/// Reads and verifies a configuration and every file that it names; returns all problems at once.
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
    } = config::load(path).map_err(|refused| all_problems(refused, in_use))?;
    let mut paths: Vec<PathBuf> = source.paths().map(Path::to_owned).collect();
    paths.insert(0, path.to_owned());
    look(&paths);
    let digests = digests(&paths);
    let mut problems = Vec::new();
    let trust = load_trust(&settings.tls, in_use, &source, &mut warnings, &mut problems);
    let backends: Vec<_> = settings.backends.iter().cloned().map(Arc::new).collect();
    let routes = plan(&settings.routes, &backends, &source, &mut problems);
    warn_of_token(&settings, &source, &mut warnings);
    let keyring = load_keys(settings.keyring.as_deref(), &source, &mut problems);
    match (trust, routes, keyring) {
        (Some(trust), Some(routes), Some(keyring)) if problems.is_empty() => Ok(Candidate {
            settings,
            warnings,
            digests,
            trust,
            keyring,
            routes,
            backends,
        }),
        _ => Err(warnings.into_iter().chain(problems).collect()),
    }
}

/// The problems of a refused configuration, and those of the files that it names.
fn all_problems(refused: Refused, in_use: Option<&Trust>) -> Vec<Diagnostic> {
    let Refused {
        problems: Problems(mut problems),
        rest,
    } = refused;
    if let Some((files, source)) = rest.map(|rest| *rest) {
        let mut warnings = Vec::new();
        if let Some(tls) = &files.tls {
            load_trust(tls, in_use, &source, &mut warnings, &mut problems);
        }
        load_keys(files.keyring.as_deref(), &source, &mut problems);
        problems.append(&mut warnings);
    }
    problems
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

    /// How many certificates, CAs and lists each file gave.
    pub fn contents(&self) -> &[Contents] {
        &self.trust.contents
    }

    /// The keys of frame integrity.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Makes the snapshot, and the series of its routes and backends. Nothing of it can fail, or be
    /// left out.
    pub fn snapshot(self, generation: u64, metrics: &Metrics, servers: &Registry) -> Snapshot {
        let Self {
            settings,
            trust,
            keyring,
            routes,
            backends,
            ..
        } = self;
        let ids: Vec<_> = keyring.iter().map(|key| key.kid.to_string()).collect();
        metrics.set_integrity_keys(&ids);
        let expiries = expiries(&trust, &keyring);
        metrics.set_expiries(expiries.clone());
        let mut making = Making::new(metrics, servers);
        Snapshot::new(Parts {
            generation,
            trust,
            backends: backends.iter().map(|it| making.backend(it)).collect(),
            routes: routes.map(|planned| making.route(planned)),
            expiries,
            keyring,
            limits: settings.limits,
            timeouts: settings.timeouts,
            token_file: settings.admin.and_then(|admin| admin.token_file),
            listeners: settings.listeners,
            mode: settings.tls.clients.mode,
        })
    }
}

/// Routes and backends as they come into use; a backend is made once for all of its routes.
struct Making<'m> {
    naming: Naming<'m>,
    servers: Configuring<'m>,
    backends: HashMap<String, Arc<Backend>>,
}

impl<'m> Making<'m> {
    fn new(metrics: &'m Metrics, servers: &'m Registry) -> Self {
        Self {
            naming: metrics.naming(),
            servers: servers.configure(),
            backends: HashMap::new(),
        }
    }

    fn backend(&mut self, settings: &BackendSettings) -> Arc<Backend> {
        let (naming, servers) = (&self.naming, &mut self.servers);
        let entry = self.backends.entry(settings.name.clone());
        let make = || {
            let metrics = naming.backend(&settings.name);
            Arc::new(Backend::new(settings, metrics, servers))
        };
        Arc::clone(entry.or_insert_with(make))
    }

    fn route(&mut self, planned: Planned) -> Arc<Route> {
        let Planned { settings, backend } = planned;
        let names = RouteNames {
            route: &settings.name,
            backend: &backend.name,
        };
        Arc::new(Route {
            name: settings.name.as_str().into(),
            metrics: self.naming.route(names),
            backend: self.backend(&backend),
            settings,
        })
    }
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

fn load_trust(
    tls: &TlsSettings,
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
    let trust = Trust::load(tls, in_use, unix_time(), &mut found);
    warnings.extend(found.into_iter().map(|warning| place(warning).warning()));
    trust
        .map_err(|errors| problems.extend(errors.into_iter().map(place)))
        .ok()
}

/// Every route with its backend, by host and path.
fn plan(
    routes: &[RouteSettings],
    backends: &[Arc<BackendSettings>],
    source: &Source,
    problems: &mut Vec<Diagnostic>,
) -> Option<RouteTable<Planned>> {
    let by_name = backends.iter().map(|backend| (&*backend.name, backend));
    let by_name: HashMap<_, _> = by_name.collect();
    let place = |(index, settings): (usize, &RouteSettings)| {
        let Some(backend) = by_name.get(settings.backend.as_str()) else {
            problems.push(unknown_backend(index, settings, source));
            return None;
        };
        let planned = Planned {
            settings: settings.clone(),
            backend: Arc::clone(backend),
        };
        Some((settings.hosts.clone(), settings.path.clone(), planned))
    };
    let placed: Option<Vec<_>> = routes.iter().enumerate().map(place).collect();
    let tell = |duplicates: Vec<Duplicate>| {
        problems.extend(duplicates.iter().map(|found| claimed_twice(found, source)));
    };
    RouteTable::build(placed?).map_err(tell).ok()
}

fn unknown_backend(index: usize, route: &RouteSettings, source: &Source) -> Diagnostic {
    let message = format!(
        "the route `{}` leads to an unknown backend `{}`",
        route.name, route.backend
    );
    let hint = format!("add a table [backend.{}], or name another", route.backend);
    source.diagnose_route(index, message, hint)
}

fn claimed_twice(duplicate: &Duplicate, source: &Source) -> Diagnostic {
    let host = duplicate.host.as_ref();
    let host = host.map_or("any host".to_owned(), |host| format!("host {host}"));
    let message = format!("two routes claim {host} with path {}", duplicate.path);
    source.diagnose_route(
        duplicate.second,
        message,
        "remove one, or give it another host or path",
    )
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

fn load_keys(
    path: Option<&Path>,
    source: &Source,
    problems: &mut Vec<Diagnostic>,
) -> Option<Keyring> {
    let Some(path) = path else {
        return Some(Keyring::default());
    };
    let refuse = |found: Vec<Diagnostic>| {
        problems.extend(found.into_iter().map(|it| at_its_name(it, path, source)));
    };
    config::load_keyring(path).map_err(refuse).ok()
}

/// A problem of a named file as a whole stands where the file is named; one with a line of its
/// own stays there.
fn at_its_name(problem: Diagnostic, path: &Path, source: &Source) -> Diagnostic {
    if problem.line.is_some() {
        return problem;
    }
    let message = format!("{}: {}", path.display(), problem.message);
    source.diagnose_path(path, message, problem.hint.unwrap_or_default())
}

fn digests(paths: &[PathBuf]) -> Digests {
    let digest = |path: &PathBuf| {
        let digest = look::digest(path).ok();
        (path.clone(), digest.map(|(_, digest)| digest))
    };
    paths.iter().map(digest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "[[listener]]\naddress = \"127.0.0.1:8443\"\n\
        [tls]\ncertificates = [{ chain = \"s.pem\", key = \"s.key\" }]\n\
        [tls.clients]\nmode = \"off\"\n\
        [[route]]\npath = \"/a\"\nbackend = \"one\"\n\
        [[route]]\npath = \"/b\"\nbackend = \"two\"\n\
        [backend.one]\nservers = [\"ws://127.0.0.1:9001\"]\n\
        [backend.two]\nservers = [\"ws://127.0.0.1:9002\"]\n";

    /// What comes of these routes, changed after the configuration's own checks.
    fn planned(change: impl FnOnce(&mut Settings)) -> Result<Vec<Planned>, Vec<String>> {
        let loaded = config::parse("proxy.toml", ROUTES, Path::new("")).unwrap();
        let Loaded {
            mut settings,
            source,
            ..
        } = loaded;
        change(&mut settings);
        let backends: Vec<_> = settings.backends.into_iter().map(Arc::new).collect();
        let mut problems = Vec::new();
        let table = plan(&settings.routes, &backends, &source, &mut problems);
        let mut found = Vec::new();
        let table = table.map(|table| table.map(|planned| found.push(planned)));
        let problems = problems.iter().map(Diagnostic::one_line).collect();
        table.map(|_| found).ok_or(problems)
    }

    #[test]
    fn every_route_is_planned_with_its_own_backend() {
        let routes = planned(|_| {}).unwrap();
        let names = routes
            .iter()
            .map(|it| (&*it.settings.name, &*it.backend.name));
        assert_eq!(names.collect::<Vec<_>>(), [("/a", "one"), ("/b", "two")]);
    }

    #[test]
    fn a_route_whose_backend_is_missing_is_a_problem_and_never_dropped() {
        let problems = planned(|settings| settings.backends.truncate(1)).err();
        let problems = problems.unwrap();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("route `/b`"), "{problems:?}");
        assert!(problems[0].contains("backend `two`"), "{problems:?}");
    }

    #[test]
    fn routes_that_cannot_be_told_apart_are_a_problem_and_never_an_empty_table() {
        let problems =
            planned(|settings| settings.routes[1].path = settings.routes[0].path.clone());
        let problems = problems.err().unwrap();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("path /a"), "{problems:?}");
    }
}
