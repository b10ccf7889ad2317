//! What happens without a client asking: expiry, limits that depend on time, the end of a pause, statistics.

use std::time::Duration;

use super::{Server, State};

/// Buckets looked at for expired keys between two looks at the clock: a tenth of a millisecond even if all are due.
const EXPIRE_BUCKETS_PER_STEP: usize = 16;
/// Time spent on expired keys in one turn.
const EXPIRE_US_PER_TURN: u64 = 1000;
/// Buckets with nothing due cost almost nothing; this many per turn are looked at at most.
const EXPIRE_STEPS_PER_TURN: usize = 4096;
/// How often all clients are looked after.
const CLIENTS_EVERY_US: u64 = 1_000_000;
/// How often the rate of commands is taken.
const SAMPLE_EVERY_US: u64 = 100_000;
/// When so many bytes have become free, the system is given them back,
const GIVE_BACK_BYTES_MIN: usize = 4 << 20;
/// but not more often than this: what is allocated again meanwhile need not go.
const GIVE_BACK_EVERY_US: u64 = 500_000;

/// What was allocated since free memory was last given back to the system.
#[derive(Default)]
pub(super) struct FreedMemory {
    peak_bytes: usize,
    next_us: u64,
}

impl Server {
    /// Does what is due. Returns how long the loop may wait before it must ask again.
    pub(super) fn cron(&mut self) -> Duration {
        self.slow_writes();
        self.end_pause_if_due();
        let now_us = self.state.now.monotonic_us;
        let due = now_us >= self.state.next_cron_us;
        if due {
            self.state.next_cron_us = now_us + 1_000_000 / u64::from(self.state.config.hz.max(1));
        }
        if !self.state.cron_paused {
            self.run_periodic_work(due, now_us);
        }
        self.serve_blocked(); // what expired, or changed during a pause
        self.time_out_blocked();
        self.serve_ack_waiters();
        self.failover_some();
        self.shutdown_some();
        self.run_pending_input();
        self.time_until_next_work(now_us)
    }

    fn run_periodic_work(&mut self, due: bool, now_us: u64) {
        if self.state.config.maxmemory > 0 && (due || self.state.eviction.is_running) {
            self.make_room(); // a lower limit, or what a round had no time for
        }
        if due || self.state.expiry_left {
            self.expire_some();
        }
        if due {
            self.state.schedule_snapshots();
            self.sample(now_us);
            self.state.give_back_memory(now_us);
            self.state.limit_tracked_keys();
            self.state.replication_cron();
        }
        if due && now_us >= self.state.next_clients_us {
            self.state.next_clients_us = now_us + CLIENTS_EVERY_US;
            self.look_after_clients();
        }
    }

    fn time_until_next_work(&self, now_us: u64) -> Duration {
        let state = &self.state;
        let expiry_left = (state.expiry_left || state.eviction.is_running) && !state.cron_paused;
        let loading = state.durability.loading.is_some()
            || self.snapshot_has_work()
            || self.full_sync_has_work();
        if expiry_left || loading || !self.state.pending_input.is_empty() {
            return Duration::ZERO;
        }
        let pause_us = self.state.next_pause_end_us().unwrap_or(u64::MAX);
        let deadline_us = self
            .state
            .blocked_keys
            .first_deadline()
            .map_or(u64::MAX, |(deadline_us, _)| deadline_us);
        let acks_us = self.state.first_ack_deadline_us().unwrap_or(u64::MAX);
        let stream_us = self.state.stream_due_us().unwrap_or(u64::MAX);
        let next_us =
            self.state.next_cron_us.min(pause_us).min(deadline_us).min(acks_us).min(stream_us);
        Duration::from_micros(next_us.saturating_sub(now_us))
    }

