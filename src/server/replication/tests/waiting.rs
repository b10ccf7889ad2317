//! What waits for replicas, and for how long: `WAIT`, writes, a shutdown, a failover, the backlog.

use super::{Replica, log_has, master};
use crate::net::Token;
use crate::persistence::testing::MemoryDisk;
use crate::server::testing::TestServer;

#[test]
fn r20_wait_counts_replicas_that_have_what_the_client_has_written() {
    let mut redis = master();
    let mut replica = Replica::modern(&mut redis);
    let (_, _, offset) = replica.full_sync(&mut redis);
    redis.run("WAIT 1 0").is(":1");
    redis.run("SET a 1");
    replica.wait(&mut redis, 0);
    let end = offset + replica.bytes.len() as u64;
    replica.bytes.clear();
    let client = redis.connect();
    redis.run_as(client, "WAIT 1 0").is(":1");
    redis.run("WAIT 0 0").is(":0");
    redis.run("WAIT 1 500").is("");
    redis.advance_ms(0);
    replica.wait(&mut redis, 0);
    assert_eq!(replica.commands(), "REPLCONF GETACK *");
    replica.send(&mut redis, &format!("REPLCONF ACK {}", end - 1));
    redis.take(Token(0)).is("");
    redis.advance_ms(499);
    redis.take(Token(0)).is("");
    redis.advance_ms(1);
    redis.take(Token(0)).is(":0");
    redis.run("WAIT 1 0").is("");
    replica.send(&mut redis, &format!("REPLCONF ACK {end}"));
    redis.take(Token(0)).is(":1");
    redis.run("WAIT 2 0").is("");
    redis.run_as(client, "CLIENT UNBLOCK 1").is(":1");
    redis.take(Token(0)).is(":1");
    redis.run("WAIT 2 0").is("");
    redis.run_as(client, "CLIENT UNBLOCK 1 ERROR").is(":1");
    redis.take(Token(0)).is("-UNBLOCKED client unblocked via CLIENT UNBLOCK");
    redis.run("MULTI");
    redis.run("SET a 1");
    redis.run("WAIT 1 0");
    redis.run("EXEC").is("*2 +OK :1");
    for (line, error) in [
        ("WAIT a 1", "value is not an integer or out of range"),
        ("WAIT 0 a", "timeout is not an integer or out of range"),
        ("WAIT 1 -1", "timeout is negative"),
        ("WAITAOF 2 0 1", "value is out of range, value must between 0 and 1"),
        ("WAITAOF 0 -1 1", "value is out of range, must be positive"),
        (
            "WAITAOF 1 0 1",
            "WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
        ),
    ] {
        redis.run(line).is(&format!("-ERR {error}"));
    }
}

#[test]
fn waitaof_waits_for_the_device() {
    let disk = MemoryDisk::default();
    let mut redis = TestServer::on_disk(&disk, |config| {
        config.repl_diskless_sync_delay = 0;
        config.dir = "data".into();
    });
    redis.server.open_files().unwrap();
    (0..5).for_each(|_| redis.advance_ms(1));
    let mut replica = Replica::modern(&mut redis);
    let (_, _, offset) = replica.full_sync(&mut redis);
    redis.run("SET a 1");
    replica.wait(&mut redis, 0);
    let end = offset + replica.bytes.len() as u64;
    redis.run("WAITAOF 1 1 0").is("");
    (0..12).for_each(|_| redis.advance_ms(100));
    redis.take(Token(0)).is("");
    replica.send(&mut redis, &format!("REPLCONF ACK {end} FACK {end}"));
    redis.take(Token(0)).is("*2 :1 :1");
}

#[test]
fn r14_writes_are_refused_while_too_few_replicas_are_heard_of() {
    let mut redis = master();
    redis.run("CONFIG SET min-replicas-to-write 1 min-replicas-max-lag 2").is("+OK");
    let refusal = "-NOREPLICAS Not enough good replicas to write.";
    redis.run("SET a 1").is(refusal);
    redis.run("GET a").is("$-1");
    let mut replica = Replica::modern(&mut redis);
    replica.full_sync(&mut redis);
    redis.run("SET a 1").is("+OK");
    let info = redis.run("INFO replication").0;
    assert!(
        info.contains(
            "connected_slaves:1 min_slaves_good_slaves:1 slave0:ip=127.0.0.1,port=7001,state=online"
        ),
        "{info}"
    );
    redis.advance_ms(3000);
    redis.run("SET a 1").is(refusal);
    redis.run("MULTI");
    redis.run("SET a 1").is(refusal);
    redis.run("EXEC").starts("-EXECABORT");
    replica.send(&mut redis, "REPLCONF ACK 0");
    redis.run("SET a 1").is("+OK");
}

#[test]
fn silent_replicas_are_closed_and_others_pinged() {
    let mut redis = master();
    let mut replica = Replica::modern(&mut redis);
    replica.full_sync(&mut redis);
    replica.wait(&mut redis, 10_000);
    (0..10).for_each(|_| replica.wait(&mut redis, 1000));
    let commands = replica.commands();
    assert!(commands.starts_with("PING; PING") || commands == "PING", "{commands}");
    replica.send(&mut redis, ""); // an empty line is a sign of life
    for _ in 0..60 {
        redis.advance_ms(1000);
    }
    assert!(redis.is_connected(replica.token));
    redis.advance_ms(1000);
    redis.advance_ms(1000);
    assert!(!redis.is_connected(replica.token));
    assert!(log_has(&redis, "Disconnecting timedout replica (streaming sync): 127.0.0.1:7001"));
}

