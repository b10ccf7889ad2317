//! The allow-list: the only replies that may differ from Redis's, one line per rule with its reason.
//!
//! A rule never covers an error: two errors, or an error and a result, are compared byte for byte.

use crate::reply::Reply;
use crate::session::Answer;
use crate::step::{Step, is_word};

/// How two replies are compared where their bytes may differ.
#[derive(Clone, Copy, Debug)]
enum Compare {
    /// The same items in any order.
    AnyOrder,
    /// The same pairs of name and value in any order.
    PairsInAnyOrder,
    /// Integers at most this far apart.
    Within(i64),
    /// A page of SCAN: the same cursor, the same keys in any order.
    ScanPage,
    /// A page of HSCAN or ZSCAN: the same cursor, the same pairs in any order.
    ScanPairs,
    /// One type, and for an aggregate one number of items of the same types, whatever they say.
    SameShape,
    /// HELLO without its `id`, `version` and `mode`.
    HelloFields,
    /// Names of encodings: a listpack where Redis 7.0 has a quicklist or a hash table.
    PackedEncoding,
    /// Reference counts: of a small integer, one that is not shared.
    SharedInteger,
    /// COMMAND INFO: name, arity, flags in any order, first key, last key and step of every command.
    CommandInfo,
}

/// The commands (a command, or a command and its subcommand) whose replies may differ, in what, and why.
const ALLOWED: &[(&str, Compare, &str)] = &[
    (
        "KEYS",
        Compare::AnyOrder,
        "the order of the dict is unspecified, and hashes are seeded at random",
    ),
    ("SCAN", Compare::ScanPage, "as KEYS; a page of COUNT 1000 holds every key of the test"),
    ("HKEYS", Compare::AnyOrder, "as KEYS"),
    ("HVALS", Compare::AnyOrder, "as KEYS"),
    ("HGETALL", Compare::PairsInAnyOrder, "as KEYS"),
    ("HSCAN", Compare::ScanPairs, "as SCAN"),
    ("HRANDFIELD", Compare::SameShape, "random"),
    ("SMEMBERS", Compare::AnyOrder, "as KEYS"),
    ("SINTER", Compare::AnyOrder, "as KEYS"),
    ("SUNION", Compare::AnyOrder, "as KEYS"),
    ("SDIFF", Compare::AnyOrder, "as KEYS"),
    ("SPOP", Compare::AnyOrder, "as KEYS; the test pops all members or none"),
    ("SSCAN", Compare::ScanPage, "as SCAN"),
    ("SRANDMEMBER", Compare::SameShape, "random"),
    ("ZSCAN", Compare::ScanPairs, "as SCAN"),
    ("ZRANDMEMBER", Compare::SameShape, "random"),
    ("TTL", Compare::Within(5), "the two servers read the clock at different times"),
    ("PTTL", Compare::Within(5_000), "as TTL"),
    ("EXPIRETIME", Compare::Within(5), "as TTL: most of the times are set relative to now"),
    ("PEXPIRETIME", Compare::Within(5_000), "as TTL"),
    ("OBJECT IDLETIME", Compare::Within(5), "as TTL"),
    (
        "OBJECT ENCODING",
        Compare::PackedEncoding,
        "small lists and sets are listpacks since Redis 7.2, and SORT leaves a small sorted set as it is",
    ),
    (
        "OBJECT REFCOUNT",
        Compare::SharedInteger,
        "a copy of a small integer is an object of its own in Redis",
    ),
    ("TIME", Compare::SameShape, "as TTL, and microseconds"),
    ("CLIENT ID", Compare::SameShape, "counts the connections a server has seen"),
    (
        "HELLO",
        Compare::HelloFields,
        "as CLIENT ID; our version is our own, and the proxy hides a cluster",
    ),
    (
        "CONFIG GET",
        Compare::PairsInAnyOrder,
        "Redis lists matches in the order of a dict with a random seed",
    ),
    ("COMMAND LIST", Compare::AnyOrder, "as CONFIG GET"),
    (
        "COMMAND INFO",
        Compare::CommandInfo,
        "ACL categories, tips and key specifications grow from version to version",
    ),
];

