//! The 24 bits in every entry that tell when, or how often, it was used: for eviction and `OBJECT IDLETIME`/`FREQ`.
//!
//! Under an LRU policy they are seconds, modulo 2^24. Under an LFU policy the upper 16 bits are the minute of the last
//! decrement and the lower 8 a logarithmic counter: the scheme of Redis's evict.c.

const CLOCK_MAX: u32 = (1 << 24) - 1;
/// Where a new key's counter starts, so that it is not evicted before it had a chance.
const LFU_INIT: u8 = 5;

/// How accesses are recorded.
#[derive(Clone, Copy, Debug)]
pub struct AccessPolicy {
    /// Count uses (LFU) instead of noting the time (LRU).
    pub lfu: bool,
    /// How slowly the counter grows (`lfu-log-factor`).
    pub log_factor: u32,
    /// Minutes after which the counter loses one (`lfu-decay-time`); 0 = never.
    pub decay_minutes: u32,
}

impl Default for AccessPolicy {
    fn default() -> Self {
        Self { lfu: false, log_factor: 10, decay_minutes: 1 }
    }
}

impl AccessPolicy {
    /// The bits of a key that is created now.
    #[inline]
    pub fn fresh(self, now_ms: i64) -> u32 {
        if self.lfu { minutes(now_ms) << 8 | u32::from(LFU_INIT) } else { seconds(now_ms) }
    }

    /// The bits after one more use. `random` is uniform over all of u32.
    pub fn touched(self, access: u32, now_ms: i64, random: u32) -> u32 {
        if !self.lfu {
            return seconds(now_ms);
        }
        let counter = self.frequency(access, now_ms);
        minutes(now_ms) << 8 | u32::from(self.count_one(counter, random))
    }

    /// Seconds since the last use. Only meaningful under LRU.
    pub fn idle_seconds(self, access: u32, now_ms: i64) -> u32 {
        seconds(now_ms).wrapping_sub(access) & CLOCK_MAX
    }

    /// The counter as it is now, decayed. Only meaningful under LFU.
    pub fn frequency(self, access: u32, now_ms: i64) -> u8 {
        let elapsed_minutes = minutes(now_ms).wrapping_sub(access >> 8) & 0xffff;
        let periods = elapsed_minutes.checked_div(self.decay_minutes).unwrap_or(0);
        (access as u8).saturating_sub(u8::try_from(periods).unwrap_or(u8::MAX))
    }

    /// Counts one use with probability 1 / ((counter - LFU_INIT) * log_factor + 1).
    fn count_one(self, counter: u8, random: u32) -> u8 {
        let base = f64::from(counter.saturating_sub(LFU_INIT));
        let probability = 1.0 / (base * f64::from(self.log_factor) + 1.0);
        if f64::from(random) / f64::from(u32::MAX) < probability {
            counter.saturating_add(1)
        } else {
            counter
        }
    }
}

/// The clock of LRU policies at that time: what `touched` gives, ready for those who need it often.
pub(super) fn lru_clock(now_ms: i64) -> u32 {
    seconds(now_ms)
}

fn seconds(now_ms: i64) -> u32 {
    (now_ms / 1000) as u32 & CLOCK_MAX
}

fn minutes(now_ms: i64) -> u32 {
    (now_ms / 60_000) as u32 & 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_survives_the_wrap_of_the_clock() {
        let policy = AccessPolicy::default();
        let before_wrap_ms = i64::from(CLOCK_MAX) * 1000;
        let access = policy.fresh(before_wrap_ms);
        assert_eq!(policy.idle_seconds(access, before_wrap_ms + 5_000), 5);
    }

    #[test]
    fn the_counter_grows_slowly_and_decays_by_the_minute() {
        let policy = AccessPolicy { lfu: true, ..AccessPolicy::default() };
        let mut access = policy.fresh(0);
        assert_eq!(policy.frequency(access, 0), LFU_INIT);
        access = policy.touched(access, 0, 0);
        assert_eq!(policy.frequency(access, 0), LFU_INIT + 1);
        access = policy.touched(access, 0, u32::MAX);
        assert_eq!(policy.frequency(access, 0), LFU_INIT + 1);
        assert_eq!(policy.frequency(access, 3 * 60_000), LFU_INIT - 2);
        assert_eq!(policy.frequency(access, 300 * 60_000), 0);
    }
}
