//! We as the master of real servers: Redis 7.0, Redis 8 and Valkey 9. A peer that is missing is skipped with a line.

mod support;

use std::process::Command;

use rustix::process::Signal;
use support::data::Data;
use support::keyspace::fill;
use support::peers::find_peer;
use support::replication::{
    Load, PeerKind, REDIS_7, REDIS_8, VALKEY_9, expect_equal, info, is_up, wait_in_sync,
};
use support::{TestServer, skipped, wait_until, works};

/// A server of that kind that follows `master`, if there is the program.
fn follow(kind: &PeerKind, test: &str, master: &TestServer) -> Option<TestServer> {
    let address = format!("127.0.0.1 {}", master.port());
    kind.start(test, &["--replicaof", &address, "--repl-diskless-load", "swapdb"])
}

/// A master whose full syncs begin at once.
fn start(more: &[&str]) -> TestServer {
    TestServer::start(&[&["--repl-diskless-sync-delay", "0"], more].concat())
}

/// What we have reaches a replica, and what we do from then on; after a cut it goes on where it was.
fn serves(test: &str, kind: &PeerKind, more: &[&str]) {
    let server = start(more);
    let mut master = server.connect();
    fill(&mut master, kind.has_field_expiry);
    let load = Load::on(&server, kind.has_field_expiry);
    let Some(peer) = follow(kind, test, &server) else {
        load.stop();
        return;
    };
    let mut replica = peer.connect();
    wait_until("the link is up", || is_up(&mut replica));
    let mut subscriber = peer.connect();
    subscriber.run("SUBSCRIBE channel");
    // Whoever reads there sees both of a transaction or none.
    for _ in 0..100 {
        let pair = replica.run("MGET load:one load:two").leaves();
        assert_eq!(pair[0], pair[1]);
    }
    assert!(subscriber.reply().wire().contains("message"), "messages are passed on");
    for number in 1..=3 {
        master.run("CLIENT KILL TYPE replica").is(":1");
        wait_until("it goes on where it was", || {
            info(&mut master, "sync_partial_ok") == number.to_string()
        });
    }
    assert!(load.stop() > 0);
    expect_equal(&mut master, &mut replica, kind.has_field_expiry);
    assert_eq!(info(&mut master, "sync_full"), "1");
    assert_eq!(info(&mut master, "sync_partial_err"), "0");
    assert!(!peer.log().contains("CRITICAL"), "{}", peer.log());
}

#[test]
fn r02_redis_7_follows() {
    serves("r02_redis_7_follows", &REDIS_7, &[]);
}

#[test]
fn r02_redis_7_follows_without_a_log_of_ours() {
    serves("r02_redis_7_follows_without_a_log_of_ours", &REDIS_7, &["--appendonly", "no"]);
}

#[test]
fn r02_redis_7_follows_from_a_file() {
    serves("r02_redis_7_follows_from_a_file", &REDIS_7, &["--repl-diskless-sync", "no"]);
}

#[test]
fn r02_redis_8_follows() {
    serves("r02_redis_8_follows", &REDIS_8, &[]);
}

#[test]
fn r02_valkey_9_follows() {
    serves("r02_valkey_9_follows", &VALKEY_9, &["--appendfsync", "always"]);
}

#[test]
fn r23_two_replicas_that_join_under_load_are_equal() {
    let test = "r23_two_replicas_that_join_under_load_are_equal";
    let server = TestServer::start(&["--repl-diskless-sync-delay", "1"]);
    let mut master = server.connect();
    fill(&mut master, false);
    let load = Load::on(&server, false);
    let Some(one) = follow(&REDIS_7, test, &server) else {
        load.stop();
        return;
    };
    wait_until("the first is being served", || info(&mut master, "sync_full") == "1");
    let Some(other) = follow(&REDIS_7, test, &server) else {
        load.stop();
        return;
    };
    let (mut one, mut other) = (one.connect(), other.connect());
    wait_until("both are online", || is_up(&mut one) && is_up(&mut other));
    load.stop();
    expect_equal(&mut master, &mut one, false);
    expect_equal(&mut master, &mut other, false);
    assert_eq!(info(&mut master, "connected_slaves"), "2");
}

#[test]
fn r14_r20_a_replica_that_is_stopped_does_not_count() {
    let test = "r14_r20_a_replica_that_is_stopped_does_not_count";
    let server = start(&[]);
    let mut master = server.connect();
    let Some(peer) = follow(&REDIS_7, test, &server) else { return };
    wait_in_sync(&mut master, &mut peer.connect());
    master.run("SET a 1").is("+OK");
    master.run("WAIT 1 0").is(":1");
    peer.signal(Signal::STOP);
    master.run("SET a 2").is("+OK");
    master.run("WAIT 1 500").is(":0");
    master.run("CONFIG SET min-replicas-to-write 1 min-replicas-max-lag 1").is("+OK");
    wait_until("it is too silent", || {
        master.run("SET a 3").wire() == "-NOREPLICAS Not enough good replicas to write."
    });
    peer.signal(Signal::CONT);
    wait_until("it is heard of again", || master.run("SET a 4").wire() == "+OK");
    master.run("WAIT 1 0").is(":1");
    peer.connect().run("GET a").is("$1\r\n4");
}

