//! The request parser: finds the requests in a query buffer and says where their arguments are.
//!
//! Nothing is copied and, for complete requests, nothing allocated: an argument is a [`Span`] of the buffer. Only
//! inline requests are decoded, into the batch. Reading bytes, executing and closing are left to the caller, as is
//! the limit on the size of the query buffer. Limits and error texts are those of Redis 7.0 (`networking.c`).

#[cfg(test)]
mod tests;

use std::fmt;

use super::BULK_LEN_MAX_DEFAULT;
use super::args::{Batch, Span};
use super::inline::split_args;
use super::line::{Found, count_steps, find_cr};
use super::number::parse_i64;

/// Longest inline request, and longest `*` or `$` line: `PROTO_INLINE_MAX_SIZE`.
const LINE_LEN_MAX: usize = 64 * 1024;
/// What a client may send before it has authenticated.
const UNAUTHENTICATED_ARGC_MAX: i64 = 10;
const UNAUTHENTICATED_BULK_LEN_MAX: i64 = 16 * 1024;

/// What one client is allowed to send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest argument in bytes: `proto-max-bulk-len`.
    pub bulk_len_max: usize,
    /// A client that has yet to authenticate may send 10 arguments of 16 KB.
    pub authenticated: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bulk_len_max: BULK_LEN_MAX_DEFAULT, authenticated: true }
    }
}

impl Limits {
    /// For requests from our own master or our own file, whose arguments were accepted once already.
    pub const TRUSTED: Self = Self { bulk_len_max: usize::MAX, authenticated: true };
}

/// A malformed request: the error is replied, then the connection closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// `*` and what is no number in canonical form, or above 2^31 - 1.
    InvalidMultibulkLength,
    /// More than 10 arguments before AUTH.
    UnauthenticatedMultibulkLength,
    /// `$` and what is no number in canonical form, negative, or above `proto-max-bulk-len`.
    InvalidBulkLength,
    /// An argument of more than 16 KB before AUTH.
    UnauthenticatedBulkLength,
    /// A line that should announce an argument and does not.
    ExpectedDollar {
        /// Its first byte.
        got: u8,
    },
    /// A `*` line over 64 KB.
    TooBigCountString,
    /// A `$` line over 64 KB.
    TooBigBulkCountString,
    /// An inline request over 64 KB.
    TooBigInlineRequest,
    /// A quote that is not closed, or closed in the middle of a word.
    UnbalancedQuotes,
}

impl fmt::Display for ProtocolError {
    /// The reply's text after `-ERR `. A byte that is no character is shown as U+FFFD here; [`Self::text`] has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text()))
    }
}

impl std::error::Error for ProtocolError {}

impl ProtocolError {
    /// The reply's text after `-ERR `, byte for byte as Redis sends it.
    pub fn text(&self) -> Vec<u8> {
        let detail: &[u8] = match self {
            Self::InvalidMultibulkLength => b"invalid multibulk length",
            Self::UnauthenticatedMultibulkLength => b"unauthenticated multibulk length",
            Self::InvalidBulkLength => b"invalid bulk length",
            Self::UnauthenticatedBulkLength => b"unauthenticated bulk length",
            Self::ExpectedDollar { got } => {
                &[b"expected '$', got '".as_slice(), &[*got], b"'"].concat()
            }
            Self::TooBigCountString => b"too big mbulk count string",
            Self::TooBigBulkCountString => b"too big bulk count string",
            Self::TooBigInlineRequest => b"too big inline request",
            Self::UnbalancedQuotes => b"unbalanced quotes in request",
        };
        [b"Protocol error: ", detail].concat()
    }
}

/// What one call of [`RequestParser::parse`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// Bytes of the buffer that are done with once the batch was executed: an incomplete request starts here.
    pub consumed: usize,
    /// What follows is malformed: reply this after the batch, then close.
    pub error: Option<ProtocolError>,
}

