//! `Arena`: memory in blocks, named by handles instead of pointers.
//!
//! A general allocator rounds a block of 52 bytes up to 64. Here there is a size class every 8 bytes, so an entry costs
//! what it holds and a handful of bits. The blocks of a class live in pages, after Bonwick's slab allocator (USENIX
//! 1994): a page whose last block is freed goes back to the allocator at once. Blocks of over 1 KiB have allocations of
//! their own. A handle is 26 bits of page number and 13 bits of position, or a bit that says "large" and a number, so a
//! block is found by two shifts and one look at the page's header.
//!
//! What a block holds, and how much of it, is known to the caller alone.

use std::sync::Arc;

use super::Handle;
use super::large::LargeBlocks;
use super::memory::Memory;
use super::page::{PAGE_BYTES_MAX, Page, UNIT, UNITS_BITS};
use super::prefetch::prefetch;
use super::shared::SharedBlocks;

/// The longest block that lives in a page.
const BLOCK_BYTES_MAX: usize = 1024;
/// Pages of a class get longer with what it has. Three lengths, because each costs the allocator a run of its own.
const PAGE_BYTES: [usize; 3] = [1024, 8 * 1024, PAGE_BYTES_MAX];
/// Marks the handle of a large block.
const LARGE: u64 = 1 << (Handle::BITS - 1);
/// Pages that can be numbered: 4 TiB of blocks.
const PAGES_MAX: usize = (LARGE >> UNITS_BITS) as usize;
/// Page 0 has no memory, so that no handle is 0 and 0 can mean "no page".
const NO_PAGE: u32 = 0;

/// The pages of one block length.
#[derive(Clone, Default)]
struct Class {
    /// First of the pages with room that are not empty.
    roomy: u32,
    /// One empty page is kept, so that a block freed and taken again at the edge of a page does not cost a page.
    empty: u32,
    bytes: usize,
}

/// Blocks of bytes, in memory of one owner unless said otherwise. All operations on blocks are O(1).
pub struct Arena<M = Box<[u8]>> {
    pages: Vec<Page<M>>,
    /// First page number without memory.
    vacant: u32,
    /// By block length, shortest first; reaches as far as lengths have been asked for.
    classes: Vec<Class>,
    large: LargeBlocks<M>,
    len: usize,
    /// In pages: sum of the live blocks, and of the pages.
    live_bytes: usize,
    page_bytes: usize,
}

/// Where a handle points.
enum Place {
    Page { number: usize, unit: u16 },
    Large(u32),
}

#[inline]
fn place(handle: Handle) -> Place {
    let bits = handle.bits();
    if bits & LARGE == 0 {
        let unit = (bits & ((1 << UNITS_BITS) - 1)) as u16;
        return Place::Page { number: (bits >> UNITS_BITS) as usize, unit };
    }
    Place::Large((bits ^ LARGE) as u32)
}

/// Index of the size class for blocks of `len` bytes, at most [`BLOCK_BYTES_MAX`].
#[inline]
fn class_of(len: usize) -> usize {
    len.saturating_sub(1) / UNIT
}

impl<M: Memory> Default for Arena<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl Arena<Arc<[u8]>> {
    /// The blocks as they are now, to be read while the arena goes on changing. O(pages and large blocks).
    pub fn share(&self) -> SharedBlocks {
        let pages = self.pages.iter().filter(|page| !page.is_empty()).cloned().collect();
        SharedBlocks { pages, large: self.large.iter().cloned().collect() }
    }
}

impl<M: Memory> Arena<M> {
    /// An arena without any memory.
    pub fn new() -> Self {
        Self {
            pages: Vec::new(),
            vacant: NO_PAGE,
            classes: Vec::new(),
            large: LargeBlocks::default(),
            len: 0,
            live_bytes: 0,
            page_bytes: 0,
        }
    }

    /// A new block of at least `len` bytes, whose content is unspecified. Aborts, as every allocation does, when the
    /// system has no memory; panics beyond 4 TiB.
    pub fn allocate(&mut self, len: usize) -> Handle {
        self.len += 1;
        if len > BLOCK_BYTES_MAX {
            let bits = LARGE | u64::from(self.large.insert(len));
            return Handle::from_bits(bits).expect("the large bit is set");
        }
        let class = class_of(len);
        let number = self.page_with_room(class);
        let page = &mut self.pages[number as usize];
        let unit = page.take();
        self.live_bytes += page.block_bytes();
        if !page.has_room() {
            self.unlink(class, number);
        }
        Handle::from_bits(u64::from(number) << UNITS_BITS | u64::from(unit))
            .expect("page numbers start at 1")
    }

