//! The commands, run as an operator runs them: what goes where, and how they exit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails where it finds something else than it looks for"
)]

use serde_json::Value;
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// A configuration without an admin listener, on the credentials of `certs init`.
const CONFIGURATION: &str = r#"
[[listener]]
address = "127.0.0.1:0"
[tls]
certificates = [{ chain = "certs/server.pem", key = "certs/server.key" }]
[tls.clients]
ca = ["certs/ca.pem"]
[[route]]
backend = "b"
[backend.b]
servers = ["ws://127.0.0.1:9"]
"#;

/// A folder with credentials and a configuration.
struct Folder(PathBuf);

/// How a command ended.
#[derive(Debug)]
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Folder {
    fn new(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("proxy.toml"), CONFIGURATION).unwrap();
        let folder = Self(path);
        assert_eq!(folder.run("certs init").code, 0);
        folder
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.current_dir(&self.0).args(line.split_whitespace());
        command.env_remove("TIDEGATE_LOG").stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Run {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command(line).output().unwrap();
        Run {
            code: status.code().unwrap(),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }
}

#[test]
fn bad_usage_and_configuration_exit_with_2_and_print_errors_alone() {
    let folder = Folder::new("commands-usage");
    for (line, part) in [
        ("nonsense", "unrecognized subcommand"),
        ("check --config none.toml", "none.toml: error: cannot read"),
        ("run --config certs", "give the path of a configuration"),
        ("run --config certs/server.key", "not a configuration"),
        ("certs init", "are there already"),
        ("certs issue client --name client", "are there already"),
        ("certs show none.pem", "cannot read none.pem"),
        ("certs show proxy.toml", "neither a certificate"),
        ("certs revoke --days 5", "--refresh"),
        ("certs revoke --serial 1 --dir none", "certs init"),
        ("keys list --keyring none.toml", "keys generate"),
        ("keys retire none", "has no key none"),
        ("connect https://localhost/", "wss://"),
        ("connect wss://localhost/ --ca none.pem", "none.pem"),
        ("explain --host h --cert none.pem", "check the path"),
        ("explain --host h --listener none", "no listener \"none\""),
        ("status", "proxy.toml has no [admin] table"),
        ("status --config none.toml", "none.toml cannot be read"),
        ("status --admin 9090", "127.0.0.1:9090"),
        ("drain --admin 127.0.0.1:9 --token-file none", "none"),
        ("close", "<ID>"),
    ] {
        let run = folder.run(line);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{line}: {run:?}");
        assert!(run.stderr.contains(part), "{line}: {run:?}");
    }
}

#[test]
fn key_that_is_missing_is_not_called_readable_by_others() {
    let folder = Folder::new("commands-missing");
    fs::remove_file(folder.0.join("certs/server.key")).unwrap();
    let run = folder.run("check");
    assert!(run.stderr.contains("cannot be read"), "{run:?}");
    assert!(!run.stderr.contains("allow_readable_keys"), "{run:?}");
}

#[test]
fn what_is_asked_for_as_json_is_json_however_it_ends() {
    let folder = Folder::new("commands-json");
    fs::write(folder.0.join("bad.toml"), "[limits]\nmessage = 1").unwrap();
    for (line, code) in [
        ("check --json", 0),
        ("check --json --config bad.toml", 2),
        ("check --json --config none.toml", 2),
        ("explain --json --host h", 1),
        ("explain --json --host h --cert certs/client.pem", 0),
        ("certs show --json certs/ca.crl certs/server.pem", 0),
        ("keys list --json", 0),
    ] {
        let run = folder.run(line);
        assert_eq!((run.code, run.stderr.as_str()), (code, ""), "{line}");
        let document: Result<Value, _> = serde_json::from_str(&run.stdout);
        assert!(document.is_ok(), "{line}: {run:?}");
    }
}

#[test]
fn reader_who_has_seen_enough_is_no_failure() {
    let folder = Folder::new("commands-pipe");
    for line in [
        "check",
        "check --json",
        "certs show certs/ca.pem",
        "keys list",
        "explain --host h --cert certs/client.pem",
    ] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let output = folder.command(line).stdout(writer).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), stderr.as_str()),
            (Some(0), ""),
            "{line}"
        );
    }
}

#[test]
fn certificate_that_is_not_made_for_servers_is_warned_of() {
    let folder = Folder::new("commands-purpose");
    assert_eq!(folder.run("check").stderr, "");
    let text = CONFIGURATION.replace("certs/server.", "certs/client.");
    fs::write(folder.0.join("proxy.toml"), text).unwrap();
    let run = folder.run("check");
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.ends_with("\nproxy.toml: ok\n"), "{run:?}");
    let warning =
        "proxy.toml:5:27: warning: certs/client.pem: the certificate is not made for servers";
    assert!(run.stderr.starts_with(warning), "{run:?}");
}

#[test]
fn check_says_how_much_each_file_gave() {
    let folder = Folder::new("commands-counts");
    let path = |name: &str| folder.0.join("certs").join(name);
    let list = fs::read_to_string(path("ca.crl")).unwrap();
    // As `cat` joins files whose last line does not end.
    let twice = [list.trim_end(), list.trim_end()].concat();
    fs::write(path("ca.crl"), twice).unwrap();
    let text = CONFIGURATION.replace("ca = [", "crl = [\"certs/ca.crl\"]\nca = [");
    assert_ne!(text, CONFIGURATION);
    fs::write(folder.0.join("proxy.toml"), text).unwrap();
    let run = folder.run("check");
    let expected = "certs/server.pem: 1 certificate\ncerts/ca.pem: 1 CA\n\
         certs/ca.crl: 2 revocation lists\nproxy.toml: ok\n";
    assert_eq!((run.code, run.stdout.as_str()), (0, expected), "{run:?}");
}
