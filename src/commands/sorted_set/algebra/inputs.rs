//! What the algebra works on: sorted sets, and sets, whose members all have score 1.

use crate::commands::CommandError;
use crate::keyspace::{Db, ValueRef};
use crate::types::listpack::Element;
use crate::types::set::SetRef;
use crate::types::sorted_set::SortedSetRef;

/// One operand.
#[derive(Clone, Copy)]
pub(super) enum Operand<'a> {
    /// The key is not there.
    Missing,
    /// A set.
    Set(SetRef<'a>),
    /// A sorted set.
    SortedSet(SortedSetRef<'a>),
}

/// One operand, and what its scores are multiplied by.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    pub(super) operand: Operand<'a>,
    pub(super) weight: f64,
}

/// The operands with these keys, all of weight 1. Counts hits, misses and accesses.
pub(super) fn find<'a, 'k>(
    db: &'a mut Db<'_>,
    keys: impl Iterator<Item = &'k [u8]> + Clone,
) -> Result<Vec<Input<'a>>, CommandError> {
    // First all keys are accessed, which may find some that are due, and then all stay where they are.
    for key in keys.clone() {
        db.find_read(key);
    }
    let slots: Vec<_> = keys.map(|key| db.find(key)).collect();
    let (db, mut inputs) = (&*db, Vec::with_capacity(slots.len()));
    for slot in slots {
        let operand = match slot.map(|slot| db.database().value(db.database().entry(slot))) {
            None => Operand::Missing,
            Some(ValueRef::Set(set)) => Operand::Set(set),
            Some(ValueRef::SortedSet(set)) => Operand::SortedSet(set),
            Some(_) => return Err(CommandError::WrongType),
        };
        inputs.push(Input { operand, weight: 1.0 });
    }
    Ok(inputs)
}

impl<'a> Operand<'a> {
    /// Number of members. O(1).
    pub(super) fn len(self) -> usize {
        match self {
            Self::Missing => 0,
            Self::Set(set) => set.len(),
            Self::SortedSet(set) => set.len(),
        }
    }

    /// A member's score. O(1).
    pub(super) fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Missing => None,
            Self::Set(set) => set.contains(member).then_some(1.0),
            Self::SortedSet(set) => set.score(member),
        }
    }

    /// All members with their scores.
    pub(super) fn iter(self) -> Box<dyn Iterator<Item = (Element<'a>, f64)> + 'a> {
        match self {
            Self::Missing => Box::new(std::iter::empty()),
            Self::Set(set) => Box::new(set.iter().map(|member| (member, 1.0))),
            Self::SortedSet(set) => Box::new(set.iter()),
        }
    }
}
