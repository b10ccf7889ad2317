//! All modes of the client against our server, our proxy in front of three of them, Redis 7.0.15 and 8, and Valkey 9.1.2.

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use expectrl::session::OsSession;
use expectrl::{ControlCode, Eof, Expect};
use support::client::{CLIENT, interrupt, run, start, stderr, stdout};
use support::peers::find_peer;
use support::proxy::{start_proxy, wait_for_slots};
use support::{DEADLINE, TestServer, server, skipped, wait_until};

/// Keys that all the modes are to find.
const INPUT: &str =
    "SET small 1\r\nSET big 123456789012\r\nHSET hash a 1 b 2\r\nZADD scores 1.5 one\r\n";

/// Needed by `--hotkeys`.
const LFU: [&str; 2] = ["--maxmemory-policy", "allkeys-lfu"];

/// Runs all modes against a server, or against a proxy as if it were one.
fn all_modes_work(server: &TestServer, is_proxy: bool) {
    commands(server);
    walks(server);
    measurements(server);
    endless(server, is_proxy);
    terminal(server);
    script(server);
    if is_proxy {
        refused(server, &["--rdb -", "--functions-rdb -", "monitor"]);
    } else {
        snapshot(server);
        functions(server);
    }
}

/// The same with a server of another program, if it is there.
fn all_modes_work_with(test: &str, program: &str, version: &str) {
    match find_peer(program, version) {
        Some(path) => all_modes_work(&TestServer::start_program(&path, &[], &LFU), false),
        None => skipped(test, &format!("there is no {program} with {version}")),
    }
}

#[test]
fn all_modes_work_with_our_server() {
    all_modes_work(&TestServer::start_program(&server::program(), &[], &LFU), false);
}

#[test]
fn all_modes_work_through_our_proxy() {
    let nodes: Vec<TestServer> = (0..3).map(|_| TestServer::start(&LFU)).collect();
    let addresses: Vec<SocketAddr> = nodes.iter().map(TestServer::address).collect();
    let proxy = start_proxy(&addresses, &[]);
    wait_for_slots(&proxy);
    all_modes_work(&proxy, true);
}

#[test]
fn all_modes_work_with_redis_7() {
    all_modes_work_with("all_modes_work_with_redis_7", "redis-server", "v=7.0.15");
}

#[test]
fn all_modes_work_with_redis_8() {
    all_modes_work_with("all_modes_work_with_redis_8", "redis8-server", "v=8.");
}

#[test]
fn all_modes_work_with_valkey_9() {
    all_modes_work_with("all_modes_work_with_valkey_9", "valkey-server", "v=9.1");
}

#[track_caller]
fn prints(server: &TestServer, line: &str, input: &str, expected: &str) {
    let output = run(server.address(), line, input.as_bytes());
    assert_eq!((stdout(&output), stderr(&output)), (expected, ""), "{line}");
    assert_eq!(output.status.code(), Some(0), "{line}");
}

fn commands(server: &TestServer) {
    prints(server, "--pipe", INPUT, "errors: 0, replies: 4\n");
    prints(server, "GET small", "", "1\n");
    prints(
        server,
        "-3 --no-raw ZRANGE scores 0 -1 WITHSCORES",
        "",
        "1) 1) \"one\"\n   2) (double) 1.5\n",
    );
    prints(server, "--json HGETALL hash", "", "{\"a\":\"1\",\"b\":\"2\"}\n");
    prints(server, "--csv MGET small nosuch", "", "\"1\",NULL\n");
    prints(server, "", "GET small\nGET big\n", "1\n123456789012\n");
    prints(server, "-x SET file", "any bytes\n", "OK\n");
    prints(server, "-n 3 -r 2 INCR n", "", "1\n2\n");
    assert!(stdout(&run(server.address(), "help append", b"")).contains("APPEND key value"));
}

fn walks(server: &TestServer) {
    prints(server, "--scan --type hash", "", "hash\n");
    prints(server, "--scan --pattern sm*", "", "small\n");
    for (mode, text) in [
        ("--bigkeys", "highest, string, in bytes\n          12  \"big\"\n"),
        ("--memkeys", "highest, hash, in bytes\n"),
        ("--hotkeys", "highest, hash, in accesses"),
    ] {
        let output = run(server.address(), mode, b"");
        assert!(stdout(&output).starts_with("5 keys\n"), "{mode}: {output:?}");
        assert!(stdout(&output).contains(text), "{mode}: {output:?}");
    }
}

