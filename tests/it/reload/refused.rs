//! What cannot be used is refused whole: what is in use stays, and the reason is told.

use super::{another, echoes, file_reloads, reloads, shown};
use crate::support::{
    Backend, Config, Credentials, Proxy,
    credentials::{write_key, write_pair},
    log,
};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command, sync::Arc};
use tidegate::{
    cli::certs::{LeafRequest, Validity},
    config::Diagnostic,
    reload::Outcome,
};
use time::{Duration, OffsetDateTime};

/// Reloads what cannot be used: it is refused and counted, and everything works as before.
async fn refuses(proxy: &Proxy) -> Vec<Diagnostic> {
    let mut open = proxy.open("/").await;
    let before = reloads(proxy, "admin", "failed");
    let Outcome::Failed { problems } = proxy.try_reload().await else {
        panic!("it was taken");
    };
    assert!((reloads(proxy, "admin", "failed") - before - 1.0).abs() < f64::EPSILON);
    assert_eq!(proxy.shared.snapshot.load().generation, 1);
    echoes(&mut open).await;
    problems
}

/// As [`refuses`], where the reason is a file of the server's pair.
async fn keeps_the_old_pair(file: &str, reason: &str, spoil: impl FnOnce(&Proxy)) {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    spoil(&proxy);
    refuses(&proxy).await;
    let path = proxy.folder.path(file).display().to_string();
    let lines = log::wait(1, |line| {
        line.message == "problem in the configuration" && line.field("problem").contains(&path)
    })
    .await;
    let problem = lines[0].field("problem");
    assert!(problem.contains(reason), "{problem}");
    let old = &proxy.credentials.server.certificate;
    assert_eq!(shown(&proxy.dial()).await, old.to_vec());
}

#[tokio::test]
async fn mistakes_of_the_text_do_not_hide_those_of_the_files_that_it_names() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    let proxy = Proxy::start(config.clone());
    let text = config
        .text()
        .replace("[[listener]]", "mistyped = 1\n[[listener]]");
    proxy.folder.write("proxy.toml", &text);
    fs::remove_file(proxy.folder.path("certs/server.pem")).unwrap();
    let problems = refuses(&proxy).await;
    let said = |wanted: &str| {
        problems
            .iter()
            .any(|problem| problem.message.contains(wanted))
    };
    assert!(said("unknown key `mistyped`"), "{problems:?}");
    assert!(said("certs/server.pem: cannot be read"), "{problems:?}");
}

#[tokio::test]
async fn reload_keeps_old_certificate_when_key_does_not_match() {
    let reason = "does not belong to the certificate";
    keeps_the_old_pair("certs/server.key", reason, |proxy| {
        let other = another(proxy);
        write_key(
            &proxy.folder.path("certs/server.key"),
            other.key_pem.as_bytes(),
        );
    })
    .await;
}

/// In use, or broken in any way: not a part of it is in a log, a metric or a problem.
#[tokio::test]
async fn no_byte_of_a_private_key_is_shown() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let key = proxy.credentials.server.key_pem.to_string();
    let path = proxy.folder.path("certs/server.key");
    let mut problems = Vec::new();
    for spoilt in [
        key.replace("-----\n", ""),
        key.replace("KEY-----\n", ""),
        key.replace("PRIVATE KEY", "CERTIFICATE"),
        key[..key.len() / 2].to_owned(),
        key.replace('M', "\0"),
    ] {
        write_key(&path, spoilt.as_bytes());
        problems.extend(refuses(&proxy).await);
    }
    let (lines, metrics) = (log::lines(|_| true), proxy.metrics());
    let shown = format!("{problems:?} {lines:?} {metrics}");
    assert!(shown.contains("server.key"), "nothing was told");
    let body = key.lines().filter(|line| !line.starts_with("-----"));
    let other = another(&proxy).key_pem.replace('\n', "");
    // Fewer would now and then be found in an id or a digest.
    for part in body.collect::<String>().as_bytes().windows(12) {
        // The first ones are those of every key of this kind.
        let part = std::str::from_utf8(part).unwrap();
        assert!(
            other.contains(part) || !shown.contains(part),
            "{part} is shown"
        );
    }
}

#[tokio::test]
async fn reload_keeps_old_certificate_when_half_of_a_file_is_there() {
    for (file, reason) in [
        ("certs/server.pem", "does not end"),
        ("certs/server.key", "does not end"),
    ] {
        keeps_the_old_pair(file, reason, |proxy| {
            let path = proxy.folder.path(file);
            let whole = fs::read(&path).unwrap();
            let (half, _) = whole.split_at(whole.len() / 2);
            fs::write(&path, half).unwrap();
        })
        .await;
    }
}

#[tokio::test]
async fn reload_keeps_old_certificate_when_a_file_is_empty() {
    for (file, reason) in [
        ("certs/server.pem", "no certificate"),
        ("certs/server.key", "no whole private key"),
    ] {
        keeps_the_old_pair(file, reason, |proxy| {
            fs::write(proxy.folder.path(file), "").unwrap();
        })
        .await;
    }
}