    /// Frees a block. Using its handle again is a bug, which debug builds catch where it is cheap.
    pub fn free(&mut self, handle: Handle) {
        self.len -= 1;
        let (number, unit) = match place(handle) {
            Place::Page { number, unit } => (number, unit),
            Place::Large(number) => {
                self.large.remove(number);
                return;
            }
        };
        let page = &mut self.pages[number];
        let (was_full, bytes) = (!page.has_room(), page.block_bytes());
        page.give_back(unit);
        let (class, number, is_empty) = (class_of(bytes), number as u32, page.is_empty());
        self.live_bytes -= bytes;
        if was_full && !is_empty {
            self.link(class, number);
        } else if is_empty {
            if !was_full {
                self.unlink(class, number);
            }
            self.retire(class, number);
        }
    }

    /// The whole block: [`capacity`](Self::capacity) bytes, of which the caller knows how many it uses.
    #[inline]
    pub fn block(&self, handle: Handle) -> &[u8] {
        match place(handle) {
            Place::Page { number, unit } => self.pages[number].block(unit),
            Place::Large(number) => self.large_block(number),
        }
    }

    // Almost all blocks are in pages: what is inlined everywhere is no more than that.
    #[cold]
    #[inline(never)]
    fn large_block(&self, number: u32) -> &[u8] {
        self.large.get(number)
    }

    #[cold]
    #[inline(never)]
    fn large_block_mut(&mut self, number: u32) -> &mut [u8] {
        self.large.get_mut(number)
    }

    /// Asks the processor for both ends of a block: a small one lies in one cache line or two.
    #[inline]
    pub fn prefetch(&self, handle: Handle) {
        let block = self.block(handle);
        if let (Some(first), Some(last)) = (block.first(), block.last()) {
            prefetch(first);
            prefetch(last);
        }
    }

    /// The whole block, to be written.
    #[inline]
    pub fn block_mut(&mut self, handle: Handle) -> &mut [u8] {
        match place(handle) {
            Place::Page { number, unit } => self.pages[number].block_mut(unit),
            Place::Large(number) => self.large_block_mut(number),
        }
    }

    /// Length of a block: `allocate`'s `len` rounded up to a multiple of 8 (and at least 8), exact above 1 KiB.
    #[inline]
    pub fn capacity(&self, handle: Handle) -> usize {
        match place(handle) {
            Place::Page { number, .. } => self.pages[number].block_bytes(),
            Place::Large(number) => self.large.get(number).len(),
        }
    }

    /// True if `len` bytes belong into this block, so that it can be overwritten in place: same size class, or for a
    /// large block at most an eighth of it unused.
    #[inline]
    pub fn fits(&self, handle: Handle, len: usize) -> bool {
        match place(handle) {
            Place::Page { number, .. } => {
                len <= BLOCK_BYTES_MAX
                    && (class_of(len) + 1) * UNIT == self.pages[number].block_bytes()
            }
            Place::Large(number) => {
                let capacity = self.large.get(number).len();
                len > BLOCK_BYTES_MAX && len <= capacity && capacity - len <= capacity / 8
            }
        }
    }

    /// Number of live blocks.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without live blocks.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Sum of the capacities of all live blocks. O(1).
    pub fn allocated_bytes(&self) -> usize {
        self.live_bytes + self.large.bytes()
    }

    /// Bytes of pages that are in no live block. O(1).
    pub fn vacant_bytes(&self) -> usize {
        self.page_bytes.saturating_sub(self.live_bytes)
    }

    /// Memory held: pages, large blocks and the tables that find them. O(1).
    pub fn resident_bytes(&self) -> usize {
        let tables = self.pages.capacity() * size_of::<Page<M>>()
            + self.classes.capacity() * size_of::<Class>();
        self.page_bytes + self.large.bytes() + self.large.table_bytes() + tables
    }

