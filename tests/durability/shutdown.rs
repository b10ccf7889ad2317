//! S01, S03, S06, S07, S11: what a stop that was asked for leaves, at the clients and in the files.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::load::{Journal, Load, Promise, random_ms};
use crate::support::connection::encode_line;
use crate::support::data::{Data, with_log};
use crate::support::server::free_port;
use crate::support::{DEADLINE, Raw, TestServer, wait_until};

const PIPELINE: usize = 20_000;

/// Sends a long pipeline, and the signal while it runs. Returns how many requests were answered.
fn stop_in_a_pipeline(server: &TestServer) -> usize {
    let mut stream = TcpStream::connect(server.address()).expect("the server accepts");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout can be set");
    let mut sender = stream.try_clone().expect("a descriptor is free");
    let sending = thread::spawn(move || {
        let requests = (0..PIPELINE).flat_map(|key| encode_line(&format!("SET key:{key} value")));
        // The server may stop reading: what it has not read was not executed.
        let _ = sender.write_all(&requests.collect::<Vec<_>>());
    });
    let (mut replies, mut chunk) = (Vec::new(), [0; 64 << 10]);
    let mut end = stream.read(&mut chunk).expect("the first replies");
    replies.extend_from_slice(&chunk[..end]);
    thread::sleep(random_ms(0, 20)); // the moment is what is tested
    server.signal(Signal::TERM);
    while end > 0 {
        end = stream.read(&mut chunk).expect("the connection ends with FIN, not with RST");
        replies.extend_from_slice(&chunk[..end]);
    }
    sending.join().expect("it only sends");
    assert_eq!(replies.len() % 5, 0, "half a reply");
    assert!(replies.chunks(5).all(|reply| reply == b"+OK\r\n"));
    replies.len() / 5
}

fn everything_executed_is_answered(policy: &str) {
    for _ in 0..8 {
        let data = Data::new();
        let mut server = data.start(&["--appendfsync", policy]);
        let answered = stop_in_a_pipeline(&server);
        assert_eq!(server.wait_exit().code(), Some(0), "{}", server.log());
        let server = data.start(&[]);
        let executed = server.connect().run("DBSIZE").number();
        assert_eq!(answered as i64, executed, "answered and executed");
    }
}

/// Real Redis fails: it executes what it never answers, and resets the connection.
#[test]
fn s01_at_sigterm_what_was_executed_is_answered_and_in_the_log_under_always() {
    everything_executed_is_answered("always");
}

/// Real Redis fails, as above.
#[test]
fn s01_at_sigterm_what_was_executed_is_answered_and_in_the_log_under_everysec() {
    everything_executed_is_answered("everysec");
}

#[test]
fn s03_a_second_signal_ends_the_server_at_once_and_the_log_is_whole() {
    for policy in ["always", "everysec"] {
        let data = Data::new();
        let mut journal = Journal::default();
        let mut server = data.start(&["--appendfsync", policy]);
        for signal in [Signal::TERM, Signal::INT] {
            let load = Load::start(&server, &journal);
            thread::sleep(random_ms(20, 100)); // under load
            server.signal(signal);
            server.signal(signal);
            server.wait_exit();
            server = data.start(&["--appendfsync", policy]);
            assert!(!server.log().contains("short read"), "{}", server.log());
            journal.check(&server, load, Promise::All);
        }
    }
}

const KEYS: usize = 40_000;

/// Keys that take a moment to load, or to be written.
fn fill(server: &TestServer) {
    let mut client = server.connect();
    let value = "x".repeat(100);
    let requests = (0..KEYS).flat_map(|key| encode_line(&format!("SET key:{key} {value}")));
    client.send(requests.collect::<Vec<_>>());
    for _ in 0..KEYS {
        client.expect("+OK\r\n");
    }
}

