//! Frame integrity: what is agreed on, what is noticed, and what a keyring's changes do.

mod agreed;
mod conversation;
mod keys;
mod middle;
mod tampering;

use crate::support::{
    Backend, Config, Dial, Proxy, Wire,
    sealed::{self, SealedSocket, Unit, keyring, shared, x25519_key},
};
use tidegate::integrity::{Binding, client::ClientOffer};

const BINDINGS: [Binding; 2] = [Binding::Frame, Binding::Message];
const KEYRING: &str = "certs/keyring.toml";
/// The key of kind `secret` that every keyring here begins with.
const KID: &str = "edge-1";
/// Its key of kind `x25519`.
const PUBLIC_KID: &str = "browsers-1";

/// A proxy whose only route has this mode.
fn config(backend: &Backend, mode: &str) -> Config {
    let keys = keyring(&[(KID, "active")]) + &x25519_key(PUBLIC_KID);
    Config::to(backend)
        .file(KEYRING, keys)
        .set("integrity", &format!("keyring = '{KEYRING}'"))
        .route_lines(&format!("integrity = '{mode}'"))
}

fn proxy(backend: &Backend, mode: &str) -> Proxy {
    Proxy::start(config(backend, mode))
}

/// Each way to seal, with a name.
fn offers() -> [(&'static str, ClientOffer); 3] {
    [
        ("sha-256", ClientOffer::sha256()),
        ("secret", hmac()),
        ("x25519", sealed::hmac(&sealed::public(PUBLIC_KID), false)),
    ]
}

fn hmac() -> ClientOffer {
    sealed::hmac(&shared(KID), false)
}

async fn open(proxy: &Proxy, binding: Binding, offer: &ClientOffer) -> SealedSocket {
    SealedSocket::over(proxy.connect().await, binding, offer).await
}

/// The verified Close that ends a socket with 1008.
fn policy(reason: &str) -> Unit {
    Unit::Close(Some(1008), reason.to_owned())
}
