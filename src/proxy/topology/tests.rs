//! Replies as three servers gave them, and those that nobody should give.

use proptest::prelude::*;

use super::*;
use crate::resp::ReplyError;

/// Replies as they were captured, by server and question.
const CAPTURED: &str = include_str!("captured.txt");

fn asked() -> Address {
    Address::parse("127.0.0.1:7001").unwrap()
}

fn bytes(line: &str) -> Vec<u8> {
    format!("{line} ").replace(' ', "\r\n").into_bytes()
}

fn captured(name: &str) -> Vec<u8> {
    let line = CAPTURED.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    bytes(line.unwrap_or_else(|| panic!("{name} was not captured")))
}

/// `slots master +replica ...` of each shard, in the order of slots.
fn shown(topology: &Topology) -> Vec<String> {
    let mut shards = topology.shards.clone();
    shards.sort_by_key(|shard| shard.slots.first().map_or(u16::MAX, |range| *range.start()));
    let show = |shard: &Shard| {
        let slots = shard.slots.iter().map(|range| format!("{}-{}", range.start(), range.end()));
        let slots = slots.collect::<Vec<_>>().join(",");
        let replicas: String =
            shard.replicas.iter().map(|replica| format!(" +{replica}")).collect();
        format!("{slots} {}{replicas}", shard.master)
    };
    shards.iter().map(show).collect()
}

fn slots(name: &str) -> Vec<String> {
    shown(&cluster_slots(&captured(&format!("{name} SLOTS")), &asked()).unwrap())
}

fn shards(name: &str) -> Vec<String> {
    shown(&cluster_shards(&captured(&format!("{name} SHARDS")), &asked()).unwrap())
}

const WHOLE: [&str; 3] = [
    "0-5460 127.0.0.1:7001",
    "5461-10000,10002-10922 127.0.0.1:7002",
    "10923-16383 127.0.0.1:7003",
];

#[test]
fn three_servers_describe_their_cluster() {
    for server in ["redis7", "redis8", "valkey9"] {
        assert_eq!(slots(server), WHOLE, "a replica that is loading is none yet");
        assert_eq!(shards(server), WHOLE);
        let topology = cluster_slots(&captured(&format!("{server} SLOTS")), &asked()).unwrap();
        assert_eq!(topology.slots_covered(), 16_383, "slot 10001 is nobody's");
    }
}

#[test]
fn a_host_that_is_not_told_is_the_one_that_was_asked() {
    for server in ["redis7", "redis8", "valkey9"] {
        assert_eq!(slots(&format!("{server} unknown")), WHOLE);
        assert_eq!(shards(&format!("{server} unknown")), WHOLE);
        assert_eq!(slots(&format!("{server} fresh")), [""; 0], "nobody has a slot yet");
        assert_eq!(shards(&format!("{server} fresh")), [" 127.0.0.1:7001"]);
    }
}

#[test]
fn a_host_name_that_was_not_announced_is_replaced_by_the_ip() {
    for server in ["redis7", "redis8", "valkey9"] {
        let mut expected = WHOLE;
        expected[0] = "0-5460 node-0.example:7001";
        assert_eq!(slots(&format!("{server} hostname")), expected);
        assert_eq!(shards(&format!("{server} hostname")), expected);
    }
}

#[test]
fn a_failed_master_keeps_its_slots_and_a_failed_replica_is_left_out() {
    for server in ["redis7", "redis8", "valkey9"] {
        let mut expected = WHOLE;
        assert_eq!(slots(&format!("{server} deader")), expected);
        expected[1] = "5461-10000,10002-10922 127.0.0.1:7002 +127.0.0.1:7004";
        assert_eq!(slots(&format!("{server} dead")), expected);
        if server == "redis8" {
            expected[2] = " 127.0.0.1:7003"; // why CLUSTER SLOTS is the one to ask
        }
        assert_eq!(shards(&format!("{server} dead")), expected);
    }
}

#[test]
fn ipv6_old_forms_and_resp3_are_understood() {
    let old =
        "*2 *3 :0 :1 *2 $3 ::1 :7001 *4 :2 :3 *3 $11 2001:db8::2 :7002 $2 id *3 $3 ::1 :7003 $2 id";
    let topology = cluster_slots(&bytes(old), &asked()).unwrap();
    assert_eq!(shown(&topology), ["0-1 [::1]:7001", "2-3 [2001:db8::2]:7002 +[::1]:7003"]);
    let map = "*1 %2 $5 slots *2 :7 :7 $5 nodes *1 %6 $2 ip $3 ::1 $8 endpoint $1 ? $4 port :7009 $4 role $6 master $6 health $6 online $2 id $1 x";
    assert_eq!(shown(&cluster_shards(&bytes(map), &asked()).unwrap()), ["7-7 [::1]:7009"]);
    let names = "*1 *3 :0 :1 *4 _ :7001 $2 id %1 $2 ip $3 ::1";
    assert_eq!(shown(&cluster_slots(&bytes(names), &asked()).unwrap()), ["0-1 127.0.0.1:7001"]);
}

