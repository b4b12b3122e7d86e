//! Plain requests, one after the other on each connection, which stays.

use crate::{
    Result, Target,
    client::{Connector, Transport},
    histogram::Histogram,
    process,
};
use serde_json::{Value, json};
use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::sleep,
};

const WARM_UP: Duration = Duration::from_millis(400);
const READ: usize = 256 * 1024;

/// What all connections share.
struct Load {
    request: Vec<u8>,
    size: usize,
    stop: Cell<bool>,
    answered: Cell<u64>,
    latencies: RefCell<Histogram>,
}

pub(crate) async fn run(target: &Target, size: usize, connections: usize) -> Result<Value> {
    let host = format!("localhost:{}", target.address.port());
    let load = Rc::new(Load {
        request: format!("GET /bytes/{size} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes(),
        size,
        stop: Cell::new(false),
        answered: Cell::new(0),
        latencies: RefCell::new(Histogram::new()),
    });
    let connector = Connector::new(target, false)?;
    let mut clients = JoinSet::new();
    for _ in 0..connections {
        let transport = connector.connect("localhost").await?.transport;
        clients.spawn_local(ask(load.clone(), transport));
    }
    sleep(WARM_UP).await;
    let result = measure(target, &load).await;
    load.stop.set(true);
    while let Some(ended) = clients.join_next().await {
        ended?.map_err(|error| format!("a connection failed: {error}"))?;
    }
    result
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
async fn measure(target: &Target, load: &Load) -> Result<Value> {
    *load.latencies.borrow_mut() = Histogram::new();
    let (started, cpu) = (Instant::now(), process::cpu(target.pid)?);
    let answered = load.answered.get();
    sleep(target.duration()).await;
    let requests = load.answered.get() - answered;
    let spent = process::cpu(target.pid)?.saturating_sub(cpu);
    let wall = started.elapsed();
    let latencies = load.latencies.borrow();
    Ok(json!({
        "requests": requests,
        "per_second": requests as f64 / wall.as_secs_f64(),
        "us_per_request": spent.as_secs_f64() * 1e6 / requests as f64,
        "ns_per_byte": spent.as_secs_f64() * 1e9 / requests as f64 / load.size as f64,
        "busy": spent.as_secs_f64() / wall.as_secs_f64(),
        "p50_us": latencies.quantile(0.5),
        "p99_us": latencies.quantile(0.99),
        "p999_us": latencies.quantile(0.999),
    }))
}

async fn ask(load: Rc<Load>, mut transport: Box<dyn Transport>) -> io::Result<()> {
    let mut received = Vec::with_capacity(READ);
    while !load.stop.get() {
        let sent = Instant::now();
        transport.write_all(&load.request).await?;
        transport.flush().await?;
        read_answer(&load, &mut transport, &mut received).await?;
        load.latencies.borrow_mut().record(sent.elapsed(), 1);
        load.answered.set(load.answered.get() + 1);
    }
    Ok(())
}

/// Reads a head, and as many bytes as were asked for: nobody may change how many those are.
async fn read_answer(
    load: &Load,
    transport: &mut Box<dyn Transport>,
    received: &mut Vec<u8>,
) -> io::Result<()> {
    received.clear();
    let mut wanted = None;
    let mut length = 0;
    while wanted.is_none_or(|wanted| length < wanted) {
        if transport.read_buf(received).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match wanted {
            None => {
                let end = received.windows(4).position(|four| four == b"\r\n\r\n");
                wanted = end.map(|end| end + 4 + load.size);
                length = received.len();
                if end.is_some() && !received.starts_with(b"HTTP/1.1 200 ") {
                    let text = String::from_utf8_lossy(received).into_owned();
                    return Err(io::Error::other(format!("not answered with 200: {text:?}")));
                }
            }
            Some(_) => length += received.len(),
        }
        if wanted.is_some() {
            received.clear();
        }
    }
    Ok(())
}
