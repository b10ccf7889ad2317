//! A master, and replicas that speak bytes.

mod gathering;
mod spared;
mod waiting;

use std::io::ErrorKind;

use crate::net::Token;
use crate::persistence::rdb;
use crate::persistence::testing::{Fault, MemoryDisk};
use crate::server::testing::TestServer;

/// A master whose full syncs begin at once.
fn master() -> TestServer {
    TestServer::with(|config| {
        config.repl_diskless_sync_delay = 0;
        config.appendonly = false;
    })
}

/// A replica that looks at the bytes it is sent.
struct Replica {
    token: Token,
    /// What came and was not looked at yet.
    bytes: Vec<u8>,
}

impl Replica {
    fn connect(redis: &mut TestServer) -> Self {
        Self { token: redis.connect(), bytes: Vec::new() }
    }

    /// One that knows all that today's replicas know.
    fn modern(redis: &mut TestServer) -> Self {
        let replica = Self::connect(redis);
        redis.run_as(replica.token, "REPLCONF listening-port 7001").is("+OK");
        redis.run_as(replica.token, "REPLCONF capa eof capa psync2 capa dual-channel").is("+OK");
        replica
    }

    fn send(&mut self, redis: &mut TestServer, line: &str) {
        let bytes = redis.receive_bytes(self.token, format!("{line}\r\n").as_bytes());
        self.bytes.extend(bytes);
    }

    /// Lets time pass and takes what comes.
    fn wait(&mut self, redis: &mut TestServer, ms: u64) {
        redis.advance_ms(ms);
        self.bytes.extend(redis.receive_bytes(self.token, b""));
    }

    fn line(&mut self) -> String {
        let end = memchr::memmem::find(&self.bytes, b"\r\n").expect("a line has come");
        let line = String::from_utf8(self.bytes[..end].to_vec()).unwrap();
        self.bytes.drain(..end + 2);
        line.trim_start_matches('\n').to_string()
    }

    /// Asks for all data, takes it, and says so. Returns the keys, and the history and offset that it is told.
    fn full_sync(&mut self, redis: &mut TestServer) -> (Vec<String>, String, u64) {
        self.send(redis, "PSYNC ? -1");
        (0..10).for_each(|_| self.wait(redis, 0));
        let line = self.line();
        let words: Vec<&str> = line.split(' ').collect();
        let ["+FULLRESYNC", replid, offset] = words[..] else { panic!("{line}") };
        let (replid, offset) = (replid.to_string(), offset.parse().unwrap());
        let announced = self.line();
        let mark = announced.strip_prefix("$EOF:").expect("it knows marks").as_bytes().to_vec();
        let end = memchr::memmem::find(&self.bytes, &mark).expect("the mark has come");
        let snapshot: Vec<u8> = self.bytes.drain(..end + 40).take(end).collect();
        assert_eq!(self.bytes.len(), 0, "the stream waits for an acknowledgement");
        self.send(redis, &format!("REPLCONF ACK {offset}"));
        (keys(redis, &snapshot), replid, offset)
    }

    /// The commands of the stream that have come, a command a line.
    fn commands(&mut self) -> String {
        let text = String::from_utf8(std::mem::take(&mut self.bytes)).unwrap();
        let mut lines = text.trim_start_matches('\n').split("\r\n");
        let mut commands = Vec::new();
        while let Some(count) = lines.next().and_then(|line| line.strip_prefix('*')) {
            let words: Vec<&str> = lines
                .by_ref()
                .take(2 * count.parse::<usize>().unwrap())
                .skip(1)
                .step_by(2)
                .collect();
            commands.push(words.join(" "));
        }
        commands.join("; ")
    }
}

/// The names in a snapshot.
fn keys(redis: &TestServer, snapshot: &[u8]) -> Vec<String> {
    let limits = redis.server.state.rdb_limits(&redis.server.keyspace);
    let mut reader = rdb::Reader::new(limits, true);
    reader.feed(snapshot);
    let mut keys = Vec::new();
    loop {
        match reader.next_event().expect("the snapshot is sound") {
            Some(rdb::Event::Key(key)) => keys.push(String::from_utf8(key.name.to_vec()).unwrap()),
            Some(rdb::Event::End { .. }) => break,
            Some(_) => {}
            None => panic!("the snapshot is cut off"),
        }
    }
    keys.sort();
    keys
}

