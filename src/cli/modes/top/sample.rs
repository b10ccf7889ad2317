//! What `top` shows: figures of `INFO`, the slow log and the clients, and what changed since the sample before.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::modes::info::Info;
use crate::config::words::quoted;
use crate::resp::Value;

/// Samples kept for the chart.
const HISTORY_LEN: usize = 300;
/// Entries of the slow log asked for.
const SLOW_COMMANDS: &str = "10";
/// Clients shown.
const CLIENTS_MAX: usize = 50;

/// A command and how it was used since the last sample.
#[derive(PartialEq, Debug)]
pub struct Usage {
    /// `get`, `client|list`.
    pub name: String,
    /// Calls per second.
    pub per_second: f64,
    /// Mean time of a call in microseconds.
    pub us_per_call: f64,
}

/// Counters that only grow.
#[derive(Clone, Default)]
struct Counters {
    at: Option<Instant>,
    requests: u64,
    hits: u64,
    misses: u64,
    commands: BTreeMap<String, (u64, u64)>,
}

/// All that is on the screen.
#[derive(Default)]
pub struct View {
    /// The server.
    pub address: String,
    /// Names and values, in the order of the screen.
    pub figures: Vec<(&'static str, String)>,
    /// Requests per second, oldest first.
    pub history: VecDeque<u64>,
    /// The most used commands first.
    pub commands: Vec<Usage>,
    /// Microseconds and text, newest first.
    pub slow: Vec<(i64, String)>,
    /// Address, database, age and last command of the busiest clients.
    pub clients: Vec<String>,
    before: Counters,
}

impl View {
    /// Nothing known yet.
    pub fn new(address: String) -> Self {
        Self { address, ..Self::default() }
    }

    /// Asks for a new sample. What a server does not answer (a proxy has no slow log) stays empty.
    pub fn update(&mut self, connection: &mut Connection, at: Instant) -> Result<(), Failure> {
        let info = Info::ask(connection, "everything")?;
        self.take_info(&info, at);
        self.slow = slow_commands(&connection.ask(&["SLOWLOG", "GET", SLOW_COMMANDS])?);
        self.clients = clients(&connection.ask(&["CLIENT", "LIST"])?);
        Ok(())
    }

