//! What lets more clients in than before is never silent.

use super::preview;
use crate::support::{Backend, Config, Proxy, Upgrade, log};
use tidegate::reload::Outcome;
use tracing::Level;

/// How an upgrade with the client certificate is answered.
async fn status(proxy: &Proxy) -> u16 {
    let mut wire = proxy.connect().await;
    wire.send(&Upgrade::to("/").bytes()).await;
    let status = wire.read_head().await.status();
    wire.finish().await;
    status
}

const WIDER: &str = "this reload admits more clients: ";

#[tokio::test]
async fn a_list_that_is_emptied_under_a_running_proxy_is_refused_and_lets_nobody_in() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    let listed = config.clone().route_lines("allow = ['cn:Nobody']");
    let proxy = Proxy::start(listed);
    assert_eq!(status(&proxy).await, 403);
    for key in ["allow", "origins", "host"] {
        let emptied = config.clone().route_lines(&format!("{key} = []"));
        proxy.folder.write("proxy.toml", emptied.text());
        let Outcome::Failed { problems } = proxy.try_reload().await else {
            panic!("an empty {key} was taken");
        };
        let message = &problems[0].message;
        assert_eq!(message, &format!("`{key}` is an empty list"));
        assert_eq!(status(&proxy).await, 403, "{key}");
    }
}

#[tokio::test]
async fn reload_that_admits_more_clients_is_a_warning_that_names_the_route_in_preview_and_log() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend).set("server", "watch = false");
    let listed = config.clone().route_lines("allow = ['cn:Nobody']");
    let proxy = Proxy::start(listed);
    proxy.folder.write("proxy.toml", config.text());
    let expected = format!("{WIDER}route \"echo\" has no `allow` list any more");
    let Outcome::Done { warnings, .. } = preview(&proxy).await else {
        panic!("the preview was refused");
    };
    assert_eq!(warnings[0].message, expected);
    let logged = |line: &log::Line| line.message.contains(&expected);
    let own = proxy.folder.path("proxy.toml").display().to_string();
    let of_this_proxy = |line: &log::Line| logged(line) && line.message.contains(&own);
    assert_eq!(
        log::lines(of_this_proxy).len(),
        0,
        "a preview is not logged"
    );
    let Outcome::Done { warnings, .. } = proxy.try_reload().await else {
        panic!("the reload was refused");
    };
    assert_eq!(warnings[0].message, expected);
    let lines = log::wait(1, of_this_proxy).await;
    assert_eq!((lines.len(), lines[0].level), (1, Level::WARN));
}
