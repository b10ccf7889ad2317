//! Log lines in Redis's form: `pid:role dd Mon yyyy hh:mm:ss.mmm level message`.
//!
//! The core logs through the trait [`Log`] and knows neither clock nor file; [`Logger`] writes real lines, [`Memory`] keeps
//! them for tests. Which messages are worth a line is the caller's business.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::clock::Now;

/// How much a message matters; as `loglevel`, the least that is written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Level {
    /// For developers.
    Debug,
    /// Rarely useful, but not a mess.
    Verbose,
    /// What an operator wants to know in production.
    #[default]
    Notice,
    /// What an operator must know.
    Warning,
    /// As `loglevel` only: no message at all.
    Nothing,
}

impl Level {
    fn mark(self) -> char {
        match self {
            Level::Debug => '.',
            Level::Verbose => '-',
            Level::Notice => '*',
            Level::Warning | Level::Nothing => '#',
        }
    }
}

/// Who logs: one letter of every line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// `M`
    Master,
    /// `S`
    Slave,
    /// `P`
    Proxy,
    /// `C`: before the server runs.
    Startup,
}

impl Role {
    fn letter(self) -> char {
        match self {
            Role::Master => 'M',
            Role::Slave => 'S',
            Role::Proxy => 'P',
            Role::Startup => 'C',
        }
    }
}

/// Takes log messages.
pub trait Log {
    /// Logs one message. It need not be clean: control bytes are escaped, and what is too long is cut.
    fn log(&mut self, level: Level, message: fmt::Arguments<'_>);
}

/// Longest message in bytes, as in Redis.
pub const MESSAGE_BYTES_MAX: usize = 1024;

/// Writes lines to a file, or to the standard output.
#[derive(Clone)]
pub struct Logger {
    /// Messages below this level are dropped.
    pub level: Level,
    /// Letter of the lines.
    pub role: Role,
    /// Opened anew for every line, so that a rotated file needs no signal. `None`: standard output.
    pub file: Option<PathBuf>,
    pid: u32,
}

impl Logger {
    /// A logger of this process, still starting up.
    pub fn new(level: Level, file: Option<PathBuf>) -> Self {
        Self { level, role: Role::Startup, file, pid: std::process::id() }
    }

    fn write(&self, line: &str) -> io::Result<()> {
        match &self.file {
            Some(path) => {
                OpenOptions::new().append(true).create(true).open(path)?.write_all(line.as_bytes())
            }
            None => io::stdout().lock().write_all(line.as_bytes()),
        }
    }
}

impl Log for Logger {
    fn log(&mut self, level: Level, message: fmt::Arguments<'_>) {
        if level < self.level {
            return;
        }
        let time = jiff::Zoned::now();
        let line = format_line(self.pid, self.role, &time, level, message);
        // A log that cannot be written must not stop the server, and there is nobody left to tell.
        let _ = self.write(&line);
    }
}

fn format_line(
    pid: u32,
    role: Role,
    time: &jiff::Zoned,
    level: Level,
    message: fmt::Arguments<'_>,
) -> String {
    let time = time.strftime("%d %b %Y %H:%M:%S.%3f");
    format!("{pid}:{} {time} {} {}\n", role.letter(), level.mark(), clean(message))
}

/// Keeps messages, for tests.
#[derive(Default, Debug)]
pub struct Memory {
    /// Messages in order, cleaned as the real logger cleans them.
    pub lines: Vec<(Level, String)>,
}

impl Log for Memory {
    fn log(&mut self, level: Level, message: fmt::Arguments<'_>) {
        self.lines.push((level, clean(message)));
    }
}

/// The message with control characters as `\xHH`, `\n`, `\r` or `\t`, cut at [`MESSAGE_BYTES_MAX`].
///
/// Keys, names and error texts of peers end up in messages: none of them may forge a line or drive a terminal.
/// Costs no more than the limit, however long the message is.
pub fn clean(message: fmt::Arguments<'_>) -> String {
    let mut clean = Clean { out: String::new() };
    // The only error is our own: the message is full.
    let _ = fmt::write(&mut clean, message);
    clean.out
}

struct Clean {
    out: String,
}

impl fmt::Write for Clean {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            let start = self.out.len();
            match c {
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                _ if c.is_control() => self.out.push_str(&format!("\\x{:02x}", u32::from(c))),
                // Line and paragraph separators, and marks that reverse the order of what follows.
                '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    self.out.extend(c.escape_unicode())
                }
                _ => self.out.push(c),
            }
            if self.out.len() > MESSAGE_BYTES_MAX {
                self.out.truncate(start);
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
}

/// Lets one message per cause and interval through, so that a flood of the same trouble stays one line.
#[derive(Debug)]
pub struct RateLimit {
    interval_us: u64,
    causes: BTreeMap<&'static str, Window>,
}

#[derive(Debug)]
struct Window {
    opened_us: u64,
    suppressed: u64,
}

impl RateLimit {
    /// One message per cause in so many seconds.
    pub fn every_seconds(seconds: u64) -> Self {
        Self { interval_us: seconds.saturating_mul(1_000_000), causes: BTreeMap::new() }
    }

