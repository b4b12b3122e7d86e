//! Durations, counted in steps of about three percent.

use std::time::Duration;

/// Steps by which a power of two is divided, as a power of two.
const FINE: u32 = 5;

pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self {
            counts: vec![0; 64 << FINE],
            total: 0,
        }
    }

    pub(crate) fn record(&mut self, duration: Duration, count: u64) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        if let Some(cell) = self.counts.get_mut(place(nanos)) {
            *cell += count;
            self.total += count;
        }
    }

    /// The duration, in microseconds, that `share` of all do not exceed.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "counts are far below 2^52"
        )]
        let mut left = (self.total as f64 * share).ceil() as u64;
        for (place, count) in self.counts.iter().enumerate() {
            left = left.saturating_sub(*count);
            if left == 0 && *count > 0 {
                return highest(place);
            }
        }
        0.0
    }
}

#[allow(clippy::cast_possible_truncation, reason = "six bits at most are left")]
fn place(nanos: u64) -> usize {
    let power = (u64::BITS - nanos.leading_zeros()).saturating_sub(FINE + 1);
    let fine = (nanos >> power) as usize;
    ((power as usize) << FINE) + fine
}

#[allow(clippy::cast_precision_loss, reason = "three percent are lost anyway")]
fn highest(place: usize) -> f64 {
    let steps = 1 << FINE;
    let power = (place / steps).saturating_sub(1);
    let fine = place - power * steps + 1;
    (fine as f64) * 2f64.powi(i32::try_from(power).unwrap_or(0)) / 1000.0
}
