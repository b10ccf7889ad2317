//! The log end to end, on a disk that fails and loses power.

mod big_values;
mod rewrite;

use std::io::ErrorKind;

use crate::config::value::AppendFsync;
use crate::persistence::testing::{Fault, MemoryDisk};
use crate::server::testing::TestServer;

const LOG: &str = "data/appendonlydir/appendonly.aof.1.incr.aof";
const LOG_2: &str = "data/appendonlydir/appendonly.aof.2.incr.aof";

/// A server that keeps a log on this disk, when it has loaded what is there.
fn start(disk: &MemoryDisk, policy: AppendFsync) -> TestServer {
    let mut redis = start_without_turn(disk, policy);
    while redis.server.state.durability.loading.is_some() {
        redis.advance_ms(1);
    }
    redis
}

fn start_without_turn(disk: &MemoryDisk, policy: AppendFsync) -> TestServer {
    let mut redis = TestServer::on_disk(disk, |config| {
        config.appendonly = true;
        config.appendfsync = policy;
        config.dir = "data".into();
    });
    redis.server.open_files().expect("the files are sound");
    redis
}

fn start_without_log(disk: &MemoryDisk) -> TestServer {
    let mut redis = TestServer::on_disk(disk, |config| {
        config.appendonly = false;
        config.dir = "data".into();
    });
    redis.server.open_files().expect("the files are sound");
    redis
}

fn log_of(redis: &TestServer) -> String {
    redis.world.borrow().log.join("\n")
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let disk = MemoryDisk::default();
    let mut redis = start(&disk, AppendFsync::Everysec);
    redis.run("SET a 1").is("+OK");
    redis.run("APPEND a 23").is(":3");
    redis.run("SELECT 3").is("+OK");
    redis.run("SET b x").is("+OK");
    redis.run("GET b").is("$1 x");
    drop(redis);
    let mut redis = start(&disk, AppendFsync::Everysec);
    redis.run("GET a").is("$3 123");
    redis.run("SELECT 3").is("+OK");
    redis.run("GET b").is("$1 x");
    redis.run("SET b y").is("+OK");
    drop(redis);
    let mut redis = start(&disk, AppendFsync::Everysec);
    redis.run("SELECT 3").is("+OK");
    redis.run("GET b").is("$1 y");
    redis.run("DBSIZE").is(":1");
}

#[test]
fn d05_the_first_acknowledged_write_survives_a_power_cut() {
    let disk = MemoryDisk::default();
    let mut redis = start(&disk, AppendFsync::Always);
    redis.run("SET a 1").is("");
    redis.advance_ms(1);
    redis.run("PING").is("+OK +PONG");
    drop(redis);
    disk.cut_power();
    start(&disk, AppendFsync::Always).run("GET a").is("$1 1");
}

#[test]
fn d03_nothing_acknowledged_is_lost_wherever_the_power_is_cut() {
    for turns in 0..60 {
        let disk = MemoryDisk::default();
        let mut redis = start(&disk, AppendFsync::Always);
        let mut acknowledged = 0;
        for turn in 0..turns {
            // Every third turn the disk does not get on.
            redis.world.borrow_mut().jobs_are_held = turn % 3 == 1;
            let answer = redis.run(&format!("SET k{turn} v"));
            acknowledged += answer.0.matches("+OK").count();
        }
        drop(redis);
        disk.cut_power();
        let mut redis = start(&disk, AppendFsync::Always);
        for key in 0..acknowledged {
            redis.run(&format!("GET k{key}")).is("$1 v");
        }
    }
}

#[test]
fn d28_what_another_client_reads_waits_for_the_sync_too() {
    let disk = MemoryDisk::default();
    let mut redis = start(&disk, AppendFsync::Always);
    let reader = redis.connect();
    redis.world.borrow_mut().jobs_are_held = true;
    redis.run("SET a 1").is("");
    redis.run_as(reader, "GET a").is("");
    redis.world.borrow_mut().jobs_are_held = false;
    redis.advance_ms(1);
    redis.take(reader).is("$1 1");
}

#[test]
fn a_client_that_goes_on_sending_gets_its_replies_as_the_log_gets_on() {
    let disk = MemoryDisk::default();
    let mut redis = start(&disk, AppendFsync::Always);
    redis.world.borrow_mut().jobs_are_held = true;
    redis.run("SET a 1").is("");
    redis.run("APPEND a 2").is("");
    redis.run("APPEND a 3").is("");
    redis.world.borrow_mut().jobs_are_held = false;
    redis.run("APPEND a 4").is("+OK");
    redis.run("PING").is(":2 :3 :4 +PONG");
}

