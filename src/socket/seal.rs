//! Between stages 5 and 6: what client and proxy agree on about frame integrity.
//!
//! The client's offers are judged before the backend is dialled; with the message binding, the
//! backend's choice of a subprotocol then decides among them.

use crate::{
    ending::RequestEnding,
    integrity::{
        Algorithm, Mode,
        agreement::Agreement,
        negotiate::{MessageOffers, Terms},
        offer::{self, Extensions},
        subprotocol::{self, Subprotocol},
    },
    request::Head,
    runtime::clock::unix_time,
    snapshot::Route,
    tls::session::Session,
    worker::{random::random, refusal::Refusal, visit::Visit},
};
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// The field that tells the backend (section 8 of the protocol).
const FIELD: HeaderName = HeaderName::from_static("frame-integrity");

/// What is agreed on before the backend has answered.
pub enum Negotiated {
    /// Frames pass as they are.
    Plain,
    /// The frame binding is agreed on.
    Frames(Agreement),
    /// The message binding is agreed on if the backend chooses accordingly.
    Messages(MessageOffers),
}

/// Judges the client's offers by the route's mode; refuses where it requires one and none will do.
pub fn negotiate(
    visit: &Visit,
    session: &mut Session,
    route: &Route,
    head: &Head<'_>,
) -> Result<Negotiated, Refusal> {
    let settings = &route.settings;
    if settings.integrity == Mode::Off {
        return Ok(Negotiated::Plain);
    }
    let server_nonce = random()?;
    let exporter = session.take_exporter();
    let terms = Terms {
        mode: settings.integrity,
        algorithms: &settings.integrity_algorithms,
        keyring: &visit.snapshot.keyring,
        now: unix_time(),
        server_nonce,
        exporter: &|| exporter.clone(),
    };
    let extensions = Extensions::parse(head.extensions());
    let refused = match terms.choose_frame(&extensions) {
        Ok(agreement) => return Ok(Negotiated::Frames(agreement)),
        Err(refused) => refused,
    };
    let names = subprotocol::parse(head.values("Sec-WebSocket-Protocol"));
    let messages = terms.message_offers(&names);
    if messages.any_acceptable() {
        return Ok(Negotiated::Messages(messages));
    }
    let reasons = reasons(refused.iter().chain(messages.refused()));
    if settings.integrity == Mode::Required {
        return Err(required(&settings.integrity_algorithms, &reasons));
    }
    if !reasons.is_empty() {
        // While a roll-out is watched, offers that come to nothing are worth a line.
        tracing::info!(id = %visit.id, route = &*route.name, reasons, "frame integrity: no offer was accepted");
    }
    Ok(Negotiated::Plain)
}

/// Why offers were passed over, each reason once: a request has room for thousands of offers.
fn reasons<'a>(refused: impl Iterator<Item = &'a offer::Refusal>) -> String {
    let mut reasons = Vec::new();
    for refusal in refused.map(ToString::to_string) {
        if !reasons.contains(&refusal) {
            reasons.push(refusal);
        }
    }
    reasons.join("; ")
}

/// Section 8: the refusal names the algorithms that the route allows.
fn required(algorithms: &[Algorithm], reasons: &str) -> Refusal {
    let allowed: Vec<_> = algorithms
        .iter()
        .map(|algorithm| algorithm.label())
        .collect();
    let made = match reasons {
        "" => "no offer was made".to_owned(),
        reasons => format!("passed over: {reasons}"),
    };
    let detail = format!(
        "the route requires frame integrity with one of {}; {made}",
        allowed.join(", ")
    );
    Refusal::new(RequestEnding::Integrity, detail)
}

impl Negotiated {
    /// Puts into the backend's request what concerns it; `fields` hold the client's own.
    pub fn apply(&self, fields: &mut HeaderMap, head: &Head<'_>) {
        match self {
            Self::Plain => {
                // An offer that came to nothing is not the backend's business.
                let others = Extensions::parse(head.extensions()).forwarded();
                replace(fields, header::SEC_WEBSOCKET_EXTENSIONS, others);
                remove_sealed_names(fields, head);
            }
            Self::Frames(agreement) => {
                // A connection uses at most one binding (section 2).
                remove_sealed_names(fields, head);
                // The reserved bits stay 0: the backend is offered no extension (section 2).
                fields.remove(header::SEC_WEBSOCKET_EXTENSIONS);
                replace(fields, FIELD, Some(agreement.backend_field()));
            }
            Self::Messages(offers) => {
                fields.remove(header::SEC_WEBSOCKET_EXTENSIONS);
                let names = Some(offers.offered_to_backend().join(", "));
                let names = names.filter(|names| !names.is_empty());
                replace(fields, header::SEC_WEBSOCKET_PROTOCOL, names);
                replace(fields, FIELD, offers.backend_field());
            }
        }
    }

    /// Puts into the 101 for the client what was agreed on, now that the backend has answered;
    /// gives that agreement.
    pub fn conclude(
        self,
        fields: &mut HeaderMap,
        mode: Mode,
    ) -> Result<Option<Agreement>, Refusal> {
        match self {
            Self::Plain => Ok(None),
            Self::Frames(agreement) => {
                replace(
                    fields,
                    header::SEC_WEBSOCKET_EXTENSIONS,
                    Some(agreement.answer().to_owned()),
                );
                Ok(Some(agreement))
            }
            Self::Messages(offers) => select(offers, fields, mode),
        }
    }
}

fn select(
    offers: MessageOffers,
    fields: &mut HeaderMap,
    mode: Mode,
) -> Result<Option<Agreement>, Refusal> {
    let told = offers.backend_field().is_some();
    let chosen = fields
        .get(header::SEC_WEBSOCKET_PROTOCOL)
        .and_then(|value| value.to_str().ok());
    match offers.select(chosen) {
        Some(agreement) => {
            replace(
                fields,
                header::SEC_WEBSOCKET_PROTOCOL,
                Some(agreement.answer().to_owned()),
            );
            Ok(Some(agreement))
        }
        // A connection that the backend was told is sealed must not go on unsealed.
        None if told || mode == Mode::Required => {
            let detail =
                "the backend chose none of the subprotocols whose sealed names were offered";
            Err(Refusal::new(RequestEnding::Integrity, detail))
        }
        None => Ok(None),
    }
}

/// Leaves the application's subprotocols alone in the field (section 6): a backend that chose a
/// sealed name would promise the client what it does not know of.
fn remove_sealed_names(fields: &mut HeaderMap, head: &Head<'_>) {
    let names = subprotocol::parse(head.values("Sec-WebSocket-Protocol"));
    let plain: Vec<_> = names
        .iter()
        .filter_map(|name| match name {
            Subprotocol::Plain(name) => Some(*name),
            Subprotocol::Sealed(_) => None,
        })
        .collect();
    if plain.len() < names.len() {
        let value = Some(plain.join(", ")).filter(|value| !value.is_empty());
        replace(fields, header::SEC_WEBSOCKET_PROTOCOL, value);
    }
}

fn replace(fields: &mut HeaderMap, name: HeaderName, value: Option<String>) {
    fields.remove(&name);
    if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
        fields.insert(name, value);
    }
}
