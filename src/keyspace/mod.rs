//! The keyspace: numbered databases of keys, with expiry, access clocks and counters. It knows no client and no clock.
//!
//! `Db` is how commands see it: one database, at one time, with keys that are due already gone.

mod access;
mod collection;
mod database;
mod db;
mod entry;
mod eviction;
mod notices;
mod object;
mod shared;
mod value;

pub use access::{AccessPolicy, Recency};
pub use collection::{Changed, Collection};
pub use database::{Attributes, Candidate, Database, Detached, HashKey, Name, SnapshotSink, Sweep};
pub use db::{Db, Expiry};
pub use entry::Entry;
pub use eviction::Evictable;
pub use notices::{Happening, Notice, Notices};
pub use object::Object;
pub use shared::{Piece, SharedValue};
pub use value::{NewString, StringValue, Type, ValueRef, WrongType};

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

/// A key that was removed because it was due, or lost fields that were, for those who are to be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExpiredKey {
    /// Its database.
    pub db: usize,
    /// The key.
    pub key: Vec<u8>,
    /// Which fields it lost, if it is a hash that was not due as a whole.
    pub fields: Option<ExpiredFields>,
}

/// Fields that a hash has lost because they were due.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExpiredFields {
    /// Their names, at least one.
    pub names: Vec<Vec<u8>>,
    /// No field was left, so the key is gone, too.
    pub emptied: bool,
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
    /// Fields of hashes removed because they were due.
    pub expired_fields: u64,
    /// Values whose memory was handed out to be dropped elsewhere.
    pub lazy_freed: u64,
}

/// All databases.
pub struct Keyspace {
    databases: Vec<Database>,
    now_ms: i64,
    /// The time that accesses are recorded with.
    wall_ms: i64,
    lru_clock: u32,
    /// How accesses are recorded.
    pub policy: AccessPolicy,
    /// Counters.
    pub stats: KeyspaceStats,
    /// While true, keys that are due are hidden but stay: during `CLIENT PAUSE`, and on a replica.
    pub expiry_frozen: bool,
    /// While true, the time is 1970: commands of the log run as they ran when they were written, and nothing is due.
    pub loading: bool,
    /// What is noted for those who want to be told of it.
    pub notices: Notices,
    /// Databases that were flushed while a snapshot was taken of them.
    flushed: Vec<Database>,
    /// Keys in the snapshot that is being taken, or in the last one.
    snapshot_keys: usize,
    garbage: Vec<Garbage>,
    expired: Vec<ExpiredKey>,
    hash_key: HashKey,
    next_serial: u32,
    random: SmallRng,
    sweep_next: usize,
}

impl Keyspace {
    /// `count` empty databases. `seed` makes key hashes unpredictable and random choices repeatable.
    pub fn new(count: usize, seed: u64, now_ms: i64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let hash_key = (random.random(), random.random());
        Self {
            databases: (0..count)
                .map(|serial| Database::new(serial as u32, hash_key, now_ms))
                .collect(),
            now_ms,
            wall_ms: now_ms,
            lru_clock: access::lru_clock(now_ms),
            policy: AccessPolicy::default(),
            stats: KeyspaceStats::default(),
            expiry_frozen: false,
            loading: false,
            notices: Notices::default(),
            flushed: Vec::new(),
            snapshot_keys: 0,
            garbage: Vec::new(),
            expired: Vec::new(),
            hash_key,
            next_serial: count as u32,
            random,
            sweep_next: 0,
        }
    }

    /// Tells the time, in Unix milliseconds. All commands until the next call see this one.
    pub fn set_now_ms(&mut self, now_ms: i64) {
        self.now_ms = if self.loading { 0 } else { now_ms };
        self.wall_ms = now_ms;
        self.lru_clock = access::lru_clock(now_ms);
    }

