//! `Segment`: linear probing over buckets of eight slots (Knuth, The Art of Computer Programming 3, section 6.4).
//!
//! A key's home bucket is its tag scaled to the number of buckets, so homes ascend with tags, any number of buckets will
//! do, and growing is one pass in order that looks at no entry. A key whose home is full goes to the next bucket that is
//! not, and there are no tombstones: a removal pulls back a key that was pushed on.
//!
//! INVARIANT: between a key's home and the bucket it is in, all buckets are full. So a search may stop at the first that
//! is not. When to grow, and which segment a key belongs to, is decided in `table.rs`.

use super::Handle;
use super::bucket::{Bucket, SLOTS, TAG_BITS, handle_of, pack, tag_of};
use super::buckets::{Buckets, CHUNK, RUN_MAX};
use super::expiry_hints::ExpiryHints;
use super::filling::Filling;
use super::prefetch::prefetch;

/// Buckets whose entries are fetched ahead of those that are looked at: as many cache lines as a processor waits for.
const BUCKETS_AHEAD: usize = 2;

/// Buckets, and when something in them expires. Positions count slots: bucket * 8 + index.
pub(super) struct Segment {
    buckets: Buckets,
    len: usize,
    pub(super) hints: ExpiryHints,
    /// The dict's count of changes when a slot of this segment last changed. The dict keeps it.
    pub(super) changed_at: u64,
}

/// Number of keys `buckets` may hold: 90 %. One step more is at most a quarter more, so a growing segment is always
/// more than 72 % full, and one of over 8 chunks more than 80 %. A single bucket may be filled up.
fn keys_max(buckets: usize) -> usize {
    if buckets == 1 { SLOTS } else { buckets * (SLOTS * 9) / 10 }
}

/// Number of buckets for `len` keys: every number up to 8, then four steps per doubling, the steps in which
/// allocators round, and beyond a run whole chunks.
fn buckets_for(len: usize) -> usize {
    if len <= SLOTS {
        return 1;
    }
    let buckets = (len * 10).div_ceil(SLOTS * 9);
    let step = match buckets {
        ..=8 => 1,
        9..=RUN_MAX => 1 << (buckets.ilog2() - 2),
        // Beyond 16 chunks two at a time, and so on: a resize looks at every slot.
        _ => CHUNK * (buckets / (CHUNK * 16)).max(1).next_power_of_two(),
    };
    buckets.next_multiple_of(step)
}

impl Segment {
    /// An empty segment that has room for `len` keys.
    pub(super) fn with_room_for(len: usize) -> Self {
        let buckets = Buckets::new(buckets_for(len));
        Self { buckets, len: 0, hints: ExpiryHints::default(), changed_at: 0 }
    }

    /// Number of keys.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Number of buckets, at least 1.
    #[inline]
    pub(super) fn buckets(&self) -> usize {
        self.buckets.count()
    }

    /// Memory of buckets and hints.
    pub(super) fn bytes(&self) -> usize {
        self.buckets.bytes() + self.hints.bytes()
    }

    /// True if it has to be resized before the next insert.
    #[inline]
    pub(super) fn is_at_limit(&self) -> bool {
        self.len >= keys_max(self.buckets.count())
    }

    /// True if less than half of it is in use, so that a smaller one will do. Far enough from where it grows that keys
    /// coming and going do not resize it each time.
    #[inline]
    pub(super) fn is_sparse(&self) -> bool {
        self.len < self.buckets.count() * (SLOTS / 2) && self.buckets.count() > 1
    }

    /// The bucket a tag belongs to.
    #[inline]
    pub(super) fn home(&self, tag: u64) -> usize {
        ((tag * self.buckets.count() as u64) >> TAG_BITS) as usize
    }

    /// The lowest tag whose home is `bucket` or a later one.
    pub(super) fn first_tag(&self, bucket: usize) -> u64 {
        ((bucket as u64) << TAG_BITS).div_ceil(self.buckets.count() as u64)
    }

    #[inline]
    fn after(&self, bucket: usize) -> usize {
        if bucket + 1 == self.buckets.count() { 0 } else { bucket + 1 }
    }

