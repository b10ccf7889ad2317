//! `MULTI` and `EXEC`: requests that are kept and then run together, with nobody else's between them.
//!
//! A request is resolved and checked when it is queued. All requests of a queue are in one buffer, and a server that
//! runs one transaction after the other takes the same buffers again and again.

use super::look_ahead::Ahead;
use super::{Server, State};
use crate::commands::table::{Flags, InMulti, LOADING, STALE};
use crate::commands::{CommandError, CommandId, Ctx, Registry};
use crate::keyspace::{Candidate, Keyspace};
use crate::net::Token;
use crate::resp::{Args, Batch, Reply};

/// Requests of which the keys are looked up together before they are run.
const LOOK_AHEAD: usize = 32;
/// A queue that has been larger than this is not kept for the next transaction.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// A client that is between `MULTI` and the end of `EXEC`.
pub struct Transaction {
    queue: Queue,
    /// How many requests were queued. They are in `queue` until they run.
    pub len: usize,
    /// What all of them together may do.
    flags: Flags,
    /// All of them may run while the dataset is loading.
    while_loading: bool,
    /// All of them may run on a replica whose data may be old.
    on_stale_data: bool,
    /// A request was refused, so `EXEC` will refuse all of them.
    refused: bool,
}

impl Default for Transaction {
    fn default() -> Self {
        Self {
            queue: Queue::default(),
            len: 0,
            flags: Flags::NONE,
            while_loading: true,
            on_stale_data: true,
            refused: false,
        }
    }
}

impl Transaction {
    /// Bytes that the requests in the queue take.
    pub fn used_bytes(&self) -> usize {
        self.queue.used_bytes()
    }
}

/// Requests to be run.
#[derive(Default)]
struct Queue {
    requests: Batch,
    /// Their arguments.
    bytes: Vec<u8>,
    commands: Vec<Queued>,
    hashes: Vec<u64>,
    candidates: Vec<Candidate>,
}

#[derive(Clone, Copy)]
struct Queued {
    id: CommandId,
    wire_bytes: usize,
    /// Of the first key, if it was looked for when the request came.
    hash: Option<u64>,
}

impl Queue {
    fn used_bytes(&self) -> usize {
        self.bytes.len() + self.requests.used_bytes() + self.commands.len() * size_of::<Queued>()
    }

    fn push(&mut self, queued: Queued, args: &Args<'_>) {
        self.requests.keep(args, &mut self.bytes);
        self.commands.push(queued);
    }

    /// Looks up the first keys of some requests from `first` on.
    fn look_ahead(&mut self, first: usize, db: usize, keyspace: &Keyspace, registry: &Registry) {
        self.hashes.clear();
        self.candidates.clear();
        let hash_of = |index: usize, queued: &Queued| {
            let first_key = registry.get(queued.id).first_key;
            let args = self.requests.args(index, &self.bytes);
            let key = if first_key == 0 { None } else { args.get(first_key) };
            key.map_or(0, |key| keyspace.name(key).hash)
        };
        for (index, queued) in self.commands.iter().enumerate().skip(first).take(LOOK_AHEAD) {
            self.hashes.push(queued.hash.unwrap_or_else(|| hash_of(index, queued)));
        }
        keyspace.look_ahead(db, &self.hashes, &mut self.candidates);
    }

    fn clear(&mut self) {
        self.requests.clear();
        self.bytes.clear();
        self.commands.clear();
    }
}

impl State {
    /// `MULTI`: requests of this client are queued from now on.
    pub fn begin_transaction(&mut self, token: Token) {
        let transaction = self.spare_transaction.take().unwrap_or_default();
        self.clients.get_mut(token).transaction = Some(transaction);
    }

    /// The transaction of this client, if there is one, has ended: nothing is queued or watched any more.
    pub fn end_transaction(&mut self, token: Token) {
        if let Some(mut transaction) = self.clients.get_mut(token).transaction.take()
            && transaction.used_bytes() <= KEPT_BYTES_MAX
        {
            transaction.queue.clear();
            let queue = std::mem::take(&mut transaction.queue);
            *transaction = Transaction { queue, ..Transaction::default() };
            self.spare_transaction = Some(transaction);
        }
        self.unwatch(token);
    }

    /// What a command may do: `EXEC` may do what the queued ones may.
    #[inline]
    pub(super) fn flags_of(&self, token: Token, id: CommandId) -> Flags {
        let command = self.registry.get(id).command;
        match &self.clients.get(token).transaction {
            Some(transaction) if command.in_multi == InMulti::Executes => {
                command.flags.and(transaction.flags)
            }
            _ => command.flags,
        }
    }

    /// Whether a command may run while the dataset is loading: `EXEC` may if the queued ones may.
    pub(super) fn runs_while_loading(&self, token: Token, id: CommandId) -> bool {
        let command = self.registry.get(id).command;
        let transaction = self.clients.get(token).transaction.as_ref();
        let queued = transaction.is_none_or(|transaction| transaction.while_loading);
        command.flags.has(LOADING) && (queued || command.in_multi != InMulti::Executes)
    }