fn measurements(server: &TestServer) {
    let output = run(server.address(), "--latency --csv -i 0.02", b"");
    assert_eq!(stdout(&output).trim().split(',').count(), 4, "{output:?}");
    for (mode, words) in [
        ("--latency-history -i 0.02", 4),
        ("--latency-dist -i 0.02", 13),
        ("--latency-dist --csv -i 0.02", 1),
        ("--stat -i 0.02", 9),
    ] {
        let mut child = start(server.address(), mode);
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        // The first may be a header.
        let line = lines.by_ref().nth(1).expect("a line").expect("text");
        assert!(line.split_whitespace().count() >= words, "{mode}: {line}");
        interrupt(&child);
        lines.for_each(drop);
        assert_eq!(child.wait().expect("it ends").code(), Some(0), "{mode}");
    }
}

fn endless(server: &TestServer, is_proxy: bool) {
    let mut other = server.connect();
    let cases = [
        ("monitor --command SET", "cmd=monitor", "SET user:1 x", "\"SET\" \"user:1\" \"x\""),
        ("SUBSCRIBE news", "cmd=subscribe", "PUBLISH news hello", "hello"),
        ("PSUBSCRIBE n*", "cmd=psubscribe", "PUBLISH news hello", "hello"),
        ("SSUBSCRIBE news", "cmd=ssubscribe", "SPUBLISH news hello", "hello"),
    ];
    // A proxy has no MONITOR.
    for (line, sign, makes, expected) in cases.into_iter().skip(usize::from(is_proxy)) {
        let mut child = start(server.address(), line);
        wait_until("it waits", || other.run("CLIENT LIST").wire().contains(sign));
        // A proxy may still be on its way to subscribe.
        wait_until("it is told", || other.run(makes).wire() != ":0");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        assert!(lines.any(|line| line.expect("text").ends_with(expected)), "{line}");
        interrupt(&child);
        assert_eq!(child.wait().expect("it ends").code(), Some(0), "{line}");
    }
    other.run("DEL user:1");
}

/// The prompt, and `top`.
fn terminal(server: &TestServer) {
    let session = |args: &[&str]| {
        let mut command = Command::new(CLIENT);
        command.arg(server.address().to_string()).args(args);
        command.env("HOME", "/nonexistent").env("TERM", "xterm").env("NO_COLOR", "1");
        command.env_remove("REDISCLI_AUTH").env("REDISCLI_HISTFILE", "/dev/null");
        let mut session = OsSession::spawn(command).expect("a pseudo-terminal");
        session.set_expect_timeout(Some(DEADLINE));
        session.get_process_mut().set_window_size(120, 40).expect("it is a terminal");
        session
    };
    let mut prompt = session(&["-3"]);
    let ready = format!(":{}> ", server.port()); // rows of a map have "=> " in them
    prompt.expect(&*ready).expect("a prompt");
    prompt.send("HGETALL hash\r").expect("the terminal takes it");
    prompt.expect("1# \"a\" => \"1\"").expect("a map");
    prompt.expect(&*ready).expect("a prompt");
    let docs = run(server.address(), "--json COMMAND DOCS xgroup", b"");
    if stdout(&docs).contains("\"arguments\"") {
        // Not in our table, but the server documents it. It is not waited for longer than a person would.
        prompt.set_expect_timeout(Some(Duration::from_secs(2)));
        for (typed, shown) in [("XGRO", "XGROUP "), ("CREATECONS", "CREATECONSUMER ")] {
            prompt.send(typed).expect("the terminal takes it");
            let is_there = (0..10).any(|_| {
                prompt.send("\t").expect("the terminal takes it");
                prompt.expect(shown).is_ok()
            });
            assert!(is_there, "waited in vain for {shown}");
        }
        prompt.set_expect_timeout(Some(DEADLINE));
        prompt.send("key ").expect("the terminal takes it");
        prompt.expect("consumer").expect("a hint");
        // Ctrl-C would leave raw mode for a moment.
        prompt.send(ControlCode::NAK).expect("the terminal takes it");
    }
    prompt.send(ControlCode::EOT).expect("the terminal takes it");
    prompt.expect(Eof).expect("it ends");

    let mut top = session(&["-i", "0.05", "top"]);
    for text in ["version", "requests/s", "clients", "commands", "slow", "info"] {
        top.expect(text).unwrap_or_else(|error| panic!("waited in vain for {text}: {error}"));
    }
    top.send("q").expect("the terminal takes it");
    top.expect("\x1b[?1049l").expect("the screen is given back");
    top.expect(Eof).expect("it ends");
}

