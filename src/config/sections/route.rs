//! A `[[route]]` table.

use crate::{
    config::{
        findings::{Finding, Placed, Refusal},
        reader::Table,
        source::Place,
        values::{self, word},
    },
    integrity::{Algorithm, Mode},
    policy::{
        ClientCertMode,
        route::{AccessRule, HostPattern, Origin, PathPrefix},
    },
    request::{Edits, client_cert::ForwardCertificate, fault_of_edit},
    snapshot::settings::RouteSettings,
};
use http::{HeaderName, HeaderValue};
use toml::de::DeValue;

/// What to write where an empty list was written, so that nobody is let in by a list that was
/// emptied by hand or by a template.
const ANY_CLIENT: &str =
    "leave the key out to admit every verified client, or name who may come in";
const ANY_HOST: &str = "leave the key out to serve every host";
const ANY_ORIGIN: &str = "leave the key out if the Origin is not to be looked at";

/// A list as read; `None` if something in it was wrong.
type List<T> = Option<Placed<Vec<Placed<T>>>>;

#[derive(Debug)]
pub(in crate::config) struct RouteDraft {
    pub(in crate::config) place: Place,
    /// The name that metrics and logs show; placed only if it was given.
    pub(in crate::config) name: Option<Placed<String>>,
    pub(in crate::config) hosts: List<RouteHost>,
    pub(in crate::config) path: Option<Placed<RoutePath>>,
    pub(in crate::config) backend: Option<Placed<String>>,
    pub(in crate::config) client_cert: Option<Placed<ClientCertMode>>,
    pub(in crate::config) allow: List<AccessRule>,
    pub(in crate::config) deny: List<AccessRule>,
    origins: List<Origin>,
    pub(in crate::config) requests: Option<Placed<Option<Requests>>>,
    strip_prefix: Option<Placed<bool>>,
    request_headers: Option<Edits>,
    response_headers: Option<Edits>,
    forward_certificate: Option<Placed<ForwardCertificate>>,
    pub(in crate::config) integrity: Option<Placed<Mode>>,
    pub(in crate::config) algorithms: List<Algorithm>,
}

/// A path as written, which is the default of the name, and as the policy reads it.
#[derive(Debug)]
pub(in crate::config) struct RoutePath {
    pub(in crate::config) text: String,
    prefix: PathPrefix,
}

/// A host as written, and as the policy reads it.
#[derive(Debug)]
pub(in crate::config) struct RouteHost {
    pub(in crate::config) text: String,
    pattern: HostPattern,
}

/// Which requests a route serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Requests {
    All,
    WebSocket,
}

impl RouteDraft {
    pub(super) fn read(mut table: Table<'_>) -> Self {
        let path = table.or_written("path", route_path, "/");
        let draft = Self {
            place: table.place.clone(),
            name: read_name(&mut table, path.as_ref()),
            hosts: table.list_of_some("host", route_host, ANY_HOST),
            path,
            backend: table.required("backend", values::name),
            client_cert: table.optional("client_cert", values::client_cert),
            requests: table.or_default("requests", requests, None),
            strip_prefix: table.or_default("strip_prefix", values::boolean, false),
            request_headers: read_edits(table.table("request_headers")),
            response_headers: read_edits(table.table("response_headers")),
            forward_certificate: table.or_default(
                "forward_certificate",
                values::forward_certificate,
                ForwardCertificate::default(),
            ),
            allow: table.list_of_some("allow", values::pattern, ANY_CLIENT),
            deny: read_deny(&mut table),
            origins: table.list_of_some("origins", values::pattern, ANY_ORIGIN),
            integrity: table.or_default("integrity", values::integrity_mode, Mode::Off),
            algorithms: read_algorithms(&mut table),
        };
        table.finish();
        draft
    }

    pub(super) fn settle(self) -> Option<RouteSettings> {
        let integrity = self.integrity?.value;
        let requests = self.requests?.value.unwrap_or(match integrity {
            // What cannot be sealed would come in unsealed.
            Mode::Required => Requests::WebSocket,
            _ => Requests::All,
        });
        let hosts = self.hosts?.value.into_iter();
        Some(RouteSettings {
            name: self.name?.value,
            hosts: hosts.map(|host| host.value.pattern).collect(),
            path: self.path?.value.prefix,
            backend: self.backend?.value,
            client_cert: self.client_cert.map(|mode| mode.value),
            allow: if_written(self.allow?),
            deny: values_of(self.deny?),
            forward_certificate: self.forward_certificate?.value,
            origins: if_written(self.origins?),
            forwards_requests: requests == Requests::All,
            strip_prefix: self.strip_prefix?.value,
            request_edits: self.request_headers?,
            response_edits: self.response_headers?,
            integrity,
            integrity_algorithms: values_of(self.algorithms?),
        })
    }
}

