//! The log end to end, on a disk that fails and loses power.

use std::io::ErrorKind;

use crate::config::value::AppendFsync;
use crate::persistence::testing::{Fault, MemoryDisk};
use crate::server::testing::TestServer;

const LOG: &str = "data/appendonlydir/appendonly.aof.1.incr.aof";

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
    redis.run_as(other, "SET c 1").is("");
    assert!(redis.server.state.durability.refusal.is_some());
    redis.advance_ms(100);
    redis.take(other).is("-MISCONF Errors writing to the AOF file: no storage space");
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
fn d21_d22_a_command_that_cannot_be_stops_the_server() {
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
