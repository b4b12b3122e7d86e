//! Addresses that get in each other's way: of listeners, of the admin listener, of backends.

use crate::{
    backend::ServerAddress,
    config::{
        findings::{Finding, Placed, Reading},
        sections::{AdminDraft, BackendDraft, Draft},
    },
};
use std::net::{IpAddr, SocketAddr};

/// An address of the proxy's own, and what listens there.
struct Own<'d> {
    what: &'static str,
    address: &'d Placed<SocketAddr>,
}

/// Reports addresses that two want to listen on, and backends that are the proxy itself.
pub(super) fn check(draft: &Draft, reading: &Reading) {
    let own = own_addresses(draft);
    for (index, second) in own.iter().enumerate() {
        let mut earlier = own.iter().take(index);
        if let Some(first) =
            earlier.find(|first| overlap(first.address.value, second.address.value))
        {
            reading.report(both_listen(first, second));
        }
    }
    check_admin_reach(draft, reading);
    check_loops(draft, &own, reading);
}

/// Those with a fixed port: port 0 is a different one each time.
fn own_addresses(draft: &Draft) -> Vec<Own<'_>> {
    let listeners = draft.listeners.iter().flatten();
    let listeners = listeners.filter_map(|listener| listener.address.as_ref());
    let listeners = listeners.map(|address| Own {
        what: "a [[listener]]",
        address,
    });
    let admin = draft
        .admin
        .iter()
        .filter_map(|admin| admin.address.as_ref());
    let admin = admin.map(|address| Own {
        what: "the admin listener",
        address,
    });
    let own = listeners.chain(admin);
    own.filter(|own| own.address.value.port() != 0).collect()
}

/// Returns true if only one of both can be bound: one address, or one of them is any address.
///
/// `[::]` takes IPv4 as well (RFC 3493 section 5.3).
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    let covers = |any: IpAddr, ip: IpAddr| any.is_unspecified() && (any.is_ipv6() || ip.is_ipv4());
    one.port() == other.port() && (a == b || covers(a, b) || covers(b, a))
}

fn both_listen(first: &Own<'_>, second: &Own<'_>) -> Finding {
    let (one, other) = (first.address.value, second.address.value);
    let message = match (first.what == second.what, one == other) {
        (true, true) => format!("another listener has the address {other}"),
        (false, true) => format!(
            "{} and {} both have the address {other}",
            second.what, first.what
        ),
        (_, false) => format!(
            "{} on {other} and {} on {one} get in each other's way: one of them stands for every address",
            second.what, first.what
        ),
    };
    let place = second.address.place.clone();
    let place = place.or_else(|| first.address.place.clone());
    let hint = "give one of them another port";
    Finding::error(&place, message)
        .hint(hint)
        .related(&first.address.place, "first here")
}

fn check_admin_reach(draft: &Draft, reading: &Reading) {
    let Some(AdminDraft {
        address: Some(address),
        token_file,
    }) = &draft.admin
    else {
        return;
    };
    if !address.value.ip().is_loopback() && token_file.is_none() {
        let message = "the admin listener is reachable from other machines, and has no token_file";
        let hint = "anyone there can read it, and its writing calls are refused to all but loopback: listen on 127.0.0.1, or name a token_file";
        reading.report(Finding::warning(&address.place, message).hint(hint));
    }
}

/// A server that is the proxy's own listener gets what it has just sent.
fn check_loops(draft: &Draft, own: &[Own<'_>], reading: &Reading) {
    let servers = draft.backends.iter().flat_map(BackendDraft::servers);
    for server in servers {
        let ServerAddress::Ip(address) = &server.value else {
            continue;
        };
        if let Some(own) = own
            .iter()
            .find(|own| is_reached(own.address.value, *address))
        {
            let message = format!(
                "this server is the proxy itself: {} has the address {}",
                own.what, own.address.value
            );
            let finding = Finding::warning(&server.place, message);
            let hint = "write the address on which the backend listens";
            reading.report(finding.hint(hint).related(&own.address.place, "here"));
        }
    }
}

/// Returns true if a connection to `target` certainly reaches who listens on `own`.
fn is_reached(own: SocketAddr, target: SocketAddr) -> bool {
    let target_ip = target.ip().to_canonical();
    let same = own.ip().to_canonical() == target_ip;
    let any = target_ip.is_loopback() && overlap(own, target);
    own.port() == target.port() && (same || any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_overlap_where_only_one_of_them_can_be_bound() {
        for (one, other, expected) in [
            ("127.0.0.1:1", "127.0.0.1:1", true),
            ("127.0.0.1:1", "127.0.0.1:2", false),
            ("127.0.0.1:1", "127.0.0.2:1", false),
            ("0.0.0.0:1", "127.0.0.1:1", true),
            ("0.0.0.0:1", "[::1]:1", false),
            ("[::]:1", "[::1]:1", true),
            ("[::]:1", "127.0.0.1:1", true),
            ("[::]:1", "0.0.0.0:1", true),
            ("[::ffff:127.0.0.1]:1", "127.0.0.1:1", true),
        ] {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(overlap(one, other), expected, "{one} {other}");
            assert_eq!(overlap(other, one), expected, "{other} {one}");
        }
    }
}
