//! `Handle`: the 40-bit name of a block. Small enough to share eight bytes with a piece of the key's hash.

use std::num::NonZeroU64;

/// Names a block of an [`Arena`](super::Arena), or whatever else the owner of a [`Dict`](super::Dict) numbers.
/// Only the low 40 bits are used, and never all zero: an empty dict slot is 0, and `Option<Handle>` is 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct Handle(NonZeroU64);

impl Handle {
    /// Width of a handle.
    pub const BITS: u32 = 40;

    /// The handle with these bits; `None` if they are 0 or do not fit 40 bits.
    #[inline]
    pub const fn from_bits(bits: u64) -> Option<Self> {
        if bits >> Self::BITS != 0 {
            return None;
        }
        match NonZeroU64::new(bits) {
            Some(bits) => Some(Self(bits)),
            None => None,
        }
    }

    /// The 40 bits, in the low end of a `u64`.
    #[inline]
    pub const fn bits(self) -> u64 {
        self.0.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_and_41_bits_are_no_handles() {
        assert_eq!(Handle::from_bits(0), None);
        assert_eq!(Handle::from_bits(1 << 40), None);
        assert_eq!(Handle::from_bits((1 << 40) - 1).unwrap().bits(), (1 << 40) - 1);
        assert_eq!(size_of::<Option<Handle>>(), 8);
    }
}
