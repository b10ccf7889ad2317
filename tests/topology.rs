//! R01: five servers that replicate in ever other order, under load, while their links are cut: a chain, a star, a tree,
//! with another master each time. All data is equal at equal offsets, and after the first time nobody needs a full sync.
//!
//! `MINI_REDIS_TOPOLOGY_S` says for how many seconds, `MINI_REDIS_SEED` repeats a run as far as time allows.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use support::{Raw, TestServer, holds_within};

const SERVERS: usize = 5;
/// After so long all keys that expire are gone.
const EXPIRED: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_secs(60);

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// A field of `INFO replication` or `INFO stats`.
fn field(client: &mut Raw, section: &str, name: &str) -> String {
    let info = client.run(&format!("INFO {section}")).text();
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().trim_end().to_string()
}

fn full_syncs(servers: &[TestServer]) -> u64 {
    let count = |server: &TestServer| {
        field(&mut server.connect(), "stats", "sync_full").parse::<u64>().expect("a number")
    };
    servers.iter().map(count).sum()
}

/// Writes to whoever is the master, until told to stop. Each write is one that another order would change.
struct Load {
    master_port: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<u64>>,
}

impl Load {
    fn start(master_port: u16, seed: u64) -> Load {
        let master_port = Arc::new(AtomicU64::new(master_port.into()));
        let stop = Arc::new(AtomicBool::new(false));
        let (port, stopped) = (master_port.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let (mut random, mut written) = (StdRng::seed_from_u64(seed), 0);
            let mut client: Option<(u64, Raw)> = None;
            while !stopped.load(Ordering::Relaxed) {
                let now = port.load(Ordering::Relaxed);
                if now == 0 {
                    client = None;
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                }
                if client.as_ref().is_none_or(|(port, _)| *port != now) {
                    client = Some((now, Raw::connect(([127, 0, 0, 1], now as u16).into())));
                }
                let (_, connection) = client.as_mut().expect("just made");
                let key = random.random_range(0..50);
                let number: u32 = random.random();
                let line = match random.random_range(0..8) {
                    0 => format!("APPEND s{key} {number}"),
                    1 => format!("LPUSH l{key} {number}"),
                    2 => format!("SADD set{key} {number}"),
                    3 => format!("SPOP set{key}"),
                    4 => format!("ZINCRBY z{key} {} m{}", number % 9, number % 40),
                    5 => format!("HINCRBYFLOAT h{key} f{} 0.5", number % 40),
                    6 => format!("SET e{key} {number} PX {}", 1 + number % 50),
                    _ => format!("RPOPLPUSH l{key} l{}", random.random_range(0..50)),
                };
                connection.run(&line);
                written += 1;
            }
            written
        });
        Load { master_port, stop, thread: Some(thread) }
    }

    /// Nobody is written to until the next `go_on`.
    fn pause(&self) {
        self.master_port.store(0, Ordering::Relaxed);
    }

    fn go_on(&self, port: u16) {
        self.master_port.store(port.into(), Ordering::Relaxed);
    }

    fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("it runs").join().expect("the load met no error")
    }
}

/// Makes the first server of `order` the master, and each other one a replica of one before it.
fn arrange(servers: &[TestServer], order: &[usize], random: &mut StdRng) {
    servers[order[0]].connect().run("REPLICAOF NO ONE").is("+OK");
    for place in 1..order.len() {
        let master = servers[order[random.random_range(0..place)]].port();
        servers[order[place]].connect().run(&format!("REPLICAOF 127.0.0.1 {master}")).starts("+OK");
    }
}

fn all_linked(servers: &[TestServer], master: usize) -> bool {
    servers.iter().enumerate().all(|(index, server)| {
        index == master || field(&mut server.connect(), "replication", "master_link_status") == "up"
    })
}

/// All have the master's offset, and its data. The load must be paused.
fn expect_equal(servers: &[TestServer], master: usize) {
    let mut offsets = Vec::new();
    let equal = holds_within(PATIENCE, || {
        let offset =
            |server: &TestServer| field(&mut server.connect(), "replication", "master_repl_offset");
        offsets = servers.iter().map(offset).collect();
        offsets.iter().all(|offset| *offset == offsets[master])
    });
    assert!(equal, "offsets {offsets:?}, the master is {master}");
    // What expires now is in no file and on no way: the digest leaves it out everywhere alike once it is due.
    let mut digests = Vec::new();
    let equal = holds_within(PATIENCE, || {
        digests =
            servers.iter().map(|server| server.connect().run("DEBUG DIGEST").text()).collect();
        digests.iter().all(|digest| *digest == digests[master])
    });
    assert!(equal, "digests {digests:?}, the master is {master}");
}

#[test]
fn r01_five_servers_in_any_order_need_one_full_sync_each() {
    let seed = setting("MINI_REDIS_SEED", rand::random());
    println!("MINI_REDIS_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    // A PING of the old master that the new one has not seen would be reason enough for a full sync.
    let directives = [
        ["--repl-diskless-sync-delay", "0"],
        ["--repl-backlog-size", "256mb"], // the load writes a megabyte while a cut replica waits its second
        ["--repl-ping-replica-period", "3600"],
        ["--enable-debug-command", "yes"],
    ]
    .concat();
    let servers: Vec<TestServer> = (0..SERVERS).map(|_| TestServer::start(&directives)).collect();
    let mut order: Vec<usize> = (0..SERVERS).collect();
    arrange(&servers, &order, &mut random);
    assert!(holds_within(PATIENCE, || all_linked(&servers, order[0])), "the first links");
    let load = Load::start(servers[order[0]].port(), random.random());

    let started = Instant::now();
    let mut rounds = 0;
    while started.elapsed() < Duration::from_secs(setting("MINI_REDIS_TOPOLOGY_S", 10)) {
        let until = Instant::now() + Duration::from_millis(random.random_range(100..1_000));
        while Instant::now() < until {
            let mut client = servers[random.random_range(0..SERVERS)].connect();
            client.run(
                ["CLIENT KILL TYPE master", "CLIENT KILL TYPE replica"][random.random_range(0..2)],
            );
            std::thread::sleep(Duration::from_millis(random.random_range(10..200)));
        }
        load.pause();
        std::thread::sleep(EXPIRED); // so would be the DEL of a key that expires too late
        assert!(holds_within(PATIENCE, || all_linked(&servers, order[0])), "links after cuts");
        expect_equal(&servers, order[0]);
        order.shuffle(&mut random);
        arrange(&servers, &order, &mut random);
        load.go_on(servers[order[0]].port());
        assert!(
            holds_within(PATIENCE, || all_linked(&servers, order[0])),
            "links of round {rounds}"
        );
        rounds += 1;
    }
    let written = load.end();
    assert!(holds_within(PATIENCE, || all_linked(&servers, order[0])), "links at the end");
    expect_equal(&servers, order[0]);
    println!("{rounds} topologies, {written} writes");
    assert!(rounds > 0 && written > 100, "{rounds} topologies, {written} writes");
    assert_eq!(full_syncs(&servers), SERVERS as u64 - 1, "{rounds} topologies");
}
