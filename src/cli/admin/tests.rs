use super::*;
use crate::admin::{
    ConnectionPage, ConnectionRow, Operations, PageRequest, Problem, ReloadAnswer, ReloadReport,
    Selection, Status, serve,
};
use std::{
    future::{Future, pending, ready},
    io,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
};
use tokio::net::TcpListener;

/// A proxy with 2500 connections, of which ids sort as they count.
struct Fake;

const OPEN: usize = 2500;

impl Operations for Fake {
    fn ready(&self) -> bool {
        true
    }

    fn backends_down(&self) -> Vec<String> {
        Vec::new()
    }

    fn status(&self) -> Status {
        Status::sample()
    }

    fn connections(&self, page: &PageRequest) -> ConnectionPage {
        let first = page
            .after
            .as_deref()
            .map_or(0, |after| after.parse::<usize>().unwrap() + 1);
        let ids = (first..OPEN).take(page.limit);
        let connections = ids.map(row).collect::<Vec<_>>();
        let end = first + connections.len();
        ConnectionPage {
            total: OPEN,
            next: (end < OPEN).then(|| connections.last().unwrap().id.clone()),
            connections,
        }
    }

    fn reload(&self, preview: bool) -> Pin<Box<dyn Future<Output = ReloadAnswer> + Send + '_>> {
        Box::pin(ready(if preview {
            ReloadAnswer::Refused(vec![Problem {
                severity: "error",
                place: Some("proxy.toml:3:1".to_owned()),
                message: "unknown key".to_owned(),
                hint: Some("did you mean path?".to_owned()),
            }])
        } else {
            ReloadAnswer::Done(ReloadReport {
                result: "ok".to_owned(),
                preview,
                generation: 5,
                changes: Vec::new(),
                touched: Vec::new(),
                warnings: vec![Problem {
                    severity: "warning",
                    place: Some("proxy.toml:9:1".to_owned()),
                    message: "no route uses it".to_owned(),
                    hint: None,
                }],
            })
        }))
    }

    fn drain(&self) {}

    fn close(&self, which: &Selection) -> usize {
        match which {
            Selection::Id(id) => usize::from(id == "0001"),
            Selection::Identity(identity) if identity == "uri:spiffe://a/b?c" => 3,
            Selection::Identity(_) => 0,
        }
    }

    fn metrics(&self) -> String {
        String::new()
    }

    fn token_file(&self) -> Option<PathBuf> {
        None
    }
}

fn row(id: usize) -> ConnectionRow {
    ConnectionRow {
        kind: "websocket",
        id: format!("{id:04}"),
        listener: "public".to_owned(),
        peer: ([192, 0, 2, 1], 1).into(),
        identity: Some("CN=Alice".to_owned()),
        route: Some("chat".to_owned()),
        rule: None,
        backend: None,
        opened: 0,
        idle_seconds: 1,
        certificate_expires: None,
        integrity: None,
        integrity_key: None,
    }
}

async fn proxy() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, Arc::new(Fake), pending()));
    address
}

async fn printed(
    command: AdminCommand,
    address: SocketAddr,
) -> (Result<Outcome, AdminError>, String) {
    let mut out = Vec::new();
    let outcome = run(&command, Ok(address), &mut out, &mut io::sink()).await;
    (outcome, String::from_utf8(out).unwrap())
}

/// Why there is no outcome where the configuration names `configured`.
async fn failure(args: AdminArgs, configured: Result<SocketAddr, NoAdminAddress>) -> (u8, String) {
    let command = AdminCommand::Status(args);
    let outcome = run(&command, configured, &mut io::sink(), &mut io::sink()).await;
    let error = outcome.unwrap_err();
    (error.code(), error.to_string())
}

#[tokio::test]
async fn status_drain_and_reload_are_printed() {
    let address = proxy().await;
    let (outcome, text) = printed(AdminCommand::Status(AdminArgs::default()), address).await;
    assert_eq!(outcome.unwrap(), Outcome::Done);
    assert!(
        text.starts_with("tidegate 1.2.3, running, up 1 min, generation 4"),
        "{text}"
    );
    let (_, text) = printed(AdminCommand::Drain(AdminArgs::default()), address).await;
    assert_eq!(text, "The proxy is draining.\n");
    let (_, text) = printed(AdminCommand::Reload(ReloadArgs::default()), address).await;
    assert!(
        text.starts_with("Loaded; generation 5 is in use."),
        "{text}"
    );
}

