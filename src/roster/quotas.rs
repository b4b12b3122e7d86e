//! Limits of one client: open sockets, new ones, messages and bytes in a second.
//!
//! A client is whoever its certificate names, by whatever certificate; without one, its address
//! (of IPv6, the /64 that one subscriber has). All its sockets, on all workers, draw on one
//! account. An account is kept while a socket is open or a rate has not recovered, and nothing is
//! kept where no limit is set.

use crate::policy::{
    identity::Identity,
    rate::{Bucket, Rate},
};
use sha2::{Digest, Sha256};
use std::{
    collections::{HashMap, hash_map::RandomState},
    fmt,
    hash::BuildHasher,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Workers seldom meet at one of so many locks.
const SHARDS: usize = 16;
/// Accounts of a shard before those are looked for that need not be kept.
const KEPT_AT_LEAST: usize = 64;
/// Accounts of a shard from which on those without an open socket are forgotten early.
const IDLE_AT_MOST: usize = 2048;

/// The `[limits.client]` table, checked; `None`: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Open sockets.
    pub sockets: Option<usize>,
    /// Sockets that are opened in a second.
    pub sockets_per_second: Option<u64>,
    /// Frames that begin a message, and Pings and Pongs, from the client in a second.
    pub messages_per_second: Option<u64>,
    /// Bytes of frames from the client in a second.
    pub bytes_per_second: Option<u64>,
    /// So many seconds' worth of a rate may come at once.
    pub burst: Duration,
}

/// Which client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// A digest of what its certificate names.
    Certificate([u8; 32]),
    /// Its address.
    Address(IpAddr),
}

/// All accounts.
#[derive(Debug)]
pub struct Clients {
    epoch: Instant,
    hasher: RandomState,
    shards: [Shard; SHARDS],
    /// Stands in for a shard that cannot be missing.
    spare: Shard,
}

type Shard = Mutex<HashMap<Who, Arc<Account>>>;

/// What all sockets of a client draw on.
#[derive(Debug)]
struct Account {
    epoch: Instant,
    spent: Mutex<Spent>,
}

#[derive(Debug, Default)]
struct Spent {
    open: usize,
    sockets: Bucket,
    messages: Bucket,
    bytes: Bucket,
}

/// A client's open socket; dropping it gives its place back.
#[derive(Debug)]
pub struct Seat {
    account: Arc<Account>,
    limits: ClientLimits,
}

/// Which limit a client has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// `sockets`.
    Sockets(usize),
    /// `sockets_per_second`.
    SocketsPerSecond(u64),
}

impl ClientLimits {
    /// No limit at all.
    pub const OFF: Self = Self {
        sockets: None,
        sockets_per_second: None,
        messages_per_second: None,
        bytes_per_second: None,
        burst: Duration::from_secs(2),
    };

    fn is_off(&self) -> bool {
        let rates = [
            self.sockets_per_second,
            self.messages_per_second,
            self.bytes_per_second,
        ];
        self.sockets.is_none() && rates.iter().all(Option::is_none)
    }

    fn allows(&self, bucket: &mut Bucket, per_second: Option<u64>, count: u64, now: u64) -> bool {
        per_second.is_none_or(|per_second| {
            let burst = self.burst;
            bucket.take(count, Rate { per_second, burst }, now)
        })
    }
}

impl Who {
    /// The client with this identity, or at this address where it has none.
    pub fn of(identity: Option<&Identity>, address: IpAddr) -> Self {
        match (identity, address) {
            (Some(identity), _) => Self::Certificate(named(identity)),
            (None, IpAddr::V4(_)) => Self::Address(address),
            (None, IpAddr::V6(address)) => match address.to_ipv4_mapped() {
                Some(address) => Self::Address(address.into()),
                None => Self::Address(IpAddr::V6((address.to_bits() >> 64 << 64).into())),
            },
        }
    }
}

/// A renewed certificate names the same client; one without names is only itself.
fn named(identity: &Identity) -> [u8; 32] {
    let lists = [&identity.uris, &identity.dns, &identity.emails];
    let names = lists.into_iter().flatten().chain([&identity.subject]);
    let mut digest = Sha256::new();
    let mut nameless = true;
    for name in names {
        nameless &= name.is_empty();
        digest.update(name.len().to_be_bytes());
        digest.update(name);
    }
    if nameless {
        digest.update(identity.fingerprint.as_bytes());
    }
    digest.finalize().into()
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            epoch: Instant::now(),
            hasher: RandomState::new(),
            shards: Default::default(),
            spare: Shard::default(),
        }
    }
}

