//! The lines that the proxies of this test binary log, to be looked at and awaited.

use super::{Wire, within};
use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{LazyLock, Mutex},
};
use tokio::sync::watch;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    registry,
};

/// One event.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) level: Level,
    pub(crate) message: String,
    fields: BTreeMap<&'static str, String>,
}

/// All lines of the process, and how many there are, for those who wait.
struct Log {
    lines: Mutex<Vec<Line>>,
    count: watch::Sender<usize>,
}

static LOG: LazyLock<Log> = LazyLock::new(|| Log {
    lines: Mutex::default(),
    count: watch::Sender::new(0),
});

struct Collect;

/// Collects from now on; called again, it changes nothing.
pub(crate) fn start() {
    static STARTED: LazyLock<()> = LazyLock::new(|| {
        let subscriber = registry().with(Collect.with_filter(LevelFilter::INFO));
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
    LazyLock::force(&STARTED);
}

/// The lines so far that satisfy a condition. Other tests' lines are among those that are asked.
pub(crate) fn lines(wanted: impl Fn(&Line) -> bool) -> Vec<Line> {
    let lines = LOG.lines.lock().unwrap();
    lines.iter().filter(|line| wanted(line)).cloned().collect()
}

/// Waits until there are that many lines that satisfy a condition; returns all that do by then.
pub(crate) async fn wait(count: usize, wanted: impl Fn(&Line) -> bool) -> Vec<Line> {
    let mut changes = LOG.count.subscribe();
    let looking = async {
        loop {
            let found = lines(&wanted);
            if found.len() >= count {
                return found;
            }
            changes.changed().await.unwrap();
        }
    };
    within("a log line", looking).await
}

/// Waits until a client's socket is listed and logged: its 101 leaves before.
pub(crate) async fn opened(wire: &Wire) {
    let peer = wire.local.expect("a client's wire").to_string();
    let open = |line: &Line| line.message == "websocket open" && line.client() == peer;
    wait(1, open).await;
}

impl Line {
    /// The client's address and port; empty if they are not there.
    pub(crate) fn client(&self) -> String {
        let address = self.field("client_address").parse();
        let port = self.field("client_port").parse();
        match (address, port) {
            (Ok(address), Ok(port)) => SocketAddr::new(address, port).to_string(),
            _ => String::new(),
        }
    }

    /// A field, as text; empty if it is not there.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

impl<S: Subscriber> Layer<S> for Collect {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if !event.metadata().target().starts_with("tidegate") {
            return;
        }
        let mut line = Line {
            level: *event.metadata().level(),
            message: String::new(),
            fields: BTreeMap::new(),
        };
        event.record(&mut line);
        LOG.lines.lock().unwrap().push(line);
        LOG.count.send_modify(|count| *count += 1);
    }
}

impl Line {
    fn add(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            name => {
                self.fields.insert(name, value);
            }
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }
}
