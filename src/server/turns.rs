//! What the loop's turns were like: the longest one, all of them together, and how much happens per second of late.

use super::State;
use crate::net::LoopStats;

/// Time between two samples of a rate.
const SAMPLE_EVERY_US: u64 = 100_000;
/// A rate is the mean of that many samples: smooth enough to read, and forgotten after 1.6 seconds.
const SAMPLES: usize = 16;

/// Figures about turns, since the start or the last `CONFIG RESETSTAT`.
#[derive(Default)]
pub struct Turns {
    /// The longest turn, without the wait for events, in microseconds: no client was held up by others for longer.
    pub longest_turn_us: u64,
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
    pub(super) fn note_turn(&mut self, loop_stats: &LoopStats) {
        self.loop_stats = *loop_stats;
        let turns = &mut self.turns;
        turns.longest_turn_us = turns.longest_turn_us.max(loop_stats.last_turn_us);
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
