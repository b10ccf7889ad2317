//! Replies as values, and their resumable reader: for the client, the proxy and replication. How one element looks
//! is left to `element`; the server itself never builds a reply this way.

use super::BULK_LEN_MAX_DEFAULT;
use super::element::{DEPTH_MAX, Element, ReplyError, element};
use super::number::{parse_f64, parse_i64};

/// A reply. Strings are bytes, as they came.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `+OK`: a status.
    Simple(Vec<u8>),
    /// `-ERR ...`, without the `-`.
    Error(Vec<u8>),
    /// `:1`.
    Integer(i64),
    /// `$3 foo`.
    Bulk(Vec<u8>),
    /// `$-1` or `_`.
    Null,
    /// `*-1`.
    NullArray,
    /// `*2 ...`.
    Array(Vec<Value>),
    /// `%1 ...`, pairs in the order they came.
    Map(Vec<(Value, Value)>),
    /// `~2 ...`.
    Set(Vec<Value>),
    /// `,1.5`: the number, and the text it was sent as.
    Double {
        /// May be infinite or NaN.
        value: f64,
        /// `inf`, `-inf`, `nan` or a number.
        text: Vec<u8>,
    },
    /// `#t`.
    Boolean(bool),
    /// `(123...`: an integer of any size in decimal.
    BigNumber(Vec<u8>),
    /// `=15 txt:...`.
    Verbatim {
        /// `txt` or `mkd`.
        format: [u8; 3],
        /// What follows the colon.
        text: Vec<u8>,
    },
    /// `>3 ...`: answers no request.
    Push(Vec<Value>),
    /// `|1 ...`: pairs that describe the reply after them, and that reply.
    Attribute(Vec<(Value, Value)>, Box<Value>),
    /// `!21 ERR ...`: an error of any bytes.
    BlobError(Vec<u8>),
}

impl Value {
    /// The bytes of a status or string.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Simple(bytes) | Self::Bulk(bytes) | Self::Verbatim { text: bytes, .. } => {
                Some(bytes)
            }
            _ => None,
        }
    }

    /// The text of an error, its code first.
    pub fn as_error(&self) -> Option<&[u8]> {
        match self {
            Self::Error(text) | Self::BlobError(text) => Some(text),
            _ => None,
        }
    }
}

/// An aggregate some of whose elements are still to come.
#[derive(Debug)]
struct Frame {
    kind: u8,
    missing: u64,
    elements: Vec<Value>,
}

impl Frame {
    fn finish(mut self) -> Value {
        match self.kind {
            b'%' => Value::Map(pairs(self.elements)),
            b'~' => Value::Set(self.elements),
            b'>' => Value::Push(self.elements),
            b'|' => {
                let described =
                    self.elements.pop().expect("an attribute counts the reply after it");
                Value::Attribute(pairs(self.elements), Box::new(described))
            }
            _ => Value::Array(self.elements),
        }
    }
}

fn pairs(elements: Vec<Value>) -> Vec<(Value, Value)> {
    let mut elements = elements.into_iter();
    std::iter::from_fn(|| Some((elements.next()?, elements.next()?))).collect()
}

/// The most memory that the values of one reply may take: a server that never ends one must not take all there is.
const MEMORY_MAX: usize = 2 << 30;

/// Reads replies from a connection. Memory is that of the values already read, whatever lengths are declared.
#[derive(Debug)]
pub struct ReplyReader {
    bulk_len_max: usize,
    memory_max: usize,
    memory: usize,
    at: usize,
    scanned: usize,
    frames: Vec<Frame>,
}

impl Default for ReplyReader {
    fn default() -> Self {
        Self::new(BULK_LEN_MAX_DEFAULT)
    }
}

impl ReplyReader {
    /// At the start of a reply, with a limit on the bytes of one string.
    pub fn new(bulk_len_max: usize) -> Self {
        let memory_max = MEMORY_MAX;
        Self { bulk_len_max, memory_max, memory: 0, at: 0, scanned: 0, frames: Vec::new() }
    }

