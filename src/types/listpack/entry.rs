//! One entry of a listpack: what an element is, how it is written and how it is read.
//!
//! ```text
//! first byte   encoding         then
//! 0xxxxxxx     integer, 0-127   nothing
//! 10xxxxxx     string, 0-63     the bytes
//! 110xxxxx     integer, 13 bit  1 byte of integer, the first byte has the upper bits
//! 1110xxxx     string, 12 bit   1 byte of length, the first byte has the upper bits; the bytes
//! 11110000     string, 32 bit   4 bytes of length, little-endian; the bytes
//! 11110001     integer, 16 bit  2 bytes, little-endian, as are those of 0xf2 (24), 0xf3 (32) and 0xf4 (64 bit)
//! 11111111     end of the listpack
//! ```
//! Behind each entry stands its length once more, for walks from the end: 7 bits a byte, the upper ones first, and all
//! bytes but the first with the top bit set.

use std::cmp::Ordering;

use crate::resp::number::parse_i64;

pub(super) const END: u8 = 0xff;

const STR_6_BIT: u8 = 0x80;
const INT_13_BIT: u8 = 0xc0;
const STR_12_BIT: u8 = 0xe0;
const STR_32_BIT: u8 = 0xf0;
const INT_16_BIT: u8 = 0xf1;
const INT_24_BIT: u8 = 0xf2;
const INT_32_BIT: u8 = 0xf3;
const INT_64_BIT: u8 = 0xf4;

/// What an entry holds. A string in the form of an integer is kept as one, and both stand for the same text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Element<'a> {
    /// The decimal form of this number.
    Int(i64),
    /// These bytes.
    Str(&'a [u8]),
}

impl<'a> Element<'a> {
    /// The text of the element; that of an integer is written into `buffer`.
    #[inline]
    pub fn text<'b>(self, buffer: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Self::Int(number) => buffer.format(number).as_bytes(),
            Self::Str(bytes) => bytes,
        }
    }

    /// A copy of the text.
    pub fn to_vec(self) -> Vec<u8> {
        self.text(&mut itoa::Buffer::new()).to_vec()
    }

    /// The one form that all elements with this text have: integers are not always found as such outside of a listpack.
    #[inline]
    pub fn canonical(self) -> Self {
        match self {
            Self::Str(text) => parse_i64(text).map_or(self, Self::Int),
            Self::Int(_) => self,
        }
    }

    /// Compares the texts as bytes.
    #[inline]
    pub fn compare(self, other: Element<'_>) -> Ordering {
        match (self, other) {
            (Self::Str(one), Element::Str(other)) => one.cmp(other),
            _ => self.text(&mut itoa::Buffer::new()).cmp(other.text(&mut itoa::Buffer::new())),
        }
    }

    /// Length of the text in bytes.
    pub fn text_len(self) -> usize {
        match self {
            Self::Int(number) => itoa::Buffer::new().format(number).len(),
            Self::Str(bytes) => bytes.len(),
        }
    }
}

/// A text to compare elements with: whether it is an integer is found out once.
#[derive(Clone, Copy, Debug)]
pub struct Needle<'a> {
    text: &'a [u8],
    last: u8,
    number: Option<i64>,
}

impl<'a> Needle<'a> {
    /// Prepares `text`. O(1).
    #[inline]
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, last: text.last().copied().unwrap_or(0), number: parse_i64(text) }
    }

    /// Whether `element` stands for the text.
    #[inline]
    pub fn matches(&self, element: Element<'_>) -> bool {
        match element {
            Element::Int(number) => self.number == Some(number),
            Element::Str(bytes) => {
                // Texts of one collection differ near their ends rather than in the beginning: most are told apart
                // without a comparison of all bytes.
                bytes.len() == self.text.len()
                    && bytes.last().is_none_or(|&last| last == self.last)
                    && bytes == self.text
            }
        }
    }
}

/// A value in the form an entry has: what comes before its bytes, and the bytes.
#[derive(Clone, Copy, Debug)]
pub struct Encoded<'a> {
    header: [u8; 9],
    header_len: usize,
    payload: &'a [u8],
}

impl<'a> From<&'a [u8]> for Encoded<'a> {
    /// A text, as an integer if it is one in canonical form.
    #[inline]
    fn from(text: &'a [u8]) -> Self {
        match parse_i64(text) {
            Some(number) => Self::from(number),
            None => Self::string(text),
        }
    }
}

impl<'a> From<Element<'a>> for Encoded<'a> {
    #[inline]
    fn from(element: Element<'a>) -> Self {
        match element {
            Element::Int(number) => Self::from(number),
            Element::Str(text) => Self::from(text),
        }
    }
}

