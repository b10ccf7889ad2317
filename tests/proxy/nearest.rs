//! `--read-from nearest` in front of a real cluster: a master and two replicas, each at the end of a wire whose length changes.

use crate::support::cluster::{BUS, free_ports, start_node, unite};
use crate::support::proxy::{redis_server, start_proxy, wait_for_slots};
use crate::support::wire::Wire;
use crate::support::{Raw, TestServer, wait_until};

/// A node that others find at the end of a wire only.
fn start_far_node(program: &str) -> (Wire, TestServer) {
    let port = free_ports();
    let wire = Wire::to(([127, 0, 0, 1], port).into());
    let (announced, bus) = (wire.port().to_string(), (port + BUS).to_string());
    let announce = ["--cluster-announce-port", &announced[..], "--cluster-announce-bus-port", &bus];
    (wire, start_node(program, port, &announce))
}

/// How many GETs each node has run.
fn gets(nodes: &[TestServer]) -> Vec<u64> {
    nodes.iter().map(super::cluster::gets).collect()
}

/// Waits until all reads go to one node.
fn wait_for_reader(client: &mut Raw, nodes: &[TestServer], reader: usize) {
    wait_until(&format!("node {reader} is read from"), || {
        let before = gets(nodes);
        for key in 0..10 {
            client.run(&format!("GET k:{key}")).is("$1\r\nv");
        }
        let mut expected = before;
        expected[reader] += 10;
        gets(nodes) == expected
    });
}

#[test]
fn reads_go_to_the_nearest_node_and_to_another_when_that_is_far() {
    let Some(program) = redis_server("the nearest of a cluster") else { return };
    let (wires, nodes): (Vec<Wire>, Vec<TestServer>) =
        (0..3).map(|_| start_far_node(&program)).unzip();
    unite(&nodes, 1);
    let set_lengths = |lengths_ms: [u64; 3]| {
        wires.iter().zip(lengths_ms).for_each(|(wire, length_ms)| wire.delay_ms(length_ms));
    };
    let first = ([127, 0, 0, 1], wires[0].port()).into();
    let proxy = start_proxy(&[first], &["--read-from", "nearest", "--refresh-interval", "500"]);
    wait_for_slots(&proxy);
    let mut client = proxy.connect();
    wait_until("the proxy knows the replicas", || {
        client.run("INFO nodes").text().matches("role=replica").count() == 2
    });
    for key in 0..10 {
        client.run(&format!("SET k:{key} v")).is("+OK");
    }
    for node in &nodes[1..] {
        let mut replica = node.connect();
        wait_until("the replica has all", || replica.run("DBSIZE").wire() == ":10");
    }
    set_lengths([40, 20, 0]);
    wait_for_reader(&mut client, &nodes, 2);
    // Nobody has read from the others for a while: that one has become the nearest is found out by asking.
    set_lengths([40, 0, 40]);
    wait_for_reader(&mut client, &nodes, 1);
    set_lengths([0, 40, 40]);
    wait_for_reader(&mut client, &nodes, 0);
    for _ in 0..3 {
        client.run("SET k:0 v").is("+OK");
        client.run("GET k:0").is("$1\r\nv");
    }
}
