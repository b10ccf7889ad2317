//! The background search for expired keys: it looks only where the hints say that something is due.
//!
//! A sweep goes round and round over the segments. One whose earliest hint is not due costs a glance, and so, within a
//! segment, does a bucket; only in a bucket that is due are entries touched. Deleting what was found is the caller's
//! business, by key, because a deletion moves slots.
//!
//! Within a segment the sweep goes from the last bucket to the first: a deletion pulls keys back from the buckets behind,
//! and when those have been swept there is nothing due to pull to where the sweep has been.

use super::expiry_hints::{NONE, Ticks};
use super::segment::Segment;
use super::{Dict, Handle};

/// Where the next sweep goes on.
#[derive(Clone, Copy)]
pub(super) struct SweepPosition {
    segment: usize,
    /// The buckets from this one on are done.
    below: usize,
}

impl SweepPosition {
    pub(super) const START: Self = Self::at_segment(0);

    const fn at_segment(segment: usize) -> Self {
        Self { segment, below: usize::MAX }
    }

    /// Keys have moved into this segment: if the round has passed it, it goes back.
    pub(super) fn go_back_to(&mut self, segment: usize) {
        if segment <= self.segment {
            *self = Self::at_segment(segment);
        }
    }
}

/// What a sweep did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SweepResult {
    /// True if the sweep came to the end of the dict; the next one begins a new round.
    pub round_finished: bool,
    /// Steps taken: segments glanced at and buckets looked through.
    pub buckets: usize,
}

impl Dict {
    /// Looks for expired keys from where the last sweep stopped to at most the end of the dict, in at most `buckets_max`
    /// steps: segments glanced at, and buckets looked through. `expire_at_ms` says when an entry expires, if it does.
    /// The handles of those that lived until before `now_ms` are added to `due`: the caller deletes them before the next
    /// sweep, or notes their expiry again. A whole round that begins 16 ms after a key expired, or later, finds it.
    pub fn sweep(
        &mut self,
        now_ms: i64,
        buckets_max: usize,
        mut expire_at_ms: impl FnMut(Handle) -> Option<i64>,
        due: &mut Vec<Handle>,
    ) -> SweepResult {
        self.rebase(now_ms);
        let now = self.ticks.now(now_ms);
        let mut result = SweepResult::default();
        while result.buckets < buckets_max {
            let SweepPosition { segment: index, below } = self.sweep;
            let Some(segment) = self.segments.get(index) else {
                self.sweep = SweepPosition::START;
                result.round_finished = true;
                break;
            };
            result.buckets += 1;
            let is_due = segment.hints.earliest() <= now;
            if is_due && let Some(bucket) = segment.hints.last_due(below, now) {
                self.sweep_bucket(index, bucket, now_ms, &mut expire_at_ms, due);
                self.sweep.below = bucket;
                continue;
            }
            let mut next = index + 1;
            if is_due && self.change(index, Segment::settle_hints) <= now {
                next = index; // a deletion or a resize has moved something to where the sweep had been
            }
            self.sweep = SweepPosition::at_segment(next);
        }
        result
    }

    /// A time in unix milliseconds that no key expires before; `None` if surely none has a TTL. O(segments).
    pub fn earliest_expiry_ms(&self) -> Option<i64> {
        let earliest = self.segments.iter().map(|segment| segment.hints.earliest()).min()?;
        self.ticks.expires_from(earliest)
    }

    /// Collects what is due in a bucket, and makes its hint what the others need.
    fn sweep_bucket(
        &mut self,
        index: usize,
        bucket: usize,
        now_ms: i64,
        expire_at_ms: &mut impl FnMut(Handle) -> Option<i64>,
        due: &mut Vec<Handle>,
    ) {
        let segment = &mut self.segments[index];
        let mut hint = NONE;
        for handle in segment.in_bucket(bucket) {
            match expire_at_ms(handle) {
                Some(at_ms) if at_ms < now_ms => due.push(handle),
                Some(at_ms) => hint = hint.min(self.ticks.hint(at_ms)),
                None => {}
            }
        }
        segment.hints.set(bucket, hint);
    }

