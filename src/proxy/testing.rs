//! A proxy without a socket, in front of nodes that a test plays: it sees what each node is sent and says what it answers.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::rc::Rc;

use super::address::Address;
use super::options::Options;
use super::{Environment, Proxy};
use crate::clock::Now;
use crate::log::Level;
use crate::net::{Actions, Close, Disconnect, LoopStats, OutputBuffer, Peer, Service, Token};
use crate::resp::{Batch, Limits, RequestParser, write_request};
use crate::server::ProcessFacts;

/// What the test holds of the environment.
#[derive(Default)]
pub(super) struct World {
    pub log: Vec<String>,
    pub random: u64,
    pub resolved: VecDeque<(u64, io::Result<Vec<SocketAddr>>)>,
}

struct TestEnvironment(Rc<RefCell<World>>);

impl Environment for TestEnvironment {
    fn random(&mut self) -> u64 {
        let mut world = self.0.borrow_mut();
        world.random = world.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        world.random >> 7
    }

    fn log(&mut self, _: Level, message: fmt::Arguments<'_>) {
        self.0.borrow_mut().log.push(message.to_string());
    }

    fn resolve(&mut self, number: u64, _: &str, port: u16) {
        let address = SocketAddr::from(([10, 0, 0, 1], port));
        self.0.borrow_mut().resolved.push_back((number, Ok(vec![address])));
    }

    fn resolved(&mut self) -> Option<(u64, io::Result<Vec<SocketAddr>>)> {
        self.0.borrow_mut().resolved.pop_front()
    }

    fn process(&mut self) -> ProcessFacts {
        ProcessFacts::default()
    }

    fn set_log_level(&mut self, _: Level) {}

    fn reload_nodes(&mut self) -> Option<Result<Vec<Address>, String>> {
        None
    }
}

/// How a node behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mood {
    /// It connects, and answers greetings and questions for the topology by itself.
    Well,
    /// It refuses connections.
    Refusing,
    /// It connects and says nothing.
    Silent,
}

/// A connection to a node, as the node sees it.
#[derive(Default)]
struct NodeEnd {
    port: u16,
    buffer: Vec<u8>,
    parser: RequestParser,
    /// Requests that are not answered.
    requests: VecDeque<Vec<Vec<u8>>>,
    paused: bool,
}

/// A proxy, its clients and its nodes.
pub(super) struct TestProxy {
    pub proxy: Proxy,
    pub now: Now,
    clients: BTreeMap<u32, Vec<u8>>,
    links: BTreeMap<u32, NodeEnd>,
    moods: BTreeMap<u16, Mood>,
    /// Every request of a client that a node was sent: port and words.
    pub seen: Vec<(u16, String)>,
    first: Token,
    /// What nodes answer to `CLUSTER SLOTS`; none: they are no cluster.
    pub cluster_slots: Option<String>,
}

impl TestProxy {
    /// In front of three plain servers with ports 1, 2 and 3.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// The same with other options.
    pub fn with(change: impl FnOnce(&mut Options)) -> Self {
        let nodes = (1..=3).map(|port| Address::new("127.0.0.1", port).unwrap()).collect();
        let mut options = Options { nodes, ..Options::default() };
        change(&mut options);
        Self::of(options, None)
    }

    /// In front of a cluster that answers `CLUSTER SLOTS` with this.
    pub fn of_cluster(cluster_slots: &str) -> Self {
        let nodes = vec![Address::new("127.0.0.1", 1).unwrap()];
        let options = Options { nodes, ..Options::default() };
        Self::of(options, Some(cluster_slots.replace(' ', "\r\n") + "\r\n"))
    }

    fn of(options: Options, cluster_slots: Option<String>) -> Self {
        let world = Rc::new(RefCell::new(World::default()));
        let now = Now { unix_us: 1_700_000_000_000_000, monotonic_us: 5_000_000 };
        let proxy = Proxy::new(options, Box::new(TestEnvironment(Rc::clone(&world))), now);
        let mut test = Self {
            proxy,
            now,
            clients: BTreeMap::new(),
            links: BTreeMap::new(),
            moods: BTreeMap::new(),
            seen: Vec::new(),
            first: Token(0),
            cluster_slots,
        };
        test.first = test.connect();
        test.turn();
        test
    }

    /// Another client.
    pub fn connect(&mut self) -> Token {
        self.proxy.begin_turn(self.now, &LoopStats::default());
        let token = self.proxy.connected(Peer::none()).expect("room for a client");
        self.clients.insert(token.0, Vec::new());
        token
    }

