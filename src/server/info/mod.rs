//! `INFO`: what the server tells about itself, as lines of `field:value` in sections.
//!
//! Names, order and formats are those of Redis 7.0 with the additions of Valkey 9, because exporters, Sentinel and
//! `redis-cli` look for them. What this server does not do has the value that is true for it: there is no child that saves,
//! so `rdb_bgsave_in_progress:0`. Where Redis shows facts that only its allocator knows, there is no field.

mod commands;
mod counters;
mod persistence;
mod process;
mod replica;
mod replication;
pub mod section;
pub mod text;

use super::{ProcessFacts, State};
use crate::keyspace::Keyspace;
use section::Section;
use text::Text;

/// What the sections are written from.
struct View<'a> {
    state: &'a State,
    keyspace: &'a Keyspace,
    process: ProcessFacts,
    /// Values given to be dropped elsewhere that are still there.
    discarding: usize,
}

type Write = fn(&View<'_>, &mut Text);

const fn section(title: &'static str, name: &'static str, write: Write) -> Section<Write> {
    Section { name, title, default: true, write }
}

const fn on_request(title: &'static str, name: &'static str, write: Write) -> Section<Write> {
    Section { name, title, default: false, write }
}

/// All sections, in the order they are shown in.
const SECTIONS: [Section<Write>; 13] = [
    section("Server", "server", process::server),
    section("Clients", "clients", counters::clients),
    section("Memory", "memory", process::memory),
    section("Persistence", "persistence", persistence::persistence),
    section("Stats", "stats", counters::stats),
    section("Replication", "replication", replication::replication),
    section("CPU", "cpu", process::cpu),
    section("Modules", "modules", |_, _| {}),
    on_request("Commandstats", "commandstats", commands::commandstats),
    section("Errorstats", "errorstats", commands::errorstats),
    on_request("Latencystats", "latencystats", commands::latencystats),
    section("Cluster", "cluster", |_, text| text.zeros(&["cluster_enabled"])),
    section("Keyspace", "keyspace", counters::keyspace),
];

/// The sections that `wanted` names, each once; the default ones if it names none. O(clients + commands).
pub fn info(state: &mut State, keyspace: &Keyspace, wanted: &[&[u8]]) -> String {
    let process = state.environment.process();
    let discarding = state.environment.discarding();
    let view = View { state, keyspace, process, discarding };
    let mut text = Text::default();
    for section in SECTIONS.iter().filter(|section| section.is_wanted(wanted)) {
        text.title(section.title);
        (section.write)(&view, &mut text);
    }
    text.into_string()
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    fn titles(redis: &mut TestServer, line: &str) -> Vec<String> {
        let text = redis.run(line).0;
        text.split(' ').skip_while(|word| *word != "#").fold(Vec::new(), |mut titles, word| {
            match titles.last_mut() {
                Some(last) if last == "#" => *last = word.to_string(),
                _ if word == "#" => titles.push(word.to_string()),
                _ => {}
            }
            titles
        })
    }

    const DEFAULT: [&str; 11] = [
        "Server",
        "Clients",
        "Memory",
        "Persistence",
        "Stats",
        "Replication",
        "CPU",
        "Modules",
        "Errorstats",
        "Cluster",
        "Keyspace",
    ];

    #[test]
    fn sections_come_once_and_in_order_whatever_is_asked_for() {
        let mut redis = TestServer::new();
        assert_eq!(titles(&mut redis, "INFO"), DEFAULT);
        assert_eq!(titles(&mut redis, "INFO cpu default CPU"), DEFAULT);
        assert_eq!(titles(&mut redis, "INFO ALL").len(), 13);
        assert_eq!(titles(&mut redis, "INFO everything cpu").len(), 13);
        assert_eq!(titles(&mut redis, "INFO keyspace commandSTATS"), ["Commandstats", "Keyspace"]);
        redis.run("INFO sentinel").is("$0");
        redis.run("INFO cluster").is("$30 # Cluster cluster_enabled:0");
        redis.run("INFO cluster modules").is("$43 # Modules  # Cluster cluster_enabled:0");
    }

    #[test]
    fn resp3_clients_get_text_that_says_it_is_text() {
        let mut redis = TestServer::new();
        let client = redis.connect();
        redis.server.state.clients.get_mut(client).protocol = crate::resp::Protocol::Resp3;
        redis.run_as(client, "INFO cluster").is("=34 txt:# Cluster cluster_enabled:0");
    }
}
