//! `tidegate connect`: a WebSocket for a terminal. Lines go out as messages, messages come in as lines.

use crate::{
    client::{
        Client, ClientBuilder, ClientError, CloseFrame, Event, WebSocketConnection,
        WebSocketReceiver, WebSocketSender,
    },
    credential::{MaterialError, file, private_key},
};
use arrivals::Arrivals;
use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Args;
use error::CLOSE_TIMEOUT;
use rustls::pki_types::CertificateDer;
use std::{
    fmt, fs,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader};
use zeroize::Zeroizing;

mod arrivals;
mod error;
mod sealing;
#[cfg(test)]
mod tests;

pub use error::ConnectError;
pub use sealing::SealingArguments;

/// Where systems keep the CAs that they trust.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The arguments of `tidegate connect`.
#[derive(Args, Clone, Debug)]
pub struct ConnectArguments {
    /// Where to connect, as in `wss://localhost:8443/chat`
    pub url: String,
    /// Client certificate chain, PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Private key of the client certificate, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// CA that the server's certificate has to come from, PEM [may be repeated; default: the system's]
    #[arg(long, value_name = "FILE")]
    pub ca: Vec<PathBuf>,
    /// Field of the request, as in 'Cookie: a=b' [may be repeated]
    #[arg(long, value_name = "FIELD")]
    pub header: Vec<String>,
    /// Subprotocol to offer [may be repeated]
    #[arg(long, value_name = "NAME")]
    pub subprotocol: Vec<String>,
    /// Page that the request comes from, as in `https://example.com`
    #[arg(long)]
    pub origin: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it as a help text")]
    pub sealing: SealingArguments,
    /// Send binary messages
    #[arg(long)]
    pub binary: bool,
    /// Send this instead of lines of the input [may be repeated]
    #[arg(long, value_name = "TEXT")]
    pub message: Vec<String>,
    /// Close after the first message that arrives
    #[arg(long)]
    pub once: bool,
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
}

/// How a conversation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending(Option<CloseFrame>);

/// What is done with messages, in either direction.
#[derive(Clone, Copy)]
struct Manner {
    binary: bool,
    once: bool,
    printing: Printing,
}

/// How what arrives is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Printing {
    /// As it is.
    Plain,
    /// A terminal obeys control characters, so none that a server sent may reach it.
    Terminal,
    /// One object a line.
    Json,
}

impl Ending {
    /// Whether that is how conversations normally end: Close without a code, 1000 or 1001.
    pub fn is_normal(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|close| matches!(close.code, 1000 | 1001))
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("closed without a code"),
            Some(close) if close.reason.is_empty() => write!(f, "closed with {}", close.code),
            Some(close) => write!(f, "closed with {}: {}", close.code, visible(&close.reason)),
        }
    }
}

/// Connects and talks until either side closes. Messages go to `output`, how it ended to `errors`.
pub fn run(
    arguments: &ConnectArguments,
    output: &mut impl Write,
    errors: &mut impl Write,
) -> Result<Ending, ConnectError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(talk(arguments, output, errors));
    // A thread may be waiting for a line of the input, which may never come.
    runtime.shutdown_background();
    let ending = result?;
    if !arguments.json {
        writeln!(errors, "{ending}")?;
    }
    Ok(ending)
}

async fn talk(
    arguments: &ConnectArguments,
    output: &mut impl Write,
    errors: &mut impl Write,
) -> Result<Ending, ConnectError> {
    let connection = client(arguments)?.connect().await?;
    if !arguments.json && !arguments.sealing.is_empty() {
        writeln!(errors, "{}", sealing::agreed(connection.agreed()))?;
    }
    let manner = Manner {
        binary: arguments.binary,
        once: arguments.once,
        printing: match arguments.json {
            true => Printing::Json,
            false if io::stdout().is_terminal() => Printing::Terminal,
            false => Printing::Plain,
        },
    };
    if arguments.message.is_empty() {
        let input = BufReader::new(tokio::io::stdin());
        return converse(connection, input, manner, output).await;
    }
    let (sender, receiver) = connection.split();
    let sending = send_all(&sender, &arguments.message, manner);
    exchange(
        sending,
        &sender,
        receiver,
        manner,
        &Arrivals::default(),
        output,
    )
    .await
}

