//! The proxy begins without nodes, ends without losing what it owes, and may be killed: X14, X15.

use std::time::Duration;

use rustix::process::Signal;

use super::evil::{Act, Evil, echo};
use crate::support::connection::encode_line;
use crate::support::proxy::{Behind, NO_FILES, key_on, redis_server, start_proxy, wait_for_slots};
use crate::support::server::free_port;
use crate::support::{TestServer, process, wait_until};

#[test]
fn x14_without_nodes_the_proxy_starts_says_so_and_finds_them_later() {
    let Some(program) = redis_server("X14") else { return };
    let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
    let addresses: Vec<_> =
        ports.iter().map(|port| format!("127.0.0.1:{port}").parse().expect("an address")).collect();
    let proxy = start_proxy(&addresses, &[]);
    let mut clients = proxy.connect_many(50);
    for client in &mut clients {
        client.run("GET k").starts("-CLUSTERDOWN Hash slot not served");
    }
    let nodes: Vec<TestServer> =
        ports.iter().map(|port| TestServer::start_program_on(&program, &NO_FILES, *port)).collect();
    wait_for_slots(&proxy);
    for (number, client) in clients.iter_mut().enumerate() {
        let key = key_on(number % 3, 3, &format!("{number}:"));
        wait_until("all nodes serve", || client.run(&format!("SET {key} v")).wire() == "+OK");
    }
    // Fifty clients were waiting for each node, and it was met by few connections: there was no stampede.
    for node in &nodes {
        let stats = node.connect().run("INFO stats").text();
        let received =
            stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        let received: u64 = received.and_then(|count| count.trim().parse().ok()).expect("a count");
        assert!(received < 20, "{received} connections");
    }
}

#[test]
fn x14_one_node_of_three_that_is_not_there_yet_costs_only_its_slots() {
    let Some(program) = redis_server("X14 one") else { return };
    let late = free_port();
    let nodes: Vec<TestServer> =
        (0..2).map(|_| TestServer::start_program(&program, &[], &NO_FILES)).collect();
    let late_address = format!("127.0.0.1:{late}").parse().expect("an address");
    let proxy = start_proxy(&[late_address, nodes[0].address(), nodes[1].address()], &[]);
    wait_for_slots(&proxy);
    let mut client = proxy.connect();
    client.run(&format!("SET {} v", key_on(0, 3, "a"))).starts("-");
    client.run(&format!("SET {} v", key_on(1, 3, "b"))).is("+OK");
    client.run(&format!("SET {} v", key_on(2, 3, "c"))).is("+OK");
    let _late = TestServer::start_program_on(&program, &NO_FILES, late);
    let request = format!("SET {} v", key_on(0, 3, "a"));
    wait_until("the late node serves", || client.run(&request).wire() == "+OK");
}

#[test]
fn x15_sigterm_answers_what_was_asked_and_ends_with_0() {
    // A node that takes its time.
    let evil = Evil::start(|words| {
        std::thread::sleep(Duration::from_millis(5));
        Act::reply(echo(words))
    });
    let mut proxy = start_proxy(&[evil.address()], &[]);
    wait_for_slots(&proxy);
    let mut clients = proxy.connect_many(3);
    for client in &mut clients {
        client.send(encode_line("GET key").repeat(40));
    }
    wait_until("the node works on them", || evil.count("get") > 10);
    proxy.signal(Signal::TERM);
    for client in &mut clients {
        for _ in 0..40 {
            client.expect("$3\r\nkey\r\n");
        }
        client.expect_closed();
    }
    assert_eq!(proxy.wait_exit().code(), Some(0));
    assert_eq!(evil.count("get"), 120);
}

#[test]
fn x15_a_killed_proxy_leaves_true_acknowledgements_and_healthy_nodes() {
    let Some(mut behind) = Behind::start("X15", 3, &[]) else { return };
    let mut client = behind.proxy.connect();
    let mut acknowledged = Vec::new();
    for number in 0..3_000 {
        client.send(encode_line(&format!("SET k:{number} {number}")));
    }
    for number in 0..1_000 {
        client.expect("+OK\r\n");
        acknowledged.push(number);
    }
    behind.proxy.kill();
    let addresses: Vec<_> = behind.nodes.iter().map(TestServer::address).collect();
    let proxy = start_proxy(&addresses, &[]);
    wait_for_slots(&proxy);
    let mut client = proxy.connect();
    for number in acknowledged {
        client
            .run(&format!("GET k:{number}"))
            .is(&format!("${}\r\n{number}", number.to_string().len()));
    }
    for node in &behind.nodes {
        assert!(process::exists(node.pid()));
    }
}
