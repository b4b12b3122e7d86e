//! Senders that write for each other: none fails, and what was written is out when they return.

use super::super::{outgoing::Outgoing, writer::Writer};
use crate::frame::Opcode;
use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    thread,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const ROUNDS: usize = 20_000;

/// A transport that holds back what it is given until it is flushed, as TLS may.
struct Holding(Arc<AtomicUsize>);

impl AsyncRead for Holding {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Holding {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.fetch_add(bytes.len(), SeqCst);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.store(0, SeqCst);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

fn send(writer: &Writer) {
    let frame = Outgoing::whole(Opcode::Text, b"hello");
    futures_util::FutureExt::now_or_never(writer.send(&frame))
        .expect("it takes all at once")
        .unwrap();
}

#[test]
fn two_senders_at_once_do_not_fail_and_leave_nothing_unflushed() {
    let held = Arc::new(AtomicUsize::new(0));
    let (_, write) = tokio::io::split(Box::new(Holding(held.clone())) as Box<_>);
    let writer = Writer::new(write, None);
    let round = Arc::new(Barrier::new(2));
    let other = thread::spawn({
        let (writer, round) = (writer.clone(), round.clone());
        move || {
            for _ in 0..ROUNDS {
                round.wait();
                send(&writer);
                round.wait();
            }
        }
    });
    let mut left = 0;
    for _ in 0..ROUNDS {
        round.wait();
        send(&writer);
        round.wait();
        left += usize::from(held.load(SeqCst) > 0);
    }
    other.join().unwrap();
    assert_eq!(left, 0, "of {ROUNDS} rounds");
}
