//! Backends: their servers and what is known of them, and how they are reached.

use crate::observe::BackendMetrics;
use http::HeaderValue;
use std::sync::{Arc, atomic::AtomicUsize};

pub mod choice;
pub mod health;
pub mod registry;
pub mod requests;
mod server;
mod settings;
pub mod stream;

pub use server::{Known, OpenConnection, Server};
pub use settings::{BackendSettings, Balance, HashOn, ServerAddress};

use registry::Configuring;

/// A backend in use, as one configuration has it.
#[derive(Debug)]
pub struct Backend {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// How a server is chosen.
    pub balance: Balance,
    /// The `Host` that it gets; `None`: the client's.
    pub host: Option<HeaderValue>,
    /// What is counted of it.
    pub metrics: BackendMetrics,
    servers: Vec<Arc<Server>>,
    turn: AtomicUsize,
}

impl Backend {
    /// A backend with servers of the registry.
    pub fn new(
        settings: &BackendSettings,
        metrics: BackendMetrics,
        registry: &mut Configuring<'_>,
    ) -> Self {
        let name: Arc<str> = settings.name.as_str().into();
        let addresses = settings.servers.iter();
        Self {
            servers: addresses.map(|it| registry.server(&name, it)).collect(),
            name,
            balance: settings.balance.clone(),
            host: settings.host.clone(),
            metrics,
            turn: AtomicUsize::new(0),
        }
    }

    /// Its servers, in order of configuration.
    pub fn servers(&self) -> &[Arc<Server>] {
        &self.servers
    }
}
