//! What is wrong between values, each of which is right.

use super::*;

const LISTENER: &str = "[[listener]]\naddress = \"127.0.0.1:0\"";

/// `LEAST` with one part replaced.
fn changed(old: &str, new: &str) -> String {
    assert!(LEAST.contains(old), "{old}");
    LEAST.replace(old, new)
}

/// Asserts that a text has exactly this one error, at this line.
fn assert_error(text: &str, line: usize, message: &str) {
    assert_only(&problems(text), Severity::Error, line, message);
}

/// Asserts that a text is accepted with exactly this one warning, at this line.
fn assert_warning(text: &str, line: usize, message: &str) {
    assert_only(&loaded(text).warnings, Severity::Warning, line, message);
}

fn assert_only(problems: &[Diagnostic], severity: Severity, line: usize, message: &str) {
    let all = Problems(problems.to_vec());
    let [problem] = problems else {
        panic!("{} problems:\n{all}", problems.len());
    };
    assert_eq!(
        (problem.severity, problem.line),
        (severity, Some(line)),
        "{all}"
    );
    assert!(problem.message.contains(message), "{all}");
}

fn assert_clean(text: &str) {
    assert_eq!(loaded(text).warnings, []);
}

#[test]
fn port_zero_may_repeat() {
    let two = format!("{LISTENER}\nname = \"a\"\n{LISTENER}\nname = \"b\"");
    assert_clean(&changed(LISTENER, &two));
}

#[test]
fn listeners_of_the_same_name_are_refused() {
    let two = format!("{LISTENER}\nname = \"a\"\n{LISTENER}\nname = \"a\"");
    assert_error(
        &changed(LISTENER, &two),
        7,
        "another listener has the name `a`",
    );
}

#[test]
fn listeners_that_share_a_default_name_are_warned_of() {
    let two = format!("{LISTENER}\n{LISTENER}");
    assert_warning(&changed(LISTENER, &two), 4, "share the name `127.0.0.1:0`");
}

#[test]
fn routes_of_the_same_host_and_path_are_refused_at_both_places() {
    let first = "name = \"1\"\npath = \"/x\"\nhost = [\"a.b\"]\nbackend = \"b\"\n";
    let second = "name = \"2\"\npath = \"/x\"\nhost = [\"c.d\", \"A.B\"]\nbackend = \"b\"";
    let text = changed("backend = \"b\"", &format!("{first}[[route]]\n{second}"));
    assert_error(&text, 16, "host `a.b` with path `/x` is routed already");
    let text = Problems(problems(&text)).to_string();
    let both = "   11 | host = [\"a.b\"]\n      |         ^^^^^ first here";
    assert!(text.contains(both), "{text}");
}

#[test]
fn routes_that_differ_in_host_or_path_are_no_repetition() {
    let first = "name = \"1\"\nhost = [\"a.b\"]\nbackend = \"b\"\n";
    let second = "name = \"2\"\nbackend = \"b\"\n";
    let third = "name = \"3\"\npath = \"/x\"\nbackend = \"b\"";
    let routes = [first, second, third].join("[[route]]\n");
    assert_clean(&changed("backend = \"b\"", &routes));
}

#[test]
fn routes_of_the_same_name_are_refused() {
    let first = "name = \"a\"\nbackend = \"b\"\n";
    let second = "name = \"a\"\npath = \"/x\"\nbackend = \"b\"";
    let text = changed("backend = \"b\"", &format!("{first}[[route]]\n{second}"));
    assert_error(&text, 12, "another route has the name `a`");
}

#[test]
fn an_unknown_backend_is_refused_with_the_likely_one() {
    let second = "[[route]]\npath = \"/c\"\nbackend = \"chta\"\n";
    let third = "[[route]]\npath = \"/d\"\nbackend = \"chat\"\n";
    let text = format!("{LEAST}{second}{third}[backend.chat]\nservers = [\"unix:s\"]");
    assert_error(&text, 14, "unknown backend `chta`");
    let hint = problems(&text).pop().and_then(|problem| problem.hint);
    assert_eq!(hint.as_deref(), Some("did you mean `chat`?"));
}

#[test]
fn a_broken_backend_is_not_called_unknown() {
    let text = changed("\"ws://127.0.0.1:9001\"", "\"ftp://h\"");
    assert_error(&text, 11, "neither ws:// nor unix:");
}

