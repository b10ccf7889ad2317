//! Rewrites of the log, the log turned on and off, and what a load makes of all that.

use std::io::ErrorKind;
use std::path::Path;

use super::{LOG, log_of, settle, start, start_without_log, start_without_turn};
use crate::config::value::AppendFsync;
use crate::persistence::disk::Disk as _;
use crate::persistence::testing::{Fault, MemoryDisk};
use crate::server::testing::TestServer;

#[test]
fn d25_a_rewrite_loses_and_doubles_nothing_that_changes_meanwhile() {
    let disk = MemoryDisk::default();
    let mut redis = start(&disk, AppendFsync::Always);
    for key in 0..2000 {
        redis.run(&format!("SET k{key} {}", "x".repeat(300)));
        redis.run("INCR counter");
    }
    redis.run("BGREWRITEAOF");
    for _ in 0..50 {
        redis.run("INCR counter");
        redis.run("APPEND k1999 y");
    }
    settle(&mut redis);
    redis.run("INCR counter");
    redis.advance_ms(1);
    let names = disk.all_names();
    assert_eq!(names.len(), 3, "a base, a file of changes, the manifest: {names:?}");
    drop(redis);
    disk.cut_power();
    let mut redis = start(&disk, AppendFsync::Always);
    redis.run("GET counter").is("$4 2051");
    redis.run("STRLEN k1999").is(":350");
    redis.run("DBSIZE").is(":2001");
}

#[test]
fn d06_a_power_cut_at_any_step_of_a_rewrite_leaves_a_whole_log() {
    for steps in 0..12 {
        let disk = MemoryDisk::default();
        let mut redis = start(&disk, AppendFsync::Always);
        for key in 0..50 {
            redis.run(&format!("SET k{key} v"));
        }
        settle(&mut redis);
        redis.world.borrow_mut().jobs_are_held = true;
        redis.run("BGREWRITEAOF");
        for _ in 0..steps {
            // One job at a time.
            let job = redis.world.borrow_mut().jobs.pop_front();
            if let Some((_, job)) = job {
                let done = job();
                redis.world.borrow_mut().jobs_are_held = false;
                let rest = std::mem::take(&mut redis.world.borrow_mut().jobs);
                let lane = crate::persistence::disk::Lane::Files;
                redis.world.borrow_mut().jobs.push_back((lane, Box::new(move || done)));
                redis.world.borrow_mut().jobs.extend(rest);
                redis.world.borrow_mut().finished_max = Some(1);
            }
            redis.advance_ms(1);
            redis.world.borrow_mut().jobs_are_held = true;
        }
        drop(redis);
        disk.cut_power();
        start(&disk, AppendFsync::Always).run("DBSIZE").is(":50");
    }
}

#[test]
fn d08_after_a_failed_sync_all_data_goes_into_a_new_file() {
    let disk = MemoryDisk::default();
    let mut redis = start(&disk, AppendFsync::Everysec);
    redis.run("SET a 1").is("+OK");
    disk.fail(Fault::Sync(ErrorKind::Other));
    redis.advance_ms(1100);
    redis.run("SET b 1").starts("-MISCONF Errors writing to the AOF file");
    settle(&mut redis);
    redis.run("SET b 1").is("+OK");
    redis.advance_ms(1100);
    redis.advance_ms(1);
    drop(redis);
    disk.cut_power();
    start(&disk, AppendFsync::Everysec).run("EXISTS a b").is(":2");
}

