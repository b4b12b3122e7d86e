//! Which server of a backend serves a new connection.
//!
//! What is known of the servers, the turn and random bits come in as arguments, so that choices among a
//! thousand servers can be simulated.

use sha2::{Digest, Sha256};

/// A server, as far as a choice depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'s> {
    /// Its address as the configuration writes it.
    pub address: &'s str,
    /// Whether connections to it can be made, as far as is known.
    pub is_up: bool,
    /// Whether this connection has been refused by it already.
    pub was_tried: bool,
    /// Its connections that are open, or being opened.
    pub load: usize,
}

/// How a server is chosen, with what that takes.
#[derive(Clone, Copy, Debug)]
pub enum Method<'k> {
    /// One with the fewest open connections.
    LeastConnections {
        /// Decides among equals.
        random: u64,
    },
    /// Each in turn.
    RoundRobin {
        /// Counts the choices.
        turn: usize,
    },
    /// The less loaded of two drawn at random.
    RandomTwo {
        /// Draws them.
        random: u64,
    },
    /// The same server for the same key, as long as it is up.
    Hash {
        /// What the client is known by.
        key: &'k [u8],
    },
}

impl Candidate<'_> {
    /// Whether it may be chosen. One that is down may not, even where all are: a client that is told so
    /// at once is better off than one that waits for a server known not to answer.
    pub fn is_eligible(&self) -> bool {
        self.is_up && !self.was_tried
    }
}

impl Method<'_> {
    /// The index of the server for a new connection; `None`: none may be chosen.
    pub fn choose(self, candidates: &[Candidate<'_>]) -> Option<usize> {
        let count = eligible(candidates).count();
        let chosen = match self {
            _ if count <= 1 => eligible(candidates).next(),
            Self::LeastConnections { random } => least(candidates, random),
            Self::RoundRobin { turn } => eligible(candidates).nth(turn % count),
            Self::RandomTwo { random } => {
                let pair = two(random, count).into_iter();
                let pair = pair.filter_map(|index| eligible(candidates).nth(index));
                pair.min_by_key(|(_, it)| it.load)
            }
            Self::Hash { key } => rendezvous(candidates, key),
        };
        chosen.map(|(index, _)| index)
    }
}

/// Those that may be chosen, each with its index among all.
fn eligible<'c, 's>(
    candidates: &'c [Candidate<'s>],
) -> impl Iterator<Item = (usize, &'c Candidate<'s>)> {
    let all = candidates.iter().enumerate();
    all.filter(|(_, it)| it.is_eligible())
}

/// The fewest open connections; among equals a random one, so that many proxies that start
/// together do not all choose the first.
fn least<'c, 's>(
    candidates: &'c [Candidate<'s>],
    random: u64,
) -> Option<(usize, &'c Candidate<'s>)> {
    let fewest = eligible(candidates).map(|(_, it)| it.load).min()?;
    let equal = || eligible(candidates).filter(|(_, it)| it.load == fewest);
    equal().nth(index(random, equal().count()))
}

/// Two different indices below `count`, which is at least 2.
fn two(random: u64, count: usize) -> [usize; 2] {
    let one = index(random, count);
    let step = 1 + index(random >> 32, count - 1);
    [one, (one + step) % count]
}

fn index(random: u64, count: usize) -> usize {
    usize::try_from(random % count.max(1) as u64).unwrap_or(0)
}

/// Rendezvous hashing (Thaler and Ravishankar, 1998): a server that goes down moves its own
/// clients and no others. Every proxy of a fleet must choose alike, whatever it was built with: so
/// the weights are promised, in `docs/operations.md`.
fn rendezvous<'c, 's>(
    candidates: &'c [Candidate<'s>],
    key: &[u8],
) -> Option<(usize, &'c Candidate<'s>)> {
    eligible(candidates).max_by_key(|(_, it)| weight(key, it.address.as_bytes()))
}

/// The weight of a server for a key: SHA-256 over both, each after its length.
fn weight(key: &[u8], server: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [key, server] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests;
