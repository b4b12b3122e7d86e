//! Connections that are opened and closed at once.

use crate::{
    Result, Target, certificates::DOMAIN, client::Connector, histogram::Histogram, process,
};
use serde_json::{Value, json};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

const WARM_UP: Duration = Duration::from_millis(300);

/// What all clients share.
struct Load {
    /// How many hosts are asked for, in turn; 0: `localhost` alone.
    hosts: u64,
    begun: Cell<u64>,
    stop: Cell<bool>,
    done: Cell<u64>,
    resumed: Cell<u64>,
    latencies: RefCell<Histogram>,
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) async fn run(
    target: &Target,
    resume: bool,
    connections: usize,
    hosts: u64,
) -> Result<Value> {
    let load = Rc::new(Load {
        hosts,
        begun: Cell::new(0),
        stop: Cell::new(false),
        done: Cell::new(0),
        resumed: Cell::new(0),
        latencies: RefCell::new(Histogram::new()),
    });
    let mut clients = JoinSet::new();
    for _ in 0..connections {
        clients.spawn_local(come_and_go(load.clone(), Connector::new(target, resume)?));
    }
    sleep(WARM_UP).await;
    *load.latencies.borrow_mut() = Histogram::new();
    let before = (
        process::cpu(target.pid)?,
        load.done.get(),
        load.resumed.get(),
    );
    let started = Instant::now();
    sleep(target.duration()).await;
    let spent = process::cpu(target.pid)?.saturating_sub(before.0);
    let (done, resumed) = (load.done.get() - before.1, load.resumed.get() - before.2);
    let wall = started.elapsed();
    load.stop.set(true);
    let all = async {
        clients
            .join_all()
            .await
            .into_iter()
            .collect::<std::result::Result<(), _>>()
    };
    timeout(Duration::from_secs(10), all).await??;
    let latencies = load.latencies.borrow();
    Ok(json!({
        "handshakes": done,
        // With those before and after the measurement.
        "in_all": load.done.get(),
        "resumed": resumed as f64 / done as f64,
        "per_second": done as f64 / wall.as_secs_f64(),
        "us_per_handshake": spent.as_secs_f64() * 1e6 / done as f64,
        "busy": spent.as_secs_f64() / wall.as_secs_f64(),
        "p50_us": latencies.quantile(0.5),
        "p99_us": latencies.quantile(0.99),
    }))
}

impl Load {
    fn next_host(&self) -> String {
        let number = self.begun.replace(self.begun.get() + 1);
        match number.checked_rem(self.hosts) {
            None => "localhost".to_owned(),
            Some(number) => format!("host{number}.{DOMAIN}"),
        }
    }
}

async fn come_and_go(load: Rc<Load>, connector: Connector) -> std::result::Result<(), String> {
    while !load.stop.get() {
        let host = load.next_host();
        let started = Instant::now();
        let opened = connector.open_at(&host).await;
        let socket = opened.map_err(|e| e.to_string())?;
        load.latencies.borrow_mut().record(started.elapsed(), 1);
        load.resumed
            .set(load.resumed.get() + u64::from(socket.resumed));
        socket.close().await.map_err(|e| e.to_string())?;
        load.done.set(load.done.get() + 1);
    }
    Ok(())
}
