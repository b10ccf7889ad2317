//! D07, D08, D29-D32, D36 and the gate of D01: system calls that fail, are interrupted or take long, and their order.
//!
//! Needs Debian's `strace`. The server's own start syncs the log once in the main thread; later syncs run in a thread of
//! their own, so that `when=2` means the second sync under load.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::connection::encode_line;
use crate::support::data::{Data, with_log};
use crate::support::strace::{Trace, can_trace};
use crate::support::{DEADLINE, TestServer, holds_within, skipped, wait_until};

/// Whether the test can run; says so if not.
fn can_run(test: &str) -> bool {
    let can = can_trace();
    if !can {
        skipped(test, "strace is missing or may not trace");
    }
    can
}

/// A server on `data`, with faults in what it does with its log.
fn start(data: &Data, policy: &str, expressions: &[&str]) -> (TestServer, Trace) {
    let trace = Trace::new(expressions).of_file(&data.log());
    let server = data.start_under(&trace.wrapper(), &["--appendfsync", policy]);
    (server, trace)
}

/// Real Redis does not: it makes no data directory, and does not sync the one that it makes the directory of the log in.
#[test]
fn d05_the_names_of_new_directories_and_files_are_synced_before_the_first_reply() {
    if !can_run("D05") {
        return;
    }
    let base = Data::new();
    let data = format!("{}/new", base.arg());
    let trace = Trace::new(&["trace=fsync"]).with_paths();
    let directives = [&with_log(&data)[..], &["--appendfsync", "always"]].concat();
    let server = TestServer::start_under(&trace.wrapper(), &directives);
    server.connect().run("SET first 1").is("+OK");
    let text = trace.text();
    for synced in [base.arg(), &data, &format!("{data}/appendonlydir")] {
        assert!(text.contains(&format!("<{synced}>)")), "{synced} was not synced:\n{text}");
    }
}

#[test]
fn d07_a_failed_sync_under_always_ends_the_server_without_a_reply() {
    if !can_run("D07") {
        return;
    }
    let data = Data::new();
    let faults = ["trace=fdatasync", "inject=fdatasync:error=EIO:when=2"];
    let (mut server, trace) = start(&data, "always", &faults);
    let mut client = server.connect();
    client.run("SET answered 1").is("+OK");
    client.send(encode_line("SET unanswered 1"));
    client.expect_closed();
    assert_eq!(server.wait_exit().code(), Some(1));
    let expected = "Can't persist AOF for fsync error when the AOF fsync policy is 'always': Input/output error. Exiting...";
    assert!(server.log().contains(expected), "{}", server.log());
    assert_eq!(trace.injected(), 1);
    data.start(&[]).connect().run("GET answered").is("$1\r\n1");
}

/// A server under `everysec` one of whose syncs has failed.
fn start_with_failed_sync(data: &Data) -> (TestServer, Trace) {
    let faults = ["trace=fdatasync", "inject=fdatasync:error=EIO:when=2"];
    let (server, trace) = start(data, "everysec", &faults);
    let mut client = server.connect();
    wait_until("a sync has failed", || {
        client.run("SET before 1");
        server.log().contains("Fail to fsync the AOF file: Input/output error")
    });
    (server, trace)
}

#[test]
fn d08_a_file_whose_sync_has_failed_is_not_synced_again() {
    if !can_run("D08") {
        return;
    }
    let data = Data::new();
    let (mut server, trace) = start_with_failed_sync(&data);
    let syncs = trace.text().matches("fdatasync(").count();
    let mut client = server.connect();
    client.run("GET before").is("$1\r\n1");
    // The kernel has marked the pages clean: a second sync of this file would say that all is well.
    let synced_again = holds_within(Duration::from_millis(1500), || {
        trace.text().matches("fdatasync(").count() > syncs
    });
    assert!(!synced_again, "{}", trace.text());
    server.kill();
    data.start(&[]).connect().run("GET before").is("$1\r\n1");
}

/// Real Redis goes on answering -MISCONF, although it never syncs that file again.
#[test]
fn d08_after_a_failed_sync_under_everysec_a_new_file_is_written() {
    if !can_run("D08") {
        return;
    }
    let data = Data::new();
    let (mut server, trace) = start_with_failed_sync(&data);
    let mut client = server.connect();
    wait_until("writes are accepted again", || client.run("SET after 1").wire() == "+OK");
    assert!(data.path().join("appendonlydir/appendonly.aof.2.incr.aof").exists());
    assert_eq!(trace.injected(), 1);
    server.kill();
    data.start(&[]).connect().run("EXISTS before after").is(":2");
}

