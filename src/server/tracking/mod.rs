//! `CLIENT TRACKING`: clients that cache what they read are told when it is no longer true.
//!
//! By default a client is told once about each key it has read (`table`); in broadcast mode about every changed key
//! with a prefix (`prefixes`). Keys have no database here, as in Redis: to forget too much does no harm. How a client is
//! told, itself or through another connection, is in `push`.

mod prefixes;
mod push;
mod table;

use std::collections::BTreeSet;

use prefixes::Prefixes;
use push::Invalid;
use rand::RngExt as _;
use table::{ClientRef, KeyTable};

use super::State;
use crate::commands::Command;
use crate::commands::table::READ;
use crate::keyspace::HashKey;
use crate::net::Token;
use crate::resp::{Args, Reply};

/// Keys that are forgotten at a time while there are more than `tracking-table-max-keys`; twice as many the next time.
const FORGOTTEN_PER_ROUND: usize = 100;

/// What a client wants to be told about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TrackingMode {
    /// All keys that it reads.
    Reads,
    /// Those that it reads in the request after `CLIENT CACHING YES`.
    OptIn,
    /// All but those that it reads in the request after `CLIENT CACHING NO`.
    OptOut,
    /// All keys with one of these prefixes.
    Broadcast(BTreeSet<Vec<u8>>),
}

/// The client that is told in the place of another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Redirect {
    /// Its number.
    pub id: u64,
    /// Where it was.
    pub token: Token,
}

/// A client that is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientTracking {
    /// About what.
    pub mode: TrackingMode,
    /// Through whom, if not itself.
    pub redirect: Option<Redirect>,
    /// Not about what it changes itself.
    pub noloop: bool,
    /// `CLIENT CACHING` is about the request that comes next or is running.
    pub caching: bool,
    /// The client that was to be told in its place had gone.
    pub broken_redirect: bool,
}

impl ClientTracking {
    /// Whether it is in broadcast mode.
    pub fn is_broadcast(&self) -> bool {
        matches!(self.mode, TrackingMode::Broadcast(_))
    }

    /// Whether what it reads now is remembered.
    fn remembers(&self) -> bool {
        match self.mode {
            TrackingMode::Reads => true,
            TrackingMode::OptIn => self.caching,
            TrackingMode::OptOut => !self.caching,
            TrackingMode::Broadcast(_) => false,
        }
    }
}

/// Who is to be told about what.
pub struct Tracking {
    clients: usize,
    keys: KeyTable,
    prefixes: Prefixes,
    hash_key: HashKey,
    /// How often there were more keys than there may be.
    rounds_over_limit: usize,
}

impl Tracking {
    /// Nobody is told anything.
    pub fn new(hash_key: HashKey) -> Self {
        Self {
            clients: 0,
            keys: KeyTable::new(hash_key),
            prefixes: Prefixes::default(),
            hash_key,
            rounds_over_limit: 0,
        }
    }

    /// Whether anybody is told anything.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.clients > 0
    }

    /// How many clients are told.
    pub fn clients(&self) -> usize {
        self.clients
    }

    /// How many keys are remembered.
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// How many times a key is remembered for a client.
    pub fn items(&self) -> usize {
        self.keys.items()
    }

    /// How many prefixes there are.
    pub fn prefixes(&self) -> usize {
        self.prefixes.len()
    }

    /// Bytes of the table of keys.
    pub fn memory_bytes(&self) -> usize {
        self.keys.memory_bytes()
    }
}

impl State {
    /// Tells a client from now on, or tells it otherwise than before. Prefixes are added to those it has.
    pub fn enable_tracking(&mut self, token: Token, mut tracking: ClientTracking) {
        let client = self.clients.get_mut(token);
        if let Some(before) = client.tracking.take() {
            tracking.caching = before.caching;
            if let (TrackingMode::Broadcast(all), TrackingMode::Broadcast(old)) =
                (&mut tracking.mode, before.mode)
            {
                all.extend(old);
            }
        } else {
            self.tracking.clients += 1;
        }
        if let TrackingMode::Broadcast(prefixes) = &tracking.mode {
            prefixes.iter().for_each(|prefix| self.tracking.prefixes.add(prefix, token));
        }
        client.tracking = Some(Box::new(tracking));
    }

    /// A client is told nothing more. What was remembered of it goes when the keys change, or with the last client that
    /// is told anything.
    pub fn disable_tracking(&mut self, token: Token) {
        let Some(tracking) = self.clients.get_mut(token).tracking.take() else { return };
        if let TrackingMode::Broadcast(prefixes) = tracking.mode {
            prefixes.iter().for_each(|prefix| self.tracking.prefixes.remove(prefix, token));
        }
        self.tracking.clients -= 1;
        if !self.tracking.is_on() {
            self.forget_tracked_keys();
        }
    }

