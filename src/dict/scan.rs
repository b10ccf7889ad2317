//! SCAN: a cursor that survives growing and shrinking (the guarantee of Redis's `dictScan`, Pieter Noordhuis).
//!
//! A walk visits the segments in the order of their bit-reversed index, and within one the home buckets in the order of
//! their tags. A cursor says: in the segment of the hashes that end in these bits, everything below this tag is done.
//! A segment that has been split since lies in the walk where its parts lie, so what was done is still done. A segment
//! that has been merged since is begun again from its first tag, because only part of it was done: keys may come twice,
//! none is missed.

use super::bucket::TAG_BITS;
use super::{Dict, Handle};

/// A point of the walk: all hashes that end in the `bits` low bits of `prefix`, from `tag` on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Cursor {
    bits: u32,
    prefix: u64,
    tag: u64,
}

impl Cursor {
    /// The first point of the walk.
    const START: Self = Self { bits: 0, prefix: 0, tag: 0 };

    /// A 1, the prefix, the tag: never 0, 25 bits wide for one segment and 51 for 2^26.
    fn encode(self) -> u64 {
        (1 << self.bits | self.prefix) << TAG_BITS | self.tag
    }

    /// Every number is a cursor: one that was never given out means some point of the walk.
    fn decode(cursor: u64) -> Self {
        let (marked, tag) = (cursor >> TAG_BITS, cursor & ((1 << TAG_BITS) - 1));
        let bits = marked.checked_ilog2().unwrap_or(0);
        Self {
            bits,
            prefix: marked & !(1 << bits),
            tag: if marked == 0 { Self::START.tag } else { tag },
        }
    }

    /// The first point behind this segment; `None` at the end of the walk.
    fn next_segment(self) -> Option<Self> {
        // A carry from the top bit down: 1 is added to the reversed prefix.
        let highest_zero = (!self.prefix << (64 - self.bits - 1) << 1).leading_zeros();
        if highest_zero >= self.bits {
            return None;
        }
        let bit = 1 << (self.bits - 1 - highest_zero);
        Some(Self { bits: self.bits, prefix: self.prefix & (bit - 1) | bit, tag: 0 })
    }
}