#[tokio::test]
async fn json_is_the_answer_of_the_listener() {
    let args = AdminArgs {
        json: true,
        ..AdminArgs::default()
    };
    let (_, text) = printed(AdminCommand::Status(args), proxy().await).await;
    let value = serde_json::from_str::<Value>(&text).unwrap();
    assert_eq!(
        (&value["version"], &value["generation"]),
        (&"1.2.3".into(), &4.into())
    );
}

#[tokio::test]
async fn connections_are_read_page_by_page_to_the_end_or_the_limit() {
    let address = proxy().await;
    let (_, text) = printed(
        AdminCommand::Connections(ConnectionsArgs::default()),
        address,
    )
    .await;
    assert!(
        text.contains("\n0000  ") && text.contains("\n2499  "),
        "{}",
        text.len()
    );
    assert!(text.ends_with("2500 of 2500 connections\n"));
    for limit in [0, 3, 1500] {
        let args = ConnectionsArgs {
            limit: Some(limit),
            ..ConnectionsArgs::default()
        };
        let (_, text) = printed(AdminCommand::Connections(args), address).await;
        assert!(
            text.ends_with(&format!("{limit} of 2500 connections\n")),
            "{limit}"
        );
    }
}

#[tokio::test]
async fn a_refused_reload_prints_every_problem_as_an_error_and_exits_2() {
    let args = |json| ReloadArgs {
        preview: true,
        admin: AdminArgs {
            json,
            ..AdminArgs::default()
        },
    };
    let address = proxy().await;
    for json in [false, true] {
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        let command = AdminCommand::Reload(args(json));
        let outcome = run(&command, Ok(address), &mut out, &mut errors).await;
        assert_eq!(outcome.unwrap().code(), 2);
        let errors = String::from_utf8(errors).unwrap();
        if json {
            let answer: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(answer["problems"][0]["message"], "unknown key");
            assert_eq!(errors, "");
        } else {
            let expected = "proxy.toml:3:1: error: unknown key\n  hint: did you mean path?\n";
            assert!(errors.starts_with(expected), "{errors}");
            assert!(out.is_empty());
        }
    }
}

#[tokio::test]
async fn warnings_of_a_good_reload_are_printed_as_errors_are() {
    let command = AdminCommand::Reload(ReloadArgs::default());
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let outcome = run(&command, Ok(proxy().await), &mut out, &mut errors).await;
    assert_eq!(outcome.unwrap(), Outcome::Done);
    assert_eq!(errors, b"proxy.toml:9:1: warning: no route uses it\n");
    assert!(out.starts_with(b"Loaded;"));
}

#[tokio::test]
async fn close_names_one_connection_or_all_of_an_identity() {
    let address = proxy().await;
    let close = |id: Option<&str>, identity: Option<&str>| {
        AdminCommand::Close(CloseArgs {
            id: id.map(ToOwned::to_owned),
            identity: identity.map(ToOwned::to_owned),
            admin: AdminArgs::default(),
        })
    };
    let (_, text) = printed(close(Some("0001"), None), address).await;
    assert_eq!(text, "Being closed: 1 connection.\n");
    let (_, text) = printed(close(None, Some("uri:spiffe://a/b?c")), address).await;
    assert_eq!(text, "Being closed: 3 connections.\n");
}

