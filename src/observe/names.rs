//! What the configurations have named so far.

use super::{
    route::{self, OpenSockets, RouteSeries, Upgrades},
    series::Exposition,
};
use std::{collections::BTreeMap, sync::Arc};

/// The series that were ever shown. They stay, so that a rate over
/// a reload can be computed; there are as many as the configurations had names, whatever clients do.
#[derive(Debug, Default)]
pub(super) struct Names {
    upgrades: BTreeMap<String, Arc<Upgrades>>,
    series: BTreeMap<String, Arc<RouteSeries>>,
    open: BTreeMap<(String, String), Arc<OpenSockets>>,
}

/// All that a scrape has to show of them.
pub(super) struct AllNames {
    upgrades: Vec<Arc<Upgrades>>,
    series: Vec<Arc<RouteSeries>>,
    open: Vec<Arc<OpenSockets>>,
}

impl Names {
    /// A configuration may name a route as the upgrades without one are labelled; it then shares
    /// the series, for two of one name would break the scrape.
    pub(super) fn with_upgrades(unrouted: &Arc<Upgrades>) -> Self {
        let mut names = Self::default();
        let name = unrouted.route.clone();
        names.upgrades.insert(name, Arc::clone(unrouted));
        names
    }

    /// The series of a route, made by `make` if it is new.
    pub(super) fn series(
        &mut self,
        route: &str,
        make: impl FnOnce(Arc<Upgrades>) -> RouteSeries,
    ) -> Arc<RouteSeries> {
        let upgrades = self.upgrades.entry(route.to_owned());
        let upgrades = upgrades.or_insert_with(|| Arc::new(Upgrades::new(route)));
        let series = self.series.entry(route.to_owned());
        Arc::clone(series.or_insert_with(|| Arc::new(make(Arc::clone(upgrades)))))
    }

    /// The gauge of a route's sockets to a backend.
    pub(super) fn open(&mut self, route: &str, backend: &str) -> Arc<OpenSockets> {
        let open = self.open.entry((route.to_owned(), backend.to_owned()));
        Arc::clone(open.or_insert_with(|| Arc::new(OpenSockets::new(route, backend))))
    }

    pub(super) fn all(&self) -> AllNames {
        AllNames {
            upgrades: self.upgrades.values().cloned().collect(),
            series: self.series.values().cloned().collect(),
            open: self.open.values().cloned().collect(),
        }
    }
}

impl AllNames {
    pub(super) fn collect(&self, out: &mut Exposition) {
        route::collect_upgrades(&self.upgrades, out);
        route::collect_requests(&self.upgrades, out);
        route::collect_open(&self.open, out);
        route::collect_traffic(&self.series, out);
    }
}