impl Clients {
    /// A place for one more socket of a client; `None` where nothing is limited.
    pub fn enter(
        &self,
        who: Who,
        limits: &ClientLimits,
        now: Instant,
    ) -> Result<Option<Seat>, Reached> {
        if limits.is_off() {
            return Ok(None);
        }
        let account = self.account(who, now);
        account.enter(limits, now)?;
        Ok(Some(Seat {
            account,
            limits: *limits,
        }))
    }

    /// How many accounts are kept.
    pub fn accounts(&self) -> usize {
        let shards = self.shards.iter();
        shards.map(|shard| lock(shard).len()).sum()
    }

    fn account(&self, who: Who, now: Instant) -> Arc<Account> {
        let mut shard = lock(self.shard(who));
        if let Some(account) = shard.get(&who) {
            return account.clone();
        }
        if shard.len() >= KEPT_AT_LEAST && shard.len() == shard.capacity() {
            forget(&mut shard, now);
        }
        let account = Arc::new(Account {
            epoch: self.epoch,
            spent: Mutex::default(),
        });
        shard.insert(who, account.clone());
        account
    }

    fn shard(&self, who: Who) -> &Shard {
        let hash = self.hasher.hash_one(who) % SHARDS as u64;
        let index = usize::try_from(hash).unwrap_or_default();
        self.shards.get(index).unwrap_or(&self.spare)
    }
}

/// Makes room for as many accounts as there are left, so that this happens seldom.
fn forget(accounts: &mut HashMap<Who, Arc<Account>>, now: Instant) {
    let is_open = |account: &Arc<Account>| Arc::strong_count(account) > 1;
    accounts.retain(|_, account| is_open(account) || !account.is_idle(now));
    if accounts.len() >= IDLE_AT_MOST {
        accounts.retain(|_, account| is_open(account));
    }
    accounts.reserve(accounts.len());
}

impl Account {
    fn enter(&self, limits: &ClientLimits, now: Instant) -> Result<(), Reached> {
        let now = self.nanoseconds(now);
        let mut spent = lock(&self.spent);
        if let Some(most) = limits.sockets.filter(|most| spent.open >= *most) {
            return Err(Reached::Sockets(most));
        }
        let rate = limits.sockets_per_second;
        if !limits.allows(&mut spent.sockets, rate, 1, now) {
            return Err(Reached::SocketsPerSecond(rate.unwrap_or_default()));
        }
        spent.open += 1;
        Ok(())
    }

    /// Whether a new account would be the same.
    fn is_idle(&self, now: Instant) -> bool {
        let now = self.nanoseconds(now);
        let spent = lock(&self.spent);
        let buckets = [spent.sockets, spent.messages, spent.bytes];
        spent.open == 0 && buckets.iter().all(|bucket| bucket.is_full(now))
    }

    fn nanoseconds(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.epoch);
        u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Seat {
    /// Counts what the client has sent; returns whether it may send so much.
    pub fn spend(&self, messages: u64, bytes: u64, now: Instant) -> bool {
        let limits = &self.limits;
        let now = self.account.nanoseconds(now);
        let mut spent = lock(&self.account.spent);
        let Spent {
            messages: of_messages,
            bytes: of_bytes,
            ..
        } = &mut *spent;
        limits.allows(of_messages, limits.messages_per_second, messages, now)
            && limits.allows(of_bytes, limits.bytes_per_second, bytes, now)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.account.spent).open -= 1;
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sockets(most) => write!(
                f,
                "this client has {most} sockets open, as many as limits.client.sockets allows"
            ),
            Self::SocketsPerSecond(rate) => write!(
                f,
                "this client opens sockets faster than limits.client.sockets_per_second = {rate} allows"
            ),
        }
    }
}

