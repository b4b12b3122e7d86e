//! A configuration and everything that it names → a snapshot, whole or not at all.

use super::making::{Plan, Planned};
use crate::{
    admin,
    backend::{BackendSettings, registry::Registry},
    config::{self, Diagnostic, Loaded, Problems, Refused, Settings, Source},
    credential::{MaterialError, file, source::Source as _},
    integrity::keyring::Keyring,
    observe::{Expiry, ExpiryKind, Metrics},
    policy::route::{Duplicate, RouteTable},
    runtime::clock::unix_time,
    snapshot::{Parts, Snapshot, rulebook::Rulebook, settings::RouteSettings},
    tls::{Contents, TlsSettings, trust::Trust},
    watch::look::{self, Digests},
};
use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// A configuration whose files have been read and verified; nothing of it is in use yet.
pub struct Candidate {
    /// What the configuration says; the very one in use where its text has not changed.
    pub loaded: Arc<Loaded>,
    /// What is allowed, and probably not meant.
    pub warnings: Vec<Diagnostic>,
    /// SHA-256 of every file that was read; `None`: it could not be read.
    pub digests: Digests,
    trust: Arc<Trust>,
    keyring: Arc<Keyring>,
    routing: Plan,
}

/// What a candidate follows, and shares whatever has not changed with.
#[derive(Clone, Copy)]
pub struct InUse<'a> {
    /// What the configuration says.
    pub loaded: &'a Arc<Loaded>,
    /// What its files held.
    pub digests: &'a Digests,
    /// What was made of it.
    pub snapshot: &'a Snapshot,
}

/// Reads and verifies a configuration and every file that it names; returns all problems at once.
///
/// Of `in_use`, which this would follow, everything is shared that has not changed. `look` is told
/// the files before they are read, so that whoever watches them misses nothing.
pub fn prepare(
    path: &Path,
    in_use: Option<InUse<'_>>,
    look: impl FnOnce(&[PathBuf]),
) -> Result<Candidate, Vec<Diagnostic>> {
    let trust_in_use = in_use.map(|in_use| &in_use.snapshot.trust);
    let loaded = config::load_changed(path, in_use.map(|in_use| in_use.loaded))
        .map_err(|refused| all_problems(refused, trust_in_use))?;
    let Loaded {
        settings,
        warnings,
        source,
    } = &*loaded;
    let mut warnings = warnings.clone();
    let paths = paths(path, settings, source);
    look(&paths);
    let digests = digests(&paths);
    let mut problems = Vec::new();
    let tls = &settings.tls;
    let trust = load_trust(
        tls,
        (trust_in_use, &digests),
        source,
        &mut warnings,
        &mut problems,
    );
    let routing = plan_or_share(&loaded, in_use, &mut problems);
    warn_of_token(settings, source, &mut warnings);
    let keyring = kept_keys(settings.keyring.as_deref(), in_use, &digests)
        .or_else(|| load_keys(settings.keyring.as_deref(), source, &mut problems).map(Arc::new));
    match (trust, routing, keyring) {
        (Some(trust), Some(routing), Some(keyring)) if problems.is_empty() => Ok(Candidate {
            loaded,
            warnings,
            digests,
            trust,
            keyring,
            routing,
        }),
        _ => Err(warnings.into_iter().chain(problems).collect()),
    }
}

/// The configuration's file first, then what it names, then what else its credentials depend on.
fn paths(path: &Path, settings: &Settings, source: &Source) -> Vec<PathBuf> {
    let named = source.paths().map(Path::to_owned);
    let mut paths: Vec<PathBuf> = [path.to_owned()].into_iter().chain(named).collect();
    let known: HashSet<PathBuf> = paths.iter().cloned().collect();
    let watched = settings.tls.sources().flat_map(|source| source.watched());
    paths.extend(watched.filter(|path| !known.contains(path)));
    paths
}

