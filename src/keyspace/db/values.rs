//! The values of keys: reading, changing and replacing them.

use super::{Db, Expiry};
use crate::dict::Slot;
use crate::keyspace::collection::{Changed, Collection};
use crate::keyspace::database::{Attributes, Database, Name};
use crate::keyspace::notices::Happening;
use crate::keyspace::object::Object;
use crate::keyspace::value::{NewString, StringValue, Type, WrongType};
use crate::keyspace::{ExpiredFields, ExpiredKey};
use crate::types::hash::Hash;

impl Db<'_> {
    /// The string at `key`, for a command that reads it.
    #[inline]
    pub fn read_string(&mut self, key: &[u8]) -> Result<Option<StringValue<'_>>, WrongType> {
        let Some(found) = self.find_block(key) else {
            self.missed(key);
            return Ok(None);
        };
        self.keyspace.stats.hits += 1;
        if self.touch {
            self.touch_in(found.handle, found.access);
        }
        let database = self.database();
        database.string_of(database.entry_in(found.handle)).map(Some)
    }

    /// The string at a slot that `find*` gave.
    pub fn string(&self, slot: Slot) -> Result<StringValue<'_>, WrongType> {
        self.database().string(slot)
    }

    /// The collection at `key`, for a command that reads it: counts a hit or a miss, and the access.
    #[inline]
    pub fn read<C: Collection>(&mut self, key: &[u8]) -> Result<Option<C::Ref<'_>>, WrongType> {
        match self.find_read(key) {
            Some(slot) => self.collection::<C>(slot).map(Some),
            None => Ok(None),
        }
    }

    /// The collection at a slot that `find*` gave.
    #[inline]
    pub fn collection<C: Collection>(&self, slot: Slot) -> Result<C::Ref<'_>, WrongType> {
        self.database().collection_of::<C>(self.database().entry(slot))
    }

    /// Where `key` is, for a command that changes the collection there: counts the access.
    #[inline]
    pub fn find_collection<C: Collection>(
        &mut self,
        key: &[u8],
    ) -> Result<Option<Slot>, WrongType> {
        match self.find_write(key) {
            Some(slot) if self.database().entry(slot).kind() == C::TYPE => Ok(Some(slot)),
            Some(_) => Err(WrongType),
            None => Ok(None),
        }
    }

    /// Lets `change` change the collection at `slot`, which `find_collection` gave. If nothing is left in it, the key is
    /// removed; else the slot stays valid.
    pub fn change_at<C: Collection, R>(
        &mut self,
        slot: Slot,
        change: impl FnOnce(&mut C) -> R,
    ) -> Changed<R> {
        let changed = self.database_mut().change_collection(slot, change);
        if changed.emptied {
            self.remove(slot);
        }
        changed
    }

    /// Removes those of the fields `names` of the hash at `slot` that have expired, before a command changes or asks for
    /// them: what the command finds must not depend on whether the sweep has come by. Returns the slot, or nothing if no
    /// field is left and the key is gone with them. O(names).
    #[inline]
    pub fn expire_fields<'n>(
        &mut self,
        slot: Slot,
        mut names: impl Iterator<Item = &'n [u8]> + Clone,
    ) -> Option<Slot> {
        let (now_ms, frozen) = (self.keyspace.now_ms, self.keyspace.expiry_frozen);
        let hash = self.collection::<Hash>(slot).expect("the caller has checked the type");
        let some_expired = || names.clone().any(|name| hash.is_expired(name, now_ms));
        if frozen || !some_expired() {
            return Some(slot);
        }
        self.remove_expired_fields(slot, &mut names)
    }

    #[cold]
    fn remove_expired_fields(
        &mut self,
        slot: Slot,
        names: &mut dyn Iterator<Item = &[u8]>,
    ) -> Option<Slot> {
        let (db, now_ms) = (self.index, self.keyspace.now_ms);
        let key = self.database().entry(slot).key().to_vec();
        let changed = self.change_at(slot, |hash: &mut Hash| {
            let expired = names.filter(|name| hash.remove_if_expired(name, now_ms));
            expired.map(<[u8]>::to_vec).collect::<Vec<_>>()
        });
        let fields = ExpiredFields { names: changed.result, emptied: changed.emptied };
        self.keyspace.stats.expired_fields += fields.names.len() as u64;
        self.keyspace.expired.push(ExpiredKey { db, key, fields: Some(fields) });
        (!changed.emptied).then_some(slot)
    }

    /// Notes that a field of the hash at `slot` was given this expire time, so that the sweep finds it.
    pub fn note_field_expiry(&mut self, slot: Slot, expire_at_ms: i64) {
        self.database_mut().note_field_expiry(slot, expire_at_ms);
    }

    /// Sets `key` to a collection that is not empty, whatever it was before.
    pub fn set_collection<C: Collection>(&mut self, key: &[u8], value: C, expiry: Expiry) {
        let found = self.find(key);
        self.note_set(found, key, C::TYPE);
        self.set_at(found, self.name(key), expiry, |database, found, name, attributes| {
            database.set_collection(found, name, value, attributes)
        });
    }

    /// Sets `key` to a string, whatever it was before.
    #[inline]
    pub fn set_string(&mut self, key: &[u8], value: NewString<'_>, expiry: Expiry) {
        let name = self.name(key);
        let found = self.find_named(name).map(|found| found.slot);
        self.set_named_string(found, name, value, expiry);
    }

    /// Sets `key`, which `find*` has found or not, to a string, whatever it was before.
    pub fn set_string_at(
        &mut self,
        found: Option<Slot>,
        key: &[u8],
        value: NewString<'_>,
        expiry: Expiry,
    ) {
        self.set_named_string(found, self.name(key), value, expiry);
    }

    #[inline]
    fn set_named_string(
        &mut self,
        found: Option<Slot>,
        name: Name<'_>,
        value: NewString<'_>,
        expiry: Expiry,
    ) {
        self.note_set(found, name.key, Type::String);
        self.set_at(found, name, expiry, |database, found, name, attributes| {
            database.set_string(found, name, value, attributes)
        });
    }

    /// Gives the string at `slot` other content: the value is changed, not overwritten, and keeps its expire time.
    pub fn update_string_at(&mut self, slot: Slot, key: &[u8], value: NewString<'_>) {
        self.set_at(
            Some(slot),
            self.name(key),
            Expiry::Keep,
            |database, found, name, attributes| database.set_string(found, name, value, attributes),
        );
    }

    /// `key`, which `find*` has found or not, will be set to a value of that type.
    #[inline]
    fn note_set(&mut self, found: Option<Slot>, key: &[u8], kind: Type) {
        let Some(slot) = found else {
            return self.keyspace.notices.note(Happening::New, self.index, key);
        };
        self.keyspace.notices.note(Happening::Overwritten, self.index, key);
        if self.keyspace.notices.wants(Happening::TypeChanged)
            && self.database().entry(slot).kind() != kind
        {
            self.keyspace.notices.note(Happening::TypeChanged, self.index, key);
        }
    }

    /// Has `store` put a value at `key`, which `find*` has found or not.
    #[inline]
    fn set_at(
        &mut self,
        found: Option<Slot>,
        name: Name<'_>,
        expiry: Expiry,
        store: impl FnOnce(&mut Database, Option<Slot>, Name<'_>, Attributes) -> Option<Object>,
    ) {
        let expire_at_ms = match (expiry, found) {
            (Expiry::At(at_ms), _) => Some(at_ms),
            (Expiry::Keep, Some(slot)) => self.database().entry(slot).expire_at_ms(),
            _ => None,
        };
        // A frequency outlives the value, as in Redis; a time of last use is now anyway.
        let access = match found {
            Some(slot) if self.keyspace.policy.lfu => self.database().entry(slot).access(),
            _ => self.keyspace.policy.fresh(self.keyspace.wall_ms),
        };
        // A key that is due but frozen is still stored, though `find` hides it.
        let hidden = || self.keyspace.expiry_frozen.then(|| self.database().find(name)).flatten();
        let found = found.or_else(hidden);
        let attributes = Attributes { expire_at_ms, access };
        let replaced = store(self.database_mut(), found, name, attributes);
        if let Some(object) = replaced {
            self.keyspace.discard(object);
        }
    }

    /// Replaces the integer at `slot`, which must be stored as one.
    pub fn set_integer_at(&mut self, slot: Slot, number: i64) {
        self.database_mut().set_integer(slot, number);
    }

    /// Lets `edit` change the bytes of the string at `slot`. On `Err` nothing is changed.
    pub fn edit_string_at<E>(
        &mut self,
        slot: Slot,
        edit: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.database_mut().edit_string(slot, edit)
    }
}
