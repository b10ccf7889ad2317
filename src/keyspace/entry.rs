//! One key in one block: header, expire time (only if set), key and small value, laid out in bytes.
//!
//! ```text
//! byte 0      type (low nibble, Redis's number) | encoding (high nibble)
//! byte 1      flags: EXPIRE, EPOCH, LONG_KEY, LONG_VALUE
//! bytes 2-4   access clock: 24 bits, LRU seconds or LFU minutes and counter (see `access`)
//! then        key length (1 byte, or 4 if LONG_KEY), value length (1 byte, or 4 if LONG_VALUE)
//! then        expire time, 8 bytes of Unix milliseconds, if EXPIRE
//! then        key, value
//! ```
//! So a 16-byte key with an 8-byte value takes 31 bytes: a block of 32. A value that does not fit a block lives in the
//! database's objects; the entry then holds its 4-byte number. Integers are little-endian.

use super::value::Type;

/// The largest entry that keeps its value in the block. Larger values become objects of their own.
pub const INLINE_MAX: usize = 1024;

const EXPIRE: u8 = 1;
const EPOCH: u8 = 2;
const LONG_KEY: u8 = 4;
const LONG_VALUE: u8 = 8;
const FIXED: usize = 5;
/// The bytes before the expire time where both lengths take one byte.
const SHORT_HEADER: usize = FIXED + 2;

/// How the value bytes of an entry are to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Encoding {
    /// The bytes of a string, as they were set.
    Embstr = 0,
    /// An 8-byte integer; the string is its decimal form.
    Int = 1,
    /// The bytes of a string that was edited in place: reported as `raw` whatever its length, as Redis does.
    Raw = 2,
    /// The 4-byte number of an object.
    Object = 3,
    /// The listpack of a small collection.
    Packed = 4,
    /// The listpack of a small hash with expire times of fields.
    PackedEx = 5,
    /// The intset of a small set.
    Intset = 6,
}

impl Encoding {
    fn from_nibble(nibble: u8) -> Self {
        match nibble {
            0 => Self::Embstr,
            1 => Self::Int,
            2 => Self::Raw,
            3 => Self::Object,
            4 => Self::Packed,
            5 => Self::PackedEx,
            6 => Self::Intset,
            _ => unreachable!("only this file writes the nibble"),
        }
    }
}

/// What an entry is made of. `write` turns it into bytes.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    /// The type a user sees.
    pub kind: Type,
    /// How `value` is to be read.
    pub encoding: Encoding,
    /// Unix milliseconds, `None` = never.
    pub expire_at_ms: Option<i64>,
    /// 24 bits of access clock.
    pub access: u32,
    /// The snapshot epoch the entry was last written in.
    pub epoch: bool,
    /// The key.
    pub key: &'a [u8],
    /// The value's bytes.
    pub value: &'a [u8],
}

/// Bytes that an entry takes.
pub fn size(key_len: usize, value_len: usize, has_expire: bool) -> usize {
    FIXED
        + length_size(key_len)
        + length_size(value_len)
        + if has_expire { 8 } else { 0 }
        + key_len
        + value_len
}

fn length_size(len: usize) -> usize {
    if len < 256 { 1 } else { 4 }
}

/// Writes an entry to the front of `block`, which must hold `size(..)` bytes.
pub fn write(block: &mut [u8], parts: &Parts<'_>) {
    let mut flags = 0;
    flags |= if parts.expire_at_ms.is_some() { EXPIRE } else { 0 };
    flags |= if parts.epoch { EPOCH } else { 0 };
    flags |= if parts.key.len() < 256 { 0 } else { LONG_KEY };
    flags |= if parts.value.len() < 256 { 0 } else { LONG_VALUE };
    block[0] = parts.kind as u8 | (parts.encoding as u8) << 4;
    block[1] = flags;
    block[2..5].copy_from_slice(&parts.access.to_le_bytes()[..3]);
    let mut at = FIXED;
    at += write_length(&mut block[at..], parts.key.len());
    at += write_length(&mut block[at..], parts.value.len());
    if let Some(expire_at_ms) = parts.expire_at_ms {
        block[at..at + 8].copy_from_slice(&expire_at_ms.to_le_bytes());
        at += 8;
    }
    block[at..at + parts.key.len()].copy_from_slice(parts.key);
    at += parts.key.len();
    block[at..at + parts.value.len()].copy_from_slice(parts.value);
}

