//! Lists: one listpack, or, when that gets too large, a chain of listpacks (Redis's quicklist).
//!
//! [`List`] is a value that is changed, [`ListRef`] one that is read, whoever keeps the bytes. The limit of a listpack
//! is `list-max-listpack-size` ([`NodeLimit`]). A list grows into a chain by the rule of Redis 7.2: when the bytes to be
//! added would exceed the limit; and becomes one listpack again when a removal leaves one node of half the limit. An
//! element beyond the limit is a node of its own, without a listpack ("plain").
//!
//! `list-compress-depth` has no counterpart: nodes are never compressed, as in Redis by default. Blocking, keys and
//! replies are left to the commands.

mod chain;
mod iter;
mod limit;
mod node;
mod nodes;
mod view;

pub use chain::Chain;
pub use iter::{Iter, Positions};
pub use limit::NodeLimit;
pub use view::ListRef;

use crate::types::listpack::{self, Element, Listpack, Needle};

/// One of the two ends of a list, or the direction towards it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The head: index 0.
    Left,
    /// The tail: index -1.
    Right,
}

impl End {
    /// The other one.
    #[inline]
    pub fn opposite(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// A part of a list as it is stored: what DUMP and RDB files copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Block<'a> {
    /// A listpack.
    Packed(&'a [u8]),
    /// The text of one big element.
    Plain(&'a [u8]),
}

/// A list that is changed.
#[derive(Clone, Debug)]
pub enum List {
    /// All elements in one listpack.
    Packed(Vec<u8>),
    /// Elements in a chain of nodes.
    Chain(Box<Chain>),
}

impl Default for List {
    fn default() -> Self {
        Self::Packed(listpack::new())
    }
}

impl List {
    /// The list for reading.
    #[inline]
    pub fn view(&self) -> ListRef<'_> {
        match self {
            Self::Packed(bytes) => ListRef::Packed(bytes),
            Self::Chain(chain) => ListRef::Chain(chain),
        }
    }

    /// Number of elements. O(1).
    #[inline]
    pub fn len(&self) -> usize {
        self.view().len()
    }

    /// Whether there are no elements. O(1).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.view().is_empty()
    }

    /// Adds elements at `end`, one after the other. O(1) each in a chain, at the left of a listpack O(bytes).
    pub fn push<'v>(
        &mut self,
        end: End,
        texts: impl Iterator<Item = &'v [u8]> + Clone,
        limit: NodeLimit,
    ) {
        self.grow(texts.clone(), limit);
        match self {
            Self::Chain(chain) => texts.for_each(|text| chain.push(end, text, limit)),
            Self::Packed(bytes) => texts.for_each(|text| match end {
                End::Left => listpack::prepend(bytes, text),
                End::Right => listpack::append(bytes, text),
            }),
        }
    }

