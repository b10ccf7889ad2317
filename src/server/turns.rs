//! What the loop's turns were like: the longest one, all of them together, and how much happens per second of late.

use super::State;
use crate::commands::CommandId;
use crate::net::LoopStats;

/// Time between two samples of a rate.
const SAMPLE_EVERY_US: u64 = 100_000;
/// Turns longer than these many microseconds are counted.
const TURNS_OVER_US: [u64; 3] = [1_000, 5_000, 20_000];
/// A rate is the mean of that many samples: smooth enough to read, and forgotten after 1.6 seconds.
const SAMPLES: usize = 16;

/// Figures about turns, since the start or the last `CONFIG RESETSTAT`.
#[derive(Default)]
pub struct Turns {
    /// The longest turn, without the wait for events, in microseconds: no client was held up by others for longer.
    pub longest_turn_us: u64,
    /// What happened in it.
    pub longest_turn: TurnWork,
    /// Turns that took longer than 1, 5 and 20 milliseconds.
    pub turns_over: [u64; TURNS_OVER_US.len()],
    /// All turns, in microseconds.
    pub total_us: u64,
    /// Bytes received per second.
    pub input_rate: Rate,
    /// Bytes sent per second.
    pub output_rate: Rate,
    /// Turns per second.
    pub turn_rate: Rate,
    /// Microseconds of turns per second.
    pub busy_rate: Rate,
    sampled_us: u64,
    base: LoopStats,
    /// What had happened when this turn began.
    turn_began: TurnWork,
    slowest: Option<(CommandId, u64)>,
}

/// What happened in a turn: enough to see what a long one was busy with.
#[derive(Clone, Copy, Default, Debug)]
pub struct TurnWork {
    /// Connections accepted.
    pub accepted: u64,
    /// Clients read from.
    pub reads: u64,
    /// Bytes they had sent.
    pub bytes_read: u64,
    /// Commands run.
    pub commands: u64,
    /// Of the commands that are timed one by one the slowest, and its time in nanoseconds.
    pub slowest: Option<(CommandId, u64)>,
    /// Keys that were removed because they had expired.
    pub expired: u64,
    /// Time the search for expired keys took, in nanoseconds.
    pub expire_ns: u64,
    /// Clients written to.
    pub writes: u64,
    /// Bytes sent to them.
    pub bytes_written: u64,
}

impl TurnWork {
    /// What has happened since `began`. A counter that was reset meanwhile counts from zero.
    fn since(&self, began: &Self) -> Self {
        Self {
            accepted: self.accepted.saturating_sub(began.accepted),
            reads: self.reads.saturating_sub(began.reads),
            bytes_read: self.bytes_read.saturating_sub(began.bytes_read),
            commands: self.commands.saturating_sub(began.commands),
            slowest: self.slowest,
            expired: self.expired.saturating_sub(began.expired),
            expire_ns: self.expire_ns.saturating_sub(began.expire_ns),
            writes: self.writes.saturating_sub(began.writes),
            bytes_written: self.bytes_written.saturating_sub(began.bytes_written),
        }
    }
}

/// How fast a counter grows.
#[derive(Default)]
pub struct Rate {
    samples: [u64; SAMPLES],
    next: usize,
    last_count: u64,
}

impl Rate {
    /// Growth per second, the mean of the last samples.
    pub fn per_second(&self) -> u64 {
        self.samples.iter().sum::<u64>() / SAMPLES as u64
    }

    fn sample(&mut self, count: u64, elapsed_us: u64) {
        // A counter that was reset is below what it was.
        let grown = count.saturating_sub(self.last_count);
        self.samples[self.next] = grown.saturating_mul(1_000_000) / elapsed_us;
        self.next = (self.next + 1) % SAMPLES;
        self.last_count = count;
    }
}

impl State {
    /// A turn begins, and the loop tells about the ones before.
    /// `expired` keys have been removed so far.
    pub(super) fn note_turn(&mut self, loop_stats: &LoopStats, expired: u64) {
        self.loop_stats = *loop_stats;
        let turns = &mut self.turns;
        let work = TurnWork {
            accepted: loop_stats.accepted,
            reads: loop_stats.reads,
            bytes_read: loop_stats.bytes_read,
            commands: self.stats.commands_processed,
            slowest: turns.slowest.take(),
            expired,
            expire_ns: self.stats.expire_ns,
            writes: loop_stats.writes,
            bytes_written: loop_stats.bytes_written,
        };
        if loop_stats.last_turn_us > turns.longest_turn_us {
            turns.longest_turn_us = loop_stats.last_turn_us;
            turns.longest_turn = work.since(&turns.turn_began);
        }
        for (turns_over, us) in turns.turns_over.iter_mut().zip(TURNS_OVER_US) {
            *turns_over += u64::from(loop_stats.last_turn_us > us);
        }
        turns.turn_began = work;
        turns.total_us += loop_stats.last_turn_us;
        let elapsed_us = self.now.monotonic_us.saturating_sub(turns.sampled_us);
        if elapsed_us >= SAMPLE_EVERY_US {
            turns.sampled_us = self.now.monotonic_us;
            turns.input_rate.sample(self.stats.net_in, elapsed_us);
            turns.output_rate.sample(self.stats.net_out, elapsed_us);
            turns.turn_rate.sample(loop_stats.turns, elapsed_us);
            turns.busy_rate.sample(turns.total_us, elapsed_us);
        }
    }

