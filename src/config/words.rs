//! Words of a configuration line: splitting with quotes, and the quoted form that splits back to the same bytes.
//!
//! The rules are those of Redis's `sdssplitargs` and `sdscatrepr`. What a word means is not known here.

/// Splits a line into words. `"..."` knows `\n \r \t \b \a \xHH \\ \"`, `'...'` only `\'`; a closing quote must end its word.
///
/// `None`: the quotes do not balance. O(length of the line).
pub fn split_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let mut word = Vec::new();
        rest = take_word(rest, &mut word)?.trim_ascii_start();
        words.push(word);
    }
    Some(words)
}

/// Reads one word into `word`, returns what follows it. A quote may open in the middle of a word, as in `a"b c"`.
fn take_word<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] | [0, ..] => return Some(&[]),
            [b' ' | b'\n' | b'\r' | b'\t', ..] => return Some(rest),
            [b'"', tail @ ..] => return end_of_quotes(take_double_quoted(tail, word)?),
            [b'\'', tail @ ..] => return end_of_quotes(take_single_quoted(tail, word)?),
            [byte, tail @ ..] => {
                word.push(*byte);
                rest = tail;
            }
        }
    }
}

fn take_double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [] => return None,
            [b'"', tail @ ..] => return Some(tail),
            [b'\\', b'x', high, low, tail @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(hex_digit(*high) << 4 | hex_digit(*low));
                tail
            }
            [b'\\', escaped, tail @ ..] => {
                word.push(unescape(*escaped));
                tail
            }
            [byte, tail @ ..] => {
                word.push(*byte);
                tail
            }
        };
    }
}

fn take_single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [] => return None,
            [b'\'', tail @ ..] => return Some(tail),
            [b'\\', b'\'', tail @ ..] => {
                word.push(b'\'');
                tail
            }
            [byte, tail @ ..] => {
                word.push(*byte);
                tail
            }
        };
    }
}

fn end_of_quotes(rest: &[u8]) -> Option<&[u8]> {
    rest.first().is_none_or(u8::is_ascii_whitespace).then_some(rest)
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    }
}

fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// The bytes in double quotes, printable ASCII only, so that [`split_words`] gives them back.
pub fn quoted(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            7 => out.push_str("\\a"),
            8 => out.push_str("\\b"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_split_like_sdssplitargs() {
        let cases: &[(&str, Option<&[&[u8]]>)] = &[
            ("", Some(&[])),
            ("  port \t 6379 ", Some(&[b"port", b"6379"])),
            (r#"save """#, Some(&[b"save", b""])),
            (r#"a "b \"c\" \x41\xfF\n\q" d"#, Some(&[b"a", b"b \"c\" A\xff\nq", b"d"])),
            (r"a 'b \' \n'", Some(&[b"a", br"b ' \n"])),
            (r#"pre"fix x""#, Some(&[b"prefix x"])),
            (r#"a "b"c"#, None),
            (r#"a "b"#, None),
            (r#"a "b\"#, None),
            ("a 'b", None),
            (r#""\xg1""#, Some(&[b"xg1"])),
        ];
        for (line, want) in cases {
            let want = want.map(|words| words.iter().map(|w| w.to_vec()).collect::<Vec<_>>());
            assert_eq!(split_words(line.as_bytes()), want, "{line}");
        }
    }

    #[test]
    fn quoted_bytes_split_back_to_themselves() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(split_words(quoted(&all).as_bytes()), Some(vec![all]));
        assert_eq!(quoted(b"a\"\x1b\n"), r#""a\"\x1b\n""#);
    }
}
