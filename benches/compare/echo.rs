//! Messages that come back: a window of them on each connection.

use crate::{
    Result, Target,
    client::{Connector, Message, Socket},
    histogram::Histogram,
    process,
};
use serde_json::{Value, json};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::JoinSet,
    time::{sleep, timeout},
};

const WARM_UP: Duration = Duration::from_millis(400);
const READ: usize = 256 * 1024;

/// What all connections share.
struct Load {
    message: Message,
    /// The requests of one window, one behind the other.
    window: Vec<u8>,
    in_flight: usize,
    stop: Cell<bool>,
    answered: Cell<u64>,
    latencies: RefCell<Histogram>,
    buffer: RefCell<Vec<u8>>,
}

/// One connection.
struct Exchange {
    load: Rc<Load>,
    socket: Socket,
    /// Bytes of requests that are due, and where the next one stands in the window.
    due: usize,
    place: usize,
    unflushed: bool,
    /// Where the next expected byte stands in the reply.
    reply: usize,
    sent_at: VecDeque<(Instant, usize)>,
}

pub(crate) async fn run(
    target: &Target,
    size: usize,
    in_flight: usize,
    connections: usize,
) -> Result<Value> {
    let message = Message::new(size);
    let load = Rc::new(Load {
        window: message.request.repeat(in_flight),
        message,
        in_flight,
        stop: Cell::new(false),
        answered: Cell::new(0),
        latencies: RefCell::new(Histogram::new()),
        buffer: RefCell::new(vec![0; READ]),
    });
    let mut exchanges = JoinSet::new();
    let connector = Connector::new(target, false)?;
    for _ in 0..connections {
        let exchange = Exchange::new(load.clone(), connector.open().await?);
        exchanges.spawn_local(exchange.run());
    }
    sleep(WARM_UP).await;
    let result = measure(target, &load, size).await;
    load.stop.set(true);
    timeout(Duration::from_secs(10), async {
        while let Some(ended) = exchanges.join_next().await {
            ended?.map_err(|error| format!("a connection failed: {error}"))?;
        }
        Ok::<_, Box<dyn std::error::Error>>(())
    })
    .await
    .map_err(|_| "messages did not come back within ten seconds")??;
    result
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
async fn measure(target: &Target, load: &Load, size: usize) -> Result<Value> {
    *load.latencies.borrow_mut() = Histogram::new();
    let (started, cpu, answered) = (
        Instant::now(),
        process::cpu(target.pid)?,
        load.answered.get(),
    );
    sleep(target.duration()).await;
    let messages = load.answered.get() - answered;
    let spent = process::cpu(target.pid)?.saturating_sub(cpu);
    let wall = started.elapsed();
    let latencies = load.latencies.borrow();
    Ok(json!({
        "messages": messages,
        "per_second": messages as f64 / wall.as_secs_f64(),
        "us_per_message": spent.as_secs_f64() * 1e6 / messages as f64,
        "ns_per_byte": spent.as_secs_f64() * 1e9 / messages as f64 / size as f64,
        "busy": spent.as_secs_f64() / wall.as_secs_f64(),
        "p50_us": latencies.quantile(0.5),
        "p99_us": latencies.quantile(0.99),
        "p999_us": latencies.quantile(0.999),
    }))
}

impl Exchange {
    fn new(load: Rc<Load>, socket: Socket) -> Self {
        Self {
            due: load.window.len(),
            sent_at: VecDeque::from([(Instant::now(), load.in_flight)]),
            load,
            socket,
            place: 0,
            unflushed: false,
            reply: 0,
        }
    }

    async fn run(mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll(cx)).await?;
        self.socket
            .close()
            .await
            .map_err(|e| io::Error::other(e.to_string()))
    }

    /// Sends what is due and takes what came, until both have to wait.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.send(cx)?;
            if self.sent_at.is_empty() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.receive(cx))?;
        }
    }

    fn send(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut transport = Pin::new(&mut self.socket.transport);
        while self.due > 0 {
            let end = self.load.window.len().min(self.place + self.due);
            let bytes = self.load.window.get(self.place..end).unwrap_or_default();
            match transport.as_mut().poll_write(cx, bytes)? {
                Poll::Ready(count) => {
                    self.due -= count;
                    self.place = (self.place + count) % self.load.window.len();
                    self.unflushed = true;
                }
                Poll::Pending => return Ok(()),
            }
        }
        if self.unflushed && transport.poll_flush(cx)?.is_ready() {
            self.unflushed = false;
        }
        Ok(())
    }

    fn receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let load = self.load.clone();
        let mut space = load.buffer.borrow_mut();
        let mut buffer = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.socket.transport).poll_read(cx, &mut buffer))?;
        if buffer.filled().is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        let answered = self.compare(buffer.filled())?;
        self.answered(answered);
        Poll::Ready(Ok(()))
    }

    /// Compares replies with what they should be; returns how many came to their end.
    fn compare(&mut self, mut bytes: &[u8]) -> io::Result<usize> {
        let reply = &self.load.message.reply;
        let mut whole = 0;
        while !bytes.is_empty() {
            let expected = reply.get(self.reply..).unwrap_or_default();
            let count = expected.len().min(bytes.len());
            let (now, rest) = bytes.split_at(count);
            if !expected.starts_with(now) {
                return Err(io::Error::other("a message came back changed"));
            }
            bytes = rest;
            self.reply += count;
            if self.reply == reply.len() {
                self.reply = 0;
                whole += 1;
            }
        }
        Ok(whole)
    }

    /// Notes that the oldest messages were answered, and makes as many due.
    fn answered(&mut self, count: usize) {
        let now = Instant::now();
        let mut left = count;
        let mut latencies = self.load.latencies.borrow_mut();
        while left > 0
            && let Some((at, waiting)) = self.sent_at.front_mut()
        {
            let ended = left.min(*waiting);
            latencies.record(now - *at, ended as u64);
            *waiting -= ended;
            left -= ended;
            if *waiting == 0 {
                self.sent_at.pop_front();
            }
        }
        self.load
            .answered
            .set(self.load.answered.get() + count as u64);
        if count > 0 && !self.load.stop.get() {
            self.due += count * self.load.message.request.len();
            self.sent_at.push_back((now, count));
        }
    }
}
