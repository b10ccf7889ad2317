//! A listpack that also grows and shrinks at the front in O(1): its buffer has a gap before the header.
//!
//! ```text
//! gap | header | entry ... entry | 0xff
//! ```
//! An element pushed to the front is written over the header and the end of the gap, and the header again before it; a
//! popped one becomes gap. (Redis moves all bytes behind the front instead.) The number of elements is kept beside the
//! buffer as well, so that who walks over many listpacks need not look into them.

use super::edit::{append_at, set_header};
use super::entry::{END, decode, skip, start_of_previous};
use super::{Element, Encoded, HEADER, Listpack};

/// A listpack and the gap before it.
#[derive(Debug)]
pub struct Deque {
    buffer: Vec<u8>,
    start: u32,
    count: u32,
}

impl Clone for Deque {
    /// With as much memory as this one has, so that sums over it stay right.
    fn clone(&self) -> Self {
        let mut buffer = Vec::with_capacity(self.buffer.capacity());
        buffer.extend_from_slice(&self.buffer);
        Self { buffer, start: self.start, count: self.count }
    }
}

impl Deque {
    /// Takes a whole listpack.
    pub fn new(listpack: Vec<u8>) -> Self {
        let count = count(&listpack);
        Self { buffer: listpack, start: 0, count }
    }

    /// The listpack.
    #[inline]
    pub fn listpack(&self) -> Listpack<'_> {
        Listpack::new(&self.buffer[self.start()..])
    }

    /// The bytes of the listpack.
    pub fn into_listpack(mut self) -> Vec<u8> {
        self.close_gap();
        self.buffer
    }

    /// Number of elements. O(1).
    #[inline]
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are no elements. O(1).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Length of the listpack in bytes. O(1).
    #[inline]
    pub fn bytes(&self) -> usize {
        self.buffer.len() - self.start()
    }

    /// Bytes of memory behind it. O(1).
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    /// The first element. O(1).
    #[inline]
    pub fn first(&self) -> Option<Element<'_>> {
        (self.count > 0).then(|| decode(&self.buffer, self.start() + HEADER).0)
    }

    /// The last element. O(1).
    #[inline]
    pub fn last(&self) -> Option<Element<'_>> {
        let end = self.buffer.len() - 1;
        (self.count > 0).then(|| decode(&self.buffer, start_of_previous(&self.buffer, end)).0)
    }

    /// Adds `value` behind the last element. Amortized O(value).
    #[inline]
    pub fn push_back(&mut self, value: &Encoded<'_>) {
        let size = value.size();
        if self.buffer.capacity() - self.buffer.len() < size {
            self.make_room(size);
        }
        append_at(&mut self.buffer, self.start as usize, value);
        self.count += 1;
    }

    /// Adds `value` before the first element. Amortized O(value).
    #[inline]
    pub fn push_front(&mut self, value: &Encoded<'_>) {
        let size = value.size();
        if size > self.start() {
            self.open_gap(size);
        }
        self.count += 1;
        let start = self.start() - size;
        value.write(&mut self.buffer[start + HEADER..start + HEADER + size]);
        self.start_at(start);
    }

    /// Removes the first element, if there is one. O(1).
    #[inline]
    pub fn remove_first(&mut self) {
        if self.count > 0 {
            self.count -= 1;
            self.start_at(skip(&self.buffer, self.start() + HEADER) - HEADER);
        }
    }

    /// Removes the last element, if there is one. O(1).
    #[inline]
    pub fn remove_last(&mut self) {
        if self.count > 0 {
            self.count -= 1;
            let at = start_of_previous(&self.buffer, self.buffer.len() - 1);
            self.buffer.truncate(at + 1);
            self.buffer[at] = END;
            self.start_at(self.start());
        }
    }

    /// Lets `edit` change the listpack. O(bytes), and what the edit costs.
    pub fn edit<R>(&mut self, edit: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        self.close_gap();
        let result = edit(&mut self.buffer);
        self.count = count(&self.buffer);
        result
    }

    /// Gives back the memory that is kept for growing, if it is worth it. O(bytes).
    pub fn shrink_to_fit(&mut self) {
        if self.buffer.capacity() - self.bytes() > self.bytes() / 16 {
            // Into a new block: an allocator leaves a block as it is when a reallocation makes it a bit smaller.
            self.buffer = self.listpack().bytes().to_vec();
            self.start = 0;
        }
    }

    #[inline]
    fn start(&self) -> usize {
        self.start as usize
    }

    /// Makes the listpack begin at `start`, where its header is written.
    #[inline]
    fn start_at(&mut self, start: usize) {
        self.start = start as u32;
        set_header(&mut self.buffer[start..], self.count as usize);
    }

    fn close_gap(&mut self) {
        self.buffer.drain(..self.start as usize);
        self.start = 0;
    }

    /// Makes room for `size` bytes behind the last element.
    #[cold]
    fn make_room(&mut self, size: usize) {
        if self.start() > self.bytes() / 2 {
            self.close_gap();
        }
        let bytes = buffer_bytes(self.buffer.len() + size);
        self.buffer.reserve_exact(bytes - self.buffer.len());
    }

    /// Makes the gap at least `size`, and a quarter of the listpack, so that pushes to the front are amortized even if as
    /// much is popped at the back.
    #[cold]
    fn open_gap(&mut self, size: usize) {
        let listpack = self.listpack().bytes();
        let gap_min = size.max(listpack.len() / 4);
        let gap = buffer_bytes(listpack.len() + gap_min) - listpack.len();
        let mut buffer = Vec::with_capacity(gap + listpack.len());
        buffer.resize(gap, 0);
        buffer.extend_from_slice(listpack);
        self.start = u32::try_from(gap).expect("a listpack has at most 1 GiB");
        self.buffer = buffer;
    }
}

