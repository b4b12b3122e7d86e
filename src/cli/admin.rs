//! `tidegate status | connections | reload | drain | close`: calls the operations of a running proxy.

mod arguments;
mod client;
mod error;
mod parts;
mod show;

use super::exit::is_enough;
use crate::config::NoAdminAddress;
use client::{Answer, Client};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::{io::Write, net::SocketAddr, path::Path};

pub use arguments::{AdminArgs, AdminCommand, CloseArgs, ConnectionsArgs, ReloadArgs};
pub use error::AdminError;

/// Connections that are asked for at once.
const PAGE: usize = 1000;

/// How it went, where the proxy answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// The configuration has problems, which were printed.
    Refused,
}

impl Outcome {
    /// The exit code of the process.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused => 2,
        }
    }
}

/// Asks the proxy and prints its answer to `out`, or to `errors` the problems of a refused reload.
/// `configured` is `admin.address` of the configuration, for where `--admin` is not given.
pub async fn run(
    command: &AdminCommand,
    configured: Result<SocketAddr, NoAdminAddress>,
    out: &mut (dyn Write + Send),
    errors: &mut (dyn Write + Send),
) -> Result<Outcome, AdminError> {
    let args = command.args();
    let address = match &args.admin {
        Some(named) => named.clone(),
        None => configured?.to_string(),
    };
    let client = Client::new(&address, args.token_file.as_deref()).await?;
    let (outcome, answer) = ask(command, &client).await?;
    let printed = match outcome {
        _ if args.json => writeln!(out, "{answer:#}"),
        Outcome::Done => show::answer(command, &answer, out)
            .and_then(|()| parts::problems(&answer, "warnings", errors)),
        Outcome::Refused => show::refusal(&answer, errors),
    };
    match printed.and_then(|()| out.flush()) {
        Err(error) if is_enough(&error) => Ok(outcome),
        printed => Ok(printed.map(|()| outcome)?),
    }
}

/// The metrics of the proxy whose admin listener is at `address`, in the text that Prometheus reads.
pub(super) async fn metrics(
    address: &str,
    token_file: Option<&Path>,
) -> Result<String, AdminError> {
    Client::new(address, token_file)
        .await?
        .text("/metrics")
        .await
}

async fn ask(command: &AdminCommand, client: &Client) -> Result<(Outcome, Value), AdminError> {
    let (answer, member) = match command {
        AdminCommand::Status(_) => (client.call(Method::GET, "/status").await?, "state"),
        AdminCommand::Connections(args) => {
            let all = connections(client, args.limit.unwrap_or(usize::MAX)).await?;
            return Ok((Outcome::Done, all));
        }
        AdminCommand::Reload(args) => return reload(client, args.preview).await,
        AdminCommand::Drain(_) => (client.call(Method::POST, "/drain").await?, "state"),
        AdminCommand::Close(args) => {
            let close = client.call(Method::DELETE, &close_path(args)).await?;
            (matched(close, args)?, "closed")
        }
    };
    Ok((Outcome::Done, client.good(answer, member)?))
}

async fn reload(client: &Client, preview: bool) -> Result<(Outcome, Value), AdminError> {
    let path = if preview {
        "/reload?preview=true"
    } else {
        "/reload"
    };
    let answer = client.call(Method::POST, path).await?;
    let refused = answer.status == StatusCode::UNPROCESSABLE_ENTITY;
    if refused && answer.document.get("problems").is_some() {
        return Ok((Outcome::Refused, answer.document));
    }
    Ok((Outcome::Done, client.good(answer, "result")?))
}

/// All pages as one, up to `limit` connections.
async fn connections(client: &Client, limit: usize) -> Result<Value, AdminError> {
    let mut rows = Vec::new();
    let mut after = String::new();
    loop {
        let wanted = PAGE.min(limit.saturating_sub(rows.len())).max(1);
        let path = format!("/connections?limit={wanted}{after}");
        let answer = client.call(Method::GET, &path).await?;
        let mut page = client.good(answer, "connections")?;
        if let Some(Value::Array(more)) = page.get_mut("connections").map(Value::take) {
            rows.extend(more);
        }
        let next = page.get("next").and_then(Value::as_str).map(encoded);
        match next {
            Some(next) if rows.len() < limit => after = format!("&after={next}"),
            _ => {
                rows.truncate(limit);
                return Ok(json!({ "total": page.get("total"), "connections": rows }));
            }
        }
    }
}

/// The answer, unless it is that of a tidegate that has no such socket.
fn matched(answer: Answer, args: &CloseArgs) -> Result<Answer, AdminError> {
    let absent = answer.status == StatusCode::NOT_FOUND;
    if !absent || answer.document.get("detail").is_none() {
        return Ok(answer);
    }
    let which = match (&args.id, &args.identity) {
        (Some(id), _) => format!("the id {id:?}"),
        (None, identity) => format!("the identity {:?}", identity.as_deref().unwrap_or_default()),
    };
    Err(AdminError::NoSocket { which })
}

fn close_path(args: &CloseArgs) -> String {
    match (&args.id, &args.identity) {
        (Some(id), _) => format!("/connections/{}", encoded(id)),
        (None, identity) => {
            let identity = identity.as_deref().unwrap_or_default();
            format!("/connections?identity={}", encoded(identity))
        }
    }
}

/// Percent-encoding (RFC 3986 section 2.1) of all but unreserved characters.
fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests;