    /// Frees an arena that nobody will use again in steps of about `pages_max` pages (64 KiB of large blocks count as
    /// one), and returns true when it is all gone. From the first step on every handle is invalid.
    pub fn drop_step(&mut self, pages_max: usize) -> bool {
        self.classes = Vec::new();
        (self.len, self.live_bytes) = (0, 0);
        let mut done = 0;
        while done < pages_max {
            done += 1;
            if let Some(page) = self.pages.pop() {
                self.page_bytes -= page.bytes();
            } else if let Some(bytes) = self.large.drop_last() {
                done += bytes / PAGE_BYTES_MAX;
            } else {
                *self = Self::new();
                return true;
            }
        }
        false
    }

    /// A page of this class with room, which is on the class's list. Pages that are in use come first, so that empty
    /// ones can go.
    fn page_with_room(&mut self, class: usize) -> u32 {
        if class >= self.classes.len() {
            self.classes.resize(class + 1, Class::default());
        }
        let pages = &mut self.classes[class];
        if pages.roomy != NO_PAGE {
            return pages.roomy;
        }
        let mut number = std::mem::replace(&mut pages.empty, NO_PAGE);
        if number == NO_PAGE {
            number = self.add_page(class);
        }
        self.link(class, number);
        number
    }

    fn add_page(&mut self, class: usize) -> u32 {
        let block_bytes = (class + 1) * UNIT;
        let class_bytes = self.classes[class].bytes;
        let fitting = PAGE_BYTES.into_iter().rfind(|bytes| *bytes <= class_bytes);
        let page_bytes = fitting.unwrap_or(PAGE_BYTES[0]);
        // With its header an allocation is as long as one without: allocators round in steps of that length.
        let blocks = (page_bytes - M::HEADER_BYTES) / block_bytes;
        let page = Page::new(block_bytes, blocks.max(1));
        self.classes[class].bytes += page.bytes();
        self.page_bytes += page.bytes();
        if self.vacant != NO_PAGE {
            let number = self.vacant;
            self.vacant = std::mem::replace(&mut self.pages[number as usize], page).next;
            return number;
        }
        if self.pages.is_empty() {
            self.pages.push(Page::vacant()); // NO_PAGE
        }
        assert!(self.pages.len() < PAGES_MAX, "more than 4 TiB of blocks");
        self.pages.push(page);
        (self.pages.len() - 1) as u32
    }

    /// Keeps or frees a page that has become empty and is on no list.
    fn retire(&mut self, class: usize, number: u32) {
        let pages = &mut self.classes[class];
        if pages.empty == NO_PAGE {
            pages.empty = number;
            return;
        }
        let page = std::mem::replace(&mut self.pages[number as usize], Page::vacant());
        pages.bytes -= page.bytes();
        self.page_bytes -= page.bytes();
        self.pages[number as usize].next = std::mem::replace(&mut self.vacant, number);
    }

    /// Puts a page in front of its class's list. A page that has just got room is nearly full, and filling it first
    /// leaves the others a chance to become empty.
    fn link(&mut self, class: usize, number: u32) {
        let next = std::mem::replace(&mut self.classes[class].roomy, number);
        let page = &mut self.pages[number as usize];
        (page.next, page.previous) = (next, NO_PAGE);
        if next != NO_PAGE {
            self.pages[next as usize].previous = number;
        }
    }

