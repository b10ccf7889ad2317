//! A master and a replica of ours that cannot reach each other for a while: one is stopped, or the wire between them is cut,
//! or both believe to be the master.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;
use support::wire::Wire;
use support::{Raw, TestServer, wait_until};

const DIRECTIVES: [&str; 4] = ["--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes"];

/// A master, a replica of it, and the wire between them.
fn pair() -> (TestServer, Wire, TestServer) {
    let master = TestServer::start(&DIRECTIVES);
    let wire = Wire::to(master.address());
    let replica = TestServer::start(&DIRECTIVES);
    replica.connect().run(&format!("REPLICAOF 127.0.0.1 {}", wire.port())).is("+OK");
    wait_until("the replica is in sync", || is_in_sync(&master, &replica));
    (master, wire, replica)
}

/// A field of `INFO`.
fn info(server: &TestServer, field: &str) -> String {
    let text = server.connect().run("INFO everything").text();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_default().trim_end().to_string()
}

fn is_in_sync(master: &TestServer, replica: &TestServer) -> bool {
    info(replica, "master_link_status") == "up"
        && ["master_replid", "master_repl_offset"]
            .iter()
            .all(|field| info(master, field) == info(replica, field))
}

#[track_caller]
fn expect_equal(master: &TestServer, replica: &TestServer) {
    wait_until("the replica is in sync", || is_in_sync(master, replica));
    let digest = |server: &TestServer| server.connect().run("DEBUG DIGEST").text();
    assert_eq!(digest(master), digest(replica));
}

/// So many writes, each of which the order matters to.
fn write(client: &mut Raw, count: usize) {
    let requests: String = (0..count)
        .map(|number| match number % 3 {
            0 => format!("APPEND s{} {number}\r\n", number % 7),
            1 => format!("RPUSH l{} {number}\r\n", number % 7),
            _ => format!("SPOP set{0}\r\nSADD set{0} {number} a b c\r\n", number % 7),
        })
        .collect();
    client.send(requests);
    for number in 0..count {
        let replies = if number % 3 == 2 { 2 } else { 1 };
        (0..replies).for_each(|_| assert!(!client.reply().is_error()));
    }
}

#[test]
fn r04_a_replica_that_stood_still_under_load_catches_up() {
    let (master, _wire, replica) = pair();
    let mut client = master.connect();
    write(&mut client, 1_000);
    replica.signal(Signal::STOP);
    (0..20).for_each(|_| write(&mut client, 1_000));
    replica.signal(Signal::CONT);
    write(&mut client, 1_000);
    expect_equal(&master, &replica);
}

#[test]
fn r09_r19_what_a_lost_master_has_written_alone_is_gone_and_nothing_else() {
    let (master, wire, replica) = pair();
    let mut at_master = master.connect();
    write(&mut at_master, 500);
    at_master.run("SET both 1").is("+OK");
    at_master.run("WAIT 1 10000").is(":1");
    wire.refuse(true);
    wire.cut();
    // Each side has clients.
    wait_until("the master has noticed", || info(&master, "connected_slaves") == "0");
    write(&mut at_master, 500);
    at_master.run("SET alone 1").is("+OK");
    at_master.run("WAIT 1 100").is(":0");
    let mut at_replica = replica.connect();
    at_replica.run("REPLICAOF NO ONE").is("+OK");
    at_replica.run("GET both").is("$1\r\n1");
    write(&mut at_replica, 500);
    at_replica.run("SET new 1").is("+OK");
    // They see each other again.
    let full_syncs = info(&replica, "sync_full");
    at_master.run(&format!("REPLICAOF 127.0.0.1 {}", replica.port())).is("+OK");
    expect_equal(&replica, &master);
    let mut client = master.connect();
    for (key, value) in [("both", "$1\r\n1"), ("alone", "$-1"), ("new", "$1\r\n1")] {
        client.run(&format!("GET {key}")).is(value);
    }
    assert_ne!(
        info(&replica, "sync_full"),
        full_syncs,
        "its past is another one: all data is sent"
    );
}

#[test]
fn r21_a_reader_of_the_replica_never_sees_half_a_transaction() {
    let (master, _wire, replica) = pair();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = master.connect();
            for number in 0..2_000 {
                client.send(format!(
                    "MULTI\r\nSET a {number}\r\nLPUSH l x\r\nSET b {number}\r\nEXEC\r\n"
                ));
                (0..5).for_each(|_| assert!(!client.reply().is_error()));
            }
            done.store(true, Ordering::Relaxed);
        });
        let (mut reader, mut last) = (replica.connect(), String::new());
        while !done.load(Ordering::Relaxed) {
            let both = reader.run("MGET a b").leaves();
            assert_eq!(both[0], both[1]);
            last.clone_from(&both[0]);
        }
        println!("the last one seen during the load: {last}");
    });
    expect_equal(&master, &replica);
    replica.connect().run("GET b").is("$4\r\n1999");
}