#[test]
fn s06_sigterm_while_loading_ends_the_server_and_leaves_the_log_as_it_is() {
    let data = Data::new();
    let mut server = data.start(&[]);
    fill(&server);
    server.kill();
    let before = fs::read(data.log()).expect("there is a log");
    for _ in 0..5 {
        let mut loading = data.spawn(&[], &[]);
        wait_until("it has begun", || loading.log().contains("is starting"));
        thread::sleep(random_ms(1, 60)); // the moment is what is tested
        loading.signal(Signal::TERM);
        let asked = Instant::now();
        let status = loading.wait_exit();
        assert!(asked.elapsed() < Duration::from_secs(1), "{}", loading.log());
        // A signal before the server listens to signals ends it as any process.
        assert!(matches!(status.code(), Some(0) | None), "{}", loading.log());
        let after = fs::read(data.log()).expect("there is a log");
        assert!(after.starts_with(&before), "the log was changed");
    }
    data.start(&[]).connect().run("DBSIZE").is(&format!(":{KEYS}"));
}

/// Has `begin` ask for something that takes long, and ends the server while it does it, again and again.
fn stop_in_the_middle(begin: impl Fn(&TestServer) -> Raw) {
    let data = Data::new();
    let mut server = data.start(&[]);
    fill(&server);
    for _ in 0..5 {
        let mut client = begin(&server);
        thread::sleep(random_ms(0, 30)); // the moment is what is tested
        server.signal(Signal::TERM);
        assert_eq!(server.wait_exit().code(), Some(0), "{}", server.log());
        client.read_until_closed();
        for folder in [data.path().to_path_buf(), data.path().join("appendonlydir")] {
            let names = fs::read_dir(folder).expect("it is there").flatten();
            let mut names = names.map(|file| file.file_name().to_string_lossy().into_owned());
            assert_eq!(names.find(|name| name.starts_with("temp-")), None);
        }
        server = data.start(&[]);
        server.connect().run("DBSIZE").is(&format!(":{KEYS}"));
    }
}

#[test]
fn s06_sigterm_during_a_rewrite_leaves_a_whole_log_and_nothing_else() {
    stop_in_the_middle(|server| {
        let mut client = server.connect();
        client.run("BGREWRITEAOF").starts("+Background");
        client
    });
}

#[test]
fn s06_sigterm_during_a_full_synchronization_leaves_a_whole_log_and_nothing_else() {
    stop_in_the_middle(|server| {
        let mut replica = server.connect();
        replica.send(encode_line("PSYNC ? -1")); // and never reads what comes
        replica
    });
}

#[test]
fn s07_who_connects_during_a_stop_is_refused_and_does_not_hang() {
    let data = Data::new();
    let mut server = data.start(&["--appendfsync", "always"]);
    let journal = Journal::default();
    let load = Load::start(&server, &journal);
    let address = server.address();
    let newcomers = thread::spawn(move || {
        // Until nobody accepts any more.
        while let Ok(mut stream) = TcpStream::connect_timeout(&address, DEADLINE) {
            stream.set_read_timeout(Some(DEADLINE)).expect("a timeout can be set");
            let _ = stream.write_all(b"PING\r\n");
            let mut reply = [0; 16];
            // An answer, an end or a reset: anything but silence.
            if let Err(error) = stream.read(&mut reply) {
                assert!(error.kind() == std::io::ErrorKind::ConnectionReset, "{error}");
            }
        }
    });
    thread::sleep(random_ms(20, 100)); // under load
    server.signal(Signal::TERM);
    assert_eq!(server.wait_exit().code(), Some(0), "{}", server.log());
    newcomers.join().expect("nobody hangs");
    let server = data.start(&[]);
    let mut journal = journal;
    journal.check(&server, load, Promise::All);
}

#[test]
fn s11_many_starts_and_stops_leave_nothing_behind() {
    let data = Data::new();
    let port = free_port();
    let names = || {
        let files = fs::read_dir(data.path().join("appendonlydir")).expect("it is there");
        let mut names: Vec<_> = files.flatten().map(|file| file.file_name()).collect();
        names.sort();
        names
    };
    let mut expected = None;
    for cycle in 1..=30 {
        let directives = with_log(data.arg());
        let mut server = TestServer::spawn(&[], &directives, port);
        assert!(!server.dies_before_it_is_ready(), "{}", server.log());
        server.connect().run("INCR starts").is(&format!(":{cycle}"));
        server.signal(Signal::TERM);
        assert_eq!(server.wait_exit().code(), Some(0), "{}", server.log());
        assert_eq!(*expected.get_or_insert_with(names), names());
    }
}
