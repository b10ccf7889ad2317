//! The elements replies are made of, one at a time, and the end of a reply found without building it. What nested
//! elements mean is left to `value`. (RESP3 specification; streamed forms are refused, no server sends them.)

use std::fmt;

use super::BULK_LEN_MAX_DEFAULT;
use super::line::{Found, count_steps, find_cr};
use super::number::parse_i64;

/// Deepest nesting of arrays, maps and the like.
pub(super) const DEPTH_MAX: usize = 128;
/// Longest line that carries a number.
const NUMBER_LINE_LEN_MAX: usize = 64 * 1024;

/// Bytes that are no reply. The connection is out of step for good and has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// No element begins with this byte.
    UnknownType(u8),
    /// A length that is no number, or negative where that has no meaning.
    BadLength,
    /// A string, line or aggregate beyond the limits.
    TooLong,
    /// More than 128 aggregates inside each other.
    TooDeep,
    /// An integer, double, big number, boolean or null that is none.
    BadNumber,
    /// CRLF is missing where a line or string ends.
    BadLineEnd,
    /// A string or aggregate of unknown length (`$?`), which this reader does not take.
    Streamed,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownType(byte) => {
                write!(f, "Protocol error, got '{}' as reply type byte", byte.escape_ascii())
            }
            Self::BadLength => f.write_str("Protocol error, bad length in reply"),
            Self::TooLong => f.write_str("Protocol error, reply too long"),
            Self::TooDeep => f.write_str("Protocol error, reply nested too deep"),
            Self::BadNumber => f.write_str("Protocol error, bad number in reply"),
            Self::BadLineEnd => f.write_str("Protocol error, expected CRLF in reply"),
            Self::Streamed => f.write_str("Protocol error, streamed replies are not supported"),
        }
    }
}

impl std::error::Error for ReplyError {}

/// One element; `kind` is its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element<'a> {
    /// The rest of a line: `+ - : , # ( _`.
    Line { kind: u8, text: &'a [u8] },
    /// A string with a length: `$ ! =`.
    Blob { kind: u8, bytes: &'a [u8] },
    /// `$-1`.
    Null,
    /// `*-1`.
    NullArray,
    /// The head of `elements` elements: `* ~ % > |`. A pair counts as two; an attribute's pairs are followed by
    /// the value they describe, which counts too.
    Aggregate { kind: u8, elements: u64 },
}

/// The element at `at` and the offset after it, if it is complete. `scanned`: see `find_cr`.
pub(super) fn element(
    buffer: &[u8],
    at: usize,
    scanned: usize,
    bulk_len_max: usize,
) -> Result<Option<(Element<'_>, usize)>, ReplyError> {
    count_steps(1);
    let Some(&kind) = buffer.get(at) else { return Ok(None) };
    let len_max = match kind {
        b'+' | b'-' | b'(' => bulk_len_max,
        b':' | b',' | b'#' | b'_' | b'$' | b'!' | b'=' | b'*' | b'~' | b'%' | b'>' | b'|' => {
            NUMBER_LINE_LEN_MAX
        }
        _ => return Err(ReplyError::UnknownType(kind)),
    };
    let cr = match find_cr(buffer, at, scanned, len_max) {
        Found::Cr(cr) => cr,
        Found::Partial => return Ok(None),
        Found::TooLong => return Err(ReplyError::TooLong),
    };
    match buffer.get(cr + 1) {
        None => return Ok(None),
        Some(b'\n') => {}
        Some(_) => return Err(ReplyError::BadLineEnd),
    }
    let (text, next) = (&buffer[at + 1..cr], cr + 2);
    let element = match kind {
        b'$' | b'!' | b'=' => return blob(buffer, kind, text, next, bulk_len_max),
        b'*' | b'~' | b'%' | b'>' | b'|' => aggregate(kind, text)?,
        _ => Element::Line { kind, text },
    };
    Ok(Some((element, next)))
}

/// A string whose length is `text` and whose bytes start at `start`.
fn blob<'a>(
    buffer: &'a [u8],
    kind: u8,
    text: &[u8],
    start: usize,
    bulk_len_max: usize,
) -> Result<Option<(Element<'a>, usize)>, ReplyError> {
    let len = match length(text)? {
        -1 if kind == b'$' => return Ok(Some((Element::Null, start))),
        len => usize::try_from(len).map_err(|_| ReplyError::BadLength)?,
    };
    if len > bulk_len_max {
        return Err(ReplyError::TooLong);
    }
    let rest = &buffer[start..];
    if rest.len() < len || rest.len() - len < 2 {
        return Ok(None);
    }
    if &rest[len..len + 2] != b"\r\n" {
        return Err(ReplyError::BadLineEnd);
    }
    Ok(Some((Element::Blob { kind, bytes: &rest[..len] }, start + len + 2)))
}

