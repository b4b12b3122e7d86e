//! Names as they are written and compared: hosts, paths, origins. Pure.

pub mod host;
pub mod origin;
pub mod path;
pub mod problem;
pub mod reading;
