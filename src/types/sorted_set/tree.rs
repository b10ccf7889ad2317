//! `ScoreTree`: the sorted set with many members (Redis's encoding `skiplist`).
//!
//! ```text
//! record   score, 8 bytes, little-endian | length of the member | member
//! ```
//! A member has one block, found in two ways: by name through a hash table, by score and rank through a tree of handles.
//! Scores that are equal are in the order of their members' bytes.

use std::cmp::Ordering;
use std::ops::Range;

use super::bound::{LexBound, ScoreBound};
use crate::dict::{Handle, SharedBlocks};
use crate::types::rank_tree::{Path, RankTree};
use crate::types::table::{HashKey, Record, Table, len_size, read_len, write_len};

/// Leaves of the tree (512 bytes) that are freed in the time of one page.
const LEAVES_PER_PAGE: usize = 128;
/// Members that a range removal looks up at a time.
const REMOVED_AT_ONCE: usize = 1024;
const SCORE_BYTES: usize = 8;

/// The layout of a member's record.
struct Member;

impl Record for Member {
    #[inline]
    fn name(block: &[u8]) -> &[u8] {
        let (len, size) = read_len(&block[SCORE_BYTES..]);
        &block[SCORE_BYTES + size..][..len]
    }
}

#[inline]
fn score_of(block: &[u8]) -> f64 {
    f64::from_le_bytes(block[..SCORE_BYTES].try_into().expect("eight bytes"))
}

/// The member and the score of a block that [`ScoreTree::share`] gave.
pub fn scored_of(block: &[u8]) -> (&[u8], f64) {
    (Member::name(block), score_of(block))
}

