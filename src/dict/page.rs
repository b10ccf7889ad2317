//! `Page`: up to 64 KiB of memory cut into blocks of one length.
//!
//! Blocks are handed out from the front, and freed ones first: a freed block holds the position of the next freed one
//! in its first two bytes, so a page costs 32 bytes of bookkeeping. Which page serves a request is the arena's business.

use super::memory::Memory;

/// A block's position in its page counts in units of 8 bytes, the finest size class.
pub(super) const UNIT: usize = 8;
/// No page is longer, so that a position fits [`UNITS_BITS`].
pub(super) const PAGE_BYTES_MAX: usize = UNIT << UNITS_BITS;
/// Bits of a position.
pub(super) const UNITS_BITS: u32 = 13;
/// Ends a free list. No position is that high.
const NONE: u16 = u16::MAX;
/// What debug builds leave in a freed block, so that reading through a stale handle shows.
const FREED: u8 = 0xdd;

/// Blocks of one length. `next` and `previous` are the arena's: they chain pages by number.
#[derive(Clone)]
pub(super) struct Page<M> {
    data: M,
    block_bytes: u16,
    used: u16,
    /// First unit no block was ever cut from.
    fresh: u16,
    /// First freed block.
    freed: u16,
    pub(super) next: u32,
    pub(super) previous: u32,
}

impl<M: Memory> Page<M> {
    /// A page of `blocks` blocks of `block_bytes` bytes. The memory is zero and, when it comes fresh from the system,
    /// not resident before a block is used.
    pub(super) fn new(block_bytes: usize, blocks: usize) -> Self {
        let bytes = block_bytes * blocks;
        assert!(block_bytes.is_multiple_of(UNIT) && bytes <= PAGE_BYTES_MAX, "page geometry");
        let data = M::zeros(bytes);
        Self {
            data,
            block_bytes: block_bytes as u16,
            used: 0,
            fresh: 0,
            freed: NONE,
            next: 0,
            previous: 0,
        }
    }

    /// A page number without memory.
    pub(super) fn vacant() -> Self {
        Self::new(0, 0)
    }

    /// Length of every block.
    #[inline]
    pub(super) fn block_bytes(&self) -> usize {
        usize::from(self.block_bytes)
    }

    /// Length of the whole page.
    pub(super) fn bytes(&self) -> usize {
        self.data.len()
    }

    /// True if a block can be taken.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.freed != NONE || usize::from(self.fresh) * UNIT < self.data.len()
    }

    /// True if no block is in use.
    pub(super) fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Takes a block and returns its position. The page must have room.
    pub(super) fn take(&mut self) -> u16 {
        self.used += 1;
        if self.freed == NONE {
            let unit = self.fresh;
            self.fresh += self.block_bytes / UNIT as u16;
            return unit;
        }
        let unit = self.freed;
        let at = usize::from(unit) * UNIT;
        self.freed = u16::from_le_bytes([self.data[at], self.data[at + 1]]);
        unit
    }

    /// Gives a block back.
    pub(super) fn give_back(&mut self, unit: u16) {
        self.debug_check(unit);
        self.used -= 1;
        if self.used == 0 {
            // Starting over fills the page from the front again: neighbours in time are neighbours in memory.
            (self.fresh, self.freed) = (0, NONE);
            return;
        }
        let link = self.freed.to_le_bytes();
        let block = self.block_mut(unit);
        if cfg!(debug_assertions) {
            block.fill(FREED);
        }
        block[..2].copy_from_slice(&link);
        self.freed = unit;
    }

    /// The whole block at a position.
    #[inline]
    pub(super) fn block(&self, unit: u16) -> &[u8] {
        self.debug_check(unit);
        let at = usize::from(unit) * UNIT;
        &self.data[at..at + usize::from(self.block_bytes)]
    }

    /// The whole block at a position.
    #[inline]
    pub(super) fn block_mut(&mut self, unit: u16) -> &mut [u8] {
        self.debug_check(unit);
        let at = usize::from(unit) * UNIT;
        &mut self.data.bytes_mut()[at..at + usize::from(self.block_bytes)]
    }

    /// Units that blocks were cut from.
    pub(super) fn fresh_units(&self) -> usize {
        usize::from(self.fresh)
    }

    /// The positions of freed blocks.
    pub(super) fn freed_units(&self) -> impl Iterator<Item = u16> {
        let known = |unit: u16| (unit != NONE).then_some(unit);
        std::iter::successors(known(self.freed), move |&unit| {
            let at = usize::from(unit) * UNIT;
            known(u16::from_le_bytes([self.data[at], self.data[at + 1]]))
        })
    }

    #[inline]
    fn debug_check(&self, unit: u16) {
        debug_assert!(self.used > 0 && unit < self.fresh, "a block that is not in use");
        debug_assert!(
            (usize::from(unit) * UNIT).is_multiple_of(self.block_bytes()),
            "not the start of a block"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Page = super::Page<Box<[u8]>>;

    #[test]
    fn a_page_header_is_32_bytes() {
        assert_eq!(size_of::<Page>(), 32);
    }

    #[test]
    fn freed_blocks_are_reused_last_in_first_out() {
        let mut page = Page::new(24, 3);
        let units: Vec<u16> = (0..3).map(|_| page.take()).collect();
        assert_eq!(units, [0, 3, 6]);
        assert!(!page.has_room());
        page.give_back(6);
        page.give_back(0);
        assert_eq!((page.take(), page.take()), (0, 6));
        assert!(!page.has_room() && !page.is_empty());
    }

    #[test]
    fn the_longest_page_of_the_shortest_blocks_counts_every_block() {
        let blocks = PAGE_BYTES_MAX / 8;
        let mut page = Page::new(8, blocks);
        let units: Vec<u16> = (0..blocks).map(|_| page.take()).collect();
        assert_eq!(units.last(), Some(&(blocks as u16 - 1)));
        assert!(!page.has_room());
        for unit in units {
            page.give_back(unit);
        }
        assert!(page.is_empty() && page.has_room());
    }
}