    /// How the node with that port behaves from now on.
    pub fn mood(&mut self, port: u16, mood: Mood) {
        self.moods.insert(port, mood);
    }

    fn mood_of(&self, port: u16) -> Mood {
        self.moods.get(&port).copied().unwrap_or(Mood::Well)
    }

    /// Time passes; timers run.
    pub fn advance_ms(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(20) {
            let step_us = 20_000;
            self.now.monotonic_us += step_us;
            self.now.unix_us += step_us;
            self.turn();
        }
    }

    /// Turns until nothing more happens.
    pub fn turn(&mut self) {
        for _ in 0..100 {
            self.proxy.begin_turn(self.now, &LoopStats::default());
            self.proxy.run_timers();
            let mut actions = Actions::default();
            self.proxy.end_turn(&mut actions);
            if !self.act(actions) {
                return;
            }
        }
        panic!("the proxy does not come to rest");
    }

    /// Does what the proxy wants. Whether there was something.
    fn act(&mut self, actions: Actions) -> bool {
        let is_idle = actions.write.is_empty()
            && actions.close.is_empty()
            && actions.connect.is_empty()
            && actions.resume_reading.is_empty();
        for token in &actions.write {
            self.take_output(*token);
        }
        for (token, close) in actions.close {
            if close == Close::AfterWrite {
                self.take_output(token);
            }
            let known = self.links.remove(&token.0).is_some() | self.clients_left(token);
            if known {
                self.proxy.disconnected(token, Disconnect::Requested);
            }
        }
        for connect in actions.connect {
            let port = connect.address.port();
            if self.mood_of(port) == Mood::Refusing {
                let error = io::Error::from_raw_os_error(111);
                self.proxy.disconnected(connect.token, Disconnect::Failed(error));
                continue;
            }
            self.links.insert(connect.token.0, NodeEnd { port, ..NodeEnd::default() });
            self.proxy.established(connect.token, Peer::none());
        }
        for token in actions.pause_reading {
            if let Some(link) = self.links.get_mut(&token.0) {
                link.paused = true;
            }
        }
        for token in actions.resume_reading {
            if let Some(link) = self.links.get_mut(&token.0) {
                link.paused = false;
            }
        }
        !is_idle
    }

    fn clients_left(&mut self, token: Token) -> bool {
        // What a client was sent stays, so that the test can still look at it.
        token.0.is_multiple_of(2) && self.proxy.output(token).is_some()
    }

    fn take_output(&mut self, token: Token) {
        if !self.links.contains_key(&token.0) && !self.clients.contains_key(&token.0) {
            return; // the connection is not there yet
        }
        loop {
            let Some(output) = self.proxy.output(token) else { return };
            let mut slices = [IoSlice::new(&[]); 8];
            let used = output.slices(&mut slices, usize::MAX);
            let bytes: Vec<u8> = slices[..used].iter().flat_map(|slice| slice.to_vec()).collect();
            if bytes.is_empty() {
                return;
            }
            output.consume(bytes.len());
            match self.clients.get_mut(&token.0) {
                Some(client) => client.extend(&bytes),
                None => self.node_received(token, &bytes),
            }
            self.proxy.written(token, bytes.len());
        }
    }

    /// A node reads what it was sent, and answers what is not a client's.
    fn node_received(&mut self, token: Token, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(&token.0) else { return };
        link.buffer.extend_from_slice(bytes);
        let mut batch = Batch::new();
        let parsed = link.parser.parse(&link.buffer, usize::MAX, &Limits::TRUSTED, &mut batch);
        assert_eq!(parsed.error, None, "the proxy sent what is no request");
        let requests: Vec<Vec<Vec<u8>>> = (0..batch.len())
            .map(|index| batch.args(index, &link.buffer).iter().map(<[u8]>::to_vec).collect())
            .collect();
        link.buffer.drain(..parsed.consumed);
        let port = link.port;
        let silent = self.mood_of(port) == Mood::Silent;
        for request in requests {
            let words: Vec<String> =
                request.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
            let own = match words[0].as_str() {
                "PING" | "AUTH" | "SELECT" if words.len() < 4 => Some("+OK\r\n".to_owned()),
                "HELLO" => Some("%0\r\n".to_owned()),
                "INFO" => {
                    let enabled = u8::from(self.cluster_slots.is_some());
                    Some(format!("$30\r\n# Cluster\r\ncluster_enabled:{enabled}\r\n\r\n"))
                }
                "CLUSTER" => self.cluster_slots.clone(),
                _ => None,
            };
            match own {
                Some(_) if silent => {}
                Some(reply) => self.proxy.received(token, reply.as_bytes()),
                None => {
                    self.seen.push((port, words.join(" ")));
                    if let Some(link) = self.links.get_mut(&token.0) {
                        link.requests.push_back(request);
                    }
                }
            }
        }
    }

