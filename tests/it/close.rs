//! Stage 8: how sockets end, what each side sees of it, and what is left: nothing but one record.

use crate::support::{
    Backend, Config, End, Process, Proxy, Upgrade, Wire, eventually, frame, request::switching,
    within,
};
use socket2::SockRef;
use std::{fs, time::Duration};
use tidegate::frame::Opcode;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::Instant,
};

/// What a peer saw of a connection: whole frames, what came behind them, and the end.
struct Seen {
    frames: Vec<frame::Frame>,
    rest: Vec<u8>,
    end: End,
}

impl Seen {
    /// By a peer that says nothing.
    async fn of(wire: &mut Wire) -> Self {
        Self::with_answer(wire, b"").await
    }

    /// By a client that answers a Close, as it has to.
    async fn by_client(wire: &mut Wire) -> Self {
        Self::with_answer(wire, &frame::close(1000, "")).await
    }

    async fn with_answer(wire: &mut Wire, answer: &[u8]) -> Self {
        let mut frames = Vec::new();
        let end = loop {
            let frame = match wire.try_read_frame().await {
                Ok(frame) => frame,
                Err(end) => break end,
            };
            if frame.opcode() == Opcode::Close {
                wire.send(answer).await;
            }
            frames.push(frame);
        };
        let rest = wire.pending().to_vec();
        Self { frames, rest, end }
    }
}

/// A backend that tells what it saw of each connection, and answers nothing.
async fn watching() -> (Backend, mpsc::UnboundedReceiver<Seen>) {
    let (seen, receiver) = mpsc::unbounded_channel();
    let backend = Backend::script(move |mut served| {
        let seen = seen.clone();
        async move {
            if served.accept().await.is_some() {
                // The test may be over.
                let _ = seen.send(Seen::of(&mut served.wire).await);
            }
        }
    })
    .await;
    (backend, receiver)
}

/// A backend that accepts an upgrade, sends these bytes, and reads to the end.
async fn sending(bytes: Vec<u8>) -> Backend {
    Backend::script(move |mut served| {
        let bytes = bytes.clone();
        async move {
            if served.accept().await.is_some() {
                served.wire.send(&bytes).await;
                served.wire.read_to_end().await;
            }
        }
    })
    .await
}

/// An open WebSocket whose TCP connection ends with a reset when it is dropped.
async fn open_resetting(proxy: &Proxy) -> Wire {
    let tcp = TcpStream::connect(proxy.address()).await.unwrap();
    let linger = Some(Duration::ZERO);
    SockRef::from(&tcp).set_linger(linger).unwrap();
    let local = tcp.local_addr().unwrap();
    let stream = proxy.dial().over(tcp).await.unwrap();
    let mut wire = Wire::new(stream, Some(local));
    wire.send(&Upgrade::to("/").bytes()).await;
    assert_eq!(wire.read_head().await.status(), 101);
    wire
}

/// One line when it opened, one when it closed, of one connection; and one count.
async fn assert_recorded(proxy: &Proxy, socket: &Wire, reason: &str, code: &str) {
    let lines = proxy.wait_lines(socket, 2).await;
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0].field("id"), lines[1].field("id"));
    assert_eq!(lines[1].field("reason"), reason);
    assert_eq!(lines[1].field("code"), code);
    let code = match code {
        "" => "none",
        // Codes of applications are counted by their range.
        code if code.starts_with('4') => "4xxx",
        code => code,
    };
    let ending = [("reason", reason), ("code", code)];
    proxy.wait_for("tidegate_endings_total", &ending, 1.0).await;
    proxy.wait_for("tidegate_endings_total", &[], 1.0).await;
    proxy.wait_for("tidegate_websockets_open", &[], 0.0).await;
    proxy.wait_for("tidegate_connections_open", &[], 0.0).await;
    proxy.wait_for("tidegate_backend_open", &[], 0.0).await;
}

