//! `Filling`: a segment's new buckets on their way to hold what the old ones held.
//!
//! A segment that grows from 3,000 to 6,000 keys is filled anew half a dozen times, so this is what an insert costs most:
//! the buckets are listed once, in a row, and how much of each is used is counted beside them, because looking at a
//! bucket as a whole would wait for the last write to it.

use super::bucket::{Bucket, TAG_BITS, tag_of};
use super::buckets::Buckets;
use super::expiry_hints::{ExpiryHints, NONE};

/// A bucket, and how many of its slots are used.
struct Row<'a> {
    bucket: &'a mut Bucket,
    used: usize,
}

/// Empty buckets that are being filled.
pub(super) struct Filling<'a> {
    rows: Vec<Row<'a>>,
    hints: &'a mut ExpiryHints,
    len: usize,
}

impl<'a> Filling<'a> {
    /// Fills `buckets`, which must be empty, and notes in `hints` when something in them expires.
    pub(super) fn new(buckets: &'a mut Buckets, hints: &'a mut ExpiryHints) -> Self {
        let rows = buckets.iter_mut().map(|bucket| Row { bucket, used: 0 }).collect();
        Self { rows, hints, len: 0 }
    }

    /// Keys added.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds all keys of another segment.
    pub(super) fn add_all(&mut self, buckets: &Buckets, hints: &ExpiryHints) {
        for (at, bucket) in buckets.iter().enumerate() {
            self.add_some(bucket, u8::MAX, hints.get(at));
        }
    }

    /// Adds those keys of a bucket whose bit is set. `hint` is the bucket's.
    #[inline]
    pub(super) fn add_some(&mut self, bucket: &Bucket, mask: u8, hint: u32) {
        for (index, slot) in bucket.all().iter().enumerate() {
            if *slot == 0 {
                return;
            }
            if (mask >> index) & 1 == 1 {
                let at = self.add(*slot);
                if hint != NONE {
                    self.hints.lower(at, hint, self.rows.len());
                }
            }
        }
    }

    /// Puts a slot where a search will look for it: into its home or the first bucket after it that is not full.
    #[inline]
    fn add(&mut self, slot: u64) -> usize {
        self.len += 1;
        let mut at = ((tag_of(slot) * self.rows.len() as u64) >> TAG_BITS) as usize;
        loop {
            let row = &mut self.rows[at];
            if let Some(place) = row.bucket.all_mut().get_mut(row.used) {
                *place = slot;
                row.used += 1;
                return at;
            }
            at += 1;
            if at == self.rows.len() {
                at = 0;
            }
        }
    }
}
