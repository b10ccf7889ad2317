//! D06, D25, D26 and S09: the log while it is rewritten, with crashes at each step, a full disk and many clients; and after
//! a panic.

use std::fs;
use std::path::Path;
use std::thread;

use crate::support::data::{Data, with_log};
use crate::support::drive::Mount;
use crate::support::strace::{Trace, can_trace};
use crate::support::{Raw, TestServer, skipped, wait_until};

/// Keys that are there before a rewrite begins.
const KEYS: usize = 300;

fn fill(client: &mut Raw) {
    for key in 0..KEYS {
        client.run(&format!("SET key:{key} {}", "x".repeat(200))).is("+OK");
    }
}

/// The files in the directory of the log.
fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder.join("appendonlydir")).expect("it is there");
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    names.map(|entry| name(entry.expect("an entry"))).collect()
}

/// Counts while the server rewrites, until it is done or dead. Returns the last count that it acknowledged, and whether it
/// is dead.
fn count_during_rewrite(server: &TestServer) -> (i64, bool) {
    let mut client = server.connect();
    let mut count = 0;
    let mut ask = |request: &str| {
        client.try_send(format!("{request}\r\n").as_bytes()).ok()?;
        client.reply_within_ms(30_000)
    };
    ask("BGREWRITEAOF");
    loop {
        let Some(reply) = ask("INCR counter") else { return (count, true) };
        count = reply.number();
        let Some(info) = ask("INFO persistence") else { return (count, true) };
        if info.text().contains("aof_rewrites:1\r") {
            return (count, false);
        }
    }
}

/// Kills the server at this call of this kind during a rewrite. Returns whether there was one.
fn kill_at(call: &str, when: usize) -> bool {
    let data = Data::new();
    let mut server = data.start(&["--appendfsync", "always"]);
    fill(&mut server.connect());
    server.kill();
    let trace =
        Trace::new(&[&format!("trace={call}"), &format!("inject={call}:signal=KILL:when={when}")]);
    let trace = [
        "temp-rewriteaof.rdb",
        "temp-appendonly.aof.manifest",
        "appendonly.aof.1.incr.aof",
        "appendonly.aof.2.incr.aof",
        "appendonly.aof.1.base.rdb",
    ]
    .iter()
    .fold(trace, |trace, name| trace.of_file(&data.path().join("appendonlydir").join(name)));
    let mut server = data.spawn(&trace.wrapper(), &["--appendfsync", "always"]);
    if server.dies_before_it_is_ready() {
        return true; // another test's concern
    }
    let (count, died) = count_during_rewrite(&server);
    server.kill();
    let server = data.start(&["--appendfsync", "always"]);
    let mut client = server.connect();
    client.run("SET after 1").is("+OK");
    let found = client.run("INCRBY counter 0").number();
    assert!(
        found == count || found == count + 1,
        "{call} {when}: {found}, {count} was acknowledged"
    );
    client.run("DBSIZE").is(&format!(":{}", KEYS + 2));
    wait_until("what the crash has left is removed", || {
        !files(data.path()).iter().any(|name| name.starts_with("temp-"))
    });
    died
}

#[test]
fn d06_a_rewrite_that_is_killed_at_any_step_leaves_a_whole_log() {
    if !can_trace() {
        return skipped("D06", "strace is missing or may not trace");
    }
    let calls = ["openat", "write", "fdatasync", "rename", "unlink"];
    let steps: usize = thread::scope(|scope| {
        let lanes: Vec<_> = calls
            .into_iter()
            .map(|call| {
                scope.spawn(move || (1..20).take_while(|&when| kill_at(call, when)).count())
            })
            .collect();
        lanes.into_iter().map(|lane| lane.join().expect("the reason is above")).sum()
    });
    assert!(steps >= 6, "only {steps} steps were seen");
}

#[test]
fn d25_a_rewrite_under_load_keeps_every_count() {
    const CLIENTS: i64 = 20;
    const COUNTS: i64 = 300;
    let data = Data::new();
    let mut server = data.start(&["--appendfsync", "everysec"]);
    fill(&mut server.connect());
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = server.connect();
                for _ in 0..COUNTS {
                    assert!(!client.run("INCR counter").is_error());
                }
            });
        }
        let mut client = server.connect();
        for rewrites in 1..=3 {
            client.run("BGREWRITEAOF").starts("+Background");
            wait_until("it is rewritten", || {
                client
                    .run("INFO persistence")
                    .text()
                    .contains(&format!("aof_rewrites:{rewrites}\r"))
            });
        }
    });
    let expected = format!("${}\r\n{}", (CLIENTS * COUNTS).to_string().len(), CLIENTS * COUNTS);
    server.connect().run("GET counter").is(&expected);
    server.kill();
    data.start(&[]).connect().run("GET counter").is(&expected);
}

#[test]
fn d26_a_rewrite_that_finds_no_room_leaves_the_old_log_and_no_heap_of_files() {
    let drive = match Mount::small(6 << 20) {
        Ok(drive) => drive,
        Err(why) => return skipped("D26", &why),
    };
    let flags = ["--rdbcompression", "no"];
    let start = || TestServer::start(&[&with_log(drive.arg())[..], &flags].concat());
    let mut server = start();
    let mut client = server.connect();
    for key in 0..40 {
        client.run(&format!("SET key:{key} {}", "x".repeat(100_000))).is("+OK");
    }
    for _ in 0..3 {
        client.run("BGREWRITEAOF").starts("+Background");
        wait_until("it has failed", || {
            let info = client.run("INFO persistence").text();
            info.contains("aof_last_bgrewrite_status:err")
                && info.contains("aof_rewrite_in_progress:0")
        });
        client.run("INCR counter");
    }
    assert!(!files(drive.path()).iter().any(|name| name.contains("base")));
    // The next ones are tried after 5, 10, 20 seconds and so on, not at every turn.
    assert!(files(drive.path()).len() < 8, "{:?}", files(drive.path()));
    server.kill();
    let server = start();
    let mut client = server.connect();
    client.run("DBSIZE").is(":41");
    client.run("GET counter").is("$1\r\n3");
}

#[test]
fn s09_a_panic_is_logged_without_data_and_all_that_was_answered_is_kept() {
    let data = Data::new();
    let mut server = data.start(&["--appendfsync", "everysec", "--enable-debug-command", "yes"]);
    let mut client = server.connect();
    client.run("SET secret-key secret-value").is("+OK");
    client.run("INCR counter").is(":1");
    client.send("INCR counter\r\nMULTI\r\nINCR counter\r\nDEBUG PANIC\r\nEXEC\r\n");
    let status = server.wait_exit();
    assert_eq!(status.code(), Some(1));
    let log = server.log();
    assert!(log.contains("=== BUG REPORT START ==="), "{log}");
    assert!(log.contains("panicked at src/commands/server/debug/mod.rs"), "{log}");
    assert!(log.contains("mini_redis::"), "there is a backtrace: {log}");
    assert!(!log.contains("secret"), "{log}");
    // What was executed before is there, and nothing of the transaction.
    let server = data.start(&[]);
    server.connect().run("MGET secret-key counter").is("*2\r\n$12\r\nsecret-value\r\n$1\r\n2");
}