    /// How many buckets beyond its home a key in `bucket` is.
    fn displacement(&self, slot: u64, bucket: usize) -> usize {
        let home = self.home(tag_of(slot));
        if bucket >= home { bucket - home } else { bucket + self.buckets.count() - home }
    }

    /// Asks for the home bucket of a tag.
    #[inline]
    pub(super) fn prefetch(&self, tag: u64) {
        prefetch(self.buckets.get(self.home(tag)));
    }

    /// Position of the key with this tag for which `eq` says yes.
    #[inline]
    pub(super) fn find(&self, tag: u64, mut eq: impl FnMut(Handle) -> bool) -> Option<usize> {
        let mut at = self.home(tag);
        for _ in 0..self.buckets.count() {
            let bucket = self.buckets.get(at);
            let mut matches = bucket.matches(tag);
            while matches != 0 {
                let index = matches.trailing_zeros() as usize;
                if handle_of(bucket.all()[index]).is_some_and(&mut eq) {
                    return Some(at * SLOTS + index);
                }
                matches &= matches - 1;
            }
            if !bucket.is_full() {
                return None;
            }
            at = self.after(at);
        }
        None
    }

    /// The handle at a position; `None` if the slot is empty.
    #[inline]
    pub(super) fn handle(&self, position: usize) -> Option<Handle> {
        handle_of(self.buckets.get(position / SLOTS).all()[position % SLOTS])
    }

    /// Puts another handle in the place of the one at a position and returns that one, if there was one.
    pub(super) fn replace(&mut self, position: usize, handle: Handle) -> Option<Handle> {
        let slot = &mut self.buckets.get_mut(position / SLOTS).all_mut()[position % SLOTS];
        let old = handle_of(*slot)?;
        *slot = pack(tag_of(*slot), handle);
        Some(old)
    }

    /// Adds a key that is not there and returns its position. There must be room.
    pub(super) fn insert(&mut self, tag: u64, handle: Handle) -> usize {
        let mut at = self.home(tag);
        while self.buckets.get(at).is_full() {
            at = self.after(at);
        }
        self.len += 1;
        at * SLOTS + self.buckets.get_mut(at).push(pack(tag, handle))
    }

    /// Takes out the key at a position; `None` if the slot is empty.
    pub(super) fn remove(&mut self, position: usize) -> Option<Handle> {
        let handle = self.handle(position)?;
        let at = position / SLOTS;
        let was_full = self.buckets.get(at).is_full();
        self.buckets.get_mut(at).swap_remove(position % SLOTS);
        self.len -= 1;
        if was_full {
            self.pull_back(at);
        }
        Some(handle)
    }

    /// Restores the invariant after `hole`, which was full, has lost a key: the first key found further on whose way
    /// led through `hole` takes its place, and leaves a hole of its own. A bucket that is not full ends the run: no
    /// key's way led past it.
    fn pull_back(&mut self, mut hole: usize) {
        let (mut at, mut distance) = (self.after(hole), 1);
        while at != hole {
            let was_full = self.buckets.get(at).is_full();
            let slots = self.buckets.get(at).slots();
            if let Some(index) =
                slots.iter().position(|slot| self.displacement(*slot, at) >= distance)
            {
                let slot = self.buckets.get_mut(at).swap_remove(index);
                self.buckets.get_mut(hole).push(slot);
                self.hints.lower(hole, self.hints.get(at), self.buckets.count());
                (hole, distance) = (at, 0);
            }
            if !was_full {
                return;
            }
            (at, distance) = (self.after(at), distance + 1);
        }
    }

    /// Grows or shrinks to what the keys, and `more`, need.
    pub(super) fn resize(&mut self, more: usize) {
        *self =
            Self::filled(self.len + more, |filling| filling.add_all(&self.buckets, &self.hints));
    }

    /// Both segments' keys in one.
    pub(super) fn merge(&self, other: &Self) -> Self {
        Self::filled(self.len + other.len, |filling| {
            filling.add_all(&self.buckets, &self.hints);
            filling.add_all(&other.buckets, &other.hints);
        })
    }

