//! A replica against a master that is a script: what it sends is up to the test, byte by byte.

use std::io;

use super::Phase;
use crate::config::Config;
use crate::net::{Disconnect, Token};
use crate::resp::write_request;
use crate::server::replication::ReplId;
use crate::server::testing::{Answer, TestServer};

/// The history of the scripted master.
fn history() -> ReplId {
    ReplId::parse(&[b'a'; 40]).unwrap()
}

/// A replica, and the connection to its master.
struct Replica {
    redis: TestServer,
    token: Token,
}

/// Bytes as text, lines joined by a space.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace("\r\n", " ").trim_end().to_string()
}

/// Commands, words split at spaces, as a master sends them.
fn stream(commands: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for command in commands {
        let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
        write_request(&mut bytes, words.into_iter());
    }
    bytes
}

/// The data of a server that has run `commands`, as a snapshot.
fn snapshot(commands: &[&str]) -> Vec<u8> {
    let mut master = TestServer::new();
    for command in commands {
        master.run(command);
    }
    let server = &mut master.server;
    server.state.snapshot_bytes(&mut server.keyspace)
}

fn counted(snapshot: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", snapshot.len()).as_bytes(), snapshot].concat()
}

fn marked(snapshot: &[u8]) -> Vec<u8> {
    let mark = [b'm'; 40];
    [b"$EOF:", &mark[..], b"\r\n", snapshot, &mark].concat()
}

impl Replica {
    /// A replica that is trying to connect.
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::of(TestServer::with(change))
    }

    fn of(mut redis: TestServer) -> Self {
        redis.run("REPLICAOF 127.0.0.1 7000").is("+OK");
        let token = redis.actions.connect[0].token;
        Self { redis, token }
    }

    /// A replica that has the data of the master, at offset 1000.
    fn synced(commands: &[&str]) -> Self {
        let mut replica = Self::new();
        replica.agree();
        replica.hear(&full_sync(1000));
        replica.hear(&counted(&snapshot(commands)));
        assert!(replica.is_up());
        replica
    }

    /// Waits for the next try to connect.
    fn wait_for_try(&mut self) {
        for _ in 0..10_000 {
            if let Some(connect) = self.redis.actions.connect.first() {
                self.token = connect.token;
                return;
            }
            self.redis.advance_ms(100);
        }
        panic!("the replica does not try again");
    }

    /// The handshake up to `PSYNC`, which is returned.
    fn agree(&mut self) -> String {
        assert_eq!(text(&self.redis.establish(self.token)), "*1 $4 PING");
        self.hear(b"+PONG\r\n");
        text(&self.hear(b"+OK\r\n+OK\r\n+OK\r\n"))
    }

    /// Connects once more; returns `PSYNC`.
    fn connect_again(&mut self) -> String {
        self.wait_for_try();
        self.agree()
    }

    /// The master sends bytes; returns what the replica sends.
    fn hear(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.redis.receive_bytes(self.token, bytes)
    }

    fn lose(&mut self) {
        self.redis.lose(self.token, Disconnect::PeerClosed);
    }

    fn run(&mut self, line: &str) -> Answer {
        self.redis.run(line)
    }

    fn is_up(&self) -> bool {
        self.redis.server.state.link().is_some_and(super::Link::is_up)
    }

    fn offset(&self) -> u64 {
        self.redis.server.state.replication.history.offset
    }

    fn logged(&self, line: &str) -> bool {
        self.redis.world.borrow().log.iter().any(|logged| logged.contains(line))
    }
}

fn full_sync(offset: u64) -> Vec<u8> {
    format!("+FULLRESYNC {} {offset}\r\n", history()).into_bytes()
}

const ALL_TYPES: [&str; 6] = [
    "SET string value PX 5000",
    "RPUSH list a b c",
    "SADD set a b c",
    "ZADD zset 1 a 2 b",
    "HSET hash f v g w",
    "SELECT 3",
];

