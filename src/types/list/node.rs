//! A node of a chain: a listpack, or one big element without one.

use std::ops::Range;
use std::sync::Arc;

use super::{Block, End};
use crate::types::listpack::{self, Deque, Element, Encoded, Listpack, Needle};

/// A part of a long list.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// Elements in a listpack; at least one, between edits.
    Packed(Deque),
    /// One element that would fill a listpack alone. Shared, so that a copy of the node costs nothing.
    Plain(Arc<[u8]>),
}

impl Node {
    /// A listpack of one element.
    pub fn packed(text: &[u8]) -> Self {
        let mut listpack = listpack::new();
        listpack::append(&mut listpack, text);
        Self::Packed(Deque::new(listpack))
    }

    pub fn plain(text: &[u8]) -> Self {
        Self::Plain(text.into())
    }

    /// Number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::Packed(deque) => deque.len(),
            Self::Plain(_) => 1,
        }
    }

    /// Bytes of memory behind it.
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Packed(deque) => deque.heap_bytes(),
            Self::Plain(text) => text.len(),
        }
    }

    /// The bytes as they are stored.
    pub fn block(&self) -> Block<'_> {
        match self {
            Self::Packed(deque) => Block::Packed(deque.listpack().bytes()),
            Self::Plain(text) => Block::Plain(text),
        }
    }

    /// The element at `end`, if there is one.
    #[inline]
    pub fn peek(&self, end: End) -> Option<Element<'_>> {
        match (self, end) {
            (Self::Packed(deque), End::Left) => deque.first(),
            (Self::Packed(deque), End::Right) => deque.last(),
            (Self::Plain(text), _) => Some(Element::Str(text)),
        }
    }

    /// All elements.
    #[inline]
    pub fn iter(&self) -> NodeIter<'_> {
        match self {
            Self::Packed(deque) => NodeIter::Packed(deque.listpack().iter()),
            Self::Plain(text) => NodeIter::Plain(Some(text)),
        }
    }

    /// The element number `offset`, which there is, and those `towards` an end from it.
    pub fn iter_from(&self, offset: usize, towards: End) -> NodeIter<'_> {
        match self {
            Self::Packed(deque) => NodeIter::from_listpack(deque.listpack(), offset, towards),
            Self::Plain(text) => NodeIter::Plain(Some(text)),
        }
    }

    /// Gives back the memory that is kept for growing. O(bytes).
    pub fn shrink_to_fit(&mut self) {
        if let Self::Packed(deque) = self {
            deque.shrink_to_fit();
        }
    }

    /// Adds an element at `end`. Not for plain nodes. Amortized O(text).
    #[inline]
    pub fn push(&mut self, end: End, text: &[u8]) {
        let value = Encoded::from(text);
        match end {
            End::Left => self.deque().push_front(&value),
            End::Right => self.deque().push_back(&value),
        }
    }

    /// Adds an element before the one number `offset`. Not for plain nodes.
    pub fn insert(&mut self, offset: usize, text: &[u8]) {
        self.deque().edit(|listpack| {
            let view = Listpack::new(listpack);
            let position = view.seek(offset).unwrap_or(view.end());
            listpack::insert(listpack, position, text);
        });
    }

    /// Puts `text` in the place of the element number `offset`. Not for plain nodes.
    pub fn replace(&mut self, offset: usize, text: &[u8]) {
        self.deque().edit(|listpack| {
            let position = Listpack::new(listpack).seek(offset).expect("the offset is below len");
            listpack::replace(listpack, position, text);
        });
    }

    /// Takes the elements from number `offset` on out, as a node of their own. Not for plain nodes.
    pub fn split_off(&mut self, offset: usize) -> Self {
        let tail = self.deque().edit(|listpack| listpack::split_off(listpack, offset));
        Self::Packed(Deque::new(tail))
    }

    /// Adds the elements of `tail`, a packed node as this one, behind its own.
    pub fn concatenate(&mut self, tail: &Self) {
        if let Self::Packed(tail) = tail {
            self.deque().edit(|listpack| listpack::concatenate(listpack, tail.listpack()));
        }
    }

    /// Removes the element at `end`. A plain node, which is nothing but that, is to be removed itself. O(1).
    #[inline]
    pub fn remove_end(&mut self, end: End) {
        match end {
            End::Left => self.deque().remove_first(),
            End::Right => self.deque().remove_last(),
        }
    }

    /// Removes `count` elements from number `offset` on. Not for plain nodes.
    pub fn remove_range(&mut self, offset: usize, count: usize) {
        self.deque().edit(|listpack| {
            if let Some(position) = Listpack::new(listpack).seek(offset) {
                listpack::delete_range(listpack, position, count);
            }
        });
    }

    /// Number of elements that match.
    pub fn count(&self, needle: &Needle<'_>) -> usize {
        match self {
            Self::Packed(deque) => deque.listpack().iter().filter(|&e| needle.matches(e)).count(),
            Self::Plain(text) => usize::from(needle.matches(Element::Str(text))),
        }
    }

    /// Removes those of the matching elements whose numbers, counted among them, are in `range`. Not for plain nodes.
    pub fn remove_matches(&mut self, needle: &Needle<'_>, range: Range<usize>) {
        self.deque().edit(|listpack| remove_matches(listpack, needle, range));
    }

    #[inline]
    fn deque(&mut self) -> &mut Deque {
        match self {
            Self::Packed(deque) => deque,
            Self::Plain(_) => unreachable!("a plain node is replaced, never changed"),
        }
    }
}

/// Removes those of the matching elements of a listpack whose numbers, counted among them, are in `range`.
pub(super) fn remove_matches(listpack: &mut Vec<u8>, needle: &Needle<'_>, range: Range<usize>) {
    let mut seen = 0;
    listpack::retain(listpack, |element| {
        let matches = needle.matches(element);
        seen += usize::from(matches);
        !(matches && range.contains(&(seen - 1)))
    });
}

/// The elements of a node, from either end.
#[derive(Clone, Debug)]
pub(super) enum NodeIter<'a> {
    Packed(listpack::Iter<'a>),
    Plain(Option<&'a [u8]>),
}

impl<'a> NodeIter<'a> {
    /// The element number `offset` and those `towards` an end from it; none if there is none.
    pub fn from_listpack(listpack: Listpack<'a>, offset: usize, towards: End) -> Self {
        let Some(position) = listpack.seek(offset) else { return Self::Plain(None) };
        Self::Packed(match towards {
            End::Right => listpack.iter_from(position),
            End::Left => listpack.iter_before(listpack.next(position).unwrap_or(listpack.end())),
        })
    }

    /// The next element on the way towards that end.
    #[inline]
    pub fn step(&mut self, towards: End) -> Option<Element<'a>> {
        match (self, towards) {
            (Self::Packed(elements), End::Right) => elements.next(),
            (Self::Packed(elements), End::Left) => elements.next_back(),
            (Self::Plain(text), _) => text.take().map(Element::Str),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_takes_32_bytes() {
        assert_eq!(size_of::<Node>(), 32);
    }
}
