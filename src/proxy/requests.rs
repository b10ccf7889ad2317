//! Requests on their way to a node, in order: they are sent from the front, and kept until they are answered, so that one
//! can be sent again elsewhere. One is never cut by the end of a chunk, and so is a slice as long as it is here.

use std::collections::VecDeque;
use std::io::IoSlice;

/// Chunks are about that long; a longer request has one of its own.
const CHUNK_BYTES: usize = 64 * 1024;

/// A queue of requests: added at the end, sent, and dropped from the front.
#[derive(Debug, Default)]
pub struct Requests {
    chunks: VecDeque<Vec<u8>>,
    /// Where in the first chunk the first unanswered request begins.
    front: usize,
    /// How far was sent: a chunk, and an offset in it.
    sent_chunk: usize,
    sent_offset: usize,
    /// Bytes that are here, and those of them that are not sent.
    len: usize,
    unsent: usize,
    /// What is sent before any request; while it is not answered, no request leaves.
    greeting: Vec<u8>,
    greeting_sent: usize,
    is_open: bool,
    /// A chunk to use again.
    spare: Vec<u8>,
}

impl Requests {
    /// Empty. `greeting` leaves first, requests after [`Requests::open`].
    pub fn with_greeting(greeting: Vec<u8>) -> Self {
        Self { greeting, ..Self::default() }
    }

    /// Lets requests leave.
    pub fn open(&mut self) {
        self.is_open = true;
        self.greeting = Vec::new();
        self.greeting_sent = 0;
    }

    /// Bytes of requests that are not answered.
    #[inline]
    pub fn held_bytes(&self) -> usize {
        self.len
    }

    /// The chunk for a request of `len` bytes: it goes to the end of it, and then [`Requests::added`] is told.
    #[inline]
    pub fn chunk_for(&mut self, len: usize) -> &mut Vec<u8> {
        let fits = self
            .chunks
            .back()
            .is_some_and(|chunk| chunk.is_empty() || chunk.len() + len <= CHUNK_BYTES);
        if !fits {
            self.chunks.push_back(std::mem::take(&mut self.spare));
        }
        self.chunks.back_mut().expect("one was just added if there was none")
    }

    /// Counts `len` bytes that were written to the end of the last chunk.
    #[inline]
    pub fn added(&mut self, len: usize) {
        self.len += len;
        self.unsent += len;
    }

    /// Adds a copy of a request.
    #[inline]
    pub fn push(&mut self, request: &[u8]) {
        self.chunk_for(request.len()).extend_from_slice(request);
        self.added(request.len());
    }

    /// The first `len` bytes that are not answered: a request, if it is so long.
    pub fn first(&self, len: usize) -> &[u8] {
        self.chunks.front().map_or(&[], |chunk| &chunk[self.front..self.front + len])
    }

    /// Whether the first `len` bytes have left whole.
    #[inline]
    pub fn is_sent(&self, len: usize) -> bool {
        self.len - self.unsent >= len
    }

    /// Whether some of the first bytes have left.
    pub fn is_begun(&self) -> bool {
        self.len > self.unsent
    }

    /// Drops the first request, which has `len` bytes and is answered. Panics if there are not so many.
    #[inline]
    pub fn answered(&mut self, len: usize) {
        self.len -= len;
        self.front += len;
        let unsent = self.unsent.min(self.len);
        if unsent != self.unsent {
            self.advance_sent(self.unsent - unsent); // it is given up before it has left
            self.unsent = unsent;
        }
        if self.chunks.front().is_some_and(|chunk| chunk.len() == self.front) {
            self.drop_first_chunk();
        }
    }

    /// Moves the position up to which bytes have left.
    fn advance_sent(&mut self, mut bytes: usize) {
        while bytes > 0 {
            let rest = self.chunks[self.sent_chunk].len() - self.sent_offset;
            if bytes <= rest {
                self.sent_offset += bytes;
                return;
            }
            bytes -= rest;
            self.sent_chunk += 1;
            self.sent_offset = 0;
        }
    }

