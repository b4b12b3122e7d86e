//! Routes: which backend serves a host and path, and on what terms.
//!
//! A host is looked up in three classes, in this order: routes that name it exactly, routes
//! whose wildcard covers it, routes without a host. Within a class the longest path prefix wins.
//! A class in which no prefix matches is passed over, so a route without a host is a default for
//! the paths that no route of the host covers (a server block of nginx would answer 404 there).
//!
//! A path that servers read in several ways is looked up in all of them, and has a route only
//! where they agree: see [`Ambiguity`].

pub use super::access::AccessRule;
pub use crate::name::host::Host;
pub use crate::name::host::HostPattern;
pub use crate::name::origin::Origin;
pub use crate::name::path::PathPrefix;
pub use crate::name::reading::Ambiguity;
use crate::name::{
    host::Pattern,
    path::ends_a_segment,
    reading::{agree, network_path},
};
use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap, hash_map::Entry},
};

/// Routes by host and path. A lookup hashes the host twice and the path once for each distinct
/// length of prefix and each way to read it, whatever the number of routes.
#[derive(Clone, Debug)]
pub struct RouteTable<T> {
    payloads: Vec<T>,
    exact: HashMap<Host, Prefixes>,
    below: HashMap<Box<str>, Prefixes>,
    any: Prefixes,
}

/// Two routes that claim the same host and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// Index of the route that came first.
    pub first: usize,
    /// Index of the route that repeats it; the same index if it repeats itself.
    pub second: usize,
    /// The host that both name; `None`: both serve any host.
    pub host: Option<HostPattern>,
    /// The path of the second.
    pub path: PathPrefix,
}

/// The routes of one host: indices of payloads by prefix.
#[derive(Clone, Debug, Default)]
struct Prefixes {
    by_bytes: HashMap<Box<[u8]>, usize>,
    /// Lengths that occur, the longest first.
    lengths: BTreeSet<Reverse<usize>>,
}

impl<T> Default for RouteTable<T> {
    fn default() -> Self {
        Self {
            payloads: Vec::new(),
            exact: HashMap::new(),
            below: HashMap::new(),
            any: Prefixes::default(),
        }
    }
}

impl<T> RouteTable<T> {
    /// Builds the table from hosts (empty: any), prefix and payload of each route, in the order
    /// of the configuration; or returns every pair of routes that cannot be
    /// distinguished.
    pub fn build(
        routes: impl IntoIterator<Item = (Vec<HostPattern>, PathPrefix, T)>,
    ) -> Result<Self, Vec<Duplicate>> {
        let mut table = Self::default();
        let mut duplicates = Vec::new();
        for (hosts, path, payload) in routes {
            table.add(&hosts, &path, &mut duplicates);
            table.payloads.push(payload);
        }
        if duplicates.is_empty() {
            Ok(table)
        } else {
            Err(duplicates)
        }
    }

    fn add(&mut self, hosts: &[HostPattern], path: &PathPrefix, duplicates: &mut Vec<Duplicate>) {
        let second = self.payloads.len();
        let any = hosts.is_empty().then_some(None);
        for host in any.into_iter().chain(hosts.iter().map(Some)) {
            if let Err(first) = self.prefixes_mut(host).insert(path, second) {
                duplicates.push(Duplicate {
                    first,
                    second,
                    host: host.cloned(),
                    path: path.clone(),
                });
            }
        }
    }

    fn prefixes_mut(&mut self, host: Option<&HostPattern>) -> &mut Prefixes {
        match host.map(HostPattern::pattern) {
            None => &mut self.any,
            Some(Pattern::Exact(host)) => self.exact.entry(host.clone()).or_default(),
            Some(Pattern::Below(parent)) => self.below.entry(parent.as_str().into()).or_default(),
        }
    }

