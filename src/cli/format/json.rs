//! Replies as JSON, one value a line. As redis-cli writes it, but always valid: an error is an object with one member `error`,
//! infinities are strings, and bytes that are no UTF-8 become the characters of the same number (Latin-1).

use super::join;
use crate::resp::Value;

/// Appends the reply; in ASCII, if so wanted.
pub fn append(out: &mut Vec<u8>, value: &Value, ascii: bool) {
    match value {
        Value::Null | Value::NullArray => out.extend_from_slice(b"null"),
        Value::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Boolean(yes) => out.extend_from_slice(if *yes { b"true" } else { b"false" }),
        Value::Double { value, text } if value.is_finite() => append_number(out, text, ascii),
        Value::BigNumber(text) => append_number(out, text, ascii),
        Value::Double { text, .. } => append_string(out, text, ascii),
        Value::Simple(bytes) | Value::Bulk(bytes) | Value::Verbatim { text: bytes, .. } => {
            append_string(out, bytes, ascii);
        }
        Value::Error(text) | Value::BlobError(text) => {
            out.extend_from_slice(b"{\"error\":");
            append_string(out, text, ascii);
            out.push(b'}');
        }
        Value::Array(elements) | Value::Set(elements) | Value::Push(elements) => {
            out.push(b'[');
            join(out, elements, b",", |out, element| append(out, element, ascii));
            out.push(b']');
        }
        Value::Map(pairs) => {
            out.push(b'{');
            join(out, pairs, b",", |out, (key, value)| {
                append_name(out, key, ascii);
                out.push(b':');
                append(out, value, ascii);
            });
            out.push(b'}');
        }
        Value::Attribute(_, value) => append(out, value, ascii),
    }
}

/// Names of members are strings, whatever the key is.
fn append_name(out: &mut Vec<u8>, key: &Value, ascii: bool) {
    if let Some(bytes) = key.as_bytes() {
        return append_string(out, bytes, ascii);
    }
    let mut text = Vec::new();
    append(&mut text, key, ascii);
    append_string(out, &text, ascii);
}

/// RESP allows a plus sign and a bare dot or exponent where JSON does not: what is no JSON number becomes a string.
fn append_number(out: &mut Vec<u8>, text: &[u8], ascii: bool) {
    if is_json_number(text) { out.extend_from_slice(text) } else { append_string(out, text, ascii) }
}

fn is_json_number(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let (integer, rest) = leading_digits(text);
    if integer == 0 || (integer > 1 && text[0] == b'0') {
        return false;
    }
    let rest = match rest.strip_prefix(b".").map(leading_digits) {
        None => rest,
        Some((0, _)) => return false,
        Some((_, rest)) => rest,
    };
    match rest {
        [] => true,
        [b'e' | b'E', exponent @ ..] => {
            let digits =
                exponent.strip_prefix(b"-").or(exponent.strip_prefix(b"+")).unwrap_or(exponent);
            matches!(leading_digits(digits), (1.., []))
        }
        _ => false,
    }
}

fn leading_digits(text: &[u8]) -> (usize, &[u8]) {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count, &text[count..])
}

fn append_string(out: &mut Vec<u8>, bytes: &[u8], ascii: bool) {
    out.push(b'"');
    match std::str::from_utf8(bytes) {
        Ok(text) => text.chars().for_each(|c| append_char(out, c, ascii)),
        Err(_) => bytes.iter().for_each(|&byte| append_char(out, char::from(byte), ascii)),
    }
    out.push(b'"');
}

fn append_char(out: &mut Vec<u8>, c: char, ascii: bool) {
    match c {
        '"' | '\\' => out.extend([b'\\', c as u8]),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\u{8}' => out.extend_from_slice(b"\\b"),
        '\u{c}' => out.extend_from_slice(b"\\f"),
        '\0'..='\u{1f}' => out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes()),
        c if ascii && !(' '..='~').contains(&c) => {
            // Beyond 16 bits there are two of them, as in JSON's JavaScript.
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
            }
        }
        c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::shown;
    use super::*;

    #[test]
    fn every_reply_is_one_valid_json_value() {
        let cases = [
            ("*3\r\n$2\r\na\n\r\n:1\r\n$-1\r\n", "[\"a\\n\",1,null]\n"),
            ("%2\r\n$1\r\na\r\n#t\r\n:1\r\n,1.5\r\n", "{\"a\":true,\"1\":1.5}\n"),
            ("%1\r\n*1\r\n+a\r\n:1\r\n", "{\"[\\\"a\\\"]\":1}\n"),
            ("-ERR \"x\"\r\n", "{\"error\":\"ERR \\\"x\\\"\"}\n"),
            (",inf\r\n", "\"inf\"\n"),
            (",1e5\r\n", "1e5\n"),
            ("(+123\r\n", "\"+123\"\n"),
            ("$3\r\n\x01\x7f\x0c\r\n", "\"\\u0001\x7f\\f\"\n"),
            ("$2\r\né\r\n", "\"é\"\n"),
        ];
        for (wire, json) in cases {
            assert_eq!(shown(Format::Json { ascii: false }, wire), json, "{wire}");
        }
    }

    #[test]
    fn ascii_is_enough_for_every_character() {
        let ascii = Format::Json { ascii: true };
        assert_eq!(shown(ascii, "$7\r\né\x7f🦀\r\n"), "\"\\u00e9\\u007f\\ud83e\\udd80\"\n");
        assert_eq!(shown(ascii, "*1\r\n%1\r\n+é\r\n:1\r\n"), "[{\"\\u00e9\":1}]\n");
    }

    #[test]
    fn bytes_that_are_no_text_keep_their_numbers() {
        let mut out = Vec::new();
        append(&mut out, &Value::Bulk(vec![b'a', 0xff]), false);
        assert_eq!(out, "\"aÿ\"".as_bytes());
    }

    #[test]
    fn only_what_json_calls_a_number_is_one() {
        for text in ["0", "-1.5", "1e+5", "10", "0.5E-3"] {
            assert!(is_json_number(text.as_bytes()), "{text}");
        }
        for text in ["", "-", "+1", "01", "1.", ".5", "1e", "1e+", "nan", "1x"] {
            assert!(!is_json_number(text.as_bytes()), "{text}");
        }
    }
}
