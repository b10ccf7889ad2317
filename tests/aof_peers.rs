//! D38: our log is read by real servers and theirs by ours, with the same keys, values and expire times; a log that one
//! has begun and the other has continued, too. A peer that is missing is skipped with a line.

mod support;

use std::path::Path;

use support::data::{Data, log_in, with_log};
use support::keyspace::{Keyspace, fill, keyspace_of};
use support::peers::find_peer;
use support::{Raw, TestServer, skipped, works};

struct PeerKind {
    program: &'static str,
    /// What it says of its version.
    version: &'static str,
    check: &'static str,
}

const REDIS_7: PeerKind =
    PeerKind { program: "redis-server", version: "v=7.0.", check: "redis-check-aof" };
const REDIS_8: PeerKind =
    PeerKind { program: "redis8-server", version: "v=8.", check: "redis8-check-aof" };
const VALKEY_9: PeerKind =
    PeerKind { program: "valkey-server", version: "v=9.", check: "valkey-check-aof" };

impl PeerKind {
    /// The program, if it is there; else says so.
    fn find(&self, test: &str) -> Option<String> {
        let program = find_peer(self.program, self.version);
        if program.is_none() {
            skipped(test, &format!("{} ({}) is not there", self.program, self.version));
        }
        program
    }

    /// Asserts that its checker finds nothing wrong with a log.
    fn check(&self, folder: &Path) {
        let base = std::fs::read(folder.join("appendonlydir/appendonly.aof.1.base.rdb"));
        if base.is_ok_and(|base| base.starts_with(b"VALKEY")) {
            return; // valkey-check-aof 9.1 takes the base that valkey-server writes for damaged commands
        }
        let Some(program) = find_peer(self.check, "") else { return };
        let manifest = folder.join("appendonlydir/appendonly.aof.manifest");
        let manifest = manifest.to_str().expect("a name of ours");
        assert!(works(&program, &[manifest]), "{program} finds errors in {manifest}");
    }
}

fn start(program: &str, data: &Data) -> TestServer {
    TestServer::start_program(program, &[], &with_log(data.arg()))
}

fn ours() -> String {
    support::server::program()
}

/// What changes a key that is there, so that the log has more than one command about it.
fn change(client: &mut Raw, round: usize) {
    for line in [
        "INCRBYFLOAT s:8 0.1",
        "APPEND s:text more",
        "GETEX s:expires PERSIST",
        "SETRANGE s:empty 3 x",
        "PEXPIRE s:16 90000000",
        "EXPIRE s:32 0",
        "SPOP x:few",
        "LPOP l:few",
        "LMOVE l:some l:few LEFT RIGHT",
        "ZINCRBY z:few 1.5 member:0",
        "ZPOPMIN z:some 2",
        "HINCRBYFLOAT h:few member:0 0.5",
        "HDEL h:some member:0",
        "SET s:run x KEEPTTL",
        "RENAME s:mixed s:moved",
        "COPY s:moved s:mixed",
        "MOVE s:zeros 3",
    ] {
        let reply = client.run(line);
        assert!(!reply.is_error(), "{line}: {}", reply.wire());
    }
    client.run(&format!("SET round {round} EX 5000")).is("+OK");
}

/// Stops a server that has `expected` and starts `program` on its files, which must have the same.
fn hand_over(server: TestServer, program: &str, data: &Data, expected: &Keyspace) -> TestServer {
    drop(server);
    let next = start(program, data);
    let found = keyspace_of(&mut next.connect(), false);
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (key, (content, expire_at_ms)) in expected {
        let (db, name) = key;
        let name = String::from_utf8_lossy(name);
        assert_eq!(found[key].0, *content, "{name} in database {db}");
        assert_eq!(found[key].1, *expire_at_ms, "the expire time of {name} in database {db}");
    }
    next
}

