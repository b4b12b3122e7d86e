use super::*;
use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

mod flushed;
mod over_tls;
mod sealed;
mod vectors;

/// A listener on a free port and a client that will connect to it.
async fn listener() -> (TcpListener, ClientBuilder) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (
        listener,
        Client::builder(format!("ws://{address}/chat?a=b")),
    )
}

/// Reads up to the end of a request's header.
async fn read_request(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(request).unwrap()
}

fn accept_of(request: &str) -> String {
    let key = field(request, "sec-websocket-key").unwrap();
    let input = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(Sha1::digest(input))
}

fn field<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// Answers the request with a 101, and what follows, in one write.
async fn upgrade(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), more: &[u8]) -> String {
    let request = read_request(stream).await;
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        accept_of(&request)
    )
    .into_bytes();
    answer.extend_from_slice(more);
    stream.write_all(&answer).await.unwrap();
    stream.flush().await.unwrap();
    request
}

/// Reads one masked frame of less than 126 bytes: its first byte and its payload.
async fn read_frame(stream: &mut (impl AsyncReadExt + Unpin)) -> (u8, Vec<u8>) {
    let first = stream.read_u8().await.unwrap();
    let length = stream.read_u8().await.unwrap();
    assert!((0x80..0x80 + 126).contains(&length), "masked and short");
    let mut mask = [0; 4];
    stream.read_exact(&mut mask).await.unwrap();
    let mut payload = vec![0; usize::from(length & 0x7f)];
    stream.read_exact(&mut payload).await.unwrap();
    let mask = mask.iter().cycle();
    (
        first,
        payload.iter().zip(mask).map(|(a, b)| a ^ b).collect(),
    )
}

/// A connection to a server that upgrades it and then does what the test says.
async fn connected(more: &'static [u8]) -> (WebSocketConnection, TcpStream) {
    let (listener, client) = listener().await;
    let server = async {
        let mut stream = listener.accept().await.unwrap().0;
        upgrade(&mut stream, more).await;
        stream
    };
    let (client, server) = tokio::join!(client.message_limit(1000).connect(), server);
    (client.unwrap(), server)
}

/// What connecting returns when the request is answered with this text.
async fn answered(answer: impl Fn(&str) -> String) -> Result<WebSocketConnection, ClientError> {
    let (listener, client) = listener().await;
    let server = async {
        let mut stream = listener.accept().await.unwrap().0;
        let request = read_request(&mut stream).await;
        let answer = answer(&request);
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream
    };
    tokio::join!(client.subprotocol("chat").connect(), server).0
}

async fn refused_with(answer: impl Fn(&str) -> String) -> String {
    answered(answer).await.err().unwrap().to_string()
}

#[test]
fn everything_may_move_between_threads() {
    fn movable<T: Send>(_: &T) {}
    movable(&Client::builder("ws://a.test/").connect());
    let talk = |mut socket: WebSocketConnection| async move {
        socket.send_text("x").await?;
        socket.next().await
    };
    let _ = |socket| movable(&talk(socket));
}

#[tokio::test]
async fn request_is_an_opening_handshake_with_what_was_asked_for() {
    let (listener, client) = listener().await;
    let address = listener.local_addr().unwrap();
    let client = client
        .origin("https://a.test")
        .header("X-One", "1")
        .subprotocol("chat")
        .subprotocol("superchat");
    let server = async { upgrade(&mut listener.accept().await.unwrap().0, b"").await };
    let (client, request) = tokio::join!(client.connect(), server);
    assert_eq!(client.unwrap().subprotocol(), None);
    assert!(
        request.starts_with("GET /chat?a=b HTTP/1.1\r\n"),
        "{request}"
    );
    for (name, value) in [
        ("host", address.to_string().as_str()),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat, superchat"),
        ("origin", "https://a.test"),
        ("x-one", "1"),
    ] {
        assert_eq!(field(&request, name), Some(value), "{name}");
    }
    let key = field(&request, "sec-websocket-key").unwrap();
    assert_eq!(STANDARD.decode(key).unwrap().len(), 16);
}

#[tokio::test]
async fn frames_that_come_with_the_101_are_not_lost() {
    let (mut client, _server) = connected(b"\x81\x05early\x82\x01!").await;
    assert_eq!(client.next().await.unwrap(), Event::Text("early".into()));
    assert_eq!(client.next().await.unwrap(), Event::Binary(b"!".to_vec()));
}

#[tokio::test]
async fn messages_go_out_masked_and_come_in_whole() {
    let (mut client, mut server) = connected(b"").await;
    client.send_text("héllo").await.unwrap();
    assert_eq!(
        read_frame(&mut server).await,
        (0x81, "héllo".as_bytes().to_vec())
    );
    client.send_binary(&[0, 255]).await.unwrap();
    assert_eq!(read_frame(&mut server).await, (0x82, vec![0, 255]));
    client.ping(b"p").await.unwrap();
    assert_eq!(read_frame(&mut server).await, (0x89, b"p".to_vec()));
    // A text in three fragments that split a character, with a pong in between.
    server
        .write_all(b"\x01\x02h\xc3\x8a\x01p\x00\x01\xa9\x80\x03llo")
        .await
        .unwrap();
    assert_eq!(client.next().await.unwrap(), Event::Pong(b"p".to_vec()));
    assert_eq!(client.next().await.unwrap(), Event::Text("héllo".into()));
}

