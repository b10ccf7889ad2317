//! How commands see the data: one database, at one time, with keys that are due already gone.

mod values;
mod visit;

use rand::RngExt as _;

use super::access::Recency;
use super::database::{Candidate, Database, Detached, Found, Name};
use super::entry::Entry;
use super::notices::Happening;
use super::object::Object;
use super::{ExpiredKey, Keyspace};
use crate::dict::{Handle, Slot};

/// What happens to the expire time of a key that is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expiry {
    /// The key never expires.
    Clear,
    /// As it was.
    Keep,
    /// Unix milliseconds.
    At(i64),
}

/// One database at one time. Keys that are due are gone for whoever looks through it.
pub struct Db<'a> {
    /// The keyspace, for the commands that reach beyond one database.
    pub keyspace: &'a mut Keyspace,
    /// Which database.
    pub index: usize,
    /// Whether finding a key counts as an access (`CLIENT NO-TOUCH`).
    pub touch: bool,
    /// A key that was looked for ahead, and what the index said.
    pub ahead: Option<(&'a [u8], &'a Candidate)>,
}

impl Db<'_> {
    /// A key with its hash. A key looked up ahead is known by where its bytes are.
    #[inline]
    fn name<'k>(&self, key: &'k [u8]) -> Name<'k> {
        match &self.ahead {
            Some((ahead, candidate)) if std::ptr::eq(*ahead, key) => {
                Name { key, hash: candidate.hash }
            }
            _ => self.keyspace.name(key),
        }
    }

    /// The time, in Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.keyspace.now_ms
    }

    /// The database as it is stored.
    #[inline]
    pub fn database(&self) -> &Database {
        &self.keyspace.databases[self.index]
    }

    #[inline]
    fn database_mut(&mut self) -> &mut Database {
        &mut self.keyspace.databases[self.index]
    }

    /// Where `key` is, if it is there and not due. A key that is due is removed. Counts nothing and touches nothing.
    #[inline]
    pub fn find(&mut self, key: &[u8]) -> Option<Slot> {
        self.find_block(key).map(|found| found.slot)
    }

    #[inline]
    fn find_block(&mut self, key: &[u8]) -> Option<Found> {
        self.find_named(self.name(key))
    }

    #[inline]
    fn find_named(&mut self, name: Name<'_>) -> Option<Found> {
        let database = self.database();
        let found = match &self.ahead {
            Some((ahead, candidate)) if std::ptr::eq(*ahead, name.key) => {
                database.find_candidate(name, candidate)?
            }
            _ => database.find_block(name)?,
        };
        if is_past(found.expire_at_ms, self.keyspace.now_ms) {
            self.expire(found.slot);
            return None;
        }
        Some(found)
    }

    #[cold]
    fn expire(&mut self, slot: Slot) {
        if !self.keyspace.expiry_frozen {
            let key = self.database().entry(slot).key().to_vec();
            self.keyspace.expired.push(ExpiredKey { db: self.index, key, fields: None });
            self.keyspace.stats.expired += 1;
            self.remove(slot);
        }
    }

    /// Where `key` is, for a command that asks about it and not for its value (`EXISTS`, `TTL`): counts a hit or a miss,
    /// and no access.
    #[inline]
    pub fn find_peek(&mut self, key: &[u8]) -> Option<Slot> {
        let found = self.find_quietly(key);
        if found.is_none() {
            self.keyspace.notices.note(Happening::Missed, self.index, key);
        }
        found
    }

    /// The same, and nobody is told if it is not there (`OBJECT`).
    #[inline]
    pub fn find_quietly(&mut self, key: &[u8]) -> Option<Slot> {
        let found = self.find(key);
        match found {
            Some(_) => self.keyspace.stats.hits += 1,
            None => self.keyspace.stats.misses += 1,
        }
        found
    }

    #[inline]
    fn missed(&mut self, key: &[u8]) {
        self.keyspace.stats.misses += 1;
        self.keyspace.notices.note(Happening::Missed, self.index, key);
    }

    /// Where `key` is, for a command that reads it: counts a hit or a miss, and the access.
    #[inline]
    pub fn find_read(&mut self, key: &[u8]) -> Option<Slot> {
        let Some(found) = self.find_block(key) else {
            self.missed(key);
            return None;
        };
        self.keyspace.stats.hits += 1;
        if self.touch {
            self.touch_in(found.handle, found.access);
        }
        Some(found.slot)
    }

    /// Where `key` is, for a command that changes it: counts the access.
    #[inline]
    pub fn find_write(&mut self, key: &[u8]) -> Option<Slot> {
        let found = self.find_block(key)?;
        if self.touch {
            self.touch_in(found.handle, found.access);
        }
        Some(found.slot)
    }

    /// Notes an access to the key at `slot`.
    #[inline]
    pub fn touch(&mut self, slot: Slot) {
        let handle = self.database().handle(slot);
        self.touch_in(handle, self.database().entry_in(handle).access());
    }

    /// Says how long ago or how often `key` was used, if it is there and the policy can tell.
    pub fn recall(&mut self, key: &[u8], recency: Recency) {
        let Keyspace { policy, wall_ms, .. } = self.keyspace;
        let Some(access) = policy.recalled(recency, *wall_ms) else { return };
        if let Some(found) = self.find_block(key) {
            self.database_mut().set_access_in(found.handle, access);
        }
    }

    #[inline]
    fn touch_in(&mut self, handle: Handle, old: u32) {
        let Keyspace { policy, wall_ms, lru_clock, random, .. } = self.keyspace;
        let new =
            if policy.lfu { policy.touched(old, *wall_ms, random.random()) } else { *lru_clock };
        // Mostly it is the same second, and a line that is only read need not be written back.
        if new != old {
            self.database_mut().set_access_in(handle, new);
        }
    }

    /// Has memory that a value no longer needs dropped where it stops nobody.
    pub fn discard(&mut self, object: Object) {
        self.keyspace.discard(object);
    }

    /// Sets or removes the expire time of the key at `slot`.
    pub fn set_expire_at(&mut self, slot: Slot, expire_at_ms: Option<i64>) {
        self.database_mut().set_expire(slot, expire_at_ms);
    }

    /// When the key at `slot` expires.
    pub fn expire_at_ms(&self, slot: Slot) -> Option<i64> {
        self.database().entry(slot).expire_at_ms()
    }

    /// Removes the key at `slot`.
    pub fn remove(&mut self, slot: Slot) {
        if let Some(object) = self.database_mut().remove(slot) {
            self.keyspace.discard(object);
        }
    }

    /// Removes `key`. Returns whether it was there.
    pub fn delete(&mut self, key: &[u8]) -> bool {
        match self.find(key) {
            Some(slot) => {
                self.remove(slot);
                true
            }
            None => false,
        }
    }

    /// Copies the key at `slot`, expire time included, to `key` in database `target`, in place of what is there. Long
    /// strings are shared. No slot is valid afterwards.
    pub fn copy_at(&mut self, slot: Slot, target: usize, key: &[u8]) {
        let access = self.keyspace.policy.fresh(self.keyspace.wall_ms);
        let copy = self.database().duplicate(slot, access);
        self.attach(target, key, copy);
    }

    /// Moves the key at `slot`, expire time included, to `key` in database `target`, in place of what is there. O(1)
    /// however big the value is. No slot is valid afterwards.
    pub fn move_at(&mut self, slot: Slot, target: usize, key: &[u8]) {
        let detached = self.database_mut().detach(slot);
        self.attach(target, key, detached);
    }

    fn attach(&mut self, target: usize, key: &[u8], detached: Detached) {
        let name = self.name(key);
        let database = &mut self.keyspace.databases[target];
        // Not `find`: a key that is due but frozen is hidden, and has to go, too.
        let replaced = database.find(name).and_then(|slot| database.remove(slot));
        database.attach(name, detached);
        self.keyspace.notices.note(Happening::New, target, key);
        if let Some(object) = replaced {
            self.keyspace.discard(object);
        }
    }
}

