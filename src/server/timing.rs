//! How long commands take, without asking the clock for each: a time call costs more than a `GET`.
//!
//! Quick commands of a long batch are timed together; each is charged the mean. Of quick commands that come one by one,
//! some are timed, and stand for those before them. All others, and all while the slow log or the latency monitor wants to
//! know about times below a millisecond, are timed one by one. Calls are always counted at once.

use super::State;
use super::slowlog::LogKind;
use crate::commands::CommandId;
use crate::commands::table::{Command, FAST, QUICK};
use crate::net::Token;
use crate::resp::Args;

/// More arguments, or longer ones, may take long whatever the command.
const QUICK_ARGUMENTS_MAX: usize = 8;
const QUICK_BYTES_MAX: usize = 16 << 10;
/// From this many requests on a batch is worth timing as one.
const BATCH_REQUESTS_MIN: usize = 8;
/// Of the quick commands outside of such a batch one in so many is timed,
const SAMPLE_EVERY: u64 = 16;
/// and all of the first ones.
const ALL_TIMED_UNTIL: u64 = 64;
/// A threshold below this many microseconds needs every command timed.
const EXACT_BELOW_US: i64 = 1000;

/// Quick commands of a long batch since the last look at the clock.
#[derive(Default)]
pub(super) struct Untimed {
    since_ns: u64,
    calls: Vec<(CommandId, u64)>,
    total: u64,
    /// A long batch is being run.
    in_batch: bool,
}

impl State {
    /// A batch of requests begins.
    #[inline]
    pub(super) fn batch_starts(&mut self, requests: usize) {
        if requests >= BATCH_REQUESTS_MIN && !self.untimed.in_batch {
            self.untimed.in_batch = true;
            self.untimed.since_ns = self.environment.monotonic_ns();
        }
    }

    /// The batches of requests that had arrived together have ended.
    #[inline]
    pub(super) fn batches_ended(&mut self) {
        self.charge_untimed_calls();
        self.untimed.in_batch = false;
    }

    /// Charges the commands that were not timed by themselves with the time until now.
    #[inline]
    pub(super) fn charge_untimed_calls(&mut self) {
        if self.untimed.total > 0 {
            let now_ns = self.environment.monotonic_ns();
            self.charge_untimed(now_ns);
        }
    }

    /// A command begins: the time, if it is to be timed by itself.
    #[inline]
    pub(super) fn command_starts(
        &mut self,
        id: CommandId,
        command: &Command,
        argc: usize,
        wire_bytes: usize,
    ) -> Option<u64> {
        let flags = command.flags;
        let quick = (flags.has(FAST) || flags.has(QUICK)) && argc <= QUICK_ARGUMENTS_MAX;
        if quick && !self.exact_timing && wire_bytes <= QUICK_BYTES_MAX {
            let calls = self.stats.command_ref(id).calls;
            let is_sample = calls < ALL_TIMED_UNTIL || calls.is_multiple_of(SAMPLE_EVERY);
            if self.untimed.in_batch || !is_sample {
                return None;
            }
        }
        Some(self.timing_starts())
    }

    /// The time, at the start of something that is timed by itself.
    pub(super) fn timing_starts(&mut self) -> u64 {
        let now_ns = self.environment.monotonic_ns();
        if self.untimed.total > 0 {
            self.charge_untimed(now_ns);
        }
        now_ns
    }

    /// A command has ended: counts it, and notes it where it was slow or large.
    #[inline]
    pub(super) fn command_ended(
        &mut self,
        token: Token,
        id: CommandId,
        args: &Args<'_>,
        started_ns: Option<u64>,
        wire_bytes: usize,
        reply_bytes: usize,
    ) {
        match started_ns {
            None if self.untimed.in_batch => self.count_in_batch(id),
            None => self.stats.count_untimed(id),
            Some(started_ns) => self.timed_command_ended(token, id, args, started_ns),
        }
        if wire_bytes as u64 >= self.large_request_from
            || reply_bytes as u64 >= self.large_reply_from
        {
            self.log_command(LogKind::LargeRequest, token, id, args, wire_bytes as u64);
            self.log_command(LogKind::LargeReply, token, id, args, reply_bytes as u64);
        }
    }

    #[inline(never)]
    fn timed_command_ended(
        &mut self,
        token: Token,
        id: CommandId,
        args: &Args<'_>,
        started_ns: u64,
    ) {
        let now_ns = self.environment.monotonic_ns();
        let elapsed_ns = now_ns.saturating_sub(started_ns);
        self.untimed.since_ns = now_ns;
        self.stats.count_calls(id, 1, elapsed_ns, self.config.latency_tracking);
        self.note_timed(id, elapsed_ns);
        let is_fast = self.registry.get(id).command.flags.has(FAST);
        self.note_spike(if is_fast { "fast-command" } else { "command" }, elapsed_ns);
        self.log_command(LogKind::Slow, token, id, args, elapsed_ns / 1000);
    }

    #[inline]
    fn count_in_batch(&mut self, id: CommandId) {
        self.untimed.total += 1;
        match self.untimed.calls.last_mut() {
            Some((last, calls)) if *last == id => *calls += 1,
            _ => self.untimed.calls.push((id, 1)),
        }
    }

    fn charge_untimed(&mut self, now_ns: u64) {
        let each_ns = now_ns.saturating_sub(self.untimed.since_ns) / self.untimed.total;
        for (id, calls) in self.untimed.calls.drain(..) {
            self.stats.count_calls(id, calls, each_ns * calls, self.config.latency_tracking);
        }
        self.untimed.total = 0;
        self.untimed.since_ns = now_ns;
    }

