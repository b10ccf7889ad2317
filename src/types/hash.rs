//! Hashes: fields with a value each, and perhaps an expire time.
//!
//! Few short fields are a listpack of pairs, and of triples once one of them has had an expire time; more are a
//! [`FieldTable`]. An expired field stays until someone removes it ([`Hash::remove_expired`]), and reads, which are given
//! the time, do not see it. Arithmetic on values is for the commands.

mod field;
mod field_table;
mod packed;

pub use field::{Field, FieldExpiry};
pub use field_table::{FieldTable, read as field_of};

use super::either::Either;
use super::limits::PackedLimits;
use super::listpack;
use super::table::{HashKey, Sweep, below, sample_in_order};
use packed::{Entries, Form};

/// Random fields that may turn out to be expired before all others are looked at.
const RANDOM_TRIES: usize = 16;
/// The sweep of a hash without expire times.
const NOTHING_TO_SWEEP: Sweep = Sweep { removed: 0, steps: 0, round_finished: true };

/// What a hash has to know to change: its limits, the secret of a table's hash function, and the time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashLimits {
    /// `hash-max-listpack-entries` and `-value`.
    pub packed: PackedLimits,
    /// For tables.
    pub hash_key: HashKey,
    /// Unix milliseconds.
    pub now_ms: i64,
}

/// A hash, to be changed.
#[derive(Clone, Debug)]
pub enum Hash {
    /// A listpack of fields and values.
    Packed(Vec<u8>),
    /// A listpack of fields, values and expire times.
    PackedEx(Vec<u8>),
    /// A hash table.
    Table(Box<FieldTable>),
}

