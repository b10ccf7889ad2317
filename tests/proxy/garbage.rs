//! Nodes that send what they should not: X06, X13.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::evil::{Act, Evil, echo};
use crate::support::proxy::{start_proxy, wait_for_slots};
use crate::support::{process, wait_until};

/// Replies that are none, or more than one.
fn garbage() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("no type", b"hello\r\n".to_vec()),
        ("a negative count", b"*-2\r\n".to_vec()),
        ("a negative length", b"$-2\r\n".to_vec()),
        ("a length beyond all limits", b"$9999999999\r\n".to_vec()),
        ("a count beyond all limits", b"*99999999999\r\n:1\r\n".to_vec()),
        ("a number that is none", b"*x\r\n".to_vec()),
        ("no line end after a string", b"$1\r\naXX".to_vec()),
        ("depth 2000", "*1\r\n".repeat(2000).into_bytes()),
        ("binary", (0..=255).collect()),
    ]
}

#[test]
fn x06_garbage_costs_its_connection_and_nobody_else_anything() {
    let replies = garbage();
    let count = replies.len();
    let evil = Evil::start(move |words| {
        let key = String::from_utf8_lossy(&words[1]).into_owned();
        match key.strip_prefix("evil:").and_then(|number| number.parse::<usize>().ok()) {
            Some(number) => Act::Reply(replies[number].1.clone()),
            None => Act::reply(echo(words)),
        }
    });
    let proxy = start_proxy(&[evil.address()], &["--timeout", "1000"]);
    wait_for_slots(&proxy);
    let mut bystander = proxy.connect();
    for (number, (what, _)) in garbage().iter().enumerate().take(count) {
        let mut client = proxy.connect();
        // SET: a read might be asked again, and get garbage again.
        let reply = client.run(&format!("SET evil:{number} 1"));
        assert!(reply.is_error(), "{what}: {}", reply.wire());
        client.run("ECHO in-step").is("$7\r\nin-step");
        wait_until("the node serves again", || {
            let reply = bystander.run("GET mine");
            assert!(reply.is_error() || reply.wire() == "$4\r\nmine", "{what}: {}", reply.wire());
            !reply.is_error()
        });
    }
    assert!(process::exists(proxy.pid()));
}

#[test]
fn x06_a_reply_too_many_is_not_given_to_the_next_client() {
    let evil = Evil::start(|words| match words[1].starts_with(b"twice") {
        true => Act::Reply([echo(words), b"+SECRET\r\n".to_vec()].concat()),
        false => Act::reply(echo(words)),
    });
    let proxy = start_proxy(&[evil.address()], &["--timeout", "1000"]);
    wait_for_slots(&proxy);
    let (mut first, mut second) = (proxy.connect(), proxy.connect());
    for round in 0..6 {
        let reply = first.run("SET twice 1");
        assert!(reply.is_error() || reply.wire() == "$5\r\ntwice", "{}", reply.wire());
        let key = format!("other{round}");
        let reply = second.run(&format!("GET {key}"));
        let is_own = reply.wire() == format!("${}\r\n{key}", key.len());
        assert!(reply.is_error() || is_own, "{}", reply.wire());
        wait_until("the node serves again", || !second.run("GET a").is_error());
    }
}

#[test]
fn x06_half_a_reply_and_the_end_is_an_error() {
    let evil = Evil::start(|words| match words[1].starts_with(b"half") {
        true => Act::ReplyAndClose(b"$10\r\n01234".to_vec()),
        false => Act::reply(echo(words)),
    });
    let proxy = start_proxy(&[evil.address()], &["--timeout", "1000"]);
    wait_for_slots(&proxy);
    let mut client = proxy.connect();
    client.run("SET half 1").starts("-");
    client.run("ECHO in-step").is("$7\r\nin-step");
    wait_until("the node serves again", || client.run("GET a").wire() == "$1\r\na");
}

#[test]
fn x13_what_a_node_refuses_is_passed_on() {
    let evil = Evil::start(|words| match words[1].as_slice() {
        b"loading" => Act::reply("-LOADING Redis is loading the dataset in memory\r\n"),
        b"readonly" => Act::reply("-READONLY You can't write against a read only replica.\r\n"),
        b"odd" => Act::reply("-MOVED nonsense\r\n"),
        _ => Act::reply(echo(words)),
    });
    let proxy = start_proxy(&[evil.address()], &[]);
    wait_for_slots(&proxy);
    let mut client = proxy.connect();
    client.run("SET loading 1").is("-LOADING Redis is loading the dataset in memory");
    client.run("SET readonly 1").is("-READONLY You can't write against a read only replica.");
    client.run("SET odd 1").starts("-");
    client.run("GET a").is("$1\r\na");
}

#[test]
fn x13_redirections_end() {
    let asked = std::sync::Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let address = std::sync::Arc::new(std::sync::OnceLock::new());
    let own = address.clone();
    let evil = Evil::start(move |words| match words[0].to_ascii_lowercase().as_slice() {
        b"set" => {
            count.fetch_add(1, Ordering::SeqCst);
            Act::Reply(format!("-MOVED 1 {}\r\n", own.get().expect("it is set")).into_bytes())
        }
        b"cluster" => Act::reply("-ERR This instance has cluster support disabled\r\n"),
        _ => Act::reply(echo(words)),
    });
    address.set(evil.address().to_string()).expect("it was not set");
    let proxy = start_proxy(&[evil.address()], &["--timeout", "2000"]);
    wait_for_slots(&proxy);
    let mut client = proxy.connect();
    client.run("SET a 1").starts("-");
    let asked = asked.load(Ordering::SeqCst);
    assert!((1..=20).contains(&asked), "followed {asked} times");
    client.run("GET a").is("$1\r\na");
}
