//! Life of a connection: order of replies, requests that arrive in halves, the kinds of sockets, idle time, other
//! clients that end or pause it, the two protocol versions, and changes of port and address at run time.
//! Case P26 of the reliability catalogue among them.

mod support;

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use support::connection::encode_line;
use support::{Raw, TestServer, skipped, wait_until};

/// `field=value` of the line of `CLIENT LIST` that holds `marker`.
fn client_field(observer: &mut Raw, marker: &str, field: &str) -> Option<String> {
    let list = observer.run("CLIENT LIST").text();
    let line = list.lines().find(|line| line.contains(marker))?;
    let start = format!("{field}=");
    line.split(' ').find_map(|word| word.strip_prefix(&start)).map(str::to_string)
}

#[test]
fn replies_come_in_the_order_of_the_requests() {
    let server = TestServer::start(&[]);
    let mut clients = server.connect_many(20);
    for (c, client) in clients.iter_mut().enumerate() {
        let mut stream = Vec::new();
        for i in 0..200 {
            stream.extend(encode_line(&format!("SET k{c} {i}")));
            stream.extend(encode_line(&format!("GET k{c}")));
            stream.extend(format!("echo inline-{i}\r\n").as_bytes());
        }
        client.send(stream);
    }
    for client in &mut clients {
        for i in 0..200 {
            client.expect("+OK\r\n");
            client.reply().is(&format!("${}\r\n{i}", i.to_string().len()));
            let inline = format!("inline-{i}");
            client.reply().is(&format!("${}\r\n{inline}", inline.len()));
        }
    }
}

#[test]
fn a_half_written_request_waits_and_disturbs_nobody() {
    let server = TestServer::start(&[]);
    let mut slow = server.connect();
    let mut other = server.connect();
    let value = "x".repeat(100_000);
    let request = encode_line(&format!("SET big {value}"));
    for part in request.chunks(9_999) {
        slow.send(part);
        other.run("PING").is("+PONG");
    }
    slow.expect("+OK\r\n");
    other.run("STRLEN big").is(":100000");

    slow.send("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$4\r\nlo");
    other.run("PING").is("+PONG");
    drop(slow);
    wait_until("the half request is forgotten", || {
        other.run("CLIENT LIST").text().lines().count() == 1
    });
    other.run("STRLEN big").is(":100000");
}

#[test]
fn all_replies_arrive_though_the_client_has_stopped_sending() {
    let server = TestServer::start(&[]);
    let mut client = server.connect();
    client.send([encode_line("SET k v"), encode_line("GET k")].concat());
    client.finish_sending();
    assert_eq!(client.read_until_closed(), b"+OK\r\n$1\r\nv\r\n");
}

#[test]
fn a_value_larger_than_the_socket_buffers_arrives_whole() {
    let server = TestServer::start(&[]);
    let mut client = server.connect();
    let mut other = server.connect();
    let value: Vec<u8> = (0..16_000_000u32).map(|i| (i % 251) as u8).collect();
    client.command(&[b"SET", b"k", &value]).is("+OK");
    client.send(encode_line("GET k"));
    other.run("PING").is("+PONG"); // served while the big reply is stuck in the client's socket
    client.expect("$16000000\r\n");
    client.expect(&value);
    client.expect("\r\n");
    client.run("PING").is("+PONG");
}

#[test]
fn unix_socket_serves_with_the_mode_asked_for() {
    let path = std::env::temp_dir().join(format!("mini-redis-{}.sock", std::process::id()));
    let name = path.to_string_lossy().into_owned();
    let server = TestServer::start(&["--unixsocket", &name, "--unixsocketperm", "700"]);
    let mut client = Raw::connect_unix(&path);
    client.run("SET k v").is("+OK");
    server.connect().run("GET k").is("$1\r\nv");
    let mode = std::fs::metadata(&path).expect("the socket is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let info = client.run("CLIENT INFO").text();
    assert!(info.contains(&format!("addr={name}:0 ")), "{info}");
    drop(server);
    client.expect_closed();
    let _ = std::fs::remove_file(&path);
}

#[test]
fn ipv6_serves() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return skipped("ipv6_serves", "this machine has no ::1");
    }
    let server = TestServer::start(&["--bind", "::1"]);
    let mut client = server.connect();
    client.run("PING").is("+PONG");
    let info = client.run("CLIENT INFO").text();
    assert!(info.contains(" addr=[::1]:"), "{info}");
}

#[test]
fn timeout_closes_idle_clients_and_only_those() {
    let server = TestServer::start(&["--timeout", "1"]);
    let mut busy = server.connect();
    let mut idle = server.connect();
    idle.run("PING").is("+PONG");
    wait_until("the idle client is closed", || {
        busy.run("PING").is("+PONG");
        idle.is_closed()
    });
    busy.run("CONFIG SET timeout 0").is("+OK");
    busy.run("PING").is("+PONG");
}

#[test]
fn client_kill_ends_the_right_connection() {
    let server = TestServer::start(&[]);
    let mut killer = server.connect();
    let mut by_id = server.connect();
    let mut by_address = server.connect();
    let mut bystander = server.connect();
    let id = by_id.run("CLIENT ID").number();
    bystander.run("PING").is("+PONG");
    by_address.run("PING").is("+PONG");

    killer.run(&format!("CLIENT KILL ID {id}")).is(":1");
    by_id.expect_closed();
    killer.run(&format!("CLIENT KILL ID {id}")).is(":0");
    killer.run(&format!("CLIENT KILL {}", by_address.local_address())).is("+OK");
    by_address.expect_closed();
    killer.run("CLIENT KILL 127.0.0.1:1").is("-ERR No such client");
    bystander.run("PING").is("+PONG");

    killer.run("CLIENT KILL TYPE normal").is(":1"); // SKIPME is the default
    bystander.expect_closed();
    let own = killer.run("CLIENT ID").number();
    killer.run(&format!("CLIENT KILL ID {own} SKIPME no")).is(":1");
    killer.expect_closed();
    server.connect().run("PING").is("+PONG");
}

