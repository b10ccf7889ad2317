//! The commands of the master: offsets, atomicity, time.

use super::*;

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
fn r15_a_key_is_due_when_the_master_says_so() {
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
