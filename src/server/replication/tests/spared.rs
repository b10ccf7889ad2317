//! Replicas that are far behind after their full synchronization.

use super::*;

const LIMIT: u64 = 1 << 20;

/// A master, and a replica that has its snapshot to take.
fn syncing() -> (TestServer, Replica) {
    let mut redis = master();
    redis.server.state.config.client_output_buffer_limit.replica.hard_bytes = LIMIT;
    let mut replica = Replica::modern(&mut redis);
    replica.send(&mut redis, "PSYNC ? -1");
    (0..3).for_each(|_| redis.advance_ms(0));
    (redis, replica)
}

/// Writes that a hundred of are the limit. Those that have to wait get the time for it.
fn write(redis: &mut TestServer, count: usize) {
    for _ in 0..count {
        redis.run_bytes(&[b"SET", b"a", &[b'x'; 10_500]]);
        redis.advance_ms(20);
    }
}

#[test]
fn r16_a_replica_that_is_behind_after_its_full_sync_is_not_closed() {
    let (mut redis, mut replica) = syncing();
    write(&mut redis, 150);
    (0..10).for_each(|_| replica.wait(&mut redis, 0));
    replica.bytes.clear();
    replica.send(&mut redis, "REPLCONF ACK 0");
    assert!(redis.is_connected(replica.token));
    let window = redis.server.state.clients.get(replica.token).output.len() as u64;
    assert!(window < LIMIT, "{window}: the rest is in the backlog only");
    (0..20).for_each(|_| replica.wait(&mut redis, 0));
    assert_eq!(replica.commands().matches("SET a").count(), 150);
    assert!(log_has(&redis, "It is not closed: clients that write are slowed"));
    // Once it has caught up the limit holds.
    write(&mut redis, 150);
    assert!(!redis.is_connected(replica.token));
}

#[test]
fn r16_beyond_the_limit_who_writes_waits_half_of_the_time() {
    let (mut redis, replica) = syncing();
    write(&mut redis, 90);
    redis.run("SET b 1").is("+OK");
    write(&mut redis, 20);
    let writer = redis.connect();
    for _ in 0..5 {
        for _ in 0..20 {
            if redis.server.state.pause.is_none() {
                redis.advance_ms(1);
            }
        }
        redis.run_as(writer, "SET b 2").is("");
        redis.run("GET b").is("$1 1");
        redis.advance_ms(9);
        redis.take(writer).is("");
        redis.advance_ms(1);
        redis.take(writer).is("+OK");
        redis.run("SET b 1").is("+OK");
        redis.advance_ms(9);
        redis.run("SET b 1").is("+OK");
    }
    assert!(redis.is_connected(replica.token));
}

#[test]
fn r16_at_twice_the_limit_it_is_closed_and_the_next_full_sync_waits() {
    let (mut redis, replica) = syncing();
    write(&mut redis, 190);
    assert!(redis.is_connected(replica.token));
    write(&mut redis, 20);
    assert!(!redis.is_connected(replica.token));
    assert!(log_has(&redis, "no other full sync begins for 60 seconds (repl-timeout)"));
    let kept = redis.server.state.replication.backlog_bytes() as u64;
    assert!(kept < LIMIT * 3 / 2, "{kept}: what it was to get is forgotten");
    redis.run("SET b 1").is("+OK");
    redis.advance_ms(20);
    redis.run("SET b 2").is("+OK"); // nobody is slowed any more
    let mut next = Replica::modern(&mut redis);
    next.send(&mut redis, "PSYNC ? -1");
    for _ in 0..50 {
        next.wait(&mut redis, 1000);
    }
    assert!(next.bytes.iter().all(|&byte| byte == b'\n'), "signs of life, and no snapshot yet");
    for _ in 0..10 {
        next.wait(&mut redis, 1000);
    }
    assert!(next.line().starts_with("+FULLRESYNC "));
}
