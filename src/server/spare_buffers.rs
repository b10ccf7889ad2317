//! Warm buffers: what one client's replies were written into serves the next one's. So a client that is sent nothing
//! holds no memory for it, and one that is sent something seldom asks the allocator.

use crate::resp::Output;

/// Buffers kept: as many as there are subscribers to a busy channel.
const BUFFERS_MAX: usize = 1024;
/// Bytes of all of them.
const BYTES_MAX: usize = 4 << 20;
/// A buffer larger than this is given back to the allocator.
const BUFFER_BYTES_MAX: usize = 64 << 10;

/// Buffers that nobody uses now, the last used on top.
#[derive(Default)]
pub(super) struct SpareBuffers {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

impl SpareBuffers {
    /// Lends a buffer to an output that has none.
    #[inline]
    pub fn lend_to(&mut self, output: &mut Output) {
        if !output.has_buffer()
            && let Some(buffer) = self.buffers.pop()
        {
            self.bytes -= buffer.capacity();
            output.lend_buffer(buffer);
        }
    }

    /// Takes the buffer of an output that has sent everything.
    #[inline]
    pub fn take_from(&mut self, output: &mut Output) {
        let Some(buffer) = output.take_buffer() else { return };
        let bytes = buffer.capacity();
        if bytes <= BUFFER_BYTES_MAX
            && self.bytes + bytes <= BYTES_MAX
            && self.buffers.len() < BUFFERS_MAX
        {
            self.bytes += bytes;
            self.buffers.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_buffer(bytes: usize) -> Output {
        Output::with_buffer(Vec::with_capacity(bytes))
    }

    #[test]
    fn a_buffer_goes_from_one_output_to_the_next() {
        let mut spare = SpareBuffers::default();
        let (mut one, mut other) = (with_buffer(100), Output::new());
        spare.take_from(&mut one);
        assert!(!one.has_buffer() && spare.bytes == 100);
        spare.lend_to(&mut other);
        assert!(other.has_buffer() && spare.bytes == 0);
        other.extend(b"not sent");
        spare.take_from(&mut other);
        spare.lend_to(&mut one);
        assert!(other.has_buffer() && !one.has_buffer());
    }

    #[test]
    fn neither_many_nor_large_ones_are_kept() {
        let mut spare = SpareBuffers::default();
        spare.take_from(&mut with_buffer(BUFFER_BYTES_MAX + 1));
        assert!(spare.buffers.is_empty());
        (0..2 * BYTES_MAX / BUFFER_BYTES_MAX)
            .for_each(|_| spare.take_from(&mut with_buffer(BUFFER_BYTES_MAX)));
        assert_eq!(spare.bytes, BYTES_MAX);
        spare = SpareBuffers::default();
        (0..2 * BUFFERS_MAX).for_each(|_| spare.take_from(&mut with_buffer(10)));
        assert_eq!(spare.buffers.len(), BUFFERS_MAX);
    }
}
