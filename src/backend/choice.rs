//! What a choice among the servers of a backend depends on; [`policy::balance`](crate::policy::balance)
//! chooses.

use super::{Backend, Balance, HashOn, Server};
use crate::policy::balance::{Candidate, Method};
use std::{
    borrow::Cow,
    net::IpAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
};

/// What a choice may depend on, besides the servers.
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
        let candidate = |server| candidate(server, tried);
        let candidates: Vec<_> = self.servers.iter().map(candidate).collect();
        let key;
        let random = choice.random;
        let method = match &self.balance {
            Balance::LeastConnections => Method::LeastConnections { random },
            Balance::RoundRobin => Method::RoundRobin {
                turn: self.turn(&candidates),
            },
            Balance::RandomTwo => Method::RandomTwo { random },
            Balance::Hash(on) => {
                key = choice.key(on);
                Method::Hash { key: &key }
            }
        };
        self.servers.get(method.choose(&candidates)?)
    }

    /// Whose turn it is. A turn is taken only where there is a choice: where one server is left after
    /// another has failed, the next connection would otherwise begin with the failing one again.
    fn turn(&self, candidates: &[Candidate<'_>]) -> usize {
        let mut eligible = candidates.iter().filter(|it| it.is_eligible());
        let is_choice = eligible.nth(1).is_some();
        if is_choice {
            self.turn.fetch_add(1, Relaxed)
        } else {
            0
        }
    }
}

impl Choice<'_> {
    /// What is hashed.
    fn key(&self, on: &HashOn) -> Cow<'_, [u8]> {
        match (on, self.certificate, self.header) {
            (HashOn::Client, Some(certificate), _) => certificate.into(),
            (HashOn::Header(_), _, Some(value)) => value.into(),
            _ => bytes_of(self.address).into(),
        }
    }
}

fn candidate<'s>(server: &'s Arc<Server>, tried: &[Arc<Server>]) -> Candidate<'s> {
    Candidate {
        address: &server.label,
        is_up: server.is_up(),
        was_tried: tried.iter().any(|other| Arc::ptr_eq(server, other)),
        load: server.open(),
    }
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
    use crate::{
        backend::{BackendSettings, ServerAddress, registry::Registry},
        observe::Metrics,
    };
    use std::time::SystemTime;

    fn detached(settings: &BackendSettings) -> Backend {
        let metrics = Metrics::unscraped(&[]).unwrap().naming().backend("b");
        Backend::new(settings, metrics, &mut Registry::default().configure())
    }

    fn backend(balance: Balance, count: u16) -> Backend {
        let servers = (1..=count).map(|port| ServerAddress::Ip(([127, 0, 0, 1], port).into()));
        detached(&BackendSettings {
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

    const CERTIFICATE: &[u8] = &[7; 32];
    const SERVERS: [&str; 4] = [
        "ws://127.0.0.1:9001",
        "ws://[::1]:9002",
        "ws://chat.internal:9003",
        "unix:/run/chat.sock",
    ];

    /// By the weights of `policy::balance`.
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
            let backend = detached(&BackendSettings {
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
        backend.servers[0].failed("refused".to_owned(), SystemTime::UNIX_EPOCH);
        let only = backend.choose(&choice(0, 1), &[]).unwrap().clone();
        assert!(Arc::ptr_eq(&only, &backend.servers[1]));
        assert!(backend.choose(&choice(0, 1), &[only]).is_none());
    }
}
