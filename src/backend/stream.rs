//! A connection to a server of a backend: TCP or a Unix socket.

use super::settings::ServerAddress;
use futures_util::{StreamExt, stream::FuturesUnordered};
use std::{
    io,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream, lookup_host},
    time::sleep,
};

/// How long one address of a name is tried before the next one is tried beside it (RFC 8305
/// section 5).
const STAGGER: Duration = Duration::from_millis(250);
/// Between two tries at a Unix socket whose queue is full.
const FULL: Duration = Duration::from_millis(5);
/// The error numbers of Linux for no more descriptors of the system, and of the process.
const NO_DESCRIPTORS: [i32; 2] = [23, 24];

/// The transport towards a backend.
#[derive(Debug)]
pub enum BackendStream {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
}

impl BackendStream {
    /// Connects; the caller sets the deadline.
    pub async fn connect(address: &ServerAddress) -> io::Result<Self> {
        let tcp = match address {
            ServerAddress::Unix(path) => return Ok(Self::Unix(connect_unix(path).await?)),
            ServerAddress::Ip(address) => TcpStream::connect(address).await?,
            ServerAddress::Name(host, port) => {
                let addresses = lookup_host((host.as_str(), *port)).await?;
                connect_any(addresses.collect()).await?
            }
        };
        tcp.set_nodelay(true)?;
        Ok(Self::Tcp(tcp))
    }
}

/// Whether it was this machine that could not connect, so that the error says nothing of the
/// server: no descriptors, no memory, or no free port towards it.
pub fn is_ours(error: &io::Error) -> bool {
    let kinds = [io::ErrorKind::OutOfMemory, io::ErrorKind::AddrNotAvailable];
    let number = error.raw_os_error();
    kinds.contains(&error.kind()) || number.is_some_and(|it| NO_DESCRIPTORS.contains(&it))
}

/// Where a TCP server's queue is full, the system tries again; at a Unix socket that is left to
/// whoever connects.
async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(FULL).await,
            result => return result,
        }
    }
}

/// Connects to whichever address answers first. The next one is tried when one has failed, or has
/// not answered for a moment: one that swallows everything must not keep out the others.
async fn connect_any(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut left = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        attempts.extend(left.next().map(TcpStream::connect));
        let more = left.len() > 0;
        tokio::select! {
            attempt = attempts.next() => match attempt {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => failure = error,
                None => return Err(failure),
            },
            () = sleep(STAGGER), if more => {}
        }
    }
}

impl AsyncRead for BackendStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for BackendStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, SockAddr, Socket, Type};
    use std::{net::Ipv4Addr, time::Instant};
    use tokio::{net::UnixListener, time::timeout};

    /// Longer than any of this takes.
    const BOUND: Duration = Duration::from_secs(10);

    /// A listener that queues as little as the system allows.
    fn short(domain: Domain, address: &SockAddr) -> Socket {
        let socket = Socket::new(domain, Type::STREAM, None).unwrap();
        socket.bind(address).unwrap();
        socket.listen(0).unwrap();
        socket
    }

    /// A listener whose queue is full, so that it swallows whatever comes; with what fills it.
    async fn swallowing() -> (Socket, Vec<TcpStream>, SocketAddr) {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let socket = short(Domain::IPV4, &any.into());
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = timeout(STAGGER, TcpStream::connect(address)).await {
            queued.push(stream.unwrap());
        }
        (socket, queued, address)
    }

    #[tokio::test]
    async fn address_that_swallows_everything_does_not_keep_out_the_next() {
        let (_socket, _queued, silent) = swallowing().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let connected = timeout(BOUND, connect_any(vec![silent, good])).await;
        assert_eq!(connected.unwrap().unwrap().peer_addr().unwrap(), good);
    }

    #[tokio::test]
    async fn address_that_refuses_is_passed_over_at_once_and_the_last_error_is_told() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (good, refusing) = (listener.local_addr().unwrap(), gone.local_addr().unwrap());
        drop(gone);
        // So many that waiting for each would take longer than a busy machine does.
        let addresses = [vec![refusing; 40], vec![good]].concat();
        let start = Instant::now();
        let stream = connect_any(addresses).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert!(start.elapsed() < STAGGER * 40);
        let error = connect_any(vec![refusing, refusing]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = connect_any(Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn unix_socket_whose_queue_is_full_is_waited_for() {
        let name = format!("tidegate-queue-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let socket = short(Domain::UNIX, &SockAddr::unix(&path).unwrap());
        let mut queued = Vec::new();
        let full = loop {
            match UnixStream::connect(&path).await {
                Ok(stream) => queued.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        socket.set_nonblocking(true).unwrap();
        let listener = UnixListener::from_std(std::os::fd::OwnedFd::from(socket).into()).unwrap();
        let address = ServerAddress::Unix(path.clone());
        let connecting = tokio::spawn(async move { BackendStream::connect(&address).await });
        tokio::task::yield_now().await;
        for _ in 0..=queued.len() {
            timeout(BOUND, listener.accept()).await.unwrap().unwrap();
        }
        assert!(connecting.await.unwrap().is_ok());
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn errors_of_this_machine_are_told_from_those_of_the_server() {
        let number = io::Error::from_raw_os_error;
        // EMFILE, ENFILE, ENOMEM, EADDRNOTAVAIL.
        for ours in [24, 23, 12, 99] {
            assert!(is_ours(&number(ours)), "{}", number(ours));
        }
        // ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ENOENT.
        for theirs in [111, 110, 113, 2] {
            assert!(!is_ours(&number(theirs)), "{}", number(theirs));
        }
    }
}
