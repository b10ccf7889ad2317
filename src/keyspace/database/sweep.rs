//! The background removal of what is due in a database: keys, and fields of hashes.
//!
//! The dict keeps, by bucket, a hint when something there is due (`dict/sweep.rs`). Of a hash that is the earlier of its
//! own expire time and that of its first field. A hash may have more due fields than one turn has time for: it is then
//! due again at once.

use super::{Database, Name, hash, object_number};
use crate::dict::{Arena, Handle, Slot};
use crate::keyspace::ExpiredFields;
use crate::keyspace::collection::Collection as _;
use crate::keyspace::entry::{Encoding, Entry};
use crate::keyspace::object::{Object, Objects};
use crate::keyspace::value::Type;
use crate::types::hash::{Field, Hash, HashRef};

/// Buckets of the index looked through before what is due in them is removed. Few, because hashes that there is no time
/// for have to be looked up again.
const BUCKETS_AT_ONCE: usize = 4;
/// Fields that weigh as much as a bucket of keys: about as many as are in one, here and in a hash's own table.
const FIELDS_PER_BUCKET: usize = 7;

/// What one step of the expiry sweep did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sweep {
    /// Keys removed because they were due as a whole.
    pub expired: usize,
    /// Fields of hashes removed.
    pub expired_fields: usize,
    /// Buckets looked at.
    pub buckets: usize,
    /// Whether the sweep has come round to where it started, and left nothing that is due.
    pub round_finished: bool,
}

impl Database {
    /// Looks at up to `buckets_max` buckets for keys that are due and removes those; `removed` gets each key and its
    /// object. Of hashes that are not due as a whole it removes due fields, as many as weigh the same; `removed` gets
    /// their names.
    pub fn sweep_expired(
        &mut self,
        now_ms: i64,
        buckets_max: usize,
        mut removed: impl FnMut(Vec<u8>, Option<ExpiredFields>, Option<Object>),
    ) -> Sweep {
        let mut sweep = Sweep::default();
        let mut fields_max = buckets_max.saturating_mul(FIELDS_PER_BUCKET);
        let (mut due, mut some_left) = (Vec::new(), false);
        while sweep.buckets < buckets_max && fields_max > 0 && !sweep.round_finished {
            let (blocks, objects) = (&self.blocks, &self.objects);
            let due_at_ms = |handle| due_at_ms(blocks, objects, handle);
            let buckets = BUCKETS_AT_ONCE.min(buckets_max - sweep.buckets);
            let swept = self.dict.sweep(now_ms, buckets, due_at_ms, &mut due);
            sweep.buckets += swept.buckets;
            sweep.round_finished = swept.round_finished;
            for handle in due.drain(..) {
                let round = self.remove_due(handle, now_ms, fields_max);
                fields_max = fields_max.saturating_sub(round.weight);
                some_left |= !round.finished;
                match &round.fields {
                    None => sweep.expired += 1,
                    Some(fields) => sweep.expired_fields += fields.names.len(),
                }
                if round.fields.as_ref().is_none_or(|fields| !fields.names.is_empty()) {
                    removed(round.key, round.fields, round.object);
                }
            }
        }
        sweep.round_finished &= !some_left;
        sweep
    }

    /// Removes the key in a block, if it is due, or else up to `fields_max` due fields of the hash that it is.
    fn remove_due(&mut self, handle: Handle, now_ms: i64, fields_max: usize) -> Round {
        let entry = self.entry_in(handle);
        let (key, expire_at_ms) = (entry.key().to_vec(), entry.expire_at_ms());
        let slot = self
            .dict
            .find(hash(self.hash_key, &key), |other| other == handle)
            .expect("a due entry is in the index");
        if expire_at_ms.is_some_and(|at_ms| at_ms < now_ms) {
            let object = self.remove(slot);
            return Round { key, fields: None, object, weight: 0, finished: true };
        }
        self.remove_due_fields(key, slot, now_ms, fields_max)
    }

    /// Removes due fields of the hash at `slot`, and the key if no field is left; else notes when the next one is due.
    fn remove_due_fields(
        &mut self,
        key: Vec<u8>,
        slot: Slot,
        now_ms: i64,
        fields_max: usize,
    ) -> Round {
        let mut names = Vec::new();
        let steps_max = fields_max.div_ceil(FIELDS_PER_BUCKET);
        let changed = self.change_collection(slot, |hash: &mut Hash| {
            let remove = |field: Field<'_>| names.push(field.name.to_vec());
            let swept = hash.remove_expired(now_ms, steps_max, remove);
            (swept, hash.as_ref().next_expiry_ms())
        });
        let (swept, next_expiry_ms) = changed.result;
        let object = if changed.emptied { self.remove(slot) } else { None };
        if !changed.emptied
            && let Some(at_ms) = next_expiry_ms
        {
            self.dict.note_expiry(slot, at_ms);
        }
        let fields = Some(ExpiredFields { names, emptied: changed.emptied });
        let weight = swept.removed.max(swept.steps).max(1);
        Round { key, fields, object, weight, finished: swept.round_finished || changed.emptied }
    }

    /// Notes that a field of the hash at `slot` is due then.
    pub fn note_field_expiry(&mut self, slot: Slot, expire_at_ms: i64) {
        self.field_expiry = true;
        self.dict.note_expiry(slot, expire_at_ms);
    }

    /// Notes when the first field is due of a hash that was just stored; other types have none.
    pub(super) fn note_next_field_expiry(&mut self, name: Name<'_>, kind: Type) {
        if kind != Type::Hash {
            return;
        }
        let slot = self.find(name).expect("it was just stored");
        if let Some(at_ms) = hash_in(&self.objects, self.entry(slot)).next_expiry_ms() {
            self.note_field_expiry(slot, at_ms);
        }
    }
}

/// What was done to one key.
struct Round {
    key: Vec<u8>,
    /// If it was not due as a whole.
    fields: Option<ExpiredFields>,
    object: Option<Object>,
    /// How much of what may be done at once it was.
    weight: usize,
    /// Nothing that is due is left of it.
    finished: bool,
}

/// When something of an entry is due: itself, or a field of the hash in it.
fn due_at_ms(blocks: &Arena, objects: &Objects, handle: Handle) -> Option<i64> {
    let entry = Entry::new(blocks.block(handle));
    let key_ms = entry.expire_at_ms();
    if entry.kind() != Type::Hash {
        return key_ms;
    }
    let field_ms = hash_in(objects, entry).next_expiry_ms();
    key_ms.into_iter().chain(field_ms).min()
}

fn hash_in<'a>(objects: &'a Objects, entry: Entry<'a>) -> HashRef<'a> {
    match entry.encoding() {
        Encoding::Object => Hash::of(objects.get(object_number(entry.value()))).view(),
        encoding => Hash::view_packed(encoding, entry.value()),
    }
}
