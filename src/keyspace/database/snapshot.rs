//! A snapshot of a database that goes on changing: a walk over all keys in small steps, and each key that changes before
//! the walk has come to it is written just before.
//!
//! One bit of an entry says whether it is done: when a snapshot begins the database's bit is turned over, so all entries
//! are not done, and whatever is written from then on carries the new bit. Nothing is copied and nothing is doubled.
//! A small value is written whole where it is met. A big one is shared with its owner there, which takes microseconds,
//! and written in parts.

use super::Database;
use crate::dict::Handle;
use crate::keyspace::entry::{self, Entry};
use crate::keyspace::shared::SharedValue;
use crate::keyspace::value::ValueRef;

/// Takes the keys of a snapshot, and keeps them as bytes until somebody comes for them.
pub trait SnapshotSink: Send {
    /// A key as it was when the snapshot began.
    fn key(&mut self, entry: Entry<'_>, value: ValueRef<'_>);

    /// The same, for a key whose value is written in parts, which `next_part` asks for: it is `value` shared.
    fn begin_key(&mut self, entry: Entry<'_>, value: ValueRef<'_>, shared: SharedValue);

    /// Writes one more part of the keys that were begun. False if there is none.
    fn next_part(&mut self) -> bool;

    /// Whether the next bytes to be taken belong to the same key as the last ones.
    fn is_within_key(&self) -> bool;

    /// Bytes that were not taken yet.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes that were not taken yet.
    fn take(&mut self) -> Vec<u8>;
}

/// A snapshot that is being taken.
pub(super) struct Snapshot {
    sink: Box<dyn SnapshotSink>,
    /// Where the walk is.
    cursor: u64,
    walked: bool,
    /// Keys that are not written yet.
    keys_left: usize,
}

impl Database {
    /// Begins a snapshot of the keys that are there now. None may be running.
    pub fn begin_snapshot(&mut self, sink: Box<dyn SnapshotSink>) {
        assert!(self.snapshot.is_none(), "one snapshot at a time");
        self.epoch = !self.epoch;
        let (walked, keys_left) = (self.is_empty(), self.len());
        self.snapshot = Some(Box::new(Snapshot { sink, cursor: 0, walked, keys_left }));
    }

