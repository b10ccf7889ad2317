//! The client as a process: what it prints and how it ends.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use support::{DEADLINE, TestServer, holds_within, wait_until};

const CLIENT: &str = env!("CARGO_BIN_EXE_client");

fn client(args: &[&str]) -> Command {
    let mut command = Command::new(CLIENT);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("REDISCLI_AUTH").env("HOME", "/nonexistent");
    command
}

/// Runs the client at `server` with arguments that hold no spaces.
fn run(server: &TestServer, line: &str) -> Output {
    let address = server.address().to_string();
    let args: Vec<&str> = std::iter::once(address.as_str()).chain(line.split(' ')).collect();
    client(&args).output().expect("the client starts")
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("text")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("text")
}

/// Runs the client with something on its standard input.
fn run_with_input(server: &TestServer, args: &[&str], input: &[u8]) -> Output {
    let address = server.address().to_string();
    let args = [&[address.as_str()], args].concat();
    let mut child = client(&args).stdin(Stdio::piped()).spawn().expect("the client starts");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("it ends");
    let _ = writer.join(); // the client need not read all
    output
}

#[test]
fn a_value_is_one_line_and_a_good_reply_is_status_0() {
    let server = TestServer::start(&[]);
    assert_eq!(stdout(&run(&server, "SET k v EX 10")), "OK\n");
    let output = run(&server, "GET k");
    assert_eq!((stdout(&output), stderr(&output), output.status.code()), ("v\n", "", Some(0)));
    assert_eq!(stdout(&run(&server, "GET nosuch")), "\n");
    assert_eq!(stdout(&run(&server, "--no-raw GET nosuch")), "(nil)\n");
    assert_eq!(stdout(&run(&server, "-r 3 INCR n")), "1\n2\n3\n");
}

#[test]
fn the_exit_status_tells_what_went_wrong() {
    let server = TestServer::start(&[]);
    let output = run(&server, "INCRBY n x");
    assert_eq!((stdout(&output), output.status.code()), ("", Some(1)));
    assert!(stderr(&output).starts_with("ERR value is not an integer"), "{}", stderr(&output));
    let output = run(&server, "--csv NOSUCH");
    assert!(stdout(&output).starts_with("ERROR,\"ERR unknown command"), "{}", stdout(&output));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(client(&["-n", "x", "PING"]).output().unwrap().status.code(), Some(2));
    assert_eq!(client(&["--nonsense"]).output().unwrap().status.code(), Some(2));
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let output = client(&[&nobody, "PING"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).starts_with("Could not connect to Redis at"), "{}", stderr(&output));
}

#[test]
fn the_last_argument_may_come_from_standard_input_with_any_bytes() {
    let server = TestServer::start(&[]);
    let bytes: Vec<u8> = (0..=255).collect();
    assert_eq!(stdout(&run_with_input(&server, &["-x", "SET", "k"], &bytes)), "OK\n");
    assert_eq!(run(&server, "GET k").stdout, [&bytes[..], b"\n"].concat());
}

