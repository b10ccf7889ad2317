//! Replies as text. Bytes are redis-cli's for RESP2; where RESP3 or a hostile server go beyond what redis-cli knows, the text
//! stays readable, valid JSON stays valid, and a terminal gets no control characters but from a raw value.

mod json;
mod typed;

use super::failure::Failure;
use crate::config::words::quoted;
use crate::resp::Value;
use std::borrow::Cow;
use std::io::Write;

/// How replies are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// For people: strings in quotes, `(integer) 1`, numbered elements.
    Typed {
        /// With colours.
        colours: bool,
    },
    /// Values as they are, one a line or as the delimiters have it.
    Raw(Delimiters),
    /// `"a",1,NULL` on one line.
    Csv,
    /// A JSON value on one line.
    Json {
        /// Other characters are escaped.
        ascii: bool,
    },
}

/// What separates raw values. Words of the command line: they are there as long as the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delimiters {
    /// Between two values of a reply.
    pub between: &'static [u8],
    /// Behind a reply.
    pub behind: &'static [u8],
}

impl Default for Delimiters {
    fn default() -> Self {
        Self { between: b"\n", behind: b"\n" }
    }
}

impl Format {
    /// Appends the reply and what ends it.
    pub fn append(self, out: &mut Vec<u8>, value: &Value) {
        match self {
            Self::Typed { colours } => typed::append(out, value, colours),
            Self::Raw(Delimiters { between, .. }) => append_raw(out, value, between),
            Self::Csv => append_csv(out, value),
            Self::Json { ascii } => json::append(out, value, ascii),
        }
        match self {
            Self::Typed { .. } => {}
            Self::Raw(Delimiters { behind, .. }) => out.extend_from_slice(behind),
            Self::Csv | Self::Json { .. } => out.push(b'\n'),
        }
    }

    /// Writes the reply to `words`, and flushes: who reads a pipe wants it now.
    pub fn print(
        self,
        out: &mut impl Write,
        words: &[Vec<u8>],
        value: &Value,
    ) -> Result<(), Failure> {
        let mut text = Vec::new();
        let is_text = is_page_of_text(words) && value.as_error().is_none();
        if is_text && matches!(self, Self::Typed { .. } | Self::Raw(_)) {
            append_raw(&mut text, value, b"\n");
            if self.is_for_people() {
                text = harmless(&text).into_owned().into_bytes();
            }
            if text.last().is_some_and(|&last| last != b'\n') {
                text.push(b'\n');
            }
        } else {
            self.append(&mut text, value);
        }
        out.write_all(&text).and_then(|()| out.flush()).map_err(Failure::output)
    }

    /// Whether it is meant for a terminal.
    pub fn is_for_people(self) -> bool {
        matches!(self, Self::Typed { .. })
    }

    /// Whether it uses colours.
    pub fn has_colours(self) -> bool {
        self == Self::Typed { colours: true }
    }
}

/// Replies that are pages of text, shown as they are.
const TEXTS: &[(&str, &[&str])] = &[
    ("INFO", &[]),
    ("LOLWUT", &[]),
    ("DEBUG", &["HTSTATS", "HTSTATS-KEY", "CLIENT-EVICTION"]),
    ("MEMORY", &["MALLOC-STATS", "DOCTOR"]),
    ("CLUSTER", &["NODES", "INFO"]),
    ("CLIENT", &["LIST", "INFO"]),
    ("LATENCY", &["GRAPH", "DOCTOR"]),
    ("PROXY", &["INFO"]),
];

/// Text with control characters but line ends and tabs escaped: a server must not be able to drive the terminal.
pub fn harmless(bytes: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(bytes);
    let drives = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if !text.contains(drives) {
        return text;
    }
    let escaped = |c: char| if drives(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escaped).collect())
}

fn is_page_of_text(words: &[Vec<u8>]) -> bool {
    let word = |index: usize| words.get(index).map_or(&b""[..], Vec::as_slice);
    TEXTS.iter().any(|(command, subcommands)| {
        word(0).eq_ignore_ascii_case(command.as_bytes())
            && (subcommands.is_empty()
                || subcommands.iter().any(|name| word(1).eq_ignore_ascii_case(name.as_bytes())))
    })
}