/// Lines of the input go out until it ends; then the socket is closed.
async fn converse(
    connection: WebSocketConnection,
    input: impl AsyncBufRead + Unpin,
    manner: Manner,
    output: &mut impl Write,
) -> Result<Ending, ConnectError> {
    let (sender, receiver) = connection.split();
    let arrivals = Arrivals::default();
    let sending = send_lines(&sender, input, manner, &arrivals);
    exchange(sending, &sender, receiver, manner, &arrivals, output).await
}

/// Sends and receives at the same time, until the server's Close.
async fn exchange(
    sending: impl Future<Output = Result<(), ConnectError>>,
    sender: &WebSocketSender,
    receiver: WebSocketReceiver,
    manner: Manner,
    arrivals: &Arrivals,
    output: &mut impl Write,
) -> Result<Ending, ConnectError> {
    let sending = async {
        match sending.await {
            // The server closed meanwhile; what it said is yet to be read.
            Ok(()) | Err(ConnectError::Client(ClientError::Closed)) => std::future::pending().await,
            Err(error) => Err(error),
        }
    };
    tokio::select! {
        biased;
        ending = receive(sender, receiver, manner, arrivals, output) => ending,
        failed = sending => failed,
    }
}

async fn receive(
    sender: &WebSocketSender,
    mut receiver: WebSocketReceiver,
    manner: Manner,
    arrivals: &Arrivals,
    output: &mut impl Write,
) -> Result<Ending, ConnectError> {
    let mut closing = false;
    loop {
        let event = if closing {
            let event = tokio::time::timeout(CLOSE_TIMEOUT, receiver.next()).await;
            event.map_err(|_| ConnectError::NoClose)??
        } else {
            receiver.next().await?
        };
        let is_message = matches!(event, Event::Text(_) | Event::Binary(_));
        if is_message {
            arrivals.note();
        }
        if !(closing && is_message) {
            print(&event, manner, output)?;
        }
        if let Event::Closed(close) = event {
            return Ok(Ending(close));
        }
        if is_message && manner.once && !closing {
            closing = true;
            sender.close(1000, "").await?;
        }
    }
}

async fn send_lines(
    sender: &WebSocketSender,
    mut input: impl AsyncBufRead + Unpin,
    manner: Manner,
    arrivals: &Arrivals,
) -> Result<(), ConnectError> {
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line).await? > 0 {
        let content = line.strip_suffix(b"\n").unwrap_or(&line);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        send(sender, content, manner).await?;
        line.clear();
    }
    if manner.once {
        // The message that is waited for has yet to come.
        return Ok(());
    }
    arrivals.quiet().await;
    sender.close(1000, "").await?;
    tokio::time::sleep(CLOSE_TIMEOUT).await;
    Err(ConnectError::NoClose)
}

async fn send_all(
    sender: &WebSocketSender,
    messages: &[String],
    manner: Manner,
) -> Result<(), ConnectError> {
    for message in messages {
        send(sender, message.as_bytes(), manner).await?;
    }
    Ok(())
}

async fn send(
    sender: &WebSocketSender,
    content: &[u8],
    manner: Manner,
) -> Result<(), ConnectError> {
    if manner.binary {
        return Ok(sender.send_binary(content).await?);
    }
    let text = std::str::from_utf8(content).map_err(|_| {
        ConnectError::Argument("a line of the input is not UTF-8; send it with --binary".to_owned())
    })?;
    Ok(sender.send_text(text).await?)
}

