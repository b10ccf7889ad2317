//! `FieldTable`: the hash with many fields (Redis's encoding `hashtable`).
//!
//! ```text
//! record   flags | length of the field | length of the value | [expire time, 8 bytes, little-endian] | field | value
//! ```
//! Flags: 1 = there is an expire time, in Unix milliseconds.

use super::field::{Field, FieldExpiry};
use crate::dict::{SharedBlocks, Slot};
use crate::types::listpack::Element;
use crate::types::table::{HashKey, Record, Sweep, Table, len_size, read_len, write_len};

const EXPIRE: u8 = 1;
const EXPIRE_BYTES: usize = 8;

/// The layout of a field's record.
#[derive(Debug)]
struct FieldRecord;

/// Where the parts of a record begin.
struct Layout {
    expire: usize,
    name: usize,
    value: usize,
    end: usize,
}

#[inline]
fn layout(block: &[u8]) -> Layout {
    let (name_len, name_len_size) = read_len(&block[1..]);
    let (value_len, value_len_size) = read_len(&block[1 + name_len_size..]);
    let expire = 1 + name_len_size + value_len_size;
    let name = expire + usize::from(block[0] & EXPIRE) * EXPIRE_BYTES;
    Layout { expire, name, value: name + name_len, end: name + name_len + value_len }
}

impl Record for FieldRecord {
    #[inline]
    fn name(block: &[u8]) -> &[u8] {
        let layout = layout(block);
        &block[layout.name..layout.value]
    }

    #[inline]
    fn expire_at_ms(block: &[u8]) -> Option<i64> {
        if block[0] & EXPIRE == 0 {
            return None;
        }
        let bytes = &block[layout(block).expire..][..EXPIRE_BYTES];
        Some(i64::from_le_bytes(bytes.try_into().expect("eight bytes")))
    }
}

fn size(name: &[u8], value: &[u8], expires: bool) -> usize {
    let lens = len_size(name.len()) + len_size(value.len());
    1 + lens + if expires { EXPIRE_BYTES } else { 0 } + name.len() + value.len()
}

fn write(block: &mut [u8], name: &[u8], value: &[u8], expire_at_ms: Option<i64>) {
    block[0] = if expire_at_ms.is_some() { EXPIRE } else { 0 };
    let mut at = 1;
    at += write_len(&mut block[at..], name.len());
    at += write_len(&mut block[at..], value.len());
    if let Some(at_ms) = expire_at_ms {
        block[at..at + EXPIRE_BYTES].copy_from_slice(&at_ms.to_le_bytes());
        at += EXPIRE_BYTES;
    }
    block[at..at + name.len()].copy_from_slice(name);
    at += name.len();
    block[at..at + value.len()].copy_from_slice(value);
}

/// The field of a block that [`FieldTable::share`] gave.
#[inline]
pub fn read(block: &[u8]) -> Field<'_> {
    let layout = layout(block);
    Field {
        name: Element::Str(&block[layout.name..layout.value]),
        value: Element::Str(&block[layout.value..layout.end]),
        expire_at_ms: FieldRecord::expire_at_ms(block),
    }
}

/// Fields by name.
#[derive(Clone, Debug)]
pub struct FieldTable {
    fields: Table<FieldRecord>,
    /// How many have an expire time.
    expiring: usize,
}