    /// The same for a replica whose data may be old.
    pub(super) fn runs_on_stale_data(&self, token: Token, id: CommandId) -> bool {
        let command = self.registry.get(id).command;
        let transaction = self.clients.get(token).transaction.as_ref();
        let queued = transaction.is_none_or(|transaction| transaction.on_stale_data);
        command.flags.has(STALE) && (queued || command.in_multi != InMulti::Executes)
    }

    /// Queues a request, unless it is known already that it will not run. A queue has the limit of a query buffer.
    pub(super) fn queue_request(
        &mut self,
        token: Token,
        id: CommandId,
        args: &Args<'_>,
        ahead: &Ahead<'_>,
        reply: &mut Reply,
    ) {
        let flags = self.registry.get(id).command.flags;
        // Of a subcommand only its container was known ahead, and so no key.
        let candidate = ahead.candidate.filter(|_| ahead.command == Some(id));
        let hash = candidate.map(|candidate| candidate.hash);
        let client = self.clients.get_mut(token);
        client.last_command = Some(id);
        let transaction = client.transaction.as_mut().expect("a request is queued within MULTI");
        if !transaction.refused && !client.watch.changed {
            transaction.queue.push(Queued { id, wire_bytes: ahead.wire_bytes, hash }, args);
            transaction.flags = transaction.flags.and(flags);
            transaction.while_loading &= flags.has(LOADING);
            transaction.on_stale_data &= flags.has(STALE);
            transaction.len += 1;
        }
        let used = transaction.used_bytes();
        let is_master = client.is_master; // what has run there has to fit here
        if used as u64 > self.config.client_query_buffer_limit && !is_master {
            return self.close_over_query_limit(token, used);
        }
        reply.output.extend(b"+QUEUED\r\n");
    }

    /// A request within a transaction was refused: `EXEC` will refuse all of them. If it is `EXEC` itself, the
    /// transaction ends here; the result is what its reply says then.
    #[cold]
    pub(super) fn refuse_transaction(
        &mut self,
        token: Token,
        command: Option<CommandId>,
        error: CommandError,
    ) -> CommandError {
        if let Some(transaction) = &mut self.clients.get_mut(token).transaction {
            transaction.refused = true;
        }
        let in_multi = command.map(|id| self.registry.get(id).command.in_multi);
        if in_multi != Some(InMulti::Executes) {
            return error;
        }
        self.end_transaction(token);
        let reason = error.to_string();
        let reason = reason.strip_prefix("ERR ").unwrap_or(&reason);
        CommandError::Message(format!("EXECABORT Transaction discarded because of: {reason}"))
    }
}

/// `EXEC`: runs what the client has queued and replies with all replies, or with the reason why nothing was run.
pub fn execute_queued(ctx: &mut Ctx<'_>) -> Result<(), CommandError> {
    let token = ctx.token;
    let Some(transaction) = &ctx.client().transaction else {
        return Err(CommandError::Text("ERR EXEC without MULTI"));
    };
    let refused = transaction.refused;
    let stopped = ctx.server.watched_has_changed(token, ctx.db.keyspace);
    if refused || stopped {
        ctx.server.end_transaction(token);
    }
    if refused {
        let text = "EXECABORT Transaction discarded because of previous errors.";
        return Err(CommandError::Text(text));
    }
    if stopped {
        ctx.reply.null_array();
        return Ok(());
    }
    ctx.server.unwatch(token);
    ctx.server.in_exec = true;
    ctx.server.effects.transaction_begins();
    run_queue(ctx);
    ctx.server.charge_untimed_calls(); // to them, before EXEC is charged for all
    ctx.server.effects.transaction_ends();
    ctx.server.in_exec = false;
    ctx.propagate_nothing(); // EXEC itself, after what it has run
    ctx.server.end_transaction(token);
    Ok(())
}

fn run_queue(ctx: &mut Ctx<'_>) {
    let token = ctx.token;
    let transaction = ctx.client_mut().transaction.as_mut().expect("EXEC is within MULTI");
    let mut queue = std::mem::take(&mut transaction.queue);
    ctx.reply.array(queue.commands.len());
    for index in 0..queue.commands.len() {
        if index % LOOK_AHEAD == 0 {
            let db = ctx.client().db;
            queue.look_ahead(index, db, ctx.db.keyspace, &ctx.server.registry);
        }
        let Queued { id, wire_bytes, .. } = queue.commands[index];
        let candidate = queue.candidates.get(index % LOOK_AHEAD);
        let ahead = Ahead { command: Some(id), candidate, wire_bytes };
        let args = queue.requests.args(index, &queue.bytes);
        Server::call(ctx.db.keyspace, ctx.server, token, id, &args, &ahead, ctx.reply);
    }
    if let Some(transaction) = &mut ctx.client_mut().transaction {
        transaction.queue = queue;
    }
}

#[cfg(test)]
mod tests;