    fn expire_some(&mut self) {
        self.state.expiry_left = false;
        if !self.state.active_expire {
            return;
        }
        let started_ns = self.state.environment.monotonic_ns();
        let mut elapsed_ns = 0;
        let mut all_gone = false;
        for _ in 0..EXPIRE_STEPS_PER_TURN {
            all_gone = self.keyspace.sweep_expired(EXPIRE_BUCKETS_PER_STEP);
            if self.keyspace.has_expired() {
                self.state.keys_expired(self.keyspace.take_expired());
            }
            elapsed_ns = self.state.environment.monotonic_ns().saturating_sub(started_ns);
            if all_gone || elapsed_ns > EXPIRE_US_PER_TURN * 1000 {
                break;
            }
        }
        self.state.expiry_left = !all_gone;
        self.state.note_spike("expire-cycle", elapsed_ns);
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

impl State {
    /// Lets the environment give memory back to the system when much of it has become free.
    fn give_back_memory(&mut self, now_us: u64) {
        let allocated_bytes = self.environment.allocated_bytes();
        let memory = &mut self.memory;
        memory.peak_bytes = memory.peak_bytes.max(allocated_bytes);
        let freed_bytes = memory.peak_bytes - allocated_bytes;
        if freed_bytes >= GIVE_BACK_BYTES_MIN && now_us >= memory.next_us {
            *memory = FreedMemory {
                peak_bytes: allocated_bytes,
                next_us: now_us.saturating_add(GIVE_BACK_EVERY_US),
            };
            self.environment.purge_memory();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::{Expiry, NewString};
    use crate::net::Token;
    use crate::server::PauseKind;
    use crate::server::testing::TestServer;

    /// A server with `count` keys that expire after `ttl_ms`.
    fn with_expiring_keys(count: i64, ttl_ms: i64) -> TestServer {
        let mut redis = TestServer::new();
        let at = Expiry::At(redis.server.state.now.unix_ms().max(1_700_000_000_000) + ttl_ms);
        let mut db = redis.server.keyspace.db(0);
        for number in 0..count {
            db.set_string(format!("k{number}").as_bytes(), NewString::Int(number), at);
        }
        redis
    }

    fn keys(redis: &TestServer) -> usize {
        redis.server.keyspace.databases()[0].len()
    }

    #[test]
    fn keys_that_are_due_go_without_being_touched() {
        let mut redis = with_expiring_keys(5000, 100);
        redis.run("SET stays v").is("+OK");
        redis.advance_ms(99);
        assert_eq!(keys(&redis), 5001);
        for _ in 0..3 {
            redis.advance_ms(100);
        }
        assert_eq!(keys(&redis), 1);
        assert_eq!(redis.server.keyspace.stats.expired, 5000);
    }

    #[test]
    fn a_long_sweep_is_cut_and_goes_on_at_once() {
        let mut redis = with_expiring_keys(5000, 100);
        redis.world.borrow_mut().now_step_us = EXPIRE_US_PER_TURN + 1; // time flies
        redis.advance_ms(200);
        let left = keys(&redis);
        assert!(left > 0 && left < 5000, "{left}");
        assert_eq!(redis.server.cron(), Duration::ZERO);
        for _ in 0..5000 {
            if !redis.server.state.expiry_left {
                break;
            }
            redis.advance_ms(0);
        }
        assert_eq!(keys(&redis), 0);
    }

    #[test]
    fn a_sweep_that_took_long_is_a_latency_event() {
        let mut redis = with_expiring_keys(1, 100);
        redis.server.state.config.latency_monitor_threshold = 20;
        redis.world.borrow_mut().now_step_us = 25_000;
        redis.advance_ms(200);
        assert!(redis.server.state.latency.event(b"expire-cycle").is_some());
    }

    #[test]
    fn freed_memory_is_given_back_soon_but_not_all_the_time() {
        let mut redis = TestServer::new();
        let mut purges_with = |allocated_bytes: usize, ms| {
            redis.world.borrow_mut().allocated_bytes = allocated_bytes;
            redis.advance_ms(ms);
            redis.world.borrow().purges
        };
        assert_eq!(purges_with(100 << 20, 1000), 0);
        assert_eq!(purges_with(97 << 20, 1000), 0, "it is too little");
        assert_eq!(purges_with(96 << 20, 100), 1);
        assert_eq!(purges_with(10 << 20, 100), 1, "it has just been done");
        assert_eq!(purges_with(10 << 20, 400), 2);
        assert_eq!(purges_with(10 << 20, 5000), 2);
    }

    #[test]
    fn nothing_expires_by_itself_when_told_so() {
        let mut redis = with_expiring_keys(10, 100);
        redis.server.state.active_expire = false;
        redis.advance_ms(1000);
        assert_eq!(keys(&redis), 10);
        redis.run("GET k1").is("$-1");
        assert_eq!(keys(&redis), 9);
    }

    #[test]
    fn a_paused_cron_does_nothing_and_keeps_the_loop_asleep() {
        let mut redis = with_expiring_keys(10, 100);
        redis.server.state.cron_paused = true;
        redis.advance_ms(1000);
        assert_eq!(keys(&redis), 10);
        assert!(redis.server.cron() > Duration::ZERO);
        redis.server.state.cron_paused = false;
        redis.advance_ms(1000);
        assert_eq!(keys(&redis), 0);
    }

    #[test]
    fn a_pause_ends_by_itself_and_what_waited_runs() {
        let mut redis = TestServer::new();
        let until_us = redis.world.borrow().now.monotonic_us + 50_000;
        let (state, keyspace) = (&mut redis.server.state, &mut redis.server.keyspace);
        state.pause_clients(keyspace, PauseKind::All, until_us);
        redis.run("SET k v").is("");
        assert!(redis.server.cron() <= Duration::from_millis(50));
        redis.advance_ms(49);
        redis.take(Token(0)).is("");
        redis.advance_ms(1);
        redis.advance_ms(0);
        redis.take(Token(0)).is("+OK");
        assert!(redis.server.state.pause.is_none());
    }

    #[test]
    fn l07_a_soft_limit_closes_after_its_seconds_without_traffic() {
        let mut redis = TestServer::with(|config| {
            config.client_output_buffer_limit.normal.soft_bytes = 2000;
            config.client_output_buffer_limit.normal.soft_seconds = 2;
        });
        redis.server.state.clients.get_mut(Token(0)).output.extend(&[b'x'; 3000]);
        redis.server.state.write_later(Token(0));
        redis.advance_ms(1000);
        redis.advance_ms(1000);
        assert!(redis.is_connected(Token(0)));
        redis.advance_ms(1000);
        redis.advance_ms(1000);
        assert!(!redis.is_connected(Token(0)));
    }

    #[test]
    fn the_rate_of_commands_is_taken_from_time_to_time() {
        let mut redis = TestServer::new();
        redis.advance_ms(100);
        (0..50).for_each(|_| drop(redis.run("GET k")));
        redis.advance_ms(100);
        assert_eq!(redis.server.state.stats.ops_per_second, 500);
        redis.advance_ms(100);
        assert_eq!(redis.server.state.stats.ops_per_second, 0);
    }

    #[test]
    fn an_idle_client_is_closed_after_the_timeout() {
        let mut redis = TestServer::with(|config| config.timeout = 3);
        redis.run("GET k").is("$-1");
        redis.advance_ms(3000);
        assert!(redis.is_connected(Token(0)));
        redis.advance_ms(1000);
        assert!(!redis.is_connected(Token(0)));
    }
}