#[test]
fn the_masters_data_is_here_however_it_is_cut() {
    let commands = [&ALL_TYPES[..], &["SET other 1"]].concat();
    let snapshot = snapshot(&commands);
    let stream = stream(&["SELECT 3", "SET more 1"]);
    for payload in [counted(&snapshot), marked(&snapshot)] {
        for size in [1, 3, 7, 41, 10_000] {
            let mut replica = Replica::new();
            replica.run("SET old 1").starts("-READONLY");
            assert_eq!(replica.agree(), "*3 $5 PSYNC $1 ? $2 -1");
            let bytes = [&full_sync(1000)[..], b"\n\n", &payload, &stream].concat();
            for piece in bytes.chunks(size) {
                replica.hear(piece);
            }
            replica.run("TYPE hash").is("+hash");
            replica.run("PTTL string").is(":5000");
            replica.run("SELECT 3").is("+OK");
            replica.run("MGET other more").is("*2 $1 1 $1 1");
            assert_eq!(replica.offset(), 1000 + stream.len() as u64);
            assert!(replica.logged("MASTER <-> REPLICA sync: Finished with success"));
        }
    }
}

#[test]
fn old_data_is_served_until_the_new_is_whole() {
    let mut redis = TestServer::new();
    redis.run("SET old 1").is("+OK");
    redis.run("WATCH old").is("+OK");
    redis.run("MULTI").is("+OK");
    redis.run("GET old").is("+QUEUED");
    let other = redis.connect();
    redis.run_as(other, "REPLICAOF 127.0.0.1 7000").is("+OK");
    let token = redis.actions.connect[0].token;
    let mut replica = Replica { redis, token };
    replica.agree();
    replica.hear(&full_sync(1000));
    let payload = marked(&snapshot(&["SET new 1"]));
    let (first, rest) = payload.split_at(payload.len() - 1);
    replica.hear(first);
    replica.redis.run_as(other, "MGET old new").is("*2 $1 1 $-1");
    replica.hear(rest);
    replica.redis.run_as(other, "MGET old new").is("*2 $-1 $1 1");
    replica.run("EXEC").is("*-1");
}

/// Bytes of a stream of 200 commands, and where in it a link may be taken up again.
fn recording() -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut ends, mut in_transaction) = (Vec::new(), vec![0], false);
    for number in 0..200 {
        let command = match number % 20 {
            0 => format!("SELECT {}", number / 20 % 3),
            4 | 12 => "MULTI".to_string(),
            7 | 16 => "EXEC".to_string(),
            9 => "PING".to_string(),
            17 => "PUBLISH c m".to_string(),
            _ => format!("INCRBY k {number}"),
        };
        in_transaction = match command.as_str() {
            "MULTI" => true,
            "EXEC" => false,
            _ => in_transaction,
        };
        bytes.extend(stream(&[&command]));
        if !in_transaction {
            ends.push(bytes.len());
        }
    }
    (bytes, ends)
}

#[test]
fn r17_a_stream_that_is_cut_at_any_byte_goes_on_where_it_was() {
    let (bytes, ends) = recording();
    let mut replica = Replica::synced(&[]);
    let sums = |replica: &mut Replica| {
        ["SELECT 0", "GET k", "SELECT 1", "GET k", "SELECT 2", "GET k"].map(|line| {
            let answer = replica.run(line).0;
            answer.rsplit(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0)
        })
    };
    replica.hear(&bytes);
    let once = sums(&mut replica);
    for cut in 0..=bytes.len() {
        let start = 1000 + (bytes.len() * (cut + 1)) as u64;
        replica.hear(&bytes[..cut]);
        let sound = ends.iter().copied().filter(|&end| end <= cut).max().unwrap();
        assert_eq!(replica.offset(), start + sound as u64, "cut at {cut}");
        replica.redis.advance_ms(2000); // a stable link is taken up at once
        replica.lose();
        let psync = replica.connect_again();
        let next = start + sound as u64 + 1;
        assert!(psync.ends_with(&next.to_string()), "cut at {cut}: {psync}");
        replica.hear(b"+CONTINUE\r\n");
        replica.hear(&bytes[sound..]);
        assert_eq!(replica.offset(), start + bytes.len() as u64);
        // What was run twice, or not at all, is in no sum.
        let expected = once.map(|sum| sum * (cut as u64 + 2));
        assert_eq!(sums(&mut replica), expected, "cut at {cut}");
    }
}