fn write_length(block: &mut [u8], len: usize) -> usize {
    if len < 256 {
        block[0] = len as u8;
        return 1;
    }
    let len =
        u32::try_from(len).expect("keys and inline values are limited to 4 GiB by the parser");
    block[..4].copy_from_slice(&len.to_le_bytes());
    4
}

/// Where the parts of an entry begin.
#[derive(Clone, Copy)]
struct Layout {
    expire: usize,
    key: usize,
    value: usize,
    end: usize,
}

#[inline(always)]
fn layout(block: &[u8]) -> Layout {
    let header: &[u8; SHORT_HEADER] = block.first_chunk().expect("no block is shorter");
    let flags = header[1];
    let (key_len, value_len, expire) = if flags & (LONG_KEY | LONG_VALUE) == 0 {
        (usize::from(header[FIXED]), usize::from(header[FIXED + 1]), SHORT_HEADER)
    } else {
        long_lengths(block, flags)
    };
    let key = expire + usize::from(flags & EXPIRE) * 8;
    Layout { expire, key, value: key + key_len, end: key + key_len + value_len }
}

#[cold]
fn long_lengths(block: &[u8], flags: u8) -> (usize, usize, usize) {
    let mut at = FIXED;
    let mut next = |long: bool| {
        if long {
            at += 4;
            u32::from_le_bytes(block[at - 4..at].try_into().expect("four bytes")) as usize
        } else {
            at += 1;
            usize::from(block[at - 1])
        }
    };
    let key_len = next(flags & LONG_KEY != 0);
    let value_len = next(flags & LONG_VALUE != 0);
    (key_len, value_len, at)
}

/// An entry, read in place.
#[derive(Clone, Copy)]
pub struct Entry<'a>(&'a [u8]);

impl<'a> Entry<'a> {
    /// `block` must start with bytes that `write` made.
    #[inline]
    pub fn new(block: &'a [u8]) -> Self {
        Self(block)
    }

    /// The type a user sees.
    pub fn kind(self) -> Type {
        Type::from_number(self.0[0] & 15).expect("only this file writes the nibble")
    }

    /// Whether a user sees a string.
    #[inline]
    pub fn is_string(self) -> bool {
        self.0[0] & 15 == Type::String as u8
    }

    /// How the value's bytes are to be read.
    #[inline]
    pub fn encoding(self) -> Encoding {
        Encoding::from_nibble(self.0[0] >> 4)
    }

    /// The key.
    #[inline]
    pub fn key(self) -> &'a [u8] {
        let layout = layout(self.0);
        &self.0[layout.key..layout.value]
    }

    /// The value's bytes: what `encoding` says.
    #[inline]
    pub fn value(self) -> &'a [u8] {
        let layout = layout(self.0);
        &self.0[layout.value..layout.end]
    }

    /// Whether the key ever expires.
    #[inline(always)]
    pub fn has_expiry(self) -> bool {
        self.0[1] & EXPIRE != 0
    }

    /// When the key expires, in Unix milliseconds; `None` = never.
    #[inline(always)]
    pub fn expire_at_ms(self) -> Option<i64> {
        self.has_expiry().then(|| self.expire_time())
    }

    fn expire_time(self) -> i64 {
        let at = layout(self.0).expire;
        i64::from_le_bytes(self.0[at..at + 8].try_into().expect("eight bytes"))
    }

    /// The 24 bits of access clock.
    #[inline(always)]
    pub fn access(self) -> u32 {
        u32::from_le_bytes([self.0[2], self.0[3], self.0[4], 0])
    }

    /// The snapshot epoch the entry was last written in.
    pub fn epoch(self) -> bool {
        self.0[1] & EPOCH != 0
    }

    /// All of it, to write an entry that differs in some part.
    pub fn parts(self) -> Parts<'a> {
        Parts {
            kind: self.kind(),
            encoding: self.encoding(),
            expire_at_ms: self.expire_at_ms(),
            access: self.access(),
            epoch: self.epoch(),
            key: self.key(),
            value: self.value(),
        }
    }
}

