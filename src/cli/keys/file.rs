//! The keyring's file, changed by one command at a time and replaced whole.

use super::error::KeysError;
use crate::{
    cli::files::{self, Readers, folder_of},
    config,
    integrity::keyring::{Key, KeyKind, Keyring},
};
use std::{
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use zeroize::Zeroizing;

const HEADER: &str = "\
# The keys of frame integrity. `tidegate keys` writes this file again with every change, so that
# comments do not stay. Whoever reads it can forge frames: it is for its owner alone.
";
/// Room for one key; enough, so that no copy of a secret is left behind by growing.
const KEY_BYTES: usize = 512;
const ZEROS: [u8; 4096] = [0; 4096];

/// A keyring's file that no other command changes meanwhile.
pub(super) struct KeyringFile {
    /// With symbolic links followed, so that replacing the file leaves them in place.
    path: PathBuf,
    keys: Vec<Key>,
    /// Holds the lock until dropped. The file itself cannot: it is replaced.
    _lock: File,
}

/// Reads a keyring without changing it.
pub(super) fn read(path: &Path) -> Result<Keyring, KeysError> {
    config::load_keyring(path).map_err(KeysError::Problems)
}

impl KeyringFile {
    /// Opens the keyring of a file that is there, after other commands that change it.
    pub(super) fn open(path: &Path) -> Result<Self, KeysError> {
        let resolved = path.canonicalize();
        // Reading it reports that it is not there.
        let resolved = resolved.unwrap_or_else(|_| path.to_owned());
        let locked = lock(folder_of(&resolved))?;
        let keyring = read(&resolved)?;
        Ok(Self {
            keys: keyring.iter().cloned().collect(),
            path: resolved,
            _lock: locked,
        })
    }

    /// The same, but a file that is not there is an empty keyring.
    pub(super) fn open_or_new(path: &Path) -> Result<Self, KeysError> {
        if path.symlink_metadata().is_ok() {
            return Self::open(path);
        }
        let folder = folder_of(path);
        files::make_folder(folder).map_err(|source| failed("make the folder", folder, source))?;
        let locked = lock(folder)?;
        if path.symlink_metadata().is_ok() {
            // Another command has made it while this one waited.
            drop(locked);
            return Self::open(path);
        }
        Ok(Self {
            path: path.to_owned(),
            keys: Vec::new(),
            _lock: locked,
        })
    }

    pub(super) fn keys(&mut self) -> &mut Vec<Key> {
        &mut self.keys
    }

    /// Replaces the file, then overwrites what the old one held: it is out of reach, and its
    /// bytes are still on the disk. Where a file system writes elsewhere than it is asked to
    /// (journals, snapshots, flash memory), copies may remain all the same.
    pub(super) fn save(self) -> Result<(), KeysError> {
        // Opened before, as it has no name afterwards. Doing this first instead would lose every
        // key if the machine stopped in between.
        let old = match OpenOptions::new().write(true).open(&self.path) {
            Ok(old) => Some(old),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(failed("change", &self.path, source)),
        };
        let content = written(&self.keys);
        files::replace(&self.path, &content, Readers::Owner)
            .map_err(|source| failed("write", &self.path, source))?;
        match old.map(overwrite) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(source)) => Err(failed("overwrite the old content of", &self.path, source)),
        }
    }
}

fn lock(folder: &Path) -> Result<File, KeysError> {
    let locked = File::open(folder).and_then(|file| file.lock().map(|()| file));
    locked.map_err(|source| failed("lock the folder", folder, source))
}

fn overwrite(mut file: File) -> io::Result<()> {
    let mut left = file.metadata()?.len();
    while left > 0 {
        let piece = ZEROS
            .len()
            .min(usize::try_from(left).unwrap_or(ZEROS.len()));
        file.write_all(ZEROS.get(..piece).unwrap_or(&ZEROS))?;
        left -= piece as u64;
    }
    file.sync_all()
}

/// The file's text.
fn written(keys: &[Key]) -> Zeroizing<String> {
    let capacity = HEADER.len() + keys.len() * KEY_BYTES;
    let mut text = Zeroizing::new(String::with_capacity(capacity));
    text.push_str(HEADER);
    for key in keys {
        write_key(key, &mut text);
    }
    text
}

fn write_key(key: &Key, text: &mut String) {
    let material = key.material.to_text();
    let name = match key.material.kind() {
        KeyKind::Secret => "secret",
        KeyKind::X25519 => "private",
    };
    let kind = key.material.kind().label();
    let lines = [
        ("kid", key.kid.as_str()),
        ("kind", kind),
        (name, material.as_str()),
        ("state", key.state.label()),
    ];
    text.push_str("\n[[key]]\n");
    for (name, value) in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name} = \"{value}\"");
    }
    let times = [
        ("not_before", key.validity.not_before()),
        ("not_after", key.validity.not_after()),
    ];
    for (name, time) in times {
        if let Some(time) = time.and_then(instant) {
            let _ = writeln!(text, "{name} = {time}");
        }
    }
}

/// Seconds since 1970 as RFC 3339 writes them; `None` outside the years that it has.
pub(super) fn instant(seconds: i64) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    time.format(&Rfc3339).ok()
}

fn failed(verb: &'static str, path: &Path, source: io::Error) -> KeysError {
    let path = path.to_owned();
    KeysError::File { verb, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn overwriting_leaves_zeros_and_the_length() {
        let path = std::env::temp_dir().join(format!("tidegate-zeros-{}", std::process::id()));
        fs::write(&path, vec![7; 10_000]).unwrap();
        overwrite(OpenOptions::new().write(true).open(&path).unwrap()).unwrap();
        let content = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(content, vec![0; 10_000]);
    }
}
