//! The sending side of a WebSocket, shared by those who send and the one who receives.
//!
//! Frames are put into a buffer whole and written from there by the caller that waits: a future that is
//! dropped or not polled any more leaves neither a part of a frame nor a lock behind. They are sealed
//! as they are put there, in the order in which they go out.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker, ready},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncWrite, WriteHalf};

use super::{error::ClientError, outgoing::Outgoing, random, transport::Transport};
use crate::{
    frame::{Opcode, control::REASON_MAX},
    integrity::{Binding, seal::Sealer},
};

/// The sending side.
#[derive(Clone)]
pub(super) struct Writer {
    state: Arc<Mutex<State>>,
    waiting: Arc<Waiting>,
    /// Bytes that the reason of a Close has at most.
    longest_reason: usize,
}

struct State {
    transport: WriteHalf<Box<dyn Transport>>,
    /// `None`: the connection is not sealed.
    sealer: Option<Sealer>,
    /// Whole frames, masked, of which the first bytes may have been written.
    buffer: BytesMut,
    /// What the last ping wants back (RFC 6455 section 5.5.3: older ones need no answer).
    pong: Option<Vec<u8>>,
    /// Whether the transport may still hold bytes of its own, as TLS does.
    unflushed: bool,
    /// Nothing may follow a Close or a failure.
    ended: bool,
    /// The transport failed; it was reported to one waiter.
    broken: bool,
}

/// Everybody who waits for the transport to take more. A transport remembers one waker only.
#[derive(Default)]
struct Waiting(Mutex<Vec<Waker>>);

impl Writer {
    pub(super) fn new(transport: WriteHalf<Box<dyn Transport>>, sealer: Option<Sealer>) -> Self {
        Self {
            longest_reason: match sealer {
                Some(_) => Binding::Frame.longest_reason(),
                None => REASON_MAX,
            },
            state: Arc::new(Mutex::new(State {
                transport,
                sealer,
                buffer: BytesMut::new(),
                pong: None,
                unflushed: false,
                ended: false,
                broken: false,
            })),
            waiting: Arc::default(),
        }
    }

    /// Bytes that the reason of a Close has at most.
    pub(super) fn longest_reason(&self) -> usize {
        self.longest_reason
    }

    /// Sends a frame. It goes out whole even if the future is dropped.
    pub(super) async fn send(&self, frame: &Outgoing<'_>) -> Result<(), ClientError> {
        self.state().push(frame)?;
        std::future::poll_fn(|context| self.poll_flush(context)).await
    }

    /// Has a ping answered by the next flush.
    pub(super) fn answer_ping(&self, payload: Vec<u8>) {
        self.state().pong = Some(payload);
    }

    /// Has a Close with this payload sent by the next flush, unless one was sent.
    pub(super) fn close(&self, payload: &[u8]) {
        // That nothing can be sent any more is not a failure here.
        let _ = self.state().push(&Outgoing::whole(Opcode::Close, payload));
    }

    /// Writes what is there and ends the sending side.
    pub(super) async fn finish(&self) -> Result<(), ClientError> {
        std::future::poll_fn(|context| {
            ready!(self.poll_flush(context))?;
            self.poll_transport(context, |transport, context| {
                transport.poll_shutdown(context)
            })
        })
        .await
    }

    /// Writes what is there; ready when there is nothing more.
    pub(super) fn poll_flush(&self, context: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        while self.state().prepare()? {
            ready!(self.poll_write(context))?;
        }
        if self.state().unflushed {
            ready!(self.poll_transport(context, AsyncWrite::poll_flush))?;
            // Others who waited for this will not hear of it from the transport.
            self.waiting.wake_all();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(&self, context: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        let waker = self.waiting.join(context);
        let mut state = self.state();
        let State {
            transport,
            buffer,
            unflushed,
            ..
        } = &mut *state;
        if buffer.is_empty() {
            // Another sender has written it meanwhile.
            return Poll::Ready(Ok(()));
        }
        let written = Pin::new(transport).poll_write(&mut Context::from_waker(&waker), buffer);
        match ready!(written) {
            Ok(written) if written > 0 => {
                buffer.advance(written);
                *unflushed = true;
                Poll::Ready(Ok(()))
            }
            Ok(_) => Poll::Ready(Err(state.fail(std::io::ErrorKind::WriteZero.into()))),
            Err(error) => Poll::Ready(Err(state.fail(error))),
        }
    }

    fn poll_transport(
        &self,
        context: &mut Context<'_>,
        poll: impl FnOnce(
            Pin<&mut WriteHalf<Box<dyn Transport>>>,
            &mut Context<'_>,
        ) -> Poll<std::io::Result<()>>,
    ) -> Poll<Result<(), ClientError>> {
        let waker = self.waiting.join(context);
        let mut state = self.state();
        let polled = poll(
            Pin::new(&mut state.transport),
            &mut Context::from_waker(&waker),
        );
        // Under the same lock: what others write after this is still to be flushed.
        state.unflushed &= polled.is_pending();
        polled.map_err(|error| state.fail(error))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, frame: &Outgoing<'_>) -> Result<(), ClientError> {
        if self.ended {
            return Err(ClientError::Closed);
        }
        let mut masking_key = [0; 4];
        random::fill(&mut masking_key)?;
        frame.write(masking_key, self.sealer.as_mut(), &mut self.buffer)?;
        self.ended = frame.opcode == Opcode::Close;
        Ok(())
    }

    /// Whether bytes wait to be written; puts the answer to a ping after the last frame.
    fn prepare(&mut self) -> Result<bool, ClientError> {
        if self.broken {
            return Err(ClientError::Closed);
        }
        if self.buffer.is_empty()
            && !self.ended
            && let Some(pong) = self.pong.take()
        {
            self.push(&Outgoing::whole(Opcode::Pong, &pong))?;
        }
        Ok(!self.buffer.is_empty())
    }

    fn fail(&mut self, error: std::io::Error) -> ClientError {
        self.ended = true;
        self.broken = true;
        self.buffer.clear();
        ClientError::from_io(error)
    }
}

impl Waiting {
    /// Has the task of a context woken together with all others.
    fn join(self: &Arc<Self>, context: &Context<'_>) -> Waker {
        let mut wakers = self.wakers();
        if !wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            wakers.push(context.waker().clone());
        }
        Waker::from(Arc::clone(self))
    }

    fn wake_all(&self) {
        let wakers = std::mem::take(&mut *self.wakers());
        wakers.into_iter().for_each(Waker::wake);
    }

    fn wakers(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }
}
