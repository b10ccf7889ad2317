//! Replies come in the order of the requests, one each, and only ever the client's own: X01, X10, X16.

use super::mix::{Model, seeds};
use crate::support::connection::{encode, encode_line};
use crate::support::proxy::{Behind, key_slot, node_of};

const PIPELINES: usize = 12;
const CLIENTS: usize = 6;

#[test]
fn x01_replies_come_in_the_order_of_the_requests() {
    let Some(behind) = Behind::start("X01", 3, &["--connections", "2"]) else { return };
    for seed in seeds() {
        std::thread::scope(|scope| {
            for number in 0..CLIENTS {
                let proxy = &behind.proxy;
                scope.spawn(move || {
                    let mut model = Model::new(&format!("c{seed}-{number}"), seed ^ number as u64);
                    let mut client = proxy.connect();
                    for round in 0..PIPELINES {
                        let pipeline = model.pipeline(1 + round * 37 % 150);
                        client.send(&pipeline.requests);
                        for expected in &pipeline.replies {
                            client.expect(expected);
                        }
                    }
                    client.expect_silence();
                });
            }
        });
    }
}

#[test]
fn x10_keys_are_on_the_node_of_their_slot() {
    let Some(behind) = Behind::start("X10", 3, &[]) else { return };
    let keys: Vec<&[u8]> = vec![
        b"",
        b"a",
        b"{a}x",
        b"x{a}",
        b"{}x",
        b"{a",
        b"a}{b}c",
        b"{{a}}b",
        b"\x00\xff\r\n",
        b"{\xff}1",
        b"foo{bar}{zap}",
    ];
    let mut client = behind.proxy.connect();
    for key in &keys {
        client.command(&[b"SET", key, b"v"]).is("+OK");
    }
    for (number, node) in behind.nodes.iter().enumerate() {
        let mut node = node.connect();
        for key in &keys {
            let expected = i64::from(node_of(key, 3) == number);
            assert_eq!(
                node.command(&[b"EXISTS", key]).number(),
                expected,
                "{}",
                key.escape_ascii()
            );
        }
    }
    client.command(&[b"COMMAND", b"GETKEYS", b"GET", b"{a}x"]).is("*1\r\n$4\r\n{a}x");
    assert_eq!((key_slot(b"foo"), key_slot(b"{a}x")), (12182, 15495)); // CLUSTER KEYSLOT of Redis 7.0.15
}

#[test]
fn x16_writes_to_one_key_arrive_in_their_order() {
    let Some(behind) = Behind::start("X16", 3, &["--connections", "4"]) else { return };
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let proxy = &behind.proxy;
            scope.spawn(move || {
                let mut client = proxy.connect();
                let key = format!("list:{number}");
                let mut requests = Vec::new();
                for value in 0..500 {
                    let value = value.to_string();
                    requests.extend(encode(&[b"RPUSH", key.as_bytes(), value.as_bytes()]));
                    if value.ends_with('7') {
                        requests.extend(encode_line(&format!("GET other:{number}:{value}")));
                    }
                }
                client.send(&requests);
                for value in 0..500 {
                    client.expect(format!(":{}\r\n", value + 1));
                    if value % 10 == 7 {
                        client.expect("$-1\r\n");
                    }
                }
                let all = client.command(&[b"LRANGE", key.as_bytes(), b"0", b"-1"]).leaves();
                let expected: Vec<String> = (0..500).map(|value| value.to_string()).collect();
                assert_eq!(all, expected);
            });
        }
    });
}
