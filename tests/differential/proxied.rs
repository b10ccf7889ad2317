//! The same streams through the proxy: behind it a cluster of three Redis servers, beside it a cluster of one to compare with. All
//! keys get one hash tag, because commands with keys of several slots are what a cluster has to refuse, and the proxy need not.
//!
//! Left out is what is about one server or one connection: the proxy refuses it, or answers for itself.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use crate::peer::Peer;
use crate::session::{Answer, Connection, Session};
use crate::step::{Step, is_word};
use crate::{CASES_DEFAULT, Pair, groups, number, reference, search, seeds, vocabulary};

/// Every this many streams of a run without the proxy there is one with it: they go through more processes.
const FEWER: u32 = 10;
/// What follows from keys and values alone.
const GROUPS: &[&str] = &["string", "generic", "list", "hash", "set", "sorted_set", "transactions"];
/// Commands that are about one server: its databases, its cursors, its objects as they lie in memory.
const LEFT_OUT: &[&str] =
    &["SCAN", "SWAPDB", "SELECT", "MOVE", "WAIT", "DEBUG", "CLIENT", "OBJECT", "SORT", "SORT_RO"];

#[test]
fn p30_random_streams_get_the_replies_of_redis_7_0_through_the_proxy() {
    let Some(program) = reference() else { return };
    let nodes = cluster(&program, &["node 1", "node 2", "node 3"]);
    let addresses: Vec<String> = nodes.iter().map(|node| node.address().to_string()).collect();
    let proxy = env!("CARGO_BIN_EXE_proxy");
    // A key without the tag is refused by the cluster that we compare with.
    let flags = ["--nodes", &addresses.join(","), "--cross-slot", "no"];
    let proxy = Peer::start_plain("proxy", proxy, &flags);
    let alone = cluster(&program, &["alone"]).remove(0);
    let pair = RefCell::new(Pair {
        reference: Session::new(alone),
        ours: Session::new(proxy.unwrap_or_else(|error| panic!("{error}"))),
        groups: GROUPS.iter().map(|name| groups::find(name)).collect(),
        proxied: true,
    });
    let cases = number("MINI_REDIS_DIFF_CASES")
        .map_or(CASES_DEFAULT, |cases| cases.try_into().unwrap_or(u32::MAX))
        / FEWER;
    for seed in seeds() {
        println!("{cases} streams from MINI_REDIS_DIFF_SEED={seed}");
        if let Err(failure) = search(seed, cases, &pair) {
            panic!("{}replay with MINI_REDIS_DIFF_SEED={seed}", failure.report);
        }
    }
}

/// Masters that share the slots.
fn cluster(program: &str, names: &[&'static str]) -> Vec<Peer> {
    let start = |name: &&'static str| {
        let bus = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let bus = bus.expect("a port is free").port().to_string();
        let flags = ["--cluster-enabled", "yes", "--cluster-port", &bus];
        (Peer::start(name, program, &flags).unwrap_or_else(|error| panic!("{error}")), bus)
    };
    let (mut nodes, buses): (Vec<Peer>, Vec<String>) = names.iter().map(start).unzip();
    let count = nodes.len();
    let mut connections: Vec<Connection> = nodes
        .iter_mut()
        .map(|node| node.connect().and_then(Connection::new).expect("it answered a moment ago"))
        .collect();
    for (index, connection) in connections.iter_mut().enumerate() {
        let (first, end) = (16_384 * index / count, 16_384 * (index + 1) / count);
        ask(connection, &format!("CLUSTER ADDSLOTSRANGE {first} {}", end - 1));
    }
    for (node, bus) in nodes.iter().zip(&buses).skip(1) {
        let port = node.address().port();
        ask(&mut connections[0], &format!("CLUSTER MEET 127.0.0.1 {port} {bus}"));
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    for connection in &mut connections {
        while !ask(connection, "CLUSTER INFO").contains("cluster_state:ok") {
            assert!(Instant::now() < deadline, "the cluster is not whole");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    nodes
}

fn ask(connection: &mut Connection, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let reply = connection.request(&Step::command(&words)).expect("it answers");
    assert!(!reply.is_error(), "{line}: {reply}");
    String::from_utf8_lossy(reply.text().unwrap_or_default()).into_owned()
}

/// Commands that go to all nodes, or to none, and so do not fit between MULTI and EXEC.
const NOT_IN_MULTI: &[&str] = &[
    "DBSIZE",
    "KEYS",
    "RANDOMKEY",
    "FLUSHALL",
    "FLUSHDB",
    "PING",
    "ECHO",
    "TIME",
    "PUBLISH",
    "HELLO",
];

/// The steps that make sense here, all keys with a hash tag.
pub fn changed(steps: Vec<Step>) -> Vec<Step> {
    let mut in_multi = false;
    let mut makes_sense = |step: &Step| {
        let Step::Command(args) = step else { return true };
        let is_one_of = |names: &[&str]| names.iter().any(|name| is_word(args, 0, name));
        let is_alone = args.len() == 1; // with anything more it is refused
        let ends = is_alone && is_one_of(&["EXEC", "DISCARD", "RESET"]);
        in_multi = !ends && (in_multi || is_alone && is_one_of(&["MULTI"]));
        !(is_one_of(LEFT_OUT) || in_multi && is_one_of(NOT_IN_MULTI))
    };
    steps.into_iter().filter(|step| makes_sense(step)).map(tagged).collect()
}

/// Whether the cluster refuses a request for its keys, and the proxy for whatever it has found first.
pub fn both_refuse(reference: &Answer, ours: &Answer) -> bool {
    match (reference, ours) {
        (Answer::Reply(reference), Answer::Reply(ours)) => {
            let text = reference.text().unwrap_or_default();
            reference.is_error() && text.starts_with(b"CROSSSLOT") && ours.is_error()
        }
        _ => false,
    }
}

/// What is spelled like a key becomes one with a hash tag, values as well: both servers get the same.
fn tagged(step: Step) -> Step {
    let Step::Command(mut args) = step else { return step };
    for arg in args.iter_mut().skip(1) {
        if vocabulary::KEYS.contains(&arg.as_slice()) || *arg == vocabulary::HUGE_KEY {
            *arg = [b"{t}".as_slice(), arg].concat();
        }
    }
    Step::Command(args)
}
