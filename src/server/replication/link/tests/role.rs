//! What it means to be a replica, and to become one or a master.

use super::*;

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
