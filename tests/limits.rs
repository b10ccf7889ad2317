//! Bounded memory and time per client: too many clients, slow ones, greedy ones, and ones that have not authenticated.
//! Cases L01, L02, L04, L05, L08, L10-L16 of the reliability catalogue (L14 without its MULTI half, which needs
//! transactions); L06, L07 and L20 are in the unit tests of `server::pubsub`.

mod support;

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use support::connection::encode_line;
use support::{
    Raw, TestServer, exclusive, holds_within, process, raise_own_descriptor_limit, skipped,
    wait_until,
};

/// A field of `INFO section` as a number.
fn info(client: &mut Raw, section: &str, field: &str) -> u64 {
    let text = client.run(&format!("INFO {section}")).text();
    let start = format!("{field}:");
    let value = text.lines().find_map(|line| line.strip_prefix(&start));
    value
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or_else(|| panic!("no {field} in {text}"))
}

/// Milliseconds that one PING takes on `client`.
fn ping_ms(client: &mut Raw) -> u128 {
    let start = Instant::now();
    client.run("PING").is("+PONG");
    start.elapsed().as_millis()
}

#[test]
fn l01_maxclients_turns_the_next_one_away() {
    let server = TestServer::start(&["--maxclients", "10"]);
    let mut first = server.connect();
    wait_until("the start-up check has left", || {
        info(&mut first, "clients", "connected_clients") == 1
    });
    let mut clients = server.connect_many(9);
    for _ in 0..3 {
        let mut eleventh = server.connect();
        eleventh.expect("-ERR max number of clients reached\r\n");
        eleventh.expect_closed();
    }
    for client in &mut clients {
        client.run("PING").is("+PONG");
    }
    assert_eq!(info(&mut first, "stats", "rejected_connections"), 3);
    clients.pop();
    let admitted = holds_within(support::DEADLINE, || {
        let mut next = server.connect();
        next.send("PING\r\n");
        next.reply().wire() == "+PONG"
    });
    assert!(admitted, "a place became free and nobody got it");
}

/// Real Redis fails: its level-triggered loop spins on `accept` while no descriptor is free.
#[test]
fn l02_no_free_descriptor_neither_spins_nor_stalls() {
    let _quiet = exclusive();
    let server = TestServer::start(&[]);
    let mut first = server.connect();
    first.run("PING").is("+PONG");
    let pid = Pid::from_raw(server.pid() as i32).expect("a process id is positive");
    let limit = |fds: u64| {
        let maximum =
            prlimit(Some(pid), Resource::Nofile, Rlimit { current: Some(fds), maximum: None });
        if maximum.is_err() {
            // Not allowed to raise the hard limit: keep the one it has.
            let hard = Rlimit { current: Some(fds), maximum: Some(20_000) };
            prlimit(Some(pid), Resource::Nofile, hard).expect("a child's limit can be lowered");
        }
    };
    // Descriptors are handed out from the lowest: this leaves room for five more.
    limit(process::fd_count(server.pid()) as u64 + 5);

    let mut clients: Vec<Raw> = (0..30).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send("PING\r\n");
    }
    first.run("PING").is("+PONG");
    let (cpu_before, start) = (process::cpu_ms(server.pid()), Instant::now());
    while start.elapsed() < Duration::from_secs(1) {
        std::thread::sleep(Duration::from_millis(100));
        first.run("PING").is("+PONG");
    }
    let cpu_ms = process::cpu_ms(server.pid()) - cpu_before;
    assert!(cpu_ms <= 100, "{cpu_ms} ms of processor time in a second of waiting for a descriptor");

    // As clients leave, those in the queue are served, though nobody connects anew.
    while !clients.is_empty() {
        let mut client = clients.remove(0);
        client.expect("+PONG\r\n");
    }
}

/// Real Redis fails: an idle client there costs about 10 KB, most of it for its reply buffer.
#[test]
fn l04_ten_thousand_idle_clients_are_cheap() {
    let _quiet = exclusive();
    let own_limit = raise_own_descriptor_limit();
    let count = 10_000.min(own_limit.saturating_sub(500)) as usize;
    if count < 1_000 {
        return skipped("L04", "fewer than 1,500 descriptors allowed");
    }
    let server = TestServer::start(&["--maxclients", "10100"]);
    let mut witness = server.connect();
    let before = process::rss_bytes(server.pid());
    let clients = server.connect_many(count);
    let per_client = process::rss_bytes(server.pid()).saturating_sub(before) / count as u64;
    let slowest = (0..200).map(|_| ping_ms(&mut witness)).max().unwrap_or(0);
    assert!(slowest < 100, "PING took {slowest} ms among {count} idle clients");
    assert!(per_client < 4096, "{per_client} bytes per idle client");
    drop(clients);
    wait_until("all have left", || info(&mut witness, "clients", "connected_clients") == 1);
}

