//! Reading credentials from files: whole, bounded, with permissions looked at.

use super::MaterialError;
use crate::credential::{
    pem::{self, Block, Label},
    private_key,
};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use std::{fs, io::Read, os::unix::fs::MetadataExt, path::Path};
use zeroize::Zeroizing;

/// The largest file of certificates or keys that is read.
const FILE_MAX: u64 = 4 << 20;

/// The bytes of a file, overwritten when dropped: it may hold a key.
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
            format!("the file has {size} bytes"),
            format!("expected at most {most}"),
        ));
    }
    // Sized before reading, so that no copy of a key is left behind by growing.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1));
    file.take(most).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Every certificate of the chain in a PEM file; at least one.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    certificates_in(path, &read(path)?)
}

/// Every certificate of a PEM file of CAs, which holds nothing else; at least one.
pub fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    authorities_in(path, &read(path)?)
}

/// The one private key of a PEM file; its chain may stand beside it.
pub fn private_key(path: &Path) -> Result<Block, MaterialError> {
    private_key_in(path, &read(path)?)
}

/// What [`certificates`] gives, of what was read from `path`: the chain's key may stand beside it,
/// and what OpenSSL writes beside keys.
pub fn certificates_in(
    path: &Path,
    text: &[u8],
) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    certificates_beside(path, text, |label| {
        label.is_private_key() || matches!(label, Label::PublicKey | Label::Parameters)
    })
}

/// What [`authorities`] gives, of what was read from `path`.
pub fn authorities_in(
    path: &Path,
    text: &[u8],
) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    certificates_beside(path, text, |_| false)
}

/// What [`private_key`] gives, of what was read from `path`.
pub fn private_key_in(path: &Path, text: &[u8]) -> Result<Block, MaterialError> {
    private_key::of_text(text)
        .map_err(|problem| MaterialError::new(path, problem.message, problem.hint))
}

fn certificates_beside(
    path: &Path,
    text: &[u8],
    beside: impl Fn(Label) -> bool,
) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    if pem::is_der(text) {
        let hint = "convert it with `openssl x509 -inform DER -in FILE -out NEW`";
        return Err(MaterialError::new(path, "the file is DER, not PEM", hint));
    }
    let used = |label| label == Label::Certificate;
    let blocks = select(path, text, used, beside)?;
    if blocks.is_empty() {
        return Err(no_certificate(path));
    }
    let certificate = |block: Block| CertificateDer::from(block.der.to_vec());
    Ok(blocks.into_iter().map(certificate).collect())
}

/// Every CRL of a file of at most `most` bytes, PEM or DER; at least one.
pub fn revocation_lists(
    path: &Path,
    most: u64,
) -> Result<Vec<CertificateRevocationListDer<'static>>, MaterialError> {
    let mut bytes = read_up_to(path, most)?;
    // DER begins with the tag of a SEQUENCE.
    if bytes.first() == Some(&0x30) {
        let whole = std::mem::take(&mut *bytes);
        return Ok(vec![CertificateRevocationListDer::from(whole)]);
    }
    let used = |label| label == Label::RevocationList;
    let blocks = select(path, &bytes, used, |_| false)?;
    if blocks.is_empty() {
        return Err(MaterialError::new(
            path,
            "no whole CRL in this file",
            "expected DER, or PEM blocks BEGIN X509 CRL to END X509 CRL",
        ));
    }
    let list =
        |mut block: Block| CertificateRevocationListDer::from(std::mem::take(&mut *block.der));
    Ok(blocks.into_iter().map(list).collect())
}

/// The blocks of a file that are `used`; an error for any other that may not stand beside them.
fn select(
    path: &Path,
    text: &[u8],
    used: impl Fn(Label) -> bool,
    beside: impl Fn(Label) -> bool,
) -> Result<Vec<Block>, MaterialError> {
    let mut blocks = pem::blocks(text).map_err(|problem| misread(path, &problem))?;
    let known = |block: &&Block| used(block.label) || beside(block.label);
    if let Some(block) = blocks.iter().find(|block| !known(block)) {
        return Err(out_of_place(path, block));
    }
    blocks.retain(|block| used(block.label));
    Ok(blocks)
}

fn misread(path: &Path, problem: &pem::Problem) -> MaterialError {
    MaterialError::new(path, problem.to_string(), problem.hint.as_str())
}

fn out_of_place(path: &Path, block: &Block) -> MaterialError {
    let message = format!(
        "line {}: {} has no place in this file and would not be used",
        block.line,
        block.label.noun()
    );
    let hint = match block.label {
        Label::RevocationList => "take it out, and name it in tls.clients.crl",
        Label::Certificate => "take it out; CAs are named in tls.clients.ca",
        _ => "take it out; a key belongs into a file of its own, beside its chain",
    };
    MaterialError::new(path, message, hint)
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
            "line 1: the block \"CERTIFICATE\" does not end"
        );
    }

    fn block(label: &str) -> String {
        format!("-----BEGIN {label}-----\nAAEC\n-----END {label}-----\n")
    }

    #[test]
    fn a_block_that_would_not_be_used_is_refused() {
        let path = Path::new("ca.pem");
        let certificate = block("CERTIFICATE");
        for (other, hint) in [
            ("X509 CRL", "tls.clients.crl"),
            ("PRIVATE KEY", "a file of its own"),
        ] {
            let text = format!("{certificate}{}", block(other));
            let error = authorities_in(path, text.as_bytes()).unwrap_err();
            assert!(error.message.starts_with("line 4: "), "{error}");
            assert!(error.hint.contains(hint), "{error}");
        }
        let text = format!("{certificate}{}", block("X509 CRL"));
        assert!(certificates_in(path, text.as_bytes()).is_err());
        let text = format!("{}{certificate}", block("X509 CRL"));
        let file = std::env::temp_dir().join(format!("tidegate-mix-{}", std::process::id()));
        fs::write(&file, text).unwrap();
        let error = revocation_lists(&file, 1000).unwrap_err();
        fs::remove_file(&file).unwrap();
        assert!(
            error
                .message
                .starts_with("line 4: a certificate has no place"),
            "{error}"
        );
    }

    #[test]
    fn a_chain_may_stand_beside_its_key_and_what_openssl_writes_with_it() {
        let path = Path::new("all.pem");
        let labels = [
            "EC PARAMETERS",
            "EC PRIVATE KEY",
            "CERTIFICATE",
            "X509 CERTIFICATE",
            "DH PARAMETERS",
        ];
        let text: String = labels.map(block).concat();
        assert_eq!(certificates_in(path, text.as_bytes()).unwrap().len(), 2);
    }

    #[test]
    fn der_in_place_of_pem_is_told_with_the_way_to_convert_it() {
        let error = authorities_in(Path::new("ca.der"), &[0x30, 0x82, 1, 0]).unwrap_err();
        assert!(error.hint.contains("-inform DER"), "{error}");
    }
}
