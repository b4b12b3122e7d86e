//! What a certificate costs to find by its name (SNI), among one and among 1 000.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a failure here is a failure of the bench"
)]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::ServerName,
    server::{Accepted, Acceptor, ResolvesServerCert},
};
use std::{
    fs,
    hint::black_box,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use tidegate::credential::store::Credential;
use tidegate::credential::store::Resolver;
use tidegate::credential::{CertificateFiles, pair::FileSource};

fn lookup(criterion: &mut Criterion) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("names");
    fs::create_dir_all(&folder).unwrap();
    let mut group = criterion.benchmark_group("certificate lookup");
    for count in [1, 1000] {
        let credentials: Vec<_> = (0..count)
            .map(|number| Arc::new(credential(&folder, number)))
            .collect();
        let resolver = Resolver::new(&credentials);
        let hello = hello(&host(count - 1));
        assert!(resolver.resolve(hello.client_hello()).is_some());
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| resolver.resolve(black_box(&hello).client_hello()));
        });
    }
    group.finish();
    fs::remove_dir_all(folder).unwrap();
}

fn host(number: usize) -> String {
    format!("host{number}.bench.example")
}

fn credential(folder: &Path, number: usize) -> Credential {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([host(number)]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let pair = CertificateFiles {
        chain: folder.join("chain.pem"),
        key: folder.join("key.pem"),
    };
    fs::write(&pair.chain, certificate.pem()).unwrap();
    fs::write(&pair.key, key.serialize_pem()).unwrap();
    fs::set_permissions(&pair.key, fs::Permissions::from_mode(0o600)).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = i64::try_from(now.as_secs()).unwrap();
    let source = FileSource {
        files: &pair,
        allow_readable: false,
    };
    Credential::load(&source, None, now, &mut Vec::new()).unwrap()
}

/// What a client says first that asks for this host.
fn hello(host: &str) -> Accepted {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut wire = Vec::new();
    client.write_tls(&mut wire).unwrap();
    let mut acceptor = Acceptor::default();
    acceptor.read_tls(&mut wire.as_slice()).unwrap();
    acceptor.accept().ok().flatten().unwrap()
}

criterion_group!(benches, lookup);
criterion_main!(benches);
