use super::*;
use crate::ending::SocketEnding;
use crate::observe::{Direction, ExpiryKind, UnitResult};
use std::{collections::BTreeSet, time::Duration};

/// The metrics of the documentation, each with its labels.
const DOCUMENTED: &[&str] = &[
    "tidegate_accept_errors_total{listener}",
    "tidegate_backend_connect_seconds{backend}",
    "tidegate_backend_open{backend,server}",
    "tidegate_backend_up{backend,server}",
    "tidegate_build_info{version}",
    "tidegate_bytes_total{direction,route}",
    "tidegate_certificate_expire_timestamp_seconds{kind,name}",
    "tidegate_config_generation{}",
    "tidegate_config_last_reload_successful{}",
    "tidegate_config_reload_timestamp_seconds{}",
    "tidegate_connections_open{listener}",
    "tidegate_connections_total{listener}",
    "tidegate_draining{}",
    "tidegate_endings_total{by,code,reason,route}",
    "tidegate_frames_total{direction,opcode,route}",
    "tidegate_handshake_seconds{}",
    "tidegate_handshakes_total{listener,result}",
    "tidegate_integrity_key_websockets_open{key}",
    "tidegate_integrity_units_total{direction,result,route}",
    "tidegate_log_lines_dropped_total{}",
    "tidegate_ping_seconds{route}",
    "tidegate_reloads_total{result,trigger}",
    "tidegate_request_seconds{route}",
    "tidegate_requests_total{code,method,route}",
    "tidegate_resumptions_total{result}",
    "tidegate_upgrades_total{result,route}",
    "tidegate_websocket_seconds{route}",
    "tidegate_websockets_open{backend,route}",
];

fn metrics() -> Metrics {
    let listeners = ["public".to_owned()];
    let metrics = Metrics::register(&Registry::new(), &listeners, Arc::default()).unwrap();
    configure(&metrics, &[("chat", "one")]);
    metrics.set_integrity_keys(&["k1".to_owned()]);
    metrics
}

/// Names these routes and their backends.
fn configure(metrics: &Metrics, routes: &[(&str, &str)]) {
    let mut naming = metrics.naming();
    for (route, backend) in routes {
        naming.route(RouteNames { route, backend });
        naming.backend(backend);
    }
}

/// A server of the backend `one`.
fn server(is_up: Option<bool>, open: usize) -> ServerReading {
    ServerReading {
        backend: "one".into(),
        server: "ws://127.0.0.1:9001".into(),
        is_up,
        open,
    }
}

/// All series, with those of a server that nobody has tried yet.
fn text(metrics: &Metrics) -> String {
    metrics.text(&[server(Some(true), 0)]).unwrap()
}

/// The route `chat` with the backend `one`, as [`metrics`] configures it.
fn chat(metrics: &Metrics) -> Arc<RouteMetrics> {
    route_of(metrics, "chat", "one")
}

fn route_of(metrics: &Metrics, route: &str, backend: &str) -> Arc<RouteMetrics> {
    let mut names = metrics.shared.names();
    metrics
        .shared
        .route(&mut names, RouteNames { route, backend })
}

/// The value of a series, by its whole name in the text.
fn value(metrics: &Metrics, series: &str) -> Option<f64> {
    value_in(&text(metrics), series)
}

fn value_in(text: &str, series: &str) -> Option<f64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

fn assert_value(metrics: &Metrics, series: &str, expected: u32) {
    let found = value(metrics, series).unwrap_or_else(|| panic!("no series {series}"));
    assert!(
        (found - f64::from(expected)).abs() < 1e-9,
        "{series} is {found}"
    );
}

/// Every series but those of the process, whose values move on their own.
fn series(metrics: &Metrics) -> Vec<(String, String)> {
    let text = text(metrics);
    let lines = text.lines().filter(|line| line.starts_with("tidegate_"));
    let pairs = lines.map(|line| line.rsplit_once(' ').unwrap());
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn names_and_labels_are_those_of_the_documentation() {
    let metrics = metrics();
    metrics.set_expiries(vec![expiry("certs/server.pem", 1)]);
    let series = series(&metrics);
    let found: BTreeSet<_> = series.iter().map(|(name, _)| shape_of(name)).collect();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), DOCUMENTED);
}

