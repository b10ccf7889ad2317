//! The backlog: the latest bytes of the stream, once for all replicas.
//!
//! Whoever reads from it gives the offset where it goes on. What is old is kept in blocks that outputs share, so that a
//! replica that is behind costs no copy; only the newest bytes, which are still being added to, are copied.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::resp::Output;

/// A block is sealed before it grows beyond this.
const BLOCK_BYTES: usize = 64 << 10;

/// The bytes of the stream from `start` to `end`, both counted from the begin of the history.
#[derive(Debug)]
pub struct Backlog {
    /// Sealed bytes, oldest first.
    blocks: VecDeque<Bytes>,
    /// The newest bytes.
    tail: Vec<u8>,
    /// Offset of the first byte that a replica may still ask for.
    start: u64,
    /// Offset of the first byte that is here: blocks are freed whole.
    blocks_start: u64,
    /// Offset after the last byte.
    end: u64,
}

impl Backlog {
    /// An empty one: the next byte of the stream is the first that it will have.
    pub fn new(offset: u64) -> Self {
        Self {
            blocks: VecDeque::new(),
            tail: Vec::new(),
            start: offset,
            blocks_start: offset,
            end: offset,
        }
    }

    /// Bytes of the stream before the first one that is kept.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Bytes of the stream so far.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// How many bytes are kept.
    pub fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Whether none are kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all bytes after the first `offset` of the stream are here.
    pub fn contains(&self, offset: u64) -> bool {
        (self.start..=self.end).contains(&offset)
    }

    /// Bytes of memory that it holds.
    pub fn memory_bytes(&self) -> usize {
        let blocks: usize = self.blocks.iter().map(Bytes::len).sum();
        blocks + self.blocks.capacity() * size_of::<Bytes>() + self.tail.capacity()
    }

    /// Adds bytes of the stream. Amortized O(length).
    pub fn append(&mut self, bytes: &[u8]) {
        self.end += bytes.len() as u64;
        if self.tail.len() + bytes.len() > BLOCK_BYTES {
            self.seal();
            if bytes.len() >= BLOCK_BYTES {
                return self.blocks.push_back(Bytes::copy_from_slice(bytes));
            }
        }
        self.tail.extend_from_slice(bytes);
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            let mut block = std::mem::take(&mut self.tail);
            block.shrink_to_fit();
            self.blocks.push_back(Bytes::from(block));
        }
    }

    /// Forgets what is older than the last `size` bytes, but for what comes after `needed`.
    pub fn trim(&mut self, size: u64, needed: Option<u64>) {
        let start = self.end.saturating_sub(size).min(needed.unwrap_or(u64::MAX));
        self.start = self.start.max(start);
        while let Some(block) = self.blocks.front()
            && self.blocks_start + block.len() as u64 <= self.start
        {
            self.blocks_start += block.len() as u64;
            self.blocks.pop_front();
        }
    }

    /// Adds the bytes from offset `from` to offset `to` to `output`, up to about `bytes_max` of them and at least one if
    /// there are any. Returns where they end. Panics if they are not here.
    pub fn read(&self, from: u64, to: u64, bytes_max: usize, output: &mut Output) -> u64 {
        assert!(self.contains(from) && to <= self.end, "what is read is kept");
        let to = to.min(from + bytes_max.max(1) as u64);
        let (mut block_start, mut at) = (self.blocks_start, from);
        for block in &self.blocks {
            let block_end = block_start + block.len() as u64;
            if at < block_end && at < to {
                let range = (at - block_start) as usize..(to.min(block_end) - block_start) as usize;
                at = block_start + range.end as u64;
                output.push_shared(block.slice(range));
            }
            block_start = block_end;
        }
        if at < to {
            let range = (at - block_start) as usize..(to - block_start) as usize;
            output.extend(&self.tail[range]);
        }
        to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(range: std::ops::Range<usize>) -> Vec<u8> {
        range.map(|number| (number % 251) as u8).collect()
    }

    fn read(backlog: &Backlog, from: u64, to: u64) -> Vec<u8> {
        let mut output = Output::new();
        let mut at = from;
        while at < to {
            at = backlog.read(at, to, 10_000, &mut output);
        }
        output.to_vec()
    }

    #[test]
    fn any_part_that_is_kept_can_be_read() {
        let mut backlog = Backlog::new(1000);
        let mut at = 0;
        for len in [1, 10, 60_000, 70_000, 5, 64 << 10, 200_000, 3] {
            backlog.append(&text(at..at + len));
            at += len;
        }
        assert_eq!(backlog.end(), 1000 + at as u64);
        for (from, to) in [(0, at), (0, 1), (5, 60_005), (60_000, 200_000), (at - 2, at), (7, 7)] {
            let bytes = read(&backlog, 1000 + from as u64, 1000 + to as u64);
            assert!(bytes == text(from..to), "{from} to {to}");
        }
    }

    #[test]
    fn what_is_older_than_its_size_is_forgotten_to_the_byte() {
        let mut backlog = Backlog::new(0);
        for _ in 0..100 {
            backlog.append(&text(0..10_000));
        }
        backlog.trim(1 << 30, None);
        assert_eq!((backlog.start(), backlog.len()), (0, 1_000_000));
        backlog.trim(100_000, Some(500_000));
        assert_eq!(backlog.start(), 500_000);
        backlog.trim(100_000, None);
        assert_eq!((backlog.start(), backlog.len()), (900_000, 100_000));
        assert!(backlog.contains(900_000) && backlog.contains(1_000_000));
        assert!(!backlog.contains(899_999) && !backlog.contains(1_000_001));
        assert!(backlog.memory_bytes() < 300_000, "{}", backlog.memory_bytes());
        let last: Vec<u8> = text(0..10_000)[5_000..].to_vec();
        assert!(read(&backlog, 995_000, 1_000_000) == last);
        backlog.trim(100_000_000, None);
        assert_eq!(backlog.start(), 900_000, "what was forgotten does not come back");
    }
}
