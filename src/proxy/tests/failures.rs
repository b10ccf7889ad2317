//! Nodes that die, freeze, refuse connections or talk nonsense; clients that leave or do not read.

use super::*;
use crate::net::OutputBuffer;
use crate::net::Service;

#[test]
fn x02_a_node_that_dies_costs_each_of_its_requests_one_error_and_no_other() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    proxy.ask(client, &["SET b 1", "GET c", "SET b 2", "GET a"]);
    proxy.mood(1, Mood::Refusing);
    proxy.kill(1);
    proxy.answer(2, ":2\r\n");
    proxy.answer(3, ":3\r\n");
    let lost = "-ERR node 127.0.0.1:1 was lost after the request was sent (it closed the connection): outcome unknown";
    assert_eq!(proxy.take(client), format!("{lost} :2 {lost} :3"));
    proxy.ask(client, &["GET c"]);
    proxy.answer(2, ":2\r\n");
    assert_eq!(proxy.take(client), ":2");
}

#[test]
fn x03_a_write_of_unknown_outcome_is_not_sent_again_and_a_read_is_once() {
    let mut proxy = TestProxy::new();
    let (writer, reader) = (proxy.first(), proxy.connect());
    proxy.ask(writer, &["INCR b"]);
    proxy.ask(reader, &["GET b"]);
    proxy.kill(1);
    assert!(proxy.take(writer).ends_with("outcome unknown"));
    assert_eq!(proxy.take(reader), "");
    assert_eq!(proxy.waiting(proxy.links_to(1)[0]), ["GET b"]);
    proxy.kill(1);
    assert_eq!(
        proxy.take(reader),
        "-ERR node 127.0.0.1:1 was lost before it replied (it closed the connection)"
    );
    let sent: Vec<&str> = proxy.seen.iter().map(|(_, request)| request.as_str()).collect();
    assert_eq!(sent, ["INCR b", "GET b", "GET b"]);
}

#[test]
fn x03_a_read_before_a_write_of_the_same_client_is_not_sent_again() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    proxy.ask(client, &["GET b", "SET b 2", "GET b"]);
    proxy.kill(1);
    assert_eq!(proxy.waiting(proxy.links_to(1)[0]), ["GET b"]);
    proxy.answer(1, ":2\r\n");
    let replies = proxy.take(client);
    assert_eq!(replies.matches("-ERR node").count(), 2, "{replies}");
    assert!(replies.ends_with(" :2"), "{replies}");
}

#[test]
fn x02_what_has_not_left_is_sent_elsewhere_even_a_write() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    proxy.proxy.received(client, b"SET b 1\r\n"); // the link is opened in the turn that follows
    proxy.turn();
    proxy.answer(1, "+OK\r\n");
    let link = proxy.all_links_to(1)[1];
    // The next request is queued, and the link is lost before the turn is over.
    proxy.proxy.received(client, b"SET b 2\r\n");
    proxy.proxy.received(link, b"+nonsense\r\n");
    proxy.turn();
    assert_eq!(proxy.answer(1, "+OK\r\n"), "SET b 2");
    assert_eq!(proxy.take(client), "+OK +OK");
}

#[test]
fn x04_a_frozen_node_costs_an_error_in_time_and_no_other_node_anything() {
    let mut proxy = TestProxy::with(|options| options.timeout_ms = 1000);
    let client = proxy.first();
    proxy.ask(client, &["SET b 1", "GET c"]);
    proxy.answer(2, ":2\r\n");
    proxy.advance_ms(980);
    assert_eq!(proxy.take(client), "");
    proxy.advance_ms(60);
    assert_eq!(
        proxy.take(client),
        "-ERR node 127.0.0.1:1 did not answer within 1000 ms: outcome unknown :2"
    );
    let refused = proxy.run("GET b");
    assert_eq!(
        refused,
        "-CLUSTERDOWN Hash slot not served: node 127.0.0.1:1 is down (it does not answer)"
    );
    // The late reply is for nobody, and the node is asked again.
    proxy.answer(1, "+LATE\r\n");
    proxy.run("GET b");
    proxy.answer(1, ":7\r\n");
    assert_eq!(proxy.take(client), ":7");
}

