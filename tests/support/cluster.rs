//! A real cluster of servers of another program, put together without its tools.

use std::net::TcpListener;

use super::proxy::NO_FILES;
use super::server::free_port;
use super::{TestServer, wait_until};

/// Slots of a cluster.
const SLOTS: usize = 16_384;
/// The bus of a node is so many ports above its own.
pub const BUS: u16 = 10_000;
/// What makes a server a node of a cluster that comes to a decision soon.
pub const CLUSTER: [&str; 8] = [
    "--cluster-enabled",
    "yes",
    "--cluster-node-timeout",
    "2000",
    // Redis would wait for more replicas before it sends its data.
    "--repl-diskless-sync-delay",
    "0",
    // CLUSTER SLOTS names a replica when it has heard something of its master.
    "--repl-ping-replica-period",
    "1",
];

/// A port that is free together with that of its bus.
pub fn free_ports() -> u16 {
    let taken = |port: u16| TcpListener::bind(("127.0.0.1", port + BUS)).is_err();
    std::iter::repeat_with(free_port).find(|port| !taken(*port)).expect("there is one")
}

/// A node that knows of no other.
#[track_caller]
pub fn start_node(program: &str, port: u16, directives: &[&str]) -> TestServer {
    let directives = [&NO_FILES[..], &CLUSTER, directives].concat();
    TestServer::start_program_on(program, &directives, port)
}

/// A cluster of so many nodes: the first `masters` of them share the slots evenly, the others follow these in turn.
#[track_caller]
pub fn start_cluster(program: &str, count: usize, masters: usize) -> Vec<TestServer> {
    let nodes: Vec<TestServer> =
        (0..count).map(|_| start_node(program, free_ports(), &[])).collect();
    unite(&nodes, masters);
    nodes
}

/// Makes nodes one cluster, and waits until all of them know it.
#[track_caller]
pub fn unite(nodes: &[TestServer], masters: usize) {
    for (number, node) in nodes.iter().enumerate() {
        let mut connection = node.connect();
        connection.run(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1)).is("+OK");
        if number < masters {
            let (from, to) = (number * SLOTS / masters, (number + 1) * SLOTS / masters - 1);
            connection.run(&format!("CLUSTER ADDSLOTSRANGE {from} {to}")).is("+OK");
        }
    }
    let mut first = nodes[0].connect();
    for node in &nodes[1..] {
        first.run(&format!("CLUSTER MEET 127.0.0.1 {}", node.port())).is("+OK");
    }
    for node in nodes {
        let mut connection = node.connect();
        wait_until("the nodes have met", || {
            let info = connection.run("CLUSTER INFO").text();
            let met = connection.run("CLUSTER NODES").text();
            info.contains(&format!("cluster_known_nodes:{}\r\n", nodes.len()))
                && !met.contains("handshake")
        });
    }
    for (number, node) in nodes.iter().enumerate().skip(masters) {
        let id = nodes[number % masters].connect().run("CLUSTER MYID").text();
        node.connect().run(&format!("CLUSTER REPLICATE {id}")).is("+OK");
    }
    for node in nodes {
        let mut connection = node.connect();
        wait_until("the cluster is whole", || {
            let info = connection.run("CLUSTER INFO").text();
            let slots = connection.run("CLUSTER SLOTS").wire();
            let named = nodes.iter().all(|node| {
                let id = node.connect().run("CLUSTER MYID").text();
                slots.contains(&id)
            });
            info.contains("cluster_state:ok") && named
        });
    }
}
