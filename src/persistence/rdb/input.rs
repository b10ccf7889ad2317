//! `Input`: the bytes that have arrived, read item by item.
//!
//! ```text
//! 00llllll                 length of 6 bits           11000000   1 byte: an integer instead of a length and bytes
//! 01llllll llllllll        the same, 14 bits          11000001   2 bytes
//! 10000000 and 4 bytes     the same, 32 bits          11000010   4 bytes
//! 10000001 and 8 bytes     the same, 64 bits          11000011   length | length when unpacked | bytes (LZF)
//! ```
//! Lengths are big-endian, all else is little-endian.

use std::borrow::Cow;

use super::format::string_encoding;
use super::{Error, Problem, lzf};

/// Why an item could not be read.
#[derive(Debug)]
pub(super) enum Stop {
    /// Only a part of it has arrived.
    NeedMore,
    /// It is wrong.
    Bad(Problem),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Bad(problem)
    }
}

/// A length, or how a string is encoded that has none.
enum Length {
    Plain(u64),
    Encoded(u8),
}

/// Bytes with a position.
#[derive(Debug)]
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where `bytes` begin in the whole.
    offset: u64,
}

impl<'a> Input<'a> {
    /// `bytes` begin at an offset of a file or payload.
    pub fn new(bytes: &'a [u8], offset: u64) -> Self {
        Self { bytes, at: 0, offset }
    }

    /// How many bytes have been read.
    pub fn consumed(&self) -> usize {
        self.at
    }

    /// An error about what comes next.
    pub fn error(&self, problem: Problem) -> Error {
        Error { offset: self.offset + self.at as u64, problem }
    }

    /// What `read` reads, as a whole: where it has stopped, nothing has been read. `None` if it has not arrived yet.
    pub fn whole<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Stop>,
    ) -> Result<Option<T>, Error> {
        let start = self.at;
        let stop = match read(self) {
            Ok(item) => return Ok(Some(item)),
            Err(stop) => stop,
        };
        self.at = start;
        match stop {
            Stop::NeedMore => Ok(None),
            Stop::Bad(problem) => Err(self.error(problem)),
        }
    }

    /// The next `len` bytes.
    pub fn bytes(&mut self, len: u64) -> Result<&'a [u8], Stop> {
        let rest = &self.bytes[self.at..];
        let taken = usize::try_from(len).ok().and_then(|len| rest.get(..len));
        let taken = taken.ok_or(Stop::NeedMore)?;
        self.at += taken.len();
        Ok(taken)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let taken = *self.bytes[self.at..].first_chunk().ok_or(Stop::NeedMore)?;
        self.at += N;
        Ok(taken)
    }

    /// The next byte.
    pub fn byte(&mut self) -> Result<u8, Stop> {
        self.array().map(|[byte]| byte)
    }

    /// A number of 8 bytes: a time in milliseconds.
    pub fn time_ms(&mut self) -> Result<i64, Stop> {
        self.array().map(i64::from_le_bytes)
    }

    /// A number in the form of a length.
    pub fn length(&mut self) -> Result<u64, Stop> {
        match self.length_or_encoding()? {
            Length::Plain(length) => Ok(length),
            Length::Encoded(_) => Err(Problem::Length.into()),
        }
    }

    fn length_or_encoding(&mut self) -> Result<Length, Stop> {
        let first = self.byte()?;
        let low = first & 0x3f;
        Ok(Length::Plain(match (first >> 6, low) {
            (0, _) => u64::from(low),
            (1, _) => u64::from(u16::from_be_bytes([low, self.byte()?])),
            (2, 0) => u64::from(u32::from_be_bytes(self.array()?)),
            (2, 1) => u64::from_be_bytes(self.array()?),
            (2, _) => return Err(Problem::Length.into()),
            _ => return Ok(Length::Encoded(low)),
        }))
    }

    /// A string, unpacked.
    pub fn string(&mut self) -> Result<Cow<'a, [u8]>, Stop> {
        let number = match self.length_or_encoding()? {
            Length::Plain(length) => return self.bytes(length).map(Cow::Borrowed),
            Length::Encoded(string_encoding::LZF) => return self.lzf().map(Cow::Owned),
            Length::Encoded(string_encoding::INT_8) => i32::from(self.byte()? as i8),
            Length::Encoded(string_encoding::INT_16) => {
                i32::from(i16::from_le_bytes(self.array()?))
            }
            Length::Encoded(string_encoding::INT_32) => i32::from_le_bytes(self.array()?),
            Length::Encoded(other) => return Err(Problem::StringEncoding(other).into()),
        };
        Ok(Cow::Owned(itoa::Buffer::new().format(number).as_bytes().to_vec()))
    }

    fn lzf(&mut self) -> Result<Vec<u8>, Stop> {
        let (compressed_len, len) = (self.length()?, self.length()?);
        let compressed = self.bytes(compressed_len)?;
        lzf::decompress(compressed, len).ok_or(Problem::Compression.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(bytes: &[u8]) -> Result<Option<Vec<u8>>, Problem> {
        let mut input = Input::new(bytes, 100);
        let read = input.whole(|input| input.string().map(Cow::into_owned));
        match &read {
            Ok(Some(_)) => assert_eq!(input.consumed(), bytes.len()),
            Ok(None) => assert_eq!(input.consumed(), 0),
            Err(error) => assert_eq!(error.offset, 100),
        }
        read.map_err(|error| error.problem)
    }

    #[test]
    fn strings_have_a_length_or_an_encoding() {
        let long = |header: &[u8], len| [header, &vec![b'x'; len]].concat();
        for (bytes, text) in [
            (b"\x00".to_vec(), vec![]),
            (b"\x03abc".to_vec(), b"abc".to_vec()),
            (long(b"\x41\x2c", 300), vec![b'x'; 300]),
            (long(b"\x80\0\0\x01\x2c", 300), vec![b'x'; 300]),
            (long(b"\x81\0\0\0\0\0\0\x01\x2c", 300), vec![b'x'; 300]),
            (b"\xc0\x80".to_vec(), b"-128".to_vec()),
            (b"\xc1\x00\x80".to_vec(), b"-32768".to_vec()),
            (b"\xc2\x00\x00\x00\x80".to_vec(), b"-2147483648".to_vec()),
            (b"\xc3\x04\x04\x00a\x20\x00".to_vec(), b"aaaa".to_vec()),
        ] {
            assert_eq!(string(&bytes), Ok(Some(text)));
            for len in 0..bytes.len() {
                assert_eq!(string(&bytes[..len]), Ok(None));
            }
        }
        for (bytes, problem) in [
            (&b"\x82"[..], Problem::Length),
            (b"\xc4", Problem::StringEncoding(4)),
            (b"\xc3\xc0", Problem::Length),
            (b"\xc3\x04\x05\x00a\x20\x00", Problem::Compression),
        ] {
            assert_eq!(string(bytes), Err(problem));
        }
        assert_eq!(string(b"\x81\xff\xff\xff\xff\xff\xff\xff\xff"), Ok(None));
    }
}
