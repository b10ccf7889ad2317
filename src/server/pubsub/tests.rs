//! Many clients at random beside a plain model, and what becomes of subscribers that do not keep up.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::Kind;
use crate::config::OutputLimit;
use crate::glob;
use crate::net::Token;
use crate::server::testing::TestServer;

const CHANNELS: [&str; 6] = ["a", "ab", "abc", "b", "bc", "c"];
const PATTERNS: [&str; 7] = ["*", "a*", "ab*", "[ab]*", "?", "*c", "abc"];

/// What a client of the model is subscribed to, and what it has yet to get: the messages of each publication, as a set.
#[derive(Default)]
struct Listener {
    names: [BTreeSet<&'static str>; 3],
    due: Vec<BTreeSet<String>>,
}

impl Listener {
    fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::ShardChannel => self.names[2].len(),
            _ => self.names[0].len() + self.names[1].len(),
        }
    }

    /// Notes the messages that a publication means for this client; says how many.
    fn expect(&mut self, shard: bool, channel: &str, message: &str) -> usize {
        let mut messages = BTreeSet::new();
        let kind = if shard { Kind::ShardChannel } else { Kind::Channel };
        if self.names[kind as usize].contains(channel) {
            let word = if shard { "smessage" } else { "message" };
            messages.insert(format!("{word} {channel} {message}"));
        }
        let patterns = self.names[Kind::Pattern as usize].iter().filter(|_| !shard);
        for pattern in patterns.filter(|p| glob::matches(p.as_bytes(), channel.as_bytes())) {
            messages.insert(format!("pmessage {pattern} {channel} {message}"));
        }
        let len = messages.len();
        self.due.push(messages);
        len
    }

    /// Checks everything that was received, in the order of the publications.
    fn check(&mut self, received: &str, resp3: bool, seed: u64) {
        let first = if resp3 { ">" } else { "*" };
        let mut words = received.split_whitespace();
        let mut messages = Vec::new();
        while let Some(head) = words.next() {
            assert!(head.starts_with(first), "{head}, seed {seed}");
            let len: usize = head[1..].parse().unwrap();
            let strings: Vec<&str> =
                (0..len).map(|_| (words.next(), words.next()).1.unwrap()).collect();
            messages.push(strings.join(" "));
        }
        let mut messages = messages.into_iter();
        for expected in self.due.drain(..) {
            let got: BTreeSet<String> = messages.by_ref().take(expected.len()).collect();
            assert_eq!(got, expected, "seed {seed}");
        }
        assert_eq!(messages.next(), None, "seed {seed}");
    }
}

const WORDS: [(&str, &str); 3] =
    [("SUBSCRIBE", "UNSUBSCRIBE"), ("PSUBSCRIBE", "PUNSUBSCRIBE"), ("SSUBSCRIBE", "SUNSUBSCRIBE")];

struct Crowd {
    redis: TestServer,
    listeners: BTreeMap<u32, (Token, bool, Listener)>,
    random: StdRng,
    seed: u64,
    published: usize,
}

impl Crowd {
    fn new(seed: u64) -> Self {
        let mut crowd = Self {
            redis: TestServer::new(),
            listeners: BTreeMap::new(),
            random: StdRng::seed_from_u64(seed),
            seed,
            published: 0,
        };
        (0..20).for_each(|_| crowd.connect());
        crowd
    }

