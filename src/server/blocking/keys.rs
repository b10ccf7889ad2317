//! Who waits for which keys, and until when. What it means to be served is left to the parent module.
//!
//! Each client that waits has a number, and numbers grow: the order of a key's clients by number is the order in which
//! they came. All steps take logarithmic time, so that thousands may wait for one key and give up together.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};

use crate::keyspace::Type;
use crate::net::Token;

/// Clients that wait for one key, by their numbers.
#[derive(Default)]
struct Waiters {
    clients: BTreeMap<u64, (Token, Type)>,
    /// The key is on the list of those that have changed.
    ready: bool,
}

/// All keys that are waited for.
#[derive(Default)]
pub struct BlockedKeys {
    databases: Vec<HashMap<Vec<u8>, Waiters>>,
    keys: usize,
    ready: VecDeque<(usize, Vec<u8>)>,
    deadlines: BTreeMap<(u64, u64), Token>,
    last_number: u64,
}

impl BlockedKeys {
    /// A number for a client that begins to wait: larger than all before it.
    pub fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Client `number` waits until `key` of database `db` holds a value of type `kind`. May be said twice.
    pub fn add(&mut self, db: usize, key: &[u8], kind: Type, number: u64, token: Token) {
        if self.databases.len() <= db {
            self.databases.resize_with(db + 1, HashMap::new);
        }
        let waiters = self.databases[db].entry(key.to_vec()).or_insert_with(|| {
            self.keys += 1;
            Waiters::default()
        });
        waiters.clients.insert(number, (token, kind));
    }

    /// Client `number` does not wait for `key` any more, if it did.
    pub fn remove(&mut self, db: usize, key: &[u8], number: u64) {
        let Some(keys) = self.databases.get_mut(db) else { return };
        let Some(waiters) = keys.get_mut(key) else { return };
        waiters.clients.remove(&number);
        if waiters.clients.is_empty() {
            keys.remove(key);
            self.keys -= 1;
        }
    }

    /// Client `number` waits no longer than until then (monotonic).
    pub fn add_deadline(&mut self, deadline_us: u64, number: u64, token: Token) {
        self.deadlines.insert((deadline_us, number), token);
    }

    /// It does not wait any more.
    pub fn remove_deadline(&mut self, deadline_us: u64, number: u64) {
        self.deadlines.remove(&(deadline_us, number));
    }

    /// The time of the first deadline, and whose it is.
    pub fn first_deadline(&self) -> Option<(u64, Token)> {
        self.deadlines.first_key_value().map(|(&(deadline_us, _), &token)| (deadline_us, token))
    }

    /// How many clients have a deadline.
    pub fn deadlines_len(&self) -> usize {
        self.deadlines.len()
    }

    /// How many keys are waited for.
    pub fn len(&self) -> usize {
        self.keys
    }

    /// Whether nobody waits for any key.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.keys == 0
    }

    /// A key has changed: if it is waited for, it goes on the list.
    pub fn key_changed(&mut self, db: usize, key: &[u8]) {
        let waiters = self.databases.get_mut(db).and_then(|keys| keys.get_mut(key));
        if let Some(waiters) = waiters
            && !waiters.ready
        {
            waiters.ready = true;
            self.ready.push_back((db, key.to_vec()));
        }
    }

    /// A database has other content than before: all keys of it that are waited for go on the list, in no order.
    pub fn database_changed(&mut self, db: usize) {
        let Some(keys) = self.databases.get_mut(db) else { return };
        for (key, waiters) in keys.iter_mut().filter(|(_, waiters)| !waiters.ready) {
            waiters.ready = true;
            self.ready.push_back((db, key.clone()));
        }
    }

    /// Whether a key has changed that is, or was, waited for.
    #[inline]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Takes the key that changed first off the list.
    pub fn take_ready(&mut self) -> Option<(usize, Vec<u8>)> {
        let (db, key) = self.ready.pop_front()?;
        if let Some(waiters) = self.databases.get_mut(db).and_then(|keys| keys.get_mut(&key)) {
            waiters.ready = false;
        }
        Some((db, key))
    }

    /// The first client after number `after` that waits for `key` to hold a value of type `kind`, with its number.
    pub fn next_waiter(
        &self,
        db: usize,
        key: &[u8],
        kind: Type,
        after: u64,
    ) -> Option<(u64, Token)> {
        let waiters = self.databases.get(db)?.get(key)?;
        let mut later = waiters.clients.range((Excluded(after), Unbounded));
        let (&number, &(token, _)) = later.find(|(_, (_, wanted))| *wanted == kind)?;
        Some((number, token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys of which the first two are waited for, each by a client of that number.
    fn waited_for() -> BlockedKeys {
        let mut blocked = BlockedKeys::default();
        for (number, key) in [(1, b"a"), (2, b"b")] {
            assert_eq!(blocked.next_number(), number);
            blocked.add(0, key, Type::List, number, Token(number as u32));
        }
        blocked
    }

    #[test]
    fn only_keys_that_are_waited_for_become_ready_and_only_once() {
        let mut blocked = waited_for();
        for (db, key) in [(0, b"c"), (0, b"b"), (1, b"a"), (7, b"a"), (0, b"b"), (0, b"a")] {
            blocked.key_changed(db, key);
        }
        assert_eq!(blocked.take_ready(), Some((0, b"b".to_vec())));
        blocked.key_changed(0, b"b");
        assert_eq!(blocked.take_ready(), Some((0, b"a".to_vec())));
        assert_eq!(blocked.take_ready(), Some((0, b"b".to_vec())));
        assert!(blocked.take_ready().is_none() && !blocked.has_ready());
        blocked.database_changed(0);
        blocked.database_changed(5);
        assert_eq!(blocked.ready.len(), 2);
    }

    #[test]
    fn who_came_first_is_found_first_by_type() {
        let mut blocked = BlockedKeys::default();
        for (number, kind) in [(1, Type::Zset), (2, Type::List), (3, Type::List), (4, Type::Zset)] {
            blocked.add(0, b"k", kind, number, Token(number as u32));
            blocked.add(0, b"k", kind, number, Token(number as u32));
        }
        let next = |blocked: &BlockedKeys, kind, after| {
            blocked.next_waiter(0, b"k", kind, after).map(|(number, _)| number)
        };
        assert_eq!(next(&blocked, Type::List, 0), Some(2));
        assert_eq!(next(&blocked, Type::List, 2), Some(3));
        assert_eq!(next(&blocked, Type::List, 3), None);
        blocked.remove(0, b"k", 1);
        assert_eq!(next(&blocked, Type::Zset, 0), Some(4));
        assert_eq!(next(&blocked, Type::Hash, 0), None);
    }

    #[test]
    fn nothing_stays_of_those_who_left() {
        let mut blocked = waited_for();
        blocked.add_deadline(50, 2, Token(2));
        blocked.add_deadline(40, 1, Token(1));
        assert_eq!(blocked.first_deadline(), Some((40, Token(1))));
        blocked.remove_deadline(40, 1);
        assert_eq!((blocked.first_deadline(), blocked.deadlines_len()), (Some((50, Token(2))), 1));
        assert_eq!(blocked.len(), 2);
        blocked.remove(0, b"a", 1);
        blocked.remove(0, b"b", 2);
        blocked.remove(0, b"b", 2);
        blocked.remove(9, b"b", 2);
        assert!(blocked.is_empty() && blocked.databases[0].is_empty());
        blocked.key_changed(0, b"a");
        assert!(!blocked.has_ready());
    }
}