/// The name and the label names of a series; of a histogram's, those of the histogram.
fn shape_of(series: &str) -> String {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let suffixes = ["_bucket", "_sum", "_count"];
    let histogram = suffixes.iter().find_map(|end| name.strip_suffix(end));
    let labels = labels.split(',').filter_map(|label| label.split_once('='));
    let names: BTreeSet<_> = labels.map(|(name, _)| name).collect();
    let names: Vec<_> = names.into_iter().filter(|name| *name != "le").collect();
    format!("{}{{{}}}", histogram.unwrap_or(name), names.join(","))
}

#[test]
fn every_series_exists_from_the_start_at_zero() {
    let metrics = metrics();
    let moved = series(&metrics)
        .into_iter()
        .filter(|(_, value)| value != "0");
    let names = moved.map(|(name, _)| name).collect::<Vec<_>>();
    let version = env!("CARGO_PKG_VERSION");
    // A server that nobody has tried yet is presumed to be up.
    let up = names
        .iter()
        .filter(|name| name.starts_with("tidegate_backend_up"));
    let built = format!("tidegate_build_info{{version=\"{version}\"}}");
    assert_eq!(names.len(), 1 + up.count());
    assert!(names.contains(&built), "{names:?}");
    for expected in [
        r#"tidegate_handshakes_total{listener="public",result="certificate_missing"}"#,
        r#"tidegate_upgrades_total{route="chat",result="origin_not_allowed"}"#,
        r#"tidegate_upgrades_total{route="none",result="no_route"}"#,
        r#"tidegate_endings_total{route="chat",by="client",reason="client_closed",code="4xxx"}"#,
        r#"tidegate_endings_total{route="chat",by="proxy",reason="draining",code="1012"}"#,
        r#"tidegate_endings_total{route="chat",by="proxy",reason="draining",code="none"}"#,
        r#"tidegate_frames_total{route="chat",direction="to_client",opcode="continuation"}"#,
        r#"tidegate_integrity_units_total{route="chat",direction="to_backend",result="missing"}"#,
        r#"tidegate_reloads_total{trigger="signal",result="unchanged"}"#,
        r#"tidegate_resumptions_total{result="refused"}"#,
        r#"tidegate_websocket_seconds_bucket{route="chat",le="2592000"}"#,
        r#"tidegate_backend_connect_seconds_count{backend="one"}"#,
        r#"tidegate_backend_open{backend="one",server="ws://127.0.0.1:9001"}"#,
        r#"tidegate_integrity_key_websockets_open{key="k1"}"#,
    ] {
        assert_value(&metrics, expected, 0);
    }
}

#[test]
fn no_series_stands_in_the_text_twice() {
    let metrics = metrics();
    configure(
        &metrics,
        &[("none", "one"), ("chat", "one"), ("chat", "one")],
    );
    let all = series(&metrics);
    let names = all.iter().map(|(name, _)| name).collect::<BTreeSet<_>>();
    assert_eq!(names.len(), all.len());
}

#[test]
fn ten_thousand_events_of_every_kind_make_no_series() {
    let metrics = metrics();
    let before = series(&metrics).len();
    let listener = metrics.listener("public").unwrap();
    let route = chat(&metrics);
    for code in 0..10_000 {
        let _connection = listener.accepted();
        listener.handshake().finish(Ok(()));
        route.upgraded().end(SocketEnding::ClientClosed, Some(code));
        route
            .worker(0)
            .frames(Direction::ToClient, usize::from(code), 1);
        assert!(metrics.integrity_key(&format!("{code}")).is_none());
    }
    assert_eq!(series(&metrics).len(), before);
}

#[test]
fn an_open_connection_is_counted_until_its_guard_is_dropped() {
    let metrics = metrics();
    let open = r#"tidegate_connections_open{listener="public"}"#;
    let guard = metrics.listener("public").unwrap().accepted();
    assert_value(&metrics, open, 1);
    drop(guard);
    assert_value(&metrics, open, 0);
    assert_value(
        &metrics,
        r#"tidegate_connections_total{listener="public"}"#,
        1,
    );
}

