//! Bytes on their way to a client: small pieces gathered in a buffer, big values shared with the keyspace.
//!
//! Layout: sealed chunks, then the tail that is still written to. The tail never grows beyond 64 KB, so adding to a
//! long queue copies nothing that is already in it. Sending, limits and closing are left to the owner.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

/// The tail is sealed before it grows beyond this.
const TAIL_LEN_MAX: usize = 64 * 1024;
/// A shared value below this is copied: cheaper than one more slice in the vectored write.
const SHARED_LEN_MIN: usize = 16 * 1024;

#[derive(Debug)]
enum Chunk {
    Owned(Vec<u8>),
    Shared(Bytes),
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }

    fn memory_bytes(&self) -> usize {
        match self {
            Self::Owned(bytes) => bytes.capacity(),
            Self::Shared(bytes) => bytes.len(),
        }
    }

    fn truncate(&mut self, len: usize) {
        match self {
            Self::Owned(bytes) => bytes.truncate(len),
            Self::Shared(bytes) => bytes.truncate(len),
        }
    }

    fn split_off(&mut self, at: usize) -> Self {
        match self {
            Self::Owned(bytes) => Self::Owned(bytes.split_off(at)),
            Self::Shared(bytes) => Self::Shared(bytes.split_off(at)),
        }
    }
}

/// A position in everything that was ever written to one [`Output`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

/// A queue of bytes: written at the end, sent from the front.
#[derive(Debug, Default)]
pub struct Output {
    chunks: VecDeque<Chunk>,
    chunks_len: usize,          // bytes in `chunks`, sent or not
    chunks_memory_bytes: usize, // what they keep from being freed
    tail: Vec<u8>,
    sent: usize,           // bytes of the first piece that are gone
    sent_before: u64,      // bytes of pieces no longer here
    open_to: Option<Mark>, // what was written later may not be sent yet
}

impl Output {
    /// Empty, without memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Empty, writing into a buffer lent by the owner; see [`Self::take_buffer`].
    pub fn with_buffer(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        Self { tail: buffer, ..Self::default() }
    }

    /// Whether there is a buffer to write into.
    #[inline]
    pub fn has_buffer(&self) -> bool {
        self.tail.capacity() > 0
    }

    /// Lends a buffer where there is none; see [`Self::take_buffer`].
    #[inline]
    pub fn lend_buffer(&mut self, mut buffer: Vec<u8>) {
        debug_assert!(!self.has_buffer());
        buffer.clear();
        self.tail = buffer;
    }

    /// Gives the buffer back when everything was sent, so that an idle client holds none.
    #[inline]
    pub fn take_buffer(&mut self) -> Option<Vec<u8>> {
        (self.is_empty() && self.has_buffer()).then(|| std::mem::take(&mut self.tail))
    }

    /// Bytes still to be sent. O(1).
    #[inline]
    pub fn len(&self) -> usize {
        self.chunks_len + self.tail.len() - self.sent
    }

    /// Whether everything was sent.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether some bytes may not be sent yet.
    #[inline]
    pub fn is_held(&self) -> bool {
        self.open_to.is_some()
    }

    /// Holds all that was not sent yet back until [`Self::open`] says how far it may go.
    pub fn hold(&mut self) {
        self.open_to = Some(Mark(self.sent_before + self.sent as u64));
    }

    /// What was written before `mark` may be sent; `None`: all.
    pub fn open(&mut self, mark: Option<Mark>) {
        self.open_to = mark;
    }

    /// Bytes that may be sent now. O(1).
    #[inline]
    pub fn open_len(&self) -> usize {
        match self.open_to {
            None => self.len(),
            Some(mark) => (mark.0 - self.sent_before) as usize - self.sent,
        }
    }

    /// Memory held: buffers by capacity, shared values by length. O(1).
    pub fn memory_bytes(&self) -> usize {
        self.chunks_memory_bytes
            + self.chunks.capacity() * size_of::<Chunk>()
            + self.tail.capacity()
    }

