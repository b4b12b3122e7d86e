//! Which server of a backend serves a new connection.

use super::{Backend, Balance, HashOn, Server};
use sha2::{Digest, Sha256};
use std::{
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
/// clients and no others. Every proxy of a fleet must choose alike, whatever it was built with: so
/// the weights are promised, in `docs/operations.md`.
fn rendezvous<'s>(
    candidates: &[&'s Arc<Server>],
    on: &HashOn,
    choice: &Choice<'_>,
) -> Option<&'s Arc<Server>> {
    let address = bytes_of(choice.address);
    let key = match (on, choice.certificate, choice.header) {
        (HashOn::Client, Some(certificate), _) => certificate,
        (HashOn::Header(_), _, Some(value)) => value,
        _ => &address,
    };
    candidates
        .iter()
        .copied()
        .max_by_key(|server| weight(key, server.label.as_bytes()))
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

/// An IPv4 address is the same on a listener that takes IPv6 as well.
fn bytes_of(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{BackendSettings, ServerAddress};

    fn backend(balance: Balance, count: u16) -> Backend {
        let servers = (1..=count).map(|port| ServerAddress::Ip(([127, 0, 0, 1], port).into()));
        Backend::detached(&BackendSettings {
            host: None,
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
        gone.mark_down("refused");
        for (n, server) in (0..100).zip(&before) {
            let after = backend.choose(&choice(7, n), &[]).unwrap();
            assert_eq!(Arc::ptr_eq(after, server), !Arc::ptr_eq(server, &gone));
        }
    }

    const CERTIFICATE: &[u8] = &[7; 32];
    const SERVERS: [&str; 4] = [
        "ws://127.0.0.1:9001",
        "ws://[::1]:9002",
        "ws://chat.internal:9003",
        "unix:/run/chat.sock",
    ];

    /// The first 8 bytes of each, computed by Python:
    ///
    /// ```text
    /// import hashlib
    /// part = lambda b: len(b).to_bytes(8, "big") + b
    /// weight = lambda key, server: hashlib.sha256(part(key) + part(server)).hexdigest()[:16]
    /// ```
    #[test]
    fn weights_of_servers_are_the_promised_ones() {
        let v4 = bytes_of([192, 0, 2, 1].into());
        let v6 = bytes_of("2001:db8::1".parse().unwrap());
        let expected: [(&[u8], [u64; 4]); 4] = [
            (
                CERTIFICATE,
                [
                    0x57fa_6e03_83ae_34d6,
                    0x5ac7_efce_55ea_45a9,
                    0x21da_958d_d1ae_b972,
                    0x573e_bc34_db9c_2af1,
                ],
            ),
            (
                &v4,
                [
                    0x9fb3_7bc5_82cc_7337,
                    0x6e82_ecc4_5721_93bf,
                    0x04b4_f9ca_8927_b79b,
                    0x1a31_f627_60ec_2b2c,
                ],
            ),
            (
                &v6,
                [
                    0x82d1_708b_d008_f294,
                    0xd92e_fb13_0de1_e9ea,
                    0x04cd_b9c4_6d36_9cb3,
                    0xdab1_cbf2_c1b2_ee12,
                ],
            ),
            (
                b"alice",
                [
                    0x2281_d464_6e6d_4062,
                    0x7b04_f0ff_c765_f19d,
                    0x6f80_6b05_deb9_c99a,
                    0xd94b_b83c_33c9_0e5e,
                ],
            ),
        ];
        for (key, weights) in expected {
            let first = |server: &str| *weight(key, server.as_bytes()).first_chunk().unwrap();
            let found = SERVERS.map(|server| u64::from_be_bytes(first(server)));
            assert_eq!(found, weights, "{key:?}");
        }
    }

    /// By the weights above.
    #[test]
    fn hash_chooses_the_server_with_the_promised_weight_by_every_key() {
        let header = HashOn::Header(http::HeaderName::from_static("x-room"));
        let v4 = IpAddr::from([192, 0, 2, 1]);
        let mapped = "::ffff:192.0.2.1".parse().unwrap();
        let v6 = "2001:db8::1".parse().unwrap();
        for (on, address, chosen) in [
            (HashOn::Client, v4, SERVERS[1]),
            (HashOn::Ip, v4, SERVERS[0]),
            (HashOn::Ip, mapped, SERVERS[0]),
            (HashOn::Ip, v6, SERVERS[3]),
            (header, v6, SERVERS[3]),
        ] {
            let backend = Backend::detached(&BackendSettings {
                host: None,
                name: "b".into(),
                servers: vec![
                    ServerAddress::Ip(([127, 0, 0, 1], 9001).into()),
                    ServerAddress::Ip("[::1]:9002".parse().unwrap()),
                    ServerAddress::Name("chat.internal".into(), 9003),
                    ServerAddress::Unix("/run/chat.sock".into()),
                ],
                balance: Balance::Hash(on.clone()),
            });
            let choice = Choice {
                certificate: Some(CERTIFICATE),
                address,
                header: Some(b"alice"),
                random: 0,
            };
            let server = backend.choose(&choice, &[]).unwrap();
            assert_eq!(&*server.label, chosen, "{on:?} {address}");
        }
    }

    #[test]
    fn a_server_that_is_down_or_was_tried_is_not_chosen() {
        let backend = backend(Balance::RoundRobin, 2);
        backend.servers[0].mark_down("refused");
        let only = backend.choose(&choice(0, 1), &[]).unwrap().clone();
        assert!(Arc::ptr_eq(&only, &backend.servers[1]));
        assert!(backend.choose(&choice(0, 1), &[only]).is_none());
    }
}
