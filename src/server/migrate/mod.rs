//! `MIGRATE`: keys on their way to another server, while everybody else is served.
//!
//! Redis makes all clients wait until the keys have arrived. Here a key may change on its way: then it stays, and is sent
//! again in place of what has arrived, until it has arrived as it is here. So a key is never in two places with different
//! values, and nothing that was written meanwhile is lost. One that keeps changing ends the command with an error, after
//! some rounds; it is then in both places, and the one here counts.
//!
//! | file | what it does |
//! |---|---|
//! | `link` | a connection to a target: made, kept for a while, given up |
//! | `transfer` | what is sent through it, and what follows from the answers |

mod link;
#[cfg(test)]
mod tests;
mod transfer;

use std::collections::HashMap;

use link::Link;
use transfer::Transfer;

use super::{Blocked, State};
use crate::net::Token;

/// What `MIGRATE` asks for.
pub struct MigrateRequest {
    /// Where to.
    pub host: String,
    /// Where to.
    pub port: u16,
    /// The database there.
    pub target_db: i64,
    /// How long the target may be silent.
    pub timeout_ms: u64,
    /// The keys stay here, too.
    pub copies: bool,
    /// Keys of these names there are overwritten.
    pub replaces: bool,
    /// The words of `AUTH`, if there is to be one.
    pub auth: Vec<Vec<u8>>,
    /// The keys, which are here.
    pub keys: Vec<Vec<u8>>,
}

/// All connections to targets.
#[derive(Default)]
pub struct Migrations {
    links: Vec<Link>,
    /// How many lookups of addresses were begun.
    lookups: u64,
}

impl Migrations {
    /// Whether there are no connections.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Whether it is one of these that asks for the addresses of a host under this number.
    pub(super) fn has_asked(&self, number: u64) -> bool {
        self.links.iter().any(|link| link.is_resolving(number))
    }

    /// Whether this is a connection to a target.
    #[inline]
    pub fn has(&self, token: Token) -> bool {
        self.place_of(token).is_some()
    }

    fn place_of(&self, token: Token) -> Option<usize> {
        self.links.iter().position(|link| link.token() == Some(token))
    }

    fn transfers(&mut self) -> impl Iterator<Item = &mut Transfer> {
        self.links.iter_mut().filter_map(|link| link.transfer.as_deref_mut())
    }

    /// A key has another value than before.
    #[cold]
    pub(super) fn key_changed(&mut self, db: usize, key: &[u8]) {
        self.transfers().for_each(|transfer| transfer.key_changed(db, key));
    }

    /// All keys of a database have changed.
    #[cold]
    pub(super) fn database_changed(&mut self, db: usize) {
        self.transfers().for_each(|transfer| transfer.database_changed(db));
    }
}

impl State {
    /// Begins to send keys; the client is answered when that has come to an end.
    pub fn migrate(&mut self, token: Token, request: MigrateRequest) {
        let client = self.clients.get_mut(token);
        client.blocked = Some(Blocked::Migrating);
        let MigrateRequest { host, port, target_db, timeout_ms, copies, replaces, auth, keys } =
            request;
        let names: HashMap<Vec<u8>, bool> = keys.into_iter().map(|key| (key, false)).collect();
        let transfer = Transfer::new(
            (token, client.id),
            (client.db, target_db),
            timeout_ms.saturating_mul(1000),
            (copies, replaces),
            auth,
            names,
        );
        self.send_through_link(host, port, transfer);
    }
}
