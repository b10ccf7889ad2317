//! One request: which command it is, whether it may run, and the run itself with all that is measured of it.

use super::client::ReplyMode;
use super::look_ahead::Ahead;
use super::{Blocked, Server, State};
use crate::commands::table::{
    Command, DENYOOM, Flags, InMulti, NO_AUTH, NO_MULTI, SUBSCRIBING, WHILE_SUBSCRIBED, WRITE,
};
use crate::commands::{CommandError, CommandId, Ctx, Registered};
use crate::keyspace::{Candidate, Keyspace};
use crate::log::Level;
use crate::net::Token;
use crate::resp::output::Mark;
use crate::resp::{Args, Reply};

impl Server {
    /// Runs one request of a client and writes its reply. A request that has to wait leaves the client blocked.
    pub(super) fn execute(
        &mut self,
        token: Token,
        args: &Args<'_>,
        ahead: &Ahead<'_>,
        reply: &mut Reply,
    ) {
        if self.state.tracking.is_on() {
            self.state.track_before_request(token, reply);
        }
        if self.state.config.maxmemory > 0 {
            self.make_room();
        }
        let start = reply.output.mark();
        let command = match self.state.check(token, args, ahead.command) {
            Ok(Admitted::Runs(id)) => {
                self.state.clients.get_mut(token).last_command = Some(id);
                let Self { keyspace, state, .. } = self;
                if Self::call(keyspace, state, token, id, args, ahead, reply) == Outcome::Waits {
                    return; // it is answered after this batch, and so it is served after it, too
                }
                Some(id)
            }
            Ok(Admitted::IsQueued(id)) => {
                self.state.queue_request(token, id, args, ahead, reply);
                None
            }
            Ok(Admitted::Waits) => {
                self.state.clients.get_mut(token).blocked = Some(Blocked::Paused);
                self.state.postponed = true;
                return;
            }
            Err(refused) => {
                self.state.refuse_request(token, refused, args, reply);
                None
            }
        };
        self.state.end_reply(token, command, args, start, reply);
        if self.state.blocked_keys.has_ready() {
            self.serve_blocked();
        }
    }

    /// Runs a command that was checked, by itself or within a transaction.
    pub(super) fn call(
        keyspace: &mut Keyspace,
        state: &mut State,
        token: Token,
        id: CommandId,
        args: &Args<'_>,
        ahead: &Ahead<'_>,
        reply: &mut Reply,
    ) -> Outcome {
        let &Registered { command, first_key, .. } = state.registry.get(id);
        state.clients.get_mut(token).commands += 1;
        // Of a subcommand only its container was known ahead, and so no key.
        let candidate = ahead.candidate.filter(|_| first_key > 0 && ahead.command == Some(id));
        let looked_up = candidate.and_then(|candidate| Some((args.get(first_key)?, candidate)));
        let written = reply.output.len();
        let started_ns = state.command_starts(id, command, args.len(), ahead.wire_bytes);
        let call = Call { token, id, command, args, looked_up, ready_key: None };
        Self::run_handler(keyspace, state, &call, reply);
        let waits = state.clients.get(token).waits_in_command();
        if waits {
            state.command_waits(token, started_ns);
        } else {
            let reply_bytes = reply.output.len() - written;
            state.command_ended(token, id, args, started_ns, ahead.wire_bytes, reply_bytes);
        }
        if !state.monitors.is_empty() {
            state.feed_monitors(token, id, args);
        }
        if waits { Outcome::Waits } else { Outcome::IsAnswered }
    }

    /// Runs the code of a command, and sees to what follows from what it has changed.
    pub(super) fn run_handler(
        keyspace: &mut Keyspace,
        state: &mut State,
        call: &Call<'_>,
        reply: &mut Reply,
    ) {
        let &Call { token, id, command, args, looked_up, ready_key } = call;
        let client = state.clients.get(token);
        let mut db = keyspace.db(client.db);
        db.touch = !client.no_touch;
        db.ahead = looked_up;
        let (dirty, db_index, written) = (state.dirty, client.db, reply.output.len());
        let mut ctx = Ctx { db, server: state, token, reply, command, id, ready_key };
        let result = (command.handler)(&mut ctx, args);
        if let Err(error) = result {
            let same = reply.output.len() == written;
            debug_assert!(same, "{} wrote a reply and failed", command.name);
            debug_assert_eq!(state.dirty, dirty, "{} changed something and failed", command.name);
            state.stats.count_error(&error);
            state.stats.command(id).failed_calls += 1;
            error.reply(reply);
        }
        if keyspace.has_expired() {
            state.keys_expired(keyspace.take_expired());
        }
        if !keyspace.notices.is_empty() {
            state.tell_notices(keyspace.notices.take());
        }
        state.effects.command_ended(db_index, state.dirty != dirty, args.iter());
        if state.dirty != dirty {
            state.note_write(token);
        }
        if state.tracking.is_on() {
            state.remember_keys(token, command, args);
        }
        if keyspace.has_garbage() {
            for garbage in keyspace.take_garbage() {
                state.environment.discard(Box::new(garbage));
            }
        }
    }
}

