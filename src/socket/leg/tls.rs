//! The leg of a client that speaks HTTP/1.1: TLS records over TCP, ended by `close_notify` and FIN.

use super::{Arrival, Broken, Failure, Leg, Then};
use crate::{
    ending::SocketEnding,
    runtime::buffers::{Buffers, GatherBuffer},
    socket::transport::{self, Outgoing},
    tls::{
        session::{Received, Session},
        stream::TlsStream,
        words,
    },
};
use std::{
    fmt, io,
    task::{Context, Poll},
};
use tokio::{net::TcpStream, time::Instant};

/// A TCP connection, its TLS session, and the records that it has not taken.
pub struct TlsLeg {
    tcp: TcpStream,
    session: Session,
    records: Outgoing,
}

impl From<TlsStream> for TlsLeg {
    /// Of a connection whose answer to the request has been sent.
    fn from(stream: TlsStream) -> Self {
        let TlsStream { tcp, session, .. } = stream;
        Self {
            tcp,
            session,
            records: Outgoing::default(),
        }
    }
}

impl Leg for TlsLeg {
    type Plain = GatherBuffer;

    fn poll_read(
        &mut self,
        space: &mut [u8],
        buffers: &Buffers,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> Poll<Arrival<GatherBuffer>> {
        let kept = self.session.restore_partial(space);
        let room = space.get_mut(kept..).unwrap_or_default();
        let count = match transport::read(&mut self.tcp, room, cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(count)) => count,
            Poll::Ready(Err(_)) => {
                return Poll::Ready(Arrival::new(buffers.gather(), Then::CutOff));
            }
        };
        if count == 0 {
            return Poll::Ready(Arrival::new(buffers.gather(), Then::Ended));
        }
        let records = space.get_mut(..kept + count).unwrap_or_default();
        Poll::Ready(self.decrypt(records, buffers, cx, now))
    }

    fn send(
        &mut self,
        plain: &[u8],
        last: bool,
        buffers: &Buffers,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> Result<(), Failure> {
        let mut records = buffers.gather();
        let encrypted = self.session.encrypt(plain, &mut records);
        encrypted.map_err(|error| Failure::Broken(broken(&words::of(&error))))?;
        if last {
            // Right behind a Close: one write for both.
            self.append_close_notify(&mut records);
        }
        Ok(self.records.send(&mut self.tcp, &records, cx, now)?)
    }

    fn flush(&mut self, cx: &mut Context<'_>, now: Instant) -> io::Result<bool> {
        self.records.flush(&mut self.tcp, cx, now)
    }

    fn finish(&mut self, cx: &mut Context<'_>, now: Instant) -> io::Result<()> {
        let mut notify = Vec::new();
        self.append_close_notify(&mut notify);
        let sent = self.answer(&notify, cx, now);
        self.records.finish(&mut self.tcp, cx);
        sent
    }

    fn is_blocked(&self) -> bool {
        self.records.is_blocked()
    }

    fn stalled_since(&self) -> Option<Instant> {
        self.records.stalled_since()
    }

    fn ending(&self) -> Option<SocketEnding> {
        let used_up = self.session.is_used_up();
        used_up.then_some(SocketEnding::KeysUsedUp)
    }
}

impl TlsLeg {
    fn decrypt(
        &mut self,
        records: &mut [u8],
        buffers: &Buffers,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> Arrival<GatherBuffer> {
        let mut plain = buffers.gather();
        // Nearly always nothing: an empty vector costs nothing.
        let mut reply = Vec::new();
        let result = self.session.receive(records, &mut plain, &mut reply);
        Arrival {
            plain,
            // At once: records leave in the order of their making.
            answered: self.answer(&reply, cx, now),
            then: match result {
                Ok(Received::Open) => Then::Open,
                Ok(Received::Closed) => Then::Ended,
                Err(error) => Then::Broken(broken(&words::of(&error))),
            },
        }
    }

    /// Sends what TLS itself has to say.
    fn answer(&mut self, records: &[u8], cx: &mut Context<'_>, now: Instant) -> io::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        self.records.send(&mut self.tcp, records, cx, now)
    }

    /// Appends `close_notify`, once.
    fn append_close_notify(&mut self, records: &mut Vec<u8>) {
        // A session that cannot say goodbye is broken: FIN says it alone.
        let _ = self.session.close_notify(records);
    }
}

fn broken(error: &dyn fmt::Display) -> Broken {
    Broken {
        ending: SocketEnding::ClientTls,
        error: format!("TLS after the handshake: {error}"),
    }
}
