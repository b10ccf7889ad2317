//! A random key in O(1), each as likely as any other, without counting keys.
//!
//! A point in hash space leads to a segment, another one to a slot of it, and an empty slot means another try. Segments
//! differ in size, so the slot is drawn from a range that is the same for all (more than any of them has, by the average
//! load) and a draw beyond the segment's end is another try, too.

use super::bucket::SLOTS;
use super::{Dict, Handle};

/// A try succeeds with a chance of about 2 in 5; so many fail only in a dict whose hashes are not random.
const TRIES: u32 = 64;

impl Dict {
    /// A random key's handle; `None` if there is none. `random` gives uniformly distributed numbers.
    pub fn random(&self, mut random: impl FnMut() -> u64) -> Option<Handle> {
        if self.is_empty() {
            return None;
        }
        for _ in 0..TRIES {
            let draw = random();
            let index = self.segment_of(draw);
            let segment = &self.segments[index];
            let slots = segment.buckets() * SLOTS;
            let bits = self.prefix_bits(index);
            let range = if bits == 0 { slots } else { slots.max((self.len() * 5 / 2) >> bits) };
            let position = (((draw >> 32) * range as u64) >> 32) as usize;
            if position < slots
                && let Some(handle) = segment.handle(position)
            {
                return Some(handle);
            }
        }
        self.first_from(random() as usize % self.segments.len())
    }

    /// The keys of a bucket that is noted to have one that expires: the first such bucket from a random place on, around
    /// the end. A note may be left of a key that expires no more. `draw` is uniform over all of u64. O(segments).
    pub fn expiring_from(&self, draw: u64) -> impl Iterator<Item = Handle> + '_ {
        let start = self.segment_of(draw);
        let bucket = (((draw >> 32) * self.segments[start].buckets() as u64) >> 32) as usize;
        let rest = (1..=self.segments.len()).map(|step| ((start + step) % self.segments.len(), 0));
        let found = std::iter::once((start, bucket)).chain(rest).find_map(|(index, from)| {
            let segment = &self.segments[index];
            segment.hints.next_noted(from).map(|bucket| (segment, bucket))
        });
        found.into_iter().flat_map(|(segment, bucket)| segment.in_bucket(bucket))
    }

    /// The first key from some segment on, around the end.
    fn first_from(&self, index: usize) -> Option<Handle> {
        let (before, from) = self.segments.split_at(index);
        from.iter().chain(before).find_map(|segment| segment.iter().next())
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::tests::insert;
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn every_key_is_about_as_likely() {
        for keys in [1, 5, 100, 700, 5000] {
            let seed: u64 = rand::random();
            println!("seed {seed}");
            let mut random = StdRng::seed_from_u64(seed);
            let mut dict = Dict::with_segment_len(512);
            (1..=keys).for_each(|key| insert(&mut dict, key));
            let mut drawn = vec![0u32; keys as usize];
            for _ in 0..keys * 200 {
                drawn[dict.random(|| random.random()).unwrap().bits() as usize - 1] += 1;
            }
            // 200 draws per key have a standard deviation of 14.
            assert!(drawn.iter().all(|count| (110..=290).contains(count)), "{keys}: {drawn:?}");
        }
    }

    #[test]
    fn a_dict_of_bad_hashes_still_answers() {
        let mut dict = Dict::with_segment_len(4);
        assert_eq!(dict.random(|| 0), None);
        for key in 1..=200 {
            dict.insert(0, Handle::from_bits(key).unwrap(), |_: Handle| 0);
        }
        let mut draws = 0u64;
        for _ in 0..1000 {
            assert!(
                dict.random(|| {
                    draws += 1;
                    draws
                })
                .is_some()
            );
        }
    }
}