#[test]
fn a_node_without_a_usable_address_is_left_out() {
    let tls = "*1 *4 $5 slots *2 :7 :7 $5 nodes *1 *8 $8 tls-port :7009 $2 ip $3 ::1 $4 role $6 master $6 health $6 online";
    assert_eq!(cluster_shards(&bytes(tls), &asked()), Ok(Topology::default()));
    for node in ["$1 ? :7001", "$9 127.0.0.1 :0", "$9 127.0.0.1 :65536", "$3 a/b :1", "$3 ::1 $1 1"]
    {
        let reply = bytes(&format!("*1 *3 :0 :1 *2 {node}"));
        assert_eq!(cluster_slots(&reply, &asked()), Ok(Topology::default()), "{node}");
    }
}

#[test]
fn of_two_masters_the_one_that_lives_is_taken() {
    let node = |port: u16, role: &str, health: &str| {
        format!(
            "*10 $4 port :{port} $8 endpoint $3 ::1 $4 role ${} {role} $6 health ${} {health} $2 ip $3 ::1",
            role.len(),
            health.len()
        )
    };
    let nodes =
        [node(1, "master", "fail"), node(2, "master", "online"), node(3, "replica", "loading")];
    let reply = format!("*1 *4 $5 slots *2 :0 :9 $5 nodes *3 {}", nodes.join(" "));
    assert_eq!(shown(&cluster_shards(&bytes(&reply), &asked()).unwrap()), ["0-9 [::1]:2"]);
}

#[test]
fn what_is_no_topology_is_an_error() {
    let cases = [
        ("*1 *3 :0", TopologyError::NoReply(None)),
        ("*-2", TopologyError::NoReply(Some(ReplyError::BadLength))),
        ("*4294967295 *3 :0 :1", TopologyError::NoReply(None)),
        ("+OK", TopologyError::UnexpectedShape),
        ("*1 *2 :0 :1", TopologyError::UnexpectedShape),
        ("*1 *3 :0 :1 :2", TopologyError::UnexpectedShape),
        ("*1 *3 :0 :16384 *2 $3 ::1 :1", TopologyError::BadSlots),
        ("*1 *3 :5 :4 *2 $3 ::1 :1", TopologyError::BadSlots),
        ("*1 *3 :-1 :4 *2 $3 ::1 :1", TopologyError::BadSlots),
        ("*2 *3 :0 :5 *2 $3 ::1 :1 *3 :5 :6 *2 $3 ::1 :2", TopologyError::BadSlots),
    ];
    for (reply, error) in cases {
        assert_eq!(cluster_slots(&bytes(reply), &asked()), Err(error), "{reply}");
    }
    let refused = "ERR This instance has cluster support disabled";
    let reply = format!("-{refused}\r\n");
    let error = cluster_slots(reply.as_bytes(), &asked());
    assert_eq!(error, Err(TopologyError::Refused(refused.into())));
    let odd = "*1 *4 $5 slots *1 :0 $5 nodes *0";
    assert_eq!(cluster_shards(&bytes(odd), &asked()), Err(TopologyError::BadSlots));
    let nameless = "*1 *2 :1 :2";
    assert_eq!(cluster_shards(&bytes(nameless), &asked()), Err(TopologyError::UnexpectedShape));
}

#[test]
fn a_node_says_whether_it_is_one_of_a_cluster() {
    let info = |text: &str| format!("${}\r\n{text}\r\n", text.len()).into_bytes();
    assert_eq!(is_cluster_enabled(&info("# Cluster\r\ncluster_enabled:1\r\n")), Some(true));
    assert_eq!(is_cluster_enabled(&info("# Cluster\r\ncluster_enabled:0\r\n")), Some(false));
    assert_eq!(is_cluster_enabled(&info("# Server\r\nredis_version:2.8\r\n")), None);
    assert_eq!(is_cluster_enabled(b"-NOPERM no\r\n"), None);
    assert_eq!(is_cluster_enabled(b"*0\r\n"), None);
}

proptest! {
    /// A damaged reply is an error or another topology, never a panic.
    #[test]
    fn damaged_replies_are_survived(line in 3..200_usize, at: prop::sample::Index, byte: u8, cut: bool) {
        let lines: Vec<&str> = CAPTURED.lines().collect();
        let (_, reply) = lines[3 + line % (lines.len() - 3)].split_once(": ").unwrap();
        let mut reply = bytes(reply);
        let at = at.index(reply.len());
        reply[at] = byte;
        if cut {
            reply.truncate(at);
        }
        let asked = asked();
        for topology in [cluster_slots(&reply, &asked), cluster_shards(&reply, &asked)].into_iter().flatten() {
            prop_assert!(topology.slots_covered() <= usize::from(SLOTS));
        }
    }
}
