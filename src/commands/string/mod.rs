//! Strings: bytes, or numbers in disguise, and everything that is done with them.

pub(super) mod condition;
mod counter;
mod edit;
mod get;
mod lcs;
mod many;
pub(super) mod options;
mod set;

use super::table::*;
use super::{Command, Ctx};
use crate::config::KeyspaceEvents;
use crate::keyspace::{Expiry, StringValue};
use crate::resp::Reply;
use Arity::{AtLeast, Exactly};

const STORE_FAST: Flags = WRITE.and(DENYOOM).and(FAST);
/// Slow by Redis's flags, but in truth like the fast ones.
const STORE_QUICK: Flags = WRITE.and(DENYOOM).and(QUICK);

const READ_ONLY: &[KeySpec] = &[one(RO.and(ACCESS))];
const CHANGED: &[KeySpec] = &[one(RW.and(ACCESS).and(UPDATE))];
const REPLACED: &[KeySpec] = &[one(OW.and(UPDATE))];
const TWO_READ_ONLY: &[KeySpec] =
    &[KeySpec::Range { first: 1, last: 2, step: 1, flags: RO.and(ACCESS) }];

/// The group's rows.
pub const COMMANDS: &[Command] = &[
    command("append", Exactly(3), STORE_FAST, &[one(RW.and(INSERT))], edit::append).docs(
        "2.0.0",
        "key value",
        APPEND_COMPLEXITY,
        "Appends a string to the value of a key. Creates the key if it doesn't exist.",
    ),
    command("decr", Exactly(2), STORE_FAST, CHANGED, counter::decr).docs(
        "1.0.0",
        "key",
        "O(1)",
        "Decrements the integer value of a key by one. Uses 0 as initial value if the key doesn't exist.",
    ),
    command("decrby", Exactly(3), STORE_FAST, CHANGED, counter::decrby).docs(
        "1.0.0",
        "key decrement",
        "O(1)",
        "Decrements the integer value of a key by a number. Uses 0 as initial value if the key doesn't exist.",
    ),
    command("delex", AtLeast(2), WRITE.and(FAST), &[one(RW.and(DELETE).and(VARIABLE_FLAGS))], condition::delex).docs(
        "8.4.0",
        "key [IFEQ ifeq-value | IFNE ifne-value | IFDEQ ifdeq-digest | IFDNE ifdne-digest]",
        "O(1) for IFEQ/IFNE, O(N) for IFDEQ/IFDNE where N is the length of the string value.",
        "Conditionally removes the specified key based on value or digest comparison.",
    ),
    command("delifeq", Exactly(3), WRITE.and(FAST), &[one(RM.and(DELETE))], condition::delifeq).docs(
        "9.0.0",
        "key value",
        "O(1)",
        "Delete key if value matches string.",
    ),
    command("digest", Exactly(2), READ.and(FAST), READ_ONLY, condition::digest).docs(
        "8.4.0",
        "key",
        "O(N) where N is the length of the string value.",
        "Returns the XXH3 hash of a string value.",
    ),
    command("get", Exactly(2), READ.and(FAST), READ_ONLY, get::get).docs(
        "1.0.0",
        "key",
        "O(1)",
        "Returns the string value of a key.",
    ),
    command("getdel", Exactly(2), WRITE.and(FAST), &[one(RW.and(ACCESS).and(DELETE))], get::getdel).docs(
        "6.2.0",
        "key",
        "O(1)",
        "Returns the string value of a key after deleting the key.",
    ),
    command("getex", AtLeast(2), WRITE.and(FAST), CHANGED, get::getex).docs(
        "6.2.0",
        "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
        "O(1)",
        "Returns the string value of a key after setting its expiration time.",
    ),
    command("getrange", Exactly(4), READ.and(QUICK), READ_ONLY, get::getrange).docs(
        "2.4.0",
        "key start end",
        SUBSTRING_COMPLEXITY,
        "Returns a substring of the string stored at a key.",
    ),
    command("getset", Exactly(3), STORE_FAST, CHANGED, set::getset).docs(
        "1.0.0",
        "key value",
        "O(1)",
        "Returns the previous string value of a key after setting it to a new value.",
    ),
    command("incr", Exactly(2), STORE_FAST, CHANGED, counter::incr).docs(
        "1.0.0",
        "key",
        "O(1)",
        "Increments the integer value of a key by one. Uses 0 as initial value if the key doesn't exist.",
    ),
    command("incrby", Exactly(3), STORE_FAST, CHANGED, counter::incrby).docs(
        "1.0.0",
        "key increment",
        "O(1)",
        "Increments the integer value of a key by a number. Uses 0 as initial value if the key doesn't exist.",
    ),
    command("incrbyfloat", Exactly(3), STORE_FAST, CHANGED, counter::incrbyfloat).docs(
        "2.6.0",
        "key increment",
        "O(1)",
        "Increments the floating point value of a key by a number. Uses 0 as initial value if the key doesn't exist.",
    ),
    command("lcs", AtLeast(3), READ, TWO_READ_ONLY, lcs::lcs).docs(
        "7.0.0",
        "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
        "O(N*M) where N and M are the lengths of s1 and s2, respectively",
        "Finds the longest common substring.",
    ),
    command("mget", AtLeast(2), READ.and(FAST), &[all(RO.and(ACCESS))], many::mget).docs(
        "1.0.0",
        "key [key ...]",
        "O(N) where N is the number of keys to retrieve.",
        "Atomically returns the string values of one or more keys.",
    ).tips(&["request_policy:multi_shard"]),
    command("mset", AtLeast(3), STORE_QUICK, &[every(2, OW.and(UPDATE))], many::mset).docs(
        "1.0.1",
        "key value [key value ...]",
        "O(N) where N is the number of keys to set.",
        "Atomically creates or modifies the string values of one or more keys.",
    ).tips(&["request_policy:multi_shard", "response_policy:all_succeeded"]),
    command("msetex", AtLeast(4), STORE_QUICK, &[counted(1, 2, OW.and(UPDATE))], many::msetex).docs(
        "9.1.0",
        "numkeys key value [key value ...] [NX | XX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
        "O(N) where N is the number of keys to set.",
        "Atomically creates or modifies the string values of one or more keys, and optionally set their expiration.",
    ).tips(&["request_policy:multi_shard", "response_policy:all_succeeded"]),
    command("msetnx", AtLeast(3), STORE_QUICK, &[every(2, OW.and(INSERT))], many::msetnx).docs(
        "1.0.1",
        "key value [key value ...]",
        "O(N) where N is the number of keys to set.",
        "Atomically modifies the string values of one or more keys only when all keys don't exist.",
    ),
    command("psetex", Exactly(4), STORE_QUICK, REPLACED, set::psetex).docs(
        "2.6.0",
        "key milliseconds value",
        "O(1)",
        "Sets both string value and expiration time in milliseconds of a key. The key is created if it doesn't exist.",
    ),
    command("set", AtLeast(3), STORE_QUICK, &[one(RW.and(ACCESS).and(UPDATE).and(VARIABLE_FLAGS))], set::set).docs(
        "1.0.0",
        "key value [NX | XX | IFEQ ifeq-value | IFNE ifne-value | IFDEQ ifdeq-digest | IFDNE ifdne-digest] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
        "O(1)",
        "Sets the string value of a key, ignoring its type. The key is created if it doesn't exist.",
    ),
    command("setex", Exactly(4), STORE_QUICK, REPLACED, set::setex).docs(
        "2.0.0",
        "key seconds value",
        "O(1)",
        "Sets the string value and expiration time of a key. Creates the key if it doesn't exist.",
    ),
    command("setnx", Exactly(3), STORE_FAST, &[one(OW.and(INSERT))], set::setnx).docs(
        "1.0.0",
        "key value",
        "O(1)",
        "Sets the string value of a key only when the key doesn't exist.",
    ),
    command("setrange", Exactly(4), WRITE.and(DENYOOM), &[one(RW.and(UPDATE))], edit::setrange).docs(
        "2.2.0",
        "key offset value",
        SETRANGE_COMPLEXITY,
        "Overwrites a part of a string value with another by an offset. Creates the key if it doesn't exist.",
    ),
    command("strlen", Exactly(2), READ.and(FAST), &[one(RO)], get::strlen).docs(
        "2.2.0",
        "key",
        "O(1)",
        "Returns the length of a string value.",
    ),
    command("substr", Exactly(4), READ.and(QUICK), READ_ONLY, get::getrange).docs(
        "1.0.0",
        "key start end",
        SUBSTRING_COMPLEXITY,
        "Returns a substring from a string value.",
    ),
];