fn aggregate<'a>(kind: u8, text: &[u8]) -> Result<Element<'a>, ReplyError> {
    let len = match length(text)? {
        -1 if kind == b'*' => return Ok(Element::NullArray),
        len => u64::try_from(len).map_err(|_| ReplyError::BadLength)?,
    };
    if len > u64::from(u32::MAX) {
        return Err(ReplyError::TooLong);
    }
    let elements = match kind {
        b'%' => len * 2,
        b'|' => len * 2 + 1,
        _ => len,
    };
    Ok(Element::Aggregate { kind, elements })
}

fn length(text: &[u8]) -> Result<i64, ReplyError> {
    match text {
        b"?" => Err(ReplyError::Streamed),
        text => parse_i64(text).ok_or(ReplyError::BadLength),
    }
}

/// Finds where replies end, for those who pass them on unread. Holds memory only while a nested reply is incomplete.
#[derive(Debug)]
pub struct ReplyScanner {
    bulk_len_max: usize,
    at: usize,
    scanned: usize,
    missing: Vec<u64>, // elements still to come, per open aggregate
}

impl Default for ReplyScanner {
    fn default() -> Self {
        Self::new(BULK_LEN_MAX_DEFAULT)
    }
}

impl ReplyScanner {
    /// At the start of a reply, with a limit on the bytes of one string.
    pub fn new(bulk_len_max: usize) -> Self {
        Self { bulk_len_max, at: 0, scanned: 0, missing: Vec::new() }
    }

    /// Length of the reply that `buffer` begins with, once it is complete. The next call gets either the same bytes
    /// with more behind them, or, after a reply, what follows it. Every byte is looked at a bounded number of times,
    /// and those of a string not at all.
    pub fn reply_end(&mut self, buffer: &[u8]) -> Result<Option<usize>, ReplyError> {
        loop {
            let Some((element, end)) = element(buffer, self.at, self.scanned, self.bulk_len_max)?
            else {
                self.scanned = buffer.len().saturating_sub(1);
                return Ok(None);
            };
            self.at = end;
            match element {
                Element::Aggregate { elements: 1.., .. } if self.missing.len() == DEPTH_MAX => {
                    return Err(ReplyError::TooDeep);
                }
                Element::Aggregate { elements: elements @ 1.., .. } => self.missing.push(elements),
                _ if self.element_ended() => {
                    (self.at, self.scanned, self.missing) = (0, 0, Vec::new());
                    return Ok(Some(end));
                }
                _ => {}
            }
        }
    }

    /// Counts one element, and every aggregate of which it is the last. Whether the reply is complete.
    fn element_ended(&mut self) -> bool {
        while let Some(missing) = self.missing.last_mut() {
            *missing -= 1;
            if *missing > 0 {
                return false;
            }
            self.missing.pop();
        }
        true
    }
}

/// As [`ReplyScanner::reply_end`], for bytes that are all there is.
pub fn reply_end(buffer: &[u8]) -> Result<Option<usize>, ReplyError> {
    ReplyScanner::default().reply_end(buffer)
}
