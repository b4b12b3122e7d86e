//! Text → checked settings, all problems at once.
//!
//! ```text
//! text ─► toml ─► sections (tables → drafts) ─► checks (between values) ─► Settings
//!            └────────────┴──────────────────────────┴─► Problems, each with its place
//! ```
//!
//! Of the files that a configuration names, only the keyring is read here; what reads the others
//! reports its findings through [`Source`], so that those problems show the configuration's line too.

mod admin_address;
mod checks;
mod diagnostic;
mod findings;
mod keyring;
mod load;
mod reader;
mod sections;
mod settings;
mod source;
#[cfg(test)]
mod tests;
mod units;
mod values;

pub use self::{
    admin_address::{NoAdminAddress, admin_address},
    diagnostic::{Coloured, Diagnostic, Severity},
    keyring::{load_keyring, parse_keyring},
    load::{Loaded, Problems, Refused, load, load_changed, parse},
    settings::{NamedFiles, Settings},
    source::Source,
};
