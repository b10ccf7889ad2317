//! Coming by keys that are not due: step by step, all of them, or one at random.

use rand::RngExt as _;

use super::{Db, is_due};
use crate::keyspace::Keyspace;
use crate::keyspace::entry::Entry;

/// Keys drawn before `random_key` looks at all of them: only a database full of keys that are due gets there.
const RANDOM_KEY_TRIES: usize = 100;

impl Db<'_> {
    /// One step of `SCAN`: calls `emit` with the entries of some keys that are not due, removes those that are, returns
    /// the next cursor.
    pub fn scan(&mut self, cursor: u64, mut emit: impl FnMut(Entry<'_>)) -> u64 {
        let now_ms = self.keyspace.now_ms;
        let mut due = Vec::new();
        let next = self.database().scan(cursor, |entry| {
            if is_due(entry, now_ms) {
                due.push(entry.key().to_vec());
            } else {
                emit(entry);
            }
        });
        for key in due {
            self.find(&key);
        }
        next
    }

    /// The entries of all keys that are not due, in no order. O(keys).
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let now_ms = self.keyspace.now_ms;
        self.database().entries().filter(move |&entry| !is_due(entry, now_ms))
    }

    /// A key at random that is not due. O(1) unless almost all are due.
    pub fn random_key(&mut self) -> Option<Vec<u8>> {
        for _ in 0..RANDOM_KEY_TRIES {
            let Keyspace { databases, random, .. } = self.keyspace;
            let key = databases[self.index].random_entry(|| random.random())?.key().to_vec();
            if self.find(&key).is_some() {
                return Some(key);
            }
        }
        self.entries().next().map(|entry| entry.key().to_vec())
    }
}