/// Length of a buffer that has to hold `bytes`. A power of two, as the limits of listpacks are and the size classes of
/// allocators: a listpack that has reached its limit fills its block, and need not be moved to a smaller one.
fn buffer_bytes(bytes: usize) -> usize {
    bytes.next_power_of_two()
}

fn count(listpack: &[u8]) -> u32 {
    u32::try_from(Listpack::new(listpack).len()).expect("an element takes at least a byte of 4 GiB")
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use rand::RngExt;

    use super::super::tests::{check, random_text, seeded};
    use super::super::{append, delete, new};
    use super::*;

    #[test]
    fn random_pushes_and_pops_do_what_they_do_to_a_vec_deque() {
        let mut random = seeded();
        for _ in 0..20 {
            let (mut deque, mut model) = (Deque::new(new()), VecDeque::new());
            let growth = random.random_range(1..5);
            for _ in 0..300 {
                let text = random_text(&mut random);
                match random.random_range(0..growth + 4) {
                    0 => assert_eq!(deque.first().map(Element::to_vec), model.front().cloned()),
                    1 => assert_eq!(deque.last().map(Element::to_vec), model.back().cloned()),
                    2 => {
                        deque.remove_first();
                        model.pop_front();
                    }
                    3 => {
                        deque.remove_last();
                        model.pop_back();
                    }
                    n if n % 2 == 0 => {
                        deque.push_front(&text.as_slice().into());
                        model.push_front(text);
                    }
                    _ => {
                        deque.push_back(&text.as_slice().into());
                        model.push_back(text);
                    }
                }
                assert_eq!((deque.len(), deque.is_empty()), (model.len(), model.is_empty()));
                check(deque.listpack().bytes(), model.make_contiguous());
            }
            deque.shrink_to_fit();
            assert!(deque.heap_bytes() <= deque.bytes() * 17 / 16);
            check(&deque.into_listpack(), model.make_contiguous());
        }
    }

    #[test]
    fn a_queue_that_stays_short_takes_no_more_memory() {
        let mut deque = Deque::new(new());
        for number in 0..100_000i64 {
            deque.push_back(&number.into());
            if deque.len() > 100 {
                deque.remove_first();
            }
        }
        assert!(deque.heap_bytes() < 3000, "{}", deque.heap_bytes());
        for number in 0..100_000i64 {
            deque.push_front(&number.into());
            deque.remove_last();
        }
        assert!(deque.heap_bytes() < 3000, "{}", deque.heap_bytes());
    }

    #[test]
    fn what_grows_to_a_power_of_two_takes_no_more_memory() {
        let element = Encoded::from(&b"element:0000000001"[..]);
        let (mut back, mut front) = (Deque::new(new()), Deque::new(new()));
        while back.bytes() + element.size() <= 8192 {
            back.push_back(&element);
            front.push_front(&element);
        }
        assert_eq!((back.heap_bytes(), front.heap_bytes()), (8192, 8192));
    }

    #[test]
    fn edits_are_counted() {
        let mut deque = Deque::new(new());
        (0..10i64).for_each(|number| deque.push_front(&number.into()));
        deque.edit(|listpack| {
            append(listpack, 5);
            append(listpack, 6);
            let first = Listpack::new(listpack).first().unwrap();
            delete(listpack, first);
        });
        assert_eq!(deque.len(), 11);
        assert_eq!(deque.first(), Some(Element::Int(8)));
        assert_eq!(deque.last(), Some(Element::Int(6)));
    }
}
