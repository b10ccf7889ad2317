//! What `BY` and `GET` name: a string key or a field of a hash for each element, or the element itself.

use crate::keyspace::{Db, StringValue};
use crate::types::hash::Hash;
use crate::types::listpack::Element;

/// A name with a place for the element in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pattern<'a> {
    /// `#`: the element itself.
    Element,
    /// A name without a place for the element. No key is looked up for it.
    Constant,
    /// The string at `before` element `after`, or the field of the hash there.
    Key { before: &'a [u8], after: &'a [u8], field: Option<&'a [u8]> },
}

impl<'a> Pattern<'a> {
    /// Takes `#`, `weight_*`, `object_*->weight`. An arrow with nothing behind it is part of the key's name; signs behind
    /// a zero byte have no meaning, for Redis looks for them in a C string.
    pub fn new(text: &'a [u8]) -> Self {
        let signs = &text[..memchr::memchr(0, text).unwrap_or(text.len())];
        if signs == b"#" {
            return Self::Element;
        }
        let Some(star) = memchr::memchr(b'*', signs) else { return Self::Constant };
        let (before, after) = (&text[..star], &text[star + 1..]);
        let signs = &signs[star + 1..];
        match memchr::memmem::find(signs, b"->").filter(|arrow| arrow + 2 < signs.len()) {
            None => Self::Key { before, after, field: None },
            Some(arrow) => {
                Self::Key { before, after: &after[..arrow], field: Some(&after[arrow + 2..]) }
            }
        }
    }

    /// Whether `BY` this pattern means not to sort.
    pub fn is_constant(&self) -> bool {
        matches!(self, Self::Constant | Self::Element)
    }

    /// The value for an element, if there is one and it is of the right type. O(1).
    pub fn look_up<'d>(&self, db: &'d mut Db<'_>, element: &'d [u8]) -> Option<StringValue<'d>> {
        match *self {
            Self::Element => Some(StringValue::Bytes(element)),
            Self::Constant => None,
            Self::Key { before, after, field } => {
                let slot = db.find_read(&[before, element, after].concat())?;
                let Some(field) = field else { return db.string(slot).ok() };
                let hash = db.collection::<Hash>(slot).ok()?;
                Some(match hash.get(field, db.now_ms())?.value {
                    Element::Int(number) => StringValue::Int(number),
                    Element::Str(text) => StringValue::Bytes(text),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_the_place_and_an_arrow_before_the_end_begins_a_field() {
        let key = |before, after, field| Pattern::Key { before, after, field };
        let cases: [(&[u8], Pattern<'_>); 11] = [
            (b"#", Pattern::Element),
            (b"", Pattern::Constant),
            (b"#a", Pattern::Constant),
            (b"a->b", Pattern::Constant),
            (b"*", key(b"", b"", None)),
            (b"a*b*", key(b"a", b"b*", None)),
            (b"a*->", key(b"a", b"->", None)),
            (b"a*b->c->d", key(b"a", b"b", Some(b"c->d"))),
            (b"a->b*c", key(b"a->b", b"c", None)),
            (b"a\0*", Pattern::Constant),
            (b"*a\0b->c", key(b"", b"a\0b->c", None)),
        ];
        for (text, pattern) in cases {
            assert_eq!(Pattern::new(text), pattern, "{}", text.escape_ascii());
        }
    }
}
