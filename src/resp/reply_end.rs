//! Finds where replies end while they pass by in pieces: nothing is kept of a reply but how much of it is still to come, so
//! that a value of any size can be handed on as it arrives. What a reply says is not looked at.

use super::BULK_LEN_MAX_DEFAULT;
use super::element::{DEPTH_MAX, ReplyError};
use super::number::parse_i64;

/// No valid line with a length or number is longer, but doubles and big numbers, which are lines of text here.
const LINE_LEN_MAX: usize = 32;

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Inside {
    /// A new element begins.
    #[default]
    Start,
    /// The line of a length, of which so many bytes are kept.
    Length(usize),
    /// A line of text, of which so many bytes have passed; whether the last one was a CR.
    Text(usize, bool),
    /// A string: so many bytes are missing, CRLF included.
    String(usize),
}

/// How far a reply has passed by.
#[derive(Debug, Default)]
pub struct ReplyEnd {
    inside: Inside,
    line: [u8; LINE_LEN_MAX],
    /// Elements still to come, per open aggregate.
    missing: Vec<u64>,
}

impl ReplyEnd {
    /// At the start of a reply.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether no part of a reply has been seen.
    pub fn is_at_start(&self) -> bool {
        self.inside == Inside::Start && self.missing.is_empty()
    }

    /// Goes on with `bytes`, which follow all those it was given before: the number of them that complete a reply, or
    /// `None` if all of them belong to a reply that is not complete. Each byte is given once; those of strings are
    /// not looked at.
    #[inline]
    pub fn advance(&mut self, bytes: &[u8]) -> Result<Option<usize>, ReplyError> {
        let mut at = 0;
        loop {
            let ended = match self.inside {
                Inside::Start => match short_element(bytes, at) {
                    Some(end) => {
                        at = end;
                        true
                    }
                    None => self.element(bytes, &mut at)?,
                },
                _ => self.element(bytes, &mut at)?,
            };
            if ended {
                self.inside = Inside::Start;
                if self.missing.is_empty() || self.element_ended() {
                    return Ok(Some(at));
                }
            } else if at == bytes.len() {
                return Ok(None);
            }
        }
    }

    /// Takes the next step with the bytes from `at` on. Whether an element that has no others in it is complete.
    fn element(&mut self, bytes: &[u8], at: &mut usize) -> Result<bool, ReplyError> {
        match self.inside {
            Inside::Start => self.start(bytes, at),
            Inside::Length(kept) => self.length_line(bytes, at, kept),
            Inside::Text(passed, after_cr) => self.text(bytes, at, passed, after_cr),
            Inside::String(missing) => self.string(bytes, at, missing),
        }
    }

    fn start(&mut self, bytes: &[u8], at: &mut usize) -> Result<bool, ReplyError> {
        let Some(&kind) = bytes.get(*at) else { return Ok(false) };
        self.inside = match kind {
            b'+' | b'-' | b'(' | b',' | b':' | b'#' | b'_' => Inside::Text(0, false),
            b'$' | b'!' | b'=' | b'*' | b'~' | b'%' | b'>' | b'|' => Inside::Length(0),
            _ => return Err(ReplyError::UnknownType(kind)),
        };
        self.element(bytes, at)
    }

    /// Collects the line of a length, and takes what it says when it is complete.
    fn length_line(
        &mut self,
        bytes: &[u8],
        at: &mut usize,
        mut kept: usize,
    ) -> Result<bool, ReplyError> {
        while let Some(&byte) = bytes.get(*at) {
            *at += 1;
            if byte == b'\n' {
                let Some(text) = self.line[..kept].strip_suffix(b"\r") else {
                    return Err(ReplyError::BadLineEnd);
                };
                let (kind, length) = (text[0], read_length(&text[1..])?);
                return self.begin(kind, length);
            }
            *self.line.get_mut(kept).ok_or(ReplyError::BadLength)? = byte;
            kept += 1;
        }
        self.inside = Inside::Length(kept);
        Ok(false)
    }

