//! `Iter`: the handles of a range of ranks, a leaf at a time from either end.

use std::iter::FusedIterator;
use std::ops::Range;

use super::RankTree;
use super::leaf::handle_of;
use super::node::Node;
use crate::dict::Handle;

/// Handles in order, from both ends. The slices are what is left of the leaves at the two ends; they may overlap, and
/// `ranks` says what is really left.
pub struct Iter<'a> {
    tree: &'a RankTree,
    ranks: Range<usize>,
    front: &'a [u64],
    back: &'a [u64],
}

impl<'a> Iter<'a> {
    pub(super) fn new(tree: &'a RankTree, ranks: Range<usize>) -> Self {
        let end = ranks.end.min(tree.len());
        Self { tree, ranks: ranks.start.min(end)..end, front: &[], back: &[] }
    }

    /// The leaf that has the handle with a rank, and that one's place in it.
    fn leaf(&self, mut rank: usize) -> (&'a [u64], usize) {
        let mut node = &self.tree.root;
        loop {
            match node {
                Node::Leaf(leaf) => return (leaf.slots(), rank),
                Node::Inner(_) => {
                    let (index, rest) = node.at_rank(rank);
                    node = node.child(index).expect("an inner node has the child it named");
                    rank = rest;
                }
            }
        }
    }
}

impl Iterator for Iter<'_> {
    type Item = Handle;

    fn next(&mut self) -> Option<Handle> {
        if self.ranks.is_empty() {
            return None;
        }
        if self.front.is_empty() {
            let (slots, at) = self.leaf(self.ranks.start);
            self.front = &slots[at..];
        }
        let (slot, rest) = self.front.split_first()?;
        self.front = rest;
        self.ranks.start += 1;
        Some(handle_of(*slot))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.ranks.len(), Some(self.ranks.len()))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Handle> {
        if self.ranks.is_empty() {
            return None;
        }
        if self.back.is_empty() {
            let (slots, at) = self.leaf(self.ranks.end - 1);
            self.back = &slots[..=at];
        }
        let (slot, rest) = self.back.split_last()?;
        self.back = rest;
        self.ranks.end -= 1;
        Some(handle_of(*slot))
    }
}

impl ExactSizeIterator for Iter<'_> {}
impl FusedIterator for Iter<'_> {}
