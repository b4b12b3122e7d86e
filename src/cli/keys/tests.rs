use super::*;
use crate::{cli::Cli, config, integrity::keyring::Keyring};
use clap::{CommandFactory, Parser};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    arguments: KeysArguments,
}

/// A folder with a keyring, which goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidegate-keys-{}-{count}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir(&folder.0).unwrap();
        folder
    }

    fn file(&self) -> PathBuf {
        self.0.join("keyring.toml")
    }

    /// Runs `keys ARGUMENTS` on the keyring of this folder.
    fn run(&self, arguments: &str) -> Result<String, KeysError> {
        let keyring = format!("--keyring={}", self.file().display());
        output_of(arguments.split(' ').chain([keyring.as_str()]))
    }

    fn refusal(&self, arguments: &str) -> String {
        let error = self.run(arguments).unwrap_err();
        assert_eq!(error.code(), 2, "{error}");
        error.to_string()
    }

    fn keyring(&self) -> Keyring {
        config::load_keyring(&self.file()).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    fn secret(&self, kid: &str) -> String {
        self.keyring()
            .key(kid)
            .unwrap()
            .material
            .to_text()
            .to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn output_of<'a>(arguments: impl Iterator<Item = &'a str>) -> Result<String, KeysError> {
    let program = Program::try_parse_from(["keys"].into_iter().chain(arguments));
    let program = program.unwrap_or_else(|error| panic!("{error}"));
    let mut output = Vec::new();
    run(&program.arguments, &mut output)?;
    Ok(String::from_utf8(output).unwrap())
}

#[test]
fn the_commands_of_the_whole_program_fit_together() {
    Cli::command().debug_assert();
}

#[test]
fn a_generated_key_is_whole_in_a_file_for_its_owner_alone() {
    let folder = Folder::new();
    let output = folder.run("generate edge-1").unwrap();
    assert!(output.starts_with("made key edge-1 ("), "{output}");
    assert!(!output.contains(&folder.secret("edge-1")), "{output}");
    let text =
        "generate edge-2 --not-before 2026-11-01T01:00:00+01:00 --not-after 2126-11-01T00:00:00Z";
    folder.run(text).unwrap();
    let metadata = fs::metadata(folder.file()).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let keyring = folder.keyring();
    let key = keyring.key("edge-2").unwrap();
    assert_eq!(key.state, KeyState::Active);
    assert_eq!(key.validity.not_before(), Some(1_793_491_200));
    assert_eq!(key.validity.not_after(), Some(4_949_164_800));
    assert_ne!(folder.secret("edge-1"), folder.secret("edge-2"));
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
}

#[test]
fn a_secret_is_printed_only_when_it_is_asked_for() {
    let folder = Folder::new();
    let output = folder.run("generate edge --show").unwrap();
    let shown = output.lines().find_map(|line| line.strip_prefix("secret "));
    assert_eq!(shown, Some(folder.secret("edge").as_str()));
    let secret = folder.secret("edge");
    for command in [
        "list",
        "list --json",
        "retire edge",
        "revoke edge",
        "destroy edge",
    ] {
        assert!(!folder.run(command).unwrap().contains(&secret), "{command}");
    }
}

#[test]
fn a_public_key_is_printed_and_the_private_one_never() {
    let folder = Folder::new();
    let made = folder.run("generate web --kind x25519 --show").unwrap();
    assert!(!made.contains(&folder.secret("web")), "{made}");
    let public = folder.run("public web").unwrap();
    assert!(made.contains(public.trim()), "{made} {public}");
    folder.run("generate edge").unwrap();
    assert!(folder.refusal("public edge").contains("--kind x25519"));
}

#[test]
fn every_other_key_survives_each_change() {
    let folder = Folder::new();
    folder
        .run("generate one --not-after 2126-11-01T00:00:00Z")
        .unwrap();
    folder.run("generate two --kind x25519").unwrap();
    folder.run("generate three").unwrap();
    let (one, two) = (folder.secret("one"), folder.secret("two"));
    folder.run("retire two").unwrap();
    folder.run("revoke three").unwrap();
    folder.run("destroy three").unwrap();
    assert_eq!((folder.secret("one"), folder.secret("two")), (one, two));
    let keyring = folder.keyring();
    assert!(keyring.key("three").is_none());
    assert_eq!(keyring.key("two").unwrap().state, KeyState::Retiring);
    assert_eq!(
        keyring.key("one").unwrap().validity.not_after(),
        Some(4_949_164_800)
    );
}

#[test]
fn what_cannot_be_done_is_refused_with_what_to_do_instead() {
    let folder = Folder::new();
    assert!(folder.refusal("list").contains("tidegate keys generate"));
    assert!(
        folder
            .refusal("retire edge")
            .contains("tidegate keys generate")
    );
    folder.run("generate edge").unwrap();
    assert!(
        folder
            .refusal("generate edge")
            .contains("choose another kid")
    );
    assert!(folder.refusal("retire egde").contains("tidegate keys list"));
    assert!(
        folder
            .refusal("destroy edge")
            .contains("tidegate keys retire edge")
    );
    let past = folder.refusal("generate old --not-after 2020-01-01T00:00:00Z");
    assert!(past.contains("later"), "{past}");
    folder.run("revoke edge").unwrap();
    assert!(folder.refusal("retire edge").contains("revoked"));
    assert!(folder.run("revoke edge").unwrap().contains("already"));
}

#[test]
fn an_active_key_is_destroyed_by_force() {
    let folder = Folder::new();
    folder.run("generate edge").unwrap();
    folder.run("destroy edge --force").unwrap();
    assert_eq!(folder.keyring().iter().count(), 0);
}

#[test]
fn a_destroyed_secret_is_overwritten_where_it_stood() {
    let folder = Folder::new();
    folder.run("generate edge").unwrap();
    let other_name = folder.0.join("old");
    fs::hard_link(folder.file(), &other_name).unwrap();
    let size = fs::metadata(&other_name).unwrap().size();
    folder.run("destroy edge --force").unwrap();
    let old = fs::read(&other_name).unwrap();
    assert_eq!(old.len() as u64, size);
    assert!(old.iter().all(|byte| *byte == 0));
}

#[test]
fn a_symbolic_link_to_the_keyring_stays_one() {
    let folder = Folder::new();
    folder.run("generate edge").unwrap();
    let link = folder.0.join("link.toml");
    symlink("keyring.toml", &link).unwrap();
    let keyring = format!("--keyring={}", link.display());
    output_of(["retire", "edge", keyring.as_str()].into_iter()).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(
        folder.keyring().key("edge").unwrap().state,
        KeyState::Retiring
    );
}

#[test]
fn commands_at_the_same_time_lose_no_key() {
    let folder = Folder::new();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let folder = &folder;
            scope.spawn(move || folder.run(&format!("generate edge-{number}")).unwrap());
        }
    });
    assert_eq!(folder.keyring().iter().count(), 8);
}

