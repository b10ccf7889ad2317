//! Clients that wait, as they see it.

use crate::config::value::ProtectedAction;
use crate::net::{Service as _, Token};
use crate::server::testing::TestServer;

/// A server and clients that wait, each having run its line.
fn waiting(lines: &[&str]) -> (TestServer, Vec<Token>) {
    let mut redis = TestServer::new();
    let clients: Vec<Token> = lines
        .iter()
        .map(|line| {
            let client = redis.connect();
            redis.run_as(client, line).is("");
            client
        })
        .collect();
    (redis, clients)
}

/// A field of INFO.
fn info(redis: &mut TestServer, name: &str) -> String {
    let text = redis.run("INFO everything").0;
    let mut fields = text.split([' ', '\n']);
    fields.find_map(|field| field.strip_prefix(&format!("{name}:"))).unwrap_or("none").to_string()
}

/// Asserts that nothing is left of those who waited.
fn nobody_waits(redis: &mut TestServer) {
    let blocked = &redis.server.state.blocked_keys;
    assert!(blocked.is_empty() && blocked.deadlines_len() == 0 && !blocked.has_ready());
    assert_eq!(info(redis, "blocked_clients"), "0");
}

#[test]
fn the_first_to_wait_is_the_first_to_be_served() {
    let (mut redis, clients) = waiting(&["BLPOP l 0", "BRPOP l 0", "BLPOP l 0"]);
    redis.run("RPUSH l a b").is(":2");
    redis.take(clients[0]).is("*2 $1 l $1 a");
    redis.take(clients[1]).is("*2 $1 l $1 b");
    redis.take(clients[2]).is("");
    redis.run("EXISTS l").is(":0");
    redis.run("LPUSH l c d").is(":2");
    redis.take(clients[2]).is("*2 $1 l $1 d");
    redis.run("LRANGE l 0 -1").is("*1 $1 c");
    nobody_waits(&mut redis);
}

#[test]
fn who_waits_for_several_keys_is_served_by_the_one_that_changes() {
    let (mut redis, clients) = waiting(&["BLPOP a b c 0", "BLMPOP 0 2 c b RIGHT COUNT 2"]);
    redis.run("RPUSH b 1 2 3");
    redis.take(clients[0]).is("*2 $1 b $1 1");
    redis.take(clients[1]).is("*2 $1 b *2 $1 3 $1 2");
    nobody_waits(&mut redis);
}

#[test]
fn a_key_named_twice_serves_once() {
    let (mut redis, clients) = waiting(&["BLPOP l l 0"]);
    redis.run("RPUSH l a b");
    redis.take(clients[0]).is("*2 $1 l $1 a");
    redis.run("LLEN l").is(":1");
    nobody_waits(&mut redis);
}

#[test]
fn another_type_lets_them_wait_on_and_does_not_hide_what_comes_later() {
    let (mut redis, clients) = waiting(&["BLPOP other l 0", "BLPOP l other 0"]);
    redis.run("SET other v");
    redis.run("SET l v");
    redis.run("DEL l");
    redis.run("RPUSH l a b");
    redis.take(clients[0]).is("*2 $1 l $1 a");
    redis.take(clients[1]).is("*2 $1 l $1 b");
    nobody_waits(&mut redis);
}

#[test]
fn every_way_a_list_can_appear_wakes_them() {
    for line in [
        "LPUSH l a",
        "RENAME from l",
        "RENAMENX from l",
        "COPY from l",
        "LMOVE from l LEFT LEFT",
        "RPOPLPUSH from l",
        "SWAPDB 0 1",
    ] {
        let (mut redis, clients) = waiting(&["BLPOP l 0"]);
        let other = redis.connect();
        redis.run("RPUSH from a");
        redis.run_as(other, "SELECT 1");
        redis.run_as(other, "RPUSH l a");
        redis.run(line);
        redis.take(clients[0]).is("*2 $1 l $1 a");
        nobody_waits(&mut redis);
    }
    let (mut redis, clients) = waiting(&["BLPOP l 0"]);
    let other = redis.connect();
    redis.run_as(other, "SELECT 1");
    redis.run_as(other, "RPUSH l a");
    redis.take(clients[0]).is("");
    redis.run_as(other, "MOVE l 0").is(":1");
    redis.take(clients[0]).is("*2 $1 l $1 a");
}

#[test]
fn a_chain_of_moves_passes_the_element_on() {
    let (mut redis, clients) = waiting(&[
        "BLMOVE b c LEFT LEFT 0",
        "BLMOVE a b LEFT LEFT 0",
        "BRPOPLPUSH c d 0",
        "BLPOP d 0",
    ]);
    redis.run("RPUSH a x").is(":1");
    for &client in &clients[..3] {
        redis.take(client).is("$1 x");
    }
    redis.take(clients[3]).is("*2 $1 d $1 x");
    redis.run("DBSIZE").is(":0");
    nobody_waits(&mut redis);
}

