//! Listpack: a sequence of strings and integers in one run of bytes, read from either end.
//!
//! ```text
//! total bytes (u32) | number of elements (u16, 65535 = count them) | entry ... entry | 0xff
//! ```
//! Little-endian; the form of an entry is in `entry`. The bytes are Redis's (listpack.c; Salvatore Sanfilippo,
//! "Listpack specification"), so that DUMP, RDB files and replication are a copy.
//!
//! [`Listpack`] reads borrowed bytes. Edits are functions over a `Vec<u8>`: [`append`], [`insert`], [`replace`],
//! [`delete`] and so on; [`Deque`] is the form that changes at the ends. All take for granted that the bytes are sound:
//! what comes from outside goes through [`validate`] first. What the elements mean, pairs or members, is up to the types
//! that use it.

mod deque;
mod edit;
mod entry;
mod iter;

pub use deque::Deque;
pub use edit::{
    append, concatenate, delete, delete_range, insert, new, prepend, replace, retain, split_off,
};
pub use entry::{Element, Encoded, Needle};
pub use iter::Iter;

use entry::END;

const HEADER: usize = 6;
const COUNT_UNKNOWN: usize = 65_535;

/// The largest listpack there may be; see [`safe_to_add`].
pub const BYTES_MAX: usize = 1 << 30;

/// Bytes of a listpack without elements.
pub const EMPTY_BYTES: usize = HEADER + 1;

/// Whether a listpack of `bytes` may grow by `more`. To be asked before an edit with long values: edits panic where the
/// header's 32 bits end.
pub fn safe_to_add(bytes: usize, more: usize) -> bool {
    bytes.checked_add(more).is_some_and(|sum| sum <= BYTES_MAX)
}

/// Bytes of a listpack with `count` elements as large as `number`.
pub fn estimate_bytes(number: i64, count: usize) -> usize {
    Encoded::from(number).size().saturating_mul(count).saturating_add(EMPTY_BYTES)
}

/// Whether `bytes` are a sound listpack, in the header and in every entry. Takes bytes of any origin. O(bytes).
pub fn validate(bytes: &[u8]) -> bool {
    let Some((header, [.., END])) = bytes.split_at_checked(HEADER) else { return false };
    if u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize != bytes.len() {
        return false;
    }
    let (mut at, mut count) = (HEADER, 0);
    while at < bytes.len() - 1 {
        match entry::skip_checked(bytes, at) {
            Some(next) => at = next,
            None => return false,
        }
        count += 1;
    }
    let noted = usize::from(u16::from_le_bytes([header[4], header[5]]));
    noted == count || noted == COUNT_UNKNOWN
}

/// Where an entry begins. Good until the next edit, which returns the new ones that matter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Position(usize);

/// A listpack, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Listpack<'a>(&'a [u8]);

