//! Request heads: whatever the bytes, no panic, and the promises below.

use std::sync::LazyLock;
use tidegate::name::path::path_fault;
use tidegate::policy::route::Host;
use tidegate::policy::route::RouteTable;
use tidegate::request::Extent;
use tidegate::request::Head;
use tidegate::request::HeadLimits;
use tidegate::request::HeadScanner;
use tidegate::request::SET_BY_PROXY;
use tidegate::request::forwarded_fields;

/// Two routes, so that the readings of a path are looked up.
static ROUTES: LazyLock<RouteTable<usize>> = LazyLock::new(|| {
    let routes = ["/", "/chat"].into_iter().enumerate();
    let routes = routes.map(|(index, path)| (Vec::new(), path.parse().unwrap(), index));
    RouteTable::build(routes).unwrap()
});

pub(crate) fn run(received: &[u8]) {
    let whole = Head::parse(received, HeadLimits::default());
    let length = whole
        .as_ref()
        .map(|judged| judged.as_ref().map(|(_, length)| *length));
    assert_pieces_agree(received, length.as_ref());
    match whole {
        Some(Ok((head, length))) => assert_good(received, &head, length),
        Some(Err(error)) => assert!(error.detail().bytes().all(|byte| !byte.is_ascii_control())),
        None => assert!(received.len() < HeadLimits::default().bytes),
    }
}

/// Byte by byte, the same end or the same fault is found as at once.
fn assert_pieces_agree<E: PartialEq + std::fmt::Debug>(
    received: &[u8],
    whole: Option<&Result<usize, E>>,
) {
    let mut scanner = HeadScanner::new(HeadLimits::default());
    let found = (0..=received.len()).find_map(|length| scanner.find_end(&received[..length]));
    match (found, whole) {
        (Some(Ok(end)), Some(Ok(length))) => assert_eq!(end, *length),
        (Some(_), Some(Err(_))) | (None, None) => {}
        (found, whole) => panic!("{found:?} in pieces, {whole:?} at once"),
    }
}

/// However the bytes after a head come, the content ends at the same one, or breaks its framing.
fn assert_content_ends(received: &[u8], head: &Head<'_>, length: usize) {
    let Ok(content) = head.content() else {
        return;
    };
    let rest = &received[length..];
    let whole = Extent::new(content, 1024).take(rest);
    let mut pieces = Extent::new(content, 1024);
    let each = rest.iter().map(|byte| pieces.take(&[*byte])).sum();
    assert_eq!(whole, each);
}

fn assert_good(received: &[u8], head: &Head<'_>, length: usize) {
    assert!(length <= HeadLimits::default().bytes);
    assert!(received[..length].ends_with(b"\r\n\r\n"));
    assert_eq!(path_fault(head.path()), None);
    assert!(head.path_and_query().starts_with(head.path()));
    if let Ok(route) = ROUTES.lookup(head.host(), head.path()) {
        assert!(
            route.is_some(),
            "every reading of a path begins at the root"
        );
    }
    assert_eq!(
        Host::from_authority(head.host_field()).as_ref(),
        Ok(head.host())
    );
    assert_eq!(
        Host::from_authority(head.host().as_str()).as_ref(),
        Ok(head.host())
    );
    assert_eq!(head.values("Host").count(), 1);
    assert_content_ends(received, head, length);
    for field in forwarded_fields(head) {
        let name = field.name.to_ascii_lowercase().replace('_', "-");
        assert!(!SET_BY_PROXY.contains(&name.as_str()), "{name}");
        assert!(!matches!(
            name.as_str(),
            "connection" | "upgrade" | "content-length"
        ));
        assert!(
            !field
                .value
                .iter()
                .any(|byte| matches!(byte, b'\r' | b'\n' | 0))
        );
    }
}
