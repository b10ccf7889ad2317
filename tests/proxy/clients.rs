//! What one client does is nobody else's loss: X07, X08, X11, X12.

use std::time::Duration;

use socket2::SockRef;

use super::evil::{Act, Evil, echo};
use crate::support::connection::{encode, encode_line};
use crate::support::proxy::{Behind, key_on, start_proxy, wait_for_slots};
use crate::support::{Raw, process, wait_until};

#[test]
fn x07_replies_to_a_client_that_is_gone_are_nobodys() {
    let Some(behind) = Behind::start("X07", 3, &[]) else { return };
    let mut bystander = behind.proxy.connect();
    for round in 0..20 {
        let mut client = behind.proxy.connect();
        let mut requests = Vec::new();
        for number in 0..1000 {
            requests.extend(encode_line(&format!("SET gone:{number} secret")));
            requests.extend(encode_line(&format!("GET gone:{number}")));
        }
        client.send(&requests);
        if round % 2 == 0 {
            // Closing with something unread, and without waiting, is a reset.
            let handle = client.second_handle();
            SockRef::from(&handle).set_linger(Some(Duration::ZERO)).expect("it can be set");
        }
        drop(client);
        for number in 0..50 {
            let key = format!("mine:{round}:{number}");
            bystander.send(encode(&[b"SET", key.as_bytes(), key.as_bytes()]));
            bystander.send(encode(&[b"GET", key.as_bytes()]));
        }
        for number in 0..50 {
            let key = format!("mine:{round}:{number}");
            bystander.expect("+OK\r\n");
            bystander.expect(format!("${}\r\n{key}\r\n", key.len()));
        }
    }
    let mut admin = behind.proxy.connect();
    wait_until("those that are gone are forgotten", || {
        admin.run("INFO clients").text().contains("connected_clients:2\r\n")
    });
}

#[test]
fn x08_a_client_that_does_not_read_does_not_fill_the_proxy() {
    let Some(behind) = Behind::start("X08", 3, &["--output-limit", "16mb"]) else { return };
    let value = "v".repeat(1 << 20);
    let keys: Vec<String> = (0..3).map(|node| key_on(node, 3, "big:")).collect();
    let mut client = behind.proxy.connect();
    for key in &keys {
        client.command(&[b"SET", key.as_bytes(), value.as_bytes()]).is("+OK");
    }
    let before = process::rss_bytes(behind.proxy.pid());
    let mut slow = behind.proxy.connect();
    slow.set_write_timeout(Duration::from_millis(200));
    let request = encode_line(&format!("GET {}", keys[0])).repeat(100);
    for _ in 0..4 {
        let _ = slow.try_send(&request); // until the proxy stops reading, or hangs up
    }
    for key in &keys {
        client.run(&format!("STRLEN {key}")).is(":1048576");
        client.run(&format!("GET {key}")).starts("$1048576");
    }
    let grown = process::peak_rss_bytes(behind.proxy.pid()).saturating_sub(before);
    assert!(grown < 200 << 20, "{grown} bytes more");
    drop(slow);
    client.run("PING").is("+PONG");
}

#[test]
fn x11_what_cannot_work_is_refused_and_leaves_nothing_behind() {
    let Some(behind) = Behind::start("X11", 3, &[]) else { return };
    let (here, there) = (key_on(0, 3, "h:"), key_on(1, 3, "t:"));
    let mut client = behind.proxy.connect();
    let mut other = behind.proxy.connect();
    let crossslot = "-CROSSSLOT Keys in request don't hash to the same slot";
    client.run(&format!("SUNION {here} {there}")).is(crossslot);
    client.run(&format!("RENAME {here} {there}")).is(crossslot);
    client.run("MULTI").is("+OK");
    client.run(&format!("SET {here} 1")).is("+QUEUED");
    client.run(&format!("SET {there} 1")).starts("-CROSSSLOT");
    client.run("EXEC").starts("-EXECABORT");
    other.run(&format!("EXISTS {here} {there}")).is(":0");
    client.run("MULTI").is("+OK");
    client.run(&format!("SET {here} 1")).is("+QUEUED");
    client.run(&format!("INCR {here}")).is("+QUEUED");
    other.run(&format!("EXISTS {here}")).is(":0");
    client.run("EXEC").is("*2\r\n+OK\r\n:2");
    client.run(&format!("WATCH {here}")).is("+OK");
    other.run(&format!("SET {here} 5")).is("+OK");
    client.run("MULTI").is("+OK");
    client.run(&format!("SET {here} 6")).is("+QUEUED");
    client.run("EXEC").is("*-1");
    client.run("EXEC").is("-ERR EXEC without MULTI");
    for refused in
        ["MONITOR", "WAIT 0 0", "REPLICAOF a 1", "SWAPDB 0 1", "CLIENT TRACKING ON", "PSYNC ? -1"]
    {
        let reply = client.run(refused).wire();
        assert!(reply.starts_with("-ERR"), "{refused}: {reply}");
    }
    client.run("PING").is("+PONG");
    other.run(&format!("GET {here}")).is("$1\r\n5");
}

