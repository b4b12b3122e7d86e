//! What the demo prints, for a terminal of 80 columns.

use super::{
    ground::Origin,
    proof::{Proof, Verdict},
    scene::{Failure, Scene},
};
use std::{
    env,
    io::{self, Write},
    path::Path,
};

const WIDTH: usize = 79;
/// Where the lines below a proof's name begin.
const INDENT: usize = 10;
const KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEA==";

/// Who takes part.
pub(super) fn begin(scene: &Scene, backend: &str, output: &mut impl Write) -> io::Result<()> {
    let ground = &scene.ground;
    let origin = match ground.origin {
        Origin::Now => "made just now, to be thrown away",
        Origin::Earlier => "made by an earlier demo, to be thrown away",
        Origin::Others => "found there, and left as they are",
    };
    let admin = scene.admin.map(|address| format!("http://{address}"));
    let version = env!("CARGO_PKG_VERSION");
    writeln!(output, "tidegate {version}: one conversation\n")?;
    if let Some(temporary) = &ground.temporary {
        let folder = temporary.path().display();
        writeln!(
            output,
            "There is no proxy.toml in this folder, so the demo uses its own, in\n{folder}\n"
        )?;
    }
    let parts = [
        ("client", "tidegate::client, in this process".to_owned()),
        (
            "proxy",
            format!("{}, {}", scene.url, ground.config.display()),
        ),
        ("backend", format!("{backend}, an echo in this process")),
        ("admin", admin.unwrap_or_else(|| "none".to_owned())),
        ("certs", format!("{}: {origin}", ground.folder.display())),
    ];
    for (name, what) in parts {
        write!(output, "{name:INDENT$}")?;
        let lines = wrap(&what, WIDTH - INDENT);
        writeln!(output, "{}", lines.join(&format!("\n{:INDENT$}", "")))?;
    }
    writeln!(output)
}

/// What came of a proof.
pub(super) fn show(
    proof: &Proof,
    outcome: &Result<Verdict, Failure>,
    output: &mut impl Write,
) -> io::Result<()> {
    let (word, lines) = match outcome {
        Ok(Verdict::Proved(lines)) => ("proved", lines.as_slice()),
        Ok(Verdict::LeftOut(reason)) => ("left out", std::slice::from_ref(reason)),
        Err(failure) => ("FAILED", std::slice::from_ref(failure)),
    };
    writeln!(output, "{word:INDENT$}{}", proof.name)?;
    for line in lines.iter().flat_map(|line| wrap(line, WIDTH - INDENT)) {
        writeln!(output, "{:INDENT$}{line}", "")?;
    }
    output.flush()
}

/// The last word.
pub(super) fn end(failed: &[&str], proofs: usize, output: &mut impl Write) -> io::Result<()> {
    if failed.is_empty() {
        return writeln!(output, "\nEverything was as it should be.");
    }
    let names = failed.join("\n  ");
    writeln!(
        output,
        "\n{} of {proofs} proofs failed:\n  {names}",
        failed.len()
    )
}

/// Lines to paste into another terminal.
pub(super) fn invite(scene: &Scene, output: &mut impl Write) -> io::Result<()> {
    let file = |name: &str| quoted(&scene.ground.file(name));
    let (ca, cert, key) = (file("ca.pem"), file("client.pem"), file("client.key"));
    let url = &scene.url;
    let https = url.replacen("wss:", "https:", 1);
    let program = quoted(&program());
    write!(
        output,
        r"
The proxy goes on. Paste into another terminal, in this folder:

# a WebSocket in the terminal: lines in, messages out
{program} connect {url} \
  --ca {ca} --cert {cert} --key {key}

# the upgrade by itself: 101, then silence for two seconds
curl --silent --include --no-buffer --http1.1 --max-time 2 \
  --cacert {ca} --cert {cert} --key {key} \
  -H 'Connection: Upgrade' -H 'Upgrade: websocket' \
  -H 'Sec-WebSocket-Version: 13' \
  -H 'Sec-WebSocket-Key: {KEY}' \
  {https}

"
    )?;
    if let Some(admin) = scene.admin {
        writeln!(output, "# what the proxy counts")?;
        writeln!(
            output,
            "curl --silent http://{admin}/metrics | grep ^tidegate_\n"
        )?;
    }
    python(scene, output)?;
    writeln!(output, "\nCtrl-C ends the demo.")?;
    output.flush()
}

fn python(scene: &Scene, output: &mut impl Write) -> io::Result<()> {
    let file = |name: &str| scene.ground.file(name).display().to_string();
    let (ca, cert, key) = (file("ca.pem"), file("client.pem"), file("client.key"));
    let url = &scene.url;
    writeln!(
        output,
        r#"# Python, after: pip install websockets
python3 - <<'END'
import ssl
from websockets.sync.client import connect
tls = ssl.create_default_context(cafile={ca:?})
tls.load_cert_chain({cert:?}, {key:?})
with connect({url:?}, ssl=tls) as socket:
    socket.send("hello")
    print(socket.recv())
END"#
    )
}

/// This program, as it can be called from this folder.
fn program() -> std::path::PathBuf {
    let name = || "tidegate".into();
    let path = env::current_exe().unwrap_or_else(|_| name());
    match env::current_dir() {
        Ok(here) => match path.strip_prefix(here) {
            Ok(below) => Path::new(".").join(below),
            Err(_) => path,
        },
        Err(_) => path,
    }
}

/// A path for a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._-".contains(character);
    if text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Breaks a line at blanks; a word that is too long stays whole.
fn wrap(line: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split(' ') {
        match lines.last_mut() {
            Some(last) if last.is_empty() => last.push_str(word),
            Some(last) if last.chars().count() + 1 + word.chars().count() <= width => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_broken_at_blanks() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("", 8), [""]);
        assert_eq!(wrap("unbreakable thing", 4), ["unbreakable", "thing"]);
    }

    #[test]
    fn paths_are_quoted_where_a_shell_would_split_them() {
        assert_eq!(quoted(Path::new("certs/ca.pem")), "certs/ca.pem");
        assert_eq!(quoted(Path::new("my certs/a'b")), r"'my certs/a'\''b'");
    }
}
