//! Nodes that die, freeze or vanish: each request gets one reply, errors only where the node was needed, and a write of unknown
//! outcome is never run again. X02-X05, X09.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use socket2::SockRef;

use super::evil::{Act, Evil, echo};
use super::mix::{Random, seeds};
use crate::support::connection::encode;
use crate::support::proxy::{
    Behind, NO_FILES, key_on, node_of, redis_server, start_proxy, wait_for_slots,
};
use crate::support::{DEADLINE, TestServer, process, wait_until};

#[test]
fn x02_a_node_killed_in_mid_pipeline_costs_its_own_requests_one_error_each() {
    let Some(mut behind) = Behind::start("X02", 3, &["--timeout", "2000"]) else { return };
    let program = redis_server("X02").expect("it was found a moment ago");
    for seed in seeds() {
        let mut random = Random::new(seed);
        let dead = random.below(3) as usize;
        let mut client = behind.proxy.connect();
        let keys: Vec<String> = (0..2000).map(|number| format!("k{seed}:{number}")).collect();
        let mut kill_at = 200 + random.below(1000) as usize;
        for (number, key) in keys.iter().enumerate() {
            client.send(encode(&[b"SET", key.as_bytes(), key.as_bytes()]));
            if number == kill_at {
                behind.nodes[dead].kill();
                kill_at = usize::MAX;
            }
        }
        for key in &keys {
            let reply = client.reply();
            let owner = node_of(key.as_bytes(), 3);
            assert!(reply.wire() == "+OK" || reply.is_error() && owner == dead, "{}", reply.wire());
        }
        // The connection is in step: each of these gets its own reply.
        for key in &keys {
            client.send(encode(&[b"ECHO", key.as_bytes()]));
            client.send(encode(&[b"GET", key.as_bytes()]));
        }
        for key in &keys {
            client.expect(format!("${}\r\n{key}\r\n", key.len()));
            let reply = client.reply();
            match node_of(key.as_bytes(), 3) == dead {
                true => assert!(reply.is_error(), "{}", reply.wire()),
                false => reply.is(&format!("${}\r\n{key}", key.len())),
            }
        }
        behind.nodes[dead] = restarted(&program, &behind.nodes[dead]);
        let key = key_on(dead, 3, "back:");
        wait_until("the node serves again", || client.run(&format!("SET {key} 1")).wire() == "+OK");
    }
}

/// A node at the place of one that has ended.
fn restarted(program: &str, old: &TestServer) -> TestServer {
    TestServer::start_program_on(program, &NO_FILES, old.port())
}

#[test]
fn x03_a_write_whose_outcome_is_unknown_is_not_run_again() {
    let evil = Evil::start(|words| match words[0].to_ascii_lowercase().as_slice() {
        b"incr" => Act::ReplyAndClose(Vec::new()),
        _ => Act::reply(echo(words)),
    });
    let proxy = start_proxy(&[evil.address()], &[]);
    wait_for_slots(&proxy);
    let mut client = proxy.connect();
    let reply = client.run("INCR counter");
    assert!(reply.is_error() && reply.wire().contains("outcome unknown"), "{}", reply.wire());
    wait_until("the node serves again", || client.run("GET a").wire() == "$1\r\na");
    assert_eq!(evil.count("incr"), 1, "it was sent once");
}

#[test]
fn x03_a_read_may_be_asked_again() {
    let tries = AtomicUsize::new(0);
    let evil = Evil::start(move |words| match tries.fetch_add(1, Ordering::SeqCst) {
        0 => Act::ReplyAndClose(Vec::new()),
        _ => Act::reply(echo(words)),
    });
    let proxy = start_proxy(&[evil.address()], &[]);
    wait_for_slots(&proxy);
    // Asked again, or told of the loss: but one reply, and the next one is right.
    let mut client = proxy.connect();
    let reply = client.run("GET key");
    assert!(reply.is_error() || reply.wire() == "$3\r\nkey", "{}", reply.wire());
    wait_until("the node serves again", || client.run("GET a").wire() == "$1\r\na");
}

#[test]
fn x04_a_frozen_node_costs_its_own_requests_a_timeout() {
    let Some(behind) = Behind::start("X04", 3, &["--timeout", "500"]) else { return };
    let (frozen, alive) = (key_on(0, 3, "f:"), key_on(1, 3, "a:"));
    let mut client = behind.proxy.connect();
    client.run(&format!("SET {frozen} 1")).is("+OK");
    behind.nodes[0].signal(Signal::STOP);
    let before = process::rss_bytes(behind.proxy.pid());
    let mut other = behind.proxy.connect();
    let start = Instant::now();
    client.run(&format!("SET {frozen} 2")).starts("-");
    assert!(start.elapsed() < DEADLINE, "{:?}", start.elapsed());
    // Others go on, and what is sent to a frozen node does not pile up.
    let value = "v".repeat(1000);
    for _ in 0..2_000 {
        other.send(encode(&[b"SET", frozen.as_bytes(), value.as_bytes()]));
        other.send(encode(&[b"SET", alive.as_bytes(), value.as_bytes()]));
    }
    for _ in 0..2_000 {
        other.reply().starts("-");
        other.reply().is("+OK");
    }
    let grown = process::rss_bytes(behind.proxy.pid()).saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    behind.nodes[0].signal(Signal::CONT);
    wait_until("the node serves again", || client.run(&format!("SET {frozen} 3")).wire() == "+OK");
}

