//! `Ziplist`: the packed form of small collections up to Redis 6.2, which nothing writes any more.
//!
//! ```text
//! total bytes (u32) | offset of the last entry (u32) | number of entries (u16, 65535 = count them) | entry ... | 0xff
//! entry   length of the entry before (u8, or 0xfe and u32) | encoding | string or integer
//! ```
//! Little-endian, but for the lengths of strings. The encodings (ziplist.c; Pieter Noordhuis, Salvatore Sanfilippo):
//!
//! ```text
//! 00llllll                string of l bytes           11000000   integer of 2 bytes    11111110   of 1 byte
//! 01llllll llllllll       the same, 14 bits           11010000   of 4 bytes            1111iiii   i - 1: 0 to 12
//! 10000000 and 4 bytes    the same, 32 bits           11100000   of 8 bytes            11110000   of 3 bytes
//! ```

use crate::types::listpack::Element;

const HEADER: usize = 10;
const END: u8 = 0xff;
const COUNT_UNKNOWN: usize = 65_535;

/// A sound ziplist, read in place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ziplist<'a>(&'a [u8]);

impl<'a> Ziplist<'a> {
    /// `bytes`, if they are a sound ziplist. Takes bytes of any origin. O(bytes).
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (header, entries) = bytes.split_first_chunk::<HEADER>()?;
        let [a, b, c, d, e, f, g, h, i, j] = header.map(usize::from);
        let (total, last, noted) =
            (a | b << 8 | c << 16 | d << 24, e | f << 8 | g << 16 | h << 24, i | j << 8);
        let (&END, entries) = entries.split_last()? else { return None };
        let (mut at, mut len_before, mut count) = (0, 0, 0);
        while at < entries.len() {
            let entry = Entry::read(&entries[at..])?;
            if entry.len_before != len_before {
                return None;
            }
            (at, len_before, count) = (at + entry.len, entry.len, count + 1);
        }
        let is_sound = total == bytes.len()
            && last == HEADER + at - len_before
            && (noted == count || noted == COUNT_UNKNOWN);
        is_sound.then_some(Self(entries))
    }

    /// Its elements, in order.
    pub fn iter(self) -> impl Iterator<Item = Element<'a>> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let entry = Entry::read(rest)?;
            rest = &rest[entry.len..];
            Some(entry.element)
        })
    }
}

struct Entry<'a> {
    len_before: usize,
    len: usize,
    element: Element<'a>,
}

impl<'a> Entry<'a> {
    /// The entry that `bytes` begin with.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (len_before, rest) = match bytes {
            [0xfe, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
            [0xfe | END, ..] | [] => return None,
            [len, rest @ ..] => (usize::from(*len), rest),
        };
        let (element, rest) = read_element(rest)?;
        Some(Self { len_before, len: bytes.len() - rest.len(), element })
    }
}

/// The element that `bytes` begin with, and what follows.
fn read_element(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let low = usize::from(first & 0x3f);
    match first >> 6 {
        0 => string(rest, low),
        1 => {
            rest.split_first().and_then(|(&next, rest)| string(rest, low << 8 | usize::from(next)))
        }
        2 if low == 0 => {
            let (len, rest) = rest.split_first_chunk()?;
            string(rest, u32::from_be_bytes(*len) as usize)
        }
        2 => None,
        _ => {
            let len = match first {
                0xfe => 1,
                0xc0 => 2,
                0xf0 => 3,
                0xd0 => 4,
                0xe0 => 8,
                0xf1..=0xfd => return Some((Element::Int(i64::from(first) - 0xf1), rest)),
                _ => return None,
            };
            let (bytes, rest) = rest.split_at_checked(len)?;
            Some((Element::Int(integer(bytes)), rest))
        }
    }
}

fn string(bytes: &[u8], len: usize) -> Option<(Element<'_>, &[u8])> {
    let (text, rest) = bytes.split_at_checked(len)?;
    Some((Element::Str(text), rest))
}

/// The signed integer in 1 to 8 bytes.
fn integer(bytes: &[u8]) -> i64 {
    let mut wide = [0; 8];
    wide[8 - bytes.len()..].copy_from_slice(bytes);
    i64::from_le_bytes(wide) >> (64 - 8 * bytes.len())
}

