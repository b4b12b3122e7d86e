//! Many connections that stay open, few of them active at a time.
//!
//! Told on standard input, a line each, what to do and for how many seconds: `few` (always the same
//! ones are active), `turns` (all are, one after the other, as many at a time) or `silent` (none).

use crate::{
    Result, Target,
    client::{Connector, MASK, Message, Socket},
    idle, process,
};
use serde_json::{Value, json};
use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};
use tidegate::frame::{ControlFrame, Header, Opcode};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, stdin},
    sync::{Semaphore, SemaphorePermit},
    task::JoinSet,
    time::sleep,
};

const SIZE: usize = 125;
/// Messages that an active connection sends at once, and whose answers it awaits.
const WINDOW: usize = 8;
const WARM_UP: Duration = Duration::from_millis(300);

/// What all connections share.
struct Crowd {
    message: Message,
    window: Vec<u8>,
    active: usize,
    /// Turns of the first `active` connections, and turns of all.
    few: Semaphore,
    turns: Semaphore,
    answered: Cell<u64>,
}

/// One connection.
struct Member {
    crowd: Rc<Crowd>,
    socket: Socket,
    is_of_the_few: bool,
    received: Vec<u8>,
    /// Answers of the window that are still to come.
    awaited: usize,
}

/// Opens `connections`, prints `{"open": …}`, and then a result for each line of input.
pub(crate) async fn run(target: &Target, connections: usize, active: usize) -> Result<()> {
    let connector = Connector::new(target, false)?;
    let message = Message::new(SIZE);
    let crowd = Rc::new(Crowd {
        window: message.request.repeat(WINDOW),
        message,
        active,
        few: Semaphore::new(0),
        turns: Semaphore::new(0),
        answered: Cell::new(0),
    });
    let mut members = JoinSet::new();
    // Each is served from the moment that it is open: a Ping may come while others are opened.
    while members.len() < connections {
        let next = connections.min(members.len() + BATCH);
        for socket in idle::open(&connector, next - members.len(), idle::GENTLE).await? {
            let is_of_the_few = members.len() < active;
            members.spawn_local(Member::new(crowd.clone(), socket, is_of_the_few).run());
        }
    }
    println!("{}", json!({ "open": members.len() }));
    let mut lines = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            Some(ended) = members.join_next() => return Err(ended??.into()),
            line = lines.next_line() => match line? {
                None => return Ok(()),
                Some(line) => println!("{}", crowd.obey(target, &line).await?),
            }
        }
    }
}

/// Connections that are opened before they are served.
const BATCH: usize = 100;

impl Crowd {
    async fn obey(&self, target: &Target, line: &str) -> Result<Value> {
        let (what, seconds) = line
            .split_once(' ')
            .ok_or("a word and seconds are wanted")?;
        let duration = Duration::from_secs_f64(seconds.parse()?);
        let permits = match what {
            "silent" => return self.measure(target, duration).await,
            "few" => &self.few,
            "turns" => &self.turns,
            _ => return Err(format!("{what}: few, turns or silent are known").into()),
        };
        permits.add_permits(self.active);
        sleep(WARM_UP).await;
        let result = self.measure(target, duration).await;
        // Who holds a turn gives it back after its window, and nobody gets it any more.
        let all = permits.acquire_many(u32::try_from(self.active)?).await?;
        all.forget();
        result
    }

    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    async fn measure(&self, target: &Target, duration: Duration) -> Result<Value> {
        let (cpu, answered, started) = (
            process::cpu(target.pid)?,
            self.answered.get(),
            Instant::now(),
        );
        sleep(duration).await;
        let spent = process::cpu(target.pid)?.saturating_sub(cpu).as_secs_f64();
        let messages = (self.answered.get() - answered) as f64;
        let wall = started.elapsed().as_secs_f64();
        Ok(json!({
            "messages": messages,
            "per_second": messages / wall,
            "us_per_message": (messages > 0.0).then(|| spent * 1e6 / messages),
            "busy_percent": spent / wall * 100.0,
        }))
    }

    /// Waits for a turn.
    async fn turn(&self, is_of_the_few: bool) -> Result<SemaphorePermit<'_>> {
        if !is_of_the_few {
            return Ok(self.turns.acquire().await?);
        }
        tokio::select! {
            turn = self.few.acquire() => Ok(turn?),
            turn = self.turns.acquire() => Ok(turn?),
        }
    }
}

impl Member {
    fn new(crowd: Rc<Crowd>, socket: Socket, is_of_the_few: bool) -> Self {
        Self {
            crowd,
            socket,
            is_of_the_few,
            received: Vec::new(),
            awaited: 0,
        }
    }

    /// Goes on until the connection fails, and tells why.
    async fn run(mut self) -> std::result::Result<String, String> {
        let Err(error) = self.live().await else {
            return Ok("unreachable".to_owned());
        };
        Ok(error.to_string())
    }

    async fn live(&mut self) -> Result<()> {
        let crowd = self.crowd.clone();
        loop {
            tokio::select! {
                turn = crowd.turn(self.is_of_the_few) => {
                    self.exchange().await?;
                    drop(turn?);
                }
                // A silent connection has to answer Pings.
                heard = self.hear() => heard?,
            }
        }
    }

    async fn exchange(&mut self) -> Result<()> {
        self.awaited = WINDOW;
        self.socket.transport.write_all(&self.crowd.window).await?;
        self.socket.transport.flush().await?;
        while self.awaited > 0 {
            self.hear().await?;
        }
        let answered = &self.crowd.answered;
        answered.set(answered.get() + WINDOW as u64);
        Ok(())
    }

    /// Takes what comes. Where it is dropped while it waits, nothing is lost.
    async fn hear(&mut self) -> Result<()> {
        let read = self.socket.transport.read_buf(&mut self.received).await?;
        if read == 0 {
            return Err("the proxy closed a connection".into());
        }
        let pongs = self.take_frames()?;
        if !pongs.is_empty() {
            self.socket.transport.write_all(&pongs).await?;
            self.socket.transport.flush().await?;
        }
        Ok(())
    }

    /// Takes whole frames off what was received, and gives the Pongs that are due.
    fn take_frames(&mut self) -> Result<Vec<u8>> {
        let mut pongs = Vec::new();
        while let Some(decoded) = Header::decode(&self.received) {
            let (header, start) = decoded?;
            let end = start + usize::try_from(header.length)?;
            let Some(frame) = self.received.get(..end) else {
                break;
            };
            let payload = frame.get(start..).unwrap_or_default();
            match header.opcode {
                Opcode::Ping => {
                    let pong = ControlFrame::pong(payload);
                    pongs.extend_from_slice(pong.encode(Some(MASK)).as_slice());
                }
                _ if self.awaited > 0 && frame == self.crowd.message.reply => self.awaited -= 1,
                other => return Err(format!("a frame that nobody awaits: {other:?}").into()),
            }
            self.received.drain(..end);
        }
        Ok(pongs)
    }
}
