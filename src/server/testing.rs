//! A server without a socket, for tests that read like typing at redis-cli: time and randomness are the test's.

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use super::{Environment, Phase, ProcessFacts, Server};
use crate::clock::Now;
use crate::config::Config;
use crate::log::Level;
use crate::net::{Actions, Close, Disconnect, LoopStats, Peer, Service, Token};
use crate::persistence::disk::{Disk, Done, Job, Lane};
use crate::persistence::testing::MemoryDisk;
use crate::resp::write_request;

/// What the test holds of the environment.
#[derive(Default)]
pub struct World {
    /// The time.
    pub now: Now,
    /// How far the clock moves each time a duration is measured, in microseconds.
    pub now_step_us: u64,
    /// Log lines.
    pub log: Vec<String>,
    /// What `random` gives next.
    pub random: u64,
    /// The configuration file.
    pub config_file: Option<String>,
    /// How many clients fit, if there is a limit.
    pub clients_fit: Option<u32>,
    /// Things that were dropped elsewhere.
    pub discarded: usize,
    /// The disk.
    pub disk: MemoryDisk,
    /// Jobs that have not run.
    pub jobs: VecDeque<(Lane, Job)>,
    /// Jobs are not run: the disk is slow.
    pub jobs_are_held: bool,
    /// So many jobs end, then the others are held.
    pub finished_max: Option<usize>,
    /// Bytes that the program says it has allocated.
    pub allocated_bytes: usize,
    /// Things that are being dropped elsewhere.
    pub discarding: usize,
    /// How often free memory was to be given back to the system.
    pub purges: usize,
}

struct TestEnvironment(Rc<RefCell<World>>);

impl Environment for TestEnvironment {
    fn now(&mut self) -> Now {
        self.0.borrow().now
    }

    fn monotonic_ns(&mut self) -> u64 {
        let mut world = self.0.borrow_mut();
        world.now.monotonic_us += world.now_step_us;
        world.now.monotonic_us * 1000
    }

    fn random(&mut self) -> u64 {
        let mut world = self.0.borrow_mut();
        world.random = world
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        world.random
    }

    fn sleep_us(&mut self, duration_us: u64) {
        let mut world = self.0.borrow_mut();
        world.now.unix_us += duration_us;
        world.now.monotonic_us += duration_us;
    }

    fn log(&mut self, _level: Level, message: fmt::Arguments<'_>) {
        self.0.borrow_mut().log.push(message.to_string());
    }

    fn process(&mut self) -> ProcessFacts {
        ProcessFacts {
            pid: 1,
            allocated_bytes: self.0.borrow().allocated_bytes,
            config_file: match self.0.borrow().config_file {
                Some(_) => "/redis.conf".to_string(),
                None => String::new(),
            },
            ..ProcessFacts::default()
        }
    }

    fn tell_supervisor(&mut self, _phase: Phase) {}

    fn discard(&mut self, _garbage: Box<dyn Any + Send>) {
        self.0.borrow_mut().discarded += 1;
    }

    fn allocated_bytes(&mut self) -> usize {
        self.0.borrow().allocated_bytes
    }

    fn purge_memory(&mut self) {
        self.0.borrow_mut().purges += 1;
    }

    fn read_config(&mut self) -> std::io::Result<String> {
        self.0.borrow().config_file.clone().ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }

    fn write_config(&mut self, text: &str) -> std::io::Result<()> {
        self.0.borrow_mut().config_file = Some(text.to_string());
        Ok(())
    }

    fn disk(&mut self) -> Arc<dyn Disk> {
        Arc::new(self.0.borrow().disk.clone())
    }

    fn run_job(&mut self, lane: Lane, job: Job) {
        self.0.borrow_mut().jobs.push_back((lane, job));
    }

    fn resolve(&mut self, number: u64, host: &str, port: u16) {
        let address = host.parse::<IpAddr>().map(|ip| vec![SocketAddr::new(ip, port)]);
        let addresses = address.map_err(|_| std::io::Error::other("Name or service not known"));
        let job = move || Done::Resolved(number, addresses);
        self.0.borrow_mut().jobs.push_back((Lane::Names, Box::new(job)));
    }

    fn wait_for_job(&mut self) -> Option<Done> {
        self.0.borrow_mut().jobs.pop_front().map(|(_, job)| job())
    }

    fn finished_job(&mut self) -> Option<Done> {
        let mut world = self.0.borrow_mut();
        if world.jobs_are_held || world.finished_max == Some(0) {
            world.finished_max = None;
            return None;
        }
        world.finished_max = world.finished_max.map(|left| left - 1);
        world.jobs.pop_front().map(|(_, job)| job())
    }

    fn discarding(&mut self) -> usize {
        self.0.borrow().discarding
    }

    fn apply_config(&mut self, config: &Config, _: &[&str]) -> Result<(), (&'static str, String)> {
        match self.0.borrow().clients_fit {
            Some(fit) if config.maxclients > fit => Err(("maxclients", format!("try with {fit}"))),
            _ => Ok(()),
        }
    }
}

/// A server, its world, and a first client.
pub struct TestServer {
    /// The server.
    pub server: Server,
    /// Its world.
    pub world: Rc<RefCell<World>>,
    client: Token,
    /// What the loop would have been told to do.
    pub actions: Actions,
    /// What clients that were closed had been sent.
    last_words: Vec<(Token, Vec<u8>)>,
}

/// The bytes a client was sent.
#[derive(PartialEq, Eq, Debug)]
pub struct Answer(pub String);

