//! The keyspace: numbered databases of keys, with expiry, access clocks and counters. It knows no client and no clock.
//!
//! `Db` is how commands see it: one database, at one time, with keys that are due already gone.

mod access;
mod database;
mod entry;
mod object;
mod value;

pub use access::AccessPolicy;
pub use database::{Attributes, Database, HashKey, Sweep};
pub use entry::Entry;
pub use object::Object;
pub use value::{NewString, StringValue, Type, WrongType};

use crate::dict::Slot;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

/// Objects at least this long are handed out to be dropped elsewhere: giving back their pages takes a while.
const LAZY_FREE_BYTES: usize = 1 << 20;

/// Memory that is no longer needed, to be dropped outside of the loop.
pub enum Garbage {
    /// One big value.
    Object(Object),
    /// A database that was flushed.
    Database(Box<Database>),
}

/// Counters that INFO shows.
#[derive(Clone, Copy, Default, Debug)]
pub struct KeyspaceStats {
    /// Reads that found their key.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    /// Keys removed because they were due.
    pub expired: u64,
    /// Values whose memory was handed out to be dropped elsewhere.
    pub lazy_freed: u64,
}

/// All databases.
pub struct Keyspace {
    databases: Vec<Database>,
    now_ms: i64,
    /// How accesses are recorded.
    pub policy: AccessPolicy,
    /// Counters.
    pub stats: KeyspaceStats,
    /// While true, keys that are due are hidden but stay (`CLIENT PAUSE`).
    pub expiry_frozen: bool,
    garbage: Vec<Garbage>,
    hash_key: HashKey,
    random: SmallRng,
    sweep_next: usize,
}

impl Keyspace {
    /// `count` empty databases. `seed` makes key hashes unpredictable and random choices repeatable.
    pub fn new(count: usize, seed: u64, now_ms: i64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let hash_key = (random.random(), random.random());
        Self {
            databases: (0..count).map(|_| Database::new(hash_key, now_ms)).collect(),
            now_ms,
            policy: AccessPolicy::default(),
            stats: KeyspaceStats::default(),
            expiry_frozen: false,
            garbage: Vec::new(),
            hash_key,
            random,
            sweep_next: 0,
        }
    }

    /// Tells the time, in Unix milliseconds. All commands until the next call see this one.
    pub fn set_now_ms(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
    }

    /// Number of databases.
    pub fn databases_len(&self) -> usize {
        self.databases.len()
    }

    /// The databases, as they are stored: keys that are due included.
    pub fn databases(&self) -> &[Database] {
        &self.databases
    }

    /// Database `index` as commands see it.
    pub fn db(&mut self, index: usize) -> Db<'_> {
        Db { keyspace: self, index, touch: true }
    }

    /// Bytes of all databases.
    pub fn memory_bytes(&self) -> usize {
        self.databases.iter().map(Database::memory_bytes).sum()
    }

    /// What is to be dropped outside of the loop.
    pub fn take_garbage(&mut self) -> Vec<Garbage> {
        std::mem::take(&mut self.garbage)
    }

    /// Whether there is something to be dropped outside of the loop.
    pub fn has_garbage(&self) -> bool {
        !self.garbage.is_empty()
    }

    fn discard(&mut self, object: Object) {
        if object.memory_bytes() >= LAZY_FREE_BYTES {
            self.stats.lazy_freed += 1;
            self.garbage.push(Garbage::Object(object));
        }
    }

    /// Removes some keys that are due; looks at no more than `buckets_max` buckets. Returns whether everything that
    /// was due is gone: if not, call again.
    pub fn sweep_expired(&mut self, buckets_max: usize) -> bool {
        if self.expiry_frozen {
            return true;
        }
        let mut budget = buckets_max;
        for _ in 0..self.databases.len() {
            let (garbage, database) = (&mut self.garbage, &mut self.databases[self.sweep_next]);
            let swept = database.sweep_expired(self.now_ms, budget, |object| {
                if object.memory_bytes() >= LAZY_FREE_BYTES {
                    garbage.push(Garbage::Object(object));
                }
            });
            self.stats.expired += swept.expired as u64;
            budget = budget.saturating_sub(swept.buckets);
            if !swept.round_finished {
                return false;
            }
            self.sweep_next = (self.sweep_next + 1) % self.databases.len();
        }
        true
    }

    /// Empties one database. O(1): the memory is dropped elsewhere. Returns how many keys there were.
    pub fn flush(&mut self, index: usize) -> usize {
        let fresh = Database::new(self.hash_key, self.now_ms);
        let old = std::mem::replace(&mut self.databases[index], fresh);
        let keys = old.len();
        if keys > 0 {
            self.garbage.push(Garbage::Database(Box::new(old)));
        }
        keys
    }

    /// Exchanges two databases. O(1).
    pub fn swap(&mut self, one: usize, other: usize) {
        self.databases.swap(one, other);
    }

    /// Two different databases at once.
    fn pair(&mut self, from: usize, to: usize) -> (&mut Database, &mut Database) {
        let [from, to] =
            self.databases.get_disjoint_mut([from, to]).expect("two different databases");
        (from, to)
    }
}

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
    /// Whether reads count as accesses (`CLIENT NO-TOUCH`).
    pub touch: bool,
}

