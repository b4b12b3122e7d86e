//! Certificates that files bring: noticed without being told, as one event, whole.

use super::{another, echoes, file_reloads, reloads, shown};
use crate::support::{
    Backend, Config, Proxy,
    credentials::{write_key, write_pair},
    proxy::Folder,
};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};
use tidegate::cli::certs::Issued;

/// As Kubernetes mounts a secret: files are links through `..data`, which is swapped.
struct Mount(PathBuf);

impl Mount {
    /// Mounts the first version.
    fn new(folder: &Folder, issued: &Issued) -> Self {
        let mount = Self(folder.path("mount"));
        fs::create_dir(&mount.0).unwrap();
        mount.swap("..1", issued);
        for name in ["server.pem", "server.key"] {
            symlink(Path::new("..data").join(name), mount.0.join(name)).unwrap();
        }
        mount
    }

    /// Puts another version in the place of the one that was there.
    fn swap(&self, version: &str, issued: &Issued) {
        let (folder, data) = (self.0.join(version), self.0.join("..data"));
        fs::create_dir(&folder).unwrap();
        write_pair(&folder, "server", issued);
        let before = fs::read_link(&data);
        symlink(version, self.0.join("..data_tmp")).unwrap();
        fs::rename(self.0.join("..data_tmp"), &data).unwrap();
        if let Ok(before) = before {
            fs::remove_dir_all(self.0.join(before)).unwrap();
        }
    }
}

#[tokio::test]
async fn key_and_certificate_a_moment_later_are_one_reload() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let (old, new) = (&proxy.credentials.server, another(&proxy));
    let key = proxy.folder.path("certs/server.key");
    // Further apart than the watcher's patience they would be two events, as they should.
    write_key(&key, new.key_pem.as_bytes());
    proxy.folder.write("certs/server.pem", &new.certificate_pem);
    while reloads(&proxy, "file", "ok") < 1.0 {
        let shown = shown(&proxy.dial()).await;
        assert!([&old.certificate, &new.certificate].contains(&&shown.into()));
    }
    assert_eq!(shown(&proxy.dial()).await, new.certificate.to_vec());
    assert!((reloads(&proxy, "file", "ok") - 1.0).abs() < f64::EPSILON);
    assert!(reloads(&proxy, "file", "failed").abs() < f64::EPSILON);
}

#[tokio::test]
async fn every_swap_of_a_mounted_secret_is_noticed() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    let proxy = Proxy::start(config.clone());
    let mut open = proxy.open("/").await;
    let mount = Mount::new(&proxy.folder, &another(&proxy));
    let pair = "certificates = [{ chain = 'mount/server.pem', key = 'mount/server.key' }]";
    proxy.apply(&config.set("tls", pair)).await;
    let mut before = reloads(&proxy, "file", "ok");
    for version in ["..2", "..3", "..4"] {
        let new = another(&proxy);
        mount.swap(version, &new);
        before += 1.0;
        file_reloads(&proxy, before).await;
        let shown = shown(&proxy.dial()).await;
        assert_eq!(shown, new.certificate.to_vec(), "{version}");
    }
    assert!(reloads(&proxy, "file", "failed").abs() < f64::EPSILON);
    echoes(&mut open).await;
}