#[test]
fn commands_may_come_one_a_line_from_standard_input() {
    let server = TestServer::start(&[]);
    let output = run_with_input(&server, &[], b"SET k 'a b'\n\nGET k\nGET 'k\nNOSUCH\nINCR n");
    assert_eq!((stdout(&output), output.status.code()), ("OK\na b\n1\n", Some(1)));
    assert!(
        stderr(&output).starts_with("Invalid argument(s)\nERR unknown command"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn passwords_and_databases_come_from_flags_urls_and_the_environment() {
    let server = TestServer::start(&["--requirepass", "s3 cret@"]);
    let address = server.address().to_string();
    let output = client(&[&address, "PING"]).output().unwrap();
    assert!(stderr(&output).starts_with("NOAUTH"), "{}", stderr(&output));
    let output = client(&[&address, "PING"]).env("REDISCLI_AUTH", "s3 cret@").output().unwrap();
    assert_eq!(stdout(&output), "PONG\n");
    let url = format!("redis://:s3%20cret%40@{address}/3");
    assert_eq!(stdout(&client(&[&url, "SET", "k", "v"]).output().unwrap()), "OK\n");
    let args = ["-3", "--pass", "s3 cret@", "--user", "default", "-n", "3", &address, "GET", "k"];
    assert_eq!(stdout(&client(&args).output().unwrap()), "v\n");
    let output = client(&["--pass", "wrong", &address, "PING"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("AUTH failed: WRONGPASS"), "{}", stderr(&output));
    assert!(!stderr(&output).contains("wrong"), "a password was shown");
    let open = TestServer::start(&[]);
    let output = client(&[&open.address().to_string(), "PING"])
        .env("REDISCLI_AUTH", "s3cret")
        .output()
        .unwrap();
    assert_eq!(stdout(&output), "PONG\n", "a server without a password needs none");
    let help = client(&["--help"]).env("REDISCLI_AUTH", "s3cret").output().unwrap();
    assert!(!stdout(&help).contains("s3cret"), "a password was shown");
}

#[test]
fn help_needs_no_server() {
    let output = client(&["help", "set"]).output().unwrap();
    assert!(stdout(&output).starts_with("\n  SET key value ["), "{}", stdout(&output));
    assert!(
        stdout(&client(&["help", "@string"]).output().unwrap()).contains("\n  APPEND key value\n")
    );
    assert!(stdout(&client(&["help"]).output().unwrap()).contains("\n@string\n"));
    let output = client(&["127.0.0.1:1", "help", "nosuch"]).output().unwrap();
    assert_eq!((stderr(&output), output.status.code()), ("No help for nosuch\n", Some(1)));
}

#[test]
fn a_reply_without_end_ends_with_ctrl_c_and_with_the_reader() {
    let server = TestServer::start(&[]);
    let address = server.address().to_string();
    let mut child = client(&[&address, "SUBSCRIBE", "news"]).spawn().expect("the client starts");
    let mut publisher = server.connect();
    wait_until("it has subscribed", || publisher.run("PUBLISH news hello").wire() == ":1");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    for line in ["subscribe", "news", "1", "message", "news", "hello"] {
        assert_eq!(lines.next().expect("a line").expect("text"), line);
    }
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    assert!(lines.next().is_none(), "nothing more is written");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));

    let mut child = client(&[&address, "SUBSCRIBE", "news"]).spawn().expect("the client starts");
    drop(child.stdout.take());
    let ended = holds_within(DEADLINE, || {
        publisher.run("PUBLISH news hello");
        child.try_wait().expect("it is our child").is_some()
    });
    assert!(ended, "it goes on although nobody reads");
    let output = child.wait_with_output().expect("it ended");
    assert_eq!((stderr(&output), output.status.code()), ("", Some(0)));
}

/// A server that answers the first request with `bytes` and hangs up.
fn evil_server(bytes: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else { return };
        let mut request = [0; 1024];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(&bytes);
    });
    address
}

#[test]
fn an_evil_server_is_a_clear_error_and_nothing_worse() {
    let deep = "*1\r\n".repeat(100_000).into_bytes();
    let cases: &[(&[u8], &str)] = &[
        (&deep, "Protocol error"),
        (b"$99999999999999999999\r\n", "Protocol error"),
        (b"$536870912\r\nabc", "Connection lost: Server closed the connection"),
        (b"*2147483647\r\n$1\r\na\r\n", "Connection lost"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "Protocol error, got 'H' as reply type byte"),
        (b"", "Connection lost: Server closed the connection"),
    ];
    for (bytes, text) in cases {
        let address = evil_server(bytes.to_vec());
        let output = client(&[&address, "PING"]).output().expect("the client starts");
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        // A reset instead of an end is possible where bytes were left unread.
        assert!(stderr(&output).starts_with(text), "{}", stderr(&output));
    }
}

#[test]
fn ctrl_c_ends_the_wait_for_a_half_reply() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let mut child = client(&[&address, "GET", "k"]).spawn().expect("the client starts");
    let (mut stream, _) = listener.accept().expect("the client connects");
    let mut request = [0; 20];
    stream.read_exact(&mut request).expect("the client asks");
    stream.write_all(b"$100\r\nhalf").expect("the client reads");
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
}
