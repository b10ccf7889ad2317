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
//! ```

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
        for line in [Line::Open(7), Line::of_block(3, b"*1\r\n"), Line::Close(0), block] {
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