/// The problems of a refused configuration, and those of the files that it names.
fn all_problems(refused: Refused, in_use: Option<&Arc<Trust>>) -> Vec<Diagnostic> {
    let Refused {
        problems: Problems(mut problems),
        rest,
    } = refused;
    if let Some((files, source)) = rest.map(|rest| *rest) {
        let mut warnings = Vec::new();
        if let Some(tls) = &files.tls {
            load_trust(
                tls,
                (in_use, &Digests::new()),
                &source,
                &mut warnings,
                &mut problems,
            );
        }
        load_keys(files.keyring.as_deref(), &source, &mut problems);
        problems.append(&mut warnings);
    }
    problems
}

impl Candidate {
    /// What the configuration says.
    pub fn settings(&self) -> &Settings {
        &self.loaded.settings
    }

    /// The rules that open sockets would be judged by.
    pub fn rulebook(&self) -> Rulebook<'_> {
        let Settings {
            routes,
            listeners,
            tls,
            ..
        } = self.settings();
        Rulebook::new(&self.trust, routes, listeners, tls.clients.mode)
    }

    /// Whether open sockets would be judged as the snapshot in use judges them.
    pub fn judges_like(&self, in_use: &Snapshot) -> bool {
        let same = |routing| Arc::ptr_eq(routing, &in_use.routing);
        matches!(&self.routing, Plan::InUse(routing) if same(routing))
            && Arc::ptr_eq(&self.keyring, &in_use.keyring)
            && self.trust.digest() == in_use.trust.digest()
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
            loaded,
            trust,
            keyring,
            routing,
            ..
        } = self;
        let settings = &loaded.settings;
        let ids: Vec<_> = keyring.iter().map(|key| key.kid.to_string()).collect();
        metrics.set_integrity_keys(&ids);
        let expiries = expiries(&trust, &keyring);
        metrics.set_expiries(expiries.clone());
        let admin = settings.admin.as_ref();
        Snapshot::new(Parts {
            generation,
            trust,
            routing: routing.come_into_use(settings, metrics, servers),
            expiries,
            keyring,
            limits: settings.limits.clone(),
            timeouts: settings.timeouts.clone(),
            token_file: admin.and_then(|admin| admin.token_file.clone()),
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
    in_use: (Option<&Arc<Trust>>, &Digests),
    source: &Source,
    warnings: &mut Vec<Diagnostic>,
    problems: &mut Vec<Diagnostic>,
) -> Option<Arc<Trust>> {
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

/// The routing in use as long as the settings that it was made of are the same, else a new one.
fn plan_or_share(
    loaded: &Arc<Loaded>,
    in_use: Option<InUse<'_>>,
    problems: &mut Vec<Diagnostic>,
) -> Option<Plan> {
    let Loaded {
        settings, source, ..
    } = &**loaded;
    let same = |old: &Arc<Loaded>| Arc::ptr_eq(old, loaded) || route_alike(&old.settings, settings);
    if let Some(in_use) = in_use.filter(|it| same(it.loaded)) {
        return Some(Plan::InUse(Arc::clone(&in_use.snapshot.routing)));
    }
    let backends: Vec<_> = settings.backends.iter().cloned().map(Arc::new).collect();
    let routes = plan(&settings.routes, &backends, source, problems)?;
    Some(Plan::New {
        routes: Box::new(routes),
        backends,
    })
}

fn route_alike(old: &Settings, new: &Settings) -> bool {
    old.routes == new.routes
        && old.backends == new.backends
        && old.listeners == new.listeners
        && old.tls.clients.mode == new.tls.clients.mode
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

/// The keyring in use, where its file holds what it held, and for its owner alone.
fn kept_keys(
    path: Option<&Path>,
    in_use: Option<InUse<'_>>,
    digests: &Digests,
) -> Option<Arc<Keyring>> {
    let in_use = in_use.filter(|it| it.loaded.settings.keyring.as_deref() == path)?;
    if let Some(path) = path {
        let digest = digests.get(path).copied().flatten()?;
        let held = in_use.digests.get(path).copied().flatten()?;
        if held != digest || file::owner_only(path).is_err() {
            return None;
        }
    }
    Some(Arc::clone(&in_use.snapshot.keyring))
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