/// How far one connection's incomplete request was read; the request itself stays at the front of the query buffer.
/// Holds memory only while that request has arguments.
#[derive(Debug, Default)]
pub struct RequestParser {
    argc: usize,
    missing: usize, // arguments still to come; 0 while the `*` line is not there
    at: usize,      // offset of the next `$` line
    scanned: usize, // no line can end before this offset, except as `find_cr` says
    spans: Vec<Span>,
}

impl RequestParser {
    /// At the start of a request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fills `batch` (cleared first) with the complete requests of `buffer`, at most `requests_max`. Requests
    /// without arguments (`*0`, `*-1`, empty lines) are consumed; [`Batch::follows_empty`] tells. The next call gets what was not consumed
    /// with more bytes behind it; over all calls every byte is looked at a bounded number of times.
    pub fn parse(
        &mut self,
        buffer: &[u8],
        requests_max: usize,
        limits: &Limits,
        batch: &mut Batch,
    ) -> Parsed {
        batch.clear();
        let mut consumed = 0;
        while batch.len() < requests_max && consumed < buffer.len() {
            match self.request(buffer, consumed, limits, batch) {
                Ok(Some(end)) => consumed = end,
                Ok(None) => break,
                Err(error) => {
                    *self = Self::default();
                    return Parsed { consumed, error: Some(error) };
                }
            }
        }
        Parsed { consumed, error: None }
    }

    /// Bytes held for an incomplete request.
    pub fn memory_bytes(&self) -> usize {
        self.spans.capacity() * size_of::<Span>()
    }

    /// How many bytes the argument lacks with which `buffer` ends, the incomplete request at its front being the one that
    /// was read last; 0 if that cannot be told. O(1).
    pub fn lacking(&self, buffer: &[u8]) -> usize {
        if self.missing == 0 {
            return 0;
        }
        match bulk_header(buffer, self.at, self.scanned, &Limits::TRUSTED) {
            Ok(Some((len, start))) => len.saturating_add(start + 2).saturating_sub(buffer.len()),
            _ => 0,
        }
    }

    /// The request at `start`: its end, or none if it is incomplete.
    fn request(
        &mut self,
        buffer: &[u8],
        start: usize,
        limits: &Limits,
        batch: &mut Batch,
    ) -> Result<Option<usize>, ProtocolError> {
        if buffer[start] != b'*' {
            return self.inline(buffer, start, batch);
        }
        if self.missing > 0 {
            return self.resume(buffer, limits, batch);
        }
        let Some((argc, at)) = multibulk_header(buffer, start, self.scanned, limits)? else {
            self.scanned = buffer.len() - 1 - start; // a final CR has to be seen again with its LF
            return Ok(None);
        };
        self.scanned = 0;
        let first = batch.spans.len();
        let (missing, at) = arguments(buffer, at, argc, 0, limits, &mut batch.spans)?;
        if missing == 0 {
            match argc {
                0 => batch.ends_empty = true,
                _ => batch.push(first, argc, at, false),
            }
            return Ok(Some(at));
        }
        self.suspend(buffer, start, (argc, missing, at), batch.spans.split_off(first));
        Ok(None)
    }

    /// Remembers an incomplete request that starts at `start`, as if it started at 0.
    #[cold]
    fn suspend(
        &mut self,
        buffer: &[u8],
        start: usize,
        progress: (usize, usize, usize),
        mut spans: Vec<Span>,
    ) {
        count_steps(spans.len());
        spans.iter_mut().for_each(|span| span.start -= start);
        let (argc, missing, at) = progress;
        *self = Self { argc, missing, at: at - start, scanned: buffer.len() - 1 - start, spans };
    }

