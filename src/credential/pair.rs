//! The first source of credentials: two PEM files, one with the chain and one with the key.

use super::{
    CertificateFiles, MaterialError, file,
    pem::Block,
    private_key,
    source::{Material, Source, Version},
};
use crate::watch::look::Digests;
use rustls::{crypto::aws_lc_rs::sign::any_supported_type, sign::SigningKey};
use std::{fmt, path::Path, path::PathBuf, sync::Arc};

/// A pair of files, and how the key's is looked at.
#[derive(Debug)]
pub struct FileSource<'a> {
    /// The files.
    pub files: &'a CertificateFiles,
    /// Whether a key file that others may read is a warning (`true`) or an error.
    pub allow_readable: bool,
}

impl Source for FileSource<'_> {
    fn version(&self, files: &Digests) -> Option<Version> {
        Version::of_files(&self.watched(), files, &[u8::from(self.allow_readable)])
    }

    fn material(&self, warnings: &mut Vec<MaterialError>) -> Result<Material, MaterialError> {
        let CertificateFiles { chain, key } = self.files;
        let certificates = file::certificates(chain)?;
        let block = read_key(key, self.allow_readable, warnings)?;
        Ok(Material {
            chain: certificates,
            key: signing_key(key, &block)?,
            chain_place: chain.clone(),
            key_place: key.clone(),
        })
    }

    fn watched(&self) -> Vec<PathBuf> {
        vec![self.files.chain.clone(), self.files.key.clone()]
    }
}

fn read_key(
    path: &Path,
    allow_readable: bool,
    warnings: &mut Vec<MaterialError>,
) -> Result<Block, MaterialError> {
    if let Some(mut problem) = file::readable_by_others(path)? {
        problem
            .hint
            .push_str(", or set tls.allow_readable_keys = true");
        if !allow_readable {
            return Err(problem);
        }
        warnings.push(problem);
    }
    file::private_key(path)
}

fn signing_key(path: &Path, key: &Block) -> Result<Arc<dyn SigningKey>, MaterialError> {
    let unusable = |error: &dyn fmt::Display| {
        MaterialError::new(
            path,
            format!("the private key cannot be used: {error}"),
            private_key::EXPECTED,
        )
    };
    let der = private_key::der(key).ok_or_else(|| unusable(&"it is of an unknown kind"))?;
    // From what is overwritten afterwards, which `CryptoProvider::key_provider` would copy.
    any_supported_type(&der).map_err(|error| unusable(&error))
}