#[test]
fn r05_a_master_that_dies_at_any_stage_leaves_the_old_data() {
    let mut redis = TestServer::new();
    redis.run("SET old 1").is("+OK");
    let mut replica = Replica::of(redis);
    let greeting = [&b"+PONG\r\n+OK\r\n+OK\r\n+OK\r\n"[..], &full_sync(1000), b"\n"].concat();
    for payload in [counted(&snapshot(&ALL_TYPES)), marked(&snapshot(&ALL_TYPES))] {
        let bytes = [&greeting[..], &payload].concat();
        for cut in 0..bytes.len() {
            replica.redis.establish(replica.token);
            // The first line is answered with requests, which have to be sent before they are answered.
            for line in bytes[..cut].split_inclusive(|&byte| byte == b'\n') {
                replica.hear(line);
            }
            assert!(!replica.is_up(), "{cut}");
            replica.lose();
            replica.run("GET old").is("$1 1");
            replica.run("DBSIZE").is(":1");
            replica.wait_for_try();
        }
    }
    replica.agree();
    replica.hear(&[full_sync(1000), counted(&snapshot(&ALL_TYPES))].concat());
    replica.run("DBSIZE").is(":5");
    replica.lose(); // between snapshot and stream
    replica.run("DBSIZE").is(":5");
    assert!(replica.connect_again().ends_with("1001"));
}

#[test]
fn r18_a_flipped_bit_in_the_snapshot_is_found() {
    let sound = snapshot(&ALL_TYPES);
    let mut redis = TestServer::new();
    redis.run("SET old 1").is("+OK");
    let mut replica = Replica::of(redis);
    replica.agree();
    for at in 0..sound.len() {
        let mut flipped = sound.clone();
        flipped[at] ^= 1 << (at % 8);
        replica.hear(&full_sync(1000));
        let payload = if at % 2 == 0 { counted(&flipped) } else { marked(&flipped) };
        replica.hear(&payload);
        assert!(!replica.is_up(), "bit {} of byte {at}", at % 8);
        replica.run("DBSIZE").is(":1");
        replica.lose();
        replica.connect_again();
    }
    assert!(replica.logged("Failed trying to load the MASTER synchronization DB from socket"));
}

#[test]
fn r18_what_is_no_command_ends_the_link_and_all_data_is_asked_for() {
    for garbage in [&b"*1\r\n$x\r\n"[..], b"SET a 1\r\n", b"*1\r\nPING\r\n", b"$3\r\n", b"*x\r\n"] {
        let mut replica = Replica::synced(&["SET a 1"]);
        let good = stream(&["SELECT 0", "SET a 2"]);
        replica.hear(&[&good[..], garbage].concat());
        assert!(!replica.is_up());
        assert_eq!(replica.offset(), 1000 + good.len() as u64);
        replica.run("GET a").is("$1 2");
        assert_eq!(replica.connect_again(), "*3 $5 PSYNC $1 ? $2 -1");
        // A master that goes on nevertheless is not believed.
        replica.hear(b"+CONTINUE\r\n");
        assert!(!replica.is_up());
    }
}

#[test]
fn r18_a_broken_mark_or_a_wrong_length_leads_to_nothing() {
    let sound = snapshot(&["SET new 1"]);
    let mut wrong_mark = marked(&sound);
    *wrong_mark.last_mut().unwrap() ^= 1;
    let too_long = [format!("${}\r\n", sound.len() + 3).as_bytes(), &sound, b"xxx"].concat();
    let too_short = [format!("${}\r\n", sound.len() - 1).as_bytes(), &sound].concat();
    for payload in [wrong_mark, too_long, too_short, b"-ERR no\r\n".to_vec(), b"$x\r\n".to_vec()] {
        let mut replica = Replica::new();
        replica.agree();
        replica.hear(&[full_sync(1000), payload].concat());
        assert!(!replica.is_up());
        replica.run("DBSIZE").is(":0");
    }
}

#[test]
fn acks_tell_the_offset_before_the_question() {
    let mut replica = Replica::with(|config| config.appendonly = false);
    replica.agree();
    let answer = replica.hear(&[full_sync(1000), counted(&snapshot(&[]))].concat());
    assert_eq!(text(&answer), "*3 $8 REPLCONF $3 ACK $4 1000");
    let (set, question) = (stream(&["SELECT 0", "SET a 1"]), stream(&["REPLCONF GETACK *"]));
    let before = 1000 + set.len();
    let answer = replica.hear(&[&set[..], &question, &stream(&["PING"])].concat());
    assert_eq!(text(&answer), format!("*3 $8 REPLCONF $3 ACK $4 {before}"));
    let after = before + question.len() + stream(&["PING"]).len();
    assert_eq!(replica.offset(), after as u64);
    replica.redis.advance_ms(1100);
    let token = replica.token;
    replica.redis.take(token).is(&format!("*3 $8 REPLCONF $3 ACK $4 {after}"));
    replica.redis.advance_ms(500);
    replica.redis.take(token).is("");
}

