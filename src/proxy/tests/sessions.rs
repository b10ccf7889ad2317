//! Transactions, watched keys, blocking commands.

use super::*;

#[test]
fn a_transaction_is_sent_in_one_piece_and_answered_as_one() {
    let mut proxy = TestProxy::new();
    let (client, other) = (proxy.first(), proxy.connect());
    proxy.ask(client, &["MULTI", "SET {b}1 x", "INCR {b}2"]);
    assert_eq!(proxy.take(client), "+OK +QUEUED +QUEUED");
    assert_eq!(proxy.seen, []);
    proxy.ask(other, &["GET b"]);
    proxy.ask(client, &["EXEC", "GET b"]);
    let link = proxy.links_to(1)[0];
    assert_eq!(proxy.waiting(link), ["GET b", "MULTI", "SET {b}1 x", "INCR {b}2", "EXEC", "GET b"]);
    for reply in
        ["$-1\r\n", "+OK\r\n", "+QUEUED\r\n", "+QUEUED\r\n", "*2\r\n+OK\r\n:1\r\n", ":5\r\n"]
    {
        proxy.answer(1, reply);
    }
    assert_eq!(proxy.take(client), "*2 +OK :1 :5");
    assert_eq!(proxy.take(other), "$-1");
}

#[test]
fn x11_keys_of_two_slots_are_refused_before_anything_is_sent() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    proxy.ask(client, &["MULTI", "SET b 1", "SET c 2", "EXEC", "PING"]);
    assert_eq!(
        proxy.take(client),
        "+OK +QUEUED -CROSSSLOT Keys in request don't hash to the same slot \
         -EXECABORT Transaction discarded because of previous errors. +PONG"
    );
    assert_eq!(proxy.seen, []);
}

#[test]
fn what_cannot_be_in_a_transaction_fails_it() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    for request in ["SELECT 1", "NOSUCH", "SUBSCRIBE c", "DBSIZE", "GET", "HELLO 3", "WAIT 0 0"] {
        proxy.ask(client, &["MULTI", request, "EXEC"]);
        let reply = proxy.take(client);
        assert!(reply.starts_with("+OK -ERR "), "{request}: {reply}");
        assert!(reply.contains(" -EXECABORT "), "{request}: {reply}");
    }
    assert_eq!(proxy.seen, []);
    assert_eq!(proxy.run("EXEC"), "-ERR EXEC without MULTI");
    assert_eq!(proxy.run("DISCARD"), "-ERR DISCARD without MULTI");
    proxy.ask(client, &["MULTI", "MULTI", "WATCH b", "DISCARD", "MULTI", "EXEC"]);
    assert_eq!(
        proxy.take(client),
        "+OK -ERR MULTI calls can not be nested -ERR WATCH inside MULTI is not allowed +OK +OK *0"
    );
}

#[test]
fn a_transaction_whose_node_is_lost_has_an_unknown_outcome() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    proxy.ask(client, &["MULTI", "INCR b", "EXEC"]);
    proxy.take(client);
    proxy.answer(1, "+OK\r\n");
    proxy.kill(1);
    assert!(proxy.take(client).ends_with("outcome unknown"));
    proxy.run("GET b");
    proxy.answer(1, ":0\r\n");
    assert_eq!(proxy.take(client), ":0");
}

#[test]
fn watched_keys_have_a_link_of_their_own() {
    let mut proxy = TestProxy::new();
    let (client, other) = (proxy.first(), proxy.connect());
    proxy.ask(other, &["GET b"]);
    let shared = proxy.links_to(1)[0];
    proxy.ask(client, &["WATCH b", "GET b"]);
    let own = *proxy.links_to(1).iter().find(|&&link| link != shared).unwrap();
    assert_eq!(proxy.waiting(own), ["WATCH b", "GET b"]);
    proxy.answer_link(own, |_| b"+OK\r\n".to_vec());
    proxy.answer_link(own, |_| b":1\r\n".to_vec());
    proxy.ask(client, &["MULTI", "SET b 2", "EXEC", "GET b"]);
    assert_eq!(proxy.waiting(own), ["MULTI", "SET b 2", "EXEC"]);
    for reply in ["+OK\r\n", "+QUEUED\r\n", "*-1\r\n"] {
        proxy.answer_link(own, |_| reply.as_bytes().to_vec());
    }
    assert_eq!(proxy.waiting(shared), ["GET b", "GET b"], "it goes on where everybody is");
    assert_eq!(proxy.take(client), "+OK :1 +OK +QUEUED *-1");
}

