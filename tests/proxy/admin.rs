//! What the proxy tells of itself, and what it can be told: flags, file, CONFIG, SIGHUP.

use std::fs;

use rustix::process::Signal;

use super::evil::{Act, Evil, echo};
use crate::support::proxy::{start_proxy, wait_for_slots};
use crate::support::{TestServer, wait_until};

fn echoing() -> Evil {
    Evil::start(|words| Act::reply(echo(words)))
}

#[test]
fn info_tells_of_the_nodes_and_the_commands() {
    let evil = echoing();
    let proxy = start_proxy(&[evil.address()], &[]);
    wait_for_slots(&proxy);
    let mut client = proxy.connect();
    for _ in 0..10 {
        client.run("GET a").is("$1\r\na");
    }
    let info = client.run("INFO").text();
    let line = format!("node0:addr={},role=master,state=connected,slots=16384,", evil.address());
    assert!(info.contains(&line), "{info}");
    assert!(info.contains("nodes_kind:plain\r\n") && info.contains(",requests=1"), "{info}");
    let stats = client.run("INFO commandstats").text();
    assert!(stats.contains("cmdstat_get:calls=10,"), "{stats}");
    client.run("LATENCY HISTOGRAM get").starts("*2\r\n$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:10");
    client.run("CONFIG RESETSTAT").is("+OK");
    let stats = client.run("INFO commandstats").text();
    assert!(!stats.contains("cmdstat_get"), "{stats}");
}

#[test]
fn slow_requests_are_noted() {
    let evil = Evil::start(|words| {
        if words[1] == b"slow" {
            std::thread::sleep(std::time::Duration::from_millis(30));
        }
        Act::reply(echo(words))
    });
    let proxy = start_proxy(&[evil.address()], &["--slowlog-log-slower-than", "20000"]);
    wait_for_slots(&proxy);
    let mut client = proxy.connect();
    client.run("CLIENT SETNAME me").is("+OK");
    client.run("GET slow").is("$4\r\nslow");
    let entry = client.run("SLOWLOG GET 1").leaves();
    assert_eq!(&entry[3..], ["GET", "slow", &client.local_address().to_string(), "me"]);
    client.run("SLOWLOG RESET").is("+OK");
    client.run("SLOWLOG LEN").is(":0");
}

#[test]
fn config_changes_what_can_be_changed() {
    let (first, second, third) = (echoing(), echoing(), echoing());
    let proxy = start_proxy(&[first.address(), second.address()], &[]);
    wait_for_slots(&proxy);
    let mut client = proxy.connect();
    client.run("GET a").is("$1\r\na");
    let nodes = format!("{},{}", first.address(), second.address());
    client.run("CONFIG GET nodes").is(&format!("*2\r\n$5\r\nnodes\r\n${}\r\n{nodes}", nodes.len()));
    client.run("CONFIG SET port 1").starts("-ERR CONFIG SET failed");
    client.run("CONFIG SET nodes nonsense").starts("-ERR CONFIG SET failed");
    client.run("CONFIG SET cross-slot no").is("+OK");
    client.run("MGET a b").starts("-CROSSSLOT");
    client.run(&format!("CONFIG SET nodes {}", third.address())).is("+OK");
    wait_until("the other node is asked", || {
        client.run("GET a").is("$1\r\na");
        third.count("get") > 0
    });
}

#[test]
fn sighup_reads_the_nodes_of_the_file() {
    let (first, second) = (echoing(), echoing());
    let dir = std::env::temp_dir().join(format!("mini-redis-proxy-sighup-{}", std::process::id()));
    let write = |node: &Evil| {
        fs::write(&dir, format!("# the nodes\nnodes {}\n", node.address())).expect("it is ours");
    };
    write(&first);
    let path = dir.to_string_lossy().into_owned();
    let proxy = TestServer::start_program(env!("CARGO_BIN_EXE_proxy"), &[], &["--config", &path]);
    wait_for_slots(&proxy);
    let mut client = proxy.connect();
    client.run("GET a").is("$1\r\na");
    assert_eq!(second.count("get"), 0);
    write(&second);
    proxy.signal(Signal::HUP);
    wait_until("the other node is asked", || {
        client.run("GET a").is("$1\r\na");
        second.count("get") > 0
    });
    fs::write(&dir, "nodes nonsense\n").expect("it is ours");
    proxy.signal(Signal::HUP);
    wait_until("the mistake is in the log", || proxy.log().contains("the nodes stay"));
    client.run("GET a").is("$1\r\na");
    let _ = fs::remove_file(&dir);
}

#[test]
fn clients_are_listed_and_closed() {
    let evil = echoing();
    let proxy = start_proxy(&[evil.address()], &[]);
    wait_for_slots(&proxy);
    let (mut client, mut other) = (proxy.connect(), proxy.connect());
    other.run("CLIENT SETNAME other").is("+OK");
    let id = other.run("CLIENT ID").number();
    let list = client.run("CLIENT LIST").text();
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(list.contains(" name=other ") && list.contains(" cmd=client|list "), "{list}");
    client.run(&format!("CLIENT KILL ID {id}")).is(":1");
    other.expect_closed();
    client.run("CLIENT KILL 1.2.3.4:5").is("-ERR No such client");
    client.run("CLIENT KILL TYPE normal SKIPME no").is(":1");
    client.expect_closed();
}

#[test]
fn command_tells_of_the_table() {
    let evil = echoing();
    let proxy = start_proxy(&[evil.address()], &[]);
    let mut client = proxy.connect();
    assert!(client.run("COMMAND COUNT").number() > 200);
    client.run("COMMAND GETKEYS MSET a 1 b 2").is("*2\r\n$1\r\na\r\n$1\r\nb");
    client.run("COMMAND INFO get").starts("*1\r\n*10\r\n$3\r\nget\r\n:2\r\n");
    client.run("COMMAND LIST FILTERBY PATTERN xre*").wire();
}
