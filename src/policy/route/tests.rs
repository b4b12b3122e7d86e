use super::*;

fn table(routes: &[(&[&str], &str)]) -> Result<RouteTable<usize>, Vec<Duplicate>> {
    RouteTable::build(routes.iter().enumerate().map(|(index, (hosts, path))| {
        let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
        (hosts, path.parse().unwrap(), index)
    }))
}

fn host(text: &str) -> Host {
    Host::from_authority(text).unwrap()
}

#[test]
fn a_host_match_wins_before_none_and_then_the_longest_prefix() {
    let table = table(&[
        (&[], "/"),
        (&[], "/chat/room/one"),
        (&["a.test"], "/chat"),
        (&["*.test"], "/chat"),
        (&["*.test"], "/chat/room"),
        (&["a.test", "b.test"], "/other"),
        (&["[::1]"], "/"),
    ])
    .unwrap();
    for (name, target, expected) in [
        ("a.test", "/chat", 2),
        ("A.TEST.:443", "/chat/room/one", 2),
        ("a.test", "/chatter", 0),
        ("a.test", "/other", 5),
        ("b.test", "/other?x=/chat", 5),
        ("b.test", "/chat/x", 3),
        ("b.test", "/chat/room/x", 4),
        ("b.test", "/chat/rooms", 3),
        ("b.test", "/%63hat/room", 4),
        ("x.b.test", "/chat/room/x", 0),
        ("x.b.test", "/chat/room/one", 1),
        ("test", "/chat", 0),
        ("[::1]", "/chat/room/one", 6),
        ("127.0.0.1", "/chat/room/one", 1),
    ] {
        let found = table.lookup(&host(name), target);
        assert_eq!(found, Ok(Some(&expected)), "{name}{target}");
    }
}

#[test]
fn no_route_is_found_where_none_covers_host_and_path() {
    let table = table(&[(&["a.test"], "/chat"), (&["*.b.test"], "/")]).unwrap();
    for (name, target) in [
        ("a.test", "/"),
        ("a.test", "/cha"),
        ("b.test", "/"),
        ("c.test", "/chat"),
        ("a.test", "/other%2fx//y"),
        ("a.test", "*"),
        ("a.test", ""),
    ] {
        assert_eq!(
            table.lookup(&host(name), target),
            Ok(None),
            "{name}{target}"
        );
    }
    let empty = RouteTable::<usize>::default();
    assert_eq!(empty.lookup(&host("a.test"), "/"), Ok(None));
}

#[test]
fn a_path_is_refused_only_where_its_readings_lead_to_different_routes() {
    let table = table(&[
        (&["a.test"], "/"),
        (&["a.test"], "/admin"),
        (&["b.test"], "/"),
        (&["c.test"], "/chat"),
        (&["*.edge.test"], "/"),
    ])
    .unwrap();
    for (name, target, expected) in [
        // Legal paths of applications that are in use.
        (
            "a.test",
            "/cool/https%3A%2F%2Fcloud.test%2Findex.php%3Fa%3Db/ws?c=//../admin",
            Some(Some(0)),
        ),
        ("a.test", "//comms", Some(Some(0))),
        ("a.test", "/chat/", Some(Some(0))),
        ("a.test", "/chat//ws", Some(Some(0))),
        ("a.test", "/admin//ws", Some(Some(1))),
        ("a.test", "/admin/a%2Fb", Some(Some(1))),
        ("a.test", "/admin;v=1", None),
        ("a.test", "/chat/../admin", None),
        ("a.test", "/chat/%2e%2e/admin", None),
        ("a.test", "/chat/..%2Fadmin", None),
        ("a.test", "/chat\\..\\admin", None),
        ("a.test", "/chat%5C..%5Cadmin", None),
        ("a.test", "/chat/..;/admin", None),
        ("a.test", "//admin", None),
        ("a.test", "/%2Fadmin", None),
        ("a.test", "/admin/..", None),
        ("a.test", "/x//admin", Some(Some(0))),
        // By the WHATWG's reading the host is x or b.test, and the path begins after it.
        ("a.test", "//x/admin", None),
        ("a.test", "//x/chat", Some(Some(0))),
        ("a.test", "//b.test/chat", None),
        ("a.test", "/\\b.test/chat", None),
        ("a.test", "//x.edge.test/", None),
        ("b.test", "//b.test/chat", Some(Some(2))),
        ("b.test", "/../%2e%2E//\\;/a%2F", Some(Some(2))),
        ("c.test", "/chat/a//b/./c", Some(Some(3))),
        ("c.test", "/chat/../x", None),
        ("c.test", "//x/../y", Some(None)),
    ] {
        let found = table.lookup(&host(name), target).ok();
        assert_eq!(
            found.map(Option::<&usize>::copied),
            expected,
            "{name}{target}"
        );
    }
}

