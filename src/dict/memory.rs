//! `Memory`: what pages and large blocks are made of: memory of one owner, or memory that a snapshot may share.
//!
//! A database has millions of entries and writes each of them once before it changes, so its memory has one owner. A big
//! collection is shared instead: whoever reads it page by page keeps what was there, and who changes a shared page
//! copies it first. The price is an atomic operation per change, which the entries of a database do not pay.

use std::ops::Deref;
use std::sync::Arc;

/// Bytes of fixed length.
pub trait Memory: Deref<Target = [u8]> {
    /// Bytes that an allocation has in front of them.
    const HEADER_BYTES: usize;

    /// So many zeros.
    fn zeros(len: usize) -> Self;

    /// The bytes, to be written.
    fn bytes_mut(&mut self) -> &mut [u8];
}

impl Memory for Box<[u8]> {
    const HEADER_BYTES: usize = 0;

    fn zeros(len: usize) -> Self {
        vec![0; len].into_boxed_slice()
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl Memory for Arc<[u8]> {
    /// The two counts, and room: an allocation of exactly a power of two would be put among larger ones.
    const HEADER_BYTES: usize = 64;

    fn zeros(len: usize) -> Self {
        std::iter::repeat_n(0, len).collect()
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        Self::make_mut(self)
    }
}