#[test]
fn d02_while_a_sync_runs_replies_wait_for_the_write_only() {
    let disk = MemoryDisk::default();
    let mut redis = start(&disk, AppendFsync::Everysec);
    redis.world.borrow_mut().jobs_are_held = true;
    redis.run("SET a 1").is("+OK");
    redis.run("SET b 1").is("");
    let sync = redis.world.borrow_mut().jobs.pop_front();
    redis.world.borrow_mut().jobs_are_held = false;
    redis.advance_ms(1);
    assert!(disk.bytes(LOG).unwrap().windows(5).any(|bytes| bytes == b"\r\nb\r\n"));
    redis.world.borrow_mut().jobs.extend(sync);
    redis.run("PING").is("+OK +PONG");
}

#[test]
fn d07_a_failed_sync_under_always_ends_the_process_without_a_reply() {
    let disk = MemoryDisk::default();
    let mut redis = start(&disk, AppendFsync::Always);
    disk.fail(Fault::Sync(ErrorKind::Other));
    redis.run("SET a 1").is("");
    redis.advance_ms(1);
    assert_eq!(redis.actions.exit, Some(1));
    assert!(redis.actions.write.is_empty());
    let expected = "Can't persist AOF for fsync error when the AOF fsync policy is 'always'";
    assert!(log_of(&redis).contains(expected));
}

#[test]
fn d07_what_is_executed_in_the_turn_of_a_failure_is_not_answered_either() {
    let disk = MemoryDisk::default();
    let mut redis = start(&disk, AppendFsync::Always);
    let other = redis.connect();
    redis.world.borrow_mut().jobs_are_held = true;
    redis.run("SET a 1").is("");
    disk.fail(Fault::Sync(ErrorKind::Other));
    redis.world.borrow_mut().jobs_are_held = false;
    redis.run_as(other, "SET b 1").is("");
    assert_eq!(redis.actions.exit, Some(1));
    redis.take(other).is("");
}

#[test]
fn d10_a_full_disk_refuses_writes_until_there_is_room() {
    let disk = MemoryDisk::default();
    let mut redis = start(&disk, AppendFsync::Everysec);
    redis.run("SET a 1").is("+OK");
    redis.advance_ms(1);
    disk.fail(Fault::Append(7, ErrorKind::StorageFull));
    disk.fail(Fault::Append(0, ErrorKind::StorageFull));
    redis.run("SET b 1").is("");
    let other = redis.connect();
    // Each turn tries twice.
    (0..2).for_each(|_| disk.fail(Fault::Append(0, ErrorKind::StorageFull)));
    redis.run_as(other, "SET c 1").is("-MISCONF Errors writing to the AOF file: no storage space");
    redis.advance_ms(100);
    redis.run("SET c 1").is("+OK +OK");
    let log = log_of(&redis);
    assert!(log.contains("Short write while writing to the AOF file: (nwritten=7, expected="));
    assert!(log.contains("AOF write error looks solved, server can write again."));
    drop(redis);
    start(&disk, AppendFsync::Everysec).run("EXISTS a b c").is(":3");
}

#[test]
fn d16_a_torn_tail_is_refused_where_that_is_asked_for() {
    let disk = MemoryDisk::default();
    start(&disk, AppendFsync::No).run("SET a 1").is("+OK");
    let bytes = disk.bytes(LOG).unwrap();
    disk.set_bytes(LOG, &bytes[..bytes.len() - 40]);
    let mut redis = start_without_turn(&disk, AppendFsync::No);
    redis.server.state.config.aof_load_truncated = false;
    redis.advance_ms(1);
    assert_eq!(redis.actions.exit, Some(1));
    assert!(log_of(&redis).contains("Unexpected end of file reading the append only file"));
    assert_eq!(disk.bytes(LOG).unwrap(), &bytes[..bytes.len() - 40]);
}

