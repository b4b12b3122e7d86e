//! An open WebSocket, and its sending half.

use bytes::Bytes;
use tokio::io;

use super::{
    error::ClientError,
    incoming::{DataFrame, Incoming},
    outgoing::Outgoing,
    receiver::{CLOSE_TIMEOUT, Event, WebSocketReceiver},
    transport::{TlsParameters, Transport},
    writer::Writer,
};
use crate::{
    frame::{Opcode, close::may_be_sent, control::PAYLOAD_MAX},
    integrity::agreement::Agreement,
};

/// An open WebSocket.
pub struct WebSocketConnection {
    pub(super) sender: WebSocketSender,
    receiver: WebSocketReceiver,
    subprotocol: Option<String>,
    tls: Option<TlsParameters>,
    agreement: Option<Agreement>,
}

/// The half that sends; clones send on the same connection.
#[derive(Clone)]
pub struct WebSocketSender {
    writer: Writer,
}

/// A transport after the opening handshake.
pub(super) struct Opened {
    pub(super) transport: Box<dyn Transport>,
    /// Bytes that came after the 101.
    pub(super) early: Bytes,
    pub(super) subprotocol: Option<String>,
    pub(super) tls: Option<TlsParameters>,
    /// How the frames are sealed, if they are.
    pub(super) agreement: Option<Agreement>,
    pub(super) message_limit: usize,
}

impl WebSocketConnection {
    pub(super) fn new(upgraded: Opened) -> Self {
        let Opened {
            transport,
            early,
            subprotocol,
            tls,
            agreement,
            message_limit,
        } = upgraded;
        let (read, write) = io::split(transport);
        let (opener, sealer) = agreement.as_ref().map(Agreement::client_ends).unzip();
        let writer = Writer::new(write, sealer);
        let mut incoming = Incoming::new(message_limit, opener);
        incoming.push(&early);
        Self {
            receiver: WebSocketReceiver::new(read, incoming, writer.clone()),
            sender: WebSocketSender { writer },
            subprotocol,
            tls,
            agreement,
        }
    }

    /// The subprotocol that the server chose.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// What TLS agreed on; `None` for `ws`.
    pub fn tls(&self) -> Option<&TlsParameters> {
        self.tls.as_ref()
    }

    /// How the frames are sealed; `None`: they are not, which takes
    /// [`ClientBuilder::integrity_optional`](super::ClientBuilder::integrity_optional) or no offer.
    pub fn agreed(&self) -> Option<&Agreement> {
        self.agreement.as_ref()
    }

    /// Sends a text message.
    pub async fn send_text(&self, text: &str) -> Result<(), ClientError> {
        self.sender.send_text(text).await
    }

    /// Sends a binary message.
    pub async fn send_binary(&self, bytes: &[u8]) -> Result<(), ClientError> {
        self.sender.send_binary(bytes).await
    }

    /// Sends a ping of at most 125 bytes; the answer is an event.
    pub async fn ping(&self, bytes: &[u8]) -> Result<(), ClientError> {
        self.sender.ping(bytes).await
    }

    /// Sends a Close. The server's own is the last event.
    pub async fn close(&self, code: u16, reason: &str) -> Result<(), ClientError> {
        self.sender.close(code, reason).await
    }

    /// Waits for the next event; giving up waiting loses nothing. After the last: `Closed`.
    pub async fn next(&mut self) -> Result<Event, ClientError> {
        self.receiver.next().await
    }

    /// The two halves, to send and receive at the same time.
    pub fn split(self) -> (WebSocketSender, WebSocketReceiver) {
        (self.sender, self.receiver)
    }

    /// Says why there will be no conversation. Whether the server hears it changes nothing.
    pub(super) async fn give_up(self, code: u16) {
        self.sender.writer.close(&code.to_be_bytes());
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.sender.writer.finish()).await;
    }
}

impl WebSocketSender {
    /// Sends a text message; it goes out whole even if the future is dropped.
    pub async fn send_text(&self, text: &str) -> Result<(), ClientError> {
        self.send(Opcode::Text, text.as_bytes()).await
    }

    /// Sends a binary message; it goes out whole even if the future is dropped.
    pub async fn send_binary(&self, bytes: &[u8]) -> Result<(), ClientError> {
        self.send(Opcode::Binary, bytes).await
    }

    /// Sends one frame of a message. That the frames of messages follow each other as RFC 6455
    /// section 5.4 says is for the caller to see to.
    pub async fn send_frame(&self, frame: &DataFrame) -> Result<(), ClientError> {
        if frame.opcode.is_control() {
            let message = "a control frame is not part of a message; use ping or close";
            return Err(ClientError::Argument(message.to_owned()));
        }
        let frame = Outgoing {
            opcode: frame.opcode,
            last: frame.last,
            payload: &frame.payload,
        };
        self.writer.send(&frame).await
    }

    /// Sends a ping of at most 125 bytes; the answer is an event.
    pub async fn ping(&self, bytes: &[u8]) -> Result<(), ClientError> {
        if bytes.len() > PAYLOAD_MAX {
            return Err(ClientError::Argument(format!(
                "a ping holds {PAYLOAD_MAX} bytes, not {}",
                bytes.len()
            )));
        }
        self.send(Opcode::Ping, bytes).await
    }

    /// Sends a Close. The server's own is the receiver's last event. A reason has at most 123
    /// bytes, on a sealed connection 91.
    pub async fn close(&self, code: u16, reason: &str) -> Result<(), ClientError> {
        let longest = self.writer.longest_reason();
        if reason.len() > longest || !may_be_sent(code) {
            return Err(ClientError::Argument(format!(
                "a Close with code {code} and a reason of {} bytes cannot be sent; use 1000 or 3000 to 4999, and at most {longest} bytes",
                reason.len()
            )));
        }
        let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
        self.send(Opcode::Close, &payload).await
    }

    /// Sends a Close without a code.
    pub async fn close_without_code(&self) -> Result<(), ClientError> {
        self.send(Opcode::Close, &[]).await
    }

    async fn send(&self, opcode: Opcode, payload: &[u8]) -> Result<(), ClientError> {
        self.writer.send(&Outgoing::whole(opcode, payload)).await
    }
}