/// A port whose accept queue is full: the kernel drops what comes, so that a connection is neither made nor refused.
struct Hole {
    listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl Hole {
    fn new() -> Hole {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        // Listening again makes the queue shorter.
        SockRef::from(&listener).listen(0).expect("it listens");
        let address = listener.local_addr().expect("it listens");
        let queue = (0..3)
            .filter_map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok())
            .collect();
        Hole { listener, _queue: queue }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("it listens")
    }
}

#[test]
fn x05_a_node_that_cannot_be_reached_costs_a_timeout_of_the_connection() {
    let hole = Hole::new();
    let evil = Evil::start(|words| Act::reply(echo(words)));
    let flags = ["--connect-timeout", "300", "--timeout", "3000"];
    let proxy = start_proxy(&[evil.address(), hole.address()], &flags);
    wait_for_slots(&proxy);
    let (near, gone) = (key_on(0, 2, "n:"), key_on(1, 2, "g:"));
    let mut client = proxy.connect();
    let start = Instant::now();
    client.run(&format!("GET {gone}")).starts("-");
    assert!(start.elapsed() < DEADLINE);
    client.run(&format!("GET {near}")).is(&format!("${}\r\n{near}", near.len()));
    // While the node is known to be gone its requests fail at once: five hundred do not wait five hundred times.
    for _ in 0..500 {
        client.send(encode(&[b"GET", gone.as_bytes()]));
        client.send(encode(&[b"GET", near.as_bytes()]));
    }
    let start = Instant::now();
    for _ in 0..500 {
        client.reply().starts("-");
        client.reply().is(&format!("${}\r\n{near}", near.len()));
    }
    assert!(start.elapsed() < DEADLINE);
}

#[test]
fn x09_a_split_command_with_a_node_down_is_one_error() {
    let Some(mut behind) = Behind::start("X09", 3, &[]) else { return };
    let keys: Vec<String> = (0..3).map(|node| key_on(node, 3, "s:")).collect();
    let all = keys.join(" ");
    let mut client = behind.proxy.connect();
    client.run(&format!("MSET {} 1 {} 2 {} 3", keys[0], keys[1], keys[2])).is("+OK");
    client.run(&format!("MGET {all}")).is("*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3");
    behind.nodes[1].kill();
    client.run(&format!("MGET {all}")).starts("-");
    client.run(&format!("DEL {all}")).starts("-");
    client.run(&format!("MSET {} 1 {} 2", keys[0], keys[1])).starts("-");
    client.run(&format!("MGET {} {}", keys[2], keys[2])).wire(); // there or deleted: one reply
    client.run("ECHO in-step").is("$7\r\nin-step");
}

#[test]
fn clients_mixed_while_nodes_die_and_come_back_stay_in_step() {
    let Some(mut behind) = Behind::start("X02 mixed", 3, &["--timeout", "2000"]) else { return };
    let program = redis_server("X02 mixed").expect("it was found a moment ago");
    let stop = Arc::new(Mutex::new(false));
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (address, stop) = (behind.proxy.address(), stop.clone());
            scope.spawn(move || {
                let mut client = crate::support::Raw::connect(address);
                let mut round = 0;
                while !*stop.lock().expect("no thread panics with it") {
                    round += 1;
                    for key in 0..30 {
                        let text = format!("{number}:{round}:{key}");
                        client.send(encode(&[
                            b"SET",
                            format!("m:{number}:{key}").as_bytes(),
                            text.as_bytes(),
                        ]));
                        client.send(encode(&[b"GET", format!("m:{number}:{key}").as_bytes()]));
                        client.send(encode(&[b"ECHO", text.as_bytes()]));
                    }
                    for key in 0..30 {
                        let text = format!("{number}:{round}:{key}");
                        let set = client.reply();
                        let get = client.reply();
                        assert!(set.is_error() || set.wire() == "+OK", "{}", set.wire());
                        let own = format!("{number}:");
                        let value = get.leaves().concat();
                        let is_own = value.starts_with(&own) && value.ends_with(&format!(":{key}"));
                        assert!(get.is_error() || value.is_empty() || is_own, "{}", get.wire());
                        client.expect(format!("${}\r\n{text}\r\n", text.len()));
                    }
                }
            });
        }
        for round in 0..4 {
            let dead = round % 3;
            behind.nodes[dead].kill();
            std::thread::sleep(Duration::from_millis(100));
            behind.nodes[dead] = restarted(&program, &behind.nodes[dead]);
            std::thread::sleep(Duration::from_millis(200));
        }
        *stop.lock().expect("no thread panics with it") = true;
    });
    behind.proxy.expect_alive();
}
