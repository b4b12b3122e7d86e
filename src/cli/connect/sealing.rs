//! The arguments of `tidegate connect` about frame integrity.

use super::error::ConnectError;
use crate::{
    client::{ClientBuilder, Credential, IntegrityOffer, Kid, Secret},
    credential::file,
    integrity::{Algorithm, ValueError, agreement::Agreement, base64url},
};
use clap::Args;
use std::{
    path::{Path, PathBuf},
    str,
};

/// Whether frames are sealed, and with which key.
#[derive(Args, Clone, Debug)]
pub struct SealingArguments {
    /// Seal every frame: sha-256 notices accidents, hmac-sha-256 what is done on purpose too
    #[arg(long, value_name = "ALGORITHM")]
    pub integrity: Option<Algorithm>,
    /// Id of the key, for hmac-sha-256
    #[arg(long, value_name = "KID", requires = "integrity")]
    pub kid: Option<Kid>,
    /// File with the key's secret and nothing else, in base64url, as `tidegate keys generate --show` prints it
    #[arg(long, value_name = "FILE", requires = "kid", conflicts_with = "public")]
    pub key_file: Option<PathBuf>,
    /// The key's public part, as `tidegate keys public` prints it
    #[arg(
        long,
        value_name = "KEY",
        requires = "kid",
        allow_hyphen_values = true,
        value_parser = parse_public
    )]
    pub public: Option<[u8; 32]>,
    /// Bind the tags to this TLS session, so that another TLS terminator in between is noticed
    #[arg(long, requires = "kid")]
    pub channel_binding: bool,
    /// Go on without tags if the server agrees to none
    #[arg(long, requires = "integrity")]
    pub integrity_optional: bool,
}

impl SealingArguments {
    /// Whether nothing is to be sealed.
    pub(super) fn is_empty(&self) -> bool {
        self.integrity.is_none()
    }

    /// Has the client offer what was asked for.
    pub(super) fn apply(&self, client: ClientBuilder) -> Result<ClientBuilder, ConnectError> {
        let Some(algorithm) = self.integrity else {
            return Ok(client);
        };
        let offer = match (algorithm, &self.kid) {
            (Algorithm::Sha256, None) => IntegrityOffer::Sha256,
            (Algorithm::Sha256, Some(_)) => {
                return Err(refused(
                    "sha-256 takes no key; leave --kid out, or ask for hmac-sha-256",
                ));
            }
            (Algorithm::HmacSha256, Some(kid)) => IntegrityOffer::HmacSha256 {
                credential: self.credential(kid)?,
                channel_binding: self.channel_binding,
            },
            (Algorithm::HmacSha256, None) => {
                return Err(refused("hmac-sha-256 takes a key; name it with --kid"));
            }
        };
        let client = client.integrity([offer]);
        Ok(if self.integrity_optional {
            client.integrity_optional()
        } else {
            client
        })
    }

    fn credential(&self, kid: &Kid) -> Result<Credential, ConnectError> {
        match (&self.key_file, self.public) {
            (_, Some(public)) => Ok(Credential::PublicKey(kid.clone(), public)),
            (Some(file), None) => Ok(Credential::Secret(kid.clone(), secret(file)?)),
            (None, None) => Err(refused(
                "give the key's secret with --key-file, or its public part with --public",
            )),
        }
    }
}

/// The secret that is alone in a file for its owner alone.
fn secret(file: &Path) -> Result<Secret, ConnectError> {
    const ONE_WORD: &str =
        "put into it the one word after `secret`, as `tidegate keys generate --show` prints it";
    let refused = |problem: &str| refused(&format!("{}: {problem}", file.display()));
    file::owner_only(file)?;
    let content = file::read(file)?;
    let text = str::from_utf8(&content)
        .map_err(|_| refused(&format!("the file is not text; {ONE_WORD}")))?
        .trim();
    if text.is_empty() {
        return Err(refused(&format!("the file is empty; {ONE_WORD}")));
    }
    if text.contains(char::is_whitespace) {
        return Err(refused(&format!(
            "the file holds more than a secret; {ONE_WORD}"
        )));
    }
    Secret::from_text(text).map_err(|error| refused(&error.to_string()))
}