#[test]
fn a_destination_of_another_type_is_an_error_and_leaves_the_element() {
    let (mut redis, clients) = waiting(&["BLMOVE s d LEFT LEFT 0", "BLPOP s 0"]);
    redis.run("SET d v");
    redis.run("RPUSH s a");
    redis.take(clients[0]).starts("-WRONGTYPE ");
    redis.take(clients[1]).is("*2 $1 s $1 a");
    nobody_waits(&mut redis);
}

#[test]
fn a_timeout_is_kept_to_the_millisecond_and_answers_null() {
    let mut redis = TestServer::new();
    for (line, ms) in [
        ("BLPOP l 1", 1000),
        ("BRPOP l 0.001", 1),
        ("BLPOP l 0.0001", 1),
        ("BLMPOP 2.5 1 l LEFT", 2500),
        ("BLMOVE l m LEFT LEFT 0.01", 10),
        ("BRPOPLPUSH l m 0.01", 10),
    ] {
        redis.run(line).is("");
        assert_eq!(info_clients_in_timeout_table(&redis), 1);
        assert!(redis.server.run_timers().unwrap().as_micros() <= ms * 1000);
        redis.advance_ms(ms as u64 - 1);
        redis.take(Token(0)).is("");
        redis.advance_ms(1);
        redis.take(Token(0)).is("*-1");
    }
    redis.run("BLPOP l 0").is("");
    redis.advance_ms(1_000_000_000);
    redis.take(Token(0)).is("");
}

fn info_clients_in_timeout_table(redis: &TestServer) -> usize {
    redis.server.state.blocked_keys.deadlines_len()
}

#[test]
fn what_is_no_timeout_is_refused() {
    let mut redis = TestServer::new();
    for (timeout, error) in [
        ("x", "timeout is not a float or out of range"),
        ("nan", "timeout is not a float or out of range"),
        ("1e5000", "timeout is not a float or out of range"),
        ("-1", "timeout is negative"),
        ("-inf", "timeout is negative"),
        ("inf", "timeout is out of range"),
        ("1e300", "timeout is out of range"),
        ("9223372036854775", "timeout is out of range"),
    ] {
        redis.run(&format!("BLPOP l {timeout}")).is(&format!("-ERR {error}"));
    }
    redis.run("BLPOP l 9000000000000000").is("");
}

#[test]
fn requests_behind_one_that_waits_are_run_afterwards_in_order() {
    let mut redis = TestServer::new();
    let client = redis.connect();
    redis.receive(client, b"PING 1\r\nBLPOP l 0\r\nPING 2\r\nBLPOP l 0\r\nPING 3\r\n").is("$1 1");
    redis.receive(client, b"PING 4\r\n").is("");
    redis.run("RPUSH l a b c");
    redis.take(client).is("*2 $1 l $1 a $1 2 *2 $1 l $1 b $1 3 $1 4");
    redis.run("LRANGE l 0 -1").is("*1 $1 c");
}

#[test]
fn a_timeout_lets_the_next_requests_run() {
    let mut redis = TestServer::new();
    let client = redis.connect();
    redis.receive(client, b"BLPOP l 1\r\nBLPOP l 1\r\nPING\r\n").is("");
    redis.advance_ms(1000);
    redis.take(client).is("*-1");
    redis.advance_ms(1000);
    redis.take(client).is("*-1 +PONG");
    nobody_waits(&mut redis);
}

#[test]
fn within_a_transaction_nobody_waits() {
    let mut redis = TestServer::new();
    redis.server.state.in_exec = true;
    redis.run("BLPOP l 0").is("*-1");
    redis.run("BLMPOP 0 1 l LEFT").is("*-1");
    redis.run("BLMOVE l m LEFT LEFT 0").is("$-1");
    redis.run("BRPOPLPUSH l m 0").is("$-1");
}

#[test]
fn what_a_transaction_changes_is_given_away_when_it_is_over() {
    let (mut redis, clients) = waiting(&["BLPOP a b 0"]);
    redis.server.state.in_exec = true;
    redis.run("RPUSH b 1");
    redis.run("RPUSH b 2");
    redis.run("RPUSH a 3");
    redis.run("DEL b");
    redis.take(clients[0]).is("");
    redis.server.state.in_exec = false;
    redis.run("PING");
    redis.take(clients[0]).is("*2 $1 a $1 3");
    nobody_waits(&mut redis);
}

