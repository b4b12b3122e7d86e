//! The proxy, in this process: the same parts that `tidegate run` puts together.

use super::{
    BOUND, Config, Credentials, Dial, Line, Upgrade, Wire, eventually, log, wire::Head, within,
};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};
use tidegate::app::App;
use tidegate::app::Control;
use tidegate::app::Handle;
use tidegate::app::StartError;
use tidegate::cli::run::block_on;
use tidegate::client::Client;
use tidegate::client::ClientBuilder;
use tidegate::reload::Outcome;
use tidegate::worker::Shared;

/// A running proxy. Dropping it ends it soon; [`Proxy::stop`] waits for the end.
pub(crate) struct Proxy {
    pub(crate) folder: Folder,
    pub(crate) handle: Handle,
    pub(crate) shared: Arc<Shared>,
    pub(crate) credentials: Credentials,
    addresses: Vec<(String, SocketAddr)>,
    admin: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

/// A folder that goes when it is dropped.
pub(crate) struct Folder(PathBuf);

impl Proxy {
    /// Starts a proxy whose sockets are bound when this returns.
    pub(crate) fn start(config: Config) -> Self {
        Self::try_start(config).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts a proxy that may have reasons not to.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a configuration is nearly always made for one proxy"
    )]
    pub(crate) fn try_start(config: Config) -> Result<Self, StartError> {
        log::start();
        let folder = Folder::with(&config);
        let app = App::bind(&folder.path("proxy.toml"), Arc::default())?;
        let control = Control::new();
        let (handle, shared) = (control.handle(), app.shared());
        let addresses = app.listeners().to_vec();
        let admin = app.admin().expect("Config always has an admin listener");
        let run = move || block_on(app.run(control)).unwrap().unwrap();
        let thread = thread::Builder::new().name("control".to_owned()).spawn(run);
        Ok(Self {
            folder,
            handle,
            shared,
            credentials: config.credentials().clone(),
            addresses,
            admin,
            thread: Some(thread.unwrap()),
        })
    }

