//! What happens without a client asking: expiry, limits that depend on time, the end of a pause, statistics.

use std::time::Duration;

use super::Server;

/// Buckets looked at for expired keys between two looks at the clock: well under a millisecond even if all are due.
const EXPIRE_BUCKETS_PER_STEP: usize = 64;
/// Time spent on expired keys in one turn.
const EXPIRE_US_PER_TURN: u64 = 1000;
/// Buckets with nothing due cost almost nothing; this many per turn are looked at at most.
const EXPIRE_STEPS_PER_TURN: usize = 1024;
/// How often all clients are looked after.
const CLIENTS_EVERY_US: u64 = 1_000_000;
/// How often the rate of commands is taken.
const SAMPLE_EVERY_US: u64 = 100_000;

impl Server {
    /// Does what is due. Returns how long the loop may wait before it must ask again.
    pub(super) fn cron(&mut self) -> Duration {
        self.end_pause_if_due();
        let now_us = self.state.now.monotonic_us;
        let due = now_us >= self.state.next_cron_us;
        if due || self.state.expiry_left {
            self.expire_some();
        }
        if due {
            self.sample(now_us);
            if now_us >= self.state.next_clients_us {
                self.state.next_clients_us = now_us + CLIENTS_EVERY_US;
                self.look_after_clients();
            }
            self.state.next_cron_us = now_us + 1_000_000 / u64::from(self.state.config.hz.max(1));
        }
        self.run_pending_input();
        self.time_until_next_work(now_us)
    }

    fn time_until_next_work(&self, now_us: u64) -> Duration {
        if self.state.expiry_left || !self.state.pending_input.is_empty() {
            return Duration::ZERO;
        }
        let pause_us = self.state.pause.map_or(u64::MAX, |pause| pause.until_us);
        Duration::from_micros(self.state.next_cron_us.min(pause_us).saturating_sub(now_us))
    }

    fn expire_some(&mut self) {
        self.state.expiry_left = false;
        if !self.state.active_expire {
            return;
        }
        let started_ns = self.state.environment.monotonic_ns();
        let mut elapsed_ns = 0;
        for _ in 0..EXPIRE_STEPS_PER_TURN {
            self.state.expiry_left = !self.keyspace.sweep_expired(EXPIRE_BUCKETS_PER_STEP);
            elapsed_ns = self.state.environment.monotonic_ns() - started_ns;
            if !self.state.expiry_left || elapsed_ns > EXPIRE_US_PER_TURN * 1000 {
                break;
            }
        }
        self.state.stats.expire_ns += elapsed_ns;
        self.state.stats.expire_cap_reached += u64::from(self.state.expiry_left);
    }

    fn sample(&mut self, now_us: u64) {
        let (then_us, then_commands) = self.state.commands_sampled;
        let elapsed_us = now_us.saturating_sub(then_us);
        if elapsed_us >= SAMPLE_EVERY_US {
            let commands = self.state.stats.commands_processed;
            self.state.stats.ops_per_second =
                commands.saturating_sub(then_commands) * 1_000_000 / elapsed_us;
            self.state.commands_sampled = (now_us, commands);
        }
    }
}
