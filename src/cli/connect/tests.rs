use super::*;
use clap::Parser;
use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocket};
use sha1::{Digest, Sha1};
use std::io::Cursor;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const PLAIN: Manner = Manner {
    binary: false,
    once: false,
    printing: Printing::Plain,
};

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    arguments: ConnectArguments,
}

pub(super) fn parse(words: &[&str]) -> Result<ConnectArguments, clap::Error> {
    let words = ["connect"].iter().chain(words);
    Program::try_parse_from(words).map(|program| program.arguments)
}

async fn upgraded(listener: &TcpListener) -> WebSocket<TcpStream> {
    let mut stream = listener.accept().await.unwrap().0;
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    let request = String::from_utf8(request).unwrap();
    let key = request
        .lines()
        .find_map(|line| line.strip_prefix("sec-websocket-key: "))
        .unwrap();
    let accept = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        STANDARD.encode(accept)
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    WebSocket::after_handshake(stream, Role::Server)
}

/// Echoes messages, and answers the Close with this code; returns the opcodes that came.
async fn echo(listener: &TcpListener, code: u16) -> Vec<OpCode> {
    let mut socket = upgraded(listener).await;
    socket.set_auto_close(false);
    let mut seen = Vec::new();
    loop {
        let frame = socket.read_frame().await.unwrap();
        seen.push(frame.opcode);
        if frame.opcode == OpCode::Close {
            let _ = socket.write_frame(Frame::close(code, b"")).await;
            return seen;
        }
        let payload = Payload::Owned(frame.payload.to_vec());
        let echo = Frame::new(true, frame.opcode, None, payload);
        socket.write_frame(echo).await.unwrap();
    }
}

/// Talks to an echo server; returns the result, the output, and what the server saw.
async fn talked(
    input: &'static [u8],
    manner: Manner,
    code: u16,
) -> (Result<Ending, ConnectError>, String, Vec<OpCode>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let mut output = Vec::new();
    let talking = async {
        let connection = Client::builder(url).connect().await.unwrap();
        converse(connection, Cursor::new(input), manner, &mut output).await
    };
    let (result, seen) = tokio::join!(talking, echo(&listener, code));
    (result, String::from_utf8(output).unwrap(), seen)
}

#[tokio::test]
async fn lines_go_out_and_messages_come_in_until_the_input_ends() {
    let (result, output, seen) = talked("one\r\nzwö\n\nlast".as_bytes(), PLAIN, 1000).await;
    let ending = result.unwrap();
    assert!(ending.is_normal());
    assert_eq!(ending.to_string(), "closed with 1000");
    assert_eq!(output, "one\nzwö\n\nlast\n");
    let text = OpCode::Text;
    assert_eq!(seen, [text, text, text, text, OpCode::Close]);
}

/// As many servers are: one that has seen a Close sends nothing more.
#[tokio::test]
async fn answers_to_the_last_lines_are_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let mut output = Vec::new();
    let talking = async {
        let connection = Client::builder(url).connect().await.unwrap();
        converse(connection, Cursor::new(b"hello\n"), PLAIN, &mut output).await
    };
    let slow = async {
        let mut socket = upgraded(&listener).await;
        socket.set_auto_close(false);
        socket.read_frame().await.unwrap();
        let patience = std::time::Duration::from_millis(100);
        let early = tokio::time::timeout(patience, socket.read_frame()).await;
        assert!(early.is_err(), "it closed before the answer could come");
        let answer = Payload::Borrowed(b"answer");
        socket.write_frame(Frame::text(answer)).await.unwrap();
        let close = socket.read_frame().await.unwrap();
        assert_eq!(close.opcode, OpCode::Close);
        socket.write_frame(Frame::close(1000, b"")).await.unwrap();
    };
    let (result, ()) = tokio::join!(talking, slow);
    assert!(result.unwrap().is_normal());
    assert_eq!(output, b"answer\n");
}