    fn forget_tracked_keys(&mut self) {
        let empty = KeyTable::new(self.tracking.hash_key);
        let keys = std::mem::replace(&mut self.tracking.keys, empty);
        if keys.len() > 0 {
            self.environment.discard(Box::new(keys));
        }
    }

    /// A command has run: if it has read keys for a client that is to be told of their changes, they are remembered,
    /// there or not.
    #[cold]
    pub(super) fn remember_keys(&mut self, token: Token, command: &Command, args: &Args<'_>) {
        let client = self.clients.get(token);
        let remembers = client.tracking.as_ref().is_some_and(|tracking| tracking.remembers());
        if !remembers || !command.flags.has(READ) {
            return;
        }
        let reader = ClientRef::new(token, client.id);
        for (position, _) in command.key_positions(args).unwrap_or_default() {
            self.tracking.keys.add(args.key(position), reader);
        }
    }

    /// A key has changed, by a request of client `by` or by itself.
    #[cold]
    pub(super) fn tracked_key_changed(&mut self, key: &[u8], by: Option<Token>) {
        self.tracking.prefixes.key_changed(key, by);
        self.tell_readers(key);
    }

    /// Forgets a key, and has those who have read it forget it, too.
    fn tell_readers(&mut self, key: &[u8]) {
        for reader in self.tracking.keys.take(key) {
            let Some(client) = self.clients.find_mut(reader.token) else { continue };
            let Some(tracking) = &client.tracking else { continue };
            let is_own = tracking.noloop && self.current == Some(reader.token);
            if client.id as u32 == reader.id && !tracking.is_broadcast() && !is_own {
                self.tell(reader.token, Invalid::Key(key));
            }
        }
    }

    /// All keys were removed, or those of one database: whoever is told anything is told to forget everything.
    #[cold]
    pub(super) fn tracked_keys_flushed(&mut self) {
        let told = self.clients.iter().filter(|client| client.tracking.is_some());
        for token in told.map(|client| client.token).collect::<Vec<Token>>() {
            self.tell(token, Invalid::Everything);
        }
        self.forget_tracked_keys();
    }

    /// Forgets some keys, if there are more than there may be: whoever has read one must drop it as if it had changed.
    pub(super) fn limit_tracked_keys(&mut self) {
        let limit = self.config.tracking_table_max_keys;
        if limit == 0 || self.tracking.keys.len() as u64 <= limit {
            self.tracking.rounds_over_limit = 0;
            return;
        }
        self.tracking.rounds_over_limit += 1;
        for _ in 0..FORGOTTEN_PER_ROUND * self.tracking.rounds_over_limit {
            let Some(key) = self.tracking.keys.random_key(|| self.random.random()) else { return };
            self.tell_readers(&key);
            if self.tracking.keys.len() as u64 <= limit {
                self.tracking.rounds_over_limit = 0;
                return;
            }
        }
    }

    /// Tells the clients in broadcast mode what has changed in this turn.
    pub(super) fn broadcast_invalidations(&mut self) {
        for broadcast in self.tracking.prefixes.take_changes() {
            let all = broadcast.array(None);
            for &token in &broadcast.clients {
                let tracking = self.clients.get(token).tracking.as_ref();
                let noloop = tracking.is_some_and(|tracking| tracking.noloop);
                let without_own = if noloop { broadcast.array(Some(token)) } else { None };
                if let Some(keys) = if noloop { &without_own } else { &all } {
                    self.tell(token, Invalid::Keys(keys));
                }
            }
        }
    }

    /// A request begins: if there is a key too many, the client is told of it before the reply.
    #[cold]
    pub(super) fn track_before_request(&mut self, token: Token, reply: &mut Reply) {
        self.limit_tracked_keys();
        if self.pushed {
            self.append_pushed(token, reply);
        }
    }

    /// A request has ended. `CLIENT CACHING` was about it, unless it was a `CLIENT` command itself or the transaction
    /// goes on.
    #[cold]
    pub(super) fn end_caching(&mut self, token: Token, args: &Args<'_>) {
        let client = self.clients.get_mut(token);
        if let Some(tracking) = &mut client.tracking
            && tracking.caching
            && client.transaction.is_none()
        {
            let command = self.registry.find(args.bytes(0));
            let name = command.map(|id| self.registry.get(id).command.name);
            tracking.caching = name == Some("client");
        }
    }
}

#[cfg(test)]
mod tests;
