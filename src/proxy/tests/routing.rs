//! Where requests go, and what becomes of the replies.

use super::*;

#[test]
fn a_request_goes_to_the_node_of_its_key_and_its_reply_comes_back() {
    let mut proxy = TestProxy::new();
    for (index, key) in KEYS.iter().enumerate() {
        assert_eq!(proxy.run(&format!("GET {key}")), "");
        let port = index as u16 + 1;
        assert_eq!(proxy.answer(port, "$1\r\nv\r\n"), format!("GET {key}"));
        assert_eq!(proxy.take(proxy.first()), "$1 v");
    }
}

#[test]
fn a_request_is_passed_on_as_it_came() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    for bytes in [
        b"*3\r\n$3\r\nset\r\n$1\r\nb\r\n$1\r\n1\r\n".as_slice(),
        b"set b 1\r\n",
        b"*0\r\n*3\r\n$3\r\nset\r\n$1\r\nb\r\n$1\r\n1\r\n",
        b"*3\r\n$3\r\nset--$1\r\nb--$1\r\n1--", // what ends an argument is not looked at, nor passed on
    ] {
        proxy.send(client, bytes);
        assert_eq!(proxy.answer(1, "+OK\r\n"), "set b 1");
        assert_eq!(proxy.take(client), "+OK");
    }
}

#[test]
fn x01_replies_come_in_the_order_of_the_requests() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    proxy.ask(client, &["GET b", "GET c", "GET a", "PING", "GET b"]);
    proxy.answer(3, "$1\r\n3\r\n");
    assert_eq!(proxy.take(client), "");
    proxy.answer(1, "$1\r\n1\r\n");
    assert_eq!(proxy.take(client), "$1 1");
    proxy.answer(1, "$1\r\n4\r\n");
    proxy.answer(2, "$1\r\n2\r\n");
    assert_eq!(proxy.take(client), "$1 2 $1 3 +PONG $1 4");
}

#[test]
fn requests_of_all_clients_share_one_link_per_node() {
    let mut proxy = TestProxy::new();
    let clients: Vec<_> = (0..10).map(|_| proxy.connect()).collect();
    for (number, &client) in clients.iter().enumerate() {
        proxy.ask(client, &[&format!("GET b{{b}}{number}")]);
    }
    assert_eq!(proxy.links_to(1).len(), 1);
    for (number, &client) in clients.iter().enumerate() {
        proxy.answer(1, &format!(":{number}\r\n"));
        assert_eq!(proxy.take(client), format!(":{number}"));
    }
}

#[test]
fn many_keys_are_split_and_joined_in_their_order() {
    let mut proxy = TestProxy::new();
    assert_eq!(proxy.run("MGET a b c b"), "");
    assert_eq!(proxy.answer(1, "*2\r\n$2\r\nb1\r\n$2\r\nb2\r\n"), "MGET b b");
    assert_eq!(proxy.answer(2, "*1\r\n$-1\r\n"), "MGET c");
    assert_eq!(proxy.take(proxy.first()), "");
    assert_eq!(proxy.answer(3, "*1\r\n$1\r\na\r\n"), "MGET a");
    assert_eq!(proxy.take(proxy.first()), "*4 $1 a $2 b1 $-1 $2 b2");

    proxy.run("MSET b 1 c 2 b 3");
    assert_eq!(proxy.answer(1, "+OK\r\n"), "MSET b 1 b 3");
    assert_eq!(proxy.answer(2, "+OK\r\n"), "MSET c 2");
    assert_eq!(proxy.take(proxy.first()), "+OK");

    for name in ["DEL", "UNLINK", "EXISTS", "TOUCH"] {
        proxy.run(&format!("{name} a b c"));
        (1..=3).for_each(|port| {
            proxy.answer(port, ":1\r\n");
        });
        assert_eq!(proxy.take(proxy.first()), ":3", "{name}");
    }
    assert_eq!(proxy.run("MSET b 1 c"), "-ERR wrong number of arguments for 'mset' command");
}

#[test]
fn keys_of_one_node_are_not_split() {
    let mut proxy = TestProxy::new();
    proxy.run("mget b {b}2 {b}3");
    assert_eq!(proxy.answer(1, "*3\r\n:1\r\n:2\r\n:3\r\n"), "mget b {b}2 {b}3");
    assert_eq!(proxy.take(proxy.first()), "*3 :1 :2 :3");
}

