//! What `COMMAND INFO` tells of one command.

use crate::commands::table::{Command, KeyFlags, KeySpec};
use crate::commands::{CommandId, Registry};
use crate::resp::Reply;

/// Writes name, arity, flags, first key, last key, step, ACL categories, tips, key specifications, subcommands.
pub fn describe(reply: &mut Reply, registry: &Registry, id: CommandId) {
    let registered = registry.get(id);
    let command = registered.command;
    let (range, movable) = plain_range(command.keys);
    reply.array(10);
    reply.bulk(registered.full_name.as_bytes());
    reply.integer(command.arity.number());
    reply_statuses(reply, &shown_flags(command, movable));
    for number in [range.first, range.last, range.step] {
        reply.integer(number);
    }
    let categories: Vec<String> = registered.categories().map(|name| format!("@{name}")).collect();
    reply_statuses(reply, &categories);
    reply.set(command.tips.len());
    for tip in command.tips {
        reply.bulk(tip.as_bytes());
    }
    reply.set(command.keys.len());
    for spec in command.keys {
        describe_key_spec(reply, spec);
    }
    if registered.subcommands.is_empty() {
        return reply.set(0);
    }
    reply.array(registered.subcommands.len());
    for &subcommand in &registered.subcommands {
        describe(reply, registry, subcommand);
    }
}

fn reply_statuses(reply: &mut Reply, names: &[impl AsRef<str>]) {
    reply.set(names.len());
    for name in names {
        reply.simple(name.as_ref());
    }
}

/// Writes what a command does with a key.
pub fn reply_key_flags(reply: &mut Reply, flags: KeyFlags) {
    reply_statuses(reply, &flags.names().collect::<Vec<_>>());
}

/// The flags as Redis shows them: one is kept to itself, one follows from the keys.
fn shown_flags(command: &Command, movable: bool) -> Vec<&'static str> {
    let mut names: Vec<&str> =
        command.flags.names().filter(|name| *name != "may_replicate").collect();
    if movable {
        let at = names.iter().position(|name| *name == "allow_busy").unwrap_or(names.len());
        names.insert(at, "movablekeys");
    }
    names
}

/// Where keys are, as clients older than key specifications understand it: all zero for "nowhere".
#[derive(Clone, Copy, Default)]
struct PlainRange {
    first: i64,
    last: i64,
    step: i64,
}

/// Joins specifications that are neighbours into one range, as Redis does. Also returns whether there are keys that the
/// range does not tell.
fn plain_range(specs: &[KeySpec]) -> (PlainRange, bool) {
    if let [KeySpec::Range { first, last, step, .. }] = *specs {
        let range = PlainRange { first: first as i64, last: i64::from(last), step: step as i64 };
        return (range, false);
    }
    let mut joined: Option<PlainRange> = None;
    let mut movable = false;
    for spec in specs {
        let KeySpec::Range { first, last, step: 1, .. } = *spec else {
            movable = true;
            continue;
        };
        let (first, last) = (first as i64, i64::from(last));
        joined = match joined {
            None => Some(PlainRange { first, last, step: 1 }),
            Some(range) if range.last == first - 1 => Some(PlainRange { last, ..range }),
            Some(range) => {
                movable = true;
                Some(range)
            }
        };
    }
    (joined.unwrap_or_default(), movable)
}

fn describe_key_spec(reply: &mut Reply, spec: &KeySpec) {
    match *spec {
        KeySpec::Range { first, last, step, flags } => {
            let last = i64::from(last);
            let from_first = if last < 0 { last } else { last - first as i64 };
            let parts = [("lastkey", from_first), ("keystep", step as i64), ("limit", 0)];
            describe_from_index(reply, first, flags, "range", &parts);
        }
        KeySpec::Counted { count, step, flags } => {
            let parts = [("keynumidx", 0), ("firstkey", 1), ("keystep", step as i64)];
            describe_from_index(reply, count, flags, "keynum", &parts);
        }
        KeySpec::Keyword { word, flags, .. } => describe_keyword(reply, word, flags),
        KeySpec::Unknown { notes, flags, .. } => describe_unknown(reply, notes, flags),
    }
}

