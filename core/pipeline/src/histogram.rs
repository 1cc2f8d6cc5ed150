//! Times as a histogram: buckets that grow with the value, so that a quantile is within 1.6 % of the truth.
//!
//! Values up to 63 ns have a bucket each; above, every power of two is split into 32 equal buckets, and a quantile
//! is the middle of its bucket (as HdrHistogram does with two significant digits). Recording is one addition.
use std::sync::atomic::{AtomicU64, Ordering};

/// Buckets of one power of two.
const SPLIT: u32 = 1 << SPLIT_BITS;
const SPLIT_BITS: u32 = 5;
/// Times of 2^40 ns, 18 minutes, and more share the last bucket.
const MOST_BITS: u32 = 40;
const BUCKETS: usize = (MOST_BITS - SPLIT_BITS + 1) as usize * SPLIT as usize;

/// How often each time was seen. Shared: one thread records, any thread reads.
#[derive(Debug)]
pub struct Histogram {
    buckets: Box<[AtomicU64]>,
    most: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        let buckets = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Self { buckets, most: AtomicU64::new(0) }
    }
}

/// What a histogram tells at one moment. Times in nanoseconds; all 0 when nothing was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// Times recorded.
    pub count: u64,
    /// Half of the times are below.
    pub p50_ns: u64,
    /// 99 of 100 are below.
    pub p99_ns: u64,
    /// 999 of 1000 are below.
    pub p999_ns: u64,
    /// The longest, exact.
    pub most_ns: u64,
}

impl Histogram {
    /// Counts one time. Never allocates or waits.
    pub fn record(&self, ns: u64) {
        self.buckets[index(ns)].fetch_add(1, Ordering::Relaxed);
        self.most.fetch_max(ns, Ordering::Relaxed);
    }

    /// Count, p50, p99, p99.9 and the longest.
    #[must_use]
    pub fn quantiles(&self) -> Quantiles {
        let counts: Vec<u64> = self.buckets.iter().map(|b| b.load(Ordering::Relaxed)).collect();
        let count = counts.iter().sum();
        let most_ns = self.most.load(Ordering::Relaxed);
        let at = |per_mille: u64| value_at(&counts, rank(count, per_mille)).min(most_ns);
        Quantiles { count, p50_ns: at(500), p99_ns: at(990), p999_ns: at(999), most_ns }
    }
}

/// How many values lie at or below the quantile: the nearest-rank definition, at least 1.
fn rank(count: u64, per_mille: u64) -> u64 {
    u64::try_from((u128::from(count) * u128::from(per_mille)).div_ceil(1000))
        .unwrap_or(u64::MAX)
        .max(1)
}

fn value_at(counts: &[u64], rank: u64) -> u64 {
    let mut seen = 0;
    let bucket = counts.iter().position(|count| {
        seen += count;
        seen >= rank
    });
    bucket.map_or(0, middle)
}

/// The bucket of a value: its power of two, then the five bits below the highest.
fn index(value: u64) -> usize {
    let value = value.min((1 << MOST_BITS) - 1);
    let shift = (value | u64::from(SPLIT)).ilog2() - SPLIT_BITS;
    let index = u64::from(shift * SPLIT) + (value >> shift);
    usize::try_from(index).unwrap_or(BUCKETS - 1)
}

/// The value that stands for a bucket.
fn middle(index: usize) -> u64 {
    let (index, split) = (index as u64, u64::from(SPLIT));
    let shift = (index / split).saturating_sub(1);
    let least = (index - shift * split) << shift;
    least + ((1 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_told_within_1_6_percent() {
        let mut value = 1_u64;
        while value < 1 << MOST_BITS {
            let told = middle(index(value));
            assert!(told.abs_diff(value) * 1000 <= value * 16, "{value} told as {told}");
            value += 1 + value / 97;
        }
        assert_eq!(index(u64::MAX), BUCKETS - 1);
        assert_eq!(index(0), 0);
    }

    #[test]
    fn buckets_follow_each_other_without_gaps() {
        for bucket in 0..BUCKETS {
            assert_eq!(index(middle(bucket)), bucket);
        }
    }

    #[test]
    fn quantiles_are_by_nearest_rank() {
        let histogram = Histogram::default();
        assert_eq!(histogram.quantiles(), Quantiles::default());
        (1..=1000).for_each(|ns| histogram.record(ns * 1000));
        let told = histogram.quantiles();
        assert_eq!((told.count, told.most_ns), (1000, 1_000_000));
        for (told, truth) in
            [(told.p50_ns, 500_000), (told.p99_ns, 990_000), (told.p999_ns, 999_000)]
        {
            assert!(u64::abs_diff(told, truth) * 1000 <= truth * 16, "{told} for {truth}");
        }
    }
}