fn log_has(redis: &TestServer, text: &str) -> bool {
    redis.world.borrow().log.iter().any(|line| line.contains(text))
}

#[test]
fn a_replica_gets_all_data_and_then_the_stream() {
    let mut redis = master();
    redis.run("SET a 1");
    redis.run("SELECT 3");
    redis.run("SET b 1");
    let mut replica = Replica::modern(&mut redis);
    let (keys, replid, offset) = replica.full_sync(&mut redis);
    assert_eq!((keys.join(" ").as_str(), offset), ("a b", 0));
    assert_eq!(replid, redis.server.state.replication.history.replid.to_string());
    redis.run("INCR b");
    redis.run("GET b");
    redis.run("SPOP nothing");
    redis.run("SELECT 0");
    redis.run("SET a 2 EX 100");
    replica.wait(&mut redis, 1);
    assert_eq!(replica.commands(), "SELECT 3; INCR b; SELECT 0; SET a 2 PXAT 1700000100000");
    assert!(log_has(&redis, "Synchronization with replica 127.0.0.1:7001 succeeded"));
}

#[test]
fn what_is_written_during_a_full_sync_follows_it() {
    let mut redis = master();
    for number in 0..20_000 {
        redis.run_bytes(&[b"SET", format!("key:{number}").as_bytes(), &[b'x'; 100]]);
    }
    let mut replica = Replica::modern(&mut redis);
    replica.send(&mut redis, "PSYNC ? -1");
    for number in 0..60 {
        redis.run(&format!("SET key:{number} new"));
        redis.run(&format!("SET new:{number} new"));
        replica.wait(&mut redis, 0);
    }
    let (line, announced) = (replica.line(), replica.line());
    assert!(line.starts_with("+FULLRESYNC"), "{line}");
    let end = memchr::memmem::find(&replica.bytes, &announced.as_bytes()[5..]).unwrap();
    let snapshot: Vec<u8> = replica.bytes.drain(..end + 40).take(end).collect();
    assert_eq!(keys(&redis, &snapshot).len(), 20_000);
    replica.send(&mut redis, "REPLCONF ACK 0");
    let commands = replica.commands();
    assert!(commands.starts_with("SELECT 0; SET key:0 new; SET new:0 new; SET key:1 new"));
    assert!(commands.ends_with("SET key:59 new; SET new:59 new"), "{commands}");
}

#[test]
fn r02_a_replica_that_comes_back_goes_on_where_it_was() {
    let mut redis = master();
    let mut replica = Replica::modern(&mut redis);
    let (_, replid, offset) = replica.full_sync(&mut redis);
    redis.run("SET a 1");
    replica.wait(&mut redis, 0);
    let next = offset + replica.bytes.len() as u64 + 1;
    redis.run("CLIENT KILL TYPE replica").is(":1");
    redis.run("SET a 2");
    let mut again = Replica::modern(&mut redis);
    again.send(&mut redis, &format!("PSYNC {replid} {next}"));
    assert_eq!(again.line(), format!("+CONTINUE {replid}"));
    again.wait(&mut redis, 1);
    assert_eq!(again.commands(), "SET a 2");
    let info = redis.run("INFO stats").0;
    assert!(info.contains("sync_full:1 sync_partial_ok:1 sync_partial_err:0"), "{info}");
    // One without psync2 is told no name.
    let mut old = Replica::connect(&mut redis);
    old.send(&mut redis, &format!("PSYNC {} {next}", replid.to_uppercase()));
    assert_eq!(old.line(), "+CONTINUE");
}

