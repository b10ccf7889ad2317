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

/// A node behind a proxy, and how it was used since the last sample.
#[derive(Default, PartialEq, Debug)]
pub struct NodeUsage {
    /// Where it is.
    pub address: String,
    /// `master` or `replica`.
    pub role: String,
    /// `connected`, `unconnected` or `down`.
    pub state: String,
    /// How many slots it has, as the proxy writes it.
    pub slots: String,
    /// Requests per second; `None` in the first sample.
    pub per_second: Option<f64>,
    /// Mean time of its replies in microseconds; `None` if there were none.
    pub us_per_reply: Option<f64>,
    /// The time that 99 % of all its replies took at most, in microseconds, as the proxy writes it.
    pub p99_us: String,
    /// Requests that wait for its reply.
    pub queue: u64,
    /// Errors per second: replies of its own, and requests that it has not answered. `None` in the first sample.
    pub errors_per_second: Option<f64>,
    /// All its errors.
    pub errors: u64,
}

/// Counters that only grow.
#[derive(Clone, Default)]
struct Counters {
    at: Option<Instant>,
    requests: u64,
    errors: u64,
    hits: u64,
    misses: u64,
    commands: BTreeMap<String, (u64, u64)>,
    /// By the address of the node.
    nodes: BTreeMap<String, NodeCounters>,
}

/// Counters of a node, from its line in the `INFO` of a proxy.
#[derive(Clone, Copy, Default)]
struct NodeCounters {
    requests: u64,
    replies: u64,
    errors: u64,
    latency_sum_us: u64,
}

impl NodeCounters {
    fn of(node: Node<'_>) -> Self {
        let number = |name| node.text(name).and_then(|text| text.parse().ok()).unwrap_or(0);
        Self {
            requests: number("requests"),
            replies: number("replies"),
            errors: number("errors"),
            latency_sum_us: number("latency_sum_us"),
        }
    }

    /// What was counted since `before`. Of a proxy that was restarted nothing is known.
    fn since(self, before: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(before.requests),
            replies: self.replies.saturating_sub(before.replies),
            errors: self.errors.saturating_sub(before.errors),
            latency_sum_us: self.latency_sum_us.saturating_sub(before.latency_sum_us),
        }
    }

    /// Mean time of a reply in microseconds; `None` if there was none.
    fn us_per_reply(self) -> Option<f64> {
        (self.replies > 0).then(|| self.latency_sum_us as f64 / self.replies as f64)
    }
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
            errors: info.number("total_error_replies"),
            hits: info.number("keyspace_hits"),
            misses: info.number("keyspace_misses"),
            commands: info
                .commands()
                .map(|(name, calls, us)| (name.to_owned(), (calls, us)))
                .collect(),
            nodes: info
                .nodes()
                .filter_map(|node| Some((node.address()?.to_owned(), NodeCounters::of(node))))
                .collect(),
        };
        let before = std::mem::replace(&mut self.before, now);
        let seconds = before.at.map(|before| at.duration_since(before).as_secs_f64().max(0.001));
        let now = &self.before;
        let rate = |now: u64, before: u64| seconds.map(|s| now.saturating_sub(before) as f64 / s);
        self.nodes = nodes(info, &before.nodes, seconds);
        let requests = rate(now.requests, before.requests);
        if let (Some(requests), Some(seconds)) = (requests, seconds) {
            self.history.push_back(requests as u64);
            if self.history.len() > HISTORY_LEN {
                self.history.pop_front();
            }
            self.commands = usages(&before.commands, &now.commands, seconds);
        }
        let hits = now.hits.saturating_sub(before.hits) as f64;
        let lookups = hits + now.misses.saturating_sub(before.misses) as f64;
        let errors = rate(now.errors, before.errors);
        let changes = [
            ("requests/s", requests.map(|rate| format!("{rate:.0}"))),
            ("errors/s", errors.map(|rate| format!("{rate:.1}"))),
            ("hit rate", (lookups > 0.0).then(|| format!("{:.1} %", 100.0 * hits / lookups))),
        ];
        self.figures = figures(info, changes, &self.nodes);
    }
}

