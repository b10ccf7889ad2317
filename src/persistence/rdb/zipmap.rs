//! `Zipmap`: the packed form of small hashes up to Redis 2.4, which nothing writes any more.
//!
//! ```text
//! number of fields (u8, 254 or more = count them) | entry ... entry | 0xff
//! entry    length | field | length | free (u8) | value | free bytes
//! length   u8 up to 253, or 254 and a u32 (little-endian)
//! ```
//! See zipmap.c (Salvatore Sanfilippo).

const END: u8 = 0xff;
const COUNT_UNKNOWN: u8 = 254;

/// A sound zipmap, read in place. A field may be in it twice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zipmap<'a>(&'a [u8]);

impl<'a> Zipmap<'a> {
    /// `bytes`, if they are a sound zipmap. Takes bytes of any origin. O(bytes).
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (&noted, rest) = bytes.split_first()?;
        let (&END, entries) = rest.split_last()? else { return None };
        let (mut rest, mut count) = (entries, 0_usize);
        while !rest.is_empty() {
            (_, rest) = entry(rest)?;
            count += 1;
        }
        (noted >= COUNT_UNKNOWN || usize::from(noted) == count).then_some(Self(entries))
    }

    /// Its fields and their values, in order.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut entries = self.0;
        std::iter::from_fn(move || {
            let (pair, rest) = entry(entries)?;
            entries = rest;
            Some(pair)
        })
    }
}

type Pair<'a> = (&'a [u8], &'a [u8]);

/// The entry that `bytes` begin with, and what follows.
fn entry(bytes: &[u8]) -> Option<(Pair<'_>, &[u8])> {
    let (field_len, rest) = length(bytes)?;
    let (field, rest) = rest.split_at_checked(field_len)?;
    let (value_len, rest) = length(rest)?;
    let (&free, rest) = rest.split_first()?;
    let (value, rest) = rest.split_at_checked(value_len)?;
    Some(((field, value), rest.get(usize::from(free)..)?))
}

fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [254, a, b, c, d, rest @ ..] => Some((u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest)),
        [254 | END, ..] | [] => None,
        [len, rest @ ..] => Some((usize::from(*len), rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(bytes: &[u8]) -> Option<Vec<Pair<'_>>> {
        Zipmap::new(bytes).map(|zipmap| zipmap.iter().collect())
    }

    #[test]
    fn the_example_of_the_description_is_read() {
        // The header of zipmap.c: "foo" => "bar", "hello" => "world".
        let bytes = b"\x02\x03foo\x03\x00bar\x05hello\x05\x00world\xff";
        assert_eq!(pairs(bytes).unwrap(), [(&b"foo"[..], &b"bar"[..]), (b"hello", b"world")]);
    }

    #[test]
    fn free_bytes_and_long_lengths_are_read() {
        let mut bytes = b"\xfe\x01k\xfe\x2c\x01\0\0\x02".to_vec();
        bytes.extend_from_slice(&[b'v'; 300]);
        bytes.extend_from_slice(b"??\xff");
        assert_eq!(pairs(&bytes).unwrap(), [(&b"k"[..], &[b'v'; 300][..])]);
    }

    #[test]
    fn damaged_bytes_are_refused_or_sound() {
        let sound = b"\x02\x03foo\x03\x01bar?\x05hello\x05\x00world\xff";
        for len in 0..sound.len() {
            assert!(pairs(&sound[..len]).is_none());
        }
        for at in 0..sound.len() {
            for byte in 0..=255 {
                let mut bytes = sound.to_vec();
                bytes[at] = byte;
                pairs(&bytes);
            }
        }
        assert!(pairs(b"\x03\x03foo\x03\x00bar\x05hello\x05\x00world\xff").is_none());
    }
}
