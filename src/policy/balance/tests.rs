//! Choices among values, and simulations of many: by seeds, so that a failure comes again.

use super::*;
use crate::tests::Random;

/// As many servers as nobody should have.
const MANY: usize = 1_000;
/// Servers that the weights below are promised for.
const SERVERS: [&str; 4] = [
    "ws://127.0.0.1:9001",
    "ws://[::1]:9002",
    "ws://chat.internal:9003",
    "unix:/run/chat.sock",
];

/// So many addresses of servers.
fn addresses(count: usize) -> Vec<String> {
    let address = |index| format!("ws://10.0.{}.{}:9001", index / 256, index % 256);
    (0..count).map(address).collect()
}

/// Servers that are up and have nothing open.
fn idle(addresses: &[String]) -> Vec<Candidate<'_>> {
    let candidate = |address| Candidate {
        address,
        is_up: true,
        was_tried: false,
        load: 0,
    };
    let addresses = addresses.iter().map(String::as_str);
    addresses.map(candidate).collect()
}

/// Every method, with what it takes drawn at random.
fn methods<'k>(random: &mut Random, key: &'k [u8]) -> [Method<'k>; 4] {
    [
        Method::LeastConnections {
            random: bits(random),
        },
        Method::RoundRobin {
            turn: random.below(usize::MAX),
        },
        Method::RandomTwo {
            random: bits(random),
        },
        Method::Hash { key },
    ]
}

/// All 64 of them; the generator's own numbers have fewer.
fn bits(random: &mut Random) -> u64 {
    random.next() ^ random.next() << 32
}