    /// `Some(n)`: log now, and say that `n` messages of this cause were left out since the last one. `None`: stay silent.
    pub fn allow(&mut self, cause: &'static str, now: Now) -> Option<u64> {
        let fresh = Window { opened_us: now.monotonic_us, suppressed: 0 };
        let Some(window) = self.causes.get_mut(cause) else {
            self.causes.insert(cause, fresh);
            return Some(0);
        };
        if now.monotonic_us.saturating_sub(window.opened_us) < self.interval_us {
            window.suppressed += 1;
            return None;
        }
        Some(std::mem::replace(window, fresh).suppressed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_looks_like_one_of_redis() {
        let time: jiff::Zoned = "2024-02-03T04:05:06.007[UTC]".parse().unwrap();
        let line = |role, level| format_line(12, role, &time, level, format_args!("Ready {}", 1));
        assert_eq!(line(Role::Master, Level::Notice), "12:M 03 Feb 2024 04:05:06.007 * Ready 1\n");
        assert_eq!(line(Role::Slave, Level::Warning), "12:S 03 Feb 2024 04:05:06.007 # Ready 1\n");
        assert_eq!(line(Role::Startup, Level::Debug), "12:C 03 Feb 2024 04:05:06.007 . Ready 1\n");
        assert_eq!(
            line(Role::Startup, Level::Verbose),
            "12:C 03 Feb 2024 04:05:06.007 - Ready 1\n"
        );
    }

    #[test]
    fn user_data_cannot_forge_a_line_or_drive_a_terminal() {
        let mut log = Memory::default();
        log.log(Level::Notice, format_args!("key {}", "a\r\n1:M x\x1b[2J\t\u{9b}\u{202e}é"));
        assert_eq!(log.lines[0].1, r"key a\r\n1:M x\x1b[2J\t\x9b\u{202e}é");
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let long = "é".repeat(1 << 20);
        let cut = clean(format_args!("x{long}"));
        assert_eq!(cut.len(), 1023);
        assert!(cut.ends_with('é'));
        assert_eq!(clean(format_args!("{}", "\x1b".repeat(1000))).len(), 1024);
    }

    #[test]
    fn loglevel_drops_what_is_below_it() {
        let path = std::env::temp_dir().join(format!("mini-redis-log-test-{}", std::process::id()));
        let mut logger = Logger::new(Level::Warning, Some(path.clone()));
        logger.log(Level::Notice, format_args!("dropped"));
        logger.log(Level::Warning, format_args!("kept"));
        logger.level = Level::Nothing;
        logger.log(Level::Warning, format_args!("dropped too"));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(text.ends_with(" # kept\n") && text.lines().count() == 1, "{text}");
    }

    #[test]
    fn one_message_per_cause_and_interval() {
        let mut limit = RateLimit::every_seconds(10);
        let at = |seconds: u64| Now { monotonic_us: seconds * 1_000_000, ..Now::default() };
        assert_eq!(limit.allow("accept", at(0)), Some(0));
        assert_eq!(limit.allow("accept", at(1)), None);
        assert_eq!(limit.allow("maxclients", at(1)), Some(0));
        assert_eq!(limit.allow("accept", at(9)), None);
        assert_eq!(limit.allow("accept", at(10)), Some(2));
        assert_eq!(limit.allow("accept", at(11)), None);
    }
}