/// Whether the server under test may answer `ours` where Redis answers `reference`.
pub fn same(step: &Step, reference: &Answer, ours: &Answer) -> bool {
    match (step, reference, ours) {
        (Step::Command(args), Answer::Reply(reference), Answer::Reply(ours))
            if reference != ours =>
        {
            !reference.is_error()
                && !ours.is_error()
                && ALLOWED.iter().any(|(command, compare, _)| {
                    let words = command.split(' ').enumerate();
                    words.into_iter().all(|(i, word)| is_word(args, i, word))
                        && compare.same(reference, ours)
                })
        }
        // A loss proves nothing, even on both sides: the rest of the stream was not compared.
        (_, Answer::Lost(_), _) | (_, _, Answer::Lost(_)) => false,
        _ => reference == ours,
    }
}

impl Compare {
    fn same(self, reference: &Reply, ours: &Reply) -> bool {
        let both = |normal: fn(&Reply) -> Option<Reply>| {
            normal(reference).is_some_and(|reference| Some(reference) == normal(ours))
        };
        match self {
            Self::AnyOrder => both(sorted),
            Self::PairsInAnyOrder => both(sorted_pairs),
            Self::ScanPage => both(|page| scan_page(page, sorted)),
            Self::ScanPairs => both(|page| scan_page(page, sorted_pairs)),
            Self::SameShape => both(shape),
            Self::HelloFields => both(hello_fields),
            Self::CommandInfo => both(command_info),
            Self::SharedInteger => {
                (reference.integer(), ours.integer()) == (Some(1), Some(i64::from(i32::MAX)))
            }
            Self::PackedEncoding => {
                ours.text() == Some(b"listpack")
                    && matches!(reference.text(), Some(b"quicklist" | b"hashtable" | b"skiplist"))
            }
            Self::Within(distance) => match (reference.integer(), ours.integer()) {
                // Negative numbers are no times: "no such key" and "no TTL".
                (Some(a), Some(b)) => a >= 0 && b >= 0 && a.abs_diff(b) <= distance.unsigned_abs(),
                _ => false,
            },
        }
    }
}

fn sorted(reply: &Reply) -> Option<Reply> {
    let Reply::Aggregate { kind, items } = reply else { return None };
    let mut items = items.clone();
    items.sort();
    Some(Reply::Aggregate { kind: *kind, items })
}

/// For a map, or for an array that stands for one in RESP2.
fn sorted_pairs(reply: &Reply) -> Option<Reply> {
    let Reply::Aggregate { kind, items } = reply else { return None };
    let mut pairs: Vec<&[Reply]> = items.chunks(2).collect();
    pairs.sort();
    Some(Reply::Aggregate { kind: *kind, items: pairs.concat() })
}

fn scan_page(reply: &Reply, in_order: fn(&Reply) -> Option<Reply>) -> Option<Reply> {
    let Reply::Aggregate { kind, items } = reply else { return None };
    let [cursor, keys] = items.as_slice() else { return None };
    Some(Reply::Aggregate { kind: *kind, items: vec![cursor.clone(), in_order(keys)?] })
}

/// The reply with every text left out.
fn shape(reply: &Reply) -> Option<Reply> {
    Some(match reply {
        Reply::Aggregate { kind, items } => {
            Reply::Aggregate { kind: *kind, items: items.iter().map(shape).collect::<Option<_>>()? }
        }
        Reply::Line { kind, .. } => Reply::Line { kind: *kind, text: vec![] },
        Reply::Bulk { kind, .. } => Reply::Bulk { kind: *kind, text: vec![] },
        Reply::Nil { kind } => Reply::Nil { kind: *kind },
    })
}

