//! What a command is given to work with.

use super::registry::CommandId;
use super::table::Command;
use crate::keyspace::Db;
use crate::net::Token;
use crate::resp::Reply;
use crate::server::{Client, State};

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
    pub fn modified_in(&mut self, _db: usize, _key: &[u8]) {
        self.server.dirty += 1;
    }

    /// The time, in Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.db.now_ms()
    }
}
