//! `Buckets`: a segment's buckets, as one short run or in chunks of 4 KiB.
//!
//! Chunks all have one size, so what one segment gives up when it is resized or split is what the next one needs. As
//! single runs the segments of a growing dict would leave holes of ever other sizes behind in the allocator: measured at
//! 1 M keys, twice the memory.

use super::bucket::Bucket;

/// Buckets per chunk.
pub(super) const CHUNK: usize = 64;
/// The longest run. Beyond it a chunk more is at most a quarter more.
pub(super) const RUN_MAX: usize = 4 * CHUNK;

/// Up to [`RUN_MAX`] buckets, of any number, or more in whole chunks.
pub(super) enum Buckets {
    Run(Box<[Bucket]>),
    Chunks(Box<[Box<[Bucket; CHUNK]>]>),
}

impl Buckets {
    /// `count` empty buckets: at least 1, and beyond [`RUN_MAX`] a multiple of [`CHUNK`].
    pub(super) fn new(count: usize) -> Self {
        if count <= RUN_MAX {
            return Self::Run(vec![Bucket::default(); count].into_boxed_slice());
        }
        assert!(count.is_multiple_of(CHUNK), "whole chunks");
        let chunk = |_| {
            let buckets = vec![Bucket::default(); CHUNK].into_boxed_slice();
            buckets.try_into().unwrap_or_else(|_| unreachable!("it has that length"))
        };
        Self::Chunks((0..count / CHUNK).map(chunk).collect())
    }

    /// Number of buckets.
    #[inline]
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Run(buckets) => buckets.len(),
            Self::Chunks(chunks) => chunks.len() * CHUNK,
        }
    }

    /// Memory of the buckets and of the table of chunks.
    pub(super) fn bytes(&self) -> usize {
        let table = match self {
            Self::Run(_) => 0,
            Self::Chunks(chunks) => size_of_val(&**chunks),
        };
        self.count() * size_of::<Bucket>() + table
    }

    /// The bucket with this number.
    #[inline]
    pub(super) fn get(&self, at: usize) -> &Bucket {
        match self {
            Self::Run(buckets) => &buckets[at],
            Self::Chunks(chunks) => &chunks[at / CHUNK][at % CHUNK],
        }
    }

    /// The bucket with this number.
    #[inline]
    pub(super) fn get_mut(&mut self, at: usize) -> &mut Bucket {
        match self {
            Self::Run(buckets) => &mut buckets[at],
            Self::Chunks(chunks) => &mut chunks[at / CHUNK][at % CHUNK],
        }
    }

    /// All buckets, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Bucket> {
        let (run, chunks): (&[Bucket], &[Box<[Bucket; CHUNK]>]) = match self {
            Self::Run(buckets) => (buckets, &[]),
            Self::Chunks(chunks) => (&[], chunks),
        };
        run.iter().chain(chunks.iter().flat_map(|chunk| chunk.iter()))
    }

    /// All buckets, in order, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Bucket> {
        let (run, chunks): (&mut [Bucket], &mut [Box<[Bucket; CHUNK]>]) = match self {
            Self::Run(buckets) => (buckets, &mut []),
            Self::Chunks(chunks) => (&mut [], chunks),
        };
        run.iter_mut().chain(chunks.iter_mut().flat_map(|chunk| chunk.iter_mut()))
    }
}
