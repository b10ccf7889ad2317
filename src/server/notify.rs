//! Keyspace notifications: who is told that something has happened to a key.

use super::State;
use crate::config::KeyspaceEvents;
use crate::keyspace::ExpiredKey;

impl State {
    /// Something has happened to a key: `class` is a letter's bit of `notify-keyspace-events`. Costs a glance while nobody
    /// asked for the class.
    #[inline]
    pub fn notify(&mut self, class: u16, event: &str, db: usize, key: &[u8]) {
        if self.config.notify_keyspace_events.has(class) {
            self.keyspace_event(event, db, key);
        }
    }

    #[cold]
    fn keyspace_event(&mut self, _event: &str, _db: usize, _key: &[u8]) {}

    /// Keys were removed because they were due: all that follows from a change follows from this one, too.
    #[cold]
    pub(crate) fn keys_expired(&mut self, expired: Vec<ExpiredKey>) {
        for ExpiredKey { db, key } in expired {
            self.key_changed(db, &key);
            self.notify(KeyspaceEvents::EXPIRED, "expired", db, &key);
            self.effects.add(db, [&b"DEL"[..], &key].into_iter());
        }
    }

    /// A key has another value than before, or none: whoever watches it is told.
    pub(crate) fn key_changed(&mut self, _db: usize, _key: &[u8]) {}
}
