//! How large the listpacks of a list may get: `list-max-listpack-size`.

/// Bytes of a listpack with more than one element where the limit is a number of elements.
const SAFE_BYTES: usize = 8192;

/// What an element may take beside its text; Redis's estimate, so that listpacks end where those of Redis end.
const ELEMENT_OVERHEAD: usize = 8;

/// The limit of a listpack, be it a whole list or one node of a chain.
#[derive(Clone, Copy, Debug)]
pub struct NodeLimit {
    size: Size,
    plain_from: usize,
}

#[derive(Clone, Copy, Debug)]
enum Size {
    Bytes(usize),
    Count(usize),
}

impl NodeLimit {
    /// The value of `list-max-listpack-size`: from -1 to -5 (and below) 4, 8, 16, 32, 64 KiB; from 1 on so many
    /// elements, and 8 KiB; 0 means 1.
    pub fn new(list_max_listpack_size: i64) -> Self {
        let size = match list_max_listpack_size {
            ..=-1 => Size::Bytes(2048 << list_max_listpack_size.unsigned_abs().min(5)),
            max => Size::Count(usize::try_from(max).unwrap_or(usize::MAX).max(1)),
        };
        let bytes = match size {
            Size::Bytes(max) => max,
            Size::Count(_) => SAFE_BYTES,
        };
        Self { size, plain_from: bytes + 1 }
    }

    /// With another length from which on elements are plain nodes: `DEBUG QUICKLIST-PACKED-THRESHOLD`.
    pub fn with_packed_threshold(self, bytes: usize) -> Self {
        Self { plain_from: bytes, ..self }
    }

    /// Whether an element of `len` bytes is a node of its own, without a listpack.
    pub(super) fn is_plain(self, len: usize) -> bool {
        len >= self.plain_from
    }

    /// Whether a listpack of `bytes` and `count` elements is within the limit.
    pub(super) fn allows(self, bytes: usize, count: usize) -> bool {
        match self.size {
            Size::Bytes(max) => bytes <= max,
            Size::Count(max) => bytes <= SAFE_BYTES && count <= max,
        }
    }

    /// Whether a listpack of `bytes` and `count` elements may get an element of `len` bytes more.
    pub(super) fn has_room(self, bytes: usize, count: usize, len: usize) -> bool {
        !self.is_plain(len) && self.allows(bytes.saturating_add(len + ELEMENT_OVERHEAD), count + 1)
    }

    /// Whether a node of `bytes` may stay one, if replacing an element has made it so large. Redis lets it grow without
    /// end; here it is split when it has twice the limit.
    pub(super) fn tolerates(self, bytes: usize) -> bool {
        match self.size {
            Size::Bytes(max) => bytes <= 2 * max,
            Size::Count(_) => bytes <= 2 * SAFE_BYTES,
        }
    }

    /// Whether a chain that has become one listpack of that size is to be just that. `half` the limit keeps a list
    /// that changes around the limit from being converted every time.
    pub(super) fn unchains(self, bytes: usize, count: usize, half: bool) -> bool {
        let shift = u32::from(half);
        match self.size {
            Size::Bytes(max) => bytes <= max >> shift,
            Size::Count(max) => count <= max >> shift,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_sizes_are_bytes() {
        for (size, bytes) in
            [(-1, 4096), (-2, 8192), (-3, 16_384), (-4, 32_768), (-5, 65_536), (i64::MIN, 65_536)]
        {
            let limit = NodeLimit::new(size);
            assert!(limit.allows(bytes, usize::MAX));
            assert!(!limit.allows(bytes + 1, 1));
            assert!(limit.unchains(bytes, 1, false) && !limit.unchains(bytes, 1, true));
            assert!(limit.unchains(bytes / 2, 1, true));
            assert!(!limit.is_plain(bytes) && limit.is_plain(bytes + 1));
            assert!(limit.has_room(bytes - 108, 1, 100) && !limit.has_room(bytes - 107, 1, 100));
        }
    }

    #[test]
    fn positive_sizes_are_elements_and_8_kib() {
        let limit = NodeLimit::new(3);
        assert!(limit.allows(8192, 3));
        assert!(!limit.allows(8193, 3) && !limit.allows(100, 4));
        assert!(limit.has_room(100, 2, 100) && !limit.has_room(100, 3, 100));
        assert!(!limit.is_plain(8192) && limit.is_plain(8193));
        assert!(limit.unchains(9000, 1, true) && !limit.unchains(9000, 2, true));
        assert!(NodeLimit::new(0).allows(100, 1) && !NodeLimit::new(0).allows(100, 2));
        assert!(limit.tolerates(16_384) && !limit.tolerates(16_385));
        assert!(limit.with_packed_threshold(10).is_plain(10));
    }
}