/// `first` writes, `second` reads and goes on, `first` reads that.
fn goes_both_ways(kind: &PeerKind, first: &str, second: &str) {
    let data = Data::new();
    let mut server = start(first, &data);
    fill(&mut server.connect(), false);
    for (round, program) in [second, first, second].into_iter().enumerate() {
        let mut client = server.connect();
        change(&mut client, round);
        let expected = keyspace_of(&mut client, false);
        assert!(expected.len() > 20);
        server = hand_over(server, program, &data, &expected);
        kind.check(data.path());
    }
    drop(server);
    kind.check(data.path());
}

fn our_log_goes_to(kind: &PeerKind, test: &str) {
    let Some(peer) = kind.find(test) else { return };
    goes_both_ways(kind, &ours(), &peer);
}

fn their_log_comes_here(kind: &PeerKind, test: &str) {
    let Some(peer) = kind.find(test) else { return };
    goes_both_ways(kind, &peer, &ours());
}

#[test]
fn d38_our_log_in_redis_7_and_back() {
    our_log_goes_to(&REDIS_7, "d38_our_log_in_redis_7_and_back");
}

#[test]
fn d38_our_log_in_redis_8_and_back() {
    our_log_goes_to(&REDIS_8, "d38_our_log_in_redis_8_and_back");
}

#[test]
fn d38_our_log_in_valkey_9_and_back() {
    our_log_goes_to(&VALKEY_9, "d38_our_log_in_valkey_9_and_back");
}

#[test]
fn d38_the_log_of_redis_7_here_and_back() {
    their_log_comes_here(&REDIS_7, "d38_the_log_of_redis_7_here_and_back");
}

#[test]
fn d38_the_log_of_redis_8_here_and_back() {
    their_log_comes_here(&REDIS_8, "d38_the_log_of_redis_8_here_and_back");
}

#[test]
fn d38_the_log_of_valkey_9_here_and_back() {
    their_log_comes_here(&VALKEY_9, "d38_the_log_of_valkey_9_here_and_back");
}

/// The base as commands, and what has changed while it was written.
#[test]
fn d38_our_base_of_commands_in_redis_7_and_back() {
    let test = "d38_our_base_of_commands_in_redis_7_and_back";
    let Some(peer) = REDIS_7.find(test) else { return };
    let data = Data::new();
    let flags = [&with_log(data.arg())[..], &["--aof-use-rdb-preamble", "no"]].concat();
    let server = TestServer::start_program(&ours(), &[], &flags);
    let mut client = server.connect();
    fill(&mut client, false);
    client.run("BGREWRITEAOF").starts("+Background append only file rewriting started");
    change(&mut client, 0);
    support::wait_until("it is rewritten", || !log_in(data.path()).exists());
    let expected = keyspace_of(&mut client, false);
    let server = hand_over(server, &peer, &data, &expected);
    drop(hand_over(server, &ours(), &data, &expected));
    let manifest = data.path().join("appendonlydir/appendonly.aof.manifest");
    let manifest = std::fs::read_to_string(manifest).expect("it is there");
    assert!(manifest.contains("base.aof"), "{manifest}");
}

/// The commands of a rewritten log, without a snapshot in front.
#[test]
fn d38_a_log_that_redis_7_has_rewritten_as_commands_is_read() {
    let test = "d38_a_log_that_redis_7_has_rewritten_as_commands_is_read";
    let Some(peer) = REDIS_7.find(test) else { return };
    let data = Data::new();
    let flags = [&with_log(data.arg())[..], &["--aof-use-rdb-preamble", "no"]].concat();
    let server = TestServer::start_program(&peer, &[], &flags);
    let mut client = server.connect();
    fill(&mut client, false);
    client.run("BGREWRITEAOF").starts("+Background append only file rewriting started");
    support::wait_until("it is rewritten", || !log_in(data.path()).exists());
    change(&mut client, 1);
    let expected = keyspace_of(&mut client, false);
    drop(hand_over(server, &ours(), &data, &expected));
}
