//! Counters: of the server as a whole, of each command, of each kind of error. INFO shows them.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::commands::{CommandError, CommandId};

/// Kinds of errors that are counted one by one; a client that makes up more cannot fill the memory.
const ERROR_KINDS_MAX: usize = 128;
/// Latencies above this count as this: a second, in nanoseconds.
const LATENCY_NS_MAX: u64 = 1_000_000_000;

/// What is counted of one command.
#[derive(Default)]
pub struct CommandStats {
    /// Runs.
    pub calls: u64,
    /// Time of all runs, in nanoseconds, but for the last untimed ones until [`Stats::settle`].
    pub total_ns: u64,
    /// Runs since the last one that was timed. They will be taken to be like it.
    untimed_calls: u64,
    /// Requests that were refused before a run.
    pub rejected_calls: u64,
    /// Runs that answered with an error.
    pub failed_calls: u64,
    /// Distribution of run times, in nanoseconds; made at the first run.
    pub latency_ns: Option<Box<Histogram<u64>>>,
}

impl CommandStats {
    /// Charges the runs that were not charged yet.
    fn charge(&mut self, each_ns: u64, track_latency: bool) {
        let calls = std::mem::take(&mut self.untimed_calls);
        self.total_ns += each_ns * calls;
        if track_latency {
            let histogram = self.latency_ns.get_or_insert_with(|| {
                Box::new(Histogram::new_with_bounds(1, LATENCY_NS_MAX, 2).expect("valid bounds"))
            });
            histogram.saturating_record_n(each_ns.max(1), calls);
        }
    }
}

/// All counters.
#[derive(Default)]
pub struct Stats {
    commands: Vec<CommandStats>,
    /// Errors by their first word.
    pub errors: BTreeMap<String, u64>,
    /// Error replies.
    pub error_replies: u64,
    /// Of these, to commands of the master.
    pub unexpected_error_replies: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Connections refused because there were too many.
    pub rejected_connections: u64,
    /// Commands run.
    pub commands_processed: u64,
    /// Replicas that were given all data.
    pub sync_full: u64,
    /// Replicas that could go on where they were.
    pub sync_partial_ok: u64,
    /// Replicas that wanted to, and could not.
    pub sync_partial_err: u64,
    /// Bytes received.
    pub net_in: u64,
    /// Bytes sent.
    pub net_out: u64,
    /// Clients closed because of too many received bytes.
    pub query_buffer_limit_disconnections: u64,
    /// Clients closed because of too many unsent bytes.
    pub output_buffer_limit_disconnections: u64,
    /// Failed attempts to say who one is.
    pub auth_failures: u64,
    /// Time spent on removing keys that were due, in nanoseconds.
    pub expire_ns: u64,
    /// How often a turn had no time left for more keys that were due.
    pub expire_cap_reached: u64,
    /// Keys removed because memory was short.
    pub evicted_keys: u64,
    /// How long memory was above `maxmemory`, this time not included, in microseconds.
    pub eviction_exceeded_us: u64,
    /// Commands run per second, of late.
    pub ops_per_second: u64,
}

impl Stats {
    /// Zeros for that many commands.
    pub fn new(commands: usize) -> Self {
        Self {
            commands: (0..commands).map(|_| CommandStats::default()).collect(),
            ..Self::default()
        }
    }

    /// Zeros again (`CONFIG RESETSTAT`).
    pub fn reset(&mut self) {
        *self = Self::new(self.commands.len());
    }

    /// The counters of a command.
    #[inline]
    pub fn command(&mut self, id: CommandId) -> &mut CommandStats {
        &mut self.commands[usize::from(id.0)]
    }

    /// The counters of a command.
    pub fn command_ref(&self, id: CommandId) -> &CommandStats {
        &self.commands[usize::from(id.0)]
    }

    /// Counts an error reply under its first word.
    pub fn count_error(&mut self, error: &CommandError) {
        self.error_replies += 1;
        let text = error.to_string();
        let kind = text.split(' ').next().unwrap_or("ERR");
        if let Some(count) = self.errors.get_mut(kind) {
            *count += 1;
        } else if self.errors.len() < ERROR_KINDS_MAX {
            self.errors.insert(kind.to_string(), 1);
        }
    }

    /// Counts a run of a command whose time is not known.
    #[inline]
    pub fn count_untimed(&mut self, id: CommandId) {
        self.commands_processed += 1;
        let command = self.command(id);
        command.calls += 1;
        command.untimed_calls += 1;
    }

    /// Counts `calls` runs of a command that took `total_ns` together. The untimed runs before them were like them.
    pub fn count_calls(&mut self, id: CommandId, calls: u64, total_ns: u64, track_latency: bool) {
        self.commands_processed += calls;
        let command = self.command(id);
        command.calls += calls;
        command.untimed_calls += calls;
        command.charge(total_ns / calls.max(1), track_latency);
    }

    /// Charges the runs whose time is not known the mean of the others: before times are shown.
    pub fn settle(&mut self, track_latency: bool) {
        for command in self.commands.iter_mut().filter(|command| command.untimed_calls > 0) {
            let timed = command.calls - command.untimed_calls;
            command.charge(command.total_ns / timed.max(1), track_latency);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_their_first_word() {
        let mut stats = Stats::new(0);
        stats.count_error(&CommandError::WrongType);
        stats.count_error(&CommandError::Syntax);
        stats.count_error(&CommandError::NotAnInteger);
        assert_eq!(stats.error_replies, 3);
        let counts: Vec<_> =
            stats.errors.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
        assert_eq!(counts, [("ERR", 2), ("WRONGTYPE", 1)]);
    }

    #[test]
    fn made_up_errors_do_not_fill_the_memory() {
        let mut stats = Stats::new(0);
        for number in 0..1000 {
            stats.count_error(&CommandError::Message(format!("E{number} text")));
        }
        assert_eq!((stats.errors.len(), stats.error_replies), (ERROR_KINDS_MAX, 1000));
    }

    #[test]
    fn calls_share_their_time_in_the_histogram() {
        let mut stats = Stats::new(1);
        stats.count_calls(CommandId(0), 4, 400, true);
        stats.count_calls(CommandId(0), 1, 10 * LATENCY_NS_MAX, true);
        stats.count_calls(CommandId(0), 1, 0, true);
        let command = stats.command_ref(CommandId(0));
        assert_eq!((command.calls, stats.commands_processed), (6, 6));
        let histogram = command.latency_ns.as_ref().unwrap();
        assert_eq!(histogram.count_between(100, 100), 4);
        assert_eq!(histogram.count_between(LATENCY_NS_MAX, u64::MAX), 1);
        assert_eq!(histogram.count_between(0, 1), 1);
    }

    #[test]
    fn without_tracking_there_is_no_histogram() {
        let mut stats = Stats::new(1);
        stats.count_calls(CommandId(0), 1, 100, false);
        assert!(stats.command_ref(CommandId(0)).latency_ns.is_none());
    }

    #[test]
    fn reset_keeps_a_place_for_every_command() {
        let mut stats = Stats::new(2);
        stats.count_calls(CommandId(1), 1, 100, true);
        stats.reset();
        assert_eq!((stats.command(CommandId(1)).calls, stats.commands_processed), (0, 0));
    }
}
