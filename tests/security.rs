//! Who may talk to the server, from where, and what one learns without a password.
//! Cases C01-C04 of the reliability catalogue.

mod support;

use std::net::{IpAddr, UdpSocket};

use support::connection::encode_line;
use support::{Raw, TestServer, process, skipped};

const NOAUTH: &str = "-NOAUTH Authentication required.";

/// The address from which this machine would talk to the rest of the world.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Connecting a UDP socket sends nothing: it only chooses a route.
    socket.connect("192.0.2.254:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

#[test]
fn c01_default_config_listens_on_loopback_only() {
    if support::testing_another_server() {
        return skipped("C01", "Redis without a configuration file binds to all addresses");
    }
    let server = TestServer::start(&["--bind", ""]);
    let addresses = process::listening(server.pid());
    assert!(!addresses.is_empty());
    for address in &addresses {
        assert!(address.ip().is_loopback(), "listens on {address}");
    }
}

#[test]
fn c02_protected_mode_denies_a_remote_peer_without_a_password() {
    let Some(ip) = own_address() else {
        return skipped("C02", "this machine has no address but loopback");
    };
    let server = TestServer::start(&["--bind", &format!("127.0.0.1 {ip}")]);
    let mut local = server.connect();
    local.run("CONFIG GET protected-mode").is("*2\r\n$14\r\nprotected-mode\r\n$3\r\nyes");
    let mut address = server.address();
    address.set_ip(ip);

    let mut remote = Raw::connect(address);
    let said = String::from_utf8(remote.read_until_closed()).expect("the refusal is text");
    assert!(said.starts_with("-DENIED Redis is running in protected mode"), "{said}");
    assert!(said.ends_with("\r\n") && said.matches("\r\n").count() == 1, "{said}");

    // A password, or the mode switched off, opens the door.
    local.run("CONFIG SET requirepass secret").is("+OK");
    let mut remote = Raw::connect(address);
    remote.run("PING").is(NOAUTH);
    remote.run("AUTH secret").is("+OK");
    remote
        .run("CONFIG SET requirepass")
        .is("-ERR wrong number of arguments for 'config|set' command");
    local.command(&[b"CONFIG", b"SET", b"requirepass", b""]).is("+OK");
    local.run("CONFIG SET protected-mode no").is("+OK");
    Raw::connect(address).run("PING").is("+PONG");
}

/// Real Redis fails: its answer to DEBUG tells whether that is enabled.
#[test]
fn c03_nothing_but_auth_works_before_auth() {
    let server = TestServer::start(&["--requirepass", "secret"]);
    let mut admin = server.connect();
    admin.run("AUTH secret").is("+OK");
    admin.run("SET k v").is("+OK");
    let names = admin.run("COMMAND LIST").leaves();
    let mut client = server.connect();
    for name in names.iter().filter(|name| !name.contains('|')) {
        if ["auth", "hello", "quit", "reset"].contains(&name.as_str()) {
            continue;
        }
        let arity: i64 =
            admin.run(&format!("COMMAND INFO {name}")).leaves()[1].parse().expect("a number");
        let line = format!("{name}{}", " k".repeat(arity.unsigned_abs() as usize - 1));
        let reply = client.run(&line).wire();
        // Only an unknown subcommand and EXEC have words of their own, and those tell nothing either.
        let help = format!("-ERR unknown subcommand 'k'. Try {} HELP.", name.to_uppercase());
        let exec = "-EXECABORT Transaction discarded because of: NOAUTH Authentication required.";
        assert!(reply == NOAUTH || reply == help || reply == exec, "{line}: {reply}");
    }
    // Subcommands, DEBUG, and what does not exist: nothing about the server or its data.
    for line in ["CONFIG GET requirepass", "CLIENT LIST", "COMMAND COUNT", "DEBUG SLEEP 0"] {
        client.run(line).is(NOAUTH);
    }
    // Redis looks the name up first; that tells which commands exist, which is no secret.
    let reply = client.run("NOSUCH k").wire();
    let unknown = "-ERR unknown command 'NOSUCH', with args beginning with: 'k' ";
    assert!(reply == NOAUTH || reply == unknown, "{reply}");
    client.run("HELLO 3").is(
        "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH \
         <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the \
         same time",
    );
    client.run("RESET").is("+RESET");
    client.run("GET k").is(NOAUTH);
    client.run("HELLO 2 AUTH default secret");
    client.run("GET k").is("$1\r\nv");
    client.run("RESET").is("+RESET");
    client.run("GET k").is(NOAUTH);
    client.run("QUIT").is("+OK");
    client.expect_closed();
    admin.run("GET k").is("$1\r\nv");
}

#[test]
fn c04_wrong_passwords_and_passwords_where_none_is_set() {
    const WRONG: &str = "-WRONGPASS invalid username-password pair or user is disabled.";
    let open = TestServer::start(&[]);
    let mut client = open.connect();
    client.run("AUTH x").is(
        "-ERR AUTH <password> called without any password configured for the default user. Are you sure your \
         configuration is correct?",
    );
    client.run("AUTH default anything").is("+OK");
    client.run("AUTH nobody x").is(WRONG);
    client.run("AUTH a b c").is("-ERR syntax error");
    client.run("PING").is("+PONG");

    let server = TestServer::start(&["--requirepass", "secret"]);
    let mut client = server.connect();
    for bad in ["secre", "secretx", "Secret", "default", "default secre", "nobody secret"] {
        client.run(&format!("AUTH {bad}")).is(WRONG);
    }
    client.run("HELLO 3 AUTH default bad").is(WRONG);
    client.run("PING").is(NOAUTH);
    client.run("AUTH secret").is("+OK");
    // A failed attempt does not take away what an earlier one gave.
    client.send([encode_line("AUTH bad"), encode_line("PING")].concat());
    client.reply().is(WRONG);
    client.reply().is("+PONG");
}
