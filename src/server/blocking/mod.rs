//! Commands that wait for keys: `BLPOP` and its kin.
//!
//! A handler that finds nothing to answer calls `Ctx::wait_for_keys`. The request is kept with its client, and when one of
//! its keys has changed, the same handler is run again, for that key alone. Those who wait for a key are served in the
//! order in which they came, right after the command, or the transaction, that changed it; the keys in the order of
//! their changes. Whoever is not served by its deadline gets a null.
//!
//! As in Redis 7.2's `blocked.c`; but only the key that has changed is looked at, as in Redis 7.0 and before.

mod keys;

use std::ops::Range;

use super::dispatch::Call;
use super::{Blocked, ReplyMode, Server, State};
use crate::commands::{CommandError, CommandId};
use crate::keyspace::Type;
use crate::net::Token;
use crate::resp::{Args, OwnedArgs, Reply};

pub use keys::BlockedKeys;

/// A request that waits for keys.
pub struct WaitingRequest {
    args: OwnedArgs,
    /// Which of the arguments are the keys.
    keys: Range<usize>,
    command: CommandId,
    db: usize,
    number: u64,
    deadline_us: Option<u64>,
    /// Time the command has taken before it began to wait.
    spent_ns: u64,
}

impl WaitingRequest {
    /// Bytes of memory that it takes.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.args.memory_bytes()
    }
}

/// How a wait ends without what was waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unblock {
    /// With a null, as if the time were over.
    Timeout,
    /// With an error of this text.
    Error(&'static str),
}

impl State {
    /// The command that a client runs waits until one of the arguments `keys` is the name of a key of type `kind`, or
    /// until the deadline (monotonic).
    pub fn block_on_keys(
        &mut self,
        token: Token,
        args: &Args<'_>,
        keys: Range<usize>,
        kind: Type,
        deadline_us: Option<u64>,
    ) {
        let client = self.clients.get_mut(token);
        client.blocked = Some(Blocked::Keys);
        let command = client.last_command.expect("it runs this one");
        let (db, number) = (client.db, self.blocked_keys.next_number());
        for key in keys.clone() {
            self.blocked_keys.add(db, args.key(key), kind, number, token);
        }
        if let Some(deadline_us) = deadline_us {
            self.blocked_keys.add_deadline(deadline_us, number, token);
        }
        let args = args.to_owned();
        let waiting = WaitingRequest { args, keys, command, db, number, deadline_us, spent_ns: 0 };
        client.waiting = Some(Box::new(waiting));
    }

    /// The command of a client that has waited, and was run again, waits on.
    pub fn keep_waiting(&mut self, token: Token) {
        self.clients.get_mut(token).blocked = Some(Blocked::Keys);
    }

    /// A client waits for no key any more, if it did: gives back its request.
    pub(super) fn stop_waiting(&mut self, token: Token) -> Option<Box<WaitingRequest>> {
        let client = self.clients.find_mut(token)?;
        let waiting = client.waiting.take()?;
        if client.blocked == Some(Blocked::Keys) {
            client.blocked = None;
        }
        self.forget_waiting(&waiting);
        Some(waiting)
    }

    fn forget_waiting(&mut self, waiting: &WaitingRequest) {
        let args = waiting.args.args();
        for key in waiting.keys.clone() {
            self.blocked_keys.remove(waiting.db, args.key(key), waiting.number);
        }
        if let Some(deadline_us) = waiting.deadline_us {
            self.blocked_keys.remove_deadline(deadline_us, waiting.number);
        }
    }

    /// The command that has just run waits: it is counted when it is answered.
    pub(super) fn command_waits(&mut self, token: Token, started_ns: Option<u64>) {
        let now_ns = self.environment.monotonic_ns();
        if let Some(waiting) = &mut self.clients.get_mut(token).waiting {
            waiting.spent_ns = started_ns.map_or(0, |started_ns| now_ns.saturating_sub(started_ns));
        }
    }

    /// Ends a client's wait for keys or acknowledgements. Returns whether it waited for any.
    pub fn unblock_client(&mut self, token: Token, how: Unblock) -> bool {
        let Some(waiting) = self.stop_waiting(token) else { return self.unblock_acks(token, how) };
        let outcome = match how {
            Unblock::Timeout => Ok(&Reply::null_array as &dyn Fn(&mut Reply)),
            Unblock::Error(text) => Err(CommandError::Text(text)),
        };
        self.end_wait(token, waiting.command, waiting.spent_ns, outcome);
        true
    }