    /// Follows the directives that say what is to be noted.
    pub(super) fn apply_timing_config(&mut self) {
        let slow_us = self.config.slowlog_log_slower_than;
        let spike_us = self.config.latency_monitor_threshold.saturating_mul(1000);
        self.exact_timing = (0..EXACT_BELOW_US).contains(&slow_us)
            || (1..EXACT_BELOW_US as u64).contains(&spike_us);
        let from = |threshold: i64| u64::try_from(threshold).unwrap_or(u64::MAX); // negative: never
        self.large_request_from = from(self.config.commandlog_request_larger_than);
        self.large_reply_from = from(self.config.commandlog_reply_larger_than);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::ProtectedAction;
    use crate::resp::OwnedArgs;
    use crate::server::testing::TestServer;

    fn args(words: &[&[u8]]) -> OwnedArgs {
        words.iter().copied().collect()
    }

    fn number(redis: &TestServer, name: &[u8]) -> CommandId {
        redis.server.state.registry.find(name).unwrap()
    }

    /// Whether a command would be timed by itself, were it not chosen as a sample.
    fn is_timed(redis: &mut TestServer, words: &[&[u8]]) -> bool {
        let id = number(redis, words[0]);
        redis.server.state.stats.command(id).calls = ALL_TIMED_UNTIL + 1;
        let wire_bytes = words.iter().map(|word| word.len()).sum();
        let command = redis.server.state.registry.get(id).command;
        redis.server.state.command_starts(id, command, words.len(), wire_bytes).is_some()
    }

    #[test]
    fn quick_commands_of_a_batch_share_its_time() {
        let mut redis = TestServer::new();
        let (get, set) = (number(&redis, b"get"), number(&redis, b"set"));
        let world = redis.world.clone();
        let state = &mut redis.server.state;
        state.batch_starts(BATCH_REQUESTS_MIN);
        for id in [get, get, set, get] {
            state.count_in_batch(id);
        }
        world.borrow_mut().now.monotonic_us += 8;
        state.batches_ended();
        let (gets, sets) = (state.stats.command_ref(get), state.stats.command_ref(set));
        assert_eq!((gets.calls, gets.total_ns), (3, 6000));
        assert_eq!((sets.calls, sets.total_ns), (1, 2000));
        let histogram = gets.latency_ns.as_ref().unwrap();
        assert_eq!((histogram.len(), histogram.count_between(1990, 2010)), (3, 3));
        assert_eq!(state.stats.commands_processed, 4);
    }

    #[test]
    fn one_in_sixteen_stands_for_the_ones_before_it() {
        let mut redis = TestServer::new();
        let get = number(&redis, b"get");
        redis.world.borrow_mut().now_step_us = 10; // each look at the clock
        (0..1000).for_each(|_| drop(redis.run("GET k")));
        let stats = redis.server.state.stats.command_ref(get);
        assert_eq!(stats.calls, 1000);
        assert_eq!(redis.server.state.stats.commands_processed, 1000);
        assert!((985 * 10_000..1000 * 10_000).contains(&stats.total_ns), "{}", stats.total_ns);
        let shown = redis.run("INFO commandstats").0;
        assert!(shown.contains("cmdstat_get:calls=1000,usec=10000,usec_per_call=10.00"), "{shown}");
        redis.run("LATENCY HISTOGRAM get").starts("*2 $3 get *4 $5 calls :1000");
    }

    #[test]
    fn a_slow_command_is_not_charged_to_its_neighbours() {
        let mut redis = TestServer::with(|config| {
            config.enable_debug_command = ProtectedAction::Yes;
        });
        let client = redis.connect();
        redis.receive(client, b"GET k\r\nDEBUG SLEEP 0.5\r\nGET k\r\n").is("$-1 +OK $-1");
        let stats = &redis.server.state.stats;
        let (get, debug) = (number(&redis, b"get"), number(&redis, b"debug"));
        assert_eq!((stats.command_ref(get).calls, stats.command_ref(get).total_ns), (2, 0));
        assert_eq!(stats.command_ref(debug).total_ns, 500_000_000);
    }

    #[test]
    fn long_requests_and_low_thresholds_are_timed_one_by_one() {
        let mut redis = TestServer::new();
        assert!(!is_timed(&mut redis, &[b"get", b"k"]));
        assert!(is_timed(&mut redis, &[b"slowlog", b"len"]));
        assert!(is_timed(&mut redis, &[b"set", b"k", &[b'v'; QUICK_BYTES_MAX]]));
        assert!(is_timed(&mut redis, &[&b"set"[..]; QUICK_ARGUMENTS_MAX + 1]));
        for (slow_us, exact) in [(0, true), (999, true), (1000, false), (-1, false)] {
            redis.server.state.config.slowlog_log_slower_than = slow_us;
            redis.server.state.apply_timing_config();
            assert_eq!(is_timed(&mut redis, &[b"get", b"k"]), exact, "{slow_us}");
        }
    }

    #[test]
    fn a_spike_of_a_fast_command_is_an_event_of_its_own() {
        let mut redis = TestServer::with(|config| config.latency_monitor_threshold = 5);
        let get = number(&redis, b"get");
        let state = &mut redis.server.state;
        let started_ns = state.environment.monotonic_ns();
        redis.world.borrow_mut().now.monotonic_us += 5000;
        let request = args(&[b"get", b"k"]);
        state.command_ended(Token(0), get, &request.args(), Some(started_ns), 0, 0);
        let events: Vec<_> =
            state.latency.events().map(|(event, spikes)| (event, spikes.max_ms)).collect();
        assert_eq!(events, [("fast-command", 5)]);
    }
}