#[test]
fn l05_slowloris_is_timed_out_and_disturbs_nobody() {
    let _quiet = exclusive();
    if raise_own_descriptor_limit() < 3_000 {
        return skipped("L05", "fewer than 3,000 descriptors allowed");
    }
    let server = TestServer::start(&[]);
    let mut witness = server.connect();
    let mut slow: Vec<Raw> = (0..2_000).map(|_| server.connect()).collect();
    for (i, client) in slow.iter_mut().enumerate() {
        client.send(["*", "$", "G", "*1\r\n$4\r\nPI"][i % 4]);
    }
    witness.run("CONFIG SET timeout 1").is("+OK");
    let mut slowest = 0;
    wait_until("all slow clients are closed", || {
        slowest = slowest.max(ping_ms(&mut witness));
        info(&mut witness, "clients", "connected_clients") == 1
    });
    assert!(slowest < 500, "PING took {slowest} ms");
    for client in &mut slow {
        client.read_until_closed();
    }
}

#[test]
fn l08_output_limit_closes_and_stops_the_pipeline() {
    let server = TestServer::start(&["--client-output-buffer-limit", "normal 100000 0 0"]);
    let mut observer = server.connect();
    observer.command(&[b"SET", b"big", &[b'x'; 10_000]]).is("+OK");
    let mut greedy = server.connect();
    greedy.run("PING").is("+PONG");
    // Small enough to be read at once, so that all replies pile up before the first is sent.
    let stream: Vec<u8> = (1..=15)
        .flat_map(|i| [encode_line(&format!("SET k{i} v")), encode_line("GET big")].concat())
        .collect();
    greedy.send(stream);
    greedy.expect_closed();
    observer.run("MGET k1 k15").is("*2\r\n$1\r\nv\r\n$-1");
    wait_until("the log says why", || {
        server.log().contains("scheduled to be closed ASAP for overcoming of output buffer limits")
    });
    observer.run("PING").is("+PONG");
}

/// Real Redis fails: its default limit for normal clients is none. A client that does read gets all it has asked for.
#[test]
fn l10_output_is_bounded_by_default() {
    const MB: u64 = 1 << 20;
    let _quiet = exclusive();
    let server = TestServer::start(&[]);
    let mut observer = server.connect();
    let limits = observer.run("CONFIG GET client-output-buffer-limit").leaves().remove(1);
    let hard: u64 = limits
        .split_once("normal ")
        .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok())
        .expect("a line of limits");
    assert!(hard > 0, "no default limit for normal clients: {limits}");
    assert!(hard <= 512 * MB, "the default limit is far too high: {limits}");

    observer.command(&[b"SET", b"big", &vec![b'x'; MB as usize]]).is("+OK");
    let mut greedy = server.connect();
    greedy.run("CLIENT SETNAME greedy").is("+OK");
    let count = hard / MB + 64;
    greedy.send(encode_line("GET big").repeat(count as usize));
    let mut unread = || {
        let list = observer.run("CLIENT LIST").text();
        let line =
            list.lines().find(|line| line.contains("name=greedy")).expect("it is not closed");
        let omem = line.split(' ').find_map(|field| field.strip_prefix("omem="));
        omem.expect("a field of every line").parse::<u64>().expect("a number")
    };
    wait_until("the replies pile up", || unread() > 16 * MB);
    let more = holds_within(Duration::from_millis(200), || unread() > 48 * MB);
    assert!(!more, "{} bytes for a client that does not read", unread());
    for _ in 0..count {
        assert_eq!(greedy.reply().text().len() as u64, MB);
    }
    greedy.run("PING").is("+PONG");
}

#[test]
fn l11_unauthenticated_flood_is_cut_off() {
    let server = TestServer::start(&["--requirepass", "secret"]);
    let mut observer = server.connect();
    observer.run("AUTH secret").is("+OK");
    let before = process::rss_bytes(server.pid());
    let mut flood = server.connect();
    flood.set_write_timeout(Duration::from_secs(5));
    let block = "PING\r\n".repeat(10_000);
    // The kernel's socket buffers take some megabytes before replies pile up in the server.
    let cut_off = (0..2_000).any(|_| flood.try_send(block.as_bytes()).is_err());
    assert!(cut_off, "120 MB of unread errors were accepted");
    wait_until("the flood is closed", || observer.run("CLIENT LIST").text().lines().count() == 1);
    let growth = process::rss_bytes(server.pid()).saturating_sub(before);
    assert!(growth < 4 << 20, "the flood left {growth} bytes behind");
}

#[test]
fn l12_unauthenticated_requests_are_small() {
    let server = TestServer::start(&["--requirepass", "secret"]);
    for (input, text) in [
        ("*11\r\n", "unauthenticated multibulk length"),
        ("*1\r\n$16385\r\n", "unauthenticated bulk length"),
    ] {
        let mut client = server.connect();
        client.send(input);
        client.expect(format!("-ERR Protocol error: {text}\r\n"));
        client.expect_closed();
    }
    let mut client = server.connect();
    client.send("*10\r\n");
    client.send("$1\r\nx\r\n".repeat(10));
    assert!(client.reply().is_error());
    client.run("AUTH secret").is("+OK");
    client.run(&format!("ECHO {}", "x".repeat(20_000)));
}