    /// A string or aggregate of `length` begins. Whether it has ended with that.
    fn begin(&mut self, kind: u8, length: i64) -> Result<bool, ReplyError> {
        if length == -1 && matches!(kind, b'$' | b'*') {
            return Ok(true);
        }
        let length = usize::try_from(length).map_err(|_| ReplyError::BadLength)?;
        if matches!(kind, b'$' | b'!' | b'=') {
            if length > BULK_LEN_MAX_DEFAULT {
                return Err(ReplyError::TooLong);
            }
            self.inside = Inside::String(length + 2);
            return Ok(false);
        }
        if length > u32::MAX as usize {
            return Err(ReplyError::TooLong);
        }
        let elements = match kind {
            b'%' => length as u64 * 2,
            b'|' => length as u64 * 2 + 1,
            _ => length as u64,
        };
        if elements > 0 && self.missing.len() == DEPTH_MAX {
            return Err(ReplyError::TooDeep);
        }
        if elements > 0 {
            self.missing.push(elements);
        }
        self.inside = Inside::Start;
        Ok(elements == 0)
    }

    /// Passes a line of text.
    fn text(
        &mut self,
        bytes: &[u8],
        at: &mut usize,
        passed: usize,
        after_cr: bool,
    ) -> Result<bool, ReplyError> {
        let rest = &bytes[*at..];
        if after_cr {
            return match rest.first() {
                None => Ok(false),
                Some(b'\n') => {
                    *at += 1;
                    Ok(true)
                }
                Some(_) => Err(ReplyError::BadLineEnd),
            };
        }
        let found = memchr::memchr(b'\r', rest);
        let passed = passed + found.unwrap_or(rest.len());
        if passed > BULK_LEN_MAX_DEFAULT {
            return Err(ReplyError::TooLong);
        }
        *at += found.map_or(rest.len(), |cr| cr + 1);
        self.inside = Inside::Text(passed, found.is_some());
        if found.is_some() { self.text(bytes, at, passed, true) } else { Ok(false) }
    }

