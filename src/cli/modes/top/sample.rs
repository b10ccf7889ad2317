//! What `top` shows: figures of `INFO`, the slow log, the clients and the nodes of a proxy, and what changed since the sample
//! before.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::modes::info::{Info, Node};
use crate::config::words::quoted;
use crate::resp::Value;

/// Samples kept for the chart.
const HISTORY_LEN: usize = 300;
/// Entries of the slow log asked for.
const SLOW_COMMANDS: &str = "50";
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

/// A node behind a proxy.
#[derive(PartialEq, Debug)]
pub struct NodeUsage {
    /// Where it is.
    pub address: String,
    /// Its role and its state, as the proxy calls them.
    pub state: String,
    /// Requests per second; `None` in the first sample.
    pub per_second: Option<f64>,
    /// Errors so far, requests in flight, microseconds of a request, as the proxy writes them.
    pub figures: [String; 3],
}

/// Counters that only grow.
#[derive(Clone, Default)]
struct Counters {
    at: Option<Instant>,
    requests: u64,
    hits: u64,
    misses: u64,
    commands: BTreeMap<String, (u64, u64)>,
    /// Requests by the address of the node.
    nodes: BTreeMap<String, u64>,
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
    /// Nodes behind a proxy, in its order; none of a server.
    pub nodes: Vec<NodeUsage>,
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
        let own_address = connection.own_address();
        let slow = connection.ask(&["SLOWLOG", "GET", SLOW_COMMANDS])?;
        self.slow = slow_commands(&slow, own_address.as_deref());
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
            nodes: info
                .nodes()
                .filter_map(|node| {
                    let requests = node.text("requests")?.parse().ok()?;
                    Some((node.address()?.to_owned(), requests))
                })
                .collect(),
        };
        let before = std::mem::replace(&mut self.before, now);
        let seconds = before.at.map(|before| at.duration_since(before).as_secs_f64().max(0.001));
        let now = &self.before;
        self.nodes = nodes(info, &before.nodes, seconds);
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
        let hit_rate = (lookups > 0.0).then(|| format!("{:.1} %", 100.0 * hits / lookups));
        let requests = requests.map(|requests| format!("{requests:.0}"));
        self.figures = figures(info, requests, hit_rate);
    }
}

/// Names and values; what the server does not tell is a dash.
fn figures(
    info: &Info,
    requests: Option<String>,
    hit_rate: Option<String>,
) -> Vec<(&'static str, String)> {
    let first_of = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| info.text(name))
            .map(|value| value.escape_default().to_string())
    };
    let figures = [
        (
            "version",
            first_of(&["mini_redis_version", "proxy_version", "valkey_version", "redis_version"]),
        ),
        ("role", first_of(&["role", "redis_mode"])),
        ("requests/s", requests),
        ("hit rate", hit_rate),
        ("keys", Some(info.keys().to_string())),
        ("memory", first_of(&["used_memory_human"])),
        ("resident", first_of(&["used_memory_rss_human"])),
        ("limit", first_of(&["maxmemory_human"])),
        ("clients", first_of(&["connected_clients"])),
        ("blocked", first_of(&["blocked_clients"])),
        ("expired", first_of(&["expired_keys"])),
        ("evicted", first_of(&["evicted_keys"])),
        ("longest turn", first_of(&["longest_turn_us"]).map(|us| format!("{us} us"))),
    ];
    figures.map(|(name, value)| (name, value.unwrap_or("-".to_owned()))).to_vec()
}

fn nodes(info: &Info, before: &BTreeMap<String, u64>, seconds: Option<f64>) -> Vec<NodeUsage> {
    let usage = |node: Node<'_>| {
        let text = |name| shown(node.text(name).unwrap_or("-").as_bytes());
        let address = node.address().unwrap_or("-");
        let requests: Option<u64> = node.text("requests").and_then(|text| text.parse().ok());
        let since =
            requests.zip(before.get(address)).map(|(now, before)| now.saturating_sub(*before));
        NodeUsage {
            address: shown(address.as_bytes()),
            state: format!("{} {}", text("role"), text("state")),
            per_second: since.zip(seconds).map(|(requests, seconds)| requests as f64 / seconds),
            figures: ["errors", "queue", "latency_us"].map(text),
        }
    };
    info.nodes().map(usage).collect()
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

/// `SLOWLOG GET`: id, time, microseconds, arguments, address... Without the questions of this client, which would fill it.
fn slow_commands(reply: &Value, own_address: Option<&str>) -> Vec<(i64, String)> {
    let Value::Array(entries) = reply else { return Vec::new() };
    let entry = |entry: &Value| match entry {
        Value::Array(fields) => match fields.as_slice() {
            [_, _, Value::Integer(us), Value::Array(arguments), address @ ..] => {
                let address = address.first().and_then(Value::as_bytes);
                if address.is_some() && address == own_address.map(str::as_bytes) {
                    return None;
                }
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
    fn nodes_of_a_proxy_have_rates_and_what_the_proxy_tells() {
        let node = |requests: u64| {
            let figures = format!("role=master,state=up,requests={requests},errors=3,queue=2");
            Info::from_text(&format!("node0:addr=h:1,{figures}\r\nnode1:addr=\x1b,state=down\r\n"))
        };
        let (mut view, start) = (View::new("h:1".to_owned()), Instant::now());
        view.take_info(&node(100), start);
        assert_eq!(view.nodes[0].per_second, None);
        view.take_info(&node(300), start + Duration::from_secs(2));
        assert_eq!(view.nodes[0].per_second, Some(100.0));
        assert_eq!(view.nodes[0].state, "master up");
        assert_eq!(view.nodes[0].figures, ["3", "2", "-"]);
        assert_eq!((view.nodes[1].address.as_str(), view.nodes[1].per_second), (r#""\x1b""#, None));
    }

    #[test]
    fn nothing_from_the_server_drives_the_terminal() {
        let bulk = |text: &str| Value::Bulk(text.into());
        let entry = Value::Array(vec![
            Value::Integer(1),
            Value::Integer(2),
            Value::Integer(1500),
            Value::Array(vec![bulk("SET"), bulk("\x1b]0;x\x07")]),
            bulk("1.2.3.4:5"),
        ]);
        let reply = Value::Array(vec![entry]);
        let shown = [(1500, r#"SET "\x1b]0;x\a""#.to_owned())];
        assert_eq!(slow_commands(&reply, None), shown);
        assert_eq!(slow_commands(&reply, Some("1.2.3.4:6")), shown);
        assert!(slow_commands(&reply, Some("1.2.3.4:5")).is_empty(), "what top asks is left out");
        assert!(slow_commands(&Value::Error(b"ERR".to_vec()), None).is_empty());
        let list = clients(&bulk("id=1 addr=1.2.3.4:5 name=a\x1bb db=0 idle=7 cmd=get\n"));
        assert!(list[0].starts_with("1.2.3.4:5") && list[0].ends_with("a\\u{1b}b"), "{list:?}");
    }
}