    /// The reply that `buffer` begins with and its length, once it is complete. The next call gets either the same
    /// bytes with more behind them, or, after a reply, what follows it. After an error, close the connection.
    pub fn read(&mut self, buffer: &[u8]) -> Result<Option<(Value, usize)>, ReplyError> {
        loop {
            let Some((element, end)) = element(buffer, self.at, self.scanned, self.bulk_len_max)?
            else {
                self.scanned = buffer.len().saturating_sub(1);
                return Ok(None);
            };
            self.memory = self.memory.saturating_add(size_of::<Value>() + (end - self.at));
            if self.memory > self.memory_max {
                return Err(ReplyError::TooLong);
            }
            self.at = end;
            let value = match element {
                Element::Aggregate { kind, elements: missing @ 1.. } => {
                    if self.frames.len() == DEPTH_MAX {
                        return Err(ReplyError::TooDeep);
                    }
                    self.frames.push(Frame { kind, missing, elements: Vec::new() });
                    continue;
                }
                Element::Aggregate { kind, .. } => {
                    Frame { kind, missing: 0, elements: Vec::new() }.finish()
                }
                Element::Line { kind, text } => line(kind, text)?,
                Element::Blob { kind, bytes } => blob(kind, bytes)?,
                Element::Null => Value::Null,
                Element::NullArray => Value::NullArray,
            };
            if let Some(reply) = self.element_ended(value) {
                (self.at, self.scanned, self.memory, self.frames) = (0, 0, 0, Vec::new());
                return Ok(Some((reply, end)));
            }
        }
    }

    /// Puts an element where it belongs; the result is the reply if that was its last.
    fn element_ended(&mut self, mut value: Value) -> Option<Value> {
        while let Some(mut frame) = self.frames.pop() {
            frame.elements.push(value);
            frame.missing -= 1;
            if frame.missing > 0 {
                self.frames.push(frame);
                return None;
            }
            value = frame.finish();
        }
        Some(value)
    }
}

fn line(kind: u8, text: &[u8]) -> Result<Value, ReplyError> {
    let value = match kind {
        b'+' => Some(Value::Simple(text.to_vec())),
        b'-' => Some(Value::Error(text.to_vec())),
        b':' => parse_i64(text).map(Value::Integer),
        b',' => parse_double(text).map(|value| Value::Double { value, text: text.to_vec() }),
        b'(' => is_big_number(text).then(|| Value::BigNumber(text.to_vec())),
        b'#' => match text {
            b"t" => Some(Value::Boolean(true)),
            b"f" => Some(Value::Boolean(false)),
            _ => None,
        },
        _ => text.is_empty().then_some(Value::Null),
    };
    value.ok_or(ReplyError::BadNumber)
}

fn blob(kind: u8, bytes: &[u8]) -> Result<Value, ReplyError> {
    match (kind, bytes) {
        (b'$', bytes) => Ok(Value::Bulk(bytes.to_vec())),
        (b'!', bytes) => Ok(Value::BlobError(bytes.to_vec())),
        (_, [a, b, c, b':', text @ ..]) => {
            Ok(Value::Verbatim { format: [*a, *b, *c], text: text.to_vec() })
        }
        _ => Err(ReplyError::BadLength),
    }
}

/// Servers send NaN, with a sign where C's `printf` gives it one; requests may not contain it.
fn parse_double(text: &[u8]) -> Option<f64> {
    match text {
        b"nan" | b"-nan" => Some(f64::NAN),
        text => parse_f64(text),
    }
}