#[test]
fn d15_after_a_torn_tail_the_next_write_is_well_placed() {
    let disk = MemoryDisk::default();
    let mut redis = start(&disk, AppendFsync::No);
    redis.run("SET a 1").is("+OK");
    redis.run("SET b 1").is("+OK");
    drop(redis);
    let bytes = disk.bytes(LOG).unwrap();
    for cut in 1..80 {
        disk.set_bytes(LOG, &bytes[..bytes.len() - cut]);
        let mut redis = start(&disk, AppendFsync::No);
        redis.run("GET a").is("$1 1");
        redis.run("SET c 1").is("+OK");
        drop(redis);
        let mut redis = start(&disk, AppendFsync::No);
        redis.run("EXISTS a c").is(":2");
    }
}

#[test]
fn d20_d21_d22_a_command_that_cannot_be_stops_the_server() {
    for (command, expected) in [
        (&b"*1\r\n$3\r\nbla\r\n"[..], "Unknown command 'bla' reading the append only file"),
        (b"*1\r\n$3\r\nSET\r\n", "Wrong number of arguments for 'SET' reading"),
        (b"*0\r\n", "no command begins at offset 0"),
        (b"*2147483649\r\n", "no command begins at offset 0"),
        (b"!!!", "no command begins at offset 0"),
    ] {
        let disk = MemoryDisk::default();
        disk.set_bytes("data/appendonlydir/appendonly.aof.manifest", b"file x seq 1 type i\n");
        disk.set_bytes("data/appendonlydir/x", command);
        let mut redis = start_without_turn(&disk, AppendFsync::No);
        redis.advance_ms(1);
        assert_eq!(redis.actions.exit, Some(1));
        assert!(log_of(&redis).contains(expected), "{}", log_of(&redis));
        assert_eq!(disk.bytes("data/appendonlydir/x").unwrap(), command);
    }
}

#[test]
fn d39_clients_are_told_that_the_data_is_loading() {
    let disk = MemoryDisk::default();
    let mut redis = start(&disk, AppendFsync::No);
    let value = "x".repeat(1000);
    (0..600).for_each(|key| redis.run(&format!("SET k{key} {value}")).is("+OK"));
    drop(redis);
    let mut redis = start_without_turn(&disk, AppendFsync::No);
    redis.world.borrow_mut().now_step_us = 10_000;
    redis.run("GET k0").is("-LOADING Redis is loading the dataset in memory");
    redis.run("DBSIZE").starts("-LOADING");
    redis.run("INFO persistence").starts("$");
    while redis.server.state.durability.loading.is_some() {
        redis.advance_ms(1);
    }
    redis.run("DBSIZE").is(":600");
}

#[test]
fn d34_t04_a_key_that_is_due_meanwhile_is_not_there_after_a_restart() {
    let disk = MemoryDisk::default();
    let mut redis = start(&disk, AppendFsync::No);
    redis.run("SET a 1 PX 100").is("+OK");
    redis.run("SET b 1 EX 1000").is("+OK");
    drop(redis);
    let mut redis = TestServer::on_disk(&disk, |config| {
        config.appendonly = true;
        config.dir = "data".into();
    });
    redis.world.borrow_mut().now.unix_us += 500_000_000;
    redis.advance_ms(0);
    redis.server.open_files().unwrap();
    redis.advance_ms(1);
    redis.run("GET a").is("$-1");
    redis.run("TTL b").is(":500");
}

#[test]
fn a_snapshot_keeps_when_or_how_often_keys_were_used() {
    for (policy, question) in
        [("allkeys-lru", "OBJECT IDLETIME a"), ("volatile-lfu", "OBJECT FREQ a")]
    {
        let disk = MemoryDisk::default();
        let start = || {
            let mut redis = TestServer::on_disk(&disk, |config| {
                config.appendonly = false;
                config.dir = "data".into();
            });
            redis.run(&format!("CONFIG SET maxmemory-policy {policy}")).is("+OK");
            redis.server.open_files().expect("the files are sound");
            while redis.server.state.durability.loading.is_some() {
                redis.advance_ms(1);
            }
            redis
        };
        let mut redis = start();
        redis.run("SET a 1").is("+OK");
        (0..9).for_each(|_| redis.run("GET a").is("$1 1"));
        redis.advance_ms(55_000);
        let expected = redis.run(question).0;
        redis.run("SAVE").is("+OK");
        drop(redis);
        start().run(question).is(&expected);
    }
}

