//! `client top` at a terminal: what an operator sees of a server, and of a proxy with its nodes.

mod support;

use std::net::SocketAddr;
use std::process::Command;

use expectrl::{Eof, Expect};
use support::client::CLIENT;
use support::connection::encode_line;
use support::proxy::{key_on, start_proxy, wait_for_slots};
use support::screen::Screen;
use support::{Raw, TestServer};

fn top(address: SocketAddr, columns: u16) -> Screen {
    let mut command = Command::new(CLIENT);
    command.arg(address.to_string()).args(["-i", "0.2", "top"]);
    command.env("TERM", "xterm").env_remove("REDISCLI_AUTH");
    Screen::start(command, columns, 40)
}

fn end(mut screen: Screen) {
    screen.send("q");
    // Back on the normal screen.
    screen.session().expect("\x1b[?1049l").expect("the screen is given back");
    screen.session().expect(Eof).expect("it ends");
}

/// The value behind a name among the figures.
fn figure<'s>(screen: &'s [String], name: &str) -> Option<&'s str> {
    let line = screen.iter().find_map(|line| Some(line.split_once(name)?.1))?;
    Some(line.split("  ").map(str::trim).find(|text| !text.is_empty()).unwrap_or_default())
}

#[test]
fn top_fills_the_screen_and_gives_it_back() {
    let server = TestServer::start(&["--slowlog-log-slower-than", "0"]);
    let mut screen = top(server.address(), 120);
    let mut client = server.connect();
    screen.wait_until("all that is known of a server", |screen| {
        client.run("GET nosuch");
        client.run("NOSUCH");
        let text = screen.join("\n");
        let titles =
            ["requests per second", " commands ", " slow log ", " clients ", "get ", "GET nosuch"];
        let positive = |name| {
            figure(screen, name)
                .is_some_and(|value| value.starts_with(|c: char| c.is_ascii_digit()))
        };
        titles.iter().all(|title| text.contains(title))
            && ["requests/s", "errors/s", "longest turn"].into_iter().all(positive)
            && figure(screen, "hit rate") == Some("0.0 %")
            && figure(screen, "role") == Some("master")
            && !text.contains(" nodes ")
    });
    end(screen);
}

/// The words of the line of a node.
fn node_words(screen: &[String], node: &TestServer) -> Vec<String> {
    let address = node.address().to_string();
    let line = screen.iter().find(|line| line.contains(&address));
    let words = line.into_iter().flat_map(|line| line.split_whitespace());
    words.filter(|word| *word != "│").map(str::to_owned).collect()
}

/// Reads and writes of keys of all three nodes, and a wrong command for the last of them.
fn load(client: &mut Raw, keys: &[String]) {
    let mut requests = Vec::new();
    for key in keys {
        for _ in 0..20 {
            requests.extend(encode_line(&format!("SET {key} x")));
            requests.extend(encode_line(&format!("GET {key}")));
        }
    }
    requests.extend(encode_line(&format!("INCR {}", keys[2])));
    client.send(&requests);
    for _ in 0..keys.len() * 40 + 1 {
        client.reply();
    }
}

#[test]
fn top_shows_each_node_of_a_proxy() {
    let mut nodes: Vec<TestServer> = (0..3).map(|_| TestServer::start(&[])).collect();
    let addresses: Vec<SocketAddr> = nodes.iter().map(TestServer::address).collect();
    let proxy = start_proxy(&addresses, &[]);
    wait_for_slots(&proxy);
    let keys: Vec<String> = (0..3).map(|node| key_on(node, 3, "k")).collect();
    let mut client = proxy.connect();
    let mut screen = top(proxy.address(), 130);
    let number = |word: Option<&String>| word.and_then(|word| word.parse::<f64>().ok());
    // address, state, requests and time of each, in flight, errors per second and in all, 99 %, slots, role
    screen.wait_until("all nodes with their figures", |screen| {
        load(&mut client, &keys);
        let good = |(index, node): (usize, &TestServer)| {
            let words = node_words(screen, node);
            let (rate, us_each) = (number(words.get(2)), number(words.get(3)));
            let (errors_rate, errors) = (number(words.get(5)), number(words.get(6)));
            words.get(1).is_some_and(|state| state == "connected")
                && rate.is_some_and(|rate| rate > 0.0)
                && us_each.is_some_and(|us| us > 0.0)
                && number(words.get(4)).is_some()
                && errors_rate.is_some_and(|rate| (rate > 0.0) == (index == 2))
                && errors.is_some_and(|errors| (errors > 0.0) == (index == 2))
                && number(words.get(7)).is_some_and(|us| us > 0.0)
                && number(words.get(8)).is_some_and(|slots| slots > 5000.0)
                && words.get(9).is_some_and(|role| role == "master")
        };
        nodes.iter().enumerate().all(good)
            && figure(screen, "nodes up") == Some("3 of 3")
            && figure(screen, "slots served") == Some("16384")
            && figure(screen, "nodes are") == Some("plain")
    });
    nodes[1].kill();
    screen.wait_until("a node that is gone, and its errors", |screen| {
        load(&mut client, &keys);
        let words = node_words(screen, &nodes[1]);
        words.get(1).is_some_and(|state| state == "down")
            && figure(screen, "nodes up") == Some("2 of 3")
            && node_words(screen, &nodes[0]).get(1).is_some_and(|state| state == "connected")
    });
    end(screen);
}