#[test]
fn who_begins_to_wait_and_is_served_in_the_same_turn_keeps_the_order_of_its_replies() {
    let (mut redis, clients) = waiting(&["BLMOVE y x LEFT LEFT 0"]);
    redis.server.state.in_exec = true;
    redis.run("RPUSH y v");
    redis.server.state.in_exec = false;
    let client = redis.connect();
    redis.receive(client, b"PING 1\r\nBLPOP x 0\r\nPING 2\r\n").is("$1 1 *2 $1 x $1 v $1 2");
    redis.take(clients[0]).is("$1 v");
    nobody_waits(&mut redis);
}

#[test]
fn unblock_ends_a_wait_as_a_timeout_or_an_error() {
    let (mut redis, clients) = waiting(&["BLPOP l 0", "BLPOP l 100", "BLPOP l 0"]);
    redis.run("CLIENT UNBLOCK 2").is(":1");
    redis.take(clients[0]).is("*-1");
    redis.run("CLIENT UNBLOCK 3 ERROR").is(":1");
    redis.take(clients[1]).is("-UNBLOCKED client unblocked via CLIENT UNBLOCK");
    redis.run("CLIENT UNBLOCK 4 timeout").is(":1");
    redis.take(clients[2]).is("*-1");
    redis.run("CLIENT UNBLOCK 4").is(":0");
    redis.run("RPUSH l a").is(":1");
    redis.run("LLEN l").is(":1");
    assert_eq!(info(&mut redis, "errorstat_UNBLOCKED"), "count=1");
    nobody_waits(&mut redis);
}

#[test]
fn who_is_gone_is_given_nothing() {
    let (mut redis, clients) = waiting(&["BLPOP l 0", "BLPOP l 0", "BLPOP l 50"]);
    redis.run("CLIENT KILL ID 2").is(":1");
    redis.server.disconnected(clients[1], crate::net::Disconnect::PeerClosed);
    redis.run("RPUSH l a");
    redis.take(clients[2]).is("*2 $1 l $1 a");
    nobody_waits(&mut redis);
}

#[test]
fn a_peer_that_has_closed_is_not_kept_for_what_it_waits_for() {
    let mut redis = TestServer::new();
    let client = redis.connect();
    redis.receive(client, b"BLPOP l 0\r\nPING\r\n").is("");
    assert!(!redis.server.owes_reply(client));
}

#[test]
fn l19_a_client_killed_in_the_turn_it_is_served_harms_nobody() {
    let (mut redis, clients) = waiting(&["BLPOP l 0", "BLPOP l 0"]);
    let killer = redis.connect();
    redis
        .receive(killer, b"CLIENT KILL ID 2\r\nRPUSH l a b\r\nCLIENT KILL ID 3\r\n")
        .is(":1 :2 :1");
    assert!(!redis.is_connected(clients[0]) && !redis.is_connected(clients[1]));
    redis.run("LRANGE l 0 -1").is("*1 $1 b");
    nobody_waits(&mut redis);
}

#[test]
fn a_client_served_beyond_its_output_limit_is_closed_and_the_next_is_served() {
    let mut redis = TestServer::with(|config| {
        config.client_output_buffer_limit.normal.hard_bytes = 10_000;
    });
    let (first, second) = (redis.connect(), redis.connect());
    redis.run_as(first, "BLPOP l 0");
    redis.run_as(second, "BLPOP l 0");
    redis.run_bytes(&[b"RPUSH", b"l", &[b'x'; 20_000], b"y"]);
    assert!(!redis.is_connected(first));
    redis.take(second).is("*2 $1 l $1 y");
    nobody_waits(&mut redis);
}

#[test]
fn a_pause_holds_back_who_would_be_served_until_it_ends() {
    let (mut redis, clients) = waiting(&["BLPOP l 0"]);
    let other = redis.connect();
    redis.receive(other, b"CLIENT PAUSE 1000 WRITE\r\n").is("+OK");
    redis.server.state.key_changed(0, b"l");
    redis.server.keyspace.db(0).find(b"l");
    redis.run_as(other, "RPUSH l a").is("");
    redis.advance_ms(999);
    redis.take(clients[0]).is("");
    redis.advance_ms(1);
    redis.take(other).is(":1");
    redis.take(clients[0]).is("*2 $1 l $1 a");
}

#[test]
fn one_that_is_paused_first_and_then_waits_keeps_its_timeout() {
    let mut redis = TestServer::new();
    let client = redis.connect();
    redis.run("CLIENT PAUSE 100000 WRITE");
    redis.run_as(client, "BLPOP l 1").is("");
    redis.run("CLIENT UNPAUSE");
    redis.advance_ms(999);
    redis.take(client).is("");
    redis.advance_ms(1);
    redis.take(client).is("*-1");
}