    /// Goes on with the request at the front of the buffer.
    #[cold]
    fn resume(
        &mut self,
        buffer: &[u8],
        limits: &Limits,
        batch: &mut Batch,
    ) -> Result<Option<usize>, ProtocolError> {
        (self.missing, self.at) =
            arguments(buffer, self.at, self.missing, self.scanned, limits, &mut self.spans)?;
        if self.missing > 0 {
            self.scanned = buffer.len() - 1;
            return Ok(None);
        }
        let Self { argc, at: end, mut spans, .. } = std::mem::take(self);
        batch.push(batch.spans.len(), argc, end, false);
        batch.spans.append(&mut spans);
        Ok(Some(end))
    }

    /// The inline request at `start`, as [`Self::request`].
    fn inline(
        &mut self,
        buffer: &[u8],
        start: usize,
        batch: &mut Batch,
    ) -> Result<Option<usize>, ProtocolError> {
        let line = &buffer[start..];
        let seen = std::mem::take(&mut self.scanned).min(line.len());
        let searched = &line[seen..line.len().min(seen.max(LINE_LEN_MAX + 1))];
        count_steps(searched.len());
        let Some(line_len) = memchr::memchr(b'\n', searched).map(|found| seen + found) else {
            if line.len() > LINE_LEN_MAX {
                return Err(ProtocolError::TooBigInlineRequest);
            }
            self.scanned = line.len();
            return Ok(None);
        };
        let words = &line[..line_len];
        let first = batch.spans.len();
        split_args(
            words.strip_suffix(b"\r").unwrap_or(words),
            &mut batch.inline,
            &mut batch.spans,
        )?;
        let (argc, end) = (batch.spans.len() - first, start + line_len + 1);
        match argc {
            0 => batch.ends_empty = true,
            _ => batch.push(first, argc, end, true),
        }
        Ok(Some(end))
    }
}

/// Reads up to `missing` arguments from `at` on. Result: how many are still missing, and where the next one starts.
#[inline]
fn arguments(
    buffer: &[u8],
    mut at: usize,
    mut missing: usize,
    scanned: usize,
    limits: &Limits,
    spans: &mut Vec<Span>,
) -> Result<(usize, usize), ProtocolError> {
    while missing > 0 {
        count_steps(1);
        let span = match short_argument(buffer, at, limits) {
            Some(span) => span,
            None => match long_argument(buffer, at, scanned, limits)? {
                Some(span) => span,
                None => break,
            },
        };
        spans.push(span);
        at = span.start + span.len + 2; // as in Redis, the CRLF after an argument is skipped unseen
        missing -= 1;
    }
    Ok((missing, at))
}

/// The argument at `at`, if it is complete and its length has at most three digits. None is no verdict.
#[inline(always)]
fn short_argument(buffer: &[u8], at: usize, limits: &Limits) -> Option<Span> {
    let (len, start) = short_header(buffer, at, b'$')?;
    (len <= limits.bulk_len_max && start + len + 2 <= buffer.len()).then_some(Span { start, len })
}

/// The argument at `at`, if it is complete.
#[cold]
#[inline(never)]
fn long_argument(
    buffer: &[u8],
    at: usize,
    scanned: usize,
    limits: &Limits,
) -> Result<Option<Span>, ProtocolError> {
    let Some((len, start)) = bulk_header(buffer, at, scanned, limits)? else { return Ok(None) };
    Ok((buffer.len() - start >= len + 2).then_some(Span { start, len }))
}

/// The `*` line at `at`: the number of arguments and the offset after it. None if it is incomplete.
#[inline]
fn multibulk_header(
    buffer: &[u8],
    at: usize,
    scanned: usize,
    limits: &Limits,
) -> Result<Option<(usize, usize)>, ProtocolError> {
    match short_header(buffer, at, b'*') {
        Some((argc, next)) if argc <= UNAUTHENTICATED_ARGC_MAX as usize => Ok(Some((argc, next))),
        _ => long_multibulk_header(buffer, at, scanned, limits),
    }
}