fn describe_from_index(
    reply: &mut Reply,
    index: usize,
    flags: KeyFlags,
    kind: &str,
    parts: &[(&str, i64)],
) {
    reply.map(3);
    reply.bulk(b"flags");
    reply_key_flags(reply, flags);
    reply_search(reply, "begin_search", "index", &[("index", index as i64)]);
    reply_search(reply, "find_keys", kind, parts);
}

fn describe_keyword(reply: &mut Reply, word: &str, flags: KeyFlags) {
    reply.map(3);
    reply.bulk(b"flags");
    reply_key_flags(reply, flags);
    reply.bulk(b"begin_search");
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(b"keyword");
    reply.bulk(b"spec");
    reply.map(2);
    reply.bulk(b"keyword");
    reply.bulk(word.as_bytes());
    reply.bulk(b"startfrom");
    reply.integer(-2);
    let parts = [("lastkey", -1), ("keystep", 1), ("limit", 0)];
    reply_search(reply, "find_keys", "range", &parts);
}

fn describe_unknown(reply: &mut Reply, notes: &str, flags: KeyFlags) {
    reply.map(4);
    reply.bulk(b"notes");
    reply.bulk(notes.as_bytes());
    reply.bulk(b"flags");
    reply_key_flags(reply, flags);
    reply_search(reply, "begin_search", "unknown", &[]);
    reply_search(reply, "find_keys", "unknown", &[]);
}

/// One of the two steps of a key specification: its kind, and the numbers that kind needs.
fn reply_search(reply: &mut Reply, name: &str, kind: &str, parts: &[(&str, i64)]) {
    reply.bulk(name.as_bytes());
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(parts.len());
    for (part, number) in parts {
        reply.bulk(part.as_bytes());
        reply.integer(*number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::table::{RO, counted, every, one};
    use crate::server::testing::TestServer;

    fn range(specs: &[KeySpec]) -> (i64, i64, i64, bool) {
        let (range, movable) = plain_range(specs);
        (range.first, range.last, range.step, movable)
    }

    #[test]
    fn neighbours_are_one_range_and_the_rest_is_movable() {
        use crate::commands::table::at;
        assert_eq!(range(&[]), (0, 0, 0, false));
        assert_eq!(range(&[every(2, RO)]), (1, -1, 2, false));
        assert_eq!(range(&[one(RO), at(2, RO)]), (1, 2, 1, false));
        assert_eq!(range(&[one(RO), at(3, RO)]), (1, 1, 1, true));
        assert_eq!(range(&[one(RO), counted(2, 1, RO)]), (1, 1, 1, true));
        assert_eq!(range(&[counted(1, 1, RO)]), (0, 0, 0, true));
    }

    #[test]
    fn movablekeys_comes_before_allow_busy_and_may_replicate_stays_hidden() {
        use crate::commands::table::{ALLOW_BUSY, Arity, FAST, MAY_REPLICATE, command};
        let flags = FAST.and(MAY_REPLICATE).and(ALLOW_BUSY);
        let row = command("x", Arity::Exactly(1), flags, &[], |_, _| Ok(()));
        assert_eq!(shown_flags(&row, true), ["fast", "movablekeys", "allow_busy"]);
        assert_eq!(shown_flags(&row, false), ["fast", "allow_busy"]);
    }

    #[test]
    fn a_description_has_the_ten_parts_of_redis_7() {
        let mut redis = TestServer::new();
        redis.run("COMMAND INFO get").is(
            "*1 *10 $3 get :2 *2 +readonly +fast :1 :1 :1 *3 +@read +@string +@fast *0 \
             *1 *6 $5 flags *2 +RO +access \
             $12 begin_search *4 $4 type $5 index $4 spec *2 $5 index :1 \
             $9 find_keys *4 $4 type $5 range $4 spec *6 $7 lastkey :0 $7 keystep :1 $5 limit :0 *0",
        );
        redis.run("COMMAND INFO info").is(
            "*1 *10 $4 info :-1 *2 +loading +stale :0 :0 :0 *2 +@slow +@dangerous \
             *3 $23 nondeterministic_output $25 request_policy:all_shards $23 response_policy:special *0 *0",
        );
    }
}