/// A number that is lower where the score is lower, and equal where scores are equal: -0 equals 0.
#[inline]
fn order_of(score: f64) -> u64 {
    let bits = (score + 0.0).to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

/// Members by name, by score and by rank.
#[derive(Debug)]
pub struct ScoreTree {
    members: Table<Member>,
    ranks: RankTree,
}

impl ScoreTree {
    /// An empty sorted set. `hash_key` is the secret of the hash function.
    pub fn new(hash_key: HashKey) -> Self {
        Self { members: Table::new(hash_key, 0), ranks: RankTree::new() }
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.ranks.len()
    }

    /// True without members.
    pub fn is_empty(&self) -> bool {
        self.ranks.is_empty()
    }

    /// Memory of members, table and tree. O(1).
    pub fn memory_bytes(&self) -> usize {
        self.members.memory_bytes() + self.ranks.memory_bytes()
    }

    /// The members as they are now, in no order, to be read while the sorted set goes on changing. O(pages).
    pub fn share(&self) -> SharedBlocks {
        self.members.share()
    }

    /// A member's score. O(1).
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.members.find(member).map(|slot| score_of(self.members.get(slot)))
    }

    /// A member's rank, 0 for the lowest score. O(log n).
    pub fn rank(&self, member: &[u8]) -> Option<usize> {
        Some(self.ranks.rank(&self.place(self.score(member)?, member)?))
    }

    /// Sets the score of a member, new or not, to what `decide` makes of the one it has; `None` leaves all as it is.
    /// Returns the score before. NaN is not a score. O(log n).
    pub fn update(
        &mut self,
        member: &[u8],
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Option<f64> {
        let Some(slot) = self.members.find(member) else {
            if let Some(score) = decide(None) {
                self.insert(member, score);
            }
            return None;
        };
        let old = score_of(self.members.get(slot));
        if let Some(score) = decide(Some(old))
            && score != old
        {
            let handle = self.members.handle(slot);
            self.remove_rank(old, member);
            self.members.get_mut(slot)[..SCORE_BYTES].copy_from_slice(&score.to_le_bytes());
            self.insert_rank(handle, score, member);
        }
        Some(old)
    }

    /// Adds a member that is not there.
    fn insert(&mut self, member: &[u8], score: f64) {
        let handle = self.add_record(member, score);
        self.insert_rank(handle, score, member);
    }

    /// Adds a member whose place is behind all others.
    pub(super) fn push(&mut self, member: &[u8], score: f64) {
        let handle = self.add_record(member, score);
        self.insert_at(&self.ranks.at(self.len()), handle, score);
    }

    fn add_record(&mut self, member: &[u8], score: f64) -> Handle {
        debug_assert!(!score.is_nan(), "NaN has no place in an order");
        let size = SCORE_BYTES + len_size(member.len()) + member.len();
        let slot = self.members.insert(member, size, |block| {
            block[..SCORE_BYTES].copy_from_slice(&score.to_le_bytes());
            let at = SCORE_BYTES + write_len(&mut block[SCORE_BYTES..], member.len());
            block[at..at + member.len()].copy_from_slice(member);
        });
        self.members.handle(slot)
    }

    fn insert_rank(&mut self, handle: Handle, score: f64, member: &[u8]) {
        let order = order_of(score);
        let place =
            self.ranks.seek(Some(order), |other| self.compare(other, order, member).is_lt());
        self.insert_at(&place, handle, score);
    }

    fn insert_at(&mut self, place: &Path, handle: Handle, score: f64) {
        let members = &self.members;
        let order_in = |handle| order_of(score_of(members.block(handle)));
        self.ranks.insert(place, order_of(score), handle, order_in);
    }

    fn remove_rank(&mut self, score: f64, member: &[u8]) {
        let place = self.place(score, member).expect("every member has a rank");
        let members = &self.members;
        self.ranks.remove(&place, |handle| order_of(score_of(members.block(handle))));
    }

    /// Where a member that is there is in the tree.
    fn place(&self, score: f64, member: &[u8]) -> Option<Path> {
        let order = order_of(score);
        self.ranks.seek_last(Some(order), |other| self.compare(other, order, member).is_le())
    }

    #[inline]
    fn compare(&self, handle: Handle, order: u64, member: &[u8]) -> Ordering {
        let block = self.members.block(handle);
        order_of(score_of(block)).cmp(&order).then_with(|| Member::name(block).cmp(member))
    }

    /// Removes a member and returns its score. O(log n).
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let slot = self.members.find(member)?;
        let score = score_of(self.members.get(slot));
        self.remove_rank(score, member);
        self.members.remove(slot);
        Some(score)
    }

    /// Removes the members with these ranks, which `removed` sees in order. O(log n + removed).
    pub fn remove_range(&mut self, ranks: Range<usize>, mut removed: impl FnMut(&[u8], f64)) {
        let mut left = ranks.end.min(self.len()).saturating_sub(ranks.start);
        while left > 0 {
            let some = ranks.start..ranks.start + left.min(REMOVED_AT_ONCE);
            let handles: Vec<Handle> = self.ranks.range(some.clone()).collect();
            left -= some.len();
            let members = &self.members;
            self.ranks.remove_range(some, |handle| order_of(score_of(members.block(handle))));
            for handle in handles {
                let block = self.members.block(handle);
                removed(Member::name(block), score_of(block));
                self.members.remove_handle(handle);
            }
        }
    }

    /// The ranks of the members from one score to another, which may be none. O(log n).
    pub fn ranks_by_score(&self, min: ScoreBound, max: ScoreBound) -> Range<usize> {
        let rank_behind = |score: f64, before: &dyn Fn(f64) -> bool| {
            let place = self
                .ranks
                .seek(Some(order_of(score)), |handle| before(score_of(self.members.block(handle))));
            self.ranks.rank(&place)
        };
        let start = rank_behind(min.score(), &|score| min.begins_after(score));
        let end = rank_behind(max.score(), &|score| max.reaches(score));
        start..end.max(start)
    }

    /// The ranks of the members from one to another, if all scores are equal; else some ranks. O(log n).
    pub fn ranks_by_lex(&self, min: LexBound<'_>, max: LexBound<'_>) -> Range<usize> {
        let rank_behind = |before: &dyn Fn(&[u8]) -> bool| {
            let place =
                self.ranks.seek(None, |handle| before(Member::name(self.members.block(handle))));
            self.ranks.rank(&place)
        };
        let start = rank_behind(&|member| min.begins_after(member));
        let end = rank_behind(&|member| max.reaches(member));
        start..end.max(start)
    }

    /// The members with these ranks and their scores, in order, from both ends. O(log n + members).
    pub fn range(
        &self,
        ranks: Range<usize>,
    ) -> impl DoubleEndedIterator<Item = (&[u8], f64)> + ExactSizeIterator {
        self.ranks.range(ranks).map(|handle| {
            let block = self.members.block(handle);
            (Member::name(block), score_of(block))
        })
    }

    /// One step of a scan (see [`Table::scan`]).
    pub fn scan(&self, cursor: u64, mut emit: impl FnMut(&[u8], f64)) -> u64 {
        self.members.scan(cursor, |block| emit(Member::name(block), score_of(block)))
    }

    /// A random member. O(1).
    pub fn random(&self, random: impl FnMut() -> u64) -> Option<(&[u8], f64)> {
        let block = self.members.block(self.members.random(random)?);
        Some((Member::name(block), score_of(block)))
    }

    /// Emits `count` different random members, or all. See [`Table::sample`].
    pub fn sample(
        &self,
        count: usize,
        random: impl FnMut() -> u64,
        mut emit: impl FnMut(&[u8], f64),
    ) {
        self.members.sample(count, random, |block| emit(Member::name(block), score_of(block)));
    }

    /// Frees a sorted set that nobody will use again in steps of up to `steps_max` pages of 64 KiB, and returns true
    /// when it is empty.
    pub fn drop_step(&mut self, steps_max: usize) -> bool {
        if !self.ranks.is_empty() {
            self.ranks.drop_step(steps_max.saturating_mul(LEAVES_PER_PAGE));
            return false;
        }
        self.members.drop_step(steps_max)
    }
}

impl Clone for ScoreTree {
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.members.hash_key());
        self.range(0..self.len()).for_each(|(member, score)| copy.push(member, score));
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_rise_with_scores() {
        let scores =
            [f64::NEG_INFINITY, -1e300, -1.0, -5e-324, 0.0, 5e-324, 1.0, 1e300, f64::INFINITY];
        assert!(scores.is_sorted_by_key(|score| order_of(*score)));
        assert_eq!(order_of(-0.0), order_of(0.0));
    }
}