/// Sets the 24 bits of access clock in place.
#[inline]
pub fn set_access(block: &mut [u8], access: u32) {
    block[2..5].copy_from_slice(&access.to_le_bytes()[..3]);
}

/// Sets the snapshot epoch in place.
pub fn set_epoch(block: &mut [u8], epoch: bool) {
    block[1] = if epoch { block[1] | EPOCH } else { block[1] & !EPOCH };
}

/// Changes the expire time of an entry that has one, in place.
pub fn set_expire_at_ms(block: &mut [u8], expire_at_ms: i64) {
    assert!(block[1] & EXPIRE != 0, "an entry without an expire time has no room for one");
    let at = layout(block).expire;
    block[at..at + 8].copy_from_slice(&expire_at_ms.to_le_bytes());
}

/// Replaces the value in place by one that `block` has room for. Returns false, and changes nothing, if the length would
/// take another form.
pub fn set_value_resized(block: &mut [u8], encoding: Encoding, value: &[u8]) -> bool {
    let long = block[1] & LONG_VALUE != 0;
    if long != (value.len() >= 256) {
        return false;
    }
    let layout = layout(block);
    block[0] = block[0] & 15 | (encoding as u8) << 4;
    let length_at = FIXED + if block[1] & LONG_KEY != 0 { 4 } else { 1 };
    write_length(&mut block[length_at..], value.len());
    block[layout.value..layout.value + value.len()].copy_from_slice(value);
    true
}

/// Replaces the value by one of the same length, in place.
#[inline]
pub fn set_value(block: &mut [u8], encoding: Encoding, value: &[u8]) {
    block[0] = block[0] & 15 | (encoding as u8) << 4;
    let layout = layout(block);
    block[layout.value..layout.end].copy_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(key_len: usize, value_len: usize, expire_at_ms: Option<i64>) {
        let (key, value) = (vec![b'k'; key_len], vec![b'v'; value_len]);
        let parts = Parts {
            kind: Type::String,
            encoding: Encoding::Raw,
            expire_at_ms,
            access: 0xab_cdef,
            epoch: true,
            key: &key,
            value: &value,
        };
        let mut block = vec![0; size(key_len, value_len, expire_at_ms.is_some())];
        write(&mut block, &parts);
        let entry = Entry::new(&block);
        assert_eq!(entry.kind(), Type::String);
        assert_eq!(entry.encoding(), Encoding::Raw);
        assert_eq!((entry.key(), entry.value()), (&key[..], &value[..]));
        assert_eq!(entry.expire_at_ms(), expire_at_ms);
        assert_eq!((entry.access(), entry.epoch()), (0xab_cdef, true));
    }

    #[test]
    fn every_mix_of_short_and_long_parts_reads_back() {
        for key_len in [0, 1, 255, 256, 70_000] {
            for value_len in [0, 1, 255, 256, 1000] {
                for expire in [None, Some(0), Some(i64::MAX)] {
                    round_trip(key_len, value_len, expire);
                }
            }
        }
    }

    #[test]
    fn a_small_key_and_value_fit_32_bytes() {
        assert_eq!(size(16, 8, false), 31);
        assert_eq!(size(16, 32, true), 63);
    }

    #[test]
    fn parts_change_in_place() {
        let parts = Parts {
            kind: Type::String,
            encoding: Encoding::Embstr,
            expire_at_ms: Some(5),
            access: 1,
            epoch: false,
            key: b"key",
            value: b"abc",
        };
        let mut block = vec![0; 64];
        write(&mut block, &parts);
        set_access(&mut block, 77);
        set_expire_at_ms(&mut block, -9);
        set_value(&mut block, Encoding::Raw, b"xyz");
        let entry = Entry::new(&block);
        assert_eq!((entry.access(), entry.expire_at_ms()), (77, Some(-9)));
        assert_eq!(
            (entry.encoding(), entry.value(), entry.key()),
            (Encoding::Raw, &b"xyz"[..], &b"key"[..])
        );
    }
}
