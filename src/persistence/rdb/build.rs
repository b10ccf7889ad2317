//! Collections that grow while they are read: as commands would make them, but what comes twice is an error.

use super::{Limits, Problem};
use crate::types::hash::{FieldExpiry, Hash};
use crate::types::list::{End, List};
use crate::types::set::Set;
use crate::types::sorted_set::SortedSet;

/// Adds an element at the right.
pub(super) fn push(list: &mut List, text: &[u8], limits: &Limits) {
    list.push(End::Right, std::iter::once(text), limits.list);
}

/// Adds a member to a set that will have `len` of them; there is no set before the first.
pub(super) fn add_member(
    set: &mut Option<Set>,
    member: &[u8],
    len: usize,
    limits: &Limits,
) -> Result<(), Problem> {
    let limits = limits.for_sets();
    let set = set.get_or_insert_with(|| Set::new(member, len, &limits));
    if set.add(member, &limits) { Ok(()) } else { Err(Problem::Duplicate) }
}

/// Adds a member with its score.
pub(super) fn add_scored(
    set: &mut SortedSet,
    member: &[u8],
    score: f64,
    limits: &Limits,
) -> Result<(), Problem> {
    if score.is_nan() {
        return Err(Problem::Score);
    }
    match set.set(member, score, limits.sorted_set, limits.hash_key) {
        None => Ok(()),
        Some(_) => Err(Problem::Duplicate),
    }
}

/// Adds a field, with an expire time if it has one.
pub(super) fn add_field(
    hash: &mut Hash,
    name: &[u8],
    value: &[u8],
    expire_at_ms: Option<i64>,
    limits: &Limits,
) -> Result<(), Problem> {
    let expiry = match expire_at_ms {
        None => FieldExpiry::Never,
        Some(at_ms) if at_ms > 0 => FieldExpiry::At(at_ms),
        Some(_) => return Err(Problem::FieldExpiry),
    };
    let len = hash.as_ref().len();
    hash.set(name, value, expiry, &limits.for_hashes());
    // What `set` returns is no answer: it takes a field that has expired for one that is not there.
    if hash.as_ref().len() > len { Ok(()) } else { Err(Problem::Duplicate) }
}
