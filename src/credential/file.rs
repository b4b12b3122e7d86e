//! Reading credentials from files: whole, bounded, with permissions looked at.

use super::MaterialError;
use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer,
    pem::{self, PemObject, SectionKind},
};
use std::{fs, io::Read, os::unix::fs::MetadataExt, path::Path};
use zeroize::Zeroizing;

/// The largest file of certificates or keys that is read.
const FILE_MAX: u64 = 4 << 20;

/// The octets of a file, overwritten when dropped: it may hold a key.
pub fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, MaterialError> {
    read_up_to(path, FILE_MAX)
}

fn read_up_to(path: &Path, most: u64) -> Result<Zeroizing<Vec<u8>>, MaterialError> {
    let failed = |error: std::io::Error| unreadable(path, &error);
    // Opening a pipe would wait for whoever writes into it, for ever perhaps.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        let hint = "expected a regular file: no folder, pipe, socket or device";
        return Err(MaterialError::new(path, "this is no file", hint));
    }
    let file = fs::File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    if size > most {
        return Err(MaterialError::new(
            path,
            format!("the file has {size} octets"),
            format!("expected at most {most}"),
        ));
    }
    // Sized before reading, so that no copy of a key is left behind by growing.
    let mut octets = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1));
    file.take(most).read_to_end(&mut octets).map_err(failed)?;
    Ok(octets)
}

/// Every certificate of a PEM file; at least one.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    let text = read(path)?;
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match parsed {
        Ok(list) if list.is_empty() => Err(no_certificate(path)),
        Ok(list) => Ok(list),
        Err(error) => Err(MaterialError::new(
            path,
            format!("the file is not whole PEM: {}", pem_problem(&error)),
            "expected blocks BEGIN CERTIFICATE to END CERTIFICATE; if it is being written, the next look will find it whole",
        )),
    }
}

/// What is wrong with a PEM file, without the octets that the library shows: they may be a key's.
pub fn pem_problem(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a block does not end".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "a line BEGIN is not well-formed".to_owned(),
        pem::Error::Base64Decode(_) => "a block is not base64".to_owned(),
        pem::Error::NoItemsFound => "there is none in it".to_owned(),
        pem::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// Every CRL of a file of at most `most` octets, PEM or DER; at least one.
pub fn revocation_lists(
    path: &Path,
    most: u64,
) -> Result<Vec<CertificateRevocationListDer<'static>>, MaterialError> {
    let octets = read_up_to(path, most)?;
    // DER begins with the tag of a SEQUENCE.
    if octets.first() == Some(&0x30) {
        return Ok(vec![CertificateRevocationListDer::from(octets.to_vec())]);
    }
    let parsed: Result<Vec<_>, _> = <(SectionKind, Vec<u8>)>::pem_slice_iter(&octets).collect();
    let lists: Vec<_> = parsed
        .unwrap_or_default()
        .into_iter()
        .filter(|(kind, _)| *kind == SectionKind::Crl)
        .map(|(_, der)| CertificateRevocationListDer::from(der))
        .collect();
    if lists.is_empty() {
        return Err(MaterialError::new(
            path,
            "no whole CRL in this file",
            "expected DER, or PEM blocks BEGIN X509 CRL to END X509 CRL",
        ));
    }
    Ok(lists)
}

/// Refuses a file that group or others may read.
pub fn owner_only(path: &Path) -> Result<(), MaterialError> {
    readable_by_others(path)?.map_or(Ok(()), Err)
}

/// That group or others may read a file, if they may.
pub fn readable_by_others(path: &Path) -> Result<Option<MaterialError>, MaterialError> {
    let mode = fs::metadata(path)
        .map_err(|error| unreadable(path, &error))?
        .mode()
        & 0o777;
    if mode.trailing_zeros() >= 6 {
        return Ok(None);
    }
    Ok(Some(MaterialError::new(
        path,
        format!("a secret that others may read (mode {mode:04o})"),
        format!("run `chmod 600 {}`", path.display()),
    )))
}

/// The file holds no certificate at all.
pub fn no_certificate(path: &Path) -> MaterialError {
    MaterialError::new(
        path,
        "no certificate in this file",
        "expected PEM blocks BEGIN CERTIFICATE to END CERTIFICATE",
    )
}

fn unreadable(path: &Path, error: &std::io::Error) -> MaterialError {
    let hint = match error.kind() {
        std::io::ErrorKind::NotFound => {
            "check the path: one in a configuration is relative to its folder; `tidegate certs init` makes a set for development"
        }
        std::io::ErrorKind::PermissionDenied => "let the user that runs tidegate read it",
        _ => "check the file and its folder",
    };
    MaterialError::new(path, format!("cannot be read: {error}"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_larger_than_expected_is_refused_before_it_is_read() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let error = revocation_lists(&file, 10).unwrap_err();
        assert_eq!(error.hint, "expected at most 10");
    }

    #[test]
    fn a_file_that_is_cut_off_is_told_in_words() {
        let cut = "-----BEGIN CERTIFICATE-----\nMIIB\n";
        let text = std::env::temp_dir().join(format!("tidegate-cut-{}", std::process::id()));
        fs::write(&text, cut).unwrap();
        let error = certificates(&text).unwrap_err();
        fs::remove_file(&text).unwrap();
        assert_eq!(
            error.message,
            "the file is not whole PEM: a block does not end"
        );
    }
}
