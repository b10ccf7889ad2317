//! Transactions as clients see them.

use crate::net::Token;
use crate::server::testing::TestServer;

/// Requests in one pipeline.
fn pipeline(redis: &mut TestServer, client: Token, lines: &[&str]) -> String {
    let requests: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    redis.receive(client, requests.as_bytes()).0
}

#[test]
fn p23_what_fails_within_a_transaction_is_one_reply_of_it() {
    let mut redis = TestServer::new();
    let lines = ["MULTI", "SET k v", "INCR k", "GET k", "EXEC"];
    assert_eq!(
        pipeline(&mut redis, Token(0), &lines),
        "+OK +QUEUED +QUEUED +QUEUED *3 +OK -ERR value is not an integer or out of range $1 v"
    );
    redis.run("GET k").is("$1 v");
}

#[test]
fn p22_a_request_that_is_refused_fails_the_transaction() {
    let mut redis = TestServer::new();
    for refused in ["NOSUCH", "GET", "CLIENT nosuch x", "CLIENT REPLY OFF"] {
        redis.run("MULTI").is("+OK");
        redis.run("SET k v").is("+QUEUED");
        redis.run(refused).starts("-ERR ");
        redis.run("SET k w").is("+QUEUED");
        redis.run("EXEC").is("-EXECABORT Transaction discarded because of previous errors.");
        redis.run("GET k").is("$-1");
        redis.run("EXEC").is("-ERR EXEC without MULTI");
    }
    redis.run("MULTI").is("+OK");
    redis.run("EXEC x").is(
        "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command",
    );
    redis.run("DISCARD").is("-ERR DISCARD without MULTI");
    assert_eq!(redis.server.state.stats.errors["EXECABORT"], 5);
}

#[test]
fn t08_all_commands_of_a_transaction_see_one_time() {
    let mut redis = TestServer::new();
    redis.world.borrow_mut().now_step_us = 10_000; // the clock moves while commands run
    let lines = ["MULTI", "SET k v PX 5", "GET k", "PTTL k", "TIME", "GET k", "EXEC"];
    let replies = pipeline(&mut redis, Token(0), &lines);
    assert!(replies.contains("*5 +OK $1 v :5 *2 "), "{replies}");
    assert!(replies.ends_with(" $1 v"), "{replies}");
    redis.advance_ms(6);
    redis.run("GET k").is("$-1");
}

#[test]
fn l14_a_queue_has_the_limit_of_a_query_buffer() {
    let mut redis = TestServer::with(|config| config.client_query_buffer_limit = 1 << 20);
    let greedy = redis.connect();
    redis.run_as(greedy, "MULTI").is("+OK");
    let request = format!("SET k {}", "v".repeat(100_000));
    for _ in 0..10 {
        redis.run_as(greedy, &request).is("+QUEUED");
    }
    redis.run_as(greedy, &request);
    assert!(!redis.is_connected(greedy));
    let log = redis.world.borrow().log.join("\n");
    assert!(log.contains("Closing client that reached max query buffer length: id=2"), "{log}");
    redis.run("GET k").is("$-1");
}

#[test]
fn many_small_requests_are_counted_with_what_they_take() {
    let mut redis = TestServer::with(|config| config.client_query_buffer_limit = 1 << 20);
    let greedy = redis.connect();
    let requests = "MULTI\r\n".to_string() + &"PING\r\n".repeat(20_000);
    redis.receive(greedy, requests.as_bytes());
    assert!(!redis.is_connected(greedy));
}

#[test]
fn a_full_memory_refuses_what_would_be_queued_and_what_needs_memory() {
    let mut redis = TestServer::new();
    let (writer, reader) = (redis.connect(), redis.connect());
    for (client, line) in [(writer, "SET k v"), (reader, "GET k")] {
        redis.run_as(client, "MULTI").is("+OK");
        redis.run_as(client, line).is("+QUEUED");
    }
    redis.server.state.config.maxmemory = 1000;
    redis.world.borrow_mut().allocated_bytes = 1001;
    let oom = "OOM command not allowed when used memory > 'maxmemory'.";
    redis.run_as(writer, "EXEC").is(&format!("-EXECABORT Transaction discarded because of: {oom}"));
    redis.run_as(reader, "EXEC").is("*1 $-1");
    redis.run_as(writer, "MULTI").is("+OK");
    redis.run_as(writer, "DISCARD").is("+OK");
    redis.run_as(writer, "MULTI").is("+OK");
    for line in ["PING", "WATCH k", "MULTI"] {
        redis.run_as(writer, line).is(&format!("-{oom}"));
    }
    redis.run_as(writer, "RESET").is("+RESET");
    redis.run_as(writer, "EXEC").is("-ERR EXEC without MULTI");
}

#[test]
fn a_pause_of_writes_holds_back_a_transaction_that_writes() {
    let mut redis = TestServer::new();
    let (writer, reader) = (redis.connect(), redis.connect());
    for (client, line) in [(writer, "SET k v"), (reader, "GET k")] {
        redis.run_as(client, "MULTI").is("+OK");
        redis.run_as(client, line).is("+QUEUED");
    }
    redis.run("CLIENT PAUSE 100 WRITE").is("+OK");
    redis.run_as(writer, "EXEC").is("");
    redis.run_as(reader, "EXEC").is("*1 $-1");
    redis.advance_ms(100);
    redis.take(writer).is("*1 +OK");
}