/// Opens connections at servers, each by its own draw.
fn open(
    servers: &mut [Candidate<'_>],
    count: usize,
    mut method: impl FnMut(usize) -> Method<'static>,
) {
    for step in 0..count {
        let chosen = method(step).choose(servers).unwrap();
        servers[chosen].load += 1;
    }
}

/// Leaves each server with up to 20 connections fewer than its share, as if the others had ended;
/// returns how many are missing.
fn unevenly(servers: &mut [Candidate<'_>], share: usize, random: &mut Random) -> usize {
    for server in &mut *servers {
        server.load = share - random.below(20);
    }
    servers.iter().map(|it| share - it.load).sum()
}

/// That each server has its share, give or take a twentieth.
fn assert_even(servers: &[Candidate<'_>], share: usize) {
    let loads = || servers.iter().map(|it| it.load);
    let (fewest, most) = (loads().min().unwrap(), loads().max().unwrap());
    let slack = share / 20;
    let is_even = share - fewest.min(share) <= slack && most <= share + slack;
    assert!(is_even, "{fewest} to {most}, where {share} are right");
}

#[test]
fn round_robin_spreads_over_a_thousand_servers_within_a_twentieth() {
    let addresses = addresses(MANY);
    let mut servers = idle(&addresses);
    // The count of turns wraps on the way.
    let first = usize::MAX - 10 * MANY;
    let turn = |step| first.wrapping_add(step);
    open(&mut servers, 20 * MANY, |step| Method::RoundRobin {
        turn: turn(step),
    });
    assert_even(&servers, 20);
}

#[test]
fn least_connections_spreads_over_a_thousand_servers_within_a_twentieth_whatever_ends() {
    let mut random = Random::new(1);
    let addresses = addresses(MANY);
    let mut servers = idle(&addresses);
    let missing = unevenly(&mut servers, 20, &mut random);
    open(&mut servers, missing, |_| Method::LeastConnections {
        random: bits(&mut random),
    });
    assert_even(&servers, 20);
}

#[test]
fn random_two_spreads_over_a_thousand_servers_within_a_twentieth_whatever_ends() {
    let mut random = Random::new(1);
    let addresses = addresses(MANY);
    let mut servers = idle(&addresses);
    let missing = unevenly(&mut servers, 240, &mut random);
    // So many because it is off by about ten, whatever the share: one drawn alone would be off by 50.
    open(&mut servers, missing, |_| Method::RandomTwo {
        random: bits(&mut random),
    });
    assert_even(&servers, 240);
}

/// Keys are clients, who are no more even than chance: so the spread is compared with that of chance.
#[test]
fn hash_spreads_keys_as_evenly_as_chance() {
    const SERVERS: usize = 50;
    const SHARE: usize = 100;
    let addresses = addresses(SERVERS);
    let mut servers = idle(&addresses);
    for key in 0..(SERVERS * SHARE) as u64 {
        let chosen = hashed(key, &servers);
        servers[chosen].load += 1;
    }
    let squares = servers.iter().map(|it| it.load.abs_diff(SHARE).pow(2));
    let dispersion = squares.sum::<usize>() / SHARE;
    // Chi-squared with 49 degrees of freedom: one of a million is outside of 13 to 110.
    assert!((13..=110).contains(&dispersion), "{dispersion}");
}

#[test]
fn hash_moves_only_the_keys_of_a_server_that_is_removed_or_goes_down() {
    let addresses = addresses(MANY);
    let all = idle(&addresses);
    let before: Vec<_> = (0..50).map(|key| hashed(key, &all)).collect();
    let gone = before[0];
    let (mut down, mut removed) = (all.clone(), all);
    down[gone].is_up = false;
    removed.remove(gone);
    for (key, before) in (0..).zip(before) {
        let (with_down, with_removed) = (hashed(key, &down), hashed(key, &removed));
        assert_eq!(down[with_down].address, removed[with_removed].address);
        assert_eq!(with_down == before, before != gone, "{key}");
    }
}

fn hashed(key: u64, servers: &[Candidate<'_>]) -> usize {
    let key = key.to_be_bytes();
    Method::Hash { key: &key }.choose(servers).unwrap()
}

#[test]
fn a_server_that_is_down_or_was_tried_is_never_chosen_even_where_no_other_is_left() {
    let addresses = addresses(12);
    for seed in 0..2_000 {
        let mut random = Random::new(seed);
        let mut servers = idle(&addresses[..random.below(addresses.len() + 1)]);
        for server in &mut servers {
            server.is_up = random.one_in(2);
            server.was_tried = random.one_in(4);
            server.load = random.below(4);
        }
        let may = |it: &Candidate<'_>| it.is_up && !it.was_tried;
        let some = servers.iter().any(may);
        for method in methods(&mut random, b"alice") {
            let chosen = method.choose(&servers);
            assert_eq!(chosen.is_some(), some, "seed {seed}, {method:?}");
            let good = chosen.is_none_or(|index| may(&servers[index]));
            assert!(good, "seed {seed}, {method:?}");
        }
    }
}

#[test]
fn least_connections_draws_among_the_servers_with_fewest_and_takes_no_other() {
    let addresses = addresses(5);
    let mut servers = idle(&addresses);
    for (server, load) in servers.iter_mut().zip([3, 1, 2, 1, 1]) {
        server.load = load;
    }
    let chosen = |random| Method::LeastConnections { random }.choose(&servers);
    let chosen: Vec<_> = (0..6).filter_map(chosen).collect();
    assert_eq!(chosen, [1, 3, 4, 1, 3, 4]);
}

#[test]
fn random_two_never_takes_the_most_loaded_of_all() {
    let mut random = Random::new(1);
    let addresses = addresses(3);
    let mut servers = idle(&addresses);
    servers[2].load = 1;
    for _ in 0..1_000 {
        let random = bits(&mut random);
        let chosen = Method::RandomTwo { random }.choose(&servers);
        assert!(chosen.is_some_and(|index| index != 2));
    }
}

/// The first 8 bytes of each, computed by Python:
///
/// ```text
/// import hashlib
/// part = lambda b: len(b).to_bytes(8, "big") + b
/// weight = lambda key, server: hashlib.sha256(part(key) + part(server)).hexdigest()[:16]
/// ```
#[test]
fn weights_of_servers_are_the_promised_ones() {
    let v4 = [192, 0, 2, 1];
    let v6 = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let expected: [(&[u8], [u64; 4]); 4] = [
        (
            &[7; 32],
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
