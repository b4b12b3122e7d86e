//! What blocks say that they are.

/// The label of a block, of those that this program reads or passes over knowingly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// `CERTIFICATE`, or `X509 CERTIFICATE` as old tools write it.
    Certificate,
    /// `X509 CRL`.
    RevocationList,
    /// `PRIVATE KEY` (PKCS #8, RFC 5958).
    Pkcs8Key,
    /// `RSA PRIVATE KEY` (PKCS #1, RFC 8017).
    Pkcs1Key,
    /// `EC PRIVATE KEY` (RFC 5915).
    Sec1Key,
    /// `ENCRYPTED PRIVATE KEY`.
    EncryptedKey,
    /// `DSA PRIVATE KEY`.
    DsaKey,
    /// `OPENSSH PRIVATE KEY`.
    OpensshKey,
    /// A public key, which OpenSSL writes beside the private one if asked to.
    PublicKey,
    /// Parameters of a key or of Diffie-Hellman, which OpenSSL writes before keys.
    Parameters,
}

/// Every label there is, in the words of files.
const LABELS: [(&[u8], Label); 16] = [
    (b"CERTIFICATE", Label::Certificate),
    (b"X509 CERTIFICATE", Label::Certificate),
    (b"X509 CRL", Label::RevocationList),
    (b"PRIVATE KEY", Label::Pkcs8Key),
    (b"RSA PRIVATE KEY", Label::Pkcs1Key),
    (b"EC PRIVATE KEY", Label::Sec1Key),
    (b"ENCRYPTED PRIVATE KEY", Label::EncryptedKey),
    (b"DSA PRIVATE KEY", Label::DsaKey),
    (b"OPENSSH PRIVATE KEY", Label::OpensshKey),
    (b"PUBLIC KEY", Label::PublicKey),
    (b"RSA PUBLIC KEY", Label::PublicKey),
    (b"DSA PUBLIC KEY", Label::PublicKey),
    (b"EC PARAMETERS", Label::Parameters),
    (b"DH PARAMETERS", Label::Parameters),
    (b"X9.42 DH PARAMETERS", Label::Parameters),
    (b"DSA PARAMETERS", Label::Parameters),
];

/// Labels that are refused, and what to do about each.
const REFUSED: [(&[u8], &str); 7] = [
    (
        b"TRUSTED CERTIFICATE",
        "it holds OpenSSL's trust settings beside the certificate; convert it with `openssl x509 -in FILE -out NEW`",
    ),
    (
        b"CRL",
        "expected the label X509 CRL (RFC 7468 section 6): write that at BEGIN and END",
    ),
    (
        b"CERTIFICATE REQUEST",
        "name the certificate that the CA issued for this request",
    ),
    (
        b"NEW CERTIFICATE REQUEST",
        "name the certificate that the CA issued for this request",
    ),
    (
        b"PKCS7",
        "convert it with `openssl pkcs7 -print_certs -in FILE -out NEW`",
    ),
    (
        b"CMS",
        "convert it with `openssl pkcs7 -print_certs -in FILE -out NEW`",
    ),
    (
        b"ATTRIBUTE CERTIFICATE",
        "attribute certificates are not used here; take it out",
    ),
];

impl Label {
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        let found = LABELS.iter().find(|(known, _)| *known == name);
        found.map(|(_, label)| *label)
    }

    /// Whether it is a private key of any kind.
    pub const fn is_private_key(self) -> bool {
        matches!(
            self,
            Self::Pkcs8Key
                | Self::Pkcs1Key
                | Self::Sec1Key
                | Self::EncryptedKey
                | Self::DsaKey
                | Self::OpensshKey
        )
    }

    /// What it is, for people.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Certificate => "a certificate",
            Self::RevocationList => "a revocation list",
            Self::PublicKey => "a public key",
            Self::Parameters => "parameters of a key",
            _ => "a private key",
        }
    }
}

/// What is said of a label that is not in use, and what to do.
pub(super) fn unknown(name: &[u8]) -> (String, &'static str) {
    let refused = REFUSED.iter().find(|(known, _)| *known == name);
    let hint = refused.map_or(
        "expected CERTIFICATE, X509 CRL or PRIVATE KEY; take the block out, or mend its label",
        |(_, hint)| *hint,
    );
    (
        format!("the block {} is not understood", quoted(name)),
        hint,
    )
}

/// RFC 7468 section 3: printable characters, and single spaces between them.
///
/// Small letters are in no label, but in base64: what is shown as a label shall not be part of a key.
pub(super) fn is_well_formed(name: &[u8], most: usize) -> bool {
    let outside =
        |byte: &u8| (!byte.is_ascii_graphic() && *byte != b' ') || byte.is_ascii_lowercase();
    !name.is_empty()
        && name.len() <= most
        && name == name.trim_ascii()
        && !name.iter().any(outside)
        && !name.windows(2).any(|pair| pair == b"  ")
}

pub(super) fn is_known_in_any_case(name: &[u8]) -> bool {
    let labels = LABELS.iter().map(|(known, _)| known);
    let refused = REFUSED.iter().map(|(known, _)| known);
    labels
        .chain(refused)
        .any(|known| known.eq_ignore_ascii_case(name))
}

/// A label for messages.
pub(super) fn quoted(name: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(name))
}