    /// The route for a host and a target (a path, and maybe a query).
    ///
    /// # Errors
    /// Two ways to read the path lead to different routes, or one to a route and one to none.
    pub fn lookup(&self, host: &Host, target: &str) -> Result<Option<&T>, Ambiguity> {
        let path = target.split('?').next().unwrap_or_default();
        if !path.starts_with('/') {
            return Ok(None);
        }
        let index = self.agreed(host, path)?;
        if let Some((other, rest)) = network_path(path)
            && !self.leads_to(index, host, other, &rest)
        {
            return Err(Ambiguity::of_network(path));
        }
        Ok(index.and_then(|index| self.payloads.get(index)))
    }

    /// The index that all ways to read a path lead to.
    fn agreed(&self, host: &Host, path: &str) -> Result<Option<usize>, Ambiguity> {
        match self.only(host) {
            Some(index) => Ok(Some(index)),
            None => agree(path, |path| self.find(host, path)),
        }
    }

    /// The route that every path of a host leads to, if there is one: then none need be read.
    fn only(&self, host: &Host) -> Option<usize> {
        let first = self.classes(host).find(|class| !class.lengths.is_empty())?;
        let everything = first.by_bytes.get(&[][..]).copied();
        everything.filter(|_| first.by_bytes.len() == 1)
    }

    /// Whether a reader that takes the start of the path for a host finds the same route: by the
    /// request's own host, and by that one if it is a host of some route.
    fn leads_to(&self, index: Option<usize>, host: &Host, other: &str, path: &str) -> bool {
        let same = |host: &Host| self.agreed(host, path) == Ok(index);
        let named = |host: &Host| self.classes(host).count() > 1;
        let other = Host::from_authority(other).ok();
        same(host) && other.is_none_or(|other| !named(&other) || same(&other))
    }

    fn find(&self, host: &Host, path: &[u8]) -> Option<usize> {
        self.classes(host).find_map(|class| class.find(path))
    }

    /// Every route that a request for this host can reach, each once. A route of a later class
    /// is left out where an earlier class covers its whole path.
    pub fn routes_for_host(&self, host: &Host) -> impl Iterator<Item = &T> {
        let reachable = move |rank: usize, bytes: &[u8]| {
            let mut earlier = self.classes(host).take(rank);
            earlier.all(|class| class.find(bytes).is_none())
        };
        self.classes(host)
            .enumerate()
            .flat_map(|(rank, class)| class.by_bytes.iter().map(move |entry| (rank, entry)))
            .filter(move |(rank, (bytes, _))| reachable(*rank, bytes))
            .filter_map(|(_, (_, index))| self.payloads.get(*index))
    }

    /// The same routes with other payloads.
    pub fn map<U>(self, payload: impl FnMut(T) -> U) -> RouteTable<U> {
        RouteTable {
            payloads: self.payloads.into_iter().map(payload).collect(),
            exact: self.exact,
            below: self.below,
            any: self.any,
        }
    }

    /// Every route, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.payloads.iter()
    }

    fn classes(&self, host: &Host) -> impl Iterator<Item = &Prefixes> {
        let below = host.parent().and_then(|parent| self.below.get(parent));
        let named = self.exact.get(host).into_iter().chain(below);
        named.chain(std::iter::once(&self.any))
    }
}

impl Prefixes {
    /// Adds a prefix, or returns the index of the route that has it already.
    fn insert(&mut self, path: &PathPrefix, index: usize) -> Result<(), usize> {
        match self.by_bytes.entry(path.bytes().into()) {
            Entry::Occupied(first) => Err(*first.get()),
            Entry::Vacant(free) => {
                free.insert(index);
                self.lengths.insert(Reverse(path.bytes().len()));
                Ok(())
            }
        }
    }

    /// Tries each length of prefix that occurs, so that a path of many segments costs no more
    /// than one of few.
    fn find(&self, path: &[u8]) -> Option<usize> {
        let lengths = self.lengths.iter().map(|Reverse(length)| *length);
        lengths
            .filter(|length| ends_a_segment(path, *length))
            .find_map(|length| self.by_bytes.get(path.get(..length)?))
            .copied()
    }
}

#[cfg(test)]
mod tests;