#[tokio::test]
async fn abnormal_close_code_is_told() {
    let (result, ..) = talked(b"", PLAIN, 1008).await;
    let ending = result.unwrap();
    assert!(!ending.is_normal());
    assert_eq!(ending.to_string(), "closed with 1008");
}

#[tokio::test]
async fn once_closes_after_the_first_message() {
    let manner = Manner {
        once: true,
        ..PLAIN
    };
    let (result, output, seen) = talked(b"one\n", manner, 1000).await;
    assert!(result.unwrap().is_normal());
    assert_eq!(output, "one\n");
    assert_eq!(seen, [OpCode::Text, OpCode::Close]);
}

#[tokio::test]
async fn binary_lines_keep_their_bytes() {
    let manner = Manner {
        binary: true,
        printing: Printing::Json,
        ..PLAIN
    };
    let (result, output, seen) = talked(b"\xff\x00\n", manner, 1000).await;
    assert!(result.unwrap().is_normal());
    assert_eq!(seen, [OpCode::Binary, OpCode::Close]);
    let lines: Vec<serde_json::Value> = output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines,
        [
            serde_json::json!({ "type": "binary", "base64": "/wA=" }),
            serde_json::json!({ "type": "close", "code": 1000, "reason": "" }),
        ]
    );
}

#[tokio::test]
async fn text_line_that_is_not_utf_8_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let talking = async {
        let connection = Client::builder(url).connect().await.unwrap();
        let mut output = Vec::new();
        converse(connection, Cursor::new(b"\xff\n"), PLAIN, &mut output).await
    };
    let (result, _socket) = tokio::join!(talking, upgraded(&listener));
    let refusal = result.unwrap_err().to_string();
    assert!(refusal.contains("--binary"), "{refusal}");
}

#[tokio::test]
async fn server_that_does_not_answer_the_close_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let connecting = Client::builder(url).connect();
    let (connection, _socket) = tokio::join!(connecting, upgraded(&listener));
    tokio::time::pause();
    let mut output = Vec::new();
    let result = converse(connection.unwrap(), Cursor::new(b""), PLAIN, &mut output).await;
    assert!(matches!(result, Err(ConnectError::NoClose)));
}

#[test]
fn control_characters_do_not_reach_a_terminal() {
    let manner = Manner {
        printing: Printing::Terminal,
        ..PLAIN
    };
    let mut output = Vec::new();
    let hostile = Event::Text("a\u{1b}[2Jb\tc\u{9b}".to_owned());
    print(&hostile, manner, &mut output).unwrap();
    assert_eq!(output, b"a\\u{1b}[2Jb\tc\\u{9b}\n");
}

#[test]
fn arguments_that_do_not_fit_together_are_refused() {
    assert!(parse(&["wss://a.test", "--cert", "c.pem"]).is_err());
    assert!(parse(&[]).is_err());
    let arguments = parse(&["ws://a.test", "--header", "no colon"]).unwrap();
    let refusal = client(&arguments).err().unwrap().to_string();
    assert!(refusal.contains("no colon"), "{refusal}");
    let arguments = parse(&["wss://a.test", "--ca", "/nowhere/ca.pem"]).unwrap();
    let refusal = client(&arguments).err().unwrap().to_string();
    assert!(refusal.contains("/nowhere/ca.pem"), "{refusal}");
}

#[test]
fn messages_as_arguments_are_sent_without_input() {
    let (address, bound) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            address.send(listener.local_addr().unwrap()).unwrap();
            echo(&listener, 1000).await
        })
    });
    let url = format!("ws://{}/", bound.recv().unwrap());
    let arguments = parse(&[&url, "--message", "hello", "--once"]).unwrap();
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let ending = run(&arguments, &mut output, &mut errors).unwrap();
    assert!(ending.is_normal());
    assert_eq!(output, b"hello\n");
    assert_eq!(errors, b"closed with 1000\n");
    assert_eq!(server.join().unwrap(), [OpCode::Text, OpCode::Close]);
}
