//! The tables of a configuration, one file each: which keys they have, and what absent keys mean.
//!
//! A draft has a place for every value, and `None` where a value was wrong, so that the checks
//! that follow look only at what is sound. It becomes settings when no error was found.

mod admin;
mod backend;
mod limits;
mod listener;
mod route;
mod server;
mod tls;

pub(super) use self::{
    admin::AdminDraft,
    backend::BackendDraft,
    limits::{LimitsDraft, TimeoutsDraft},
    listener::ListenerDraft,
    route::{Requests, RouteDraft},
    server::ServerDraft,
    tls::{ClientsDraft, TlsDraft},
};
use super::{
    findings::Placed,
    reader::Table,
    settings::{NamedFiles, Settings},
    source::Place,
    values,
};
use crate::tls::TlsSettings;
use std::path::PathBuf;

/// A configuration as read.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) server: ServerDraft,
    pub(super) listeners: Option<Vec<ListenerDraft>>,
    pub(super) tls: TlsDraft,
    pub(super) keyring: Option<Placed<PathBuf>>,
    pub(super) limits: LimitsDraft,
    pub(super) timeouts: TimeoutsDraft,
    pub(super) routes: Option<Vec<RouteDraft>>,
    pub(super) backends: Vec<BackendDraft>,
    pub(super) admin: Option<AdminDraft>,
}

impl Draft {
    pub(super) fn read(mut root: Table<'_>) -> Self {
        let draft = Self {
            server: ServerDraft::read(root.table("server")),
            listeners: read_all(&mut root, "listener", ListenerDraft::read),
            tls: TlsDraft::read(root.table("tls")),
            keyring: read_keyring(root.table("integrity")),
            limits: LimitsDraft::read(root.table("limits")),
            timeouts: TimeoutsDraft::read(root.table("timeouts")),
            routes: read_all(&mut root, "route", RouteDraft::read),
            backends: read_backends(&mut root),
            admin: root.optional_table("admin").map(AdminDraft::read),
        };
        root.finish();
        draft
    }

    /// Where the routes stand.
    pub(super) fn route_places(&self) -> Vec<Place> {
        let routes = self.routes.iter().flatten();
        routes.map(|route| route.place.clone()).collect()
    }

    /// The settings, and of a refused configuration the files that can be read all the same.
    pub(super) fn settle(self) -> Settled {
        let files = NamedFiles {
            tls: self.tls.settle(),
            keyring: self.keyring.map(|path| path.value),
        };
        let rest = Rest {
            server: self.server,
            listeners: self.listeners,
            limits: self.limits,
            timeouts: self.timeouts,
            routes: self.routes,
            backends: self.backends,
            admin: self.admin,
        };
        Settled {
            settings: files
                .tls
                .clone()
                .and_then(|tls| rest.settle(tls, files.keyring.clone())),
            files,
        }
    }
}

/// What became of a draft.
pub(super) struct Settled {
    /// `None` if a value of the draft was wrong.
    pub(super) settings: Option<Settings>,
    pub(super) files: NamedFiles,
}

/// A draft without what names files.
struct Rest {
    server: ServerDraft,
    listeners: Option<Vec<ListenerDraft>>,
    limits: LimitsDraft,
    timeouts: TimeoutsDraft,
    routes: Option<Vec<RouteDraft>>,
    backends: Vec<BackendDraft>,
    admin: Option<AdminDraft>,
}

impl Rest {
    fn settle(self, tls: TlsSettings, keyring: Option<PathBuf>) -> Option<Settings> {
        let listeners = self.listeners?.into_iter();
        let routes = self.routes?.into_iter();
        let backends = self.backends.into_iter();
        Some(Settings {
            server: self.server.settle()?,
            listeners: listeners
                .map(ListenerDraft::settle)
                .collect::<Option<_>>()?,
            tls,
            limits: self.limits.settle()?,
            timeouts: self.timeouts.settle()?,
            routes: routes.map(RouteDraft::settle).collect::<Option<_>>()?,
            backends: backends.map(BackendDraft::settle).collect::<Option<_>>()?,
            admin: match self.admin {
                Some(admin) => Some(admin.settle()?),
                None => None,
            },
            keyring,
        })
    }
}

/// The `[integrity]` table: the keyring's file is all it has.
fn read_keyring(mut table: Table<'_>) -> Option<Placed<PathBuf>> {
    let keyring = table.file("keyring", values::path);
    table.finish();
    keyring
}

fn read_backends(root: &mut Table<'_>) -> Vec<BackendDraft> {
    let tables = root.named_tables("backend").into_iter();
    tables
        .map(|(name, table)| BackendDraft::read(name, table))
        .collect()
}

/// The drafts of an array of tables; `None` if it is not such an array.
fn read_all<D>(
    root: &mut Table<'_>,
    key: &'static str,
    read: fn(Table<'_>) -> D,
) -> Option<Vec<D>> {
    let tables = root.tables(key)?.value.into_iter();
    Some(tables.map(read).collect())
}
