//! Which server of a backend serves a new connection.

use super::{Backend, Balance, HashOn, Server};
use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    net::IpAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
};

/// What a choice may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// SHA-256 of the client's certificate.
    pub certificate: Option<&'a [u8]>,
    /// The client's address.
    pub address: IpAddr,
    /// The value of the field that `hash_on = "header:NAME"` names.
    pub header: Option<&'a [u8]>,
    /// Fresh random bits.
    pub random: u64,
}

impl Backend {
    /// The server for a new connection, among those that are up and not in `tried`.
    pub fn choose(&self, choice: &Choice<'_>, tried: &[Arc<Server>]) -> Option<&Arc<Server>> {
        let candidates: Vec<_> = self
            .servers
            .iter()
            .filter(|server| {
                server.is_up() && !tried.iter().any(|other| Arc::ptr_eq(server, other))
            })
            .collect();
        let count = candidates.len();
        match &self.balance {
            _ if count <= 1 => candidates.first().copied(),
            Balance::LeastConnections => least(&candidates, choice.random),
            Balance::RoundRobin => {
                let turn = self.turn.fetch_add(1, Relaxed);
                candidates.get(turn % count).copied()
            }
            Balance::RandomTwo => {
                let (one, other) = two(choice.random, count);
                let pair = [candidates.get(one), candidates.get(other)];
                pair.into_iter()
                    .flatten()
                    .copied()
                    .min_by_key(|server| server.open())
            }
            Balance::Hash(on) => rendezvous(&candidates, on, choice),
        }
    }
}

/// The fewest open connections; among equals a random one, so that many proxies that start
/// together do not all choose the first.
fn least<'s>(candidates: &[&'s Arc<Server>], random: u64) -> Option<&'s Arc<Server>> {
    let fewest = candidates.iter().map(|server| server.open()).min()?;
    let equal: Vec<_> = candidates
        .iter()
        .filter(|server| server.open() == fewest)
        .collect();
    equal.get(place(random, equal.len())).map(|server| **server)
}

/// Two different places below `count`, which is at least 2.
fn two(random: u64, count: usize) -> (usize, usize) {
    let one = place(random, count);
    let step = 1 + place(random >> 32, count - 1);
    (one, (one + step) % count)
}

fn place(random: u64, count: usize) -> usize {
    usize::try_from(random % count.max(1) as u64).unwrap_or(0)
}

/// Rendezvous hashing (Thaler and Ravishankar, 1998): a server that goes down moves its own
/// clients and no others.
fn rendezvous<'s>(
    candidates: &[&'s Arc<Server>],
    on: &HashOn,
    choice: &Choice<'_>,
) -> Option<&'s Arc<Server>> {
    let weight = |server: &Arc<Server>| {
        // DefaultHasher::new is keyed with zeros: the same on every proxy of a fleet.
        let mut hasher = DefaultHasher::new();
        match (on, choice.certificate, choice.header) {
            (HashOn::Client, Some(certificate), _) => certificate.hash(&mut hasher),
            (HashOn::Header(_), _, Some(value)) => value.hash(&mut hasher),
            _ => choice.address.hash(&mut hasher),
        }
        server.label.hash(&mut hasher);
        hasher.finish()
    };
    candidates
        .iter()
        .copied()
        .max_by_key(|server| weight(server))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{BackendSettings, ServerAddress};

    fn backend(balance: Balance, count: u16) -> Backend {
        let servers = (1..=count).map(|port| ServerAddress::Ip(([127, 0, 0, 1], port).into()));
        Backend::detached(&BackendSettings {
            name: "b".into(),
            servers: servers.collect(),
            balance,
        })
    }

    fn choice(random: u64, last: u8) -> Choice<'static> {
        Choice {
            certificate: None,
            address: [10, 0, 0, last].into(),
            header: None,
            random,
        }
    }

    #[test]
    fn round_robin_takes_each_in_turn() {
        let backend = backend(Balance::RoundRobin, 3);
        let chosen: Vec<_> = (0..4)
            .map(|_| {
                backend
                    .choose(&choice(0, 1), &[])
                    .unwrap()
                    .label
                    .to_string()
            })
            .collect();
        assert_eq!(chosen[0], chosen[3]);
        assert_ne!(chosen[0], chosen[1]);
        assert_ne!(chosen[1], chosen[2]);
    }

    #[test]
    fn least_connections_takes_the_server_with_fewest_open() {
        let backend = backend(Balance::LeastConnections, 2);
        let first = backend.servers[0].clone();
        let _open = first.opened();
        for random in 0..8 {
            let chosen = backend.choose(&choice(random, 1), &[]).unwrap();
            assert!(!Arc::ptr_eq(chosen, &first));
        }
    }

    #[test]
    fn random_two_never_takes_the_most_loaded_of_all() {
        let backend = backend(Balance::RandomTwo, 3);
        let busiest = backend.servers[2].clone();
        let _open = busiest.opened();
        for random in (0..1000_u64).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15)) {
            let chosen = backend.choose(&choice(random, 1), &[]).unwrap();
            assert!(!Arc::ptr_eq(chosen, &busiest));
        }
    }

    #[test]
    fn hash_keeps_a_client_on_its_server_and_moves_only_those_of_a_server_that_went_down() {
        let backend = backend(Balance::Hash(HashOn::Ip), 4);
        let before: Vec<_> = (0..100)
            .map(|n| backend.choose(&choice(0, n), &[]).unwrap().clone())
            .collect();
        let gone = before[0].clone();
        gone.mark_down();
        for (n, server) in (0..100).zip(&before) {
            let after = backend.choose(&choice(7, n), &[]).unwrap();
            assert_eq!(Arc::ptr_eq(after, server), !Arc::ptr_eq(server, &gone));
        }
    }

    #[test]
    fn a_server_that_is_down_or_was_tried_is_not_chosen() {
        let backend = backend(Balance::RoundRobin, 2);
        backend.servers[0].mark_down();
        let only = backend.choose(&choice(0, 1), &[]).unwrap().clone();
        assert!(Arc::ptr_eq(&only, &backend.servers[1]));
        assert!(backend.choose(&choice(0, 1), &[only]).is_none());
    }
}
