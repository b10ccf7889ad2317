//! What `SCAN`, `SSCAN`, `HSCAN` and `ZSCAN` have in common: cursor, options, and when a call has done enough.

use super::CommandError;
use crate::glob::Pattern;
use crate::resp::Args;
use crate::resp::number::parse_i64;

/// Elements looked at in a call that does not say how many.
const COUNT_DEFAULT: u64 = 10;
/// A sparse table may have this many buckets per element asked for; a call that finds no more there ends early.
const STEPS_PER_ELEMENT: u64 = 10;

/// The cursor in an argument: what C's `strtoul` reads. A sign and leading zeros are allowed, minus counts down from
/// 2^64, nothing is 0.
pub fn parse_cursor(text: &[u8]) -> Result<u64, CommandError> {
    cursor_of(text).ok_or(CommandError::Text("ERR invalid cursor"))
}

fn cursor_of(text: &[u8]) -> Option<u64> {
    let (is_negative, digits) = match text {
        [] => return Some(0),
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let magnitude = digits.iter().try_fold(0u64, |value, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })?;
    Some(if is_negative { magnitude.wrapping_neg() } else { magnitude })
}

/// How many elements a call looks at, and which of them it returns.
pub struct ScanOptions<'a> {
    count: u64,
    pattern: Option<Pattern>,
    /// The name of a type, where keys are scanned; no key has one that is unknown.
    pub kind: Option<&'a [u8]>,
    /// Where a hash or a sorted set is scanned: fields without their values, members without their scores.
    pub no_values: bool,
}

/// What is scanned: some options have a meaning for one of them only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Keys,
    Hash,
    Set,
    SortedSet,
}

impl<'a> ScanOptions<'a> {
    /// The options of `SCAN`.
    pub fn of_keys(options: Args<'a>) -> Result<Self, CommandError> {
        Self::parse(options, Of::Keys)
    }

    /// The options of `HSCAN`.
    pub fn of_hash(options: Args<'a>) -> Result<Self, CommandError> {
        Self::parse(options, Of::Hash)
    }

    /// The options of `SSCAN`.
    pub fn of_set(options: Args<'a>) -> Result<Self, CommandError> {
        Self::parse(options, Of::Set)
    }

    /// The options of `ZSCAN`.
    pub fn of_sorted_set(options: Args<'a>) -> Result<Self, CommandError> {
        Self::parse(options, Of::SortedSet)
    }

    fn parse(mut rest: Args<'a>, of: Of) -> Result<Self, CommandError> {
        let no_values: Option<&[u8]> = match of {
            Of::Keys | Of::Set => None,
            Of::Hash => Some(b"novalues"),
            Of::SortedSet => Some(b"noscores"),
        };
        let mut options =
            Self { count: COUNT_DEFAULT, pattern: None, kind: None, no_values: false };
        while !rest.is_empty() {
            if no_values.is_some_and(|word| rest.bytes(0).eq_ignore_ascii_case(word)) {
                options.no_values = true;
                rest = rest.tail(1);
                continue;
            }
            let value = rest.get(1).ok_or(CommandError::Syntax)?;
            match rest.bytes(0).to_ascii_lowercase().as_slice() {
                b"count" => {
                    let count = parse_i64(value).ok_or(CommandError::NotAnInteger)?;
                    options.count = u64::try_from(count)
                        .ok()
                        .filter(|&count| count > 0)
                        .ok_or(CommandError::Syntax)?;
                }
                b"match" => options.pattern = Some(Pattern::new(value)),
                b"type" if of == Of::Keys => options.kind = Some(value),
                _ => return Err(CommandError::Syntax),
            }
            rest = rest.tail(2);
        }
        options.pattern = options.pattern.filter(|pattern| !pattern.is_star());
        Ok(options)
    }

    /// Whether an element with this name is returned, as far as `MATCH` says.
    pub fn matches(&self, name: &[u8]) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.matches(name))
    }

    /// Takes steps from `cursor` until there are enough elements, and returns the next cursor. `step` takes one and
    /// returns its next cursor and how many elements it has looked at.
    pub fn run(&self, mut cursor: u64, mut step: impl FnMut(u64) -> (u64, u64)) -> u64 {
        let mut seen = 0;
        for _ in 0..=self.count.saturating_mul(STEPS_PER_ELEMENT) {
            let (next, more) = step(cursor);
            (cursor, seen) = (next, seen + more);
            if cursor == 0 || seen >= self.count {
                break;
            }
        }
        cursor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_what_strtoul_reads() {
        for (text, cursor) in [
            ("0", Some(0)),
            ("", Some(0)),
            ("007", Some(7)),
            ("+5", Some(5)),
            ("-1", Some(u64::MAX)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-18446744073709551615", Some(1)),
            (" 0", None),
            ("0x", None),
            ("+", None),
            ("-", None),
            ("+-1", None),
        ] {
            assert_eq!(cursor_of(text.as_bytes()), cursor, "{text:?}");
        }
    }
}
