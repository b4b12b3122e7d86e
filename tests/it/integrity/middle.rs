//! A man in the middle: it ends TLS with a certificate that the client trusts, and changes frames.

use crate::support::{
    Dial, Proxy, Wire,
    frame::{self, Frame},
    wire::Head,
};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use std::{net::SocketAddr, sync::Arc};
use tidegate::frame::Opcode;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// What is done to one frame of data, or to the Close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Everything passes.
    Nothing,
    /// A bit of the data.
    Flip,
    /// The last byte of the tag.
    FlipTag,
    /// It comes twice.
    Replay,
    /// It does not come.
    Drop,
    /// It comes after the next one.
    Reorder,
    /// Another one comes before it, with a tag of somebody's making.
    Inject,
    /// Another one comes before it, without a tag.
    InjectUntagged,
    /// Text becomes binary.
    Retype,
    /// The last byte is cut off.
    LoseByte,
    /// The connections are cut instead of it.
    Truncate,
    /// A clean Close comes instead of it.
    ForgeClose,
    /// The tag of the Close.
    FlipClose,
    /// The connections are cut instead of the Close.
    DropClose,
}

/// What passes in one direction.
struct Pump {
    change: Change,
    /// The number of the data frame that is changed.
    at: usize,
    seen: usize,
    held: Option<Frame>,
    masked: bool,
}

/// The middle; dropping it ends it.
pub(super) struct Middle {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Middle {
    /// Before the proxy, for the one connection after which it ends; `c2s` and `s2c` are what is
    /// done to the frame of that number in each direction.
    pub(super) async fn before(proxy: &Proxy, c2s: (Change, usize), s2c: (Change, usize)) -> Self {
        let own = proxy.credentials.ca.issue_server(&["localhost"]).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(own.chain(), own.key().unwrap())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let dial = proxy.dial();
        let task = tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.unwrap();
            let client = acceptor.accept(tcp).await.unwrap();
            let upstream = TcpStream::connect(dial.remote()).await.unwrap();
            let upstream = dial.over(upstream).await.unwrap();
            relay(Wire::new(client, None), Wire::new(upstream, None), c2s, s2c).await;
        });
        Self { address, task }
    }

    /// How a client connects that takes the middle for the proxy.
    pub(super) fn dial(&self, proxy: &Proxy) -> Dial {
        proxy.dial().address(self.address)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Middle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn relay(mut client: Wire, mut server: Wire, c2s: (Change, usize), s2c: (Change, usize)) {
    let Ok(request) = client.try_read_head().await else {
        return;
    };
    server.send(&bytes_of(&request)).await;
    let head = server.read_head().await;
    client.send(&bytes_of(&head)).await;
    let mut to_server = Pump::new(c2s, true);
    let mut to_client = Pump::new(s2c, false);
    loop {
        // One of the two is cancelled, and keeps what it has read.
        let (frame, forth) = tokio::select! {
            frame = client.try_read_frame() => (frame, true),
            frame = server.try_read_frame() => (frame, false),
        };
        let (pump, out) = if forth {
            (&mut to_server, &mut server)
        } else {
            (&mut to_client, &mut client)
        };
        let Some(bytes) = frame.ok().and_then(|frame| pump.pass(frame)) else {
            return;
        };
        if out.try_send(&bytes).await.is_err() {
            return;
        }
    }
}

fn bytes_of(head: &Head) -> Vec<u8> {
    let mut lines = String::new();
    for (name, value) in &head.fields {
        lines.extend([name, ": ", value, "\r\n"]);
    }
    format!("{}\r\n{lines}\r\n", head.line).into_bytes()
}

impl Pump {
    fn new((change, at): (Change, usize), masked: bool) -> Self {
        Self {
            change,
            at,
            seen: 0,
            held: None,
            masked,
        }
    }

    /// What is sent for a frame; `None`: the connections are cut.
    fn pass(&mut self, frame: Frame) -> Option<Vec<u8>> {
        if frame.opcode() == Opcode::Close {
            return match self.change {
                Change::FlipClose => Some(self.bytes(&last_changed(frame))),
                Change::DropClose => None,
                _ => Some(self.bytes(&frame)),
            };
        }
        if frame.opcode().is_control() {
            return Some(self.bytes(&frame));
        }
        let aimed_at = self.seen == self.at;
        self.seen += 1;
        match self.held.take() {
            Some(held) => Some([self.bytes(&frame), self.bytes(&held)].concat()),
            None if aimed_at => self.changed(frame),
            None => Some(self.bytes(&frame)),
        }
    }

    fn changed(&mut self, mut frame: Frame) -> Option<Vec<u8>> {
        let text = |payload: &[u8]| frame::build(true, 0, Opcode::Text, self.mask(), payload);
        let first = match self.change {
            Change::Truncate => return None,
            Change::ForgeClose => {
                let close = frame::close_payload(1000, "");
                return Some(frame::build(true, 0, Opcode::Close, self.mask(), &close));
            }
            Change::Drop => return Some(Vec::new()),
            Change::Reorder => {
                self.held = Some(frame);
                return Some(Vec::new());
            }
            Change::Replay => self.bytes(&frame),
            Change::Inject => text(&[&b"transfer 1000000"[..], &[b'A'; 43]].concat()),
            Change::InjectUntagged => text(b"short"),
            _ => Vec::new(),
        };
        match self.change {
            Change::Flip => frame.payload[0] ^= 1,
            Change::FlipTag => frame = last_changed(frame),
            Change::Retype if frame.opcode() == Opcode::Text => {
                frame.header.opcode = Opcode::Binary;
            }
            Change::Retype => frame.header.opcode = Opcode::Text,
            Change::LoseByte => {
                frame.payload.pop();
            }
            _ => {}
        }
        Some([first, self.bytes(&frame)].concat())
    }

    fn bytes(&self, frame: &Frame) -> Vec<u8> {
        let header = frame.header;
        frame::build(
            header.fin,
            header.reserved,
            header.opcode,
            self.mask(),
            &frame.payload,
        )
    }

    fn mask(&self) -> Option<[u8; 4]> {
        self.masked.then_some(frame::MASK)
    }
}

/// With another last byte that base64url could have as well.
fn last_changed(mut frame: Frame) -> Frame {
    if let Some(last) = frame.payload.last_mut() {
        *last = if *last == b'A' { b'E' } else { b'A' };
    }
    frame
}
