//! In front of a cluster: its nodes say who has which slots, and send requests elsewhere.

use super::super::slots::NodeId;
use super::*;

/// Three nodes with a third of the slots each.
const SLOTS: &str = "*3 *3 :0 :5461 *2 $9 127.0.0.1 :1 *3 :5462 :10922 *2 $9 127.0.0.1 :2 \
                     *3 :10923 :16383 *2 $9 127.0.0.1 :3";

#[test]
fn the_nodes_say_who_has_which_slots() {
    let mut proxy = TestProxy::of_cluster(SLOTS);
    for (index, key) in KEYS.iter().enumerate() {
        proxy.run(&format!("GET {key}"));
        proxy.answer(index as u16 + 1, "$-1\r\n");
    }
    assert_eq!(proxy.take(proxy.first()), "$-1");
    assert_eq!(proxy.run("SELECT 1"), "-ERR SELECT is not allowed in cluster mode");
}

#[test]
fn x13_a_redirection_is_followed_and_remembered() {
    let mut proxy = TestProxy::of_cluster(SLOTS);
    let slot = super::super::slots::key_slot(b"b");
    proxy.run("SET b 1");
    proxy.answer(1, &format!("-MOVED {slot} 127.0.0.1:2\r\n"));
    assert_eq!(proxy.take(proxy.first()), "");
    assert_eq!(proxy.answer(2, "+OK\r\n"), "SET b 1");
    assert_eq!(proxy.take(proxy.first()), "+OK");
}

#[test]
fn x13_redirections_in_a_circle_end() {
    let mut proxy = TestProxy::of_cluster(SLOTS);
    let slot = super::super::slots::key_slot(b"b");
    proxy.run("GET b");
    for port in [1, 2, 1, 2, 1, 2] {
        assert_eq!(proxy.take(proxy.first()), "");
        proxy.answer(port, &format!("-MOVED {slot} 127.0.0.1:{}\r\n", 3 - port));
    }
    assert_eq!(proxy.take(proxy.first()), format!("-MOVED {slot} 127.0.0.1:1"));
    assert_eq!(proxy.seen.len(), 6);
}

#[test]
fn ask_is_for_one_request() {
    let mut proxy = TestProxy::of_cluster(SLOTS);
    let slot = super::super::slots::key_slot(b"b");
    proxy.run("GET b");
    proxy.answer(1, &format!("-ASK {slot} 127.0.0.1:3\r\n"));
    assert_eq!(proxy.answer(3, "+OK\r\n"), "ASKING");
    assert_eq!(proxy.answer(3, "$1\r\nv\r\n"), "GET b");
    assert_eq!(proxy.take(proxy.first()), "$1 v");
    proxy.run("GET b");
    proxy.answer(1, "$-1\r\n");
    assert_eq!(proxy.take(proxy.first()), "$-1");
}

#[test]
fn many_keys_become_one_request_per_slot() {
    let mut proxy = TestProxy::of_cluster(SLOTS);
    let client = proxy.first();
    proxy.ask(client, &["MGET b {b}2 f b"]);
    let link = proxy.links_to(1)[0];
    assert_eq!(proxy.waiting(link), ["MGET b {b}2 b", "MGET f"]);
    let slot = super::super::slots::key_slot(b"f");
    proxy.answer(1, "*3\r\n:1\r\n:2\r\n:3\r\n");
    proxy.answer(1, &format!("-MOVED {slot} 127.0.0.1:2\r\n"));
    assert_eq!(proxy.answer(2, "*1\r\n:9\r\n"), "MGET f");
    assert_eq!(proxy.take(client), "*4 :1 :2 :9 :3");
}

#[test]
fn a_transaction_whose_slot_has_moved_is_sent_there_once() {
    let mut proxy = TestProxy::of_cluster(SLOTS);
    let client = proxy.first();
    let slot = super::super::slots::key_slot(b"b");
    let moved = format!("-MOVED {slot} 127.0.0.1:2\r\n");
    proxy.ask(client, &["MULTI", "INCR b", "EXEC"]);
    proxy.take(client);
    for reply in
        ["+OK\r\n", &moved, "-EXECABORT Transaction discarded because of previous errors.\r\n"]
    {
        proxy.answer(1, reply);
    }
    assert_eq!(proxy.take(client), "");
    for reply in ["+OK\r\n", "+QUEUED\r\n", "*1\r\n:1\r\n"] {
        proxy.answer(2, reply);
    }
    assert_eq!(proxy.take(client), "*1 :1");
}

#[test]
fn a_failed_master_is_replaced_by_what_the_others_say() {
    let mut proxy = TestProxy::of_cluster(SLOTS);
    proxy.mood(1, Mood::Refusing);
    let now = SLOTS.replacen(":5461 *2 $9 127.0.0.1 :1", ":5461 *2 $9 127.0.0.1 :4", 1);
    proxy.cluster_slots = Some(now.replace(' ', "\r\n") + "\r\n");
    proxy.kill(1);
    assert!(proxy.run("GET b").starts_with("-CLUSTERDOWN"));
    proxy.advance_ms(500);
    proxy.run("GET b");
    assert_eq!(proxy.answer(4, ":1\r\n"), "GET b");
    assert_eq!(proxy.take(proxy.first()), ":1");
}

