//! A backend that echoes, or does what a script says.

use super::{Wire, eventually, frame, request::switching, wire::Head};
use std::{
    future::Future,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tidegate::frame::Opcode;
use tokio::{
    net::{TcpListener, UnixListener},
    sync::Semaphore,
    task::JoinHandle,
};

/// A backend; dropping it closes its port and ends its connections.
pub(crate) struct Backend {
    url: String,
    seen: Arc<Seen>,
    task: Option<JoinHandle<()>>,
}

/// What a backend has seen.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: Mutex<Vec<Head>>,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// One connection that a script serves.
pub(crate) struct Served {
    pub(crate) wire: Wire,
    seen: Arc<Seen>,
}

impl Backend {
    /// Accepts every upgrade, and sends every frame back.
    pub(crate) async fn echo() -> Self {
        Self::echo_at(([127, 0, 0, 1], 0).into()).await
    }

    /// As [`Backend::echo`], at an address.
    pub(crate) async fn echo_at(address: SocketAddr) -> Self {
        Self::script_at(address, echo).await
    }

    /// Reads each request and answers it with these bytes, then waits for the proxy to hang up.
    pub(crate) async fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::script(move |mut served| {
            let bytes = bytes.clone();
            async move {
                if served.request().await.is_some() {
                    // Whoever hung up before has its reasons.
                    let _ = served.wire.try_send(&bytes).await;
                    served.wire.read_to_end().await;
                }
            }
        })
        .await
    }

    /// As [`Backend::echo`], but answers an upgrade only once there is a permit.
    pub(crate) async fn hesitant(answers: Arc<Semaphore>) -> Self {
        Self::script(move |mut served| {
            let answers = answers.clone();
            async move {
                let Some(request) = served.request().await else {
                    return;
                };
                let _permit = answers.acquire().await;
                let switching = format!("{}\r\n", switching(&request.accept()));
                // Whoever hung up before has its reasons.
                let _ = served.wire.try_send(switching.as_bytes()).await;
                served.echo().await;
            }
        })
        .await
    }

    /// Accepts connections, reads what comes, and never says a word.
    pub(crate) async fn silent() -> Self {
        Self::script(|mut served| async move {
            served.request().await;
            served.wire.read_to_end().await;
        })
        .await
    }

    /// Reads each request and cuts the connection.
    pub(crate) async fn cutting() -> Self {
        Self::script(|mut served| async move {
            served.request().await;
        })
        .await
    }

    /// An address at which nobody listens.
    pub(crate) async fn refusing() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            url: format!("ws://{}", listener.local_addr().unwrap()),
            seen: Arc::default(),
            task: None,
        }
    }

    /// Serves each connection with a script; the connection is cut where the script ends.
    pub(crate) async fn script<F: Future<Output = ()> + Send + 'static>(
        serve: impl Fn(Served) -> F + Send + 'static,
    ) -> Self {
        Self::script_at(([127, 0, 0, 1], 0).into(), serve).await
    }

    /// As [`Backend::script`], at an address.
    pub(crate) async fn script_at<F: Future<Output = ()> + Send + 'static>(
        address: SocketAddr,
        serve: impl Fn(Served) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        Self::run(url, Listener::Tcp(listener), serve)
    }

    /// As [`Backend::echo`], at a Unix socket.
    pub(crate) fn unix_echo(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let url = format!("unix:{}", path.display());
        Self::run(url, Listener::Unix(listener), echo)
    }

    fn run<F: Future<Output = ()> + Send + 'static>(
        url: String,
        listener: Listener,
        serve: impl Fn(Served) -> F + Send + 'static,
    ) -> Self {
        let seen = Arc::new(Seen::default());
        let shared = seen.clone();
        let accepting = async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let wire = listener.accept().await;
                shared.connections.fetch_add(1, Ordering::Relaxed);
                connections.spawn(serve(Served {
                    wire,
                    seen: shared.clone(),
                }));
            }
        };
        Self {
            url,
            seen,
            task: Some(tokio::spawn(accepting)),
        }
    }

    /// As the configuration names it.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Its TCP address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.url.strip_prefix("ws://").unwrap().parse().unwrap()
    }

    /// How many connections it has accepted; a probe is one too.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// The requests that it has read.
    pub(crate) fn requests(&self) -> Vec<Head> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// Waits for a request; returns the last.
    pub(crate) async fn request(&self) -> Head {
        eventually("a request at the backend", || !self.requests().is_empty()).await;
        self.requests().pop().unwrap()
    }

    /// Closes its port and ends its connections; another may take its address when this returns.
    pub(crate) async fn stop(mut self) -> SocketAddr {
        let address = self.address();
        if let Some(task) = self.task.take() {
            task.abort();
            // It was aborted: that is the error.
            let _ = task.await;
        }
        address
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn echo(mut served: Served) {
    if served.accept().await.is_some() {
        served.echo().await;
    }
}

impl Listener {
    async fn accept(&self) -> Wire {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                Wire::new(stream, None)
            }
            Self::Unix(listener) => Wire::new(listener.accept().await.unwrap().0, None),
        }
    }
}

impl Served {
    /// Reads the request; `None` for a connection without one, such as a probe.
    pub(crate) async fn request(&mut self) -> Option<Head> {
        let head = self.wire.try_read_head().await.ok()?;
        self.seen.requests.lock().unwrap().push(head.clone());
        Some(head)
    }

    /// Reads the request and answers it with a good 101.
    pub(crate) async fn accept(&mut self) -> Option<Head> {
        let head = self.request().await?;
        let answer = format!("{}\r\n", super::request::switching(&head.accept()));
        self.wire.send(answer.as_bytes()).await;
        Some(head)
    }

    /// Sends every frame back, unmasked, and ends with the Close.
    pub(crate) async fn echo(&mut self) {
        while let Ok(frame) = self.wire.try_read_frame().await {
            let header = frame.header;
            let opcode = match header.opcode {
                Opcode::Ping => Opcode::Pong,
                other => other,
            };
            let back = frame::build(header.fin, header.reserved, opcode, None, &frame.payload);
            if self.wire.try_send(&back).await.is_err() || opcode == Opcode::Close {
                return;
            }
        }
    }
}
