//! `Table`: records of bytes under unique names, one block each: what big hashes, sets and sorted sets stand on.
//!
//! A [`Dict`] over an [`Arena`]: growth in small steps, the SCAN guarantee, random records in O(1), and 9 to 11 bytes per
//! record beside its block. How a record is laid out, and what is in it beside its name, is for its type to say.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hasher as _;
use std::marker::PhantomData;
use std::sync::Arc;

use siphasher::sip::SipHasher13;

use crate::dict::{Arena, Dict, Handle, SharedBlocks, Slot};

/// The secret of a table's hash function (SipHash-1-3), which keeps clients from choosing names that collide.
pub type HashKey = (u64, u64);

/// How the records of a table are laid out.
pub trait Record {
    /// The name of the record in a block. Blocks may be longer than records.
    fn name(block: &[u8]) -> &[u8];

    /// When it expires, in Unix milliseconds; `None` = never.
    fn expire_at_ms(_block: &[u8]) -> Option<i64> {
        None
    }
}

/// Records by name. Finding, adding and removing one are O(1), growth included.
pub struct Table<R> {
    dict: Dict,
    blocks: Arena<Arc<[u8]>>,
    hash_key: HashKey,
    record: PhantomData<fn() -> R>,
}

/// One turn of [`Table::sweep`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sweep {
    /// Records found and removed.
    pub removed: usize,
    /// Steps taken.
    pub steps: usize,
    /// Whether the sweep has come round: the next one starts over.
    pub round_finished: bool,
}

impl<R: Record> Table<R> {
    /// An empty table. `base_ms` is about now, in Unix milliseconds, if records will expire; else anything.
    pub fn new(hash_key: HashKey, base_ms: i64) -> Self {
        let (dict, blocks) = (Dict::with_base(base_ms), Arena::new());
        Self { dict, blocks, hash_key, record: PhantomData }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.dict.len()
    }

    /// True without records.
    pub fn is_empty(&self) -> bool {
        self.dict.is_empty()
    }

    /// The secret of the hash function.
    pub fn hash_key(&self) -> HashKey {
        self.hash_key
    }

    /// Memory of index and blocks. O(1).
    pub fn memory_bytes(&self) -> usize {
        self.dict.memory_bytes() + self.blocks.resident_bytes()
    }

