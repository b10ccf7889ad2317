//! What the proxy can be told: flags, lines of a file and `CONFIG` of one table.
//!
//! ```text
//! table   one row per option: name, kind, default, help
//! start   flags and file -> Options, or a text for the user
//! ```
//! Names are those of the server's directives where they mean the same.

pub mod start;
mod table;

use std::collections::HashSet;

use super::address::Address;
use crate::config::SetError;
use crate::config::directive::ValueError;
use crate::config::value::{Setting, Value};
use crate::glob;
use crate::log::Level;
pub use table::{OPTIONS, Row, lookup};

/// Where reads go in front of a cluster.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum ReadFrom {
    /// To the master, which has seen every write.
    #[default]
    Master,
    /// To a replica of it if there is one that can be reached.
    Replica,
    /// To whoever of them answers fastest.
    Nearest,
}

const READ_FROM: &[(&str, ReadFrom)] =
    &[("master", ReadFrom::Master), ("replica", ReadFrom::Replica), ("nearest", ReadFrom::Nearest)];

/// All that can be set. A row of [`OPTIONS`] for each field; `Options::default()` is what they say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// The nodes, as listed.
    pub nodes: Vec<Address>,
    /// Password for the nodes, empty for none.
    pub auth: Vec<u8>,
    /// User for the nodes, empty for the default one.
    pub auth_user: Vec<u8>,
    /// Connections to each node that all clients share.
    pub connections: u32,
    /// Milliseconds until a request without reply has failed.
    pub timeout_ms: u32,
    /// Milliseconds until a connection to a node has failed.
    pub connect_timeout_ms: u32,
    /// Milliseconds between two questions for the topology.
    pub refresh_interval_ms: u32,
    /// Whether a command with many keys may be split.
    pub cross_slot: bool,
    /// Where reads go.
    pub read_from: ReadFrom,
    /// Addresses to listen on.
    pub bind: Vec<String>,
    /// Port to listen on.
    pub port: u16,
    /// Length of the kernel's accept queue.
    pub tcp_backlog: u32,
    /// Seconds between keepalive probes, 0 for none.
    pub tcp_keepalive: u32,
    /// Most clients at a time.
    pub maxclients: u32,
    /// Databases that `SELECT` knows, where the nodes are no cluster.
    pub databases: u32,
    /// Unread bytes of a client at which its connection is closed.
    pub output_bytes_max: u64,
    /// Password of clients, empty for none.
    pub requirepass: Vec<u8>,
    /// Longest argument of a command.
    pub proto_max_bulk_len: u64,
    /// Least important messages to log.
    pub loglevel: Level,
    /// Log file, empty for the standard output.
    pub logfile: String,
    /// File for the process id, empty for none.
    pub pidfile: String,
    /// Microseconds from which on a command is in the slow log; negative: none is.
    pub slowlog_log_slower_than: i64,
    /// Entries of the slow log.
    pub slowlog_max_len: u64,
    /// Whether a histogram is kept for each command.
    pub latency_tracking: bool,
}

impl Default for Options {
    fn default() -> Self {
        let mut options = Self::empty();
        for row in OPTIONS.iter().filter(|row| !row.default.is_empty()) {
            let value =
                row.parse(row.default.as_bytes()).expect("a row's default is a value of its kind");
            (row.set)(&mut options, value);
        }
        options
    }
}

impl Options {
    /// Only until the defaults of the table are in.
    fn empty() -> Self {
        Self {
            nodes: Vec::new(),
            auth: Vec::new(),
            auth_user: Vec::new(),
            connections: 0,
            timeout_ms: 0,
            connect_timeout_ms: 0,
            refresh_interval_ms: 0,
            cross_slot: false,
            read_from: ReadFrom::Master,
            bind: Vec::new(),
            port: 0,
            tcp_backlog: 0,
            tcp_keepalive: 0,
            maxclients: 0,
            databases: 0,
            output_bytes_max: 0,
            requirepass: Vec::new(),
            proto_max_bulk_len: 0,
            loglevel: Level::Notice,
            logfile: String::new(),
            pidfile: String::new(),
            slowlog_log_slower_than: 0,
            slowlog_max_len: 0,
            latency_tracking: false,
        }
    }

    /// `CONFIG GET`: names and values that match any of the patterns, each once. O(patterns x options).
    pub fn get(&self, patterns: &[&[u8]]) -> Vec<(&'static str, Vec<u8>)> {
        let matches = |row: &&Row| {
            let lower = |pattern: &[u8]| pattern.to_ascii_lowercase();
            patterns.iter().any(|pattern| glob::matches(&lower(pattern), row.name.as_bytes()))
        };
        OPTIONS.iter().filter(matches).map(|row| (row.name, row.show(self))).collect()
    }

