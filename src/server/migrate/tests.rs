//! Two servers side by side, with a wire between them that the test holds.

use std::io::ErrorKind;

use crate::net::{Disconnect, Peer, Service as _, Token};
use crate::server::testing::TestServer;

/// The source, the target, and the wire.
struct Pair {
    source: TestServer,
    target: TestServer,
    /// Our end and the target's.
    wire: Option<(Token, Token)>,
    /// What the source has sent and the target has not got.
    on_the_way: Vec<u8>,
}

impl Pair {
    fn new() -> Self {
        Self {
            source: TestServer::new(),
            target: TestServer::new(),
            wire: None,
            on_the_way: Vec::new(),
        }
    }

    /// Takes a turn of the source, and makes the connection that it asks for.
    fn connect(&mut self) {
        self.source.advance_ms(1);
        let connect = self.source.actions.connect.pop().expect("it wants to connect");
        assert_eq!(connect.address.to_string(), "127.0.0.1:7000");
        self.source.server.established(connect.token, Peer::none());
        self.wire = Some((connect.token, self.target.connect()));
        self.source.advance_ms(1);
    }

    /// Takes what the source has sent; the answers of the target are returned.
    fn pass_requests(&mut self) -> Vec<u8> {
        let (ours, theirs) = self.wire.expect("a connection");
        let mut request = std::mem::take(&mut self.on_the_way);
        request.extend(self.source.sent(ours));
        if request.is_empty() { Vec::new() } else { self.target.receive_bytes(theirs, &request) }
    }

    fn pass_answers(&mut self, answers: &[u8]) {
        let (ours, _) = self.wire.expect("a connection");
        if !answers.is_empty() {
            self.on_the_way = self.source.receive_bytes(ours, answers);
        }
    }

    fn lose(&mut self) {
        let (ours, _) = self.wire.take().expect("a connection");
        self.source.server.disconnected(ours, Disconnect::PeerClosed);
    }

    fn answer(&mut self) -> String {
        self.source.take(Token(0)).0
    }
}

const MIGRATE: &str = "MIGRATE 127.0.0.1 7000 \"\" 2 500 KEYS";

#[test]
fn keys_go_over_with_their_expire_times() {
    let mut pair = Pair::new();
    pair.source.run("SET a 1 PX 5000").is("+OK");
    pair.source.run("RPUSH b x y").is(":2");
    pair.source.run(&format!("{MIGRATE} a missing b")).is("");
    pair.connect();
    let answers = pair.pass_requests();
    assert_eq!(answers, b"+OK\r\n+OK\r\n+OK\r\n");
    pair.pass_answers(&answers[..12]);
    assert_eq!(pair.answer(), "");
    pair.pass_answers(&answers[12..]);
    assert_eq!(pair.answer(), "+OK");
    pair.source.run("DBSIZE").is(":0");
    pair.target.run("SELECT 2").is("+OK");
    pair.target.run("LRANGE b 0 -1").is("*2 $1 x $1 y");
    pair.target.run("PTTL a").starts(":499");
    // The connection is kept, in its database.
    pair.source.run("SET c 1").is("+OK");
    pair.source.run("MIGRATE 127.0.0.1 7000 c 2 500 COPY").is("");
    let answers = pair.pass_requests();
    assert_eq!(answers, b"+OK\r\n");
    pair.pass_answers(&answers);
    assert_eq!(pair.answer(), "+OK");
    pair.source.run("EXISTS c").is(":1");
    pair.source.advance_ms(10_001);
    assert!(pair.source.server.state.migrations.is_empty());
}

#[test]
fn a_key_that_changes_on_its_way_is_sent_again() {
    for (change, here, there) in [
        ("APPEND a 2", "*-1", "$2 12"),
        ("DEL a", ":0", "$-1"),
        ("FLUSHALL", ":0", "$-1"),
        ("SWAPDB 0 1", ":0", "$-1"),
        ("PEXPIRE a 0", ":0", "$-1"),
    ] {
        let mut pair = Pair::new();
        let other = pair.source.connect();
        pair.source.run("SET a 1").is("+OK");
        pair.source.run(&format!("{MIGRATE} a")).is("");
        pair.connect();
        let answers = pair.pass_requests();
        pair.source.run_as(other, change);
        pair.pass_answers(&answers);
        assert_eq!(pair.answer(), "", "{change}");
        let answers = pair.pass_requests();
        assert!(answers == b"+OK\r\n" || answers == b":1\r\n", "{change}");
        pair.pass_answers(&answers);
        assert_eq!(pair.answer(), "+OK");
        pair.source.run("EXISTS a").is(if here == "*-1" { ":0" } else { here });
        pair.target.run("SELECT 2").is("+OK");
        pair.target.run("GET a").is(there);
    }
}

