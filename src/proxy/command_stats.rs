//! How long replies took, for each command: counted in buckets of powers of two, which is what `LATENCY HISTOGRAM` shows.

/// Buckets; the last one counts all that took longer.
pub const BUCKETS: usize = 32;

/// What is counted for each command.
#[derive(Clone, Default, Debug)]
pub struct CommandStats {
    /// Replies of nodes to it.
    pub replies: u64,
    /// Errors among them.
    pub errors: u64,
    /// How long they took together.
    pub total_us: u64,
    /// Bucket n counts those that took less than 2^n microseconds and no less than half of that.
    pub latency_us: [u64; BUCKETS],
}

impl CommandStats {
    /// Notes a reply.
    #[inline]
    pub fn replied(&mut self, took_us: u32, is_error: bool) {
        self.replies += 1;
        self.errors += u64::from(is_error);
        self.total_us += u64::from(took_us);
        self.latency_us[bucket(took_us)] += 1;
    }
}

/// The bucket of a time.
#[inline]
pub fn bucket(took_us: u32) -> usize {
    ((32 - took_us.leading_zeros()) as usize).min(BUCKETS - 1)
}

/// The time below which `percent` of the replies came, in microseconds, as far as buckets of powers of two tell; 0 without any.
pub fn percentile_us(buckets: &[u64; BUCKETS], percent: u64) -> u64 {
    let total: u64 = buckets.iter().sum();
    let mut below = 0;
    let reached = buckets.iter().position(|count| {
        below += count;
        below > 0 && u128::from(below) * 100 >= u128::from(total) * u128::from(percent)
    });
    reached.map_or(0, bound_us)
}

/// The longest time in a bucket.
pub fn bound_us(bucket: usize) -> u64 {
    (1 << bucket) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_bounds_of_buckets() {
        let mut stats = CommandStats::default();
        assert_eq!(percentile_us(&stats.latency_us, 50), 0);
        for took_us in [0, 1, 5, 6, 7, 100, 1000, u32::MAX] {
            stats.replied(took_us, took_us == 7);
        }
        assert_eq!((stats.replies, stats.errors), (8, 1));
        assert_eq!(percentile_us(&stats.latency_us, 1), 0);
        assert_eq!(percentile_us(&stats.latency_us, 50), 7);
        assert_eq!(percentile_us(&stats.latency_us, 75), 127);
        assert_eq!(percentile_us(&stats.latency_us, 99), (1 << 31) - 1);
    }
}
