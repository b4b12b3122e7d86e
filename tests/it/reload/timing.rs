//! What happens at an awkward moment: while the proxy starts, while it reads, while sockets wait for
//! their end.

use crate::support::{Backend, Config, Line, Process, Proxy, Wire, eventually};
use std::{fs, process::Command, thread, time::Duration};
use tidegate::{
    ending::Ending as _,
    reload::{Outcome, Touched},
};

/// Whether a process catches HUP: the lowest bit of `SigCgt` in `proc_pid_status(5)`.
fn catches_hangup(process: &Process) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap_or_default();
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

/// Its configuration is a pipe, so that it has not read it until somebody writes.
#[tokio::test]
async fn hangup_during_the_start_reloads_and_does_not_end_the_process() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    let process = Process::start_under("rm \"$5\" && mkfifo \"$5\"", &config);
    eventually("HUP being caught", || catches_hangup(&process)).await;
    process.signal("HUP");
    let (path, text) = (process.folder.path("proxy.toml"), config.text());
    let real = process.folder.path("real.toml");
    fs::write(&real, &text).unwrap();
    thread::spawn(move || {
        let mut pipe = fs::File::options().write(true).open(&path).unwrap();
        // From the second look on, it is a file.
        fs::rename(real, path).unwrap();
        std::io::Write::write_all(&mut pipe, text.as_bytes()).unwrap();
    });
    process.address().await;
    let by_signal = || {
        let mut lines = process.lines("configuration unchanged").into_iter();
        lines.any(|line| line["trigger"] == "signal")
    };
    eventually("the reload", by_signal).await;
}

/// The number of workers is that of the cores unless it is set, and fixed at start.
#[tokio::test]
async fn cores_that_are_taken_from_the_process_do_not_hinder_reloads() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend).unset("server", "workers");
    let process = Process::start(&config);
    process.address().await;
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let mut lines = status.lines();
    let allowed = lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let first = allowed.unwrap().trim().split(['-', ',']).next().unwrap();
    let id = process.id().to_string();
    let taskset = Command::new("taskset").args(["-cp", first, &id]).output();
    assert!(taskset.unwrap().status.success());
    let smaller = config.set("limits", "message = '1KiB'");
    process.folder.write("proxy.toml", smaller.text());
    process.line("configuration in use").await;
}

#[tokio::test]
async fn configuration_that_is_replaced_while_it_is_read_is_put_to_use_as_well() {
    let backend = Backend::echo().await;
    let mut config = Config::to(&backend);
    for number in 0..ROUTES {
        config = config.route(&format!("path = '/{number}'\nbackend = 'echo'"));
    }
    let with = |limit: u64| {
        let config = config.clone();
        config.set("limits", &format!("message = '{limit}B'"))
    };
    let proxy = Proxy::start(with(1));
    for moment in 1..=6 {
        proxy.folder.write("proxy.toml", with(moment * 10).text());
        let last = with(moment * 10 + 1).text();
        let handle = proxy.handle.clone();
        let reload = tokio::spawn(async move { handle.reload(false).await });
        tokio::time::sleep(STEP * u32::try_from(moment).unwrap()).await;
        proxy.folder.write("proxy.toml", last);
        reload.await.unwrap();
        let in_use = || proxy.shared.snapshot.load().limits.message == moment * 10 + 1;
        eventually("the last configuration in use", in_use).await;
    }
}

/// So many that reading them takes several steps.
const ROUTES: usize = 2_000;
const STEP: Duration = Duration::from_millis(10);

/// A proxy on which the second of two sockets of one client waits for half an hour once the client
/// is no longer welcome.
struct Waiting {
    proxy: Proxy,
    config: Config,
    sockets: [Wire; 2],
    _backend: Backend,
}

impl Waiting {
    async fn start() -> Self {
        let backend = Backend::echo().await;
        let config = Config::to(&backend)
            .set("server", "watch = false")
            .set("tls.clients", "crl = ['certs/ca.crl']\nclose_spread = '1h'");
        let proxy = Proxy::start(config.clone());
        let sockets = [proxy.open("/").await, proxy.open("/").await];
        Self {
            proxy,
            config,
            sockets,
            _backend: backend,
        }
    }

    async fn apply(&self, config: &Config) -> Vec<&'static str> {
        self.proxy.folder.write("proxy.toml", config.text());
        self.reload().await
    }

    /// How the sockets end that do not pass.
    async fn reload(&self) -> Vec<&'static str> {
        match self.proxy.try_reload().await {
            Outcome::Done { touched, .. } => touched.iter().map(reason).collect(),
            other => panic!("{other:?}"),
        }
    }

    /// Waits until the one that is first is told to leave.
    async fn first_is_told(&mut self) {
        let [one, two] = &mut self.sockets;
        let first = tokio::select! {
            read = one.read_more() => { read.unwrap(); one }
            read = two.read_more() => { read.unwrap(); two }
        };
        assert_eq!(first.read_frame().await.close_code(), Some(1008));
    }

    fn told(&self) -> usize {
        let told = |line: &Line| line.message == "websocket no longer passes";
        self.proxy.lines(told).len()
    }
}

fn reason(touched: &Touched) -> &'static str {
    touched.ending.label()
}

#[tokio::test]
async fn revoked_socket_that_waits_for_its_end_is_not_spared_by_a_reload_of_something_else() {
    let mut waiting = Waiting::start().await;
    let credentials = &waiting.proxy.credentials;
    let list = credentials.ca.crl(&[&credentials.client]).unwrap();
    waiting.proxy.folder.write("certs/ca.crl", list);
    assert_eq!(waiting.reload().await, ["certificate_revoked"; 2]);
    waiting.first_is_told().await;
    let smaller = waiting.config.clone().set("limits", "message = '1KiB'");
    assert_eq!(waiting.apply(&smaller).await, ["certificate_revoked"]);
    assert_eq!(waiting.told(), 2, "it was told already");
}
