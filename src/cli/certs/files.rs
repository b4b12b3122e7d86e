//! Files that are whole or not there, and keys that nobody else can read.

use super::{authority::DevelopmentCa, error::CertsError};
use crate::{
    cli::files,
    credential::pem::{self, Block, Label},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

pub(super) use crate::cli::files::Readers;

/// Makes a folder, and those above it, for the owner alone.
pub(super) fn make_folder(path: &Path) -> Result<(), CertsError> {
    files::make_folder(path).map_err(|source| failed(path, source))
}

/// Replaces a file whole: readers see the old content or the new, also after a crash.
pub(super) fn replace(path: &Path, content: &str, readers: Readers) -> Result<(), CertsError> {
    files::replace(path, content, readers).map_err(|source| failed(path, source))
}

/// Refuses if one of the files is there.
pub(super) fn expect_absent(files: &[PathBuf], advice: &'static str) -> Result<(), CertsError> {
    let present = files.iter().filter(|file| file.symlink_metadata().is_ok());
    let files: Vec<PathBuf> = present.cloned().collect();
    if files.is_empty() {
        return Ok(());
    }
    Err(CertsError::Exists { files, advice })
}

/// Reads a file whole; overwritten when dropped, for it may hold a key.
pub(super) fn read(path: &Path, advice: &'static str) -> Result<Zeroizing<Vec<u8>>, CertsError> {
    fs::read(path)
        .map(Zeroizing::new)
        .map_err(|source| CertsError::Read {
            path: path.to_owned(),
            source,
            advice,
        })
}

/// Reads the authority of a folder.
pub(super) fn read_authority(folder: &Path) -> Result<DevelopmentCa, CertsError> {
    let advice =
        "Make a CA with `tidegate certs init`, or say with --dir in which folder there is one";
    let text = |name: &str| -> Result<Zeroizing<String>, CertsError> {
        let path = folder.join(name);
        let bytes = read(&path, advice)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| CertsError::Content {
            path,
            problem: "this is not PEM".to_owned(),
        })?;
        Ok(Zeroizing::new(text.to_owned()))
    };
    DevelopmentCa::from_pem(&text("ca.pem")?, &text("ca.key")?).map_err(|problem| {
        CertsError::Content {
            path: folder.to_owned(),
            problem,
        }
    })
}

/// The blocks of a file in PEM, which are all of one kind.
pub(super) fn blocks(path: &Path, content: &[u8], label: Label) -> Result<Vec<Block>, CertsError> {
    let blocks = pem::blocks(content).map_err(|problem| misread(path, &problem))?;
    if let Some(other) = blocks.iter().find(|block| block.label != label) {
        let (found, wanted) = (other.label.noun(), label.noun());
        let message = format!("expected {wanted}, and found {found}");
        let hint = "name a file that holds nothing else, or take it out";
        return Err(misread(path, &pem::Problem::new(other.line, message, hint)));
    }
    if blocks.is_empty() {
        return Err(CertsError::Content {
            path: path.to_owned(),
            problem: format!("this is not {} in PEM", label.noun()),
        });
    }
    Ok(blocks)
}

/// That a file is not PEM as it should be.
pub(super) fn misread(path: &Path, problem: &pem::Problem) -> CertsError {
    CertsError::Content {
        path: path.to_owned(),
        problem: format!("{problem}; {}", problem.hint),
    }
}

fn failed(path: &Path, source: io::Error) -> CertsError {
    CertsError::Write {
        path: path.to_owned(),
        source,
    }
}
