//! The relay over a leg of another kind than TLS: a pipe in memory, through which frames go as they
//! are, and whose end means what the test says.

use super::*;
use crate::{
    backend::stream::BackendStream,
    observe::{Metrics, RouteNames},
    roster::sockets::{ConnectionId, Connections, Description},
    runtime::buffers::Buffers,
    socket::{
        leg::{Arrival, Broken, Failure, Leg, Then},
        relay::{Finished, Relay, Start},
        transport::{self, Outgoing},
    },
};
use std::{
    cell::Cell,
    io,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::UnixStream,
};

/// More than any of this says.
const ROOM: usize = 1 << 16;

/// One end of a pipe.
struct PipeLeg {
    pipe: DuplexStream,
    waiting: Outgoing,
    /// What the end of the pipe means.
    end: fn() -> Then,
    /// Bytes that it was given to send.
    given: Rc<Cell<usize>>,
}

/// A relay, its peers, and how many bytes its leg was given.
struct Over {
    relay: Relay<PipeLeg>,
    client: DuplexStream,
    backend: UnixStream,
    given: Rc<Cell<usize>>,
}

impl Leg for PipeLeg {
    type Plain = Vec<u8>;

    fn poll_read(
        &mut self,
        space: &mut [u8],
        _: &Buffers,
        cx: &mut Context<'_>,
        _: Instant,
    ) -> Poll<Arrival<Vec<u8>>> {
        let read = transport::read(&mut self.pipe, space, cx);
        read.map(|read| match read.unwrap() {
            0 => Arrival::new(Vec::new(), (self.end)()),
            count => Arrival::new(space[..count].to_vec(), Then::Open),
        })
    }

    fn send(
        &mut self,
        plain: &[u8],
        _: bool,
        _: &Buffers,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> Result<(), Failure> {
        self.given.set(self.given.get() + plain.len());
        Ok(self.waiting.send(&mut self.pipe, plain, cx, now)?)
    }

    fn flush(&mut self, cx: &mut Context<'_>, now: Instant) -> io::Result<bool> {
        self.waiting.flush(&mut self.pipe, cx, now)
    }

    fn finish(&mut self, cx: &mut Context<'_>, _: Instant) -> io::Result<()> {
        self.waiting.finish(&mut self.pipe, cx);
        Ok(())
    }

    fn is_blocked(&self) -> bool {
        self.waiting.is_blocked()
    }

    fn stalled_since(&self) -> Option<Instant> {
        self.waiting.stalled_since()
    }
}

/// A relay over a pipe that holds `room` bytes each way.
fn over(room: usize, end: fn() -> Then) -> Over {
    let (client, pipe) = tokio::io::duplex(room);
    let (backend, stream) = UnixStream::pair().unwrap();
    let given = Rc::new(Cell::new(0));
    let metrics = Metrics::unscraped(&[]).unwrap();
    let metrics = metrics.naming().route(RouteNames {
        route: "/",
        backend: "echo",
    });
    let connections = Arc::new(Connections::new(1));
    let relay = Relay::new(Start {
        client: PipeLeg {
            pipe,
            waiting: Outgoing::default(),
            end,
            given: given.clone(),
        },
        from_client: Vec::new(),
        backend: BackendStream::Unix(stream),
        from_backend: bytes::Bytes::new(),
        terms: terms(),
        sealed: None,
        write: IDLE,
        seat: None,
        listed: connections.list(0, ConnectionId(1), Description::sample()),
        counts: metrics.worker(0),
        metrics,
        buffers: Buffers::default(),
    });
    Over {
        relay,
        client,
        backend,
        given,
    }
}

async fn expect(peer: &mut (impl AsyncReadExt + Unpin), bytes: &[u8]) {
    let mut got = vec![0; bytes.len()];
    peer.read_exact(&mut got).await.unwrap();
    assert_eq!(got, bytes);
}

async fn expect_end(peer: &mut (impl AsyncReadExt + Unpin)) {
    assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
}

#[track_caller]
fn assert_record(finished: &Finished, ending: SocketEnding, code: Option<u16>) {
    let record = finished.record;
    assert_eq!((record.ending, record.code), (ending, code));
}

#[tokio::test]
async fn a_socket_over_a_leg_without_tls_relays_and_closes() {
    let mut over = over(ROOM, || Then::Ended);
    let (question, answer) = (masked(TEXT, b"how?"), plain(TEXT, b"so"));
    let goodbye = close_payload(1000, "bye");
    let peers = async {
        over.client.write_all(&question).await.unwrap();
        expect(&mut over.backend, &question).await;
        over.backend.write_all(&answer).await.unwrap();
        expect(&mut over.client, &answer).await;
        let close = masked(CLOSE, &goodbye);
        over.client.write_all(&close).await.unwrap();
        expect(&mut over.backend, &close).await;
        over.backend
            .write_all(&plain(CLOSE, &goodbye))
            .await
            .unwrap();
        expect(&mut over.client, &plain(CLOSE, &goodbye)).await;
        // The server ends first (RFC 6455 section 7.1.1).
        expect_end(&mut over.client).await;
        over.client.shutdown().await.unwrap();
        expect_end(&mut over.backend).await;
        drop(over.backend);
    };
    let (finished, ()) = tokio::join!(over.relay, peers);
    assert_record(&finished, SocketEnding::ClientClosed, Some(1000));
    assert_eq!(
        (finished.to_backend.frames, finished.to_client.frames),
        (2, 2)
    );
}

#[tokio::test]
async fn a_leg_that_takes_a_byte_at_a_time_gets_every_frame_in_order() {
    let mut over = over(1, || Then::Ended);
    let frames: Vec<u8> = (0..200_u8)
        .flat_map(|number| plain(BINARY, &[number; 40]))
        .collect();
    let peers = async {
        over.backend.write_all(&frames).await.unwrap();
        // The client has taken nothing yet: what was given waits, and nothing else is read.
        over.backend.write_all(&frames).await.unwrap();
        expect(&mut over.client, &frames.repeat(2)).await;
        drop(over.client);
        expect_end(&mut over.backend).await;
        drop(over.backend);
    };
    let (finished, ()) = tokio::join!(over.relay, peers);
    assert_record(&finished, SocketEnding::ClientGone, None);
    assert_eq!(over.given.get(), 2 * frames.len());
}

#[tokio::test]
async fn a_leg_that_was_cut_off_is_sent_nothing_more() {
    let mut over = over(ROOM, || Then::CutOff);
    let goodbye = close_payload(1000, "");
    let peers = async {
        let close = masked(CLOSE, &goodbye);
        over.client.write_all(&close).await.unwrap();
        drop(over.client);
        expect(&mut over.backend, &close).await;
        // Nobody hears the answer any more.
        let answer = plain(CLOSE, &goodbye);
        over.backend.write_all(&answer).await.unwrap();
        drop(over.backend);
    };
    let (finished, ()) = tokio::join!(over.relay, peers);
    assert_record(&finished, SocketEnding::ClientClosed, Some(1000));
    assert_eq!(over.given.get(), 0);
}

#[tokio::test]
async fn a_leg_that_breaks_says_how_its_socket_ends() {
    let broken = || {
        Then::Broken(Broken {
            ending: SocketEnding::ClientTls,
            error: "a wrong record".into(),
        })
    };
    let mut over = over(ROOM, broken);
    let peers = async {
        drop(over.client);
        expect_end(&mut over.backend).await;
    };
    let (finished, ()) = tokio::join!(over.relay, peers);
    assert_record(&finished, SocketEnding::ClientTls, None);
    assert_eq!(over.given.get(), 0);
}
