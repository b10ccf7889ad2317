//! X01, X16, I-reply and I-iso: many clients, sizes and pieces at random, nodes that answer in their own order and die now and
//! then. Each client checks that it gets one reply per request, in order, and only its own.

use std::collections::VecDeque;

use super::*;
use crate::net::Token;
use crate::resp::{ReplyReader, Value, write_request};

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// A client of the model, and what it waits for: the tags of each request's values.
struct Asker {
    token: Token,
    name: usize,
    asked: usize,
    waits: VecDeque<Vec<String>>,
    received: Vec<u8>,
}

/// A value that tells whose request it answers: the node repeats the key, and more or less after it.
fn value_of(key: &[u8], random: usize) -> Vec<u8> {
    let len = [0, 10, 1_000, 30_000][random % 4];
    [key, b"|", &vec![b'x'; len]].concat()
}

fn bulk(value: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat()
}

fn node_answer(request: &[Vec<u8>], random: usize) -> Vec<u8> {
    match request[0].as_slice() {
        b"MGET" => {
            let head = format!("*{}\r\n", request.len() - 1).into_bytes();
            request[1..].iter().fold(head, |mut reply, key| {
                reply.extend(bulk(&value_of(key, random)));
                reply
            })
        }
        _ => bulk(&value_of(&request[1], random)),
    }
}

fn ask(proxy: &mut TestProxy, asker: &mut Asker, random: &mut Random) {
    let mut bytes = Vec::new();
    for _ in 0..=random.below(5) {
        let keys: Vec<String> = (0..=[0, 0, 0, 6][random.below(4)])
            .map(|key| format!("{}:{}:{key}:{}", asker.name, asker.asked, random.below(1000)))
            .collect();
        asker.asked += 1;
        let name: &str = match keys.len() {
            1 if random.below(2) == 0 => "GET",
            1 => "GETDEL",
            _ => "MGET",
        };
        let words = std::iter::once(name).chain(keys.iter().map(String::as_str));
        write_request(&mut bytes, words.map(str::as_bytes).collect::<Vec<_>>().into_iter());
        asker.waits.push_back(keys);
    }
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at((1 + random.below(200)).min(rest.len()));
        proxy.send(asker.token, piece);
        rest = tail;
    }
}

/// Looks at all that a client was sent: how many replies were errors.
fn check(proxy: &mut TestProxy, asker: &mut Asker) -> usize {
    asker.received.extend(proxy.take_bytes(asker.token));
    let mut errors = 0;
    loop {
        let mut reader = ReplyReader::default();
        let Some((reply, len)) = reader.read(&asker.received).expect("a well-formed reply") else {
            return errors;
        };
        asker.received.drain(..len);
        let keys = asker.waits.pop_front().expect("no more replies than requests");
        let values = match reply {
            Value::Error(text) => {
                assert!(text.starts_with(b"ERR node") || text.starts_with(b"CLUSTERDOWN"));
                errors += 1;
                continue;
            }
            Value::Array(values) => values,
            value => vec![value],
        };
        assert_eq!(values.len(), keys.len());
        for (value, key) in values.iter().zip(&keys) {
            let bytes = value.as_bytes().expect("a string");
            assert!(
                bytes.starts_with(format!("{key}|").as_bytes()),
                "client {} got another's value",
                asker.name
            );
        }
    }
}

fn play(seed: u64, deaths: bool) -> usize {
    let mut random = Random(seed);
    let mut proxy = TestProxy::with(|options| options.connections = 1 + (seed % 3) as u32);
    let mut askers: Vec<Asker> = (0..6)
        .map(|name| Asker {
            token: proxy.connect(),
            name,
            asked: 0,
            waits: VecDeque::new(),
            received: Vec::new(),
        })
        .collect();
    let (mut errors, mut names) = (0, askers.len());
    for step in 0..400 {
        let at = random.below(askers.len());
        match random.below(10) {
            0..5 if step < 350 => ask(&mut proxy, &mut askers[at], &mut random),
            5 if deaths && step < 350 && random.below(5) == 0 => {
                proxy.kill(1 + random.below(3) as u16);
                proxy.advance_ms(20);
            }
            6 if step < 350 && random.below(8) == 0 => {
                proxy.leave(askers[at].token); // with requests under way
                let token = proxy.connect();
                askers[at] = Asker {
                    token,
                    name: names,
                    asked: 0,
                    waits: VecDeque::new(),
                    received: Vec::new(),
                };
                names += 1;
            }
            _ => answer_some(&mut proxy, &mut random),
        }
        errors += check(&mut proxy, &mut askers[at]);
    }
    while (1..=3).any(|port| !proxy.links_to(port).is_empty()) {
        answer_some(&mut proxy, &mut random);
    }
    for asker in &mut askers {
        errors += check(&mut proxy, asker);
        assert!(asker.waits.is_empty(), "client {} misses replies", asker.name);
        assert!(asker.received.is_empty());
    }
    errors
}

/// A node answers some requests of one of its links, in pieces.
fn answer_some(proxy: &mut TestProxy, random: &mut Random) {
    let links: Vec<Token> = (1..=3).flat_map(|port| proxy.links_to(port)).collect();
    if links.is_empty() {
        return;
    }
    let link = links[random.below(links.len())];
    let mut bytes = Vec::new();
    for _ in 0..=random.below(6).min(proxy.waiting(link).len() - 1) {
        let (size, request) = (random.below(16).saturating_sub(12), proxy.take_request(link));
        bytes.extend(node_answer(&request, size));
    }
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let size =
            if random.below(3) == 0 { 1 + random.below(20) } else { 1 + random.below(40_000) };
        let (piece, tail) = rest.split_at(size.min(rest.len()));
        proxy.node_sends(link, piece);
        rest = tail;
    }
}

#[test]
fn x01_i_iso_every_client_gets_its_own_replies_in_order() {
    for seed in 0..20 {
        assert_eq!(play(seed, false), 0, "seed {seed}");
    }
}

#[test]
fn x02_i_iso_also_when_nodes_die() {
    let errors: usize = (100..120).map(|seed| play(seed, true)).sum();
    assert!(errors > 0, "nobody has died in time");
}