#[test]
fn a_command_that_waited_is_counted_once_and_its_wait_is_no_time() {
    let mut redis = TestServer::with(|config| {
        config.enable_debug_command = ProtectedAction::Yes;
        config.slowlog_log_slower_than = 1000;
        config.latency_monitor_threshold = 1;
    });
    let (client, watcher) = (redis.connect(), redis.connect());
    redis.run_as(watcher, "MONITOR").is("+OK");
    redis.run_as(client, "BLPOP l 0").is("");
    redis.take(watcher).starts("+1700000000.000000 [0 127.0.0.1:50000] \"BLPOP\" \"l\" \"0\"");
    redis.advance_ms(5000);
    redis.run("RPUSH l a");
    redis.take(client).is("*2 $1 l $1 a");
    assert!(!redis.take(watcher).0.contains("POP"));
    assert_eq!(
        info(&mut redis, "cmdstat_blpop"),
        "calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0"
    );
    redis.run("SLOWLOG LEN").is(":0");
    redis.run("LATENCY LATEST").is("*0");
    redis.run_as(client, "BLPOP l 1");
    redis.advance_ms(1000);
    redis.take(client).is("*-1");
    assert!(info(&mut redis, "cmdstat_blpop").starts_with("calls=2,usec=0,"));
}

#[test]
fn who_waits_is_seen() {
    let (mut redis, _) = waiting(&["BLPOP a b 10", "BLPOP b 0"]);
    assert_eq!(info(&mut redis, "blocked_clients"), "2");
    assert_eq!(info(&mut redis, "clients_in_timeout_table"), "1");
    assert_eq!(info(&mut redis, "total_blocking_keys"), "2");
    redis.run("CLIENT LIST FLAGS b ID 2").starts("$3");
}

#[test]
fn what_is_given_away_goes_to_log_and_replicas_behind_what_gave_it() {
    let (mut redis, _) =
        waiting(&["BLPOP l 0", "BLMOVE l m LEFT RIGHT 0", "BLMPOP 0 1 l LEFT COUNT 9"]);
    redis.server.state.effects.on = true;
    redis.run("RPUSH l a b c d");
    let stream = String::from_utf8(redis.server.state.effects.take()).unwrap();
    assert_eq!(
        stream.replace("\r\n", " "),
        "*2 $6 SELECT $1 0 *6 $5 RPUSH $1 l $1 a $1 b $1 c $1 d *2 $4 LPOP $1 l \
         *5 $5 LMOVE $1 l $1 m $4 LEFT $5 RIGHT *3 $4 LPOP $1 l $1 2 "
    );
}

#[test]
fn reply_skip_and_off_are_about_the_command_that_waited() {
    let mut redis = TestServer::new();
    let (skips, off) = (redis.connect(), redis.connect());
    redis.receive(skips, b"CLIENT REPLY SKIP\r\nBLPOP l 0\r\nPING\r\n").is("");
    redis.receive(off, b"CLIENT REPLY OFF\r\nBLPOP l 0\r\nPING\r\nCLIENT REPLY ON\r\n").is("");
    redis.run("RPUSH l a b");
    redis.take(skips).is("+PONG");
    redis.take(off).is("+OK");
    redis.receive(skips, b"CLIENT REPLY SKIP\r\nBLPOP l 1\r\nPING\r\n").is("");
    redis.advance_ms(1000);
    redis.take(skips).is("+PONG");
}

#[test]
fn replies_are_of_the_protocol_of_who_waited() {
    let mut redis = TestServer::new();
    let client = redis.connect();
    redis.run_as(client, "HELLO 3");
    redis.run_as(client, "BLPOP l 1").is("");
    redis.advance_ms(1000);
    redis.take(client).is("_");
}

#[test]
fn an_idle_client_that_waits_is_not_closed() {
    let mut redis = TestServer::with(|config| config.timeout = 1);
    let client = redis.connect();
    redis.run_as(client, "BLPOP l 0").is("");
    (0..5).for_each(|_| redis.advance_ms(1000));
    assert!(redis.is_connected(client));
}

#[test]
fn thousands_wait_for_one_key_and_give_up_together() {
    let mut redis = TestServer::new();
    let clients: Vec<Token> = (0..3000).map(|_| redis.connect()).collect();
    for &client in &clients {
        redis.run_as(client, "BLPOP l 1");
    }
    redis.run("RPUSH l a");
    redis.take(clients[0]).is("*2 $1 l $1 a");
    redis.advance_ms(1000);
    for &client in &clients[1..] {
        redis.take(client).is("*-1");
    }
    nobody_waits(&mut redis);
}
