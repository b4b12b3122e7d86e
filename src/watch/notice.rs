//! Notices of the file system that something happened near the watched files.
//!
//! They are hints. Where they fail, because a folder was removed, a file system sends none or the
//! system's watches are used up, the watcher notices a little later all the same.

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::Notify;

/// Longest chain of symlinks that is followed; the system's own bound.
const LONGEST_CHAIN: usize = 40;

/// The folders around the watched files.
#[derive(Debug)]
pub(crate) struct Notices {
    /// `None`: the system has no notices.
    watcher: Option<RecommendedWatcher>,
    arrived: Arc<Notify>,
    folders: HashMap<PathBuf, Identity>,
}

/// Device and inode: a folder that vanished and returned is another one.
type Identity = (u64, u64);

impl Notices {
    pub(crate) fn new() -> Self {
        let arrived = Arc::new(Notify::new());
        let wake = Arc::clone(&arrived);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.map_or(true, |event| matters(&event)) {
                wake.notify_one();
            }
        });
        Self {
            watcher: watcher.ok(),
            arrived,
            folders: HashMap::new(),
        }
    }

    /// Follows the folders of these files, and of whatever they are links to, as they are now.
    pub(crate) fn follow(&mut self, paths: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let wanted: HashMap<PathBuf, Identity> = folders(paths).collect();
        let stale =
            |(folder, identity): &(&PathBuf, &Identity)| wanted.get(*folder) != Some(*identity);
        for (folder, _) in self.folders.iter().filter(stale) {
            // It may be gone, and its watch with it.
            let _ = watcher.unwatch(folder);
        }
        self.folders
            .retain(|folder, identity| wanted.get(folder) == Some(identity));
        for (folder, identity) in wanted {
            if !self.folders.contains_key(&folder)
                && watcher.watch(&folder, RecursiveMode::NonRecursive).is_ok()
            {
                self.folders.insert(folder, identity);
            }
        }
    }

    /// Waits for a notice.
    pub(crate) async fn next(&self) {
        self.arrived.notified().await;
    }
}

/// Reading changes nothing; without this each look would cause the next one.
fn matters(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

fn folders(paths: &[PathBuf]) -> impl Iterator<Item = (PathBuf, Identity)> {
    let folders = paths
        .iter()
        .flat_map(|path| chain(path))
        .map(|path| parent(&path));
    folders.filter_map(|folder| {
        let metadata = fs::metadata(&folder).ok()?;
        Some((folder, (metadata.dev(), metadata.ino())))
    })
}

/// A path, the link's target if it is one, that one's target, and so on; and the path where it
/// ends, which shows links among the folders.
fn chain(path: &Path) -> Vec<PathBuf> {
    let next = |path: &PathBuf| Some(parent(path).join(fs::read_link(path).ok()?));
    let links = std::iter::successors(Some(path.to_owned()), next);
    let end = fs::canonicalize(path).ok();
    links.take(LONGEST_CHAIN).chain(end).collect()
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
