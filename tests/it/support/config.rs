//! The proxy's configuration, put together from lines of TOML.

use super::{Backend, Credentials, credentials::write_key};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};
use tidegate::cli::certs::Issued;

/// A configuration. Lines that are set later replace earlier ones with the same key.
#[derive(Clone)]
pub(crate) struct Config {
    /// Distinguishes the proxy's listeners in the log of the whole test binary.
    number: usize,
    /// Key and line, by table.
    tables: BTreeMap<String, Vec<(String, String)>>,
    listeners: Vec<(String, String)>,
    routes: Vec<String>,
    /// Whether only the route that [`Config::to`] makes is there.
    default_route: bool,
    credentials: Credentials,
    /// Further files, by path below the folder.
    files: Vec<(String, Vec<u8>)>,
}

/// Deadlines are long enough for a busy machine; a test that wants one to pass shortens it.
const DEFAULTS: &[(&str, &str)] = &[
    ("server", "workers = 1"),
    ("server", "drain_spread = '0s'"),
    ("server", "drain_timeout = '2s'"),
    (
        "tls",
        "certificates = [{ chain = 'certs/server.pem', key = 'certs/server.key' }]",
    ),
    ("tls.clients", "mode = 'required'"),
    ("tls.clients", "ca = ['certs/ca.pem']"),
    ("admin", "address = '127.0.0.1:0'"),
];

static NUMBER: AtomicUsize = AtomicUsize::new(0);

impl Config {
    /// One listener named `public`, fresh credentials, an admin listener, and no route.
    pub(crate) fn new() -> Self {
        let config = Self {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            tables: BTreeMap::new(),
            listeners: vec![("public".to_owned(), String::new())],
            routes: Vec::new(),
            default_route: false,
            credentials: Credentials::new(),
            files: Vec::new(),
        };
        DEFAULTS
            .iter()
            .fold(config, |config, (table, line)| config.set(table, line))
    }

    /// The same for another proxy: with names of its own, so that their log lines cannot be taken
    /// for each other's where the system gives two clients one port.
    pub(crate) fn for_another(&self) -> Self {
        Self {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            ..self.clone()
        }
    }

    /// As [`Config::new`], with a backend `echo` and a route `echo` for every path. The first
    /// [`Config::route`] replaces the route.
    pub(crate) fn to(backend: &Backend) -> Self {
        let mut config = Self::new().backend("echo", &[backend.url()]);
        config.routes = vec!["name = 'echo'\npath = '/'\nbackend = 'echo'".to_owned()];
        config.default_route = true;
        config
    }

    /// Sets lines of a table: `set("timeouts", "idle = '1s'\nping = '0s'")`.
    pub(crate) fn set(mut self, table: &str, lines: &str) -> Self {
        let entries = self.tables.entry(table.to_owned()).or_default();
        for line in lines.lines().filter(|line| !line.trim().is_empty()) {
            let key = line.split('=').next().unwrap().trim().to_owned();
            entries.retain(|(known, _)| *known != key);
            entries.push((key, line.to_owned()));
        }
        self
    }

    /// Leaves a key out.
    pub(crate) fn unset(mut self, table: &str, key: &str) -> Self {
        let entries = self.tables.entry(table.to_owned()).or_default();
        entries.retain(|(known, _)| known != key);
        self
    }

    /// Adds a route, given as its lines.
    pub(crate) fn route(mut self, lines: &str) -> Self {
        if std::mem::take(&mut self.default_route) {
            self.routes.clear();
        }
        self.routes.push(lines.to_owned());
        self
    }

    /// Sets lines of the route that [`Config::to`] made.
    pub(crate) fn route_lines(mut self, lines: &str) -> Self {
        let route = self.routes.first_mut().expect("Config::to makes a route");
        write!(route, "\n{lines}").unwrap();
        self
    }

    /// Adds a backend, or replaces its servers.
    pub(crate) fn backend(self, name: &str, servers: &[String]) -> Self {
        let line = format!("servers = {servers:?}");
        self.set(&format!("backend.{name}"), &line)
    }

    /// Adds a listener, or sets lines of one that is there.
    pub(crate) fn listener(mut self, name: &str, lines: &str) -> Self {
        match self.listeners.iter_mut().find(|(known, _)| known == name) {
            Some((_, text)) => lines.clone_into(text),
            None => self.listeners.push((name.to_owned(), lines.to_owned())),
        }
        self
    }

    /// With other credentials in its files.
    pub(crate) fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    /// With one more file; only the owner may read it.
    pub(crate) fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.to_owned(), content.into()));
        self
    }

    /// With a certificate in PATH.pem and its key in PATH.key.
    pub(crate) fn pair(self, path: &str, issued: &Issued) -> Self {
        self.file(&format!("{path}.pem"), issued.certificate_pem.as_str())
            .file(&format!("{path}.key"), issued.key_pem.as_bytes())
    }

    /// Writes the file `proxy.toml` and everything that it names.
    pub(crate) fn write(&self, folder: &Path) {
        self.credentials.write(&folder.join("certs"));
        for (path, content) in &self.files {
            write_key(&folder.join(path), content);
        }
        fs::write(folder.join("proxy.toml"), self.text()).unwrap();
    }

    /// The credentials that its files hold.
    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The name in metrics and logs of a listener: names are unique in the test binary.
    pub(crate) fn listener_name(&self, name: &str) -> String {
        format!("{name}-{}", self.number)
    }

    /// The names of all listeners, as [`Config::listener_name`] gives them.
    pub(crate) fn listener_names(&self) -> Vec<String> {
        let names = self.listeners.iter();
        names.map(|(name, _)| self.listener_name(name)).collect()
    }

    /// The file.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (name, lines) in &self.listeners {
            let name = self.listener_name(name);
            let address = if lines.contains("address") {
                ""
            } else {
                "address = '127.0.0.1:0'\n"
            };
            writeln!(text, "[[listener]]\nname = '{name}'\n{address}{lines}\n").unwrap();
        }
        for (table, entries) in &self.tables {
            let lines: Vec<_> = entries.iter().map(|(_, line)| line.as_str()).collect();
            writeln!(text, "[{table}]\n{}\n", lines.join("\n")).unwrap();
        }
        for route in &self.routes {
            writeln!(text, "[[route]]\n{route}\n").unwrap();
        }
        text
    }
}
