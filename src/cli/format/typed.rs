//! Replies for people: types named, elements numbered, nested ones indented. The layout is that of redis-cli.

use super::harmless;
use crate::config::words::quoted;
use crate::resp::Value;

/// Colours by what is shown (SGR parameters).
#[derive(Clone, Copy)]
enum Colour {
    Index,
    Error,
    Number,
    Absent,
    Key,
}

impl Colour {
    fn parameters(self) -> &'static str {
        match self {
            Self::Index | Self::Absent => "2",
            Self::Error => "31",
            Self::Number => "33",
            Self::Key => "36",
        }
    }
}

/// Appends the reply and a line end.
pub fn append(out: &mut Vec<u8>, value: &Value, colours: bool) {
    Writer { out, colours }.value(value, "");
    out.push(b'\n');
}

struct Writer<'o> {
    out: &'o mut Vec<u8>,
    colours: bool,
}

impl Writer<'_> {
    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn painted(&mut self, colour: Colour, text: &str) {
        if self.colours {
            self.text(&format!("\x1b[{}m{text}\x1b[0m", colour.parameters()));
        } else {
            self.text(text);
        }
    }

    /// Without a line end. `prefix` is what the lines of nested elements begin with; the first continues a line.
    fn value(&mut self, value: &Value, prefix: &str) {
        match value {
            Value::Simple(text) => self.text(&harmless(text)),
            Value::Error(text) | Value::BlobError(text) => {
                self.painted(Colour::Error, &format!("(error) {}", harmless(text)));
            }
            Value::Integer(number) => self.painted(Colour::Number, &format!("(integer) {number}")),
            Value::Double { text, .. } => {
                self.painted(Colour::Number, &format!("(double) {}", harmless(text)));
            }
            Value::BigNumber(text) => {
                self.painted(Colour::Number, &format!("(big number) {}", harmless(text)));
            }
            Value::Boolean(yes) => {
                self.painted(Colour::Number, if *yes { "(true)" } else { "(false)" })
            }
            Value::Bulk(bytes) => self.text(&quoted(bytes)),
            Value::Verbatim { text, .. } => self.text(&harmless(text)),
            Value::Null | Value::NullArray => self.painted(Colour::Absent, "(nil)"),
            Value::Array(elements) => self.elements(elements, ')', "(empty array)", prefix),
            Value::Set(elements) => self.elements(elements, '~', "(empty set)", prefix),
            Value::Push(elements) => self.elements(elements, ')', "(empty push)", prefix),
            Value::Map(pairs) => self.pairs(pairs, '#', prefix),
            Value::Attribute(pairs, value) => {
                self.pairs(pairs, '|', prefix);
                self.line(prefix);
                self.value(value, prefix);
            }
        }
    }

    fn line(&mut self, prefix: &str) {
        self.text("\n");
        self.text(prefix);
    }

    fn elements(&mut self, elements: &[Value], mark: char, empty: &str, prefix: &str) {
        if elements.is_empty() {
            return self.painted(Colour::Absent, empty);
        }
        let digits = digits(elements.len());
        let inner = format!("{prefix}{:1$}", "", digits + 2);
        for (index, element) in elements.iter().enumerate() {
            if index > 0 {
                self.line(prefix);
            }
            self.painted(Colour::Index, &format!("{:digits$}{mark} ", index + 1));
            self.value(element, &inner);
        }
    }

    fn pairs(&mut self, pairs: &[(Value, Value)], mark: char, prefix: &str) {
        if pairs.is_empty() {
            return self.painted(Colour::Absent, "(empty hash)");
        }
        let digits = digits(pairs.len());
        let inner = format!("{prefix}{:1$}", "", digits + 2);
        for (index, (key, value)) in pairs.iter().enumerate() {
            if index > 0 {
                self.line(prefix);
            }
            self.painted(Colour::Index, &format!("{:digits$}{mark} ", index + 1));
            match key {
                Value::Bulk(bytes) => self.painted(Colour::Key, &quoted(bytes)),
                Value::Simple(bytes) => self.painted(Colour::Key, &harmless(bytes)),
                key => self.value(key, &inner),
            }
            self.text(" => ");
            if has_lines(value) {
                self.line(&inner);
            }
            self.value(value, &inner);
        }
    }
}

/// Width of the highest number.
fn digits(len: usize) -> usize {
    len.to_string().len()
}

/// Whether it takes more than one line.
fn has_lines(value: &Value) -> bool {
    match value {
        Value::Array(elements) | Value::Set(elements) | Value::Push(elements) => {
            match elements.as_slice() {
                [] => false,
                [only] => has_lines(only),
                _ => true,
            }
        }
        Value::Map(pairs) => match pairs.as_slice() {
            [] => false,
            [(_, only)] => has_lines(only),
            _ => true,
        },
        Value::Attribute(..) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{TYPED, shown};

    #[test]
    fn every_type_is_named() {
        let cases = [
            ("+OK\r\n", "OK\n"),
            ("-ERR no\r\n", "(error) ERR no\n"),
            (":-5\r\n", "(integer) -5\n"),
            ("$3\r\na\"\x01\r\n", "\"a\\\"\\x01\"\n"),
            ("$-1\r\n", "(nil)\n"),
            ("*0\r\n", "(empty array)\n"),
            ("%0\r\n", "(empty hash)\n"),
            ("~0\r\n", "(empty set)\n"),
            (",inf\r\n", "(double) inf\n"),
            ("#t\r\n", "(true)\n"),
            ("(123456789012345678901\r\n", "(big number) 123456789012345678901\n"),
            ("=6\r\ntxt:hi\r\n", "hi\n"),
        ];
        for (wire, text) in cases {
            assert_eq!(shown(TYPED, wire), text, "{wire}");
        }
    }

    #[test]
    fn nested_elements_are_indented_under_their_number() {
        assert_eq!(
            shown(TYPED, "*2\r\n*2\r\n:1\r\n:2\r\n:3\r\n"),
            "1) 1) (integer) 1\n   2) (integer) 2\n2) (integer) 3\n"
        );
        let ten = format!("*10\r\n{}", ":0\r\n".repeat(10));
        assert!(shown(TYPED, &ten).starts_with(" 1) (integer) 0\n 2) "));
    }

    #[test]
    fn maps_put_values_of_many_lines_below_their_key() {
        let wire = "%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n*2\r\n:2\r\n:3\r\n";
        assert_eq!(
            shown(TYPED, wire),
            "1# \"a\" => (integer) 1\n2# \"b\" => \n   1) (integer) 2\n   2) (integer) 3\n"
        );
        assert_eq!(shown(TYPED, "~1\r\n+x\r\n"), "1~ x\n");
    }

    #[test]
    fn a_server_cannot_drive_the_terminal() {
        assert_eq!(shown(TYPED, "-ERR \x1b]0;x\x07\r\n"), "(error) ERR \\u{1b}]0;x\\u{7}\n");
    }

    #[test]
    fn colours_surround_whole_words() {
        assert_eq!(
            shown(Format::Typed { colours: true }, ":1\r\n"),
            "\x1b[33m(integer) 1\x1b[0m\n"
        );
    }
}
