//! Intset: a set of integers as a sorted array of 2, 4 or 8-byte numbers.
//!
//! ```text
//! bytes per number (u32: 2, 4 or 8) | count (u32) | number ... number, ascending
//! ```
//! Little-endian. The bytes are Redis's (intset.c; Pieter Noordhuis), so that DUMP, RDB files and replication are a
//! copy. All numbers are as wide as the widest that was ever added: an intset never gets narrower.
//!
//! [`Intset`] reads borrowed bytes; [`add`] and [`remove`] edit a `Vec<u8>`. Both take for granted that the bytes are
//! sound: what comes from outside goes through [`validate`] first.

const HEADER: usize = 8;

/// An intset, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Intset<'a> {
    width: usize,
    numbers: &'a [u8],
}

impl<'a> Intset<'a> {
    /// `bytes` are a whole intset that an edit made or [`validate`] has found sound.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { width: usize::from(bytes[0]), numbers: &bytes[HEADER..] }
    }

    /// How many numbers it has. O(1).
    #[inline]
    pub fn len(self) -> usize {
        self.numbers.len() / self.width
    }

    /// Whether it has no numbers. O(1).
    #[inline]
    pub fn is_empty(self) -> bool {
        self.numbers.is_empty()
    }

    /// The number that `index` others are smaller than: with a random index, a random number. O(1).
    #[inline]
    pub fn get(self, index: usize) -> Option<i64> {
        (index < self.len()).then(|| self.at(index))
    }

    /// The smallest number. O(1).
    pub fn min(self) -> Option<i64> {
        self.get(0)
    }

    /// The largest number. O(1).
    pub fn max(self) -> Option<i64> {
        self.get(self.len().wrapping_sub(1))
    }

    /// Whether `number` is in the set. O(log numbers).
    #[inline]
    pub fn contains(self, number: i64) -> bool {
        self.search(number).is_ok()
    }

    /// All numbers, ascending.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = i64> + ExactSizeIterator + Clone + 'a {
        (0..self.len()).map(move |index| self.at(index))
    }

    /// The index of `number`, or the one it would have.
    #[inline]
    fn search(self, number: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            let found = self.at(middle);
            if found == number {
                return Ok(middle);
            }
            if found < number { low = middle + 1 } else { high = middle }
        }
        Err(low)
    }

    #[inline]
    fn at(self, index: usize) -> i64 {
        let bytes = &self.numbers[index * self.width..(index + 1) * self.width];
        match *bytes {
            [a, b] => i64::from(i16::from_le_bytes([a, b])),
            [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
            _ => i64::from_le_bytes(bytes.try_into().expect("a number has 2, 4 or 8 bytes")),
        }
    }
}

/// An intset without numbers. (Redis keeps none: the last removal deletes the key.)
pub fn new() -> Vec<u8> {
    vec![2, 0, 0, 0, 0, 0, 0, 0]
}

/// Whether `bytes` are a sound intset: width, size and order. Takes bytes of any origin; as in Redis, no empty set is
/// sound. O(numbers).
pub fn validate(bytes: &[u8]) -> bool {
    let Some((&[width @ (2 | 4 | 8), 0, 0, 0, a, b, c, d], numbers)) = bytes.split_first_chunk()
    else {
        return false;
    };
    let count = u32::from_le_bytes([a, b, c, d]) as usize;
    if count == 0 || numbers.len() != count * usize::from(width) {
        return false;
    }
    let set = Intset::new(bytes);
    set.iter().zip(set.iter().skip(1)).all(|(number, next)| number < next)
}

/// Adds `number`. Returns whether it is new. O(numbers), at the end of the range amortized O(log numbers).
pub fn add(intset: &mut Vec<u8>, number: i64) -> bool {
    let width = width_of(number);
    if width > Intset::new(intset).width {
        widen(intset, width);
    }
    let set = Intset::new(intset);
    let Err(index) = set.search(number) else { return false };
    let (width, count) = (set.width, set.len() + 1);
    let (at, end) = (HEADER + index * width, intset.len());
    intset.resize(end + width, 0);
    intset.copy_within(at..end, at + width);
    intset[at..at + width].copy_from_slice(&number.to_le_bytes()[..width]);
    set_count(intset, count);
    true
}

