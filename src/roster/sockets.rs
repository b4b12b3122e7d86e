//! The list of open connections: what operators see of each, and how one is made to end.
//!
//! One shard per worker, so that workers do not meet at a lock. A connection that sleeps is woken
//! by its shard's sweep when its deadline has come, or at once by an order.

use crate::{
    ending::{Ending, SocketEnding},
    observe::event::Parties,
    policy::identity::Identity,
    request::asked::Asked,
};
use futures_util::task::AtomicWaker;
use rustls::pki_types::CertificateDer;
use std::{
    collections::HashMap,
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::Waker,
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

/// Names one connection in logs, in `X-Request-Id`, and to the admin listener.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// What an open exchange is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// A WebSocket.
    WebSocket,
    /// A plain request whose answer is not finished.
    Request,
}

impl Carries {
    /// The word for it in documents.
    pub const fn label(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Request => "request",
        }
    }
}

/// What is known of an exchange when it begins: of a socket with its 101, of a plain request once it is
/// admitted. Fixed from then on.
#[derive(Debug)]
pub struct Description {
    /// What it is.
    pub carries: Carries,
    /// The client's address.
    pub peer: SocketAddr,
    /// The listener that accepted it.
    pub listener: Arc<str>,
    /// Where that is bound.
    pub listener_address: SocketAddr,
    /// The route that it took.
    pub route: Arc<str>,
    /// The backend that serves it.
    pub backend: Arc<str>,
    /// The backend's server that serves it, once that is known.
    pub server: Option<Arc<str>>,
    /// Who the client is, by certificate.
    pub identity: Option<Arc<Identity>>,
    /// When the first certificate of the path to a trusted CA ends, in seconds since 1970; a reload may
    /// find another path, see [`Entry::not_after`].
    pub not_after: Option<i64>,
    /// What was agreed on with the client, where its frames are sealed.
    pub integrity: Option<Sealing>,
    /// Its chain, leaf first, to be verified again; shared by its connections.
    pub chain: Arc<[CertificateDer<'static>]>,
    /// The `allow` rule that admitted it, if it was one.
    pub rule: Option<Box<str>>,
    /// Where it belongs when the configuration changes.
    pub place: Place,
    /// When the 101 was sent, or the request admitted.
    pub opened: SystemTime,
    /// The version of TLS.
    pub tls: &'static str,
    /// The cipher suite of TLS.
    pub cipher: &'static str,
    /// What the client asked for.
    pub asked: Asked,
}

/// How a socket's frames are sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealing {
    /// Algorithm and binding.
    pub about: String,
    /// The key that the tags depend on; none with an unkeyed hash.
    pub kid: Option<String>,
}

impl Description {
    /// The key that the tags of its frames depend on, if they do on one.
    pub fn kid(&self) -> Option<&str> {
        self.integrity.as_ref()?.kid.as_deref()
    }

    /// A socket of no client in particular, for tests.
    #[cfg(test)]
    pub fn sample() -> Self {
        Self {
            carries: Carries::WebSocket,
            peer: ([127, 0, 0, 1], 1).into(),
            listener: "public".into(),
            listener_address: ([127, 0, 0, 1], 8443).into(),
            route: "/".into(),
            backend: "echo".into(),
            server: Some("ws://127.0.0.1:9001".into()),
            identity: None,
            not_after: None,
            integrity: None,
            chain: [].into(),
            rule: None,
            place: Place::default(),
            opened: SystemTime::now(),
            tls: "TLSv1.3",
            cipher: "TLS13_AES_128_GCM_SHA256",
            asked: Asked::default(),
        }
    }
}

/// Where a socket belongs, beside the names of its listener and route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The listener's index in the configuration, which no reload changes.
    pub listener: usize,
    /// Distinguishes routes of one name.
    pub claim: u64,
}

/// One open WebSocket.
pub struct Entry {
    /// Its id.
    pub id: ConnectionId,
    /// What was known of it at the 101.
    pub description: Description,
    epoch: Instant,
    /// When its path ends; of no meaning where it has none.
    ends: AtomicI64,
    last_frame: AtomicU64,
    deadline: AtomicU64,
    /// 0: none; otherwise one more than the index in [`SocketEnding::ALL`].
    order: AtomicUsize,
    waker: AtomicWaker,
}

