//! What the backend gets of the client's certificate.

use crate::support::{Backend, Config, Proxy};
use tidegate::reload::Outcome;

const FIELDS: [&str; 3] = [
    "Client-Cert",
    "Client-Cert-Chain",
    "X-Forwarded-Client-Cert",
];

/// Which of the fields a backend gets.
async fn forwarded(proxy: &Proxy, backend: &Backend) -> Vec<&'static str> {
    let before = backend.requests().len();
    let root = proxy.credentials.root();
    let mut wire = proxy.dial().behind(vec![root]).connect().await;
    wire.send(&crate::support::Upgrade::to("/").bytes()).await;
    assert_eq!(wire.read_head().await.status(), 101);
    let got = backend.requests().remove(before);
    let is_there = |name: &&str| got.field(name).is_some();
    FIELDS.into_iter().filter(is_there).collect()
}

#[tokio::test]
async fn backend_gets_as_much_of_the_certificate_as_its_route_says() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    let [leaf, _, xfcc] = FIELDS;
    let proxy = Proxy::start(config.clone());
    assert_eq!(forwarded(&proxy, &backend).await, FIELDS);
    for (word, expected) in [
        ("full", &FIELDS[..]),
        ("leaf", &[leaf]),
        ("xfcc", &[xfcc]),
        ("none", &[]),
    ] {
        let line = format!("forward_certificate = '{word}'");
        let proxy = Proxy::start(config.for_another().route_lines(&line));
        assert_eq!(forwarded(&proxy, &backend).await, expected, "{word}");
    }
}

#[tokio::test]
async fn reload_reports_that_a_route_forwards_less_of_the_certificate() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend).set("server", "watch = false");
    let proxy = Proxy::start(config.clone());
    let less = config.route_lines("forward_certificate = 'none'");
    proxy.folder.write("proxy.toml", less.text());
    let Outcome::Done { changes, .. } = proxy.try_reload().await else {
        panic!("nothing changed");
    };
    let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
    assert!(
        changes.contains(&"route echo changed".to_owned()),
        "{changes:?}"
    );
    assert_eq!(forwarded(&proxy, &backend).await, [""; 0]);
}