#[test]
fn d29_a_slow_disk_stops_neither_reads_nor_writes() {
    if !can_run("D29") {
        return;
    }
    let data = Data::new();
    let faults = ["trace=fdatasync", "inject=fdatasync:delay_enter=2500000:when=2+"];
    let (server, _trace) = start(&data, "everysec", &faults);
    let mut client = server.connect();
    let (mut longest, start) = (Duration::ZERO, Instant::now());
    let said = "Asynchronous AOF fsync is taking too long";
    let mut number = 0;
    let slow = holds_within(DEADLINE, || {
        let sent = Instant::now();
        client.run(&format!("SET key:{number} x")).is("+OK");
        client.run("PING").is("+PONG");
        longest = longest.max(sent.elapsed());
        number += 1;
        server.log().contains(said)
    });
    assert!(slow, "{}", server.log());
    assert!(start.elapsed() > Duration::from_secs(2));
    assert!(longest < Duration::from_secs(1), "a write took {longest:?}");
}

#[test]
fn d30_the_last_write_is_synced_though_nothing_follows() {
    if !can_run("D30") {
        return;
    }
    let data = Data::new();
    let (server, trace) = start(&data, "everysec", &["trace=fdatasync,write"]);
    server.connect().run("SET a 1").is("+OK");
    let synced = || {
        let text = trace.text();
        let (_, after) = text.rsplit_once("write(")?;
        after.lines().find(|line| line.contains("fdatasync") && line.ends_with("= 0"))?;
        Some(())
    };
    assert!(holds_within(Duration::from_secs(5), || synced().is_some()), "{}", trace.text());
}

#[test]
fn d31_interrupted_calls_are_repeated_and_nothing_is_lost_or_doubled() {
    if !can_run("D31") {
        return;
    }
    for policy in ["always", "everysec"] {
        let data = Data::new();
        let faults = [
            "trace=write,fdatasync,read",
            "inject=write:error=EINTR:when=1+3",
            "inject=fdatasync:error=EINTR:when=1+2",
            "inject=read:error=EINTR:when=1+2",
        ];
        for restart in 0..3 {
            let (server, trace) = start(&data, policy, &faults);
            let mut client = server.connect();
            for number in 1..=20 {
                client.run("INCR counter").is(&format!(":{}", restart * 20 + number));
            }
            assert!(trace.injected() > 0);
        }
    }
}

#[test]
fn d32_a_log_that_cannot_be_read_is_no_empty_one() {
    if !can_run("D32") {
        return;
    }
    let data = Data::new();
    data.start(&[]).connect().run("SET a 1").is("+OK");
    let before = fs::read(data.log()).expect("there is a log");
    let faults = ["trace=read", "inject=read:error=EIO:when=1"];
    let trace = Trace::new(&faults).of_file(&data.log());
    let mut server = data.spawn(&trace.wrapper(), &[]);
    assert_eq!(server.wait_exit().code(), Some(1), "{}", server.log());
    assert!(server.log().contains("Input/output error"), "{}", server.log());
    assert_eq!(fs::read(data.log()).expect("there is a log"), before);
    data.start(&[]).connect().run("GET a").is("$1\r\n1");
}

/// The lines of a trace about the log or a reply, in the order in which the calls ended.
fn ended_calls(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| {
            if line.contains("+OK\\r\\n") {
                return Some("reply"); // its beginning: from then on it may be seen
            }
            let call = ["fdatasync", "write"].into_iter().find(|name| line.contains(name))?;
            (!line.contains("unfinished")).then_some(call)
        })
        .collect()
}

#[test]
fn d01_d36_a_reply_leaves_after_its_write_is_synced() {
    if !can_run("D01, D36") {
        return;
    }
    let data = Data::new();
    let trace = Trace::new(&["trace=write,writev,sendto,sendmsg,fdatasync"]);
    let server = data.start_under(&trace.wrapper(), &["--appendfsync", "no"]);
    let mut client = server.connect();
    client.run("SET a 1").is("+OK");
    client.run("CONFIG SET appendfsync always").is("+OK");
    // What was written before the change is synced, too.
    wait_until("the trace has it", || trace.text().matches("+OK\\r\\n").count() == 2);
    let before = trace.text();
    client.run("SET b 1").is("+OK");
    wait_until("the trace has it", || trace.text().matches("+OK\\r\\n").count() == 3);
    let text = trace.text();
    let calls = ended_calls(&text[before.len()..]);
    let reply = calls.iter().position(|&call| call == "reply").expect("it has arrived");
    assert!(calls[..reply].contains(&"fdatasync"), "{}", &text[before.len()..]);
}
