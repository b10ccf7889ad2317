//! We as the replica of real servers: Redis 7.0, Redis 8 and Valkey 9. A peer that is missing is skipped with a line.

mod support;

use std::thread;
use std::time::{Duration, Instant};

use support::data::Data;
use support::keyspace::{fill, one};
use support::replication::{
    Load, PeerKind, REDIS_7, REDIS_8, VALKEY_9, expect_equal, info, is_up, wait_in_sync,
};
use support::wire::Wire;
use support::{Raw, TestServer, wait_until};

/// A server of that kind whose full syncs begin at once, if there is the program.
fn start(kind: &PeerKind, test: &str, more: &[&str]) -> Option<TestServer> {
    kind.start(test, &[&["--repl-diskless-sync-delay", "0"], more].concat())
}

/// One of ours that follows `master`.
fn replica_of(port: u16, more: &[&str]) -> TestServer {
    let master = format!("127.0.0.1:{port}");
    let flags = ["--role", "slave", "--master", &master, "--enable-debug-command", "yes"];
    TestServer::start(&[&flags, more].concat())
}

/// What a server has reaches us, and what it does from then on.
fn follows(test: &str, kind: &PeerKind, more: &[&str]) {
    let Some(peer) = start(kind, test, more) else { return };
    let mut master = peer.connect();
    fill(&mut master, kind.has_field_expiry);
    let load = Load::on(&peer, kind.has_field_expiry);
    let server = replica_of(peer.port(), &[]);
    let mut replica = server.connect();
    wait_until("the link is up", || is_up(&mut replica));
    // Whoever reads here sees both of a transaction or none.
    let mut subscriber = server.connect();
    subscriber.run("SUBSCRIBE channel");
    for _ in 0..200 {
        let pair = replica.run("MGET load:one load:two").leaves();
        assert_eq!(pair[0], pair[1]);
    }
    assert!(subscriber.reply().wire().contains("message"), "messages are passed on");
    assert!(load.stop() > 0);
    expect_equal(&mut master, &mut replica, kind.has_field_expiry);
    assert_eq!(info(&mut replica, "unexpected_error_replies"), "0");
    assert_eq!(info(&mut replica, "expired_keys"), "0", "only the master removes what is due");
    assert_eq!(info(&mut master, "sync_full"), "1");
    replica.run("SET mine 1").is("-READONLY You can't write against a read only replica.");
}

#[test]
fn redis_7_is_followed() {
    follows("redis_7_is_followed", &REDIS_7, &["--repl-diskless-sync", "yes"]);
}

#[test]
fn redis_7_is_followed_from_its_file() {
    follows("redis_7_is_followed_from_its_file", &REDIS_7, &["--repl-diskless-sync", "no"]);
}

#[test]
fn redis_8_is_followed() {
    follows("redis_8_is_followed", &REDIS_8, &[]);
}

#[test]
fn valkey_9_is_followed() {
    follows("valkey_9_is_followed", &VALKEY_9, &[]);
}

/// A link that breaks under load is taken up where it was.
fn resumes(test: &str, kind: &PeerKind) {
    let Some(peer) = start(kind, test, &["--repl-backlog-size", "64mb"]) else { return };
    let mut master = peer.connect();
    fill(&mut master, false);
    let wire = Wire::to(peer.address());
    let server = replica_of(wire.port(), &[]);
    let mut replica = server.connect();
    wait_until("the link is up", || is_up(&mut replica));
    let load = Load::on(&peer, false);
    for number in 1..=3 {
        let before = info(&mut master, "master_repl_offset");
        wait_until("something is written", || info(&mut master, "master_repl_offset") != before);
        wire.cut();
        let resumed =
            |master: &mut Raw| info(master, "sync_partial_ok").parse::<u32>().unwrap_or(0);
        wait_until("the link is taken up", || {
            resumed(&mut master) >= number && is_up(&mut replica)
        });
    }
    load.stop();
    expect_equal(&mut master, &mut replica, false);
    assert_eq!(info(&mut master, "sync_full"), "1");
}

