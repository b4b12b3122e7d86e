//! The `[admin]` table.

use crate::{
    admin::AdminSettings,
    config::{findings::Placed, reader::Table, values},
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

/// The `[admin]` table as read.
#[derive(Debug)]
pub(in crate::config) struct AdminDraft {
    pub(in crate::config) address: Option<Placed<SocketAddr>>,
    pub(in crate::config) token_file: Option<Placed<PathBuf>>,
}

impl AdminDraft {
    pub(super) fn read(mut table: Table<'_>) -> Self {
        let default = SocketAddr::from((Ipv4Addr::LOCALHOST, 9090));
        let draft = Self {
            address: table.or_default("address", values::address, default),
            token_file: table.file("token_file", values::path),
        };
        table.finish();
        draft
    }

    pub(super) fn settle(self) -> Option<AdminSettings> {
        Some(AdminSettings {
            address: self.address?.value,
            token_file: self.token_file.map(|path| path.value),
        })
    }
}