    fn connect(&mut self) {
        let token = self.redis.connect();
        let resp3 = self.random.random();
        if resp3 {
            self.redis.run_as(token, "HELLO 3").starts("%");
        }
        self.listeners.insert(token.0, (token, resp3, Listener::default()));
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.random.random_range(0..from.len())]
    }

    fn anyone(&mut self) -> u32 {
        let all: Vec<u32> = self.listeners.keys().copied().collect();
        self.pick(&all)
    }

    fn step(&mut self) {
        match self.random.random_range(0..20) {
            0 => self.leave(),
            1 => self.unsubscribe_from_all(),
            2..6 => self.subscribe(),
            6..9 => self.unsubscribe(),
            9..11 => self.look(),
            _ => self.publish(),
        }
    }

    fn subscribe(&mut self) {
        let (who, kind) = (self.anyone(), self.pick(&Kind::ALL));
        let name = self.name(kind);
        self.look_at(who);
        let (token, _, listener) = self.listeners.get_mut(&who).unwrap();
        listener.names[kind as usize].insert(name);
        let line = format!("{} {name}", WORDS[kind as usize].0);
        let answer = self.redis.run_as(*token, &line).0;
        assert!(answer.ends_with(&format!(" :{}", listener.count(kind))), "{answer}");
    }

    fn unsubscribe(&mut self) {
        let (who, kind) = (self.anyone(), self.pick(&Kind::ALL));
        let name = self.name(kind);
        self.look_at(who);
        let (token, _, listener) = self.listeners.get_mut(&who).unwrap();
        listener.names[kind as usize].remove(name);
        let line = format!("{} {name}", WORDS[kind as usize].1);
        let answer = self.redis.run_as(*token, &line).0;
        assert!(answer.ends_with(&format!(" :{}", listener.count(kind))), "{answer}");
    }

    fn unsubscribe_from_all(&mut self) {
        let (who, kind) = (self.anyone(), self.pick(&Kind::ALL));
        self.look_at(who);
        let (token, _, listener) = self.listeners.get_mut(&who).unwrap();
        listener.names[kind as usize].clear();
        let answer = self.redis.run_as(*token, WORDS[kind as usize].1).0;
        assert!(answer.ends_with(&format!(" :{}", listener.count(kind))), "{answer}");
    }

    fn name(&mut self, kind: Kind) -> &'static str {
        if kind == Kind::Pattern { self.pick(&PATTERNS) } else { self.pick(&CHANNELS) }
    }

    fn leave(&mut self) {
        let who = self.anyone();
        let (token, ..) = self.listeners.remove(&who).unwrap();
        if self.random.random() {
            self.redis.run_as(token, "QUIT");
        } else {
            self.redis.server.state.close_now(token);
            self.redis.advance_ms(0);
        }
        self.connect();
    }

    fn publish(&mut self) {
        let (channel, shard) = (self.pick(&CHANNELS), self.random.random());
        self.published += 1;
        let message = format!("m{}", self.published);
        let listeners = self.listeners.values_mut();
        let receivers: usize =
            listeners.map(|(.., listener)| listener.expect(shard, channel, &message)).sum();
        let word = if shard { "SPUBLISH" } else { "PUBLISH" };
        let answer = self.redis.run(&format!("{word} {channel} {message}")).0;
        assert_eq!(answer, format!(":{receivers}"), "seed {}", self.seed);
    }

    fn look(&mut self) {
        let who = self.anyone();
        self.look_at(who);
    }

    fn look_at(&mut self, who: u32) {
        let (token, resp3, listener) = self.listeners.get_mut(&who).unwrap();
        listener.check(&self.redis.take(*token).0, *resp3, self.seed);
    }

    /// Everyone gets what is due and leaves; nothing is left of all the subscriptions.
    fn end(mut self) {
        for channel in CHANNELS {
            let subscribed =
                |(.., listener): &&(_, _, Listener)| listener.names[0].contains(channel);
            let subscribers = self.listeners.values().filter(subscribed).count();
            let answer = self.redis.run(&format!("PUBSUB NUMSUB {channel}")).0;
            assert!(answer.ends_with(&format!(" {channel} :{subscribers}")), "{answer}");
        }
        for who in self.listeners.keys().copied().collect::<Vec<_>>() {
            self.look_at(who);
            self.redis.server.state.close_now(self.listeners[&who].0);
            self.redis.advance_ms(0);
        }
        let pubsub = &self.redis.server.state.pubsub;
        assert!(Kind::ALL.into_iter().all(|kind| pubsub.topics(kind).is_empty()));
        assert!(pubsub.patterns.matching(b"abc").is_empty());
    }
}

#[test]
fn i_pubsub_messages_arrive_in_order_once_and_without_gaps() {
    for seed in 0..30 {
        let mut crowd = Crowd::new(seed);
        (0..600).for_each(|_| crowd.step());
        assert!(crowd.published > 200);
        crowd.end();
    }
}

fn with_limit(hard_bytes: u64, soft_bytes: u64, soft_seconds: u64) -> TestServer {
    TestServer::with(|config| {
        let limit = OutputLimit { hard_bytes, soft_bytes, soft_seconds };
        config.client_output_buffer_limit.pubsub = limit;
    })
}

#[test]
fn l06_a_subscriber_that_does_not_keep_up_is_closed_and_the_publisher_goes_on() {
    let mut redis = with_limit(100_000, 0, 0);
    let (slow, quick) = (redis.connect(), redis.connect());
    for client in [slow, quick] {
        redis.run_as(client, "SUBSCRIBE c");
    }
    let line = format!("PUBLISH c {}", "x".repeat(1000));
    for number in 0..200 {
        let receivers = redis.run(&line).0;
        assert!(redis.take(quick).0.starts_with("*3 $7 message $1 c $1000 xxx"));
        let unsent = 1033 * (number + 1);
        assert_eq!(redis.is_connected(slow), unsent < 100_000, "{unsent}");
        assert_eq!(receivers, if unsent < 100_000 + 1033 { ":2" } else { ":1" });
    }
    assert_eq!(redis.server.state.stats.output_buffer_limit_disconnections, 1);
    let log = redis.world.borrow().log.join("\n");
    assert!(log.contains("flags=P "), "{log}");
    assert!(log.contains("scheduled to be closed ASAP for overcoming of output buffer limits."));
}

