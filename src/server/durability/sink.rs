//! Keys of a snapshot as RDB records.

use crate::keyspace::{AccessPolicy, Database, Entry, Recency, SnapshotSink, ValueRef};
use crate::persistence::rdb::{Format, Writer};

/// The records of one database.
pub(super) struct RdbSink {
    writer: Writer,
    out: Vec<u8>,
    db: usize,
    keys: usize,
    expiring: usize,
    /// How to read access clocks, and at which time, if they are to be written.
    access: Option<(AccessPolicy, i64)>,
}

impl RdbSink {
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
        Self { writer, out: Vec::new(), db, keys, expiring, access }
    }
}

impl SnapshotSink for RdbSink {
    fn key(&mut self, entry: Entry<'_>, value: ValueRef<'_>) {
        if self.out.is_empty() {
            let (keys, expiring) = (self.keys as u64, self.expiring as u64);
            self.writer.select_db(&mut self.out, self.db as u64, keys, expiring);
        }
        let expire_at_ms = entry.expire_at_ms();
        let recency = self
            .access
            .map_or(Recency::Unknown, |(policy, now_ms)| policy.recency(entry.access(), now_ms));
        self.writer.key(&mut self.out, entry.key(), value, expire_at_ms, recency);
    }

    fn len(&self) -> usize {
        self.out.len()
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}