    /// What files say of keys is of this time, in Unix milliseconds.
    pub fn wall_ms(&self) -> i64 {
        self.wall_ms
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
        Db { keyspace: self, index, touch: true, ahead: None }
    }

    /// A key with its hash: the same in all databases.
    #[inline]
    pub fn name<'k>(&self, key: &'k [u8]) -> Name<'k> {
        Name { key, hash: database::hash(self.hash_key, key) }
    }

    /// Looks for the keys with these hashes in database `index`, for commands that will want them. All buckets are asked
    /// for first, then all entries, so that the processor waits for many of them at a time.
    pub fn look_ahead(&self, index: usize, hashes: &[u64], candidates: &mut Vec<Candidate>) {
        let database = &self.databases[index];
        hashes.iter().for_each(|&hash| database.prefetch(hash));
        candidates.extend(hashes.iter().map(|&hash| database.candidate(hash)));
    }

    /// Whether a key is in database `index` and not due. Counts nothing, and removes nothing.
    pub fn holds(&self, index: usize, key: &[u8]) -> bool {
        let found = self.databases[index].find_block(self.name(key));
        found.is_some_and(|found| found.expire_at_ms.is_none_or(|at_ms| self.now_ms <= at_ms))
    }

    /// Database `index` as it is stored, for snapshots.
    pub fn database_mut(&mut self, index: usize) -> &mut Database {
        &mut self.databases[index]
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

    /// The keys that were removed because they were due since this was last asked, in order.
    pub fn take_expired(&mut self) -> Vec<ExpiredKey> {
        std::mem::take(&mut self.expired)
    }

    /// Whether keys were removed because they were due that nobody was told of.
    #[inline]
    pub fn has_expired(&self) -> bool {
        !self.expired.is_empty()
    }

    /// The secret of the hash function, which the tables of big collections share.
    pub fn hash_key(&self) -> HashKey {
        self.hash_key
    }

    fn discard(&mut self, object: Object) {
        if is_lazily_freed(&object) {
            self.stats.lazy_freed += 1;
            self.garbage.push(Garbage::Object(object));
        }
    }

    /// Removes some keys that are due, and fields of hashes; looks at no more than `buckets_max` buckets, and goes on where the last call
    /// stopped. Returns whether it came to the end of the last database: if not, there may be more that is due.
    pub fn sweep_expired(&mut self, buckets_max: usize) -> bool {
        if self.expiry_frozen || self.loading {
            return true;
        }
        let mut budget = buckets_max;
        while budget > 0 {
            let (garbage, database) = (&mut self.garbage, &mut self.databases[self.sweep_next]);
            let garbage_before = garbage.len();
            let (index, expired) = (self.sweep_next, &mut self.expired);
            let swept = database.sweep_expired(self.now_ms, budget, |key, fields, object| {
                expired.push(ExpiredKey { db: index, key, fields });
                if let Some(object) = object.filter(is_lazily_freed) {
                    garbage.push(Garbage::Object(object));
                }
            });
            self.stats.expired += swept.expired as u64;
            self.stats.expired_fields += swept.expired_fields as u64;
            self.stats.lazy_freed += (garbage.len() - garbage_before) as u64;
            budget = budget.saturating_sub(swept.buckets);
            if !swept.round_finished {
                return false;
            }
            self.sweep_next = (self.sweep_next + 1) % self.databases.len();
            if self.sweep_next == 0 {
                return true;
            }
        }
        false
    }

    /// Empties one database. O(1): the memory is dropped elsewhere. Returns how many keys there were.
    pub fn flush(&mut self, index: usize) -> usize {
        let fresh = Database::new(self.next_serial, self.hash_key, self.now_ms);
        self.next_serial = self.next_serial.wrapping_add(1);
        self.replace(index, fresh)
    }

    /// Puts another database in the place of one. Returns how many keys that had.
    fn replace(&mut self, index: usize, new: Database) -> usize {
        let old = std::mem::replace(&mut self.databases[index], new);
        let keys = old.len();
        if old.has_snapshot() {
            self.flushed.push(old); // the walk goes on in it
        } else if keys > 0 {
            self.garbage.push(Garbage::Database(Box::new(old)));
        }
        keys
    }

    /// A keyspace without keys, for data that shall take the place of what is here ([`Self::adopt`]). Nothing is due in
    /// it. O(databases).
    pub fn empty_twin(&self) -> Self {
        let mut twin = Self::new(self.databases.len(), 0, self.wall_ms);
        let hash_key = self.hash_key;
        let empty = |serial| Database::new(serial as u32, hash_key, self.wall_ms);
        twin.databases = (0..self.databases.len()).map(empty).collect();
        twin.hash_key = hash_key;
        twin.policy = self.policy;
        twin.loading = true;
        twin.set_now_ms(self.wall_ms);
        twin
    }

    /// Takes the databases of an [`Self::empty_twin`] in the place of its own, whose memory is dropped elsewhere.
    /// O(databases).
    pub fn adopt(&mut self, twin: Self) {
        for (index, mut database) in twin.databases.into_iter().enumerate() {
            database.renumber(self.next_serial);
            self.next_serial = self.next_serial.wrapping_add(1);
            self.replace(index, database);
        }
        self.garbage.extend(twin.garbage);
    }

    /// Begins a snapshot of all keys: `sink` makes the one of each database. None may be running. O(databases).
    pub fn begin_snapshot(&mut self, sink: impl Fn(usize, &Database) -> Box<dyn SnapshotSink>) {
        self.snapshot_keys = self.databases.iter().map(Database::len).sum();
        for (index, database) in self.databases.iter_mut().enumerate() {
            let sink = sink(index, database);
            database.begin_snapshot(sink);
        }
    }

    /// Goes on with the snapshot, for about `bytes_max` bytes, and at least for a page of a big collection. Returns what was
    /// written, and whether that is all of it.
    pub fn snapshot_step(&mut self, bytes_max: usize) -> (Vec<u8>, bool) {
        let mut all = Vec::new();
        let Self { flushed, databases, .. } = self;
        // What another database has to write must not come between the parts of a key.
        let unfinished = flushed.iter().chain(&*databases).position(Database::is_within_key);
        let databases = flushed.iter_mut().chain(databases).skip(unfinished.unwrap_or(0));
        for database in databases.filter(|database| database.has_snapshot()) {
            let bytes = database.snapshot_step(bytes_max.saturating_sub(all.len())).0;
            match all.is_empty() {
                true => all = bytes, // nearly always: most have all keys in one database
                false => all.extend(bytes),
            }
            if database.is_within_key() {
                break;
            }
        }
        let done = self.flushed.extract_if(.., |old| !old.has_snapshot());
        self.garbage.extend(done.map(|old| Garbage::Database(Box::new(old))));
        (all, !self.has_snapshot())
    }

    /// How many keys of the snapshot that is being taken are written, and how many it has.
    pub fn snapshot_progress(&self) -> (usize, usize) {
        let databases = self.databases.iter().chain(&self.flushed);
        let left: usize = databases.map(Database::snapshot_keys_left).sum();
        (self.snapshot_keys - left, self.snapshot_keys)
    }

    /// Whether a snapshot is being taken.
    pub fn has_snapshot(&self) -> bool {
        self.databases.iter().chain(&self.flushed).any(Database::has_snapshot)
    }

    /// Whether a field of a hash may have an expire time.
    pub fn has_field_expiry(&self) -> bool {
        self.databases.iter().any(Database::has_field_expiry)
    }

    /// Exchanges two databases. O(1).
    pub fn swap(&mut self, one: usize, other: usize) {
        self.databases.swap(one, other);
    }
}

fn is_lazily_freed(object: &Object) -> bool {
    object.memory_bytes() >= LAZY_FREE_BYTES
}

#[cfg(test)]
mod tests;
