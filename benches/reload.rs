//! What a reload costs that has one changed certificate, with one route and with 10 000.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a failure here is a failure of the bench"
)]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use rcgen::{CertificateParams, KeyPair};
use std::{
    fmt::Write,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use tidegate::{
    app::App,
    observe::Trigger,
    reload::{Outcome, Reloader, build},
    worker::Shared,
};
use tokio::runtime::{Builder, Runtime};

fn certificate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reload of one certificate");
    for routes in [1, 10_000] {
        let mut ground = Ground::new(routes);
        group.bench_function(BenchmarkId::from_parameter(routes), |bencher| {
            bencher.iter(|| ground.reload());
        });
        fs::remove_dir_all(&ground.folder).unwrap();
    }
    group.finish();
}

/// A proxy that listens and takes nobody, and two chains to change between.
struct Ground {
    folder: PathBuf,
    key: KeyPair,
    number: u64,
    shared: Arc<Shared>,
    reloader: Reloader,
    runtime: Runtime,
}

impl Ground {
    fn new(routes: usize) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("reload-{routes}"));
        fs::create_dir_all(&folder).unwrap();
        let key = KeyPair::generate().unwrap();
        fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        fs::set_permissions(folder.join("key.pem"), fs::Permissions::from_mode(0o600)).unwrap();
        write_chain(&folder, &key, 0);
        let path = folder.join("proxy.toml");
        fs::write(&path, configuration(routes)).unwrap();
        let candidate = build::prepare(&path, None, |_| {}).ok().unwrap();
        Self {
            reloader: Reloader::new(&path, &candidate),
            shared: App::bind(&path, Arc::default()).ok().unwrap().shared(),
            runtime: Builder::new_current_thread().enable_all().build().unwrap(),
            folder,
            key,
            number: 0,
        }
    }

    fn reload(&mut self) {
        self.number += 1;
        write_chain(&self.folder, &self.key, self.number);
        let reload = self
            .reloader
            .reload(&self.shared, Trigger::File, false, |_| {});
        let outcome = self.runtime.block_on(reload);
        assert!(matches!(outcome, Outcome::Done { .. }));
    }
}

fn write_chain(folder: &Path, key: &KeyPair, number: u64) {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.serial_number = Some((number + 1).into());
    let certificate = params.self_signed(key).unwrap();
    fs::write(folder.join("chain.pem"), certificate.pem()).unwrap();
}

fn configuration(routes: usize) -> String {
    let mut text = String::from(
        "[[listener]]\naddress = '127.0.0.1:0'\n\
         [tls]\ncertificates = [{ chain = 'chain.pem', key = 'key.pem' }]\n\
         [tls.clients]\nmode = 'off'\n\
         [backend.b]\nservers = ['ws://127.0.0.1:9']\n",
    );
    for number in 0..routes {
        writeln!(
            text,
            "[[route]]\nname = 'route{number}'\nhost = ['host{number}.bench.example']\npath = '/'\nbackend = 'b'"
        )
        .unwrap();
    }
    text
}

criterion_group!(benches, certificate);
criterion_main!(benches);