    /// Whether a snapshot is being taken.
    pub fn has_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }

    /// Whether a key was written in part.
    pub fn is_within_key(&self) -> bool {
        self.snapshot.as_ref().is_some_and(|snapshot| snapshot.sink.is_within_key())
    }

    /// Keys that the snapshot that is being taken has not written yet.
    pub fn snapshot_keys_left(&self) -> usize {
        self.snapshot.as_ref().map_or(0, |snapshot| snapshot.keys_left)
    }

    /// Goes on with the walk until there are `bytes_max` bytes to be taken, or it has come to the end. Returns the bytes
    /// that were not taken yet, and whether the snapshot is complete with them; it is over then.
    pub fn snapshot_step(&mut self, bytes_max: usize) -> (Vec<u8>, bool) {
        let Some(mut snapshot) = self.snapshot.take() else { return (Vec::new(), true) };
        let mut due = Vec::new();
        let mut complete = false;
        while snapshot.sink.len() < bytes_max {
            if snapshot.sink.next_part() {
                continue;
            }
            if snapshot.walked {
                complete = true;
                break;
            }
            due.clear();
            snapshot.cursor = self.dict.scan(snapshot.cursor, |handle| due.push(handle));
            due.iter().for_each(|&handle| self.write_once(handle, &mut snapshot));
            snapshot.walked = snapshot.cursor == 0;
        }
        let bytes = snapshot.sink.take();
        if !complete {
            self.snapshot = Some(snapshot);
        }
        (bytes, complete)
    }

    /// To be called before the entry in a block changes or goes.
    #[inline]
    pub(super) fn before_change(&mut self, handle: Handle) {
        if self.snapshot.is_some() {
            self.write_before_change(handle);
        }
    }

    #[cold]
    fn write_before_change(&mut self, handle: Handle) {
        let Some(mut snapshot) = self.snapshot.take() else { return };
        self.write_once(handle, &mut snapshot);
        self.snapshot = Some(snapshot);
    }

    fn write_once(&mut self, handle: Handle, snapshot: &mut Snapshot) {
        let entry = self.entry_in(handle);
        if entry.epoch() != self.epoch {
            let value = self.value(entry);
            match SharedValue::of(value) {
                Some(shared) => snapshot.sink.begin_key(entry, value, shared),
                None => snapshot.sink.key(entry, value),
            }
            snapshot.keys_left -= 1;
            entry::set_epoch(self.blocks.block_mut(handle), self.epoch);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::keyspace::{Expiry, Keyspace, NewString, StringValue};
    use crate::types::list::{End, List, NodeLimit};

    /// Keys and values as lines of text.
    #[derive(Default)]
    struct Lines(Vec<u8>);

    fn line(key: &[u8], value: ValueRef<'_>) -> Vec<u8> {
        let value = match value {
            ValueRef::String(string) => string.to_vec(),
            ValueRef::List(list) => list.iter().flat_map(|element| element.to_vec()).collect(),
            _ => unreachable!("the test has no others"),
        };
        [key, b"=", &value, b"\n"].concat()
    }

    impl SnapshotSink for Lines {
        fn key(&mut self, entry: Entry<'_>, value: ValueRef<'_>) {
            self.0.extend(line(entry.key(), value));
        }

        fn begin_key(&mut self, entry: Entry<'_>, value: ValueRef<'_>, _: SharedValue) {
            self.key(entry, value);
        }

        fn next_part(&mut self) -> bool {
            false
        }

        fn is_within_key(&self) -> bool {
            false
        }

        fn len(&self) -> usize {
            self.0.len()
        }

        fn take(&mut self) -> Vec<u8> {
            std::mem::take(&mut self.0)
        }
    }

    fn content(keyspace: &Keyspace) -> BTreeMap<Vec<u8>, usize> {
        let database = &keyspace.databases()[0];
        database.entries().map(|entry| (line(entry.key(), database.value(entry)), 1)).collect()
    }

    /// Changes a key somehow.
    fn change(keyspace: &mut Keyspace, kind: u8, number: u16) {
        let key = format!("k{number}").into_bytes();
        let mut db = keyspace.db(0);
        let found = db.find(&key);
        match (kind, found) {
            (0, _) => db.set_string(&key, NewString::Int(i64::from(number) * 7), Expiry::Clear),
            (1, Some(slot)) => db.remove(slot),
            (2, Some(slot)) => db.set_expire_at(slot, Some(5000)),
            (3, Some(slot)) if matches!(db.string(slot), Ok(StringValue::Int(_))) => {
                db.set_integer_at(slot, 77);
            }
            (4, Some(slot)) if db.string(slot).is_ok() => {
                let edited: Result<(), ()> = db.edit_string_at(slot, |bytes| {
                    bytes.extend_from_slice(&[b'x'; 600]);
                    Ok(())
                });
                assert!(edited.is_ok());
            }
            (5, Some(slot)) => db.move_at(slot, 0, format!("k{}", number / 2).as_bytes()),
            (6, Some(slot)) => db.copy_at(slot, 0, format!("k{}", number / 3).as_bytes()),
            (7, Some(slot)) if db.string(slot).is_err() => {
                db.change_at(slot, |list: &mut List| {
                    list.push(End::Left, [&b"more"[..]].into_iter(), NodeLimit::new(-2));
                });
            }
            (8, _) => {
                let mut list = List::default();
                list.push(End::Left, [&b"first"[..]].into_iter(), NodeLimit::new(-2));
                db.set_collection(&key, list, Expiry::Clear);
            }
            _ => {}
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn a_snapshot_is_what_was_there_when_it_began(
            before in proptest::collection::vec((0..9_u8, 0..400_u16), 0..800),
            during in proptest::collection::vec((0..9_u8, 0..400_u16), 0..800),
            steps in 1..20_usize,
        ) {
            let mut keyspace = Keyspace::new(1, 1, 1000);
            for (kind, number) in before {
                change(&mut keyspace, kind, number);
            }
            for _ in 0..2 {
                let expected = content(&keyspace);
                keyspace.database_mut(0).begin_snapshot(Box::<Lines>::default());
                let mut seen: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
                let mut complete = false;
                let mut changes = during.chunks(steps);
                while !complete {
                    for &(kind, number) in changes.next().unwrap_or_default() {
                        change(&mut keyspace, kind, number);
                    }
                    let (bytes, is_complete) = keyspace.database_mut(0).snapshot_step(200);
                    complete = is_complete;
                    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
                        *seen.entry(line.to_vec()).or_default() += 1;
                    }
                }
                prop_assert_eq!(&seen, &expected);
            }
        }
    }
}
