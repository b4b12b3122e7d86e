//! What is known of a server, since when, and by what.

use super::asked;
use crate::support::{Backend, Config, Proxy, Upgrade, refusal};
use serde_json::Value;

/// What `GET /status` says of the first server.
async fn server(proxy: &Proxy) -> Value {
    let answer = crate::admin::call(proxy, "GET /status").await;
    let mut status: Value = serde_json::from_str(&answer.content).unwrap();
    status["backends"][0]["servers"][0].take()
}

/// What `GET /readyz` says, which is never that clients should go elsewhere.
async fn ready(proxy: &Proxy) -> String {
    let answer = crate::admin::call(proxy, "GET /readyz").await;
    assert_eq!(answer.head.status(), 200);
    answer.content
}

#[tokio::test]
async fn server_says_that_it_was_never_tried_until_a_client_comes_and_what_is_known_outlives_reloads()
 {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    let proxy = Proxy::start(config.clone());
    let untried = server(&proxy).await;
    assert_eq!(
        (&untried["state"], &untried["up"]),
        (&"never_tried".into(), &true.into())
    );
    for nothing in ["since", "checked", "known_by", "error"] {
        assert_eq!(untried[nothing], Value::Null, "{nothing}");
    }
    assert_eq!(proxy.metric("tidegate_backend_up", &[]), 1.0);

    proxy.open("/").await;
    let up = server(&proxy).await;
    assert_eq!(
        (&up["state"], &up["known_by"]),
        (&"up".into(), &"connection".into())
    );
    assert!(up["since"].as_i64().unwrap() <= up["checked"].as_i64().unwrap());
    proxy.apply(&config.set("limits", "message = '1KiB'")).await;
    let after = server(&proxy).await;
    assert_eq!(
        (&after["state"], &after["since"]),
        (&up["state"], &up["since"])
    );
}

#[tokio::test]
async fn server_that_refuses_is_shown_down_with_the_error_and_readyz_names_its_backend() {
    let backend = Backend::refusing().await;
    let proxy = Proxy::start(Config::to(&backend));
    assert_eq!(ready(&proxy).await, "ready\n");
    let mut wire = asked(&proxy, &Upgrade::to("/")).await;
    refusal::expect(&proxy, &mut wire, 502, "backend_unreachable").await;
    let down = server(&proxy).await;
    assert_eq!(
        (&down["state"], &down["up"]),
        (&"down".into(), &false.into())
    );
    let error = down["error"].as_str().unwrap();
    assert!(error.contains("refused"), "{error}");
    assert!(down["since"].is_i64() && down["checked"].is_i64());
    assert_eq!(
        ready(&proxy).await,
        "ready\nbackend echo has no server up\n"
    );

    let _back = Backend::echo_at(backend.address()).await;
    proxy.wait_for("tidegate_backend_up", &[], 1.0).await;
    let back = server(&proxy).await;
    assert_eq!(
        (&back["state"], &back["known_by"]),
        (&"up".into(), &"probe".into())
    );
    assert_eq!(back["error"], Value::Null);
    assert_eq!(ready(&proxy).await, "ready\n");
}

#[tokio::test]
async fn server_that_is_down_is_still_down_after_a_reload_that_keeps_it() {
    let backend = Backend::refusing().await;
    let config = Config::to(&backend);
    let proxy = Proxy::start(config.clone());
    let mut wire = asked(&proxy, &Upgrade::to("/")).await;
    refusal::expect(&proxy, &mut wire, 502, "backend_unreachable").await;
    let before = server(&proxy).await;
    proxy.apply(&config.set("limits", "message = '1KiB'")).await;
    let after = server(&proxy).await;
    for kept in ["state", "since", "error"] {
        assert_eq!(after[kept], before[kept], "{kept}");
    }
    let mut wire = asked(&proxy, &Upgrade::to("/")).await;
    refusal::expect(&proxy, &mut wire, 503, "no_backend_up").await;
}

#[tokio::test]
async fn removed_server_shows_only_what_is_open_and_is_the_same_when_it_is_named_again() {
    let (backend, other) = (Backend::echo().await, Backend::echo().await);
    let config = Config::to(&backend);
    let proxy = Proxy::start(config.clone());
    let _socket = proxy.open("/").await;
    let before = server(&proxy).await;
    let url = backend.url();
    let open = || proxy.metric("tidegate_backend_open", &[("server", &url)]);
    let moved = config.clone().backend("echo", &[other.url()]);
    proxy.apply(&moved).await;
    let up = format!("tidegate_backend_up{{backend=\"echo\",server=\"{url}\"}}");
    assert!(!proxy.series().contains(&up));
    assert_eq!(open(), 1.0);

    proxy.apply(&config).await;
    assert!(proxy.series().contains(&up));
    let after = server(&proxy).await;
    assert_eq!(after, before);
    let _another = proxy.open("/").await;
    assert_eq!(open(), 2.0);
}
