//! Which members a command is about: by index (`0 -1`), by score (`(1.5 +inf`) or by member (`[a (b`). Every one of them
//! is a range of ranks.

use std::ops::Range;

use crate::commands::CommandError;
use crate::resp::number::{parse_i64, parse_strtod};
use crate::types::sorted_set::{LexBound, ScoreBound, SortedSetRef};

const NOT_A_SCORE_RANGE: CommandError = CommandError::Text("ERR min or max is not a float");
const NOT_A_LEX_RANGE: CommandError =
    CommandError::Text("ERR min or max not valid string range item");

/// What the two arguments of a range are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum By {
    /// Indices, negative ones from the end.
    Index,
    /// Scores.
    Score,
    /// Members, in a set whose scores are all equal.
    Lex,
}

/// A range, from its lower end to its higher one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Selection<'a> {
    /// From one index to another, both included.
    Index(i64, i64),
    /// From one score to another.
    Score(ScoreBound, ScoreBound),
    /// From one member to another.
    Lex(LexBound<'a>, LexBound<'a>),
}

impl<'a> Selection<'a> {
    /// The range from `min` to `max`.
    pub(super) fn parse(by: By, min: &'a [u8], max: &'a [u8]) -> Result<Self, CommandError> {
        let index = |text| parse_i64(text).ok_or(CommandError::NotAnInteger);
        let score = |text| score_bound(text).ok_or(NOT_A_SCORE_RANGE);
        let member = |text| lex_bound(text).ok_or(NOT_A_LEX_RANGE);
        Ok(match by {
            By::Index => Self::Index(index(min)?, index(max)?),
            By::Score => Self::Score(score(min)?, score(max)?),
            By::Lex => Self::Lex(member(min)?, member(max)?),
        })
    }

    /// The ranks of the members selected; with `reverse`, indices count from the highest score down. O(log n).
    pub(super) fn ranks(self, set: SortedSetRef<'_>, reverse: bool) -> Range<usize> {
        match self {
            Self::Index(start, end) => {
                let len = set.len();
                let indices = indices(start, end, len);
                if reverse { len - indices.end..len - indices.start } else { indices }
            }
            Self::Score(min, max) => set.ranks_by_score(min, max),
            Self::Lex(min, max) => set.ranks_by_lex(min, max),
        }
    }
}

/// The indices of `len` members from `start` to `end`; may be empty.
fn indices(start: i64, end: i64, len: usize) -> Range<usize> {
    let from_front = |index: i64| {
        let index = if index < 0 { index.saturating_add_unsigned(len as u64) } else { index };
        usize::try_from(index).ok()
    };
    let Some(end) = from_front(end) else { return 0..0 };
    let end = end.saturating_add(1).min(len);
    let start = from_front(start).unwrap_or(0);
    if start < end { start..end } else { 0..0 }
}

/// `1.5`, or `(1.5` for what is behind it.
fn score_bound(text: &[u8]) -> Option<ScoreBound> {
    match text {
        [b'(', score @ ..] => parse_strtod(score).map(ScoreBound::Exclusive),
        score => parse_strtod(score).map(ScoreBound::Inclusive),
    }
}

/// `[member`, `(member`, `-` or `+`.
fn lex_bound(text: &[u8]) -> Option<LexBound<'_>> {
    match text {
        b"-" => Some(LexBound::Min),
        b"+" => Some(LexBound::Max),
        [b'[', member @ ..] => Some(LexBound::Inclusive(member)),
        [b'(', member @ ..] => Some(LexBound::Exclusive(member)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_indices_count_from_the_end() {
        for (start, end, expected) in [
            (0, -1, 0..5),
            (1, 2, 1..3),
            (-2, -1, 3..5),
            (-100, 100, 0..5),
            (3, 2, 0..0),
            (5, 9, 0..0),
            (0, -6, 0..0),
            (i64::MIN, i64::MAX, 0..5),
            (i64::MAX, i64::MIN, 0..0),
        ] {
            assert_eq!(indices(start, end, 5), expected, "{start} {end}");
        }
        assert_eq!(indices(0, -1, 0), 0..0);
    }

    #[test]
    fn bounds_are_read_as_redis_reads_them() {
        use ScoreBound::{Exclusive, Inclusive};
        for (text, bound) in [
            ("1.5", Some(Inclusive(1.5))),
            ("(1.5", Some(Exclusive(1.5))),
            ("-inf", Some(Inclusive(f64::NEG_INFINITY))),
            ("(+inf", Some(Exclusive(f64::INFINITY))),
            ("", Some(Inclusive(0.0))),
            ("(", Some(Exclusive(0.0))),
            ("nan", None),
            ("((1", None),
            ("x", None),
        ] {
            assert_eq!(score_bound(text.as_bytes()), bound, "{text:?}");
        }
        for (text, bound) in [
            ("-", Some(LexBound::Min)),
            ("+", Some(LexBound::Max)),
            ("[a", Some(LexBound::Inclusive(b"a"))),
            ("(", Some(LexBound::Exclusive(b""))),
            ("", None),
            ("a", None),
            ("--", None),
            ("+1", None),
        ] {
            assert_eq!(lex_bound(text.as_bytes()), bound, "{text:?}");
        }
    }
}
