//! `tidegate explain`: which rule would admit or refuse a client, without a running proxy.
//!
//! It goes the way of a connection with the same functions, from a snapshot of the configuration:
//! handshake, request, route, certificate, origin. What only a live connection shows (limits,
//! integrity offers, backends) is not looked at.

use super::arguments::{CONFIG, DEFAULT_CONFIG};
use crate::{
    backend::registry::Registry,
    config::Diagnostic,
    credential::{MaterialError, file},
    ending::{Ending, HandshakeEnding, RequestEnding},
    listener::handshake::ending_of,
    name::{host::Host, origin::origin_allowed},
    observe::Metrics,
    policy::{ClientCertMode, judgement::Standing},
    reload::build,
    request::Head,
    runtime::clock::unix_time,
    snapshot::{
        Route, Snapshot,
        rulebook::{ending_of_request, judge_client},
    },
    tls::{self, client::Client, words},
    worker::refusal::Refusal,
};
use rustls::pki_types::CertificateDer;
use serde::Serialize;
use std::{
    fmt::Display,
    io::{self, Write},
    path::PathBuf,
};

/// Arguments of `tidegate explain`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ExplainArgs {
    /// The client's certificate in PEM, with its intermediates after it [default: none]
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// The host that the client asks for
    #[arg(long, value_name = "HOST")]
    pub host: String,
    /// The path that it asks for
    #[arg(long, value_name = "PATH", default_value = "/")]
    pub path: String,
    /// The Origin that it sends [default: none]
    #[arg(long, value_name = "ORIGIN")]
    pub origin: Option<String>,
    /// The listener that it connects to [default: the first]
    #[arg(long, value_name = "NAME")]
    pub listener: Option<String>,
    /// The configuration
    #[arg(long, value_name = "FILE", env = CONFIG, default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each message says what its variant is")]
pub enum ExplainError {
    #[error("{}", render(.0))]
    Configuration(Vec<Diagnostic>),
    #[error("{0}")]
    Certificate(MaterialError),
    #[error("there is no listener \"{name}\"; the configuration has: {known}")]
    Listener { name: String, known: String },
    #[error("the explanation cannot be printed: {0}")]
    Output(#[from] io::Error),
    #[error("this is a bug in tidegate, please report it: {0}")]
    Internal(String),
}

/// What a connection would meet, step by step, and how it would end.
#[derive(Debug, Serialize)]
struct Explanation {
    admitted: bool,
    /// Why it is refused, as metrics and logs name it.
    reason: Option<&'static str>,
    /// The HTTP status of the refusal; none where the handshake fails.
    status: Option<u16>,
    /// The rule that admits, if it is one.
    rule: Option<String>,
    steps: Vec<Step>,
}

/// One step of the way.
#[derive(Debug, Serialize)]
struct Step {
    step: &'static str,
    detail: String,
}

/// A client on its way.
struct Walk<'a> {
    args: &'a ExplainArgs,
    snapshot: &'a Snapshot,
    /// The files with revocation lists.
    lists: &'a [PathBuf],
    listener: usize,
    steps: Vec<Step>,
    rule: Option<String>,
}

/// How a client is refused: in the handshake, where there is no status.
#[derive(Clone, Copy)]
struct Refused {
    reason: &'static str,
    status: Option<u16>,
}

/// Explains to `out`; returns whether the client would be admitted.
pub fn run(args: &ExplainArgs, out: &mut dyn Write) -> Result<bool, ExplainError> {
    let candidate =
        build::prepare(&args.config, None, |_| {}).map_err(ExplainError::Configuration)?;
    let names: Vec<String> = candidate
        .settings()
        .listeners
        .iter()
        .map(|listener| listener.name.clone())
        .collect();
    let listener = find_listener(args.listener.as_deref(), &names)?;
    let metrics =
        Metrics::unscraped(&names).map_err(|error| ExplainError::Internal(error.to_string()))?;
    let lists = candidate.settings().tls.clients.crl.clone();
    let snapshot = candidate.snapshot(0, &metrics, &Registry::default());
    let walk = Walk {
        args,
        snapshot: &snapshot,
        lists: &lists,
        listener,
        steps: Vec::new(),
        rule: None,
    };
    let explanation = walk.finish()?;
    print(&explanation, args.json, out)?;
    Ok(explanation.admitted)
}

