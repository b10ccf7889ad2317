//! Values that are one string: a listpack or intset that is kept as it is, or an older form that is taken apart.
//!
//! As in Redis, a packed form with more entries than its limit allows becomes what commands would have made of it; how
//! long its entries are does not matter.

use super::build::{add_field, add_member, add_scored, push};
use super::format::PackedForm;
use super::ziplist::Ziplist;
use super::zipmap::Zipmap;
use super::{Limits, Problem, Value};
use crate::resp::number::parse_f64;
use crate::types::hash::{self, Hash};
use crate::types::intset::{self, Intset};
use crate::types::list::List;
use crate::types::listpack::{self, Element, Listpack};
use crate::types::set::{self, Set};
use crate::types::sorted_set::{self, SortedSet};

/// More than what an entry of a listpack takes beside its text.
const ENTRY_OVERHEAD: usize = 16;

/// The value that a string holds.
pub(super) fn unpack(form: PackedForm, bytes: Vec<u8>, limits: &Limits) -> Result<Value, Problem> {
    Ok(match form {
        PackedForm::ListZiplist => Value::List(list_of_ziplist(&bytes, limits)?),
        PackedForm::SetIntset => Value::Set(intset_set(bytes, limits)?),
        PackedForm::SetListpack => Value::Set(listpack_set(bytes, limits)?),
        PackedForm::SortedSetZiplist => Value::SortedSet(sorted_set_of_ziplist(&bytes, limits)?),
        PackedForm::SortedSetListpack => Value::SortedSet(sorted_set(bytes, limits)?),
        PackedForm::HashZipmap => Value::Hash(hash_of_zipmap(&bytes, limits)?),
        PackedForm::HashZiplist => Value::Hash(hash_of_ziplist(&bytes, limits)?),
        PackedForm::HashListpack => Value::Hash(hash_of_pairs(bytes, limits)?),
        PackedForm::HashListpackEx { .. } => Value::Hash(hash_of_triples(bytes, limits)?),
    })
}

/// Refuses a listpack that its type cannot have.
fn check_listpack(bytes: &[u8], validate: impl Fn(&[u8]) -> bool) -> Result<(), Problem> {
    match validate(bytes) {
        true => Ok(()),
        false if *bytes == *listpack::new() => Err(Problem::Empty),
        false => Err(Problem::Listpack),
    }
}

fn ziplist(bytes: &[u8]) -> Result<Ziplist<'_>, Problem> {
    Ziplist::new(bytes).ok_or(Problem::Ziplist)
}

/// The elements of a ziplist, two and two.
fn pairs(bytes: &[u8]) -> Result<Vec<[Element<'_>; 2]>, Problem> {
    let elements: Vec<Element<'_>> = ziplist(bytes)?.iter().collect();
    match elements.as_chunks() {
        ([], []) => Err(Problem::Empty),
        (pairs, []) => Ok(pairs.to_vec()),
        _ => Err(Problem::Ziplist),
    }
}

fn list_of_ziplist(bytes: &[u8], limits: &Limits) -> Result<List, Problem> {
    let (mut list, mut buffer) = (List::default(), itoa::Buffer::new());
    for element in ziplist(bytes)?.iter() {
        push(&mut list, element.text(&mut buffer), limits);
    }
    if list.is_empty() { Err(Problem::Empty) } else { Ok(list) }
}

/// The listpack with the elements of a ziplist.
pub(super) fn listpack_of_ziplist(bytes: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut packed = listpack::new();
    for element in ziplist(bytes)?.iter() {
        if !listpack::safe_to_add(packed.len(), element.text_len() + ENTRY_OVERHEAD) {
            return Err(Problem::Ziplist);
        }
        listpack::append(&mut packed, element);
    }
    Ok(packed)
}

fn intset_set(bytes: Vec<u8>, limits: &Limits) -> Result<Set, Problem> {
    if !intset::validate(&bytes) {
        return Err(Problem::Intset);
    }
    let len = Intset::new(&bytes).len();
    let set = Set::Intset(bytes);
    if len <= limits.set_intset_entries { Ok(set) } else { remade_set(&set, limits) }
}

