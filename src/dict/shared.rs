//! `SharedBlocks`: the blocks of an arena as they were when it was shared, to be read a page at a time.
//!
//! Sharing copies one reference per page and per large block. A page that the arena changes afterwards is copied by the
//! arena, once; a page that was read is let go at once.

use std::sync::Arc;

use super::page::{Page, UNIT};

/// Blocks that nobody changes any more.
#[derive(Default)]
pub struct SharedBlocks {
    pub(super) pages: Vec<Page<Arc<[u8]>>>,
    pub(super) large: Vec<Arc<[u8]>>,
}

impl SharedBlocks {
    /// Hands the blocks of one more page, or one more large block, to `emit`, in no order. False if there is none.
    /// O(page).
    pub fn next_page(&mut self, emit: impl FnMut(&[u8])) -> bool {
        if let Some(page) = self.pages.pop() {
            page.blocks(emit);
            return true;
        }
        self.large.pop().map(|block| emit_one(&block, emit)).is_some()
    }
}

fn emit_one(block: &[u8], mut emit: impl FnMut(&[u8])) {
    emit(block);
}

impl Page<Arc<[u8]>> {
    /// Hands all blocks that are in use to `emit`. O(page).
    fn blocks(&self, mut emit: impl FnMut(&[u8])) {
        let mut is_free = vec![false; self.fresh_units()];
        self.freed_units().for_each(|unit| is_free[usize::from(unit)] = true);
        let step = self.block_bytes() / UNIT;
        for unit in (0..self.fresh_units()).step_by(step.max(1)) {
            if !is_free[unit] {
                emit(self.block(unit as u16));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{Arena, Handle};
    use super::*;

    type SharedArena = Arena<Arc<[u8]>>;

    fn write(arena: &mut SharedArena, number: u32, len: usize) -> Handle {
        let handle = arena.allocate(len);
        arena.block_mut(handle)[..4].copy_from_slice(&number.to_le_bytes());
        handle
    }

    fn read(mut shared: SharedBlocks) -> BTreeSet<u32> {
        let mut numbers = BTreeSet::new();
        let mut emit = |block: &[u8]| {
            let number = u32::from_le_bytes(block[..4].try_into().unwrap());
            assert!(numbers.insert(number), "{number} came twice");
        };
        while shared.next_page(&mut emit) {}
        numbers
    }

    #[test]
    fn what_is_shared_stays_what_it_was() {
        let mut arena = SharedArena::new();
        let len = |number: u32| 8 + number as usize * 37 % 1500;
        let mut handles: Vec<_> =
            (0..5000).map(|number| write(&mut arena, number, len(number))).collect();
        (0..5000).step_by(3).for_each(|number| arena.free(handles[number]));
        let expected: BTreeSet<u32> = (0..5000).filter(|number| number % 3 != 0).collect();
        let shared = arena.share();
        // Everything changes: blocks are freed, taken again and overwritten.
        (0..5000).step_by(3).for_each(|number| {
            handles[number] = write(&mut arena, 10_000 + number as u32, len(number as u32));
        });
        (1..5000).step_by(3).for_each(|number| arena.free(handles[number]));
        (2..5000).step_by(3).for_each(|number| arena.block_mut(handles[number])[..4].fill(0xff));
        assert_eq!(read(shared), expected);
        assert!(read(SharedArena::new().share()).is_empty());
    }
}
