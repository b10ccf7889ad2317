//! `Checksum`: the CRC-64 of RDB files and payloads (polynomial of Jones, reflected; crc64.c).

use std::fmt;

use crc::{CRC_64_REDIS, Crc, Table};

static CRC_64: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// A checksum over bytes that come in pieces.
#[derive(Clone)]
pub(super) struct Checksum(crc::Digest<'static, u64, Table<16>>);

impl Checksum {
    pub fn new() -> Self {
        Self(CRC_64.digest())
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of what has come so far.
    pub fn value(&self) -> u64 {
        self.0.clone().finalize()
    }

    /// The checksum of `bytes`.
    pub fn of(bytes: &[u8]) -> u64 {
        CRC_64.checksum(bytes)
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checksum({:#018x})", self.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_crc_of_redis() {
        // The value that the self-test of crc64.c expects.
        assert_eq!(Checksum::of(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }

    #[test]
    fn pieces_make_the_same_sum_as_the_whole() {
        let bytes: Vec<u8> = (0..200).collect();
        for cut in 0..bytes.len() {
            let mut sum = Checksum::new();
            sum.update(&bytes[..cut]);
            sum.update(&bytes[cut..]);
            assert_eq!(sum.value(), Checksum::of(&bytes));
        }
    }
}
