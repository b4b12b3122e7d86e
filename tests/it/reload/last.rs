//! The last attempt: shown to operators until there is another.

use super::{preview, reloads};
use crate::support::{Backend, Config, Proxy};
use serde_json::Value;
use tidegate::reload::Outcome;

const SUCCESSFUL: &str = "tidegate_config_last_reload_successful";

/// What `GET /status` says of the last attempt.
async fn last_reload(proxy: &Proxy) -> Value {
    let answer = crate::admin::call(proxy, "GET /status").await;
    let mut status: Value = serde_json::from_str(&answer.content).unwrap();
    status["last_reload"].take()
}

#[tokio::test]
async fn refused_reload_is_shown_until_the_file_is_what_is_in_use() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    let proxy = Proxy::start(config.clone());
    let start = last_reload(&proxy).await;
    assert_eq!(
        (&start["trigger"], &start["result"]),
        (&"start".into(), &"ok".into())
    );
    assert_eq!(proxy.metric(SUCCESSFUL, &[]), 1.0);

    let broken = config.clone().set("limits", "message = 'much'");
    proxy.folder.write("proxy.toml", broken.text());
    proxy.wait_for(SUCCESSFUL, &[], 0.0).await;
    let refused = last_reload(&proxy).await;
    assert_eq!(
        (&refused["trigger"], &refused["result"]),
        (&"file".into(), &"failed".into())
    );
    assert!(refused["at"].as_i64() >= start["at"].as_i64());
    let problem = &refused["problems"][0];
    assert_eq!(problem["severity"], "error");
    assert!(problem["place"].as_str().unwrap().contains("proxy.toml:"));
    assert!(
        problem["message"].as_str().unwrap().contains("much"),
        "{problem}"
    );
    assert!(problem["hint"].is_string());

    proxy.folder.write("proxy.toml", config.text());
    proxy.wait_for(SUCCESSFUL, &[], 1.0).await;
    let back = last_reload(&proxy).await;
    assert_eq!(back["result"], "unchanged");
    assert_eq!(back["problems"], Value::Array(Vec::new()));
    assert_eq!(proxy.shared.snapshot.load().generation, 1);
}

#[tokio::test]
async fn good_reload_clears_a_refused_one_and_shows_its_own_warnings() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend).set("server", "watch = false");
    let proxy = Proxy::start(config.clone());
    let broken = config.clone().set("limits", "message = 'much'");
    proxy.folder.write("proxy.toml", broken.text());
    assert!(matches!(proxy.try_reload().await, Outcome::Failed { .. }));
    assert_eq!(last_reload(&proxy).await["trigger"], "admin");
    proxy.apply(&config.set("limits", "message = '1KiB'")).await;
    let good = last_reload(&proxy).await;
    assert_eq!(good["result"], "ok");
    let warning = good["warnings"][0]["message"].as_str().unwrap();
    assert!(warning.contains("limits.frame is larger"), "{warning}");
    assert_eq!(proxy.metric(SUCCESSFUL, &[]), 1.0);
}

#[tokio::test]
async fn preview_is_no_attempt() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend).set("server", "watch = false");
    let proxy = Proxy::start(config.clone());
    let broken = config.clone().set("limits", "message = 'much'");
    proxy.folder.write("proxy.toml", broken.text());
    assert!(matches!(preview(&proxy).await, Outcome::Failed { .. }));
    assert_eq!(last_reload(&proxy).await["trigger"], "start");
    assert_eq!(proxy.metric(SUCCESSFUL, &[]), 1.0);

    assert!(matches!(proxy.try_reload().await, Outcome::Failed { .. }));
    proxy.folder.write("proxy.toml", config.text());
    let _ = preview(&proxy).await;
    assert_eq!(last_reload(&proxy).await["result"], "failed");
    assert!((reloads(&proxy, "admin", "failed") - 1.0).abs() < f64::EPSILON);
}