/// A hash, to be read.
#[derive(Clone, Copy, Debug)]
pub enum HashRef<'a> {
    /// A listpack of fields and values.
    Packed(&'a [u8]),
    /// A listpack of fields, values and expire times.
    PackedEx(&'a [u8]),
    /// A hash table.
    Table(&'a FieldTable),
}

/// Whether `bytes` can be a [`Hash::Packed`]. Takes bytes of any origin. O(n log n).
pub fn validate_packed(bytes: &[u8]) -> bool {
    packed::validate(bytes, Form::Pairs)
}

/// Whether `bytes` can be a [`Hash::PackedEx`]. Takes bytes of any origin. O(n log n).
pub fn validate_packed_ex(bytes: &[u8]) -> bool {
    packed::validate(bytes, Form::Triples)
}

impl Default for Hash {
    fn default() -> Self {
        Self::new()
    }
}

impl Hash {
    /// A hash without fields.
    pub fn new() -> Self {
        Self::Packed(listpack::new())
    }

    /// To read it.
    pub fn as_ref(&self) -> HashRef<'_> {
        match self {
            Self::Packed(bytes) => HashRef::Packed(bytes),
            Self::PackedEx(bytes) => HashRef::PackedEx(bytes),
            Self::Table(table) => HashRef::Table(table),
        }
    }

    /// Sets a field. Returns whether it is new; one that had expired counts as new. O(1).
    pub fn set(
        &mut self,
        name: &[u8],
        value: &[u8],
        expiry: FieldExpiry,
        limits: &HashLimits,
    ) -> bool {
        if let Some(bytes) = self.packed_bytes() {
            let fits = name.len().max(value.len()) <= limits.packed.value_bytes
                && listpack::safe_to_add(bytes, name.len().saturating_add(value.len()));
            if !fits {
                self.unpack(limits);
            } else if matches!(expiry, FieldExpiry::At(_)) {
                self.make_room_for_expire_times();
            }
        }
        let is_new = match self {
            Self::Packed(bytes) => {
                packed::set(bytes, Form::Pairs, name, value, expiry, limits.now_ms)
            }
            Self::PackedEx(bytes) => {
                packed::set(bytes, Form::Triples, name, value, expiry, limits.now_ms)
            }
            Self::Table(table) => return table.set(name, value, expiry, limits.now_ms),
        };
        if is_new && self.as_ref().len() > limits.packed.entries {
            self.unpack(limits);
        }
        is_new
    }

    /// Length of the listpack, if it is one.
    fn packed_bytes(&self) -> Option<usize> {
        match self {
            Self::Packed(bytes) | Self::PackedEx(bytes) => Some(bytes.len()),
            Self::Table(_) => None,
        }
    }

    fn make_room_for_expire_times(&mut self) {
        if let Self::Packed(bytes) = self {
            *self = Self::PackedEx(packed::to_triples(bytes));
        }
    }

    /// Makes it a table. Fields that have expired come along: whoever removes them has to tell others.
    fn unpack(&mut self, limits: &HashLimits) {
        let mut table = Box::new(FieldTable::new(limits.hash_key, limits.now_ms));
        let (mut name, mut value) = (itoa::Buffer::new(), itoa::Buffer::new());
        for field in self.as_ref().iter_all() {
            let expiry = field.expire_at_ms.map_or(FieldExpiry::Never, FieldExpiry::At);
            let (name, value) = (field.name.text(&mut name), field.value.text(&mut value));
            table.set(name, value, expiry, limits.now_ms);
        }
        *self = Self::Table(table);
    }

    /// Sets the expire time of a field, in Unix milliseconds, or takes it away. Returns whether the field is there and
    /// has not expired. A time that has passed makes it expired; deleting it is for the caller. O(1).
    pub fn set_expire(&mut self, name: &[u8], expire_at_ms: Option<i64>, now_ms: i64) -> bool {
        if let Self::Packed(bytes) = self {
            let is_there = Entries::new(bytes, Form::Pairs).get(name).is_some();
            if !is_there || expire_at_ms.is_none() {
                return is_there;
            }
            self.make_room_for_expire_times();
        }
        match self {
            Self::Packed(_) => unreachable!("there is room for expire times"),
            Self::PackedEx(bytes) => packed::set_expire(bytes, name, expire_at_ms, now_ms),
            Self::Table(table) => table.set_expire(name, expire_at_ms, now_ms),
        }
    }

    /// Removes a field. Returns whether it was there; one that had expired was not. O(1).
    pub fn remove(&mut self, name: &[u8], now_ms: i64) -> bool {
        match self {
            Self::Packed(bytes) => packed::remove(bytes, Form::Pairs, name, now_ms),
            Self::PackedEx(bytes) => packed::remove(bytes, Form::Triples, name, now_ms),
            Self::Table(table) => table.remove(name, now_ms),
        }
    }

    /// Removes a field if it has expired. Returns whether it did. O(1).
    pub fn remove_if_expired(&mut self, name: &[u8], now_ms: i64) -> bool {
        self.as_ref().is_expired(name, now_ms) && !self.remove(name, now_ms)
    }

    /// Removes fields that have expired, which `removed` sees before. Takes up to `steps_max` steps, each a field of a
    /// listpack or a bucket of a table with about 7, and goes on from there the next time. A table gives a field up to
    /// 16 ms more.
    pub fn remove_expired(
        &mut self,
        now_ms: i64,
        steps_max: usize,
        removed: impl FnMut(Field<'_>),
    ) -> Sweep {
        match self {
            Self::Packed(_) => NOTHING_TO_SWEEP,
            Self::PackedEx(bytes) => {
                let count = packed::remove_expired(bytes, now_ms, steps_max, removed);
                Sweep { removed: count, steps: count, round_finished: count < steps_max }
            }
            Self::Table(table) if table.expiring() == 0 => NOTHING_TO_SWEEP,
            Self::Table(table) => table.remove_expired(now_ms, steps_max, removed),
        }
    }

    /// Frees a hash that nobody will use again in steps of up to `steps_max` pages of 64 KiB, and returns true when it
    /// is empty.
    pub fn drop_step(&mut self, steps_max: usize) -> bool {
        match self {
            Self::Packed(bytes) | Self::PackedEx(bytes) => {
                *bytes = Vec::new();
                true
            }
            Self::Table(table) => table.drop_step(steps_max),
        }
    }

    /// Heap memory. O(1).
    pub fn memory_bytes(&self) -> usize {
        match self {
            Self::Packed(bytes) | Self::PackedEx(bytes) => bytes.capacity(),
            Self::Table(table) => size_of::<FieldTable>() + table.memory_bytes(),
        }
    }
}

impl<'a> HashRef<'a> {
    /// Redis's name for the form. Before 7.4 `listpackex` did not exist.
    pub fn encoding(self) -> &'static str {
        match self {
            Self::Packed(_) => "listpack",
            Self::PackedEx(_) => "listpackex",
            Self::Table(_) => "hashtable",
        }
    }

    /// The entries of either kind of listpack, or the table.
    #[inline]
    fn form(self) -> Either<Entries<'a>, &'a FieldTable> {
        match self {
            Self::Packed(bytes) => Either::Packed(Entries::new(bytes, Form::Pairs)),
            Self::PackedEx(bytes) => Either::Packed(Entries::new(bytes, Form::Triples)),
            Self::Table(table) => Either::Big(table),
        }
    }

    /// Number of fields, those included that have expired and were not removed yet (HLEN). O(1).
    pub fn len(self) -> usize {
        match self.form() {
            Either::Packed(entries) => entries.len(),
            Either::Big(table) => table.len(),
        }
    }

    /// True without fields.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Number of fields that have not expired. O(1) if none has, else O(n).
    pub fn len_unexpired(self, now_ms: i64) -> usize {
        match self.next_expiry_ms() {
            Some(at_ms) if at_ms < now_ms => self.iter(now_ms).count(),
            _ => self.len(),
        }
    }

    /// A time in Unix milliseconds that no field expires before; `None` if none does. Exact for a listpack; for a table
    /// it may be too early until [`Hash::remove_expired`] has made its round. O(1), a table O(n / 4,000).
    pub fn next_expiry_ms(self) -> Option<i64> {
        match self.form() {
            Either::Packed(entries) => entries.nth(0)?.expire_at_ms,
            Either::Big(table) => table.earliest_expiry_ms(),
        }
    }

    /// A field; `None` if it is not there or has expired. O(1).
    #[inline]
    pub fn get(self, name: &[u8], now_ms: i64) -> Option<Field<'a>> {
        self.field(name).filter(|field| !field.is_expired(now_ms))
    }

    /// A field, expired or not.
    #[inline]
    fn field(self, name: &[u8]) -> Option<Field<'a>> {
        match self.form() {
            Either::Packed(entries) => entries.get(name),
            Either::Big(table) => table.get(name),
        }
    }

    /// Whether a field is still there although it has expired. O(1), and hardly anything without expire times.
    #[inline]
    pub fn is_expired(self, name: &[u8], now_ms: i64) -> bool {
        self.may_have_expired(now_ms)
            && self.field(name).is_some_and(|field| field.is_expired(now_ms))
    }

    /// False if surely no field has expired. O(1).
    #[inline]
    fn may_have_expired(self, now_ms: i64) -> bool {
        match self {
            Self::Packed(_) => false,
            Self::PackedEx(_) => self.next_expiry_ms().is_some_and(|at_ms| at_ms < now_ms),
            Self::Table(table) => table.expiring() > 0,
        }
    }

    /// Whether it has a field that has not expired. O(1).
    pub fn contains(self, name: &[u8], now_ms: i64) -> bool {
        self.get(name, now_ms).is_some()
    }

    /// All fields that have not expired: a listpack's in its order, a table's in none.
    pub fn iter(self, now_ms: i64) -> impl Iterator<Item = Field<'a>> {
        self.iter_all().filter(move |field| !field.is_expired(now_ms))
    }

    /// All fields, also those that have expired.
    pub fn iter_all(self) -> impl Iterator<Item = Field<'a>> {
        match self.form() {
            Either::Packed(entries) => Either::Packed(entries.iter()),
            Either::Big(table) => Either::Big(table.iter()),
        }
    }

    /// One step of HSCAN: emits fields that have not expired and returns the next cursor, 0 at the end. A listpack is
    /// emitted whole. What is there all the time is emitted at least once.
    pub fn scan(self, cursor: u64, now_ms: i64, mut emit: impl FnMut(Field<'_>)) -> u64 {
        let emit_live = |field: Field<'_>| {
            if !field.is_expired(now_ms) {
                emit(field);
            }
        };
        match self.form() {
            Either::Packed(entries) => {
                entries.iter().for_each(emit_live);
                0
            }
            Either::Big(table) => table.scan(cursor, emit_live),
        }
    }

    /// A random field that has not expired; `None` if there is none. `random` gives uniformly distributed numbers. O(1),
    /// unless most fields have expired.
    pub fn random(self, now_ms: i64, mut random: impl FnMut() -> u64) -> Option<Field<'a>> {
        if self.is_empty() {
            return None;
        }
        for _ in 0..RANDOM_TRIES {
            let field = match self.form() {
                Either::Packed(entries) => entries.nth(below(entries.len(), &mut random)),
                Either::Big(table) => table.random(&mut random),
            };
            if let Some(field) = field
                && !field.is_expired(now_ms)
            {
                return Some(field);
            }
        }
        let live = self.iter(now_ms).count();
        let index = if live == 0 { 0 } else { below(live, &mut random) };
        self.iter(now_ms).nth(index)
    }

    /// Emits `count` different random fields that have not expired, or all if there are no more, in no order. O(count);
    /// a listpack, and a table with expired fields, O(n).
    pub fn sample(
        self,
        count: usize,
        now_ms: i64,
        random: impl FnMut() -> u64,
        emit: impl FnMut(Field<'_>),
    ) {
        let live = self.len_unexpired(now_ms);
        match self {
            Self::Table(table) if live == table.len() => table.sample(count, random, emit),
            _ => sample_in_order(self.iter(now_ms), live, count, random, emit),
        }
    }
}

#[cfg(test)]
mod tests;
