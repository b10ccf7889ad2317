//! The options: one row each, read by flags, file, `CONFIG` and `--help` alike.

use super::{Options, READ_FROM, ReadFrom, parse_nodes, words};
use crate::config::directive::{Kind, Unit, ValueError};
use crate::config::value::{Choices, LOG_LEVELS, Setting, Value};

/// One option.
pub struct Row {
    /// Name in files and in `CONFIG`; with `--` in front, the flag.
    pub name: &'static str,
    /// Syntax of the value.
    pub kind: Kind,
    /// The value when nobody sets one.
    pub default: &'static str,
    /// One line of `--help`.
    pub help: &'static str,
    /// Reads the field.
    pub get: fn(&Options) -> Value,
    /// Fills the field with a checked value.
    pub set: fn(&mut Options, Value),
    /// `CONFIG SET` may change it.
    pub mutable: bool,
}

impl Row {
    /// Reads a value.
    ///
    /// # Errors
    /// It is none of this option.
    pub fn parse(&self, word: &[u8]) -> Result<Value, ValueError> {
        self.kind.parse(&[word.to_vec()], false)
    }

    /// The value as `CONFIG GET` shows it.
    pub fn show(&self, options: &Options) -> Vec<u8> {
        self.kind.show(&(self.get)(options))
    }

    /// What stands for the value in `--help`.
    pub fn value_name(&self) -> &'static str {
        match self.kind {
            Kind::Flag => "yes|no",
            Kind::Number { .. } => "N",
            _ => "VALUE",
        }
    }

    const fn fixed(mut self) -> Self {
        self.mutable = false;
        self
    }
}

/// Finds an option by its name, in any case.
pub fn lookup(name: &[u8]) -> Option<&'static Row> {
    OPTIONS.iter().find(|row| row.name.as_bytes().eq_ignore_ascii_case(name))
}

/// A row over the field of an option.
macro_rules! row {
    ($name:literal, $field:ident, $kind:expr, $default:literal, $help:literal) => {
        Row {
            name: $name,
            kind: $kind,
            default: $default,
            help: $help,
            get: |options| options.$field.to_value(),
            set: |options, value| options.$field = Setting::from_value(value),
            mutable: true,
        }
    };
}

const fn number(min: i128, max: i128) -> Kind {
    Kind::Number { min, max, unit: Unit::Plain }
}

const READ_FROM_WORDS: Choices = &[
    (READ_FROM[0].0, ReadFrom::Master as u32),
    (READ_FROM[1].0, ReadFrom::Replica as u32),
    (READ_FROM[2].0, ReadFrom::Nearest as u32),
];
const HOUR_MS: i128 = 3_600_000;
const INT_MAX: i128 = i32::MAX as i128;
const MEMORY: Kind = Kind::Number { min: 1 << 20, max: i64::MAX as i128, unit: Unit::Memory };
const TEXT: Kind = Kind::Text(|_| Ok(()));

/// The row of a list of words.
macro_rules! list {
    ($name:literal, $field:ident, $separator:literal, $check:expr, $read:expr, $default:literal, $help:literal) => {
        Row {
            get: |options| {
                let words: Vec<String> = options.$field.iter().map(ToString::to_string).collect();
                Value::Text(words.join($separator).into_bytes())
            },
            set: |options, value| options.$field = $read(&String::from_value(value)),
            ..row!($name, logfile, Kind::Text($check), $default, $help)
        }
    };
}

#[rustfmt::skip] // A row is a line.
/// All options, in the order `--help` and `CONFIG GET *` show them.
pub const OPTIONS: &[Row] = &[
    list!("nodes", nodes, ",", |text| parse_nodes(text).map(drop), |text: &str| parse_nodes(text).expect("the check has read it"), "", "the nodes, as host:port,host:port,...: plain servers, or some nodes of a cluster"),
    row!("port", port, number(1, 65535), "7000", "TCP port to listen on").fixed(),
    list!("bind", bind, " ", |_| Ok(()), |text: &str| words(text).map(str::to_owned).collect(), "127.0.0.1 -::1", "addresses to listen on").fixed(),
    row!("requirepass", requirepass, Kind::Bytes, "", "password that clients must give"),
    row!("auth", auth, Kind::Bytes, "", "password for the nodes"),
    row!("auth-user", auth_user, Kind::Bytes, "", "user for the nodes, if not the default one"),
    row!("connections", connections, number(1, 64), "1", "connections to each node that clients share").fixed(),
    row!("timeout", timeout_ms, number(1, HOUR_MS), "5000", "milliseconds until a request without reply has failed"),
    row!("connect-timeout", connect_timeout_ms, number(1, HOUR_MS), "1000", "milliseconds until a connection to a node has failed"),
    row!("refresh-interval", refresh_interval_ms, number(100, HOUR_MS), "10000", "milliseconds between questions for the slots of a cluster"),
    row!("cross-slot", cross_slot, Kind::Flag, "yes", "split MGET, MSET, DEL, UNLINK, EXISTS and TOUCH over slots; no: answer CROSSSLOT"),
    row!("read-from", read_from, Kind::Choice(READ_FROM_WORDS), "master", "where reads go in front of a cluster: master, replica or nearest"),
    row!("maxclients", maxclients, number(1, INT_MAX), "10000", "most clients at a time"),
    row!("databases", databases, number(1, INT_MAX), "16", "databases that SELECT knows in front of plain servers").fixed(),
    row!("output-limit", output_bytes_max, MEMORY, "1073741824", "bytes that a client may leave unread"),
    row!("tcp-backlog", tcp_backlog, number(1, INT_MAX), "511", "length of the kernel's accept queue").fixed(),
    row!("tcp-keepalive", tcp_keepalive, number(0, INT_MAX), "300", "seconds between keepalive probes, 0 for none").fixed(),
    row!("proto-max-bulk-len", proto_max_bulk_len, MEMORY, "536870912", "longest argument of a command"),
    row!("loglevel", loglevel, Kind::Choice(LOG_LEVELS), "notice", "least important messages to log: debug, verbose, notice, warning, nothing"),
    row!("logfile", logfile, TEXT, "", "log file, \"\" for the standard output").fixed(),
    row!("pidfile", pidfile, TEXT, "", "file for the process id").fixed(),
    row!("slowlog-log-slower-than", slowlog_log_slower_than, number(-1, i64::MAX as i128), "10000", "microseconds until the reply from which on a command is in the slow log, -1 for none"),
    row!("slowlog-max-len", slowlog_max_len, number(0, i64::MAX as i128), "128", "entries of the slow log"),
    row!("latency-tracking", latency_tracking, Kind::Flag, "yes", "keep a histogram for each command"),
];