#[test]
fn a_backend_without_servers_is_refused() {
    let text = changed("[\"ws://127.0.0.1:9001\"]", "[]");
    assert_error(&text, 11, "has no servers");
}

#[test]
fn a_backend_without_a_name_is_told_that_it_needs_one() {
    for nameless in ["[[backend]]\nname = \"b\"\n", "[backend]\n"] {
        let text = changed("[backend.b]\n", nameless);
        let problems = problems(&text);
        let found = |problem: &Diagnostic| {
            problem
                .message
                .ends_with("expected a table, [backend.NAME]")
        };
        assert!(problems.iter().any(found), "{}", Problems(problems));
    }
}

#[test]
fn an_unused_backend_is_warned_of() {
    let text = format!("{LEAST}[backend.c]\nservers = [\"unix:s\"]");
    assert_warning(&text, 12, "no route uses the backend `c`");
}

#[test]
fn an_empty_file_lacks_listeners_routes_certificates_and_cas() {
    let problems = problems("");
    let all = Problems(problems.clone()).to_string();
    for part in [
        "no [[listener]]",
        "no [[route]]",
        "no server certificate",
        "names no CA",
    ] {
        assert!(all.contains(part), "{all}");
    }
    assert_eq!(problems.len(), 4, "{all}");
}

#[test]
fn whoever_asks_for_certificates_needs_a_ca() {
    let without = |more: &str| changed("ca = [\"ca.pem\"]", more);
    assert_error(&without(""), 6, "names no CA");
    assert_error(&without("mode = \"optional\""), 7, "names no CA");
    let off = without("mode = \"off\"");
    assert_clean(&off);
    let listener = format!("{LISTENER}\nclient_cert = \"optional\"");
    let text = off.replace(LISTENER, &listener);
    assert_error(&text, 4, "the listener asks for client certificates");
    let route = "[[route]]\nclient_cert = \"required\"";
    let text = off.replace("[[route]]", route);
    assert_error(&text, 9, "the route asks for client certificates");
    let listener = format!("{LISTENER}\nclient_cert = \"off\"");
    assert_clean(&without("").replace(LISTENER, &listener));
}

#[test]
fn lists_of_certificates_on_a_route_without_any_are_refused() {
    for key in ["allow", "deny"] {
        let message = format!("`{key}` can match nothing");
        let list = format!("[[route]]\n{key} = [\"cn:a\"]");
        let text = changed("[[route]]", &format!("{list}\nclient_cert = \"off\""));
        assert_error(&text, 9, &message);
        let text = changed("[[route]]", &list);
        assert_clean(&text);
        let off = text.replace("ca = ", "mode = \"off\"\nca = ");
        assert_error(&off, 10, &message);
    }
}

#[test]
fn a_drain_spread_beyond_its_timeout_is_refused() {
    let text = format!("{LEAST}[server]\ndrain_spread = \"30s\"");
    assert_error(
        &text,
        13,
        "drain_spread (30s) is longer than drain_timeout (25s)",
    );
}

#[test]
fn a_short_drain_timeout_shortens_the_default_spread() {
    let settings = loaded(&format!("{LEAST}[server]\ndrain_timeout = \"3s\"")).settings;
    assert_eq!(settings.server.drain_spread, seconds(3));
}

#[test]
fn limits_of_zero_are_refused() {
    let zeros = [
        "connections = 0",
        "handshakes = 0",
        "message = \"0B\"",
        "frame = \"0KiB\"",
    ];
    for line in zeros {
        assert_error(&format!("{LEAST}[limits]\n{line}"), 13, "a limit of zero");
    }
}

#[test]
fn counts_that_are_negative_or_too_large_are_refused() {
    for number in ["-1", "99999999999999999999", "0xFFFFFFFFFF"] {
        let text = format!("{LEAST}[limits]\nconnections = {number}");
        assert_error(&text, 13, "the number is");
    }
}

#[test]
fn a_frame_limit_beyond_the_message_limit_is_warned_of() {
    for line in ["frame = \"17MiB\"", "message = \"1MiB\""] {
        let text = format!("{LEAST}[limits]\n{line}");
        assert_warning(&text, 13, "larger than limits.message");
    }
}