    fn take_info(&mut self, info: &Info, at: Instant) {
        let now = Counters {
            at: Some(at),
            requests: info.number("total_commands_processed"),
            hits: info.number("keyspace_hits"),
            misses: info.number("keyspace_misses"),
            commands: info
                .commands()
                .map(|(name, calls, us)| (name.to_owned(), (calls, us)))
                .collect(),
        };
        let before = std::mem::replace(&mut self.before, now);
        let seconds = before.at.map(|before| at.duration_since(before).as_secs_f64().max(0.001));
        let now = &self.before;
        let requests = seconds.map(|s| now.requests.saturating_sub(before.requests) as f64 / s);
        if let (Some(requests), Some(seconds)) = (requests, seconds) {
            self.history.push_back(requests as u64);
            if self.history.len() > HISTORY_LEN {
                self.history.pop_front();
            }
            self.commands = usages(&before.commands, &now.commands, seconds);
        }
        let hits = now.hits.saturating_sub(before.hits) as f64;
        let lookups = hits + now.misses.saturating_sub(before.misses) as f64;
        let text = |name| info.text(name).unwrap_or("-").to_owned();
        self.figures = vec![
            (
                "version",
                info.text("valkey_version")
                    .or(info.text("redis_version"))
                    .unwrap_or("-")
                    .to_owned(),
            ),
            ("role", text("role")),
            ("requests/s", requests.map_or("-".to_owned(), |requests| format!("{requests:.0}"))),
            (
                "hit rate",
                if lookups > 0.0 {
                    format!("{:.1} %", 100.0 * hits / lookups)
                } else {
                    "-".to_owned()
                },
            ),
            ("keys", info.keys().to_string()),
            ("memory", text("used_memory_human")),
            ("resident", text("used_memory_rss_human")),
            ("limit", text("maxmemory_human")),
            ("clients", text("connected_clients")),
            ("blocked", text("blocked_clients")),
            ("expired", text("expired_keys")),
            ("evicted", text("evicted_keys")),
            (
                "longest turn",
                info.text("longest_turn_us").map_or("-".to_owned(), |us| format!("{us} us")),
            ),
        ];
    }
}

fn usages(
    before: &BTreeMap<String, (u64, u64)>,
    now: &BTreeMap<String, (u64, u64)>,
    seconds: f64,
) -> Vec<Usage> {
    let mut usages: Vec<Usage> = now
        .iter()
        .filter_map(|(name, &(calls, us))| {
            let (calls_before, us_before) = before.get(name).copied().unwrap_or_default();
            let calls = calls.checked_sub(calls_before).filter(|&calls| calls > 0)? as f64;
            Some(Usage {
                name: name.clone(),
                per_second: calls / seconds,
                us_per_call: us.saturating_sub(us_before) as f64 / calls,
            })
        })
        .collect();
    usages.sort_by(|a, b| b.per_second.total_cmp(&a.per_second));
    usages
}

/// `SLOWLOG GET`: id, time, microseconds, arguments...
fn slow_commands(reply: &Value) -> Vec<(i64, String)> {
    let Value::Array(entries) = reply else { return Vec::new() };
    let entry = |entry: &Value| match entry {
        Value::Array(fields) => match fields.as_slice() {
            [_, _, Value::Integer(us), Value::Array(arguments), ..] => {
                let words: Vec<String> =
                    arguments.iter().filter_map(Value::as_bytes).map(shown).collect();
                Some((*us, words.join(" ")))
            }
            _ => None,
        },
        _ => None,
    };
    entries.iter().filter_map(entry).collect()
}

/// A word as it is typed: nothing from the server may drive the terminal.
fn shown(word: &[u8]) -> String {
    let plain = !word.is_empty() && word.iter().all(u8::is_ascii_graphic);
    if plain { String::from_utf8_lossy(word).into_owned() } else { quoted(word) }
}

/// `CLIENT LIST`, those first that have sent the last command most recently.
fn clients(reply: &Value) -> Vec<String> {
    let text = String::from_utf8_lossy(reply.as_bytes().unwrap_or_default()).into_owned();
    let mut clients: Vec<(u64, String)> = text
        .lines()
        .map(|line| {
            let field = |name: &str| {
                let mut fields = line.split(' ').filter_map(|field| field.split_once('='));
                fields.find(|(field, _)| *field == name).map_or("-", |(_, value)| value)
            };
            let idle = field("idle");
            let line = format!(
                "{:<22} db{:<3} idle {:>5} s  {:<16} {}",
                shown(field("addr").as_bytes()),
                shown(field("db").as_bytes()),
                shown(idle.as_bytes()),
                shown(field("cmd").as_bytes()),
                field("name").escape_default(),
            );
            (idle.parse().unwrap_or(u64::MAX), line)
        })
        .collect();
    clients.sort();
    clients.truncate(CLIENTS_MAX);
    clients.into_iter().map(|(_, line)| line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn info(requests: u64, hits: u64, gets: u64) -> Info {
        Info::from_text(&format!(
            "total_commands_processed:{requests}\r\nkeyspace_hits:{hits}\r\nkeyspace_misses:0\r\n\
             cmdstat_get:calls={gets},usec={}\r\ncmdstat_set:calls=1,usec=1\r\n",
            gets * 2
        ))
    }

    #[test]
    fn rates_are_what_changed_since_the_sample_before() {
        let (mut view, start) = (View::new("h:1".to_owned()), Instant::now());
        view.take_info(&info(100, 10, 50), start);
        assert!(view.history.is_empty() && view.commands.is_empty());
        view.take_info(&info(300, 20, 150), start + Duration::from_secs(2));
        assert_eq!(view.history, [100]);
        assert_eq!(
            view.commands,
            [Usage { name: "get".to_owned(), per_second: 50.0, us_per_call: 2.0 }]
        );
        assert!(view.figures.contains(&("hit rate", "100.0 %".to_owned())));
    }

    #[test]
    fn a_server_that_was_restarted_has_no_negative_rates() {
        let (mut view, start) = (View::new("h:1".to_owned()), Instant::now());
        view.take_info(&info(300, 20, 150), start);
        view.take_info(&info(3, 0, 1), start + Duration::from_secs(1));
        assert_eq!(view.history, [0]);
        assert!(view.commands.is_empty());
    }

    #[test]
    fn nothing_from_the_server_drives_the_terminal() {
        let bulk = |text: &str| Value::Bulk(text.into());
        let entry = Value::Array(vec![
            Value::Integer(1),
            Value::Integer(2),
            Value::Integer(1500),
            Value::Array(vec![bulk("SET"), bulk("\x1b]0;x\x07")]),
        ]);
        assert_eq!(
            slow_commands(&Value::Array(vec![entry])),
            [(1500, r#"SET "\x1b]0;x\a""#.to_owned())]
        );
        assert!(slow_commands(&Value::Error(b"ERR".to_vec())).is_empty());
        let list = clients(&bulk("id=1 addr=1.2.3.4:5 name=a\x1bb db=0 idle=7 cmd=get\n"));
        assert!(list[0].starts_with("1.2.3.4:5") && list[0].ends_with("a\\u{1b}b"), "{list:?}");
    }
}
