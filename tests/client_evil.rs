//! C16: the client against a server that sends garbage, half replies, wrong replies and replies without end. Whatever it does, the client
//! ends with an error or with Ctrl-C, prints no escape sequence, and takes little memory.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use expectrl::session::OsSession;
use expectrl::{Eof, Expect};
use rustix::process::{Pid, Signal, kill_process};
use support::client::CLIENT;
use support::{DEADLINE, holds_within, process};

/// Arguments of each mode; the last word of some is a file.
const MODES: &[&str] = &[
    "GET k",
    "-3 GET k",
    "--json HGETALL k",
    "--no-raw LRANGE k 0 -1",
    "-c GET k",
    "SUBSCRIBE news",
    "monitor --key x",
    "--pipe",
    "--scan",
    "--bigkeys",
    "--memkeys",
    "--hotkeys",
    "--latency --no-raw",
    "--latency-dist --no-raw",
    "--stat",
    "--rdb -",
    "--functions-rdb -",
    "help NOSUCH",
];

/// No replies at all, or the first part of one.
const BROKEN: &[&[u8]] = &[
    b"",
    b"+OK",
    b"*-2\r\n",
    b"$-2\r\n",
    b"$9999999999\r\n",
    b"$99999999999999999999\r\n",
    b"$536870912\r\nabc",
    b"*4294967295\r\n$1\r\na\r\n",
    b"%4294967295\r\n$1\r\na\r\n",
    b"$3\r\nabcde",
    b":12a\r\n",
    b",1.2.3\r\n",
    b"#x\r\n",
    b"=2\r\nab\r\n",
    b"|1\r\n+ttl\r\n:1\r\n",
    b"|4000000000\r\n",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"\x00\xff\xfe\r\n",
    b"$EOF:short\r\n",
    b"+FULLRESYNC x 0\r\n$18446744073709551615\r\nREDIS0011",
    b"+FULLRESYNC x 0\r\n$EOF:0123456789012345678901234567890123456789\r\nREDIS0011",
    b"+FULLRESYNC x 0\r\n$4\r\nnone",
];

/// Replies, but not those that were asked for.
const WRONG: &[&[u8]] = &[
    b":1\r\n",
    b"*0\r\n",
    b"*-1\r\n",
    b"_\r\n",
    b"+OK\r\n+OK\r\n+OK\r\n",
    b">2\r\n+invalidate\r\n*1\r\n:1\r\n",
    b"-MOVED 1 :1\r\n",
    b"-ERR \x1b]0;evil\x07 \x1b[2J\r\n",
    b"$12\r\n\x1b]0;evil\x07\x1b[\r\n",
    // A walk that never ends, with keys that drive the terminal.
    b"*2\r\n$1\r\n7\r\n*1\r\n$5\r\n\x1b[2Jk\r\n",
    b"*2\r\n*0\r\n*1\r\n*0\r\n",
];

/// A server that answers each thing it reads with `bytes`, or only the first, and hangs up then.
fn evil_server(bytes: Vec<u8>, on_and_on: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let answer = move |mut stream: TcpStream, bytes: &[u8]| {
        let mut request = [0; 16 * 1024];
        while matches!(stream.read(&mut request), Ok(1..)) {
            if stream.write_all(bytes).is_err() || !on_and_on {
                return;
            }
        }
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let bytes = bytes.clone();
            std::thread::spawn(move || answer(stream, &bytes));
        }
    });
    address
}

/// Runs the client with little memory; Ctrl-C comes after a while if the server goes on and on. `None` if it does not end.
fn outcome(mode: &str, address: SocketAddr, on_and_on: bool) -> Option<Output> {
    let address = address.to_string();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 400000; exec \"$0\" \"$@\"", CLIENT, &address]);
    command.args(mode.split(' ')).env_remove("REDISCLI_AUTH").env("HOME", "/nonexistent");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the client starts");
    let _ = child.stdin.take().expect("piped").write_all(b"SET k v\r\n");
    let pid = Pid::from_child(&child);
    let reader = std::thread::spawn(move || child.wait_with_output().expect("it ends"));
    let patience = if on_and_on { Duration::from_millis(200) } else { DEADLINE };
    let ended = holds_within(patience, || reader.is_finished());
    if !ended {
        if !on_and_on {
            return None;
        }
        // Before it has a handler Ctrl-C would just kill it.
        let id = pid.as_raw_nonzero().get().cast_unsigned();
        holds_within(DEADLINE, || reader.is_finished() || process::catches(id, Signal::INT));
        // It waits, or it has ended just now.
        let _ = kill_process(pid, Signal::INT);
        if !holds_within(DEADLINE, || reader.is_finished()) {
            return None;
        }
    }
    Some(reader.join().expect("it does not panic"))
}