#[test]
fn integrity_that_needs_keys_needs_a_keyring() {
    let required = "[[route]]\nintegrity = \"required\"";
    assert_error(&changed("[[route]]", required), 9, "there is no keyring");
    let with = |algorithm: &str| {
        let list = format!("integrity_algorithms = [\"{algorithm}\"]");
        changed("[[route]]", &format!("{required}\n{list}"))
    };
    assert_clean(&with("sha-256"));
    let keyed = with("hmac-sha-256");
    assert_error(&keyed, 9, "there is no keyring");
    assert_clean(&format!("{keyed}[integrity]\nkeyring = \"k\""));
}

#[test]
fn an_empty_list_of_algorithms_is_refused() {
    let text = changed("[[route]]", "[[route]]\nintegrity_algorithms = []");
    assert_error(&text, 9, "no algorithm is allowed");
}

#[test]
fn a_list_that_says_who_may_come_in_is_never_empty() {
    for (key, hint) in [
        ("allow", "leave the key out to admit every verified client"),
        ("host", "leave the key out to serve every host"),
        (
            "origins",
            "leave the key out if the Origin is not to be looked at",
        ),
    ] {
        let text = changed("[[route]]", &format!("[[route]]\n{key} = []"));
        assert_error(&text, 9, &format!("`{key}` is an empty list"));
        let said = problems(&text)[0].hint.clone().unwrap();
        assert!(said.starts_with(hint), "{said}");
    }
}

#[test]
fn an_empty_list_that_refuses_nobody_is_warned_of() {
    let deny = changed("[[route]]", "[[route]]\ndeny = []");
    assert_warning(&deny, 9, "it refuses nobody");
    let crl = changed("[[route]]", "crl = []\n[[route]]");
    assert_warning(&crl, 8, "no certificate is checked for revocation");
}

#[test]
fn blank_values_name_nothing_and_are_refused() {
    for line in [
        "allow = [\"\"]",
        "allow = [\"cn: \"]",
        "allow = [\"cn:\"]",
        "allow = [\"dns:\"]",
        "allow = [\"uri:\"]",
        "allow = [\"email:\"]",
        "allow = [\"sha256:\"]",
        "deny = [\" \"]",
        "host = [\"\"]",
        "host = [\" \"]",
        "origins = [\"\"]",
        "path = \"\"",
        "name = \"\"",
        "name = \" \"",
    ] {
        let found = problems(&changed("[[route]]", &format!("[[route]]\n{line}")));
        assert!(
            found.iter().all(|problem| problem.line == Some(9)),
            "{line}"
        );
        assert_eq!(found.len(), 1, "{line}: {}", Problems(found.clone()));
    }
}

#[test]
fn a_pattern_that_would_match_everything_is_refused() {
    for line in [
        "allow = [\"*\"]",
        "allow = [\"cn:*\"]",
        "allow = [\"dns:*\"]",
        "allow = [\"uri:*\"]",
        "allow = [\"email:*@*\"]",
        "host = [\"*\"]",
        "origins = [\"*\"]",
    ] {
        let found = problems(&changed("[[route]]", &format!("[[route]]\n{line}")));
        assert_eq!(found.len(), 1, "{line}: {}", Problems(found.clone()));
    }
}

#[test]
fn a_ping_that_comes_after_the_idle_timeout_is_warned_of() {
    let text = format!("{LEAST}[timeouts]\nidle = \"20s\"");
    assert_warning(&text, 13, "is not shorter than timeouts.idle");
    assert_clean(&format!("{text}\nping = \"0s\""));
}

#[test]
fn a_backend_that_is_the_proxy_itself_is_warned_of() {
    let listener = LEAST.replace("127.0.0.1:0", "0.0.0.0:9001");
    assert_warning(&listener, 11, "this server is the proxy itself");
    let admin = format!("{LEAST}[admin]\naddress = \"127.0.0.1:9001\"");
    assert_warning(&admin, 11, "the admin listener has the address");
}

#[test]
fn hash_on_needs_balance_hash() {
    assert_error(
        &format!("{LEAST}hash_on = \"ip\""),
        12,
        "`hash_on` has no effect",
    );
}

#[test]
fn a_server_listed_twice_is_warned_of() {
    let text = changed("\"ws://127.0.0.1:9001\"", "\"ws://h\", \"ws://h:80/\"");
    assert_warning(&text, 11, "listed twice");
}