#[test]
fn r03_what_is_not_in_the_backlog_any_more_takes_a_full_sync() {
    let mut redis = master();
    redis.run("CONFIG SET repl-backlog-size 100").is("+OK");
    redis.run("CONFIG GET repl-backlog-size").is("*2 $17 repl-backlog-size $5 16384");
    let mut replica = Replica::modern(&mut redis);
    let (_, replid, offset) = replica.full_sync(&mut redis);
    redis.run("CLIENT KILL TYPE slave");
    for _ in 0..200 {
        redis.run_bytes(&[b"SET", b"a", &[b'x'; 100]]);
    }
    let mut again = Replica::modern(&mut redis);
    again.send(&mut redis, &format!("PSYNC {replid} {}", offset + 1));
    again.wait(&mut redis, 0);
    assert!(again.line().starts_with("+FULLRESYNC"));
    let info = redis.run("INFO stats").0;
    assert!(info.contains("sync_full:2 sync_partial_ok:0 sync_partial_err:1"), "{info}");
    let info = redis.run("INFO replication").0;
    assert!(info.contains("repl_backlog_histlen:16384"), "{info}");
}

#[test]
fn r10_a_wrong_offset_is_refused_and_an_unknown_history_or_the_future_takes_a_full_sync() {
    let mut redis = master();
    let mut first = Replica::modern(&mut redis);
    let (_, replid, _) = first.full_sync(&mut redis);
    let mut wrong = Replica::modern(&mut redis);
    wrong.send(&mut redis, &format!("PSYNC {replid} x"));
    assert_eq!(wrong.line(), "-ERR value is not an integer or out of range");
    for (replid, next) in [("0123", "1"), (&replid, "99999"), (&replid, "-5"), (&replid, "0")] {
        let mut replica = Replica::modern(&mut redis);
        replica.send(&mut redis, &format!("PSYNC {replid} {next}"));
        (0..5).for_each(|_| replica.wait(&mut redis, 0));
        assert!(replica.line().starts_with("+FULLRESYNC"), "{replid} {next}");
    }
    assert!(log_has(&redis, "greater than the master replication offset"));
    assert!(log_has(&redis, "Replication ID mismatch (Replica asked for '0123'"));
}

#[test]
fn r11_replies_must_have_left_before_a_client_becomes_a_replica() {
    let mut redis = master();
    let client = redis.connect();
    redis
        .receive(client, b"PING\r\nPSYNC ? -1\r\nSYNC\r\n")
        .is("+PONG -ERR SYNC and PSYNC are invalid with pending output -ERR SYNC and PSYNC are invalid with pending output");
    redis.run_as(client, "MULTI");
    redis.run_as(client, "PSYNC ? -1").is("-ERR Command not allowed inside a transaction");
}

#[test]
fn r23_replicas_that_come_together_share_a_snapshot_and_later_ones_get_the_next() {
    let mut redis = TestServer::with(|config| {
        config.repl_diskless_sync_delay = 5;
        config.appendonly = false;
    });
    redis.run("SET a 1");
    let mut replicas = [(); 3].map(|()| Replica::modern(&mut redis));
    replicas[0].send(&mut redis, "PSYNC ? -1");
    replicas[0].wait(&mut redis, 4000);
    replicas[1].send(&mut redis, "PSYNC ? -1");
    assert_eq!(replicas[0].bytes, b"\n", "a sign of life");
    replicas[0].wait(&mut redis, 1000);
    replicas[2].send(&mut redis, "PSYNC ? -1");
    let starts = |redis: &TestServer| {
        let log = redis.world.borrow().log.clone();
        log.iter().filter(|line| line.contains("Starting BGSAVE for SYNC")).count()
    };
    assert_eq!(starts(&redis), 1);
    for replica in &mut replicas[..2] {
        (0..3).for_each(|_| replica.wait(&mut redis, 0));
        assert!(replica.line().starts_with("+FULLRESYNC"));
    }
    replicas[2].wait(&mut redis, 5000);
    (0..3).for_each(|_| replicas[2].wait(&mut redis, 0));
    assert!(replicas[2].line().starts_with("+FULLRESYNC"));
    assert_eq!(starts(&redis), 2);
}

