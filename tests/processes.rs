//! The server as a process: how it starts, which signals it survives, and how it ends.
//! Cases S08 and S10 of the reliability catalogue.

mod support;

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, getsid, kill_process};
use support::connection::encode_line;
use support::{DEADLINE, TestServer, holds_within, wait_until};

/// All files under `dir` but the log that the test itself captures.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !path.ends_with("server.log") {
            found.push(path);
        }
    }
    found
}

/// The server refuses to start: status 1, a log that holds one of `words`, no data file.
#[track_caller]
fn assert_refuses(mut server: TestServer, words: &[&str]) {
    let status = server.wait_exit();
    let log = server.log();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(words.iter().any(|word| log.contains(word)), "none of {words:?} in the log:\n{log}");
    let left: Vec<PathBuf> = files(server.dir())
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "aof" || e == "rdb"))
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn sigterm_and_sigint_exit_with_0_and_say_goodbye() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = TestServer::start(&[]);
        let mut client = server.connect();
        client.run("SET k v").is("+OK");
        server.signal(signal);
        client.expect_closed();
        assert_eq!(server.wait_exit().code(), Some(0), "{}", server.log());
    }
}

#[test]
fn shutdown_exits_with_0_and_the_port_is_free_again() {
    let mut server = TestServer::start(&[]);
    let mut client = server.connect();
    client.send(encode_line("SHUTDOWN NOSAVE"));
    client.expect_closed();
    assert_eq!(server.wait_exit().code(), Some(0));
    // Although a connection of the old process lingers in TIME_WAIT.
    let again = TestServer::spawn(&[], &[], server.port());
    wait_until("a new server serves on the port", || {
        std::net::TcpStream::connect(again.address()).is_ok()
    });
    again.connect().run("PING").is("+PONG");
}

/// Real Redis fails: SIGXFSZ and SIGUSR1 kill it.
#[test]
fn s08_signals_that_are_no_reason_to_die() {
    let mut server = TestServer::start(&[]);
    let mut client = server.connect();
    for signal in [Signal::HUP, Signal::PIPE, Signal::XFSZ, Signal::USR1] {
        server.signal(signal);
        let died = holds_within(Duration::from_millis(50), || !server.is_running());
        assert!(!died, "{signal:?} ended the server");
        client.run("PING").is("+PONG");
    }
    server.expect_alive();
}

/// Real Redis fails in some runs: it judges by a clock that is older than the stop.
#[test]
fn s08_after_a_stop_nobody_is_timed_out_who_was_waiting() {
    let server = TestServer::start(&["--timeout", "1"]);
    let mut clients = server.connect_many(20);
    server.signal(Signal::STOP);
    for client in &mut clients {
        client.send("PING\r\n");
    }
    // Longer than the idle limit: the time itself is what is tested.
    std::thread::sleep(Duration::from_millis(2_200));
    server.signal(Signal::CONT);
    for client in &mut clients {
        client.expect("+PONG\r\n");
        client.run("PING").is("+PONG");
    }
}

/// systemd waits for a word from a service of `Type=notify`, and ends it if none comes.
#[test]
fn systemd_is_told_when_the_server_is_ready_and_when_it_stops() {
    let path = std::env::temp_dir().join(format!("mini-redis-notify-{}", std::process::id()));
    let systemd = UnixDatagram::bind(&path).expect("a new name in a writable directory");
    systemd.set_read_timeout(Some(DEADLINE)).expect("a deadline above zero");
    let hear = || {
        let mut bytes = [0; 200];
        let len = systemd.recv(&mut bytes).expect("the server says something in time");
        String::from_utf8_lossy(&bytes[..len]).into_owned()
    };
    let variable = format!("NOTIFY_SOCKET={}", path.display());
    let flags = ["--supervised", "systemd", "--daemonize", "yes"];
    let mut server = TestServer::start_under(&["env", &variable], &flags);
    assert!(hear().starts_with("READY=1\n"));
    let info = server.connect().run("INFO server").wire();
    assert!(info.contains("process_supervised:systemd"), "{info}");
    server.signal(Signal::TERM);
    assert_eq!(hear(), "STOPPING=1\n");
    assert_eq!(server.wait_exit().code(), Some(0), "{}", server.log());
    let _ = fs::remove_file(&path);
}

#[test]
fn a_server_without_systemd_says_so_and_serves() {
    let server =
        TestServer::start_under(&["env", "-u", "NOTIFY_SOCKET"], &["--supervised", "systemd"]);
    server.connect().run("PING").is("+PONG");
    assert!(server.log().contains("NOTIFY_SOCKET not found"), "{}", server.log());
}

#[test]
fn a_daemon_serves_when_what_has_started_it_has_ended() {
    let path = std::env::temp_dir().join(format!("mini-redis-daemon-{}.pid", std::process::id()));
    let pid_file = path.to_string_lossy();
    let flags = ["--daemonize", "yes", "--pidfile", &pid_file];
    let mut first = TestServer::spawn(&[], &flags, support::server::free_port());
    assert_eq!(first.wait_exit().code(), Some(0), "{}", first.log());
    let written = || fs::read_to_string(&path).ok()?.trim().parse().ok();
    wait_until("the daemon has written its number", || written().is_some());
    let pid = written().and_then(Pid::from_raw).expect("it was there just now");
    wait_until("the daemon serves", || std::net::TcpStream::connect(first.address()).is_ok());
    assert_eq!(getsid(Some(pid)).expect("the daemon lives"), pid, "it has a session of its own");
    first.connect().run("PING").is("+PONG");
    kill_process(pid, Signal::TERM).expect("the daemon lives");
    wait_until("the daemon has removed its file", || !path.exists());
}

#[test]
fn s10_port_in_use() {
    let server = TestServer::start(&[]);
    let second = TestServer::spawn(&[], &[], server.port());
    assert_refuses(second, &["bind", "port"]);
    server.connect().run("PING").is("+PONG");
}

#[test]
fn s10_bad_bind_address() {
    let port = support::server::free_port();
    assert_refuses(TestServer::spawn(&[], &["--bind", "203.0.113.1"], port), &["203.0.113.1"]);
}

#[test]
fn s10_bad_directives() {
    let port = support::server::free_port();
    for (name, value) in [
        ("--no-such-directive", "1"),
        ("--maxclients", "many"),
        ("--appendfsync", "sometimes"),
        ("--timeout", "-1"),
    ] {
        assert_refuses(TestServer::spawn(&[], &[name, value], port), &[&name[2..]]);
    }
}

#[test]
fn s10_bad_line_in_the_configuration_file() {
    let path = std::env::temp_dir().join(format!("mini-redis-bad-{}.conf", std::process::id()));
    fs::write(&path, "# a comment\ntimeout 0\nmaxclients lots\n").expect("a writable directory");
    let name = path.to_string_lossy().into_owned();
    let server = TestServer::spawn(&[], &[&name], support::server::free_port());
    assert_refuses(server, &["maxclients lots", "maxclients"]);
    fs::write(&path, "timeout 7\nmaxclients 99\n").expect("a writable directory");
    let server = TestServer::start(&[&name, "--maxclients", "98"]);
    let mut client = server.connect();
    client.run("CONFIG GET timeout").is("*2\r\n$7\r\ntimeout\r\n$1\r\n7");
    client.run("CONFIG GET maxclients").is("*2\r\n$10\r\nmaxclients\r\n$2\r\n98");
    let _ = fs::remove_file(&path);
}
