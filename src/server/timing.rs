//! How long commands take, without asking the clock for each: a time call costs more than a `GET`.
//!
//! Quick commands are timed together, a run of them within a batch; each is charged the mean. All others, and all while
//! the slow log or the latency monitor wants to know about times below a millisecond, are timed one by one.

use super::State;
use super::slowlog::LogKind;
use crate::commands::CommandId;
use crate::commands::table::{FAST, QUICK};
use crate::net::Token;
use crate::resp::Args;

/// More arguments, or longer ones, may take long whatever the command.
const QUICK_ARGUMENTS_MAX: usize = 8;
const QUICK_BYTES_MAX: usize = 16 << 10;
/// A threshold below this many microseconds needs every command timed.
const EXACT_BELOW_US: i64 = 1000;

/// Quick commands since the last look at the clock.
#[derive(Default)]
pub(super) struct Untimed {
    since_ns: u64,
    calls: Vec<(CommandId, u64)>,
    total: u64,
}

impl State {
    /// A batch of requests begins.
    pub(super) fn batch_starts(&mut self) {
        self.untimed.since_ns = self.environment.monotonic_ns();
    }

    /// A batch of requests has ended.
    pub(super) fn batch_ended(&mut self) {
        if self.untimed.total > 0 {
            let now_ns = self.environment.monotonic_ns();
            self.charge_untimed(now_ns);
        }
    }

    /// A command begins: the time, if it is to be timed by itself.
    #[inline]
    pub(super) fn command_starts(&mut self, id: CommandId, args: &Args<'_>) -> Option<u64> {
        let flags = self.registry.get(id).command.flags;
        let quick = (flags.has(FAST) || flags.has(QUICK)) && args.len() <= QUICK_ARGUMENTS_MAX;
        if quick
            && !self.exact_timing
            && args.iter().map(<[u8]>::len).sum::<usize>() <= QUICK_BYTES_MAX
        {
            return None;
        }
        let now_ns = self.environment.monotonic_ns();
        if self.untimed.total > 0 {
            self.charge_untimed(now_ns);
        }
        Some(now_ns)
    }

    /// A command has ended: counts it, and notes it where it was slow or large.
    #[inline]
    pub(super) fn command_ended(
        &mut self,
        token: Token,
        id: CommandId,
        args: &Args<'_>,
        started_ns: Option<u64>,
        reply_bytes: usize,
    ) {
        match started_ns {
            None => self.count_untimed(id),
            Some(started_ns) => {
                let now_ns = self.environment.monotonic_ns();
                let elapsed_ns = now_ns.saturating_sub(started_ns);
                self.untimed.since_ns = now_ns;
                self.stats.count_calls(id, 1, elapsed_ns, self.config.latency_tracking);
                self.note_latency(id, elapsed_ns);
                self.log_command(LogKind::Slow, token, id, args, elapsed_ns / 1000);
            }
        }
        if self.log_large {
            let request_bytes = args.iter().map(<[u8]>::len).sum::<usize>() as u64;
            self.log_command(LogKind::LargeRequest, token, id, args, request_bytes);
            self.log_command(LogKind::LargeReply, token, id, args, reply_bytes as u64);
        }
    }

    fn count_untimed(&mut self, id: CommandId) {
        self.untimed.total += 1;
        match self.untimed.calls.last_mut() {
            Some((last, calls)) if *last == id => *calls += 1,
            _ => self.untimed.calls.push((id, 1)),
        }
    }

    fn charge_untimed(&mut self, now_ns: u64) {
        let mut untimed = std::mem::take(&mut self.untimed);
        let each_ns = now_ns.saturating_sub(untimed.since_ns) / untimed.total;
        for (id, calls) in untimed.calls.drain(..) {
            self.stats.count_calls(id, calls, each_ns * calls, self.config.latency_tracking);
        }
        self.untimed = Untimed { since_ns: now_ns, calls: untimed.calls, total: 0 };
    }

    /// Follows the directives that say what is to be noted.
    pub(super) fn apply_timing_config(&mut self) {
        let slow_us = self.config.slowlog_log_slower_than;
        let spike_us = (self.config.latency_monitor_threshold as i64).saturating_mul(1000);
        self.exact_timing =
            (0..EXACT_BELOW_US).contains(&slow_us) || (1..EXACT_BELOW_US).contains(&spike_us);
        self.log_large = self.config.commandlog_request_larger_than >= 0
            || self.config.commandlog_reply_larger_than >= 0;
    }

    fn note_latency(&mut self, id: CommandId, elapsed_ns: u64) {
        let threshold_ms = self.config.latency_monitor_threshold;
        let elapsed_ms = elapsed_ns / 1_000_000;
        if threshold_ms > 0 && elapsed_ms >= threshold_ms {
            let event = if self.registry.get(id).command.flags.has(FAST) {
                "fast-command"
            } else {
                "command"
            };
            self.latency.add(event, self.now.unix_us / 1_000_000, elapsed_ms);
        }
    }
}
