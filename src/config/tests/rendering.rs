//! How problems look, and what becomes of texts that are no TOML.

use super::*;

#[test]
fn problems_are_rendered_with_caret_and_hint() {
    assert_eq!(
        rendered(
            "address = \"127.0.0.1:0\"",
            "adress = \"127.0.0.1:0\"\naddress = 8443"
        ),
        "\
proxy.toml:3:1: error: unknown key `adress` in [[listener]]
    3 | adress = \"127.0.0.1:0\"
      | ^^^^^^
      = hint: did you mean `address`?
proxy.toml:4:11: error: found an integer, expected a string such as \"0.0.0.0:8443\"
    4 | address = 8443
      |           ^^^^"
    );
}

#[test]
fn a_repeated_value_shows_both_places() {
    assert_eq!(
        rendered(
            "[tls]\n",
            "[[listener]]\naddress = \"127.0.0.1:7\"\n[[listener]]\nname = \"x\"\naddress = \"127.0.0.1:7\"\n[tls]\n"
        ),
        "\
proxy.toml:8:11: error: another listener has the address 127.0.0.1:7
    8 | address = \"127.0.0.1:7\"
      |           ^^^^^^^^^^^^^
    5 | address = \"127.0.0.1:7\"
      |           ^^^^^^^^^^^^^ first here
      = hint: give one of them another port"
    );
}

/// The problems of `LEAST` with one part replaced, as they are printed.
fn rendered(old: &str, new: &str) -> String {
    assert!(LEAST.contains(old), "{old}");
    Problems(problems(&LEAST.replace(old, new))).to_string()
}

#[test]
fn several_syntax_errors_come_at_once_without_what_follows_from_them() {
    let text = LEAST
        .replace("address = ", "address = 1.2.3 ")
        .replace("backend = ", "backend ");
    let problems = problems(&text);
    let lines: Vec<_> = problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [Some(3), Some(9)], "{}", Problems(problems));
}

#[test]
fn a_syntax_error_does_not_hide_other_mistakes() {
    let problems = problems(&LEAST.replace("[tls]", "[tls]\nmin_version = \"1.1\"\nkey"));
    let lines: Vec<_> = problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [Some(5), Some(6)], "{}", Problems(problems));
}

#[test]
fn a_repeated_key_is_shown_at_its_second_place() {
    assert_eq!(
        rendered("backend = \"b\"", "backend = \"b\"\nbackend = \"c\""),
        "\
proxy.toml:10:1: error: not valid TOML: duplicate key
   10 | backend = \"c\"
      | ^^^^^^^"
    );
}

#[test]
fn a_file_that_is_not_there_is_a_problem_without_a_place() {
    let problems = load(Path::new("/nonexistent/proxy.toml")).unwrap_err();
    let text = problems.to_string();
    let start = "/nonexistent/proxy.toml: error: cannot read";
    assert!(
        text.starts_with(start) && text.contains("--config"),
        "{text}"
    );
}

#[test]
fn a_key_given_as_a_configuration_is_told_and_not_shown() {
    let path = std::env::temp_dir().join(format!("tidegate-key-{}.pem", std::process::id()));
    std::fs::write(&path, "-----BEGIN PRIVATE KEY-----\nMHcCAQEE\n").unwrap();
    let text = load(&path).unwrap_err().to_string();
    std::fs::remove_file(&path).unwrap();
    assert!(
        text.contains("not a configuration") && text.contains("--config"),
        "{text}"
    );
    assert!(!text.contains("MHcCAQEE"), "{text}");
}

#[test]
fn a_file_without_end_is_not_read_as_a_configuration() {
    let text = load(Path::new("/dev/zero")).unwrap_err().to_string();
    assert!(text.contains("more than 67108864 bytes"), "{text}");
}

#[test]
fn bytes_that_are_no_text_are_shown_where_they_stand() {
    let error = String::from_utf8(b"# caf\xe9\n".to_vec()).unwrap_err();
    let problems = load::not_utf8("f", error.as_bytes(), &error.utf8_error());
    let text = problems.to_string();
    assert!(text.starts_with("f:1:6: error: not valid UTF-8"), "{text}");
}

/// Whatever is written, reading it ends, and a refusal says why.
#[test]
fn no_text_is_refused_without_an_error() {
    let cuts = (0..FULL.len()).filter_map(|cut| FULL.get(..cut));
    let holes = FULL.lines().map(|line| FULL.replacen(line, "", 1));
    let slips = [
        "[", "]", "\"", "=", "{", ".", "[[a]]\n", "\u{0}", "ö", "'''",
    ];
    let slips = slips.iter().flat_map(|slip| {
        let places = (0..FULL.len()).step_by(3);
        places.map(move |at| format!("{}{slip}{}", &FULL[..at], &FULL[at..]))
    });
    for text in cuts.map(str::to_owned).chain(holes).chain(slips) {
        if let Err(Problems(problems)) = read(&text) {
            let mut problems = problems.iter();
            assert!(
                problems.any(|problem| problem.severity == Severity::Error),
                "{text}"
            );
        }
    }
}

#[test]
fn later_steps_point_at_the_value_that_named_what_they_read() {
    let source = loaded(FULL).source;
    let key = Path::new("/etc/tidegate/certs/server.key");
    let problem = source.diagnose_path(key, "belongs to another certificate", "make one");
    let text = problem.to_string();
    let start = "proxy.toml:15:53: error: belongs to another certificate\n";
    assert!(
        text.starts_with(start) && text.ends_with("= hint: make one"),
        "{text}"
    );
    let problem = source.diagnose_route(0, "m", "").to_string();
    assert!(problem.contains("[[route]]"), "{problem}");
    assert_eq!(source.diagnose_route(9, "m", "").line, None);
}

#[test]
fn every_file_that_is_named_is_listed() {
    let source = loaded(FULL).source;
    let names: Vec<_> = source.paths().filter_map(Path::file_name).collect();
    let tls = [
        "server.pem",
        "server.key",
        "tickets.txt",
        "ca.pem",
        "ca.crl",
    ];
    assert_eq!(names, [&tls[..], &["keyring.toml", "token"]].concat());
}

#[test]
fn control_characters_of_a_name_do_not_reach_the_terminal() {
    let text = LEAST.replace("[tls]", "[tls]\n\"\\u001b[2Jkey\" = 1");
    let shown = Problems(problems(&text)).to_string();
    assert!(shown.contains("unknown key `\u{fffd}[2Jkey`"), "{shown}");
}