#[test]
fn while_data_comes_in_the_master_hears_that_the_replica_is_there() {
    let mut replica = Replica::new();
    replica.agree();
    replica.hear(&full_sync(1000));
    replica.hear(&counted(&snapshot(&ALL_TYPES))[..20]);
    replica.redis.advance_ms(1100);
    let token = replica.token;
    assert_eq!(replica.redis.take(token).0, "\n");
}

#[test]
fn a_transaction_is_seen_whole_or_not_at_all() {
    let mut replica = Replica::synced(&["SET a 0"]);
    replica.hear(&stream(&["SELECT 0", "MULTI", "INCR a", "SELECT 1", "SET b 1"]));
    replica.run("GET a").is("$1 0");
    assert_eq!(replica.offset(), 1000 + stream(&["SELECT 0"]).len() as u64);
    replica.hear(&stream(&["EXEC"]));
    replica.run("GET a").is("$1 1");
    replica.run("SELECT 1").is("+OK");
    replica.run("GET b").is("$1 1");
    replica.hear(&stream(&["SET c 1"]));
    replica.run("GET c").is("$1 1");
}

#[test]
fn the_database_of_the_stream_outlives_the_link() {
    let mut replica = Replica::synced(&[]);
    replica.hear(&stream(&["SELECT 2", "SET a 1"]));
    replica.lose();
    replica.connect_again();
    replica.hear(b"+CONTINUE\r\n");
    replica.hear(&stream(&["SET b 1"]));
    replica.run("SELECT 2").is("+OK");
    replica.run("DBSIZE").is(":2");
}

#[test]
fn a_command_that_fails_is_told_and_the_stream_goes_on() {
    let mut replica = Replica::synced(&["SET a text"]);
    let bytes = stream(&["SELECT 0", "INCR a", "NOSUCH x", "GET", "SET b 1"]);
    replica.hear(&bytes);
    replica.run("GET b").is("$1 1");
    assert_eq!(replica.offset(), 1000 + bytes.len() as u64);
    assert!(replica.logged("== CRITICAL == This replica is sending an error to its master: 'ERR value is not an integer or out of range' after processing the command 'INCR'"));
    assert!(replica.run("INFO stats").0.contains("unexpected_error_replies:3"));
    replica.hear(&stream(&["SELECT 16"]));
    assert!(!replica.is_up() && replica.logged("see the directive 'databases'"));
}

#[test]
fn r12_writes_are_refused_but_those_of_the_master() {
    let mut replica = Replica::synced(&["SET a 1"]);
    let refusal = "-READONLY You can't write against a read only replica.";
    for write in ["SET a 2", "DEL a", "FLUSHALL", "BLPOP list 0"] {
        replica.run(write).is(refusal);
    }
    replica.run("GET a").is("$1 1");
    replica.run("PUBLISH c m").is(":0");
    replica.run("MULTI").is("+OK");
    replica.run("SET a 2").is(refusal);
    replica.run("EXEC").is("-EXECABORT Transaction discarded because of previous errors.");
    replica.run("CONFIG SET replica-read-only no").is("+OK");
    let before = replica.offset();
    replica.run("SET mine 1").is("+OK");
    assert_eq!(replica.offset(), before);
}

#[test]
fn r13_old_data_is_refused_where_it_is_not_wanted() {
    let mut replica = Replica::synced(&["SET a 1"]);
    replica.run("CONFIG SET replica-serve-stale-data no").is("+OK");
    replica.run("GET a").is("$1 1");
    replica.lose();
    let refusal =
        "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
    replica.run("GET a").is(refusal);
    replica.run("PING").is(refusal);
    replica.run("INFO replication").starts("$");
    replica.run("MULTI").is("+OK");
    replica.run("GET a").is(refusal);
    replica.run("DISCARD").is("+OK");
    replica.connect_again();
    replica.hear(b"+CONTINUE\r\n");
    replica.run("GET a").is("$1 1");
}

