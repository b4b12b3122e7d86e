//! A `[[listener]]` table.

use crate::{
    config::{
        findings::{Finding, Placed, Refusal},
        reader::Table,
        source::Place,
        values::{self, word},
    },
    policy::ClientCertMode,
    snapshot::settings::ListenerSettings,
};
use std::net::SocketAddr;
use toml::de::DeValue;

#[derive(Debug)]
pub(in crate::config) struct ListenerDraft {
    pub(in crate::config) place: Place,
    pub(in crate::config) name: Option<Placed<String>>,
    pub(in crate::config) address: Option<Placed<SocketAddr>>,
    pub(in crate::config) client_cert: Option<Placed<ClientCertMode>>,
    pub(in crate::config) redirects: Option<bool>,
}

impl ListenerDraft {
    pub(super) fn read(mut table: Table<'_>) -> Self {
        let draft = Self {
            place: table.place.clone(),
            name: table.optional("name", values::name),
            address: table.required("address", values::address),
            client_cert: table.optional("client_cert", values::client_cert),
            redirects: read_redirect(&mut table),
        };
        check_protocols(&mut table);
        table.finish();
        draft
    }

    /// The name that metrics and logs show, and where it stands if it was given.
    pub(in crate::config) fn shown_name(&self) -> Option<Placed<String>> {
        let address = self.address.as_ref();
        let default = || address.map(|address| Placed::new(address.value.to_string(), None));
        self.name.clone().or_else(default)
    }

    pub(super) fn settle(self) -> Option<ListenerSettings> {
        Some(ListenerSettings {
            name: self.shown_name()?.value,
            address: self.address?.value,
            client_cert: self.client_cert.map(|mode| mode.value),
            redirects: self.redirects?,
        })
    }
}

/// A listener without TLS is there to send its clients to one with it.
fn read_redirect(table: &mut Table<'_>) -> Option<bool> {
    let tls = table.or_default("tls", values::boolean, true)?;
    let redirect = table.optional("redirect", |value| word(value, &[("https", ())]));
    let finding = match (tls.value, &redirect) {
        (true, Some(redirect)) => {
            let message = "`redirect` has no effect on a listener with TLS";
            Finding::error(&redirect.place, message).hint("write tls = false, or leave it out")
        }
        (false, None) => {
            let message = "a listener without TLS serves no requests";
            let hint = "write redirect = \"https\" to send its clients to the listener with TLS";
            Finding::error(&tls.place, message).hint(hint)
        }
        _ => return Some(!tls.value),
    };
    table.reading().report(finding);
    None
}

/// HTTP/1.1 is the only protocol, so that there is nothing to keep.
fn check_protocols(table: &mut Table<'_>) {
    let Some(protocols) = table.list("protocols", protocol, vec![()]) else {
        return;
    };
    if protocols.value.is_empty() {
        let message = "a listener without protocols serves nobody";
        let hint = "write [\"http/1.1\"], or leave the key out";
        let finding = Finding::error(&protocols.place, message).hint(hint);
        table.reading().report(finding);
    }
}

fn protocol(value: &DeValue<'_>) -> Result<(), Refusal> {
    match value {
        DeValue::String(text) if text == "h2" => Err(Refusal::new(
            "WebSockets over HTTP/2 (RFC 8441) are not available in this version",
            "write [\"http/1.1\"], or leave the key out",
        )),
        _ => word(value, &[("http/1.1", ())]),
    }
}
