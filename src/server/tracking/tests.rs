//! Who is told about which keys, and when.

use crate::net::{LoopStats, Service as _, Token};
use crate::resp::Protocol;
use crate::server::testing::TestServer;

/// A server whose first client speaks RESP3 and is told about what it reads.
fn tracking(options: &str) -> TestServer {
    let mut redis = TestServer::new();
    redis.server.state.clients.get_mut(Token(0)).protocol = Protocol::Resp3;
    redis.run(format!("CLIENT TRACKING ON {options}").trim_end()).is("+OK");
    redis
}

fn pushed(keys: &[&str]) -> String {
    let keys: String = keys.iter().map(|key| format!(" ${} {key}", key.len())).collect();
    format!(">2 $10 invalidate *{}{keys}", keys.matches('$').count())
}

fn counts(redis: &TestServer) -> (usize, usize, usize, usize) {
    let tracking = &redis.server.state.tracking;
    (tracking.clients(), tracking.keys(), tracking.items(), tracking.prefixes())
}

#[test]
fn a_client_is_told_once_about_each_key_it_has_read() {
    let mut redis = tracking("");
    let other = redis.connect();
    redis.run("MGET a b a").starts("*3");
    assert_eq!(counts(&redis), (1, 2, 2, 0));
    redis.run_as(other, "SET a 1").is("+OK");
    redis.take(Token(0)).is(&pushed(&["a"]));
    redis.run_as(other, "SET a 2").is("+OK");
    redis.run_as(other, "SET c 1").is("+OK");
    redis.take(Token(0)).is("");
    redis.run("SET b 1").is(&format!("+OK {}", pushed(&["b"])));
    assert_eq!(counts(&redis), (1, 0, 0, 0));
}

#[test]
fn all_readers_of_a_key_are_told() {
    let mut redis = tracking("");
    let readers: Vec<Token> = (0..20).map(|_| redis.connect()).collect();
    for &reader in &readers {
        redis.server.state.clients.get_mut(reader).protocol = Protocol::Resp3;
        redis.run_as(reader, "CLIENT TRACKING ON").is("+OK");
        redis.run_as(reader, "GET k").is("_");
    }
    assert_eq!(counts(&redis), (21, 1, 20, 0));
    redis.run_as(readers[3], "QUIT").is("+OK");
    let newcomer = redis.connect();
    assert_eq!(newcomer, readers[3]);
    redis.run_as(newcomer, "CLIENT TRACKING ON").is("+OK");
    redis.run("SET k v").is("+OK");
    for &reader in &readers {
        redis.take(reader).is(if reader == newcomer { "" } else { ">2 $10 invalidate *1 $1 k" });
    }
}

#[test]
fn what_a_client_is_told_comes_after_the_reply_and_not_within() {
    let mut redis = tracking("");
    redis.run("MGET a b").starts("*2");
    let requests = b"MULTI\r\nSET a 1\r\nGET b\r\nSET b 1\r\nEXEC\r\nPING\r\n";
    let expected = format!(
        "+OK +QUEUED +QUEUED +QUEUED *3 +OK _ +OK {} {} +PONG",
        pushed(&["a"]),
        pushed(&["b"])
    );
    redis.receive(Token(0), requests).is(&expected);
}

#[test]
fn noloop_keeps_quiet_about_ones_own_changes() {
    let mut redis = tracking("NOLOOP");
    let other = redis.connect();
    redis.run("MGET a b").starts("*2");
    redis.run("SET a 1").is("+OK");
    redis.run_as(other, "SET b 1").is("+OK");
    redis.take(Token(0)).is(&pushed(&["b"]));
}

#[test]
fn optin_and_optout_choose_what_is_remembered() {
    let mut redis = tracking("OPTIN");
    redis.run("GET a").is("_");
    assert_eq!(counts(&redis).1, 0);
    redis.run("CLIENT CACHING YES").is("+OK");
    redis.run("CLIENT ID").is(":1");
    redis.run("GET b").is("_");
    redis.run("GET c").is("_");
    assert_eq!(counts(&redis).1, 1);
    redis.receive(Token(0), b"CLIENT CACHING YES\r\nMULTI\r\nGET d\r\nGET e\r\nEXEC\r\nGET f\r\n");
    assert_eq!(counts(&redis).1, 3);
    redis.run("CLIENT CACHING YES").is("+OK");
    redis.run("NOSUCH").starts("-ERR");
    redis.run("GET g").is("_");
    assert_eq!(counts(&redis).1, 3);
    let mut redis = tracking("OPTOUT");
    redis.run("CLIENT CACHING NO").is("+OK");
    redis.run("GET a").is("_");
    redis.run("GET b").is("_");
    assert_eq!(counts(&redis).1, 1);
}

