//! Sorted sets: members with a score each, in the order of scores, ties in the order of the members' bytes.
//!
//! Few short members are a listpack, more a [`ScoreTree`]. Every range, by score, by member or by index, is a range of
//! ranks first, which is found in O(log n); counting, walking and removing then take ranks. Parsing of bounds, formatting
//! of scores and the algebra of unions are for the commands.

mod bound;
mod packed;
mod tree;

use std::ops::Range;

pub use bound::{LexBound, ScoreBound};
pub use packed::validate;
pub use tree::{ScoreTree, scored_of};

use super::either::Either;
use super::limits::PackedLimits;
use super::listpack::{self, Element};
use super::table::{HashKey, below, sample_in_order};
use packed::Pairs;

/// A sorted set, to be changed.
#[derive(Clone, Debug)]
pub enum SortedSet {
    /// A listpack of members and scores.
    Packed(Vec<u8>),
    /// A hash table and an ordered tree.
    Tree(Box<ScoreTree>),
}

/// A sorted set, to be read.
#[derive(Clone, Copy, Debug)]
pub enum SortedSetRef<'a> {
    /// A listpack of members and scores.
    Packed(&'a [u8]),
    /// A hash table and an ordered tree.
    Tree(&'a ScoreTree),
}

impl Default for SortedSet {
    /// An empty listpack.
    fn default() -> Self {
        Self::Packed(listpack::new())
    }
}

impl SortedSet {
    /// An empty sorted set in the form for `len_hint` members (1 if not known) of up to `member_bytes`.
    pub fn new(
        len_hint: usize,
        member_bytes: usize,
        limits: PackedLimits,
        hash_key: HashKey,
    ) -> Self {
        if len_hint <= limits.entries && member_bytes <= limits.value_bytes {
            Self::Packed(listpack::new())
        } else {
            Self::Tree(Box::new(ScoreTree::new(hash_key)))
        }
    }

    /// To read it.
    pub fn as_ref(&self) -> SortedSetRef<'_> {
        match self {
            Self::Packed(bytes) => SortedSetRef::Packed(bytes),
            Self::Tree(tree) => SortedSetRef::Tree(tree),
        }
    }

    /// Sets the score of a member, new or not, to what `decide` makes of the one it has; `None` leaves all as it is.
    /// Returns the score before. NaN is not a score. A new member may be one too many, or too long, for a listpack.
    /// O(log n).
    pub fn update(
        &mut self,
        member: &[u8],
        limits: PackedLimits,
        hash_key: HashKey,
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Option<f64> {
        let bytes = match self {
            Self::Packed(bytes) => bytes,
            Self::Tree(tree) => return tree.update(member, decide),
        };
        let pairs = Pairs::new(bytes);
        let Some((position, old)) = pairs.find(member) else {
            let score = decide(None)?;
            let fits = pairs.len() < limits.entries
                && member.len() <= limits.value_bytes
                && listpack::safe_to_add(bytes.len(), member.len());
            if fits {
                packed::insert(bytes, member, score);
            } else {
                self.unpack(hash_key).update(member, |_| Some(score));
            }
            return None;
        };
        if let Some(score) = decide(Some(old))
            && score != old
        {
            packed::remove(bytes, position);
            packed::insert(bytes, member, score);
        }
        Some(old)
    }

    /// Sets the score of a member, new or not, and returns the one before. See [`update`](Self::update).
    pub fn set(
        &mut self,
        member: &[u8],
        score: f64,
        limits: PackedLimits,
        hash_key: HashKey,
    ) -> Option<f64> {
        self.update(member, limits, hash_key, |_| Some(score))
    }

    /// A sorted set of `len` members that come in order, no two of them the same. O(len).
    pub fn from_ordered<'a>(
        len: usize,
        members: impl Iterator<Item = (Element<'a>, f64)>,
        limits: PackedLimits,
        hash_key: HashKey,
    ) -> Self {
        let mut set = Self::new(len, 0, limits, hash_key);
        members.for_each(|(member, score)| set.push(member, score, limits, hash_key));
        set
    }

    /// Adds a member whose place is behind all others. O(1).
    fn push(&mut self, member: Element<'_>, score: f64, limits: PackedLimits, hash_key: HashKey) {
        let mut buffer = itoa::Buffer::new();
        let member = member.text(&mut buffer);
        match self {
            Self::Packed(bytes)
                if member.len() <= limits.value_bytes
                    && Pairs::new(bytes).len() < limits.entries
                    && listpack::safe_to_add(bytes.len(), member.len()) =>
            {
                packed::push(bytes, member, score);
            }
            Self::Packed(_) => self.unpack(hash_key).push(member, score),
            Self::Tree(tree) => tree.push(member, score),
        }
    }

    /// Makes it a tree.
    fn unpack(&mut self, hash_key: HashKey) -> &mut ScoreTree {
        if let Self::Packed(bytes) = self {
            let mut tree = Box::new(ScoreTree::new(hash_key));
            let mut buffer = itoa::Buffer::new();
            for (member, score) in Pairs::new(bytes).iter() {
                tree.push(member.text(&mut buffer), score);
            }
            *self = Self::Tree(tree);
        }
        match self {
            Self::Tree(tree) => tree,
            Self::Packed(_) => unreachable!("it has just been unpacked"),
        }
    }

    /// Makes a tree a listpack again if it is within the limits: what Redis does with the results of ZUNIONSTORE and
    /// its like. O(n) for a tree of up to `limits.entries`, else O(1).
    pub fn pack_if_small(&mut self, limits: PackedLimits) {
        let Self::Tree(tree) = self else { return };
        if tree.len() > limits.entries {
            return;
        }
        let (mut longest, mut total) = (0, 0);
        for (member, _) in tree.range(0..tree.len()) {
            longest = longest.max(member.len());
            total += member.len();
        }
        if longest > limits.value_bytes || !listpack::safe_to_add(0, total) {
            return;
        }
        let mut bytes = listpack::new();
        for (member, score) in tree.range(0..tree.len()) {
            packed::push(&mut bytes, member, score);
        }
        *self = Self::Packed(bytes);
    }

    /// Removes a member and returns its score. O(log n).
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Packed(bytes) => {
                let (position, score) = Pairs::new(bytes).find(member)?;
                packed::remove(bytes, position);
                Some(score)
            }
            Self::Tree(tree) => tree.remove(member),
        }
    }

    /// Removes the members with these ranks, which `removed` sees in order. O(log n + removed).
    pub fn remove_range(&mut self, ranks: Range<usize>, mut removed: impl FnMut(Element<'_>, f64)) {
        match self {
            Self::Packed(bytes) => {
                for (member, score) in Pairs::new(bytes).range(ranks.clone()) {
                    removed(member, score);
                }
                packed::remove_range(bytes, ranks);
            }
            Self::Tree(tree) => {
                tree.remove_range(ranks, |member, score| removed(Element::Str(member), score));
            }
        }
    }

    /// Frees a sorted set that nobody will use again in steps of up to `steps_max` pages of 64 KiB, and returns true
    /// when it is empty.
    pub fn drop_step(&mut self, steps_max: usize) -> bool {
        match self {
            Self::Packed(bytes) => {
                *bytes = Vec::new();
                true
            }
            Self::Tree(tree) => tree.drop_step(steps_max),
        }
    }

    /// Heap memory. O(1).
    pub fn memory_bytes(&self) -> usize {
        match self {
            Self::Packed(bytes) => bytes.capacity(),
            Self::Tree(tree) => size_of::<ScoreTree>() + tree.memory_bytes(),
        }
    }
}

