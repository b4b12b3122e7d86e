//! Which routes a reload opens to clients that were refused before.
//!
//! A list that a template has emptied, or a mode that somebody loosened to try something, shows
//! in nothing else until the wrong client is in. So each way to admit more is a warning of its
//! own that names the route.

use crate::{
    config::{Diagnostic, Settings},
    policy::ClientCertMode,
    snapshot::settings::RouteSettings,
    tls::{ClientTrust, CrlPolicy},
};
use std::{fmt::Display, ptr};

/// One warning for each way in which `new` admits whom `old` refuses; `file` is the
/// configuration's name. Compared are routes of one name, or else of one host and path.
pub(super) fn widened(old: &Settings, new: &Settings, file: &str) -> Vec<Diagnostic> {
    if ptr::eq(old, new) {
        return Vec::new();
    }
    let mut found = trust_widened(&old.tls.clients, &new.tls.clients);
    for route in &new.routes {
        let Some(before) = same_route(&old.routes, route) else {
            continue;
        };
        let opened = opened_to_anonymous((old, before), (new, route));
        let ways = opened.into_iter().chain(rules_widened(before, route));
        found.extend(ways.map(|way| format!("route \"{}\" {way}", route.name)));
    }
    let warning = |message: String| {
        let message = format!("this reload admits more clients: {message}");
        let hint = "if this is not meant, undo the change and reload: whoever came in meanwhile is judged again";
        Diagnostic::error(file, message).warning().hint(hint)
    };
    found.into_iter().map(warning).collect()
}

fn same_route<'s>(
    routes: &'s [RouteSettings],
    wanted: &RouteSettings,
) -> Option<&'s RouteSettings> {
    let claims = |route: &&RouteSettings| route.hosts == wanted.hosts && route.path == wanted.path;
    let named = |route: &&RouteSettings| route.name == wanted.name;
    let mut of_name = routes.iter().filter(named);
    match (of_name.next(), of_name.next()) {
        (Some(route), None) => Some(route),
        _ => routes.iter().find(claims),
    }
}

/// Whether a route takes clients without a certificate from any listener, and did from none.
fn opened_to_anonymous(
    (old, before): (&Settings, &RouteSettings),
    (new, after): (&Settings, &RouteSettings),
) -> Option<String> {
    let open = admits_anonymous(new, after).filter(|_| admits_anonymous(old, before).is_none())?;
    Some(format!(
        "no longer requires a client certificate on listener \"{open}\""
    ))
}

/// The first listener from which clients without a certificate may use a route.
fn admits_anonymous<'s>(settings: &'s Settings, route: &RouteSettings) -> Option<&'s str> {
    let mut listeners = settings.listeners.iter();
    let open = listeners.find(|listener| {
        let default = listener.client_cert.unwrap_or(settings.tls.clients.mode);
        route.client_cert.unwrap_or(default) != ClientCertMode::Required
    });
    open.filter(|_| route.allow.is_none())
        .map(|listener| listener.name.as_str())
}

fn rules_widened(before: &RouteSettings, after: &RouteSettings) -> Vec<String> {
    let mut ways = added("allow", before.allow.as_deref(), after.allow.as_deref());
    let lifted = missing(&before.deny, &after.deny);
    if !lifted.is_empty() {
        ways.push(format!("no longer denies {lifted}"));
    }
    let origins = (before.origins.as_deref(), after.origins.as_deref());
    ways.extend(added("origins", origins.0, origins.1));
    ways
}

/// What a list of those who may come in has gained; a list that is gone admits everybody.
fn added<T: PartialEq + Display>(
    key: &str,
    before: Option<&[T]>,
    after: Option<&[T]>,
) -> Vec<String> {
    match (before, after) {
        (Some(_), None) => vec![format!("has no `{key}` list any more")],
        (Some(before), Some(after)) => {
            let new = missing(after, before);
            let grown = (!new.is_empty()).then(|| format!("has new entries in `{key}`: {new}"));
            grown.into_iter().collect()
        }
        (None, _) => Vec::new(),
    }
}

/// What one list has and another lacks, as text.
fn missing<T: PartialEq + Display>(list: &[T], other: &[T]) -> String {
    let missing = list.iter().filter(|item| !other.contains(item));
    let texts: Vec<_> = missing.map(|item| format!("\"{item}\"")).collect();
    texts.join(", ")
}