#[test]
fn broadcast_tells_at_the_end_of_a_turn_prefix_by_prefix() {
    let mut redis = tracking("BCAST PREFIX b: PREFIX a:");
    let other = redis.connect();
    let requests = b"SET b:1 x\r\nSET a:2 x\r\nSET a:1 x\r\nSET a:2 y\r\nSET c x\r\n";
    redis.receive(other, requests).is("+OK +OK +OK +OK +OK");
    let expected = format!("{} {}", pushed(&["a:1", "a:2"]), pushed(&["b:1"]));
    redis.take(Token(0)).is(&expected);
    redis.run("SET a:1 x").is(&format!("+OK {}", pushed(&["a:1"])));
    redis.run("GET a:1").is("$1 x");
    assert_eq!(counts(&redis), (1, 0, 0, 2));
    redis.run("CLIENT TRACKING OFF").is("+OK");
    assert_eq!(counts(&redis), (0, 0, 0, 0));
}

#[test]
fn noloop_broadcasts_leave_out_what_one_has_changed_last() {
    let mut redis = tracking("BCAST NOLOOP");
    let other = redis.connect();
    let now = redis.world.borrow().now;
    redis.server.begin_turn(now, &LoopStats::default());
    redis.server.received(Token(0), b"SET a 1\r\nSET b 1\r\n");
    redis.server.received(other, b"SET c 1\r\nSET b 2\r\nSET a 2\r\n");
    redis.server.received(Token(0), b"SET a 3\r\n");
    redis.advance_ms(0);
    redis.take(Token(0)).is(&format!("+OK +OK +OK {}", pushed(&["b", "c"])));
    redis.run("SET a 1").is("+OK");
}

#[test]
fn expiry_is_nobodys_own_change() {
    let mut redis = tracking("BCAST NOLOOP");
    redis.run("SET a 1 PX 10").is("+OK");
    redis.advance_ms(200);
    redis.take(Token(0)).is(&pushed(&["a"]));
    let mut redis = tracking("");
    redis.server.state.active_expire = false;
    redis.run("SET a 1 PX 10").is("+OK");
    redis.run("GET a").is("$1 1");
    redis.advance_ms(200);
    redis.run("GET a").is(&format!("_ {}", pushed(&["a"])));
}

#[test]
fn a_flush_tells_to_forget_everything_and_forgets() {
    for flush in ["FLUSHALL", "FLUSHDB", "FLUSHALL ASYNC"] {
        let mut redis = tracking("");
        let other = redis.connect();
        redis.run("GET a").is("_");
        redis.run_as(other, flush).is("+OK");
        redis.take(Token(0)).is(">2 $10 invalidate _");
        redis.run(flush).is("+OK >2 $10 invalidate _");
        assert_eq!(counts(&redis), (1, 0, 0, 0));
    }
}

#[test]
fn the_table_of_keys_stays_within_its_limit() {
    let mut redis = tracking("");
    redis.server.state.config.tracking_table_max_keys = 10;
    for number in 0..20 {
        redis.run(&format!("GET k{number}"));
    }
    assert!(counts(&redis).1 <= 11);
    redis.server.state.config.tracking_table_max_keys = 0;
    for number in 0..1000 {
        redis.run(&format!("GET k{number}"));
    }
    assert_eq!(counts(&redis).1, 1000);
    redis.server.state.config.tracking_table_max_keys = 10;
    let (first, second) = (redis.run("PING").0, redis.run("PING").0);
    assert_eq!(
        (first.matches("invalidate").count(), second.matches("invalidate").count()),
        (100, 200)
    );
    assert!(first.starts_with(">2 ") && first.ends_with("+PONG"));
    for _ in 0..20 {
        redis.advance_ms(100);
    }
    assert_eq!(counts(&redis).1, 10);
}

