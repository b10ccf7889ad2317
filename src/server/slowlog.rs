//! The log of commands that took long, or were large: `SLOWLOG` and Valkey's `COMMANDLOG`.

use std::collections::VecDeque;

use super::State;
use super::monitor::sensitive;
use crate::commands::table::SKIP_SLOWLOG;
use crate::commands::{CommandId, Registered};
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

    /// Adds an entry, whatever number it has, and keeps the newest `max` of its kind.
    pub fn push(&mut self, kind: LogKind, mut entry: LogEntry, max: usize) {
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
            args: shortened(args, self.registry.get(id)),
            client_address: client.peer.address.clone(),
            client_name: client.name.clone(),
        };
        self.command_log.push(kind, entry, usize::try_from(max).unwrap_or(usize::MAX));
    }
}

/// The arguments as an entry keeps them: not too many, not too long, and without passwords.
pub fn shortened(args: &Args<'_>, registered: &Registered) -> Vec<Vec<u8>> {
    let kept = if args.len() > ARGUMENTS_MAX { ARGUMENTS_MAX - 1 } else { args.len() };
    let hidden = sensitive(registered, args);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::ProtectedAction;
    use crate::server::testing::TestServer;

    fn with_threshold(threshold_us: i64) -> TestServer {
        TestServer::with(|config| {
            config.slowlog_log_slower_than = threshold_us;
            config.enable_debug_command = ProtectedAction::Yes;
        })
    }

    fn noted(redis: &TestServer, kind: LogKind) -> usize {
        redis.server.state.command_log.entries(kind).len()
    }

    #[test]
    fn a_command_is_slow_from_the_threshold_on() {
        for (threshold_us, expected) in [(10_000, 1), (10_001, 0), (0, 1), (-1, 0)] {
            let mut redis = with_threshold(threshold_us);
            redis.run("DEBUG SLEEP 0.01").is("+OK");
            assert_eq!(noted(&redis, LogKind::Slow), expected, "{threshold_us}");
        }
    }

    #[test]
    fn the_newest_entries_are_kept_and_numbers_go_on() {
        let mut redis = with_threshold(0);
        redis.server.state.config.slowlog_max_len = 3;
        (0..5).for_each(|_| drop(redis.run("TIME")));
        let ids: Vec<u64> =
            redis.server.state.command_log.entries(LogKind::Slow).iter().map(|e| e.id).collect();
        assert_eq!(ids, [4, 3, 2]);
        redis.server.state.config.slowlog_max_len = 0;
        redis.run("TIME");
        assert_eq!(noted(&redis, LogKind::Slow), 0);
    }

    #[test]
    fn long_requests_are_shortened() {
        let mut redis = with_threshold(0);
        let long = [b'A'; 129];
        let mut words: Vec<&[u8]> = vec![b"DEBUG", b"DIGEST-VALUE", &long];
        words.resize(33, b"x");
        redis.run_bytes(&words);
        let entry = &redis.server.state.command_log.entries(LogKind::Slow)[0];
        assert_eq!(entry.args.len(), 32);
        assert_eq!(entry.args[2], [&long[..128], b"... (1 more bytes)"].concat());
        assert_eq!(entry.args[31], b"... (2 more arguments)");
        words.truncate(32);
        redis.run_bytes(&words);
        let entry = &redis.server.state.command_log.entries(LogKind::Slow)[0];
        assert_eq!(entry.args[31], b"x");
    }

    #[test]
    fn an_entry_has_the_name_of_its_client() {
        let mut redis = with_threshold(0);
        redis.server.state.clients.iter_mut().for_each(|client| client.name = b"me".to_vec());
        redis.run("TIME");
        let entry = &redis.server.state.command_log.entries(LogKind::Slow)[0];
        assert_eq!((entry.client_name.as_slice(), entry.time_s), (&b"me"[..], 1_700_000_000));
    }

    #[test]
    fn large_requests_and_replies_are_noted_by_their_own_thresholds() {
        let mut redis = TestServer::with(|config| {
            config.commandlog_request_larger_than = 10_000;
            config.commandlog_reply_larger_than = 10_000;
        });
        let value = [b'v'; 10_000];
        redis.run_bytes(&[b"SET", b"k", &value]).is("+OK");
        redis.run("GET k");
        assert_eq!(noted(&redis, LogKind::LargeRequest), 1);
        assert_eq!(noted(&redis, LogKind::LargeReply), 1);
        assert_eq!(noted(&redis, LogKind::Slow), 0);
    }
}