/// Removes `number`. Returns whether it was there. O(numbers).
pub fn remove(intset: &mut Vec<u8>, number: i64) -> bool {
    let set = Intset::new(intset);
    let Ok(index) = set.search(number) else { return false };
    let (width, count) = (set.width, set.len() - 1);
    let at = HEADER + index * width;
    intset.drain(at..at + width);
    set_count(intset, count);
    true
}

fn width_of(number: i64) -> usize {
    match number {
        -0x8000..=0x7fff => 2,
        -0x8000_0000..=0x7fff_ffff => 4,
        _ => 8,
    }
}

fn widen(intset: &mut Vec<u8>, width: usize) {
    let set = Intset::new(intset);
    let mut wide = Vec::with_capacity(HEADER + (set.len() + 1) * width);
    wide.extend_from_slice(&[width as u8, 0, 0, 0]);
    wide.extend_from_slice(&intset[4..HEADER]);
    for number in set.iter() {
        wide.extend_from_slice(&number.to_le_bytes()[..width]);
    }
    *intset = wide;
}

fn set_count(intset: &mut [u8], count: usize) {
    let count = u32::try_from(count).expect("set-max-intset-entries is below 4 G");
    intset[4..HEADER].copy_from_slice(&count.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn of(numbers: &[i64]) -> Vec<u8> {
        let mut intset = new();
        numbers.iter().for_each(|&number| assert!(add(&mut intset, number)));
        intset
    }

    #[test]
    fn random_edits_do_what_they_do_to_a_btree_set() {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        for bits in [6, 14, 20, 34, 63] {
            let (mut intset, mut model) = (new(), BTreeSet::new());
            for _ in 0..600 {
                let number = random.random::<i64>() >> (64 - bits) << random.random_range(0..2);
                if random.random_bool(0.6) {
                    assert_eq!(add(&mut intset, number), model.insert(number));
                } else {
                    assert_eq!(remove(&mut intset, number), model.remove(&number));
                }
                let set = Intset::new(&intset);
                assert_eq!(validate(&intset), !model.is_empty());
                assert!(set.iter().eq(model.iter().copied()));
                assert_eq!((set.min(), set.max()), (model.first().copied(), model.last().copied()));
                assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
                assert_eq!(set.contains(number), model.contains(&number));
                assert_eq!(set.get(model.len()), None);
            }
        }
    }

    #[test]
    fn the_widest_number_ever_added_sets_the_width() {
        let mut intset = of(&[32_767, -32_768]);
        assert_eq!(intset, [2, 0, 0, 0, 2, 0, 0, 0, 0, 0x80, 0xff, 0x7f]);
        assert!(add(&mut intset, 32_768));
        assert_eq!((intset[0], intset.len()), (4, 8 + 3 * 4));
        assert!(add(&mut intset, -2_147_483_648));
        assert_eq!(intset[0], 4);
        assert!(add(&mut intset, -2_147_483_649));
        assert_eq!((intset[0], intset.len()), (8, 8 + 5 * 8));
        assert!(remove(&mut intset, -2_147_483_649));
        assert_eq!((intset[0], intset.len()), (8, 8 + 4 * 8));
        assert!(!remove(&mut intset, i64::MAX));
        assert!(Intset::new(&intset).iter().eq([-2_147_483_648, -32_768, 32_767, 32_768]));
        assert!(validate(&intset));
    }

    #[test]
    fn the_bytes_are_those_of_redis() {
        // What DUMP of Redis 7.0.15 has after SADD s 1 -5 70000.
        let dump = b"\x04\0\0\0\x03\0\0\0\xfb\xff\xff\xff\x01\0\0\0\x70\x11\x01\0";
        assert_eq!(of(&[1, -5, 70_000]), dump);
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let sound = of(&[1, 2, 300]);
        assert!(validate(&sound));
        for len in 0..sound.len() {
            assert!(!validate(&sound[..len]));
        }
        for (at, byte) in
            [(0, 4), (0, 3), (0, 0), (1, 1), (4, 2), (4, 0), (7, 0xff), (8, 2), (9, 1)]
        {
            let mut bytes = sound.clone();
            bytes[at] = byte;
            assert!(!validate(&bytes), "{at}");
        }
        assert!(!validate(&new()));
    }
}