    fn drop_first_chunk(&mut self) {
        self.front = 0;
        if self.chunks.len() == 1 {
            (self.sent_chunk, self.sent_offset) = (0, 0);
            let chunk = &mut self.chunks[0];
            chunk.clear();
            chunk.shrink_to(CHUNK_BYTES); // it held one big request
            return;
        }
        if self.sent_chunk == 0 {
            self.sent_offset = 0;
        } else {
            self.sent_chunk -= 1;
        }
        if let Some(mut chunk) = self.chunks.pop_front() {
            chunk.clear();
            chunk.shrink_to(CHUNK_BYTES);
            self.spare = chunk;
        }
    }

    /// Bytes that may leave now.
    pub fn sendable(&self) -> usize {
        if self.is_open { self.unsent } else { self.greeting.len() - self.greeting_sent }
    }

    /// The bytes to send, from the front: fills `out` with at most about `bytes_max` of them, and says how many entries
    /// are used.
    pub fn slices<'a>(&'a self, out: &mut [IoSlice<'a>], bytes_max: usize) -> usize {
        if !self.is_open {
            let rest = &self.greeting[self.greeting_sent..];
            if let (Some(slot), false) = (out.first_mut(), rest.is_empty()) {
                *slot = IoSlice::new(rest);
                return 1;
            }
            return 0;
        }
        let (mut used, mut left, mut skip) = (0, bytes_max, self.sent_offset);
        for chunk in self.chunks.iter().skip(self.sent_chunk) {
            let piece = &chunk[skip..];
            skip = 0;
            if left == 0 || used == out.len() {
                break;
            }
            if !piece.is_empty() {
                let piece = &piece[..piece.len().min(left)];
                out[used] = IoSlice::new(piece);
                used += 1;
                left -= piece.len();
            }
        }
        used
    }

    /// The first `bytes` unsent bytes have left.
    pub fn sent(&mut self, bytes: usize) {
        if self.is_open {
            self.unsent -= bytes;
            self.advance_sent(bytes);
        } else {
            self.greeting_sent += bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(requests: &mut Requests, bytes_max: usize) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 4];
        let used = requests.slices(&mut slices, bytes_max);
        let bytes: Vec<u8> = slices[..used].iter().flat_map(|slice| slice.to_vec()).collect();
        requests.sent(bytes.len());
        bytes
    }

    #[test]
    fn nothing_leaves_before_the_greeting_is_answered() {
        let mut requests = Requests::with_greeting(b"PING".to_vec());
        requests.push(b"GET");
        assert_eq!((requests.sendable(), requests.held_bytes()), (4, 3));
        assert_eq!(send(&mut requests, 99), b"PING");
        assert_eq!((send(&mut requests, 99), requests.sendable()), (Vec::new(), 0));
        requests.open();
        assert!(!requests.is_begun());
        assert_eq!((send(&mut requests, 99), requests.is_sent(3)), (b"GET".to_vec(), true));
        assert_eq!(requests.first(3), b"GET");
        requests.answered(3);
        assert_eq!(requests.held_bytes(), 0);
    }

    #[test]
    fn requests_stay_whole_until_they_are_answered() {
        let mut random = 1_u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % below
        };
        let mut requests = Requests::default();
        requests.open();
        let (mut waiting, mut expected, mut sent) = (VecDeque::new(), Vec::new(), Vec::new());
        for number in 0..6_000_u32 {
            let len = if next(200) == 0 { 100_000 } else { next(3000) + 1 };
            let request = vec![number as u8; len as usize];
            requests.push(&request);
            expected.extend_from_slice(&request);
            waiting.push_back(request);
            while next(3) > 0 {
                sent.extend(send(&mut requests, 50_000));
            }
            while next(5) > 0
                && let Some(first) = waiting.front()
                && requests.is_sent(first.len())
            {
                assert_eq!(requests.first(first.len()), first);
                requests.answered(first.len());
                waiting.pop_front();
            }
            if sent.len() > 1 << 20 {
                let len = sent.len();
                assert_eq!(expected.drain(..len).as_slice(), sent);
                sent.clear();
            }
            assert_eq!(requests.held_bytes(), waiting.iter().map(Vec::len).sum::<usize>());
        }
        for request in waiting {
            assert_eq!(requests.first(request.len()), request);
            requests.answered(request.len()); // some of them before they have left
        }
        assert_eq!((requests.held_bytes(), requests.sendable()), (0, 0));
    }
}