impl<'a> SortedSetRef<'a> {
    /// Redis's name for the form. Its `skiplist` is a tree here.
    pub fn encoding(self) -> &'static str {
        match self {
            Self::Packed(_) => "listpack",
            Self::Tree(_) => "skiplist",
        }
    }

    /// Number of members. O(1).
    pub fn len(self) -> usize {
        match self {
            Self::Packed(bytes) => Pairs::new(bytes).len(),
            Self::Tree(tree) => tree.len(),
        }
    }

    /// True without members.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// A member's score. O(1).
    pub fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Packed(bytes) => Pairs::new(bytes).find(member).map(|(_, score)| score),
            Self::Tree(tree) => tree.score(member),
        }
    }

    /// A member's rank, 0 for the lowest score. O(log n).
    pub fn rank(self, member: &[u8]) -> Option<usize> {
        match self {
            Self::Packed(bytes) => Pairs::new(bytes).rank(member),
            Self::Tree(tree) => tree.rank(member),
        }
    }

    /// The ranks of the members with scores from `min` to `max`, which may be none. O(log n).
    pub fn ranks_by_score(self, min: ScoreBound, max: ScoreBound) -> Range<usize> {
        match self {
            Self::Packed(bytes) => Pairs::new(bytes).ranks_by_score(min, max),
            Self::Tree(tree) => tree.ranks_by_score(min, max),
        }
    }

    /// The ranks of the members from `min` to `max`, if all scores are equal; else some ranks. O(log n).
    pub fn ranks_by_lex(self, min: LexBound<'_>, max: LexBound<'_>) -> Range<usize> {
        match self {
            Self::Packed(bytes) => Pairs::new(bytes).ranks_by_lex(min, max),
            Self::Tree(tree) => tree.ranks_by_lex(min, max),
        }
    }

    /// The members with these ranks and their scores, in order, from both ends. O(log n + members).
    pub fn range(self, ranks: Range<usize>) -> impl DoubleEndedIterator<Item = (Element<'a>, f64)> {
        match self {
            Self::Packed(bytes) => Either::Packed(Pairs::new(bytes).range(ranks)),
            Self::Tree(tree) => {
                Either::Big(tree.range(ranks).map(|(member, score)| (Element::Str(member), score)))
            }
        }
    }

    /// All members and their scores, in order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = (Element<'a>, f64)> {
        self.range(0..self.len())
    }

    /// One step of ZSCAN: emits members with their scores and returns the next cursor, 0 at the end. A listpack is
    /// emitted whole. What is there all the time is emitted at least once.
    pub fn scan(self, cursor: u64, mut emit: impl FnMut(Element<'_>, f64)) -> u64 {
        match self {
            Self::Packed(_) => {
                self.iter().for_each(|(member, score)| emit(member, score));
                0
            }
            Self::Tree(tree) => {
                tree.scan(cursor, |member, score| emit(Element::Str(member), score))
            }
        }
    }

    /// A random member and its score; `None` without members. `random` gives uniformly distributed numbers. O(1).
    pub fn random(self, mut random: impl FnMut() -> u64) -> Option<(Element<'a>, f64)> {
        match self {
            Self::Packed(_) if self.is_empty() => None,
            Self::Packed(_) => {
                let rank = below(self.len(), &mut random);
                self.range(rank..rank + 1).next()
            }
            Self::Tree(tree) => {
                tree.random(random).map(|(member, score)| (Element::Str(member), score))
            }
        }
    }

    /// Emits `count` different random members, or all if there are no more, in no order. O(count), a listpack O(n).
    pub fn sample(
        self,
        count: usize,
        random: impl FnMut() -> u64,
        mut emit: impl FnMut(Element<'_>, f64),
    ) {
        match self {
            Self::Packed(_) => {
                sample_in_order(self.iter(), self.len(), count, random, |(member, score)| {
                    emit(member, score);
                });
            }
            Self::Tree(tree) => {
                tree.sample(count, random, |member, score| emit(Element::Str(member), score));
            }
        }
    }
}

#[cfg(test)]
mod tests;
