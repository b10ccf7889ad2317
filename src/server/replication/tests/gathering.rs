//! When the stream leaves: at once after a quiet millisecond, in one piece a millisecond under load.

use std::time::Duration;

use super::{Replica, master, with_a_write_that_is_not_in_the_log};
use crate::net::Service as _;
use crate::server::testing::TestServer;

/// A master, and a replica that has all it has; a millisecond has gone by since.
fn master_and_replica() -> (TestServer, Replica) {
    let mut redis = master();
    let mut replica = Replica::modern(&mut redis);
    replica.full_sync(&mut redis);
    redis.run("SELECT 0");
    redis.advance_ms(1);
    (redis, replica)
}

/// What the replica was sent, without a turn in between.
fn sent(redis: &mut TestServer, replica: &mut Replica) -> String {
    replica.bytes.extend(redis.sent(replica.token));
    replica.commands()
}

#[test]
fn what_follows_within_a_millisecond_is_sent_in_one_piece() {
    let (mut redis, mut replica) = master_and_replica();
    redis.run("SET a 1");
    assert_eq!(sent(&mut redis, &mut replica), "SELECT 0; SET a 1", "nothing was sent before");
    redis.run("SET b 1");
    redis.run("SET c 1");
    assert_eq!(sent(&mut redis, &mut replica), "");
    assert_eq!(
        redis.server.run_timers(),
        Some(Duration::from_millis(1)),
        "the loop will not sleep on"
    );
    redis.advance_ms(1);
    assert_eq!(sent(&mut redis, &mut replica), "SET b 1; SET c 1");
    redis.run("SET d 1");
    assert_eq!(sent(&mut redis, &mut replica), "");
    redis.advance_ms(2);
    assert_eq!(sent(&mut redis, &mut replica), "SET d 1");
    redis.advance_ms(1);
    redis.run("SET e 1");
    assert_eq!(sent(&mut redis, &mut replica), "SET e 1", "it was quiet for a millisecond");
    assert!(
        redis.server.run_timers() > Some(Duration::from_millis(1)),
        "there is nothing to wake up for"
    );
}

#[test]
fn much_is_not_held_back() {
    let (mut redis, mut replica) = master_and_replica();
    redis.run("SET a 1");
    redis.run_bytes(&[b"SET", b"b", &[b'x'; 40_000]]);
    assert!(sent(&mut redis, &mut replica).len() > 40_000);
    redis.run("SET c 1");
    assert_eq!(sent(&mut redis, &mut replica), "", "the millisecond goes on");
    redis.advance_ms(1);
    assert_eq!(sent(&mut redis, &mut replica), "SET c 1");
}

#[test]
fn who_waits_for_acknowledgements_waits_for_nothing_more() {
    let (mut redis, mut replica) = master_and_replica();
    redis.run("SET a 1");
    redis.run("SET b 1");
    redis.run("WAIT 1 0").is("");
    assert_eq!(sent(&mut redis, &mut replica), "SELECT 0; SET a 1; SET b 1; REPLCONF GETACK *");
}

#[test]
fn a_replica_that_comes_meanwhile_does_not_wait_for_long() {
    let (mut redis, mut replica) = master_and_replica();
    redis.run("SET a 1");
    replica.wait(&mut redis, 0);
    let history = &redis.server.state.replication.history;
    let (replid, next) = (
        history.replid,
        history.offset + 1 - "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n".len() as u64,
    );
    let mut other = Replica::modern(&mut redis);
    other.send(&mut redis, &format!("PSYNC {replid} {next}"));
    assert_eq!(other.line(), format!("+CONTINUE {replid}"));
    assert_eq!(redis.server.run_timers(), Some(Duration::from_millis(1)));
    redis.advance_ms(1);
    assert_eq!(sent(&mut redis, &mut other), "SET a 1");
}

#[test]
fn what_was_gathered_leaves_before_the_end() {
    let (mut redis, replica) = master_and_replica();
    redis.run("SET a 1");
    redis.run("SET b 1");
    redis.sent(replica.token);
    redis.run("SET c 1");
    redis.run("SHUTDOWN NOW");
    assert_eq!(redis.actions.exit, Some(0));
    redis.take(replica.token).is("*3 $3 SET $1 b $1 1 *3 $3 SET $1 c $1 1");
}

#[test]
fn while_the_log_is_behind_the_loop_sleeps() {
    let (mut redis, mut replica) = with_a_write_that_is_not_in_the_log();
    redis.advance_ms(5);
    assert!(redis.server.run_timers() > Some(Duration::from_millis(1)), "the log wakes it");
    assert_eq!(sent(&mut redis, &mut replica), "");
    redis.world.borrow_mut().jobs_are_held = false;
    (0..3).for_each(|_| redis.advance_ms(0));
    assert_eq!(sent(&mut redis, &mut replica), "SELECT 0; SET a 1");
}