    /// Where the record with this name is. Valid until a record is added or removed.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<Slot> {
        self.dict.find(hash(self.hash_key, name), |handle| self.name(handle) == name)
    }

    #[inline]
    fn name(&self, handle: Handle) -> &[u8] {
        R::name(self.blocks.block(handle))
    }

    /// The handle of the record in a slot. Stays the same until the record is removed or [rewritten](Self::rewrite).
    #[inline]
    pub fn handle(&self, slot: Slot) -> Handle {
        self.dict.handle(slot)
    }

    /// The block of a handle.
    #[inline]
    pub fn block(&self, handle: Handle) -> &[u8] {
        self.blocks.block(handle)
    }

    /// The block in a slot.
    #[inline]
    pub fn get(&self, slot: Slot) -> &[u8] {
        self.blocks.block(self.dict.handle(slot))
    }

    /// The block in a slot, to be changed. The name and the expire time must stay.
    #[inline]
    pub fn get_mut(&mut self, slot: Slot) -> &mut [u8] {
        self.blocks.block_mut(self.dict.handle(slot))
    }

    /// Adds a record of `size` bytes, which `write` fills in; the caller knows that the name is not there.
    pub fn insert(&mut self, name: &[u8], size: usize, write: impl FnOnce(&mut [u8])) -> Slot {
        let handle = self.blocks.allocate(size);
        let block = self.blocks.block_mut(handle);
        write(block);
        debug_assert_eq!(R::name(block), name);
        let expire_at_ms = R::expire_at_ms(block);
        let (blocks, hash_key) = (&self.blocks, self.hash_key);
        let rehash = |other| hash(hash_key, R::name(blocks.block(other)));
        let prefetch = |other| blocks.prefetch(other);
        let slot = self.dict.insert(hash(hash_key, name), handle, (rehash, prefetch));
        self.note_expiry(slot, expire_at_ms);
        slot
    }

    /// Notes when the record in a slot expires, so that [`sweep`](Self::sweep) finds it.
    #[inline]
    fn note_expiry(&mut self, slot: Slot, expire_at_ms: Option<i64>) {
        if let Some(at_ms) = expire_at_ms {
            self.dict.note_expiry(slot, at_ms);
        }
    }

    /// Writes another record with the same name in the place of one, in the same block if `size` fits.
    pub fn rewrite(&mut self, slot: Slot, size: usize, write: impl FnOnce(&mut [u8])) {
        let old = self.dict.handle(slot);
        let fits = self.blocks.fits(old, size);
        let handle = if fits { old } else { self.blocks.allocate(size) };
        let block = self.blocks.block_mut(handle);
        write(block);
        let expire_at_ms = R::expire_at_ms(block);
        if !fits {
            self.dict.replace(slot, handle);
            self.blocks.free(old);
        }
        self.note_expiry(slot, expire_at_ms);
    }

    /// Removes a record.
    pub fn remove(&mut self, slot: Slot) {
        let handle = self.dict.remove(slot);
        self.blocks.free(handle);
    }

    /// Removes the record with this handle. As [`remove`](Self::remove), plus a search.
    pub fn remove_handle(&mut self, handle: Handle) {
        let slot = self.dict.find(hash(self.hash_key, self.name(handle)), |other| other == handle);
        self.remove(slot.expect("every block is in the index"));
    }

    /// All blocks as they are now, to be read while the table goes on changing. O(pages).
    pub fn share(&self) -> SharedBlocks {
        self.blocks.share()
    }

    /// One step of a scan (see [`Dict::scan`]): emits a few blocks and returns the next cursor, 0 at the end.
    pub fn scan(&self, cursor: u64, mut emit: impl FnMut(&[u8])) -> u64 {
        self.dict.scan(cursor, |handle| emit(self.blocks.block(handle)))
    }

    /// All blocks, in no order. O(records).
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.dict.iter().map(|handle| self.blocks.block(handle))
    }

    /// A random record's handle, each about as likely; `None` without records. `random` gives uniformly distributed
    /// numbers. O(1).
    pub fn random(&self, random: impl FnMut() -> u64) -> Option<Handle> {
        self.dict.random(random)
    }

    /// Emits `count` different random records, or all if there are no more, in no order. O(count), and never more
    /// memory than that.
    pub fn sample(
        &self,
        count: usize,
        mut random: impl FnMut() -> u64,
        mut emit: impl FnMut(&[u8]),
    ) {
        let mut drawn = HashSet::new();
        let mut left = count.min(self.len());
        // Drawing one by one meets more and more that were drawn before: beyond a third a pass over all is cheaper. It
        // also ends a series of bad luck, which only a dict of colliding hashes has.
        let mut tries = if left <= self.len() / 3 { left.saturating_mul(8) } else { 0 };
        while left > 0 && tries > 0 {
            tries -= 1;
            let Some(handle) = self.dict.random(&mut random) else { return };
            if drawn.insert(handle) {
                emit(self.blocks.block(handle));
                left -= 1;
            }
        }
        if left == 0 {
            return;
        }
        let others = self.dict.iter().filter(|handle| !drawn.contains(handle));
        sample_in_order(others, self.len() - drawn.len(), left, random, |handle| {
            emit(self.blocks.block(handle));
        });
    }

    /// A time before which no record expires, in Unix milliseconds; `None` if none does. O(records / 4,000).
    pub fn earliest_expiry_ms(&self) -> Option<i64> {
        self.dict.earliest_expiry_ms()
    }

    /// Removes records that lived until before `now_ms`, in at most `steps_max` steps from where the last sweep ended
    /// (see [`Dict::sweep`]); `removing` sees their blocks first. What has expired is found 16 ms later at the latest.
    pub fn sweep(
        &mut self,
        now_ms: i64,
        steps_max: usize,
        mut removing: impl FnMut(&[u8]),
    ) -> Sweep {
        let (mut due, blocks) = (Vec::new(), &self.blocks);
        let expire_at_ms = |handle| R::expire_at_ms(blocks.block(handle));
        let round = self.dict.sweep(now_ms, steps_max, expire_at_ms, &mut due);
        for &handle in &due {
            removing(self.blocks.block(handle));
            self.remove_handle(handle);
        }
        Sweep { removed: due.len(), steps: round.buckets, round_finished: round.round_finished }
    }

    /// Frees a table that nobody will use again in steps of up to `steps_max` pages or segments (64 to 80 KiB), and
    /// returns true when it is empty.
    pub fn drop_step(&mut self, steps_max: usize) -> bool {
        if self.dict.is_empty() {
            return self.blocks.drop_step(steps_max);
        }
        self.dict.drop_step(steps_max);
        false
    }
}

