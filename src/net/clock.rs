//! The clocks of the process. The only place that reads them.

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::clock::Now;

/// How long the wall clock is taken to run along with the monotonic one before it is read again: the longest time for
/// which nobody notices that somebody has set it.
const WALL_CLOCK_READ_EVERY_US: u64 = 10_000;

/// Reads both clocks.
pub fn clock_now() -> Now {
    LoopClock::default().now()
}

/// Nanoseconds since some fixed point.
pub fn monotonic_ns() -> u64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Monotonic);
    tv_sec as u64 * 1_000_000_000 + tv_nsec as u64
}

/// Microseconds since the same point.
#[inline]
pub(super) fn monotonic_us() -> u64 {
    micros(ClockId::Monotonic)
}

/// Zero for a clock that stands before its own beginning.
#[inline]
fn micros(clock: ClockId) -> u64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
    u64::try_from(tv_sec).map_or(0, |seconds| seconds * 1_000_000 + tv_nsec as u64 / 1000)
}

/// The time as a loop needs it, many thousand times a second: mostly one clock is read for both.
#[derive(Default)]
pub(super) struct LoopClock {
    /// Both clocks when the wall clock was last read.
    read: Option<Now>,
}

impl LoopClock {
    /// The time of both clocks.
    pub(super) fn now(&mut self) -> Now {
        let monotonic_us = monotonic_us();
        let since = self.read.map(|read| (read, monotonic_us.saturating_sub(read.monotonic_us)));
        if let Some((read, since_us)) = since
            && since_us < WALL_CLOCK_READ_EVERY_US
        {
            return Now { unix_us: read.unix_us + since_us, monotonic_us };
        }
        let now = Now { unix_us: micros(ClockId::Realtime), monotonic_us };
        self.read = Some(now);
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_runs_along_and_is_read_again() {
        let mut clock = LoopClock::default();
        let first = clock.now();
        let hour_us = 3_600_000_000;
        // As if the wall clock had been an hour ahead when it was read.
        clock.read = Some(Now { unix_us: first.unix_us + hour_us, ..first });
        let deadline_us = first.monotonic_us + WALL_CLOCK_READ_EVERY_US;
        loop {
            let now = clock.now();
            if now.monotonic_us >= deadline_us {
                assert!(now.unix_us < first.unix_us + hour_us, "the time since was noticed");
                return;
            }
            let since_us = now.monotonic_us - first.monotonic_us;
            assert_eq!(now.unix_us, first.unix_us + hour_us + since_us);
        }
    }
}
