//! Every server that the configuration in use names, or that an earlier one named and that still has
//! connections.
//!
//! A server is owned here, and outlives snapshots: a reload that names it again, in the backend of the
//! same name, finds it as it was: up or down, since when and why, with what is open.

use super::{server::Server, settings::ServerAddress};
use crate::observe::ServerReading;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The servers of all backends.
#[derive(Debug, Default)]
pub struct Registry(Mutex<Servers>);

/// A new configuration, of which every server is to be named.
#[derive(Debug)]
pub struct Configuring<'r>(MutexGuard<'r, Servers>);

type Servers = BTreeMap<Identity, Entry>;

/// The name of its backend, and its address as the configuration writes it.
type Identity = (Arc<str>, Arc<str>);

#[derive(Debug)]
struct Entry {
    server: Arc<Server>,
    /// Whether the configuration in use names it.
    is_current: bool,
}

impl Registry {
    /// Begins a new configuration: forgets servers that nobody knows any more.
    pub fn configure(&self) -> Configuring<'_> {
        let mut servers = self.locked();
        servers.retain(|_, entry| Arc::strong_count(&entry.server) > 1);
        servers
            .values_mut()
            .for_each(|entry| entry.is_current = false);
        Configuring(servers)
    }

    /// What there is to show of each, in the order of their identities.
    pub fn readings(&self) -> Vec<ServerReading> {
        let reading = |((backend, label), entry): (&Identity, &Entry)| ServerReading {
            backend: Arc::clone(backend),
            server: Arc::clone(label),
            is_up: entry.is_current.then(|| entry.server.is_up()),
            open: entry.server.open(),
        };
        self.locked().iter().map(reading).collect()
    }

    fn locked(&self) -> MutexGuard<'_, Servers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Configuring<'_> {
    /// A server of a backend of the new configuration; the same as before, if there was one.
    pub fn server(&mut self, backend: &Arc<str>, address: &ServerAddress) -> Arc<Server> {
        let label: Arc<str> = address.to_string().into();
        let identity = (Arc::clone(backend), Arc::clone(&label));
        let entry = self.0.entry(identity).or_insert_with(|| Entry {
            server: Arc::new(Server::new(address.clone(), label)),
            is_current: true,
        });
        entry.is_current = true;
        Arc::clone(&entry.server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn address(port: u16) -> ServerAddress {
        ServerAddress::Ip(([127, 0, 0, 1], port).into())
    }

    /// Names one server as a whole configuration.
    fn configure(registry: &Registry, backend: &str, port: u16) -> Arc<Server> {
        registry.configure().server(&backend.into(), &address(port))
    }

    /// Backend, server, whether it is up if it is configured, and what is open.
    fn shown(registry: &Registry) -> Vec<(String, String, Option<bool>, usize)> {
        let row = |it: ServerReading| {
            let (backend, server) = (it.backend.to_string(), it.server.to_string());
            (backend, server, it.is_up, it.open)
        };
        registry.readings().into_iter().map(row).collect()
    }

    fn row(
        backend: &str,
        port: u16,
        is_up: Option<bool>,
        open: usize,
    ) -> (String, String, Option<bool>, usize) {
        (backend.into(), address(port).to_string(), is_up, open)
    }

    #[test]
    fn a_server_that_a_reload_keeps_stays_the_same_with_all_that_is_known_of_it() {
        let registry = Registry::default();
        let before = configure(&registry, "one", 9001);
        let _open = before.opened();
        before.failed("refused".to_owned(), SystemTime::UNIX_EPOCH);
        let known = before.known();
        let after = configure(&registry, "one", 9001);
        assert!(Arc::ptr_eq(&before, &after));
        assert_eq!((after.known(), after.open()), (known, 1));
        assert_eq!(shown(&registry), [row("one", 9001, Some(false), 1)]);
    }

    #[test]
    fn a_removed_server_has_no_state_to_show_but_what_is_open_and_is_forgotten_with_that() {
        let registry = Registry::default();
        let server = configure(&registry, "one", 9001);
        let open = server.opened();
        let two = configure(&registry, "two", 9002);
        let (one_gone, two_up) = (row("one", 9001, None, 1), row("two", 9002, Some(true), 0));
        assert_eq!(shown(&registry), [one_gone, two_up.clone()]);
        // It is the same one if it is named again.
        assert!(Arc::ptr_eq(&configure(&registry, "one", 9001), &server));
        drop((open, server));
        configure(&registry, "two", 9002);
        assert_eq!(shown(&registry), [two_up]);
        drop(two);
    }

    #[test]
    fn servers_of_one_address_in_two_backends_are_two_and_one_named_twice_is_one() {
        let registry = Registry::default();
        let (one, two) = ("one".into(), "two".into());
        let mut configuring = registry.configure();
        let first = configuring.server(&one, &address(9001));
        let again = configuring.server(&one, &address(9001));
        let other = configuring.server(&two, &address(9001));
        drop(configuring);
        assert!(Arc::ptr_eq(&first, &again));
        other.failed("refused".to_owned(), SystemTime::UNIX_EPOCH);
        assert!(first.is_up());
        let expected = [
            row("one", 9001, Some(true), 0),
            row("two", 9001, Some(false), 0),
        ];
        assert_eq!(shown(&registry), expected);
    }
}
