//! What the tests of the running proxy share.
//!
//! ```ignore
//! #[tokio::test]
//! async fn a_text_is_echoed() {
//!     let backend = Backend::echo().await;
//!     let proxy = Proxy::start(Config::to(&backend).set("timeouts", "idle = '2s'"));
//!     let mut socket = proxy.open("/").await;          // TLS, certificate, 101
//!     socket.send(&frame::text("hello")).await;        // masked
//!     assert_eq!(socket.read_frame().await.payload, b"hello");
//!     proxy.wait_for("tidegate_frames_total", &[("direction", "to_client")], 1.0).await;
//! }
//! ```
//!
//! - [`config::Config`]: the proxy's file, with defaults that suit tests: port 0, short deadlines.
//! - [`proxy::Proxy`]: the proxy in this process; addresses, metrics, reload, drain, its folder.
//! - [`process::Process`]: the binary, for signals, exit codes and limits of the system.
//! - [`credentials::Credentials`]: a CA and what it issues, written where the file names it.
//! - [`authority::Authority`]: a CA below that one, and certificates that are odd.
//! - [`client::Dial`]: TLS to the proxy, with whatever certificate, name and version.
//! - [`request::Upgrade`]: an upgrade request, good until a test spoils it.
//! - [`wire::Wire`]: a transport of raw bytes, heads and frames; both a client's and a backend's.
//! - [`backend::Backend`]: a backend that echoes, or does what a script says.
//! - [`refusal`]: everything that a refused request must get, leave in the log, and count.
//! - [`frame`]: frames as bytes.
//! - [`hand_made::HandMade`]: TLS records that no TLS library would send.
//! - [`http`]: whole messages of plain HTTP.
//! - [`sealed::SealedSocket`]: a client whose frames or messages carry tags.
//! - [`log`]: the lines that the proxy logs, to be awaited.
//!
//! Nothing sleeps to wait. Whatever waits, waits for an event or looks again and again, and fails
//! at [`BOUND`]: that is how long a broken promise takes to be noticed, not how long a test takes.
//! Every test starts its own proxy: tests run side by side. A proxy waits up to five seconds for a
//! peer to close its end: [`wire::Wire::finish`] or dropping the wire spares a test that.

#![allow(
    dead_code,
    unused_imports,
    reason = "each part of the harness is there for the tests of some stage"
)]

pub(crate) mod authority;
pub(crate) mod backend;
pub(crate) mod client;
pub(crate) mod config;
pub(crate) mod credentials;
pub(crate) mod frame;
pub(crate) mod hand_made;
pub(crate) mod http;
pub(crate) mod log;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod refusal;
pub(crate) mod request;
pub(crate) mod sealed;
pub(crate) mod wire;

pub(crate) use self::{
    authority::Authority,
    backend::Backend,
    client::Dial,
    config::Config,
    credentials::Credentials,
    hand_made::HandMade,
    log::Line,
    process::Process,
    proxy::Proxy,
    request::Upgrade,
    wire::{End, Wire},
};

use std::{future::Future, time::Duration};

/// When something awaited counts as never happening.
pub(crate) const BOUND: Duration = Duration::from_secs(15);
/// Between two looks at something that sends no event.
const LOOK: Duration = Duration::from_millis(5);

/// Waits for a future; fails at [`BOUND`], naming what did not happen.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(value) = tokio::time::timeout(BOUND, future).await else {
        panic!("{what}: not within {BOUND:?}");
    };
    value
}

/// Looks until a condition holds; fails at [`BOUND`], naming it.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let looking = async {
        while !condition() {
            tokio::time::sleep(LOOK).await;
        }
    };
    within(what, looking).await;
}