const APPEND_COMPLEXITY: &str = "O(1). The amortized time complexity is O(1) assuming the appended \
    value is small and the already present value is of any size, since the dynamic string library \
    used by the server will double the free space available on every reallocation.";
const SETRANGE_COMPLEXITY: &str = "O(1), not counting the time taken to copy the new string in \
    place. Usually, this string is very small so the amortized complexity is O(1). Otherwise, \
    complexity is O(M) with M being the length of the value argument.";
const SUBSTRING_COMPLEXITY: &str = "O(N) where N is the length of the returned string. The \
    complexity is ultimately determined by the returned length, but because creating a substring \
    from an existing string is very cheap, it can be considered O(1) for small strings.";

/// Writes a string value, or null. Long values are sent from where they are.
pub(super) fn reply_string(reply: &mut Reply, value: Option<StringValue<'_>>) {
    match value {
        None => reply.null(),
        Some(StringValue::Int(number)) => reply.bulk_integer(number),
        Some(StringValue::Bytes(bytes)) => reply.bulk(bytes),
        Some(StringValue::Shared(bytes)) => reply.bulk_shared(bytes),
    }
}

/// What follows when `key` was set to a string as a whole.
#[inline]
fn stored(ctx: &mut Ctx<'_>, key: &[u8], expiry: Expiry) {
    ctx.modified(key);
    ctx.notify(KeyspaceEvents::STRING, "set", key);
    if matches!(expiry, Expiry::At(_)) {
        ctx.notify(KeyspaceEvents::GENERIC, "expire", key);
    }
}

