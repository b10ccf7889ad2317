//! The log of commands that took long, or were large: `SLOWLOG` and Valkey's `COMMANDLOG`.

use std::collections::VecDeque;

use super::State;
use super::monitor::sensitive;
use crate::commands::CommandId;
use crate::commands::table::SKIP_SLOWLOG;
use crate::net::Token;
use crate::resp::Args;

/// Arguments kept of a command, the last one telling how many more there were.
const ARGUMENTS_MAX: usize = 32;
/// Bytes kept of an argument.
const ARGUMENT_BYTES_MAX: usize = 128;

/// What a command is noted for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogKind {
    /// It took long: the value is in microseconds.
    Slow,
    /// It came with many bytes.
    LargeRequest,
    /// It answered with many bytes.
    LargeReply,
}

/// A noted command.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// Number of the entry, never used twice within its kind.
    pub id: u64,
    /// When, in Unix seconds.
    pub time_s: u64,
    /// Microseconds or bytes.
    pub value: u64,
    /// Name and arguments, shortened.
    pub args: Vec<Vec<u8>>,
    /// Address of the client.
    pub client_address: String,
    /// Name of the client.
    pub client_name: Vec<u8>,
}

/// The newest entries of each kind.
#[derive(Default)]
pub struct CommandLog {
    logs: [VecDeque<LogEntry>; 3],
    next_ids: [u64; 3],
}

impl CommandLog {
    /// The entries of a kind, newest first.
    pub fn entries(&self, kind: LogKind) -> &VecDeque<LogEntry> {
        &self.logs[kind as usize]
    }

    /// Forgets the entries of a kind.
    pub fn reset(&mut self, kind: LogKind) {
        self.logs[kind as usize].clear();
    }

    /// Keeps the newest `max` entries of a kind.
    pub fn trim(&mut self, kind: LogKind, max: usize) {
        self.logs[kind as usize].truncate(max);
    }

    fn push(&mut self, kind: LogKind, mut entry: LogEntry, max: usize) {
        let next_id = &mut self.next_ids[kind as usize];
        entry.id = *next_id;
        *next_id += 1;
        self.logs[kind as usize].push_front(entry);
        self.trim(kind, max);
    }
}

impl State {
    /// Notes a command if `value` reaches what the directives say.
    pub(super) fn log_command(
        &mut self,
        kind: LogKind,
        token: Token,
        id: CommandId,
        args: &Args<'_>,
        value: u64,
    ) {
        let (threshold, max) = match kind {
            LogKind::Slow => (self.config.slowlog_log_slower_than, self.config.slowlog_max_len),
            LogKind::LargeRequest => (
                self.config.commandlog_request_larger_than,
                self.config.commandlog_large_request_max_len,
            ),
            LogKind::LargeReply => (
                self.config.commandlog_reply_larger_than,
                self.config.commandlog_large_reply_max_len,
            ),
        };
        let command = self.registry.get(id).command;
        if threshold < 0 || value < threshold.unsigned_abs() || command.flags.has(SKIP_SLOWLOG) {
            return;
        }
        let client = self.clients.get(token);
        let entry = LogEntry {
            id: 0,
            time_s: self.now.unix_us / 1_000_000,
            value,
            args: shortened(args, self.registry.get(id).full_name.as_str()),
            client_address: client.peer.address.clone(),
            client_name: client.name.clone(),
        };
        self.command_log.push(kind, entry, usize::try_from(max).unwrap_or(usize::MAX));
    }
}

fn shortened(args: &Args<'_>, full_name: &str) -> Vec<Vec<u8>> {
    let kept = if args.len() > ARGUMENTS_MAX { ARGUMENTS_MAX - 1 } else { args.len() };
    let hidden = sensitive(full_name, args);
    let mut shown: Vec<Vec<u8>> = (0..kept)
        .map(|index| {
            let argument = args.bytes(index);
            if hidden.contains(&index) {
                b"(redacted)".to_vec()
            } else if argument.len() > ARGUMENT_BYTES_MAX {
                let more = argument.len() - ARGUMENT_BYTES_MAX;
                [&argument[..ARGUMENT_BYTES_MAX], format!("... ({more} more bytes)").as_bytes()]
                    .concat()
            } else {
                argument.to_vec()
            }
        })
        .collect();
    if kept < args.len() {
        shown.push(format!("... ({} more arguments)", args.len() - kept).into_bytes());
    }
    shown
}