fn append_raw(out: &mut Vec<u8>, value: &Value, between: &[u8]) {
    match value {
        Value::Null | Value::NullArray => {}
        Value::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Boolean(yes) => out.extend_from_slice(if *yes { b"(true)" } else { b"(false)" }),
        Value::Array(elements) | Value::Set(elements) | Value::Push(elements) => {
            join(out, elements, between, |out, element| append_raw(out, element, between));
        }
        Value::Map(pairs) => join(out, pairs, between, |out, (key, value)| {
            append_raw(out, key, between);
            out.push(b' ');
            append_raw(out, value, between);
        }),
        Value::Attribute(_, value) => append_raw(out, value, between),
        Value::Simple(bytes)
        | Value::Error(bytes)
        | Value::Bulk(bytes)
        | Value::BigNumber(bytes)
        | Value::Double { text: bytes, .. }
        | Value::Verbatim { text: bytes, .. }
        | Value::BlobError(bytes) => out.extend_from_slice(bytes),
    }
}

/// CSV has no maps and no nesting: all becomes one flat list.
fn append_csv(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null | Value::NullArray => out.extend_from_slice(b"NULL"),
        Value::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Boolean(yes) => out.extend_from_slice(if *yes { b"true" } else { b"false" }),
        Value::Error(text) | Value::BlobError(text) => {
            out.extend_from_slice(b"ERROR,");
            out.extend_from_slice(quoted(text).as_bytes());
        }
        Value::Simple(bytes) | Value::Bulk(bytes) | Value::Verbatim { text: bytes, .. } => {
            out.extend_from_slice(quoted(bytes).as_bytes());
        }
        Value::Double { text, .. } | Value::BigNumber(text) => out.extend_from_slice(text),
        Value::Array(elements) | Value::Set(elements) | Value::Push(elements) => {
            join(out, elements, b",", append_csv);
        }
        Value::Map(pairs) => join(out, pairs, b",", |out, (key, value)| {
            append_csv(out, key);
            out.push(b',');
            append_csv(out, value);
        }),
        Value::Attribute(_, value) => append_csv(out, value),
    }
}

/// Appends all elements with `separator` between them.
fn join<T>(out: &mut Vec<u8>, elements: &[T], separator: &[u8], append: impl Fn(&mut Vec<u8>, &T)) {
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(separator);
        }
        append(out, element);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::ReplyReader;

    pub(super) const TYPED: Format = Format::Typed { colours: false };
    const RAW: Format = Format::Raw(Delimiters { between: b"\n", behind: b"\n" });

    pub(super) fn shown(format: Format, wire: &str) -> String {
        let (value, _) = ReplyReader::default().read(wire.as_bytes()).unwrap().unwrap();
        let mut out = Vec::new();
        format.append(&mut out, &value);
        String::from_utf8(out).unwrap()
    }

    const NESTED: &str = "*3\r\n$2\r\na\n\r\n*2\r\n:1\r\n$-1\r\n+OK\r\n";

    #[test]
    fn raw_is_one_value_a_line() {
        assert_eq!(shown(RAW, NESTED), "a\n\n1\n\nOK\n");
        assert_eq!(shown(RAW, "%2\r\n+a\r\n:1\r\n+b\r\n,1.5\r\n"), "a 1\nb 1.5\n");
        let raw = Format::Raw(Delimiters { between: b", ", behind: b"" });
        assert_eq!(shown(raw, NESTED), "a\n, 1, , OK");
        assert_eq!(shown(RAW, "|1\r\n+ttl\r\n:1\r\n$1\r\nx\r\n"), "x\n");
    }

    #[test]
    fn csv_is_one_flat_line() {
        assert_eq!(shown(Format::Csv, NESTED), "\"a\\n\",1,NULL,\"OK\"\n");
        assert_eq!(shown(Format::Csv, "%1\r\n+a\r\n#t\r\n"), "\"a\",true\n");
        assert_eq!(shown(Format::Csv, "-ERR x\r\n"), "ERROR,\"ERR x\"\n");
    }

    #[test]
    fn pages_of_text_are_shown_as_they_are() {
        let mut out = Vec::new();
        let value = Value::Bulk(b"a:1\r\nb:2\r\n".to_vec());
        TYPED.print(&mut out, &[b"info".to_vec()], &value).unwrap();
        assert_eq!(out, b"a:1\r\nb:2\r\n");
        out.clear();
        TYPED.print(&mut out, &[b"client".to_vec(), b"GETNAME".to_vec()], &value).unwrap();
        assert_eq!(out, b"\"a:1\\r\\nb:2\\r\\n\"\n");
    }
}
