//! Checksum lines: what makes a flipped bit in the log visible.
//!
//! The bytes that one turn adds to the file are a block, and a line after it says how long it is, its number, and its
//! XXH3. The number goes up by one, so that a block that is missing is noticed. To Redis a line that begins with `#` is
//! a comment. Redis may append to the file after us; `CLOSE` says that we have stopped, so that what follows is not
//! taken for ours.
//!
//! ```text
//! #MR:OPEN:<number of the next block>
//! <commands>
//! #MR:<number>:<bytes>:<checksum, 16 hexadecimal digits>
//! #MR:CLOSE:<number of the next block>
//! #MR:AT:<history>:<offset>:<database>:<checksum>
//! ```
//!
//! The last line is there if the file was ended in order and there were replicas: all that the log tells, and no more, is in
//! the first so many bytes of that history of changes. It holds if nothing follows it.

use std::io::Write as _;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What lines of ours begin with.
pub const PREFIX: &[u8] = b"#MR:";

/// A line of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line {
    /// Blocks follow, the first of which has this number.
    Open(u64),
    /// What comes before is a block.
    Block {
        /// Its number.
        number: u64,
        /// Its length.
        len: usize,
        /// Its checksum.
        checksum: u64,
    },
    /// No more blocks follow, unless there is another `OPEN`.
    Close(u64),
    /// What the log tells is this.
    At(Place),
}

/// A place in a history of changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The name of the history.
    pub replid: [u8; 40],
    /// Bytes of it.
    pub offset: u64,
    /// The database that its next command is for.
    pub db: u64,
}

impl Place {
    fn text(&self) -> String {
        let Self { replid, offset, db } = self;
        format!("{}:{offset}:{db}", String::from_utf8_lossy(replid))
    }

    fn parse<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Self> {
        let replid = words.next()?.as_bytes().try_into().ok()?;
        let place = Self { replid, offset: decimal(words.next()?)?, db: decimal(words.next()?)? };
        let sum = hexadecimal(words.next()?)?;
        (sum == checksum(0, place.text().as_bytes())).then_some(place)
    }
}

impl Line {
    /// The line that ends a block.
    pub fn of_block(number: u64, block: &[u8]) -> Self {
        Self::Block { number, len: block.len(), checksum: checksum(number, block) }
    }

    /// Adds the line to `out`.
    pub fn write(self, out: &mut Vec<u8>) {
        let written = match self {
            Self::Open(number) => write!(out, "#MR:OPEN:{number}\r\n"),
            Self::Block { number, len, checksum } => {
                write!(out, "#MR:{number}:{len}:{checksum:016x}\r\n")
            }
            Self::Close(number) => write!(out, "#MR:CLOSE:{number}\r\n"),
            Self::At(place) => {
                let text = place.text();
                let sum = checksum(0, text.as_bytes());
                write!(out, "#MR:AT:{text}:{sum:016x}\r\n")
            }
        };
        written.expect("a vector takes all that is written to it");
    }

    /// Reads a line without its end. `None`: it is none of ours, or damaged.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let text = str::from_utf8(line.strip_prefix(PREFIX)?).ok()?;
        let mut words = text.split(':');
        let parsed = match words.next()? {
            "OPEN" => Self::Open(decimal(words.next()?)?),
            "CLOSE" => Self::Close(decimal(words.next()?)?),
            "AT" => Self::At(Place::parse(&mut words)?),
            number => Self::Block {
                number: decimal(number)?,
                len: usize::try_from(decimal(words.next()?)?).ok()?,
                checksum: hexadecimal(words.next()?)?,
            },
        };
        words.next().is_none().then_some(parsed)
    }
}

/// The checksum of a block, which covers its number, too.
pub fn checksum(number: u64, block: &[u8]) -> u64 {
    xxh3_64_with_seed(block, number)
}

/// Digits only: `parse` would take a sign.
fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn hexadecimal(text: &str) -> Option<u64> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (text.len() == 16 && text.bytes().all(is_digit)).then(|| u64::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_back_and_fit_what_redis_reads_of_a_comment() {
        let block = Line::Block { number: u64::MAX, len: usize::MAX, checksum: u64::MAX };
        let place = Place { replid: [b'a'; 40], offset: u64::MAX, db: 15 };
        let lines = [Line::Open(7), Line::of_block(3, b"*1\r\n"), Line::Close(0), block];
        for line in lines.into_iter().chain([Line::At(place)]) {
            let mut bytes = Vec::new();
            line.write(&mut bytes);
            assert!(bytes.len() < 128 && bytes.ends_with(b"\r\n"));
            assert_eq!(Line::parse(&bytes[..bytes.len() - 2]), Some(line));
        }
    }

    #[test]
    fn other_lines_are_none_of_ours() {
        for line in [
            "#TS:1",
            "#MR:",
            "#MR:1",
            "#MR:1:2",
            "#MR:+1:2:0123456789abcdef",
            "#MR:1:2:0123456789ABCDEF",
            "#MR:1:2:0123456789abcdef:",
            "#MR:OPEN:",
            "#MR:OPEN:1:2",
            "#MR:AT:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:1:0:0123456789abcdef",
            "#MR:99999999999999999999:2:0123456789abcdef",
        ] {
            assert_eq!(Line::parse(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_checksum_covers_content_and_number() {
        assert_ne!(checksum(1, b"a"), checksum(1, b"b"));
        assert_ne!(checksum(1, b"a"), checksum(2, b"a"));
    }
}