/// What came of a command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    IsAnswered,
    /// Its client waits for something.
    Waits,
}

/// One run of a command's code.
pub(super) struct Call<'a> {
    pub token: Token,
    pub id: CommandId,
    pub command: &'static Command,
    pub args: &'a Args<'a>,
    /// A key that was looked for ahead, and what the index said.
    pub looked_up: Option<(&'a [u8], &'a Candidate)>,
    /// The key that a command has waited for.
    pub ready_key: Option<&'a [u8]>,
}

/// Whether a request is a line of HTTP: a web page may make a browser send commands to a server it cannot reach itself.
fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

/// What becomes of a request that is not refused.
enum Admitted {
    Runs(CommandId),
    /// Until `EXEC`.
    IsQueued(CommandId),
    /// Until a pause is over.
    Waits,
}

/// A request that is not run.
pub(super) struct Refused {
    command: Option<CommandId>,
    error: CommandError,
}

impl State {
    #[cold]
    fn refuse_request(
        &mut self,
        token: Token,
        refused: Refused,
        args: &Args<'_>,
        reply: &mut Reply,
    ) {
        match refused.command {
            None if is_http(args.bytes(0)) => return self.refuse_http(token),
            None => {}
            Some(id) => self.stats.command(id).rejected_calls += 1,
        }
        let error = self.refuse_transaction(token, refused.command, refused.error);
        self.stats.count_error(&error);
        error.reply(reply);
        let in_multi = refused.command.map(|id| self.registry.get(id).command.in_multi);
        if let (Some(id), Some(InMulti::Executes)) = (refused.command, in_multi) {
            // Whoever watches has seen MULTI, and is to see that it is over.
            self.feed_monitors(token, id, args);
        }
    }

    /// A request was answered: the reply counts, unless `CLIENT REPLY` keeps it back. Messages that the client was sent
    /// meanwhile follow.
    #[inline]
    pub(super) fn end_reply(
        &mut self,
        token: Token,
        command: Option<CommandId>,
        args: &Args<'_>,
        start: Mark,
        reply: &mut Reply,
    ) {
        let client = self.clients.get(token);
        let (reply_mode, is_replica) = (client.reply_mode, client.replica.is_some());
        if reply_mode != ReplyMode::On {
            self.leave_out_reply(token, command, start, reply);
        }
        if self.pushed {
            self.append_pushed(token, reply);
        }
        if is_replica {
            self.silence_replica(token, command, start, reply);
        }
        if self.tracking.is_on() {
            self.end_caching(token, args);
        }
        self.check_reply_limit(token, reply);
    }

    /// `CLIENT REPLY` is not on: takes the reply back where it says so. What `SUBSCRIBE` and its like answer is a message,
    /// and messages are always sent.
    #[cold]
    fn leave_out_reply(
        &mut self,
        token: Token,
        command: Option<CommandId>,
        start: Mark,
        reply: &mut Reply,
    ) {
        let client = self.clients.get_mut(token);
        let leaves_out = match client.reply_mode {
            ReplyMode::On => false,
            ReplyMode::Off => true,
            ReplyMode::SkipNext => {
                client.reply_mode = ReplyMode::Skip;
                false
            }
            ReplyMode::Skip => {
                client.reply_mode = ReplyMode::On;
                true
            }
        };
        let subscribes =
            command.is_some_and(|id| self.registry.get(id).command.flags.has(SUBSCRIBING));
        if leaves_out && !subscribes {
            reply.output.truncate(start);
        }
    }

    /// A replica is given the stream and nothing else: what it would be answered takes it out of step.
    #[cold]
    fn silence_replica(
        &mut self,
        token: Token,
        command: Option<CommandId>,
        start: Mark,
        reply: &mut Reply,
    ) {
        let client = self.clients.get(token);
        let name = command.map_or("", |id| self.registry.get(id).command.name);
        if !client.is_replica() || name == "psync" || reply.output.len_since(start) == 0 {
            return;
        }
        let line = super::describe(self, client);
        reply.output.truncate(start);
        self.log(
            Level::Warning,
            format_args!("Replica generated a reply to command '{name}', disconnecting it: {line}"),
        );
        self.close_now(token);
    }

    #[cold]
    fn refuse_http(&mut self, token: Token) {
        let address = self.clients.get(token).peer.address.clone();
        self.log(
            Level::Warning,
            format_args!(
                "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to \
                 Mini-Redis. This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise \
                 your instance. Connection from {address} aborted."
            ),
        );
        self.close_now(token);
    }

