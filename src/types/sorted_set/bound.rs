//! The ends of a range by score (`(1.5`, `+inf`) and by member (`[a`, `(b`, `-`, `+`).

/// One end of a range of scores.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ScoreBound {
    /// The score itself belongs to the range.
    Inclusive(f64),
    /// It does not: `(1.5`.
    Exclusive(f64),
}

impl ScoreBound {
    /// The score.
    pub fn score(self) -> f64 {
        match self {
            Self::Inclusive(score) | Self::Exclusive(score) => score,
        }
    }

    /// Whether the range that begins here is behind `score`.
    pub fn begins_after(self, score: f64) -> bool {
        match self {
            Self::Inclusive(min) => score < min,
            Self::Exclusive(min) => score <= min,
        }
    }

    /// Whether the range that ends here has not ended before `score`.
    pub fn reaches(self, score: f64) -> bool {
        match self {
            Self::Inclusive(max) => score <= max,
            Self::Exclusive(max) => score < max,
        }
    }
}

/// One end of a range of members, compared as bytes. Ranges by member are for sets in which all scores are equal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LexBound<'a> {
    /// `-`: before every member.
    Min,
    /// `+`: behind every member.
    Max,
    /// `[member`: the member itself belongs to the range.
    Inclusive(&'a [u8]),
    /// `(member`: it does not.
    Exclusive(&'a [u8]),
}

impl LexBound<'_> {
    /// Whether the range that begins here is behind `member`.
    pub fn begins_after(self, member: &[u8]) -> bool {
        match self {
            Self::Min => false,
            Self::Max => true,
            Self::Inclusive(min) => member < min,
            Self::Exclusive(min) => member <= min,
        }
    }

    /// Whether the range that ends here has not ended before `member`.
    pub fn reaches(self, member: &[u8]) -> bool {
        match self {
            Self::Min => false,
            Self::Max => true,
            Self::Inclusive(max) => member <= max,
            Self::Exclusive(max) => member < max,
        }
    }
}