#[track_caller]
fn check(mode: &str, bytes: &[u8], output: &Output) {
    let case = format!("{mode} {}: {output:?}", bytes.escape_ascii());
    assert_eq!(output.status.signal(), None, "{case}");
    assert!(matches!(output.status.code(), Some(0 | 1 | 3 | 130)), "{case}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!told.contains("panicked") && !told.contains('\x1b'), "{case}");
    // Raw values are as they are.
    if mode.contains("--no-raw") || mode.contains("--json") || mode.contains("keys") {
        let shown = String::from_utf8_lossy(&output.stdout).replace("\x1b[2K", "");
        assert!(!shown.contains('\x1b'), "{case}");
    }
}

/// Runs the modes, some at a time.
fn run_all(answers: &[&[u8]], on_and_on: bool) {
    let servers: Vec<_> =
        answers.iter().map(|bytes| (bytes, evil_server(bytes.to_vec(), on_and_on))).collect();
    let servers = &servers;
    std::thread::scope(|scope| {
        for modes in MODES.chunks(MODES.len().div_ceil(6)) {
            scope.spawn(move || {
                for mode in modes {
                    for (bytes, address) in servers {
                        match outcome(mode, *address, on_and_on) {
                            Some(output) => check(mode, bytes, &output),
                            None => panic!("{mode} {}: hangs", bytes.escape_ascii()),
                        }
                    }
                }
            });
        }
    });
}

#[test]
fn c16_broken_replies_end_every_mode() {
    let deep = "*1\r\n".repeat(2000).into_bytes();
    run_all(&[BROKEN, &[&deep]].concat(), false);
}

#[test]
fn c16_wrong_replies_before_the_end_of_the_connection_end_every_mode() {
    run_all(WRONG, false);
}

#[test]
fn c16_wrong_replies_on_and_on_leave_ctrl_c_alive() {
    run_all(WRONG, true);
}

/// A client in a pseudo-terminal.
fn terminal(address: SocketAddr, args: &[&str]) -> OsSession {
    let mut command = Command::new(CLIENT);
    command.arg(address.to_string()).args(args);
    command.env("HOME", "/nonexistent").env("TERM", "xterm").env("NO_COLOR", "1");
    command.env_remove("REDISCLI_AUTH").env("REDISCLI_HISTFILE", "/dev/null");
    let mut session = OsSession::spawn(command).expect("a pseudo-terminal");
    session.set_expect_timeout(Some(DEADLINE));
    session
}

/// Presses keys until the client has ended: one that comes before the terminal is in raw mode may be lost.
#[track_caller]
fn end(session: &mut OsSession, key: &str, case: &str) {
    session.set_expect_timeout(Some(Duration::from_secs(2)));
    let ended = (0..10).any(|_| {
        let _ = session.send(key);
        session.expect(Eof).is_ok()
    });
    assert!(ended, "{case}: {key:?} does not end it");
}

#[test]
fn c16_the_prompt_goes_on_whatever_comes() {
    let deep = "*1\r\n".repeat(2000).into_bytes();
    for (bytes, shown) in [
        (&b"*-2\r\n"[..], "Protocol error"),
        (b"$3\r\nabcde", "Protocol error"),
        (&deep, "Protocol error"),
        (b"*0\r\n", "(empty array)"),
        (b"-ERR \x1b[2J\r\n", "(error) ERR \\u{1b}[2J"),
        (b"$4\r\n\x1b[2J\r\n", "\\x1b[2J"),
    ] {
        let mut prompt = terminal(evil_server(bytes.to_vec(), true), &[]);
        let case = bytes[..bytes.len().min(20)].escape_ascii().to_string();
        prompt.expect("> ").unwrap_or_else(|error| panic!("{case}: no prompt: {error}"));
        prompt.send("GET key\r").expect("the terminal takes it");
        prompt.expect(shown).unwrap_or_else(|error| panic!("{case}: not shown: {error}"));
        prompt.expect("> ").unwrap_or_else(|error| panic!("{case}: no prompt: {error}"));
        end(&mut prompt, "\x04", &case);
    }
}

#[test]
fn c16_top_ends_with_an_error_or_with_its_key() {
    let cases = [BROKEN, WRONG].concat();
    std::thread::scope(|scope| {
        for cases in cases.chunks(cases.len().div_ceil(4)) {
            scope.spawn(move || {
                for bytes in cases {
                    let mut top =
                        terminal(evil_server(bytes.to_vec(), true), &["-i", "0.05", "top"]);
                    end(&mut top, "q", &bytes.escape_ascii().to_string());
                }
            });
        }
    });
}