#[test]
fn d37_the_log_has_effects_and_gives_the_same_data_again() {
    let disk = MemoryDisk::default();
    let mut redis = start(&disk, AppendFsync::No);
    for line in [
        "SET a 1 EX 100",
        "INCRBYFLOAT a 0.5",
        "SADD s 1 2 3 4 5 6",
        "SPOP s 2",
        "SPOP s",
        "EXPIRE s 1000",
        "HSET h f 1 g 2",
        "HINCRBYFLOAT h f 0.1",
        "HEXPIRE h 100 FIELDS 1 g",
        "RPUSH l a b c",
        "LMOVE l l2 LEFT RIGHT",
        "ZADD z 1.5 m",
        "ZINCRBY z 0.1 m",
        "MSETEX 2 x 1 y 2 EX 50",
        "GETEX x PERSIST",
        "SET gone 1 PX 5",
    ] {
        redis.run(line);
    }
    redis.advance_ms(10);
    redis.run("MULTI");
    redis.run("SET m1 1");
    redis.run("SET m2 1");
    redis.run("EXEC");
    redis.run("CONFIG SET save \"\"");
    let state = |redis: &mut TestServer| {
        ["a", "s", "x", "y"].map(|key| redis.run(&format!("PEXPIRETIME {key}")).0).join(" ")
    };
    let digest = |redis: &mut TestServer| {
        redis.server.state.config.enable_debug_command = crate::config::value::ProtectedAction::Yes;
        redis.run("DEBUG DIGEST").0
    };
    let (expected, times) = (digest(&mut redis), state(&mut redis));
    redis.run("DEBUG LOADAOF");
    settle(&mut redis);
    assert_eq!((digest(&mut redis), state(&mut redis)), (expected.clone(), times.clone()));
    redis.run("DEBUG RELOAD");
    settle(&mut redis);
    assert_eq!((digest(&mut redis), state(&mut redis)), (expected.clone(), times.clone()));
    redis.run("BGREWRITEAOF");
    settle(&mut redis);
    drop(redis);
    let mut redis = start(&disk, AppendFsync::No);
    redis.advance_ms(10);
    assert_eq!((digest(&mut redis), state(&mut redis)), (expected, times));
}

#[test]
fn the_log_can_be_turned_on_and_off_while_the_server_runs() {
    let disk = MemoryDisk::default();
    let mut redis = start_without_log(&disk);
    redis.run("SET a 1");
    redis.run("CONFIG SET appendonly yes").is("+OK");
    settle(&mut redis);
    redis.run("SET b 1");
    redis.run("CONFIG SET appendonly no").is("+OK");
    redis.run("SET c 1");
    drop(redis);
    start(&disk, AppendFsync::Everysec).run("EXISTS a b c").is(":2");
}

#[test]
fn a_rewrite_without_a_log_writes_a_base_and_begins_none() {
    let disk = MemoryDisk::default();
    let mut redis = start_without_log(&disk);
    redis.run("SET a 1").is("+OK");
    redis.run("BGREWRITEAOF").is("+Background append only file rewriting started");
    settle(&mut redis);
    redis.run("SET b 1").is("+OK");
    assert!(redis.server.state.durability.log.is_none());
    let base = "data/appendonlydir/appendonly.aof.1.base.rdb";
    assert_eq!(disk.all_names(), [base, "data/appendonlydir/appendonly.aof.manifest"]);
    drop(redis);
    start(&disk, AppendFsync::No).run("EXISTS a b").is(":1");
}

#[test]
fn a_base_of_commands_has_every_type_and_is_refused_when_its_end_is_missing() {
    let disk = MemoryDisk::default();
    let mut redis = start(&disk, AppendFsync::No);
    redis.run("CONFIG SET aof-use-rdb-preamble no").is("+OK");
    for line in [
        "SET number 12",
        "SET text abc PX 500000",
        "RPUSH list a 1 c",
        "SADD ints 1 2 3",
        "SADD words a b 3",
        "ZADD zset 1.5 a -inf b 17 c",
        "HSET hash f 1 g w",
        "HPEXPIRE hash 900000 FIELDS 1 g",
        "SELECT 5",
        "SET other 1",
    ] {
        redis.run(line);
    }
    redis.server.state.config.enable_debug_command = crate::config::value::ProtectedAction::Yes;
    let expected = redis.run("DEBUG DIGEST").0;
    redis.run("BGREWRITEAOF");
    settle(&mut redis);
    drop(redis);
    let base = "data/appendonlydir/appendonly.aof.1.base.aof";
    let mut redis = start(&disk, AppendFsync::No);
    redis.server.state.config.enable_debug_command = crate::config::value::ProtectedAction::Yes;
    redis.run("DEBUG DIGEST").is(&expected);
    redis.run("HPTTL hash FIELDS 1 g").starts("*1 :8");
    redis.run("PTTL text").starts(":4");
    drop(redis);
    let bytes = disk.bytes(base).unwrap();
    for cut in 1..bytes.len() {
        disk.set_bytes(base, &bytes[..bytes.len() - cut]);
        let mut redis = start_without_turn(&disk, AppendFsync::No);
        redis.advance_ms(1);
        assert_eq!(redis.actions.exit, Some(1), "cut by {cut}");
    }
}