#[test]
fn another_connection_is_told_in_place_of_the_reader() {
    let mut redis = TestServer::new();
    let (reader, other) = (redis.connect(), redis.connect());
    redis.server.state.clients.get_mut(Token(0)).protocol = Protocol::Resp3;
    redis.run_as(reader, "CLIENT TRACKING ON REDIRECT 1").is("+OK");
    redis.run_as(reader, "CLIENT GETREDIR").is(":1");
    redis.run_as(reader, "GET k").is("$-1");
    redis.run_as(other, "SET k v").is("+OK");
    redis.take(reader).is("");
    redis.take(Token(0)).is(&pushed(&["k"]));
    redis.run_as(reader, "GET k").is("$1 v");
    redis.run("SET k w").is(&format!("+OK {}", pushed(&["k"])));
}

#[test]
fn a_redirection_that_leads_nowhere_is_told_in_its_place() {
    let mut redis = tracking("");
    let (target, other) = (redis.connect(), redis.connect());
    redis.run("CLIENT TRACKING ON REDIRECT 2").is("+OK");
    redis.run("GET k").is("_");
    redis.run_as(target, "QUIT").is("+OK");
    redis.run_as(other, "SET k v").is("+OK");
    redis.take(Token(0)).is(">2 $21 tracking-redir-broken :2");
    redis
        .run("CLIENT TRACKINGINFO")
        .is("%3 $5 flags ~2 $2 on $15 broken_redirect $8 redirect :2 $8 prefixes *0");
    redis.run_as(other, "CLIENT LIST ID 1 FLAGS tR").starts("$3");
}

#[test]
fn a_subscriber_that_speaks_resp2_is_told_in_a_channel() {
    let mut redis = TestServer::new();
    let (reader, other) = (redis.connect(), redis.connect());
    redis.run("SUBSCRIBE __redis__:invalidate").starts("*3");
    redis.run_as(reader, "CLIENT TRACKING ON REDIRECT 1").is("+OK");
    redis.run_as(reader, "GET k").is("$-1");
    redis.run_as(other, "SET k v").is("+OK");
    redis.take(Token(0)).is("*3 $7 message $20 __redis__:invalidate *1 $1 k");
    redis.run_as(other, "FLUSHALL").is("+OK");
    redis.take(Token(0)).is("*3 $7 message $20 __redis__:invalidate $-1");
}

#[test]
fn resp2_has_no_place_to_be_told() {
    let mut redis = TestServer::new();
    let other = redis.connect();
    redis.run("CLIENT TRACKING ON").is("+OK");
    redis.run("GET k").is("$-1");
    redis.run_as(other, "SET k v").is("+OK");
    redis.take(Token(0)).is("");
    assert_eq!(counts(&redis), (1, 0, 0, 0));
}

#[test]
fn a_client_that_wants_no_replies_is_told() {
    let mut redis = tracking("");
    let other = redis.connect();
    redis.run("MGET a b").starts("*2");
    redis.run("CLIENT REPLY OFF").is("");
    redis.run_as(other, "SET a 1").is("+OK");
    redis.take(Token(0)).is(&pushed(&["a"]));
    redis.run("SET b 1").is(&pushed(&["b"]));
}

#[test]
fn the_last_client_that_is_told_takes_the_table_with_it() {
    for end in ["CLIENT TRACKING OFF", "RESET", "QUIT"] {
        let mut redis = tracking("");
        redis.run("GET k").is("_");
        assert_eq!(counts(&redis), (1, 1, 1, 0));
        redis.run(end);
        assert_eq!(counts(&redis), (0, 0, 0, 0));
        assert_eq!(redis.world.borrow().discarded, 1);
    }
}

#[test]
fn info_and_client_list_show_who_is_told() {
    let mut redis = tracking("BCAST PREFIX x");
    let reader = redis.connect();
    redis.run_as(reader, "CLIENT TRACKING ON REDIRECT 1").is("+OK");
    redis.run_as(reader, "GET k").is("$-1");
    let info = redis.run_as(reader, "INFO").0;
    for field in [
        "tracking_clients:2",
        "tracking_total_keys:1",
        "tracking_total_items:1",
        "tracking_total_prefixes:1",
    ] {
        assert!(info.contains(&format!("{field} ")), "{field}");
    }
    let lines = redis.run_as(reader, "CLIENT LIST").0;
    assert!(lines.contains(" flags=tB ") && lines.contains(" redir=0 "), "{lines}");
    assert!(lines.contains(" flags=t ") && lines.contains(" redir=1 "), "{lines}");
}
