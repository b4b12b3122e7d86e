//! How much of something may happen in a second: a bucket that fills evenly.
//!
//! The bucket is one number: when it will be full again (the generic cell rate algorithm). Times
//! are nanoseconds since any fixed moment; one that lies before an earlier one counts as that.

use std::time::Duration;

const SECOND: u128 = 1_000_000_000;

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// So many in a second, at least one.
    pub per_second: u64,
    /// A full bucket holds what comes in this time, and one at least.
    pub burst: Duration,
}

/// What is left of a rate; a new one is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    full_at: u64,
}

impl Bucket {
    /// Takes `count` out, unless there are fewer: then nothing is taken, and the result is false.
    pub fn take(&mut self, count: u64, rate: Rate, now: u64) -> bool {
        let full_at = u128::from(self.full_at.max(now)) + rate.time_for(count);
        let latest = u128::from(now) + rate.burst.as_nanos().max(rate.time_for(1));
        let taken = full_at <= latest;
        if taken {
            self.full_at = u64::try_from(full_at).unwrap_or(u64::MAX);
        }
        taken
    }

    /// Whether it is as good as a new one.
    pub fn is_full(&self, now: u64) -> bool {
        self.full_at <= now
    }
}

impl Rate {
    /// Nanoseconds in which so many come, rounded up so that no more than the rate pass.
    fn time_for(self, count: u64) -> u128 {
        (u128::from(count) * SECOND).div_ceil(u128::from(self.per_second.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: u64 = 1_000_000;

    fn rate(per_second: u64, burst: u64) -> Rate {
        let burst = Duration::from_secs(burst);
        Rate { per_second, burst }
    }

    #[test]
    fn a_full_bucket_holds_the_burst_and_no_more() {
        let mut bucket = Bucket::default();
        let rate = rate(10, 2);
        assert!((0..20).all(|_| bucket.take(1, rate, 0)));
        assert!(!bucket.take(1, rate, 0));
        assert!(!bucket.take(1, rate, 99 * MILLISECOND));
        assert!(bucket.take(1, rate, 100 * MILLISECOND));
        assert!(!bucket.take(1, rate, 100 * MILLISECOND));
    }

    #[test]
    fn what_is_refused_costs_nothing() {
        let mut bucket = Bucket::default();
        let rate = rate(10, 1);
        assert!(!bucket.take(11, rate, 0));
        assert!(bucket.is_full(0));
        assert!(bucket.take(10, rate, 0));
    }

    #[test]
    fn over_any_time_no_more_than_rate_and_burst_pass() {
        let mut bucket = Bucket::default();
        let rate = rate(7, 3);
        let mut passed = 0;
        for step in 0..10_000 {
            passed += u64::from(bucket.take(1, rate, step * MILLISECOND));
        }
        assert_eq!(passed, 7 * 10 + 7 * 3 - 1, "ten seconds less one step");
    }

    #[test]
    fn one_passes_however_short_the_burst() {
        let mut bucket = Bucket::default();
        let rate = Rate {
            per_second: 1,
            burst: Duration::ZERO,
        };
        assert!(bucket.take(1, rate, 0));
        assert!(!bucket.take(1, rate, 999 * MILLISECOND));
        assert!(bucket.take(1, rate, 1_000 * MILLISECOND));
    }

    #[test]
    fn a_rested_bucket_is_full_and_holds_no_more_than_before() {
        let mut bucket = Bucket::default();
        let rate = rate(10, 1);
        assert!(bucket.take(10, rate, 0));
        assert!(!bucket.is_full(999 * MILLISECOND));
        assert!(bucket.is_full(1_000 * MILLISECOND));
        let later = 3_600_000 * MILLISECOND;
        assert!(!bucket.take(11, rate, later));
        assert!(bucket.take(10, rate, later));
    }

    #[test]
    fn the_largest_numbers_neither_overflow_nor_pass() {
        let mut bucket = Bucket::default();
        assert!(!bucket.take(u64::MAX, rate(1, 1), u64::MAX));
        let rate = rate(u64::MAX, u64::MAX);
        assert!(bucket.take(u64::MAX, rate, u64::MAX));
    }
}