#[test]
fn an_admin_listener_for_everyone_without_a_token_is_warned_of() {
    let admin = format!("{LEAST}[admin]\naddress = \"0.0.0.0:9090\"");
    assert_warning(&admin, 13, "reachable from other machines");
    assert_clean(&format!("{admin}\ntoken_file = \"t\""));
}

#[test]
fn an_admin_listener_on_the_address_of_a_listener_is_refused() {
    let text = LEAST.replace("127.0.0.1:0", "127.0.0.1:9090");
    let text = format!("{text}[admin]\naddress = \"127.0.0.1:9090\"");
    assert_error(&text, 13, "both have the address");
    let text = text.replace("127.0.0.1:9090\"\n", "0.0.0.0:9090\"\n");
    assert_error(&text, 13, "get in each other's way");
}

#[test]
fn websockets_over_http_2_are_refused_by_name() {
    let listener = |list: &str| changed(LISTENER, &format!("{LISTENER}\nprotocols = {list}"));
    let text = listener("[\"http/1.1\", \"h2\"]");
    assert_error(&text, 4, "not available in this version");
    assert_error(&listener("[\"h3\"]"), 4, "is not one of http/1.1");
    assert_error(&listener("[]"), 4, "serves nobody");
}

#[test]
fn values_of_another_type_are_refused_with_what_was_expected() {
    let text = changed("[\"ca.pem\"]", "\"ca.pem\"");
    assert_error(&text, 7, "found a string, expected a list");
    let text = format!("limits = 3\n{LEAST}");
    assert_error(&text, 1, "found an integer, expected a table, [limits]");
    let text = changed("[[route]]", "[route]");
    assert_error(
        &text,
        8,
        "found a table, expected an array of tables, [[route]]",
    );
    let text = changed("[tls]", "[tls]\nmin_version = 1.2");
    assert_error(&text, 5, "found a float, expected a string");
    let text = changed("[tls]", "[tls]\nallow_readable_keys = \"no\"");
    assert_error(&text, 5, "expected true or false");
}

#[test]
fn plain_requests_on_a_route_that_requires_integrity_are_refused() {
    let route = "backend = \"b\"\nintegrity = \"required\"\nintegrity_algorithms = [\"sha-256\"]";
    assert_clean(&changed("backend = \"b\"", route));
    let all = format!("{route}\nrequests = \"all\"");
    let text = changed("backend = \"b\"", &all);
    let line = text.lines().position(|line| line.starts_with("requests"));
    assert_error(&text, line.unwrap() + 1, "has no frames to seal");
}

#[test]
fn a_listener_without_tls_redirects_to_one_with_it_and_does_nothing_else() {
    let plain = "[[listener]]\naddress = \"127.0.0.1:0\"\nname = \"plain\"\ntls = false";
    let redirect = "redirect = \"https\"";
    let beside = |lines: &str| changed(LISTENER, &format!("{lines}\n{LISTENER}"));
    assert_clean(&beside(&format!("{plain}\n{redirect}")));
    assert_error(&beside(plain), 5, "without TLS serves no requests");
    let asks = format!("{plain}\n{redirect}\nclient_cert = \"off\"");
    assert_error(&beside(&asks), 7, "sees no client certificate");
    let alone = changed(LISTENER, &format!("{plain}\n{redirect}"));
    assert_error(&alone, 2, "sends its clients nowhere");
    let with_tls = changed(LISTENER, &format!("{LISTENER}\n{redirect}"));
    assert_error(&with_tls, 4, "has no effect on a listener with TLS");
}

#[test]
fn a_route_cannot_change_fields_that_frame_or_identify() {
    for (name, message) in [
        ("Content-Length", "concerns one hop alone"),
        ("X-Forwarded-For", "the proxy sets it itself"),
        ("Sec-WebSocket-Key", "belongs to the WebSocket handshake"),
        ("X Y", "is not the name of a header field"),
    ] {
        let edits = format!("backend = \"b\"\nrequest_headers = {{ remove = [\"{name}\"] }}");
        let text = changed("backend = \"b\"", &edits);
        let line = text
            .lines()
            .position(|line| line.starts_with("request_headers"));
        assert_error(&text, line.unwrap() + 1, message);
    }
}
