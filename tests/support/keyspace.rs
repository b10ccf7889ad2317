//! All that a server has, asked for with commands, to be compared with what another one has.

use std::collections::{BTreeMap, BTreeSet};

use super::Raw;

/// A point in time that is far away.
pub const LATER_MS: i64 = 4_000_000_000_000;

/// What is in a key.
#[derive(Clone, PartialEq, Debug)]
pub enum Content {
    /// The bytes.
    String(Vec<u8>),
    /// Its elements, in their order.
    List(Vec<Vec<u8>>),
    /// Its members.
    Set(BTreeSet<Vec<u8>>),
    /// Its members with their scores, in their order.
    SortedSet(Vec<(Vec<u8>, f64)>),
    /// Its fields: value and expire time.
    Hash(BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>),
}

/// Database and name of a key, and what it has: its content and its expire time.
pub type Keyspace = BTreeMap<(u64, Vec<u8>), (Content, Option<i64>)>;

/// Keys of every type and encoding.
pub fn fill(client: &mut Raw, has_field_expiry: bool) {
    let mut run = |words: &[&str]| {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let reply = client.command(&words);
        assert!(!reply.is_error(), "{:?}", reply.wire());
    };
    let long = "0123456789".repeat(1000);
    let text: String = (0..5000).map(|n| format!("{} ", n * n % 97)).collect();
    for (key, value) in [
        ("s:empty", ""),
        ("s:text", "hello"),
        ("s:8", "-100"),
        ("s:16", "30000"),
        ("s:32", "-2000000000"),
        ("s:64", "9223372036854775807"),
        ("s:zeros", "007"),
        ("s:run", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("s:mixed", "aaaaaaaaaaaaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaabcd"),
        ("s:long", &long),
        ("s:prose", &text),
    ] {
        run(&["SET", key, value]);
    }
    run(&["SET", "s:expires", "soon", "PXAT", &LATER_MS.to_string()]);
    let names: Vec<String> = (0..1500).map(|n| format!("member:{}", n * 7919 % 100_000)).collect();
    for (key, count) in [("few", 3), ("some", 120), ("many", 700)] {
        for (n, name) in names.iter().take(count).enumerate() {
            let (number, score) = (n.to_string(), (n as f64 / 4.0 - 7.0).to_string());
            run(&["RPUSH", &format!("l:{key}"), name]);
            run(&["SADD", &format!("x:{key}"), name]);
            run(&["SADD", &format!("i:{key}"), &(n * n * 1_000_003).to_string()]);
            run(&["ZADD", &format!("z:{key}"), &score, name]);
            run(&["HSET", &format!("h:{key}"), name, &number]);
        }
    }
    run(&["RPUSH", "l:plain", "a", &long, "b", "12"]);
    run(&["ZADD", "z:edges", "inf", "a", "-inf", "b", "1e100", "c", "0.1", "d", "-17", "e"]);
    run(&["HSET", "h:long", "field", &long[..100], "other", ""]);
    run(&["PEXPIREAT", "h:long", &LATER_MS.to_string()]);
    if has_field_expiry {
        run(&["HSET", "e:few", "a", "1", "b", "2", "c", "3"]);
        run(&["HPEXPIREAT", "e:few", &(LATER_MS + 5).to_string(), "FIELDS", "1", "b"]);
        run(&["HPEXPIREAT", "e:few", &LATER_MS.to_string(), "FIELDS", "1", "c"]);
        for (n, name) in names.iter().take(700).enumerate() {
            run(&["HSET", "e:many", name, "v"]);
            if n % 3 == 0 {
                let at_ms = (LATER_MS + n as i64).to_string();
                run(&["HPEXPIREAT", "e:many", &at_ms, "FIELDS", "1", name]);
            }
        }
    }
    run(&["SELECT", "3"]);
    run(&["SET", "s:elsewhere", "x"]);
    run(&["SELECT", "0"]);
}

/// The values in a reply that has no nesting.
pub fn values(client: &mut Raw, command: &[&[u8]]) -> Vec<Vec<u8>> {
    let reply = client.command(command);
    assert!(!reply.is_error(), "{:?}", reply.wire());
    let (mut values, mut rest) = (Vec::new(), &reply.0[..]);
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let (line, after) = (&rest[..end], &rest[end + 2..]);
        rest = after;
        if line[0] == b'$' {
            let len: usize = String::from_utf8_lossy(&line[1..]).parse().expect("a length");
            values.push(rest[..len].to_vec());
            rest = &rest[len + 2..];
        } else if line[0] != b'*' {
            values.push(line[1..].to_vec());
        }
    }
    values
}

/// As `values`, of a reply that has one.
pub fn one(client: &mut Raw, command: &[&[u8]]) -> Vec<u8> {
    values(client, command).pop().expect("a value")
}

fn number<N: std::str::FromStr>(text: &[u8]) -> N {
    String::from_utf8_lossy(text).parse().ok().expect("a number")
}

/// All that a server has.
pub fn keyspace_of(client: &mut Raw, has_field_expiry: bool) -> Keyspace {
    let mut keyspace = Keyspace::new();
    for db in [0, 3] {
        client.run(&format!("SELECT {db}")).is("+OK");
        for key in values(client, &[b"KEYS", b"*"]) {
            let expire_at_ms: i64 = number(&one(client, &[b"PEXPIRETIME", &key]));
            let content = content_of(client, &key, has_field_expiry);
            keyspace.insert((db, key), (content, (expire_at_ms >= 0).then_some(expire_at_ms)));
        }
    }
    client.run("SELECT 0").is("+OK");
    keyspace
}

/// What is in a key of a server.
pub fn content_of(client: &mut Raw, key: &[u8], has_field_expiry: bool) -> Content {
    match &one(client, &[b"TYPE", key])[..] {
        b"string" => Content::String(one(client, &[b"GET", key])),
        b"list" => Content::List(values(client, &[b"LRANGE", key, b"0", b"-1"])),
        b"set" => Content::Set(values(client, &[b"SMEMBERS", key]).into_iter().collect()),
        b"zset" => {
            let pairs = values(client, &[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"]);
            let pairs = pairs.as_chunks().0.iter();
            Content::SortedSet(
                pairs.map(|[member, score]| (member.clone(), number(score))).collect(),
            )
        }
        _ => {
            let pairs = values(client, &[b"HGETALL", key]);
            let mut fields = BTreeMap::new();
            for [name, value] in pairs.as_chunks().0 {
                let expire_at_ms = if has_field_expiry {
                    number(&one(client, &[b"HPEXPIRETIME", key, b"FIELDS", b"1", name]))
                } else {
                    -1
                };
                let expire_at_ms = (expire_at_ms >= 0).then_some(expire_at_ms);
                fields.insert(name.clone(), (value.clone(), expire_at_ms));
            }
            Content::Hash(fields)
        }
    }
}
