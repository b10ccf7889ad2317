//! Points in time, as the core sees them: it is told, it never asks.

/// The time of one loop turn. Read once per turn, because a time syscall per command would cost more than the command.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// Wall clock: microseconds since 1970. What TTLs and log lines use. May jump.
    pub unix_us: u64,
    /// Microseconds since some fixed point. What durations and timeouts use. Never goes back.
    pub monotonic_us: u64,
}

impl Now {
    /// Wall clock in milliseconds, the unit of every TTL.
    pub fn unix_ms(self) -> i64 {
        (self.unix_us / 1000) as i64
    }
}