#[test]
fn routes_with_the_same_host_and_path_are_told_in_pairs() {
    let duplicates = table(&[
        (&["a.test"], "/chat"),
        (&[], "/"),
        (&["b.test", "A.test."], "/%63hat"),
        (&[], "/"),
        (&["*.a.test", "*.A.test"], "/x"),
        (&["a.test"], "/chat/x"),
    ])
    .unwrap_err();
    let told: Vec<_> = duplicates
        .iter()
        .map(|d| (d.first, d.second, d.host.as_ref().map(ToString::to_string)))
        .collect();
    let name = |text: &str| Some(text.to_owned());
    assert_eq!(
        told,
        [
            (0, 2, name("a.test")),
            (1, 3, None),
            (4, 4, name("*.a.test"))
        ]
    );
}

#[test]
fn the_routes_of_a_host_are_those_that_its_requests_can_reach() {
    let table = table(&[
        (&[], "/"),
        (&[], "/chat"),
        (&[], "/chat/room"),
        (&["a.test", "*.test"], "/chat"),
        (&["*.test"], "/more"),
        (&["b.test"], "/"),
    ])
    .unwrap();
    for (name, expected) in [
        ("a.test", vec![0, 3, 4]),
        ("b.test", vec![5]),
        ("c.test", vec![0, 3, 4]),
        ("a.example", vec![0, 1, 2]),
    ] {
        let mut found: Vec<usize> = table.routes_for_host(&host(name)).copied().collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{name}");
    }
    assert_eq!(table.iter().count(), 6);
}

/// A small generator (xorshift64*), so that a failure can be repeated from its seed.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    fn host(&mut self) -> String {
        match self.below(3) {
            0 => format!("h{}.test", self.below(400)),
            1 => format!("h{}.h{}.test", self.below(20), self.below(40)),
            _ => "test".to_owned(),
        }
    }

    fn pattern(&mut self) -> Option<String> {
        match self.below(8) {
            0 => None,
            1 => Some("*.test".to_owned()),
            2 | 3 => Some(format!("*.h{}.test", self.below(40))),
            _ => Some(self.host()),
        }
    }

    fn path(&mut self) -> String {
        let segments = self.below(4);
        let mut path = String::new();
        for _ in 0..segments {
            let length = usize::try_from(1 + self.below(12)).unwrap();
            path.push('/');
            path.push_str(&"s".repeat(length));
        }
        if path.is_empty() {
            "/".to_owned()
        } else {
            path
        }
    }
}

type Reference = Vec<(Option<HostPattern>, PathPrefix, usize)>;

/// The rule said in the plainest way: the best of all that match.
fn naive(routes: &Reference, host: &Host, target: &str) -> Option<usize> {
    let rank = |pattern: &Option<HostPattern>| match pattern {
        None => 0,
        Some(pattern) if pattern.is_wildcard() => 1,
        Some(_) => 2,
    };
    routes
        .iter()
        .filter(|(pattern, prefix, _)| {
            pattern.as_ref().is_none_or(|pattern| pattern.matches(host)) && prefix.matches(target)
        })
        .max_by_key(|(pattern, prefix, _)| (rank(pattern), prefix.as_str().len()))
        .map(|(_, _, index)| *index)
}

#[test]
fn ten_thousand_routes_are_found_as_a_naive_search_finds_them() {
    let mut seeded = Seeded(0x7469_6465_6761_7465);
    let mut routes: Reference = Vec::new();
    let mut seen = std::collections::HashSet::new();
    while routes.len() < 10_000 {
        let (pattern, path) = (seeded.pattern(), seeded.path());
        if seen.insert((pattern.clone(), path.clone())) {
            let pattern = pattern.map(|text| text.parse().unwrap());
            routes.push((pattern, path.parse().unwrap(), routes.len()));
        }
    }
    let entries = routes.iter().cloned();
    let table = RouteTable::build(
        entries.map(|(pattern, path, index)| (pattern.into_iter().collect(), path, index)),
    )
    .unwrap();
    for _ in 0..500 {
        let (host, target) = (host(&seeded.host()), seeded.path());
        let expected = naive(&routes, &host, &target);
        assert_eq!(
            table.lookup(&host, &target).unwrap().copied(),
            expected,
            "{host}{target}"
        );
    }
}

#[test]
fn a_mapped_table_has_every_route_where_it_was() {
    let routes: &[(&[&str], &str)] = &[(&["a.test"], "/"), (&["*.test"], "/x"), (&[], "/")];
    let mapped = table(routes).unwrap().map(|index| format!("route {index}"));
    let all: Vec<_> = mapped.iter().cloned().collect();
    assert_eq!(all, ["route 0", "route 1", "route 2"]);
    for (name, target, expected) in [
        ("a.test", "/x", "route 0"),
        ("b.test", "/x", "route 1"),
        ("b.test", "/y", "route 2"),
    ] {
        let found = mapped.lookup(&host(name), target).unwrap();
        assert_eq!(found.map(String::as_str), Some(expected));
    }
}
