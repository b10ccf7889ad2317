//! What stops a transaction and what does not, against a model.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::net::Token;
use crate::server::testing::TestServer;

const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];
const DATABASES: usize = 3;
const CLIENTS: usize = 20;

/// The keys as they should be, with the times they expire at, and how often each has changed.
#[derive(Default)]
struct Model {
    databases: [BTreeMap<String, Option<u64>>; DATABASES],
    versions: BTreeMap<(usize, String), u64>,
    now_ms: u64,
}

impl Model {
    fn version(&self, db: usize, key: &str) -> u64 {
        self.versions.get(&(db, key.to_string())).copied().unwrap_or(0)
    }

    fn changed(&mut self, db: usize, key: &str) {
        *self.versions.entry((db, key.to_string())).or_default() += 1;
    }

    fn get(&self, db: usize, key: &str) -> Option<Option<u64>> {
        self.databases[db].get(key).copied()
    }

    fn set(&mut self, db: usize, key: &str, expire_at_ms: Option<u64>) {
        self.databases[db].insert(key.to_string(), expire_at_ms);
        self.changed(db, key);
    }

    fn remove(&mut self, db: usize, key: &str) {
        if self.databases[db].remove(key).is_some() {
            self.changed(db, key);
        }
    }

    fn advance_ms(&mut self, ms: u64) {
        self.now_ms += ms;
        for db in 0..DATABASES {
            for key in KEYS {
                if self.get(db, key).flatten().is_some_and(|at_ms| at_ms < self.now_ms) {
                    self.remove(db, key);
                }
            }
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        let keys: BTreeSet<String> =
            self.databases[one].keys().chain(self.databases[other].keys()).cloned().collect();
        for key in keys {
            self.changed(one, &key);
            self.changed(other, &key);
        }
        self.databases.swap(one, other);
    }

    fn apply(&mut self, db: usize, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |word: &str| word.parse::<u64>().unwrap();
        match words[..] {
            ["SET", key, _] => self.set(db, key, None),
            ["SET", key, _, "PX", ms] => self.set(db, key, Some(self.now_ms + number(ms))),
            ["APPEND", key, _] => self.set(db, key, self.get(db, key).flatten()),
            ["DEL", key] => self.remove(db, key),
            ["PEXPIRE", key, ms] if self.get(db, key).is_some() => {
                self.set(db, key, Some(self.now_ms + number(ms)));
            }
            ["PERSIST", key] if self.get(db, key).flatten().is_some() => self.set(db, key, None),
            ["RENAME", from, to] if from != to && self.get(db, from).is_some() => {
                self.set(db, to, self.get(db, from).flatten());
                self.remove(db, from);
            }
            ["COPY", from, to, "REPLACE"] if from != to && self.get(db, from).is_some() => {
                self.set(db, to, self.get(db, from).flatten());
            }
            ["MOVE", key, target] => {
                let target = number(target) as usize;
                let free = target != db && self.get(target, key).is_none();
                if let (true, Some(expiry)) = (free, self.get(db, key)) {
                    self.remove(db, key);
                    self.set(target, key, expiry);
                }
            }
            ["SWAPDB", one, other] if one != other => {
                self.swap(number(one) as usize, number(other) as usize);
            }
            ["FLUSHDB"] => KEYS.iter().for_each(|key| self.remove(db, key)),
            ["FLUSHALL"] => (0..DATABASES).for_each(|db| self.apply(db, "FLUSHDB")),
            _ => {}
        }
    }
}

fn some_command(random: &mut SmallRng) -> String {
    let (key, other) = (KEYS[random.random_range(0..5)], KEYS[random.random_range(0..5)]);
    let ms = random.random_range(1..30);
    let (one, two) = (random.random_range(0..DATABASES), random.random_range(0..DATABASES));
    match random.random_range(0..24) {
        0..4 => format!("SET {key} v"),
        4..8 => format!("SET {key} v PX {ms}"),
        8 => format!("APPEND {key} v"),
        9..12 => format!("DEL {key}"),
        12 => format!("PEXPIRE {key} {ms}"),
        13 => format!("PERSIST {key}"),
        14 => format!("RENAME {key} {other}"),
        15 => format!("COPY {key} {other} REPLACE"),
        16 => format!("MOVE {key} {two}"),
        17 => format!("SWAPDB {one} {two}"),
        18 => "FLUSHDB".to_string(),
        19 if random.random_range(0..4) == 0 => "FLUSHALL".to_string(),
        _ => format!("GET {key}"),
    }
}

/// One of the clients, and what it saw of the keys that it watches.
struct Watching {
    token: Token,
    db: usize,
    seen: BTreeMap<(usize, String), u64>,
}

impl Watching {
    fn watch(&mut self, redis: &mut TestServer, model: &Model, key: &str) {
        redis.run_as(self.token, &format!("WATCH {key}")).is("+OK");
        let version = model.version(self.db, key);
        self.seen.entry((self.db, key.to_string())).or_insert(version);
    }

