//! The hash with few fields: a listpack of fields and values, or of fields, values and expire times.
//!
//! Both are the bytes of Redis: pairs (`listpack`), since 7.4 also triples (`listpackex`). In triples an expire time of 0
//! means never, and they are in the order of their expire times with those that never expire last, so what expires first
//! comes first. Order and form stay as they are when the last expire time has gone.

use super::field::{Field, FieldExpiry, is_expired};
use crate::types::listpack::{self, Element, Listpack, Position};

/// The expire time of a field that never expires.
const NEVER: i64 = 0;

/// How many elements make an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    Pairs = 2,
    Triples = 3,
}

/// The entries of a listpack, read in place.
#[derive(Clone, Copy)]
pub(super) struct Entries<'a> {
    packed: Listpack<'a>,
    form: Form,
}

/// Whether `bytes` are a listpack of at least one entry, with sound expire times in order, and no field twice. Takes
/// bytes of any origin. O(n log n).
pub(super) fn validate(bytes: &[u8], form: Form) -> bool {
    if !listpack::validate(bytes) {
        return false;
    }
    let elements: Vec<Element<'_>> = Listpack::new(bytes).iter().collect();
    let entries = elements.chunks_exact(form as usize);
    if elements.is_empty() || !entries.remainder().is_empty() {
        return false;
    }
    let (mut names, mut expire_times) = (Vec::new(), Vec::new());
    for entry in entries {
        names.push(entry[0].to_vec());
        match entry.get(2) {
            None | Some(Element::Int(NEVER)) => expire_times.push(i64::MAX),
            Some(Element::Int(at_ms)) if *at_ms > 0 => expire_times.push(*at_ms),
            Some(_) => return false,
        }
    }
    names.sort_unstable();
    names.windows(2).all(|pair| pair[0] != pair[1]) && expire_times.is_sorted()
}

fn expire_time(element: Element<'_>) -> Option<i64> {
    match element {
        Element::Int(NEVER) | Element::Str(_) => None,
        Element::Int(at_ms) => Some(at_ms),
    }
}

impl<'a> Entries<'a> {
    pub(super) fn new(bytes: &'a [u8], form: Form) -> Self {
        Self { packed: Listpack::new(bytes), form }
    }

    /// Number of entries, expired ones included.
    pub(super) fn len(self) -> usize {
        self.packed.len() / self.form as usize
    }

    /// Where an entry with this name begins.
    fn find(self, name: &[u8]) -> Option<Position> {
        self.packed.find(name, self.form as usize - 1)
    }

    /// The entry with this name.
    #[inline]
    pub(super) fn get(self, name: &[u8]) -> Option<Field<'a>> {
        self.find(name).map(|position| self.at(position))
    }

    #[inline]
    fn at(self, position: Position) -> Field<'a> {
        read(&mut self.packed.iter_from(position), self.form).expect("an entry begins there")
    }

    /// The entry with this index.
    pub(super) fn nth(self, index: usize) -> Option<Field<'a>> {
        self.packed.seek(index * self.form as usize).map(|position| self.at(position))
    }

    /// All entries, in order.
    pub(super) fn iter(self) -> impl Iterator<Item = Field<'a>> {
        let mut elements = self.packed.iter();
        std::iter::from_fn(move || read(&mut elements, self.form))
    }

    /// Where one with this expire time belongs: before those with the same, as in Redis.
    fn place(self, expire_at_ms: Option<i64>) -> Position {
        let Some(at_ms) = expire_at_ms else { return self.packed.end() };
        let later = |field: &Field<'_>| field.expire_at_ms.is_none_or(|other_ms| other_ms >= at_ms);
        let index = self.iter().position(|field| later(&field));
        index
            .and_then(|index| self.packed.seek(index * self.form as usize))
            .unwrap_or(self.packed.end())
    }
}