#[tokio::test]
async fn backends_close_reaches_the_client_with_code_and_reason() {
    let close = frame::plain(Opcode::Close, &frame::close_payload(4321, "gründlich"));
    let backend = sending([frame::plain(Opcode::Text, b"last"), close].concat()).await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut socket = proxy.open("/").await;
    assert_eq!(socket.read_frame().await.payload, b"last");
    let close = socket.read_frame().await;
    assert_eq!(close.close_code(), Some(4321));
    assert_eq!(close.close_reason(), "gründlich");
    socket.send(&frame::close(4321, "")).await;
    assert_eq!(socket.read_to_end().await, (vec![], End::Closed));
    socket.finish().await;
    assert_recorded(&proxy, &socket, "backend_closed", "4321").await;
}

#[tokio::test]
async fn close_without_a_code_stays_without_one() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut socket = proxy.open("/").await;
    socket.send(&frame::masked(Opcode::Close, b"")).await;
    let close = socket.read_frame().await;
    assert_eq!((close.opcode(), close.payload), (Opcode::Close, vec![]));
    socket.finish().await;
    assert_recorded(&proxy, &socket, "client_closed", "").await;
}

#[tokio::test]
async fn data_behind_a_close_is_discarded() {
    let (backend, mut seen) = watching().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut socket = proxy.open("/").await;
    let close = frame::close(1000, "done");
    socket
        .send(&[&close[..], &frame::text("late")].concat())
        .await;
    socket.send(&frame::text("later")).await;
    socket.finish().await;
    let seen = seen.recv().await.unwrap();
    assert_eq!(seen.frames.len(), 1);
    assert_eq!(seen.frames[0].raw, close);
    assert_eq!((seen.rest, seen.end), (vec![], End::Closed));
    assert_recorded(&proxy, &socket, "client_closed", "1000").await;
}

#[tokio::test]
async fn backend_that_sends_on_behind_the_clients_close_is_cut_within_five_seconds() {
    let backend = Backend::script(|mut served| async move {
        let message = frame::plain(Opcode::Text, b"on and on");
        if served.accept().await.is_some() {
            while served.wire.try_send(&message).await.is_ok() {
                tokio::task::yield_now().await;
            }
        }
    })
    .await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut socket = proxy.open("/").await;
    socket.send(&frame::close(1000, "")).await;
    let start = Instant::now();
    socket.read_to_end().await;
    assert!(
        start.elapsed() < Duration::from_secs(7),
        "{:?}",
        start.elapsed()
    );
    assert_recorded(&proxy, &socket, "client_closed", "1000").await;
}

#[tokio::test]
async fn client_that_sends_on_behind_the_proxys_close_is_cut_within_five_seconds() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut socket = proxy.open("/").await;
    let start = Instant::now();
    socket
        .send(&frame::build(true, 0x70, Opcode::Text, None, b"bad"))
        .await;
    assert_eq!(socket.read_frame().await.close_code(), Some(1002));
    while socket.try_send(&frame::text("on and on")).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(
        start.elapsed() < Duration::from_secs(7),
        "{:?}",
        start.elapsed()
    );
    assert_recorded(&proxy, &socket, "client_protocol", "1002").await;
}

#[tokio::test]
async fn client_that_closes_and_half_closes_gets_the_answer() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut socket = proxy.open("/").await;
    socket.send(&frame::close(1000, "bye")).await;
    socket.finish().await;
    assert_eq!(socket.read_frame().await.close_code(), Some(1000));
    assert_eq!(socket.read_to_end().await, (vec![], End::Closed));
    assert_recorded(&proxy, &socket, "client_closed", "1000").await;
}

