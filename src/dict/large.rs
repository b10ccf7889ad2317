//! `LargeBlocks`: blocks too long for a page, each with an allocation of its own exact length.
//!
//! The table of blocks is a list of chunks: with a million blocks nothing but the short list of chunks is ever copied.

use super::memory::Memory;

/// Blocks per chunk: 16 KiB of table.
const CHUNK: usize = 1024;

/// A numbered place of the table. Both variants fit 16 bytes.
enum Place<M> {
    Block(M),
    /// Nothing here; the next such place, if any.
    Vacant(Option<u32>),
}

/// Numbered blocks of any length.
pub(super) struct LargeBlocks<M> {
    chunks: Vec<Vec<Place<M>>>,
    vacant: Option<u32>,
    bytes: usize,
}

impl<M> Default for LargeBlocks<M> {
    fn default() -> Self {
        Self { chunks: Vec::new(), vacant: None, bytes: 0 }
    }
}

impl<M: Memory> LargeBlocks<M> {
    /// A new block of `len` zero bytes. O(1), plus what the system takes for the memory.
    pub(super) fn insert(&mut self, len: usize) -> u32 {
        self.bytes += len;
        let block = Place::Block(M::zeros(len));
        let Some(number) = self.vacant else {
            return self.push(block);
        };
        let place = self.place_mut(number);
        let Place::Vacant(next) = std::mem::replace(place, block) else {
            unreachable!("the vacant list")
        };
        self.vacant = next;
        number
    }

    fn push(&mut self, block: Place<M>) -> u32 {
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            // The first chunk grows with its contents, so that a few large blocks do not cost a whole one.
            let capacity = if self.chunks.is_empty() { 1 } else { CHUNK };
            self.chunks.push(Vec::with_capacity(capacity));
        }
        let full = (self.chunks.len() - 1) * CHUNK;
        let chunk = self.chunks.last_mut().expect("just made sure of");
        chunk.push(block);
        u32::try_from(full + chunk.len() - 1).expect("2^32 blocks of over 1 KiB")
    }

    /// Frees a block and returns its length.
    pub(super) fn remove(&mut self, number: u32) -> usize {
        let vacant = Place::Vacant(self.vacant);
        let Place::Block(block) = std::mem::replace(self.place_mut(number), vacant) else {
            panic!("large block {number} freed twice");
        };
        self.vacant = Some(number);
        self.bytes -= block.len();
        block.len()
    }

    /// The block with this number.
    #[inline]
    pub(super) fn get(&self, number: u32) -> &[u8] {
        match &self.chunks[number as usize / CHUNK][number as usize % CHUNK] {
            Place::Block(block) => block,
            Place::Vacant(_) => panic!("large block {number} used after it was freed"),
        }
    }

    /// The block with this number.
    #[inline]
    pub(super) fn get_mut(&mut self, number: u32) -> &mut [u8] {
        match self.place_mut(number) {
            Place::Block(block) => block.bytes_mut(),
            Place::Vacant(_) => panic!("large block {number} used after it was freed"),
        }
    }

    /// All blocks.
    pub(super) fn iter(&self) -> impl Iterator<Item = &M> {
        self.chunks.iter().flatten().filter_map(|place| match place {
            Place::Block(block) => Some(block),
            Place::Vacant(_) => None,
        })
    }

    /// Sum of the lengths of all blocks.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Memory of the table itself.
    pub(super) fn table_bytes(&self) -> usize {
        let places: usize = match self.chunks.as_slice() {
            [] => 0,
            [only] => only.capacity(),
            [first, rest @ ..] => first.capacity() + rest.len() * CHUNK,
        };
        places * size_of::<Place<M>>() + self.chunks.capacity() * size_of::<Vec<Place<M>>>()
    }

    /// Drops the last place, whatever is in it; `None` when none is left, else the bytes it held. Only for a table that
    /// nobody will use again: the vacant list is not kept.
    pub(super) fn drop_last(&mut self) -> Option<usize> {
        self.vacant = None;
        while self.chunks.last().is_some_and(Vec::is_empty) {
            self.chunks.pop();
        }
        let len = match self.chunks.last_mut()?.pop()? {
            Place::Block(block) => block.len(),
            Place::Vacant(_) => 0,
        };
        self.bytes -= len;
        Some(len)
    }

    fn place_mut(&mut self, number: u32) -> &mut Place<M> {
        &mut self.chunks[number as usize / CHUNK][number as usize % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type LargeBlocks = super::LargeBlocks<Box<[u8]>>;

    #[test]
    fn numbers_are_reused_and_bytes_counted() {
        let mut blocks = LargeBlocks::default();
        let numbers: Vec<u32> = (0..2500).map(|i| blocks.insert(2000 + i)).collect();
        assert_eq!(numbers, (0..2500).collect::<Vec<_>>());
        blocks.get_mut(2400)[4399] = 7;
        assert_eq!((blocks.get(2400).len(), blocks.get(2400)[4399]), (4400, 7));
        assert_eq!(blocks.remove(3), 2003);
        assert_eq!(blocks.remove(9), 2009);
        assert_eq!((blocks.insert(5000), blocks.insert(5000), blocks.insert(5000)), (9, 3, 2500));
        assert_eq!(size_of::<Place<Box<[u8]>>>(), 16);
        let expected: usize = (2000..4500).sum::<usize>() - 2003 - 2009 + 3 * 5000;
        assert_eq!(blocks.bytes(), expected);
        while blocks.drop_last().is_some() {}
        assert_eq!(blocks.bytes(), 0);
    }

    #[test]
    #[should_panic(expected = "freed twice")]
    fn freeing_twice_panics() {
        let mut blocks = LargeBlocks::default();
        let number = blocks.insert(2000);
        blocks.remove(number);
        blocks.remove(number);
    }
}
