//! Routes and backends as they come into use.

use crate::{
    backend::{
        Backend, BackendSettings,
        registry::{Configuring, Registry},
    },
    config::Settings,
    observe::{Metrics, Naming, RouteNames},
    policy::route::RouteTable,
    snapshot::{Route, Routing, settings::RouteSettings},
};
use std::{collections::HashMap, sync::Arc};

/// The routing of a candidate.
pub(super) enum Plan {
    /// That of the snapshot in use.
    InUse(Arc<Routing>),
    /// Another.
    New {
        routes: Box<RouteTable<Planned>>,
        backends: Vec<Arc<BackendSettings>>,
    },
}

/// A route with the backend that it leads to, neither of them in use yet.
pub(super) struct Planned {
    pub(super) settings: RouteSettings,
    pub(super) backend: Arc<BackendSettings>,
}

impl Plan {
    /// The routing, and the series of its routes and backends where they are new.
    pub(super) fn come_into_use(
        self,
        settings: &Settings,
        metrics: &Metrics,
        servers: &Registry,
    ) -> Arc<Routing> {
        let (routes, backends) = match self {
            Self::InUse(routing) => return routing,
            Self::New { routes, backends } => (routes, backends),
        };
        let mut making = Making::new(metrics, servers);
        let backends = backends.iter().map(|it| making.backend(it)).collect();
        let routes = routes.map(|planned| making.route(planned));
        let mode = settings.tls.clients.mode;
        Arc::new(Routing::new(routes, backends, &settings.listeners, mode))
    }
}

/// Routes and backends as they come into use; a backend is made once for all of its routes.
struct Making<'m> {
    naming: Naming<'m>,
    servers: Configuring<'m>,
    backends: HashMap<String, Arc<Backend>>,
}

impl<'m> Making<'m> {
    fn new(metrics: &'m Metrics, servers: &'m Registry) -> Self {
        Self {
            naming: metrics.naming(),
            servers: servers.configure(),
            backends: HashMap::new(),
        }
    }

    fn backend(&mut self, settings: &BackendSettings) -> Arc<Backend> {
        let (naming, servers) = (&self.naming, &mut self.servers);
        let entry = self.backends.entry(settings.name.clone());
        let make = || {
            let metrics = naming.backend(&settings.name);
            Arc::new(Backend::new(settings, metrics, servers))
        };
        Arc::clone(entry.or_insert_with(make))
    }

    fn route(&mut self, planned: Planned) -> Arc<Route> {
        let Planned { settings, backend } = planned;
        let names = RouteNames {
            route: &settings.name,
            backend: &backend.name,
        };
        Arc::new(Route {
            name: settings.name.as_str().into(),
            metrics: self.naming.route(names),
            backend: self.backend(&backend),
            settings,
        })
    }
}
