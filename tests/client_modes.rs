//! The client's modes as a process: mass insertion, walks over the keys, measurements, a filtered MONITOR, a cluster.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Output;
use std::time::Duration;

use support::client::{self, interrupt, start, stdout};
use support::connection::encode;
use support::{TestServer, wait_until};

fn run(server: &TestServer, line: &str, input: &[u8]) -> Output {
    client::run(server.address(), line, input)
}

#[test]
fn pipe_sends_resp_and_lines_and_counts_what_comes_back() {
    let server = TestServer::start(&[]);
    let mut resp = Vec::new();
    for n in 0..20_000 {
        let key = format!("key:{n}");
        resp.extend(encode(&[b"SET", key.as_bytes(), &[0, b'\r', b'\n', 255]]));
    }
    let output = run(&server, "--pipe", &resp);
    assert_eq!((stdout(&output), output.status.code()), ("errors: 0, replies: 20000\n", Some(0)));
    server.connect().run("DBSIZE").is(":20000");
    let output = run(&server, "--pipe", b"SET a 1\r\nINCRBY a x\nGET a");
    assert_eq!((stdout(&output), output.status.code()), ("errors: 1, replies: 3\n", Some(1)));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("ERR value is not an integer"));
}

#[test]
fn pipe_tells_how_far_it_came_when_the_connection_ends() {
    let server = TestServer::start(&[]);
    let output = run(&server, "--pipe", b"SET a 1\r\nQUIT\r\nSET b 1\r\n");
    assert_eq!((stdout(&output), output.status.code()), ("errors: 0, replies: 2\n", Some(3)));
    let mut child = start(server.address(), "--pipe");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"SET c 1\r\n").expect("the client reads");
    let mut watcher = server.connect();
    wait_until("the command has arrived", || watcher.run("EXISTS c").wire() == ":1");
    interrupt(&child);
    let output = child.wait_with_output().expect("it ends");
    // The reply may be on its way.
    let told = ["errors: 0, replies: 0\n", "errors: 0, replies: 1\n"];
    assert!(told.contains(&stdout(&output)), "{}", stdout(&output));
    assert_eq!(output.status.code(), Some(130));
}

#[test]
fn scan_names_the_keys_that_match_and_ends_when_nobody_reads() {
    let server = TestServer::start(&[]);
    let lines: String = (0..30_000).map(|n| format!("SET key:{n} v\r\n")).collect();
    run(&server, "--pipe", lines.as_bytes());
    run(&server, "HSET hash:1 f v", b"");
    let count = |line: &str| stdout(&run(&server, line, b"")).lines().count();
    assert_eq!(count("--scan"), 30_001);
    assert_eq!(count("--scan --pattern key:1? --count 7000"), 10);
    assert_eq!(stdout(&run(&server, "--scan --type hash", b"")), "hash:1\n");
    assert_eq!(stdout(&run(&server, "--scan --type hash --json", b"")), "\"hash:1\"\n");
    let mut child = start(server.address(), "--scan --count 10");
    let mut first = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut first).expect("a name");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn big_and_much_used_keys_are_found() {
    let server = TestServer::start(&["--maxmemory-policy", "allkeys-lfu"]);
    let long = "x".repeat(5000);
    run(
        &server,
        "--pipe",
        format!("SET small 1\r\nSET big {long}\r\nHSET hash a 1 b 2\r\n").as_bytes(),
    );
    let output = run(&server, "--bigkeys", b"");
    let text = stdout(&output);
    assert!(text.starts_with("3 keys\n\n"), "{text}");
    assert!(
        text.contains(
            "highest, string, in bytes\n        5000  \"big\"\n           1  \"small\"\n"
        ),
        "{text}"
    );
    assert!(text.contains("highest, hash, in fields\n           2  \"hash\"\n"), "{text}");
    let output = run(&server, "--memkeys", b"");
    assert!(stdout(&output).contains("highest, string, in bytes\n"), "{}", stdout(&output));
    let output = run(&server, "--hotkeys --pattern big", b"");
    assert!(stdout(&output).contains("highest, string, in accesses"), "{}", stdout(&output));
    let plain = TestServer::start(&[]);
    run(&plain, "SET k v", b"");
    let output = run(&plain, "--hotkeys", b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("LFU"), "the reason is told");
}

#[test]
fn latency_and_stat_write_figures() {
    let server = TestServer::start(&[]);
    let output = run(&server, "--latency --csv -i 0.05", b"");
    let figures: Vec<f64> =
        stdout(&output).trim().split(',').map(|n| n.parse().expect("a number")).collect();
    assert!(
        figures[0] <= figures[2] && figures[2] <= figures[1] && figures[3] >= 1.0,
        "{figures:?}"
    );

    let mut child = start(server.address(), "--stat -i 0.02");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut line = || lines.next().expect("a line").expect("text");
    assert!(line().contains("requests/s"));
    line();
    let second = line();
    assert!(second.split_whitespace().count() >= 8, "{second}");
    interrupt(&child);
    drop(lines);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn monitor_shows_only_what_fits() {
    let server = TestServer::start(&[]);
    let mut child = start(server.address(), "monitor --command SET --key user:*");
    let mut other = server.connect();
    wait_until("it monitors", || {
        // Not a command that fits.
        other.run("CLIENT LIST").wire().contains("cmd=monitor")
    });
    for line in ["SET item:1 x", "GET user:1", "SET user:1 x"] {
        other.run(line);
    }
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "OK");
    let shown = lines.next().expect("a line").expect("text");
    assert!(shown.ends_with("\"SET\" \"user:1\" \"x\""), "{shown}");
    interrupt(&child);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

/// Answers one request with `reply`.
fn node(reply: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else { return };
        let mut request = [0; 1024];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(reply.as_bytes());
        std::thread::sleep(Duration::from_secs(1));
    });
    address
}

#[test]
fn a_cluster_is_followed_where_it_leads() {
    let server = TestServer::start(&[]);
    let moved = format!("-MOVED 3999 {}\r\n", server.address());
    let client = |line: &str| {
        let child = start(node(moved.clone()), line);
        child.wait_with_output().expect("it ends")
    };
    assert_eq!(stdout(&client("-c SET k v")), "OK\n");
    server.connect().run("GET k").is("$1\r\nv");
    let output = client("SET k v");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("MOVED 3999"));
}
