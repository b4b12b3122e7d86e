//! A CA, what it issues, and the files of both.

use rustls::pki_types::CertificateDer;
use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
};
use tidegate::cli::certs::{DevelopmentCa, Issued, KeyAlgorithm, LeafRequest, Validity};
use time::{Duration, OffsetDateTime};

/// The names of the server certificate that every proxy begins with.
pub(crate) const HOSTS: &[&str] = &["localhost", "127.0.0.1", "chat.test", "*.edge.test"];
/// The common name of the client certificate that every proxy begins with.
pub(crate) const CLIENT: &str = "Alice";
/// Its URI.
pub(crate) const CLIENT_URI: &str = "spiffe://test/alice";

/// A CA, a server's certificate for [`HOSTS`], and a client's.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) ca: Arc<DevelopmentCa>,
    pub(crate) server: Arc<Issued>,
    pub(crate) client: Arc<Issued>,
}

impl Credentials {
    /// Everything new.
    pub(crate) fn new() -> Self {
        let ca = DevelopmentCa::new(KeyAlgorithm::Ecdsa).unwrap();
        let server = ca.issue_server(HOSTS).unwrap();
        let client = ca.issue_client(CLIENT, CLIENT_URI).unwrap();
        Self {
            ca: Arc::new(ca),
            server: Arc::new(server),
            client: Arc::new(client),
        }
    }

    /// Writes ca.pem, an empty ca.crl, server.pem and server.key, client.pem and client.key to a
    /// folder.
    pub(crate) fn write(&self, folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("ca.pem"), self.ca.certificate_pem()).unwrap();
        fs::write(folder.join("ca.crl"), self.ca.crl(&[]).unwrap()).unwrap();
        write_pair(folder, "server", &self.server);
        write_pair(folder, "client", &self.client);
    }

    /// A client's certificate with this common name.
    pub(crate) fn named(&self, common_name: &str) -> Issued {
        self.ca.issue_client(common_name, "").unwrap()
    }

    /// A client's certificate that is valid from then until then, in seconds from now.
    pub(crate) fn valid(&self, from: i64, until: i64) -> Issued {
        let mut request = LeafRequest::client("Temporary");
        let now = OffsetDateTime::now_utc();
        request.validity = Validity {
            not_before: now + Duration::seconds(from),
            not_after: now + Duration::seconds(until),
        };
        self.ca.issue(&request).unwrap()
    }

    /// What a client trusts.
    pub(crate) fn root(&self) -> CertificateDer<'static> {
        self.ca.certificate().clone()
    }
}

/// Writes NAME.key, which only the owner may read, and NAME.pem.
pub(crate) fn write_pair(folder: &Path, name: &str, issued: &Issued) {
    let key = folder.join(format!("{name}.key"));
    write_key(&key, issued.key_pem.as_bytes());
    let certificate = folder.join(format!("{name}.pem"));
    fs::write(certificate, &issued.certificate_pem).unwrap();
}

/// Writes a file that only the owner may read.
pub(crate) fn write_key(path: &Path, content: &[u8]) {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path).unwrap().write_all(content).unwrap();
}