#[test]
fn whoever_wants_the_error_gets_it() {
    let mut proxy = TestProxy::with(|options| options.cross_slot = false);
    let error = "-CROSSSLOT Keys in request don't hash to the same slot";
    assert_eq!(proxy.run("MGET a b"), error);
    assert_eq!(proxy.run("MSET a 1 b 2"), error);
    assert_eq!(proxy.run("MGET {a}1 {a}2"), "");
    assert_eq!(proxy.answer(3, "*2\r\n:1\r\n:2\r\n"), "MGET {a}1 {a}2");
}

#[test]
fn x11_keys_of_several_slots_are_refused_where_they_cannot_be_split() {
    let mut proxy = TestProxy::new();
    let error = "-CROSSSLOT Keys in request don't hash to the same slot";
    for request in ["SINTER a b", "RENAME a b", "EVAL x 2 a b", "MSETNX a 1 b 2", "BLPOP a b 0"] {
        assert_eq!(proxy.run(request), error, "{request}");
    }
    proxy.run("SINTERSTORE {b}x {b}y b");
    assert_eq!(proxy.answer(1, ":0\r\n"), "SINTERSTORE {b}x {b}y b");
}

#[test]
fn in_front_of_one_server_all_keys_are_at_one_place() {
    let mut proxy = TestProxy::with(|options| options.nodes.truncate(1));
    for request in ["SINTER a b", "MGET a b c", "DBSIZE", "SCAN 0"] {
        proxy.run(request);
        assert_eq!(proxy.answer(1, ":0\r\n"), request);
        assert_eq!(proxy.take(proxy.first()), ":0");
    }
}

#[test]
fn all_nodes_are_asked_and_their_replies_joined() {
    let mut proxy = TestProxy::new();
    for (request, parts, reply) in [
        ("DBSIZE", [":1\r\n", ":20\r\n", ":300\r\n"], ":321"),
        ("KEYS *", ["*0\r\n", "*1\r\n$1\r\nc\r\n", "*1\r\n$1\r\na\r\n"], "*2 $1 c $1 a"),
        ("FLUSHALL", ["+OK\r\n", "+OK\r\n", "-READONLY no\r\n"], "-READONLY no"),
        ("SCRIPT LOAD x", ["$1\r\ns\r\n", "$1\r\ns\r\n", "$1\r\ns\r\n"], "$1 s"),
        ("SCRIPT EXISTS s", ["*1\r\n:1\r\n", "*1\r\n:0\r\n", "*1\r\n:1\r\n"], "*1 :0"),
        ("RANDOMKEY", ["$-1\r\n", "$1\r\nc\r\n", "$-1\r\n"], "$1 c"),
    ] {
        proxy.run(request);
        for (index, part) in parts.iter().enumerate() {
            assert_eq!(proxy.answer(index as u16 + 1, part), request);
        }
        assert_eq!(proxy.take(proxy.first()), reply);
    }
}

#[test]
fn scan_goes_through_one_node_after_the_other() {
    let mut proxy = TestProxy::new();
    let page = |cursor: u64, key: &str| {
        format!("*2\r\n${}\r\n{cursor}\r\n*1\r\n$1\r\n{key}\r\n", cursor.to_string().len())
    };
    const LARGEST: u64 = (1 << 53) - 1;
    let mut cursor = "0".to_owned();
    for (port, asked, answered, key) in
        [(1, 0, 7, "b"), (1, 7, 0, "d"), (2, 0, LARGEST, "c"), (2, LARGEST, 0, "e"), (3, 0, 0, "a")]
    {
        proxy.run(&format!("SCAN {cursor} COUNT 5"));
        assert_eq!(proxy.answer(port, &page(answered, key)), format!("SCAN {asked} COUNT 5"));
        let reply = proxy.take(proxy.first());
        let words: Vec<&str> = reply.split(' ').collect();
        assert_eq!(words[3..], ["*1", "$1", key]);
        cursor = words[2].to_owned();
        assert!(cursor.parse::<i64>().is_ok());
    }
    assert_eq!(cursor, "0");
    assert_eq!(proxy.run("SCAN 9223372036854775807"), "-ERR invalid cursor");
    assert_eq!(proxy.run("SCAN x"), "-ERR invalid cursor");
}

#[test]
fn scripts_go_to_their_keys_and_those_without_to_the_first_node() {
    let mut proxy = TestProxy::new();
    proxy.run("EVALSHA s 1 c x");
    assert_eq!(proxy.answer(2, ":1\r\n"), "EVALSHA s 1 c x");
    proxy.run("EVAL s 0");
    assert_eq!(proxy.answer(1, ":1\r\n"), "EVAL s 0");
}

