//! What a refused request gets, leaves in the log, and counts.

use super::{End, Proxy, Wire};
use serde_json::Value;

/// Reads a refusal and checks all of it: the status, the problem document (RFC 9457), the end of
/// the connection, the one log line, and the count, which must be the first of its reason.
/// Returns the document.
pub(crate) async fn expect(proxy: &Proxy, wire: &mut Wire, status: u16, reason: &str) -> Value {
    let answer = wire.read_answer().await;
    let head = &answer.head;
    assert_eq!(head.status(), status, "{reason}: {head}{}", answer.content);
    assert_eq!(answer.end, End::Closed, "{reason}");
    let media = head.field("Content-Type");
    assert_eq!(media, Some("application/problem+json"), "{reason}");
    let closes = head.field("Connection").unwrap().contains("close");
    assert!(closes, "{reason}: {head}");
    let document: Value = serde_json::from_str(&answer.content).unwrap();
    assert_eq!(document["status"], status);
    assert_eq!(document["reason"], reason);
    for member in ["type", "title", "detail", "id"] {
        let text = document[member].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "{reason}: no {member}");
    }
    wire.finish().await;
    expect_line(proxy, wire, reason).await;
    let result = [("result", reason)];
    proxy
        .wait_for("tidegate_upgrades_total", &result, 1.0)
        .await;
    document
}

/// There is exactly one line about the connection, and it names the reason.
pub(crate) async fn expect_line(proxy: &Proxy, wire: &Wire, reason: &str) {
    proxy.wait_lines(wire, 1).await;
    // The connection is over before it is no longer counted: no line can follow.
    proxy.wait_for("tidegate_connections_open", &[], 0.0).await;
    let lines = proxy.lines_of(wire);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0].field("reason"), reason, "{lines:?}");
    assert!(!lines[0].field("id").is_empty(), "{lines:?}");
}
