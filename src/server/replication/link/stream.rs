//! The master's commands: run as a client's are, but with all rights, and nobody is answered.
//!
//! The offset counts the bytes of commands that have run: of a transaction none before its `EXEC` has. So a link that
//! breaks anywhere is taken up again where nothing is half done. The same bytes go into the backlog as they came, for
//! this server's own replicas: offset and bytes are the same along a chain. What the commands change goes into the log.
//!
//! The master says when a key is due. Until then it is there for the master's commands, whatever the clock here says.

use super::{Phase, State};
use crate::commands::table::InMulti;
use crate::commands::{CommandError, CommandId};
use crate::log::Level;
use crate::net::Token;
use crate::resp::output::Mark;
use crate::resp::{Args, Limits, Protocol, Reply, RequestParser};
use crate::server::Server;
use crate::server::look_ahead::Ahead;

use super::RETRY_US;

/// Commands parsed before they are run.
const BATCH_REQUESTS: usize = 32;
/// While commands may not run, so many bytes of them are kept here; more stay with the master.
const HELD_BYTES_MAX: usize = 1 << 20;
/// Memory that a long command or transaction leaves behind.
const BUFFER_KEPT_BYTES: usize = 1 << 20;
/// An error that is told repeats so much of the command's reply.
const ERROR_SHOWN_BYTES: usize = 4096;

/// The stream, as far as it has arrived.
#[derive(Debug)]
pub struct Stream {
    /// Since when it flows, on the monotonic clock.
    pub since_us: u64,
    parser: RequestParser,
    /// Bytes that do not count yet.
    buffer: Vec<u8>,
    /// So many of them are commands of a transaction that has not ended: they are queued.
    queued: usize,
    reading_paused: bool,
}

impl Stream {
    /// Nothing has arrived.
    pub fn new(now_us: u64) -> Self {
        Self {
            since_us: now_us,
            parser: RequestParser::new(),
            buffer: Vec::new(),
            queued: 0,
            reading_paused: false,
        }
    }

    /// Bytes that have arrived and do not count yet.
    pub fn waiting_bytes(&self) -> usize {
        self.buffer.len()
    }
}

/// What was made of the bytes that are here.
struct Run {
    /// They are commands that have run.
    applied: usize,
    /// And these are passed on and counted.
    counted: usize,
    /// They are commands, some of them queued.
    done: usize,
    /// Why the rest is no stream.
    broken: Option<String>,
}

impl Server {
    /// Takes bytes of the stream, and runs what commands are whole.
    pub(super) fn take_stream(&mut self, bytes: &[u8]) {
        let holds_back = self.state.holds_stream_back();
        let Some(link) = self.state.link_mut() else { return };
        let Phase::Streaming { token, stream } = &mut link.phase else { return };
        stream.buffer.extend_from_slice(bytes);
        if !holds_back {
            return self.run_stream();
        }
        if stream.buffer.len() >= HELD_BYTES_MAX && !stream.reading_paused {
            stream.reading_paused = true;
            let token = *token;
            self.state.actions.pause_reading.push(token);
        }
    }

    /// Goes on with a stream that was held back, if it is not any more.
    pub(super) fn resume_stream(&mut self) {
        let holds_back = self.state.holds_stream_back();
        let now_us = self.state.now.monotonic_us;
        let Some(link) = self.state.link_mut() else { return };
        let Phase::Streaming { token, stream } = &mut link.phase else { return };
        if stream.reading_paused {
            link.last_io_us = now_us; // it is this side that is silent
        }
        if holds_back {
            return;
        }
        if std::mem::take(&mut stream.reading_paused) {
            let token = *token;
            self.state.actions.resume_reading.push(token);
        }
        self.run_stream();
    }

    /// Runs the whole commands that are here.
    fn run_stream(&mut self) {
        let Some(link) = self.state.link_mut() else { return };
        let Phase::Streaming { token, stream } = &mut link.phase else { return };
        if stream.buffer.len() == stream.queued {
            return;
        }
        let token = *token;
        let mut buffer = std::mem::take(&mut stream.buffer);
        let mut parser = std::mem::take(&mut stream.parser);
        let queued = stream.queued;
        self.keyspace.loading = true; // nothing is due before the master says so
        self.keyspace.set_now_ms(self.state.now.unix_ms());
        self.state.current = Some(token);
        let run = self.run_commands_of_master(token, &buffer, queued, &mut parser);
        self.state.batches_ended();
        self.state.current = None;
        self.keyspace.loading = false;
        self.keyspace.set_now_ms(self.state.now.unix_ms());
        self.state.feed_replicas(&buffer[run.counted..run.applied]);
        let Some(link) = self.state.link_mut() else { return };
        let Phase::Streaming { stream, .. } = &mut link.phase else { return };
        buffer.drain(..run.applied);
        buffer.shrink_to(BUFFER_KEPT_BYTES);
        stream.buffer = buffer;
        stream.parser = parser;
        stream.queued = run.done - run.applied;
        if let Some(reason) = run.broken {
            link.resumes = false; // what was understood so far is not to be trusted too much
            self.state.give_up(Level::Warning, &reason, RETRY_US);
        }
    }

