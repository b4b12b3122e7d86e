use super::*;
use crate::observe::{LogFormat, log::lines_of};
use serde_json::Value;

fn logged(act: impl FnOnce()) -> Vec<Value> {
    let lines = lines_of(LogFormat::Json, "info", act);
    lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn parties() -> Parties<'static> {
    Parties {
        id: "c1",
        listener: "public",
        listener_address: Some(([0, 0, 0, 0], 8443).into()),
        peer: Some(([192, 0, 2, 1], 4711).into()),
        identity: Some("CN=Alice\r\nforged"),
        route: Some("chat"),
        backend: Some("chat"),
        server: None,
        tls: Some("TLSv1.3"),
        cipher: Some("TLS13_AES_128_GCM_SHA256"),
        asked: Details {
            path: Some("/chat"),
            user_agent: Some("x\r\nforged"),
            ..Details::default()
        },
    }
}

#[test]
fn open_and_close_lines_share_the_connection_id() {
    let closing = Closed {
        ending: SocketEnding::ClientClosed,
        code: Some(1000),
        open_for: Duration::from_millis(1500),
        to_backend: Carried {
            frames: 2,
            bytes: 20,
        },
        to_client: Carried {
            frames: 3,
            bytes: 30,
        },
    };
    let lines = logged(|| {
        opened(&parties(), Some("hmac-sha-256"));
        closed(&parties(), &closing, None);
    });
    assert_eq!(lines.len(), 2);
    assert!(
        lines
            .iter()
            .all(|line| line["id"] == "c1" && line["client_address"] == "192.0.2.1")
    );
    for line in &lines {
        assert_eq!(line["client_port"], 4711);
        assert_eq!(line["listener_address"], "0.0.0.0:8443");
        assert_eq!(
            (&line["tls"], &line["path"]),
            (&"TLSv1.3".into(), &"/chat".into())
        );
    }
    assert_eq!(lines[0]["integrity"], "hmac-sha-256");
    let close = &lines[1];
    assert_eq!(
        (&close["reason"], &close["by"]),
        (&"client_closed".into(), &"client".into())
    );
    assert_eq!(
        (&close["code"], &close["seconds"]),
        (&1000.into(), &1.5.into())
    );
    assert_eq!(
        (&close["frames_to_backend"], &close["bytes_to_backend"]),
        (&2.into(), &20.into())
    );
    assert_eq!(
        (&close["frames_to_client"], &close["bytes_to_client"]),
        (&3.into(), &30.into())
    );
}

#[test]
fn what_is_not_known_is_left_out() {
    let unknown = Parties {
        id: "c2",
        listener: "public",
        ..Parties::default()
    };
    let lines = logged(|| handshake_refused(&unknown, HandshakeEnding::NotTls, None));
    let line = lines[0].as_object().unwrap();
    assert!(
        [
            "client_address",
            "client_port",
            "identity",
            "route",
            "host",
            "tls",
            "status",
            "detail"
        ]
        .iter()
        .all(|name| !line.contains_key(*name))
    );
    assert_eq!(line["stage"], "handshake");
}

#[test]
fn a_refusal_is_one_line_with_the_rule_that_denied_it() {
    let lines = logged(|| {
        request_refused(
            &parties(),
            None,
            RequestEnding::NotAllowed,
            Some(&"no rule of allow matches"),
        );
    });
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["detail"], "no rule of allow matches");
    assert_eq!(
        (&lines[0]["reason"], &lines[0]["status"]),
        (&"not_allowed".into(), &403.into())
    );
    assert_eq!(lines[0]["level"], "info");
}

#[test]
fn failures_of_the_proxy_and_of_backends_stand_out() {
    let unreachable = RequestEnding::BackendUnreachable;
    let closing = Closed {
        ending: SocketEnding::Internal,
        code: None,
        open_for: Duration::ZERO,
        to_backend: Carried::default(),
        to_client: Carried::default(),
    };
    let lines = logged(|| {
        request_refused(&parties(), None, unreachable, None);
        closed(&parties(), &closing, None);
    });
    assert_eq!(lines[0]["level"], "warn");
    assert_eq!(lines[1]["level"], "error");
}

#[test]
fn every_problem_of_a_failed_reload_has_its_line() {
    let lines = logged(|| {
        reload_failed(
            Trigger::Signal,
            4,
            &["a.pem is empty", "b.key is another's"],
        );
    });
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[1]["problem"], "b.key is another's");
    assert!(
        lines
            .iter()
            .all(|line| line["trigger"] == "signal" && line["result"] == "failed")
    );
}
