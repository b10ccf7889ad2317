//! A proxy process for one test, and the Redis servers behind it.

use std::net::SocketAddr;

use super::peers::find_peer;
use super::{TestServer, skipped, wait_until};

/// Flags that keep a server of Redis from writing files.
pub const NO_FILES: [&str; 4] = ["--save", "", "--appendonly", "no"];

/// Starts the proxy in front of `nodes`, and waits until it answers; whether it has found its nodes is another question.
#[track_caller]
pub fn start_proxy(nodes: &[SocketAddr], flags: &[&str]) -> TestServer {
    let list: Vec<String> = nodes.iter().map(SocketAddr::to_string).collect();
    let list = list.join(",");
    let flags = [&["--nodes", list.as_str()], flags].concat();
    TestServer::start_program(env!("CARGO_BIN_EXE_proxy"), &[], &flags)
}

/// Waits until the proxy knows who serves the slots.
#[track_caller]
pub fn wait_for_slots(proxy: &TestServer) {
    let mut client = proxy.connect();
    wait_until("the proxy has found its nodes", || {
        let nodes = client.run("INFO nodes").text();
        nodes.contains("slots_served:16384\r\n") && !nodes.contains("nodes_kind:unknown")
    });
}

/// The address of Redis 7.0's server, or the reason why a test that needs one does not run.
pub fn redis_server(test: &str) -> Option<String> {
    let found = find_peer("redis-server", "v=7.0");
    if found.is_none() {
        skipped(test, "there is no redis-server 7.0");
    }
    found
}

/// Servers of Redis 7.0 with a proxy in front of them.
pub struct Behind {
    /// The proxy.
    pub proxy: TestServer,
    /// The nodes, in the order of their slots.
    pub nodes: Vec<TestServer>,
}

impl Behind {
    /// Starts `count` nodes and a proxy that has found them. None: there is no redis-server here, as was said.
    #[track_caller]
    pub fn start(test: &str, count: usize, flags: &[&str]) -> Option<Behind> {
        let program = redis_server(test)?;
        let nodes: Vec<TestServer> =
            (0..count).map(|_| TestServer::start_program(&program, &[], &NO_FILES)).collect();
        let addresses: Vec<SocketAddr> = nodes.iter().map(TestServer::address).collect();
        let proxy = start_proxy(&addresses, flags);
        wait_for_slots(&proxy);
        Some(Behind { proxy, nodes })
    }
}

/// The slot of a key, as CLUSTER KEYSLOT says it. Written anew here: a test does not ask what it tests.
pub fn key_slot(key: &[u8]) -> u16 {
    let open = key.iter().position(|&byte| byte == b'{');
    let tag = open.and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|&byte| byte == b'}').filter(|&close| close > 0)?;
        Some(&rest[..close])
    });
    let mut crc = 0_u16;
    for &byte in tag.unwrap_or(key) {
        crc ^= u16::from(byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 };
        }
    }
    crc % 16_384
}

/// Which of `count` plain nodes has a key: they share the slots evenly, in their order.
pub fn node_of(key: &[u8], count: usize) -> usize {
    let (each, more) = (16_384 / count, 16_384 % count);
    let slot = usize::from(key_slot(key));
    let of_larger_ones = slot / (each + 1);
    if of_larger_ones < more { of_larger_ones } else { more + (slot - more * (each + 1)) / each }
}

/// A key that the given one of `count` plain nodes has, beginning with `prefix`.
pub fn key_on(node: usize, count: usize, prefix: &str) -> String {
    let mut keys = (0..).map(|number| format!("{prefix}{number}"));
    keys.find(|key| node_of(key.as_bytes(), count) == node).expect("one of the first hundred")
}
