//! `tidegate demo`, run as a newcomer runs it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails where it finds something else than it looks for"
)]

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

const PROOFS: [&str; 11] = [
    "TLS ends at the proxy",
    "the backend is told who the client is",
    "a client cannot tell it otherwise",
    "text and binary arrive unchanged",
    "a client without a certificate is refused",
    "a certificate of another CA is refused",
    "plain HTTP is turned away",
    "sealed frames, and a forger refused",
    "a new certificate, and no socket lost",
    "Close 1000 reaches both ends",
    "the metrics agree",
];
const ROTATION: &str = "a new certificate, and no socket lost";

/// An empty folder of its own for each test.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The configuration of the repository on ports that are free, with a backend on a Unix socket.
fn configuration(listener: &str) -> String {
    let text = include_str!("../proxy.toml");
    let text = text.replace("127.0.0.1:8443", listener);
    let text = text.replace("127.0.0.1:9090", "127.0.0.1:0");
    let text = text.replace("\"ws://127.0.0.1:9001\"", "\"unix:echo.sock\"");
    assert!(text.contains("unix:echo.sock") && text.contains(listener));
    text
}

fn tidegate(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.current_dir(folder).args(arguments);
    command.env_remove("TIDEGATE_LOG").env("TMPDIR", folder);
    command
}

fn demo(folder: &Path) -> (i32, String, String) {
    let output = tidegate(folder, &["demo", "--once"]).output().unwrap();
    let Output { stdout, stderr, .. } = &output;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(stdout), text(stderr))
}

fn told(stdout: &str, verdict: &str, proof: &str) -> bool {
    stdout.contains(&format!("\n{verdict:10}{proof}\n"))
}

#[test]
fn demo_proves_everything_and_does_it_again() {
    let folder = folder("demo-proves");
    fs::write(folder.join("proxy.toml"), configuration("127.0.0.1:0")).unwrap();
    for origin in ["made just now", "made by an earlier demo"] {
        let (code, stdout, stderr) = demo(&folder);
        assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
        assert!(stdout.contains(origin), "{stdout}");
        for proof in PROOFS {
            assert!(told(&stdout, "proved", proof), "{proof}: {stdout}");
        }
        assert!(stdout.ends_with("\nEverything was as it should be.\n"));
        assert!(stdout.lines().all(|line| line.chars().count() <= 80));
        assert!(!stdout.contains('\x1b'));
        assert!(!folder.join("echo.sock").exists());
    }
}

#[test]
fn demo_exits_with_1_when_a_proof_fails() {
    let folder = folder("demo-fails");
    let open = configuration("127.0.0.1:0").replace("mode = \"required\"", "mode = \"optional\"");
    fs::write(folder.join("proxy.toml"), open).unwrap();
    let (code, stdout, _) = demo(&folder);
    assert_eq!(code, 1, "{stdout}");
    let refused = "a client without a certificate is refused";
    assert!(told(&stdout, "FAILED", refused), "{stdout}");
    assert!(stdout.contains("it was let in"), "{stdout}");
    assert!(told(&stdout, "proved", ROTATION), "{stdout}");
}

#[test]
fn demo_says_which_address_is_taken() {
    let folder = folder("demo-taken");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    fs::write(folder.join("proxy.toml"), configuration(&address)).unwrap();
    let (code, stdout, stderr) = demo(&folder);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains(&address), "{stderr}");
    assert!(stderr.contains("another process listens there"), "{stderr}");

    let backend =
        configuration("127.0.0.1:0").replace("unix:echo.sock", &format!("ws://{address}"));
    fs::write(folder.join("proxy.toml"), backend).unwrap();
    let (code, stdout, stderr) = demo(&folder);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains(&format!("ws://{address}")), "{stderr}");
}

#[test]
fn demo_leaves_credentials_of_others_as_they_are() {
    let folder = folder("demo-others");
    fs::write(folder.join("proxy.toml"), configuration("127.0.0.1:0")).unwrap();
    let init = tidegate(&folder, &["certs", "init"]).output().unwrap();
    assert!(init.status.success());
    let before = contents(&folder.join("certs"));
    let (code, stdout, _) = demo(&folder);
    assert_eq!(code, 0, "{stdout}");
    assert!(told(&stdout, "left out", ROTATION), "{stdout}");
    assert_eq!(contents(&folder.join("certs")), before);
}

#[test]
fn demo_overwrites_nothing_where_credentials_are_incomplete() {
    let folder = folder("demo-incomplete");
    fs::write(folder.join("proxy.toml"), configuration("127.0.0.1:0")).unwrap();
    let init = tidegate(&folder, &["certs", "init"]).output().unwrap();
    assert!(init.status.success());
    fs::remove_file(folder.join("certs/client.key")).unwrap();
    let before = contents(&folder.join("certs"));
    let (code, _, stderr) = demo(&folder);
    assert_eq!(code, 1);
    assert!(stderr.contains("certs/client.key is missing"), "{stderr}");
    assert_eq!(contents(&folder.join("certs")), before);
}

/// The ports of the built-in configuration may be taken here; what counts is what is left behind.
#[test]
fn demo_without_a_configuration_leaves_nothing_behind() {
    let folder = folder("demo-nothing");
    let (code, stdout, stderr) = demo(&folder);
    match code {
        0 => assert!(stdout.contains("no proxy.toml in this folder"), "{stdout}"),
        _ => assert!(stderr.contains("in use"), "{stdout}{stderr}"),
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn demo_goes_on_with_lines_to_paste_until_it_is_told_to_end() {
    let folder = folder("demo-goes-on");
    fs::write(folder.join("proxy.toml"), configuration("127.0.0.1:0")).unwrap();
    let mut command = tidegate(&folder, &["demo"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut story = String::new();
    for line in lines.map(Result::unwrap) {
        story = story + &line + "\n";
        if line == "Ctrl-C ends the demo." {
            let kill = ["-TERM", &child.id().to_string()];
            assert!(Command::new("kill").args(kill).status().unwrap().success());
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(0), "{story}");
    let pasted = command_after(&story, " connect wss://");
    let invitation = [" connect wss://localhost:", "curl ", "python3 - <<'END'"];
    assert!(
        invitation.iter().all(|part| story.contains(part)),
        "{story}"
    );
    assert!(pasted.contains("--ca certs/ca.pem"), "{pasted}");
}

/// The line with this part, and the next.
fn command_after(story: &str, part: &str) -> String {
    let lines = story.lines().skip_while(|line| !line.contains(part));
    lines.take(2).collect()
}

fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut contents: Vec<_> = entries
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    contents.sort();
    contents
}