    /// A segment with room for `len` keys, and those that `fill` adds.
    fn filled(len: usize, fill: impl FnOnce(&mut Filling<'_>)) -> Self {
        let mut segment = Self::with_room_for(len);
        let mut filling = Filling::new(&mut segment.buckets, &mut segment.hints);
        fill(&mut filling);
        segment.len = filling.len();
        segment
    }

    /// The keys for which `goes` says no, and those for which it says yes. `fetch` hears of each key a while before.
    pub(super) fn split(
        &self,
        fetch: impl Fn(Handle),
        mut goes: impl FnMut(Handle) -> bool,
    ) -> (Self, Self) {
        // Asking touches an entry per key: on its own, and with what follows fetched, so that the cache misses overlap.
        let mut later = self.buckets.iter();
        let mut fetch_next = || {
            let slots = later.next().into_iter().flat_map(Bucket::slots);
            slots.filter_map(|slot| handle_of(*slot)).for_each(&fetch);
        };
        (0..BUCKETS_AHEAD).for_each(|_| fetch_next());
        let ask = |bucket: &Bucket| {
            fetch_next();
            let goes =
                |(i, slot): (usize, &u64)| u8::from(handle_of(*slot).is_some_and(&mut goes)) << i;
            bucket.slots().iter().enumerate().map(goes).fold(0, |mask, bit| mask | bit)
        };
        let leaving: Vec<u8> = self.buckets.iter().map(ask).collect();
        let leave: usize = leaving.iter().map(|mask| mask.count_ones() as usize).sum();
        let part = |len, flip: u8| {
            Self::filled(len, |filling| {
                for (at, (bucket, mask)) in self.buckets.iter().zip(&leaving).enumerate() {
                    filling.add_some(bucket, mask ^ flip, self.hints.get(at));
                }
            })
        };
        (part(self.len - leave, u8::MAX), part(leave, 0))
    }

    /// Every key whose home is this bucket, wherever it is.
    pub(super) fn for_each_at_home(&self, home: usize, mut emit: impl FnMut(Handle)) {
        let mut at = home;
        for _ in 0..self.buckets.count() {
            let bucket = self.buckets.get(at);
            for slot in bucket.slots() {
                if self.home(tag_of(*slot)) == home {
                    handle_of(*slot).map(&mut emit);
                }
            }
            if !bucket.is_full() {
                return;
            }
            at = self.after(at);
        }
    }

    /// Every key stored in this bucket, wherever its home is.
    pub(super) fn in_bucket(&self, bucket: usize) -> impl Iterator<Item = Handle> + '_ {
        self.buckets.get(bucket).slots().iter().filter_map(|slot| handle_of(*slot))
    }