#[test]
fn r24_a_master_that_is_not_there_is_tried_once_a_second() {
    let mut replica = Replica::new();
    for _ in 0..5 {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        replica.redis.lose(replica.token, Disconnect::Failed(refused));
        let mut waited_ms = 0;
        while replica.redis.actions.connect.is_empty() {
            replica.redis.advance_ms(100);
            waited_ms += 100;
        }
        assert_eq!(waited_ms, 1000);
        replica.token = replica.redis.actions.connect[0].token;
    }
    // One that hangs is given up after repl-timeout, and so is a name that is not found.
    replica.run("CONFIG SET repl-timeout 10").is("+OK");
    replica.redis.advance_ms(10_100);
    assert!(replica.logged("Timeout connecting to the MASTER..."));
    replica.run("REPLICAOF nowhere.invalid 1").is("+OK");
    replica.redis.advance_ms(100);
    assert!(replica.logged("Unable to connect to MASTER: Name or service not known"));
}

#[test]
fn r24_data_that_is_of_no_use_is_asked_for_less_and_less_often() {
    let mut replica = Replica::new();
    for expected_s in [1, 2, 4, 8, 16, 32, 64, 64] {
        replica.agree();
        replica.hear(&[&full_sync(1)[..], b"$5\r\nhello"].concat());
        assert!(!replica.is_up());
        replica.lose();
        let mut waited_ms = 0;
        while replica.redis.actions.connect.is_empty() {
            replica.redis.advance_ms(100);
            waited_ms += 100;
        }
        assert_eq!(waited_ms, expected_s * 1000);
        replica.token = replica.redis.actions.connect[0].token;
    }
}

#[test]
fn a_silent_master_is_given_up() {
    let mut replica = Replica::synced(&[]);
    replica.redis.advance_ms(59_000);
    assert!(replica.is_up());
    replica.redis.advance_ms(2_000);
    assert!(!replica.is_up() && replica.logged("MASTER timeout: no data nor PING received..."));
}