/// Whether the server has the command.
fn has(server: &TestServer, command: &str) -> bool {
    run(server.address(), &format!("--json COMMAND INFO {command}"), b"").stdout != b"[null]\n"
}

fn script(server: &TestServer) {
    let file = server.dir().join("script.lua");
    fs::write(&file, "return {KEYS[1], ARGV[1], #ARGV}").expect("the folder is ours");
    let line = format!("--json --eval {} k1 , a b", file.display());
    if !server.connect().command(&[b"EVAL", b"return 1", b"0"]).is_error() {
        prints(server, &line, "", "[\"k1\",\"a\",2]\n");
        return;
    }
    let output = run(server.address(), &line, b"");
    assert_eq!(stderr(&output), "EVAL failed: this server has no scripting\n");
    assert_eq!(output.status.code(), Some(1));
}

/// What a proxy has not is told with a reason.
fn refused(proxy: &TestServer, lines: &[&str]) {
    for line in lines {
        let output = run(proxy.address(), line, b"");
        let text = stderr(&output);
        assert!(text.contains("not available through the proxy"), "{line}: {text}");
        assert_eq!((stdout(&output), output.status.code()), ("", Some(1)), "{line}");
    }
}

/// The functions alone: none of the keys.
fn functions(server: &TestServer) {
    let library =
        "#!lua name=mylib\nredis.register_function('myfunction', function() return 1 end)";
    let loads = has(server, "function|load");
    if loads {
        server.connect().command(&[b"FUNCTION", b"LOAD", library.as_bytes()]).is("$5\r\nmylib");
    }
    let output = run(server.address(), "--functions-rdb -", b"");
    assert_eq!((stderr(&output), output.status.code()), ("", Some(0)));
    let holds = |text: &[u8]| output.stdout.windows(text.len()).any(|bytes| bytes == text);
    assert!(holds(b"redis-ver") || holds(b"valkey-ver"), "{output:?}");
    assert!(!holds(b"scores"), "{output:?}");
    // The code may be compressed: its first bytes are not.
    assert_eq!(holds(b"#!lua name=mylib"), loads, "{output:?}");
}

/// A snapshot of either form holds all keys, which our server tells when it has loaded it.
fn snapshot(server: &TestServer) {
    let mut admin = server.connect();
    admin.run("CONFIG SET repl-diskless-sync-delay 0");
    let keys = admin.run("DBSIZE").wire();
    for diskless in ["yes", "no"] {
        admin.run(&format!("CONFIG SET repl-diskless-sync {diskless}"));
        let file = server.dir().join("backup.rdb");
        let output = run(server.address(), &format!("--rdb {}", file.display()), b"");
        if !has(server, "psync") {
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            return;
        }
        assert_eq!((stderr(&output), output.status.code()), ("", Some(0)));
        assert!(stdout(&output).contains(" bytes written to "), "{output:?}");
        let directives =
            ["--dir", server.dir().to_str().expect("a name of ours"), "--dbfilename", "backup.rdb"];
        let loaded = TestServer::start(&[&directives[..], &["--appendonly", "no"]].concat());
        assert_eq!(loaded.connect().run("DBSIZE").wire(), keys, "{diskless}");
        loaded.connect().run("GET big").is("$12\r\n123456789012");
    }
    let output = run(server.address(), "--rdb -", b"");
    assert!(output.stdout.starts_with(b"REDIS") || output.stdout.starts_with(b"VALKEY"));
    let left = fs::read_dir(server.dir()).expect("it is there");
    let unfinished = |name: &str| name.ends_with(".part");
    assert!(!left.flatten().any(|file| unfinished(&file.file_name().to_string_lossy())));
}
