//! The order of elements: what each of them weighs, and how weights compare.

use std::cmp::Ordering;
use std::ops::Range;

use super::options::Options;
use crate::commands::CommandError;
use crate::keyspace::{Db, StringValue};
use crate::resp::Args;
use crate::resp::number::parse_f64;

const NO_SCORE: CommandError =
    CommandError::Text("ERR One or more scores can't be converted into double");

/// An element by its number, with what it weighs.
pub(super) struct Item {
    pub number: usize,
    weight: Weight,
}

enum Weight {
    /// Texts: the element counts, or it has no weight and comes before all that have one.
    None,
    Score(f64),
    Text(Vec<u8>),
}

/// The numbers of the elements with their weights.
pub(super) fn weigh(
    db: &mut Db<'_>,
    elements: &Args<'_>,
    options: &Options<'_>,
) -> Result<Vec<Item>, CommandError> {
    let weight = |element: &[u8]| {
        let Some(by) = &options.by else {
            return if options.alpha {
                Ok(Weight::None)
            } else {
                score(element).map(Weight::Score)
            };
        };
        Ok(match (by.look_up(db, element), options.alpha) {
            (None, true) => Weight::None,
            (None, false) => Weight::Score(0.0),
            (Some(value), true) => Weight::Text(value.to_vec()),
            (Some(StringValue::Int(number)), false) => Weight::Score(number as f64),
            (Some(value), false) => Weight::Score(score(value.bytes(&mut itoa::Buffer::new()))?),
        })
    };
    let weights = elements.iter().map(weight).enumerate();
    weights.map(|(number, weight)| Ok(Item { number, weight: weight? })).collect()
}

/// A number as `strtod` reads it from a C string: spaces before it are skipped, no text at all is 0. As in Redis, what is
/// not a number to its end, too large, or too small to be exact is refused.
fn score(text: &[u8]) -> Result<f64, CommandError> {
    let text = &text[..memchr::memchr(0, text).unwrap_or(text.len())];
    if text.is_empty() {
        return Ok(0.0);
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let spaces = text.iter().take_while(|byte| is_space(byte)).count();
    parse_f64(&text[spaces..]).filter(|score| !score.is_subnormal()).ok_or(NO_SCORE)
}

/// Puts into their places those items that will be in `window` when all are sorted. O(items + window * log(window)).
pub(super) fn sort(
    items: &mut [Item],
    window: Range<usize>,
    elements: &Args<'_>,
    options: &Options<'_>,
) {
    if window.is_empty() {
        return;
    }
    let compare = |a: &Item, b: &Item| compare(a, b, elements, options);
    let mut items = items;
    if window.end < items.len() {
        items.select_nth_unstable_by(window.end - 1, compare);
        items = &mut items[..window.end];
    }
    if window.start > 0 {
        items.select_nth_unstable_by(window.start, compare);
    }
    items[window.start..].sort_unstable_by(compare);
}

fn compare(a: &Item, b: &Item, elements: &Args<'_>, options: &Options<'_>) -> Ordering {
    let by_element = || elements.bytes(a.number).cmp(elements.bytes(b.number));
    let ordering = match (&a.weight, &b.weight) {
        (Weight::Score(a), Weight::Score(b)) => {
            a.partial_cmp(b).expect("NaN is no score").then_with(by_element)
        }
        (Weight::Text(a), Weight::Text(b)) => a.cmp(b),
        (Weight::None, Weight::None) if options.by.is_none() => by_element(),
        (Weight::None, Weight::None) => Ordering::Equal,
        (Weight::None, _) => Ordering::Less,
        (_, _) => Ordering::Greater,
    };
    let ordering = if options.descending { ordering.reverse() } else { ordering };
    // What is equal stays in its order, so that the result does not depend on how it is sorted.
    ordering.then(a.number.cmp(&b.number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_read_as_by_strtod() {
        let refused = ["x", "1x", "1 ", " ", "nan", "1e400", "1e-400", "1e-320", "0x"];
        for text in refused {
            assert_eq!(score(text.as_bytes()), Err(NO_SCORE), "{text:?}");
        }
        let read = [
            ("", 0.0),
            ("\t\r 2", 2.0),
            ("1\0x", 1.0),
            ("0x10", 16.0),
            ("-inf", f64::NEG_INFINITY),
            ("1.5e3", 1500.0),
        ];
        for (text, value) in read {
            assert_eq!(score(text.as_bytes()), Ok(value), "{text:?}");
        }
    }
}
