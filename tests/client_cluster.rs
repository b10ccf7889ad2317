//! `-c` in front of real clusters: the client goes where MOVED and ASK send it.

mod support;

use std::process::Command;

use expectrl::session::OsSession;
use expectrl::{ControlCode, Eof, Expect};
use support::client::{CLIENT, run, stderr, stdout};
use support::cluster::start_cluster;
use support::peers::find_peer;
use support::proxy::{key_on, key_slot};
use support::{DEADLINE, TestServer, skipped};

const MASTERS: usize = 3;

fn follows_a_cluster(test: &str, program: &str, version: &str) {
    let Some(path) = find_peer(program, version) else {
        return skipped(test, &format!("there is no {program} with {version}"));
    };
    let nodes = start_cluster(&path, MASTERS, MASTERS);
    moved(&nodes);
    asked(&nodes);
    transactions(&nodes);
    at_the_prompt(&nodes);
}

#[test]
fn a_cluster_of_redis_7_is_followed() {
    follows_a_cluster("a_cluster_of_redis_7_is_followed", "redis-server", "v=7.0.15");
}

#[test]
fn a_cluster_of_valkey_9_is_followed() {
    follows_a_cluster("a_cluster_of_valkey_9_is_followed", "valkey-server", "v=9.1");
}

#[track_caller]
fn prints(node: &TestServer, line: &str, input: &str, expected: &str) {
    let output = run(node.address(), line, input.as_bytes());
    assert_eq!((stdout(&output), stderr(&output)), (expected, ""), "{line}");
    assert_eq!(output.status.code(), Some(0), "{line}");
}

/// From any node to any other, in arguments and in lines of standard input.
fn moved(nodes: &[TestServer]) {
    let keys: Vec<String> = (0..MASTERS).map(|node| key_on(node, MASTERS, "moved")).collect();
    let mut lines = String::new();
    for key in &keys {
        prints(&nodes[0], &format!("-c SET {key} {key}"), "", "OK\n");
        lines.push_str(&format!("GET {key}\n"));
    }
    let values = keys.iter().map(|key| format!("{key}\n")).collect::<String>();
    for node in nodes {
        prints(node, "-c", &lines, &values);
        prints(node, "-c -3", &lines, &values);
    }
    let output = run(nodes[0].address(), &format!("GET {}", keys[1]), b"");
    assert!(stderr(&output).starts_with("MOVED "), "{output:?}");
    assert_eq!(output.status.code(), Some(1));
}

/// A slot that is on its way: what has left it is asked for at the other node, once.
fn asked(nodes: &[TestServer]) {
    let (from, to) = (&nodes[0], &nodes[1]);
    let id = |node: &TestServer| node.connect().run("CLUSTER MYID").text();
    let here = key_on(0, MASTERS, "asked");
    let there = format!("{{{here}}}");
    let slot = key_slot(here.as_bytes());
    prints(from, &format!("-c SET {here} v"), "", "OK\n");
    to.connect().run(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", id(from))).is("+OK");
    from.connect().run(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", id(to))).is("+OK");
    let output = run(from.address(), &format!("GET {there}"), b"");
    assert!(stderr(&output).starts_with("ASK "), "{output:?}");
    prints(from, &format!("-c SET {there} new"), "", "OK\n");
    prints(from, "-c", &format!("GET {there}\nGET {here}\nGET {there}\n"), "new\nv\nnew\n");
    let mut admin = to.connect();
    admin.send("ASKING\r\n");
    admin.expect("+OK\r\n");
    admin.run(&format!("GET {there}")).is("$3\r\nnew");
}

/// A transaction does not go on elsewhere: there its commands would be executed one by one.
fn transactions(nodes: &[TestServer]) {
    let other = key_on(1, MASTERS, "tx");
    let output = run(
        nodes[0].address(),
        "-c",
        format!("MULTI\nSET {other} x\nEXEC\nEXISTS {other}\n").as_bytes(),
    );
    assert_eq!(stdout(&output), "OK\n0\n", "{output:?}");
    assert!(stderr(&output).starts_with("MOVED "), "{output:?}");
    assert!(stderr(&output).contains("EXECABORT"), "{output:?}");
}

/// A person is told where the answer comes from.
fn at_the_prompt(nodes: &[TestServer]) {
    let mut command = Command::new(CLIENT);
    command.arg(nodes[0].address().to_string()).arg("-c");
    command.env("HOME", "/nonexistent").env("TERM", "xterm").env("NO_COLOR", "1");
    command.env_remove("REDISCLI_AUTH").env("REDISCLI_HISTFILE", "/dev/null");
    let mut session = OsSession::spawn(command).expect("a pseudo-terminal");
    session.set_expect_timeout(Some(DEADLINE));
    let key = key_on(2, MASTERS, "prompt");
    let place = nodes[2].address();
    session.send(format!("INCR {key}\r")).expect("the terminal takes it");
    let slot = key_slot(key.as_bytes());
    let told = format!("-> Redirected to slot [{slot}] located at {place}");
    for text in [told, "(integer) 1".to_owned(), format!("{place}> ")] {
        session.expect(&text).unwrap_or_else(|error| panic!("waited in vain for {text}: {error}"));
    }
    session.send(ControlCode::EOT).expect("the terminal takes it");
    session.expect(Eof).expect("it ends");
}