    /// `CONFIG SET`: changes all of `pairs` or nothing; the result is the options that have another value now.
    ///
    /// # Errors
    /// An option is unknown, fixed, named twice, or its value is refused.
    pub fn set_many(&mut self, pairs: &[(&[u8], &[u8])]) -> Result<Vec<&'static str>, SetError> {
        let mut changed = self.clone();
        let mut named: Vec<&str> = Vec::new();
        for &(name, value) in pairs {
            let row = lookup(name).ok_or_else(|| SetError::Unknown { name: name.to_vec() })?;
            let failed = |reason: String| SetError::Failed { name: row.name.to_owned(), reason };
            if !row.mutable {
                return Err(failed("can't set immutable config".to_owned()));
            }
            if named.contains(&row.name) {
                return Err(failed("duplicate parameter".to_owned()));
            }
            named.push(row.name);
            let value = row.parse(value).map_err(|error: ValueError| failed(error.to_string()))?;
            (row.set)(&mut changed, value);
        }
        let before = std::mem::replace(self, changed);
        let differs = |row: &&Row| (row.get)(&before) != (row.get)(self);
        Ok(OPTIONS.iter().filter(differs).map(|row| row.name).collect())
    }
}

/// Reads `host:port,host:port`; spaces separate, too. The error is a sentence.
fn parse_nodes(text: &str) -> Result<Vec<Address>, &'static str> {
    let nodes: Option<Vec<Address>> = words(text).map(Address::parse).collect();
    let nodes = nodes.ok_or("argument must be a list of host:port,host:port,...")?;
    let distinct: HashSet<&Address> = nodes.iter().collect();
    match nodes.len() {
        0 => Err("argument must not be empty"),
        count if count != distinct.len() => Err("argument must not name a node twice"),
        _ => Ok(nodes),
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ']).filter(|word| !word.is_empty())
}

impl Setting for ReadFrom {
    fn to_value(&self) -> Value {
        Value::Choice(*self as u32)
    }
    fn from_value(value: Value) -> Self {
        let Value::Choice(number) = value else { unreachable!("the row is a choice") };
        READ_FROM[number as usize].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_table() {
        let options = Options::default();
        assert_eq!((options.port, options.timeout_ms, options.cross_slot), (7000, 5_000, true));
        assert_eq!(options.bind, ["127.0.0.1", "-::1"]);
        for row in OPTIONS {
            assert_eq!(row.show(&options), row.default.as_bytes(), "{}", row.name);
        }
    }

    #[test]
    fn set_is_all_or_nothing() {
        let mut options = Options::default();
        let pairs: &[(&[u8], &[u8])] =
            &[(b"TIMEOUT", b"5"), (b"cross-slot", b"no"), (b"maxclients", b"10000")];
        assert_eq!(options.set_many(pairs), Ok(vec!["timeout", "cross-slot"]));
        let before = options.clone();
        type Pairs<'a> = &'a [(&'a [u8], &'a [u8])];
        let cases: &[(Pairs<'_>, &str)] = &[
            (
                &[(b"timeout", b"6"), (b"nosuch", b"1")],
                "ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'",
            ),
            (&[(b"timeout", b"6"), (b"timeout", b"7")], "duplicate parameter"),
            (&[(b"timeout", b"6"), (b"port", b"7")], "can't set immutable config"),
            (&[(b"timeout", b"x")], "argument couldn't be parsed into an integer"),
            (&[(b"timeout", b"0")], "argument must be between 1 and 3600000 inclusive"),
            (&[(b"nodes", b"a:1,b")], "argument must be a list of host:port,host:port,..."),
            (&[(b"nodes", b"a:1,a:1")], "argument must not name a node twice"),
            (&[(b"nodes", b"")], "argument must not be empty"),
            (
                &[(b"read-from", b"x")],
                "argument(s) must be one of the following: master, replica, nearest",
            ),
        ];
        for (pairs, text) in cases {
            let error = options.set_many(pairs).unwrap_err().to_string();
            assert!(error.ends_with(text), "{error}");
            assert_eq!(options, before);
        }
    }

    #[test]
    fn get_shows_what_matches() {
        let mut options = Options::default();
        options.set_many(&[(b"nodes", b"a:1, [::1]:2"), (b"read-from", b"nearest")]).unwrap();
        let found = options.get(&[b"NODES", b"node?", b"*-from"]);
        assert_eq!(found, [("nodes", b"a:1,[::1]:2".to_vec()), ("read-from", b"nearest".to_vec())]);
        assert_eq!(options.get(&[b"*"]).len(), OPTIONS.len());
    }
}