    fn run_commands_of_master(
        &mut self,
        token: Token,
        buffer: &[u8],
        queued: usize,
        parser: &mut RequestParser,
    ) -> Run {
        let mut run = Run { applied: 0, counted: 0, done: queued, broken: None };
        let mut batch = self.batch.take().unwrap_or_default();
        let mut reply = Reply::new(Protocol::Resp2);
        let start = reply.output.mark();
        loop {
            let rest = &buffer[run.done..];
            let parsed = parser.parse(rest, BATCH_REQUESTS, &Limits::TRUSTED, &mut batch);
            self.state.batch_starts(batch.len());
            self.look_ahead(token, &batch, rest);
            let base = run.done;
            for request in 0..batch.len() {
                let (from, to) = (run.done, base + batch.end(request));
                if is_inline(&buffer[from..to]) {
                    run.broken = Some(INLINE.to_string());
                    break;
                }
                let args = batch.args(request, rest);
                if is_getack(&args) {
                    // The master asks how far this server is before this very question.
                    self.state.feed_replicas(&buffer[run.counted..run.applied]);
                    run.counted = run.applied;
                    self.state.send_ack();
                } else {
                    let (command, wire_bytes) = self.ahead.request(request);
                    let candidate = self.ahead.candidate(request);
                    let ahead = Ahead { command, candidate: candidate.as_ref(), wire_bytes };
                    run.broken = self.apply(token, &args, &ahead, start, &mut reply).err();
                }
                if run.broken.is_some() {
                    break;
                }
                self.command_done(token, to, &mut run);
            }
            if run.broken.is_none() {
                let end = base + parsed.consumed; // empty lines behind the last command
                self.command_done(token, end, &mut run);
                run.broken = parsed.error.map(|error| {
                    format!("Protocol error ({error}) from master. Discarding the cached master.")
                });
            }
            if run.broken.is_some() || batch.len() < BATCH_REQUESTS {
                break;
            }
        }
        batch.clear();
        self.batch = Some(batch);
        run
    }

    /// A command that ends at `end` has run, or is queued: of a transaction nothing counts before its end.
    fn command_done(&mut self, token: Token, end: usize, run: &mut Run) {
        run.done = end;
        if let Some(client) = self.state.clients.find_mut(token)
            && client.transaction.is_none()
        {
            run.applied = end;
            self.state.replication.stream_db = client.db;
        }
    }

    /// Runs one command of the master. One that fails is told and counted, and the stream goes on, as in Redis. The error
    /// says why it cannot.
    fn apply(
        &mut self,
        token: Token,
        args: &Args<'_>,
        ahead: &Ahead<'_>,
        start: Mark,
        reply: &mut Reply,
    ) -> Result<(), String> {
        let Self { keyspace, state, .. } = self;
        let errors = state.stats.error_replies;
        let found = state.find_command(args).and_then(|id| {
            let registered = state.registry.get(id);
            let name = &registered.full_name;
            match registered.command.arity.accepts(args.len()) {
                true => Ok(id),
                false => Err(CommandError::WrongArity(name.clone().into())),
            }
        });
        match found {
            Ok(id) if state.is_in_transaction(token, id) => {
                state.queue_request(token, id, args, ahead, reply);
            }
            Ok(id) => {
                state.clients.get_mut(token).last_command = Some(id);
                Self::call(keyspace, state, token, id, args, ahead, reply);
            }
            Err(error) => {
                state.stats.count_error(&error);
                error.reply(reply);
            }
        }
        let failed = state.stats.error_replies > errors;
        if failed {
            state.tell_failed_command(args, reply);
        }
        let selects = args.bytes(0).eq_ignore_ascii_case(b"select");
        reply.output.truncate(start);
        if self.state.blocked_keys.has_ready() {
            self.serve_blocked();
        }
        match failed && selects {
            // Whatever follows would be done to other keys.
            true => {
                Err("The master uses a database that is not here: see the directive 'databases'"
                    .into())
            }
            false => Ok(()),
        }
    }
}

impl State {
    /// Whether the master's commands may not run just now.
    fn holds_stream_back(&self) -> bool {
        self.pause.is_some() || self.durability.loading.is_some()
    }

    /// Whether a command of the master is to be queued.
    fn is_in_transaction(&self, token: Token, id: CommandId) -> bool {
        self.clients.get(token).transaction.is_some()
            && self.registry.get(id).command.in_multi == InMulti::Queued
    }

    #[cold]
    fn tell_failed_command(&mut self, args: &Args<'_>, reply: &Reply) {
        self.stats.unexpected_error_replies += 1;
        let bytes = reply.output.to_vec();
        let at = bytes.iter().position(|&byte| byte == b'-').map_or(0, |at| at + 1);
        let line = bytes[at..].split(|&byte| byte == b'\r').next().unwrap_or_default();
        let error = String::from_utf8_lossy(&line[..line.len().min(ERROR_SHOWN_BYTES)]);
        let command = String::from_utf8_lossy(args.bytes(0)).escape_debug().to_string();
        self.log(
            Level::Warning,
            format_args!(
                "== CRITICAL == This replica is sending an error to its master: '{error}' after processing the command \
                 '{command}'"
            ),
        );
    }
}

const INLINE: &str = "WARNING: Receiving inline protocol from master, master stream corruption? Closing the master \
                      connection and discarding the cached master.";

/// Whether a command came as a line of text, which no master sends.
fn is_inline(bytes: &[u8]) -> bool {
    bytes.iter().find(|byte| !matches!(byte, b'\r' | b'\n')).is_some_and(|&byte| byte != b'*')
}

fn is_getack(args: &Args<'_>) -> bool {
    args.len() >= 2
        && args.bytes(0).eq_ignore_ascii_case(b"replconf")
        && args.bytes(1).eq_ignore_ascii_case(b"getack")
}
