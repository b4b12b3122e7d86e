//! Where a certificate chain and its key come from.
//!
//! Takes: nothing but what the source was made of. Returns: the material, which of its versions it
//! is, and what is wrong with it. What the material is worth is checked by [`super::store`], in the
//! same way for every source.

use super::MaterialError;
use crate::watch::look::{Look, Observer};
use rustls::{pki_types::CertificateDer, sign::SigningKey};
use sha2::{Digest, Sha256};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Gives a certificate chain and the key for it.
pub trait Source: fmt::Debug {
    /// Which version of the material it would give now; `None`: that cannot be told, so that it has
    /// to be asked for the material itself.
    fn version(&self) -> Option<Version>;

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
    /// read. `None` while any of them cannot be read, or has no content.
    pub fn of_files(paths: &[PathBuf], settings: &[u8]) -> Option<Self> {
        let looks = Observer::default().look(paths);
        let mut digest = Sha256::new();
        add(&mut digest, settings);
        for path in paths {
            // The mode is part of it: a key is refused once others may read it.
            let Some(Look::Content(content)) = looks.get(path) else {
                return None;
            };
            add(&mut digest, bytes(path));
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

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
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
        let write = |content: &str| fs::write(&paths[1], content).unwrap();
        let mode = |mode| fs::set_permissions(&paths[0], fs::Permissions::from_mode(mode)).unwrap();
        fs::write(&paths[0], "a").unwrap();
        write("b");
        mode(0o600);
        let version = || Version::of_files(&paths, &[0]);
        let first = version();
        assert!(first.is_some());
        assert_eq!(version(), first);
        assert_ne!(Version::of_files(&paths, &[1]), first);
        assert_ne!(Version::of_files(&swapped, &[0]), first);
        mode(0o644);
        assert_ne!(version(), first);
        mode(0o600);
        write("c");
        assert_ne!(version(), first);
        write("");
        assert_eq!(version(), None);
        fs::remove_dir_all(folder).unwrap();
    }
}
