//! What the requests of a batch will need, found out before the first of them is run.
//!
//! A command on a key waits for two cache misses: the bucket, and the entry. With many keys at hand the processor can
//! wait for many at a time. The command and the hash of its first key are kept, so that nothing is done twice.

use super::Server;
use crate::commands::CommandId;
use crate::net::Token;
use crate::resp::Batch;

/// What is known of a request.
#[derive(Clone, Copy, Default)]
pub(super) struct Ahead {
    /// The command, or the container of the subcommand.
    pub command: Option<CommandId>,
    /// The hash of the first key.
    pub hash: Option<u64>,
    /// Length of the request on the wire.
    pub wire_bytes: usize,
}

impl Server {
    /// Looks up the commands of a batch and fetches their first keys' buckets and entries.
    pub(super) fn look_ahead(&mut self, token: Token, batch: &Batch, buffer: &[u8]) {
        self.ahead.clear();
        if batch.len() == 1 {
            self.ahead.push(Ahead { wire_bytes: batch.end(0), ..Ahead::default() });
            return;
        }
        let mut start = 0;
        for request in 0..batch.len() {
            let args = batch.args(request, buffer);
            let command = self.state.registry.find(args.bytes(0));
            let first_key = command.map_or(0, |id| self.state.registry.get(id).first_key);
            let key = if first_key == 0 { None } else { args.get(first_key) };
            let hash = key.map(|key| self.keyspace.name(key).hash);
            let wire_bytes = batch.end(request) - start;
            start = batch.end(request);
            self.ahead.push(Ahead { command, hash, wire_bytes });
        }
        let db = self.state.clients.get(token).db;
        self.keyspace.touch_ahead(db, self.ahead.iter().filter_map(|ahead| ahead.hash));
    }
}
