use super::*;

const LIMITS: HeadLimits = HeadLimits {
    bytes: 32 * 1024,
    fields: 100,
};
/// Of a request line and fields, or of all of them.
const MAX_HEAD: usize = LIMITS.bytes;
const MAX_FIELDS: usize = LIMITS.fields;
use Class::{Fine, Malformed, NotWebSocket, TooLarge};

const LINE: &str = "GET /chat?room=1 HTTP/1.1";
const GOOD: &[&str] = &[
    "Host: a.test",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Class {
    Fine,
    Malformed,
    TooLarge,
    NotWebSocket,
    Version,
}

/// A head from its request line and fields.
fn head(line: &str, fields: &[&str]) -> Vec<u8> {
    format!("{line}\r\n{}\r\n\r\n", fields.join("\r\n")).into_bytes()
}

/// A good head with some more fields.
fn with(more: &[&str]) -> Vec<u8> {
    head(LINE, &[GOOD, more].concat())
}

/// A good head in which one field stands in the place of its namesake.
fn instead(field: &str) -> Vec<u8> {
    let name = field.split_once(':').unwrap().0;
    let kept = GOOD.iter().copied().filter(|good| !good.starts_with(name));
    head(LINE, &kept.chain([field]).collect::<Vec<_>>())
}

/// A good head without a field.
fn without(name: &str) -> Vec<u8> {
    let kept = GOOD.iter().copied().filter(|good| !good.starts_with(name));
    head(LINE, &kept.collect::<Vec<_>>())
}

/// A good head in which a text is replaced.
fn replaced(from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(with(&[])).unwrap();
    assert!(text.contains(from), "{from:?}");
    text.replacen(from, to, 1).into_bytes()
}

fn class(received: &[u8]) -> Class {
    match handshake(received) {
        Ok(_) => Fine,
        Err(RequestError::Malformed(_)) => Malformed,
        Err(RequestError::TooLarge(_)) => TooLarge,
        Err(RequestError::NotWebSocket(_)) => NotWebSocket,
        Err(RequestError::Version(_)) => Class::Version,
    }
}

/// Judges a whole head as an opening handshake.
fn handshake(received: &[u8]) -> Result<Handshake<'_>, RequestError> {
    let (head, _) = Head::parse(received, LIMITS).expect("a whole head")?;
    head.handshake()
}

fn check(rows: &[(Vec<u8>, Class)]) {
    for (received, expected) in rows {
        let shown = received.escape_ascii();
        assert_eq!(class(received), *expected, "{shown}");
        check_splits(received);
    }
}

/// The same head byte by byte: nothing before the end or the fault, then the same answer.
fn check_splits(received: &[u8]) {
    let mut scanner = HeadScanner::new(LIMITS);
    let found = (0..=received.len()).find_map(|length| scanner.find_end(&received[..length]));
    match (found, Head::parse(received, LIMITS)) {
        (Some(Ok(end)), Some(Ok((_, whole)))) => assert_eq!(end, whole),
        (Some(Err(error)), Some(Err(whole))) => assert_eq!(error, whole),
        (Some(Ok(_)), Some(Err(_))) | (None, None) => {}
        (found, whole) => panic!("{found:?} in pieces, {whole:?} at once"),
    }
}

#[test]
fn a_handshake_is_taken_apart_without_copying() {
    let mut received = with(&["Origin:  https://a.test\t", "Cookie: a=b", "cookie: c"]);
    let end = received.len();
    received.extend_from_slice(b"\x81\x80\0\0\0\0 frames");
    let (head, length) = Head::parse(&received, LIMITS).unwrap().unwrap();
    assert_eq!(length, end);
    assert_eq!(head.path_and_query(), "/chat?room=1");
    assert_eq!(head.path(), "/chat");
    assert_eq!(head.host().as_str(), "a.test");
    let handshake = head.handshake().unwrap();
    assert_eq!(handshake.key, "dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(head.origins().collect::<Vec<_>>(), [b"https://a.test"]);
    assert_eq!(
        head.values("COOKIE").collect::<Vec<_>>(),
        [&b"a=b"[..], b"c"]
    );
    assert_eq!(head.fields().len(), 8);
    assert!(received.as_ptr_range().contains(&head.path().as_ptr()));
}

#[test]
fn every_prefix_of_a_head_is_incomplete() {
    let received = with(&["Cookie: a=b"]);
    for length in 0..received.len() {
        assert_eq!(Head::parse(&received[..length], LIMITS), None, "{length}");
    }
    assert!(Head::parse(&received, LIMITS).is_some());
}

#[test]
fn the_request_line_is_one_of_http_1_1() {
    let line = |line: &str| head(line, GOOD);
    check(&[
        (line("GET / HTTP/1.1"), Fine),
        (line("GET / HTTP/1.0"), Malformed),
        (line("GET / HTTP/0.9"), Malformed),
        (line("GET / HTTP/1.2"), Malformed),
        (line("GET / HTTP/2.0"), Malformed),
        (line("GET / http/1.1"), Malformed),
        (line("GET /"), Malformed),
        (line("GET  / HTTP/1.1"), Malformed),
        (line("GET /  HTTP/1.1"), Malformed),
        (line("GET / HTTP/1.1 "), Malformed),
        (line("GET\t/ HTTP/1.1"), Malformed),
        (line("GET /a b HTTP/1.1"), Malformed),
        (line(" GET / HTTP/1.1"), Malformed),
        (line("G(T / HTTP/1.1"), Malformed),
        (line("\r\nGET / HTTP/1.1"), Fine),
        (line("\r\n\r\nGET / HTTP/1.1"), Malformed),
        (line("\nGET / HTTP/1.1"), Malformed),
        (line("\rGET / HTTP/1.1"), Malformed),
        (line("\r\n GET / HTTP/1.1"), Malformed),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), Malformed),
        (b"\r\n\r\n".to_vec(), Malformed),
        (b"\x16\x03\x01\x02".to_vec(), Malformed),
    ]);
}