#[test]
fn s02_a_shutdown_waits_until_the_replica_has_everything() {
    let test = "s02_a_shutdown_waits_until_the_replica_has_everything";
    let mut server = start(&[]);
    let mut master = server.connect();
    let Some(peer) = follow(&REDIS_7, test, &server) else { return };
    wait_in_sync(&mut master, &mut peer.connect());
    peer.signal(Signal::STOP);
    (0..1000).for_each(|_| assert!(!master.run("INCR a").is_error()));
    server.signal(Signal::TERM);
    wait_until("it waits", || server.log().contains("Waiting for replicas before shutting down."));
    assert!(server.is_running());
    peer.signal(Signal::CONT);
    assert!(server.wait_exit().success());
    assert!(server.log().contains("1 of 1 replicas are in sync when shutting down."));
    peer.connect().run("GET a").is("$4\r\n1000");
}

#[test]
fn snapshots_can_be_fetched_with_the_command_line_client() {
    let test = "snapshots_can_be_fetched_with_the_command_line_client";
    let server = start(&[]);
    fill(&mut server.connect(), true);
    for (program, check) in [("redis-cli", "redis-check-rdb"), ("valkey-cli", "valkey-check-rdb")] {
        let (Some(program), Some(check)) = (find_peer(program, ""), find_peer(check, "")) else {
            skipped(test, &format!("{program} is not there"));
            continue;
        };
        let file = server.dir().join("fetched.rdb");
        let file = file.to_str().expect("a name of ours");
        let port = server.port().to_string();
        let output = Command::new(&program).args(["-p", &port, "--rdb", file]).output();
        let output = output.expect("it can be started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(works(&check, &[file]), "{check} finds something wrong");
    }
}

#[test]
fn r07_after_a_clean_restart_replicas_go_on_where_they_were() {
    let test = "r07_after_a_clean_restart_replicas_go_on_where_they_were";
    for more in [&["--appendonly", "yes"][..], &["--appendonly", "no", "--save", "3600 1"]] {
        let data = Data::new();
        let flags = [&["--repl-diskless-sync-delay", "0"], more].concat();
        let mut server = data.start(&flags);
        let mut master = server.connect();
        fill(&mut master, false);
        let Some(peer) = follow(&REDIS_7, test, &server) else { return };
        let mut replica = peer.connect();
        wait_in_sync(&mut master, &mut replica);
        master.run("SET before 1").is("+OK");
        server.signal(Signal::TERM);
        assert!(server.wait_exit().success());
        let server = data.start(&flags);
        let mut master = server.connect();
        replica.run(&format!("REPLICAOF 127.0.0.1 {}", server.port())).is("+OK");
        master.run("SET after 1").is("+OK");
        expect_equal(&mut master, &mut replica, false);
        let counts = ["sync_full", "sync_partial_ok"].map(|field| info(&mut master, field));
        assert_eq!(counts, ["0", "1"], "{more:?}: {}", server.log());
    }
}

#[test]
fn r08_after_a_crash_the_history_is_another_one() {
    let test = "r08_after_a_crash_the_history_is_another_one";
    let data = Data::new();
    let mut server = data.start(&["--repl-diskless-sync-delay", "0"]);
    let mut master = server.connect();
    let Some(peer) = follow(&REDIS_7, test, &server) else { return };
    let mut replica = peer.connect();
    master.run("SET a 1").is("+OK");
    wait_in_sync(&mut master, &mut replica);
    server.kill();
    let server = data.start(&["--repl-diskless-sync-delay", "0"]);
    let mut master = server.connect();
    master.run("SET b 1").is("+OK");
    replica.run(&format!("REPLICAOF 127.0.0.1 {}", server.port())).is("+OK");
    expect_equal(&mut master, &mut replica, false);
    assert_eq!(info(&mut master, "sync_full"), "1");
}

#[test]
fn a_replica_and_its_master_change_places() {
    let test = "a_replica_and_its_master_change_places";
    let server = start(&[]);
    let mut master = server.connect();
    let Some(peer) = follow(&REDIS_7, test, &server) else { return };
    let mut replica = peer.connect();
    fill(&mut master, false);
    wait_in_sync(&mut master, &mut replica);
    let load = Load::on(&server, false);
    master.run("FAILOVER TIMEOUT 20000").is("+OK");
    wait_until("the replica is the master", || info(&mut replica, "role") == "master");
    wait_until("the master is the replica", || is_up(&mut master));
    load.stop(); // what it wrote since was refused
    replica.run("SET after 1").is("+OK");
    expect_equal(&mut replica, &mut master, false);
    assert_eq!(info(&mut replica, "sync_full"), "0");
    assert_eq!(info(&mut master, "master_failover_state"), "no-failover");
}
