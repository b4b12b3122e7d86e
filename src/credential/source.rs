//! Where a certificate chain and its key come from.
//!
//! Takes: nothing but what the source was made of. Returns: the material, which of its versions it
//! is, and what is wrong with it. What the material is worth is checked by [`super::store`], in the
//! same way for every source.

use super::MaterialError;
use crate::watch::look::Digests;
use rustls::{pki_types::CertificateDer, sign::SigningKey};
use sha2::{Digest, Sha256};
use std::{fmt, fs, os::unix::fs::MetadataExt, path::PathBuf, sync::Arc};

/// Gives a certificate chain and the key for it.
pub trait Source: fmt::Debug {
    /// Which version of the material it would give now; `None`: that cannot be told, so that it has
    /// to be asked for the material itself. `files` says what
    /// its [`Source::watched`] hold.
    fn version(&self, files: &Digests) -> Option<Version>;

    /// The material as it is now; what is allowed and probably not meant is appended.
    fn material(&self, warnings: &mut Vec<MaterialError>) -> Result<Material, MaterialError>;

    /// The files whose content says that there may be another version; none where the material lies
    /// in no file.
    fn watched(&self) -> Vec<PathBuf>;
}

/// A chain and the key that signs for it, not checked yet.
pub struct Material {
    /// The chain, leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// What signs; it need not hold the key itself.
    pub key: Arc<dyn SigningKey>,
    /// Where the chain is, as the configuration names it.
    pub chain_place: PathBuf,
    /// Where the key is, as the configuration names it.
    pub key_place: PathBuf,
}

/// The same for the same content, read from the same place under the same settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version([u8; 32]);

impl Version {
    /// The version of what these files hold, in this order, with what else decides how they are
    /// read. `None` where what any of them holds is not known.
    pub fn of_files(paths: &[PathBuf], files: &Digests, settings: &[u8]) -> Option<Self> {
        let mut digest = Sha256::new();
        add(&mut digest, settings);
        for path in paths {
            let content = files.get(path).copied().flatten()?;
            // A key is refused once others may read it, whatever it is.
            let mode = fs::metadata(path).ok()?.mode();
            add(&mut digest, path.as_os_str().as_encoded_bytes());
            digest.update(mode.to_be_bytes());
            digest.update(content);
        }
        Some(Self(digest.finalize().into()))
    }
}

/// With its length, so that what follows cannot be taken for a part of it.
fn add(digest: &mut Sha256, part: &[u8]) {
    digest.update((part.len() as u64).to_be_bytes());
    digest.update(part);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn version_is_another_for_another_content_mode_order_or_setting() {
        let folder = std::env::temp_dir().join(format!("tidegate-version-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let paths = ["a", "b"].map(|name| folder.join(name));
        let swapped = [paths[1].clone(), paths[0].clone()];
        let mode = |mode| fs::set_permissions(&paths[0], fs::Permissions::from_mode(mode)).unwrap();
        let holds = |second| -> Digests {
            let contents = [Some([1; 32]), second];
            paths.iter().cloned().zip(contents).collect()
        };
        for path in &paths {
            fs::write(path, "").unwrap();
        }
        mode(0o600);
        let files = holds(Some([2; 32]));
        let first = Version::of_files(&paths, &files, &[0]);
        assert!(first.is_some());
        assert_eq!(Version::of_files(&paths, &files, &[0]), first);
        assert_ne!(Version::of_files(&paths, &files, &[1]), first);
        assert_ne!(Version::of_files(&swapped, &files, &[0]), first);
        assert_ne!(
            Version::of_files(&paths, &holds(Some([3; 32])), &[0]),
            first
        );
        assert_eq!(Version::of_files(&paths, &holds(None), &[0]), None);
        mode(0o644);
        assert_ne!(Version::of_files(&paths, &files, &[0]), first);
        fs::remove_dir_all(folder).unwrap();
    }
}
