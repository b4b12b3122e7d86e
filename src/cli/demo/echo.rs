//! The demo's backend: a WebSocket server that echoes, and reports what it was sent.

use crate::{backend::ServerAddress, request::websocket::accept_for};
use bytes::Bytes;
use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocket, WebSocketError};
use futures_util::{StreamExt, future::join_all, stream::FuturesUnordered};
use sha2::{Digest, Sha256};
use std::{
    io::{self, Cursor},
    path::PathBuf,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc::UnboundedSender,
};

/// The longest request that is read, in bytes; the proxy's own limit is below it.
const REQUEST_LIMIT: usize = 256 * 1024;
const FIELDS_LIMIT: usize = 256;
/// After an error of accept, so that a lack of descriptors does not become a busy loop.
const PAUSE: Duration = Duration::from_millis(100);

/// Sockets that nobody serves yet.
pub(super) struct Echo {
    sockets: Vec<Socket>,
    observer: UnboundedSender<Observation>,
}

/// A backend's server that cannot be played.
#[derive(Debug, thiserror::Error)]
#[error(
    "the demo's echo backend cannot listen on {server}: {error}; stop what listens there, or \
     give another address to the backend in the configuration"
)]
pub(super) struct EchoError {
    server: String,
    error: io::Error,
}

/// What the backend saw.
#[derive(Debug)]
pub(super) enum Observation {
    Request(Fields),
    /// A data frame: its kind, and the SHA-256 of its payload.
    Data(OpCode, [u8; 32]),
    /// A Close, by the bytes of its payload.
    Close(Vec<u8>),
}

/// The fields of a request, as they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

enum Socket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// The files of Unix sockets, removed in the end. Threads end with the process, so that nothing
/// that they hold is dropped: this is for the main one.
#[derive(Default)]
pub(super) struct SocketFiles(Vec<PathBuf>);

trait Transport: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Transport for T {}

enum Listener {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl Echo {
    /// Binds the addresses of all servers of a backend.
    pub(super) fn bind(
        servers: &[ServerAddress],
        observer: UnboundedSender<Observation>,
    ) -> Result<(Self, SocketFiles), EchoError> {
        let mut files = SocketFiles::default();
        let mut sockets = Vec::new();
        for server in servers {
            let socket = Socket::bind(server).map_err(|error| EchoError {
                server: server.to_string(),
                error,
            });
            sockets.push(socket?);
            if let ServerAddress::Unix(path) = server {
                files.0.push(path.clone());
            }
        }
        Ok((Self { sockets, observer }, files))
    }

    /// Serves for ever.
    ///
    /// # Errors
    /// A socket cannot be used on this runtime.
    pub(super) async fn serve(self) -> io::Result<()> {
        let listeners = self.sockets.into_iter().map(Listener::new);
        let listeners = listeners.collect::<io::Result<Vec<_>>>()?;
        let observer = &self.observer;
        join_all(listeners.iter().map(|listener| serve(listener, observer))).await;
        Ok(())
    }
}

impl Socket {
    fn bind(server: &ServerAddress) -> io::Result<Self> {
        Ok(match server {
            ServerAddress::Ip(address) => Self::Tcp(std::net::TcpListener::bind(address)?),
            ServerAddress::Name(host, port) => {
                Self::Tcp(std::net::TcpListener::bind((host.as_str(), *port))?)
            }
            ServerAddress::Unix(path) => Self::Unix(std::os::unix::net::UnixListener::bind(path)?),
        })
    }
}

impl Listener {
    fn new(socket: Socket) -> io::Result<Self> {
        Ok(match socket {
            Socket::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                Self::Tcp(tokio::net::TcpListener::from_std(socket)?)
            }
            Socket::Unix(socket) => {
                socket.set_nonblocking(true)?;
                Self::Unix(tokio::net::UnixListener::from_std(socket)?)
            }
        })
    }

    async fn accept(&self) -> io::Result<Box<dyn Transport>> {
        Ok(match self {
            Self::Tcp(socket) => {
                let (stream, _) = socket.accept().await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Self::Unix(socket) => Box::new(socket.accept().await?.0),
        })
    }
}

impl Drop for SocketFiles {
    fn drop(&mut self) {
        for file in &self.0 {
            // Something else removed it before.
            let _ = std::fs::remove_file(file);
        }
    }
}

impl Fields {
    /// The values of all fields of this name.
    pub(super) fn all<'a>(&'a self, name: &str) -> Vec<&'a str> {
        let named = self.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The names of all fields whose value contains this.
    pub(super) fn containing<'a>(&'a self, part: &str) -> Vec<&'a str> {
        let found = self.0.iter().filter(|(_, value)| value.contains(part));
        found.map(|(name, _)| name.as_str()).collect()
    }
}

async fn serve(listener: &Listener, observer: &UnboundedSender<Observation>) {
    let mut open = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(stream) => open.push(converse(stream, observer)),
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
            Some(ended) = open.next() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "the demo's backend lost a connection");
                }
            }
        }
    }
}

async fn converse(
    mut stream: Box<dyn Transport>,
    observer: &UnboundedSender<Observation>,
) -> Result<(), WebSocketError> {
    let Some((fields, early)) = read_request(&mut stream).await? else {
        // The proxy's probe of a server that was down only connects.
        return Ok(());
    };
    let key = fields.all("sec-websocket-key").concat();
    // Nobody may be watching any more; the echo goes on.
    let _ = observer.send(Observation::Request(fields));
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        accept_for(&key)
    );
    stream.write_all(answer.as_bytes()).await?;
    let (read, write) = tokio::io::split(stream);
    let stream = tokio::io::join(Cursor::new(early).chain(read), write);
    let mut socket = WebSocket::after_handshake(stream, Role::Server);
    socket.set_auto_close(false);
    loop {
        let frame = socket.read_frame().await?;
        let _ = observer.send(observation(&frame));
        let payload = Payload::Owned(frame.payload.to_vec());
        if frame.opcode == OpCode::Close {
            return socket.write_frame(Frame::close_raw(payload)).await;
        }
        let echo = Frame::new(frame.fin, frame.opcode, None, payload);
        socket.write_frame(echo).await?;
    }
}

fn observation(frame: &Frame<'_>) -> Observation {
    match frame.opcode {
        OpCode::Close => Observation::Close(frame.payload.to_vec()),
        opcode => Observation::Data(opcode, Sha256::digest(&*frame.payload).into()),
    }
}

/// Reads an upgrade request and what came after it; `None` if the stream ends before it begins.
async fn read_request(stream: &mut Box<dyn Transport>) -> io::Result<Option<(Fields, Bytes)>> {
    let mut received = Vec::new();
    loop {
        let mut space = [httparse::EMPTY_HEADER; FIELDS_LIMIT];
        let mut request = httparse::Request::new(&mut space);
        let parsed = request.parse(&received).map_err(io::Error::other)?;
        if let httparse::Status::Complete(length) = parsed {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let fields = request.headers.iter();
            let fields = fields.map(|field| (field.name.to_owned(), text(field.value)));
            let fields = Fields(fields.collect());
            let early = received.split_off(length);
            return Ok(Some((fields, early.into())));
        }
        let count = stream.read_buf(&mut received).await?;
        if count == 0 && received.is_empty() {
            return Ok(None);
        }
        if count == 0 || received.len() > REQUEST_LIMIT {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