impl<R: Record> Clone for Table<R> {
    /// A table with copies of all records, in blocks of its own. O(records).
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.hash_key, self.earliest_expiry_ms().unwrap_or(0).max(0));
        for block in self.iter() {
            copy.insert(R::name(block), block.len(), |copied| copied.copy_from_slice(block));
        }
        copy
    }
}

impl<R> fmt::Debug for Table<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("len", &self.dict.len()).finish_non_exhaustive()
    }
}

#[inline]
fn hash(key: HashKey, name: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(key.0, key.1);
    hasher.write(name);
    hasher.finish()
}

/// A number below `limit`, which is not 0, each as likely to within one in 2^64 / `limit`.
pub fn below(limit: usize, random: &mut impl FnMut() -> u64) -> usize {
    ((u128::from(random()) * limit as u128) >> 64) as usize
}

/// Emits `count` different ones of `len` items, or all if there are no more, in their order, each choice as likely.
/// O(len). (Selection sampling: Knuth, The Art of Computer Programming 2, section 3.4.2, algorithm S.)
pub(super) fn sample_in_order<T>(
    items: impl Iterator<Item = T>,
    len: usize,
    count: usize,
    mut random: impl FnMut() -> u64,
    mut emit: impl FnMut(T),
) {
    let (mut left, mut rest) = (count.min(len), len);
    for item in items {
        if left == 0 || rest == 0 {
            return;
        }
        if below(rest, &mut random) < left {
            emit(item);
            left -= 1;
        }
        rest -= 1;
    }
}

/// Bytes that the length of a name or value takes in front of it.
pub(super) const fn len_size(len: usize) -> usize {
    if len < LEN_EXTENDED { 1 } else { 5 }
}

/// Lengths from here on take five bytes. One value of the first byte is left over: a form of record that has flags, such
/// as for members with a TTL, can begin with it.
const LEN_EXTENDED: usize = 254;
const LEN_LONG: u8 = 255;

/// Writes a length to the front of `block` and returns its size.
#[inline]
pub(super) fn write_len(block: &mut [u8], len: usize) -> usize {
    if len < LEN_EXTENDED {
        block[0] = len as u8;
        return 1;
    }
    let len = u32::try_from(len).expect("the parser limits arguments to less than 4 GiB");
    block[0] = LEN_LONG;
    block[1..5].copy_from_slice(&len.to_le_bytes());
    5
}