#[test]
fn r02_a_link_to_redis_7_that_is_cut_goes_on() {
    resumes("r02_a_link_to_redis_7_that_is_cut_goes_on", &REDIS_7);
}

#[test]
fn r02_a_link_to_valkey_9_that_is_cut_goes_on() {
    resumes("r02_a_link_to_valkey_9_that_is_cut_goes_on", &VALKEY_9);
}

#[test]
fn r06_a_replica_that_is_killed_comes_back_equal() {
    let test = "r06_a_replica_that_is_killed_comes_back_equal";
    let Some(peer) = start(&REDIS_7, test, &[]) else { return };
    let mut master = peer.connect();
    fill(&mut master, false);
    let load = Load::on(&peer, false);
    let (data, address) = (Data::new(), format!("127.0.0.1:{}", peer.port()));
    let flags = ["--role", "slave", "--master", &address];
    for number in 0..4 {
        let mut server = data.start(&flags);
        let mut client = server.connect();
        wait_until("the link is up", || is_up(&mut client));
        if number == 3 {
            load.stop();
            expect_equal(&mut master, &mut client, false);
            // And a clean stop leaves what a start finds.
            drop(server);
            let server = data.start(&flags);
            expect_equal(&mut master, &mut server.connect(), false);
            return;
        }
        server.kill();
    }
}

#[test]
fn r05_a_master_that_is_killed_leaves_the_old_data_readable() {
    let test = "r05_a_master_that_is_killed_leaves_the_old_data_readable";
    let Some(mut peer) = start(&REDIS_7, test, &["--rdb-key-save-delay", "200"]) else { return };
    let mut master = peer.connect();
    fill(&mut master, false);
    for key in 0..20_000 {
        master.send(format!("SET key:{key} {key}\r\n"));
    }
    (0..20_000).for_each(|_| master.expect("+OK\r\n"));
    let server = TestServer::start(&[]);
    let mut replica = server.connect();
    replica.run("SET old 1").is("+OK");
    replica.run(&format!("REPLICAOF 127.0.0.1 {}", peer.port())).is("+OK");
    wait_until("data comes in", || info(&mut replica, "master_sync_in_progress") == "1");
    replica.run("GET old").is("$1\r\n1");
    peer.kill();
    wait_until("that is over", || info(&mut replica, "master_sync_in_progress") == "0");
    replica.run("GET old").is("$1\r\n1");
    replica.run("DBSIZE").is(":1");
    assert_eq!(info(&mut replica, "master_link_status"), "down");
}

#[test]
fn r25_a_password_is_needed_and_given() {
    let test = "r25_a_password_is_needed_and_given";
    let Some(peer) = start(&REDIS_7, test, &["--requirepass", "secret"]) else { return };
    let mut master = peer.connect();
    master.run("AUTH secret").is("+OK");
    master.run("SET a 1").is("+OK");
    let server = replica_of(peer.port(), &["--masterauth", "wrong"]);
    let mut replica = server.connect();
    wait_until("that is told", || server.log().contains("Unable to AUTH to MASTER: -WRONGPASS"));
    assert!(!is_up(&mut replica));
    replica.run("CONFIG SET masterauth secret").is("+OK");
    wait_in_sync(&mut master, &mut replica);
    replica.run("GET a").is("$1\r\n1");
    // As a user with a name.
    master.run("ACL SETUSER follower on >pass +psync +replconf +ping").is("+OK");
    replica.run("CONFIG SET masteruser follower masterauth pass").is("+OK");
    replica.run("CLIENT KILL TYPE master").is(":1");
    wait_until("it is lost", || server.log().contains("Caching the disconnected master state"));
    wait_in_sync(&mut master, &mut replica);
    assert!(master.run("CLIENT LIST").text().contains("user=follower"));
}