#[tokio::test]
async fn client_that_vanishes_in_mid_frame_is_never_a_whole_message() {
    let message = frame::text(&"a".repeat(1000));
    let start = &message[..500];
    for how in ["close_notify", "FIN", "reset"] {
        let (backend, mut seen) = watching().await;
        let proxy = Proxy::start(Config::to(&backend));
        let mut socket = match how {
            "reset" => open_resetting(&proxy).await,
            _ => proxy.open("/").await,
        };
        socket.send(&frame::text("whole")).await;
        socket.send(start).await;
        let labels = [("direction", "to_backend")];
        proxy.wait_for("tidegate_bytes_total", &labels, 511.0).await;
        let client = Wire::new(tokio::io::empty(), socket.local);
        if how == "close_notify" {
            socket.finish().await;
        }
        drop(socket);
        let seen = within("the end at the backend", seen.recv()).await.unwrap();
        assert_eq!(seen.frames.len(), 1, "{how}");
        assert_eq!(seen.rest, start, "{how}: no Close, no end of the message");
        assert_eq!(seen.end, End::Closed);
        assert_recorded(&proxy, &client, "client_gone", "").await;
    }
}

/// How a backend goes without a Close.
#[derive(Clone, Copy, Debug)]
enum Going {
    Fin,
    HalfClose,
    Reset,
}

/// A backend that sends `bytes` with its 101, waits for a frame, and goes.
async fn going(bytes: &[u8], how: Going) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let bytes = bytes.to_vec();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            tokio::spawn(go(tcp, bytes.clone(), how));
        }
    });
    url
}

async fn go(tcp: TcpStream, bytes: Vec<u8>, how: Going) {
    if matches!(how, Going::Reset) {
        let linger = Some(Duration::ZERO);
        SockRef::from(&tcp).set_linger(linger).unwrap();
    }
    let mut wire = Wire::new(tcp, None);
    let Ok(head) = wire.try_read_head().await else {
        return;
    };
    let answer = format!("{}\r\n", switching(&head.accept()));
    wire.send(&[answer.as_bytes(), &bytes].concat()).await;
    wire.read_frame().await;
    if matches!(how, Going::HalfClose) {
        wire.finish().await;
        wire.read_to_end().await;
    }
}

/// A socket to a backend that goes, once it has; and what the client saw of it.
async fn after_going(bytes: &[u8], how: Going) -> (Proxy, Wire, Seen) {
    let url = going(bytes, how).await;
    let config = Config::new().backend("echo", &[url]);
    let proxy = Proxy::start(config.route("path = '/'\nbackend = 'echo'"));
    let mut socket = proxy.open("/").await;
    while socket.pending().len() < bytes.len() {
        socket.read_more().await.unwrap();
    }
    socket.send(&frame::text("go")).await;
    let seen = Seen::by_client(&mut socket).await;
    socket.finish().await;
    (proxy, socket, seen)
}

#[tokio::test]
async fn backend_that_goes_between_frames_is_1011() {
    let whole = frame::plain(Opcode::Text, b"whole");
    for how in [Going::Fin, Going::HalfClose, Going::Reset] {
        let (proxy, socket, seen) = after_going(&whole, how).await;
        assert_eq!(seen.frames.len(), 2, "{how:?}");
        assert_eq!(seen.frames[0].raw, whole);
        assert_eq!(seen.frames[1].close_code(), Some(1011));
        assert_eq!((seen.rest, seen.end), (vec![], End::Closed), "{how:?}");
        assert_recorded(&proxy, &socket, "backend_gone", "1011").await;
    }
}

#[tokio::test]
async fn backend_that_goes_in_mid_frame_leaves_no_room_for_a_close() {
    let half = &frame::plain(Opcode::Text, &[b'a'; 1000])[..500];
    for how in [Going::Fin, Going::HalfClose, Going::Reset] {
        let (proxy, socket, seen) = after_going(half, how).await;
        assert_eq!(seen.frames.len(), 0, "{how:?}");
        assert_eq!((seen.rest.as_slice(), seen.end), (half, End::Closed));
        assert_recorded(&proxy, &socket, "backend_gone", "").await;
    }
}