#[test]
fn the_log_is_turned_off_while_a_snapshot_is_taken() {
    for command in ["BGSAVE", "BGREWRITEAOF"] {
        // At each step of it.
        for turns in 0..5 {
            let disk = MemoryDisk::default();
            let mut redis = start(&disk, AppendFsync::Everysec);
            redis.run("SET a 1").is("+OK");
            redis.world.borrow_mut().jobs_are_held = true;
            redis.run(command).starts("+Background");
            for _ in 0..turns {
                redis.world.borrow_mut().jobs_are_held = false;
                redis.world.borrow_mut().finished_max = Some(1);
                redis.advance_ms(1);
                redis.world.borrow_mut().jobs_are_held = true;
            }
            redis.run("CONFIG SET appendonly no").is("+OK");
            redis.world.borrow_mut().jobs_are_held = false;
            redis.world.borrow_mut().finished_max = None;
            settle(&mut redis);
            redis.run("SET b 1").is("+OK");
            assert!(redis.server.state.durability.log.is_none(), "{command} {turns}");
            redis.run("CONFIG SET appendonly yes").is("+OK");
            settle(&mut redis);
            redis.run("SET c 1").is("+OK");
            redis.advance_ms(1100);
            redis.advance_ms(1);
            drop(redis);
            disk.cut_power();
            start(&disk, AppendFsync::Everysec).run("EXISTS a b c").is(":3");
        }
    }
}

#[test]
fn d35_a_log_that_somebody_has_removed_or_cut_is_written_anew() {
    for removes in [true, false] {
        let disk = MemoryDisk::default();
        let mut redis = start(&disk, AppendFsync::Everysec);
        redis.run("SET a 1").is("+OK");
        redis.advance_ms(1);
        match removes {
            true => disk.remove(Path::new(LOG)).unwrap(),
            false => disk.open(Path::new(LOG)).unwrap().truncate(3).unwrap(),
        }
        redis.advance_ms(200);
        settle(&mut redis);
        redis.run("SET b 1").is("+OK");
        assert!(log_of(&redis).contains("by somebody else. Writing a new one from memory."));
        drop(redis);
        start(&disk, AppendFsync::Everysec).run("EXISTS a b").is(":2");
    }
}

#[test]
fn timestamps_are_comments_that_a_load_passes_over() {
    let disk = MemoryDisk::default();
    let mut redis = start(&disk, AppendFsync::No);
    redis.run("CONFIG SET aof-timestamp-enabled yes").is("+OK");
    redis.run("SET a 1").is("+OK");
    let log = String::from_utf8(disk.bytes(LOG).unwrap()).unwrap();
    assert!(log.contains("#TS:1700000000\r\n*"), "{log}");
    drop(redis);
    start(&disk, AppendFsync::No).run("GET a").is("$1 1");
}

#[test]
fn s01_a_shutdown_answers_and_keeps_what_was_executed() {
    let disk = MemoryDisk::default();
    let mut redis = start(&disk, AppendFsync::Always);
    redis.world.borrow_mut().jobs_are_held = true;
    redis.run("SET a 1").is("");
    let client = redis.connect();
    redis.run_as(client, "SHUTDOWN NOSAVE");
    assert_eq!(redis.actions.exit, Some(0));
    redis.take(redis_first()).is("+OK");
    drop(redis);
    disk.cut_power();
    start(&disk, AppendFsync::Always).run("GET a").is("$1 1");
}

fn redis_first() -> crate::net::Token {
    crate::net::Token(0)
}
