//! The reply writer: what commands answer, as RESP2 or RESP3. Sizes and order of what is in an aggregate are the
//! command's business; the forms are those of Redis 7.0 (`addReply*`).

use std::fmt;

use bytes::Bytes;

use super::number::format_f64;
use super::output::{Mark, Output};

/// The version a client chose with HELLO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Strings, integers, arrays.
    #[default]
    Resp2,
    /// Also maps, sets, doubles, booleans, pushes.
    Resp3,
}

/// An aggregate whose length is known only when its elements are written. Finish it, and nested ones first.
#[must_use = "an aggregate needs its length"]
#[derive(Debug)]
pub struct Deferred(Mark);

/// Writes replies to the end of an [`Output`].
#[derive(Debug, Default)]
pub struct Reply {
    /// Where the bytes go.
    pub output: Output,
    /// Which forms are used.
    pub protocol: Protocol,
}

impl Reply {
    /// Into an empty output.
    pub fn new(protocol: Protocol) -> Self {
        Self { output: Output::new(), protocol }
    }

    fn is_resp3(&self) -> bool {
        self.protocol == Protocol::Resp3
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.output.extend(b"+OK\r\n");
    }

    /// A status such as `QUEUED`, which contains no CR or LF.
    pub fn simple(&mut self, status: &str) {
        debug_assert!(!status.contains(['\r', '\n']));
        self.line(b'+', status.as_bytes());
    }

    /// An error; its text begins with the code: `ERR ...`. CR and LF cannot leave the line: those inside become
    /// spaces, those at either end are dropped.
    pub fn error(&mut self, error: impl fmt::Display) {
        self.error_bytes(error.to_string().as_bytes());
    }

    /// As [`Self::error`], for a text that quotes what a client sent and may be no UTF-8.
    pub fn error_bytes(&mut self, text: &[u8]) {
        let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let start = text.iter().take_while(|byte| is_line_end(byte)).count();
        let end = text.iter().rposition(|byte| !is_line_end(byte)).map_or(start, |last| last + 1);
        let text: Vec<u8> = text[start..end]
            .iter()
            .map(|byte| if is_line_end(byte) { b' ' } else { *byte })
            .collect();
        self.line(b'-', &text);
    }