#[test]
fn a_shard_channel_follows_its_slot() {
    let mut proxy = TestProxy::of_cluster(SLOTS);
    let client = proxy.first();
    let slot = super::super::slots::key_slot(b"b");
    proxy.ask(client, &["SSUBSCRIBE b"]);
    proxy.answer(1, &format!("-MOVED {slot} 127.0.0.1:2\r\n"));
    assert_eq!(proxy.answer(2, "*3\r\n$10\r\nssubscribe\r\n$1\r\nb\r\n:1\r\n"), "ssubscribe b");
    assert_eq!(proxy.take(client), "*3 $10 ssubscribe $1 b :1");
}

#[test]
fn blocking_commands_and_watches_follow_their_slot() {
    let mut proxy = TestProxy::of_cluster(SLOTS);
    let client = proxy.first();
    let slot = super::super::slots::key_slot(b"b");
    proxy.ask(client, &["BLPOP b 0"]);
    proxy.answer(1, &format!("-MOVED {slot} 127.0.0.1:2\r\n"));
    assert_eq!(proxy.take(client), "");
    assert_eq!(proxy.answer(2, "*2\r\n$1\r\nb\r\n$1\r\nv\r\n"), "BLPOP b 0");
    assert_eq!(proxy.take(client), "*2 $1 b $1 v");
    proxy.ask(client, &["WATCH b"]);
    proxy.answer(2, &format!("-MOVED {slot} 127.0.0.1:3\r\n"));
    assert_eq!(proxy.answer(3, "+OK\r\n"), "WATCH b");
    proxy.ask(client, &["MULTI", "GET b", "EXEC"]);
    for reply in ["+OK\r\n", "+QUEUED\r\n", "*1\r\n:1\r\n"] {
        proxy.answer(3, reply);
    }
    assert_eq!(proxy.take(client), "+OK +OK +QUEUED *1 :1");
}

#[test]
fn what_was_watched_before_its_slot_has_moved_fails_the_transaction() {
    let mut proxy = TestProxy::of_cluster(SLOTS);
    let client = proxy.first();
    let slot = super::super::slots::key_slot(b"b");
    proxy.ask(client, &["WATCH b"]);
    proxy.answer(1, "+OK\r\n");
    proxy.ask(client, &["GET b"]);
    proxy.answer(1, &format!("-MOVED {slot} 127.0.0.1:2\r\n"));
    proxy.answer(2, ":1\r\n");
    proxy.ask(client, &["MULTI", "SET b 2", "EXEC"]);
    assert_eq!(proxy.take(client), "+OK :1 +OK +QUEUED *-1");
}

#[test]
fn the_nearest_node_is_read_from_until_another_is_clearly_nearer() {
    let slots = "*1 *5 :0 :16383 *2 $9 127.0.0.1 :1 *2 $9 127.0.0.1 :2 *2 $9 127.0.0.1 :3";
    let mut proxy = TestProxy::of_cluster(slots);
    assert_eq!(proxy.run("CONFIG SET read-from nearest"), "+OK");
    let mut reader_after = |times_us: [u32; 3]| {
        for (node, took_us) in times_us.into_iter().enumerate() {
            let node = proxy.proxy.nodes.get_mut(NodeId(node as u16));
            (0..100).for_each(|_| node.stats.replied(took_us));
        }
        proxy.advance_ms(120);
        proxy.run("GET b");
        let port = (1..=3).find(|&port| !proxy.links_to(port).is_empty()).expect("it is asked");
        // A replica is told first that it is read from.
        while !proxy.links_to(port).is_empty() {
            proxy.answer(port, "+OK\r\n");
        }
        proxy.take(proxy.first());
        port
    };
    assert_eq!(reader_after([500, 900, 300]), 3);
    assert_eq!(reader_after([270, 900, 300]), 3, "not much nearer");
    assert_eq!(reader_after([500, 200, 300]), 2);
    assert_eq!(reader_after([100, 200, 300]), 1);
}

#[test]
fn nodes_that_are_not_read_from_are_measured_where_the_nearest_is_wanted() {
    let slots = "*1 *5 :0 :16383 *2 $9 127.0.0.1 :1 *2 $9 127.0.0.1 :2 *2 $9 127.0.0.1 :3";
    let mut proxy = TestProxy::of_cluster(slots);
    let replies = |proxy: &TestProxy, node| proxy.proxy.nodes.get(NodeId(node)).stats.replies;
    proxy.advance_ms(3000);
    assert_eq!((replies(&proxy, 1), replies(&proxy, 2)), (0, 0));
    proxy.run("CONFIG SET read-from nearest");
    proxy.advance_ms(3000);
    let measured = (0..3).filter(|&node| replies(&proxy, node) >= 2).count();
    assert!(measured >= 2, "all but the one that is read from");
    proxy.mood(3, Mood::Silent);
    proxy.advance_ms(20_000);
    assert!(proxy.proxy.nodes.get(NodeId(2)).health.down.is_some(), "it does not answer");
}