#[tokio::test]
async fn backend_that_answers_garbage_is_1011_and_none_of_it_passes() {
    let garbage: [&[u8]; 4] = [
        b"HTTP/1.1 500 Internal Server Error\r\n\r\n",
        &[0xff; 40],
        &frame::masked(Opcode::Text, b"masked"),
        &frame::plain(Opcode::Close, &frame::close_payload(1005, "")),
    ];
    for garbage in garbage {
        let backend = sending(garbage.to_vec()).await;
        let proxy = Proxy::start(Config::to(&backend));
        let mut socket = proxy.open("/").await;
        let seen = Seen::by_client(&mut socket).await;
        assert_eq!(seen.frames.len(), 1);
        assert_eq!(seen.frames[0].close_code(), Some(1011));
        assert_eq!((seen.rest, seen.end), (vec![], End::Closed));
        socket.finish().await;
        assert_recorded(&proxy, &socket, "backend_protocol", "1011").await;
    }
}

#[tokio::test]
async fn close_that_the_backend_sent_before_it_left_is_not_lost_to_a_talking_client() {
    let close = frame::plain(Opcode::Close, &frame::close_payload(4000, "enough"));
    // What the client says meets a socket that is gone: the proxy's writes fail.
    for how in [Going::Fin, Going::Reset] {
        let (proxy, socket, seen) = after_going(&close, how).await;
        let last = seen.frames.last().unwrap();
        assert_eq!(last.close_code(), Some(4000), "{how:?}");
        assert_recorded(&proxy, &socket, "backend_closed", "4000").await;
    }
}

#[tokio::test]
async fn drain_is_1012_behind_a_whole_frame_of_a_backend_that_never_pauses() {
    let backend = Backend::script(|mut served| async move {
        let message = frame::plain(Opcode::Binary, &vec![7; 50_001]);
        if served.accept().await.is_some() {
            while served.wire.try_send(&message).await.is_ok() {}
        }
    })
    .await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut socket = proxy.open("/").await;
    assert_eq!(socket.read_frame().await.payload.len(), 50_001);
    proxy.handle.drain_soon();
    let close = loop {
        let frame = socket.read_frame().await;
        if frame.opcode() == Opcode::Close {
            break frame;
        }
        assert_eq!(frame.payload, vec![7; 50_001]);
    };
    assert_eq!(close.close_code(), Some(1012));
    socket.send(&frame::close(1012, "")).await;
    assert_eq!(socket.read_to_end().await, (vec![], End::Closed));
    socket.finish().await;
    assert_recorded(&proxy, &socket, "draining", "1012").await;
}

/// Descriptors that a process has open.
fn descriptors(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).unwrap().count()
}

#[tokio::test]
async fn descriptors_return_however_sockets_end() {
    let backend = Backend::echo().await;
    let process = Process::start(&Config::to(&backend));
    let dial = process.dial().await;
    process.admin().await;
    let open = async || {
        let mut socket = dial.connect().await;
        socket.send(&Upgrade::to("/").bytes()).await;
        assert_eq!(socket.read_head().await.status(), 101);
        socket
    };
    // What the process opens once, it has opened after the first connection.
    open().await.finish().await;
    let base = || descriptors(process.id());
    let mut before = base();
    eventually("a quiet process", || {
        let now = base();
        std::mem::replace(&mut before, now) == now && process.lines("websocket closed").len() == 1
    })
    .await;
    for _ in 0..5 {
        let mut closing = open().await;
        closing.send(&frame::close(1000, "")).await;
        closing.read_to_end().await;
        let mut cut = open().await;
        cut.send(&frame::text("cut")[..8]).await;
        let mut broken = open().await;
        broken.send(&frame::plain(Opcode::Text, b"unmasked")).await;
        broken.read_to_end().await;
        let mut refused = dial.connect().await;
        refused.send(b"GET / HTTP/1.1\r\n\r\n").await;
        refused.read_to_end().await;
    }
    eventually("as many descriptors as before", || base() <= before).await;
    let both = || ["websocket open", "websocket closed"].map(|line| process.lines(line).len());
    eventually("one line at each end of each socket", || both() == [16, 16]).await;
}