    /// Every key.
    pub(super) fn iter(&self) -> impl Iterator<Item = Handle> + '_ {
        (0..self.buckets.count()).flat_map(|bucket| self.in_bucket(bucket))
    }

    /// Notes that something in the bucket of this position expires at this tick.
    pub(super) fn note_expiry(&mut self, position: usize, hint: u32) {
        self.hints.lower(position / SLOTS, hint, self.buckets.count());
    }

    /// Makes the earliest hint exact, and returns it.
    pub(super) fn settle_hints(&mut self) -> u32 {
        self.hints.settle();
        self.hints.earliest()
    }

    /// Panics unless every key can be found and nothing was miscounted.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let mut len = 0;
        for (at, bucket) in self.buckets.iter().enumerate() {
            assert!(
                bucket.all()[bucket.len()..].iter().all(|slot| *slot == 0),
                "used slots come first"
            );
            for slot in bucket.slots() {
                len += 1;
                let mut way = self.home(tag_of(*slot));
                while way != at {
                    assert!(
                        self.buckets.get(way).is_full(),
                        "a key behind a bucket that is not full"
                    );
                    way = self.after(way);
                }
            }
        }
        assert_eq!(len, self.len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use std::collections::HashMap;

    fn handle(bits: u64) -> Handle {
        Handle::from_bits(bits).unwrap()
    }

    #[test]
    fn sizes_step_by_at_most_a_quarter_and_hold_what_they_promise() {
        assert_eq!(
            [1, 8, 9, 14, 15, 57, 58, 72, 73].map(buckets_for),
            [1, 1, 2, 2, 3, 8, 10, 10, 12]
        );
        let mut before = 1;
        for len in 1..20_000 {
            let buckets = buckets_for(len);
            assert!(keys_max(buckets) >= len);
            if buckets > 8 {
                assert!(buckets * 4 <= before * 5, "{before} to {buckets}");
                assert!(len * 100 >= buckets * SLOTS * 71, "{len} keys in {buckets} buckets");
            }
            before = buckets;
        }
    }

    #[test]
    fn first_tag_is_where_a_bucket_begins() {
        for len in [1, 20, 100, 5000] {
            let segment = Segment::with_room_for(len);
            for bucket in 1..segment.buckets() {
                let tag = segment.first_tag(bucket);
                assert_eq!((segment.home(tag - 1), segment.home(tag)), (bucket - 1, bucket));
            }
            assert_eq!(segment.home((1 << TAG_BITS) - 1), segment.buckets() - 1);
        }
    }

    /// Random inserts and removes with tags drawn by `tag`, against a map from handle to tag.
    fn random_operations(seed: u64, tag: impl Fn(&mut StdRng) -> u64) {
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let mut segment = Segment::with_room_for(0);
        let mut model: HashMap<u64, u64> = HashMap::new();
        for step in 1..3000u64 {
            let growing = (step / 500) % 2 == 0;
            if random.random_ratio(if growing { 7 } else { 4 }, 10) {
                if segment.is_at_limit() {
                    segment.resize(1);
                }
                let tag = tag(&mut random);
                let position = segment.insert(tag, handle(step));
                assert_eq!(segment.handle(position), Some(handle(step)));
                model.insert(step, tag);
            } else if let Some((&key, &tag)) = model.iter().next() {
                let position =
                    segment.find(tag, |found| found == handle(key)).expect("it was inserted");
                assert_eq!(segment.remove(position), Some(handle(key)));
                model.remove(&key);
                if segment.is_sparse() {
                    segment.resize(0);
                }
            }
            segment.check();
            let (&key, &tag) = model.iter().next().unwrap_or((&u64::MAX, &0));
            assert_eq!(segment.find(tag, |found| found.bits() == key).is_some(), key != u64::MAX);
        }
        assert_eq!(segment.iter().count(), model.len());
        for (key, tag) in model {
            assert!(segment.find(tag, |found| found == handle(key)).is_some());
        }
    }

    #[test]
    fn random_tags() {
        random_operations(rand::random(), |random| random.random_range(0..1 << TAG_BITS));
    }

    #[test]
    fn tags_that_are_all_the_same() {
        for tag in [0, 0x80_0000, 0xff_ffff] {
            random_operations(rand::random(), |_| tag);
        }
    }

    #[test]
    fn tags_at_the_end_wrap_around() {
        random_operations(rand::random(), |random| {
            (1 << TAG_BITS) - 1 - random.random_range(0..3) * 0x2_0000
        });
        random_operations(rand::random(), |random| {
            (0xfd_0000 + random.random_range(0..0x6_0000)) & 0xff_ffff
        });
    }

    #[test]
    fn a_key_two_buckets_on_is_pulled_back_past_keys_that_are_at_home() {
        let mut segment = Segment::with_room_for(28); // 4 buckets
        assert_eq!(segment.buckets(), 4);
        (1..=8).for_each(|key| _ = segment.insert(segment.first_tag(1), handle(key)));
        (11..=18).for_each(|key| _ = segment.insert(segment.first_tag(2), handle(key)));
        let pushed_on = segment.insert(segment.first_tag(1), handle(9));
        assert_eq!(pushed_on / SLOTS, 3);
        let position = segment.find(segment.first_tag(1), |found| found == handle(4)).unwrap();
        segment.remove(position);
        segment.check();
        let position = segment.find(segment.first_tag(1), |found| found == handle(9)).unwrap();
        assert_eq!(position / SLOTS, 1);
    }

    #[test]
    fn split_and_merge_keep_every_key() {
        let mut segment = Segment::with_room_for(1000);
        for key in 1..=1000 {
            segment.insert((key * 0x3fff) & 0xff_ffff, handle(key));
        }
        let (odd, even) = segment.split(|_| (), |handle| handle.bits() % 2 == 0);
        odd.check();
        even.check();
        assert_eq!((odd.len(), even.len()), (500, 500));
        assert!(even.iter().all(|handle| handle.bits() % 2 == 0));
        let merged = odd.merge(&even);
        merged.check();
        assert_eq!(merged.len(), 1000);
    }
}
