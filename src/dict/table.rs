//! `Dict`: linear hashing over segments (W. Litwin, "Linear Hashing", VLDB 1980).
//!
//! The low bits of a key's hash choose its segment, the top 24 bits its place there. One segment at a time is split in
//! two, in order, so a dict of any size grows by a step of some thousand keys (a fraction of a millisecond) every some
//! thousand inserts, is as full after it as before, and never owns a second table. It shrinks the same way.
//!
//! Keys are compared by the caller, who also says how to hash an entry again: a split needs more of the hash than the
//! slots keep. The cursor of SCAN is in `scan.rs`, random keys in `random.rs`, the search for expired ones in
//! `sweep.rs`.

use super::Handle;
use super::bucket::tag_of_hash;
use super::expiry_hints::Ticks;
use super::segment::Segment;
use super::sweep::SweepPosition;

/// Keys per segment on average. A segment has between half and twice as many, and about 80 KiB of buckets at most: big
/// enough that segments cost nothing, small enough that splitting one does not hold up a client.
const SEGMENT_LEN: usize = 4096;

/// Where a key is. Valid until the next insert or remove.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    segment: u32,
    position: u32,
}

/// What a search found, for a later time: see [`Dict::look`].
#[derive(Clone, Copy)]
pub struct Look {
    /// The one entry the key may have, if there is any.
    pub place: Option<(Slot, Handle)>,
    segment: u32,
    at: u64,
}

/// Says the hashes of entries, of which a dict keeps a part. A function does.
pub trait Rehash {
    /// The full hash of an entry.
    fn hash(&self, handle: Handle) -> u64;

    /// It will be asked for soon.
    fn prefetch(&self, _: Handle) {}
}

impl<H: Fn(Handle) -> u64> Rehash for H {
    fn hash(&self, handle: Handle) -> u64 {
        self(handle)
    }
}

impl<H: Fn(Handle) -> u64, P: Fn(Handle)> Rehash for (H, P) {
    fn hash(&self, handle: Handle) -> u64 {
        self.0(handle)
    }

    fn prefetch(&self, handle: Handle) {
        self.1(handle);
    }
}

/// A set of handles by the hash of their keys. Finding, inserting and removing are O(1), growth included.
pub struct Dict {
    pub(super) segments: Vec<Segment>,
    /// The hash bits that choose a segment, of which the highest may lead to one that is not there yet.
    mask: u64,
    len: usize,
    segment_bytes: usize,
    segment_len: usize,
    /// Counts changes of slots.
    changes: u64,
    pub(super) ticks: Ticks,
    pub(super) sweep: SweepPosition,
}

impl Default for Dict {
    fn default() -> Self {
        Self::new()
    }
}

impl Dict {
    /// An empty dict, which takes no memory.
    pub const fn new() -> Self {
        Self::with_base(0)
    }

    /// An empty dict whose keys have TTLs: the base should be the unix time in milliseconds of now or not long ago,
    /// because expiry hints count from it.
    pub const fn with_base(base_ms: i64) -> Self {
        Self {
            segments: Vec::new(),
            mask: 0,
            len: 0,
            segment_bytes: 0,
            segment_len: SEGMENT_LEN,
            changes: 0,
            ticks: Ticks::since(base_ms),
            sweep: SweepPosition::START,
        }
    }

    /// Segments so small that a test sees many of them.
    #[cfg(test)]
    pub(super) fn with_segment_len(segment_len: usize) -> Self {
        Self { segment_len, ..Self::new() }
    }

    /// Number of keys.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without any key.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Memory of the dict without its entries. O(1).
    pub fn memory_bytes(&self) -> usize {
        self.segment_bytes + self.segments.capacity() * size_of::<Segment>()
    }

    /// Index of the segment a hash belongs to.
    #[inline]
    pub(super) fn segment_of(&self, hash: u64) -> usize {
        let index = (hash & self.mask) as usize;
        if index < self.segments.len() { index } else { index & (self.mask >> 1) as usize }
    }

    /// How many low bits of the hash all keys of a segment share: its index.
    pub(super) fn prefix_bits(&self, segment: usize) -> u32 {
        let half = (self.mask as usize).div_ceil(2);
        let is_split = segment >= half || segment + half < self.segments.len();
        self.mask.count_ones() - u32::from(!is_split)
    }

    /// The key with this hash for which `eq` says yes. `eq` sees a handle whose key is not the one about once in 2,000
    /// times.
    #[inline]
    pub fn find(&self, hash: u64, eq: impl FnMut(Handle) -> bool) -> Option<Slot> {
        let index = self.segment_of(hash);
        let position = self.segments.get(index)?.find(tag_of_hash(hash), eq)?;
        Some(Slot { segment: index as u32, position: position as u32 })
    }

