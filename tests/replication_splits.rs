//! A master and a replica of ours that cannot reach each other for a while: one is stopped, or the wire between them is cut,
//! or both believe to be the master.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;
use support::namespace::Namespace;
use support::replication::{info, is_up, wait_in_sync};
use support::wire::Wire;
use support::{Raw, TestServer, skipped, wait_until};

const DIRECTIVES: [&str; 4] = ["--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes"];

/// A master, a replica of it, and the wire between them.
fn pair() -> (TestServer, Wire, TestServer) {
    let master = TestServer::start(&DIRECTIVES);
    let wire = Wire::to(master.address());
    let replica = TestServer::start(&DIRECTIVES);
    let mut at_replica = replica.connect();
    at_replica.run(&format!("REPLICAOF 127.0.0.1 {}", wire.port())).is("+OK");
    wait_in_sync(&mut master.connect(), &mut at_replica);
    (master, wire, replica)
}

#[track_caller]
fn expect_equal(master: &mut Raw, replica: &mut Raw) {
    wait_in_sync(master, replica);
    let [ours, theirs] = [master, replica].map(|client| client.run("DEBUG DIGEST").text());
    assert_eq!(ours, theirs);
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
    expect_equal(&mut master.connect(), &mut replica.connect());
}

/// A split whose two sides both have clients. What a replica had acknowledged before stays; what the lost master has written
/// alone is gone when it comes back.
fn survive_a_split(master: &mut Raw, replica: &mut Raw, replica_address: &str, cut: impl Fn(bool)) {
    write(master, 500);
    master.run("SET both 1").is("+OK");
    master.run("WAIT 1 10000").is(":1");
    cut(true);
    write(master, 500);
    master.run("SET alone 1").is("+OK");
    master.run("WAIT 1 100").is(":0");
    wait_until("the master has noticed", || info(master, "connected_slaves") == "0");
    wait_until("the replica has noticed", || !is_up(replica));
    replica.run("REPLICAOF NO ONE").is("+OK");
    replica.run("GET both").is("$1\r\n1");
    replica.run("GET alone").is("$-1");
    write(replica, 500);
    replica.run("SET new 1").is("+OK");
    replica.run("WAIT 1 100").is(":0");
    // They see each other again.
    cut(false);
    let full_syncs = info(replica, "sync_full");
    master.run(&format!("REPLICAOF {replica_address}")).is("+OK");
    expect_equal(replica, master);
    for (key, value) in [("both", "$1\r\n1"), ("alone", "$-1"), ("new", "$1\r\n1")] {
        master.run(&format!("GET {key}")).is(value);
    }
    let now = info(replica, "sync_full");
    assert_ne!(now, full_syncs, "its past is another one: all data is sent");
}

#[test]
fn r09_r19_what_a_lost_master_has_written_alone_is_gone_and_nothing_else() {
    let (master, wire, replica) = pair();
    let address = format!("127.0.0.1 {}", replica.port());
    survive_a_split(&mut master.connect(), &mut replica.connect(), &address, |is_cut| {
        wire.refuse(is_cut);
        if is_cut {
            wire.cut();
        }
    });
}

/// As before, but neither side is told: what they send is lost on the way.
#[test]
fn r19_a_network_that_drops_everything_loses_what_was_not_acknowledged_and_nothing_else() {
    let namespace = match Namespace::new() {
        Ok(namespace) => namespace,
        Err(why) => return skipped("r19 network namespaces", &why),
    };
    let (outside, inside) = (namespace.outside.to_string(), namespace.inside.to_string());
    let flags = ["--repl-timeout", "2", "--repl-ping-replica-period", "1"];
    let flags = [&flags[..], &DIRECTIVES, &["--protected-mode", "no"]].concat();
    let both = format!("127.0.0.1 {outside}");
    let master = TestServer::start(&[&flags[..], &["--bind", &both]].concat());
    let socket = master.dir().join("replica.sock"); // the way in that no network is needed for
    let socket_name = socket.to_str().expect("a name of ours");
    let of_replica = ["--bind", &inside, "--unixsocket", socket_name];
    let wrapper = namespace.wrapper();
    let replica = TestServer::start_under(&wrapper, &[&flags[..], &of_replica].concat());
    let (mut at_master, mut at_replica) = (master.connect(), Raw::connect_unix(&socket));
    at_replica.run(&format!("REPLICAOF {outside} {}", master.port())).is("+OK");
    wait_in_sync(&mut at_master, &mut at_replica);
    let address = format!("{inside} {}", replica.port());
    survive_a_split(&mut at_master, &mut at_replica, &address, |is_cut| namespace.cut(is_cut));
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
    expect_equal(&mut master.connect(), &mut replica.connect());
    replica.connect().run("GET b").is("$4\r\n1999");
}
