//! What a file shows: a digest of its content and mode, or why there is none.

use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use zeroize::Zeroizing;

/// What a path shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// The SHA-256 digest of its mode and content. A key that was refused because others could read
    /// it may be good once they cannot.
    Content([u8; 32]),
    /// A file without content: somebody may be about to write it.
    Empty,
    /// There is no such file.
    Absent,
    /// It cannot be read, or is not a file.
    Unreadable,
}

/// What each watched path shows.
pub(crate) type Looks = BTreeMap<PathBuf, Look>;

/// SHA-256 of what files held when they were read, by path; `None`: it could not be read.
pub(crate) type Digests = BTreeMap<PathBuf, Option<[u8; 32]>>;

/// Looks at files, and reads only those that may have changed since.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    remembered: HashMap<PathBuf, (Stamp, Look)>,
}

/// What shows without reading that a file is the same as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A file changed as recently as this may change again without another stamp: time stamps of
/// file systems are coarse.
const FRESH: Duration = Duration::from_secs(2);

impl Look {
    /// What a file with content shows.
    fn of(content: &[u8; 32], mode: u32) -> Self {
        let digest = Sha256::new().chain_update(mode.to_be_bytes());
        Self::Content(digest.chain_update(content).finalize().into())
    }

    /// Whether somebody can have meant it to stay like this.
    pub(crate) fn is_whole(self) -> bool {
        matches!(self, Self::Content(_))
    }
}

impl Observer {
    /// What each path shows now.
    pub(crate) fn look(&mut self, paths: &[PathBuf]) -> Looks {
        let looks = paths.iter().map(|path| (path.clone(), self.look_at(path)));
        let looks: Looks = looks.collect();
        self.remembered.retain(|path, _| looks.contains_key(path));
        looks
    }

    fn look_at(&mut self, path: &Path) -> Look {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return of_error(&error),
        };
        let stamp = Stamp::of(&metadata);
        if let Some((known, look)) = self.remembered.get(path)
            && *known == stamp
        {
            return *look;
        }
        let fresh = stamp.is_fresh(SystemTime::now());
        let look = match digest(path) {
            Ok((0, _)) => Look::Empty,
            Ok((_, digest)) => Look::of(&digest, metadata.mode()),
            Err(error) => of_error(&error),
        };
        if look.is_whole() && !fresh {
            self.remembered.insert(path.to_owned(), (stamp, look));
        } else {
            self.remembered.remove(path);
        }
        look
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether it was stamped just now, or in the future by a clock that is ahead.
    fn is_fresh(&self, now: SystemTime) -> bool {
        let seconds = self.modified.0.max(self.changed.0);
        let stamped = UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        now.duration_since(stamped).is_ok_and(|age| age <= FRESH) || stamped > now
    }
}

/// How many bytes a file has, and the SHA-256 of them.
///
/// Reads piece by piece: keys are never whole in memory here, and the piece is wiped. What is no
/// file is not opened: a pipe would block the caller.
pub(crate) fn digest(path: &Path) -> io::Result<(u64, [u8; 32])> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("no file"));
    }
    let mut file = File::open(path)?;
    let mut piece = Zeroizing::new([0; 16 * 1024]);
    let mut digest = Sha256::new();
    let mut bytes = 0;
    loop {
        let length = file.read(piece.as_mut())?;
        let Some(read @ [_, ..]) = piece.get(..length) else {
            break;
        };
        digest.update(read);
        bytes += read.len() as u64;
    }
    Ok((bytes, digest.finalize().into()))
}

fn of_error(error: &io::Error) -> Look {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Look::Absent,
        _ => Look::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_again_only_while_its_stamp_is_fresh() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let stamp = Stamp {
            device: 1,
            inode: 1,
            size: 1,
            modified: (0, 0),
            changed: (100, 0),
        };
        assert!(stamp.is_fresh(at(101)));
        assert!(stamp.is_fresh(at(102)));
        assert!(!stamp.is_fresh(at(103)));
        // A clock that ran ahead when the file was written.
        assert!(stamp.is_fresh(at(50)));
    }

    #[test]
    fn a_file_that_has_rested_is_remembered_and_one_without_content_never() {
        let rested = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let empty = PathBuf::from("/dev/null");
        let mut observer = Observer::default();
        let looks = observer.look(&[rested.clone(), empty.clone()]);
        assert!(looks.get(&rested).is_some_and(|look| look.is_whole()));
        assert_eq!(looks.get(&empty), Some(&Look::Unreadable));
        let remembered: Vec<&PathBuf> = observer.remembered.keys().collect();
        assert_eq!(remembered, [&rested]);
        assert!(observer.look(&[]).is_empty() && observer.remembered.is_empty());
    }
}