    fn exec(&mut self, redis: &mut TestServer, model: &mut Model, line: &str) -> String {
        let unchanged =
            self.seen.iter().all(|((db, key), version)| model.version(*db, key) == *version);
        self.seen.clear();
        redis.run_as(self.token, "MULTI").is("+OK");
        redis.run_as(self.token, line).is("+QUEUED");
        let reply = redis.run_as(self.token, "EXEC");
        if unchanged {
            reply.starts("*1 ");
            model.apply(self.db, line);
        } else {
            reply.is("*-1");
        }
        reply.0
    }
}

/// The invariant I-watch: EXEC runs its commands just when no watched key has changed since WATCH.
#[test]
fn exec_runs_just_when_no_watched_key_has_changed() {
    for seed in 0..6 {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut redis = TestServer::new();
        let mut model = Model::default();
        let mut clients: Vec<Watching> = (0..CLIENTS)
            .map(|_| Watching { token: redis.connect(), db: 0, seen: BTreeMap::new() })
            .collect();
        let (mut run, mut stopped) = (0, 0);
        for _ in 0..4000 {
            let client = &mut clients[random.random_range(0..CLIENTS)];
            let line = some_command(&mut random);
            match random.random_range(0..20) {
                0..6 => client.watch(&mut redis, &model, KEYS[random.random_range(0..5)]),
                6..10 => match client.exec(&mut redis, &mut model, &line).as_str() {
                    "*-1" => stopped += 1,
                    _ => run += 1,
                },
                10..13 => {
                    redis.run_as(client.token, &line);
                    model.apply(client.db, &line);
                }
                13..15 => {
                    let ms = random.random_range(1..8);
                    redis.advance_ms(ms);
                    model.advance_ms(ms);
                }
                15 => {
                    client.db = random.random_range(0..DATABASES);
                    redis.run_as(client.token, &format!("SELECT {}", client.db)).is("+OK");
                }
                16 => {
                    redis.run_as(client.token, "UNWATCH").is("+OK");
                    client.seen.clear();
                }
                17 => {
                    redis.run_as(client.token, "QUIT").is("+OK");
                    *client = Watching { token: redis.connect(), db: 0, seen: BTreeMap::new() };
                }
                _ => redis.server.state.active_expire = random.random_range(0..2) == 0,
            }
        }
        assert!(run > 100 && stopped > 100, "seed {seed}: {run} run, {stopped} stopped");
        for client in &clients {
            redis.run_as(client.token, "RESET").is("+RESET");
        }
        let watched = &redis.server.state.watched;
        assert!(watched.is_empty() && watched.clients() == 0, "seed {seed}");
    }
}

#[test]
fn a_key_that_was_due_all_along_has_not_changed() {
    let mut redis = TestServer::new();
    redis.server.state.active_expire = false;
    for change in ["GET k", "DEL k", "FLUSHDB", "SWAPDB 0 1", "PING"] {
        let early = redis.connect();
        redis.run("SET k v PX 1");
        redis.run_as(early, "WATCH k").is("+OK");
        redis.advance_ms(2);
        redis.run("WATCH k").is("+OK");
        let other = redis.connect();
        redis.run_as(other, change);
        for (client, reply) in [(Token(0), "*1 +PONG"), (early, "*-1")] {
            redis.run_as(client, "MULTI").is("+OK");
            redis.run_as(client, "PING").is("+QUEUED");
            redis.run_as(client, "EXEC").is(reply);
        }
    }
}

#[test]
fn a_pause_hides_a_watched_key_and_its_removal_later_is_no_change() {
    let mut redis = TestServer::new();
    redis.run("SET k v PX 10");
    redis.run("CLIENT PAUSE 100 WRITE").is("+OK");
    redis.advance_ms(20);
    redis.run("WATCH k").is("+OK");
    redis.advance_ms(100);
    redis.advance_ms(100);
    assert_eq!(redis.server.keyspace.stats.expired, 1);
    redis.run("MULTI").is("+OK");
    redis.run("EXEC").is("*0");
}

#[test]
fn a_client_that_knows_of_a_change_watches_nothing_more() {
    let mut redis = TestServer::new();
    redis.run("WATCH a b c a");
    let other = redis.connect();
    redis.run_as(other, "WATCH b");
    let counts = |redis: &TestServer| {
        let watched = &redis.server.state.watched;
        (watched.len(), watched.clients())
    };
    assert_eq!(counts(&redis), (3, 2));
    redis.run_as(other, "SET a 1");
    assert_eq!(counts(&redis), (1, 1));
    redis.run("WATCH c").is("+OK");
    assert_eq!(counts(&redis), (1, 1));
    redis.run_as(other, "CLIENT LIST FLAGS d").starts("$3");
    redis.run_as(other, "QUIT").is("+OK");
    assert_eq!(counts(&redis), (0, 0));
    redis.run("UNWATCH").is("+OK");
    redis.run("MULTI").is("+OK");
    redis.run("EXEC").is("*0");
}