#[test]
fn a_replica_that_does_not_know_marks_gets_a_length() {
    let disk = MemoryDisk::default();
    let mut redis = TestServer::on_disk(&disk, |config| {
        config.appendonly = false;
        config.dir = "data".into();
    });
    for number in 0..3000 {
        redis.run_bytes(&[b"SET", format!("key:{number}").as_bytes(), &[b'x'; 100]]);
    }
    let mut replica = Replica::connect(&mut redis);
    replica.send(&mut redis, "SYNC");
    (0..20).for_each(|_| replica.wait(&mut redis, 0));
    let len: usize = replica.line().strip_prefix('$').unwrap().parse().unwrap();
    let snapshot: Vec<u8> = replica.bytes.drain(..len).collect();
    assert_eq!(keys(&redis, &snapshot).len(), 3000);
    redis.run("SET a 1");
    replica.wait(&mut redis, 0);
    assert_eq!(replica.commands(), "SELECT 0; SET a 1", "the stream follows at once");
    assert!(disk.all_names().iter().all(|name| !name.contains("temp")), "{:?}", disk.all_names());
}

#[test]
fn a_snapshot_that_cannot_be_written_ends_the_connection() {
    let disk = MemoryDisk::default();
    let mut redis = TestServer::on_disk(&disk, |config| {
        config.appendonly = false;
        config.dir = "data".into();
    });
    redis.run("SET a 1");
    let mut replica = Replica::connect(&mut redis);
    disk.fail(Fault::Append(0, ErrorKind::StorageFull));
    replica.send(&mut redis, "SYNC");
    (0..5).for_each(|_| redis.advance_ms(0));
    assert!(!redis.is_connected(replica.token));
    (0..5).for_each(|_| redis.advance_ms(0));
    assert!(redis.server.state.replication.full_sync.is_none());
    redis.run("SAVE").is("+OK");
}

#[test]
fn expire_times_of_fields_follow_as_commands() {
    let mut redis = master();
    redis.run("HSET h a 1 b 2 c 3");
    redis.run("HPEXPIREAT h 1700000500000 FIELDS 2 a b");
    redis.run("SELECT 5");
    redis.run("HSET other a 1");
    redis.run("HPEXPIREAT other 1700000600000 FIELDS 1 a");
    let mut replica = Replica::modern(&mut redis);
    let (keys, ..) = replica.full_sync(&mut redis);
    assert_eq!(keys, ["h", "other"]);
    redis.run("HSET other b 1");
    replica.wait(&mut redis, 1);
    assert_eq!(
        replica.commands(),
        "SELECT 0; HPEXPIREAT h 1700000500000 FIELDS 2 b a; SELECT 5; \
         HPEXPIREAT other 1700000600000 FIELDS 1 a; HSET other b 1"
    );
}

#[test]
fn messages_go_to_replicas_and_not_into_the_log() {
    let disk = MemoryDisk::default();
    let mut redis = TestServer::on_disk(&disk, |config| {
        config.repl_diskless_sync_delay = 0;
        config.dir = "data".into();
    });
    redis.server.open_files().unwrap();
    (0..5).for_each(|_| redis.advance_ms(1));
    let mut replica = Replica::modern(&mut redis);
    replica.full_sync(&mut redis);
    redis.run("PUBLISH c message");
    redis.run("MULTI");
    redis.run("SET a 1");
    redis.run("SPUBLISH c other");
    redis.run("EXEC");
    replica.wait(&mut redis, 1);
    let stream = "SELECT 0; PUBLISH c message; MULTI; SET a 1; SPUBLISH c other; EXEC";
    assert_eq!(replica.commands(), stream);
    let names = disk.all_names();
    let log = names.iter().find(|name| name.contains("incr")).expect("there is a log");
    let log = String::from_utf8(disk.bytes(log).unwrap()).unwrap();
    assert!(log.contains("EXEC") && !log.contains("PUBLISH"), "{log}");
}

#[test]
fn a_full_sync_takes_a_turn_for_each_piece_when_time_flies() {
    let mut redis = master();
    for number in 0..200 {
        redis.run_bytes(&[b"SET", format!("key{number}").as_bytes(), &random_bytes(1000, number)]);
    }
    let mut replica = Replica::modern(&mut redis);
    redis.world.borrow_mut().now_step_us = 1000; // each look at the clock
    replica.send(&mut redis, "PSYNC ? -1");
    let mut pieces = Vec::new();
    for _ in 0..20 {
        pieces.push(redis.receive_bytes(replica.token, b"").len()); // a turn
    }
    assert!(pieces.iter().all(|&bytes| bytes < 40_000), "{pieces:?}");
    assert!(pieces.iter().sum::<usize>() > 200 * 1000, "{pieces:?}");
}

