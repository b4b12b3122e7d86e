//! Lets a WebSocket client that knows nothing of frame integrity talk to a route that requires it.
//!
//! Each connection to `--listen`, which is plain `ws://` and should be a loopback address, becomes
//! a connection to URL whose frames are sealed. Frames are passed on as they come: a fragment
//! stays a fragment, and a Close keeps its code and reason. The path of the request, its fields and
//! its subprotocols are not passed on. Other arguments are those of `tidegate connect`.
//!
//! ```text
//! cargo run --example sealed_adaptor -- --listen 127.0.0.1:9002 wss://localhost:8443/ \
//!     --ca certs/ca.pem --cert certs/client.pem --key certs/client.key \
//!     --integrity hmac-sha-256 --kid web --public KEY
//! ```
//!
//! Conformance suites that speak plain WebSocket are run through it against sealed routes.

#![allow(clippy::print_stderr, reason = "this is a program for a terminal")]

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::BytesMut;
use clap::Parser;
use sha1::{Digest, Sha1};
use std::{error::Error, io, net::SocketAddr, time::Duration};
use tidegate::{
    cli::connect::{self, ConnectArguments},
    client::{
        Arrived, ClientError, CloseFrame, DataFrame, WebSocketConnection, WebSocketReceiver,
        WebSocketSender,
    },
    frame::{
        ControlFrame, Event, Header, Opcode, Rules, Scanner, Violation, close, control::REASON_MAX,
        mask,
    },
    integrity::Binding,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Mutex,
    time::timeout,
};

/// What ends a connection early; told on stderr.
type Failure = Box<dyn Error + Send + Sync>;

/// Bytes of a request's header at most.
const REQUEST_LIMIT: usize = 16 * 1024;
/// Bytes of a message at most.
const MESSAGE_LIMIT: u64 = 64 << 20;
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Seals the frames of clients that cannot.
#[derive(Parser)]
struct Arguments {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9002")]
    listen: SocketAddr,
    #[command(flatten)]
    connect: ConnectArguments,
}

/// The client's sending direction as read here.
struct Input {
    stream: OwnedReadHalf,
    bytes: BytesMut,
    scanner: Scanner,
    frame: Option<(Header, Vec<u8>)>,
}

/// The way back to the client; nothing follows a Close.
struct Output {
    stream: OwnedWriteHalf,
    closed: bool,
}

/// How the client's direction ended.
enum InputEnd {
    /// With a Close, which was passed on.
    Closed,
    /// Without one.
    Lost,
}

