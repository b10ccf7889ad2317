//! The 24 bits in every entry that tell when, or how often, it was used: for eviction and `OBJECT IDLETIME`/`FREQ`.
//!
//! Under an LRU policy they are seconds, modulo 2^24. Under an LFU policy the upper 16 bits are the minute of the last
//! decrement and the lower 8 a logarithmic counter: the scheme of Redis's evict.c.

const CLOCK_MAX: u32 = (1 << 24) - 1;
/// Where a new key's counter starts, so that it is not evicted before it had a chance.
const LFU_INIT: u8 = 5;

/// How long ago or how often a key was used, as files and `RESTORE` say it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Recency {
    /// Nothing is said.
    #[default]
    Unknown,
    /// Seconds since the last access, under an LRU policy.
    IdleSeconds(u64),
    /// Access frequency, under an LFU policy.
    Frequency(u8),
}

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

    /// The bits of a key that was used so long ago, or so often; `None` where this policy cannot tell.
    pub fn recalled(self, recency: Recency, now_ms: i64) -> Option<u32> {
        match (recency, self.lfu) {
            (Recency::IdleSeconds(idle), false) => {
                let idle = idle.min(u64::from(CLOCK_MAX)) as u32;
                Some(seconds(now_ms).wrapping_sub(idle) & CLOCK_MAX)
            }
            (Recency::Frequency(frequency), true) => {
                Some(minutes(now_ms) << 8 | u32::from(frequency))
            }
            _ => None,
        }
    }

    /// What is to be said of a key with these bits in a file of that time. It may have been used since.
    pub fn recency(self, access: u32, now_ms: i64) -> Recency {
        if self.lfu {
            return Recency::Frequency(self.frequency(access, now_ms));
        }
        let idle = self.idle_seconds(access, now_ms);
        let used_since = idle > CLOCK_MAX / 2;
        Recency::IdleSeconds(if used_since { 0 } else { u64::from(idle) })
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
    fn what_a_file_says_of_a_key_is_what_it_was() {
        let now_ms = 1_700_000_000_000;
        let lru = AccessPolicy::default();
        let lfu = AccessPolicy { lfu: true, ..lru };
        for (policy, recency) in [
            (lru, Recency::IdleSeconds(77)),
            (lfu, Recency::Frequency(0)),
            (lfu, Recency::Frequency(255)),
        ] {
            let access = policy.recalled(recency, now_ms).unwrap();
            assert_eq!(policy.recency(access, now_ms), recency);
        }
        assert_eq!(lru.recalled(Recency::Frequency(1), now_ms), None);
        assert_eq!(lfu.recalled(Recency::IdleSeconds(1), now_ms), None);
        assert_eq!(lru.recency(lru.fresh(now_ms + 9000), now_ms), Recency::IdleSeconds(0));
        let access = lru.recalled(Recency::IdleSeconds(u64::MAX), now_ms).unwrap();
        assert_eq!(lru.idle_seconds(access, now_ms), CLOCK_MAX);
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
