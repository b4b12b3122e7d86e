//! Loads of a fixed rate, which leave the proxy room: messages, and connections that come and go.

use crate::{
    Result, Target,
    client::{Connector, Message, Socket},
    histogram::Histogram,
    idle, process,
};
use serde_json::{Value, json};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::{
    task::JoinSet,
    time::{Instant as Due, MissedTickBehavior, interval, interval_at, timeout},
};

const SIZE: usize = 125;
/// Connections under way at once; more are not begun, and missing in the result.
const UNDER_WAY: usize = 1000;

/// What the connections of a load share.
struct Load {
    until: Instant,
    done: Cell<u64>,
    latencies: RefCell<Histogram>,
}

/// Messages that come back, `per_second` over all connections; from sending to the whole reply.
pub(crate) async fn messages(
    target: &Target,
    connections: usize,
    per_second: f64,
) -> Result<Value> {
    let connector = Connector::new(target, false)?;
    let sockets = idle::open(&connector, connections, idle::GENTLE).await?;
    let load = Load::new(target);
    let message = Rc::new(Message::new(SIZE));
    let mut exchanges = JoinSet::new();
    for (place, socket) in sockets.into_iter().enumerate() {
        let place = u32::try_from(place)?;
        let step = Duration::from_secs_f64(1.0 / per_second);
        let every = step * u32::try_from(connections)?;
        let first = Due::now() + step * place;
        exchanges.spawn_local(load.clone().exchange(
            socket,
            message.clone(),
            interval_at(first, every),
        ));
    }
    while let Some(ended) = exchanges.join_next().await {
        ended??;
    }
    Ok(load.result(target))
}

/// Full handshakes with an upgrade and a Close, `per_second` of them, whether or not the last
/// ones have ended; from connecting to the 101.
pub(crate) async fn arrivals(target: &Target, per_second: f64) -> Result<Value> {
    let connector = Rc::new(Connector::new(target, false)?);
    let load = Load::new(target);
    let mut under_way = JoinSet::new();
    let mut due = interval(Duration::from_secs_f64(1.0 / per_second));
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let before = process::cpu(target.pid)?;
    while Instant::now() < load.until {
        due.tick().await;
        if under_way.len() < UNDER_WAY {
            under_way.spawn_local(load.clone().come_and_go(connector.clone()));
        }
        while let Some(ended) = under_way.try_join_next() {
            ended??;
        }
    }
    let done = load.done.get();
    let spent = process::cpu(target.pid)?.saturating_sub(before);
    timeout(Duration::from_secs(10), under_way.join_all()).await?;
    let mut result = load.result(target);
    if let Some(values) = result.as_object_mut() {
        values.insert("per_second".to_owned(), rate(done, target));
        values.insert(
            "busy".to_owned(),
            json!(spent.as_secs_f64() / target.seconds),
        );
    }
    Ok(result)
}

impl Load {
    fn new(target: &Target) -> Rc<Self> {
        Rc::new(Self {
            until: Instant::now() + target.duration(),
            done: Cell::new(0),
            latencies: RefCell::new(Histogram::new()),
        })
    }

    async fn exchange(
        self: Rc<Self>,
        mut socket: Socket,
        message: Rc<Message>,
        mut due: tokio::time::Interval,
    ) -> std::result::Result<(), String> {
        loop {
            due.tick().await;
            let started = Instant::now();
            if started >= self.until {
                return socket.close().await.map_err(|error| error.to_string());
            }
            let exchanged = socket.exchange(&message).await;
            exchanged.map_err(|error| error.to_string())?;
            self.count(started);
        }
    }

    async fn come_and_go(
        self: Rc<Self>,
        connector: Rc<Connector>,
    ) -> std::result::Result<(), String> {
        let started = Instant::now();
        let socket = connector.open().await.map_err(|error| error.to_string())?;
        self.count(started);
        socket.close().await.map_err(|error| error.to_string())
    }

    fn count(&self, started: Instant) {
        self.latencies.borrow_mut().record(started.elapsed(), 1);
        self.done.set(self.done.get() + 1);
    }

    fn result(&self, target: &Target) -> Value {
        let latencies = self.latencies.borrow();
        json!({
            "done": self.done.get(),
            "per_second": rate(self.done.get(), target),
            "p50_us": latencies.quantile(0.5),
            "p99_us": latencies.quantile(0.99),
            "p999_us": latencies.quantile(0.999),
        })
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn rate(done: u64, target: &Target) -> Value {
    json!(done as f64 / target.seconds)
}