    /// Takes a page off its class's list.
    fn unlink(&mut self, class: usize, number: u32) {
        let Page { next, previous, .. } = self.pages[number as usize];
        match previous {
            NO_PAGE => self.classes[class].roomy = next,
            previous => self.pages[previous as usize].next = next,
        }
        if next != NO_PAGE {
            self.pages[next as usize].previous = previous;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    type Arena = super::Arena;

    #[test]
    fn lengths_round_up_to_8_and_are_exact_above_1024() {
        let mut arena = Arena::new();
        for (len, capacity) in
            [(0, 8), (1, 8), (8, 8), (9, 16), (52, 56), (1017, 1024), (1024, 1024), (1025, 1025)]
        {
            let handle = arena.allocate(len);
            assert_eq!(arena.capacity(handle), capacity, "{len}");
            assert_eq!(arena.block(handle).len(), capacity);
            assert!(
                arena.fits(handle, len)
                    && arena.fits(handle, capacity)
                    && !arena.fits(handle, capacity + 1)
            );
        }
        assert_eq!(arena.len(), 8);
    }

    #[test]
    fn fits_means_the_same_class() {
        let mut arena = Arena::new();
        let small = arena.allocate(40);
        assert!(arena.fits(small, 33) && !arena.fits(small, 32) && !arena.fits(small, 5000));
        let large = arena.allocate(8000);
        assert!(arena.fits(large, 7000) && !arena.fits(large, 6999) && !arena.fits(large, 40));
        let edge = arena.allocate(1025);
        assert!(!arena.fits(edge, 1024), "a page serves this one");
    }

    #[test]
    fn a_small_arena_is_small() {
        let mut arena = Arena::new();
        assert_eq!(arena.resident_bytes(), 0);
        arena.allocate(32);
        assert!(arena.resident_bytes() < 1500, "{}", arena.resident_bytes());
        for _ in 0..1000 {
            arena.allocate(32);
        }
        assert!(arena.resident_bytes() < 70_000);
        let mut full = Arena::new();
        (0..1_000_000).for_each(|_| _ = full.allocate(32));
        assert!(full.resident_bytes() < 32_200_000, "{}", full.resident_bytes());
    }

    #[test]
    fn random_allocations_keep_their_bytes() {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let mut arena = Arena::new();
        let mut live: Vec<(Handle, usize, u8)> = Vec::new();
        for round in 0..60_000u32 {
            let grow = (round / 10_000) % 2 == 0; // waves, so that pages fill and empty
            if live.is_empty() || random.random_ratio(if grow { 7 } else { 3 }, 10) {
                let len = if random.random_ratio(1, 50) {
                    random.random_range(0..5000)
                } else {
                    random.random_range(0..90)
                };
                let (handle, fill) = (arena.allocate(len), random.random());
                arena.block_mut(handle).fill(fill);
                live.push((handle, len, fill));
            } else {
                let (handle, len, fill) = live.swap_remove(random.random_range(0..live.len()));
                assert!(
                    arena.capacity(handle) >= len
                        && arena.block(handle).iter().all(|byte| *byte == fill)
                );
                arena.free(handle);
            }
            if round % 1000 == 0 {
                let expected: usize = live.iter().map(|(handle, ..)| arena.capacity(*handle)).sum();
                assert_eq!((arena.len(), arena.allocated_bytes()), (live.len(), expected));
                assert!(arena.resident_bytes() >= arena.allocated_bytes());
                let mut handles: Vec<Handle> = live.iter().map(|(handle, ..)| *handle).collect();
                handles.sort_unstable();
                handles.dedup();
                assert_eq!(handles.len(), live.len(), "no handle twice");
            }
        }
    }

    #[test]
    fn freed_pages_go_back() {
        let mut arena = Arena::new();
        let handles: Vec<Handle> = (0..100_000).map(|_| arena.allocate(48)).collect();
        let full = arena.resident_bytes();
        for handle in &handles {
            arena.free(*handle);
        }
        assert_eq!((arena.len(), arena.allocated_bytes()), (0, 0));
        assert!(arena.resident_bytes() < 80_000, "one page is kept: {}", arena.resident_bytes());
        for _ in &handles {
            arena.allocate(48);
        }
        assert!(arena.resident_bytes() <= full, "page numbers are reused");
    }

    #[test]
    fn an_empty_page_serves_again_before_a_new_one() {
        let mut arena = Arena::new();
        let (first, bytes) = (arena.allocate(1000), arena.resident_bytes()); // one block fills the first page
        for _ in 0..100 {
            arena.free(first);
            assert_eq!(arena.allocate(1000), first);
        }
        assert_eq!(arena.resident_bytes(), bytes);
    }

    #[test]
    fn dropping_in_steps_frees_everything() {
        let mut arena = Arena::new();
        for i in 0..20_000 {
            arena.allocate(i % 1500);
        }
        let (mut steps, mut before) = (0, arena.resident_bytes());
        while !arena.drop_step(10) {
            steps += 1;
            assert!(arena.resident_bytes() <= before);
            before = arena.resident_bytes();
        }
        assert!(steps > 10);
        assert_eq!((arena.resident_bytes(), arena.len()), (0, 0));
        let handle = arena.allocate(10);
        assert_eq!(arena.capacity(handle), 16);
    }
}
