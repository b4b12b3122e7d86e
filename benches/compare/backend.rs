//! A server without TLS: of WebSockets, it sends every message back, and it answers plain requests with as
//! many bytes as they ask for.

use crate::Result;
use std::io;
use tidegate::frame::ControlFrame;
use tidegate::frame::Header;
use tidegate::frame::Opcode;
use tidegate::frame::mask;
use tidegate::request::websocket::accept_for;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const READ: usize = 256 * 1024;
const KEY: &str = "sec-websocket-key:";

pub(crate) async fn serve(listener: TcpListener) -> Result<()> {
    loop {
        let (tcp, _) = listener.accept().await?;
        tokio::task::spawn_local(async move {
            // A client that breaks off has ended its connection, which is all there is to it.
            let _ = Echo::default().run(tcp).await;
        });
    }
}

/// One connection: what has come and is not answered yet, and the answer under way.
#[derive(Default)]
struct Echo {
    received: Vec<u8>,
    answer: Vec<u8>,
}

impl Echo {
    async fn run(&mut self, mut tcp: TcpStream) -> io::Result<()> {
        tcp.set_nodelay(true)?;
        let mut head = self.head(&mut tcp).await?;
        while let Some(size) = size_asked_for(&head) {
            tcp.write_all(&bytes(size)).await?;
            head = self.head(&mut tcp).await?;
        }
        tcp.write_all(&switching(&head)?).await?;
        loop {
            let open = self.take_frames()?;
            if !self.answer.is_empty() {
                tcp.write_all(&self.answer).await?;
                self.answer.clear();
            }
            if !open || self.read(&mut tcp).await? == 0 {
                return Ok(());
            }
        }
    }

    /// An idle connection keeps no buffer.
    async fn read(&mut self, tcp: &mut TcpStream) -> io::Result<usize> {
        if self.received.is_empty() {
            (self.received, self.answer) = (Vec::new(), Vec::new());
        }
        tcp.readable().await?;
        self.received.reserve(READ);
        tcp.read_buf(&mut self.received).await
    }

    async fn head(&mut self, tcp: &mut TcpStream) -> io::Result<String> {
        loop {
            let end = self
                .received
                .windows(4)
                .position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                let head = self.received.drain(..end + 4).collect();
                return String::from_utf8(head).map_err(io::Error::other);
            }
            if self.read(tcp).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Answers every whole frame; returns whether more may come.
    fn take_frames(&mut self) -> io::Result<bool> {
        let mut taken = 0;
        let mut open = true;
        while open && let Some(rest) = self.received.get_mut(taken..) {
            let Some(decoded) = Header::decode(rest) else {
                break;
            };
            let (header, start) = decoded.map_err(io::Error::other)?;
            let end = start + usize::try_from(header.length).map_err(io::Error::other)?;
            let Some(payload) = rest.get_mut(start..end) else {
                break;
            };
            mask::apply(header.mask.unwrap_or_default(), 0, payload);
            open = answer(&header, payload, &mut self.answer);
            taken += end;
        }
        self.received.drain(..taken);
        Ok(open)
    }
}

/// Appends the answer to one frame; returns whether more may follow.
fn answer(header: &Header, payload: &[u8], out: &mut Vec<u8>) -> bool {
    match header.opcode {
        Opcode::Close => {
            let close = ControlFrame::close(1000, "");
            out.extend_from_slice(close.encode(None).as_slice());
            return false;
        }
        Opcode::Pong => return true,
        _ => {}
    }
    let opcode = match header.opcode {
        Opcode::Ping => Opcode::Pong,
        other => other,
    };
    let answer = Header {
        opcode,
        mask: None,
        ..*header
    };
    out.extend_from_slice(answer.encode().as_slice());
    out.extend_from_slice(payload);
    true
}

/// How many bytes a plain request asks for: `GET /bytes/1024`.
fn size_asked_for(head: &str) -> Option<usize> {
    let rest = head.strip_prefix("GET /bytes/")?;
    rest.split(' ').next()?.parse().ok()
}

fn bytes(size: usize) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n"
    );
    let mut answer = head.into_bytes();
    answer.resize(answer.len() + size, b'x');
    answer
}

fn switching(head: &str) -> io::Result<Vec<u8>> {
    let mut lines = head.lines();
    let key = lines
        .find_map(|line| {
            let (name, value) = line.split_at_checked(KEY.len())?;
            name.eq_ignore_ascii_case(KEY).then(|| value.trim())
        })
        .ok_or_else(|| io::Error::other("the request has no Sec-WebSocket-Key"))?;
    let accept = accept_for(key);
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes())
}