#[tokio::test]
async fn close_of_nobody_says_that_no_open_socket_matches_and_exits_1() {
    let address = proxy().await;
    for (id, identity, which) in [
        (Some("9999"), None, r#"the id "9999""#),
        // Not even the form of an id.
        (Some("a b/c"), None, r#"the id "a b/c""#),
        (None, Some("CN=\u{1b}"), r#"the identity "CN=\u{1b}""#),
    ] {
        let command = AdminCommand::Close(CloseArgs {
            id: id.map(ToOwned::to_owned),
            identity: identity.map(ToOwned::to_owned),
            admin: AdminArgs::default(),
        });
        let (outcome, text) = printed(command, address).await;
        let error = outcome.unwrap_err();
        let expected = format!(
            "no open socket matches {which}; `tidegate connections` lists those that are open"
        );
        assert_eq!((error.to_string(), error.code()), (expected, 1));
        assert_eq!(text, "");
    }
}

#[tokio::test]
async fn metrics_of_what_is_not_a_tidegate_are_not_a_bare_status() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    let error = metrics(&address.to_string(), None).await.unwrap_err();
    let says = format!("{address} is not the admin listener of a tidegate");
    assert!(error.to_string().starts_with(&says), "{error}");
}

#[tokio::test]
async fn a_proxy_that_does_not_run_is_told_with_what_to_look_at() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (outcome, _) = printed(AdminCommand::Status(AdminArgs::default()), address).await;
    let expected = format!(
        "no tidegate answers on {address}: connection refused; is it running with an [admin] table?"
    );
    assert_eq!(outcome.unwrap_err().to_string(), expected);
}

#[tokio::test]
async fn a_missing_or_unusable_address_says_how_to_give_one() {
    let none = NoAdminAddress::NoTable(PathBuf::from("far/proxy.toml"));
    let (code, error) = failure(AdminArgs::default(), Err(none)).await;
    assert_eq!(code, 2);
    for part in [
        "far/proxy.toml has no [admin]",
        "--config",
        "--admin ADDRESS",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let args = AdminArgs {
        admin: Some("9090".to_owned()),
        ..AdminArgs::default()
    };
    let (code, error) = failure(args, Ok(([127, 0, 0, 1], 1).into())).await;
    assert_eq!(code, 2);
    assert!(
        error.contains("\"9090\"") && error.contains("127.0.0.1:9090"),
        "{error}"
    );
}

#[tokio::test]
async fn a_named_address_goes_before_the_configured_one() {
    let address = proxy().await;
    let args = AdminArgs {
        admin: Some(format!("localhost:{}", address.port())),
        ..AdminArgs::default()
    };
    let nowhere = Ok(([127, 0, 0, 1], 1).into());
    let unknown = Err(NoAdminAddress::NoTable(PathBuf::new()));
    for configured in [nowhere, unknown] {
        let command = AdminCommand::Status(args.clone());
        let outcome = run(&command, configured, &mut io::sink(), &mut io::sink()).await;
        assert_eq!(outcome.unwrap(), Outcome::Done);
    }
}

#[tokio::test]
async fn a_peer_that_is_no_tidegate_is_told_apart() {
    for (answer, part) in [
        ("220 mail.example ESMTP\r\n", "the answer of"),
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nnone\n",
            "404 Not Found",
        ),
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}",
            "and no reason",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            "without `state`",
        ),
    ] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            use tokio::io::AsyncWriteExt;
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let (code, error) = failure(AdminArgs::default(), Ok(address)).await;
        assert_eq!(code, 1, "{error}");
        let says = error.contains("the admin listener of a tidegate");
        assert!(says && error.contains(part), "{error}");
    }
}

#[derive(Debug, clap::Parser)]
enum CommandLine {
    Close(CloseArgs),
    Reload(ReloadArgs),
}

fn parse(words: &[&str]) -> Result<CommandLine, clap::Error> {
    use clap::Parser;
    CommandLine::try_parse_from(["tidegate"].iter().chain(words))
}

#[test]
fn close_wants_an_id_or_an_identity_and_not_both() {
    let Ok(CommandLine::Close(args)) = parse(&["close", "c-1", "--admin", "[::1]:9090"]) else {
        panic!("close ID is refused");
    };
    assert_eq!(args.id.as_deref(), Some("c-1"));
    assert_eq!(args.admin.admin.as_deref(), Some("[::1]:9090"));
    assert!(parse(&["close", "--identity", "CN=Alice"]).is_ok());
    assert!(parse(&["close"]).is_err());
    assert!(parse(&["close", "c-1", "--identity", "CN=Alice"]).is_err());
    let Ok(CommandLine::Reload(args)) = parse(&["reload", "--preview", "--json"]) else {
        panic!("reload --preview --json is refused");
    };
    assert!(args.preview && args.admin.json);
}