/// All open WebSockets of the process.
pub struct Connections {
    epoch: Instant,
    /// The shards of all workers but one.
    shards: Box<[Shard]>,
    /// The shard of the last worker, so that there is always one.
    last: Shard,
}

type Shard = Mutex<HashMap<ConnectionId, Arc<Entry>>>;

/// Keeps an entry listed; dropping it takes the entry off.
pub struct Listed {
    connections: Arc<Connections>,
    shard: usize,
    entry: Arc<Entry>,
}

impl Connections {
    /// An empty list with a shard for each worker.
    pub fn new(workers: usize) -> Self {
        Self {
            epoch: Instant::now(),
            shards: (1..workers).map(|_| Mutex::default()).collect(),
            last: Mutex::default(),
        }
    }

    /// Lists a new socket in the worker's shard until the result is dropped.
    pub fn list(
        self: &Arc<Self>,
        worker: usize,
        id: ConnectionId,
        description: Description,
    ) -> Listed {
        let shard = worker;
        let entry = Arc::new(Entry {
            id,
            ends: AtomicI64::new(description.not_after.unwrap_or(i64::MAX)),
            description,
            epoch: self.epoch,
            last_frame: AtomicU64::new(milliseconds(self.epoch.elapsed())),
            deadline: AtomicU64::new(u64::MAX),
            order: AtomicUsize::new(0),
            waker: AtomicWaker::new(),
        });
        self.shard(shard).insert(id, entry.clone());
        Listed {
            connections: self.clone(),
            shard,
            entry,
        }
    }

    /// How many sockets are open.
    pub fn len(&self) -> usize {
        self.indices().map(|shard| self.shard(shard).len()).sum()
    }