fn is_big_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::super::element::{ReplyScanner, reply_end};
    use super::super::line::STEPS;
    use super::*;
    use proptest::prelude::*;

    type Outcome = Result<Option<(Value, usize)>, ReplyError>;

    /// Gives the reader all the bytes so far, again and again with `size` more.
    fn read_growing(input: &[u8], size: usize) -> Outcome {
        let mut reader = ReplyReader::default();
        let mut end = 0;
        loop {
            end = input.len().min(end + size);
            match reader.read(&input[..end]) {
                Ok(None) if end < input.len() => {}
                outcome => return outcome,
            }
        }
    }

    #[test]
    fn a_reply_takes_no_more_memory_than_it_may() {
        let mut reader =
            ReplyReader { memory_max: 1000 * size_of::<Value>(), ..ReplyReader::default() };
        // What is bounded is one reply, not a connection.
        for _ in 0..2 {
            let reply = format!("*500\r\n{}", "_\r\n".repeat(500));
            assert!(reader.read(reply.as_bytes()).unwrap().is_some());
        }
        let endless = format!("*4000000000\r\n{}", "_\r\n".repeat(1000));
        assert_eq!(reader.read(endless.as_bytes()), Err(ReplyError::TooLong));
    }

    fn scan_growing(input: &[u8], size: usize) -> Result<Option<usize>, ReplyError> {
        let mut scanner = ReplyScanner::default();
        let mut end = 0;
        loop {
            end = input.len().min(end + size);
            match scanner.reply_end(&input[..end]) {
                Ok(None) if end < input.len() => {}
                outcome => return outcome,
            }
        }
    }

    fn read(input: &str) -> Outcome {
        let whole = ReplyReader::default().read(input.as_bytes());
        for size in [1, 2, 3, 7] {
            // NaN differs from itself, its print does not.
            assert_eq!(
                format!("{:?}", read_growing(input.as_bytes(), size)),
                format!("{whole:?}"),
                "{input:?}"
            );
        }
        if let Ok(found) = &whole {
            let end = found.as_ref().map(|(_, end)| *end);
            assert_eq!(reply_end(input.as_bytes()), Ok(end));
            assert_eq!(scan_growing(input.as_bytes(), 1), Ok(end));
        }
        whole
    }

    fn bulk(text: &str) -> Value {
        Value::Bulk(text.into())
    }

    #[test]
    fn each_reply_is_read_however_it_is_split() {
        let cases = [
            ("+OK\r\n", Value::Simple(b"OK".to_vec())),
            ("-ERR no\r\n", Value::Error(b"ERR no".to_vec())),
            (":-5\r\n", Value::Integer(-5)),
            ("$3\r\na\r\n\r\n", bulk("a\r\n")),
            ("$0\r\n\r\n", bulk("")),
            ("$-1\r\n", Value::Null),
            ("_\r\n", Value::Null),
            ("*-1\r\n", Value::NullArray),
            ("*0\r\n", Value::Array(vec![])),
            (
                "*2\r\n*1\r\n:1\r\n$1\r\nx\r\n",
                Value::Array(vec![Value::Array(vec![Value::Integer(1)]), bulk("x")]),
            ),
            ("%1\r\n$1\r\nk\r\n*0\r\n", Value::Map(vec![(bulk("k"), Value::Array(vec![]))])),
            ("%0\r\n", Value::Map(vec![])),
            ("~1\r\n#t\r\n", Value::Set(vec![Value::Boolean(true)])),
            ("#f\r\n", Value::Boolean(false)),
            (",1.5\r\n", Value::Double { value: 1.5, text: b"1.5".to_vec() }),
            (",-inf\r\n", Value::Double { value: f64::NEG_INFINITY, text: b"-inf".to_vec() }),
            ("(-12345678901234567890\r\n", Value::BigNumber(b"-12345678901234567890".to_vec())),
            ("=6\r\ntxt:hi\r\n", Value::Verbatim { format: *b"txt", text: b"hi".to_vec() }),
            ("!5\r\nERR x\r\n", Value::BlobError(b"ERR x".to_vec())),
            (
                ">2\r\n+a\r\n:1\r\n",
                Value::Push(vec![Value::Simple(b"a".to_vec()), Value::Integer(1)]),
            ),
            (
                "|1\r\n+k\r\n:1\r\n*1\r\n:2\r\n",
                Value::Attribute(
                    vec![(Value::Simple(b"k".to_vec()), Value::Integer(1))],
                    Box::new(Value::Array(vec![Value::Integer(2)])),
                ),
            ),
            (
                "*1\r\n|0\r\n:2\r\n",
                Value::Array(vec![Value::Attribute(vec![], Box::new(Value::Integer(2)))]),
            ),
        ];
        for (input, value) in cases {
            assert_eq!(read(&format!("{input}+next\r\n")), Ok(Some((value, input.len()))));
            for end in 0..input.len() {
                assert_eq!(read(&input[..end]), Ok(None));
            }
        }
        assert!(
            matches!(read(",nan\r\n"), Ok(Some((Value::Double { value, .. }, 6))) if value.is_nan())
        );
    }

    #[test]
    fn x06_garbage_is_an_error() {
        let nested = "*1\r\n".repeat(2000);
        let attributes = "|0\r\n".repeat(2000);
        let cases = [
            ("garbage\r\n", ReplyError::UnknownType(b'g')),
            ("\r\n", ReplyError::UnknownType(b'\r')),
            ("*1\r\nx", ReplyError::UnknownType(b'x')),
            ("*-2\r\n", ReplyError::BadLength),
            ("%-1\r\n", ReplyError::BadLength),
            ("$-2\r\n", ReplyError::BadLength),
            ("=-1\r\n", ReplyError::BadLength),
            ("$x\r\n", ReplyError::BadLength),
            ("$+1\r\n", ReplyError::BadLength),
            ("$9999999999\r\n", ReplyError::TooLong),
            ("$9223372036854775807\r\n", ReplyError::TooLong),
            ("*9223372036854775807\r\n", ReplyError::TooLong),
            ("$?\r\n", ReplyError::Streamed),
            ("*?\r\n", ReplyError::Streamed),
            ("$1\r\nabc", ReplyError::BadLineEnd),
            ("+OK\rx", ReplyError::BadLineEnd),
            (nested.as_str(), ReplyError::TooDeep),
            (attributes.as_str(), ReplyError::TooDeep),
        ];
        for (input, error) in cases {
            assert_eq!(read(input), Err(error), "{input:?}");
            assert_eq!(reply_end(input.as_bytes()), Err(error));
            assert_eq!(scan_growing(input.as_bytes(), 1), Err(error));
        }
        for number in [":1.5\r\n", ":\r\n", ",x\r\n", "(1x\r\n", "(-\r\n", "#x\r\n", "_x\r\n"] {
            assert_eq!(read(number), Err(ReplyError::BadNumber), "{number:?}");
        }
        assert_eq!(read("=3\r\ntxt\r\n"), Err(ReplyError::BadLength));
        let endless = format!(":{}", "1".repeat(70_000));
        assert_eq!(ReplyReader::default().read(endless.as_bytes()), Err(ReplyError::TooLong));
    }

    #[test]
    fn depth_128_is_read() {
        let input = format!("{}:1\r\n", "*1\r\n".repeat(DEPTH_MAX));
        assert!(matches!(read(&input), Ok(Some((Value::Array(_), end))) if end == input.len()));
    }

    #[test]
    fn one_reader_reads_reply_after_reply() {
        let (mut reader, mut scanner, mut input) = (
            ReplyReader::default(),
            ReplyScanner::default(),
            &b"*1\r\n:1\r\n+OK\r\n$1\r\nx\r\n"[..],
        );
        let mut replies = 0;
        while let Some((_, end)) = reader.read(input).unwrap() {
            assert_eq!(scanner.reply_end(input), Ok(Some(end)));
            input = &input[end..];
            replies += 1;
        }
        assert_eq!((replies, input.len()), (3, 0));
    }

    #[test]
    fn a_reply_in_pieces_takes_linear_work() {
        let many = format!("*100000\r\n{}", "$1\r\nx\r\n".repeat(100_000));
        let line = format!("+{}\r\n", "x".repeat(300_000));
        let string = format!("$300000\r\n{}\r\n", "x".repeat(300_000));
        for input in [many, line, string] {
            for size in [1, 16 * 1024] {
                STEPS.with(|steps| steps.set(0));
                assert!(matches!(read_growing(input.as_bytes(), size), Ok(Some(_))));
                let steps = STEPS.with(std::cell::Cell::get);
                let bound = 35 * (input.len() + input.len() / size);
                assert!(
                    steps < bound,
                    "{steps} steps for {} bytes in pieces of {size}",
                    input.len()
                );
            }
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(input in "([*$%~>|:,=!+(_#-][0-3]?\r\n|[a-z]|\r\n){0,30}", noise in proptest::collection::vec(any::<u8>(), 0..50)) {
            for input in [input.as_bytes(), noise.as_slice()] {
                let whole = ReplyReader::default().read(input);
                prop_assert_eq!(&read_growing(input, 1), &whole);
                if let Ok(found) = whole {
                    prop_assert_eq!(reply_end(input), Ok(found.map(|(_, end)| end)));
                }
            }
        }
    }
}