impl From<i64> for Encoded<'_> {
    /// An integer in the fewest bytes.
    #[inline]
    fn from(number: i64) -> Self {
        let le = number.to_le_bytes();
        let (first, tail): (u8, &[u8]) = match number {
            0..=0x7f => (le[0], &[]),
            -0x1000..=0xfff => (INT_13_BIT | le[1] & 0x1f, &le[..1]),
            -0x8000..=0x7fff => (INT_16_BIT, &le[..2]),
            -0x80_0000..=0x7f_ffff => (INT_24_BIT, &le[..3]),
            -0x8000_0000..=0x7fff_ffff => (INT_32_BIT, &le[..4]),
            _ => (INT_64_BIT, &le),
        };
        Self::new(first, tail, &[])
    }
}

impl<'a> Encoded<'a> {
    #[inline]
    fn new(first: u8, tail: &[u8], payload: &'a [u8]) -> Self {
        let mut header = [0; 9];
        header[0] = first;
        header[1..=tail.len()].copy_from_slice(tail);
        Self { header, header_len: 1 + tail.len(), payload }
    }

    /// A text that is kept as a string whatever it looks like.
    #[inline]
    fn string(text: &'a [u8]) -> Self {
        let le = (text.len() as u64).to_le_bytes();
        match text.len() {
            0..64 => Self::new(STR_6_BIT | le[0], &[], text),
            64..4096 => Self::new(STR_12_BIT | le[1], &le[..1], text),
            _ => Self::new(STR_32_BIT, &le[..4], text),
        }
    }

    /// Bytes that the entry takes, the length behind it included.
    #[inline]
    pub fn size(&self) -> usize {
        with_back_length(self.header_len + self.payload.len())
    }

    /// Writes the entry over `out`, which has the length that `size` says.
    #[inline]
    pub(super) fn write(&self, out: &mut [u8]) {
        let len = self.header_len + self.payload.len();
        if self.header_len == 1 {
            out[0] = self.header[0];
        } else {
            out[..self.header_len].copy_from_slice(&self.header[..self.header_len]);
        }
        out[self.header_len..len].copy_from_slice(self.payload);
        write_back_length(&mut out[len..], len);
    }
}