#[test]
fn x04_a_node_that_stays_frozen_is_given_up_and_tried_again() {
    let mut proxy = TestProxy::with(|options| options.timeout_ms = 1000);
    proxy.mood(1, Mood::Silent);
    proxy.run("GET b");
    proxy.advance_ms(4000);
    assert!(proxy.take(proxy.first()).starts_with("-CLUSTERDOWN"));
    assert!(proxy.links_to(1).is_empty());
    proxy.mood(1, Mood::Well);
    proxy.advance_ms(10_000);
    proxy.run("GET b");
    assert_eq!(proxy.answer(1, ":1\r\n"), "GET b");
}

#[test]
fn x14_nodes_that_are_away_are_refused_at_once_and_tried_with_growing_pauses() {
    let mut proxy = TestProxy::new();
    (1..=3).for_each(|port| proxy.mood(port, Mood::Refusing));
    proxy.kill(1);
    let reply = proxy.run("GET b");
    assert_eq!(
        reply,
        "-CLUSTERDOWN Hash slot not served: node 127.0.0.1:1 is down (Connection refused)"
    );
    let tries = |proxy: &TestProxy| {
        proxy.proxy.nodes.get(super::super::slots::NodeId(0)).stats.failed_connections
    };
    let before = tries(&proxy);
    proxy.advance_ms(20_000);
    let tried = tries(&proxy) - before;
    assert!((4..20).contains(&tried), "{tried} tries in 20 s");
    (1..=3).for_each(|port| proxy.mood(port, Mood::Well));
    proxy.advance_ms(5_100);
    proxy.run("GET b");
    proxy.answer(1, ":1\r\n");
    assert_eq!(proxy.take(proxy.first()), ":1");
}

#[test]
fn x06_nonsense_ends_the_link_and_nobody_is_shown_it() {
    let deep = "*1\r\n".repeat(2000);
    for nonsense in ["HTTP/1.1 200 OK\r\n", "*-2\r\n", "$9999999999\r\n", &deep, "$3\r\nabcdef"] {
        let mut proxy = TestProxy::new();
        let client = proxy.first();
        proxy.ask(client, &["SET b 1"]);
        let link = proxy.links_to(1)[0];
        proxy.node_sends(link, nonsense.as_bytes());
        let reply = proxy.take(client);
        assert!(reply.starts_with("-ERR node 127.0.0.1:1 was lost"), "{nonsense:.20}: {reply}");
        assert!(proxy.is_connected(client));
        assert!(!proxy.all_links_to(1).contains(&link));
    }
}

#[test]
fn x06_an_extra_reply_is_given_to_nobody() {
    let mut proxy = TestProxy::new();
    let (client, other) = (proxy.first(), proxy.connect());
    proxy.ask(client, &["GET b"]);
    let link = proxy.links_to(1)[0];
    proxy.node_sends(link, b"$1\r\nv\r\n$6\r\nsecret\r\n");
    assert!(!proxy.all_links_to(1).contains(&link));
    assert_eq!(proxy.take(client), "$1 v");
    proxy.ask(other, &["GET b"]);
    proxy.answer(1, "$1\r\nw\r\n");
    assert_eq!(proxy.take(other), "$1 w");
}

#[test]
fn x06_half_a_long_reply_ends_the_connection_of_its_client_only() {
    let mut proxy = TestProxy::new();
    let (client, other) = (proxy.first(), proxy.connect());
    proxy.ask(client, &["GET b"]);
    proxy.ask(other, &["GET b"]);
    let link = proxy.links_to(1)[0];
    proxy.node_sends(link, &[b"$50000\r\n".as_slice(), &[b'x'; 20_000]].concat());
    proxy.kill(1);
    assert!(!proxy.is_connected(client), "what came next would be taken for the rest of the value");
    proxy.answer(1, "$-1\r\n");
    assert_eq!(proxy.take(other), "$-1");
}