    /// Passes a string of which `missing` bytes are to come.
    fn string(
        &mut self,
        bytes: &[u8],
        at: &mut usize,
        mut missing: usize,
    ) -> Result<bool, ReplyError> {
        let content = missing.saturating_sub(2).min(bytes.len() - *at);
        *at += content;
        missing -= content;
        while missing <= 2
            && let Some(&byte) = bytes.get(*at)
        {
            if byte != b"\n\r"[missing - 1] {
                return Err(ReplyError::BadLineEnd);
            }
            *at += 1;
            missing -= 1;
            if missing == 0 {
                return Ok(true);
            }
        }
        self.inside = Inside::String(missing);
        Ok(false)
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

fn read_length(text: &[u8]) -> Result<i64, ReplyError> {
    match text {
        b"?" => Err(ReplyError::Streamed),
        text => parse_i64(text).ok_or(ReplyError::BadLength),
    }
}

/// The end of the element at `at`, if it is one of those seen most and all there: `+OK`, an integer, a string of at most
/// three digits' length, null. None is no verdict.
#[inline(always)]
fn short_element(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    match rest.first()? {
        b'$' if rest.get(1) == Some(&b'-') => rest.starts_with(b"$-1\r\n").then_some(at + 5),
        b'$' => {
            let (len, start) = short_length(rest)?;
            let end = start + len;
            (rest.get(end..end + 2)? == b"\r\n").then_some(at + end + 2)
        }
        b'+' | b':' => {
            let line = &rest[..rest.len().min(LINE_LEN_MAX)];
            let cr = line.iter().position(|&byte| byte == b'\r')?;
            (*rest.get(cr + 1)? == b'\n').then_some(at + cr + 2)
        }
        _ => None,
    }
}

/// The length of one to three digits after the first byte, and where what it is the length of begins.
#[inline(always)]
fn short_length(rest: &[u8]) -> Option<(usize, usize)> {
    let mut len = 0;
    for at in 1..=4 {
        match *rest.get(at)? {
            digit @ b'0'..=b'9' => len = len * 10 + usize::from(digit - b'0'),
            b'\r' if at > 1 => {
                let canonical = at == 2 || rest[1] != b'0';
                return (canonical && *rest.get(at + 1)? == b'\n').then_some((len, at + 2));
            }
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::element::reply_end;
    use proptest::prelude::*;

    /// The ends of all replies in `bytes`, given in pieces of the sizes that `cut` says; or the error.
    fn ends(bytes: &[u8], mut cut: impl FnMut() -> usize) -> Result<Vec<usize>, ReplyError> {
        let (mut reply, mut ends, mut at) = (ReplyEnd::new(), Vec::new(), 0);
        while at < bytes.len() {
            let piece = &bytes[at..(at + cut().max(1)).min(bytes.len())];
            match reply.advance(piece)? {
                Some(end) => {
                    at += end;
                    ends.push(at);
                    assert!(reply.is_at_start());
                }
                None => at += piece.len(),
            }
        }
        Ok(ends)
    }

    const REPLIES: &[&str] = &[
        "+OK\r\n",
        "-ERR no\r\n",
        ":-12\r\n",
        "$0\r\n\r\n",
        "$3\r\n\r\n$\r\n",
        "$12\r\nhello, world\r\n",
        "$-1\r\n",
        "*-1\r\n",
        "_\r\n",
        "#t\r\n",
        ",1.5e300\r\n",
        "(3492890328409238509324850943850943825024385\r\n",
        "=7\r\ntxt:abc\r\n",
        "!5\r\nERR x\r\n",
        "*0\r\n",
        "%0\r\n",
        "*2\r\n*2\r\n:1\r\n$1\r\na\r\n*0\r\n",
        "%2\r\n+a\r\n*1\r\n_\r\n+b\r\n~1\r\n#f\r\n",
        ">2\r\n+a\r\n+b\r\n",
        "|1\r\n+ttl\r\n:1\r\n$1\r\nx\r\n",
        "|0\r\n:1\r\n",
    ];

    #[test]
    fn the_end_is_found_however_the_bytes_are_cut() {
        let all: String = REPLIES.concat();
        let expected: Vec<usize> = REPLIES
            .iter()
            .scan(0, |end, reply| {
                *end += reply.len();
                Some(*end)
            })
            .collect();
        for size in 1..all.len() {
            assert_eq!(ends(all.as_bytes(), || size).as_ref(), Ok(&expected), "{size}");
        }
    }

    #[test]
    fn x06_garbage_is_refused_however_it_is_cut() {
        let deep = "*1\r\n".repeat(DEPTH_MAX + 1);
        let cases: &[(&str, ReplyError)] = &[
            ("HTTP/1.1", ReplyError::UnknownType(b'H')),
            ("*-2\r\n", ReplyError::BadLength),
            ("$-2\r\n", ReplyError::BadLength),
            ("%-1\r\n", ReplyError::BadLength),
            ("$9999999999\r\n", ReplyError::TooLong),
            ("*9999999999\r\n", ReplyError::TooLong),
            ("$99999999999999999999999\r\n", ReplyError::BadLength),
            ("$00000000000000000000000000000000000003\r\nabc\r\n", ReplyError::BadLength),
            ("$03\r\nabc\r\n", ReplyError::BadLength),
            ("$3\r\nabcd\r\n", ReplyError::BadLineEnd),
            ("$3\r\nabc\rx", ReplyError::BadLineEnd),
            ("$3\nabc\r\n", ReplyError::BadLineEnd),
            ("+OK\rx\n", ReplyError::BadLineEnd),
            ("$?\r\n", ReplyError::Streamed),
            (&deep, ReplyError::TooDeep),
        ];
        for (bytes, error) in cases {
            for size in 1..=bytes.len() {
                assert_eq!(ends(bytes.as_bytes(), || size), Err(*error), "{bytes:?} by {size}");
            }
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_scanner_of_whole_replies(
            picks in proptest::collection::vec((0..REPLIES.len(), 1..9_usize), 1..20),
            noise in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let mut bytes: Vec<u8> =
                picks.iter().flat_map(|&(pick, _)| REPLIES[pick].bytes()).collect();
            if let Some((index, byte)) = noise {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
            let mut sizes = picks.iter().map(|&(_, size)| size).cycle();
            let found = ends(&bytes, || sizes.next().unwrap());
            prop_assert_eq!(ends(&bytes, || usize::MAX / 2), found.clone());
            let (mut expected, mut at) = (Vec::new(), 0);
            while let Ok(Some(len)) = reply_end(&bytes[at..]) {
                at += len;
                expected.push(at);
            }
            if let Ok(found) = found {
                prop_assert_eq!(found, expected);
            }
        }
    }
}