/// The length at the front of `block`, and its size.
#[inline]
pub(super) fn read_len(block: &[u8]) -> (usize, usize) {
    if block[0] != LEN_LONG {
        return (usize::from(block[0]), 1);
    }
    let bytes = block[1..5].try_into().expect("four bytes");
    (u32::from_le_bytes(bytes) as usize, 5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use std::collections::{BTreeMap, BTreeSet};

    /// Name and one more byte: `length | name | version`.
    struct Versioned;

    impl Record for Versioned {
        fn name(block: &[u8]) -> &[u8] {
            let (len, size) = read_len(block);
            &block[size..size + len]
        }
    }

    fn write(block: &mut [u8], name: &[u8], version: u8) {
        let at = write_len(block, name.len());
        block[at..at + name.len()].copy_from_slice(name);
        block[at + name.len()] = version;
    }

    fn version(block: &[u8]) -> u8 {
        let (len, size) = read_len(block);
        block[size + len]
    }

    fn name(number: u32) -> Vec<u8> {
        // Some take a page's block, some one of their own.
        let len = if number.is_multiple_of(50) { 2000 } else { number as usize % 400 };
        let mut name = number.to_string().into_bytes();
        name.resize(name.len().max(len), b'.');
        name
    }

    fn insert(table: &mut Table<Versioned>, name: &[u8], value: u8) {
        let size = len_size(name.len()) + name.len() + 1;
        table.insert(name, size, |block| write(block, name, value));
    }

    #[test]
    fn random_operations_match_a_map() {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let mut table: Table<Versioned> = Table::new((seed, 1), 0);
        let mut model: BTreeMap<Vec<u8>, u8> = BTreeMap::new();
        for _ in 0..20_000 {
            let (name, value): (_, u8) = (name(random.random_range(0..2000)), random.random());
            match (table.find(&name), random.random_range(0..3)) {
                (None, _) => {
                    insert(&mut table, &name, value);
                    assert_eq!(model.insert(name, value), None);
                }
                (Some(slot), 0) => {
                    assert_eq!(model.remove(&name), Some(version(table.get(slot))));
                    table.remove(slot);
                }
                (Some(slot), 1) => {
                    table.rewrite(slot, 5 + name.len() + 1, |block| write(block, &name, value));
                    assert!(model.insert(name, value).is_some());
                }
                (Some(slot), _) => assert_eq!(model[&name], version(table.get(slot))),
            }
            assert_eq!(table.len(), model.len());
        }
        let contents = |table: &Table<Versioned>| -> BTreeMap<Vec<u8>, u8> {
            table.iter().map(|block| (Versioned::name(block).to_vec(), version(block))).collect()
        };
        assert_eq!(contents(&table), model);
        let copy = table.clone();
        while !table.drop_step(3) {}
        assert_eq!((contents(&copy), table.memory_bytes()), (model, 0));
    }

    #[test]
    fn a_sample_has_as_many_as_were_asked_for_and_none_twice() {
        let mut table: Table<Versioned> = Table::new((1, 2), 0);
        (0..900).for_each(|number| insert(&mut table, &name(number), 0));
        for count in [0, 1, 10, 299, 300, 301, 600, 899, 900, 901, usize::MAX] {
            let (mut names, mut emitted) = (BTreeSet::new(), 0);
            table.sample(count, rand::random, |block| {
                emitted += 1;
                names.insert(Versioned::name(block).to_vec());
            });
            assert_eq!((emitted, names.len()), (count.min(900), count.min(900)));
        }
        // A source of numbers that is not random must not make it go on for ever.
        let mut emitted = 0;
        table.sample(200, || 7, |_| emitted += 1);
        assert_eq!(emitted, 200);
    }

    #[test]
    fn each_record_is_sampled_about_as_often() {
        let mut table: Table<Versioned> = Table::new((1, 2), 0);
        (0..100).for_each(|number| insert(&mut table, &name(number), 0));
        for count in [10, 50] {
            let mut drawn: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
            for _ in 0..20_000 / count {
                table.sample(count, rand::random, |block| {
                    *drawn.entry(Versioned::name(block).to_vec()).or_default() += 1;
                });
            }
            // 200 draws each, with a standard deviation below 14.
            assert!(drawn.values().all(|times| (110..=290).contains(times)), "{drawn:?}");
        }
    }

    #[test]
    fn lengths_read_back() {
        for len in [0, 1, 253, 254, 255, 256, 70_000] {
            let mut block = [0; 8];
            assert_eq!(write_len(&mut block, len), len_size(len));
            assert_eq!(read_len(&block), (len, len_size(len)));
        }
    }
}