    /// Adds a copy of `bytes`. Amortized O(length).
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        self.tail_for(bytes.len()).extend_from_slice(bytes);
    }

    /// The buffer to write the next `len` bytes to, without which it would be sealed in between.
    #[inline]
    pub(super) fn tail_for(&mut self, len: usize) -> &mut Vec<u8> {
        if self.tail.len() + len > TAIL_LEN_MAX {
            self.make_room(len);
        }
        &mut self.tail
    }

    #[cold]
    fn make_room(&mut self, len: usize) {
        self.seal();
        self.tail.reserve_exact(len.max(TAIL_LEN_MAX));
    }

    /// Adds `bytes` without copying them, unless they are few.
    pub fn push_shared(&mut self, bytes: Bytes) {
        if bytes.len() < SHARED_LEN_MIN {
            return self.extend(&bytes);
        }
        self.seal();
        self.push_chunk(Chunk::Shared(bytes));
    }

    /// Adds a message that many clients get: `first`, the one byte in which they may differ, and the rest, shared
    /// unless it is short. A short one takes a copy and no more.
    pub fn push_message(&mut self, first: u8, rest: &Bytes) {
        let copied: &[u8] = if rest.len() < SHARED_LEN_MIN { rest } else { &[] };
        let tail = self.tail_for(1 + copied.len());
        tail.reserve(1 + copied.len());
        tail.push(first);
        tail.extend_from_slice(copied);
        if copied.len() < rest.len() {
            self.push_shared(rest.clone());
        }
    }

    /// Moves all that `other` has not sent to the end of this one; only what is short is copied. The buffer of `other`
    /// stays where it is.
    pub fn append(&mut self, other: &mut Self) {
        let mut skip = std::mem::take(&mut other.sent);
        for chunk in other.chunks.drain(..) {
            let bytes = match chunk {
                Chunk::Owned(bytes) => Bytes::from(bytes),
                Chunk::Shared(bytes) => bytes,
            };
            self.push_shared(bytes.slice(skip..));
            skip = 0;
        }
        self.extend(&other.tail[skip..]);
        other.sent_before = other.mark().0;
        other.tail.clear();
        (other.chunks_len, other.chunks_memory_bytes) = (0, 0);
    }

    /// Makes the tail a chunk. One that is mostly empty is copied, so that the buffer stays.
    fn seal(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        let owned = if self.tail.len() < self.tail.capacity() / 4 {
            let copy = self.tail.as_slice().to_vec();
            self.tail.clear();
            copy
        } else {
            std::mem::take(&mut self.tail)
        };
        self.push_chunk(Chunk::Owned(owned));
    }

    fn push_chunk(&mut self, chunk: Chunk) {
        self.chunks_len += chunk.bytes().len();
        self.chunks_memory_bytes += chunk.memory_bytes();
        self.chunks.push_back(chunk);
    }

    /// The unsent bytes for a vectored write: fills `slices` from its start with at most `limit` bytes in all, and
    /// says how many slices are used.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>], limit: usize) -> usize {
        let pieces =
            self.chunks.iter().map(Chunk::bytes).chain(std::iter::once(self.tail.as_slice()));
        let (mut used, mut skip, mut left) = (0, self.sent, limit);
        for piece in pieces {
            let piece = &piece[skip..];
            skip = 0;
            if left == 0 || used == slices.len() {
                break;
            }
            if !piece.is_empty() {
                let piece = &piece[..piece.len().min(left)];
                slices[used] = IoSlice::new(piece);
                used += 1;
                left -= piece.len();
            }
        }
        used
    }

    /// Drops the first `count` unsent bytes: they were sent. Panics if there are fewer.
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.len(), "more bytes sent than there were");
        self.sent += count;
        while let Some(front) = self.chunks.front() {
            let len = front.bytes().len();
            if self.sent < len {
                return;
            }
            self.sent -= len;
            self.sent_before += len as u64;
            self.chunks_len -= len;
            self.chunks_memory_bytes -= front.memory_bytes();
            self.chunks.pop_front();
        }
        if self.chunks.capacity() > 0 {
            self.chunks = VecDeque::new(); // a queue that was long once gives its memory back
        }
        if self.sent == self.tail.len() {
            self.sent_before += self.sent as u64;
            self.sent = 0;
            self.tail.clear();
            if self.tail.capacity() > TAIL_LEN_MAX {
                self.tail = Vec::new(); // it held one big reply
            }
        }
    }

    /// The position of the next byte written.
    #[inline]
    pub fn mark(&self) -> Mark {
        Mark(self.sent_before + (self.chunks_len + self.tail.len()) as u64)
    }

    /// Bytes written after `mark`.
    pub fn len_since(&self, mark: Mark) -> usize {
        (self.mark().0 - mark.0) as usize
    }

    /// Offset of `mark` in the pieces that are here. Panics if the bytes at the mark were sent.
    fn offset(&self, mark: Mark) -> usize {
        let offset =
            mark.0.checked_sub(self.sent_before).and_then(|offset| usize::try_from(offset).ok());
        let offset = offset
            .filter(|offset| (self.sent..=self.chunks_len + self.tail.len()).contains(offset));
        offset.expect("a mark is used before its bytes are sent, and on its own output")
    }

    /// Drops everything written after `mark`. Panics if some of it was sent.
    pub fn truncate(&mut self, mark: Mark) {
        let offset = self.offset(mark);
        if let Some(in_tail) = offset.checked_sub(self.chunks_len) {
            return self.tail.truncate(in_tail);
        }
        self.tail.clear();
        while self.chunks_len > offset {
            let mut back = self.chunks.pop_back().expect("chunks_len counts what is in the chunks");
            self.chunks_len -= back.bytes().len();
            self.chunks_memory_bytes -= back.memory_bytes();
            if offset > self.chunks_len {
                back.truncate(offset - self.chunks_len);
                self.push_chunk(back);
            }
        }
    }

    /// Puts `bytes` where `mark` was taken, for what was not known then: the length of an aggregate. Marks taken
    /// later no longer hold, so nested ones are finished from the inside. Moves at most one chunk.
    pub fn insert_at(&mut self, mark: Mark, bytes: &[u8]) {
        let offset = self.offset(mark);
        if let Some(in_tail) = offset.checked_sub(self.chunks_len) {
            self.tail.splice(in_tail..in_tail, bytes.iter().copied());
            return;
        }
        let mut end = self.chunks_len;
        let mut index = self.chunks.len();
        while end > offset {
            index -= 1;
            end -= self.chunks[index].bytes().len();
        }
        if offset > end {
            let second = self.chunks[index].split_off(offset - end);
            index += 1;
            if let Chunk::Owned(bytes) = &second {
                self.chunks_memory_bytes += bytes.capacity(); // shared halves weigh what the whole did
            }
            self.chunks.insert(index, second);
        }
        let inserted = Chunk::Owned(bytes.to_vec());
        self.chunks_len += bytes.len();
        self.chunks_memory_bytes += inserted.memory_bytes();
        self.chunks.insert(index, inserted);
    }

    /// A copy of the unsent bytes, for tests and logs.
    pub fn to_vec(&self) -> Vec<u8> {
        let chunks = self.chunks.iter().flat_map(Chunk::bytes);
        chunks.chain(&self.tail).skip(self.sent).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn send_all(output: &mut Output, slices_max: usize, limit: usize) -> Vec<u8> {
        let mut received = Vec::new();
        while !output.is_empty() {
            let mut slices = [IoSlice::new(&[]); 8];
            let used = output.slices(&mut slices[..slices_max], limit);
            let sent: Vec<u8> =
                slices[..used].iter().flat_map(|slice| slice.iter().copied()).collect();
            assert!((1..=limit).contains(&sent.len()));
            output.consume(sent.len());
            received.extend(sent);
        }
        received
    }

    #[test]
    fn a_big_shared_value_is_not_copied() {
        let value = Bytes::from(vec![b'v'; SHARED_LEN_MIN]);
        let mut output = Output::with_buffer(Vec::with_capacity(1024));
        output.extend(b"head");
        output.push_shared(value.clone());
        output.extend(b"tail");
        let mut slices = [IoSlice::new(&[]); 8];
        assert_eq!(output.slices(&mut slices, usize::MAX), 3);
        assert_eq!(slices[1].as_ptr(), value.as_ptr());
        assert_eq!(output.slices(&mut slices, 10), 2);
        assert_eq!((slices[0].len(), slices[1].len()), (4, 6));
        assert_eq!(output.take_buffer(), None);
        let expected = [b"head".as_slice(), &value, b"tail"].concat();
        assert_eq!(send_all(&mut output, 8, usize::MAX), expected);
        assert_eq!(output.take_buffer().map(|buffer| buffer.capacity()), Some(1024));
        assert_eq!(output.memory_bytes(), 0);
        output.push_shared(value.slice(..10));
        let mut slices = [IoSlice::new(&[]); 8];
        assert_eq!(output.slices(&mut slices, usize::MAX), 1);
    }

    #[test]
    fn a_long_queue_is_not_copied_as_it_grows() {
        let mut output = Output::new();
        for _ in 0..100_000 {
            output.extend(&[b'x'; 100]);
            assert!(output.tail.capacity() <= 2 * TAIL_LEN_MAX);
        }
        output.extend(&vec![b'y'; 10 << 20]);
        assert!(output.memory_bytes() < output.len() + output.len() / 4);
        assert_eq!(send_all(&mut output, 3, 100_000).len(), 10_000_000 + (10 << 20));
        assert!(output.memory_bytes() <= TAIL_LEN_MAX);
    }

    #[test]
    fn what_is_in_a_lent_buffer_is_not_sent() {
        let mut output = Output::new();
        assert!(!output.has_buffer());
        output.lend_buffer(b"old".to_vec());
        assert!(output.has_buffer() && output.is_empty());
    }

    #[test]
    fn a_short_message_is_copied_and_a_long_one_is_shared() {
        let mut output = Output::new();
        output.push_message(b'>', &Bytes::from_static(b"short"));
        assert_eq!(output.tail.capacity(), 8);
        let long = Bytes::from(vec![b'm'; SHARED_LEN_MIN]);
        output.push_message(b'*', &long);
        let mut slices = [IoSlice::new(&[]); 8];
        assert_eq!(output.slices(&mut slices, usize::MAX), 2);
        assert_eq!(slices[1].as_ptr(), long.as_ptr());
        assert_eq!(output.to_vec(), [b">short*".as_slice(), &long].concat());
    }

    #[test]
    fn what_is_appended_comes_last_and_leaves_nothing_behind() {
        let shared = Bytes::from(vec![b's'; SHARED_LEN_MIN]);
        let (mut output, mut other) = (Output::new(), Output::new());
        output.extend(b"first");
        other.extend(b"gone,");
        other.push_shared(shared.clone());
        other.extend(b"last");
        other.consume(5);
        output.append(&mut other);
        assert_eq!(output.to_vec(), [b"first".as_slice(), &shared, b"last"].concat());
        assert!(other.is_empty() && other.take_buffer().is_some());
        other.extend(b"again");
        assert_eq!(other.to_vec(), b"again");
        let mut slices = [IoSlice::new(&[]); 8];
        assert_eq!(output.slices(&mut slices, usize::MAX), 3);
        assert_eq!(slices[1].as_ptr(), shared.as_ptr());
    }

    /// What a test does to an output, and to a plain vector beside it.
    #[derive(Clone, Debug)]
    enum Step {
        Extend(usize),
        Shared(usize),
        Mark,
        Truncate,
        Insert(usize),
        Consume(usize),
        Append(usize, usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0usize..200).prop_map(Step::Extend),
            1 => (0usize..100_000).prop_map(Step::Extend),
            2 => (0usize..40_000).prop_map(Step::Shared),
            3 => Just(Step::Mark),
            1 => Just(Step::Truncate),
            2 => (0usize..20).prop_map(Step::Insert),
            1 => (0usize..100_000).prop_map(Step::Consume),
            1 => (0usize..100_000, 0usize..40_000, 0usize..100).prop_map(|(a, b, c)| Step::Append(a, b, c)),
        ]
    }

    proptest! {
        #[test]
        fn behaves_as_one_vector(steps in proptest::collection::vec(step(), 0..60)) {
            let (mut output, mut model, mut sent) = (Output::new(), Vec::new(), 0);
            let mut marks: Vec<(Mark, usize)> = Vec::new();
            for (number, step) in steps.into_iter().enumerate() {
                let bytes = |len: usize| vec![number as u8; len];
                match step {
                    Step::Extend(len) => { output.extend(&bytes(len)); model.extend(bytes(len)); }
                    Step::Shared(len) => { output.push_shared(bytes(len).into()); model.extend(bytes(len)); }
                    Step::Mark => marks.push((output.mark(), model.len())),
                    Step::Truncate => if let Some((mark, len)) = marks.pop() {
                        prop_assert_eq!(output.len_since(mark), model.len() - len);
                        output.truncate(mark);
                        model.truncate(len);
                    },
                    Step::Insert(len) => if let Some((mark, at)) = marks.pop() {
                        output.insert_at(mark, &bytes(len));
                        model.splice(at..at, bytes(len));
                    },
                    Step::Append(first, shared, sent) => {
                        let mut other = Output::new();
                        other.extend(&bytes(first));
                        other.push_shared(bytes(shared).into());
                        let sent = sent.min(other.len());
                        other.consume(sent);
                        output.append(&mut other);
                        model.extend(bytes(first + shared - sent));
                        prop_assert!(other.is_empty() && other.mark().0 == (first + shared) as u64);
                    }
                    Step::Consume(len) => {
                        let len = len.min(output.len());
                        output.consume(len);
                        sent += len;
                        marks.retain(|(_, at)| *at >= sent);
                    }
                }
                prop_assert_eq!(output.len(), model.len() - sent);
                let chunks: usize = output.chunks.iter().map(Chunk::memory_bytes).sum();
                prop_assert_eq!(output.chunks_memory_bytes, chunks);
            }
            prop_assert!(output.to_vec() == model[sent..]);
            prop_assert!(send_all(&mut output, 2, 50_000) == model[sent..]);
        }
    }
}
