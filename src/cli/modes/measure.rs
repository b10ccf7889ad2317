//! `--bigkeys`, `--memkeys`, `--hotkeys`: walks over all keys, asks for a figure of each, and tells the highest.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};

use super::progress_bar;
use super::walk::Walk;
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::format::harmless;
use crate::cli::options::Settings;
use crate::cli::session::Session;
use crate::config::words::quoted;
use crate::resp::Value;

/// How many keys of each type are named.
const NAMED: usize = 5;
/// Types told apart. Modules bring few; only an evil server has more.
const TYPES_MAX: usize = 100;
/// Pages between two sleeps (`-i`).
const PAGES_PER_SLEEP: u64 = 100;

/// What is asked of each key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Its length: bytes, elements, fields, members, entries.
    Elements,
    /// Bytes of memory.
    Memory {
        /// How many elements of a key are measured; `None` leaves it to the server.
        samples: Option<u64>,
    },
    /// The counter of the LFU policies.
    Frequency,
}

impl Measure {
    /// The command that measures a key of that type, without the key. Types of modules have no length.
    fn command(self, key_type: &str) -> Option<&'static [&'static str]> {
        match (self, key_type) {
            (Self::Memory { .. }, _) => Some(&["MEMORY", "USAGE"]),
            (Self::Frequency, _) => Some(&["OBJECT", "FREQ"]),
            (Self::Elements, "string") => Some(&["STRLEN"]),
            (Self::Elements, "list") => Some(&["LLEN"]),
            (Self::Elements, "set") => Some(&["SCARD"]),
            (Self::Elements, "hash") => Some(&["HLEN"]),
            (Self::Elements, "zset") => Some(&["ZCARD"]),
            (Self::Elements, "stream") => Some(&["XLEN"]),
            (Self::Elements, _) => None,
        }
    }

    fn unit(self, key_type: &str) -> &'static str {
        match (self, key_type) {
            (Self::Frequency, _) => "accesses (logarithmic)",
            (Self::Memory { .. }, _) | (Self::Elements, "string") => "bytes",
            (Self::Elements, "list") => "items",
            (Self::Elements, "hash") => "fields",
            (Self::Elements, "stream") => "entries",
            (Self::Elements, _) => "members",
        }
    }
}

/// What was found of one type.
#[derive(Default)]
struct Found {
    keys: u64,
    total: u64,
    /// The highest figures, highest first.
    highest: Vec<(u64, Vec<u8>)>,
}

impl Found {
    fn add(&mut self, figure: u64, key: &[u8]) {
        self.keys += 1;
        self.total = self.total.saturating_add(figure);
        let place = self.highest.partition_point(|(other, _)| *other >= figure);
        // `SCAN` may name a key twice.
        if place < NAMED && !self.highest.iter().any(|(_, other)| other == key) {
            self.highest.insert(place, (figure, key.to_vec()));
            self.highest.truncate(NAMED);
        }
    }
}

/// Walks and reports. Ctrl-C ends the walk, not the report.
pub fn run(settings: &Settings, session: &mut Session, measure: Measure) -> Result<bool, Failure> {
    let interrupt = session.interrupt().clone();
    let connection = session.connection()?;
    let total = match connection.ask(&["DBSIZE"])? {
        Value::Integer(keys) => u64::try_from(keys).unwrap_or(0),
        _ => 0,
    };
    let bar = progress_bar(total, "{bar:40} {percent}% {human_pos} keys, {per_sec}, {eta} left");
    let mut found = BTreeMap::new();
    let mut walk = Walk::new(&settings.keys);
    let mut pages = 0;
    let ended = loop {
        let page = match walk.next(connection) {
            Ok(Some(keys)) => {
                measure_page(connection, measure, &keys, &mut found).map(|()| keys.len())
            }
            Ok(None) => break Ok(()),
            Err(failure) => Err(failure),
        };
        match page {
            Ok(keys) => bar.inc(keys as u64),
            Err(failure) => break Err(failure),
        }
        pages += 1;
        if pages % PAGES_PER_SLEEP == 0 {
            interrupt.sleep(settings.interval);
        }
    };
    bar.finish_and_clear();
    match ended {
        Ok(()) => {}
        Err(Failure::Interrupted) => {
            writeln!(io::stdout(), "Interrupted: not all keys were seen.\n")
                .map_err(Failure::output)?;
        }
        Err(failure) => return Err(failure),
    }
    io::stdout().write_all(report(measure, &found).as_bytes()).map_err(Failure::output)?;
    Ok(true)
}

