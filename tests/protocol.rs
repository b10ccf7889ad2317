//! Requests on the wire: what is accepted, what is refused, with which words, and what happens to the connection.
//! Cases P01-P16 and P27-P28 of the reliability catalogue; the byte-level tables are in the unit tests of `resp`.
//!
//! Not here yet, because the commands they need come later: the MULTI half of P14, P20 (SRANDMEMBER, HRANDFIELD),
//! P21-P24 (transactions). P25 is in the unit tests of `commands::pubsub`.

mod support;

use support::connection::{encode, encode_line};
use support::{Raw, TestServer, exclusive, process, skipped, wait_until};

/// Each input, sent on a connection of its own, gets `-ERR Protocol error: <text>` and then the end.
#[track_caller]
fn assert_refused(server: &TestServer, inputs: &[&[u8]], text: &str) {
    for input in inputs {
        let mut client = server.connect();
        client.send(input);
        client.expect(format!("-ERR Protocol error: {text}\r\n"));
        client.expect_closed();
    }
}

/// Returns when the server has read all that was sent before on other connections: it answers in turn.
fn round_trip(witness: &mut Raw) {
    witness.send("PING\r\n");
    witness.expect("+PONG\r\n");
}

#[test]
fn p01_bad_multibulk_length_closes() {
    let server = TestServer::start(&[]);
    let inputs: &[&[u8]] =
        &[b"*2147483648\r\n", b"*3000000000\r\n", b"*abc\r\n", b"*\r\n", b"*01\r\n", b"*+1\r\n"];
    assert_refused(&server, inputs, "invalid multibulk length");
}

#[test]
fn p02_huge_multibulk_count_reserves_nothing() {
    let server = TestServer::start(&[]);
    let mut witness = server.connect();
    let before = process::rss_bytes(server.pid());
    let clients: Vec<Raw> = (0..100)
        .map(|_| {
            let mut client = server.connect();
            client.send("*2147483647\r\n");
            client
        })
        .collect();
    round_trip(&mut witness);
    for mut client in clients {
        client.expect_silence();
    }
    let growth = process::rss_bytes(server.pid()).saturating_sub(before);
    assert!(growth < 100 * 64 * 1024, "100 announced arrays cost {growth} bytes");
}

#[test]
fn p03_empty_requests_are_ignored() {
    let server = TestServer::start(&[]);
    for input in ["*-1\r\n", "*-10\r\n", "*0\r\n", "\r\n", "*0\r\n\r\n*-1\r\n*0\r\n"] {
        let mut client = server.connect();
        client.send(input);
        client.run("PING").is("+PONG");
        client.run("ECHO state-is-reset").is("$14\r\nstate-is-reset");
    }
}

#[test]
fn p04_bad_bulk_length_closes() {
    let server = TestServer::start(&[]);
    let inputs: &[&[u8]] = &[
        b"*1\r\n$-5\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$abc\r\n",
        b"*1\r\n$\r\n",
        b"*1\r\n$+4\r\n",
        b"*1\r\n$04\r\n",
        b"*1\r\n$536870913\r\n",
        b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$-10\r\n",
    ];
    assert_refused(&server, inputs, "invalid bulk length");
}

