//! Files that are whole or not there.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
};

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    /// Whoever may enter its folder.
    Everybody,
    /// Its owner alone.
    Owner,
}

/// Makes a folder, and those above it, for the owner alone.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Replaces a file whole: readers see the old content or the new, also after a crash.
pub(super) fn replace(path: &Path, content: &str, readers: Readers) -> io::Result<()> {
    let temporary = temporary_beside(path);
    let written = write_new(&temporary, content, readers)
        .and_then(|file| keep_owner(path, &file))
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| File::open(folder_of(path))?.sync_all());
    if written.is_err() {
        // What matters is the first error; a left-over is in nobody's way.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// The folder of a file, of which a rename lasts only once it is on the disk.
pub(super) fn folder_of(path: &Path) -> &Path {
    let folder = path.parent();
    let named = folder.filter(|folder| !folder.as_os_str().is_empty());
    named.unwrap_or(Path::new("."))
}

fn write_new(path: &Path, content: &str, readers: Readers) -> io::Result<File> {
    let mode = match readers {
        Readers::Everybody => 0o644,
        Readers::Owner => 0o600,
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    Ok(file)
}

/// Returns the new file to the old one's owner: an administrator who replaces it shall not take it
/// away from the proxy, which runs as somebody else.
fn keep_owner(old: &Path, new: &File) -> io::Result<()> {
    let Ok(old) = fs::metadata(old) else {
        return Ok(());
    };
    let own = new.metadata()?;
    if (old.uid(), old.gid()) == (own.uid(), own.gid()) {
        return Ok(());
    }
    fchown(new, Some(old.uid()), Some(old.gid()))
}

fn temporary_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.new", std::process::id()))
}