#[test]
fn a_client_of_http_2_is_told_so() {
    let error = Head::parse(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", LIMITS).unwrap();
    assert!(error.unwrap_err().detail().contains("HTTP/2"));
}

#[test]
fn lines_end_with_crlf_and_hold_no_control_characters() {
    check(&[
        (replaced("a.test\r\n", "a.test\n"), Malformed),
        (replaced("HTTP/1.1\r\n", "HTTP/1.1\n"), Malformed),
        (replaced("\r\n\r\n", "\n\n"), Malformed),
        (replaced("\r\n\r\n", "\r\n\n"), Malformed),
        (replaced("\r\n\r\n", "\n\r\n"), Malformed),
        (replaced("a.test\r\n", "a.test\rX: y\r\n"), Malformed),
        (replaced("a.test\r\n", "a.test\r\r\n"), Malformed),
        (with(&["X: a\0b"]), Malformed),
        (with(&["X: a\x01b"]), Malformed),
        (with(&["X: a\x7fb"]), Malformed),
        (with(&["X\0: a"]), Malformed),
        (with(&["X: a", " folded"]), Malformed),
        (with(&["X: a", "\tfolded"]), Malformed),
        (replaced("Host", " Host"), Malformed),
        (with(&["X : a"]), Malformed),
        (with(&["X\t: a"]), Malformed),
        (with(&["X"]), Malformed),
        (with(&[": a"]), Malformed),
        (with(&["X y: a"]), Malformed),
        (with(&["X: a\tb ü"]), Fine),
        (with(&["X:"]), Fine),
    ]);
}

#[test]
fn a_head_too_large_is_refused_as_soon_as_it_is() {
    let fields = vec!["X: y"; MAX_FIELDS - GOOD.len()];
    assert_eq!(class(&with(&fields)), Fine);
    let one_more = vec!["X: y"; MAX_FIELDS - GOOD.len() + 1];
    assert_eq!(class(&with(&one_more)), TooLarge);
    assert_eq!(class(&with(&vec!["X: y"; 2000])), TooLarge);

    let room = MAX_HEAD - with(&["X: "]).len();
    assert_eq!(class(&with(&[&format!("X: {}", "y".repeat(room))])), Fine);
    let over = with(&[&format!("X: {}", "y".repeat(room + 1))]);
    assert_eq!(class(&over), TooLarge);
    assert_eq!(class(&over[..MAX_HEAD]), TooLarge);
    assert_eq!(Head::parse(&over[..MAX_HEAD - 1], LIMITS), None);
}

#[test]
fn each_byte_of_a_head_is_examined_once_however_it_comes() {
    let received = with(&[&format!("X: {}", "y".repeat(30_000))]);
    let mut scanner = HeadScanner::new(LIMITS);
    let found = (0..=received.len()).find_map(|length| scanner.find_end(&received[..length]));
    assert_eq!(found, Some(Ok(received.len())));
    assert_eq!(scanner.examined, received.len());
}

#[test]
fn an_endless_head_costs_no_more_than_its_limit() {
    let received = vec![b'y'; 2 * MAX_HEAD];
    let mut scanner = HeadScanner::new(LIMITS);
    let found = (0..=received.len()).find_map(|length| scanner.find_end(&received[..length]));
    assert!(matches!(found, Some(Err(RequestError::TooLarge(_)))));
    assert_eq!(scanner.examined, MAX_HEAD);
}

#[test]
fn there_is_one_host_and_it_is_one() {
    check(&[
        (without("Host"), Malformed),
        (with(&["Host: a.test"]), Malformed),
        (with(&["host: b.test"]), Malformed),
        (instead("Host: "), Malformed),
        (instead("Host: a@b"), Malformed),
        (instead("Host: user:secret@a.test"), Malformed),
        (instead("Host: a.test, b.test"), Malformed),
        (instead("Host: a.test b.test"), Malformed),
        (instead("Host: a.test/"), Malformed),
        (instead("Host: a..test"), Malformed),
        (instead("Host: a.test:x"), Malformed),
        (instead("Host: bücher.test"), Malformed),
        (instead("Host: A.TEST.:8443"), Fine),
        (instead("Host: [::1]:8443"), Fine),
    ]);
}

#[test]
fn spellings_of_a_host_give_one_key_and_keep_the_field() {
    let received = instead("Host: A.Test.:8443");
    let (head, _) = Head::parse(&received, LIMITS).unwrap().unwrap();
    assert_eq!(head.host().as_str(), "a.test");
    assert_eq!(head.host_field(), "A.Test.:8443");
}

#[test]
fn a_refusal_repeats_no_password_and_no_query() {
    for received in [
        instead("Host: user:secret@a.test"),
        head("GET http://user:secret@a.test/ HTTP/1.1", GOOD),
        head("GET http://user:secret@a.test HTTP/1.1", GOOD),
        head("GET /%zz/x?secret HTTP/1.1", GOOD),
        head("GET /?secret HTTP/1.7", GOOD),
    ] {
        let error = Head::parse(&received, LIMITS).unwrap().unwrap_err();
        assert!(!error.detail().contains("secret"), "{error}");
    }
}

#[test]
fn an_absolute_target_names_the_same_host_or_is_refused() {
    let target = |target: &str| head(&format!("GET {target} HTTP/1.1"), GOOD);
    check(&[
        (target("https://a.test/chat"), Fine),
        (target("HTTPS://A.Test./chat"), Fine),
        (target("wss://a.test:443/chat"), Fine),
        (target("ws://a.test:443/chat"), Malformed),
        (target("https://b.test/chat"), Malformed),
        (target("https://a.test:8443/chat"), Malformed),
        (target("https://x@a.test/chat"), Malformed),
        (target("https:///chat"), Malformed),
        (target("https://a.test"), Malformed),
        (target("https://a.test?x"), Malformed),
        (target("ftp://a.test/chat"), Malformed),
        (target("https://a.test/%00chat"), Malformed),
        (target("a.test:443"), Malformed),
        (target("*"), Malformed),
        (target("chat"), Malformed),
    ]);
}

#[test]
fn an_absolute_target_goes_on_in_origin_form() {
    let received = head("GET https://a.test/chat?x HTTP/1.1", GOOD);
    let (head, _) = Head::parse(&received, LIMITS).unwrap().unwrap();
    assert_eq!(head.path_and_query(), "/chat?x");
    assert_eq!(head.path(), "/chat");
}

#[test]
fn a_path_that_no_reader_can_read_is_refused() {
    let target = |target: &str| head(&format!("GET {target} HTTP/1.1"), GOOD);
    check(&[
        (target("/a/%C3%A9?x=/../y&z=|{}\\"), Fine),
        (target("//a/../b/%2e%2E/./;c%2fd\\e/.."), Fine),
        (target("/%00"), Malformed),
        (target("/%0D%0A"), Malformed),
        (target("/a#b"), Malformed),
        (target("/a?b#c"), Malformed),
        (target("/ü"), Malformed),
        (target("/a?ü"), Malformed),
        (target("/%zz"), Malformed),
    ]);
}

#[test]
fn an_upgrade_with_content_is_refused() {
    check(&[
        (with(&["Content-Length: 0"]), Fine),
        (with(&["Content-Length: 5"]), Malformed),
        (with(&["Content-Length: +5"]), Malformed),
        (with(&["Content-Length: +0"]), Malformed),
        (with(&["Content-Length: -1"]), Malformed),
        (with(&["Content-Length: "]), Malformed),
        (with(&["Content-Length: 0x0"]), Malformed),
        (with(&["Content-Length: 0, 0"]), Malformed),
        (with(&["Content-Length: 18446744073709551616"]), Malformed),
        (with(&["Content-Length: 0", "content-length: 0"]), Malformed),
        (with(&["Content-Length: 5", "Content-Length: 6"]), Malformed),
        (with(&["Transfer-Encoding: chunked"]), Malformed),
        (with(&["transfer-encoding: identity"]), Malformed),
        (with(&["Transfer-Encoding:"]), Malformed),
        (
            with(&["Content-Length: 0", "Transfer-Encoding: chunked"]),
            Malformed,
        ),
        (with(&["Transfer-Encoding : chunked"]), Malformed),
    ]);
}

#[test]
fn a_request_that_does_not_ask_for_a_websocket_is_told_to() {
    check(&[
        (head("GET / HTTP/1.1", &["Host: a.test"]), NotWebSocket),
        (head("POST / HTTP/1.1", &["Host: a.test"]), NotWebSocket),
        (without("Upgrade"), NotWebSocket),
        (without("Connection"), NotWebSocket),
        (instead("Upgrade: h2c"), NotWebSocket),
        (instead("Upgrade: h2c, foo"), NotWebSocket),
        (instead("Upgrade: websocket, h2c"), Fine),
        (instead("Upgrade: h2c, websocket"), Fine),
        (with(&["Upgrade: h2c"]), Fine),
        (instead("Upgrade: websocket/13"), NotWebSocket),
        (instead("Upgrade: ,"), NotWebSocket),
        (instead("Connection: keep-alive"), NotWebSocket),
        (instead("Connection: upgraded"), NotWebSocket),
        (instead("Connection: \"upgrade\""), NotWebSocket),
        (instead("Connection: Upgrade, HTTP2-Settings"), Fine),
        (instead("Upgrade: WebSocket"), Fine),
        (instead("Upgrade: , websocket ,"), Fine),
        (instead("Connection: keep-alive, UPGRADE"), Fine),
        (
            instead("Connection: keep-alive\r\nConnection: upgrade"),
            Fine,
        ),
        (head("POST /chat HTTP/1.1", GOOD), Malformed),
        (head("get /chat HTTP/1.1", GOOD), Malformed),
        (head("CONNECT /chat HTTP/1.1", GOOD), Malformed),
    ]);
}

#[test]
fn the_version_is_thirteen_and_said_once() {
    check(&[
        (without("Sec-WebSocket-Version"), Class::Version),
        (instead("Sec-WebSocket-Version: 777"), Class::Version),
        (instead("Sec-WebSocket-Version: 8"), Class::Version),
        (instead("Sec-WebSocket-Version: 013"), Class::Version),
        (instead("Sec-WebSocket-Version: 13, 8"), Class::Version),
        (instead("Sec-WebSocket-Version: "), Class::Version),
        (with(&["Sec-WebSocket-Version: 13"]), Class::Version),
        (with(&["sec-websocket-version: 8"]), Class::Version),
    ]);
}

#[test]
fn the_key_is_one_of_sixteen_bytes() {
    check(&[
        (without("Sec-WebSocket-Key"), Malformed),
        (
            with(&["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]),
            Malformed,
        ),
        (instead("Sec-WebSocket-Key: "), Malformed),
        (
            instead("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j"),
            Malformed,
        ),
        (
            instead("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTE="),
            Malformed,
        ),
        (
            instead("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR=="),
            Malformed,
        ),
        (
            instead("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"),
            Malformed,
        ),
        (instead("Sec-WebSocket-Key: ü"), Malformed),
    ]);
}

#[test]
fn connection_cannot_take_away_what_the_backend_must_see() {
    check(&[
        (instead("Connection: upgrade, Host"), Malformed),
        (instead("Connection: upgrade, COOKIE"), Malformed),
        (instead("Connection: upgrade, authorization"), Malformed),
        (instead("Connection: upgrade, origin"), Malformed),
        (
            instead("Connection: upgrade, sec-WebSocket-Protocol"),
            Malformed,
        ),
        (instead("Connection: upgrade, content-length"), Malformed),
        (instead("Connection: upgrade, X-Forwarded-For"), Fine),
        (
            instead(&format!("Connection: upgrade{}", ", a".repeat(101))),
            Malformed,
        ),
    ]);
}

#[test]
fn subprotocols_are_split_and_extensions_are_not() {
    let received = with(&[
        "Sec-WebSocket-Protocol: a, b",
        "sec-websocket-protocol: c,",
        "Sec-WebSocket-Extensions: x; y=\"1,2\", z",
    ]);
    let (head, _) = Head::parse(&received, LIMITS).unwrap().unwrap();
    assert_eq!(head.subprotocols().collect::<Vec<_>>(), [b"a", b"b", b"c"]);
    assert_eq!(head.extensions().collect::<Vec<_>>(), [b"x; y=\"1,2\", z"]);
}

#[test]
fn debug_shows_no_value() {
    let received = with(&["Cookie: secret", "Authorization: secret"]);
    let (head, _) = Head::parse(&received, LIMITS).unwrap().unwrap();
    assert!(!format!("{head:?}").contains("secret"));
}
