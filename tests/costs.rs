//! What a connection and a message cost, in counts that do not depend on the machine's mood.
//!
//! The proxy runs in a process of its own, this same binary started again, so that only its
//! allocations are counted. Clients and backend are those of `benches/compare`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a failure here is a failure of the test, and counts are what it tells"
)]

#[path = "../benches/compare/backend.rs"]
mod backend;
#[allow(
    dead_code,
    reason = "shared with the comparison, which needs more of it"
)]
#[path = "../benches/compare/client.rs"]
mod client;

use client::{Connector, Message, Socket};
use std::{
    error::Error,
    future::Future,
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};
use tidegate::app::App;
use tidegate::app::Control;
use tidegate::frame::Header;
use tidegate::frame::Opcode;
use tidegate::socket::leg::tls::TlsLeg;
use tidegate::socket::relay::Relay;
use tokio::{
    net::TcpListener,
    runtime::{Builder, LocalOptions},
};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Where the proxy's process finds its configuration; without it there is nothing to run.
const CONFIGURATION: &str = "TIDEGATE_COSTS_CONFIGURATION";
/// Where it writes a profile of what is allocated at its end, for <https://nnethercote.github.io/dh_view/>.
const PROFILE: &str = "TIDEGATE_COSTS_PROFILE";
const MARK: &str = "costs: ";

/// Allocations for one message of 125 bytes that goes to the backend and comes back. They are
/// two, both of rustls: a vector for each record that it decrypts, and one for each that it
/// encrypts. None is the proxy's own.
const ALLOCATIONS_PER_MESSAGE: f64 = 2.02;
/// The same where a thousand empty frames come in one record: what there is, is for the record.
const ALLOCATIONS_PER_FRAME_OF_A_FLOOD: f64 = 0.05;
/// System calls for such a message, if nothing else happens at the time: for each direction, one
/// that waits, one that reads and one that writes. Some more for the sweep over deadlines.
const SYSTEM_CALLS_PER_MESSAGE: f64 = 6.5;
/// System calls for a socket from accept to close, waiting aside: 30, and one or two more where the
/// request comes after the last flight of the handshake, and a sweep.
const SYSTEM_CALLS_PER_SOCKET: f64 = 34.0;
/// Bytes that a silent connection holds, as the allocator was asked for them.
const BYTES_PER_CONNECTION: f64 = 6.0 * 1024.0;
/// Bytes of the relay's future.
const RELAY: usize = 3 * 1024;

/// What the client needs to know of the proxy.
struct Target {
    address: SocketAddr,
    credentials: Option<PathBuf>,
}

/// The proxy, in a process of its own.
struct Proxy {
    process: Child,
    answers: BufReader<std::process::ChildStdout>,
    address: SocketAddr,
}

/// What the proxy's process has allocated.
#[derive(Clone, Copy)]
struct Heap {
    allocations: f64,
    bytes: f64,
}

#[test]
fn a_relay_is_small() {
    let size = size_of::<Relay<TlsLeg>>();
    println!("a relay's future takes {size} bytes");
    assert!(size <= RELAY, "{size}");
}

#[test]
fn a_message_costs_few_allocations() {
    with_proxy(async |proxy, connector| {
        let message = Message::new(125);
        let mut socket = connector.open().await.unwrap();
        exchange(&mut socket, &message, 50).await;
        let before = proxy.heap();
        exchange(&mut socket, &message, 500).await;
        let each = (proxy.heap().allocations - before.allocations) / 500.0;
        println!("{each:.2} allocations for each message");
        assert!(each <= ALLOCATIONS_PER_MESSAGE, "{each:.2}");
    });
}

#[test]
fn a_silent_connection_holds_little() {
    with_proxy(async |proxy, connector| {
        let message = Message::new(125);
        let mut sockets = Vec::new();
        let mut heap = Vec::new();
        for count in [20, 100] {
            for _ in 0..count {
                let mut socket = connector.open().await.unwrap();
                exchange(&mut socket, &message, 1).await;
                sockets.push(socket);
            }
            heap.push(proxy.heap());
        }
        let each = (heap[1].bytes - heap[0].bytes) / 100.0;
        println!("{each:.0} bytes for each silent connection");
        if std::env::var_os(PROFILE).is_some() {
            proxy.end();
        }
        assert!(each <= BYTES_PER_CONNECTION, "{each:.0}");
    });
}