#[test]
fn what_needs_no_node_is_answered_here() {
    let mut proxy = TestProxy::new();
    assert_eq!(proxy.run("PING"), "+PONG");
    assert_eq!(proxy.run("ECHO x"), "$1 x");
    assert_eq!(
        proxy.run("NOSUCH a b"),
        "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b'"
    );
    assert_eq!(proxy.run("GET"), "-ERR wrong number of arguments for 'get' command");
    assert!(proxy.run("HELLO 3").starts_with("%7 $6 server"));
    assert_eq!(proxy.run("SELECT 99"), "-ERR DB index is out of range");
    assert_eq!(proxy.seen, []);
}

#[test]
fn x11_what_cannot_work_is_refused_in_one_clear_error() {
    let mut proxy = TestProxy::new();
    for request in ["WAIT 1 1", "MONITOR", "SWAPDB 0 1", "PSYNC ? -1", "SAVE", "MIGRATE h 1 k 0 1"]
    {
        let reply = proxy.run(request);
        let name = request.split(' ').next().unwrap();
        if name != "PSYNC" {
            let start = format!("-ERR {name} is not available through the proxy: ");
            assert!(reply.starts_with(&start), "{request}: {reply}");
        }
    }
    assert_eq!(proxy.seen, []);
    assert_eq!(proxy.run("PING"), "+PONG");
}

#[test]
fn each_protocol_and_database_has_links_of_its_own() {
    let mut proxy = TestProxy::new();
    let other = proxy.connect();
    proxy.run("GET b");
    proxy.answer(1, "$-1\r\n");
    proxy.ask(other, &["HELLO 3", "SELECT 5", "GET b"]);
    proxy.answer(1, "_\r\n");
    assert!(proxy.take(other).ends_with("+OK _"));
    assert_eq!(proxy.all_links_to(1).len(), 3, "one for questions, one for each manner");
    proxy.run("GET b");
    proxy.answer(1, "$-1\r\n");
    assert_eq!(proxy.take(proxy.first()), "$-1");
}

#[test]
fn x12_the_password_is_the_clients_affair() {
    let mut proxy = TestProxy::with(|options| {
        options.requirepass = b"front".to_vec();
        options.auth = b"back".to_vec();
    });
    assert_eq!(proxy.run("GET b"), "-NOAUTH Authentication required.");
    assert_eq!(proxy.run("AUTH back").split(' ').next(), Some("-WRONGPASS"));
    assert_eq!(proxy.run("AUTH front"), "+OK");
    assert_eq!(proxy.run("AUTH wrong").split(' ').next(), Some("-WRONGPASS"));
    proxy.run("GET b");
    assert_eq!(proxy.answer(1, "$-1\r\n"), "GET b");
    let other = proxy.connect();
    proxy.ask(other, &["GET b"]);
    assert_eq!(proxy.take(other), "-NOAUTH Authentication required.");
}

#[test]
fn after_quit_nothing_more_is_run() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    proxy.ask(client, &["GET b", "QUIT", "SET b 1"]);
    assert!(proxy.is_connected(client));
    proxy.answer(1, "$1\r\nv\r\n");
    assert_eq!(proxy.take(client), "$1 v +OK");
    assert!(!proxy.is_connected(client));
    assert_eq!(proxy.seen.len(), 1);
}

#[test]
fn a_request_that_is_none_is_refused_and_ends_the_connection() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    proxy.send(client, b"*1\r\n$4\r\nPING\r\n*x\r\n");
    assert_eq!(proxy.take(client), "+PONG -ERR Protocol error: invalid multibulk length");
    assert!(!proxy.is_connected(client));
}

#[test]
fn a_long_reply_is_handed_on_in_pieces() {
    let mut proxy = TestProxy::new();
    let client = proxy.first();
    proxy.ask(client, &["GET b", "GET c", "GET b"]);
    let link = proxy.links_to(1)[0];
    proxy.node_sends(link, b"$100000\r\n");
    proxy.node_sends(link, &[b'x'; 60_000]);
    assert_eq!(proxy.take(client).len(), 60_009 - 1, "a line end has become a space");
    proxy.answer(2, ":2\r\n");
    proxy.node_sends(link, &[b'x'; 40_000]);
    proxy.node_sends(link, b"\r\n:3\r\n");
    let rest = proxy.take(client);
    assert!(rest.ends_with("x :2 :3"), "{}", &rest[rest.len() - 20..]);
}