#[test]
fn r24_a_server_that_follows_itself_or_another_that_follows_it_does_not_spin() {
    let (one_server, other_server) = (TestServer::start(&[]), TestServer::start(&[]));
    let (mut first, mut second) = (one_server.connect(), other_server.connect());
    first.run("SET a 1").is("+OK");
    first.run(&format!("REPLICAOF 127.0.0.1 {}", one_server.port())).is("+OK");
    let tries = |server: &TestServer| server.log().matches("Connecting to MASTER").count();
    wait_until("it tries twice", || tries(&one_server) >= 2);
    assert!(!is_up(&mut first));
    first.run("GET a").is("$1\r\n1");
    first.run("REPLICAOF NO ONE").is("+OK");
    first.run(&format!("REPLICAOF 127.0.0.1 {}", other_server.port())).is("+OK");
    second.run(&format!("REPLICAOF 127.0.0.1 {}", one_server.port())).is("+OK");
    let before = tries(&other_server);
    wait_until("it tries twice", || tries(&other_server) >= before + 2);
    for (server, client) in [(&one_server, &mut first), (&other_server, &mut second)] {
        let turns = |client: &mut Raw| info(client, "eventloop_cycles").parse::<u64>().unwrap_or(0);
        let (start, cycles) = (Instant::now(), turns(client));
        thread::sleep(Duration::from_millis(300));
        let per_second = (turns(client) - cycles) as f64 / start.elapsed().as_secs_f64();
        assert!(per_second < 2000.0, "{per_second} turns a second");
        assert!(tries(server) < 200);
        client.run("PING").is("+PONG");
    }
}

#[test]
fn a_promoted_replica_takes_writes_and_keeps_what_it_has() {
    let test = "a_promoted_replica_takes_writes_and_keeps_what_it_has";
    let Some(peer) = start(&REDIS_7, test, &[]) else { return };
    let mut master = peer.connect();
    fill(&mut master, false);
    master.run("SET short x PX 1").is("+OK");
    let server = replica_of(peer.port(), &[]);
    let mut replica = server.connect();
    expect_equal(&mut master, &mut replica, false);
    let id = info(&mut master, "master_replid");
    replica.run("REPLICAOF NO ONE").is("+OK");
    assert_eq!(info(&mut replica, "role"), "master");
    assert_eq!(info(&mut replica, "master_replid2"), id);
    replica.run("SET mine 1").is("+OK");
    assert_eq!(one(&mut replica, &[b"GET", b"s:text"]), b"hello");
    master.run("SET theirs 1").is("+OK");
    replica.run("EXISTS theirs").is(":0");
}

#[test]
fn r22_a_chain_of_unlike_servers_ends_with_what_it_began_with() {
    let test = "r22_a_chain_of_unlike_servers_ends_with_what_it_began_with";
    let Some(first) = start(&VALKEY_9, test, &["--repl-backlog-size", "64mb"]) else { return };
    let Some(last) = start(&REDIS_7, test, &[]) else { return };
    let (mut master, mut end) = (first.connect(), last.connect());
    fill(&mut master, false);
    let wire = Wire::to(first.address());
    let server = replica_of(wire.port(), &["--repl-diskless-sync-delay", "0"]);
    let mut middle = server.connect();
    end.run(&format!("REPLICAOF 127.0.0.1 {}", server.port())).is("+OK");
    let load = Load::on(&first, false);
    wait_until("the last link is up", || is_up(&mut end));
    wire.cut();
    wait_until("the first link is taken up", || info(&mut master, "sync_partial_ok") == "1");
    load.stop();
    expect_equal(&mut master, &mut middle, false);
    expect_equal(&mut master, &mut end, false);
    assert_eq!(info(&mut middle, "sync_full"), "1");
    // The middle becomes the master: the end goes on with it, from the byte where it is.
    middle.run("REPLICAOF NO ONE").is("+OK");
    middle.run("SET after 1").is("+OK");
    expect_equal(&mut middle, &mut end, false);
    assert_eq!(info(&mut middle, "sync_partial_ok"), "1");
    assert_eq!(info(&mut middle, "sync_full"), "1");
}
