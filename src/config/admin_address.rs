//! Where a configuration says that the proxy's admin listener is, for who asks a running proxy.

use super::{findings::Reading, load::read, reader::Table, sections::Draft};
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};
use toml::de::DeTable;

/// Why a configuration does not say where the admin listener is.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each message says what its variant is")]
pub enum NoAdminAddress {
    #[error("{} cannot be read: {error}", .file.display())]
    Unreadable { file: PathBuf, error: io::Error },
    #[error("{} has no [admin] table, without which a proxy cannot be asked", .0.display())]
    NoTable(PathBuf),
    #[error(
        "{file} does not say it; `tidegate check --config {file}` says why",
        file = .0.display()
    )]
    Wrong(PathBuf),
    #[error(
        "admin.address in {} leaves the port to the system; the proxy's log has it (`admin listening`)",
        .0.display()
    )]
    AnyPort(PathBuf),
}

/// The admin listener's address of a configuration that may be wrong in other places: an operator who asks
/// a running proxy to read it again should hear what is wrong from the proxy.
///
/// # Errors
/// The file cannot be read, or what it says of the admin listener is nothing to connect to.
pub fn admin_address(file: &Path) -> Result<SocketAddr, NoAdminAddress> {
    let path = || file.to_owned();
    let read = read(file).and_then(|text| String::from_utf8(text).map_err(io::Error::other));
    let text = read.map_err(|error| NoAdminAddress::Unreadable {
        file: path(),
        error,
    })?;
    let (table, syntax) = DeTable::parse_recoverable(&text);
    let reading = Reading::new(Path::new(""), syntax.is_empty());
    let draft = Draft::read(Table::root(table.get_ref(), &reading));
    match draft.admin.map(|admin| admin.address) {
        None if syntax.is_empty() => Err(NoAdminAddress::NoTable(path())),
        None | Some(None) => Err(NoAdminAddress::Wrong(path())),
        Some(Some(address)) if address.value.port() == 0 => Err(NoAdminAddress::AnyPort(path())),
        Some(Some(address)) => Ok(address.value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Result<String, String> {
        let id = std::thread::current().id();
        let name = format!("tidegate-admin-{}-{id:?}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        let address = admin_address(&path);
        std::fs::remove_file(&path).unwrap();
        let file = path.display().to_string();
        match address {
            Ok(address) => Ok(address.to_string()),
            Err(error) => Err(error.to_string().replace(&file, "FILE")),
        }
    }

    #[test]
    fn the_admin_address_is_found_in_a_file_that_is_wrong_elsewhere() {
        let own = Ok("127.0.0.1:9191".to_owned());
        let table = "[admin]\naddress = \"127.0.0.1:9191\"\n";
        assert_eq!(found(&format!("oops = 1\n{table}")), own);
        assert_eq!(found(&format!("[limits\n{table}")), own);
    }

    #[test]
    fn a_file_that_tells_no_admin_address_is_told_with_its_reason() {
        for (text, reason) in [
            ("[limits]\n", "FILE has no [admin] table"),
            ("limits = \n", "`tidegate check --config FILE` says why"),
            ("[admin]\naddress = \"nowhere\"\n", "`tidegate check"),
            ("[admin]\naddress = \"127.0.0.1:0\"\n", "leaves the port"),
        ] {
            let error = found(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        let missing = admin_address(Path::new("/nowhere/proxy.toml")).unwrap_err();
        let missing = missing.to_string();
        assert!(
            missing.starts_with("/nowhere/proxy.toml cannot be read: No such file"),
            "{missing}"
        );
    }
}
