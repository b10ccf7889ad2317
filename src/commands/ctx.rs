//! What a command is given to work with.

use super::registry::CommandId;
use super::table::Command;
use crate::config::KeyspaceEvents;
use crate::dict::Slot;
use crate::keyspace::{Db, HashKey};
use crate::net::Token;
use crate::resp::{Args, Reply};
use crate::server::{Client, State};
use crate::types::hash::HashLimits;
use crate::types::limits::PackedLimits;
use crate::types::list::NodeLimit;
use crate::types::set::SetLimits;

/// One call of one command.
pub struct Ctx<'a> {
    /// The client's database; through it all databases.
    pub db: Db<'a>,
    /// Everything that is not data.
    pub server: &'a mut State,
    /// The client that called.
    pub token: Token,
    /// Its reply.
    pub reply: &'a mut Reply,
    /// The row of the command.
    pub command: &'static Command,
    /// Its number.
    pub id: CommandId,
    /// The key that the client has waited for and that has changed: this is one more try of a command that waits.
    pub ready_key: Option<&'a [u8]>,
}

impl Ctx<'_> {
    /// The client that called.
    pub fn client(&self) -> &Client {
        self.server.clients.get(self.token)
    }

    /// The client that called.
    pub fn client_mut(&mut self) -> &mut Client {
        self.server.clients.get_mut(self.token)
    }

    /// To be called after each change of a key, in the client's database: everything that follows from a change hangs
    /// on this one call, so that it cannot be half-forgotten.
    pub fn modified(&mut self, key: &[u8]) {
        self.modified_in(self.db.index, key);
    }

    /// The same for a key of another database.
    pub fn modified_in(&mut self, db: usize, key: &[u8]) {
        self.settle_expired();
        self.server.dirty += 1;
        self.server.key_changed(db, key);
    }

    /// Tells those who asked for notifications what has happened to a key. `class` is one of [`KeyspaceEvents`], `event`
    /// Redis's name of it. Comes after `modified`.
    #[inline]
    pub fn notify(&mut self, class: u16, event: &str, key: &[u8]) {
        self.notify_in(class, event, self.db.index, key);
    }

    /// The same for a key of another database.
    #[inline]
    pub fn notify_in(&mut self, class: u16, event: &str, db: usize, key: &[u8]) {
        if self.server.config.notify_keyspace_events.has(class) {
            self.settle();
            self.server.notify(class, event, db, key);
        }
    }

    /// Deletes a key as `DEL` does, which is what the log and the replicas get of the command.
    pub fn delete(&mut self, slot: Slot, key: &[u8]) {
        self.db.remove(slot);
        self.modified(key);
        self.notify(KeyspaceEvents::GENERIC, "del", key);
        self.propagate(&[b"DEL", key]);
    }

    /// What follows from the keys that the command has come across, before what follows from the command: those that have
    /// expired, then those that are new or missed.
    fn settle(&mut self) {
        self.settle_expired();
        self.server.tell_notices(self.db.keyspace.notices.take());
    }

    #[inline]
    fn settle_expired(&mut self) {
        if self.db.keyspace.has_expired() {
            self.server.keys_expired(self.db.keyspace.take_expired());
        }
    }

    /// Says what the log and the replicas get instead of the command as it came: for what depends on chance, on the time,
    /// or on who waited. May be called several times.
    pub fn propagate(&mut self, command: &[&[u8]]) {
        self.settle();
        self.server.effects.replace(self.db.index, command);
    }

    /// Says that the replicas get the command as it came, and the log does not: it changes nothing.
    pub fn propagate_message(&mut self, args: &Args<'_>) {
        if self.server.replication.backlog.is_some() {
            let words: Vec<&[u8]> = args.iter().collect();
            self.server.effects.add_message(self.db.index, &words);
        }
    }

    /// Says that the log and the replicas get nothing of this command.
    pub fn propagate_nothing(&mut self) {
        self.server.effects.replace_by_nothing();
    }

    /// When a list is one listpack, and when a node of it is full.
    pub fn list_limit(&self) -> NodeLimit {
        self.server.list_limit()
    }

    /// When a hash is a listpack, what its table hashes with, and the time.
    pub fn hash_limits(&self) -> HashLimits {
        HashLimits {
            packed: self.server.hash_packed(),
            hash_key: self.db.keyspace.hash_key(),
            now_ms: self.now_ms(),
        }
    }

    /// When a set is an intset or a listpack, and what its table hashes with.
    pub fn set_limits(&self) -> SetLimits {
        SetLimits {
            intset_entries: self.server.set_intset_entries(),
            packed: self.server.set_packed(),
            hash_key: self.db.keyspace.hash_key(),
        }
    }

    /// When a sorted set is a listpack, and what its table hashes with.
    pub fn zset_limits(&self) -> (PackedLimits, HashKey) {
        (self.server.zset_packed(), self.db.keyspace.hash_key())
    }

    /// The time, in Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.db.now_ms()
    }
}