#[test]
fn the_link_of_one_client_serves_the_next_and_nothing_is_watched_on_it() {
    let mut proxy = TestProxy::new();
    let (client, other) = (proxy.first(), proxy.connect());
    proxy.ask(client, &["WATCH b"]);
    let own = proxy.links_to(1)[0];
    proxy.answer_link(own, |_| b"+OK\r\n".to_vec());
    proxy.leave(client);
    assert_eq!(proxy.waiting(own), ["UNWATCH"]);
    proxy.ask(other, &["WATCH b"]);
    assert_eq!(proxy.waiting(own), ["UNWATCH", "WATCH b"]);
    proxy.answer_link(own, |_| b"+OK\r\n".to_vec());
    proxy.answer_link(own, |_| b"+OK\r\n".to_vec());
    assert_eq!(proxy.take(other), "+OK");
    proxy.ask(other, &["UNWATCH", "PING"]);
    assert_eq!(proxy.take(other), "+OK +PONG");
}

#[test]
fn a_lost_watch_fails_the_transaction() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    proxy.ask(client, &["WATCH b"]);
    proxy.answer(1, "+OK\r\n");
    proxy.ask(client, &["MULTI", "SET b 2"]);
    proxy.kill(1);
    proxy.ask(client, &["EXEC", "MULTI", "EXEC"]);
    assert_eq!(proxy.take(client), "+OK +OK +QUEUED *-1 +OK *0");
}

#[test]
fn x11_a_watched_key_and_a_transaction_elsewhere_do_not_go_together() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    proxy.ask(client, &["WATCH b"]);
    proxy.answer(1, "+OK\r\n");
    let error = "-CROSSSLOT Keys in request don't hash to the same slot";
    assert_eq!(proxy.run("WATCH c"), format!("+OK {error}"));
    proxy.ask(client, &["MULTI", "SET c 1", "DISCARD"]);
    assert_eq!(proxy.take(client), format!("+OK {error} +OK"));
}

#[test]
fn a_blocking_command_holds_up_its_client_only() {
    let mut proxy = TestProxy::new();
    let (client, other) = (proxy.first(), proxy.connect());
    proxy.ask(client, &["RPUSH c x", "BLPOP b 0", "GET c"]);
    assert_eq!(proxy.seen, [(2, "RPUSH c x".to_owned())], "what came before it is answered first");
    proxy.answer(2, ":1\r\n");
    let own = proxy.links_to(1)[0];
    proxy.ask(other, &["GET b"]);
    proxy.advance_ms(20_000);
    assert!(proxy.take(other).contains("did not answer"));
    assert_eq!(proxy.waiting(own), ["BLPOP b 0"], "it may take its time");
    proxy.answer_link(own, |_| b"*2\r\n$1\r\nb\r\n$1\r\nv\r\n".to_vec());
    proxy.answer(2, "$-1\r\n");
    assert_eq!(proxy.take(client), ":1 *2 $1 b $1 v $-1");
}

#[test]
fn whoever_leaves_while_it_waits_takes_nothing_along() {
    let mut proxy = TestProxy::new();
    let client = proxy.connect();
    proxy.ask(client, &["BLPOP b 0"]);
    let own = proxy.links_to(1)[0];
    proxy.leave(client);
    assert!(!proxy.all_links_to(1).contains(&own), "else it would pop an element for nobody");
}

#[test]
fn a_blocked_client_is_told_when_its_node_is_lost() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    proxy.ask(client, &["BLPOP b 0", "PING"]);
    proxy.kill(1);
    let replies = proxy.take(client);
    assert!(replies.starts_with("-ERR node 127.0.0.1:1 was lost"), "{replies}");
    assert!(replies.ends_with("+PONG"), "{replies}");
}

#[test]
fn streams_are_waited_for_only_if_that_is_asked() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    proxy.ask(client, &["XREAD STREAMS b 0", "GET b", "XREAD BLOCK 0 STREAMS b 0"]);
    let link = proxy.links_to(1)[0];
    assert_eq!(proxy.waiting(link), ["XREAD STREAMS b 0", "GET b"]);
    proxy.answer(1, "*-1\r\n");
    proxy.answer(1, "$-1\r\n");
    assert_ne!(proxy.links_to(1), [link]);
}
