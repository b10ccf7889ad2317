//! Coming by keys: step by step, all of them, or some at random.

use super::Database;
use crate::keyspace::entry::Entry;

impl Database {
    /// One step of a scan (see `Dict::scan`): calls `emit` with some entries and returns the next cursor, 0 at the end.
    pub fn scan(&self, cursor: u64, mut emit: impl FnMut(Entry<'_>)) -> u64 {
        self.dict.scan(cursor, |handle| emit(Entry::new(self.blocks.block(handle))))
    }

    /// All entries, in no order. O(keys).
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.dict.iter().map(|handle| Entry::new(self.blocks.block(handle)))
    }

    /// An entry at random, every one equally likely. O(1).
    pub fn random_entry(&self, random: impl FnMut() -> u64) -> Option<Entry<'_>> {
        self.dict.random(random).map(|handle| Entry::new(self.blocks.block(handle)))
    }

    /// Scans on from where this last stopped, to the first keys with an expire time, or for some steps.
    pub fn scan_for_expiring(&mut self, steps_max: usize, mut emit: impl FnMut(Entry<'_>)) {
        let (mut found, mut cursor) = (false, self.expiring_cursor);
        for _ in 0..steps_max {
            cursor = self.scan(cursor, |entry| {
                if entry.expire_at_ms().is_some() {
                    found = true;
                    emit(entry);
                }
            });
            if found {
                break;
            }
        }
        self.expiring_cursor = cursor;
    }

    /// The entries with an expire time of a bucket: the first one from a random place on that is noted to have some.
    /// `draw` is uniform over all of u64. O(keys / 4096).
    pub fn random_expiring_entries(&self, draw: u64) -> impl Iterator<Item = Entry<'_>> {
        let entries = self.dict.expiring_from(draw).map(|handle| self.entry_in(handle));
        entries.filter(|entry| entry.expire_at_ms().is_some())
    }
}