fn find_listener(wanted: Option<&str>, names: &[String]) -> Result<usize, ExplainError> {
    let Some(name) = wanted else {
        return Ok(0);
    };
    let found = names.iter().position(|known| known == name);
    found.ok_or_else(|| ExplainError::Listener {
        name: name.to_owned(),
        known: names.join(", "),
    })
}

impl Walk<'_> {
    fn finish(mut self) -> Result<Explanation, ExplainError> {
        let refused = self.go()?.err();
        Ok(Explanation {
            admitted: refused.is_none(),
            reason: refused.map(|refused| refused.reason),
            status: refused.and_then(|refused| refused.status),
            rule: self.rule,
            steps: self.steps,
        })
    }

    /// The whole way; the inner error is the refusal.
    fn go(&mut self) -> Result<Result<(), Refused>, ExplainError> {
        let text = request(self.args);
        let head = match Head::parse(text.as_bytes(), self.snapshot.limits.head) {
            Some(Ok((head, _))) => head,
            Some(Err(error)) => {
                let detail = error.to_string();
                return Ok(self.refuse("request", detail, Refusal::from(error).ending));
            }
            None => return Err(ExplainError::Internal("a request without end".to_owned())),
        };
        let client = match self.handshake(head.host())? {
            Ok(client) => client,
            Err(ending) => return Ok(Err(ending)),
        };
        Ok(self.request(&head, &client))
    }

    /// What the handshake asks for, and who the client is after it.
    fn handshake(&mut self, host: &Host) -> Result<Result<Client, Refused>, ExplainError> {
        let mode = self.snapshot.mode(self.listener, Some(host));
        let asks = match mode {
            ClientCertMode::Off => "it asks for no client certificate for this host",
            ClientCertMode::Optional => "it asks for a client certificate, which may be left out",
            ClientCertMode::Required => "it requires a client certificate",
        };
        self.note("handshake", asks);
        match (&self.args.cert, mode) {
            (None, ClientCertMode::Required) => {
                let sentence = HandshakeEnding::CertificateMissing.sentence();
                let refused =
                    self.refuse("certificate", sentence, HandshakeEnding::CertificateMissing);
                Ok(refused.map(|()| Client::anonymous()))
            }
            (None, _) => Ok(Ok(Client::anonymous())),
            (Some(_), ClientCertMode::Off) => {
                self.note("certificate", "it is never shown");
                Ok(Ok(Client::anonymous()))
            }
            (Some(path), _) => {
                let chain = file::certificates(path).map_err(ExplainError::Certificate)?;
                self.certificate(&chain)
            }
        }
    }

    /// Who shows this chain. The handshake fails where CAs and CRLs do not agree.
    fn certificate(
        &mut self,
        chain: &[CertificateDer<'static>],
    ) -> Result<Result<Client, Refused>, ExplainError> {
        let said = self.snapshot.trust.verify(chain, unix_time());
        let fault = said.as_ref().err().map(words::of);
        let client = match Client::read(chain) {
            Ok(client) => client.judged(said),
            Err(error) => {
                let ending = RequestEnding::NotAllowed;
                return Ok(Err(self.stop("certificate", error, ending)));
            }
        };
        self.introduce(&client);
        let standing = client.standing;
        if standing == Standing::Revoked {
            self.name_revoked(chain)?;
        }
        match fault {
            None => {
                self.note("trust", standing.sentence());
                Ok(Ok(client))
            }
            Some(fault) => Ok(Err(self.stop("trust", fault, ending_of(standing)))),
        }
    }

    fn introduce(&mut self, client: &Client) {
        let Some(identity) = &client.identity else {
            return;
        };
        let name = identity.display_name();
        self.note("certificate", format!("{name} ({})", identity.subject));
        for name in &identity.unusable {
            self.note("certificate", format!("no rule can match its name {name}"));
        }
    }

    /// Which certificates of the chain the lists hold: its own, or one of an intermediate CA.
    fn name_revoked(&mut self, chain: &[CertificateDer<'static>]) -> Result<(), ExplainError> {
        let listings = tls::listings(chain, self.lists).map_err(ExplainError::Certificate)?;
        for tls::Listing {
            subject,
            serial,
            list,
        } in listings
        {
            let list = list.display();
            let detail = format!("{subject} with the serial number {serial} is on {list}");
            self.note("revoked", detail);
        }
        Ok(())
    }

    fn request(&mut self, head: &Head<'_>, client: &Client) -> Result<(), Refused> {
        let routes = &self.snapshot.routing.routes;
        let route = match routes.lookup(head.host(), head.path()) {
            Ok(Some(route)) => route,
            Ok(None) => {
                let (host, path) = (head.host(), head.path());
                let detail = format!("none matches host \"{host}\" and path \"{path}\"");
                return self.refuse("route", detail, RequestEnding::NoRoute);
            }
            Err(ambiguity) => return self.refuse("route", ambiguity, RequestEnding::Malformed),
        };
        self.note("route", describe(route));
        match judge_client(self.snapshot, self.listener, route, client) {
            Ok(admission) => {
                self.rule = admission.rule().map(ToString::to_string);
                self.note("rule", admission);
            }
            Err(denial) => return self.refuse("rule", denial, ending_of_request(denial)),
        }
        self.origin(route, head)
    }

    fn origin(&mut self, route: &Route, head: &Head<'_>) -> Result<(), Refused> {
        let Some(origins) = &route.settings.origins else {
            self.note("origin", "the route does not look at it");
            return Ok(());
        };
        match origin_allowed(origins, head.origins()) {
            Ok(origin) => {
                self.note("origin", format!("\"{origin}\" is listed"));
                Ok(())
            }
            Err(refusal) => self.refuse("origin", refusal, RequestEnding::Origin),
        }
    }

    fn note(&mut self, step: &'static str, detail: impl Display) {
        let detail = detail.to_string();
        self.steps.push(Step { step, detail });
    }

    fn stop(
        &mut self,
        step: &'static str,
        detail: impl Display,
        ending: impl Into<Refused>,
    ) -> Refused {
        self.note(step, detail);
        ending.into()
    }

    fn refuse(
        &mut self,
        step: &'static str,
        detail: impl Display,
        ending: impl Into<Refused>,
    ) -> Result<(), Refused> {
        Err(self.stop(step, detail, ending))
    }
}

impl From<HandshakeEnding> for Refused {
    fn from(ending: HandshakeEnding) -> Self {
        Self {
            reason: ending.label(),
            status: None,
        }
    }
}

impl From<RequestEnding> for Refused {
    fn from(ending: RequestEnding) -> Self {
        Self {
            reason: ending.label(),
            status: ending.status(),
        }
    }
}

/// The request that such a client would make.
fn request(args: &ExplainArgs) -> String {
    let origin = match &args.origin {
        Some(origin) => format!("Origin: {origin}\r\n"),
        None => String::new(),
    };
    format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{origin}\r\n",
        args.path, args.host
    )
}

fn describe(route: &Route) -> String {
    let hosts: Vec<_> = route
        .settings
        .hosts
        .iter()
        .map(ToString::to_string)
        .collect();
    let hosts = match hosts.as_slice() {
        [] => "any host".to_owned(),
        hosts => hosts.join(", "),
    };
    format!("{} ({hosts}, path {})", route.name, route.settings.path)
}

fn print(explanation: &Explanation, json: bool, out: &mut dyn Write) -> io::Result<()> {
    if json {
        serde_json::to_writer_pretty(&mut *out, explanation)?;
        return writeln!(out);
    }
    for Step { step, detail } in &explanation.steps {
        writeln!(out, "{step:<12} {}", printable(detail))?;
    }
    match (explanation.reason, explanation.status) {
        (None, _) => writeln!(out, "admitted"),
        (Some(reason), Some(status)) => writeln!(out, "refused: {status} {reason}"),
        (Some(reason), None) => writeln!(out, "refused in the handshake: {reason}"),
    }
}

/// What a terminal can show without obeying it.
fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

fn render(problems: &[Diagnostic]) -> String {
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    problems.join("\n")
}

#[cfg(test)]
mod tests;