fn read_name(table: &mut Table<'_>, path: Option<&Placed<RoutePath>>) -> Option<Placed<String>> {
    match path {
        Some(path) => table.or_default("name", values::name, path.value.text.clone()),
        None => table.optional("name", values::name),
    }
}

/// An empty `deny` refuses nobody, which is what it says: worth a warning, since a template that
/// lost its names looks the same.
fn read_deny(table: &mut Table<'_>) -> List<AccessRule> {
    let deny = table.list("deny", values::pattern, Vec::new())?;
    if deny.place.is_some() && deny.value.is_empty() {
        let finding = Finding::warning(&deny.place, "`deny` is an empty list: it refuses nobody");
        let hint = "leave the key out, or name who may not come in";
        table.reading().report(finding.hint(hint));
    }
    Some(deny)
}

fn read_algorithms(table: &mut Table<'_>) -> List<Algorithm> {
    let default = vec![Algorithm::HmacSha256, Algorithm::Sha256];
    let parse = values::integrity_algorithm;
    let algorithms = table.list("integrity_algorithms", parse, default)?;
    if algorithms.value.is_empty() {
        let message = "no algorithm is allowed: frames could never be sealed";
        let hint = "write [\"hmac-sha-256\"], or leave the key out";
        let finding = Finding::error(&algorithms.place, message).hint(hint);
        table.reading().report(finding);
    }
    Some(algorithms)
}

/// `{ set = { NAME = "value" }, remove = ["NAME"] }`.
fn read_edits(mut table: Table<'_>) -> Option<Edits> {
    let set = table.named_values("set", field_name, field_value);
    let remove = table.list("remove", edited_field, Vec::new());
    table.finish();
    Some(Edits {
        set: set?,
        remove: values_of(remove?),
    })
}

fn edited_field(value: &DeValue<'_>) -> Result<HeaderName, Refusal> {
    field_name(values::text(value, "X-Debug")?)
}

fn field_name(text: &str) -> Result<HeaderName, Refusal> {
    let Ok(name) = text.parse::<HeaderName>() else {
        let message = format!("\"{text}\" is not the name of a header field");
        return Err(Refusal::new(message, "write a name such as \"X-Env\""));
    };
    match fault_of_edit(name.as_str()) {
        None => Ok(name),
        Some(fault) => {
            let message = format!("a route cannot change the field \"{text}\": {fault}");
            Err(Refusal::new(message, "leave it out"))
        }
    }
}

/// It may be a credential for the backend, so that no log may show it.
fn field_value(value: &DeValue<'_>) -> Result<HeaderValue, Refusal> {
    let text = values::text(value, "prod")?;
    let Ok(mut value) = HeaderValue::from_str(text) else {
        let message = "the value has a character that no header field may have";
        return Err(Refusal::new(message, "write visible ASCII on one line"));
    };
    value.set_sensitive(true);
    Ok(value)
}

fn requests(value: &DeValue<'_>) -> Result<Option<Requests>, Refusal> {
    let words = [
        ("all", Some(Requests::All)),
        ("websocket", Some(Requests::WebSocket)),
    ];
    word(value, &words)
}

fn route_path(value: &DeValue<'_>) -> Result<RoutePath, Refusal> {
    Ok(RoutePath {
        prefix: values::pattern(value)?,
        text: values::text(value, "/chat")?.to_owned(),
    })
}

fn route_host(value: &DeValue<'_>) -> Result<RouteHost, Refusal> {
    Ok(RouteHost {
        pattern: values::pattern(value)?,
        text: values::text(value, "chat.example.com")?.to_owned(),
    })
}

/// The values of a list that stands in the file; `None`: its key is left out.
fn if_written<T>(list: Placed<Vec<Placed<T>>>) -> Option<Vec<T>> {
    list.place.is_some().then(|| values_of(list))
}

fn values_of<T>(list: Placed<Vec<Placed<T>>>) -> Vec<T> {
    list.value.into_iter().map(|item| item.value).collect()
}
