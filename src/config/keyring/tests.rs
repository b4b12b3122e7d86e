use super::*;
use crate::integrity::keyring::{KeyKind, KeyState};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

const FULL: &str = r#"
[[key]]
kid = "edge-2026-11"
kind = "secret"
secret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
state = "retiring"
not_before = 2026-11-01T00:00:00Z
not_after = 2026-12-01 01:00:00.5+01:00

[[key]]
kid = "browser"
kind = "x25519"
private = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
"#;

fn keyring(text: &str) -> Keyring {
    parse_keyring("keyring.toml", text).unwrap_or_else(|problems| panic!("{}", shown(&problems)))
}

fn problems(text: &str) -> Vec<Diagnostic> {
    parse_keyring("keyring.toml", text).expect_err("the text has problems")
}

fn shown(problems: &[Diagnostic]) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// The only problem of `FULL` with one part replaced, as it is printed.
fn rendered(old: &str, new: &str) -> String {
    assert!(FULL.contains(old), "{old}");
    shown(&problems(&FULL.replacen(old, new, 1)))
}

#[test]
fn every_value_is_what_the_file_says() {
    let keyring = keyring(FULL);
    let edge = keyring.key("edge-2026-11").unwrap();
    assert_eq!(edge.material.kind(), KeyKind::Secret);
    assert_eq!(edge.material.to_text().as_str(), SECRET);
    assert_eq!(edge.state, KeyState::Retiring);
    assert_eq!(edge.validity.not_before(), Some(1_793_491_200));
    assert_eq!(edge.validity.not_after(), Some(1_796_083_200));
    let browser = keyring.key("browser").unwrap();
    assert!(browser.material.public_key().is_some());
    assert_eq!(browser.state, KeyState::Active);
    assert_eq!(browser.validity.not_before(), None);
    assert_eq!(keyring.iter().count(), 2);
}

#[test]
fn an_empty_file_is_an_empty_keyring() {
    assert_eq!(keyring("# nothing yet\n").iter().count(), 0);
}

#[test]
fn a_problem_is_shown_in_place_and_the_secret_is_covered() {
    let text = rendered(SECRET, &format!("{SECRET}="));
    assert_eq!(
        text,
        format!(
            "\
keyring.toml:5:10: error: the secret is not base64url
    5 | secret = {}
      |          {}
      = hint: write it with A-Z a-z 0-9 - _ and without padding `=`",
            "*".repeat(46),
            "^".repeat(46)
        )
    );
    assert_eq!(
        rendered("state =", "stat ="),
        "\
keyring.toml:6:1: error: unknown key `stat` in [[key]]
    6 | stat = **********
      | ^^^^
      = hint: did you mean `state`?"
    );
}

#[test]
fn all_problems_come_at_once() {
    let text = FULL
        .replace("edge-2026-11", "edge 2026")
        .replace("\"retiring\"", "\"retired\"")
        .replace("00:00:00Z", "00:00:00")
        .replace("kind = \"x25519\"", "kind = \"ed25519\"");
    let lines: Vec<_> = problems(&text).iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [Some(3), Some(6), Some(7), Some(12)]);
}

#[test]
fn a_key_has_what_its_kind_needs_and_nothing_else() {
    let text = rendered("kind = \"x25519\"", "kind = \"secret\"");
    assert!(text.contains("missing key `secret` in [[key]]"), "{text}");
    assert!(
        text.contains("a key of kind \"secret\" has no `private`"),
        "{text}"
    );
    let text = rendered("kind = \"secret\"\n", "");
    assert!(text.contains("missing key `kind` in [[key]]"), "{text}");
}

#[test]
fn two_keys_with_one_kid_are_refused_and_both_places_shown() {
    let text = rendered("\"browser\"", "\"edge-2026-11\"");
    assert!(text.starts_with("keyring.toml:11:7: error: another key has the kid \"edge-2026-11\""));
    assert!(text.contains("    3 | kid = \"edge-2026-11\""), "{text}");
}

#[test]
fn times_without_an_offset_and_empty_validities_are_refused() {
    for time in ["2026-11-01", "00:00:00", "2026-11-01T00:00:00"] {
        let text = rendered("2026-11-01T00:00:00Z", time);
        assert!(text.contains("keyring.toml:7:14: error: not a date and time with an offset"));
    }
    let text = rendered("2026-11-01T00:00:00Z", "\"2026-11-01T00:00:00Z\"");
    assert!(text.contains("found a string, expected a date and time"));
    let text = rendered("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
    assert!(
        text.contains("keyring.toml:8:13: error: not_after"),
        "{text}"
    );
}

/// However the text is cut, torn or mistyped, no six characters of the secret are seen together.
#[test]
fn no_problem_shows_a_part_of_a_secret() {
    let cuts = (0..FULL.len()).map(|cut| FULL[..cut].to_owned());
    let holes = (0..FULL.len()).map(|at| format!("{}{}", &FULL[..at], &FULL[at + 1..]));
    let slips = [
        "[", "]", "\"", "\n", "=", "{", ".", "#", ",", "\r\n", "\u{0}", "\u{f6}", "'''", "\"\"\"",
        " ", "\\u",
    ];
    let slips = slips.iter().flat_map(|slip| {
        (0..FULL.len()).map(move |at| format!("{}{slip}{}", &FULL[..at], &FULL[at..]))
    });
    let unquoted = FULL.replace('"', "");
    for text in cuts.chain(holes).chain(slips).chain([unquoted]) {
        let Err(problems) = parse_keyring("f", &text) else {
            continue;
        };
        assert!(!problems.is_empty());
        let shown = format!("{}{problems:?}", shown(&problems));
        let parts = SECRET.as_bytes().windows(6);
        let mut parts = parts.map(|part| std::str::from_utf8(part).unwrap());
        assert!(parts.all(|part| !shown.contains(part)), "{text}\n{shown}");
    }
}

struct TestFile(PathBuf);

impl TestFile {
    fn new(name: &str, content: &[u8], mode: u32) -> Self {
        let name = format!("tidegate-keyring-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Self(path)
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

#[test]
fn a_file_that_others_may_read_is_refused() {
    let file = TestFile::new("readable", FULL.as_bytes(), 0o640);
    let text = shown(&load_keyring(&file.0).unwrap_err());
    assert!(text.contains("mode 0640"), "{text}");
    assert!(
        text.contains("chmod 600") && !text.contains("allow_readable"),
        "{text}"
    );
    let file = TestFile::new("owned", FULL.as_bytes(), 0o600);
    assert_eq!(load_keyring(&file.0).unwrap().iter().count(), 2);
}

#[test]
fn a_file_that_is_not_there_is_made_by_keys_generate() {
    let text = shown(&load_keyring(Path::new("/nonexistent/keyring.toml")).unwrap_err());
    assert!(text.starts_with("/nonexistent/keyring.toml: error: cannot be read"));
    assert!(text.contains("tidegate keys generate"), "{text}");
}

#[test]
fn bytes_that_are_no_text_are_shown_where_they_stand_without_the_secret() {
    let mut content = FULL.replace("state", "st\u{7f}te").into_bytes();
    let at = content.iter().position(|byte| *byte == 0x7f).unwrap();
    content[at] = 0xff;
    let file = TestFile::new("bytes", &content, 0o600);
    let problems = load_keyring(&file.0).unwrap_err();
    assert_eq!((problems[0].line, problems[0].column), (Some(6), Some(3)));
    assert!(!format!("{problems:?}").contains(SECRET));
}
