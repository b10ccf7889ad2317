//! Keys of a snapshot for replicas: records in the version that all of them read.
//!
//! That version has no expire times of fields. They follow as `HPEXPIREAT` commands in the stream, in front of whatever
//! changes the hash next: a replica that knows the command has the same hash again, and one that does not is told
//! of each field that has expired.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use crate::keyspace::{AccessPolicy, Database, Entry, SharedValue, SnapshotSink, ValueRef};
use crate::persistence::rdb::Format;
use crate::resp::write_request;
use crate::server::ahead::Ahead;
use crate::server::durability::{RdbRecords, RecordSink};
use crate::types::hash::HashRef;

/// Redis takes about a million arguments.
const FIELDS_PER_COMMAND: usize = 1000;

/// The records of one database.
pub(super) struct SyncSink {
    records: RecordSink<RdbRecords>,
    db: usize,
    ahead: Ahead,
    says_ahead: bool,
}

impl SyncSink {
    pub fn new(
        db: usize,
        database: &Database,
        format: Format,
        compresses: bool,
        access: Option<(AccessPolicy, i64)>,
        ahead: &Ahead,
    ) -> Self {
        let records = RdbRecords::new(db, database, format, compresses, access);
        let says_ahead = !format.has_field_expiry() && database.has_field_expiry();
        let (records, ahead) = (RecordSink::new(records), Arc::clone(ahead));
        Self { records, db, ahead, says_ahead }
    }

    /// What the records do not say of a key goes ahead of what changes it next.
    fn say_ahead(&mut self, key: &[u8], value: ValueRef<'_>) {
        let ValueRef::Hash(hash) = value else { return };
        if !self.says_ahead || hash.next_expiry_ms().is_none() {
            return;
        }
        let commands = expire_commands(key, hash);
        if !commands.is_empty() {
            let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
            ahead.push((self.db, commands));
        }
    }
}

/// The expire times of a hash's fields as commands, one for each time.
fn expire_commands(key: &[u8], hash: HashRef<'_>) -> Vec<u8> {
    let mut by_time: BTreeMap<i64, Vec<Vec<u8>>> = BTreeMap::new();
    for field in hash.iter_all() {
        if let Some(at_ms) = field.expire_at_ms {
            by_time.entry(at_ms).or_default().push(field.name.to_vec());
        }
    }
    let mut commands = Vec::new();
    for (at_ms, names) in by_time {
        for names in names.chunks(FIELDS_PER_COMMAND) {
            let (at_ms, count) = (at_ms.to_string(), names.len().to_string());
            let head: [&[u8]; 5] =
                [b"HPEXPIREAT", key, at_ms.as_bytes(), b"FIELDS", count.as_bytes()];
            let words: Vec<&[u8]> =
                head.into_iter().chain(names.iter().map(Vec::as_slice)).collect();
            write_request(&mut commands, words.into_iter());
        }
    }
    commands
}

impl SnapshotSink for SyncSink {
    fn key(&mut self, entry: Entry<'_>, value: ValueRef<'_>) {
        self.records.key(entry, value);
        self.say_ahead(entry.key(), value);
    }

    fn begin_key(&mut self, entry: Entry<'_>, value: ValueRef<'_>, shared: SharedValue) {
        self.say_ahead(entry.key(), value);
        self.records.begin_key(entry, value, shared);
    }

    fn next_part(&mut self) -> bool {
        self.records.next_part()
    }

    fn is_within_key(&self) -> bool {
        self.records.is_within_key()
    }

    fn len(&self) -> usize {
        self.records.len()
    }

    fn take(&mut self) -> Vec<u8> {
        self.records.take()
    }
}
