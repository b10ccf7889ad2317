//! Messages: one subscription at a node, many clients.

use super::*;

#[test]
fn many_clients_share_one_subscription() {
    let mut proxy = TestProxy::new();
    let clients: Vec<_> = (0..5).map(|_| proxy.connect()).collect();
    for &client in &clients {
        proxy.ask(client, &["SUBSCRIBE b"]);
        assert_eq!(proxy.take(client), "", "not before the node has confirmed it");
    }
    assert_eq!(proxy.answer(1, "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:1\r\n"), "subscribe b");
    assert!(proxy.links_to(1).is_empty());
    let link = *proxy.all_links_to(1).last().unwrap();
    proxy.node_sends(link, b"*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$2\r\nhi\r\n");
    for &client in &clients {
        assert_eq!(proxy.take(client), "*3 $9 subscribe $1 b :1 *3 $7 message $1 b $2 hi");
    }
    for &client in &clients[1..] {
        proxy.leave(client);
    }
    assert!(proxy.links_to(1).is_empty());
    proxy.ask(clients[0], &["UNSUBSCRIBE"]);
    assert_eq!(proxy.take(clients[0]), "*3 $11 unsubscribe $1 b :0");
    assert_eq!(proxy.answer(1, "*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n"), "unsubscribe b");
}

#[test]
fn publishers_and_subscribers_of_a_channel_meet_at_one_node() {
    let mut proxy = TestProxy::new();
    for (index, channel) in KEYS.iter().enumerate() {
        proxy.run(&format!("PUBLISH {channel} m"));
        proxy.answer(index as u16 + 1, ":0\r\n");
        proxy.run(&format!("SPUBLISH {channel} m"));
        proxy.answer(index as u16 + 1, ":0\r\n");
    }
}

#[test]
fn a_pattern_is_subscribed_to_at_all_plain_servers() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    proxy.ask(client, &["PSUBSCRIBE x*"]);
    for port in 1..=3 {
        assert_eq!(proxy.take(client), "");
        proxy.answer(port, "*3\r\n$10\r\npsubscribe\r\n$2\r\nx*\r\n:1\r\n");
    }
    assert_eq!(proxy.take(client), "*3 $10 psubscribe $2 x* :1");
    let link = *proxy.all_links_to(2).last().unwrap();
    proxy.node_sends(link, b"*4\r\n$8\r\npmessage\r\n$2\r\nx*\r\n$2\r\nx1\r\n$1\r\nm\r\n");
    assert_eq!(proxy.take(client), "*4 $8 pmessage $2 x* $2 x1 $1 m");
}

#[test]
fn x11_who_is_subscribed_in_resp2_may_ask_for_little_else() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    proxy.ask(client, &["SUBSCRIBE b", "PING", "GET b", "UNSUBSCRIBE b", "PING"]);
    proxy.answer(1, "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:1\r\n");
    assert_eq!(
        proxy.take(client),
        "*3 $9 subscribe $1 b :1 *2 $4 pong $0  -ERR Can't execute 'get': only (P|S)SUBSCRIBE / \
         (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context \
         *3 $11 unsubscribe $1 b :0 +PONG"
    );
}

#[test]
fn resp3_gets_pushes_in_between_and_never_within_a_reply() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    proxy.ask(client, &["HELLO 3", "SUBSCRIBE b"]);
    proxy.answer(1, "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:1\r\n");
    assert!(proxy.take(client).ends_with(">3 $9 subscribe $1 b :1"));
    let messages = *proxy.all_links_to(1).last().unwrap();
    let message = b"*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$2\r\nhi\r\n";
    proxy.ask(client, &["GET b"]);
    let link = proxy.links_to(1)[0];
    proxy.node_sends(link, &[b"$40000\r\n".as_slice(), &[b'x'; 20_000]].concat());
    proxy.node_sends(messages, message);
    proxy.node_sends(link, &[[b'x'; 20_000].as_slice(), b"\r\n"].concat());
    let replies = proxy.take(client);
    assert_eq!(replies.len(), 7 + 40_000 + 1 + 24, "{}", &replies[40_000..]);
    assert!(replies.ends_with("x >3 $7 message $1 b $2 hi"));
    proxy.ask(client, &["BLPOP b 0"]);
    proxy.node_sends(messages, message);
    assert_eq!(proxy.take(client), ">3 $7 message $1 b $2 hi", "who waits for keys may wait long");
}

#[test]
fn a_subscription_is_made_again_when_its_node_comes_back() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    let confirmed = "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:1\r\n";
    proxy.ask(client, &["SUBSCRIBE b"]);
    proxy.answer(1, confirmed);
    proxy.take(client);
    proxy.mood(1, Mood::Refusing);
    proxy.kill(1);
    proxy.advance_ms(1000);
    proxy.mood(1, Mood::Well);
    proxy.advance_ms(6000);
    let link = proxy.links_to(1)[0];
    assert_eq!(proxy.answer(1, confirmed), "subscribe b");
    proxy.node_sends(link, b"*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$2\r\nhi\r\n");
    assert_eq!(proxy.take(client), "*3 $7 message $1 b $2 hi");
}

#[test]
fn a_refused_subscription_is_told() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    proxy.ask(client, &["SUBSCRIBE b"]);
    proxy.answer(1, "-NOPERM no\r\n");
    assert_eq!(proxy.take(client), "-NOPERM no");
    assert_eq!(proxy.run("PING"), "+PONG");
}

#[test]
fn pubsub_tells_of_the_clients_of_the_proxy() {
    let mut proxy = TestProxy::new();
    let client = proxy.connect();
    proxy.ask(client, &["SUBSCRIBE b b2{b}", "PSUBSCRIBE x*"]);
    assert_eq!(proxy.run("PUBSUB CHANNELS b?*"), "*1 $5 b2{b}");
    assert_eq!(proxy.run("PUBSUB NUMSUB b z"), "*4 $1 b :1 $1 z :0");
    assert_eq!(proxy.run("PUBSUB NUMPAT"), ":1");
    proxy.leave(client);
    assert_eq!(proxy.run("PUBSUB CHANNELS"), "*0");
}

#[test]
fn a_long_message_is_a_message_like_any_other() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    proxy.ask(client, &["SUBSCRIBE b"]);
    proxy.answer(1, "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:1\r\n");
    proxy.take(client);
    let link = *proxy.all_links_to(1).last().unwrap();
    let message = format!("*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$50000\r\n{}\r\n", "x".repeat(50_000));
    for piece in message.as_bytes().chunks(7_000) {
        proxy.node_sends(link, piece);
    }
    assert_eq!(proxy.take(client), message.trim_end().replace("\r\n", " "));
}

#[test]
fn a_push_on_a_link_for_requests_is_no_reply() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    proxy.ask(client, &["HELLO 3", "GET b"]);
    proxy.take(client);
    let link = proxy.links_to(1)[0];
    proxy.node_sends(link, b">2\r\n$10\r\ninvalidate\r\n_\r\n$1\r\nv\r\n");
    assert_eq!(proxy.take(client), "$1 v");
}

#[test]
fn x14_a_channel_of_a_node_that_is_away_is_refused() {
    let mut proxy = TestProxy::new();
    proxy.mood(1, Mood::Refusing);
    proxy.kill(1);
    proxy.run("GET b");
    let down = "-CLUSTERDOWN Hash slot not served: node 127.0.0.1:1 is down (Connection refused)";
    assert_eq!(proxy.run("SUBSCRIBE b"), down);
    assert_eq!(proxy.run("PSUBSCRIBE x*"), down);
    assert_eq!(proxy.run("PING"), "+PONG", "it is no subscriber");
}