/// A poisoned account is still an account: nothing is half done while the lock is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Who {
        Who::of(None, [192, 0, 2, last].into())
    }

    fn limits(sockets: usize) -> ClientLimits {
        ClientLimits {
            sockets: Some(sockets),
            ..ClientLimits::OFF
        }
    }

    #[test]
    fn a_client_has_no_more_sockets_than_its_limit_and_another_is_not_touched() {
        let (clients, now) = (Clients::default(), Instant::now());
        let enter = |who| clients.enter(who, &limits(2), now);
        let one = enter(address(1)).unwrap();
        let _two = enter(address(1)).unwrap();
        assert_eq!(enter(address(1)).unwrap_err(), Reached::Sockets(2));
        assert!(enter(address(2)).is_ok());
        drop(one);
        assert!(enter(address(1)).is_ok());
    }

    #[test]
    fn sockets_that_come_too_fast_are_refused_for_a_while() {
        let (clients, now) = (Clients::default(), Instant::now());
        let limits = ClientLimits {
            sockets_per_second: Some(1),
            ..ClientLimits::OFF
        };
        let enter = |after| {
            let at = now + Duration::from_secs(after);
            clients.enter(address(1), &limits, at).map(|_| ())
        };
        assert_eq!((enter(0), enter(0)), (Ok(()), Ok(())));
        assert_eq!(enter(0), Err(Reached::SocketsPerSecond(1)));
        assert_eq!(enter(1), Ok(()));
    }

    #[test]
    fn messages_and_bytes_of_all_sockets_of_a_client_count_together() {
        let (clients, now) = (Clients::default(), Instant::now());
        let limits = ClientLimits {
            messages_per_second: Some(10),
            bytes_per_second: Some(1_000),
            burst: Duration::from_secs(1),
            ..ClientLimits::OFF
        };
        let enter = || clients.enter(address(1), &limits, now).unwrap().unwrap();
        let (one, other) = (enter(), enter());
        assert!(one.spend(5, 10, now) && other.spend(5, 10, now));
        assert!(!other.spend(1, 1, now));
        let later = now + Duration::from_secs(1);
        assert!(one.spend(1, 1_000, later));
        assert!(!other.spend(1, 1, later));
    }

    #[test]
    fn nothing_is_kept_where_nothing_is_limited() {
        let clients = Clients::default();
        let seat = clients.enter(address(1), &ClientLimits::OFF, Instant::now());
        assert!(seat.unwrap().is_none());
        assert_eq!(clients.accounts(), 0);
    }

    #[test]
    fn accounts_of_clients_that_are_gone_do_not_add_up() {
        let (clients, now) = (Clients::default(), Instant::now());
        for number in 0..20_000_u32 {
            let who = Who::Address(IpAddr::from(number.to_be_bytes()));
            drop(clients.enter(who, &limits(1), now));
        }
        let kept = clients.accounts();
        assert!(kept <= 4 * KEPT_AT_LEAST * SHARDS, "{kept}");
    }

    #[test]
    fn accounts_whose_rate_has_not_recovered_are_bounded_too() {
        let (clients, now) = (Clients::default(), Instant::now());
        let limits = ClientLimits {
            sockets_per_second: Some(1),
            ..ClientLimits::OFF
        };
        for number in 0..100_000_u32 {
            let who = Who::Address(IpAddr::from(number.to_be_bytes()));
            drop(clients.enter(who, &limits, now));
        }
        let kept = clients.accounts();
        assert!(kept <= 2 * IDLE_AT_MOST * SHARDS, "{kept}");
    }

    #[test]
    fn an_account_with_an_open_socket_is_never_forgotten() {
        let (clients, now) = (Clients::default(), Instant::now());
        let _seat = clients.enter(address(1), &limits(1), now).unwrap();
        for number in 0..20_000_u32 {
            let who = Who::Address(IpAddr::from(number.to_be_bytes()));
            drop(clients.enter(who, &limits(1), now));
        }
        assert!(clients.enter(address(1), &limits(1), now).is_err());
    }

    #[test]
    fn addresses_of_one_subscriber_are_one_client() {
        let who = |text: &str| Who::of(None, text.parse().unwrap());
        assert_eq!(who("2001:db8:1:2::1"), who("2001:db8:1:2:ffff::9"));
        assert_ne!(who("2001:db8:1:2::1"), who("2001:db8:1:3::1"));
        assert_eq!(who("::ffff:192.0.2.1"), who("192.0.2.1"));
        assert_ne!(who("192.0.2.1"), who("192.0.2.2"));
    }
}