/// Bytes that do not get shorter by compression.
fn random_bytes(count: usize, seed: u64) -> Vec<u8> {
    use rand::{RngExt as _, SeedableRng as _};
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    (0..count).map(|_| random.random()).collect()
}

#[test]
fn small_packets_to_a_replica_are_gathered_if_that_is_wanted() {
    for is_wanted in [false, true] {
        let mut redis = master();
        redis.server.state.config.repl_disable_tcp_nodelay = is_wanted;
        let replica = Replica::modern(&mut redis);
        redis.server.receive(replica.token, b"PSYNC ? -1\r\n");
        let gathered = &redis.server.state.actions.gather_packets;
        assert_eq!(gathered.contains(&replica.token), is_wanted);
    }
}

/// A master whose disk does nothing at the moment, and a replica that has not got `SET a 1`.
fn with_a_write_that_is_not_in_the_log() -> (TestServer, Replica) {
    let disk = MemoryDisk::default();
    let mut redis = TestServer::on_disk(&disk, |config| {
        config.repl_diskless_sync_delay = 0;
        config.dir = "data".into();
        config.appendfsync = crate::config::AppendFsync::Always;
    });
    redis.server.open_files().unwrap();
    (0..5).for_each(|_| redis.advance_ms(1));
    let mut replica = Replica::modern(&mut redis);
    replica.full_sync(&mut redis);
    redis.world.borrow_mut().jobs_are_held = true;
    redis.run("SET a 1").is("");
    (redis, replica)
}

#[test]
fn nothing_leaves_for_a_replica_before_the_log_has_it() {
    let (mut redis, mut replica) = with_a_write_that_is_not_in_the_log();
    replica.wait(&mut redis, 10);
    assert_eq!(replica.commands(), "");
    let mut other = Replica::connect(&mut redis);
    other.send(&mut redis, "REPLCONF capa eof");
    redis.world.borrow_mut().jobs_are_held = false;
    (0..3).for_each(|_| replica.wait(&mut redis, 1));
    redis.take(Token(0)).is("+OK");
    assert_eq!(replica.commands(), "SELECT 0; SET a 1");
}

#[test]
fn what_a_replica_would_be_answered_ends_its_connection() {
    let mut redis = master();
    let mut replica = Replica::modern(&mut redis);
    replica.full_sync(&mut redis);
    replica.send(&mut redis, "PING");
    assert!(!redis.is_connected(replica.token));
    assert_eq!(replica.bytes, b"");
    assert!(log_has(&redis, "Replica generated a reply to command 'ping'"));
}

#[test]
fn replconf_says_what_is_wrong() {
    let mut redis = master();
    for (arguments, reply) in [
        ("foo", "-ERR syntax error"),
        ("foo bar", "-ERR Unrecognized REPLCONF option: foo"),
        ("listening-port x", "-ERR value is not an integer or out of range"),
        ("rdb-only 2", "-ERR value is out of range, value must between 0 and 1"),
        ("rdb-filter-only keys", "-ERR Unsupported rdb-filter-only option: keys"),
        ("version x", "-ERR Unrecognized version format: x"),
        ("version 9.1.2", "+OK"),
        ("capa anything", "+OK"),
        ("ack 5", ""),
    ] {
        redis.run(&format!("REPLCONF {arguments}")).is(reply);
    }
    redis.run("REPLCONF").is("+OK");
}

#[test]
fn a_client_list_tells_replicas() {
    let mut redis = master();
    let mut replica = Replica::modern(&mut redis);
    replica.full_sync(&mut redis);
    let list = redis.run("CLIENT LIST TYPE replica").0;
    assert!(list.contains("id=2 ") && list.contains(" flags=S "), "{list}");
    redis.run("ROLE").is("*3 $6 master :0 *1 *3 $9 127.0.0.1 $4 7001 $1 0");
}