#[tokio::test]
async fn giving_up_waiting_loses_nothing() {
    let (mut client, mut server) = connected(b"").await;
    for byte in b"\x81\x05hel" {
        server.write_all(&[*byte]).await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_millis(2), client.next()).await;
        assert!(waiting.is_err());
    }
    server.write_all(b"lo").await.unwrap();
    assert_eq!(client.next().await.unwrap(), Event::Text("hello".into()));
}

#[tokio::test]
async fn ping_is_answered_while_the_next_event_is_awaited() {
    let (mut client, mut server) = connected(b"\x89\x02hi").await;
    let server = async {
        assert_eq!(read_frame(&mut server).await, (0x8a, b"hi".to_vec()));
        server.write_all(b"\x81\x00").await.unwrap();
    };
    let (event, ()) = tokio::join!(client.next(), server);
    assert_eq!(event.unwrap(), Event::Text(String::new()));
}

#[tokio::test]
async fn server_that_writes_without_reading_blocks_nobody() {
    let (client, server) = connected(b"").await;
    let (sender, mut receiver) = client.split();
    let (mut read, mut write) = server.into_split();
    let many = 20_000;
    let sending = async {
        for _ in 0..many {
            sender.send_binary(&[7; 500]).await.unwrap();
        }
    };
    let receiving = async {
        for _ in 0..many {
            assert_eq!(receiver.next().await.unwrap(), Event::Binary(vec![7; 100]));
        }
    };
    let server = async {
        let mut frame = vec![0x82, 100];
        frame.extend([7; 100]);
        for _ in 0..many {
            write.write_all(&frame).await.unwrap();
            write.write_all(b"\x89\x00").await.unwrap();
        }
        // Only now does it read, all of it and the pongs between.
        let mut bytes = 0;
        while bytes < many * 508 {
            bytes += read.read(&mut [0; 4096]).await.unwrap();
        }
    };
    let all = async { tokio::join!(sending, receiving, server) };
    tokio::time::timeout(Duration::from_mins(1), all)
        .await
        .expect("no deadlock");
}

#[tokio::test]
async fn close_is_answered_with_its_code() {
    let (mut client, mut server) = connected(b"\x88\x06\x03\xf4done").await;
    let closed = client.next().await.unwrap();
    let frame = CloseFrame {
        code: 1012,
        reason: "done".into(),
    };
    assert_eq!(closed, Event::Closed(Some(frame)));
    assert_eq!(
        read_frame(&mut server).await,
        (0x88, b"\x03\xf4done".to_vec())
    );
    assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
    assert!(matches!(client.next().await, Err(ClientError::Closed)));
    assert!(matches!(
        client.send_text("x").await,
        Err(ClientError::Closed)
    ));
}

#[tokio::test]
async fn own_close_waits_for_the_servers() {
    let (mut client, mut server) = connected(b"").await;
    client.close(1000, "bye").await.unwrap();
    assert_eq!(
        read_frame(&mut server).await,
        (0x88, b"\x03\xe8bye".to_vec())
    );
    server.write_all(b"\x81\x01x\x88\x00").await.unwrap();
    assert_eq!(client.next().await.unwrap(), Event::Text("x".into()));
    assert_eq!(client.next().await.unwrap(), Event::Closed(None));
}

#[tokio::test]
async fn close_that_may_not_be_sent_is_refused() {
    let (client, _server) = connected(b"").await;
    for (code, reason) in [
        (1005, ""),
        (1006, ""),
        (999, ""),
        (5000, ""),
        (1000, &*"r".repeat(124)),
    ] {
        let refused = client.close(code, reason).await;
        assert!(matches!(refused, Err(ClientError::Argument(_))), "{code}");
    }
    client.close(1000, &"r".repeat(123)).await.unwrap();
}

#[tokio::test]
async fn end_without_a_close_is_told() {
    for cut in [b"".as_slice(), b"\x81", b"\x81\x05he"] {
        let (mut client, mut server) = connected(b"").await;
        server.write_all(cut).await.unwrap();
        drop(server);
        assert!(matches!(client.next().await, Err(ClientError::Ended)));
        assert!(matches!(client.next().await, Err(ClientError::Closed)));
    }
}

