//! A replica against a master that is a script: what it sends is up to the test, byte by byte.

mod connection;
mod full_sync;
mod role;
mod stream;

use std::io;

use super::Phase;
use crate::config::Config;
use crate::net::{Disconnect, Token};
use crate::resp::write_request;
use crate::server::replication::ReplId;
use crate::server::testing::{Answer, TestServer};

/// The history of the scripted master.
fn history() -> ReplId {
    ReplId::parse(&[b'a'; 40]).unwrap()
}

/// A replica, and the connection to its master.
struct Replica {
    redis: TestServer,
    token: Token,
}

/// Bytes as text, lines joined by a space.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace("\r\n", " ").trim_end().to_string()
}

/// Commands, words split at spaces, as a master sends them.
fn stream(commands: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for command in commands {
        let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
        write_request(&mut bytes, words.into_iter());
    }
    bytes
}

/// The data of a server that has run `commands`, as a snapshot.
fn snapshot(commands: &[&str]) -> Vec<u8> {
    let mut master = TestServer::new();
    for command in commands {
        master.run(command);
    }
    let server = &mut master.server;
    server.state.snapshot_bytes(&mut server.keyspace)
}

fn counted(snapshot: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", snapshot.len()).as_bytes(), snapshot].concat()
}

fn marked(snapshot: &[u8]) -> Vec<u8> {
    let mark = [b'm'; 40];
    [b"$EOF:", &mark[..], b"\r\n", snapshot, &mark].concat()
}

impl Replica {
    /// A replica that is trying to connect.
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::of(TestServer::with(change))
    }

    fn of(mut redis: TestServer) -> Self {
        redis.run("REPLICAOF 127.0.0.1 7000").is("+OK");
        let token = redis.actions.connect[0].token;
        Self { redis, token }
    }

    /// A replica that has the data of the master, at offset 1000.
    fn synced(commands: &[&str]) -> Self {
        let mut replica = Self::new();
        replica.agree();
        replica.hear(&full_sync(1000));
        replica.hear(&counted(&snapshot(commands)));
        assert!(replica.is_up());
        replica
    }

    /// Waits for the next try to connect.
    fn wait_for_try(&mut self) {
        for _ in 0..10_000 {
            if let Some(connect) = self.redis.actions.connect.first() {
                self.token = connect.token;
                return;
            }
            self.redis.advance_ms(100);
        }
        panic!("the replica does not try again");
    }

    /// The handshake up to `PSYNC`, which is returned.
    fn agree(&mut self) -> String {
        assert_eq!(text(&self.redis.establish(self.token)), "*1 $4 PING");
        self.hear(b"+PONG\r\n");
        text(&self.hear(b"+OK\r\n+OK\r\n+OK\r\n"))
    }

    /// Connects once more; returns `PSYNC`.
    fn connect_again(&mut self) -> String {
        self.wait_for_try();
        self.agree()
    }

    /// The master sends bytes; returns what the replica sends.
    fn hear(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.redis.receive_bytes(self.token, bytes)
    }

    fn lose(&mut self) {
        self.redis.lose(self.token, Disconnect::PeerClosed);
    }

    fn run(&mut self, line: &str) -> Answer {
        self.redis.run(line)
    }

    fn is_up(&self) -> bool {
        self.redis.server.state.link().is_some_and(super::Link::is_up)
    }

    fn offset(&self) -> u64 {
        self.redis.server.state.replication.history.offset
    }

    fn logged(&self, line: &str) -> bool {
        self.redis.world.borrow().log.iter().any(|logged| logged.contains(line))
    }
}

fn full_sync(offset: u64) -> Vec<u8> {
    format!("+FULLRESYNC {} {offset}\r\n", history()).into_bytes()
}

const ALL_TYPES: [&str; 6] = [
    "SET string value PX 5000",
    "RPUSH list a b c",
    "SADD set a b c",
    "ZADD zset 1 a 2 b",
    "HSET hash f v g w",
    "SELECT 3",
];
