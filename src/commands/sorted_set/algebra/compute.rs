//! Union, intersection and difference of sorted sets. (The algorithms and their costs are those of Redis's
//! `zunionInterDiffGenericCommand`.)

use std::collections::HashMap;

use super::inputs::{Input, Operand};
use super::options::{Aggregate, or_zero};
use crate::types::listpack::Element;

/// Members with their scores.
pub(super) type Members<'a> = Vec<(Element<'a>, f64)>;

/// The members of any of the inputs, in order. O(n) for n members of all, plus the sorting of the result.
pub(super) fn union<'a>(mut inputs: Vec<Input<'a>>, aggregate: Aggregate) -> Members<'a> {
    smallest_first(&mut inputs);
    let mut scores: HashMap<Element<'a>, f64> = HashMap::new();
    for input in inputs {
        for (member, score) in input.operand.iter() {
            let score = or_zero(input.weight * score);
            scores
                .entry(member.canonical())
                .and_modify(|sum| *sum = aggregate.join(*sum, score))
                .or_insert(score);
        }
    }
    in_order(scores.into_iter().collect())
}

/// The members of all inputs, in order. O(n * inputs) for n members of the smallest, plus the sorting of the result.
pub(super) fn intersection(inputs: Vec<Input<'_>>, aggregate: Aggregate) -> Members<'_> {
    let mut members = Vec::new();
    for_each_common(inputs, aggregate, |member, score| {
        members.push((member, score));
        true
    });
    in_order(members)
}

/// How many members all inputs have, but no more than `limit`; 0 is no limit. O(n * inputs) for n members of the smallest.
pub(super) fn count_common(inputs: Vec<Input<'_>>, limit: usize) -> usize {
    let mut count = 0;
    for_each_common(inputs, Aggregate::Sum, |_, _| {
        count += 1;
        count != limit
    });
    count
}

/// Calls `emit` with the members that all inputs have, until it returns false.
fn for_each_common<'a>(
    mut inputs: Vec<Input<'a>>,
    aggregate: Aggregate,
    mut emit: impl FnMut(Element<'a>, f64) -> bool,
) {
    smallest_first(&mut inputs);
    let [smallest, others @ ..] = &inputs[..] else { return };
    let mut buffer = itoa::Buffer::new();
    for (member, score) in smallest.operand.iter() {
        let text = member.text(&mut buffer);
        let joined = others.iter().try_fold(or_zero(smallest.weight * score), |joined, other| {
            let score = other.operand.score(text)?;
            Some(aggregate.join(joined, score * other.weight))
        });
        if joined.is_some_and(|score| !emit(member, score)) {
            return;
        }
    }
}

/// So that the sums of floats are those of Redis, equally long ones stay as they came.
fn smallest_first(inputs: &mut [Input<'_>]) {
    inputs.sort_by_key(|input| input.operand.len());
}

/// The members of the first input that are in none of the others, in order. O(n * inputs) for n members of the first or
/// O(members of all), whichever is less, plus the sorting of the result.
pub(super) fn difference<'a>(inputs: &[Input<'a>]) -> Members<'a> {
    let [first, others @ ..] = inputs else { return Vec::new() };
    let first = first.operand;
    let mut others: Vec<Operand<'a>> = others.iter().map(|input| input.operand).collect();
    // The longer, the likelier to have a member: the search ends sooner.
    others.sort_by_key(|other| std::cmp::Reverse(other.len()));
    let all: usize = inputs.iter().map(|input| input.operand.len()).sum();
    // Searching has an advantage: it ends with the first hit, and builds nothing.
    if first.len().saturating_mul(inputs.len()) / 2 <= all {
        in_order(search_in_others(first, &others))
    } else {
        in_order(take_others_out(first, &others))
    }
}

fn search_in_others<'a>(first: Operand<'a>, others: &[Operand<'a>]) -> Members<'a> {
    let mut buffer = itoa::Buffer::new();
    let mut members = Vec::new();
    for (member, score) in first.iter() {
        let text = member.text(&mut buffer);
        if others.iter().all(|other| other.score(text).is_none()) {
            members.push((member, score));
        }
    }
    members
}

fn take_others_out<'a>(first: Operand<'a>, others: &[Operand<'a>]) -> Members<'a> {
    let mut left: HashMap<Element<'a>, f64> =
        first.iter().map(|(member, score)| (member.canonical(), score)).collect();
    for other in others {
        if left.is_empty() {
            break;
        }
        for (member, _) in other.iter() {
            left.remove(&member.canonical());
        }
    }
    left.into_iter().collect()
}

/// Sorts by score, and by member where scores are equal. O(n) for what is sorted already.
fn in_order(mut members: Members<'_>) -> Members<'_> {
    members.sort_unstable_by(|(one, score), (other, other_score)| {
        let by_score = score.partial_cmp(other_score).expect("scores are never NaN");
        by_score.then_with(|| one.compare(*other))
    });
    members
}
