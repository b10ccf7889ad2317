//! How many instructions a command takes: work for `scripts/instructions.sh`, which runs one case per process under
//! callgrind, counts what happens inside `measured`, and compares with `benches/instructions.txt`.
//!
//! ```text
//! instructions --list     names of the cases
//! instructions CASE       runs one; prints how many commands were measured
//! ```
//! A count does not depend on how busy the machine is, so a rise is a change of the program.

// Not `mod support`: this program needs no criterion.
#[path = "support/requests.rs"]
mod requests;
#[allow(dead_code)]
#[path = "support/server.rs"]
mod server;

use std::process::ExitCode;

use mini_redis::net::Token;
use mini_redis::resp::{Batch, Limits, RequestParser};
use requests::{KEYS, pipeline, request};
use server::BenchServer;

/// Commands before the measured ones: caches, spare buffers and statistics are then as in a server that runs.
const WARM_UP_COMMANDS: u64 = 640;
const MEASURED_COMMANDS: u64 = 2560;
/// As many requests as the server parses before it runs them.
const BATCH_REQUESTS: usize = 32;
/// Turns that are enough to remove all keys when they are due.
const SWEEP_TURNS: usize = 200;

/// What is counted.
struct Case {
    name: &'static str,
    work: Work,
}

enum Work {
    /// Fills all keys by `keys`, then runs `line`, `depth` requests per turn.
    Run { keys: &'static str, line: &'static str, depth: u64 },
    /// Parses `line`, `depth` requests at once, and runs nothing.
    Parse { line: &'static str, depth: u64 },
    /// The same, a request of each of so many clients per turn.
    Clients { keys: &'static str, line: &'static str, clients: u64 },
    /// `MULTI`, ten times `line`, `EXEC`; `depth` such transactions per turn. Counted per transaction.
    Transaction { keys: &'static str, line: &'static str, depth: u64 },
    /// Publishes to so many subscribers, `depth` messages per turn. Counted per message and subscriber.
    Publish { subscribers: u64, depth: u64 },
    /// Fills all keys by `keys` and removes them in the background when they have expired.
    Sweep { keys: &'static str },
}

const SET: &str = "SET KEY value:00";
const MSET_10: &str = "MSET KEY v KEY v KEY v KEY v KEY v KEY v KEY v KEY v KEY v KEY v";
const VALUE_100: &str = "SET KEY vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv";

const CASES: &[Case] = &[
    parse("parse-get-64", "GET KEY", 64),
    parse("parse-set-64", SET, 64),
    parse("parse-mset-10", MSET_10, 1),
    run("ping", SET, "PING", 1),
    run("get-hit", SET, "GET KEY", 1),
    run("get-hit-16", SET, "GET KEY", 16),
    run("get-hit-64", SET, "GET KEY", 64),
    run("get-hit-100-bytes-64", VALUE_100, "GET KEY", 64),
    run("get-integer-64", "SET KEY 1000", "GET KEY", 64),
    run("get-miss", SET, "GET NEW", 1),
    run("get-miss-64", SET, "GET NEW", 64),
    run("set-new", SET, "SET NEW value:01", 1),
    run("set-new-64", SET, "SET NEW value:01", 64),
    run("set-overwrite", SET, "SET KEY value:01", 1),
    run("set-overwrite-16", SET, "SET KEY value:01", 16),
    run("set-overwrite-64", SET, "SET KEY value:01", 64),
    run("set-longer-64", SET, VALUE_100, 64),
    run("set-ex", SET, "SET KEY value:01 EX 1000", 1),
    run("set-ex-64", SET, "SET KEY value:01 EX 1000", 64),
    run("incr", "SET KEY 1000", "INCR KEY", 1),
    run("incr-64", "SET KEY 1000", "INCR KEY", 64),
    run("append", SET, "APPEND KEY x", 1),
    run("append-64", SET, "APPEND KEY x", 64),
    run("mget-10", SET, "MGET KEY KEY KEY KEY KEY KEY KEY KEY KEY KEY", 1),
    run("mset-10", SET, MSET_10, 1),
    run("del", SET, "DEL KEY", 1),
    run("del-64", SET, "DEL KEY", 64),
    run("exists-64", SET, "EXISTS KEY", 64),
    run("expire", SET, "EXPIRE KEY 1000", 1),
    run("expire-64", SET, "EXPIRE KEY 1000", 64),
    run("ttl-64", "SET KEY value:00 EX 1000", "TTL KEY", 64),
    run("scan-count-100", SET, "SCAN 0 COUNT 100", 1),
    clients("get-hit-50-clients", "GET KEY"),
    clients("set-overwrite-50-clients", "SET KEY value:01"),
    transaction("multi-set-10", "SET KEY value:01", 1),
    transaction("multi-set-10-16", "SET KEY value:01", 16),
    Case { name: "publish-1000", work: Work::Publish { subscribers: 1000, depth: 1 } },
    Case { name: "publish-1000-16", work: Work::Publish { subscribers: 1000, depth: 16 } },
    Case { name: "sweep-expired", work: Work::Sweep { keys: "SET KEY value:00 PX 1000" } },
];

const fn run(name: &'static str, keys: &'static str, line: &'static str, depth: u64) -> Case {
    Case { name, work: Work::Run { keys, line, depth } }
}

const fn clients(name: &'static str, line: &'static str) -> Case {
    Case { name, work: Work::Clients { keys: SET, line, clients: 50 } }
}

const fn transaction(name: &'static str, line: &'static str, depth: u64) -> Case {
    Case { name, work: Work::Transaction { keys: SET, line, depth } }
}

const fn parse(name: &'static str, line: &'static str, depth: u64) -> Case {
    Case { name, work: Work::Parse { line, depth } }
}

/// The only function in which callgrind collects: it knows it by its name.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
}

/// Requests from number `from` to `to`, `depth` of them per turn.
fn turns(line: &str, from: u64, to: u64, depth: u64) -> Vec<Vec<u8>> {
    (from..to).step_by(depth as usize).map(|first| pipeline(line, first, depth)).collect()
}

/// Runs requests of the form `line`. Fails with the server's own words if it refuses one.
fn count_run(keys: &str, line: &str, depth: u64) -> Result<u64, String> {
    let mut server = BenchServer::with_keys(keys);
    let last = WARM_UP_COMMANDS + MEASURED_COMMANDS;
    let warm_up = turns(line, 0, WARM_UP_COMMANDS, depth);
    let turns = turns(line, WARM_UP_COMMANDS, last, depth);
    for turn in &warm_up {
        let reply = server.ask(turn);
        if reply.starts_with(b"-") || reply.is_empty() {
            let first_line = reply.split(|&byte| byte == b'\r').next().unwrap_or_default();
            return Err(format!("{line}: {}", String::from_utf8_lossy(first_line)));
        }
    }
    let sets_ttl = [keys, line].iter().any(|line| line.contains(" EX 1000"));
    if sets_ttl && server.ask(&request("TTL KEY", 0)) != b":1000\r\n" {
        return Err(format!("{line}: the key has no TTL of 1000 seconds"));
    }
    measured(&mut || {
        for turn in &turns {
            server.turn(turn);
        }
    });
    Ok(MEASURED_COMMANDS)
}

fn count_clients(keys: &str, line: &str, clients: u64) -> u64 {
    let mut server = BenchServer::with_keys(keys);
    let tokens: Vec<Token> = (0..clients).map(|_| server.connect()).collect();
    let requests: Vec<Vec<u8>> =
        (0..WARM_UP_COMMANDS + MEASURED_COMMANDS).map(|index| request(line, index)).collect();
    let all: Vec<(Token, &[u8])> =
        tokens.iter().copied().cycle().zip(requests.iter().map(Vec::as_slice)).collect();
    let (warm_up, measured_ones) = all.split_at(WARM_UP_COMMANDS as usize);
    let mut run = |requests: &[(Token, &[u8])]| {
        for turn in requests.chunks(clients as usize) {
            assert!(server.turn_of(turn) > 0, "{line}: no reply");
        }
    };
    run(warm_up);
    measured(&mut || run(measured_ones));
    MEASURED_COMMANDS
}

fn count_transactions(keys: &str, line: &str, depth: u64) -> Result<u64, String> {
    const TRANSACTIONS: u64 = MEASURED_COMMANDS / 10;
    let mut server = BenchServer::with_keys(keys);
    let (begin, end) = (request("MULTI", 0), request("EXEC", 0));
    let transaction = |number: u64| [&begin[..], &pipeline(line, number * 10, 10), &end].concat();
    let turns: Vec<Vec<u8>> = (0..TRANSACTIONS + depth)
        .step_by(depth as usize)
        .map(|first| (first..first + depth).flat_map(transaction).collect())
        .collect();
    let reply = server.ask(&turns[0]);
    if !reply.starts_with(b"+OK\r\n+QUEUED\r\n") || reply.contains(&b'-') {
        return Err(format!("{line}: {}", String::from_utf8_lossy(&reply)));
    }
    measured(&mut || {
        for turn in &turns[1..] {
            server.turn(turn);
        }
    });
    Ok(TRANSACTIONS)
}

fn count_publish(subscribers: u64, depth: u64) -> u64 {
    const TURNS: u64 = 8;
    let mut server = BenchServer::new();
    let subscribe = request("SUBSCRIBE news", 0);
    for _ in 0..subscribers {
        let token = server.connect();
        server.turn_of(&[(token, &subscribe)]);
    }
    let message = "m".repeat(100);
    let publish = pipeline(&format!("PUBLISH news {message}"), 0, depth);
    let delivered = (subscribers * depth) as usize * message.len();
    assert!(server.turn(&publish) > delivered, "all subscribers are sent all messages");
    measured(&mut || {
        for _ in 0..TURNS {
            server.turn(&publish);
        }
    });
    TURNS * depth * subscribers
}

fn count_parse(line: &str, depth: u64) -> Result<u64, String> {
    let buffers = turns(line, 0, MEASURED_COMMANDS, depth);
    let (mut parser, mut batch, mut requests) = (RequestParser::new(), Batch::new(), 0);
    let mut parse = |buffer: &[u8]| {
        let mut rest = buffer;
        while !rest.is_empty() {
            let parsed = parser.parse(rest, BATCH_REQUESTS, &Limits::default(), &mut batch);
            requests += batch.len() as u64;
            rest = &rest[parsed.consumed..];
        }
    };
    parse(&buffers[0]); // the batch gets its memory
    measured(&mut || buffers.iter().for_each(|buffer| parse(buffer)));
    assert_eq!(requests, MEASURED_COMMANDS + depth);
    Ok(MEASURED_COMMANDS)
}

fn count_sweep(keys: &str) -> Result<u64, String> {
    let mut server = BenchServer::with_keys(keys);
    server.advance_ms(2000);
    measured(&mut || {
        for _ in 0..SWEEP_TURNS {
            server.turn(&[]);
        }
    });
    match server.expired() {
        KEYS => Ok(KEYS),
        expired => Err(format!("{keys}: {expired} of {KEYS} keys have expired")),
    }
}

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    if wanted == "--list" {
        CASES.iter().for_each(|case| println!("{}", case.name));
        return ExitCode::SUCCESS;
    }
    let Some(case) = CASES.iter().find(|case| case.name == wanted) else {
        eprintln!("no case '{wanted}'; --list shows all");
        return ExitCode::from(2);
    };
    let outcome = match case.work {
        Work::Run { keys, line, depth } => count_run(keys, line, depth),
        Work::Clients { keys, line, clients } => Ok(count_clients(keys, line, clients)),
        Work::Transaction { keys, line, depth } => count_transactions(keys, line, depth),
        Work::Publish { subscribers, depth } => Ok(count_publish(subscribers, depth)),
        Work::Parse { line, depth } => count_parse(line, depth),
        Work::Sweep { keys } => count_sweep(keys),
    };
    match outcome {
        Ok(commands) => println!("{commands}"),
        Err(refused) => {
            eprintln!("{refused}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