#[test]
fn keys_are_listed_with_kind_state_validity_and_fingerprint() {
    let folder = Folder::new();
    folder
        .run("generate edge --not-before 2126-11-01T00:00:00Z")
        .unwrap();
    folder.run("generate web --kind x25519").unwrap();
    folder.run("retire web").unwrap();
    let text = folder.run("list").unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("KID   KIND    STATE"), "{text}");
    assert!(
        lines[1].contains("not yet valid  from 2126-11-01T00:00:00Z"),
        "{text}"
    );
    assert!(lines[2].contains("retiring"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&folder.run("list --json").unwrap()).unwrap();
    assert_eq!(json["keys"][0]["usable"], false);
    assert_eq!(json["keys"][0]["not_before"], "2126-11-01T00:00:00Z");
    assert_eq!(json["keys"][1]["state"], "retiring");
    assert_eq!(json["keys"][1]["websockets_open"], serde_json::Value::Null);
    let fingerprint = json["keys"][1]["fingerprint"].as_str().unwrap();
    assert_eq!(fingerprint.len(), 16);
    assert!(lines[2].contains(fingerprint));
}

#[test]
fn the_configuration_names_the_keyring() {
    let folder = Folder::new();
    let config = folder.0.join("proxy.toml");
    let named = include_str!("../../../proxy.toml");
    let text = named.replace("\nkeyring = ", "\n# keyring = ");
    fs::write(&config, &text).unwrap();
    let config = format!("--config={}", config.display());
    let output = output_of(["generate", "one", config.as_str()].into_iter()).unwrap();
    let next = "next: write keyring = \"certs/keyring.toml\" in [integrity]";
    assert!(output.contains(next), "{output}");
    let beside = folder.run(&format!("generate beside {config}")).unwrap();
    assert!(beside.contains("keyring = \"keyring.toml\""), "{beside}");
    let named = text.replace("[integrity]", "[integrity]\nkeyring = \"keyring.toml\"");
    fs::write(folder.0.join("proxy.toml"), &named).unwrap();
    let output = output_of(["generate", "two", config.as_str()].into_iter()).unwrap();
    assert!(!output.contains("next:"), "{output}");
    assert!(folder.keyring().key("two").is_some());
    fs::write(
        folder.0.join("proxy.toml"),
        named.replace("[server]", "[server]\nwatch = false"),
    )
    .unwrap();
    let output = output_of(["revoke", "two", config.as_str()].into_iter()).unwrap();
    assert!(output.contains("next: `tidegate reload`"), "{output}");
    fs::write(folder.0.join("proxy.toml"), "[tls").unwrap();
    assert!(output_of(["list", config.as_str()].into_iter()).is_err());
    assert!(folder.run("list").is_ok());
}
