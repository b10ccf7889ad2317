//! The sorted set with few members: a listpack of members and scores, in order.
//!
//! A score that is a whole number is kept as an integer, any other as the text that `%.17g` prints, so the bytes are
//! those of Redis 7 (`zzlInsertAt`), and what Redis wrote is read.

use std::ops::Range;

use super::bound::{LexBound, ScoreBound};
use crate::resp::number::{format_f64, parse_f64};
use crate::types::listpack::{self, Element, Encoded, Listpack, Position};

/// Whole scores up to here are integers (`double2ll`).
const INTEGER_MAX: f64 = (i64::MAX / 2) as f64;

/// Whether `bytes` are a listpack of at least one pair, in order, with real scores and no member twice. Takes bytes of
/// any origin. O(n log n).
pub fn validate(bytes: &[u8]) -> bool {
    if !listpack::validate(bytes) {
        return false;
    }
    let elements: Vec<Element<'_>> = Listpack::new(bytes).iter().collect();
    let (pairs, []) = elements.as_chunks::<2>() else { return false };
    let mut entries = Vec::with_capacity(pairs.len());
    for [member, score] in pairs {
        let Some(score) = parse_score(*score) else { return false };
        entries.push((score, member.to_vec()));
    }
    let in_order = entries.is_sorted_by(|(score, member), (next_score, next)| {
        score < next_score || score == next_score && member < next
    });
    let mut members: Vec<&[u8]> = entries.iter().map(|(_, member)| member.as_slice()).collect();
    members.sort_unstable();
    in_order && !members.is_empty() && members.windows(2).all(|pair| pair[0] != pair[1])
}

fn parse_score(element: Element<'_>) -> Option<f64> {
    match element {
        Element::Int(score) => Some(score as f64),
        Element::Str(text) => parse_f64(text).filter(|score| !score.is_nan()),
    }
}

fn score_of(element: Element<'_>) -> f64 {
    parse_score(element).expect("the listpack was validated")
}

/// Hands the form a score is written in to `write`.
fn with_encoded<T>(score: f64, write: impl FnOnce(Encoded<'_>) -> T) -> T {
    if score.abs() <= INTEGER_MAX && score.trunc() == score {
        return write(Encoded::from(score as i64));
    }
    write(Encoded::from(&*format_f64(score)))
}

/// The pairs of a listpack, read in place.
#[derive(Clone, Copy)]
pub(super) struct Pairs<'a>(pub(super) Listpack<'a>);

impl<'a> Pairs<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(Listpack::new(bytes))
    }

    /// Number of pairs.
    pub(super) fn len(self) -> usize {
        self.0.len() / 2
    }

    /// The score at the position behind a member's.
    fn score_behind(self, member: Position) -> f64 {
        score_of(self.0.get(self.0.next(member).expect("a score follows each member")))
    }

    /// Where a member is, and its score.
    pub(super) fn find(self, member: &[u8]) -> Option<(Position, f64)> {
        let position = self.0.find(member, 1)?;
        Some((position, self.score_behind(position)))
    }

    /// All pairs in order.
    pub(super) fn iter(self) -> PairsIter<'a> {
        self.range(0..self.len())
    }

    /// The pairs with these ranks.
    pub(super) fn range(self, ranks: Range<usize>) -> PairsIter<'a> {
        let end = ranks.end.min(self.len());
        let start = ranks.start.min(end);
        let from = self.position(start);
        let to = if end == self.len() { self.0.end() } else { self.position(end) };
        PairsIter { front: self.0.iter_from(from), back: self.0.iter_before(to), left: end - start }
    }

    /// Where the pair with a rank begins.
    pub(super) fn position(self, rank: usize) -> Position {
        self.0.seek(2 * rank).unwrap_or(self.0.end())
    }

    /// How many of the first pairs `holds` is true for.
    fn count_while(self, mut holds: impl FnMut(&[u8], f64) -> bool) -> usize {
        let mut buffer = itoa::Buffer::new();
        self.iter().take_while(|(member, score)| holds(member.text(&mut buffer), *score)).count()
    }

    /// The rank of a member.
    pub(super) fn rank(self, member: &[u8]) -> Option<usize> {
        let needle = listpack::Needle::new(member);
        self.iter().position(|(member, _)| needle.matches(member))
    }

    pub(super) fn ranks_by_score(self, min: ScoreBound, max: ScoreBound) -> Range<usize> {
        let start = self.count_while(|_, score| min.begins_after(score));
        start..self.count_while(|_, score| max.reaches(score)).max(start)
    }

    pub(super) fn ranks_by_lex(self, min: LexBound<'_>, max: LexBound<'_>) -> Range<usize> {
        let start = self.count_while(|member, _| min.begins_after(member));
        start..self.count_while(|member, _| max.reaches(member)).max(start)
    }
}

/// The pairs of a range of ranks, from both ends.
pub(super) struct PairsIter<'a> {
    front: listpack::Iter<'a>,
    back: listpack::Iter<'a>,
    left: usize,
}

impl<'a> Iterator for PairsIter<'a> {
    type Item = (Element<'a>, f64);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some((self.front.next()?, score_of(self.front.next()?)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl DoubleEndedIterator for PairsIter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let score = score_of(self.back.next_back()?);
        Some((self.back.next_back()?, score))
    }
}

/// Adds a member that is not there.
pub(super) fn insert(bytes: &mut Vec<u8>, member: &[u8], score: f64) {
    let pairs = Pairs::new(bytes);
    let mut at = pairs.0.first();
    let mut buffer = itoa::Buffer::new();
    while let Some(position) = at {
        let found = pairs.score_behind(position);
        if found > score || found == score && pairs.0.get(position).text(&mut buffer) > member {
            break;
        }
        at = pairs.0.next(position).and_then(|score| pairs.0.next(score));
    }
    let Some(position) = at else { return push(bytes, member, score) };
    // Backwards: what is inserted later at a position comes to stand before what was.
    with_encoded(score, |score| listpack::insert(bytes, position, score));
    listpack::insert(bytes, position, member);
}

/// Adds a member whose place is behind all others.
pub(super) fn push(bytes: &mut Vec<u8>, member: &[u8], score: f64) {
    listpack::append(bytes, member);
    with_encoded(score, |score| listpack::append(bytes, score));
}

/// Removes the pair at a position.
pub(super) fn remove(bytes: &mut Vec<u8>, member: Position) {
    listpack::delete_range(bytes, member, 2);
}

/// Removes the pairs with these ranks.
pub(super) fn remove_range(bytes: &mut Vec<u8>, ranks: Range<usize>) {
    let start = Pairs::new(bytes).position(ranks.start);
    listpack::delete_range(bytes, start, 2 * ranks.len());
}