impl FieldTable {
    /// An empty table. `now_ms` is about now: expire times are indexed relative to it.
    pub(super) fn new(hash_key: HashKey, now_ms: i64) -> Self {
        Self { fields: Table::new(hash_key, now_ms), expiring: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// The fields as they are now, to be read while the hash goes on changing. O(pages).
    pub fn share(&self) -> SharedBlocks {
        self.fields.share()
    }

    /// Heap memory. O(1).
    pub fn memory_bytes(&self) -> usize {
        self.fields.memory_bytes()
    }

    pub(super) fn expiring(&self) -> usize {
        self.expiring
    }

    #[inline]
    pub(super) fn get(&self, name: &[u8]) -> Option<Field<'_>> {
        self.fields.find(name).map(|slot| read(self.fields.get(slot)))
    }

    /// Sets a field. Returns whether it is new, or what was there had expired.
    pub(super) fn set(
        &mut self,
        name: &[u8],
        value: &[u8],
        expiry: FieldExpiry,
        now_ms: i64,
    ) -> bool {
        let Some(slot) = self.fields.find(name) else {
            let new_ms = expiry.after(None);
            self.fields.insert(name, size(name, value, new_ms.is_some()), |block| {
                write(block, name, value, new_ms);
            });
            self.expiring += usize::from(new_ms.is_some());
            return true;
        };
        let old = read(self.fields.get(slot));
        let (old_ms, was_expired) = (old.expire_at_ms, old.is_expired(now_ms));
        let new_ms = expiry.after(if was_expired { None } else { old_ms });
        self.rewrite(slot, name, value, old_ms, new_ms);
        was_expired
    }

    /// Sets or takes away the expire time of a field. Returns whether the field is there and has not expired.
    pub(super) fn set_expire(
        &mut self,
        name: &[u8],
        expire_at_ms: Option<i64>,
        now_ms: i64,
    ) -> bool {
        let Some(slot) = self.fields.find(name) else { return false };
        let block = self.fields.get(slot);
        let field = read(block);
        if field.is_expired(now_ms) {
            return false;
        }
        let old_ms = field.expire_at_ms;
        if old_ms != expire_at_ms {
            let layout = layout(block);
            let value = block[layout.value..layout.end].to_vec();
            self.rewrite(slot, name, &value, old_ms, expire_at_ms);
        }
        true
    }

    fn rewrite(
        &mut self,
        slot: Slot,
        name: &[u8],
        value: &[u8],
        old_ms: Option<i64>,
        new_ms: Option<i64>,
    ) {
        self.fields.rewrite(slot, size(name, value, new_ms.is_some()), |block| {
            write(block, name, value, new_ms);
        });
        self.expiring += usize::from(new_ms.is_some());
        self.expiring -= usize::from(old_ms.is_some());
    }

    /// Removes a field. Returns whether it was there and had not expired.
    pub(super) fn remove(&mut self, name: &[u8], now_ms: i64) -> bool {
        let Some(slot) = self.fields.find(name) else { return false };
        let field = read(self.fields.get(slot));
        let (expires, was_expired) = (field.expire_at_ms.is_some(), field.is_expired(now_ms));
        self.fields.remove(slot);
        self.expiring -= usize::from(expires);
        !was_expired
    }

    /// See [`Table::sweep`].
    pub(super) fn remove_expired(
        &mut self,
        now_ms: i64,
        steps_max: usize,
        mut removed: impl FnMut(Field<'_>),
    ) -> Sweep {
        let sweep = self.fields.sweep(now_ms, steps_max, |block| removed(read(block)));
        self.expiring -= sweep.removed;
        sweep
    }

    pub(super) fn earliest_expiry_ms(&self) -> Option<i64> {
        if self.expiring == 0 { None } else { self.fields.earliest_expiry_ms() }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.fields.iter().map(read)
    }

    pub(super) fn scan(&self, cursor: u64, mut emit: impl FnMut(Field<'_>)) -> u64 {
        self.fields.scan(cursor, |block| emit(read(block)))
    }

    pub(super) fn random(&self, random: impl FnMut() -> u64) -> Option<Field<'_>> {
        self.fields.random(random).map(|handle| read(self.fields.block(handle)))
    }

    pub(super) fn sample(
        &self,
        count: usize,
        random: impl FnMut() -> u64,
        mut emit: impl FnMut(Field<'_>),
    ) {
        self.fields.sample(count, random, |block| emit(read(block)));
    }

    pub(super) fn drop_step(&mut self, steps_max: usize) -> bool {
        self.fields.drop_step(steps_max)
    }
}