    /// Whether no socket is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every open socket, in no order.
    pub fn all(&self) -> Vec<Arc<Entry>> {
        self.indices()
            .flat_map(|shard| self.shard(shard).values().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// The socket of that id, if it is open.
    pub fn find(&self, id: ConnectionId) -> Option<Arc<Entry>> {
        self.indices()
            .find_map(|shard| self.shard(shard).get(&id).cloned())
    }

    /// Wakes every socket of a worker whose deadline has come, and ends those whose certificate
    /// has expired.
    ///
    /// `unix_now` is in seconds since 1970: the clock that certificates go by is asked each time,
    /// because it may be set.
    pub fn sweep(&self, worker: usize, unix_now: i64) {
        let now = milliseconds(self.epoch.elapsed());
        for entry in self.shard(worker).values() {
            if entry.deadline.load(Relaxed) <= now {
                entry.deadline.store(u64::MAX, Relaxed);
                entry.waker.wake();
            }
            if entry.expired_at(unix_now) {
                entry.end(SocketEnding::Expired);
            }
        }
    }

    fn shard(&self, index: usize) -> MutexGuard<'_, HashMap<ConnectionId, Arc<Entry>>> {
        let shard = self.shards.get(index).unwrap_or(&self.last);
        // A poisoned list is still a list: nothing is half done while the lock is held.
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn indices(&self) -> std::ops::RangeInclusive<usize> {
        0..=self.shards.len()
    }
}

impl Entry {
    /// Does something with what logs say of who takes part.
    pub fn with_parties(&self, act: impl FnOnce(&Parties<'_>)) {
        let id = self.id.to_string();
        let about = &self.description;
        let identity = about.identity.as_ref();
        let identity = identity.map(|identity| identity.display_name());
        act(&Parties {
            id: &id,
            listener: &about.listener,
            listener_address: Some(about.listener_address),
            peer: Some(about.peer),
            identity: identity.as_deref(),
            route: Some(&about.route),
            backend: Some(&about.backend),
            server: about.server.as_deref(),
            tls: Some(about.tls),
            cipher: Some(about.cipher),
            asked: about.asked.details(),
        });
    }

    /// Orders the socket to end; the first order counts.
    ///
    /// Returns whether this order is the one that counts.
    pub fn end(&self, ending: SocketEnding) -> bool {
        let first = self
            .order
            .compare_exchange(0, 1 + ending as usize, Relaxed, Relaxed)
            .is_ok();
        self.waker.wake();
        first
    }

    /// When the first certificate of its path to a trusted CA ends, in seconds since 1970.
    pub fn not_after(&self) -> Option<i64> {
        let ends = self.ends.load(Relaxed);
        self.description.not_after.map(|_| ends)
    }

    /// Its path to a trusted CA is another, which ends then.
    pub fn renew(&self, not_after: i64) {
        self.ends.store(not_after, Relaxed);
    }

    /// RFC 5280 section 4.1.2.5: the last second belongs to the validity.
    fn expired_at(&self, unix_now: i64) -> bool {
        let expired = self.not_after().is_some_and(|end| end < unix_now);
        expired && self.order.load(Relaxed) == 0
    }

    /// Replaces an order that is still being carried out: the drain's deadline.
    pub fn end_now(&self, ending: SocketEnding) {
        self.order.store(1 + ending as usize, Relaxed);
        self.waker.wake();
    }

    /// The order to end, if there is one.
    pub fn order(&self) -> Option<SocketEnding> {
        let index = self.order.load(Relaxed).checked_sub(1)?;
        SocketEnding::ALL.get(index).copied()
    }

    /// Asks to be woken by `waker` when an order comes.
    pub fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Asks to be woken at `deadline`, to the next sweep.
    pub fn wake_at(&self, deadline: Instant) {
        let at = milliseconds(deadline.saturating_duration_since(self.epoch));
        self.deadline.store(at, Relaxed);
    }

    /// Notes that a frame passed at `now`.
    pub fn touch(&self, now: Instant) {
        let at = milliseconds(now.saturating_duration_since(self.epoch));
        self.last_frame.store(at, Relaxed);
    }

    /// How long ago the last frame passed.
    pub fn idle(&self) -> Duration {
        let last = Duration::from_millis(self.last_frame.load(Relaxed));
        self.epoch.elapsed().saturating_sub(last)
    }
}

impl Listed {
    /// The entry that is listed.
    pub fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.connections.shard(self.shard).remove(&self.entry.id);
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for ConnectionId {
    type Err = std::num::ParseIntError;

    /// Reads the 16 hexadecimal digits that logs show.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(connections: &Arc<Connections>, id: u64) -> Listed {
        let description = Description {
            not_after: Some(1_000),
            ..Description::sample()
        };
        connections.list(0, ConnectionId(id), description)
    }

    #[test]
    fn a_socket_is_listed_until_it_is_dropped() {
        let connections = Arc::new(Connections::new(2));
        let one = listed(&connections, 1);
        assert!(connections.find(ConnectionId(1)).is_some());
        drop(one);
        assert!(connections.is_empty());
    }

    #[test]
    fn the_first_order_counts_and_the_drain_deadline_replaces_it() {
        let connections = Arc::new(Connections::new(1));
        let one = listed(&connections, 1);
        assert!(one.entry().end(SocketEnding::Draining));
        assert!(!one.entry().end(SocketEnding::ClosedByOperator));
        assert_eq!(one.entry().order(), Some(SocketEnding::Draining));
        one.entry().end_now(SocketEnding::DrainDeadline);
        assert_eq!(one.entry().order(), Some(SocketEnding::DrainDeadline));
    }

    #[test]
    fn a_socket_ends_when_its_certificate_has_expired_and_not_before() {
        let connections = Arc::new(Connections::new(1));
        let one = listed(&connections, 1);
        connections.sweep(0, 999);
        connections.sweep(0, 1_000);
        assert_eq!(one.entry().order(), None);
        connections.sweep(0, 1_001);
        assert_eq!(one.entry().order(), Some(SocketEnding::Expired));
    }

    #[test]
    fn a_clock_that_is_set_moves_the_expiry_of_open_sockets() {
        let connections = Arc::new(Connections::new(1));
        let one = listed(&connections, 1);
        // Forty days behind for a while: nothing happens, however much time passes.
        connections.sweep(0, 1_000 - 40 * 86_400);
        assert_eq!(one.entry().order(), None);
        // Forty days ahead: at the next look.
        connections.sweep(0, 1_000 + 40 * 86_400);
        assert_eq!(one.entry().order(), Some(SocketEnding::Expired));
    }

    #[test]
    fn ids_are_read_back_as_they_are_shown() {
        let id = ConnectionId(0x00ab_cdef);
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}