#[test]
fn r25_a_wrong_password_is_in_the_log() {
    let mut replica = Replica::with(|config| config.masterauth = b"wrong".to_vec());
    replica.redis.establish(replica.token);
    let sent = replica.hear(b"-NOAUTH Authentication required.\r\n");
    assert!(text(&sent).starts_with("*2 $4 AUTH $5 wrong *3 $8 REPLCONF"));
    replica.hear(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    assert!(!replica.is_up());
    assert!(replica.logged("Unable to AUTH to MASTER: -WRONGPASS invalid"));
}

#[test]
fn r26_whoever_waits_is_told_that_the_role_has_changed() {
    let mut redis = TestServer::new();
    let waiting = redis.connect();
    redis.run_as(waiting, "BLPOP list 0").is("");
    redis.run("REPLICAOF 127.0.0.1 7000").is("+OK");
    redis.take(waiting).is(
        "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
    );
    redis.run_as(waiting, "PING").is("+PONG");
}

#[test]
fn a_key_is_due_when_the_master_says_so() {
    let mut replica = Replica::synced(&["SET a 1 PX 100", "HSET h f 1 g 1"]);
    let at = 1_700_000_000_000_i64 + 200;
    let expire = format!("HPEXPIREAT h {at} FIELDS 1 f");
    replica.hear(&stream(&["SELECT 0", &expire]));
    replica.redis.advance_ms(10_000);
    replica.run("GET a").is("$-1");
    replica.run("EXISTS a").is(":0");
    replica.run("HGET h f").is("$-1");
    replica.run("DBSIZE").is(":2");
    // For the master both are still there.
    replica.hear(&stream(&["INCR a", "HINCRBY h f 1"]));
    let far = format!("PEXPIREAT a {}", at + 1_000_000);
    replica.hear(&stream(&[&far, "HPERSIST h FIELDS 1 f"]));
    replica.run("GET a").is("$1 2");
    replica.run("HGET h f").is("$1 2");
    replica.hear(&stream(&["PEXPIREAT a 1", "UNLINK a", "HDEL h f"]));
    replica.run("DBSIZE").is(":1");
    assert_eq!(replica.redis.server.keyspace.stats.expired, 0);
}

#[test]
fn a_pause_holds_the_master_back_too() {
    let mut replica = Replica::synced(&[]);
    replica.run("CLIENT PAUSE 5000 WRITE").is("+OK");
    let bytes = stream(&["SELECT 0", "SET a 1"]);
    replica.hear(&bytes);
    replica.run("EXISTS a").is(":0");
    assert_eq!(replica.offset(), 1000);
    replica.run("CLIENT UNPAUSE").is("+OK");
    replica.redis.advance_ms(100);
    replica.run("EXISTS a").is(":1");
    assert_eq!(replica.offset(), 1000 + bytes.len() as u64);
    assert!(replica.redis.server.keyspace.expiry_frozen, "it is a replica still");
}

#[test]
fn a_promoted_replica_remembers_the_history_it_comes_from() {
    let mut replica = Replica::synced(&["SET a 1"]);
    let bytes = stream(&["SELECT 0", "SET a 2"]);
    replica.hear(&bytes);
    replica.hear(&stream(&["SET a 3"])[..10]); // not whole: it never was
    replica.run("REPLICAOF NO ONE").is("+OK");
    let state = &replica.redis.server.state.replication;
    let end = 1000 + bytes.len() as u64;
    assert_eq!((state.history.replid2, state.history.second_offset), (history(), end as i64 + 1));
    assert!(state.history.replid != history() && state.history.offset == end);
    assert!(replica.redis.server.state.link().is_none());
    replica.run("SET a 4").is("+OK");
    replica.redis.advance_ms(5000);
    assert!(replica.redis.actions.connect.is_empty());
}

#[test]
fn a_master_may_go_on_under_another_name() {
    let mut replica = Replica::synced(&["SET a 1"]);
    replica.lose();
    assert!(replica.connect_again().ends_with("1001"));
    let other = ReplId::parse(&[b'b'; 40]).unwrap();
    replica.hear(format!("+CONTINUE {other}\r\n").as_bytes());
    assert!(replica.is_up());
    let state = &replica.redis.server.state.replication;
    assert_eq!((state.history.replid, state.history.replid2), (other, history()));
    assert_eq!(state.history.second_offset, 1001);
}

#[test]
fn a_master_that_is_not_ready_is_asked_again() {
    for answer in
        ["-NOMASTERLINK Can't SYNC while not connected with my master\r\n", "-LOADING x\r\n"]
    {
        let mut replica = Replica::synced(&["SET a 1"]);
        replica.lose();
        replica.connect_again();
        replica.hear(answer.as_bytes());
        assert!(!replica.is_up());
        assert!(replica.connect_again().ends_with("1001"), "and the history still counts");
    }
}

#[test]
fn the_bytes_of_the_master_are_passed_on_as_they_came() {
    let mut replica = Replica::synced(&[]);
    let bytes = stream(&["select 0", "Set a 1", "PING", "MULTI", "INCR a", "INCR a", "EXEC"]);
    for piece in bytes.chunks(5) {
        replica.hear(piece);
    }
    let backlog = replica.redis.server.state.replication.backlog.as_ref().unwrap();
    let mut output = crate::resp::Output::new();
    let end = 1000 + bytes.len() as u64;
    let mut at = 1000;
    while at < end {
        at = backlog.read(at, end, 100, &mut output);
    }
    assert_eq!(output.to_vec(), bytes);
}

#[test]
fn the_log_begins_anew_with_the_masters_data() {
    let mut redis = TestServer::with(|config| config.appendonly = true);
    redis.server.open_files().unwrap();
    redis.run("SET old 1").is("+OK");
    let disk = redis.world.borrow().disk.clone();
    let mut replica = Replica::of(redis);
    replica.agree();
    replica.hear(&[full_sync(1000), counted(&snapshot(&["SET new 1"]))].concat());
    replica.hear(&stream(&["SELECT 0", "SET more 1"]));
    let restarted = |disk: &crate::persistence::testing::MemoryDisk| {
        let mut redis = TestServer::on_disk(disk, |config| config.appendonly = true);
        redis.server.open_files().unwrap();
        for _ in 0..5 {
            redis.advance_ms(100);
        }
        redis.run("MGET old new more").0
    };
    // Whole old data or whole new data, at any time.
    assert_eq!(restarted(&disk.copy()), "*3 $1 1 $-1 $-1");
    for _ in 0..10 {
        replica.redis.advance_ms(100);
    }
    assert_eq!(restarted(&disk.copy()), "*3 $-1 $1 1 $1 1");
}

#[test]
fn what_was_received_when_the_role_changes_is_dropped() {
    let mut replica = Replica::new();
    replica.agree();
    replica.hear(&full_sync(1000));
    replica.hear(&counted(&snapshot(&ALL_TYPES))[..50]);
    replica.run("REPLICAOF 127.0.0.1 7001").is("+OK");
    assert_eq!(replica.redis.world.borrow().discarded, 1);
    let state = &replica.redis.server.state;
    assert!(matches!(state.link().unwrap().phase, Phase::Connecting { .. }));
}

#[test]
fn a_replica_evicts_nothing_by_itself() {
    let mut replica = Replica::synced(&["SET a 1", "SET b 1"]);
    replica.run("CONFIG SET maxmemory 100 maxmemory-policy allkeys-lru").is("+OK");
    replica.redis.world.borrow_mut().allocated_bytes = 1 << 30;
    replica.redis.advance_ms(1000);
    replica.hear(&stream(&["SELECT 0", "SET c 1"]));
    replica.run("DBSIZE").is(":3");
    replica.run("CONFIG SET replica-ignore-maxmemory no").is("+OK");
    replica.redis.advance_ms(1000);
    replica.run("DBSIZE").is(":0");
}

#[test]
fn what_a_transaction_has_done_before_it_changes_the_role_is_in_the_history() {
    let mut redis = TestServer::new();
    redis.server.state.make_backlog();
    redis.server.state.apply_effect_readers();
    for line in ["MULTI", "SET a 1", "REPLICAOF 127.0.0.1 7000", "PING", "EXEC"] {
        redis.run(line);
    }
    let offset = redis.server.state.replication.history.offset;
    assert_eq!(offset, stream(&["SELECT 0", "SET a 1"]).len() as u64);
    redis.run("CONFIG SET replica-read-only no").is("+OK");
    redis.run("SET b 1").is("+OK");
    for line in ["MULTI", "SET c 1", "REPLICAOF NO ONE", "SET d 1", "EXEC"] {
        redis.run(line);
    }
    let after = offset + stream(&["SELECT 0", "SET d 1"]).len() as u64;
    assert_eq!(redis.server.state.replication.history.offset, after);
}

#[test]
fn a_failover_asks_the_replica_to_be_the_master() {
    let mut replica = Replica::synced(&["SET a 1"]);
    replica.run("REPLICAOF NO ONE").is("+OK");
    let server = &mut replica.redis.server;
    let target = crate::config::MasterAddress { host: "127.0.0.1".into(), port: 7001 };
    server.state.begin_failover(&mut server.keyspace, Some(target), Some(0), true);
    server.failover_some();
    let replid = server.state.replication.history.replid;
    let psync = replica.connect_again();
    assert_eq!(psync, format!("*4 $5 PSYNC $40 {replid} $4 1001 $8 FAILOVER"));
    replica.hear(b"+CONTINUE\r\n");
    assert!(replica.is_up() && replica.redis.server.state.replication.failover.is_none());
    assert!(replica.redis.server.state.pause.is_none());
}

#[test]
fn a_failover_that_is_rejected_leaves_the_master_what_it_was() {
    let mut replica = Replica::synced(&["SET a 1"]);
    replica.run("REPLICAOF NO ONE").is("+OK");
    let server = &mut replica.redis.server;
    let target = crate::config::MasterAddress { host: "127.0.0.1".into(), port: 7001 };
    server.state.begin_failover(&mut server.keyspace, Some(target), Some(0), true);
    server.failover_some();
    replica.connect_again();
    replica.hear(b"-ERR no\r\n");
    assert!(replica.redis.server.state.link().is_none());
    replica.run("SET b 1").is("+OK");
}

#[test]
fn the_master_is_told_what_is_on_the_device() {
    let mut redis = TestServer::with(|config| config.appendonly = true);
    redis.server.open_files().unwrap();
    let mut replica = Replica::of(redis);
    replica.agree();
    replica.hear(&[full_sync(1000), counted(&snapshot(&[]))].concat());
    for _ in 0..10 {
        replica.redis.advance_ms(100);
    }
    let token = replica.token;
    replica.redis.take(token);
    let question = stream(&["REPLCONF GETACK *"]);
    let set = stream(&["SELECT 0", "SET a 1"]);
    let answer = text(&replica.hear(&[&set[..], &question].concat()));
    let end = 1000 + set.len();
    assert!(
        answer.starts_with(&format!("*5 $8 REPLCONF $3 ACK $4 {end} $4 FACK $4 1000")),
        "{answer}"
    );
    for _ in 0..30 {
        replica.redis.advance_ms(100);
    }
    replica.redis.take(token);
    let answer = text(&replica.hear(&question));
    let end = end + question.len();
    assert_eq!(answer, format!("*5 $8 REPLCONF $3 ACK $4 {end} $4 FACK $4 {end}"));
}
