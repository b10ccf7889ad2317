//! Intersection, union and difference of sets, whose results are passed on member by member.
//!
//! What is remembered on the way is only what later members have to be compared with, and the largest set never is.

use std::cmp::Reverse;

use crate::commands::Ctx;
use crate::dict::Slot;
use crate::keyspace::{Db, WrongType};
use crate::types::listpack::Element;
use crate::types::set::{Set, SetLimits, SetRef};

/// What is made of several sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operation {
    /// What is in all of them.
    Intersection,
    /// What is in any of them.
    Union,
    /// What is in the first and in none of the others.
    Difference,
}

/// Where the sets at `keys` are; `None` where there is none.
pub(super) fn find_sets<'k>(
    ctx: &mut Ctx<'_>,
    keys: impl Iterator<Item = &'k [u8]> + Clone,
) -> Result<Vec<Option<Slot>>, WrongType> {
    let keys_before = ctx.db.database().len();
    let mut slots: Vec<_> = keys.clone().map(|key| ctx.db.find_read(key)).collect();
    if ctx.db.database().len() != keys_before {
        // A key was due and is removed, which has moved slots.
        slots = keys.map(|key| ctx.db.find(key)).collect();
    }
    for &slot in slots.iter().flatten() {
        ctx.db.collection::<Set>(slot)?;
    }
    Ok(slots)
}

/// Sets that are not known to give an empty result.
pub(super) struct Operands<'a> {
    operation: Operation,
    /// The set that members of the result are looked for in first: the smallest, the largest, or the first one.
    base: SetRef<'a>,
    /// None of them is `base` again.
    others: Vec<SetRef<'a>>,
}

impl<'a> Operands<'a> {
    /// The sets that `find_sets` has found, in the order in which they are best looked at. `None`: the result is empty.
    pub(super) fn new(
        db: &'a Db<'_>,
        operation: Operation,
        slots: &[Option<Slot>],
    ) -> Option<Self> {
        let set = |slot| db.collection::<Set>(slot).expect("the types were checked");
        let found = || slots.iter().copied().flatten();
        let base = match operation {
            Operation::Intersection if slots.contains(&None) => return None,
            Operation::Intersection => found().min_by_key(|&slot| set(slot).len())?,
            // Backwards, because of equals the last one is taken.
            Operation::Union => found().rev().max_by_key(|&slot| set(slot).len())?,
            Operation::Difference if slots[1..].contains(&slots[0]) => return None,
            Operation::Difference => slots[0]?,
        };
        let mut others: Vec<_> = found().filter(|&slot| slot != base).map(set).collect();
        match operation {
            Operation::Intersection => others.sort_by_key(|set| set.len()),
            Operation::Union => {}
            Operation::Difference => others.sort_by_key(|set| Reverse(set.len())),
        }
        Some(Self { operation, base: set(base), others })
    }

    /// Calls `emit` with each member of the result once, for as long as it returns true.
    pub(super) fn each(&self, limits: &SetLimits, emit: impl FnMut(Element<'a>) -> bool) {
        match self.operation {
            Operation::Intersection => self.each_common(emit),
            Operation::Union => self.each_of_any(limits, emit),
            Operation::Difference => self.each_remaining(limits, emit),
        }
    }

    /// O(smallest set * sets).
    fn each_common(&self, mut emit: impl FnMut(Element<'a>) -> bool) {
        let is_common = |&member: &_| self.others.iter().all(|set| set.contains_element(member));
        let _ = self.base.iter().filter(is_common).all(&mut emit);
    }

    /// O(members of all sets).
    fn each_of_any(&self, limits: &SetLimits, mut emit: impl FnMut(Element<'a>) -> bool) {
        if !self.base.iter().all(&mut emit) {
            return;
        }
        let mut seen = Members::new(limits);
        for (number, set) in self.others.iter().enumerate() {
            let is_last = number + 1 == self.others.len();
            let mut is_new = |&member: &_| {
                !self.base.contains_element(member)
                    && if is_last { !seen.contains(member) } else { seen.add(member) }
            };
            if !set.iter().filter(&mut is_new).all(&mut emit) {
                return;
            }
        }
    }

    /// Redis's two ways: asking all others for each member of the first set, O(first set * sets), is cheaper per step and
    /// ends early; with many sets beside a big one it is better to go through them once, O(members of all sets).
    fn each_remaining(&self, limits: &SetLimits, mut emit: impl FnMut(Element<'a>) -> bool) {
        let asked = self.base.len().saturating_mul(self.others.len() + 1) / 2;
        let gone_through = self.base.len() + self.others.iter().map(|set| set.len()).sum::<usize>();
        if asked <= gone_through {
            let remains = |&member: &_| !self.others.iter().any(|set| set.contains_element(member));
            let _ = self.base.iter().filter(remains).all(&mut emit);
            return;
        }
        let mut removed = Members::new(limits);
        for member in self.others.iter().flat_map(|set| set.iter()) {
            if self.base.contains_element(member)
                && removed.add(member)
                && removed.len == self.base.len()
            {
                return;
            }
        }
        let _ = self.base.iter().filter(|&member| !removed.contains(member)).all(&mut emit);
    }
}

/// A set that is being built, of any members.
pub(super) struct Members<'l> {
    set: Option<Set>,
    len: usize,
    limits: &'l SetLimits,
}

impl<'l> Members<'l> {
    /// Without members.
    pub(super) fn new(limits: &'l SetLimits) -> Self {
        Self { set: None, len: 0, limits }
    }

    /// Adds a member. Returns whether it is new. O(1).
    pub(super) fn add(&mut self, member: Element<'_>) -> bool {
        let mut buffer = itoa::Buffer::new();
        let text = member.text(&mut buffer);
        let set = self.set.get_or_insert_with(|| Set::new(text, 1, self.limits));
        let is_new = set.add(text, self.limits);
        self.len += usize::from(is_new);
        is_new
    }

    fn contains(&self, member: Element<'_>) -> bool {
        self.set.as_ref().is_some_and(|set| set.as_ref().contains_element(member))
    }

    /// How many there are, and the set, if there are any.
    pub(super) fn finish(self) -> (usize, Option<Set>) {
        (self.len, self.set)
    }
}
