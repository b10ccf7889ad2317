//! All data of the master, whole or not at all.

use super::*;

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