#[test]
fn the_backlog_goes_when_nobody_comes_back_and_with_it_the_history() {
    let mut redis = master();
    redis.run("CONFIG SET repl-backlog-ttl 5");
    let mut replica = Replica::modern(&mut redis);
    let (_, replid, offset) = replica.full_sync(&mut redis);
    redis.run("CLIENT KILL TYPE replica");
    (0..5).for_each(|_| redis.advance_ms(1000));
    assert!(redis.server.state.replication.backlog.is_some());
    (0..2).for_each(|_| redis.advance_ms(1000));
    assert!(redis.server.state.replication.backlog.is_none());
    assert!(!redis.server.state.effects.on);
    let mut again = Replica::modern(&mut redis);
    again.send(&mut redis, &format!("PSYNC {replid} {}", offset + 1));
    (0..3).for_each(|_| again.wait(&mut redis, 0));
    assert!(again.line().starts_with("+FULLRESYNC"));
}

#[test]
fn s02_s05_a_shutdown_waits_for_replicas_and_can_be_given_up() {
    let mut redis = master();
    let mut replica = Replica::modern(&mut redis);
    let (_, _, offset) = replica.full_sync(&mut redis);
    let other = redis.connect();
    redis.run("SET a 1");
    replica.wait(&mut redis, 0);
    let end = offset + replica.bytes.len() as u64;
    redis.run("SHUTDOWN").is("");
    redis.run_as(other, "SET a 2").is("");
    redis.run("GET a").is("");
    let third = redis.connect();
    redis.run_as(third, "SHUTDOWN ABORT").is("+OK");
    redis.take(Token(0)).starts("-ERR Errors trying to SHUTDOWN. Check logs.");
    redis.advance_ms(0);
    redis.take(other).is("+OK");
    redis.run_as(third, "SHUTDOWN ABORT").is("-ERR No shutdown in progress.");
    replica.wait(&mut redis, 0);
    let end = end + 37 + "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n2\r\n".len() as u64;
    redis.run("SHUTDOWN").is("");
    assert_eq!(redis.actions.exit, None);
    replica.send(&mut redis, &format!("REPLCONF ACK {end}"));
    assert_eq!(redis.actions.exit, Some(0));
    assert!(log_has(&redis, "Waiting for replicas before shutting down."));
    assert!(log_has(&redis, "1 of 1 replicas are in sync when shutting down."));
}

#[test]
fn s02_a_shutdown_does_not_wait_longer_than_it_may() {
    let mut redis = master();
    let mut replica = Replica::modern(&mut redis);
    replica.full_sync(&mut redis);
    redis.run("SET a 1");
    redis.run("SHUTDOWN").is("");
    redis.advance_ms(9999);
    assert_eq!(redis.actions.exit, None);
    redis.advance_ms(1);
    assert_eq!(redis.actions.exit, Some(0));
    assert!(log_has(&redis, "Lagging replica 127.0.0.1:7001 reported offset"));
    assert!(log_has(&redis, "0 of 1 replicas are in sync when shutting down."));
}

#[test]
fn a_failover_waits_until_the_replica_has_everything() {
    let mut redis = master();
    redis.run("FAILOVER").is("-ERR FAILOVER requires connected replicas.");
    redis.run("FAILOVER ABORT").is("-ERR No failover in progress.");
    let mut replica = Replica::modern(&mut redis);
    replica.full_sync(&mut redis);
    for (arguments, error) in [
        ("TO 127.0.0.1 1", "FAILOVER target HOST and PORT is not a replica."),
        ("TO a b", "value is not an integer or out of range"),
        ("TO a", "syntax error"),
        ("TIMEOUT 0", "FAILOVER timeout must be greater than 0"),
        ("FORCE", "FAILOVER with force option requires both a timeout and target HOST and IP."),
    ] {
        redis.run(&format!("FAILOVER {arguments}")).is(&format!("-ERR {error}"));
    }
    redis.run("SET a 1");
    redis.run("FAILOVER TO 127.0.0.1 7001 TIMEOUT 1000").is("+OK");
    redis.run("FAILOVER").is("-ERR FAILOVER already in progress.");
    let info = redis.run("INFO replication").0;
    assert!(info.contains("master_failover_state:waiting-for-sync"), "{info}");
    let other = redis.connect();
    redis.run_as(other, "SET a 2").is("");
    redis.advance_ms(1000);
    redis.advance_ms(0);
    redis.take(other).is("+OK");
    assert!(log_has(&redis, "FAILOVER to 127.0.0.1:7001 aborted: Replica never caught up"));
    redis.run("FAILOVER").is("+OK");
    redis.advance_ms(0);
    let end = redis.server.state.replication.history.offset;
    replica.send(&mut redis, &format!("REPLCONF ACK {end}"));
    assert!(!redis.server.state.replication.is_master());
    let info = redis.run("INFO replication").0;
    assert!(info.contains("role:slave master_host:127.0.0.1 master_port:7001"), "{info}");
    assert!(info.contains("master_failover_state:failover-in-progress"), "{info}");
    redis.run("FAILOVER ABORT").is("+OK");
    assert!(redis.server.state.replication.is_master());
}