    /// The client sends these bytes.
    pub fn send(&mut self, client: Token, bytes: &[u8]) {
        self.proxy.begin_turn(self.now, &LoopStats::default());
        self.proxy.received(client, bytes);
        self.turn();
    }

    /// The client sends these requests in one piece: words, one request per string.
    pub fn ask(&mut self, client: Token, requests: &[&str]) {
        let mut bytes = Vec::new();
        for request in requests {
            let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
            write_request(&mut bytes, words.into_iter());
        }
        self.send(client, &bytes);
    }

    /// The first client sends one request, which no node is needed for.
    pub fn run(&mut self, request: &str) -> String {
        let first = self.first;
        self.ask(first, &[request]);
        self.take(first)
    }

    /// What a client was sent since the last look, line ends as spaces.
    pub fn take(&mut self, client: Token) -> String {
        let bytes = std::mem::take(self.clients.get_mut(&client.0).expect("a client"));
        String::from_utf8_lossy(&bytes).trim_end().replace("\r\n", " ")
    }

    /// The same as bytes.
    pub fn take_bytes(&mut self, client: Token) -> Vec<u8> {
        std::mem::take(self.clients.get_mut(&client.0).expect("a client"))
    }

    /// A node takes the oldest request of a link, to answer it.
    pub fn take_request(&mut self, link: Token) -> Vec<Vec<u8>> {
        self.links.get_mut(&link.0).unwrap().requests.pop_front().unwrap()
    }

    /// The first client.
    pub fn first(&self) -> Token {
        self.first
    }

    /// Whether the proxy has not closed the connection.
    pub fn is_connected(&mut self, client: Token) -> bool {
        self.proxy.output(client).is_some()
    }

    /// The client closes its connection.
    pub fn leave(&mut self, client: Token) {
        self.proxy.begin_turn(self.now, &LoopStats::default());
        self.proxy.disconnected(client, Disconnect::PeerClosed);
        self.turn();
    }

    /// Links to a node that have unanswered requests.
    pub fn links_to(&self, port: u16) -> Vec<Token> {
        let links = self.links.iter().filter(|(_, link)| link.port == port);
        links
            .filter(|(_, link)| !link.requests.is_empty())
            .map(|(&token, _)| Token(token))
            .collect()
    }

    /// All links to a node.
    pub fn all_links_to(&self, port: u16) -> Vec<Token> {
        let links = self.links.iter().filter(|(_, link)| link.port == port);
        links.map(|(&token, _)| Token(token)).collect()
    }

    /// Whether the proxy reads nothing from a link.
    pub fn is_paused(&self, link: Token) -> bool {
        self.links[&link.0].paused
    }

    /// The unanswered requests of a link.
    pub fn waiting(&self, link: Token) -> Vec<String> {
        let words = |request: &Vec<Vec<u8>>| {
            request
                .iter()
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect::<Vec<_>>()
                .join(" ")
        };
        self.links[&link.0].requests.iter().map(words).collect()
    }

    /// The node at the other end of `link` sends these bytes.
    pub fn node_sends(&mut self, link: Token, bytes: &[u8]) {
        self.proxy.begin_turn(self.now, &LoopStats::default());
        self.proxy.received(link, bytes);
        self.turn();
    }

    /// A node answers its oldest request, on whichever link it came; returns the request.
    pub fn answer(&mut self, port: u16, reply: &str) -> String {
        let link = self.links_to(port)[0];
        let request = self.waiting(link)[0].clone();
        self.links.get_mut(&link.0).unwrap().requests.pop_front();
        self.node_sends(link, reply.as_bytes());
        request
    }

    /// The oldest request of a link is answered with what `reply` makes of its words.
    pub fn answer_link(&mut self, link: Token, reply: impl Fn(&[Vec<u8>]) -> Vec<u8>) {
        let request = self.links.get_mut(&link.0).unwrap().requests.pop_front().unwrap();
        self.node_sends(link, &reply(&request));
    }

    /// A node closes all its connections.
    pub fn kill(&mut self, port: u16) {
        self.proxy.begin_turn(self.now, &LoopStats::default());
        for link in self.all_links_to(port) {
            self.links.remove(&link.0);
            self.proxy.disconnected(link, Disconnect::PeerClosed);
        }
        self.turn();
    }
}
