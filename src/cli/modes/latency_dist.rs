//! `--latency-dist`: how the times of round trips are distributed. A row per interval, a column per span of time; at a terminal with
//! bars, and the newest row live.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use crate::cli::failure::Failure;
use crate::cli::format::Format;
use crate::cli::options::Settings;
use crate::cli::session::Session;

/// Time between two samples: enough of them for one in a thousand, and no load to speak of.
const SAMPLE_EVERY: Duration = Duration::from_millis(1);
/// Time of a row, if `-i` does not say another.
const ROW_EVERY: Duration = Duration::from_secs(1);
/// Time between two looks at the row that is still growing.
const DRAW_EVERY: Duration = Duration::from_millis(100);
/// Rows between two headers.
const ROWS_PER_HEADER: u64 = 20;

/// Columns: what took less than so many microseconds, and its name. The last has what took longer.
const SPANS: [(u128, &str); 12] = [
    (50, "<50us"),
    (100, "<100us"),
    (200, "<200us"),
    (500, "<500us"),
    (1_000, "<1ms"),
    (2_000, "<2ms"),
    (5_000, "<5ms"),
    (10_000, "<10ms"),
    (20_000, "<20ms"),
    (50_000, "<50ms"),
    (100_000, "<100ms"),
    (u128::MAX, "more"),
];
/// From these columns on a bar is yellow, and red.
const SLOW: (usize, usize) = (5, 8);
/// Bars by eighths.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Round trips of one row.
#[derive(Default)]
struct Row {
    counts: [u64; SPANS.len()],
    longest: Duration,
}

impl Row {
    fn add(&mut self, time: Duration) {
        let column = SPANS.partition_point(|(limit_us, _)| *limit_us <= time.as_micros());
        self.counts[column.min(SPANS.len() - 1)] += 1;
        self.longest = self.longest.max(time);
    }

    fn samples(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// 79 columns: the longest time, then shares in percent.
    fn chart(&self, colours: bool) -> String {
        let samples = self.samples().max(1) as f64;
        let mut text = format!("{:>7}", shown(self.longest));
        for (column, &count) in self.counts.iter().enumerate() {
            let percent = 100.0 * count as f64 / samples;
            // Whatever is there at all has a bar.
            let bar = BARS[if count == 0 { 0 } else { (percent * 0.08).round().max(1.0) as usize }];
            let share = match percent {
                _ if count == 0 => "   .".to_owned(),
                99.95.. => " 100".to_owned(),
                percent => format!("{percent:>4.1}"),
            };
            let colour = match column {
                _ if count == 0 => "2",
                column if column >= SLOW.1 => "31",
                column if column >= SLOW.0 => "33",
                _ => "32",
            };
            let _ = if colours {
                write!(text, " \x1b[{colour}m{bar}{share}\x1b[0m")
            } else {
                write!(text, " {bar}{share}")
            };
        }
        text
    }

    /// The row for programs: longest time in microseconds, then counts.
    fn line(&self, format: Format) -> String {
        let longest = self.longest.as_micros();
        let separator = if format == Format::Csv { "," } else { " " };
        let counts = self.counts.map(|count| count.to_string()).join(separator);
        match format {
            Format::Typed { colours } => self.chart(colours),
            Format::Raw(_) | Format::Csv => format!("{longest}{separator}{counts}"),
            Format::Json { .. } => {
                let spans = SPANS.iter().zip(self.counts);
                let spans: Vec<String> =
                    spans.map(|((_, name), count)| format!("\"{name}\":{count}")).collect();
                format!("{{\"longest_us\":{longest},{}}}", spans.join(","))
            }
        }
    }
}

/// The names of the columns; JSON has them in each row.
fn header(format: Format) -> Option<String> {
    let names = SPANS.map(|(_, name)| name);
    match format {
        Format::Typed { .. } => {
            Some(format!("longest{}", names.map(|name| format!("{name:>6}")).concat()))
        }
        Format::Raw(_) => Some(format!("longest_us {}", names.join(" "))),
        Format::Csv => Some(format!("longest_us,{}", names.join(","))),
        Format::Json { .. } => None,
    }
}

/// At most seven columns.
fn shown(time: Duration) -> String {
    match time.as_micros() {
        us @ ..1_000 => format!("{us}us"),
        us @ 1_000..1_000_000 => format!("{:.1}ms", us as f64 / 1e3),
        us => format!("{:.1}s", us as f64 / 1e6),
    }
}

/// Measures until Ctrl-C.
pub fn run(settings: &Settings, session: &mut Session) -> Result<bool, Failure> {
    let interrupt = session.interrupt().clone();
    let connection = session.connection()?;
    let every = if settings.interval.is_zero() { ROW_EVERY } else { settings.interval };
    let live = settings.format.is_for_people();
    let mut rows = 0;
    while !interrupt.is_set() {
        if rows % ROWS_PER_HEADER == 0
            && (live || rows == 0)
            && let Some(header) = header(settings.format)
        {
            print(&format!("{header}\n"))?;
        }
        let (mut row, start, mut drawn) = (Row::default(), Instant::now(), Instant::now());
        while start.elapsed() < every && !interrupt.is_set() {
            let sent = Instant::now();
            match connection.demand("PING", &["PING"]) {
                Err(Failure::Interrupted) => break,
                reply => reply?,
            };
            row.add(sent.elapsed());
            if live && drawn.elapsed() >= DRAW_EVERY {
                print(&format!("\r{}", row.line(settings.format)))?;
                drawn = Instant::now();
            }
            interrupt.sleep(SAMPLE_EVERY);
        }
        let begin = if live { "\r" } else { "" };
        print(&format!("{begin}{}\n", row.line(settings.format)))?;
        rows += 1;
    }
    Ok(true)
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::output)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(times_us: &[u64]) -> Row {
        let mut row = Row::default();
        for &us in times_us {
            row.add(Duration::from_micros(us));
        }
        row
    }

    #[test]
    fn a_time_is_counted_in_its_span() {
        let row = row(&[0, 49, 50, 999, 1_000, 100_000, 60_000_000]);
        assert_eq!(row.counts, [2, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 2]);
        assert_eq!(row.line(Format::Csv), "60000000,2,1,0,0,1,1,0,0,0,0,0,2");
        let json = row.line(Format::Json { ascii: false });
        assert!(json.starts_with("{\"longest_us\":60000000,\"<50us\":2,"), "{json}");
    }

    #[test]
    fn a_chart_fits_a_terminal_and_its_header() {
        let header = header(Format::Typed { colours: false }).unwrap();
        assert_eq!(header.len(), 79);
        for times in [&[][..], &[1], &[1, 1, 60], &[999_949], &[60_000_000]] {
            assert_eq!(row(times).chart(false).chars().count(), 79, "{times:?}");
        }
    }

    #[test]
    fn shares_are_bars_and_percent() {
        let chart = row(&[1, 1, 1, 60]).chart(false);
        assert!(chart.starts_with("   60us ▆75.0 ▂25.0     ."), "{chart}");
        assert!(row(&[1]).chart(false).contains(" █ 100"));
        assert!(row(&[60_000]).chart(true).contains("\x1b[31m"));
    }
}
