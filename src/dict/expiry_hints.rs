//! When something in a bucket expires, as closely as four bytes tell: what lets the sweep skip everything not due.
//!
//! A hint is a time before which nothing stored in its bucket has to be looked at; it may be too early (a slot that
//! moves takes its bucket's hint along, a TTL that is taken away leaves one behind), never too late. Hints count ticks
//! of 16 ms from a base, rounded up, so whatever made the hint has expired when its tick begins.

/// One tick.
const TICK_MS: i64 = 16;
/// The hint of a bucket without any TTL.
pub(super) const NONE: u32 = u32::MAX;
/// Later times get this hint; it is too early then, which is allowed.
const LATEST: u32 = u32::MAX - 1;
/// When the clock is this many ticks (a year) after the base, the base moves.
const TICKS_MAX: u32 = 1 << 31;

/// Turns times in unix milliseconds into ticks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticks {
    base_ms: i64,
}

impl Ticks {
    pub(super) const fn since(base_ms: i64) -> Self {
        Self { base_ms }
    }

    /// The hint for an entry that lives through `expire_at_ms`: the first tick wholly after it.
    pub(super) fn hint(self, expire_at_ms: i64) -> u32 {
        let after_ms = expire_at_ms.saturating_sub(self.base_ms);
        if after_ms < 0 {
            return 0;
        }
        u32::try_from(after_ms / TICK_MS + 1).map_or(LATEST, |tick| tick.min(LATEST))
    }

    /// A time that what made the hint does not expire before; `None` for [`NONE`].
    pub(super) fn expires_from(self, hint: u32) -> Option<i64> {
        match hint {
            NONE => None,
            0 => Some(i64::MIN),
            _ => Some(self.base_ms.saturating_add(i64::from(hint - 1) * TICK_MS)),
        }
    }

    /// The tick `now_ms` is in: hints up to it are due.
    pub(super) fn now(self, now_ms: i64) -> u32 {
        let after_ms = now_ms.saturating_sub(self.base_ms).max(0);
        u32::try_from(after_ms / TICK_MS).map_or(LATEST, |tick| tick.min(LATEST))
    }

    /// Where the base should be: here, unless the clock has left what ticks can count from it.
    pub(super) fn rebased(self, now_ms: i64) -> Self {
        if now_ms < self.base_ms || self.now(now_ms) > TICKS_MAX {
            Self::since(now_ms)
        } else {
            self
        }
    }

    /// A hint of this base in ticks of another. Rounds down.
    fn convert(self, hint: u32, to: Self) -> u32 {
        if hint == NONE || hint == 0 {
            return hint; // 0: the time was before the base, how long before is not known
        }
        let shift_ticks = self.base_ms.saturating_sub(to.base_ms).div_euclid(TICK_MS);
        i64::from(hint).saturating_add(shift_ticks).clamp(0, i64::from(LATEST)) as u32
    }
}

/// The hints of one segment, by bucket. Takes no memory before a first key with a TTL.
pub(super) struct ExpiryHints {
    by_bucket: Box<[u32]>,
    /// No hint is lower.
    earliest: u32,
}

impl Default for ExpiryHints {
    fn default() -> Self {
        Self { by_bucket: Box::default(), earliest: NONE }
    }
}

impl ExpiryHints {
    /// No hint of the segment is lower.
    pub(super) fn earliest(&self) -> u32 {
        self.earliest
    }

    /// The hint of a bucket.
    #[inline]
    pub(super) fn get(&self, bucket: usize) -> u32 {
        self.by_bucket.get(bucket).copied().unwrap_or(NONE)
    }

    /// Makes the hint of a bucket at most `hint`; `buckets` is how many the segment has.
    #[inline]
    pub(super) fn lower(&mut self, bucket: usize, hint: u32, buckets: usize) {
        if hint == NONE {
            return;
        }
        if self.by_bucket.is_empty() {
            self.by_bucket = vec![NONE; buckets].into_boxed_slice();
        }
        self.by_bucket[bucket] = self.by_bucket[bucket].min(hint);
        self.earliest = self.earliest.min(hint);
    }

    /// What the sweep found in a bucket. `earliest` stays until [`settle`](Self::settle).
    pub(super) fn set(&mut self, bucket: usize, hint: u32) {
        self.by_bucket[bucket] = hint;
    }

    /// The first bucket from `from` on that has a hint.
    pub(super) fn next_noted(&self, from: usize) -> Option<usize> {
        let buckets = self.by_bucket.get(from..)?;
        buckets.iter().position(|hint| *hint != NONE).map(|index| from + index)
    }

    /// The last bucket before `below` that is due.
    pub(super) fn last_due(&self, below: usize, now: u32) -> Option<usize> {
        let below = below.min(self.by_bucket.len());
        self.by_bucket[..below].iter().rposition(|hint| *hint <= now)
    }

    /// Computes `earliest` anew, and gives the memory back if there is no hint left.
    pub(super) fn settle(&mut self) {
        self.earliest = self.by_bucket.iter().copied().min().unwrap_or(NONE);
        if self.earliest == NONE {
            self.by_bucket = Box::default();
        }
    }

    /// Carries all hints over to another base.
    pub(super) fn rebase(&mut self, from: Ticks, to: Ticks) {
        for hint in &mut self.by_bucket {
            *hint = from.convert(*hint, to);
        }
        self.earliest = from.convert(self.earliest, to);
    }

    /// Memory of the hints.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.by_bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_due_hint_means_expired_and_16_ms_later_it_is_due() {
        let ticks = Ticks::since(1_000_000_000_000);
        for offset in 0..200 {
            let expire_at_ms = 1_000_000_000_000 + offset;
            let hint = ticks.hint(expire_at_ms);
            assert!(ticks.now(expire_at_ms) < hint, "a key lives through its last millisecond");
            assert!(ticks.now(expire_at_ms + 16) >= hint);
        }
    }

    #[test]
    fn extreme_times_are_safe() {
        for base_ms in [i64::MIN, -1, 0, 1_700_000_000_000, i64::MAX] {
            let ticks = Ticks::since(base_ms);
            for time_ms in [i64::MIN, -1, 0, 1, 1_700_000_000_000, i64::MAX] {
                assert!(ticks.hint(time_ms) < NONE && ticks.now(time_ms) < NONE);
                let other = ticks.rebased(time_ms);
                for hint in [0, 1, TICKS_MAX, LATEST] {
                    assert!(ticks.convert(hint, other) < NONE);
                }
                assert_eq!(ticks.convert(NONE, other), NONE);
            }
        }
    }

    #[test]
    fn a_moved_base_never_makes_a_hint_late() {
        let base_ms = 1_700_000_000_000;
        let year_ms = 365 * 24 * 3_600_000;
        let from = Ticks::since(base_ms);
        for now_ms in
            [base_ms - year_ms, base_ms - 1, base_ms + 2 * year_ms + 7, base_ms + 40 * year_ms]
        {
            let to = from.rebased(now_ms);
            for expire_at_ms in [
                base_ms - 5,
                base_ms,
                base_ms + 77,
                base_ms + 2 * year_ms + 99,
                base_ms + 90 * year_ms,
            ] {
                assert!(
                    from.convert(from.hint(expire_at_ms), to) <= to.hint(expire_at_ms),
                    "{now_ms} {expire_at_ms}"
                );
            }
        }
    }
}