/// Two files of changes: what the server wrote, cut short, and another.
fn two_files(cut: usize, second: &[u8]) -> MemoryDisk {
    let disk = MemoryDisk::default();
    let mut redis = start(&disk, AppendFsync::No);
    redis.run("SET a 1").is("+OK");
    redis.run("SET b 1").is("+OK");
    drop(redis);
    let bytes = disk.bytes(LOG).unwrap();
    disk.set_bytes(LOG, &bytes[..bytes.len() - cut]);
    disk.set_bytes(LOG_2, second);
    let manifest = b"file appendonly.aof.1.incr.aof seq 1 type i\nfile appendonly.aof.2.incr.aof seq 2 type i\n";
    disk.set_bytes("data/appendonlydir/appendonly.aof.manifest", manifest);
    disk
}

#[test]
fn d15_a_torn_file_may_be_followed_by_one_that_nothing_was_written_to() {
    let disk = two_files(30, b"");
    let mut redis = start(&disk, AppendFsync::Always);
    redis.run("EXISTS a b").is(":1");
    redis.run("SET c 1");
    redis.advance_ms(1);
    assert!(log_of(&redis).contains("short read while loading the AOF file appendonly.aof.1"));
    drop(redis);
    disk.cut_power();
    // The first file is whole now: what follows it can be trusted.
    let mut redis = start(&disk, AppendFsync::Always);
    redis.run("EXISTS a b c").is(":2");
}

#[test]
fn d19_a_torn_file_that_another_one_continues_is_refused() {
    let disk = two_files(30, b"*3\r\n$3\r\nSET\r\n$1\r\nc\r\n$1\r\n1\r\n");
    let first = disk.bytes(LOG);
    let mut redis = start_without_turn(&disk, AppendFsync::No);
    redis.advance_ms(1);
    assert_eq!(redis.actions.exit, Some(1));
    assert!(log_of(&redis).contains("Unexpected end of file reading the append only file"));
    assert_eq!(disk.bytes(LOG), first);
}

#[test]
fn t03_a_clock_that_went_back_makes_keys_live_longer_and_nothing_else() {
    let disk = MemoryDisk::default();
    let mut redis = start(&disk, AppendFsync::No);
    redis.run("SET a 1 PX 100000").is("+OK");
    redis.run("HSET h f v").is(":1");
    redis.run("HPEXPIRE h 100000 FIELDS 1 f").is("*1 :1");
    let (at, field_at) = (redis.run("PEXPIRETIME a").0, redis.run("HPEXPIRETIME h FIELDS 1 f").0);
    redis.run("BGREWRITEAOF");
    settle(&mut redis);
    redis.run("SET b 1 PX 5000").is("+OK");
    drop(redis);
    let mut redis = TestServer::on_disk(&disk, |config| {
        config.appendonly = true;
        config.dir = "data".into();
    });
    redis.world.borrow_mut().now.unix_us -= 1_600_000_000_000_000;
    redis.advance_ms(0);
    redis.server.open_files().unwrap();
    redis.advance_ms(1);
    redis.run("PEXPIRETIME a").is(&at);
    redis.run("HPEXPIRETIME h FIELDS 1 f").is(&field_at);
    redis.run("PTTL b").starts(":16000");
    redis.advance_ms(6000);
    redis.run("EXISTS a b h").is(":3");
}

#[test]
fn d27_a_reply_that_waits_unsent_lets_no_later_one_out_before_the_log() {
    let disk = MemoryDisk::default();
    let mut redis = start(&disk, AppendFsync::Always);
    redis.run(&format!("SET big {}", "x".repeat(100_000)));
    redis.advance_ms(1);
    redis.run("PING").is("+OK +PONG");
    redis.world.borrow_mut().jobs_are_held = true;
    let client = redis.connect();
    // Both are in one turn: the long reply depends on nothing, but may tell of what is in no file.
    redis.receive(client, b"GET big\r\nINCR counter\r\n").is("");
    redis.world.borrow_mut().jobs_are_held = false;
    redis.advance_ms(1);
    let log = disk.bytes(LOG).expect("it is there");
    assert!(log.windows(7).any(|bytes| bytes == b"counter"));
    redis.take(client).starts("$100000 ");
}

/// Lets background work come to its end.
fn settle(redis: &mut TestServer) {
    for _ in 0..20 {
        redis.advance_ms(1);
    }
    while redis.server.state.durability.snapshot.is_some() {
        redis.advance_ms(1);
    }
}
