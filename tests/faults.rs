//! Failing system calls and networks: errors injected with `strace`, storms of resets, a peer that vanishes.
//! Cases L03 and L21-L23 of the reliability catalogue. What needs rights or tools that are missing is skipped visibly.

mod support;

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use support::connection::encode_line;
use support::namespace::Namespace;
use support::strace::{Trace, can_trace};
use support::{Raw, TestServer, exclusive, process, skipped, testing_another_server, wait_until};

#[test]
fn l03_failing_accept_does_not_stop_accepting() {
    if !can_trace() {
        return skipped("L03", "strace is missing or may not trace");
    }
    for error in ["ECONNABORTED", "EPERM", "ENFILE", "EMFILE"] {
        let faults = [
            "trace=accept4,accept",
            &format!("inject=accept4:error={error}:when=2+2"),
            &format!("inject=accept:error={error}:when=2+2"),
        ];
        let trace = Trace::new(&faults);
        let mut server = TestServer::start_under(&trace.wrapper(), &[]);
        // Twenty at once: the queue is not empty when accept fails, and nothing new comes to wake the loop.
        let mut clients: Vec<Raw> = (0..20).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.send("PING\r\n");
        }
        for client in &mut clients {
            client.expect("+PONG\r\n");
        }
        assert!(trace.injected() > 0, "no accept failed with {error}");
        server.expect_alive();
    }
}

#[test]
fn l22_failing_reads_and_writes_end_one_client_each() {
    if !can_trace() {
        return skipped("L22", "strace is missing or may not trace");
    }
    // Redis uses the calls for files on its sockets too. Ours must keep them for files, where an error means more.
    let calls = if testing_another_server() {
        ["read", "write", "writev"]
    } else {
        ["recvfrom", "sendto", "writev"]
    };
    let mut faults = vec![format!("trace={}", calls.join(","))];
    for (call, error) in calls.iter().zip(["ECONNRESET", "EPIPE", "ETIMEDOUT"]) {
        faults.push(format!("inject={call}:error={error}:when=40+7"));
    }
    let faults: Vec<&str> = faults.iter().map(String::as_str).collect();
    let trace = Trace::new(&faults);
    let mut server = TestServer::start_under(&trace.wrapper(), &[]);
    let fds_before = process::fd_count(server.pid());
    let mut cut_off = 0;
    for i in 0..150 {
        let mut client = server.connect();
        let request = encode_line(&format!("SET k {i}")).repeat(4);
        for _ in 0..4 {
            if client.try_send(&request).is_err() {
                break;
            }
        }
        client.finish_sending_quietly();
        let replies = client.read_until_closed();
        assert!(replies.chunks(5).all(|reply| b"+OK\r\n".starts_with(reply)), "a strange reply");
        cut_off += usize::from(replies.len() < 16 * 5);
    }
    let injected = trace.injected();
    assert!(injected > 0 && cut_off > 0, "{injected} faults injected, {cut_off} clients cut off");
    wait_until("all clients are gone", || process::fd_count(server.pid()) <= fds_before);
    assert!(server.is_running(), "{}", server.log());
    assert!(server.log().len() < 100_000, "the log was flooded");
    let alive = support::holds_within(support::DEADLINE, || {
        let mut client = server.connect();
        client.try_send(b"PING\r\n").is_ok() && {
            client.finish_sending_quietly();
            client.read_until_closed() == b"+PONG\r\n"
        }
    });
    assert!(alive, "nobody is served any more");
}

#[test]
fn l23_a_storm_of_resets_leaves_nothing_behind() {
    let _quiet = exclusive();
    let mut server = TestServer::start(&[]);
    let mut witness = server.connect();
    witness.run("PING").is("+PONG");
    wait_until("only one client is left", || {
        witness.run("CLIENT LIST").text().lines().count() == 1
    });
    let fds_before = process::fd_count(server.pid());
    let rss_before = process::rss_bytes(server.pid());
    for i in 0..10_000 {
        let stream = TcpStream::connect(server.address()).expect("the queue has room");
        if i % 3 == 0 {
            // Some die with a request under way, some with half of one.
            let mut client = Raw::over_tcp(stream.try_clone().expect("a descriptor is free"));
            let _ = client.try_send(if i % 2 == 0 { b"PING\r\n" } else { b"*1\r\n$4" });
        }
        let socket = socket2::SockRef::from(&stream);
        socket.set_linger(Some(Duration::ZERO)).expect("linger can be set");
    }
    wait_until("all descriptors are back", || process::fd_count(server.pid()) == fds_before);
    let growth = process::rss_bytes(server.pid()).saturating_sub(rss_before);
    assert!(growth < 16 << 20, "the storm left {growth} bytes behind");
    witness.run("PING").is("+PONG");
    assert_eq!(witness.run("CLIENT LIST").text().lines().count(), 1);
    server.expect_alive();
}

#[test]
fn l21_a_peer_that_vanishes_is_noticed() {
    let namespace = match Namespace::new() {
        Ok(namespace) => namespace,
        Err(why) => return skipped("L21", &why),
    };
    let socket = std::env::temp_dir().join(format!("mini-redis-l21-{}.sock", std::process::id()));
    let socket_name = socket.to_string_lossy().into_owned();
    let address = namespace.inside.to_string();
    let server = TestServer::start_under(
        &namespace.wrapper(),
        &[
            "--bind",
            &address,
            "--protected-mode",
            "no",
            "--tcp-keepalive",
            "1",
            "--unixsocket",
            &socket_name,
        ],
    );
    let mut observer = Raw::connect_unix(&socket);
    let mut peer = Raw::connect(SocketAddr::new(namespace.inside, server.port()));
    peer.run("CLIENT SETNAME vanishing").is("+OK");
    assert!(observer.run("CLIENT LIST").text().contains("name=vanishing"));
    namespace.cut(true);
    // No FIN and no RST can come through: only the keepalive probes tell.
    wait_until("the dead peer is dropped", || {
        !observer.run("CLIENT LIST").text().contains("name=vanishing")
    });
    drop(server);
    let _ = std::fs::remove_file(&socket);
}