#[test]
fn client_pause_write_holds_writes_only() {
    let server = TestServer::start(&[]);
    let mut admin = server.connect();
    let mut writer = server.connect();
    let mut reader = server.connect();
    writer.run("SET k 1").is("+OK");
    admin.run("CLIENT PAUSE 100000 WRITE").is("+OK");
    writer.send(encode_line("SET k 2"));
    reader.run("GET k").is("$1\r\n1");
    writer.expect_silence();
    admin.run("CLIENT UNPAUSE").is("+OK");
    writer.expect("+OK\r\n");
    reader.run("GET k").is("$1\r\n2");
}

#[test]
fn client_pause_all_ends_by_itself() {
    let server = TestServer::start(&[]);
    let mut admin = server.connect();
    let mut held = server.connect();
    held.run("PING").is("+PONG");
    let start = std::time::Instant::now();
    admin.run("CLIENT PAUSE 300 ALL").is("+OK");
    held.send([encode_line("ECHO 1"), encode_line("ECHO 2")].concat());
    held.reply().is("$1\r\n1");
    held.reply().is("$1\r\n2");
    let waited_ms = start.elapsed().as_millis();
    assert!(waited_ms >= 299, "held for {waited_ms} ms only");
}

#[test]
fn p26_hello_refuses_bad_versions_and_options() {
    let server = TestServer::start(&[]);
    let mut client = server.connect();
    client.run("HELLO 4").is("-NOPROTO unsupported protocol version");
    client.run("HELLO 1").is("-NOPROTO unsupported protocol version");
    client.run("HELLO a").is("-ERR Protocol version is not an integer or out of range");
    client.run("HELLO 3 AUTH").is("-ERR Syntax error in HELLO option 'AUTH'");
    client.run("HELLO 3 auth user").is("-ERR Syntax error in HELLO option 'auth'");
    client.run("HELLO 3 SETNAME").is("-ERR Syntax error in HELLO option 'SETNAME'");
    client.run("GET missing").is("$-1"); // still RESP2
}

#[test]
fn hello_3_switches_the_replies() {
    let server = TestServer::start(&[]);
    let mut client = server.connect();
    let hello = client.run("HELLO 3 SETNAME me");
    assert!(hello.wire().starts_with("%7\r\n$6\r\nserver\r\n"), "{}", hello.wire());
    let fields = hello.leaves();
    let value = |name: &str| {
        let at = fields.iter().position(|field| field == name);
        at.map(|at| fields[at + 1].clone())
    };
    assert_eq!(value("proto").as_deref(), Some("3"));
    assert_eq!(value("mode").as_deref(), Some("standalone"));
    assert_eq!(value("role").as_deref(), Some("master"));
    assert_eq!(value("id"), Some(client.run("CLIENT ID").text()));

    client.run("GET missing").is("_");
    client.run("MGET missing").is("*1\r\n_");
    client.run("CONFIG GET maxclients").is("%1\r\n$10\r\nmaxclients\r\n$5\r\n10000");
    client.run("CLIENT GETNAME").is("$2\r\nme");
    let list = client.run("CLIENT LIST").wire();
    assert!(list.starts_with("=") && list.contains("\r\ntxt:id="), "{list}");
    assert_eq!(client_field(&mut client, "name=me", "resp").as_deref(), Some("3"));

    let hello = client.run("HELLO 2").wire();
    assert!(hello.starts_with("*14\r\n$6\r\nserver\r\n"), "{hello}");
    client.run("GET missing").is("$-1");
    client.run("HELLO 3");
    client.run("RESET").is("+RESET");
    client.run("GET missing").is("$-1");
}

#[test]
fn config_set_port_moves_the_listener_and_keeps_the_clients() {
    let server = TestServer::start(&[]);
    let mut client = server.connect();
    let port = support::server::free_port();
    client.run(&format!("CONFIG SET port {port}")).is("+OK");
    let mut moved = server.address();
    moved.set_port(port);
    Raw::connect(moved).run("PING").is("+PONG");
    assert!(TcpStream::connect(server.address()).is_err(), "the old port still listens");
    client.run("PING").is("+PONG");

    // A port that is taken changes nothing.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let taken_port = taken.local_addr().expect("it is bound").port();
    let refused = client.run(&format!("CONFIG SET port {taken_port}"));
    assert!(refused.wire().starts_with("-ERR CONFIG SET failed"), "{}", refused.wire());
    Raw::connect(moved).run("CONFIG GET port").is(&format!("*2\r\n$4\r\nport\r\n$5\r\n{port}"));
}

#[test]
fn config_set_bind_moves_the_listener_and_keeps_the_clients() {
    let server = TestServer::start(&[]);
    let mut client = server.connect();
    client.run("CONFIG SET bind 127.0.0.2").is("+OK");
    let mut moved = server.address();
    moved.set_ip([127, 0, 0, 2].into());
    Raw::connect(moved).run("PING").is("+PONG");
    assert!(TcpStream::connect(server.address()).is_err(), "the old address still listens");
    client.run("PING").is("+PONG");

    let refused = client.run("CONFIG SET bind 203.0.113.1").wire();
    assert!(refused.starts_with("-ERR CONFIG SET failed"), "{refused}");
    Raw::connect(moved).run("PING").is("+PONG");
}
