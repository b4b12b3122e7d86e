//! The watcher on real files. Time is paused: waiting costs nothing and nobody sleeps.

use super::*;
use std::{
    env, fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process,
    sync::atomic::{AtomicUsize, Ordering},
};
use tokio::time::timeout;

/// A folder of its own, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("tidegate-watch-{}-{count}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Points a link elsewhere in one step, as certbot and Kubernetes do.
    fn link(&self, target: impl AsRef<Path>, name: &str) -> PathBuf {
        let fresh = self.path("fresh-link");
        symlink(target, &fresh).unwrap();
        fs::rename(&fresh, self.path(name)).unwrap();
        self.path(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn assert_changed(watcher: &mut Watcher, paths: &[&PathBuf]) {
    let change = timeout(Duration::from_mins(1), watcher.changed()).await;
    let paths: Vec<PathBuf> = paths.iter().copied().cloned().collect();
    assert_eq!(change, Ok(Change { paths }));
}

async fn assert_unchanged(watcher: &mut Watcher) {
    let change = timeout(Duration::from_mins(1), watcher.changed()).await;
    assert!(change.is_err(), "{change:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rewritten_file_is_noticed_once() {
    let folder = Folder::new();
    let file = folder.write("a", "1");
    let mut watcher = Watcher::new([file.clone()]);
    folder.write("a", "2");
    assert_changed(&mut watcher, &[&file]).await;
    assert_unchanged(&mut watcher).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_content_in_a_new_file_is_no_change() {
    let folder = Folder::new();
    let file = folder.write("a", "1");
    let mut watcher = Watcher::new([file.clone()]);
    fs::rename(folder.write("b", "1"), &file).unwrap();
    assert_unchanged(&mut watcher).await;
}

#[tokio::test(start_paused = true)]
async fn another_mode_is_noticed_though_the_content_is_the_same() {
    let folder = Folder::new();
    let file = folder.write("a", "1");
    let mut watcher = Watcher::new([file.clone()]);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert_changed(&mut watcher, &[&file]).await;
    assert_unchanged(&mut watcher).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_same_size_within_one_time_stamp_is_noticed() {
    let folder = Folder::new();
    let file = folder.write("a", "1");
    let mut watcher = Watcher::new([file.clone()]);
    let before = fs::metadata(&file).unwrap().modified().unwrap();
    folder.write("a", "2");
    let written = fs::File::options().write(true).open(&file).unwrap();
    written.set_modified(before).unwrap();
    assert_changed(&mut watcher, &[&file]).await;
}

#[tokio::test(start_paused = true)]
async fn certificate_and_key_are_one_change() {
    let folder = Folder::new();
    let certificate = folder.write("cert", "1");
    let key = folder.write("key", "1");
    let mut watcher = Watcher::new([certificate.clone(), key.clone()]);
    folder.write("cert", "2");
    {
        let early = timeout(Duration::from_millis(200), watcher.changed()).await;
        assert!(early.is_err());
    }
    folder.write("key", "2");
    assert_changed(&mut watcher, &[&certificate, &key]).await;
    assert_unchanged(&mut watcher).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_being_rewritten_is_waited_out() {
    let folder = Folder::new();
    let file = folder.write("a", "1");
    let mut watcher = Watcher::new([file.clone()]);
    folder.write("a", "");
    let early = timeout(Duration::from_millis(2200), watcher.changed()).await;
    assert!(early.is_err(), "{early:?}");
    folder.write("a", "22");
    assert_changed(&mut watcher, &[&file]).await;
    assert_unchanged(&mut watcher).await;
}

#[tokio::test(start_paused = true)]
async fn a_swapped_link_is_noticed_as_certbot_swaps_it() {
    let folder = Folder::new();
    folder.write("archive/cert1.pem", "1");
    folder.write("archive/cert2.pem", "2");
    fs::create_dir(folder.path("live")).unwrap();
    let link = folder.link("../archive/cert1.pem", "live/cert.pem");
    let mut watcher = Watcher::new([link.clone()]);
    folder.link("../archive/cert2.pem", "live/cert.pem");
    assert_changed(&mut watcher, &[&link]).await;
    assert_unchanged(&mut watcher).await;
}

#[tokio::test(start_paused = true)]
async fn a_swapped_folder_is_noticed_as_kubernetes_swaps_it() {
    let folder = Folder::new();
    for (version, content) in [("..1", "1"), ("..2", "2")] {
        folder.write(&format!("{version}/tls.crt"), content);
        folder.write(&format!("{version}/tls.key"), content);
    }
    folder.link("..1", "..data");
    let certificate = folder.link("..data/tls.crt", "tls.crt");
    let key = folder.link("..data/tls.key", "tls.key");
    let mut watcher = Watcher::new([certificate.clone(), key.clone()]);
    folder.link("..2", "..data");
    fs::remove_dir_all(folder.path("..1")).unwrap();
    assert_changed(&mut watcher, &[&certificate, &key]).await;
    folder.write("..3/tls.crt", "3");
    folder.write("..3/tls.key", "2");
    folder.link("..3", "..data");
    assert_changed(&mut watcher, &[&certificate]).await;
}

#[tokio::test(start_paused = true)]
async fn a_folder_may_vanish_and_return() {
    let folder = Folder::new();
    let file = folder.write("sub/a", "1");
    let mut watcher = Watcher::new([file.clone()]);
    fs::remove_dir_all(folder.path("sub")).unwrap();
    assert_changed(&mut watcher, &[&file]).await;
    folder.write("sub/a", "2");
    assert_changed(&mut watcher, &[&file]).await;
    folder.write("sub/a", "3");
    assert_changed(&mut watcher, &[&file]).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_file_is_survived_and_watched() {
    let folder = Folder::new();
    fs::create_dir(folder.path("a")).unwrap();
    let link = folder.link("loop", "loop");
    let file = folder.path("a");
    let mut watcher = Watcher::new([file.clone(), link, folder.path("no/such/file")]);
    assert_unchanged(&mut watcher).await;
    fs::remove_dir(&file).unwrap();
    folder.write("a", "1");
    assert_changed(&mut watcher, &[&file]).await;
}

#[tokio::test(start_paused = true)]
async fn another_set_of_paths_loses_no_change_of_those_that_stay() {
    let folder = Folder::new();
    let (stays, leaves) = (folder.write("stays", "1"), folder.write("leaves", "1"));
    let comes = folder.write("comes", "1");
    let mut watcher = Watcher::new([stays.clone(), leaves]);
    folder.write("stays", "2");
    folder.write("comes", "2");
    watcher.set_paths([stays.clone(), comes.clone()]);
    folder.write("leaves", "2");
    assert_changed(&mut watcher, &[&stays]).await;
    folder.write("comes", "3");
    assert_changed(&mut watcher, &[&comes]).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_is_no_change() {
    let folder = Folder::new();
    let file = folder.write("a", "1");
    let mut watcher = Watcher::new([file.clone()]);
    folder.write("a", "2");
    watcher.acknowledge();
    assert_unchanged(&mut watcher).await;
}

/// In real time, and with a poll so slow that only a notice can be what ends the wait.
#[tokio::test]
async fn notices_of_the_file_system_hasten_the_look() {
    let folder = Folder::new();
    folder.write("real/a", "1");
    let file = folder.link("real/a", "a");
    let pace = Pace {
        poll: Duration::from_hours(1),
        ..Pace::default()
    };
    let mut watcher = Watcher::with_pace([file.clone()], pace);
    folder.write("real/a", "2");
    assert_changed(&mut watcher, &[&file]).await;
    folder.write("other/a", "3");
    folder.link("other/a", "a");
    assert_changed(&mut watcher, &[&file]).await;
    folder.write("other/a", "4");
    assert_changed(&mut watcher, &[&file]).await;
}

#[test]
fn many_files_are_looked_at_less_often() {
    let pace = Pace::default();
    let after =
        |milliseconds| pace.after(&Decision::Unchanged, Duration::from_millis(milliseconds));
    assert_eq!(after(2), pace.poll);
    assert_eq!(after(6), Duration::from_secs(6));
    assert_eq!(after(2000), Duration::from_secs(30));
}