impl Db<'_> {
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
        let slot = self.database().find(key)?;
        match self.database().entry(slot).expire_at_ms() {
            Some(at_ms) if self.keyspace.now_ms > at_ms => {
                self.expire(slot);
                None
            }
            _ => Some(slot),
        }
    }

    #[cold]
    fn expire(&mut self, slot: Slot) {
        if !self.keyspace.expiry_frozen {
            self.keyspace.stats.expired += 1;
            self.remove(slot);
        }
    }

    /// Where `key` is, for a command that reads it: counts a hit or a miss, and the access.
    #[inline]
    pub fn find_read(&mut self, key: &[u8]) -> Option<Slot> {
        let found = self.find(key);
        match found {
            Some(slot) => {
                self.keyspace.stats.hits += 1;
                if self.touch {
                    self.touch(slot);
                }
            }
            None => self.keyspace.stats.misses += 1,
        }
        found
    }

    /// Where `key` is, for a command that changes it: counts the access.
    #[inline]
    pub fn find_write(&mut self, key: &[u8]) -> Option<Slot> {
        let slot = self.find(key)?;
        self.touch(slot);
        Some(slot)
    }

    /// Notes an access to the key at `slot`.
    #[inline]
    pub fn touch(&mut self, slot: Slot) {
        let Keyspace { policy, now_ms, random, .. } = self.keyspace;
        let random = if policy.lfu { random.random() } else { 0 };
        let (policy, now_ms) = (*policy, *now_ms);
        let old = self.database().entry(slot).access();
        let new = policy.touched(old, now_ms, random);
        if new != old {
            self.database_mut().set_access(slot, new);
        }
    }

    /// The string at `key`, for a command that reads it.
    #[inline]
    pub fn read_string(&mut self, key: &[u8]) -> Result<Option<StringValue<'_>>, WrongType> {
        match self.find_read(key) {
            Some(slot) => self.database().string(slot).map(Some),
            None => Ok(None),
        }
    }

    /// The string at a slot that `find*` gave.
    pub fn string(&self, slot: Slot) -> Result<StringValue<'_>, WrongType> {
        self.database().string(slot)
    }

    /// Sets `key` to a string, whatever it was before.
    #[inline]
    pub fn set_string(&mut self, key: &[u8], value: NewString<'_>, expiry: Expiry) {
        let found = self.find(key);
        self.set_string_at(found, key, value, expiry);
    }

    /// Sets `key`, which `find*` has found or not, to a string, whatever it was before.
    pub fn set_string_at(
        &mut self,
        found: Option<Slot>,
        key: &[u8],
        value: NewString<'_>,
        expiry: Expiry,
    ) {
        let expire_at_ms = match (expiry, found) {
            (Expiry::At(at_ms), _) => Some(at_ms),
            (Expiry::Keep, Some(slot)) => self.database().entry(slot).expire_at_ms(),
            _ => None,
        };
        // A frequency outlives the value, as in Redis; a time of last use is now anyway.
        let access = match found {
            Some(slot) if self.keyspace.policy.lfu => self.database().entry(slot).access(),
            _ => self.keyspace.policy.fresh(self.keyspace.now_ms),
        };
        // A key that is due but frozen is still stored, though `find` hides it.
        let found = found
            .or_else(|| if self.keyspace.expiry_frozen { self.database().find(key) } else { None });
        let replaced =
            self.database_mut().set_string(found, key, value, Attributes { expire_at_ms, access });
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

    /// Copies the key at `slot` to `key` in database `target`, replacing what is there. Long strings are shared.
    pub fn copy_at(&mut self, slot: Slot, target: usize, key: &[u8]) {
        debug_assert!(
            self.keyspace.databases[target].find(key).is_none(),
            "the caller has removed the target"
        );
        if target == self.index {
            self.database_mut().copy_to_new_name(slot, key);
        } else {
            let (from, to) = self.keyspace.pair(self.index, target);
            from.copy_to(slot, to, key);
        }
    }

    /// One step of `SCAN`: calls `emit` with the entries of some keys that are not due, returns the next cursor.
    pub fn scan(&self, cursor: u64, mut emit: impl FnMut(Entry<'_>)) -> u64 {
        let now_ms = self.keyspace.now_ms;
        self.database().scan(cursor, |entry| {
            if entry.expire_at_ms().is_none_or(|at_ms| now_ms <= at_ms) {
                emit(entry);
            }
        })
    }

    /// A key at random that is not due.
    pub fn random_key(&mut self) -> Option<Vec<u8>> {
        // With nothing but expired keys that may not be removed, any key will do: Redis gives up likewise.
        for _ in 0..100 {
            let Keyspace { databases, random, .. } = self.keyspace;
            let key = databases[self.index].random_key(|| random.random())?.to_vec();
            if self.find(&key).is_some() || self.keyspace.expiry_frozen {
                return Some(key);
            }
        }
        None
    }
}
