//! RFC 6455 frames as bytes: headers, the rules about them, and their way through the proxy.
//!
//! Everything here is a pure function of the bytes handed in: no IO, no clock, no allocation of
//! its own. Data payloads are never read, so a frame passes the proxy exactly as it was sent,
//! masked or not, whatever extension wrote it.
//!
//! ```text
//! bytes ─► Scanner ─► Event          which frame, where it ends, whether it obeys the rules
//!              └─► Passage ─► bytes  the same frames again: where they lie, if nothing comes between
//! ```

pub mod close;
mod code;
pub mod control;
mod counts;
pub mod forward;
pub mod header;
pub mod inline;
pub mod mask;
pub mod opcode;
pub mod passage;
pub mod rules;
pub mod scanner;
pub mod violation;

#[cfg(test)]
mod tests;

pub use control::{ControlFrame, EncodedControl};
pub use counts::Counts;
pub use forward::Forward;
pub use header::{EncodedHeader, Header};
pub use opcode::Opcode;
pub use passage::Passage;
pub use rules::Rules;
pub use scanner::{Event, Scanner};
pub use violation::Violation;