#[test]
fn x07_replies_for_a_client_that_is_gone_are_given_to_nobody() {
    let mut proxy = TestProxy::new();
    let gone = proxy.connect();
    let requests: Vec<String> = (0..500).map(|number| format!("GET b{{b}}{number}")).collect();
    proxy.ask(gone, &requests.iter().map(String::as_str).collect::<Vec<_>>());
    proxy.leave(gone);
    let next = proxy.connect();
    assert_eq!(next, gone, "the token is used again");
    proxy.ask(next, &["GET b"]);
    for number in 0..500 {
        proxy.answer(1, &format!(":{number}\r\n"));
    }
    assert_eq!(proxy.take(next), "");
    proxy.answer(1, "$1\r\nv\r\n");
    assert_eq!(proxy.take(next), "$1 v");
}

#[test]
fn x08_a_client_may_only_have_so_many_requests_under_way() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    let requests: Vec<u8> = b"GET b\r\n".repeat(3000);
    proxy.send(client, &requests);
    assert_eq!(proxy.seen.len(), 1024);
    for number in 0..3000 {
        proxy.answer(1, &format!(":{number}\r\n"));
    }
    let expected: Vec<String> = (0..3000).map(|number| format!(":{number}")).collect();
    assert_eq!(proxy.take(client), expected.join(" "));
}

#[test]
fn x08_a_node_waits_for_a_client_that_does_not_read_but_not_for_ever() {
    let mut proxy = TestProxy::with(|options| options.timeout_ms = 1000);
    let client = proxy.first();
    proxy.ask(client, &["GET b"]);
    let link = proxy.links_to(1)[0];
    proxy.node_sends(link, b"$10000000\r\n");
    proxy.take(client);
    // The client does not read: the test leaves its output where it is.
    let piece = [b'x'; 32_768];
    let mut actions = crate::net::Actions::default();
    for _ in 0..40 {
        proxy.proxy.received(link, &piece);
    }
    proxy.proxy.end_turn(&mut actions);
    assert_eq!(actions.pause_reading, [link]);
    proxy.now.monotonic_us += 1_100_000;
    proxy.proxy.begin_turn(proxy.now, &crate::net::LoopStats::default());
    proxy.proxy.run_timers();
    let mut actions = crate::net::Actions::default();
    proxy.proxy.end_turn(&mut actions);
    assert_eq!(actions.close, [(client, crate::net::Close::Now)]);
    proxy.proxy.disconnected(client, crate::net::Disconnect::Requested);
    let mut actions = crate::net::Actions::default();
    proxy.proxy.end_turn(&mut actions);
    assert_eq!(actions.resume_reading, [link]);
}

#[test]
fn x08_what_a_client_has_read_lets_its_node_go_on() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    proxy.ask(client, &["GET b"]);
    let link = proxy.links_to(1)[0];
    proxy.node_sends(link, b"$2000000\r\n");
    for _ in 0..40 {
        proxy.proxy.received(link, &[b'x'; 32_768]);
    }
    assert!(proxy.proxy.output(client).unwrap().len() > 1 << 20);
    proxy.turn();
    assert!(!proxy.is_paused(link), "it was paused, and resumed when the client had read");
}

#[test]
fn x09_a_node_that_is_away_makes_the_whole_reply_an_error() {
    let mut proxy = TestProxy::new();
    proxy.mood(2, Mood::Refusing);
    proxy.kill(2);
    let down = "-CLUSTERDOWN Hash slot not served: node 127.0.0.1:2 is down (Connection refused)";
    proxy.run("GET c");
    for request in ["MGET a b c", "MSET a 1 b 2 c 3", "DEL c a"] {
        let reply = proxy.run(request);
        assert_eq!(reply, down, "{request}");
    }
    assert_eq!(proxy.seen, [], "nothing was sent anywhere");
}