/// Says what the log and the replicas get of a string that was set as a whole: the time is absolute, a condition has held.
fn propagate_set(ctx: &mut Ctx<'_>, key: &[u8], value: &[u8], expiry: Expiry) {
    match expiry {
        Expiry::Clear => ctx.propagate(&[b"SET", key, value]),
        Expiry::Keep => ctx.propagate(&[b"SET", key, value, b"KEEPTTL"]),
        Expiry::At(at_ms) => {
            let mut buffer = itoa::Buffer::new();
            let at_ms = buffer.format(at_ms).as_bytes();
            ctx.propagate(&[b"SET", key, value, b"PXAT", at_ms]);
        }
    }
}

/// Whether the string is these bytes.
fn equals(value: StringValue<'_>, bytes: &[u8]) -> bool {
    value.bytes(&mut itoa::Buffer::new()) == bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::OwnedArgs;

    /// Which arguments of a command line the rows say are keys.
    fn keys_of(line: &str) -> Option<String> {
        let args: OwnedArgs = line.split(' ').map(str::as_bytes).collect();
        let args = args.args();
        let is_named = |row: &&Command| row.name.as_bytes().eq_ignore_ascii_case(args.bytes(0));
        let row = COMMANDS.iter().find(is_named).expect("a command of this group");
        let keys = row.key_positions(&args)?;
        let keys = keys.iter().map(|(at, _)| String::from_utf8_lossy(args.bytes(*at)));
        Some(keys.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn the_rows_know_where_the_keys_are() {
        for (line, keys) in [
            ("SET a b GET", Some("a")),
            ("MGET a b c", Some("a b c")),
            ("MSET a 1 b 2", Some("a b")),
            ("LCS a b IDX", Some("a b")),
            ("MSETEX 2 a 1 b 2 EX 10", Some("a b")),
            ("MSETEX 3 a 1 b 2", None),
        ] {
            assert_eq!(keys_of(line).as_deref(), keys, "{line}");
        }
    }

    #[test]
    fn every_command_is_documented_and_the_rows_are_in_order() {
        assert!(COMMANDS.is_sorted_by_key(|row| row.name));
        for row in COMMANDS {
            let texts = [row.since, row.syntax, row.complexity, row.summary];
            assert!(texts.iter().all(|text| !text.is_empty()), "{}", row.name);
        }
    }
}