#[test]
fn commands_are_seen_by_monitor_as_they_run() {
    let mut redis = TestServer::new();
    let watcher = redis.connect();
    redis.run_as(watcher, "MONITOR").is("+OK");
    pipeline(&mut redis, Token(0), &["MULTI", "SET k v", "GET k", "EXEC", "MULTI", "EXEC x"]);
    let lines = redis.take(watcher).0;
    let seen: Vec<&str> = lines.split(' ').filter(|word| word.starts_with('"')).collect();
    assert_eq!(seen.join(" "), r#""MULTI" "SET" "k" "v" "GET" "k" "EXEC" "MULTI" "EXEC" "x""#);
}

#[test]
fn monitor_cannot_begin_within_a_transaction() {
    let mut redis = TestServer::new();
    assert_eq!(
        pipeline(&mut redis, Token(0), &["MULTI", "MONITOR", "EXEC"]),
        "+OK +QUEUED *1 -ERR MONITOR isn't allowed for DENY BLOCKING client"
    );
    assert!(redis.server.state.monitors.is_empty());
}

#[test]
fn an_address_to_listen_on_cannot_be_set_within_a_transaction() {
    let mut redis = TestServer::new();
    let lines = ["MULTI", "CONFIG SET hz 20 PORT 7777", "PING", "EXEC"];
    assert_eq!(
        pipeline(&mut redis, Token(0), &lines),
        "+OK +QUEUED +QUEUED *2 -ERR CONFIG SET of an address to listen on is not allowed inside a transaction +PONG"
    );
    redis.run("CONFIG GET hz").is("*2 $2 hz $2 10");
}

#[test]
fn what_a_transaction_changes_is_recorded_together() {
    let mut redis = TestServer::new();
    redis.server.state.effects.on = true;
    let lines = ["MULTI", "SET a 1", "GET a", "SELECT 1", "SET b 2", "EXEC", "SET c 3"];
    pipeline(&mut redis, Token(0), &lines);
    let stream = String::from_utf8(redis.server.state.effects.take()).unwrap();
    let is_text = |line: &&str| !line.is_empty() && !line.starts_with(['*', '$']);
    let words: Vec<&str> = stream.split("\r\n").filter(is_text).collect();
    assert_eq!(words.join(" "), "SELECT 0 MULTI SET a 1 SELECT 1 SET b 2 EXEC SET c 3");
    pipeline(&mut redis, Token(0), &["MULTI", "GET a", "EXEC"]);
    assert!(redis.server.state.effects.is_empty());
}

#[test]
fn a_long_transaction_over_several_databases_finds_its_keys() {
    let mut redis = TestServer::new();
    let mut lines = vec!["MULTI".to_string()];
    for number in 0..100 {
        lines.push(format!("SELECT {}", number % 3));
        lines.push(format!("SET k{number} {number}"));
        lines.push(format!("GET k{number}"));
        lines.push(format!("GET k{}", number ^ 1));
    }
    lines.push("EXEC".to_string());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let replies = pipeline(&mut redis, Token(0), &lines);
    for number in 0..100 {
        let text = number.to_string();
        let expected = format!(" +OK +OK ${} {text} $-1", text.len());
        assert!(replies.contains(&expected), "{expected} in {replies}");
    }
}

#[test]
fn client_list_shows_the_transaction() {
    let mut redis = TestServer::new();
    redis.run("WATCH a b").is("+OK");
    redis.run("MULTI").is("+OK");
    redis.run("SET a 1").is("+QUEUED");
    let other = redis.connect();
    let line = redis.run_as(other, "CLIENT LIST ID 1").0;
    for field in [" flags=x ", " multi=1 ", " watch=2 ", " cmd=set "] {
        assert!(line.contains(field), "{field} in {line}");
    }
    assert!(!line.contains(" multi-mem=0 "), "{line}");
    let info = redis.run_as(other, "INFO clients").0;
    assert!(info.contains("watching_clients:1 ") && info.contains("total_watched_keys:2 "));
    let lines = ["CLIENT INFO", "EXEC"];
    let reply = pipeline(&mut redis, Token(0), &lines);
    assert!(reply.contains(" flags=x ") && reply.contains(" multi=2 "), "{reply}");
    assert!(reply.contains(" watch=0 ") && reply.contains(" cmd=exec "), "{reply}");
    redis.run_as(other, "CLIENT LIST ID 1 FLAGS x").is("$0");
}

#[test]
fn replies_that_are_not_wanted_are_left_out_as_a_whole() {
    let mut redis = TestServer::new();
    let lines = ["CLIENT REPLY OFF", "MULTI", "SET a 1", "EXEC", "CLIENT REPLY ON", "GET a"];
    assert_eq!(pipeline(&mut redis, Token(0), &lines), "+OK $1 1");
    let lines = ["MULTI", "CLIENT REPLY SKIP", "PING", "EXEC", "PING"];
    assert!(pipeline(&mut redis, Token(0), &lines).ends_with("previous errors. +PONG"));
}

#[test]
fn exec_is_charged_for_all_and_each_command_for_itself() {
    let mut redis = TestServer::new();
    redis.world.borrow_mut().now_step_us = 10;
    pipeline(&mut redis, Token(0), &["MULTI", "GET a", "GET b", "EXEC"]);
    let state = &redis.server.state;
    let stats = |name: &[u8]| state.stats.command_ref(state.registry.find(name).unwrap());
    assert_eq!((stats(b"get").calls, stats(b"exec").calls, stats(b"multi").calls), (2, 1, 1));
    assert!(stats(b"get").total_ns > 0);
    assert!(stats(b"exec").total_ns > stats(b"get").total_ns);
}