fn listpack_set(bytes: Vec<u8>, limits: &Limits) -> Result<Set, Problem> {
    check_listpack(&bytes, set::validate_packed)?;
    let len = Listpack::new(&bytes).len();
    let set = Set::Packed(bytes);
    if len <= limits.set.entries { Ok(set) } else { remade_set(&set, limits) }
}

fn remade_set(set: &Set, limits: &Limits) -> Result<Set, Problem> {
    let (len, mut remade, mut buffer) = (set.as_ref().len(), None, itoa::Buffer::new());
    for member in set.as_ref().iter() {
        add_member(&mut remade, member.text(&mut buffer), len, limits)?;
    }
    remade.ok_or(Problem::Empty)
}

fn new_sorted_set(len: usize, limits: &Limits) -> SortedSet {
    SortedSet::new(len, 0, limits.sorted_set, limits.hash_key)
}

fn sorted_set_of_ziplist(bytes: &[u8], limits: &Limits) -> Result<SortedSet, Problem> {
    let pairs = pairs(bytes)?;
    let (mut set, mut buffer) = (new_sorted_set(pairs.len(), limits), itoa::Buffer::new());
    for [member, score] in pairs {
        let score = match score {
            Element::Int(number) => number as f64,
            Element::Str(text) => parse_f64(text).ok_or(Problem::Score)?,
        };
        add_scored(&mut set, member.text(&mut buffer), score, limits)?;
    }
    Ok(set)
}

fn sorted_set(bytes: Vec<u8>, limits: &Limits) -> Result<SortedSet, Problem> {
    check_listpack(&bytes, sorted_set::validate)?;
    let packed = SortedSet::Packed(bytes);
    let len = packed.as_ref().len();
    if len <= limits.sorted_set.entries {
        return Ok(packed);
    }
    let (mut set, mut buffer) = (new_sorted_set(len, limits), itoa::Buffer::new());
    for (member, score) in packed.as_ref().iter() {
        add_scored(&mut set, member.text(&mut buffer), score, limits)?;
    }
    Ok(set)
}

fn hash_of_zipmap(bytes: &[u8], limits: &Limits) -> Result<Hash, Problem> {
    let mut hash = Hash::new();
    for (name, value) in Zipmap::new(bytes).ok_or(Problem::Zipmap)?.iter() {
        add_field(&mut hash, name, value, None, limits)?;
    }
    if hash.as_ref().is_empty() { Err(Problem::Empty) } else { Ok(hash) }
}

fn hash_of_ziplist(bytes: &[u8], limits: &Limits) -> Result<Hash, Problem> {
    let (mut hash, mut buffers) = (Hash::new(), [itoa::Buffer::new(); 2]);
    let [name_buffer, value_buffer] = &mut buffers;
    for [name, value] in pairs(bytes)? {
        add_field(&mut hash, name.text(name_buffer), value.text(value_buffer), None, limits)?;
    }
    Ok(hash)
}

fn hash_of_pairs(bytes: Vec<u8>, limits: &Limits) -> Result<Hash, Problem> {
    check_listpack(&bytes, hash::validate_packed)?;
    within_limits(Hash::Packed(bytes), limits)
}

fn hash_of_triples(bytes: Vec<u8>, limits: &Limits) -> Result<Hash, Problem> {
    check_listpack(&bytes, hash::validate_packed_ex)?;
    within_limits(Hash::PackedEx(bytes), limits)
}

fn within_limits(hash: Hash, limits: &Limits) -> Result<Hash, Problem> {
    if hash.as_ref().len() <= limits.hash.entries {
        return Ok(hash);
    }
    let (mut remade, mut buffers) = (Hash::new(), [itoa::Buffer::new(); 2]);
    let [name_buffer, value_buffer] = &mut buffers;
    for field in hash.as_ref().iter_all() {
        let (name, value) = (field.name.text(name_buffer), field.value.text(value_buffer));
        add_field(&mut remade, name, value, field.expire_at_ms, limits)?;
    }
    Ok(remade)
}
