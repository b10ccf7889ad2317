//! Options that people know from redis-cli: each works, or is refused with a line that says why.

mod support;

use std::net::TcpListener;
use std::process::{Command, Output};

use expectrl::session::OsSession;
use expectrl::{Eof, Expect};
use support::client::{CLIENT, run, start, stderr, stdout};
use support::{DEADLINE, TestServer};

/// Runs the client with arguments that hold spaces and quotes.
fn run_with(server: &TestServer, args: &[&str]) -> Output {
    let mut command = Command::new(CLIENT);
    command.arg(server.address().to_string()).args(args).env_remove("REDISCLI_AUTH");
    command.output().expect("the client starts")
}

#[test]
fn options_of_redis_cli_work() {
    let server = TestServer::start(&[]);
    let address = server.address();
    let port = address.port().to_string();
    // Arguments, and what is printed then.
    let cases: &[(&[&str], &str)] = &[
        (&["-h", "127.0.0.1", "-p", &port, "--no-auth-warning", "-a", "x", "PING"], "PONG\n"),
        (&["-t", "1.5", "-e", "SET", "k", "é"], "OK\n"),
        (&["--quoted-json", "GET", "k"], "\"\\u00e9\"\n"),
        (&["--json", "GET", "k"], "\"é\"\n"),
        (&["--quoted-input", "SET", "\"k\\x01\"", "'a b'"], "OK\n"),
        (&["--scan", "--quoted-pattern", "\"?\\x01\"", "--no-raw"], "\"k\\x01\"\n"),
        (&["RPUSH", "l", "a", "b", "c"], "3\n"),
        (&["-d", ", ", "-D", ";", "LRANGE", "l", "0", "-1"], "a, b, c;"),
        (&["-D", "", "-r", "2", "LLEN", "l"], "33"),
        (&["-n", "1", "--raw", "DBSIZE"], "0\n"),
        (&["--show-pushes", "no", "-3", "ECHO", "x"], "x\n"),
        (&["-u", &format!("redis://{address}/2"), "DBSIZE"], "0\n"),
    ];
    for (args, expected) in cases {
        let output = run_with(&server, args);
        assert_eq!((stdout(&output), stderr(&output)), (*expected, ""), "{args:?}");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
    }
    let output = run(address, "-X tag SET tagged tag EX 100", b"any bytes\n");
    assert_eq!(stdout(&output), "OK\n");
    assert_eq!(stdout(&run(address, "GET tagged", b"")), "any bytes\n\n");
    let output = run(address, "--memkeys --memkeys-samples 0 --pattern l", b"");
    assert!(stdout(&output).starts_with("1 keys\n"), "{output:?}");
    let output = run(address, "--intrinsic-latency 1", b"");
    assert!(stdout(&output).contains(" looks at the clock, "), "{output:?}");
}

#[test]
fn what_cannot_work_is_refused_in_one_line_with_a_reason() {
    let server = TestServer::start(&[]);
    for (line, reason) in [
        ("--tls PING", "TLS is not supported"),
        ("--cacert file PING", "TLS is not supported"),
        ("--cluster info", "redis-cli --cluster"),
        ("--lru-test 1000", "redis-benchmark"),
        ("--replica", "monitor"),
        ("--ldb", "debugger"),
        ("--verbose PING", "nothing more"),
        ("-4 PING", "address"),
        ("--nonsense=x PING", "unknown option --nonsense"),
        ("-X tag GET k", "-X tag: no argument is this word"),
        ("--quoted-input GET \"k", "Invalid quoted string"),
    ] {
        let output = run(server.address(), line, b"");
        assert_eq!((stdout(&output), output.status.code()), ("", Some(2)), "{line}");
        let text = stderr(&output);
        assert!(text.contains(reason) && text.lines().count() == 1, "{line}: {text}");
    }
}

#[test]
fn a_password_is_asked_for_and_not_shown() {
    let server = TestServer::start(&["--requirepass", "sesame"]);
    let output = run(server.address(), "--askpass PING", b"sesame\n");
    assert_eq!(stdout(&output), "PONG\n");
    let mut command = Command::new(CLIENT);
    command.arg(server.address().to_string()).args(["--askpass", "PING"]);
    command.env("TERM", "xterm").env("REDISCLI_AUTH", "wrong");
    let mut session = OsSession::spawn(command).expect("a pseudo-terminal");
    session.set_expect_timeout(Some(DEADLINE));
    session.expect("Password: ").expect("it asks");
    session.send("sesame\r").expect("the terminal takes it");
    let shown = session.expect("PONG").expect("it is the password");
    assert!(!String::from_utf8_lossy(shown.before()).contains("sesame"), "it was shown");
    session.expect(Eof).expect("it ends");
}

#[test]
fn a_full_disk_is_an_error() {
    let server = TestServer::start(&[]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux");
    let mut command = Command::new(CLIENT);
    command.arg(server.address().to_string()).arg("PING").stdout(full);
    let output = command.output().expect("the client starts");
    assert!(stderr(&output).starts_with("Cannot write the output: No space left"), "{output:?}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn pipe_does_not_wait_forever_for_replies() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("bound");
    let mut child = start(address, "--pipe --pipe-timeout 1");
    drop(child.stdin.take());
    let (_connection, _) = silent.accept().expect("the client connects");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((stdout(&output), output.status.code()), ("errors: 0, replies: 0\n", Some(3)));
    assert_eq!(stderr(&output), "Connection lost: no reply for 1 seconds\n");
}
