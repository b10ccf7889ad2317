//! `Bucket`: eight slots in one cache line, and what a slot holds.
//!
//! A slot is the tag, the top 24 bits of the key's hash, above a 40-bit handle; 0 is an empty slot. The used slots of a
//! bucket come first, so the last one tells whether it is full.

use super::Handle;

/// Slots per bucket.
pub(super) const SLOTS: usize = 8;
/// Width of a tag.
pub(super) const TAG_BITS: u32 = 64 - Handle::BITS;

/// The part of the hash that is kept in the slot.
#[inline]
pub(super) fn tag_of_hash(hash: u64) -> u64 {
    hash >> Handle::BITS
}

/// The slot of a handle.
#[inline]
pub(super) fn pack(tag: u64, handle: Handle) -> u64 {
    tag << Handle::BITS | handle.bits()
}

/// The tag in a slot.
#[inline]
pub(super) fn tag_of(slot: u64) -> u64 {
    slot >> Handle::BITS
}

/// The handle in a slot; `None` if it is empty.
#[inline]
pub(super) fn handle_of(slot: u64) -> Option<Handle> {
    Handle::from_bits(slot & ((1 << Handle::BITS) - 1))
}

/// One cache line of slots.
#[derive(Clone, Default)]
#[repr(align(64))]
pub(super) struct Bucket([u64; SLOTS]);

impl Bucket {
    /// Bit i is set if slot i may hold this tag. Empty slots look like tag 0: their handle is `None`.
    #[inline]
    pub(super) fn matches(&self, tag: u64) -> u32 {
        let wanted = tag << Handle::BITS;
        let mut matches = 0;
        for (i, slot) in self.0.iter().enumerate() {
            matches |= u32::from((slot ^ wanted) >> Handle::BITS == 0) << i;
        }
        matches
    }

    /// True if a search has to go on in the next bucket.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.0[SLOTS - 1] != 0
    }

    /// Number of used slots.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|slot| usize::from(*slot != 0)).sum()
    }

    /// The used slots.
    pub(super) fn slots(&self) -> &[u64] {
        &self.0[..self.len()]
    }

    /// All slots, the empty ones last.
    #[inline]
    pub(super) fn all(&self) -> &[u64; SLOTS] {
        &self.0
    }

    /// All slots, the empty ones last.
    #[inline]
    pub(super) fn all_mut(&mut self) -> &mut [u64; SLOTS] {
        &mut self.0
    }

    /// Adds a slot and returns its index. The bucket must not be full.
    #[inline]
    pub(super) fn push(&mut self, slot: u64) -> usize {
        let index = self.len();
        self.0[index] = slot;
        index
    }

    /// Takes a slot out; the last one moves into its place.
    pub(super) fn swap_remove(&mut self, index: usize) -> u64 {
        let last = self.len() - 1;
        self.0.swap(index, last);
        std::mem::take(&mut self.0[last])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_a_cache_line() {
        assert_eq!((size_of::<Bucket>(), align_of::<Bucket>()), (64, 64));
    }

    #[test]
    fn tags_match_and_slots_stay_in_front() {
        let handle = |bits| Handle::from_bits(bits).unwrap();
        let mut bucket = Bucket::default();
        for (i, tag) in [5, 0xff_ffff, 5, 0].into_iter().enumerate() {
            assert_eq!(bucket.push(pack(tag, handle(i as u64 + 1))), i);
        }
        assert_eq!(
            (bucket.matches(5), bucket.matches(0xff_ffff), bucket.matches(6)),
            (0b101, 0b10, 0)
        );
        assert_eq!(bucket.matches(0), 0b1111_1000, "empty slots look like tag 0");
        assert_eq!(bucket.swap_remove(0), pack(5, handle(1)));
        assert_eq!(
            bucket.slots().iter().map(|slot| tag_of(*slot)).collect::<Vec<_>>(),
            [0, 0xff_ffff, 5]
        );
        assert_eq!(
            (handle_of(bucket.all()[0]), handle_of(bucket.all()[3])),
            (Some(handle(4)), None)
        );
    }
}