#[test]
fn x09_a_node_that_dies_meanwhile_makes_the_whole_reply_an_error() {
    let mut proxy = TestProxy::new();
    proxy.run("MSET a 1 b 2 c 3");
    proxy.answer(1, "+OK\r\n");
    proxy.mood(2, Mood::Refusing);
    proxy.kill(2);
    assert_eq!(proxy.take(proxy.first()), "");
    proxy.answer(3, "+OK\r\n");
    assert!(proxy.take(proxy.first()).ends_with("outcome unknown"));
}

#[test]
fn x13_errors_of_nodes_are_passed_on() {
    let mut proxy = TestProxy::new();
    for error in ["-LOADING Redis is loading", "-READONLY no", "-MOVED 1 127.0.0.1:9", "-NOSUCH"] {
        proxy.run("GET b");
        proxy.answer(1, &format!("{error}\r\n"));
        assert_eq!(proxy.take(proxy.first()), error, "plain servers are not followed anywhere");
    }
}

#[test]
fn x16_requests_for_one_key_keep_their_order_with_many_links() {
    let mut proxy = TestProxy::with(|options| options.connections = 4);
    let client = proxy.first();
    let requests: Vec<String> =
        (0..200).map(|number| format!("SET {{k{}}} {number}", number % 20)).collect();
    proxy.ask(client, &requests.iter().map(String::as_str).collect::<Vec<_>>());
    let links: Vec<_> = (1..=3).flat_map(|port| proxy.links_to(port)).collect();
    assert!(links.len() > 3);
    let mut keys = std::collections::HashMap::new();
    for link in links {
        for request in proxy.waiting(link) {
            let words: Vec<&str> = request.split(' ').collect();
            let (key, number) = (words[1].to_owned(), words[2].parse::<u32>().unwrap());
            let (known, last) = keys.entry(key).or_insert((link, number));
            assert_eq!(*known, link, "a slot has always the same link");
            assert!(*last <= number);
            *last = number;
        }
    }
}

#[test]
fn a_greeting_that_is_refused_is_told_and_nothing_is_sent() {
    let mut proxy = TestProxy::new();
    proxy.mood(1, Mood::Silent);
    proxy.run("GET b");
    let greeted = *proxy.all_links_to(1).last().unwrap();
    proxy.node_sends(greeted, b"-NOAUTH Authentication required.\r\n");
    assert_eq!(
        proxy.take(proxy.first()),
        "-CLUSTERDOWN Hash slot not served: node 127.0.0.1:1 is down (NOAUTH Authentication required.)"
    );
    assert_eq!(proxy.seen, []);
}

#[test]
fn x15_at_the_end_everybody_is_answered_first() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    proxy.ask(client, &["SET b 1"]);
    proxy.proxy.signal(crate::net::Signal::Terminate);
    proxy.proxy.run_timers();
    let mut actions = crate::net::Actions::default();
    proxy.proxy.end_turn(&mut actions);
    assert!(actions.stop_accepting && actions.exit.is_none());
    let link = proxy.links_to(1)[0];
    proxy.proxy.received(link, b"+OK\r\n");
    proxy.now.monotonic_us += 20_000;
    proxy.proxy.begin_turn(proxy.now, &crate::net::LoopStats::default());
    proxy.proxy.run_timers();
    let mut actions = crate::net::Actions::default();
    proxy.proxy.end_turn(&mut actions);
    assert_eq!(actions.exit, Some(0));
    assert_eq!(proxy.proxy.output(client).unwrap().len(), 5);
}

#[test]
fn x08_a_link_may_only_have_so_many_bytes_to_do() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    let value = vec![b'x'; 1 << 20];
    let mut request = Vec::new();
    crate::resp::write_request(&mut request, [b"SET".as_slice(), b"b", &value].into_iter());
    for _ in 0..40 {
        proxy.send(client, &request);
    }
    assert_eq!(proxy.seen.len(), 32);
    proxy.kill(1);
    assert_eq!(proxy.seen.len(), 40, "whoever has waited goes on");
    for _ in 0..8 {
        proxy.answer(1, "+OK\r\n");
    }
    let replies = proxy.take(client);
    assert_eq!(replies.matches("outcome unknown").count(), 32);
    assert_eq!(replies.matches("+OK").count(), 8);
}