#[test]
fn a_handshake_that_nobody_finished_counts_as_failed() {
    let metrics = metrics();
    drop(metrics.listener("public").unwrap().handshake());
    let gone = r#"tidegate_handshakes_total{listener="public",result="handshake_gone"}"#;
    assert_value(&metrics, gone, 1);
    assert_value(&metrics, "tidegate_handshake_seconds_count", 1);
    assert_value(
        &metrics,
        r#"tidegate_handshakes_total{listener="public",result="ok"}"#,
        0,
    );
}

#[test]
fn a_socket_that_nobody_ended_counts_as_a_failure_of_the_proxy() {
    let metrics = metrics();
    let guard = chat(&metrics).upgraded();
    assert_value(
        &metrics,
        r#"tidegate_websockets_open{route="chat",backend="one"}"#,
        1,
    );
    drop(guard);
    let internal =
        r#"tidegate_endings_total{route="chat",by="proxy",reason="internal",code="none"}"#;
    assert_value(&metrics, internal, 1);
    assert_value(
        &metrics,
        r#"tidegate_websockets_open{route="chat",backend="one"}"#,
        0,
    );
    assert_value(
        &metrics,
        r#"tidegate_websocket_seconds_count{route="chat"}"#,
        1,
    );
}

#[test]
fn an_ending_is_counted_with_the_code_that_was_sent() {
    let metrics = metrics();
    let route = chat(&metrics);
    route.upgraded().end(SocketEnding::Draining, Some(1012));
    route.upgraded().end(SocketEnding::Draining, None);
    route
        .upgraded()
        .end(SocketEnding::BackendClosed, Some(3000));
    for series in [
        r#"{route="chat",by="proxy",reason="draining",code="1012"}"#,
        r#"{route="chat",by="proxy",reason="draining",code="none"}"#,
        r#"{route="chat",by="backend",reason="backend_closed",code="3xxx"}"#,
    ] {
        assert_value(&metrics, &format!("tidegate_endings_total{series}"), 1);
    }
}