enum Item {
    Data(DataFrame),
    Control(ControlFrame),
    Broken(Violation),
    End,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let listener = TcpListener::bind(arguments.listen).await?;
    eprintln!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        let connect = arguments.connect.clone();
        tokio::spawn(async move {
            if let Err(error) = adapt(stream, &connect).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn adapt(mut client: TcpStream, arguments: &ConnectArguments) -> Result<(), Failure> {
    client.set_nodelay(true)?;
    let accept = read_request(&mut client).await?;
    let server = match connect(arguments).await {
        Ok(server) => server,
        Err(error) => {
            let refusal = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
            client.write_all(refusal).await?;
            return Err(error);
        }
    };
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    client.write_all(answer.as_bytes()).await?;
    relay(client, server).await
}

async fn connect(arguments: &ConnectArguments) -> Result<WebSocketConnection, Failure> {
    let limit = usize::try_from(MESSAGE_LIMIT)?;
    let client = connect::client(arguments)?.message_limit(limit);
    Ok(client.connect().await?)
}

/// Reads the opening handshake; returns the value of `Sec-WebSocket-Accept` (RFC 6455 section 4.2.2).
async fn read_request(client: &mut TcpStream) -> io::Result<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") && request.len() < REQUEST_LIMIT {
        request.push(client.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&request);
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    let key = fields.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
    let (_, key) = key.ok_or_else(|| io::Error::other("this is no WebSocket request"))?;
    let input = format!("{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key.trim());
    Ok(STANDARD.encode(Sha1::digest(input)))
}

/// Both directions, until one has ended the connection.
async fn relay(client: TcpStream, server: WebSocketConnection) -> Result<(), Failure> {
    let longest_reason = match server.agreed() {
        Some(_) => Binding::Frame.longest_reason(),
        None => REASON_MAX,
    };
    let (sender, receiver) = server.split();
    let (read, stream) = client.into_split();
    let closed = false;
    let output = Mutex::new(Output { stream, closed });
    let to_server = to_server(Input::new(read), &sender, &output, longest_reason);
    let to_client = to_client(receiver, &output);
    tokio::pin!(to_client);
    tokio::select! {
        ended = &mut to_client => ended?,
        ended = to_server => match ended? {
            // What the server answers, above all its Close, is still to be passed on.
            InputEnd::Closed => timeout(CLOSE_TIMEOUT, to_client).await??,
            InputEnd::Lost => {}
        },
    }
    Ok(())
}

async fn to_server(
    mut input: Input,
    sender: &WebSocketSender,
    output: &Mutex<Output>,
    longest_reason: usize,
) -> Result<InputEnd, ClientError> {
    loop {
        match input.next().await {
            Item::Data(frame) => sender.send_frame(&frame).await?,
            Item::Control(frame) => match frame.opcode() {
                Opcode::Ping => sender.ping(frame.payload()).await?,
                Opcode::Close => {
                    pass_close(sender, &frame, longest_reason).await?;
                    return Ok(InputEnd::Closed);
                }
                _ => {}
            },
            Item::Broken(violation) => {
                let code = violation.code();
                let close = ControlFrame::close(code, violation.sentence());
                let _ = output.lock().await.close(&close).await;
                sender.close(code, "").await?;
                return Ok(InputEnd::Closed);
            }
            Item::End => return Ok(InputEnd::Lost),
        }
    }
}

async fn pass_close(
    sender: &WebSocketSender,
    frame: &ControlFrame,
    longest_reason: usize,
) -> Result<(), ClientError> {
    let passed = match frame.close_code() {
        Some(code) => {
            let reason = close::truncate(frame.close_reason(), longest_reason);
            sender.close(code, reason).await
        }
        None => sender.close_without_code().await,
    };
    match passed {
        // Both sides closed at the same time.
        Err(ClientError::Closed) => Ok(()),
        passed => passed,
    }
}

async fn to_client(mut receiver: WebSocketReceiver, output: &Mutex<Output>) -> Result<(), Failure> {
    loop {
        let arrived = receiver.next_frame().await;
        let mut output = output.lock().await;
        match arrived {
            Ok(Arrived::Data(frame)) => output.data(&frame).await?,
            Ok(Arrived::Pong(payload)) => output.control(&ControlFrame::pong(&payload)).await?,
            Ok(Arrived::Closed(close)) => {
                output.close(&close_of(close.as_ref())).await?;
                return Ok(output.stream.shutdown().await?);
            }
            Err(error) => {
                let code = match error {
                    ClientError::Integrity(_) => close::POLICY_VIOLATION,
                    _ => close::INTERNAL_ERROR,
                };
                let _ = output.close(&ControlFrame::close(code, "")).await;
                return Err(error.into());
            }
        }
    }
}

fn close_of(close: Option<&CloseFrame>) -> ControlFrame {
    match close {
        Some(close) => ControlFrame::close(close.code, &close.reason),
        // 1005 is never sent, and stands for no code at all.
        None => ControlFrame::close(close::NO_STATUS_RECEIVED, ""),
    }
}

impl Input {
    fn new(stream: OwnedReadHalf) -> Self {
        Self {
            stream,
            bytes: BytesMut::new(),
            scanner: Scanner::new(Rules::for_client(MESSAGE_LIMIT, MESSAGE_LIMIT)),
            frame: None,
        }
    }

    async fn next(&mut self) -> Item {
        loop {
            let (size, event) = match self.scanner.next(&self.bytes) {
                Ok(found) => found,
                Err(violation) => return Item::Broken(violation),
            };
            let passed = self.bytes.split_to(size);
            match event {
                Some(Event::Control(frame)) => return Item::Control(frame),
                Some(Event::DataHeader(header)) => self.frame = Some((header, Vec::new())),
                Some(Event::DataPayload { finished }) => {
                    if let Some((_, payload)) = &mut self.frame {
                        payload.extend_from_slice(&passed);
                    }
                    if let Some(frame) = self.frame.take_if(|_| finished) {
                        return Item::Data(whole(frame));
                    }
                }
                None => match self.stream.read_buf(&mut self.bytes).await {
                    Ok(size) if size > 0 => {}
                    _ => return Item::End,
                },
            }
        }
    }
}

fn whole((header, mut payload): (Header, Vec<u8>)) -> DataFrame {
    mask::apply(header.mask.unwrap_or_default(), 0, &mut payload);
    DataFrame {
        opcode: header.opcode,
        last: header.fin,
        payload,
    }
}

impl Output {
    async fn data(&mut self, frame: &DataFrame) -> io::Result<()> {
        let header = Header {
            fin: frame.last,
            reserved: 0,
            opcode: frame.opcode,
            mask: None,
            length: frame.payload.len() as u64,
        };
        self.write(header.encode().as_slice()).await?;
        self.write(&frame.payload).await
    }

    async fn control(&mut self, frame: &ControlFrame) -> io::Result<()> {
        self.write(frame.encode(None).as_slice()).await
    }

    async fn close(&mut self, frame: &ControlFrame) -> io::Result<()> {
        self.control(frame).await?;
        self.closed = true;
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        self.stream.write_all(bytes).await
    }
}