#[tokio::test]
async fn server_that_breaks_the_protocol_is_told_so() {
    let cases: [(&'static [u8], u16); 10] = [
        (b"\x80\x00", 1002),
        (b"\x01\x00\x81\x00", 1002),
        (b"\xc1\x00", 1002),
        (b"\x83\x00", 1002),
        (b"\x09\x00", 1002),
        (b"\x88\x01x", 1002),
        (b"\x88\x02\x03\xed", 1002),
        (b"\x81\x01\xff", 1007),
        (b"\x01\x01\xff\x80\x00", 1007),
        (b"\x82\x7e\x03\xe9", 1009),
    ];
    for (bytes, expected) in cases {
        let (mut client, mut server) = connected(bytes).await;
        let error = client.next().await.unwrap_err();
        let ClientError::Protocol { code, .. } = error else {
            panic!("{bytes:?}: {error}");
        };
        assert_eq!(code, expected, "{bytes:?}");
        let told = (0x88, expected.to_be_bytes().to_vec());
        assert_eq!(read_frame(&mut server).await, told);
    }
}

#[tokio::test]
async fn fragments_over_the_limit_are_refused_together() {
    let (mut client, mut server) = connected(b"").await;
    for first in [0x02, 0x80] {
        let mut frame = vec![first, 0x7e, 0x01, 0xf5];
        frame.extend([0; 501]);
        server.write_all(&frame).await.unwrap();
    }
    assert!(matches!(
        client.next().await,
        Err(ClientError::Protocol { code: 1009, .. })
    ));
}

#[tokio::test]
async fn handshake_answers_that_are_wrong_are_refused() {
    let answer = |upgrade: &str, connection: &str, accept: &str, more: &str| {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: {upgrade}\r\nConnection: {connection}\r\nSec-WebSocket-Accept: {accept}\r\n{more}\r\n"
        )
    };
    let good = |more: &'static str| {
        move |request: &str| answer("websocket", "upgrade", &accept_of(request), more)
    };
    assert_eq!(
        answered(good("Sec-WebSocket-Protocol: chat\r\n"))
            .await
            .unwrap()
            .subprotocol(),
        Some("chat")
    );
    let refusal = refused_with(good("Sec-WebSocket-Protocol: other\r\n")).await;
    assert!(refusal.contains("subprotocol"), "{refusal}");
    let refusal = refused_with(good("Sec-WebSocket-Extensions: permessage-deflate\r\n")).await;
    assert!(refusal.contains("extension"), "{refusal}");
    let refusal = refused_with(|request| {
        answer(
            "websocket",
            "upgrade",
            &accept_of(request),
            "Sec-WebSocket-Accept: x\r\n",
        )
    })
    .await;
    assert!(refusal.contains("Accept"), "{refusal}");
    let refusal = refused_with(|_| answer("websocket", "upgrade", "AAAA", "")).await;
    assert!(refusal.contains("Accept"), "{refusal}");
    let refusal = refused_with(|request| answer("h2c", "upgrade", &accept_of(request), "")).await;
    assert!(refusal.contains("Upgrade"), "{refusal}");
    let refusal =
        refused_with(|request| answer("websocket", "close", &accept_of(request), "")).await;
    assert!(refusal.contains("Connection"), "{refusal}");
}

#[tokio::test]
async fn refusal_is_told_with_its_problem_document() {
    let body = r#"{"title":"Not allowed","detail":"no rule\nadmits you","status":403}"#;
    let refusal = refused_with(|_| {
        format!(
            "HTTP/1.1 403 Forbidden\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    })
    .await;
    assert_eq!(
        refusal,
        "the server refused: 403 Forbidden: Not allowed: no rule admits you"
    );
    let refusal =
        refused_with(|_| "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello".to_owned())
            .await;
    assert_eq!(refusal, "the server refused: 404 Not Found");
    let text = "Content-Type: text/plain\r\nContent-Length: 15\r\n\r\nUse wss://.\nyes";
    let refusal = refused_with(|_| format!("HTTP/1.1 400 Bad Request\r\n{text}")).await;
    assert_eq!(refusal, "the server refused: 400 Bad Request: Use wss://.");
}

#[tokio::test]
async fn answer_that_is_no_http_or_none_at_all_is_told() {
    let refusal = refused_with(|_| "SSH-2.0-x\r\n\r\n".to_owned()).await;
    assert!(refusal.contains("handshake is wrong"), "{refusal}");
    let (listener, client) = listener().await;
    let server = async { drop(listener.accept().await.unwrap()) };
    let (client, ()) = tokio::join!(client.connect(), server);
    let refusal = client.err().unwrap().to_string();
    assert!(
        refusal.contains("fail") || refusal.contains("wrong"),
        "{refusal}"
    );
}

#[tokio::test(start_paused = true)]
async fn server_that_is_silent_meets_the_timeout() {
    let (listener, client) = listener().await;
    let client = client.timeout(Duration::from_secs(3)).connect();
    let (client, _stream) = tokio::join!(client, listener.accept());
    assert!(matches!(client, Err(ClientError::Timeout(_))));
}

#[tokio::test]
async fn fields_of_the_handshake_cannot_be_set() {
    for (name, value) in [
        ("Connection", "close"),
        ("Sec-WebSocket-Key", "x"),
        ("Upgrade", "h2c"),
        ("no name", "x"),
        ("x", "a\r\nb"),
    ] {
        let refused = Client::builder("ws://127.0.0.1:1/").header(name, value);
        let refused = refused.connect().await.err().unwrap();
        assert!(matches!(refused, ClientError::Argument(_)), "{refused}");
    }
}
