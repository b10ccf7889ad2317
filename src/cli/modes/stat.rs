//! `--stat`: a line of figures from `INFO` every second.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::info::Info;
use crate::cli::failure::Failure;
use crate::cli::options::Settings;
use crate::cli::session::Session;

/// Time between two lines, if `-i` does not say another.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// Lines between two headers.
const LINES_PER_HEADER: u64 = 20;

const HEADER: &str = "      keys     memory  clients  blocked    requests/s  hit rate    requests  connections  longest turn";

/// The counters of the line before.
#[derive(Clone, Copy)]
struct Before {
    at: Instant,
    requests: u64,
    hits: u64,
    misses: u64,
}

/// Writes lines until Ctrl-C.
pub fn run(settings: &Settings, session: &mut Session) -> Result<bool, Failure> {
    let interrupt = session.interrupt().clone();
    let connection = session.connection()?;
    let every = if settings.interval.is_zero() { LINE_EVERY } else { settings.interval };
    let mut before = None;
    let mut lines = 0;
    while !interrupt.is_set() {
        let info = match Info::ask(connection, "default") {
            Err(Failure::Interrupted) => break,
            info => info?,
        };
        let mut text =
            if lines % LINES_PER_HEADER == 0 { format!("{HEADER}\n") } else { String::new() };
        text.push_str(&line(&info, &mut before, Instant::now()));
        let mut out = io::stdout().lock();
        writeln!(out, "{text}").and_then(|()| out.flush()).map_err(Failure::output)?;
        lines += 1;
        interrupt.sleep(every);
    }
    Ok(true)
}

fn line(info: &Info, before: &mut Option<Before>, at: Instant) -> String {
    let now = Before {
        at,
        requests: info.number("total_commands_processed"),
        hits: info.number("keyspace_hits"),
        misses: info.number("keyspace_misses"),
    };
    let (rate, hit_rate) = match *before {
        None => ("-".to_owned(), "-".to_owned()),
        Some(before) => {
            let seconds = at.duration_since(before.at).as_secs_f64().max(0.001);
            let requests = now.requests.saturating_sub(before.requests) as f64 / seconds;
            let hits = now.hits.saturating_sub(before.hits) as f64;
            let lookups = hits + now.misses.saturating_sub(before.misses) as f64;
            let hit_rate = if lookups == 0.0 {
                "-".to_owned()
            } else {
                format!("{:.1}%", 100.0 * hits / lookups)
            };
            (format!("{requests:.0}"), hit_rate)
        }
    };
    *before = Some(now);
    // Only this server has it.
    let longest_turn = info
        .text("longest_turn_us")
        .map_or("-".to_owned(), |us| format!("{} us", us.escape_default()));
    format!(
        "{:>10} {:>10} {:>8} {:>8} {rate:>13} {hit_rate:>9} {:>11} {:>12} {longest_turn:>13}",
        info.keys().map_or("-".to_owned(), |keys| keys.to_string()),
        info.text("used_memory_human").unwrap_or("-").escape_default().to_string(),
        info.number("connected_clients"),
        info.number("blocked_clients"),
        now.requests,
        info.number("total_connections_received"),
    )
}