    /// What [`find`](Self::find) would compare first: most likely the entry of the key, if it is there. No place means that
    /// the key is surely not there. True as long as [`still_holds`](Self::still_holds) says so.
    #[inline]
    pub fn look(&self, hash: u64) -> Look {
        let index = self.segment_of(hash);
        let mut first = None;
        let position = self.segments.get(index).and_then(|segment| {
            segment.find(tag_of_hash(hash), |handle| {
                first = Some(handle);
                true
            })
        });
        let segment = index as u32;
        let slot = position.map(|position| Slot { segment, position: position as u32 });
        Look { place: slot.zip(first), segment, at: self.changes }
    }

    /// Whether nothing has changed where the look went: neither have keys come to its segment or left it, nor has a handle
    /// there been replaced.
    #[inline]
    pub fn still_holds(&self, look: &Look) -> bool {
        let segment = self.segments.get(look.segment as usize);
        segment.is_some_and(|segment| segment.changed_at <= look.at)
    }

    /// Asks the processor for the bucket this hash belongs to. A batch that asks for all its buckets, then for the blocks
    /// its [`look`](Self::look)s find, then executes, waits for many cache misses at a time.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        if let Some(segment) = self.segments.get(self.segment_of(hash)) {
            segment.prefetch(tag_of_hash(hash));
        }
    }

    /// The handle in a slot.
    #[inline]
    pub fn handle(&self, slot: Slot) -> Handle {
        self.segments[slot.segment as usize]
            .handle(slot.position as usize)
            .expect("a slot names a key")
    }

    /// Puts another handle for the same key in a slot and returns the old one.
    pub fn replace(&mut self, slot: Slot, handle: Handle) -> Handle {
        self.note_change(slot.segment as usize);
        let segment = &mut self.segments[slot.segment as usize];
        segment.replace(slot.position as usize, handle).expect("a slot names a key")
    }

    /// Adds a key; the caller knows that it is not there. `rehash` says the full hash of an entry that is: it is asked
    /// for up to 8,000 of them in the one insert of some thousand that splits a segment.
    pub fn insert(&mut self, hash: u64, handle: Handle, rehash: impl Rehash) -> Slot {
        if self.len >= self.segments.len() * self.segment_len {
            self.split_next(rehash);
        }
        let index = self.segment_of(hash);
        if self.segments[index].is_at_limit() {
            self.resize(index, 1);
        }
        self.len += 1;
        let position = self.segments[index].insert(tag_of_hash(hash), handle);
        self.note_change(index);
        Slot { segment: index as u32, position: position as u32 }
    }

    /// Takes a key out and returns its handle.
    pub fn remove(&mut self, slot: Slot) -> Handle {
        let index = slot.segment as usize;
        let handle =
            self.segments[index].remove(slot.position as usize).expect("a slot names a key");
        self.len -= 1;
        if self.segments[index].is_sparse() {
            self.resize(index, 0);
        }
        self.note_change(index);
        // Half as full as where it splits, so that keys coming and going do neither.
        if self.len < self.segments.len() * self.segment_len / 2 && self.segments.len() > 1 {
            self.merge_last();
        }
        handle
    }

    /// Removes every key, at once. Big dicts are better taken away and dropped in steps.
    pub fn clear(&mut self) {
        let Self { segment_len, ticks, changes, .. } = *self;
        *self = Self { segment_len, ticks, changes: changes + 1, ..Self::new() };
    }

    /// Every handle, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Handle> + '_ {
        self.segments.iter().flat_map(Segment::iter)
    }

    /// Frees a dict that nobody will use again in steps of up to `segments_max` segments, and returns true when it is
    /// empty. A segment holds some thousand keys.
    pub fn drop_step(&mut self, segments_max: usize) -> bool {
        for _ in 0..segments_max {
            let Some(segment) = self.segments.pop() else { break };
            self.len -= segment.len();
            self.segment_bytes -= segment.bytes();
            self.update_mask();
        }
        if self.segments.is_empty() {
            self.clear();
        }
        self.segments.is_empty()
    }

    /// Notes when the key in a slot expires, in unix milliseconds, so that [`sweep`](Self::sweep) will find it. To be
    /// called whenever a TTL is set; a TTL that goes away needs no call.
    pub fn note_expiry(&mut self, slot: Slot, expire_at_ms: i64) {
        let hint = self.ticks.hint(expire_at_ms);
        self.change(slot.segment as usize, |segment| {
            segment.note_expiry(slot.position as usize, hint)
        });
    }

    /// Changes a segment and keeps the sum of their bytes.
    #[inline]
    pub(super) fn change<T>(&mut self, index: usize, change: impl FnOnce(&mut Segment) -> T) -> T {
        let segment = &mut self.segments[index];
        self.segment_bytes -= segment.bytes();
        let result = change(segment);
        self.segment_bytes += segment.bytes();
        result
    }

    /// Slots of a segment have changed: what was found there before no longer holds.
    #[inline]
    fn note_change(&mut self, index: usize) {
        self.changes += 1;
        self.segments[index].changed_at = self.changes;
    }

    #[cold]
    fn resize(&mut self, index: usize, more: usize) {
        self.change(index, |segment| segment.resize(more));
    }

    fn update_mask(&mut self) {
        self.mask = (self.segments.len().next_power_of_two() - 1) as u64;
    }

    /// The segment that splits to make segment `index`, or takes it back.
    fn buddy(index: usize) -> usize {
        index ^ (1 << index.ilog2())
    }

    /// One segment more: the keys of its buddy with one more hash bit set.
    #[cold]
    fn split_next(&mut self, rehash: impl Rehash) {
        let index = self.segments.len();
        let mut added = Segment::with_room_for(0);
        if index == 0 {
            self.segments.reserve_exact(1); // most dicts that are not a database stay at one
        } else {
            let bit = 1u64 << index.ilog2();
            added = self.change(Self::buddy(index), |segment| {
                let (stay, leave) = segment.split(
                    |handle| rehash.prefetch(handle),
                    |handle| rehash.hash(handle) & bit != 0,
                );
                *segment = stay;
                leave
            });
        }
        self.segment_bytes += added.bytes();
        self.segments.push(added);
        self.note_change(index);
        if index > 0 {
            self.note_change(Self::buddy(index));
        }
        self.update_mask();
    }

    /// The reverse of [`split_next`](Self::split_next). The tags are in the slots: no entry is touched.
    #[cold]
    fn merge_last(&mut self) {
        let Some(last) = self.segments.pop() else { return };
        self.segment_bytes -= last.bytes();
        let buddy = Self::buddy(self.segments.len());
        self.sweep.go_back_to(buddy);
        self.change(buddy, |segment| *segment = segment.merge(&last));
        self.note_change(buddy);
        self.update_mask();
        if self.segments.capacity() > 4 * self.segments.len() {
            self.segments.shrink_to(2 * self.segments.len());
        }
    }

    /// Panics unless every key is where a search looks for it and nothing was miscounted.
    #[cfg(test)]
    pub(super) fn check(&self, hash: impl Fn(Handle) -> u64) {
        for (index, segment) in self.segments.iter().enumerate() {
            segment.check();
            let shared = (1u64 << self.prefix_bits(index)) - 1;
            for handle in segment.iter() {
                assert_eq!(self.segment_of(hash(handle)), index);
                assert_eq!(hash(handle) & shared, index as u64);
            }
        }
        assert_eq!(self.len, self.segments.iter().map(Segment::len).sum::<usize>());
        assert_eq!(self.segment_bytes, self.segments.iter().map(Segment::bytes).sum::<usize>());
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::tests::{hash_of, insert, remove};
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use std::collections::{HashMap, HashSet};

    #[test]
    fn an_empty_dict_takes_no_memory_and_a_tiny_one_little() {
        let mut dict = Dict::new();
        assert_eq!((dict.memory_bytes(), dict.len(), dict.iter().count()), (0, 0, 0));
        dict.prefetch(1);
        assert_eq!((dict.find(1, |_| true), dict.look(1).place), (None, None));
        for key in 1..=8 {
            insert(&mut dict, key);
            assert!(dict.memory_bytes() <= 64 + 64, "{}", dict.memory_bytes());
        }
        insert(&mut dict, 9);
        assert!(dict.memory_bytes() <= 128 + 64);
    }

    /// Keys 1..=keys come and go in waves; every answer is compared with a map's.
    fn random_operations(segment_len: usize, keys: u64, steps: u64) {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let mut dict = Dict::with_segment_len(segment_len);
        let mut model: HashMap<u64, u64> = HashMap::new(); // key to the version in its handle
        let handle = |key: u64, version: u64| Handle::from_bits(key | version << 32).unwrap();
        let key_of = |handle: Handle| handle.bits() & 0xffff_ffff;
        let mut earlier: Option<(u64, Look)> = None;
        for step in 0..steps {
            let key = random.random_range(1..=keys);
            let found = dict.find(hash_of(key), |handle| key_of(handle) == key);
            assert_eq!(
                found.map(|slot| dict.handle(slot)),
                model.get(&key).map(|version| handle(key, *version))
            );
            let (growing, version) =
                ((step * 4 / steps).is_multiple_of(2), random.random_range(0..200));
            match found {
                None if growing || random.random_ratio(1, 5) => {
                    let slot = dict.insert(hash_of(key), handle(key, version), |handle: Handle| {
                        hash_of(key_of(handle))
                    });
                    assert_eq!(dict.handle(slot), handle(key, version));
                    model.insert(key, version);
                }
                Some(slot) if !growing || random.random_ratio(1, 5) => {
                    assert_eq!(
                        Some(dict.remove(slot)),
                        model.remove(&key).map(|version| handle(key, version))
                    );
                }
                Some(slot) => {
                    dict.replace(slot, handle(key, version));
                    model.insert(key, version);
                }
                None => {}
            }
            if let Some((hash, look)) = earlier
                && dict.still_holds(&look)
            {
                assert_eq!(dict.look(hash).place, look.place);
            } else {
                let hash = hash_of(random.random_range(1..=keys));
                earlier = Some((hash, dict.look(hash)));
            }
            assert_eq!(dict.len(), model.len());
            if step % (steps / 50) == 0 {
                dict.check(|handle| hash_of(key_of(handle)));
            }
        }
        let all: HashSet<Handle> = dict.iter().collect();
        assert_eq!(all, model.iter().map(|(key, version)| handle(*key, *version)).collect());
    }

    #[test]
    fn random_operations_with_many_small_segments() {
        random_operations(16, 3000, 60_000);
        random_operations(1, 200, 10_000);
    }

    #[test]
    fn random_operations_with_segments_of_the_real_size() {
        random_operations(SEGMENT_LEN, 30_000, 250_000);
    }

    #[test]
    fn a_look_holds_until_its_own_segment_changes() {
        let mut dict = Dict::with_segment_len(64);
        (1..=2000).for_each(|key| insert(&mut dict, key));
        let looks: Vec<Look> = (1..=4000).map(|key| dict.look(hash_of(key))).collect();
        assert!(looks.iter().all(|look| dict.still_holds(look)));
        insert(&mut dict, 5000);
        let held = looks.iter().filter(|look| dict.still_holds(look)).count();
        assert!(
            (3600..4000).contains(&held),
            "{held} of 4000, one of some 30 segments has changed"
        );
        (5001..=8000).for_each(|key| insert(&mut dict, key)); // every segment gets keys, and all split
        assert!(!looks.iter().any(|look| dict.still_holds(look)));
        let looks: Vec<Look> = (1..=4000).map(|key| dict.look(hash_of(key))).collect();
        (1..=2000).for_each(|key| remove(&mut dict, key)); // and merge
        (5000..=8000).for_each(|key| remove(&mut dict, key));
        assert!(!looks.iter().any(|look| dict.still_holds(look)));
        (1..=8000).for_each(|key| insert(&mut dict, key));
        assert!(!looks.iter().any(|look| dict.still_holds(look)), "nor when they are back");
    }

    #[test]
    fn keys_that_all_have_the_same_hash_are_slow_but_right() {
        let mut dict = Dict::with_segment_len(64);
        let handle = |key| Handle::from_bits(key).unwrap();
        for key in 1..=600 {
            dict.insert(u64::MAX, handle(key), |_: Handle| u64::MAX);
        }
        dict.check(|_| u64::MAX);
        for key in 1..=600 {
            let slot = dict.find(u64::MAX, |found| found == handle(key)).unwrap();
            assert_eq!(dict.remove(slot), handle(key));
        }
        assert!(dict.is_empty());
    }

    #[test]
    fn memory_per_key_stays_bounded_while_growing() {
        let mut dict = Dict::new();
        let mut worst: f64 = 0.0;
        for key in 1..=2_000_000u64 {
            insert(&mut dict, key);
            if key >= 10_000 {
                worst = worst.max(dict.memory_bytes() as f64 / key as f64);
            }
        }
        println!("worst {worst}");
        assert!(worst <= 11.2, "{worst} bytes per key");
    }

    #[test]
    fn memory_comes_back_when_keys_go() {
        let mut dict = Dict::new();
        (1..=300_000).for_each(|key| insert(&mut dict, key));
        for key in 1..=300_000 {
            remove(&mut dict, key);
            let left = 300_000 - key as usize;
            assert!(dict.memory_bytes() <= left * 18 + 16_000, "{left}: {}", dict.memory_bytes());
        }
        assert!(dict.memory_bytes() < 1000);
    }

    #[test]
    fn dropping_in_steps_frees_everything() {
        let mut dict = Dict::with_segment_len(16);
        (1..=1000).for_each(|key| insert(&mut dict, key));
        let mut steps = 0;
        while !dict.drop_step(4) {
            steps += 1;
        }
        assert!(steps > 10 && dict.is_empty() && dict.memory_bytes() == 0);
        insert(&mut dict, 1);
        assert_eq!(dict.len(), 1);
    }
}