impl<'a> Listpack<'a> {
    /// `bytes` are a whole listpack that an edit made or [`validate`] has found sound.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        debug_assert_eq!(bytes.last(), Some(&END));
        Self(bytes)
    }

    /// All its bytes.
    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The count in the header, if it is one.
    #[inline]
    fn noted_len(self) -> Option<usize> {
        let count = usize::from(u16::from_le_bytes([self.0[4], self.0[5]]));
        (count != COUNT_UNKNOWN).then_some(count)
    }

    /// Number of elements. O(1), from 65,535 elements on O(elements).
    #[inline]
    pub fn len(self) -> usize {
        self.noted_len().unwrap_or_else(|| self.count())
    }

    #[cold]
    fn count(self) -> usize {
        let (mut at, mut count) = (HEADER, 0);
        while self.0[at] != END {
            at = entry::skip(self.0, at);
            count += 1;
        }
        count
    }

    /// Whether there are no elements. O(1).
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0.len() == EMPTY_BYTES
    }

    /// Where the end mark is: inserting there appends.
    #[inline]
    pub fn end(self) -> Position {
        Position(self.0.len() - 1)
    }

    /// Where the first element is. O(1), as are `last`, `next` and `previous`.
    #[inline]
    pub fn first(self) -> Option<Position> {
        self.unless_end(HEADER)
    }

    /// Where the last element is.
    #[inline]
    pub fn last(self) -> Option<Position> {
        self.previous(self.end())
    }

    /// Where the element behind that at `position` is.
    #[inline]
    pub fn next(self, position: Position) -> Option<Position> {
        self.unless_end(entry::skip(self.0, position.0))
    }

    /// Where the element before `position`, which may be `end`, is.
    #[inline]
    pub fn previous(self, position: Position) -> Option<Position> {
        (position.0 > HEADER).then(|| Position(entry::start_of_previous(self.0, position.0)))
    }

    #[inline]
    fn unless_end(self, at: usize) -> Option<Position> {
        (self.0[at] != END).then_some(Position(at))
    }

    /// The element at `position`. O(1).
    #[inline]
    pub fn get(self, position: Position) -> Element<'a> {
        entry::decode(self.0, position.0).0
    }

    /// Where the element number `index` is, counted from the front. Walks from the nearer end. O(elements).
    pub fn seek(self, index: usize) -> Option<Position> {
        match self.noted_len() {
            Some(len) if index >= len => None,
            Some(len) if index > len / 2 => self.seek_back(len - 1 - index),
            _ => self.steps(self.first(), index, Self::next),
        }
    }

    /// Where the element number `index` is, counted from the end (0 = last). Walks from the nearer end. O(elements).
    pub fn seek_from_end(self, index: usize) -> Option<Position> {
        match self.noted_len() {
            Some(len) if index >= len => None,
            Some(len) if index > len / 2 => self.steps(self.first(), len - 1 - index, Self::next),
            _ => self.seek_back(index),
        }
    }

    fn seek_back(self, steps: usize) -> Option<Position> {
        self.steps(self.last(), steps, Self::previous)
    }

    fn steps(
        self,
        start: Option<Position>,
        steps: usize,
        step: impl Fn(Self, Position) -> Option<Position>,
    ) -> Option<Position> {
        let mut position = start?;
        for _ in 0..steps {
            position = step(self, position)?;
        }
        Some(position)
    }

    /// Where the first element is that stands for `text`, of those at the indices 0, 1 + `skip`, 2 + 2 * `skip` ...
    /// O(elements).
    #[inline]
    pub fn find(self, text: &[u8], skip: usize) -> Option<Position> {
        self.find_from(Position(HEADER), &Needle::new(text), skip)
    }

    /// As [`Self::find`], from `position` on.
    #[inline]
    pub fn find_from(
        self,
        position: Position,
        needle: &Needle<'_>,
        skip: usize,
    ) -> Option<Position> {
        let bytes = self.0;
        let mut at = position.0;
        while bytes[at] != END {
            let (element, next) = entry::decode(bytes, at);
            if needle.matches(element) {
                return Some(Position(at));
            }
            at = next;
            for _ in 0..skip {
                if bytes[at] == END {
                    return None;
                }
                at = entry::skip(bytes, at);
            }
        }
        None
    }

    /// All elements, from either end.
    #[inline]
    pub fn iter(self) -> Iter<'a> {
        Iter::new(self.0, HEADER, self.0.len() - 1)
    }

    /// The elements from `position` (which may be `end`) on.
    #[inline]
    pub fn iter_from(self, position: Position) -> Iter<'a> {
        Iter::new(self.0, position.0, self.0.len() - 1)
    }

    /// The elements before `position`, for walks from there to the front.
    #[inline]
    pub fn iter_before(self, position: Position) -> Iter<'a> {
        Iter::new(self.0, HEADER, position.0)
    }
}

impl<'a> IntoIterator for Listpack<'a> {
    type Item = Element<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

#[cfg(test)]
mod tests;