/// The next entry of a listpack.
#[inline]
fn read<'a>(elements: &mut listpack::Iter<'a>, form: Form) -> Option<Field<'a>> {
    let (name, value) = (elements.next()?, elements.next()?);
    let expire_at_ms = match form {
        Form::Pairs => None,
        Form::Triples => expire_time(elements.next()?),
    };
    Some(Field { name, value, expire_at_ms })
}

/// Sets a field; an expire time needs triples. Returns whether it is new, or what was there had expired.
pub(super) fn set(
    bytes: &mut Vec<u8>,
    form: Form,
    name: &[u8],
    value: &[u8],
    expiry: FieldExpiry,
    now_ms: i64,
) -> bool {
    let entries = Entries::new(bytes, form);
    let Some(position) = entries.find(name) else {
        insert(bytes, form, name, value, expiry.after(None));
        return true;
    };
    let old_ms = entries.at(position).expire_at_ms;
    let was_expired = is_expired(old_ms, now_ms);
    let new_ms = expiry.after(if was_expired { None } else { old_ms });
    if new_ms == old_ms {
        let value_at = entries.packed.next(position).expect("a value follows each field");
        listpack::replace(bytes, value_at, value);
    } else {
        listpack::delete_range(bytes, position, form as usize);
        insert(bytes, form, name, value, new_ms);
    }
    was_expired
}

/// Adds an entry that is not there.
fn insert(bytes: &mut Vec<u8>, form: Form, name: &[u8], value: &[u8], expire_at_ms: Option<i64>) {
    let place = Entries::new(bytes, form).place(expire_at_ms);
    // Backwards: what is inserted later at a position comes to stand before what was.
    if form == Form::Triples {
        listpack::insert(bytes, place, expire_at_ms.unwrap_or(NEVER));
    }
    listpack::insert(bytes, place, value);
    listpack::insert(bytes, place, name);
}

/// Sets or takes away the expire time of a field in triples. Returns whether the field is there and has not expired.
pub(super) fn set_expire(
    bytes: &mut Vec<u8>,
    name: &[u8],
    expire_at_ms: Option<i64>,
    now_ms: i64,
) -> bool {
    let entries = Entries::new(bytes, Form::Triples);
    let Some(position) = entries.find(name) else { return false };
    let field = entries.at(position);
    if field.is_expired(now_ms) {
        return false;
    }
    if field.expire_at_ms != expire_at_ms {
        let value = field.value.to_vec();
        listpack::delete_range(bytes, position, Form::Triples as usize);
        insert(bytes, Form::Triples, name, &value, expire_at_ms);
    }
    true
}

/// Removes a field. Returns whether it was there and had not expired.
pub(super) fn remove(bytes: &mut Vec<u8>, form: Form, name: &[u8], now_ms: i64) -> bool {
    let entries = Entries::new(bytes, form);
    let Some(position) = entries.find(name) else { return false };
    let was_expired = entries.at(position).is_expired(now_ms);
    listpack::delete_range(bytes, position, form as usize);
    !was_expired
}

/// Removes up to `count_max` expired fields, which `removed` sees before, from triples. Returns how many.
pub(super) fn remove_expired(
    bytes: &mut Vec<u8>,
    now_ms: i64,
    count_max: usize,
    removed: impl FnMut(Field<'_>),
) -> usize {
    let entries = Entries::new(bytes, Form::Triples);
    let due = || entries.iter().take_while(|field| field.is_expired(now_ms)).take(count_max);
    let count = due().count();
    due().for_each(removed);
    if let Some(first) = entries.packed.first() {
        listpack::delete_range(bytes, first, count * Form::Triples as usize);
    }
    count
}

/// Pairs made into triples of fields that never expire.
pub(super) fn to_triples(pairs: &[u8]) -> Vec<u8> {
    let mut triples = listpack::new();
    for field in Entries::new(pairs, Form::Pairs).iter() {
        listpack::append(&mut triples, field.name);
        listpack::append(&mut triples, field.value);
        listpack::append(&mut triples, NEVER);
    }
    triples
}