/// Names and values; what the server does not tell is a dash.
fn figures(
    info: &Info,
    changes: [(&'static str, Option<String>); 3],
    nodes: &[NodeUsage],
) -> Vec<(&'static str, String)> {
    let first_of = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| info.text(name))
            .map(|value| value.escape_default().to_string())
    };
    let [requests, errors, hit_rate] = changes;
    let mut figures = vec![
        (
            "version",
            first_of(&["mini_redis_version", "proxy_version", "valkey_version", "redis_version"]),
        ),
        requests,
        errors,
    ];
    if nodes.is_empty() {
        figures.push(("role", first_of(&["role", "redis_mode"])));
        figures.push(hit_rate);
        figures.push(("keys", info.keys().map(|keys| keys.to_string())));
    } else {
        let up = nodes.iter().filter(|node| !node.is_down()).count();
        figures.push(("nodes are", first_of(&["nodes_kind"])));
        figures.push(("nodes up", Some(format!("{up} of {}", nodes.len()))));
        figures.push(("slots served", first_of(&["slots_served"])));
        let in_flight = nodes.iter().map(|node| node.queue).fold(0, u64::saturating_add);
        figures.push(("in flight", Some(in_flight.to_string())));
    }
    figures.extend([
        ("memory", first_of(&["used_memory_human"])),
        ("resident", first_of(&["used_memory_rss_human"])),
        ("clients", first_of(&["connected_clients"])),
        ("blocked", first_of(&["blocked_clients"])),
        ("longest turn", first_of(&["longest_turn_us"]).map(|us| format!("{us} us"))),
    ]);
    figures.extend(if nodes.is_empty() {
        [
            ("limit", first_of(&["maxmemory_human"])),
            ("expired", first_of(&["expired_keys"])),
            ("evicted", first_of(&["evicted_keys"])),
        ]
    } else {
        [
            ("max clients", first_of(&["maxclients"])),
            ("rejected", first_of(&["rejected_connections"])),
            ("retried", first_of(&["retried_reads"])),
        ]
    });
    figures.into_iter().map(|(name, value)| (name, value.unwrap_or("-".to_owned()))).collect()
}

impl NodeUsage {
    /// Whether the proxy refuses what is for it.
    pub fn is_down(&self) -> bool {
        self.state == "down"
    }
}

fn nodes(
    info: &Info,
    before: &BTreeMap<String, NodeCounters>,
    seconds: Option<f64>,
) -> Vec<NodeUsage> {
    let usage = |node: Node<'_>| {
        let text = |name| shown(node.text(name).unwrap_or("-").as_bytes());
        let (address, now) = (node.address().unwrap_or("-"), NodeCounters::of(node));
        let since = before.get(address).map(|before| now.since(*before));
        let rate = |of: fn(NodeCounters) -> u64| {
            since.zip(seconds).map(|(since, seconds)| of(since) as f64 / seconds)
        };
        NodeUsage {
            address: shown(address.as_bytes()),
            role: text("role"),
            state: text("state"),
            slots: text("slots"),
            per_second: rate(|since| since.requests),
            us_per_reply: since.and_then(NodeCounters::us_per_reply),
            p99_us: text("latency_p99_us"),
            queue: node.text("queue").and_then(|text| text.parse().ok()).unwrap_or(0),
            errors_per_second: rate(|since| since.errors),
            errors: now.errors,
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
        let node = |requests: u64, errors: u64| {
            let figures = format!(
                "role=master,state=connected,slots=8192,requests={requests},replies={requests},errors={errors},queue=2,\
                 latency_sum_us={},latency_p99_us=511",
                requests * 20
            );
            Info::from_text(&format!("node0:addr=h:1,{figures}\r\nnode1:addr=\x1b,state=down\r\n"))
        };
        let (mut view, start) = (View::new("h:1".to_owned()), Instant::now());
        view.take_info(&node(100, 3), start);
        assert_eq!((view.nodes[0].per_second, view.nodes[0].us_per_reply), (None, None));
        view.take_info(&node(300, 7), start + Duration::from_secs(2));
        let expected = NodeUsage {
            address: "h:1".to_owned(),
            role: "master".to_owned(),
            state: "connected".to_owned(),
            slots: "8192".to_owned(),
            per_second: Some(100.0),
            us_per_reply: Some(20.0),
            p99_us: "511".to_owned(),
            queue: 2,
            errors_per_second: Some(2.0),
            errors: 7,
        };
        assert_eq!(view.nodes[0], expected);
        let other = &view.nodes[1];
        assert_eq!((other.address.as_str(), other.us_per_reply), (r#""\x1b""#, None));
        assert!(other.is_down());
        for figure in [("nodes up", "1 of 2"), ("in flight", "2")] {
            assert!(view.figures.iter().any(|(name, value)| (*name, value.as_str()) == figure));
        }
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