/// What was agreed on, in a line.
pub(super) fn agreed(agreement: Option<&Agreement>) -> String {
    let Some(agreement) = agreement else {
        return "not sealed".to_owned();
    };
    let key = agreement.kid().map(|kid| format!(", key {kid}"));
    let bound = if agreement.channel_binding() {
        ", bound to the TLS session"
    } else {
        ""
    };
    let key = key.unwrap_or_default();
    format!("sealed with {}{key}{bound}", agreement.algorithm())
}

fn parse_public(text: &str) -> Result<[u8; 32], ValueError> {
    base64url::decode_32(text).ok_or_else(|| ValueError {
        message: "this is not a public key".to_owned(),
        hint: "it is 43 characters of A-Z a-z 0-9 - _; `tidegate keys public` prints it".to_owned(),
    })
}

fn refused(message: &str) -> ConnectError {
    ConnectError::Argument(message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{super::tests::parse, *};
    use std::{fs, os::unix::fs::PermissionsExt};

    const URL: &str = "wss://localhost/";
    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

    fn applied(words: &[&str]) -> Result<(), String> {
        let words = [&[URL], words].concat();
        let arguments = parse(&words).map_err(|error| error.to_string())?;
        let client = crate::client::Client::builder(URL);
        let applied = arguments.sealing.apply(client);
        applied.map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn algorithms_take_the_key_that_they_need_and_no_other() {
        assert_eq!(applied(&["--integrity", "sha-256"]), Ok(()));
        let keyed = [
            "--integrity",
            "hmac-sha-256",
            "--kid",
            "web",
            "--public",
            KEY,
        ];
        assert_eq!(applied(&keyed), Ok(()));
        assert_eq!(
            applied(&[&keyed[..], &["--channel-binding"]].concat()),
            Ok(())
        );
        for (words, problem) in [
            (&["--integrity", "hmac-sha-256"][..], "--kid"),
            (
                &["--integrity", "hmac-sha-256", "--kid", "web"],
                "--key-file",
            ),
            (&["--integrity", "sha-256", "--kid", "web"], "takes no key"),
            (&["--integrity", "md5"], "hmac-sha-256, sha-256"),
            (&["--kid", "web"], "--integrity"),
            (
                &[
                    "--integrity",
                    "hmac-sha-256",
                    "--kid",
                    "web",
                    "--public",
                    "x",
                ],
                "43 characters",
            ),
        ] {
            let refusal = applied(words).unwrap_err();
            assert!(refusal.contains(problem), "{words:?}: {refusal}");
        }
    }

    #[test]
    fn secret_is_read_from_a_file_for_its_owner_alone_and_not_shown() {
        let path = std::env::temp_dir().join(format!("tidegate-secret-{}", std::process::id()));
        let file = path.to_str().unwrap();
        let words = [
            "--integrity",
            "hmac-sha-256",
            "--kid",
            "edge",
            "--key-file",
            file,
        ];
        let with = |content: &[u8], mode| {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            applied(&words)
        };
        assert_eq!(with(format!("{KEY}\n").as_bytes(), 0o600), Ok(()));
        let shared = with(KEY.as_bytes(), 0o644).unwrap_err();
        let broken = with(format!("{KEY}=").as_bytes(), 0o600).unwrap_err();
        let keyring = with(
            format!("kid = \"edge\"\nsecret = \"{KEY}\"\n").as_bytes(),
            0o600,
        );
        let keyring = keyring.unwrap_err();
        let empty = with(b"\n", 0o600).unwrap_err();
        let short = with(b"AAAA", 0o600).unwrap_err();
        let binary = with(b"\xff\xfe\x00", 0o600).unwrap_err();
        fs::remove_file(&path).unwrap();
        assert!(shared.contains("chmod 600"), "{shared}");
        let found = keyring.contains("the one word after `secret`");
        assert!(found && !keyring.contains(KEY), "{keyring}");
        assert!(
            broken.contains("base64url") && !broken.contains(KEY),
            "{broken}"
        );
        assert!(empty.contains("the file is empty"), "{empty}");
        assert!(short.contains("3 bytes"), "{short}");
        assert!(binary.contains("the file is not text"), "{binary}");
        assert!(applied(&words).unwrap_err().contains("cannot be read"));
    }
}