#[test]
fn traffic_of_workers_is_summed_by_direction_opcode_and_result() {
    let metrics = metrics();
    let route = chat(&metrics);
    for index in [0, 1] {
        let worker = route.worker(index);
        worker.frames(Direction::ToBackend, 1, 2);
        worker.bytes(Direction::ToBackend, 10);
        worker.units(Direction::ToClient, UnitResult::Sealed, 1);
    }
    let flow = |name, rest| format!(r#"tidegate_{name}{{route="chat",direction={rest}}}"#);
    let frames = flow("frames_total", r#""to_backend",opcode="text""#);
    assert_value(&metrics, &frames, 4);
    assert_value(&metrics, &flow("bytes_total", r#""to_backend""#), 20);
    let sealed = flow("integrity_units_total", r#""to_client",result="sealed""#);
    assert_value(&metrics, &sealed, 2);
}

#[test]
fn a_reload_keeps_counts_and_tells_sockets_of_the_old_backend_apart() {
    let metrics = metrics();
    let old = chat(&metrics).upgraded();
    configure(&metrics, &[("chat", "two"), ("news", "two")]);
    let new = route_of(&metrics, "chat", "two").upgraded();
    assert_value(
        &metrics,
        r#"tidegate_websockets_open{route="chat",backend="one"}"#,
        1,
    );
    assert_value(
        &metrics,
        r#"tidegate_websockets_open{route="chat",backend="two"}"#,
        1,
    );
    assert_value(
        &metrics,
        r#"tidegate_upgrades_total{route="chat",result="ok"}"#,
        2,
    );
    assert_value(
        &metrics,
        r#"tidegate_upgrades_total{route="news",result="ok"}"#,
        0,
    );
    drop((old, new));
    configure(&metrics, &[("news", "two")]);
    assert_value(
        &metrics,
        r#"tidegate_upgrades_total{route="chat",result="ok"}"#,
        2,
    );
}

#[test]
fn sockets_of_routes_that_share_a_name_are_told_apart_by_their_backends() {
    let metrics = metrics();
    configure(&metrics, &[("/", "one"), ("/", "two")]);
    let _sockets = [
        route_of(&metrics, "/", "one").upgraded(),
        route_of(&metrics, "/", "one").upgraded(),
        route_of(&metrics, "/", "two").upgraded(),
    ];
    for (backend, open) in [("one", 2), ("two", 1)] {
        let series = format!(r#"tidegate_websockets_open{{route="/",backend="{backend}"}}"#);
        assert_value(&metrics, &series, open);
    }
}

#[test]
fn a_removed_server_raises_no_alarm_and_shows_what_is_still_open() {
    let metrics = metrics();
    let shown = |is_up, open| {
        let text = metrics.text(&[server(is_up, open)]).unwrap();
        let of = |name| format!(r#"tidegate_{name}{{backend="one",server="ws://127.0.0.1:9001"}}"#);
        ["backend_up", "backend_open"].map(|name| value_in(&text, &of(name)))
    };
    assert_eq!(shown(Some(false), 1), [Some(0.0), Some(1.0)]);
    assert_eq!(shown(None, 1), [None, Some(1.0)]);
    assert_eq!(shown(None, 0), [None, None]);
}

#[test]
fn sockets_of_a_removed_key_are_shown_until_they_end() {
    let metrics = metrics();
    let series = r#"tidegate_integrity_key_websockets_open{key="k1"}"#;
    let guard = metrics.integrity_key("k1").unwrap();
    metrics.set_integrity_keys(&["k2".to_owned()]);
    assert_value(&metrics, series, 1);
    drop(guard);
    metrics.set_integrity_keys(&["k2".to_owned()]);
    assert_eq!(value(&metrics, series), None);
}

#[test]
fn expiries_are_replaced_as_a_whole_and_the_first_of_a_file_counts() {
    let metrics = metrics();
    metrics.set_expiries(vec![expiry("old.pem", 9)]);
    metrics.set_expiries(vec![expiry("new.pem", 8), expiry("new.pem", 7)]);
    let of = |name| {
        format!(r#"tidegate_certificate_expire_timestamp_seconds{{kind="server",name="{name}"}}"#)
    };
    assert_eq!(value(&metrics, &of("old.pem")), None);
    assert_value(&metrics, &of("new.pem"), 7);
}

#[test]
fn last_reload_is_successful_unless_it_failed() {
    let metrics = metrics();
    for (result, expected) in [
        (ReloadResult::Ok, 1),
        (ReloadResult::Failed, 0),
        (ReloadResult::Unchanged, 1),
    ] {
        metrics.reload(Trigger::File, result);
        assert_value(&metrics, "tidegate_config_last_reload_successful", expected);
    }
}

#[test]
fn whole_process_figures_follow_what_is_told() {
    let metrics = metrics();
    metrics.published(3, UNIX_EPOCH + Duration::from_secs(1_000));
    metrics.reload(Trigger::File, ReloadResult::Failed);
    metrics.resumption(Resumption::Resumed);
    metrics.draining();
    metrics.refused_without_route(RequestEnding::NoRoute);
    metrics
        .shared
        .log_lines_dropped
        .fetch_add(5, Ordering::Relaxed);
    assert_value(&metrics, "tidegate_config_generation", 3);
    assert_value(&metrics, "tidegate_config_reload_timestamp_seconds", 1_000);
    assert_value(
        &metrics,
        r#"tidegate_reloads_total{trigger="file",result="failed"}"#,
        1,
    );
    assert_value(
        &metrics,
        r#"tidegate_resumptions_total{result="resumed"}"#,
        1,
    );
    assert_value(&metrics, "tidegate_draining", 1);
    assert_value(
        &metrics,
        r#"tidegate_upgrades_total{route="none",result="no_route"}"#,
        1,
    );
    assert_value(&metrics, "tidegate_log_lines_dropped_total", 5);
}

fn expiry(name: &str, unix: i64) -> Expiry {
    Expiry {
        kind: ExpiryKind::Server,
        name: name.to_owned(),
        unix,
    }
}
