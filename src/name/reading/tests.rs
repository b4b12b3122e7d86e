use super::*;

/// Everything that some reader takes for more than it is, and names to lead somewhere.
const TOKENS: [&str; 12] = [
    "/", "a", "b", ".", "..", "%2E", "%2F", "\\", "%5c", ";", "%3B", "%2e%2e",
];

/// Tables of prefixes, decoded; the empty one is `/`.
const TABLES: [&[&str]; 5] = [
    &["", "/a"],
    &["/a"],
    &["/a", "/a/b", "/b"],
    &["", "/a/b"],
    &[""],
];

const DEPTHS: [Depth; 3] = [Depth::Never, Depth::Plain, Depth::Encoded];

/// The longest prefix of a table that covers a path, as the route table finds it.
fn find(table: &[&str], path: &[u8]) -> Option<usize> {
    let covers = |prefix: &str| {
        path.strip_prefix(prefix.as_bytes())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    };
    let covering = table.iter().enumerate();
    let covering = covering.filter(|(_, prefix)| covers(prefix));
    let longest = covering.max_by_key(|(_, prefix)| prefix.len());
    longest.map(|(index, _)| index)
}

/// Every reading there is, whether the path has marks for it or not.
fn all_readings() -> Vec<Reading> {
    let mut readings = Vec::new();
    for slash in [Depth::Never, Depth::Encoded] {
        for backslash in DEPTHS {
            for semicolon in DEPTHS {
                for dots in DEPTHS {
                    for merge in [Merge::Never, Merge::First, Merge::Last] {
                        readings.push(Reading {
                            slash,
                            backslash,
                            semicolon,
                            dots,
                            merge,
                        });
                    }
                }
            }
        }
    }
    readings
}

/// One reading, step by step as its rule says it.
fn read_plainly(reading: Reading, path: &str) -> Vec<u8> {
    let plain: Vec<Atom> = atoms(path.as_bytes()).collect();
    let separates = |(byte, encoded): &Atom| match byte {
        b'/' => !encoded || reading.slash == Depth::Encoded,
        b'\\' => is_within(reading.backslash, *encoded),
        _ => false,
    };
    let drops = |(byte, encoded): &Atom| *byte == b';' && is_within(reading.semicolon, *encoded);
    let mut segments: Vec<Vec<Atom>> = plain
        .split(separates)
        .skip(1)
        .map(|segment| segment.split(drops).next().unwrap().to_vec())
        .collect();
    if reading.merge == Merge::First {
        segments.retain(|segment| !segment.is_empty());
    }
    let mut left: Vec<Vec<u8>> = Vec::new();
    for segment in segments {
        let encoded = segment
            .iter()
            .any(|(byte, encoded)| *byte == b'.' && *encoded);
        let bytes: Vec<u8> = segment.iter().map(|(byte, _)| *byte).collect();
        match bytes.as_slice() {
            b"." if is_within(reading.dots, encoded) => {}
            b".." if is_within(reading.dots, encoded) => drop(left.pop()),
            _ => left.push(
                bytes
                    .iter()
                    .map(|byte| if *byte == b'/' { 0 } else { *byte })
                    .collect(),
            ),
        }
    }
    if reading.merge == Merge::Last {
        left.retain(|segment| !segment.is_empty());
    }
    left.iter().fold(Vec::new(), |path, segment| {
        [&path[..], b"/", segment].concat()
    })
}

/// Checks the judgement of a path against all readings there are.
fn check(path: &str) {
    let readings = all_readings();
    let read: Vec<_> = readings.iter().map(|r| read_plainly(*r, path)).collect();
    for table in TABLES {
        let mut routes: Vec<_> = read.iter().map(|path| find(table, path)).collect();
        routes.sort_unstable();
        routes.dedup();
        match agree(path, |path| find(table, path)) {
            Ok(route) => assert_eq!(routes, [route], "{path} passed, by {table:?}"),
            Err(_) => assert!(routes.len() > 1, "{path} was refused, by {table:?}"),
        }
    }
}

/// Every path of so many tokens.
fn paths(tokens: usize) -> Vec<String> {
    match tokens.checked_sub(1) {
        None => vec!["/".to_owned()],
        Some(fewer) => paths(fewer)
            .iter()
            .flat_map(|path| TOKENS.map(|token| format!("{path}{token}")))
            .collect(),
    }
}

#[test]
fn a_path_passes_exactly_where_every_reading_of_it_leads_to_one_route() {
    for tokens in 0..=3 {
        for path in paths(tokens) {
            check(&path);
        }
    }
    // A small generator (a linear congruence), so that a failure can be repeated.
    let mut state = 0x7469_6465_u64;
    for number in 0..500 {
        let mut path = "/".to_owned();
        for _ in 0..4 + number % 8 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            path += TOKENS[usize::try_from(state >> 33).unwrap() % TOKENS.len()];
        }
        check(&path);
    }
}

#[test]
fn a_path_with_one_reading_is_neither_copied_nor_refused() {
    for path in ["/", "/a/b/", "/a.b/..c/...", "/.hidden/a..", "/a=1,b:c@d/"] {
        assert!(Marks::of(path.as_bytes()) == Marks::default(), "{path}");
        let place = |read: &[u8]| read.as_ptr() == path.as_ptr();
        assert_eq!(agree(path, place), Ok(true), "{path}");
    }
    assert_eq!(
        agree("/%63hat/%C3%A9", |read| read == "/chat/é".as_bytes()),
        Ok(true)
    );
}

#[test]
fn what_all_readings_cost_together_is_bounded() {
    let parts = ["/", "%2f", "\\", "%5c", ";", "%3b", "/..", "/%2e%2e", "/./"];
    let all = parts.concat();
    for part in parts.iter().copied().chain([all.as_str()]) {
        let path = format!("/{}", part.repeat(31 * 1024 / part.len()));
        let mut read = 0;
        let result = agree(&path, |path| read += path.len());
        assert!(read <= WORK, "{part}: {read} bytes");
        let too_long = matches!(result, Err(Ambiguity::TooLong(_)));
        assert!(too_long || part != all, "{part}: {result:?}");
    }
}

#[test]
fn the_host_of_a_reference_is_found_as_url_parsers_find_it() {
    for (path, found) in [
        ("/a/b", None),
        ("/", None),
        ("/a//b", None),
        ("//a", Some(("a", "/"))),
        ("//a/b//c", Some(("a", "/b//c"))),
        ("/\\a\\b", Some(("a", "/b"))),
        ("///a/b", Some(("a", "/b"))),
        ("//", Some(("", "/"))),
    ] {
        let expected = found.map(|(host, rest): (&str, &str)| (host, rest.to_owned()));
        assert_eq!(network_path(path), expected, "{path}");
    }
}

#[test]
fn a_refusal_says_what_is_ambiguous() {
    let refused = agree("/a%2F../b", <[u8]>::len).unwrap_err().to_string();
    assert!(refused.contains("\"%2F\", a dot segment"), "{refused}");
    assert!(refused.contains("RFC 3986"), "{refused}");
}