#[test]
fn a_key_that_keeps_changing_stays() {
    let mut pair = Pair::new();
    let other = pair.source.connect();
    pair.source.run("SET a 1").is("+OK");
    pair.source.run(&format!("{MIGRATE} a")).is("");
    pair.connect();
    for _ in 0..16 {
        let answers = pair.pass_requests();
        pair.source.run_as(other, "INCR a");
        pair.pass_answers(&answers);
    }
    assert!(pair.answer().starts_with("-ERR Some of the keys changed each time they were sent."));
    pair.source.run("GET a").is("$2 17");
}

#[test]
fn what_the_target_refuses_is_told_and_stays() {
    let mut pair = Pair::new();
    pair.target.run("SELECT 2").is("+OK");
    pair.target.run("SET a old").is("+OK");
    pair.source.run("MSET a 1 b 2").is("+OK");
    pair.source.run(&format!("{MIGRATE} a b")).is("");
    pair.connect();
    let answers = pair.pass_requests();
    pair.pass_answers(&answers);
    let busy = "-ERR Target instance replied with error: BUSYKEY Target key name already exists.";
    assert_eq!(pair.answer(), busy);
    pair.source.run("EXISTS a b").is(":1");
    pair.source.run("MIGRATE 127.0.0.1 7000 a 2 500 REPLACE AUTH secret").is("");
    let answers = pair.pass_requests();
    pair.pass_answers(&answers);
    assert!(pair.answer().starts_with("-ERR Target instance replied with error: ERR AUTH"));
    // It has arrived; but who could not say who he is does not know what was answered to whom.
    pair.source.run("EXISTS a").is(":1");
}

#[test]
fn a_connection_that_is_lost_is_made_once_more() {
    let mut pair = Pair::new();
    pair.source.run("SET a 1").is("+OK");
    pair.source.run(&format!("{MIGRATE} a")).is("");
    pair.connect();
    pair.lose();
    pair.connect();
    let answers = pair.pass_requests();
    pair.pass_answers(&answers);
    assert_eq!(pair.answer(), "+OK");
    pair.source.run("SET a 1").is("+OK");
    pair.source.run(&format!("{MIGRATE} a")).is("");
    pair.lose();
    pair.connect();
    pair.lose();
    assert_eq!(pair.answer(), "-IOERR error or timeout reading to target instance");
    pair.source.run("EXISTS a").is(":1");
}

#[test]
fn a_target_that_is_not_there_or_silent_is_given_up() {
    let mut pair = Pair::new();
    pair.source.run("SET a 1").is("+OK");
    pair.source.run("MIGRATE nosuchhost 7000 a 0 500").is("");
    pair.source.advance_ms(1);
    assert_eq!(pair.answer(), "-IOERR error or timeout connecting to the client");
    pair.source.run(&format!("{MIGRATE} a")).is("");
    for _ in 0..2 {
        pair.source.advance_ms(1);
        let connect = pair.source.actions.connect.pop().expect("it tries twice");
        let refused = Disconnect::Failed(ErrorKind::ConnectionRefused.into());
        pair.source.server.disconnected(connect.token, refused);
    }
    pair.source.advance_ms(1);
    assert_eq!(pair.answer(), "-IOERR error or timeout writing to target instance");
    for passes in [false, true] {
        pair.source.run(&format!("{MIGRATE} a")).is("");
        pair.connect();
        if passes {
            pair.pass_requests();
        }
        pair.source.advance_ms(499);
        assert_eq!(pair.answer(), "");
        pair.source.advance_ms(2);
        let what = if passes { "reading" } else { "writing" };
        assert_eq!(pair.answer(), format!("-IOERR error or timeout {what} to target instance"));
    }
    pair.source.run("EXISTS a").is(":1");
}

#[test]
fn requests_that_are_wrong_are_refused() {
    let mut redis = TestServer::new();
    redis.run("SET a 1").is("+OK");
    for (request, answer) in [
        ("MIGRATE h 1 a x 1", "-ERR value is not an integer or out of range"),
        ("MIGRATE h 1 a 0 x", "-ERR value is not an integer or out of range"),
        ("MIGRATE h 1 a 0 1 AUTH", "-ERR syntax error"),
        ("MIGRATE h 1 a 0 1 AUTH2 u", "-ERR syntax error"),
        ("MIGRATE h 1 a 0 1 nonsense", "-ERR syntax error"),
        (
            "MIGRATE h 1 a 0 1 KEYS a",
            "-ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
        ),
        ("MIGRATE h 1 missing 0 1", "+NOKEY"),
        ("MIGRATE h 1 \"\" 0 1 KEYS b c", "+NOKEY"),
        ("COMMAND GETKEYS MIGRATE h 1 a 0 1 COPY", "*1 $1 a"),
        ("COMMAND GETKEYS MIGRATE h 1 \"\" 0 1 AUTH keys KEYS a b", "*2 $1 a $1 b"),
    ] {
        redis.run(request).is(answer);
    }
    redis.run("MULTI").is("+OK");
    redis.run("MIGRATE h 1 a 0 1").starts("-ERR Command not allowed inside a transaction");
}