impl Dict {
    /// One step of a walk over all keys: emits those of one home bucket (about 6, none or some more) and returns the
    /// cursor of the next step. A walk begins with cursor 0 and has ended when 0 is returned. A key that is there all
    /// the time is emitted at least once, whatever comes and goes between the steps. Any cursor is safe.
    pub fn scan(&self, cursor: u64, emit: impl FnMut(Handle)) -> u64 {
        let done = Cursor::decode(cursor);
        let index = self.segment_of(done.prefix);
        let Some(segment) = self.segments.get(index) else { return 0 };
        let bits = self.prefix_bits(index);
        let tag = if bits < done.bits { 0 } else { done.tag };
        let bucket = segment.home(tag);
        segment.for_each_at_home(bucket, emit);
        let here = Cursor { bits, prefix: index as u64, tag };
        if bucket + 1 < segment.buckets() {
            return Cursor { tag: segment.first_tag(bucket + 1), ..here }.encode();
        }
        here.next_segment().map_or(0, Cursor::encode)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use std::collections::{HashMap, HashSet};

    /// The hash of a key that is its own handle: the finalizer of splitmix64.
    pub(in super::super) fn hash_of(key: u64) -> u64 {
        let mixed = (key ^ key >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(in super::super) fn insert(dict: &mut Dict, key: u64) {
        dict.insert(hash_of(key), Handle::from_bits(key).unwrap(), |handle: Handle| {
            hash_of(handle.bits())
        });
    }

    pub(in super::super) fn remove(dict: &mut Dict, key: u64) {
        let slot = dict.find(hash_of(key), |handle| handle.bits() == key).expect("it was inserted");
        assert_eq!(dict.remove(slot).bits(), key);
    }

    #[test]
    fn segments_come_in_the_order_of_their_reversed_bits() {
        let mut cursor = Cursor { bits: 3, ..Cursor::START };
        let mut order = vec![cursor.prefix];
        while let Some(next) = cursor.next_segment() {
            order.push(next.prefix);
            cursor = next;
        }
        assert_eq!(order, [0, 4, 2, 6, 1, 5, 3, 7]);
        assert_eq!(Cursor::START.next_segment(), None);
    }

    #[test]
    fn cursors_survive_being_a_number() {
        for cursor in [
            Cursor { bits: 3, prefix: 5, tag: 77 },
            Cursor { bits: 39, prefix: (1 << 39) - 1, tag: 0xff_ffff },
        ] {
            assert_eq!(Cursor::decode(cursor.encode()), cursor);
        }
        assert_eq!(Cursor::decode(0), Cursor::START);
        assert!(
            Cursor { bits: 26, prefix: (1 << 26) - 1, tag: 0xff_ffff }.encode() < 1 << 53,
            "exact as a double, too"
        );
    }

    #[test]
    fn any_cursor_is_safe() {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let mut dict = Dict::with_segment_len(8);
        for key in 1..=500 {
            for _ in 0..20 {
                let cursor: u64 = random.random::<u64>() >> random.random_range(0..64);
                dict.scan(cursor, |_| ());
            }
            for cursor in [0, 1, u64::MAX, 1 << 63, (1 << 24) - 1, 1 << 24] {
                dict.scan(cursor, |_| ());
            }
            insert(&mut dict, key);
        }
        assert_eq!(Dict::new().scan(12345, |_| ()), 0);
    }

    #[test]
    fn a_walk_over_a_dict_at_rest_returns_every_key_once() {
        for keys in [1, 7, 9, 100, 1000, 12_345] {
            let mut dict = Dict::with_segment_len(64);
            (1..=keys).for_each(|key| insert(&mut dict, key));
            let (mut cursor, mut seen) = (0, Vec::new());
            loop {
                cursor = dict.scan(cursor, |handle| seen.push(handle.bits()));
                if cursor == 0 {
                    break;
                }
            }
            seen.sort_unstable();
            assert_eq!(seen, (1..=keys).collect::<Vec<_>>());
        }
    }

    #[test]
    fn keys_that_stay_are_returned_while_the_dict_grows_and_shrinks() {
        for _ in 0..60 {
            let seed: u64 = rand::random();
            println!("seed {seed}");
            let mut random = StdRng::seed_from_u64(seed);
            let mut dict = Dict::with_segment_len([2, 10, 64][random.random_range(0..3)]);
            let mut passing: HashMap<u64, ()> = HashMap::new();
            let stay: HashSet<u64> = (1..=random.random_range(1..500)).collect();
            stay.iter().for_each(|key| insert(&mut dict, *key));
            let (mut next_key, mut cursor, mut seen, mut steps) = (1_000_000, 0, HashSet::new(), 0);
            loop {
                cursor = dict.scan(cursor, |handle| _ = seen.insert(handle.bits()));
                steps += 1;
                if cursor == 0 {
                    break;
                }
                if steps > 3000 {
                    continue; // merging starts segments over; let the walk end
                }
                if random.random_ratio(1, 3) {
                    for _ in 0..random.random_range(0..400) {
                        next_key += 1;
                        passing.insert(next_key, ());
                        insert(&mut dict, next_key);
                    }
                } else {
                    let go: Vec<u64> =
                        passing.keys().copied().take(random.random_range(0..600)).collect();
                    for key in go {
                        passing.remove(&key);
                        remove(&mut dict, key);
                    }
                }
            }
            dict.check(|handle| hash_of(handle.bits()));
            assert!(
                stay.is_subset(&seen),
                "missed {:?}",
                stay.difference(&seen).collect::<Vec<_>>()
            );
        }
    }
}