    /// Moves the base of the hints when the clock has gone back behind it or a year past it: a pass over all of them,
    /// about 10 ms per 100 million keys.
    fn rebase(&mut self, now_ms: i64) {
        let (from, to): (Ticks, Ticks) = (self.ticks, self.ticks.rebased(now_ms));
        if from == to {
            return;
        }
        for segment in &mut self.segments {
            segment.hints.rebase(from, to);
        }
        self.ticks = to;
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::tests::{hash_of, insert, remove};
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use std::collections::{BTreeSet, HashMap};

    const BASE_MS: i64 = 1_700_000_000_000;

    /// A dict whose keys are their own handles, and when they expire.
    struct Keys {
        dict: Dict,
        expire_at_ms: HashMap<u64, Option<i64>>,
    }

    impl Keys {
        fn new(segment_len: usize) -> Self {
            let mut dict = Dict::with_segment_len(segment_len);
            dict.ticks = Ticks::since(BASE_MS);
            Self { dict, expire_at_ms: HashMap::new() }
        }

        fn set(&mut self, key: u64, expire_at_ms: Option<i64>) {
            if self.expire_at_ms.insert(key, expire_at_ms).is_none() {
                insert(&mut self.dict, key);
            }
            if let Some(at_ms) = expire_at_ms {
                let slot = self.dict.find(hash_of(key), |handle| handle.bits() == key).unwrap();
                self.dict.note_expiry(slot, at_ms);
            }
        }

        fn delete(&mut self, key: u64) {
            self.expire_at_ms.remove(&key).expect("it is there");
            remove(&mut self.dict, key);
        }

        /// Sweeps with this budget per call until a whole round is done; returns the entries looked at.
        fn expire(&mut self, now_ms: i64, buckets_max: usize) -> usize {
            let (mut looked_at, mut rounds) = (0, 0);
            while rounds < 2 {
                let mut due = Vec::new();
                let expire_at_ms = |handle: Handle| {
                    looked_at += 1;
                    self.expire_at_ms[&handle.bits()]
                };
                let result = self.dict.sweep(now_ms, buckets_max, expire_at_ms, &mut due);
                assert!(result.buckets <= buckets_max);
                rounds += u32::from(result.round_finished);
                for handle in due {
                    assert!(
                        self.expire_at_ms[&handle.bits()].unwrap() < now_ms,
                        "expired too early"
                    );
                    self.delete(handle.bits());
                }
            }
            looked_at
        }

        fn assert_nothing_is_left_behind(&self, now_ms: i64) {
            let late: BTreeSet<_> = self
                .expire_at_ms
                .values()
                .flatten()
                .filter(|at_ms| at_ms.saturating_add(16) <= now_ms)
                .collect();
            assert!(late.is_empty(), "at {now_ms}: {late:?}");
        }
    }

    #[test]
    fn every_expired_key_is_found_whatever_comes_and_goes() {
        for segment_len in [4, 64, 4096] {
            let seed: u64 = rand::random();
            println!("seed {seed}");
            let mut random = StdRng::seed_from_u64(seed);
            let (mut keys, mut now_ms) = (Keys::new(segment_len), BASE_MS);
            for step in 0..60_000u64 {
                let key = random.random_range(1..=4000);
                let growing = (step / 10_000) % 2 == 0;
                if random.random_ratio(if growing { 8 } else { 3 }, 10) {
                    let ttl_ms =
                        random.random_ratio(1, 2).then(|| now_ms + random.random_range(-50..3000));
                    keys.set(key, ttl_ms);
                } else if keys.expire_at_ms.contains_key(&key) {
                    keys.delete(key);
                }
                if random.random_ratio(1, 400) {
                    now_ms += random.random_range(0..300);
                    keys.expire(now_ms, random.random_range(1..50));
                    keys.assert_nothing_is_left_behind(now_ms);
                }
            }
            keys.dict.check(|handle| hash_of(handle.bits()));
        }
    }

    #[test]
    fn keys_that_expire_together_are_looked_at_once() {
        let mut keys = Keys::new(4096);
        (1..=20_000).for_each(|key| keys.set(key, Some(BASE_MS)));
        let looked_at = keys.expire(BASE_MS + 100, 64);
        assert!((20_000..22_000).contains(&looked_at), "{looked_at}");
        assert!(keys.dict.is_empty());
    }

    #[test]
    fn what_is_not_due_is_not_touched() {
        let mut keys = Keys::new(4096);
        for key in 1..=20_000 {
            keys.set(key, (key % 2 == 0).then(|| BASE_MS + 1_000_000 + key as i64));
        }
        assert_eq!(keys.expire(BASE_MS + 900_000, 1000), 0);
        keys.set(77, Some(BASE_MS + 900_000));
        assert!(
            keys.expire(BASE_MS + 900_016, 1000) <= 16,
            "one bucket, and perhaps the one pulled back from"
        );
        assert!(!keys.expire_at_ms.contains_key(&77));
        assert_eq!(keys.expire(BASE_MS + 900_100, 1000), 0, "its hint was made exact");
    }

    #[test]
    fn the_earliest_expiry_is_never_too_late_and_exact_to_a_tick_after_a_sweep() {
        let mut keys = Keys::new(64);
        (1..=1000).for_each(|key| keys.set(key, None));
        assert_eq!(keys.dict.earliest_expiry_ms(), None);
        (1..=500).for_each(|key| keys.set(key, Some(BASE_MS + 1000 * key as i64)));
        let is_near = |found: Option<i64>, at_ms: i64| {
            found.is_some_and(|found| (at_ms - 16..=at_ms).contains(&found))
        };
        assert!(is_near(keys.dict.earliest_expiry_ms(), BASE_MS + 1000));
        keys.set(1, None);
        assert!(keys.dict.earliest_expiry_ms() <= Some(BASE_MS + 2000));
        keys.expire(BASE_MS + 100_100, 1000);
        assert!(is_near(keys.dict.earliest_expiry_ms(), BASE_MS + 101_000));
        keys.expire(BASE_MS + 600_000, 1000);
        assert_eq!(keys.dict.earliest_expiry_ms(), None);
    }

    #[test]
    fn a_dict_without_ttls_has_no_hints() {
        let mut keys = Keys::new(4096);
        (1..=10_000).for_each(|key| keys.set(key, None));
        let without = keys.dict.memory_bytes();
        keys.set(5, Some(BASE_MS + 10));
        assert!(keys.dict.memory_bytes() > without);
        keys.expire(BASE_MS + 100, 1000);
        assert_eq!(keys.dict.memory_bytes(), without, "and gives them back");
    }

    #[test]
    fn the_clock_may_jump_and_times_may_be_extreme() {
        let mut keys = Keys::new(16);
        let year_ms = 365 * 24 * 3_600_000;
        let times = [
            i64::MIN,
            -1,
            0,
            BASE_MS - year_ms,
            BASE_MS,
            BASE_MS + 3 * year_ms,
            BASE_MS + 80 * year_ms,
            i64::MAX,
        ];
        for key in 1..=800 {
            keys.set(key, Some(times[key as usize % times.len()]));
        }
        for now_ms in [
            BASE_MS,
            BASE_MS - 2 * year_ms,
            BASE_MS + 16,
            BASE_MS + 4 * year_ms,
            0,
            BASE_MS + 81 * year_ms,
        ] {
            keys.expire(now_ms, 100);
            keys.assert_nothing_is_left_behind(now_ms);
        }
        assert_eq!(keys.dict.len(), 100, "those that live for ever");
        keys.expire(i64::MAX, 100);
        keys.expire(i64::MIN, 100);
        assert_eq!(keys.dict.len(), 100);
    }
}