#[test]
fn x11_databases_channels_and_waiting_are_one_clients_own() {
    let Some(behind) = Behind::start("X11 state", 3, &[]) else { return };
    let (mut client, mut other) = (behind.proxy.connect(), behind.proxy.connect());
    client.run("SELECT 3").is("+OK");
    client.run("SET k three").is("+OK");
    other.run("GET k").is("$-1");
    client.run("GET k").is("$5\r\nthree");
    client.run("SELECT 16").is("-ERR DB index is out of range");
    client.run("SELECT 0").is("+OK");
    client.run("GET k").is("$-1");

    client.send(encode_line("BLPOP queue 0"));
    client.send(encode_line("PING"));
    let mut admin = behind.proxy.connect();
    wait_until("the client waits", || {
        admin.run("INFO clients").text().contains("blocked_clients:1\r\n")
    });
    other.run("GET k").is("$-1"); // nobody waits with it
    other.run("RPUSH queue job").is(":1");
    client.reply().is("*2\r\n$5\r\nqueue\r\n$3\r\njob");
    client.reply().is("+PONG");

    client.run("SUBSCRIBE news").is("*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1");
    client.run("GET k").starts("-ERR Can't execute 'get'");
    wait_until("the subscription has reached a node", || {
        other.run("PUBLISH news hello").number() > 0
    });
    client.reply().is("*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello");
    other.run("GET k").is("$-1"); // messages are nobody else's
    client.run("UNSUBSCRIBE").starts("*3\r\n$11\r\nunsubscribe\r\n");
    client.run("GET k").is("$-1");
    client.run("RESET").is("+RESET");
}

#[test]
fn x12_who_a_client_is_is_its_own_affair() {
    let evil = Evil::start(|words| match words[0].eq_ignore_ascii_case(b"GET") {
        true => Act::reply(echo(words)),
        false => Act::reply("-ERR unknown\r\n"),
    });
    let flags = ["--requirepass", "secret", "--auth", "for-nodes"];
    let proxy = start_proxy(&[evil.address()], &flags);
    let mut good = proxy.connect();
    let mut bad = proxy.connect();
    good.run("GET a").is("-NOAUTH Authentication required.");
    good.run("AUTH secret").is("+OK");
    wait_until("the proxy has found its nodes", || good.run("GET a").wire() == "$1\r\na");
    bad.run("GET a").is("-NOAUTH Authentication required.");
    bad.run("AUTH wrong").is("-WRONGPASS invalid username-password pair or user is disabled.");
    bad.run("AUTH for-nodes").starts("-WRONGPASS");
    bad.run("GET a").is("-NOAUTH Authentication required.");
    good.run("AUTH wrong").starts("-WRONGPASS");
    good.run("GET a").is("$1\r\na"); // as in Redis: the client stays who it was
    assert_eq!(evil.count("wrong") + evil.count("secret"), 0);
    wait_for_slots_as(&mut good);
}

/// As `wait_for_slots`, for a proxy with a password.
fn wait_for_slots_as(client: &mut Raw) {
    assert!(client.run("INFO nodes").text().contains("slots_served:16384\r\n"));
}

#[test]
fn clients_may_speak_resp3_whatever_others_speak() {
    let Some(behind) = Behind::start("RESP3", 3, &[]) else { return };
    wait_for_slots(&behind.proxy);
    let (mut new, mut old) = (behind.proxy.connect(), behind.proxy.connect());
    new.run("HELLO 3").starts("%");
    for client in [&mut new, &mut old] {
        client.run("HSET h f v").wire();
    }
    new.run("HGETALL h").is("%1\r\n$1\r\nf\r\n$1\r\nv");
    old.run("HGETALL h").is("*2\r\n$1\r\nf\r\n$1\r\nv");
    new.run("GET nothing").is("_");
    old.run("GET nothing").is("$-1");
    new.run("HELLO 2").starts("*");
    new.run("HGETALL h").starts("*2");
}