    /// `:1`.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        match value {
            0 => self.output.extend(b":0\r\n"),
            1 => self.output.extend(b":1\r\n"),
            _ => self.line(b':', itoa::Buffer::new().format(value).as_bytes()),
        }
    }

    /// A string of any bytes, copied.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        let tail = self.output.tail_for(bytes.len() + 32);
        push_header(tail, b'$', bytes.len());
        tail.extend_from_slice(bytes);
        tail.extend_from_slice(b"\r\n");
    }

    /// A string of any bytes, shared when that is cheaper than a copy.
    pub fn bulk_shared(&mut self, bytes: &Bytes) {
        self.header(b'$', bytes.len());
        self.output.push_shared(bytes.clone());
        self.output.extend(b"\r\n");
    }

    /// The decimal text of `value`, as a string.
    pub fn bulk_integer(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// No value: `$-1`, or `_`.
    #[inline]
    pub fn null(&mut self) {
        self.output.extend(if self.is_resp3() { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// No array: `*-1`, or `_`.
    pub fn null_array(&mut self) {
        self.output.extend(if self.is_resp3() { b"_\r\n" } else { b"*-1\r\n" });
    }

    /// The head of an array of `len` elements, which follow.
    #[inline]
    pub fn array(&mut self, len: usize) {
        self.header(b'*', len);
    }

    /// The head of a map of `len` pairs; in RESP2, of an array of twice as many.
    pub fn map(&mut self, len: usize) {
        let (kind, len) = self.map_header(len);
        self.header(kind, len);
    }

    /// The head of a set of `len` members; in RESP2, of an array.
    pub fn set(&mut self, len: usize) {
        self.header(self.resp3_or_array(b'~'), len);
    }

    /// The head of a message of `len` elements that answers no request; in RESP2, of an array.
    pub fn push(&mut self, len: usize) {
        self.header(self.resp3_or_array(b'>'), len);
    }

    /// The head of `len` pairs that describe the reply after them. RESP3 only.
    pub fn attribute(&mut self, len: usize) {
        assert!(self.is_resp3(), "RESP2 has no attributes");
        self.header(b'|', len);
    }

    /// A double; in RESP2, its text as a string.
    pub fn double(&mut self, value: f64) {
        self.resp3_line_or_bulk(b',', &format_f64(value));
    }

    /// A double whose text is already as it should be read; in RESP2, a string.
    pub fn human_double(&mut self, text: &str) {
        self.resp3_line_or_bulk(b',', text.as_bytes());
    }

    /// An integer of any size, given in decimal; in RESP2, a string.
    pub fn big_number(&mut self, digits: &str) {
        self.resp3_line_or_bulk(b'(', digits.as_bytes());
    }

    /// `#t` or `#f`; in RESP2, `:1` or `:0`.
    pub fn boolean(&mut self, value: bool) {
        match (self.protocol, value) {
            (Protocol::Resp2, _) => self.integer(i64::from(value)),
            (Protocol::Resp3, true) => self.output.extend(b"#t\r\n"),
            (Protocol::Resp3, false) => self.output.extend(b"#f\r\n"),
        }
    }

    /// A text for people, with its format in three letters (`txt`, `mkd`); in RESP2, a string.
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        if !self.is_resp3() {
            return self.bulk(text);
        }
        debug_assert_eq!(format.len(), 3);
        self.header(b'=', text.len() + 4);
        let tail = self.output.tail_for(text.len() + 6);
        tail.extend_from_slice(format.as_bytes());
        tail.push(b':');
        tail.extend_from_slice(text);
        tail.extend_from_slice(b"\r\n");
    }

    /// Begins an aggregate: write its elements, then call one of the `finish_` methods.
    pub fn deferred(&mut self) -> Deferred {
        Deferred(self.output.mark())
    }

    /// Makes what was written since an array of `len` elements.
    pub fn finish_array(&mut self, deferred: Deferred, len: usize) {
        self.finish(deferred, b'*', len);
    }

    /// Makes what was written since a map of `len` pairs.
    pub fn finish_map(&mut self, deferred: Deferred, len: usize) {
        let (kind, len) = self.map_header(len);
        self.finish(deferred, kind, len);
    }

    /// Makes what was written since a set of `len` members.
    pub fn finish_set(&mut self, deferred: Deferred, len: usize) {
        self.finish(deferred, self.resp3_or_array(b'~'), len);
    }

    /// Makes what was written since a page of a scan: the next cursor, and an array of `len` elements.
    pub fn finish_page(&mut self, deferred: Deferred, cursor: u64, len: usize) {
        let mut header = Vec::with_capacity(64);
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(cursor).as_bytes();
        push_header(&mut header, b'*', 2);
        push_header(&mut header, b'$', digits.len());
        header.extend_from_slice(digits);
        header.extend_from_slice(b"\r\n");
        push_header(&mut header, b'*', len);
        self.output.insert_at(deferred.0, &header);
    }

    fn finish(&mut self, deferred: Deferred, kind: u8, len: usize) {
        let mut header = Vec::with_capacity(24);
        push_header(&mut header, kind, len);
        self.output.insert_at(deferred.0, &header);
    }

    fn resp3_or_array(&self, kind: u8) -> u8 {
        if self.is_resp3() { kind } else { b'*' }
    }

    fn map_header(&self, len: usize) -> (u8, usize) {
        if self.is_resp3() { (b'%', len) } else { (b'*', len * 2) }
    }

    fn resp3_line_or_bulk(&mut self, kind: u8, text: &[u8]) {
        if self.is_resp3() { self.line(kind, text) } else { self.bulk(text) }
    }

    #[inline]
    fn header(&mut self, kind: u8, len: usize) {
        push_header(self.output.tail_for(24), kind, len);
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        let tail = self.output.tail_for(text.len() + 3);
        tail.push(kind);
        tail.extend_from_slice(text);
        tail.extend_from_slice(b"\r\n");
    }
}

/// Appends a type byte, a length and CRLF; for the lengths seen most, as one copy of constant size.
#[inline]
pub(super) fn push_header(out: &mut Vec<u8>, kind: u8, len: usize) {
    match len {
        0..10 => out.extend_from_slice(&[kind, b'0' + len as u8, b'\r', b'\n']),
        10..100 => out.extend_from_slice(&[
            kind,
            b'0' + (len / 10) as u8,
            b'0' + (len % 10) as u8,
            b'\r',
            b'\n',
        ]),
        _ => {
            out.push(kind);
            out.extend_from_slice(itoa::Buffer::new().format(len).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(protocol: Protocol, write: impl Fn(&mut Reply)) -> String {
        let mut reply = Reply::new(protocol);
        write(&mut reply);
        String::from_utf8(reply.output.to_vec()).unwrap()
    }

    /// What `write` gives as RESP2 and as RESP3.
    fn both(write: impl Fn(&mut Reply)) -> (String, String) {
        (written(Protocol::Resp2, &write), written(Protocol::Resp3, &write))
    }

    type Write = fn(&mut Reply);

    #[test]
    fn each_reply_has_its_form_in_both_protocols() {
        let cases: &[(Write, &str, &str)] = &[
            (|r| r.ok(), "+OK\r\n", "+OK\r\n"),
            (|r| r.simple("QUEUED"), "+QUEUED\r\n", "+QUEUED\r\n"),
            (|r| r.integer(0), ":0\r\n", ":0\r\n"),
            (|r| r.integer(1), ":1\r\n", ":1\r\n"),
            (|r| r.integer(i64::MIN), ":-9223372036854775808\r\n", ":-9223372036854775808\r\n"),
            (|r| r.bulk(b""), "$0\r\n\r\n", "$0\r\n\r\n"),
            (|r| r.bulk(b"0123456789"), "$10\r\n0123456789\r\n", "$10\r\n0123456789\r\n"),
            (|r| r.bulk_shared(&Bytes::from_static(b"abc")), "$3\r\nabc\r\n", "$3\r\nabc\r\n"),
            (|r| r.bulk_integer(-12), "$3\r\n-12\r\n", "$3\r\n-12\r\n"),
            (|r| r.null(), "$-1\r\n", "_\r\n"),
            (|r| r.null_array(), "*-1\r\n", "_\r\n"),
            (|r| r.array(123), "*123\r\n", "*123\r\n"),
            (|r| r.map(50), "*100\r\n", "%50\r\n"),
            (|r| r.set(9), "*9\r\n", "~9\r\n"),
            (|r| r.push(3), "*3\r\n", ">3\r\n"),
            (|r| r.double(3.0), "$1\r\n3\r\n", ",3\r\n"),
            (|r| r.double(0.1), "$19\r\n0.10000000000000001\r\n", ",0.10000000000000001\r\n"),
            (|r| r.double(f64::NEG_INFINITY), "$4\r\n-inf\r\n", ",-inf\r\n"),
            (|r| r.human_double("5.25"), "$4\r\n5.25\r\n", ",5.25\r\n"),
            (|r| r.big_number("-123"), "$4\r\n-123\r\n", "(-123\r\n"),
            (|r| r.boolean(true), ":1\r\n", "#t\r\n"),
            (|r| r.boolean(false), ":0\r\n", "#f\r\n"),
            (|r| r.verbatim("txt", b"hi"), "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"),
        ];
        for (write, resp2, resp3) in cases {
            assert_eq!(both(write), (resp2.to_string(), resp3.to_string()));
        }
        assert_eq!(written(Protocol::Resp3, |reply| reply.attribute(1)), "|1\r\n");
    }

    #[test]
    fn p15_an_error_stays_on_its_line() {
        let text = "\r\nERR unknown command 'foo', with args beginning with: 'a\r\n+OK' \r\n";
        let line = "-ERR unknown command 'foo', with args beginning with: 'a  +OK' \r\n";
        assert_eq!(written(Protocol::Resp2, |reply| reply.error(text)), line);
        assert_eq!(written(Protocol::Resp2, |reply| reply.error("\r\n")), "-\r\n");
        let mut reply = Reply::default();
        reply.error_bytes(b"ERR \xff");
        assert_eq!(reply.output.to_vec(), b"-ERR \xff\r\n");
    }

    #[test]
    fn a_page_gets_its_cursor_afterwards() {
        let page = written(Protocol::Resp2, |reply| {
            let page = reply.deferred();
            reply.bulk(b"a");
            reply.finish_page(page, u64::MAX, 1);
        });
        assert_eq!(page, "*2\r\n$20\r\n18446744073709551615\r\n*1\r\n$1\r\na\r\n");
    }

    #[test]
    fn an_aggregate_gets_its_length_afterwards() {
        let write = |reply: &mut Reply| {
            reply.ok();
            let outer = reply.deferred();
            reply.bulk(b"a");
            let (empty, inner) = (reply.deferred(), reply.deferred());
            reply.integer(7);
            reply.integer(1);
            reply.finish_map(inner, 1);
            reply.finish_set(empty, 1);
            reply.bulk_shared(&Bytes::from(vec![b'v'; 100_000]));
            reply.finish_array(outer, 3);
        };
        let value = "v".repeat(100_000);
        let (resp2, resp3) = both(write);
        assert_eq!(
            resp2,
            format!("+OK\r\n*3\r\n$1\r\na\r\n*1\r\n*2\r\n:7\r\n:1\r\n$100000\r\n{value}\r\n")
        );
        assert_eq!(
            resp3,
            format!("+OK\r\n*3\r\n$1\r\na\r\n~1\r\n%1\r\n:7\r\n:1\r\n$100000\r\n{value}\r\n")
        );
    }
}
