//! `WATCH`: which clients' transactions a change of a key stops.
//!
//! A client watches a key as it was then: with a value, or not there. A key that is due is not there, removed or not; so
//! its removal is a change for those alone who have seen it. A client that has been told of one change needs no other:
//! it watches nothing any more and keeps in mind that its `EXEC` is to do nothing.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::rc::Rc;

use siphasher::sip::SipHasher13;

use super::State;
use crate::keyspace::{HashKey, Keyspace};
use crate::net::Token;

/// A table that has been larger than this gives its memory back when it is empty.
const KEPT_KEYS_MAX: usize = 1024;

/// What a client watches.
#[derive(Default)]
pub struct Watch {
    keys: Vec<WatchedKey>,
    /// Something that it watched has changed.
    pub changed: bool,
}

struct WatchedKey {
    db: usize,
    key: Rc<[u8]>,
    was_there: bool,
}

impl Watch {
    /// How many keys it watches.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether it watches none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Bytes of memory, those of the keys included: most are watched by one client.
    pub fn memory_bytes(&self) -> usize {
        let keys: usize = self.keys.iter().map(|watched| watched.key.len()).sum();
        self.keys.capacity() * size_of::<WatchedKey>() + keys
    }
}

/// All watched keys, with those who watch them.
pub struct WatchedKeys {
    databases: Vec<Watchers>,
    secret: Secret,
    keys: usize,
    clients: usize,
}

type Watchers = HashMap<Rc<[u8]>, Vec<Watcher>, Secret>;

#[derive(Clone, Copy)]
struct Watcher {
    token: Token,
    was_there: bool,
}

/// Hashes with the keyspace's secret: nobody can choose keys that collide, and a run can be repeated.
#[derive(Clone, Copy)]
struct Secret(HashKey);

impl BuildHasher for Secret {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0.0, self.0.1)
    }
}

impl WatchedKeys {
    /// Nothing is watched.
    pub fn new(hash_key: HashKey) -> Self {
        Self { databases: Vec::new(), secret: Secret(hash_key), keys: 0, clients: 0 }
    }

    /// How many keys are watched.
    pub fn len(&self) -> usize {
        self.keys
    }

    /// Whether nobody watches anything.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.keys == 0
    }

    /// How many clients watch something.
    pub fn clients(&self) -> usize {
        self.clients
    }

    /// Adds a watcher; returns the key as it is kept, or `None` if this client watches it already.
    fn add(&mut self, db: usize, key: &[u8], watcher: Watcher) -> Option<Rc<[u8]>> {
        while self.databases.len() <= db {
            self.databases.push(HashMap::with_hasher(self.secret));
        }
        let database = &mut self.databases[db];
        let Some((kept, _)) = database.get_key_value(key) else {
            let kept: Rc<[u8]> = key.into();
            database.insert(kept.clone(), vec![watcher]);
            self.keys += 1;
            return Some(kept);
        };
        let kept = kept.clone();
        let watchers = database.get_mut(key)?;
        if watchers.iter().any(|other| other.token == watcher.token) {
            return None;
        }
        watchers.push(watcher);
        Some(kept)
    }

    fn remove(&mut self, token: Token, watched: &WatchedKey) {
        let database = &mut self.databases[watched.db];
        let Some(watchers) = database.get_mut(&watched.key) else { return };
        watchers.retain(|watcher| watcher.token != token);
        if watchers.is_empty() {
            database.remove(&watched.key);
            self.keys -= 1;
            if database.is_empty() && database.capacity() > KEPT_KEYS_MAX {
                database.shrink_to(0);
            }
        }
    }

    fn of_key(&self, db: usize, key: &[u8]) -> &[Watcher] {
        self.databases.get(db).and_then(|database| database.get(key)).map_or(&[], Vec::as_slice)
    }

    fn of_database(&self, db: usize) -> impl Iterator<Item = (&[u8], Watcher)> {
        let keys = self.databases.get(db).into_iter().flatten();
        keys.flat_map(|(key, watchers)| watchers.iter().map(move |watcher| (&**key, *watcher)))
    }
}

impl State {
    /// `token` watches a key from now on, which is there now or not. O(watchers of the key).
    pub fn watch(&mut self, token: Token, db: usize, key: &[u8], was_there: bool) {
        if let Some(key) = self.watched.add(db, key, Watcher { token, was_there }) {
            let watch = &mut self.clients.get_mut(token).watch;
            self.watched.clients += usize::from(watch.is_empty());
            watch.keys.push(WatchedKey { db, key, was_there });
        }
    }

    /// `token` watches nothing any more and knows of no change. O(keys it watches, and their watchers).
    pub fn unwatch(&mut self, token: Token) {
        let watch = std::mem::take(&mut self.clients.get_mut(token).watch);
        self.watched.clients -= usize::from(!watch.is_empty());
        for watched in &watch.keys {
            self.watched.remove(token, watched);
        }
    }

    /// Whether something that `token` watches has changed: a key that is due by now has, removed or not.
    pub fn watched_has_changed(&self, token: Token, keyspace: &Keyspace) -> bool {
        let watch = &self.clients.get(token).watch;
        let is_gone = |key: &WatchedKey| key.was_there && !keyspace.holds(key.db, &key.key);
        watch.changed || watch.keys.iter().any(is_gone)
    }

    /// A key has another value than before.
    #[cold]
    pub(super) fn watched_key_changed(&mut self, db: usize, key: &[u8]) {
        let watchers = self.watched.of_key(db, key);
        let tokens = watchers.iter().map(|watcher| watcher.token).collect();
        self.watched_changed(tokens);
    }

    /// A key was removed because it was due.
    #[cold]
    pub(super) fn watched_key_expired(&mut self, db: usize, key: &[u8]) {
        let watchers = self.watched.of_key(db, key).iter().filter(|watcher| watcher.was_there);
        let tokens = watchers.map(|watcher| watcher.token).collect();
        self.watched_changed(tokens);
    }

    /// A database was emptied. O(keys watched in it).
    pub(super) fn watched_database_flushed(&mut self, db: usize) {
        let watchers = self.watched.of_database(db).filter(|(_, watcher)| watcher.was_there);
        let tokens = watchers.map(|(_, watcher)| watcher.token).collect();
        self.watched_changed(tokens);
    }

    /// Two databases were exchanged: a watched key has changed unless it was not there before and is not there now.
    /// O(keys watched in them).
    pub fn databases_swapped(&mut self, keyspace: &Keyspace, one: usize, other: usize) {
        self.effects.databases_swapped(one, other);
        for db in [one, other] {
            let watchers = self.watched.of_database(db);
            let changed = watchers.filter(|(key, w)| w.was_there || keyspace.holds(db, key));
            let tokens = changed.map(|(_, watcher)| watcher.token).collect();
            self.watched_changed(tokens);
            self.migrations.database_changed(db);
        }
    }

    fn watched_changed(&mut self, tokens: Vec<Token>) {
        for token in tokens {
            self.unwatch(token);
            self.clients.get_mut(token).watch.changed = true;
        }
    }
}

#[cfg(test)]
mod tests;
