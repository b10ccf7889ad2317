//! Inline requests, what a person types into telnet: words, and words in quotes (the rules of Redis's
//! `sdssplitargs`). Finding the end of the line is left to `request`.

use super::args::Span;
use super::request::ProtocolError;

/// Splits a line into arguments: their decoded bytes are appended to `decoded`, and one span of it per argument to
/// `spans`. `"..."` knows `\n \r \t \b \a \xHH` and `\` before any other byte, `'...'` knows `\'`. A quote may open
/// in the middle of a word, but a closing quote must end it. A NUL ends the line. Linear.
pub fn split_args(
    line: &[u8],
    decoded: &mut Vec<u8>,
    spans: &mut Vec<Span>,
) -> Result<(), ProtocolError> {
    let end = memchr::memchr(0, line).unwrap_or(line.len());
    let mut rest = &line[..end];
    loop {
        rest = skip_spaces(rest);
        if rest.is_empty() {
            return Ok(());
        }
        let start = decoded.len();
        rest = split_word(rest, decoded)?;
        spans.push(Span { start, len: decoded.len() - start });
    }
}

/// Decodes one argument; the result is what follows it.
fn split_word<'a>(mut rest: &'a [u8], decoded: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        match rest {
            [] | [b' ' | b'\n' | b'\r' | b'\t', ..] => return Ok(rest),
            [b'"', quoted @ ..] => return closed(split_double_quoted(quoted, decoded)?),
            [b'\'', quoted @ ..] => return closed(split_single_quoted(quoted, decoded)?),
            [byte, after @ ..] => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
}

fn split_double_quoted<'a>(
    mut rest: &'a [u8],
    decoded: &mut Vec<u8>,
) -> Result<&'a [u8], ProtocolError> {
    loop {
        let (byte, after) = match rest {
            [] => return Err(ProtocolError::UnbalancedQuotes),
            [b'"', after @ ..] => return Ok(after),
            [b'\\', b'x', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (hex_digit(*high) << 4 | hex_digit(*low), after)
            }
            [b'\\', escaped, after @ ..] => (unescape(*escaped), after),
            [byte, after @ ..] => (*byte, after),
        };
        decoded.push(byte);
        rest = after;
    }
}

fn split_single_quoted<'a>(
    mut rest: &'a [u8],
    decoded: &mut Vec<u8>,
) -> Result<&'a [u8], ProtocolError> {
    loop {
        let (byte, after) = match rest {
            [] => return Err(ProtocolError::UnbalancedQuotes),
            [b'\\', b'\'', after @ ..] => (b'\'', after),
            [b'\'', after @ ..] => return Ok(after),
            [byte, after @ ..] => (*byte, after),
        };
        decoded.push(byte);
        rest = after;
    }
}

/// What follows a closing quote, which must be a space or nothing.
fn closed(rest: &[u8]) -> Result<&[u8], ProtocolError> {
    match rest {
        [byte, ..] if !is_space(*byte) => Err(ProtocolError::UnbalancedQuotes),
        _ => Ok(rest),
    }
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn hex_digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => (byte | 0x20) - b'a' + 10,
    }
}

fn skip_spaces(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|byte| is_space(**byte)).count();
    &text[spaces..]
}

/// C's `isspace`: ASCII whitespace and the vertical tab.
fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
        let (mut decoded, mut spans) = (b"left alone".to_vec(), Vec::new());
        split_args(line, &mut decoded, &mut spans).ok()?;
        Some(spans.iter().map(|span| decoded[span.start..span.start + span.len].to_vec()).collect())
    }

    #[test]
    fn words_and_quotes_are_split_as_by_sdssplitargs() {
        let cases: &[(&[u8], &[&[u8]])] = &[
            (b"", &[]),
            (b" \t\x0b\x0c\r ", &[]),
            (b"PING", &[b"PING"]),
            (b"  set  key\tvalue ", &[b"set", b"key", b"value"]),
            (b"set \"\" ''", &[b"set", b"", b""]),
            (b"a\"b c\"", &[b"ab c"]),
            (b"\"a\"\x0b'b'", &[b"a", b"b"]),
            (b"PING\x0b", &[b"PING\x0b"]),
            (b"\x0bPING", &[b"PING"]),
            (br#""\n\r\t\b\a\\\"\q""#, &[b"\n\r\t\x08\x07\\\"q"]),
            (br#""\x41\xfF\xzz\x4""#, &[b"A\xffxzzx4"]),
            (br"'it\'s \n \x41'", &[br"it's \n \x41"]),
            (b"a\\nb", &[b"a\\nb"]),
            (b"\xff\xfe", &[b"\xff\xfe"]),
            (b"\0", &[]),
            (b"PING\0'", &[b"PING"]),
        ];
        for &(line, words) in cases {
            assert_eq!(split(line).unwrap(), words, "{line:?}");
        }
    }

    #[test]
    fn p09_unbalanced_quotes_are_refused() {
        let cases: [&[u8]; 9] = [
            b"set \"\" \"a",
            b"set \"a\"b c",
            b"set 'a",
            b"set 'a'b",
            b"\"",
            b"'",
            b"\"a\\",
            b"\"a\\\"",
            b"'a\\'",
        ];
        for line in cases {
            assert_eq!(split(line), None, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn a_quoted_argument_is_read_back(words in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..5)) {
            let quoted: Vec<String> = words
                .iter()
                .map(|word| format!("\"{}\"", word.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>()))
                .collect();
            prop_assert_eq!(split(quoted.join(" ").as_bytes()), Some(words));
        }

        #[test]
        fn arbitrary_lines_do_not_grow(line in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Some(words) = split(&line) {
                prop_assert!(words.concat().len() <= line.len());
            }
        }
    }
}