/// Bytes of an entry of `len` bytes with its back length. The bounds are Redis's: at 16,383 it takes three bytes where
/// two would do.
#[inline]
pub(super) fn with_back_length(len: usize) -> usize {
    len + match len {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}

#[inline]
fn write_back_length(out: &mut [u8], len: usize) {
    if let [only] = out {
        *only = len as u8;
        return;
    }
    let mut rest = len;
    for byte in out.iter_mut().rev() {
        *byte = (rest & 127) as u8 | 128;
        rest >>= 7;
    }
    out[0] &= 127;
}

/// The length that stands in front of `end`, where another entry begins; `None` if it has more than five bytes.
#[inline]
fn read_back_length(bytes: &[u8], end: usize) -> Option<usize> {
    let mut len = 0;
    for (index, &byte) in bytes[..end].iter().rev().take(5).enumerate() {
        len |= usize::from(byte & 127) << (7 * index);
        if byte & 128 == 0 {
            return Some(len);
        }
    }
    None
}

/// Where the entry begins that ends at `end`.
#[inline]
pub(super) fn start_of_previous(bytes: &[u8], end: usize) -> usize {
    let len = read_back_length(bytes, end).expect("the listpack was validated");
    end - with_back_length(len)
}

/// The element at `at`, and where the next entry begins.
#[inline]
pub(super) fn decode(bytes: &[u8], at: usize) -> (Element<'_>, usize) {
    let first = bytes[at];
    match first {
        0..0x80 => (Element::Int(i64::from(first)), at + 2),
        STR_6_BIT..INT_13_BIT => {
            let end = at + 1 + usize::from(first & 63);
            (Element::Str(&bytes[at + 1..end]), end + 1)
        }
        _ => decode_long(bytes, at),
    }
}

fn decode_long(bytes: &[u8], at: usize) -> (Element<'_>, usize) {
    let entry = &bytes[at..];
    let (header_len, len) = lengths(entry).expect("the listpack was validated");
    let element = match entry[0] {
        INT_13_BIT..STR_12_BIT => {
            let bits = u16::from_be_bytes([entry[0] & 0x1f, entry[1]]);
            Element::Int(i64::from((bits << 3) as i16 >> 3))
        }
        INT_16_BIT..=INT_64_BIT => {
            let mut le = [0; 8];
            le[9 - len..].copy_from_slice(&entry[1..len]);
            Element::Int(i64::from_le_bytes(le) >> (8 * (9 - len)))
        }
        _ => Element::Str(&entry[header_len..len]),
    };
    (element, at + with_back_length(len))
}

/// Where the next entry begins.
#[inline]
pub(super) fn skip(bytes: &[u8], at: usize) -> usize {
    let first = bytes[at];
    match first {
        0..0x80 => at + 2,
        STR_6_BIT..INT_13_BIT => at + 2 + usize::from(first & 63),
        _ => {
            let (_, len) = lengths(&bytes[at..]).expect("the listpack was validated");
            at + with_back_length(len)
        }
    }
}

/// Length of an entry's header, and of the header with the payload; `None` if there is no such encoding or the header
/// is cut off.
fn lengths(entry: &[u8]) -> Option<(usize, usize)> {
    let &first = entry.first()?;
    Some(match first {
        0..0x80 => (1, 1),
        STR_6_BIT..INT_13_BIT => (1, 1 + usize::from(first & 63)),
        INT_13_BIT..STR_12_BIT => (2, 2),
        STR_12_BIT..STR_32_BIT => {
            let len = u16::from_be_bytes([first & 15, *entry.get(1)?]);
            (2, 2 + usize::from(len))
        }
        STR_32_BIT => {
            let len = u32::from_le_bytes(entry.get(1..5)?.try_into().ok()?);
            (5, 5 + len as usize)
        }
        INT_16_BIT => (3, 3),
        INT_24_BIT => (4, 4),
        INT_32_BIT => (5, 5),
        INT_64_BIT => (9, 9),
        _ => return None,
    })
}

/// Where the next entry begins, if the one at `at` is sound and ends before the last byte; for bytes of any origin.
pub(super) fn skip_checked(bytes: &[u8], at: usize) -> Option<usize> {
    let (_, len) = lengths(&bytes[at..])?;
    let end = at + with_back_length(len);
    (end < bytes.len() && read_back_length(bytes, end) == Some(len)).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(value: Encoded<'_>) -> Vec<u8> {
        let mut out = vec![0; value.size()];
        value.write(&mut out);
        out
    }

    #[test]
    fn integers_take_the_fewest_bytes() {
        let cases: &[(i64, &[u8])] = &[
            (0, &[0, 1]),
            (127, &[0x7f, 1]),
            (128, &[0xc0, 0x80, 2]),
            (-1, &[0xdf, 0xff, 2]),
            (4095, &[0xcf, 0xff, 2]),
            (-4096, &[0xd0, 0x00, 2]),
            (4096, &[0xf1, 0x00, 0x10, 3]),
            (-4097, &[0xf1, 0xff, 0xef, 3]),
            (32_767, &[0xf1, 0xff, 0x7f, 3]),
            (-32_769, &[0xf2, 0xff, 0x7f, 0xff, 4]),
            (8_388_607, &[0xf2, 0xff, 0xff, 0x7f, 4]),
            (8_388_608, &[0xf3, 0, 0, 0x80, 0, 5]),
            (-2_147_483_648, &[0xf3, 0, 0, 0, 0x80, 5]),
            (2_147_483_648, &[0xf4, 0, 0, 0, 0x80, 0, 0, 0, 0, 9]),
            (i64::MIN, &[0xf4, 0, 0, 0, 0, 0, 0, 0, 0x80, 9]),
        ];
        for &(number, bytes) in cases {
            assert_eq!(bytes_of(number.into()), bytes, "{number}");
            assert_eq!(bytes_of(number.to_string().as_bytes().into()), bytes, "{number}");
            assert_eq!(decode(bytes, 0), (Element::Int(number), bytes.len()));
        }
    }

    #[test]
    fn text_that_is_no_canonical_integer_stays_text() {
        for text in ["", "-", "-0", "01", "+1", " 1", "9223372036854775808", "1.0"] {
            let bytes = bytes_of(text.as_bytes().into());
            assert_eq!(bytes[0], STR_6_BIT | text.len() as u8);
            assert_eq!(decode(&bytes, 0).0, Element::Str(text.as_bytes()));
        }
    }

    #[test]
    fn strings_of_every_length_class_read_back_from_both_sides() {
        let sizes = [
            (63, 63 + 2),
            (64, 64 + 3),
            (125, 125 + 3),
            (126, 126 + 4),
            (4095, 4095 + 4),
            (4096, 4096 + 7),
            (16_377, 16_377 + 7),
            (16_378, 16_378 + 8), // an entry of 16,383 bytes
            (2_097_145, 2_097_145 + 8),
            (2_097_146, 2_097_146 + 9),
        ];
        for (len, size) in sizes {
            let text = vec![b'x'; len];
            let bytes = bytes_of(text.as_slice().into());
            assert_eq!(bytes.len(), size, "{len}");
            assert_eq!(decode(&bytes, 0), (Element::Str(&text), size));
            assert_eq!(skip(&bytes, 0), size);
            assert_eq!(start_of_previous(&bytes, size), 0);
        }
        assert_eq!(with_back_length(268_435_454), 268_435_454 + 4);
        assert_eq!(with_back_length(268_435_455), 268_435_455 + 5);
    }

    #[test]
    fn needles_match_text_however_it_is_kept() {
        assert!(Needle::new(b"12").matches(Element::Int(12)));
        assert!(Needle::new(b"12").matches(Element::Str(b"12")));
        assert!(!Needle::new(b"012").matches(Element::Int(12)));
        assert!(!Needle::new(b"a").matches(Element::Int(0)));
    }
}