#[cold]
fn long_multibulk_header(
    buffer: &[u8],
    at: usize,
    scanned: usize,
    limits: &Limits,
) -> Result<Option<(usize, usize)>, ProtocolError> {
    let Some(end) = line_end(buffer, at, scanned, ProtocolError::TooBigCountString)? else {
        return Ok(None);
    };
    match parse_i64(&buffer[at + 1..end]) {
        None => Err(ProtocolError::InvalidMultibulkLength),
        Some(count) if count > i64::from(i32::MAX) => Err(ProtocolError::InvalidMultibulkLength),
        Some(count) if count > UNAUTHENTICATED_ARGC_MAX && !limits.authenticated => {
            Err(ProtocolError::UnauthenticatedMultibulkLength)
        }
        Some(count) => Ok(Some((count.max(0) as usize, end + 2))),
    }
}

/// The `$` line at `at`: the length of the argument and the offset after it. None if it is incomplete.
fn bulk_header(
    buffer: &[u8],
    at: usize,
    scanned: usize,
    limits: &Limits,
) -> Result<Option<(usize, usize)>, ProtocolError> {
    let Some(end) = line_end(buffer, at, scanned, ProtocolError::TooBigBulkCountString)? else {
        return Ok(None);
    };
    if buffer[at] != b'$' {
        return Err(ProtocolError::ExpectedDollar { got: buffer[at] });
    }
    let len = parse_i64(&buffer[at + 1..end]).ok_or(ProtocolError::InvalidBulkLength)?;
    match usize::try_from(len) {
        Ok(bytes) if bytes <= limits.bulk_len_max => {
            if len > UNAUTHENTICATED_BULK_LEN_MAX && !limits.authenticated {
                return Err(ProtocolError::UnauthenticatedBulkLength);
            }
            Ok(Some((bytes, end + 2)))
        }
        _ => Err(ProtocolError::InvalidBulkLength),
    }
}

/// A complete length line of at most three digits, which nearly all are: its number and the offset after it. None
/// is no verdict. Reads eight bytes at once and looks for CRLF where one, two or three digits put it.
#[inline(always)]
fn short_header(buffer: &[u8], at: usize, kind: u8) -> Option<(usize, usize)> {
    const CRLF: u16 = u16::from_le_bytes(*b"\r\n");
    let rest = buffer.get(at..)?;
    let word = u64::from_le_bytes(rest.first_chunk().copied().unwrap_or_else(|| padded(rest)));
    let digit = |index: u32| usize::from(((word >> (8 * index)) as u8).wrapping_sub(b'0'));
    let is_end = |index: u32| (word >> (8 * index)) as u16 == CRLF;
    if word as u8 != kind {
        return None;
    }
    let (a, b, c) = (digit(1), digit(2), digit(3));
    if is_end(2) && a <= 9 {
        Some((a, at + 4))
    } else if is_end(3) && (1..=9).contains(&a) && b <= 9 {
        Some((a * 10 + b, at + 5))
    } else if is_end(4) && (1..=9).contains(&a) && b <= 9 && c <= 9 {
        Some((a * 100 + b * 10 + c, at + 6))
    } else {
        None
    }
}

/// The last bytes of a buffer, of which fewer than eight are left.
#[cold]
fn padded(rest: &[u8]) -> [u8; 8] {
    std::array::from_fn(|index| rest.get(index).copied().unwrap_or(0))
}

/// Offset of the CR that ends the line at `at`, once the byte after it is there too. As in Redis that byte is not
/// looked at.
fn line_end(
    buffer: &[u8],
    at: usize,
    scanned: usize,
    too_big: ProtocolError,
) -> Result<Option<usize>, ProtocolError> {
    match find_cr(buffer, at, scanned, LINE_LEN_MAX) {
        Found::Cr(cr) => Ok((cr + 1 < buffer.len()).then_some(cr)),
        Found::Partial => Ok(None),
        Found::TooLong => Err(too_big),
    }
}