#[test]
fn l06_many_messages_in_one_batch_count_too() {
    let mut redis = with_limit(100_000, 0, 0);
    let slow = redis.connect();
    redis.run_as(slow, "SUBSCRIBE c");
    let publisher = redis.connect();
    let line = format!("PUBLISH c {}\r\n", "x".repeat(1000));
    let answers = redis.receive(publisher, line.repeat(200).as_bytes()).0;
    assert!(!redis.is_connected(slow));
    assert_eq!(answers.matches(":1").count(), 200, "it is subscribed until the end of the turn");
}

#[test]
fn l07_the_soft_limit_needs_no_traffic() {
    let mut redis = with_limit(0, 10_000, 2);
    let slow = redis.connect();
    redis.run_as(slow, "SUBSCRIBE c");
    redis.run(&format!("PUBLISH c {}", "x".repeat(20_000))).is(":1");
    redis.advance_ms(1900);
    assert!(redis.is_connected(slow));
    redis.advance_ms(1200);
    assert!(!redis.is_connected(slow));
    redis.run("PUBLISH c m").is(":0");
}

#[test]
fn subscribers_are_listed_and_counted() {
    let mut redis = with_limit(0, 0, 0);
    let other = redis.connect();
    redis.run_as(other, "SUBSCRIBE a b");
    redis.run_as(other, "PSUBSCRIBE a*");
    redis.run_as(other, "SSUBSCRIBE a");
    redis.run("PUBLISH a m").is(":2");
    let line = redis.run("CLIENT LIST TYPE pubsub").0;
    assert!(line.contains(" flags=P db=0 sub=2 psub=1 ssub=1 multi=-1 "), "{line}");
    assert!(line.contains(" pushes=2"), "{line}");
    redis.take(other);
    assert!(redis.run("CLIENT LIST TYPE pubsub").0.contains(" pushes=0"));
    redis.run("CLIENT KILL TYPE pubsub").is(":1");
    redis.run("PUBLISH a m").is(":0");
}

#[test]
fn a_subscriber_is_never_idle() {
    let mut redis = TestServer::with(|config| config.timeout = 1);
    let (idle, subscriber) = (redis.connect(), redis.connect());
    redis.run_as(subscriber, "SUBSCRIBE a");
    redis.advance_ms(3000);
    redis.advance_ms(3000);
    assert!(!redis.is_connected(idle));
    assert!(redis.is_connected(subscriber));
}

#[test]
fn a_long_message_is_shared_between_subscribers() {
    let mut redis = TestServer::new();
    let subscribers: Vec<Token> = (0..10).map(|_| redis.connect()).collect();
    for (number, &client) in subscribers.iter().enumerate() {
        if number % 2 == 0 {
            redis.run_as(client, "HELLO 3");
        }
        redis.run_as(client, "SUBSCRIBE c");
    }
    let message = "x".repeat(100_000);
    redis.run(&format!("PUBLISH c {message}")).is(":10");
    let pieces: BTreeSet<*const u8> = subscribers
        .iter()
        .map(|&client| {
            let mut slices = [std::io::IoSlice::new(&[]); 4];
            let output = &redis.server.state.clients.get(client).output;
            assert_eq!(output.slices(&mut slices, usize::MAX), 2);
            slices[1].as_ptr()
        })
        .collect();
    assert_eq!(pieces.len(), 1);
    for (number, &client) in subscribers.iter().enumerate() {
        let first = if number % 2 == 0 { '>' } else { '*' };
        redis.take(client).is(&format!("{first}3 $7 message $1 c $100000 {message}"));
    }
}

#[test]
fn l20_leaving_a_hundred_thousand_channels_with_many_subscribers_is_linear() {
    let mut redis = with_limit(0, 0, 0);
    let clients: Vec<Token> = (0..3).map(|_| redis.connect()).collect();
    let words: Vec<Vec<u8>> =
        (0..100_000).map(|number| format!("channel:{number}").into_bytes()).collect();
    for &client in &clients {
        for words in words.chunks(1000) {
            for word in words {
                redis.server.state.subscribe(client, Kind::Channel, word);
                redis.server.state.subscribe(client, Kind::Pattern, word);
            }
        }
    }
    let started = std::time::Instant::now();
    redis.run_as(clients[0], "UNSUBSCRIBE");
    redis.run_as(clients[0], "PUNSUBSCRIBE");
    redis.server.state.close_now(clients[1]);
    redis.run_as(clients[2], "RESET");
    assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(Kind::ALL.into_iter().all(|kind| redis.server.state.pubsub.topics(kind).is_empty()));
}
