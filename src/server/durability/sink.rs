//! Keys of a snapshot as records, of whatever form, kept until the walk takes them.
//!
//! While a big key is being written in parts, the records of keys that change meanwhile wait behind it.

use std::collections::VecDeque;

use crate::keyspace::{Entry, Piece, SharedValue, SnapshotSink, ValueRef};

/// Room that is made for the first record, so that the following ones need not move the ones before.
const ROOM_BYTES: usize = 32 << 10;

/// A form of records. Each call adds to `out`.
pub(in crate::server) trait Records: Send {
    /// What it has to know of a key while it writes the parts.
    type Key: Send;

    /// The records that follow are of its database.
    fn select(&mut self, out: &mut Vec<u8>);

    /// A key with its value.
    fn key(&mut self, out: &mut Vec<u8>, entry: Entry<'_>, value: ValueRef<'_>);

    /// A key whose value will come in pieces. Nothing is written yet.
    fn prepare(&mut self, entry: Entry<'_>, value: ValueRef<'_>) -> Self::Key;

    /// What stands before the pieces.
    fn begin(&mut self, out: &mut Vec<u8>, key: &mut Self::Key);

    /// A piece.
    fn piece(&mut self, out: &mut Vec<u8>, key: &mut Self::Key, piece: Piece<'_>);

    /// What stands behind the pieces.
    fn end(&mut self, out: &mut Vec<u8>, key: Self::Key);
}

/// The records of one database.
pub(in crate::server) struct RecordSink<R: Records> {
    records: R,
    out: Vec<u8>,
    /// Whether it was said which database the records are of.
    selected: bool,
    /// Keys whose values are written in parts, in this order.
    big: VecDeque<(R::Key, SharedValue)>,
    /// The first of these was begun.
    within_key: bool,
    /// Records that wait until it is complete.
    later: Vec<u8>,
}

impl<R: Records> RecordSink<R> {
    pub fn new(records: R) -> Self {
        let (out, later, big) = (Vec::new(), Vec::new(), VecDeque::new());
        Self { records, out, selected: false, big, within_key: false, later }
    }

    fn select(&mut self) {
        if !std::mem::replace(&mut self.selected, true) {
            self.out.reserve(ROOM_BYTES);
            self.records.select(&mut self.out);
        }
    }
}

impl<R: Records> SnapshotSink for RecordSink<R> {
    fn key(&mut self, entry: Entry<'_>, value: ValueRef<'_>) {
        if self.within_key {
            return self.records.key(&mut self.later, entry, value);
        }
        self.select();
        self.records.key(&mut self.out, entry, value);
    }

    fn begin_key(&mut self, entry: Entry<'_>, value: ValueRef<'_>, shared: SharedValue) {
        self.big.push_back((self.records.prepare(entry, value), shared));
    }

    fn next_part(&mut self) -> bool {
        let Some((mut key, mut value)) = self.big.pop_front() else { return false };
        self.select();
        let Self { records, out, .. } = self;
        if !std::mem::replace(&mut self.within_key, true) {
            records.begin(out, &mut key);
        }
        if value.next(|piece| records.piece(out, &mut key, piece)) {
            self.big.push_front((key, value));
            return true;
        }
        records.end(out, key);
        self.within_key = false;
        out.append(&mut self.later);
        true
    }

    fn is_within_key(&self) -> bool {
        self.within_key
    }

    fn len(&self) -> usize {
        self.out.len()
    }

    fn take(&mut self) -> Vec<u8> {
        // Between these bytes and the next ones there may be some of another database, unless they are of one key.
        self.selected = self.within_key;
        std::mem::take(&mut self.out)
    }
}
