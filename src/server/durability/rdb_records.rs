//! Keys of a snapshot as RDB records.

use super::sink::Records;
use crate::keyspace::{AccessPolicy, Database, Entry, Piece, Recency, ValueRef};
use crate::persistence::rdb::{Format, KeyWriter, Writer};

/// The records of one database.
pub(in crate::server) struct RdbRecords {
    writer: Writer,
    db: usize,
    keys: usize,
    expiring: usize,
    /// How to read access clocks, and at which time, if they are to be written.
    access: Option<(AccessPolicy, i64)>,
}

/// A key whose value is written in parts.
pub(in crate::server) struct RdbKey {
    writer: KeyWriter,
    /// All that stands before the pieces.
    head: Vec<u8>,
}

impl RdbRecords {
    pub fn new(
        db: usize,
        database: &Database,
        format: Format,
        compresses: bool,
        access: Option<(AccessPolicy, i64)>,
    ) -> Self {
        // The checksum is over all databases: whoever puts the records together makes it.
        let writer = Writer::new(format, compresses, false);
        let (keys, expiring) = (database.len(), database.keys_with_expiry());
        Self { writer, db, keys, expiring, access }
    }

    fn recency(&self, entry: Entry<'_>) -> Recency {
        self.access
            .map_or(Recency::Unknown, |(policy, now_ms)| policy.recency(entry.access(), now_ms))
    }
}

impl Records for RdbRecords {
    type Key = RdbKey;

    fn select(&mut self, out: &mut Vec<u8>) {
        self.writer.select_db(out, self.db as u64, self.keys as u64, self.expiring as u64);
    }

    fn key(&mut self, out: &mut Vec<u8>, entry: Entry<'_>, value: ValueRef<'_>) {
        let recency = self.recency(entry);
        self.writer.key(out, entry.key(), value, entry.expire_at_ms(), recency);
    }

    fn prepare(&mut self, entry: Entry<'_>, value: ValueRef<'_>) -> RdbKey {
        let (recency, mut head) = (self.recency(entry), Vec::new());
        let expire_at_ms = entry.expire_at_ms();
        let writer = self.writer.begin_key(&mut head, entry.key(), value, expire_at_ms, recency);
        self.writer.head(&mut head, &writer, value);
        RdbKey { writer, head }
    }

    fn begin(&mut self, out: &mut Vec<u8>, key: &mut RdbKey) {
        out.append(&mut key.head);
    }

    fn piece(&mut self, out: &mut Vec<u8>, key: &mut RdbKey, piece: Piece<'_>) {
        self.writer.piece(out, &key.writer, piece);
    }

    fn end(&mut self, _: &mut Vec<u8>, _: RdbKey) {}
}