    /// The address of the first listener.
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses[0].1
    }

    /// The address of the listener that [`Config::listener`] calls so.
    pub(crate) fn address_of(&self, listener: &str) -> SocketAddr {
        let prefix = format!("{listener}-");
        let mut all = self.addresses.iter();
        all.find(|(name, _)| name.starts_with(&prefix)).unwrap().1
    }

    /// The address of the admin listener.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// A TLS client with the certificate of [`Credentials::client`], for `localhost`.
    pub(crate) fn dial(&self) -> Dial {
        Dial::new(self.address(), &self.credentials)
    }

    /// A finished TLS handshake, and no request yet.
    pub(crate) async fn connect(&self) -> Wire {
        self.dial().connect().await
    }

    /// An open WebSocket.
    pub(crate) async fn open(&self, target: &str) -> Wire {
        self.open_with(&Upgrade::to(target)).await.0
    }

    /// An open WebSocket, listed, counted and logged, and the head of the 101.
    pub(crate) async fn open_with(&self, request: &Upgrade) -> (Wire, Head) {
        let mut wire = self.connect().await;
        wire.send(&request.bytes()).await;
        let head = wire.read_head().await;
        assert_eq!(head.status(), 101, "{head}");
        // The 101 leaves before the socket is listed.
        self.wait_lines(&wire, 1).await;
        (wire, head)
    }

    /// The crate's own client, on its way to a path, with the client certificate.
    pub(crate) fn client(&self, target: &str) -> ClientBuilder {
        let client = &self.credentials.client;
        Client::builder(format!("wss://localhost{target}"))
            .address(self.address())
            .roots([self.credentials.root()])
            .identity(client.chain(), client.key().unwrap())
            .timeout(BOUND)
    }

    /// Writes another configuration and puts it to use.
    ///
    /// The file's watcher may be faster than the request: then the answer is `Unchanged`.
    pub(crate) async fn apply(&self, config: &Config) {
        self.folder.write("proxy.toml", config.text());
        self.reload().await;
    }

    /// Reads the files again, which must be good.
    pub(crate) async fn reload(&self) {
        match self.try_reload().await {
            Outcome::Done { .. } | Outcome::Unchanged { .. } => {}
            Outcome::Failed { problems } => panic!("{problems:?}"),
        }
    }

    /// Reads the files again.
    pub(crate) async fn try_reload(&self) -> Outcome {
        let reload = within("a reload", self.handle.reload(false));
        reload.await.expect("the proxy runs")
    }

    /// The sum of all series of a metric that have these labels; panics if there are none.
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let text = self.metrics();
        let wanted: Vec<_> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{value}\""))
            .collect();
        let values: Vec<f64> = text
            .lines()
            .filter_map(|line| line.rsplit_once(' '))
            .filter(|(series, _)| series.split('{').next() == Some(name))
            .filter(|(series, _)| wanted.iter().all(|label| series.contains(label)))
            .map(|(_, value)| value.parse().unwrap())
            .collect();
        assert!(!values.is_empty(), "no series {name} with {labels:?}");
        values.iter().sum()
    }

    /// Waits until [`Proxy::metric`] gives a value.
    pub(crate) async fn wait_for(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let what = format!("{name} {labels:?} = {value}");
        let reached = || (self.metric(name, labels) - value).abs() < f64::EPSILON;
        eventually(&what, reached).await;
    }

    /// All metrics, as a scrape shows them.
    pub(crate) fn metrics(&self) -> String {
        let servers = self.shared.servers.readings();
        self.shared.metrics.text(&servers).unwrap()
    }

    /// Names and labels of all series, without their values.
    pub(crate) fn series(&self) -> Vec<String> {
        let text = self.metrics();
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let names = samples.filter_map(|line| line.rsplit_once(' '));
        names.map(|(series, _)| series.to_owned()).collect()
    }

    /// The lines so far about a client's connection, by its own address.
    pub(crate) fn lines_of(&self, wire: &Wire) -> Vec<Line> {
        log::lines(self.about(wire))
    }

    /// Waits for as many lines about a client's connection; returns all there are by then.
    pub(crate) async fn wait_lines(&self, wire: &Wire, count: usize) -> Vec<Line> {
        log::wait(count, self.about(wire)).await
    }

    /// Waits for a line about any connection of this proxy.
    pub(crate) async fn wait_line(&self, wanted: impl Fn(&Line) -> bool) -> Line {
        let ours = |line: &Line| self.is_ours(line) && wanted(line);
        log::wait(1, ours).await.remove(0)
    }

    /// The lines so far about connections of this proxy that satisfy a condition.
    pub(crate) fn lines(&self, wanted: impl Fn(&Line) -> bool) -> Vec<Line> {
        log::lines(|line| self.is_ours(line) && wanted(line))
    }

    fn about(&self, wire: &Wire) -> impl Fn(&Line) -> bool {
        let peer = wire.local.expect("a client's wire").to_string();
        move |line| self.is_ours(line) && line.client() == peer
    }

    fn is_ours(&self, line: &Line) -> bool {
        let mut names = self.addresses.iter();
        names.any(|(name, _)| line.field("listener") == name)
    }

    /// Drains, and waits for the end of every thread.
    pub(crate) async fn stop(mut self) {
        self.handle.drain_soon();
        let thread = self.thread.take().unwrap();
        let join = tokio::task::spawn_blocking(move || thread.join());
        within("the end", join).await.unwrap().unwrap();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.handle.drain_soon();
    }
}

impl Folder {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidegate-it-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A folder with `proxy.toml` and `certs`.
    pub(crate) fn with(config: &Config) -> Self {
        let folder = Self::new();
        config.write(&folder.path(""));
        folder
    }

    /// A path below it.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file whole: whoever reads sees the old content or the new.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let new = self.path(format!("{name}.new"));
        fs::write(&new, content).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left over is in the system's folder for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}