    /// A command that has waited, and has taken `spent_ns`, is answered.
    pub(super) fn end_wait(
        &mut self,
        token: Token,
        id: CommandId,
        spent_ns: u64,
        outcome: Result<&dyn Fn(&mut Reply), CommandError>,
    ) {
        let mut reply = Reply::new(self.clients.get(token).protocol);
        let latency = self.config.latency_tracking;
        self.stats.count_calls(id, 1, spent_ns, latency);
        match outcome {
            Ok(write) => write(&mut reply),
            Err(error) => {
                self.stats.count_error(&error);
                self.stats.command(id).failed_calls += 1;
                error.reply(&mut reply);
            }
        }
        self.answer_blocked(token, reply);
    }

    /// Gives a blocked client its reply, and goes on with what it has sent since.
    pub(super) fn answer_blocked(&mut self, token: Token, reply: Reply) {
        let client = self.clients.get_mut(token);
        client.blocked = None;
        if client.reply_mode == ReplyMode::On {
            client.output.extend(&reply.output.to_vec());
            self.write_later(token);
        } else {
            client.end_reply_skip();
        }
        self.continue_input(token);
    }
}

impl Server {
    /// Serves those who wait for keys that have changed; not before a transaction is over, and not during a pause, which
    /// holds back what writes.
    pub(super) fn serve_blocked(&mut self) {
        while !self.state.in_exec
            && self.state.pause.is_none()
            && let Some((db, key)) = self.state.blocked_keys.take_ready()
        {
            self.serve_key(db, &key);
        }
    }

    /// Lets those who wait for `key` try, one after the other, as long as there is something at it.
    fn serve_key(&mut self, db: usize, key: &[u8]) {
        let mut after = 0;
        while let Some(kind) = self.kind_of(db, key)
            && let Some((number, token)) = self.state.blocked_keys.next_waiter(db, key, kind, after)
        {
            after = number;
            self.try_again(token, key);
        }
    }

    fn kind_of(&mut self, db: usize, key: &[u8]) -> Option<Type> {
        let mut db = self.keyspace.db(db);
        db.find(key).map(|slot| db.database().entry(slot).kind())
    }

    /// Runs the command of a client that waits for `key` once more. If it is answered, the client's wait is over.
    fn try_again(&mut self, token: Token, key: &[u8]) {
        let started_ns = self.state.timing_starts();
        let client = self.state.clients.get_mut(token);
        client.blocked = None;
        let waiting = client.waiting.take().expect("who waits for a key has a request");
        let (args, command) = (waiting.args.args(), waiting.command);
        let outer = self.state.current.replace(token);
        let mut reply = self.take_reply(token);
        if self.state.tracking.is_on() {
            self.state.track_before_request(token, &mut reply);
        }
        let (start, written) = (reply.output.mark(), reply.output.len());
        let call = Call {
            token,
            id: command,
            command: self.state.registry.get(command).command,
            args: &args,
            looked_up: None,
            ready_key: Some(key),
        };
        Self::run_handler(&mut self.keyspace, &mut self.state, &call, &mut reply);
        let reply_bytes = reply.output.len() - written;
        if self.state.clients.get(token).blocked == Some(Blocked::Keys) {
            self.state.clients.get_mut(token).waiting = Some(waiting);
        } else {
            self.state.forget_waiting(&waiting);
            let started_ns = started_ns.saturating_sub(waiting.spent_ns);
            self.state.command_ended(token, command, &args, Some(started_ns), 0, reply_bytes);
            self.state.end_reply(token, Some(command), &args, start, &mut reply);
            self.state.continue_input(token);
        }
        self.give_back_reply(token, reply);
        self.state.current = outer;
    }

    /// Answers those whose time is over.
    pub(super) fn time_out_blocked(&mut self) {
        let now_us = self.state.now.monotonic_us;
        while let Some((deadline_us, token)) = self.state.blocked_keys.first_deadline()
            && deadline_us <= now_us
        {
            self.state.unblock_client(token, Unblock::Timeout);
        }
    }
}

#[cfg(test)]
mod tests;