    /// Removes up to `count` elements at `end`, and hands each of them to `with` before. Returns how many.
    /// O(1) each in a chain, at the left of a listpack O(bytes) for all.
    pub fn pop(
        &mut self,
        end: End,
        count: usize,
        limit: NodeLimit,
        with: impl FnMut(Element<'_>),
    ) -> usize {
        let popped = self.pop_unshrunk(end, count, with);
        self.shrink(limit);
        popped
    }

    fn pop_unshrunk(&mut self, end: End, count: usize, mut with: impl FnMut(Element<'_>)) -> usize {
        let count = count.min(self.len());
        match self {
            Self::Chain(chain) => (0..count).for_each(|_| {
                chain.pop(end, &mut with);
            }),
            Self::Packed(bytes) => {
                view::packed_iter(bytes, end).take(count).for_each(with);
                remove_at_end(bytes, end, count);
            }
        }
        count
    }

    /// Moves the element at one end to the other one (or the same), after it was handed to `with`. Returns whether
    /// there is one. O(element) in a chain, else O(bytes).
    pub fn rotate(
        &mut self,
        from: End,
        to: End,
        limit: NodeLimit,
        with: impl FnOnce(Element<'_>),
    ) -> bool {
        let mut text = None;
        self.pop_unshrunk(from, 1, |element| text = Some(element.to_vec()));
        let Some(text) = text else { return false };
        with(Element::Str(&text));
        self.push(to, std::iter::once(&text[..]), limit);
        self.shrink(limit);
        true
    }

    /// Puts `text` in the place of the element number `index`. Returns whether there is one. O(nodes) in a chain, else
    /// O(bytes).
    pub fn set(&mut self, index: usize, text: &[u8], limit: NodeLimit) -> bool {
        if index >= self.len() {
            return false;
        }
        self.grow(std::iter::once(text), limit);
        match self {
            Self::Chain(chain) => {
                chain.set(index, text, limit);
            }
            Self::Packed(bytes) => {
                if let Some(position) = Listpack::new(bytes).seek(index) {
                    listpack::replace(bytes, position, text);
                }
            }
        }
        self.shrink(limit);
        true
    }

    /// Adds `text` next to the element number `index`, on the side of `side`. Returns whether there is such an element.
    /// Cost as of `set`.
    pub fn insert(&mut self, index: usize, side: End, text: &[u8], limit: NodeLimit) -> bool {
        if index >= self.len() {
            return false;
        }
        self.grow(std::iter::once(text), limit);
        match self {
            Self::Chain(chain) => chain.insert(index, side, text, limit),
            Self::Packed(bytes) => {
                let view = Listpack::new(bytes);
                let position = view.seek(index + usize::from(side == End::Right));
                listpack::insert(bytes, position.unwrap_or(view.end()), text);
            }
        }
        true
    }

    /// Adds `text` next to the first element that stands for `pivot`, on the side of `side`. Returns whether there is
    /// one. O(elements).
    pub fn insert_beside(
        &mut self,
        pivot: &[u8],
        side: End,
        text: &[u8],
        limit: NodeLimit,
    ) -> bool {
        let index = self.view().positions(pivot, End::Left).next();
        index.is_some_and(|index| self.insert(index, side, text, limit))
    }

    /// Removes up to `max` elements that stand for `text`, the first ones from an end. Returns how many. O(elements).
    pub fn remove(&mut self, text: &[u8], from: End, max: usize, limit: NodeLimit) -> usize {
        let needle = Needle::new(text);
        let removed = match self {
            Self::Chain(chain) => chain.remove_matching(&needle, from, max),
            Self::Packed(bytes) => {
                let matches = Listpack::new(bytes).iter().filter(|&e| needle.matches(e)).count();
                let gone = matches.min(max);
                if gone > 0 {
                    let skip = if from == End::Left { 0 } else { matches - gone };
                    node::remove_matches(bytes, &needle, skip..skip + gone);
                }
                gone
            }
        };
        self.shrink(limit);
        removed
    }

    /// Keeps only the elements with indices in `range`. Returns nodes that are cut off, for the caller to drop where it
    /// likes. O(nodes) in a chain, else O(bytes).
    pub fn trim(&mut self, range: std::ops::Range<usize>, limit: NodeLimit) -> Chain {
        let len = self.len();
        let start = range.start.min(len);
        let behind = len - range.end.clamp(start, len);
        let mut cut = Chain::default();
        match self {
            Self::Chain(chain) => {
                chain.cut(End::Right, behind, &mut cut);
                chain.cut(End::Left, start, &mut cut);
            }
            Self::Packed(bytes) => {
                remove_at_end(bytes, End::Right, behind);
                remove_at_end(bytes, End::Left, start);
            }
        }
        self.shrink(limit);
        cut
    }

    /// Adds a sound listpack at the right, as it is. For loading; [`Self::settle`] follows when all is there.
    pub fn append_packed(&mut self, bytes: Vec<u8>) {
        self.chain().append_packed(bytes);
    }

    /// Adds an element at the right that is stored without a listpack. For loading, as [`Self::append_packed`].
    pub fn append_plain(&mut self, text: Vec<u8>) {
        self.chain().append_plain(text);
    }

    /// Chooses the form of a list that was loaded or copied: a listpack, if it is one and within the limit.
    pub fn settle(&mut self, limit: NodeLimit) {
        self.grow(std::iter::empty(), limit);
        self.unchain(limit, false);
    }

    /// Frees up to `nodes_max` nodes (up to about 4 us each, with cold pages). Returns whether nothing is left to free
    /// in steps.
    pub fn drop_step(&mut self, nodes_max: usize) -> bool {
        match self {
            Self::Packed(_) => true,
            Self::Chain(chain) => chain.drop_step(nodes_max),
        }
    }

    fn chain(&mut self) -> &mut Chain {
        if let Self::Packed(bytes) = self {
            *self = Self::Chain(Box::new(Chain::of_listpack(std::mem::take(bytes))));
        }
        match self {
            Self::Chain(chain) => chain,
            Self::Packed(_) => unreachable!("it was just made a chain"),
        }
    }

    /// Makes the list a chain if `texts` would exceed the limit of a listpack.
    fn grow<'v>(&mut self, texts: impl Iterator<Item = &'v [u8]>, limit: NodeLimit) {
        let Self::Packed(bytes) = self else { return };
        let (mut sum, mut count) = (bytes.len(), Listpack::new(bytes).len());
        for text in texts {
            sum = sum.saturating_add(text.len());
            count += 1;
        }
        if !limit.allows(sum, count) {
            self.chain();
        }
    }

    /// Makes the list a listpack if a removal has left so little.
    fn shrink(&mut self, limit: NodeLimit) {
        self.unchain(limit, true);
    }

    #[inline]
    fn unchain(&mut self, limit: NodeLimit, half: bool) {
        if let Self::Chain(chain) = self
            && let Some(bytes) = chain.take_only_listpack(limit, half)
        {
            *self = Self::Packed(bytes);
        }
    }
}

/// Removes `count` elements, at most all, at an end of a listpack.
fn remove_at_end(bytes: &mut Vec<u8>, end: End, count: usize) {
    let view = Listpack::new(bytes);
    let first = match end {
        End::Left => view.first(),
        End::Right => count.checked_sub(1).and_then(|index| view.seek_from_end(index)),
    };
    if let Some(first) = first {
        listpack::delete_range(bytes, first, count);
    }
}

#[cfg(test)]
mod tests;