/// A ziplist with these texts, in the encodings that Redis chose: what no server at hand writes any more.
#[cfg(test)]
pub(super) fn of(texts: &[&[u8]]) -> Vec<u8> {
    let (mut entries, mut len_before) = (Vec::new(), 0);
    for text in texts {
        let start = entries.len();
        match u8::try_from(len_before) {
            Ok(len @ ..0xfe) => entries.push(len),
            _ => {
                entries.push(0xfe);
                entries.extend_from_slice(&(len_before as u32).to_le_bytes());
            }
        }
        write_text(&mut entries, text);
        len_before = entries.len() - start;
    }
    let total = HEADER + entries.len() + 1;
    let mut ziplist = (total as u32).to_le_bytes().to_vec();
    ziplist.extend_from_slice(&((total - 1 - len_before) as u32).to_le_bytes());
    ziplist.extend_from_slice(&(texts.len().min(COUNT_UNKNOWN) as u16).to_le_bytes());
    ziplist.extend_from_slice(&entries);
    ziplist.push(END);
    ziplist
}

#[cfg(test)]
fn write_text(entries: &mut Vec<u8>, text: &[u8]) {
    let le = |number: i64| number.to_le_bytes();
    match crate::resp::number::parse_i64(text) {
        Some(number @ 0..=12) => entries.push(0xf1 + number as u8),
        Some(number @ -0x80..=0x7f) => entries.extend_from_slice(&[0xfe, number as u8]),
        Some(number @ -0x8000..=0x7fff) => {
            entries.push(0xc0);
            entries.extend_from_slice(&le(number)[..2]);
        }
        Some(number @ -0x80_0000..=0x7f_ffff) => {
            entries.push(0xf0);
            entries.extend_from_slice(&le(number)[..3]);
        }
        Some(number @ -0x8000_0000..=0x7fff_ffff) => {
            entries.push(0xd0);
            entries.extend_from_slice(&le(number)[..4]);
        }
        Some(number) => {
            entries.push(0xe0);
            entries.extend_from_slice(&le(number));
        }
        None => {
            match text.len() {
                len @ ..64 => entries.push(len as u8),
                len @ ..16_384 => entries.extend_from_slice(&[0x40 | (len >> 8) as u8, len as u8]),
                len => {
                    entries.push(0x80);
                    entries.extend_from_slice(&(len as u32).to_be_bytes());
                }
            }
            entries.extend_from_slice(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTEGERS: &[&[u8]] = &[
        b"0",
        b"12",
        b"13",
        b"-1",
        b"-128",
        b"127",
        b"128",
        b"-32768",
        b"32768",
        b"-8388608",
        b"8388608",
        b"-2147483648",
        b"2147483648",
        b"-9223372036854775808",
        b"9223372036854775807",
    ];

    fn texts(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
        Ziplist::new(bytes).map(|ziplist| ziplist.iter().map(Element::to_vec).collect())
    }

    #[test]
    fn the_example_of_the_description_is_read() {
        // The header of ziplist.c: "2" and "5", then "Hello World".
        let bytes = b"\x0f\0\0\0\x0c\0\0\0\x02\0\x00\xf3\x02\xf6\xff";
        assert_eq!(texts(bytes).unwrap(), [b"2", b"5"]);
        assert_eq!(of(&[b"2", b"5"]), bytes);
        let bytes = b"\x1c\0\0\0\x0e\0\0\0\x03\0\x00\xf3\x02\xf6\x02\x0bHello World\xff";
        assert_eq!(texts(bytes).unwrap(), [&b"2"[..], b"5", b"Hello World"]);
    }

    #[test]
    fn every_encoding_is_read() {
        assert_eq!(texts(&of(INTEGERS)).unwrap(), INTEGERS);
        let strings = [&b""[..], &[b'a'; 63], &[b'b'; 64], &[b'c'; 16_383], &[b'd'; 16_384], b"e"];
        assert_eq!(texts(&of(&strings)).unwrap(), strings);
        assert_eq!(texts(&of(&[])).unwrap(), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn damaged_bytes_are_refused_or_sound() {
        let sound = of(&[b"1", b"300", b"hello", &[b'x'; 300], b"70000", b"end"]);
        for len in 0..sound.len() {
            assert!(texts(&sound[..len]).is_none());
        }
        for at in 0..sound.len() {
            for bit in 0..8 {
                let mut bytes = sound.clone();
                bytes[at] ^= 1 << bit;
                texts(&bytes);
                assert!(at >= HEADER || texts(&bytes).is_none());
            }
        }
    }
}
