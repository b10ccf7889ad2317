//! Reading a list, whoever keeps its bytes.

use std::ops::Range;

use super::node::NodeIter;
use super::{Block, Chain, End, Iter, List, Positions};
use crate::types::either::Either;
use crate::types::listpack::{Element, Listpack, Needle};

/// A list that is read: borrowed from a [`List`], or from a listpack that is kept elsewhere.
#[derive(Clone, Copy, Debug)]
pub enum ListRef<'a> {
    /// All elements in one listpack.
    Packed(&'a [u8]),
    /// Elements in a chain of nodes.
    Chain(&'a Chain),
}

impl<'a> ListRef<'a> {
    /// What Redis calls the encoding: `listpack` or `quicklist`. Before 7.2 it said `quicklist` of both.
    pub fn encoding_name(self) -> &'static str {
        match self {
            Self::Packed(_) => "listpack",
            Self::Chain(_) => "quicklist",
        }
    }

    /// Number of elements. O(1).
    #[inline]
    pub fn len(self) -> usize {
        match self {
            Self::Packed(bytes) => Listpack::new(bytes).len(),
            Self::Chain(chain) => chain.len(),
        }
    }

    /// Whether there are no elements. O(1).
    #[inline]
    pub fn is_empty(self) -> bool {
        match self {
            Self::Packed(bytes) => Listpack::new(bytes).is_empty(),
            Self::Chain(chain) => chain.is_empty(),
        }
    }

    /// Bytes that hold the elements: of the listpack, or of the chain's memory. O(1).
    pub fn memory_bytes(self) -> usize {
        match self {
            Self::Packed(bytes) => bytes.len(),
            Self::Chain(chain) => chain.heap_bytes(),
        }
    }

    /// The index that a user means, who counts from -1 downwards for the end; `None` if there is no such element.
    pub fn resolve_index(self, index: i64) -> Option<usize> {
        let len = self.len();
        let index = match usize::try_from(index) {
            Ok(index) => index,
            Err(_) => len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?,
        };
        (index < len).then_some(index)
    }

    /// The indices that a user means by a first and a last one, as in `LRANGE`: both count, both may be negative or
    /// beyond the list.
    pub fn resolve_range(self, start: i64, stop: i64) -> Range<usize> {
        let len = i64::try_from(self.len()).unwrap_or(i64::MAX);
        let from_left = |index: i64| if index < 0 { len.saturating_add(index) } else { index };
        let start = from_left(start).clamp(0, len);
        let end = from_left(stop).saturating_add(1).clamp(start, len);
        start as usize..end as usize
    }

    /// The element number `index`. O(nodes), within a node O(elements).
    pub fn get(self, index: usize) -> Option<Element<'a>> {
        self.iter_from(index, End::Right).next()
    }

    /// All elements, from the left.
    pub fn iter(self) -> Iter<'a> {
        self.iter_from(0, End::Right)
    }

    /// The element number `index` (from the left) and those `towards` an end from it; none if there is none.
    pub fn iter_from(self, index: usize, towards: End) -> Iter<'a> {
        match self {
            Self::Packed(bytes) => {
                let elements = NodeIter::from_listpack(Listpack::new(bytes), index, towards);
                Iter::packed(elements, towards)
            }
            Self::Chain(chain) => chain.iter_from(index, towards),
        }
    }

    /// Indices, counted from the left, of the elements that stand for `text`, the first ones from an end. Looks at
    /// `max` elements at most. Each step O(elements to the next match).
    pub fn positions_within(self, text: &'a [u8], from: End, max: usize) -> Positions<'a> {
        let len = self.len();
        let start = if from == End::Left { 0 } else { len.saturating_sub(1) };
        let elements = self.iter_from(start, from.opposite());
        Positions { elements, needle: Needle::new(text), seen: 0, len, max }
    }

    /// As [`Self::positions_within`], looking at all elements.
    pub fn positions(self, text: &'a [u8], from: End) -> Positions<'a> {
        self.positions_within(text, from, usize::MAX)
    }

    /// The parts of the list as they are stored.
    pub fn blocks(self) -> Box<dyn Iterator<Item = Block<'a>> + 'a> {
        match self {
            Self::Packed(bytes) => Box::new(std::iter::once(Block::Packed(bytes))),
            Self::Chain(chain) => Box::new(chain.blocks()),
        }
    }

    /// How many parts [`Self::blocks`] has. O(nodes / 128).
    pub fn block_count(self) -> usize {
        match self {
            Self::Packed(_) => 1,
            Self::Chain(chain) => chain.block_count(),
        }
    }

    /// The parts from number `index` on, so that a list can be written in steps. O(nodes / 128), each step O(1).
    pub fn blocks_from(self, index: usize) -> impl Iterator<Item = Block<'a>> {
        match self {
            Self::Packed(bytes) => {
                Either::Packed(std::iter::once(Block::Packed(bytes)).skip(index))
            }
            Self::Chain(chain) => Either::Big(chain.blocks_from(index)),
        }
    }

    /// A list of its own with the same elements. O(bytes).
    pub fn to_list(self) -> List {
        match self {
            Self::Packed(bytes) => List::Packed(bytes.to_vec()),
            Self::Chain(chain) => List::Chain(Box::new(chain.clone())),
        }
    }
}

/// The elements of a listpack from an end to the other one.
pub(super) fn packed_iter(bytes: &[u8], from: End) -> Iter<'_> {
    let elements = Listpack::new(bytes).iter();
    Iter::packed(NodeIter::Packed(elements), from.opposite())
}
