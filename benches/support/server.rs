//! The whole core without a socket: bytes in, bytes out, a turn at a time. Time stands still unless it is moved and the
//! random numbers are always the same, so that every run does the same work.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use mini_redis::clock::Now;
use mini_redis::config::Config;
use mini_redis::log::Level;
use mini_redis::net::{Actions, LoopStats, Peer, Service, Token};
use mini_redis::persistence::disk::{Disk, Done, Job, Lane};
use mini_redis::server::{Environment, Phase, ProcessFacts, Server};

use super::requests::{KEYS, request};

/// What a look at the clock adds: statistics then see commands that took some time.
const CLOCK_STEP_NS: u64 = 1000;
const START: Now = Now { unix_us: 1_700_000_000_000_000, monotonic_us: 1_000_000 };

struct BenchEnvironment {
    now: Rc<Cell<Now>>,
    clock_ns: u64,
    random: u64,
}

impl Environment for BenchEnvironment {
    fn now(&mut self) -> Now {
        self.now.get()
    }

    fn monotonic_ns(&mut self) -> u64 {
        self.clock_ns += CLOCK_STEP_NS;
        self.clock_ns
    }

    fn random(&mut self) -> u64 {
        // Knuth's generator (MMIX).
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.random
    }

    fn sleep_us(&mut self, _duration_us: u64) {}

    fn log(&mut self, _level: Level, _message: fmt::Arguments<'_>) {}

    fn tell_supervisor(&mut self, _phase: Phase) {}

    fn process(&mut self) -> ProcessFacts {
        ProcessFacts::default()
    }

    fn allocated_bytes(&mut self) -> usize {
        0
    }

    fn discard(&mut self, _garbage: Box<dyn Any + Send>) {}

    fn discarding(&mut self) -> usize {
        0
    }

    fn purge_memory(&mut self) {}

    fn disk(&mut self) -> Arc<dyn Disk> {
        unreachable!("a server without a log opens no file")
    }

    fn run_job(&mut self, _lane: Lane, _job: Job) {
        unreachable!("a server without a log writes no file")
    }

    fn resolve(&mut self, _number: u64, _host: &str, _port: u16) {
        unreachable!("a server without a master connects to nobody")
    }

    fn wait_for_job(&mut self) -> Option<Done> {
        None
    }

    fn finished_job(&mut self) -> Option<Done> {
        None
    }

    fn read_config(&mut self) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn write_config(&mut self, _text: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn apply_config(
        &mut self,
        _config: &Config,
        _changed: &[&str],
    ) -> Result<(), (&'static str, String)> {
        Ok(())
    }
}

fn connect(server: &mut Server) -> Token {
    let peer = Peer {
        address: "127.0.0.1:50000".into(),
        local_address: "127.0.0.1:6379".into(),
        fd: 8,
        is_unix: false,
        is_loopback: true,
    };
    server.connected(peer).expect("there is room for one more client")
}

/// A server and its first client.
pub struct BenchServer {
    server: Server,
    client: Token,
    now: Rc<Cell<Now>>,
    actions: Actions,
}

impl BenchServer {
    /// A server with default configuration and no keys.
    pub fn new() -> Self {
        let now = Rc::new(Cell::new(START));
        let environment = BenchEnvironment { now: now.clone(), clock_ns: 0, random: 42 };
        let mut server =
            Server::new(Config::default(), Box::new(environment)).expect("defaults are valid");
        let client = connect(&mut server);
        Self { server, client, now, actions: Actions::default() }
    }

    /// A server with all keys of `requests::key`, written by requests of the form `set_line`.
    pub fn with_keys(set_line: &str) -> Self {
        let mut server = Self::new();
        for index in 0..KEYS {
            server.turn(&request(set_line, index));
        }
        server
    }

    /// Lets time pass. Nothing happens before the next turn.
    pub fn advance_ms(&mut self, ms: u64) {
        let Now { unix_us, monotonic_us } = self.now.get();
        self.now.set(Now { unix_us: unix_us + ms * 1000, monotonic_us: monotonic_us + ms * 1000 });
    }

    /// One more client.
    pub fn connect(&mut self) -> Token {
        connect(&mut self.server)
    }

    /// One turn of the loop in which `bytes` arrived from the first client (none: only timers run) and all replies are
    /// sent. Returns how many bytes were.
    pub fn turn(&mut self, bytes: &[u8]) -> usize {
        self.turn_of(&[(self.client, bytes)])
    }

    /// One turn of the loop in which bytes arrived from some clients and all that anybody is to be sent is sent. Returns
    /// how many bytes that were.
    pub fn turn_of(&mut self, received: &[(Token, &[u8])]) -> usize {
        self.run_turn(received);
        let mut sent = 0;
        while let Some(token) = self.actions.write.pop() {
            sent += self.send(token);
        }
        sent
    }

    fn run_turn(&mut self, received: &[(Token, &[u8])]) {
        self.server.begin_turn(self.now.get(), &LoopStats::default());
        for &(token, bytes) in received {
            if !bytes.is_empty() {
                self.server.received(token, bytes);
            }
        }
        self.server.run_timers();
        self.server.end_turn(&mut self.actions);
    }

    fn send(&mut self, token: Token) -> usize {
        let Some(output) = self.server.output(token) else { return 0 };
        let len = output.len();
        if len > 0 {
            output.consume(len);
            self.server.written(token, len);
        }
        len
    }

    /// Keys that have been removed because they had expired.
    pub fn expired(&self) -> u64 {
        self.server.keyspace.stats.expired
    }

    /// One turn, and what the first client was replied.
    pub fn ask(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.run_turn(&[(self.client, bytes)]);
        let reply = self.server.output(self.client).map(|output| output.to_vec());
        self.actions.write.clear();
        self.send(self.client);
        reply.unwrap_or_default()
    }
}
