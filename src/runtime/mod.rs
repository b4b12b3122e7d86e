//! What everything runs on: workers, permits, buffers, the clock. The only place that spawns.

pub mod buffers;
pub mod clock;
pub mod permits;
pub mod settings;
pub mod workers;