#[test]
fn p05_half_gigabyte_bulk_is_accepted_and_reserves_nothing_early() {
    const HALF_GB: usize = 512 * 1024 * 1024;
    let _quiet = exclusive();
    if process::available_bytes() < 3 * HALF_GB as u64 {
        return skipped("P05", "less than 1.5 GB of free memory");
    }
    let server = TestServer::start(&[]);
    let mut witness = server.connect();
    let before = process::rss_bytes(server.pid());
    let mut client = server.connect();
    client.send(format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${HALF_GB}\r\n"));
    round_trip(&mut witness);
    client.expect_silence();
    let growth = process::rss_bytes(server.pid()).saturating_sub(before);
    assert!(growth < 4 << 20, "the header alone cost {growth} bytes");

    let block = vec![b'x'; 1 << 20];
    for _ in 0..HALF_GB / block.len() {
        client.send(&block);
    }
    client.send("\r\n");
    client.reply().is("+OK");
    client.run("STRLEN k").is(":536870912");
    client.run("GETRANGE k 536870910 536870911").is("$2\r\nxx");
    round_trip(&mut witness);
}

#[test]
fn p06_bulk_without_dollar_closes() {
    let server = TestServer::start(&[]);
    assert_refused(&server, &[b"*1\r\n:4\r\n"], "expected '$', got ':'");
    assert_refused(
        &server,
        &[b"*1\r\nfoo\r\n", b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n"],
        "expected '$', got 'f'",
    );
}

#[test]
fn p07_endless_count_line_closes() {
    let server = TestServer::start(&[]);
    let digits = "1".repeat(65_537);
    assert_refused(&server, &[format!("*{digits}").as_bytes()], "too big mbulk count string");
    assert_refused(&server, &[format!("*1\r\n${digits}").as_bytes()], "too big bulk count string");
}

#[test]
fn p08_endless_inline_request_closes() {
    let server = TestServer::start(&[]);
    assert_refused(&server, &["a".repeat(65_537).as_bytes()], "too big inline request");
}

#[test]
fn p09_unbalanced_quotes_close() {
    let server = TestServer::start(&[]);
    let inputs: &[&[u8]] = &[
        b"set \"\"\"test-key\"\"\" v\r\n",
        b"set \"\" \"a\r\n",
        b"set \"a\"b c\r\n",
        b"set 'a\r\n",
        b"set 'a'b c\r\n",
    ];
    assert_refused(&server, inputs, "unbalanced quotes in request");
}

#[test]
fn p10_inline_edges() {
    let server = TestServer::start(&[]);
    let mut witness = server.connect();
    let mut client = server.connect();
    let mut nul = server.connect();
    nul.send("\x00");
    round_trip(&mut witness);
    nul.expect_silence();
    client.send("PING\n");
    client.expect("+PONG\r\n");
    client.send("PING");
    round_trip(&mut witness);
    client.expect_silence();
    client.send("\r\n");
    client.expect("+PONG\r\n");
    client.send("SET \"a\\x00b\" 'it\\'s'\n");
    client.expect("+OK\r\n");
    client.command(&[b"GET", b"a\0b"]).is("$4\r\nit's");
}

#[test]
fn p11_a_stream_cut_at_every_byte_gives_the_same_replies() {
    let server = TestServer::start(&[]);
    let mut stream = b"set k 'a b'\r\n".to_vec();
    for line in ["GET k", "NOSUCH x", "APPEND n 1", "STRLEN n", "INCR k", "DEL k n"] {
        stream.extend(encode_line(line));
    }
    stream.extend(b"\r\n*0\r\nECHO end\n");
    let replies = "+OK\r\n$3\r\na b\r\n\
        -ERR unknown command 'NOSUCH', with args beginning with: 'x' \r\n:1\r\n:1\r\n\
        -ERR value is not an integer or out of range\r\n:2\r\n$3\r\nend\r\n";

    let mut witness = server.connect();
    let mut client = server.connect();
    for cut in 0..=stream.len() {
        client.send(&stream[..cut]);
        round_trip(&mut witness);
        client.send(&stream[cut..]);
        client.expect(replies);
    }
    for byte in &stream {
        client.send([*byte]);
        round_trip(&mut witness);
    }
    client.expect(replies);
}

#[test]
fn p12_hundred_thousand_pipelined_commands_are_answered_in_order() {
    let server = TestServer::start(&[]);
    let mut client = server.connect();
    let mut writer = client.second_handle();
    let sender = std::thread::spawn(move || {
        let stream: Vec<u8> =
            (0..100_000).flat_map(|i| encode_line(&format!("ECHO {i:06}"))).collect();
        std::io::Write::write_all(&mut writer, &stream).expect("the server goes on reading");
    });
    for i in 0..100_000 {
        client.expect(format!("$6\r\n{i:06}\r\n"));
    }
    sender.join().expect("all was sent");
    client.run("PING").is("+PONG");
}

#[test]
fn p13_an_error_in_a_pipeline_is_one_reply() {
    let server = TestServer::start(&[]);
    let cases = [
        ("SET s text", "+OK\r\n"),
        ("INCR s", "-ERR value is not an integer or out of range\r\n"),
        ("GET", "-ERR wrong number of arguments for 'get' command\r\n"),
        ("NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with: \r\n"),
        ("SET s text EX", "-ERR syntax error\r\n"),
        ("GET s", "$4\r\ntext\r\n"),
        ("STRLEN s", ":4\r\n"),
        ("SELECT 99999", "-ERR DB index is out of range\r\n"),
    ];
    let mut client = server.connect();
    client.run("SET s text").is("+OK");
    // Every pair of neighbours occurs, in both orders.
    let mut stream = Vec::new();
    let mut replies = String::new();
    for first in cases {
        for second in cases {
            for (line, reply) in [first, second] {
                stream.extend(encode_line(line));
                replies.push_str(reply);
            }
        }
    }
    client.send(&stream);
    client.expect(&replies);
    client.run("ECHO in-step").is("$7\r\nin-step");
}

#[test]
fn p14_failed_auth_in_a_pipeline_is_one_reply() {
    let server = TestServer::start(&["--requirepass", "secret"]);
    let mut client = server.connect();
    client.run("AUTH secret").is("+OK");
    let auth: &[&[u8]] = &[b"AUTH", b"bad"];
    client.send([encode(&[b"PING"]), encode(auth), encode(&[b"PING"])].concat());
    client.expect("+PONG\r\n");
    client.expect("-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    client.expect("+PONG\r\n");
}

#[test]
fn p15_unknown_command_echoes_its_arguments_escaped_and_cut() {
    let server = TestServer::start(&[]);
    let mut client = server.connect();
    client
        .command(&[b"foo", b"a\r\n", b"+OK\r\n"])
        .is("-ERR unknown command 'foo', with args beginning with: 'a  ' '+OK  ' ");
    client.command(&[b"f\r\n+OK"]).is("-ERR unknown command 'f  +OK', with args beginning with: ");
    let long = [b'a'; 200];
    let cut = "a".repeat(128);
    client
        .command(&[&long, &long, b"never shown"])
        .is(&format!("-ERR unknown command '{cut}', with args beginning with: '{cut}' "));
    client.run("PING").is("+PONG");
}

#[test]
fn p16_wrong_arity_is_refused_for_every_command() {
    let server = TestServer::start(&[]);
    let mut client = server.connect();
    let names = client.run("COMMAND LIST").leaves();
    let names: Vec<&String> = names.iter().filter(|name| !name.contains('|')).collect();
    assert!(names.len() > 20, "only {} commands", names.len());
    for name in names {
        let info = client.run(&format!("COMMAND INFO {name}")).leaves();
        let arity: i64 = info[1].parse().expect("the second field is the arity");
        // One word too many for a fixed arity, one too few for a least one.
        let words = if arity > 0 { arity + 1 } else { -arity - 1 };
        if words == 0 {
            continue;
        }
        let mut line = name.clone();
        line.push_str(&" x".repeat(words as usize - 1));
        // EXEC is the one that says that a transaction is over as well.
        let prefix =
            if name == "exec" { "-EXECABORT Transaction discarded because of:" } else { "-ERR" };
        client.run(&line).is(&format!("{prefix} wrong number of arguments for '{name}' command"));
    }
}

#[test]
fn p27_nothing_runs_after_quit() {
    let server = TestServer::start(&[]);
    let mut client = server.connect();
    client.send([encode_line("QUIT"), encode_line("SET k v")].concat());
    client.expect("+OK\r\n");
    client.expect_closed();
    server.connect().run("EXISTS k").is(":0");
}

#[test]
fn p28_a_browser_is_turned_away() {
    let server = TestServer::start(&[]);
    for request in [
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: x\r\n\r\nSET pwned 1\r\n",
        "POST / HTTP/1.1\r\nContent-Type: text/plain\r\n\r\nSET pwned 1\r\n",
        "post /\r\nSET pwned 1\r\n",
    ] {
        let mut client = server.connect();
        client.send(request);
        // Redis answers the line `GET / HTTP/1.1` before `Host:` betrays the browser.
        let said = client.read_until_closed();
        assert!(said.is_empty() || said.starts_with(b"-ERR"), "{}", said.escape_ascii());
    }
    server.connect().run("EXISTS pwned").is(":0");
    wait_until("the log warns", || server.log().contains("SECURITY ATTACK"));
}
