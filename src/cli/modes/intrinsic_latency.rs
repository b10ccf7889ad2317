//! `--intrinsic-latency`: for how long this machine keeps a busy process waiting. No server can answer faster than that where it
//! runs beside this; so it is to be run on the server's machine.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::cli::failure::Failure;
use crate::cli::interrupt::Interrupt;

/// Looks at the clock all the time, until `time` is over or Ctrl-C. Tells each pause that is longer than those before.
pub fn run(interrupt: &Interrupt, time: Duration) -> Result<bool, Failure> {
    let start = Instant::now();
    let (mut last, mut longest, mut looks) = (start, Duration::ZERO, 0_u64);
    while !interrupt.is_set() && last.duration_since(start) < time {
        let now = Instant::now();
        let pause = now.duration_since(last);
        looks += 1;
        last = now;
        if pause > longest {
            longest = pause;
            let us = pause.as_secs_f64() * 1e6;
            writeln!(io::stdout(), "Longest pause so far: {us:.1} microseconds.")
                .map_err(Failure::output)?;
            last = Instant::now(); // writing is no pause
        }
    }
    let mean = last.duration_since(start).as_secs_f64() / looks.max(1) as f64;
    writeln!(
        io::stdout(),
        "\n{looks} looks at the clock, {:.4} microseconds each; the longest took {:.0} times as long.",
        mean * 1e6,
        longest.as_secs_f64() / mean.max(1e-12)
    )
    .map_err(Failure::output)?;
    Ok(true)
}
