//! Who is here: open sockets, what each client has and may have, and the drain that ends them all.

pub mod drain;
pub mod quotas;
pub mod sockets;