#[test]
fn a_flood_of_small_frames_costs_no_allocation_for_each() {
    with_proxy(async |proxy, connector| {
        let mut socket = connector.open().await.unwrap();
        for (name, there, back) in [
            ("pings", Opcode::Ping, Opcode::Pong),
            ("empty messages", Opcode::Text, Opcode::Text),
        ] {
            let flood = Message {
                request: empty(there, Some([0; 4])).repeat(1000),
                reply: empty(back, None).repeat(1000),
            };
            exchange(&mut socket, &flood, 5).await;
            let before = proxy.heap();
            exchange(&mut socket, &flood, 20).await;
            let each = (proxy.heap().allocations - before.allocations) / 20_000.0;
            println!("{each:.4} allocations for each of many {name}");
            assert!(each <= ALLOCATIONS_PER_FRAME_OF_A_FLOOD, "{each:.4} {name}");
        }
    });
}

fn empty(opcode: Opcode, mask: Option<[u8; 4]>) -> Vec<u8> {
    let header = Header {
        fin: true,
        reserved: 0,
        opcode,
        mask,
        length: 0,
    };
    header.encode().as_slice().to_vec()
}

#[test]
fn a_message_costs_six_system_calls() {
    with_proxy(async |proxy, connector| {
        let message = Message::new(125);
        let mut socket = connector.open().await.unwrap();
        exchange(&mut socket, &message, 50).await;
        let Some(tracer) = Tracer::attach(proxy.process.id(), "all") else {
            return println!("skipped: strace is not there, or may not trace");
        };
        exchange(&mut socket, &message, 500).await;
        let each = tracer.calls() / 500.0;
        println!("{each:.2} system calls for each message");
        assert!(each <= SYSTEM_CALLS_PER_MESSAGE, "{each:.2}");
    });
}

#[test]
fn a_socket_costs_few_system_calls_to_open_and_close() {
    with_proxy(async |proxy, connector| {
        open_and_close(connector, 5).await;
        // How often the proxy waits depends on how much happens at once.
        let Some(tracer) = Tracer::attach(proxy.process.id(), "!epoll_wait") else {
            return println!("skipped: strace is not there, or may not trace");
        };
        open_and_close(connector, 50).await;
        let each = tracer.calls() / 50.0;
        println!("{each:.2} system calls for each socket");
        assert!(each <= SYSTEM_CALLS_PER_SOCKET, "{each:.2}");
    });
}

async fn open_and_close(connector: &Connector, count: usize) {
    for _ in 0..count {
        connector.open().await.unwrap().close().await.unwrap();
    }
}

async fn exchange(socket: &mut Socket, message: &Message, count: usize) {
    for _ in 0..count {
        socket.exchange(message).await.unwrap();
    }
}

