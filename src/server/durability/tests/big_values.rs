//! Snapshots of big values that change while they are written.

use super::{settle, start};
use crate::config::value::{AppendFsync, ProtectedAction};
use crate::persistence::testing::MemoryDisk;
use crate::server::Server;
use crate::server::testing::TestServer;

const ELEMENTS: usize = 6000;

fn fill(redis: &mut TestServer) {
    redis.server.state.config.enable_debug_command = ProtectedAction::Yes;
    for db in [0, 3] {
        redis.run(&format!("SELECT {db}")).is("+OK");
        for from in (0..ELEMENTS).step_by(500) {
            let words = |word: &dyn Fn(usize) -> String| {
                (from..from + 500).map(word).collect::<Vec<_>>().join(" ")
            };
            redis.run(&format!("SADD set {}", words(&|i| format!("member:{db}:{i}"))));
            redis.run(&format!("HSET hash {}", words(&|i| format!("field:{i} value:{}", i * 7))));
            redis.run(&format!(
                "ZADD zset {}",
                words(&|i| format!("{}.5 member:{i}", i * 31 % 977))
            ));
            redis.run(&format!(
                "RPUSH list {}",
                words(&|i| format!("element:{i}:{}", "x".repeat(i % 90)))
            ));
        }
        redis.run(&format!("HSET hash long {}", "y".repeat(5000)));
        redis.run(&format!("SET string {}", "ab".repeat(600_000)));
        redis.run("EXPIRE zset 10000");
        (0..300).for_each(|i| redis.run(&format!("SET small:{i} {i}")).is("+OK"));
    }
}

/// Changes every key, another part of it each time.
fn change(redis: &mut TestServer, step: usize) {
    redis.run(if step.is_multiple_of(2) { "SELECT 0" } else { "SELECT 3" });
    let at = step * 101 % ELEMENTS;
    redis.run(&format!("SREM set member:0:{at} member:3:{at}"));
    redis.run(&format!("SADD set new:{step} {step}"));
    redis.run(&format!("HSET hash field:{at} changed new:{step} {step}"));
    redis.run(&format!("ZINCRBY zset 3 member:{at}"));
    redis.run(&format!("LSET list {at} changed"));
    redis.run("RPOPLPUSH list list");
    redis.run(&format!("SETRANGE string {at} changed"));
    redis.run(&format!("INCR small:{}", step % 300));
    match step {
        0 => redis.run("RENAME hash other"),
        1 => redis.run("DEL set"),
        2 => redis.run("SWAPDB 0 3"),
        3 => redis.run("COPY list copied"),
        4 => redis.run("FLUSHALL"),
        _ => return,
    };
}

fn digest(redis: &mut TestServer) -> String {
    redis.server.state.config.enable_debug_command = ProtectedAction::Yes;
    redis.run("DEBUG DIGEST").0
}

fn is_running(redis: &TestServer) -> bool {
    let durability = &redis.server.state.durability;
    durability.snapshot.is_some() || durability.facts.save_scheduled
}

#[test]
fn a_save_has_every_big_value_as_it_was_when_it_began() {
    for steps in [2, 4, 60] {
        let disk = MemoryDisk::default();
        let begin = || {
            let mut redis = TestServer::on_disk(&disk, |config| {
                config.appendonly = false;
                config.dir = "data".into();
            });
            redis.server.open_files().expect("the files are sound");
            while redis.server.state.durability.loading.is_some() {
                redis.advance_ms(1);
            }
            redis
        };
        let mut redis = begin();
        fill(&mut redis);
        let expected = digest(&mut redis);
        redis.run("BGSAVE").starts("+Background");
        for step in 0.. {
            if step < steps {
                change(&mut redis, step);
            }
            redis.advance_ms(1);
            if !is_running(&redis) {
                break;
            }
        }
        assert_ne!(digest(&mut redis), expected);
        drop(redis);
        assert_eq!(digest(&mut begin()), expected);
    }
}

#[test]
fn d25_a_rewrite_while_big_values_change_gives_what_they_are_at_the_end() {
    for preamble in ["yes", "no"] {
        let disk = MemoryDisk::default();
        let mut redis = start(&disk, AppendFsync::No);
        redis.run(&format!("CONFIG SET aof-use-rdb-preamble {preamble}")).is("+OK");
        fill(&mut redis);
        redis.run("BGREWRITEAOF").starts("+Background");
        (0..4).for_each(|step| change(&mut redis, step));
        settle(&mut redis);
        let expected = digest(&mut redis);
        let suffix = if preamble == "yes" { "1.base.rdb" } else { "1.base.aof" };
        assert!(disk.all_names().iter().any(|name| name.ends_with(suffix)));
        drop(redis);
        assert_eq!(digest(&mut start(&disk, AppendFsync::No)), expected);
    }
}

#[test]
fn a_turn_of_a_walk_writes_a_bounded_part_of_a_big_value() {
    let mut redis = TestServer::new();
    fill(&mut redis);
    let Server { state, keyspace, .. } = &mut redis.server;
    state.begin_records(keyspace);
    let mut complete = false;
    while !complete {
        let (bytes, is_complete) = keyspace.snapshot_step(16 << 10);
        assert!(bytes.len() < 200 << 10, "{} bytes", bytes.len());
        complete = is_complete;
    }
}