impl Answer {
    /// Asserts the reply: lines joined by a space, as `+OK` or `$3 abc`.
    #[track_caller]
    pub fn is(&self, expected: &str) {
        assert_eq!(self.0, expected);
    }

    /// Asserts how the reply begins.
    #[track_caller]
    pub fn starts(&self, expected: &str) {
        assert!(self.0.starts_with(expected), "{:?} does not start with {expected:?}", self.0);
    }
}

impl Default for TestServer {
    fn default() -> Self {
        Self::new()
    }
}

impl TestServer {
    /// A server with default configuration and one client.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// A server whose configuration was changed.
    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::on_disk(&MemoryDisk::default(), change)
    }

    /// A server whose configuration was changed, on a disk that may hold files already.
    pub fn on_disk(disk: &MemoryDisk, change: impl FnOnce(&mut Config)) -> Self {
        let world = Rc::new(RefCell::new(World { disk: disk.clone(), ..World::default() }));
        world.borrow_mut().now = Now { unix_us: 1_700_000_000_000_000, monotonic_us: 1_000_000 };
        let mut config = Config::default();
        change(&mut config);
        let server = Server::new(config, Box::new(TestEnvironment(world.clone())))
            .expect("a valid configuration");
        let mut redis = Self {
            server,
            world,
            client: Token(0),
            actions: Actions::default(),
            last_words: Vec::new(),
        };
        redis.client = redis.connect();
        redis
    }

    /// Connects one more client.
    pub fn connect(&mut self) -> Token {
        let peer = Peer {
            address: "127.0.0.1:50000".into(),
            local_address: "127.0.0.1:6379".into(),
            fd: 8,
            is_unix: false,
            is_loopback: true,
        };
        self.server.connected(peer).expect("the server has room")
    }

    /// Runs a command line, words split at spaces (`""` is the empty word), as the first client.
    pub fn run(&mut self, line: &str) -> Answer {
        self.run_as(self.client, line)
    }

    /// Runs a command line as any client.
    pub fn run_as(&mut self, client: Token, line: &str) -> Answer {
        let words: Vec<&[u8]> = line
            .split(' ')
            .map(|word| if word == "\"\"" { b"" } else { word.as_bytes() })
            .collect();
        self.send(client, &words)
    }

    /// Runs a command of any bytes as the first client.
    pub fn run_bytes(&mut self, words: &[&[u8]]) -> Answer {
        self.send(self.client, words)
    }

    fn send(&mut self, client: Token, words: &[&[u8]]) -> Answer {
        let mut request = Vec::new();
        write_request(&mut request, words.iter().copied());
        self.receive(client, &request)
    }

    /// Gives raw bytes to the server, takes a whole turn, returns what the client was sent.
    pub fn receive(&mut self, client: Token, bytes: &[u8]) -> Answer {
        let now = self.world.borrow().now;
        self.server.begin_turn(now, &LoopStats::default());
        self.server.received(client, bytes);
        self.end_turn();
        self.take(client)
    }

    /// As `receive`, with the bytes as they are.
    pub fn receive_bytes(&mut self, client: Token, bytes: &[u8]) -> Vec<u8> {
        let now = self.world.borrow().now;
        self.server.begin_turn(now, &LoopStats::default());
        self.server.received(client, bytes);
        self.end_turn();
        self.sent(client)
    }

    /// What a client was sent since the last look.
    pub fn take(&mut self, client: Token) -> Answer {
        let bytes = match self.last_words.iter().position(|(token, _)| *token == client) {
            Some(index) => self.last_words.swap_remove(index).1,
            None => self.sent(client),
        };
        let text = String::from_utf8_lossy(&bytes).replace("\r\n", " ");
        Answer(text.trim_end_matches(' ').to_string())
    }

    /// The bytes a client was sent since the last look.
    pub fn sent(&mut self, client: Token) -> Vec<u8> {
        let Some(output) = self.server.output(client) else { return Vec::new() };
        let mut bytes = output.to_vec();
        bytes.truncate(output.open_len()); // what waits for the log stays
        output.consume(bytes.len());
        self.server.written(client, bytes.len());
        bytes
    }

    /// Whether the server still has this client.
    pub fn is_connected(&mut self, client: Token) -> bool {
        self.server.output(client).is_some()
    }

    /// A connection that the server wanted is made, in a turn of its own.
    pub fn establish(&mut self, token: Token) -> Vec<u8> {
        let now = self.world.borrow().now;
        self.server.begin_turn(now, &LoopStats::default());
        self.server.established(token, Peer { fd: 9, ..Peer::none() });
        self.end_turn();
        self.sent(token)
    }

    /// A connection has ended; then comes a turn in which nobody sends anything.
    pub fn lose(&mut self, token: Token, why: Disconnect) {
        self.server.disconnected(token, why);
        self.advance_ms(0);
    }

    fn end_turn(&mut self) {
        self.server.run_timers();
        let mut actions = Actions::default();
        self.server.end_turn(&mut actions);
        for &(token, how) in &actions.close {
            if how == Close::AfterWrite {
                let words = self.sent(token);
                self.last_words.push((token, words));
            }
            self.server.disconnected(token, Disconnect::Requested);
        }
        self.actions = actions;
    }

    /// Lets time pass, and takes a turn in which nobody sends anything.
    pub fn advance_ms(&mut self, ms: u64) {
        {
            let mut world = self.world.borrow_mut();
            world.now.unix_us += ms * 1000;
            world.now.monotonic_us += ms * 1000;
        }
        let now = self.world.borrow().now;
        self.server.begin_turn(now, &LoopStats::default());
        self.end_turn();
    }
}
