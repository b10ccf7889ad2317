//! Keys of a snapshot on their way into the keyspace.

use bytes::Bytes;

use crate::keyspace::{Candidate, Expiry, Keyspace, NewString};
use crate::persistence::rdb::{Event, Key, Limits, Reader, Value};
use crate::resp::number::parse_i64;
use crate::server::State;
use crate::server::replication::{Position, ReplId};

/// Strings from here on keep the memory they were read into.
const SHARED_LEN_MIN: usize = 1024;

/// Keys that are looked up together before they are stored, so that the processor waits for many buckets at a time.
const BATCH_KEYS: usize = 32;

/// Whether a file begins like a snapshot.
pub(super) fn is_snapshot(bytes: &[u8]) -> bool {
    bytes.starts_with(b"REDIS") || bytes.starts_with(b"VALKEY")
}

impl State {
    /// What decides the form of collections that are read.
    pub fn rdb_limits(&self, keyspace: &Keyspace) -> Limits {
        Limits {
            list: self.list_limit(),
            set_intset_entries: self.set_intset_entries(),
            set: self.set_packed(),
            sorted_set: self.zset_packed(),
            hash: self.hash_packed(),
            hash_key: keyspace.hash_key(),
            now_ms: self.now.unix_ms(),
        }
    }

    /// A reader for a snapshot.
    pub(super) fn snapshot_reader(&self, keyspace: &Keyspace) -> Reader {
        Reader::new(self.rdb_limits(keyspace), self.config.rdbchecksum)
    }
}

/// Where keys of a snapshot go.
#[derive(Default)]
pub struct Target {
    db: usize,
    /// Keys that were stored.
    pub keys: u64,
    /// What the snapshot says of the memory that the data took where it was written.
    pub used_bytes: u64,
    /// What it says of its place in a history.
    replid: Option<ReplId>,
    offset: Option<u64>,
    stream_db: Option<usize>,
    batch: Batch,
}

/// Keys that were read and are not stored yet.
#[derive(Default)]
struct Batch {
    keys: Vec<Key>,
    hashes: Vec<u64>,
    candidates: Vec<Candidate>,
}

impl Batch {
    /// Stores all of them in database `db`.
    fn store(&mut self, keyspace: &mut Keyspace, db: usize) {
        let Self { keys, hashes, candidates } = self;
        hashes.clear();
        candidates.clear();
        hashes.extend(keys.iter().map(|key| keyspace.name(&key.name).hash));
        keyspace.look_ahead(db, hashes, candidates);
        for (key, candidate) in keys.drain(..).zip(&*candidates) {
            let Key { name, value, expire_at_ms, recency } = key;
            let mut db = keyspace.db(db);
            db.ahead = Some((&name, candidate));
            db.store(&name, value, expire_at_ms);
            db.recall(&name, recency);
        }
    }
}

impl Target {
    /// The snapshot says something about itself.
    fn note(&mut self, name: &[u8], value: &[u8]) {
        let number = || parse_i64(value).and_then(|number| u64::try_from(number).ok());
        match name {
            b"used-mem" => self.used_bytes = number().unwrap_or(0),
            b"repl-id" => self.replid = ReplId::parse(value),
            b"repl-offset" => self.offset = number(),
            b"repl-stream-db" => self.stream_db = number().and_then(|db| usize::try_from(db).ok()),
            _ => {}
        }
    }

    /// Where in a history the data is, if the snapshot says it.
    pub fn position(&self) -> Option<Position> {
        let (replid, offset) = (self.replid?, self.offset?);
        Some(Position { replid, offset, db: self.stream_db.unwrap_or(0) })
    }
}

/// Stores in `keyspace` what the reader gives out. Returns whether the snapshot has ended. The error is for the log.
pub fn store_events(
    keyspace: &mut Keyspace,
    reader: &mut Reader,
    target: &mut Target,
) -> Result<bool, String> {
    loop {
        let event = reader.next_event().map_err(|error| error.to_string())?;
        if let Some(Event::Key(key)) = event {
            target.keys += 1;
            target.batch.keys.push(key);
            if target.batch.keys.len() == BATCH_KEYS {
                target.batch.store(keyspace, target.db);
            }
            continue;
        }
        target.batch.store(keyspace, target.db);
        match event {
            None => return Ok(false),
            Some(Event::End { .. }) => return Ok(true),
            Some(Event::SelectDb(db)) => target.db = database_of(keyspace, db)?,
            Some(Event::Aux { name, value }) => target.note(&name, &value),
            Some(Event::Function(_)) => {
                return Err("it holds functions, which this server does not support".into());
            }
            // Hints, and facts about who wrote it.
            Some(_) => {}
        }
    }
}

fn database_of(keyspace: &Keyspace, db: u64) -> Result<usize, String> {
    let count = keyspace.databases_len();
    usize::try_from(db).ok().filter(|&db| db < count).ok_or_else(|| {
        format!("FATAL: Data file was created with a Redis server configured to handle more than {count} databases. Exiting")
    })
}

impl crate::keyspace::Db<'_> {
    /// Stores a value that was read. O(1) but for what it replaces.
    pub fn store(&mut self, name: &[u8], value: Value, expire_at_ms: Option<i64>) {
        let expiry = expire_at_ms.map_or(Expiry::Clear, Expiry::At);
        match value {
            Value::String(bytes) if bytes.len() >= SHARED_LEN_MIN => {
                self.set_string(name, NewString::Shared(Bytes::from(bytes)), expiry);
            }
            Value::String(bytes) => self.set_string(name, NewString::encode(&bytes), expiry),
            Value::List(list) => self.set_collection(name, list, expiry),
            Value::Set(set) => self.set_collection(name, set, expiry),
            Value::SortedSet(sorted_set) => self.set_collection(name, sorted_set, expiry),
            Value::Hash(hash) => self.set_collection(name, hash, expiry),
        }
    }
}