    /// A command that is timed by itself has ended.
    pub(super) fn note_timed(&mut self, id: CommandId, elapsed_ns: u64) {
        if self.turns.slowest.is_none_or(|(_, slowest_ns)| elapsed_ns > slowest_ns) {
            self.turns.slowest = Some((id, elapsed_ns));
        }
    }

    /// Turns, reads and writes of the loop since the last `CONFIG RESETSTAT`.
    pub fn loop_counts(&self) -> LoopStats {
        let (now, base) = (&self.loop_stats, &self.turns.base);
        LoopStats {
            turns: now.turns - base.turns,
            reads: now.reads - base.reads,
            writes: now.writes - base.writes,
            ..*now
        }
    }

    /// All counters of the server begin again at zero (`CONFIG RESETSTAT`); those of the keyspace are its own.
    pub fn reset_stats(&mut self) {
        self.stats.reset();
        self.turns = Turns {
            sampled_us: self.now.monotonic_us,
            base: self.loop_stats,
            turn_began: self.turns.turn_began,
            turn_rate: Rate { last_count: self.loop_stats.turns, ..Rate::default() },
            ..Turns::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Now;
    use crate::net::Service as _;
    use crate::server::testing::TestServer;

    fn turn(redis: &mut TestServer, at_ms: u64, stats: LoopStats) {
        let now = Now { unix_us: at_ms * 1000, monotonic_us: at_ms * 1000 };
        redis.server.begin_turn(now, &stats);
    }

    #[test]
    fn the_longest_turn_is_kept_until_the_counters_are_reset() {
        let mut redis = TestServer::new();
        for (turns, last_turn_us) in [(1, 0), (2, 700), (3, 20)] {
            turn(&mut redis, 1000, LoopStats { turns, last_turn_us, ..LoopStats::default() });
        }
        let state = &mut redis.server.state;
        assert_eq!((state.turns.longest_turn_us, state.turns.total_us), (700, 720));
        assert_eq!(state.loop_counts().turns, 3);
        state.reset_stats();
        assert_eq!((state.turns.longest_turn_us, state.turns.total_us), (0, 0));
        assert_eq!(state.loop_counts().turns, 0);
    }

    #[test]
    fn info_tells_what_the_longest_turn_was_busy_with() {
        let mut redis = TestServer::new();
        turn(&mut redis, 1000, LoopStats::default());
        let id = redis.server.state.registry.find(b"keys").unwrap();
        redis.server.state.note_timed(id, 5_300_000);
        redis.server.state.stats.commands_processed += 3;
        let stats =
            LoopStats { last_turn_us: 6000, reads: 2, bytes_read: 90, ..LoopStats::default() };
        turn(&mut redis, 1010, stats);
        turn(&mut redis, 1020, LoopStats { last_turn_us: 1500, ..stats });
        let info = redis.run("INFO stats").0;
        let expected = "longest_turn_us:6000 longest_turn:accepted=0,reads=2,bytes_read=90,commands=3,slowest=keys,slowest_us=5300,\
                        expired=0,expire_us=0,writes=0,bytes_written=0 turns_over_1ms:2 turns_over_5ms:1 turns_over_20ms:0";
        assert!(info.contains(expected), "{info}");
    }

    #[test]
    fn rates_are_means_of_tenths_of_a_second() {
        let mut redis = TestServer::new();
        turn(&mut redis, 2000, LoopStats::default());
        for step in 1..=16 {
            redis.server.state.stats.net_in += 50;
            turn(&mut redis, 2000 + step * 100, LoopStats::default());
        }
        assert_eq!(redis.server.state.turns.input_rate.per_second(), 500);
        redis.server.state.stats.reset();
        turn(&mut redis, 3700, LoopStats::default());
        assert_eq!(redis.server.state.turns.input_rate.per_second(), 468, "one sample of zero");
    }
}