/// A key lives through the whole of its last millisecond.
#[inline]
fn is_due(entry: Entry<'_>, now_ms: i64) -> bool {
    is_past(entry.expire_at_ms(), now_ms)
}

#[inline]
fn is_past(expire_at_ms: Option<i64>, now_ms: i64) -> bool {
    expire_at_ms.is_some_and(|at_ms| now_ms > at_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::value::{NewString, StringValue};

    /// A keyspace of two databases at time 1000.
    fn keyspace() -> Keyspace {
        Keyspace::new(2, 1, 1000)
    }

    /// A string in each way a string can be stored: integer, in the entry, as an object.
    const VALUES: [&[u8]; 4] = [b"12345", b"short", &[b'x'; 900], &[b'x'; 5000]];

    fn get(db: &mut Db<'_>, key: &[u8]) -> Option<Vec<u8>> {
        db.read_string(key).unwrap().map(StringValue::to_vec)
    }

    fn set(db: &mut Db<'_>, key: &[u8], value: &[u8], expiry: Expiry) {
        db.set_string(key, NewString::encode(value), expiry);
    }

    #[test]
    fn a_key_that_is_due_is_removed_by_whoever_looks_for_it() {
        let mut keyspace = keyspace();
        set(&mut keyspace.db(0), b"k", b"v", Expiry::At(1500));
        keyspace.set_now_ms(1500);
        assert!(keyspace.db(0).find(b"k").is_some());
        keyspace.set_now_ms(1501);
        assert!(keyspace.db(0).find(b"k").is_none());
        assert_eq!((keyspace.databases()[0].len(), keyspace.stats.expired), (0, 1));
    }

    #[test]
    fn a_key_that_is_due_is_hidden_but_stays_while_expiry_is_frozen() {
        let mut keyspace = keyspace();
        set(&mut keyspace.db(0), b"k", b"v", Expiry::At(1500));
        keyspace.set_now_ms(1501);
        keyspace.expiry_frozen = true;
        let mut db = keyspace.db(0);
        assert!(db.find(b"k").is_none());
        assert!(!db.delete(b"k"));
        assert_eq!(db.entries().count(), 0);
        assert_eq!(db.random_key(), None);
        assert_eq!(db.database().len(), 1);
        set(&mut db, b"k", b"new", Expiry::Keep);
        assert_eq!(get(&mut db, b"k").as_deref(), Some(&b"new"[..]));
        assert_eq!((db.database().len(), db.database().keys_with_expiry()), (1, 0));
    }

    #[test]
    fn keys_move_and_are_copied_within_a_database_and_beyond() {
        for value in VALUES {
            for target in [0, 1] {
                for replaced in VALUES {
                    let mut keyspace = keyspace();
                    set(&mut keyspace.db(0), b"a", value, Expiry::At(2000));
                    set(&mut keyspace.db(target), b"b", replaced, Expiry::At(3000));
                    let slot = keyspace.db(0).find(b"a").unwrap();
                    keyspace.db(0).copy_at(slot, target, b"b");
                    let slot = keyspace.db(0).find(b"a").unwrap();
                    keyspace.db(0).move_at(slot, target, b"c");
                    assert!(keyspace.db(0).find(b"a").is_none());
                    for name in [b"b", b"c"] {
                        let mut db = keyspace.db(target);
                        assert_eq!(get(&mut db, name).as_deref(), Some(value));
                        let slot = db.find(name).unwrap();
                        assert_eq!(db.expire_at_ms(slot), Some(2000));
                    }
                    assert_eq!(keyspace.databases()[target].len(), 2);
                    assert_eq!(keyspace.databases()[target].keys_with_expiry(), 2);
                }
            }
        }
    }

    #[test]
    fn a_key_may_move_onto_one_that_is_due_but_frozen() {
        let mut keyspace = keyspace();
        set(&mut keyspace.db(0), b"a", b"1", Expiry::Clear);
        set(&mut keyspace.db(0), b"b", b"2", Expiry::At(1500));
        keyspace.set_now_ms(1501);
        keyspace.expiry_frozen = true;
        let slot = keyspace.db(0).find(b"a").unwrap();
        keyspace.db(0).move_at(slot, 0, b"b");
        assert_eq!(get(&mut keyspace.db(0), b"b").as_deref(), Some(&b"1"[..]));
        assert_eq!(keyspace.databases()[0].len(), 1);
    }

    #[test]
    fn the_one_key_among_many_that_are_due_is_found_at_random() {
        let mut keyspace = keyspace();
        for i in 0..2000 {
            set(&mut keyspace.db(0), format!("due:{i}").as_bytes(), b"v", Expiry::At(1500));
        }
        set(&mut keyspace.db(0), b"alive", b"v", Expiry::Clear);
        keyspace.set_now_ms(1501);
        for frozen in [true, false] {
            keyspace.expiry_frozen = frozen;
            assert_eq!(keyspace.db(0).random_key().as_deref(), Some(&b"alive"[..]));
        }
    }

    #[test]
    fn only_reads_and_writes_count_as_accesses_and_only_of_clients_that_touch() {
        let mut keyspace = keyspace();
        set(&mut keyspace.db(0), b"k", b"v", Expiry::Clear);
        keyspace.set_now_ms(9000);
        let idle_seconds = |keyspace: &mut Keyspace| {
            let slot = keyspace.db(0).find(b"k").unwrap();
            keyspace.policy.idle_seconds(keyspace.databases[0].entry(slot).access(), 9000)
        };
        let mut db = keyspace.db(0);
        db.touch = false;
        assert!(db.find_read(b"k").is_some() && db.find_write(b"k").is_some());
        assert!(keyspace.db(0).find_peek(b"k").is_some());
        assert_eq!(idle_seconds(&mut keyspace), 8);
        assert!(keyspace.db(0).find_write(b"k").is_some());
        assert_eq!(idle_seconds(&mut keyspace), 0);
        assert!(keyspace.db(0).find_read(b"missing").is_none());
        assert_eq!((keyspace.stats.hits, keyspace.stats.misses), (2, 1));
    }

    #[test]
    fn a_frequency_outlives_the_value() {
        let mut keyspace = keyspace();
        keyspace.policy.lfu = true;
        set(&mut keyspace.db(0), b"k", b"v", Expiry::Clear);
        assert!(keyspace.db(0).find_read(b"k").is_some());
        let slot = keyspace.db(0).find(b"k").unwrap();
        let access = keyspace.databases[0].entry(slot).access();
        set(&mut keyspace.db(0), b"k", b"a value that is longer", Expiry::Clear);
        let slot = keyspace.db(0).find(b"k").unwrap();
        assert_eq!(keyspace.databases[0].entry(slot).access(), access);
    }
}