#[tokio::test]
async fn reload_keeps_old_certificate_when_the_new_one_has_expired() {
    keeps_the_old_pair("certs/server.pem", "expired", |proxy| {
        let mut request = LeafRequest::server(["localhost"]);
        let now = OffsetDateTime::now_utc();
        request.validity = Validity {
            not_before: now - Duration::days(2),
            not_after: now - Duration::days(1),
        };
        let expired = proxy.credentials.ca.issue(&request).unwrap();
        write_pair(&proxy.folder.path("certs"), "server", &expired);
    })
    .await;
}

#[tokio::test]
async fn reload_keeps_old_certificate_when_a_file_is_garbage() {
    for (file, reason) in [
        ("certs/server.pem", "certificate"),
        ("certs/server.key", "key"),
    ] {
        keeps_the_old_pair(file, reason, |proxy| {
            fs::write(proxy.folder.path(file), [0xff, 0, 0x17, 0x80].repeat(999)).unwrap();
        })
        .await;
    }
}

#[tokio::test]
async fn reload_keeps_old_certificate_when_a_file_cannot_be_read() {
    for file in ["certs/server.pem", "certs/server.key"] {
        keeps_the_old_pair(file, "", |proxy| {
            // A folder in its place: the superuser reads whatever the mode forbids.
            fs::remove_file(proxy.folder.path(file)).unwrap();
            fs::create_dir(proxy.folder.path(file)).unwrap();
        })
        .await;
    }
}

/// Who opens a pipe waits for whoever writes, and the proxy would answer nobody any more.
#[tokio::test]
async fn reload_keeps_old_certificate_when_a_file_is_a_pipe() {
    for file in ["certs/server.pem", "certs/server.key"] {
        keeps_the_old_pair(file, "this is no file", |proxy| {
            become_pipe(&proxy.folder.path(file));
        })
        .await;
    }
}

#[tokio::test]
async fn configuration_that_has_become_a_pipe_is_refused() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    become_pipe(&proxy.folder.path("proxy.toml"));
    let problems = refuses(&proxy).await;
    assert!(problems[0].message.contains("no file"), "{problems:?}");
}

fn become_pipe(path: &Path) {
    fs::remove_file(path).unwrap();
    let mut mkfifo = Command::new("mkfifo");
    let made = mkfifo.args(["-m", "600"]).arg(path).status();
    assert!(made.unwrap().success());
}

#[tokio::test]
async fn reload_keeps_old_certificate_when_others_can_read_the_new_key() {
    keeps_the_old_pair("certs/server.key", "", |proxy| {
        write_pair(&proxy.folder.path("certs"), "server", &another(proxy));
        let key = proxy.folder.path("certs/server.key");
        fs::set_permissions(key, fs::Permissions::from_mode(0o644)).unwrap();
    })
    .await;
}

#[tokio::test]
async fn key_that_others_could_read_is_taken_by_itself_once_they_cannot() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let new = another(&proxy);
    write_pair(&proxy.folder.path("certs"), "server", &new);
    let key = proxy.folder.path("certs/server.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    refuses(&proxy).await;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    file_reloads(&proxy, 1.0).await;
    assert_eq!(shown(&proxy.dial()).await, new.certificate.to_vec());
}

#[tokio::test]
async fn reload_keeps_old_certificate_while_its_folder_is_gone_and_takes_what_comes_back() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let folder = proxy.folder.path("certs");
    fs::rename(&folder, proxy.folder.path("gone")).unwrap();
    let problems = refuses(&proxy).await;
    let told = problems.iter().map(Diagnostic::one_line);
    let told: Vec<_> = told.filter(|line| line.contains("server.pem")).collect();
    assert!(!told.is_empty(), "{problems:?}");
    let old = &proxy.credentials.server.certificate;
    assert_eq!(shown(&proxy.dial()).await, old.to_vec());
    let back = Credentials {
        server: Arc::new(another(&proxy)),
        ..proxy.credentials.clone()
    };
    back.write(&folder);
    file_reloads(&proxy, 1.0).await;
    let new = &back.server.certificate;
    assert_eq!(shown(&proxy.dial()).await, new.to_vec());
}

#[tokio::test]
async fn what_is_fixed_at_start_is_refused_whole_with_advice() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    let proxy = Proxy::start(config.clone());
    let limited = config.set("limits", "connections = 1");
    for (changed, what) in [
        (limited.clone().set("server", "workers = 2"), "workers"),
        (
            limited.clone().set("admin", "address = '127.0.0.1:1'"),
            "admin.address",
        ),
        (
            limited.listener("public", "address = '127.0.0.1:1'"),
            "listeners' names, addresses and redirects",
        ),
    ] {
        proxy.folder.write("proxy.toml", changed.text());
        let problems = refuses(&proxy).await;
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].message.contains(what), "{problems:?}");
        let advice = problems[0].hint.as_deref().unwrap_or_default();
        assert!(advice.contains("restart"), "{advice}");
    }
    // Nothing else of those files is in use either.
    assert_ne!(proxy.shared.snapshot.load().limits.connections, 1);
}