/// Asks for the types of the keys, then for their figures: two round trips. What is gone in between is left out.
fn measure_page(
    connection: &mut Connection,
    measure: Measure,
    keys: &[Vec<u8>],
    found: &mut BTreeMap<String, Found>,
) -> Result<(), Failure> {
    let types: Vec<Vec<&[u8]>> = keys.iter().map(|key| vec![&b"TYPE"[..], key]).collect();
    let types = connection.ask_all(&types)?;
    let samples = match measure {
        Measure::Memory { samples: Some(samples) } => {
            vec!["SAMPLES".to_owned(), samples.to_string()]
        }
        _ => Vec::new(),
    };
    let mut asked = Vec::new();
    let mut requests: Vec<Vec<&[u8]>> = Vec::new();
    for (key, key_type) in keys.iter().zip(&types) {
        let key_type = harmless(key_type.as_bytes().unwrap_or_default()).into_owned();
        if let Some(command) = measure.command(&key_type).filter(|_| key_type != "none") {
            let words = command.iter().map(|word| word.as_bytes()).chain([key.as_slice()]);
            requests.push(words.chain(samples.iter().map(String::as_bytes)).collect());
            asked.push((key, key_type));
        }
    }
    for ((key, key_type), reply) in asked.into_iter().zip(connection.ask_all(&requests)?) {
        match reply {
            Value::Integer(figure) => {
                let is_new = !found.contains_key(&key_type);
                let key_type =
                    if is_new && found.len() >= TYPES_MAX { "other".to_owned() } else { key_type };
                found.entry(key_type).or_default().add(u64::try_from(figure).unwrap_or(0), key);
            }
            // The policy is not LFU: no key has a counter.
            Value::Error(error) if measure == Measure::Frequency => {
                let error = String::from_utf8_lossy(&error).into_owned();
                return Err(Failure::Refused { command: "OBJECT FREQ", error });
            }
            _ => {}
        }
    }
    Ok(())
}

fn report(measure: Measure, found: &BTreeMap<String, Found>) -> String {
    let keys: u64 = found.values().map(|found| found.keys).sum();
    let mut text = format!("{keys} keys\n");
    if keys > 0 {
        let _ = writeln!(
            text,
            "\n{:<8} {:>12} {:>7} {:>16} {:>12}",
            "type", "keys", "share", "total", "mean"
        );
    }
    for (key_type, Found { keys: of_type, total, .. }) in found {
        let share = 100.0 * *of_type as f64 / keys as f64;
        let mean = *total as f64 / *of_type as f64;
        let unit = measure.unit(key_type);
        let _ = writeln!(
            text,
            "{key_type:<8} {of_type:>12} {share:>6.1}% {total:>16} {mean:>12.1}  {unit}"
        );
    }
    for (key_type, found) in found {
        let _ = writeln!(text, "\nhighest, {key_type}, in {}", measure.unit(key_type));
        for (figure, key) in &found.highest {
            let _ = writeln!(text, "{figure:>12}  {}", quoted(key));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_are_named_once_and_in_order() {
        let mut found = Found::default();
        for (figure, key) in [(3, "c"), (9, "a"), (1, "x"), (9, "a"), (5, "b"), (4, "d"), (2, "e")]
        {
            found.add(figure, key.as_bytes());
        }
        let names: Vec<_> =
            found.highest.iter().map(|(_, key)| std::str::from_utf8(key).unwrap()).collect();
        assert_eq!(names, ["a", "b", "d", "c", "e"]);
        assert_eq!((found.keys, found.total), (7, 33));
    }

    #[test]
    fn an_empty_database_has_a_report() {
        assert_eq!(report(Measure::Elements, &BTreeMap::new()), "0 keys\n");
    }
}
