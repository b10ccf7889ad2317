//! Pipelines of requests from a seed, with the replies they must get. Every client has keys and values of its own, so a reply
//! that belongs to another client, or to another request, is found out.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::connection::encode;

/// A generator of numbers: SplitMix64.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// A fixed seed and a fresh one, or the one that is to be replayed. They are printed: a failing test shows its output.
pub fn seeds() -> Vec<u64> {
    let seeds = match std::env::var("MINI_REDIS_PROXY_SEED") {
        Ok(seed) => vec![seed.parse().expect("MINI_REDIS_PROXY_SEED is a number")],
        Err(_) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
            vec![7015, now.as_nanos() as u64]
        }
    };
    println!("MINI_REDIS_PROXY_SEED one of {seeds:?}");
    seeds
}

/// What a client asks, and what it should be told.
#[derive(Default)]
pub struct Pipeline {
    pub requests: Vec<u8>,
    pub replies: Vec<Vec<u8>>,
}

/// A client with its own keys, and what they hold.
pub struct Model {
    name: String,
    random: Random,
    values: HashMap<String, String>,
    written: u64,
}

impl Model {
    pub fn new(name: &str, seed: u64) -> Self {
        Self {
            name: name.to_owned(),
            random: Random::new(seed),
            values: HashMap::new(),
            written: 0,
        }
    }

    /// The next `count` requests.
    pub fn pipeline(&mut self, count: usize) -> Pipeline {
        let mut pipeline = Pipeline::default();
        for _ in 0..count {
            let (words, reply) = self.request();
            let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
            pipeline.requests.extend_from_slice(&encode(&words));
            pipeline.replies.push(reply.into_bytes());
        }
        pipeline
    }

    fn key(&mut self) -> String {
        format!("{}:{}", self.name, self.random.below(40))
    }

    /// A value that nobody else has: of the sizes that matter to buffers, now and then a large one.
    fn value(&mut self) -> String {
        self.written += 1;
        let len = match self.random.below(60) {
            0 => 40_000 + self.random.below(100_000),
            1..5 => self.random.below(5_000),
            _ => self.random.below(40),
        };
        format!("{}/{}/{}", self.name, self.written, "v".repeat(len as usize))
    }

    fn request(&mut self) -> (Vec<String>, String) {
        match self.random.below(10) {
            0..4 => {
                let key = self.key();
                let reply = bulk(self.values.get(&key));
                (words(&["GET", &key]), reply)
            }
            4..7 => {
                let (key, value) = (self.key(), self.value());
                let request = words(&["SET", &key, &value]);
                self.values.insert(key, value);
                (request, "+OK\r\n".to_owned())
            }
            7 => self.many_get(),
            8 => self.many_set(),
            _ => {
                let keys: Vec<String> = (0..3).map(|_| self.key()).collect();
                let deleted = keys.iter().filter(|key| self.values.remove(*key).is_some()).count();
                ([words(&["DEL"]), keys].concat(), format!(":{deleted}\r\n"))
            }
        }
    }

    fn many_get(&mut self) -> (Vec<String>, String) {
        let keys: Vec<String> = (0..=self.random.below(8)).map(|_| self.key()).collect();
        let mut reply = format!("*{}\r\n", keys.len());
        for key in &keys {
            reply.push_str(&bulk(self.values.get(key)));
        }
        ([words(&["MGET"]), keys].concat(), reply)
    }

    fn many_set(&mut self) -> (Vec<String>, String) {
        let mut request = words(&["MSET"]);
        for _ in 0..=self.random.below(5) {
            let (key, value) = (self.key(), self.value());
            request.extend([key.clone(), value.clone()]);
            self.values.insert(key, value);
        }
        (request, "+OK\r\n".to_owned())
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn bulk(value: Option<&String>) -> String {
    let mut reply = String::new();
    match value {
        Some(value) => write!(reply, "${}\r\n{value}\r\n", value.len()),
        None => write!(reply, "$-1\r\n"),
    }
    .expect("writing to a string succeeds");
    reply
}
