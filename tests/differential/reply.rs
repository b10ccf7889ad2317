//! One RESP2 or RESP3 reply, read from a socket and printed for people.
//!
//! Written apart from the server's own reply code, because a test that reads with the code under test would share its
//! mistakes. Lengths must be in canonical decimal form, so two equal [`Reply`] values mean equal bytes on the wire.
//! Source: the RESP specification (redis.io/docs/reference/protocol-spec).

use std::fmt;
use std::io::{self, BufRead};

/// A reply as the wire has it; `kind` is always its type byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reply {
    /// `+ - : , # (`: one line of text.
    Line { kind: u8, text: Vec<u8> },
    /// `$ = !`: text with a length in front.
    Bulk { kind: u8, text: Vec<u8> },
    /// `* ~ % >`: replies in a row (for a map: key, value, key, value).
    Aggregate { kind: u8, items: Vec<Reply> },
    /// `$-1`, `*-1` and `_`: three ways to say nothing.
    Nil { kind: u8 },
}

impl Reply {
    /// Reads one reply. `UnexpectedEof` when the peer has closed, `InvalidData` when the bytes are not RESP.
    pub fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let line = read_line(from)?;
        let (&kind, text) = line.split_first().ok_or_else(|| malformed("empty line"))?;
        match kind {
            b'+' | b'-' | b':' | b',' | b'#' | b'(' => Ok(Self::Line { kind, text: text.to_vec() }),
            b'_' if text.is_empty() => Ok(Self::Nil { kind }),
            b'$' | b'*' if text == b"-1" => Ok(Self::Nil { kind }),
            b'$' | b'=' | b'!' => Ok(Self::Bulk { kind, text: read_bulk(from, length(text)?)? }),
            b'*' | b'~' | b'>' => {
                Ok(Self::Aggregate { kind, items: read_items(from, length(text)?)? })
            }
            b'%' => Ok(Self::Aggregate { kind, items: read_items(from, 2 * length(text)?)? }),
            _ => Err(malformed(&format!("not a reply: {}", line.escape_ascii()))),
        }
    }

    /// Whether the command was refused.
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Line { kind: b'-', .. } | Self::Bulk { kind: b'!', .. })
    }

    /// The text of a line or a bulk.
    pub fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Line { text, .. } | Self::Bulk { text, .. } => Some(text),
            Self::Aggregate { .. } | Self::Nil { .. } => None,
        }
    }

    /// The value of an integer reply.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Line { kind: b':', text } => std::str::from_utf8(text).ok()?.parse().ok(),
            _ => None,
        }
    }

    /// The items of an aggregate; none for all other replies.
    pub fn items(&self) -> &[Reply] {
        match self {
            Self::Aggregate { items, .. } => items,
            _ => &[],
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { kind, text } => write!(f, "{}{}", char::from(*kind), text.escape_ascii()),
            Self::Bulk { kind, text } => write!(f, "{}{}", char::from(*kind), quoted(text)),
            Self::Nil { kind: b'_' } => f.write_str("_"),
            Self::Nil { kind } => write!(f, "{}-1", char::from(*kind)),
            Self::Aggregate { kind, items } => {
                write!(f, "{}[", char::from(*kind))?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { " " })?;
                }
                f.write_str("]")
            }
        }
    }
}

/// The longest text that is printed whole.
const PRINTED_BYTES_MAX: usize = 120;

/// `text` in double quotes with escapes; a long one is cut and its length given.
pub fn quoted(text: &[u8]) -> String {
    match text.get(..PRINTED_BYTES_MAX) {
        Some(head) if text.len() > PRINTED_BYTES_MAX => {
            format!("\"{}\"... ({} bytes)", head.escape_ascii(), text.len())
        }
        _ => format!("\"{}\"", text.escape_ascii()),
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// One line without its CRLF.
fn read_line(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line)?;
    match line.strip_suffix(b"\r\n") {
        Some(text) => Ok(text.to_vec()),
        None if line.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
        None => Err(malformed(&format!("line without CRLF: {}", line.escape_ascii()))),
    }
}

fn length(text: &[u8]) -> io::Result<usize> {
    let number: Option<usize> = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number
        .filter(|number| number.to_string().as_bytes() == text)
        .ok_or_else(|| malformed(&format!("bad length: {}", text.escape_ascii())))
}

fn read_bulk(from: &mut impl BufRead, length: usize) -> io::Result<Vec<u8>> {
    let mut text = vec![0; length + 2];
    from.read_exact(&mut text)?;
    if !text.ends_with(b"\r\n") {
        return Err(malformed(&format!("bulk of {length} bytes without CRLF after it")));
    }
    text.truncate(length);
    Ok(text)
}

fn read_items(from: &mut impl BufRead, count: usize) -> io::Result<Vec<Reply>> {
    (0..count).map(|_| Reply::read(from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut bytes: &[u8]) -> io::Result<Reply> {
        Reply::read(&mut bytes)
    }

    #[test]
    fn every_type_is_read_and_printed() {
        let cases: [(&[u8], &str); 8] = [
            (b"+OK\r\n", "+OK"),
            (b"-ERR no\r\n", "-ERR no"),
            (b":-3\r\n", ":-3"),
            (b"$3\r\na\r\n\r\n", "$\"a\\r\\n\""),
            (b"*2\r\n$-1\r\n*0\r\n", "*[$-1 *[]]"),
            (b"%1\r\n+a\r\n,1.5\r\n", "%[+a ,1.5]"),
            (b"~1\r\n#t\r\n", "~[#t]"),
            (b"_\r\n", "_"),
        ];
        for (bytes, printed) in cases {
            assert_eq!(read(bytes).unwrap().to_string(), printed);
        }
    }

    #[test]
    fn what_is_not_in_canonical_form_is_no_reply() {
        for bytes in
            [&b"$01\r\na\r\n"[..], b"*-2\r\n", b"$1\r\nab\r\n", b"+OK\n", b"OK\r\n", b"%x\r\n"]
        {
            assert_eq!(
                read(bytes).unwrap_err().kind(),
                io::ErrorKind::InvalidData,
                "{}",
                bytes.escape_ascii()
            );
        }
        assert_eq!(read(b"").unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