/// Real Redis 7.0 fails: the limit came later.
#[test]
fn l13_unauthenticated_query_buffer_is_bounded() {
    // Without the kernel's huge pages, of which each counts as 2 MB as soon as one byte of it is used.
    let wrapper = ["env", "MIMALLOC_ALLOW_THP=0"];
    let server = TestServer::start_under(&wrapper, &["--requirepass", "secret"]);
    let mut admin = server.connect();
    admin.run("AUTH secret").is("+OK");
    admin.run("CLIENT PAUSE 100000 ALL").is("+OK");
    let before = process::rss_bytes(server.pid());
    // A paused AUTH is not executed, so what follows it cannot be parsed away.
    let mut client = server.connect();
    client.set_write_timeout(Duration::from_secs(1));
    client.send(encode_line("AUTH secret"));
    let block = vec![b'x'; 1 << 20];
    // Either the server closes, or it stops reading and the kernel's buffers fill up.
    let refused = (0..64).any(|_| client.try_send(&block).is_err());
    assert!(refused, "64 MB were read from an unauthenticated client");
    let growth = process::rss_bytes(server.pid()).saturating_sub(before);
    assert!(growth < 4 << 20, "an unauthenticated client holds {growth} bytes");
}

#[test]
fn l14_query_buffer_limit_closes() {
    let server = TestServer::start(&[]);
    let mut admin = server.connect();
    admin.run("CONFIG SET client-query-buffer-limit 1mb").is("+OK");
    let mut client = server.connect();
    client.send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5000000\r\n");
    let _ = client.try_send(&vec![b'x'; 3_000_000]);
    assert!(client.read_until_closed().is_empty());
    admin.run("EXISTS k").is(":0");
    wait_until("the log says why", || {
        server.log().contains("Closing client that reached max query buffer length")
    });
}

#[test]
fn l15_a_non_stop_pipeline_does_not_hold_up_others() {
    let _quiet = exclusive();
    let server = TestServer::start(&["--save", ""]);
    let mut witness = server.connect();
    let stop = AtomicBool::new(false);
    let mut latencies: Vec<u128> = Vec::new();
    std::thread::scope(|scope| {
        let flood = server.connect();
        let (mut writer, mut reader) = (flood.second_handle(), flood.second_handle());
        scope.spawn(move || {
            let mut sink = vec![0; 1 << 16];
            while reader.read(&mut sink).is_ok_and(|len| len > 0) {}
        });
        let stop = &stop;
        scope.spawn(move || {
            let block = encode_line(&format!("SET k {}", "x".repeat(100))).repeat(8_000);
            while !stop.load(Ordering::Relaxed) && writer.write_all(&block).is_ok() {}
            let _ = writer.shutdown(std::net::Shutdown::Both);
        });
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(1_500) {
            latencies.push(ping_ms(&mut witness));
        }
        stop.store(true, Ordering::Relaxed);
    });
    latencies.sort_unstable();
    let (middle, slowest) = (latencies[latencies.len() / 2], latencies[latencies.len() - 1]);
    assert!(
        middle < 20 && slowest < 300,
        "PING took {middle} ms in the middle, {slowest} at worst"
    );
}

#[test]
fn l16_patterns_do_not_explode() {
    let server = TestServer::start(&[]);
    let mut client = server.connect();
    let (mut listener, channel) = (server.connect(), "a".repeat(200));
    client.run(&format!("SET {channel} v")).is("+OK");
    let stars = "*".repeat(100_000);
    for pattern in
        [format!("{}b", "a*".repeat(50)), format!("{stars}b"), format!("{}b", "*a".repeat(5_000))]
    {
        let cpu_before = process::cpu_ms(server.pid());
        listener.run(&format!("PSUBSCRIBE {pattern}"));
        client.run(&format!("PUBLISH {channel} message")).is(":0");
        client.run(&format!("KEYS {pattern}")).is("*0\r\n".trim_end());
        client.run(&format!("SCAN 0 MATCH {pattern}")).is("*2\r\n$1\r\n0\r\n*0");
        let cpu_ms = process::cpu_ms(server.pid()) - cpu_before;
        assert!(cpu_ms <= 100, "{cpu_ms} ms for a pattern of {} bytes", pattern.len());
    }
    client
        .run(&format!("KEYS {}", "a*".repeat(50)))
        .is(&format!("*1\r\n$200\r\n{}", "a".repeat(200)));
    client.run(&format!("KEYS {stars}a{stars}")).is(&format!("*1\r\n$200\r\n{}", "a".repeat(200)));
}