fn trust_widened(old: &ClientTrust, new: &ClientTrust) -> Vec<String> {
    let mut ways = Vec::new();
    let new_files: Vec<_> = new
        .ca
        .iter()
        .filter(|path| !old.ca.contains(path))
        .collect();
    if !old.ca.is_empty() && !new_files.is_empty() {
        let files: Vec<_> = new_files
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        ways.push(format!(
            "every route trusts the CAs of {}",
            files.join(", ")
        ));
    }
    if !old.crl.is_empty() && new.crl.is_empty() {
        ways.push("no route checks for revocation any more (tls.clients.crl)".to_owned());
    }
    let policies = [
        ("crl_missing", old.crl_missing, new.crl_missing),
        ("crl_expired", old.crl_expired, new.crl_expired),
    ];
    for (key, before, after) in policies {
        if (before, after) == (CrlPolicy::Refuse, CrlPolicy::Allow) {
            ways.push(format!(
                "tls.clients.{key} is \"allow\" now, for every route"
            ));
        }
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATES: &str = "certificates = [{ chain = 'c', key = 'k' }]";

    /// The settings of one listener and one route that say no more than this.
    fn settings(clients: &str, route: &str) -> Settings {
        let text = format!(
            "[[listener]]\nname = 'l'\naddress = '127.0.0.1:1'\n[tls]\n{CERTIFICATES}\n\
             [tls.clients]\nca = ['ca']\n{clients}\n[[route]]\nname = 'r'\nbackend = 'b'\n{route}\n\
             [backend.b]\nservers = ['ws://127.0.0.1:2']"
        );
        crate::config::parse("proxy.toml", &text, std::path::Path::new(""))
            .unwrap()
            .settings
    }

    fn ways(old: (&str, &str), new: (&str, &str)) -> String {
        let (old, new) = (settings(old.0, old.1), settings(new.0, new.1));
        let found = widened(&old, &new, "proxy.toml");
        let messages = found.iter().map(|warning| warning.message.as_str());
        messages.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_way_to_admit_more_is_a_warning_that_names_the_route() {
        for (old, new, expected) in [
            (
                "allow = ['cn:A']",
                "",
                "route \"r\" has no `allow` list any more",
            ),
            (
                "allow = ['cn:A']",
                "allow = ['cn:B', 'cn:A']",
                "new entries in `allow`: \"cn:B\"",
            ),
            (
                "deny = ['cn:A', 'cn:B']",
                "deny = ['cn:B']",
                "no longer denies \"cn:A\"",
            ),
            (
                "origins = ['https://a.test']",
                "",
                "no `origins` list any more",
            ),
            (
                "",
                "client_cert = 'optional'",
                "no longer requires a client certificate on listener \"l\"",
            ),
            (
                "",
                "client_cert = 'off'",
                "no longer requires a client certificate",
            ),
        ] {
            let said = ways(("", old), ("", new));
            assert!(said.contains(expected), "{old} to {new}: {said}");
            assert!(
                said.starts_with("this reload admits more clients: route \"r\""),
                "{said}"
            );
        }
        for (old, new, expected) in [
            ("crl = ['l']", "", "no route checks for revocation any more"),
            (
                "crl = ['l']",
                "crl = ['l']\ncrl_missing = 'allow'",
                "crl_missing is \"allow\"",
            ),
            (
                "mode = 'required'",
                "mode = 'optional'",
                "route \"r\" no longer requires",
            ),
        ] {
            let said = ways((old, ""), (new, ""));
            assert!(said.contains(expected), "{old} to {new}: {said}");
        }
    }

    #[test]
    fn what_admits_fewer_or_the_same_is_no_warning() {
        for (old, new) in [
            ("", "allow = ['cn:A']"),
            ("allow = ['cn:A', 'cn:B']", "allow = ['cn:B']"),
            ("", "deny = ['cn:A']"),
            ("client_cert = 'optional'", "client_cert = 'required'"),
            (
                "allow = ['cn:A']",
                "allow = ['cn:A']\nclient_cert = 'optional'",
            ),
            ("", "integrity = 'off'"),
        ] {
            assert_eq!(ways(("", old), ("", new)), "", "{old} to {new}");
        }
    }
}