fn hello_fields(reply: &Reply) -> Option<Reply> {
    let Reply::Aggregate { kind, items } = reply else { return None };
    let own = |name: &Reply| matches!(name.text(), Some(b"id" | b"version" | b"mode"));
    let kept = items.chunks(2).filter(|pair| !own(&pair[0]));
    Some(Reply::Aggregate { kind: *kind, items: kept.collect::<Vec<_>>().concat() })
}

fn command_info(reply: &Reply) -> Option<Reply> {
    /// Name, arity, flags, first key, last key, step.
    const FIELDS: usize = 6;
    const FLAGS: usize = 2;
    let Reply::Aggregate { kind, items } = reply else { return None };
    let commands = items.iter().map(|command| {
        let Reply::Aggregate { kind, items } = command else { return command.clone() };
        let mut fields: Vec<Reply> = items.iter().take(FIELDS).cloned().collect();
        if let Some(flags) = fields.get_mut(FLAGS)
            && let Some(in_order) = sorted(flags)
        {
            *flags = in_order;
        }
        Reply::Aggregate { kind: *kind, items: fields }
    });
    Some(Reply::Aggregate { kind: *kind, items: commands.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(command: &str, mut reference: &[u8], mut ours: &[u8]) -> bool {
        let step = Step::command(&command.split(' ').collect::<Vec<_>>());
        let answer = |bytes: &mut &[u8]| Answer::Reply(Reply::read(bytes).unwrap());
        same(&step, &answer(&mut reference), &answer(&mut ours))
    }

    #[test]
    fn without_a_rule_every_byte_counts() {
        assert!(allows("GET a", b"$1\r\na\r\n", b"$1\r\na\r\n"));
        assert!(!allows("GET a", b"$1\r\na\r\n", b"+a\r\n"));
        assert!(!allows("GET a", b"$-1\r\n", b"_\r\n"));
        assert!(!allows("OBJECT ENCODING a", b":1\r\n", b":2\r\n"));
        assert!(allows("OBJECT ENCODING a", b"$9\r\nhashtable\r\n", b"$8\r\nlistpack\r\n"));
        assert!(!allows("OBJECT ENCODING a", b"$8\r\nlistpack\r\n", b"$9\r\nhashtable\r\n"));
        assert!(!allows("OBJECT ENCODING a", b"$6\r\nintset\r\n", b"$8\r\nlistpack\r\n"));
    }

    #[test]
    fn a_rule_covers_what_it_says_and_no_more() {
        assert!(allows("keys *", b"*2\r\n+a\r\n+b\r\n", b"*2\r\n+b\r\n+a\r\n"));
        assert!(!allows("KEYS *", b"*2\r\n+a\r\n+b\r\n", b"*2\r\n+b\r\n+b\r\n"));
        assert!(!allows("KEYS *", b"*1\r\n+a\r\n", b"~1\r\n+a\r\n"));
        assert!(allows("TTL a", b":100\r\n", b":99\r\n"));
        assert!(!allows("TTL a", b":100\r\n", b":94\r\n"));
        assert!(!allows("TTL a", b":-1\r\n", b":-2\r\n"));
        assert!(allows(
            "HGETALL a",
            b"%2\r\n+a\r\n+1\r\n+b\r\n+2\r\n",
            b"%2\r\n+b\r\n+2\r\n+a\r\n+1\r\n"
        ));
        assert!(!allows(
            "HGETALL a",
            b"%2\r\n+a\r\n+1\r\n+b\r\n+2\r\n",
            b"%2\r\n+b\r\n+1\r\n+a\r\n+2\r\n"
        ));
    }

    #[test]
    fn no_rule_covers_an_error() {
        assert!(!allows("TIME x", b"-ERR a\r\n", b"-ERR b\r\n"));
        assert!(!allows("CLIENT ID", b":1\r\n", b"-ERR b\r\n"));
        assert!(allows("CLIENT ID", b":1\r\n", b":2\r\n"));
    }
}
