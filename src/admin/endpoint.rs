//! Which path does what.

use super::{
    answer::{Answer, Refusal, bytes, document},
    caller::{check_host, check_writer},
    page, query,
};
use crate::{
    observe::TEXT_FORMAT,
    operations::{Operations, PageRequest, ReloadAnswer, Selection},
};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use serde_json::json;
use std::net::SocketAddr;

/// Connections of a page, where the request does not say how many.
const PAGE: usize = 100;
/// Connections of a page at most.
const LARGEST_PAGE: usize = 1000;
/// Bytes of a connection id at most.
const ID: usize = 64;

/// What a path stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Endpoint {
    Page,
    Icon,
    Metrics,
    Live,
    Ready,
    Status,
    Connections,
    Connection(String),
    Reload,
    Drain,
}

/// Answers a request whose body has been read and thrown away.
pub(super) async fn answer<B>(
    request: &Request<B>,
    peer: SocketAddr,
    operations: &dyn Operations,
) -> Answer {
    let answered = checked(request, peer, operations).await;
    answered.unwrap_or_else(Answer::from)
}

async fn checked<B>(
    request: &Request<B>,
    peer: SocketAddr,
    operations: &dyn Operations,
) -> Result<Answer, Refusal> {
    let endpoint = Endpoint::of(request.uri().path())?;
    endpoint.check_method(request.method())?;
    if is_reading(request.method()) {
        if !endpoint.is_for_machines() {
            check_host(request)?;
        }
        return read(&endpoint, request.uri().query(), operations);
    }
    check_writer(request, peer, operations.token_file().as_deref())?;
    write(endpoint, request.uri().query(), operations).await
}

fn read(
    endpoint: &Endpoint,
    text: Option<&str>,
    operations: &dyn Operations,
) -> Result<Answer, Refusal> {
    if *endpoint == Endpoint::Connections {
        let page = page_request(text)?;
        return Ok(document(StatusCode::OK, &operations.connections(&page)));
    }
    Ok(match endpoint {
        Endpoint::Page => page::answer(),
        // Browsers ask for it by themselves; there is none, which is not an error.
        Endpoint::Icon => bytes(StatusCode::NO_CONTENT, "image/x-icon", ""),
        Endpoint::Metrics => bytes(StatusCode::OK, TEXT_FORMAT, operations.metrics()),
        Endpoint::Live => plain("alive\n"),
        Endpoint::Ready if operations.ready() => plain(ready(&operations.backends_down())),
        Endpoint::Ready => return Err(not_ready()),
        _ => document(StatusCode::OK, &operations.status()),
    })
}

async fn write(
    endpoint: Endpoint,
    text: Option<&str>,
    operations: &dyn Operations,
) -> Result<Answer, Refusal> {
    match endpoint {
        Endpoint::Reload => reload(text, operations).await,
        Endpoint::Connection(id) => {
            let [] = query::values(text, [])?;
            close(&Selection::Id(id), operations)
        }
        Endpoint::Connections => match query::values(text, ["identity"])? {
            [Some(identity)] => close(&Selection::Identity(identity), operations),
            [None] => Err(bad(
                "name the connections: /connections/ID or /connections?identity=…",
            )),
        },
        _ => {
            let [] = query::values(text, [])?;
            operations.drain();
            Ok(document(
                StatusCode::ACCEPTED,
                &json!({ "state": "draining" }),
            ))
        }
    }
}

async fn reload(text: Option<&str>, operations: &dyn Operations) -> Result<Answer, Refusal> {
    let preview = match query::values(text, ["preview"])? {
        [None] => false,
        [Some(value)] if matches!(value.as_str(), "" | "true" | "1") => true,
        [Some(value)] if matches!(value.as_str(), "false" | "0") => false,
        [Some(value)] => return Err(bad(format!("preview is {value:?}; write true or false"))),
    };
    match operations.reload(preview).await {
        ReloadAnswer::Done(report) => Ok(document(StatusCode::OK, &report)),
        ReloadAnswer::Refused(problems) => {
            let detail = "the configuration was not loaded; the one in use stays";
            let refusal = Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
            Err(refusal.with_member("problems", json!(problems)))
        }
    }
}

fn close(which: &Selection, operations: &dyn Operations) -> Result<Answer, Refusal> {
    match operations.close(which) {
        0 => Err(absent("no such connection is open")),
        closed => Ok(document(StatusCode::OK, &json!({ "closed": closed }))),
    }
}

fn page_request(text: Option<&str>) -> Result<PageRequest, Refusal> {
    let [limit, after] = query::values(text, ["limit", "after"])?;
    let limit = match limit.as_deref().map(str::parse) {
        None => PAGE,
        Some(Ok(limit @ 1..=LARGEST_PAGE)) => limit,
        Some(_) => {
            return Err(bad(format!(
                "limit must be a number from 1 to {LARGEST_PAGE}"
            )));
        }
    };
    if after.as_deref().is_some_and(|after| !is_id(after)) {
        return Err(bad("after must be the id of a connection"));
    }
    Ok(PageRequest { limit, after })
}

impl Endpoint {
    fn of(path: &str) -> Result<Self, Refusal> {
        let known = match path {
            "/" => Self::Page,
            "/favicon.ico" => Self::Icon,
            "/metrics" => Self::Metrics,
            "/livez" => Self::Live,
            "/readyz" => Self::Ready,
            "/status" => Self::Status,
            "/connections" => Self::Connections,
            "/reload" => Self::Reload,
            "/drain" => Self::Drain,
            other => match other.strip_prefix("/connections/") {
                Some(id) if is_id(id) => Self::Connection(id.to_owned()),
                Some(_) => {
                    return Err(absent(
                        "that is not the id of a connection; `tidegate connections` and GET /connections list them",
                    ));
                }
                None => return Err(absent("there is nothing at this path")),
            },
        };
        Ok(known)
    }

    /// The methods that it takes, as the field `Allow` names them.
    const fn methods(&self) -> &'static str {
        match self {
            Self::Connections => "GET, HEAD, DELETE",
            Self::Connection(_) => "DELETE",
            Self::Reload | Self::Drain => "POST",
            Self::Page | Self::Icon | Self::Metrics | Self::Live | Self::Ready | Self::Status => {
                "GET, HEAD"
            }
        }
    }

    fn check_method(&self, method: &Method) -> Result<(), Refusal> {
        let mut methods = self.methods().split(", ");
        if methods.any(|known| known == method.as_str()) {
            return Ok(());
        }
        let detail = format!("this path takes {}", self.methods());
        let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, detail);
        Err(refusal.with_field(header::ALLOW, self.methods()))
    }

    /// Whether scrapers and probes, which use whatever name they were given, read it; it names no
    /// client.
    const fn is_for_machines(&self) -> bool {
        matches!(self, Self::Metrics | Self::Live | Self::Ready)
    }
}

fn is_reading(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn is_id(text: &str) -> bool {
    let is_ours = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=ID).contains(&text.len()) && text.bytes().all(is_ours)
}

/// A proxy without servers is ready all the same: another one would not reach them either.
fn ready(down: &[String]) -> String {
    let down = down.iter();
    let lines = down.map(|name| format!("backend {name} has no server up\n"));
    format!("ready\n{}", lines.collect::<String>())
}

fn plain(text: impl Into<Bytes>) -> Answer {
    bytes(StatusCode::OK, "text/plain; charset=utf-8", text)
}

fn not_ready() -> Refusal {
    let detail = "there is no configuration in use yet, or the proxy drains";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, detail)
}

fn absent(detail: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, detail)
}

fn bad(detail: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, detail)
}
