//! `--latency` and `--latency-history`: the time of a round trip, from one `PING` every hundredth of a second.

use std::fmt;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::cli::failure::Failure;
use crate::cli::format::Format;
use crate::cli::options::Settings;
use crate::cli::session::Session;

/// Time between two samples.
const SAMPLE_EVERY: Duration = Duration::from_millis(10);
/// Time of a line of `--latency-history`.
const LINE_EVERY: Duration = Duration::from_secs(15);
/// How long is measured where no terminal shows it live.
const UNSEEN: Duration = Duration::from_secs(1);

/// Round trips measured so far.
#[derive(Default)]
struct Samples {
    count: u32,
    total: Duration,
    min: Duration,
    max: Duration,
}

impl Samples {
    fn add(&mut self, time: Duration) {
        self.min = if self.count == 0 { time } else { self.min.min(time) };
        self.max = self.max.max(time);
        self.total += time;
        self.count = self.count.saturating_add(1);
    }

    /// Minimum, maximum and mean in milliseconds.
    fn figures(&self) -> [f64; 3] {
        let mean = self.total.checked_div(self.count).unwrap_or_default();
        [self.min, self.max, mean].map(|time| time.as_secs_f64() * 1000.0)
    }

    fn line(&self, format: Format) -> String {
        let ([min, max, avg], count) = (self.figures(), self.count);
        match format {
            Format::Typed { .. } => self.to_string(),
            Format::Raw(_) => format!("{min:.3} {max:.3} {avg:.3} {count}"),
            Format::Csv => format!("{min:.3},{max:.3},{avg:.3},{count}"),
            Format::Json { .. } => {
                format!("{{\"min\":{min:.3},\"max\":{max:.3},\"avg\":{avg:.3},\"count\":{count}}}")
            }
        }
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [min, max, avg] = self.figures();
        write!(f, "min: {min:.3}, max: {max:.3}, avg: {avg:.3} ms ({} samples)", self.count)
    }
}

/// Measures until Ctrl-C; where there is no terminal, for a second or as long as `-i` says.
pub fn run(settings: &Settings, session: &mut Session, history: bool) -> Result<bool, Failure> {
    let interrupt = session.interrupt().clone();
    let connection = session.connection()?;
    let live = settings.format.is_for_people();
    let given = Some(settings.interval).filter(|interval| !interval.is_zero());
    let end_of_line = match (history, live) {
        (true, _) => Some(given.unwrap_or(LINE_EVERY)),
        (false, true) => None,
        (false, false) => Some(given.unwrap_or(UNSEEN)),
    };
    let mut out = io::stdout();
    let (mut samples, mut start) = (Samples::default(), Instant::now());
    while !interrupt.is_set() {
        let sent = Instant::now();
        match connection.demand("PING", &["PING"]) {
            Err(Failure::Interrupted) => break,
            reply => reply?,
        };
        samples.add(sent.elapsed());
        if live {
            write!(out, "\r\x1b[2K{samples}")
                .and_then(|()| out.flush())
                .map_err(Failure::output)?;
        }
        if end_of_line.is_some_and(|time| start.elapsed() >= time) {
            finish_line(&mut out, settings.format, &samples, start.elapsed())?;
            if !history {
                return Ok(true);
            }
            (samples, start) = (Samples::default(), Instant::now());
        }
        interrupt.sleep(SAMPLE_EVERY);
    }
    finish_line(&mut out, settings.format, &samples, start.elapsed())?;
    Ok(true)
}

fn finish_line(
    out: &mut io::Stdout,
    format: Format,
    samples: &Samples,
    time: Duration,
) -> Result<(), Failure> {
    let written = if format.is_for_people() {
        writeln!(out, " -- {:.2} seconds", time.as_secs_f64())
    } else {
        writeln!(out, "{}", samples.line(format))
    };
    written.and_then(|()| out.flush()).map_err(Failure::output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::format::Delimiters;

    #[test]
    fn figures_are_in_milliseconds() {
        let mut samples = Samples::default();
        assert_eq!(samples.line(Format::Raw(Delimiters::default())), "0.000 0.000 0.000 0");
        samples.add(Duration::from_micros(1500));
        samples.add(Duration::from_micros(500));
        assert_eq!(samples.line(Format::Csv), "0.500,1.500,1.000,2");
        assert_eq!(
            samples.line(Format::Json { ascii: false }),
            r#"{"min":0.500,"max":1.500,"avg":1.000,"count":2}"#
        );
        assert_eq!(samples.to_string(), "min: 0.500, max: 1.500, avg: 1.000 ms (2 samples)");
    }
}