    /// What becomes of a request; `known` is the command, or the container of the subcommand, unless there is none.
    #[inline]
    fn check(
        &mut self,
        token: Token,
        args: &Args<'_>,
        known: Option<CommandId>,
    ) -> Result<Admitted, Refused> {
        let client = self.clients.get(token);
        let (authenticated, in_multi) = (client.authenticated, client.transaction.is_some());
        let is_only_subscriber = client.is_only_subscriber();
        let error = |command, error| Err(Refused { command, error });
        let id = match known {
            Some(id) if self.registry.get(id).subcommands.is_empty() => id,
            _ => match self.find_command(args) {
                Ok(id) => id,
                // Not even whether a command exists is told to a client that has not said who it is.
                Err(_) if !authenticated => return error(None, CommandError::NoAuth),
                Err(unknown) => return error(None, unknown),
            },
        };
        let &Registered { command, ref full_name, .. } = self.registry.get(id);
        if !authenticated && !command.flags.has(NO_AUTH) {
            return error(Some(id), CommandError::NoAuth);
        }
        if !command.arity.accepts(args.len()) {
            return error(Some(id), CommandError::WrongArity(full_name.clone().into()));
        }
        if in_multi && command.flags.has(NO_MULTI) {
            let text = "ERR Command not allowed inside a transaction";
            return error(Some(id), CommandError::Text(text));
        }
        let something_is_refused = self.durability.refuses_something()
            || self.eviction.is_short
            || self.config.min_replicas_to_write > 0
            || !self.replication.is_master();
        if something_is_refused && let Some(refusal) = self.refusal(token, id) {
            return error(Some(id), refusal);
        }
        if is_only_subscriber && !command.flags.has(WHILE_SUBSCRIBED) {
            return error(Some(id), not_while_subscribed(&self.registry.get(id).full_name));
        }
        if self.pause.is_some() && self.must_wait(token, id) {
            return Ok(Admitted::Waits);
        }
        let is_queued = in_multi && command.in_multi == InMulti::Queued;
        Ok(if is_queued { Admitted::IsQueued(id) } else { Admitted::Runs(id) })
    }

    /// The command a request names, or the subcommand if its command has them.
    pub fn find_command(&self, args: &Args<'_>) -> Result<CommandId, CommandError> {
        self.registry.find_request(args)
    }

    /// Why a command is refused in the state that the server is in.
    #[cold]
    fn refusal(&mut self, token: Token, id: CommandId) -> Option<CommandError> {
        if self.durability.loading.is_some() && !self.runs_while_loading(token, id) {
            return Some(CommandError::Text("LOADING Redis is loading the dataset in memory"));
        }
        let flags = self.flags_of(token, id);
        if let Some(refusal) = self.unsaved_refusal(flags) {
            return Some(refusal);
        }
        if let Some(refusal) = &self.durability.refusal
            && (flags.has(WRITE) || self.registry.get(id).command.name == "ping")
        {
            return Some(CommandError::Message(refusal.clone()));
        }
        if flags.has(WRITE) && !self.has_good_replicas() {
            let text = "NOREPLICAS Not enough good replicas to write.";
            return Some(CommandError::Text(text));
        }
        if self.eviction.is_short && self.needs_memory(token, id) {
            return Some(CommandError::OutOfMemory);
        }
        self.refusal_of_replica(token, id)
    }

    /// Why a command of a client is refused on a replica.
    fn refusal_of_replica(&self, token: Token, id: CommandId) -> Option<CommandError> {
        let link = self.link()?;
        if self.config.replica_read_only && self.flags_of(token, id).has(WRITE) {
            let text = "READONLY You can't write against a read only replica.";
            return Some(CommandError::Text(text));
        }
        let stale = !link.is_up() && !self.config.replica_serve_stale_data;
        (stale && !self.runs_on_stale_data(token, id)).then_some(CommandError::Text(
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        ))
    }

    /// Whether a write is refused because the last snapshot could not be written.
    fn unsaved_refusal(&self, flags: Flags) -> Option<CommandError> {
        let unsaved = !self.durability.facts.save_ok
            && self.config.stop_writes_on_bgsave_error
            && !self.config.save.is_empty()
            && flags.has(WRITE);
        unsaved.then_some(CommandError::Text("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error."))
    }

    /// Whether a pause holds this command back. Whoever paused must be able to end it: some commands always run.
    fn must_wait(&self, token: Token, id: CommandId) -> bool {
        // What a replica acknowledges may be what the pause is waiting for.
        self.pause.is_some_and(|pause| pause.holds_back(self.flags_of(token, id)))
            && !self.clients.get(token).is_replica()
    }

    /// Whether a command is refused when memory is used up: because of what it may do, or because it would be queued.
    fn needs_memory(&self, token: Token, id: CommandId) -> bool {
        let in_multi = self.registry.get(id).command.in_multi;
        let ends = matches!(in_multi, InMulti::Ends | InMulti::Executes);
        let is_queued = self.clients.get(token).transaction.is_some() && !ends;
        is_queued || self.flags_of(token, id).has(DENYOOM)
    }
}

/// RESP2 does not tell messages from replies: whoever is subscribed may ask for little else.
fn not_while_subscribed(command: &str) -> CommandError {
    CommandError::Message(format!(
        "ERR Can't execute '{command}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
         context"
    ))
}