/// Starts a backend and the proxy, and runs `test` against them.
fn with_proxy(test: impl AsyncFnOnce(&mut Proxy, &Connector)) {
    local(async {
        let folder = std::env::temp_dir().join(format!("tidegate-costs-{:?}", thread_name()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut proxy = Proxy::start(&folder, listener.local_addr().unwrap());
        tokio::task::spawn_local(async move { backend::serve(listener).await.unwrap() });
        let target = Target {
            address: proxy.address,
            credentials: Some(folder.join("certs")),
        };
        let connector = Connector::new(&target, false).unwrap();
        test(&mut proxy, &connector).await;
        drop(proxy);
        std::fs::remove_dir_all(folder).unwrap();
    });
}

fn thread_name() -> String {
    let name = std::thread::current().name().map(str::to_owned);
    format!("{}-{}", std::process::id(), name.unwrap_or_default())
}

fn local(future: impl Future<Output = ()>) {
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_all().build_local(LocalOptions::default());
    let runtime = runtime.unwrap();
    runtime.block_on(future);
}

impl Proxy {
    fn start(folder: &Path, backend: SocketAddr) -> Self {
        let configuration = configure(folder, backend);
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_proxy_itself", "--ignored", "--nocapture"])
            .env(CONFIGURATION, configuration)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let address = ([127, 0, 0, 1], 0).into();
        let mut proxy = Self {
            process,
            answers,
            address,
        };
        proxy.address = proxy.answer().parse().unwrap();
        proxy
    }

    fn answer(&mut self) -> String {
        let mut lines = self.answers.by_ref().lines();
        let answer = lines.find_map(|line| Some(line.unwrap().strip_prefix(MARK)?.to_owned()));
        answer.expect("the proxy's process ended")
    }

    /// What the process has allocated so far.
    fn heap(&mut self) -> Heap {
        self.process
            .stdin
            .as_mut()
            .unwrap()
            .write_all(b"\n")
            .unwrap();
        let answer = self.answer();
        let (allocations, bytes) = answer.split_once(' ').unwrap();
        Heap {
            allocations: allocations.parse().unwrap(),
            bytes: bytes.parse().unwrap(),
        }
    }

    /// Lets the process write its profile.
    fn end(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// strace, counting the system calls of a process.
struct Tracer(Child);

impl Tracer {
    /// `calls` are those to count, as strace's `-e trace` takes them.
    fn attach(process: u32, calls: &str) -> Option<Self> {
        let mut strace = Command::new("strace")
            .args(["-f", "-c", "-U", "calls", "-p", &process.to_string()])
            .args(["-e", &format!("trace={calls}")])
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        let mut said = BufReader::new(strace.stderr.take()?);
        let mut line = String::new();
        said.read_line(&mut line).ok()?;
        strace.stderr = Some(said.into_inner());
        line.contains(" attached").then_some(Self(strace))
    }

    /// All calls since it was attached.
    fn calls(self) -> f64 {
        let Self(strace) = self;
        let interrupt = ["-INT", &strace.id().to_string()];
        assert!(
            Command::new("kill")
                .args(interrupt)
                .status()
                .unwrap()
                .success()
        );
        let said = strace.wait_with_output().unwrap().stderr;
        let said = String::from_utf8(said).unwrap();
        let total = said
            .lines()
            .find_map(|line| line.trim().strip_suffix(" total"));
        total.expect("no total").trim().parse().unwrap()
    }
}

fn configure(folder: &Path, backend: SocketAddr) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["certs", "init", "--dir"])
        .arg(folder.join("certs"))
        .stdout(Stdio::null())
        .status();
    assert!(made.unwrap().success());
    let text = format!(
        r#"
[server]
workers = 1
[[listener]]
address = "127.0.0.1:0"
[tls]
certificates = [{{ chain = "certs/server.pem", key = "certs/server.key" }}]
[tls.clients]
mode = "required"
ca = ["certs/ca.pem"]
[[route]]
path = "/"
backend = "echo"
[backend.echo]
servers = ["ws://{backend}"]
"#
    );
    let path = folder.join("proxy.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// The proxy's process: answers each line with its counts.
#[test]
#[ignore = "started by the tests above"]
fn the_proxy_itself() {
    let Some(configuration) = std::env::var_os(CONFIGURATION) else {
        return;
    };
    let profile = dhat::Profiler::builder();
    let _profiler = match std::env::var_os(PROFILE) {
        Some(path) => profile.file_name(path).build(),
        None => profile.testing().build(),
    };
    let app = App::bind(Path::new(&configuration), Arc::default()).unwrap();
    let (_, address) = app.listeners()[0].clone();
    println!("{MARK}{address}");
    std::thread::spawn(move || {
        local(async { app.run(Control::new()).await.unwrap() });
    });
    for line in std::io::stdin().lock().lines() {
        line.unwrap();
        let heap = dhat::HeapStats::get();
        println!("{MARK}{} {}", heap.total_blocks, heap.curr_bytes);
    }
}
