//! Paths that servers read in more than one way.

use crate::support::{Backend, Config, Proxy, Upgrade, refusal};

const AMBIGUOUS: [&str; 9] = [
    "/chat/../admin/x",
    "/chat/%2e%2E/admin",
    "/chat/..%2fadmin",
    "/chat/..;/admin",
    "/chat\\..\\admin",
    "/chat%5c..%5cadmin",
    "//admin",
    "/admin;a=b/x",
    "//x/admin",
];

#[tokio::test]
async fn path_goes_to_the_backend_byte_for_byte_where_all_readings_lead_to_one_route() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let legal = [
        "/cool/https%3A%2F%2Fcloud.test%2Fwopi%2Ffiles%2F1%3Faccess_token%3Dx/ws?compat=/ws",
        "//comms",
        "/a//b/?c=//d",
        "/a/./b/../c;d=e/%7euser/%C3%A9",
        "/%2E%2e/%41",
    ];
    for target in legal.into_iter().chain(AMBIGUOUS) {
        let before = backend.requests().len();
        proxy.open(target).await;
        let line = backend.requests().remove(before).line;
        assert_eq!(line, format!("GET {target} HTTP/1.1"));
    }
}

#[tokio::test]
async fn path_whose_readings_lead_to_different_routes_is_refused() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend)
        .route("name = 'all'\npath = '/'\nbackend = 'echo'")
        .route("name = 'admin'\npath = '/admin'\nbackend = 'echo'\nallow = ['cn:Bob']");
    let proxy = Proxy::start(config.clone());
    for target in ["//comms", "/a%2Fb//c/./d", "/;a=b/x"] {
        proxy.open(target).await;
    }
    let reached = backend.requests().len();
    for target in AMBIGUOUS {
        let proxy = Proxy::start(config.for_another());
        let mut wire = proxy.connect().await;
        wire.send(&Upgrade::to(target).bytes()).await;
        let document = refusal::expect(&proxy, &mut wire, 400, "malformed").await;
        let detail = document["detail"].as_str().unwrap();
        assert!(detail.contains("not every way to read it"), "{detail}");
    }
    assert_eq!(backend.requests().len(), reached);
}