fn print(event: &Event, manner: Manner, output: &mut impl Write) -> io::Result<()> {
    match (event, manner.printing) {
        (_, Printing::Json) => writeln!(output, "{}", json(event))?,
        (Event::Text(text), Printing::Terminal) => writeln!(output, "{}", visible(text))?,
        (Event::Text(text), Printing::Plain) => writeln!(output, "{text}")?,
        (Event::Binary(bytes), Printing::Terminal) => {
            writeln!(output, "{} bytes: {}", bytes.len(), STANDARD.encode(bytes))?;
        }
        (Event::Binary(bytes), Printing::Plain) => output.write_all(bytes)?,
        (Event::Pong(_) | Event::Closed(_), _) => {}
    }
    output.flush()
}

fn json(event: &Event) -> serde_json::Value {
    match event {
        Event::Text(text) => serde_json::json!({ "type": "text", "text": text }),
        Event::Binary(bytes) => {
            serde_json::json!({ "type": "binary", "base64": STANDARD.encode(bytes) })
        }
        Event::Pong(bytes) => {
            serde_json::json!({ "type": "pong", "base64": STANDARD.encode(bytes) })
        }
        Event::Closed(None) => serde_json::json!({ "type": "close" }),
        Event::Closed(Some(close)) => {
            serde_json::json!({ "type": "close", "code": close.code, "reason": close.reason })
        }
    }
}

/// A text with its control characters written out.
fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' | '\n' => visible.push(character),
            control if control.is_control() => visible.extend(control.escape_default()),
            plain => visible.push(plain),
        }
    }
    visible
}

/// The client that the arguments describe.
pub fn client(arguments: &ConnectArguments) -> Result<ClientBuilder, ConnectError> {
    let mut client = Client::builder(&arguments.url);
    if arguments.url.starts_with("wss:") {
        client = client.roots(roots(&arguments.ca)?);
    }
    if let (Some(chain), Some(key)) = (&arguments.cert, &arguments.key) {
        let secret = file::private_key_in(key, &read(key)?).map_err(|error| unreadable(&error))?;
        let secret = private_key::owned(&secret).ok_or_else(|| {
            let message = "the private key is of an unknown kind";
            unreadable(&MaterialError::new(key, message, private_key::EXPECTED))
        })?;
        let chain =
            file::certificates_in(chain, &read(chain)?).map_err(|error| unreadable(&error))?;
        client = client.identity(chain, secret);
    }
    for field in &arguments.header {
        let (name, value) = field.split_once(':').ok_or_else(|| {
            ConnectError::Argument(format!(
                "--header {field:?} has no colon; write it as 'Name: value'"
            ))
        })?;
        client = client.header(name.trim(), value.trim());
    }
    for name in &arguments.subprotocol {
        client = client.subprotocol(name);
    }
    if let Some(origin) = &arguments.origin {
        client = client.origin(origin);
    }
    arguments.sealing.apply(client)
}

fn roots(files: &[PathBuf]) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    if !files.is_empty() {
        let read: Result<Vec<_>, _> = files.iter().map(|file| authorities(file)).collect();
        return Ok(read?.into_iter().flatten().collect());
    }
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let file = named.or_else(|| {
        let mut files = SYSTEM_ROOTS.iter().map(PathBuf::from);
        files.find(|file| file.exists())
    });
    match file {
        Some(file) => authorities(&file),
        None => Err(ConnectError::Argument(
            "this system has no list of trusted CAs; name one with --ca".to_owned(),
        )),
    }
}

fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    file::authorities_in(file, &read(file)?).map_err(|error| unreadable(&error))
}

/// Also from a pipe, as in `--key <(pass show key)`.
fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, ConnectError> {
    fs::read(file)
        .map(Zeroizing::new)
        .map_err(|error| ConnectError::Argument(format!("cannot read {}: {error}", file.display())))
}

fn unreadable(error: &MaterialError) -> ConnectError {
    ConnectError::Argument(error.to_string())
}
