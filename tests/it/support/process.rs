//! The binary, for what only a process has: signals, exit codes, limits.

use super::{Config, Credentials, Dial, eventually, proxy::Folder};
use serde_json::Value;
use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
};

/// A running `tidegate`; dropping it kills it.
pub(crate) struct Process {
    pub(crate) folder: Folder,
    pub(crate) credentials: Credentials,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts `tidegate run` with JSON logs; waits for nothing.
    pub(crate) fn start(config: &Config) -> Self {
        Self::start_under("", config)
    }

    /// Starts it from a shell that first does something: `ulimit -n 64`.
    pub(crate) fn start_under(first: &str, config: &Config) -> Self {
        let folder = Folder::with(config);
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("{first}\nexec \"$0\" \"$@\""))
            .arg(env!("CARGO_BIN_EXE_tidegate"))
            .args(["run", "--log-format", "json", "--config"])
            .arg(folder.path("proxy.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (stderr, collected) = (child.stderr.take().unwrap(), lines.clone());
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                collected.lock().unwrap().push(line);
            }
        });
        Self {
            folder,
            credentials: config.credentials().clone(),
            child,
            lines,
        }
    }

    /// What it has written to stderr.
    pub(crate) fn stderr(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// Its log lines so far that have this message.
    pub(crate) fn lines(&self, message: &str) -> Vec<Value> {
        let lines = self.lines.lock().unwrap();
        let parsed = lines
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok());
        parsed
            .filter(|line: &Value| {
                line["message"]
                    .as_str()
                    .is_some_and(|text| text.starts_with(message))
            })
            .collect()
    }

    /// Waits for a log line whose message begins so.
    pub(crate) async fn line(&self, message: &str) -> Value {
        eventually(message, || !self.lines(message).is_empty()).await;
        self.lines(message).remove(0)
    }

    /// Waits until it listens; returns the address of its first listener.
    pub(crate) async fn address(&self) -> SocketAddr {
        let line = self.line("listening").await;
        line["address"].as_str().unwrap().parse().unwrap()
    }

    /// Waits until it listens; returns the address of its admin listener.
    pub(crate) async fn admin(&self) -> SocketAddr {
        let line = self.line("admin listening").await;
        line["address"].as_str().unwrap().parse().unwrap()
    }

    /// A TLS client with the client certificate, for `localhost`.
    pub(crate) async fn dial(&self) -> Dial {
        Dial::new(self.address().await, &self.credentials)
    }

    /// Sends a signal: `TERM`, `INT`, `HUP`, `KILL`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(status.success(), "{kill}");
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    pub(crate) async fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the end of the process", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
