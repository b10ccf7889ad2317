//! Hashes: fields with a value each, and perhaps an expire time.
//!
//! What has expired is hidden from reads, and removed before a command changes it or by the keyspace's sweep. The commands
//! that came with expire times are those of Valkey 9.1, which Redis 8 has with the same replies to what is right; of what
//! is wrong Valkey speaks in other words, and its words are used here.

mod counter;
mod expire;
mod fields;
mod get;
mod random;
mod scan;
mod set;
mod setex;

use super::table::*;
use super::{Command, Ctx};
use crate::dict::Slot;
use crate::keyspace::{Expiry, WrongType};
use crate::resp::Reply;
use crate::types::hash::{Field, Hash};
use crate::types::listpack::Element;
use Arity::{AtLeast, Exactly};

const STORE: Flags = WRITE.and(DENYOOM).and(FAST);

const READS: &[KeySpec] = &[one(RO.and(ACCESS))];
/// Of the value only a fact is returned.
const LOOKED_AT: &[KeySpec] = &[one(RO)];
const SETS: &[KeySpec] = &[one(RW.and(UPDATE))];
const CHANGES: &[KeySpec] = &[one(RW.and(ACCESS).and(UPDATE))];

const RANDOM: &[&str] = &["nondeterministic_output"];
const UNORDERED: &[&str] = &["nondeterministic_output_order"];

/// The group's rows.
pub const COMMANDS: &[Command] = &[
    command("hdel", AtLeast(3), WRITE.and(FAST), &[one(RW.and(DELETE))], set::hdel).docs(
        "2.0.0",
        "key field [field ...]",
        "O(N) where N is the number of fields to be removed.",
        "Deletes one or more fields and their values from a hash. Deletes the hash if no fields remain.",
    ),
    command("hexists", Exactly(3), READ.and(FAST), LOOKED_AT, get::hexists).docs(
        "2.0.0",
        "key field",
        "O(1)",
        "Determines whether a field exists in a hash.",
    ),
    command("hexpire", AtLeast(6), WRITE.and(FAST), SETS, expire::hexpire).docs(
        "9.0.0",
        "key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
        NAMED_FIELDS,
        "Sets expiry time on hash fields.",
    ),
    command("hexpireat", AtLeast(6), WRITE.and(FAST), SETS, expire::hexpireat).docs(
        "9.0.0",
        "key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
        NAMED_FIELDS,
        "Sets expiry time on hash fields.",
    ),
    command("hexpiretime", AtLeast(5), READ.and(FAST), READS, expire::hexpiretime).docs(
        "9.0.0",
        "key FIELDS numfields field [field ...]",
        NAMED_FIELDS,
        "Returns Unix timestamps in seconds since the epoch at which the given key's field(s) will expire.",
    ),
    command("hget", Exactly(3), READ.and(FAST), READS, get::hget).docs(
        "2.0.0",
        "key field",
        "O(1)",
        "Returns the value of a field in a hash.",
    ),
    command("hgetall", Exactly(2), READ, READS, get::hgetall).docs(
        "2.0.0",
        "key",
        WHOLE_HASH,
        "Returns all fields and values in a hash.",
    )
    .tips(UNORDERED),
    command("hgetdel", AtLeast(5), WRITE.and(FAST), &[one(RW.and(ACCESS).and(DELETE))], set::hgetdel).docs(
        "9.1.0",
        "key FIELDS numfields field [field ...]",
        "O(N) where N is the number of fields to be retrieved and deleted.",
        "Returns the values of one or more fields and deletes them from a hash.",
    ),
    command("hgetex", AtLeast(5), WRITE.and(FAST), CHANGES, setex::hgetex).docs(
        "9.0.0",
        "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST] FIELDS numfields field [field ...]",
        NAMED_FIELDS,
        "Gets the value of one or more fields of a given hash key, and optionally sets their expiration time or time-to-live (TTL).",
    ),
    command("hincrby", Exactly(4), STORE, CHANGES, counter::hincrby).docs(
        "2.0.0",
        "key field increment",
        "O(1)",
        "Increments the integer value of a field in a hash by a number. Uses 0 as initial value if the field doesn't exist.",
    ),
    command("hincrbyfloat", Exactly(4), STORE, CHANGES, counter::hincrbyfloat).docs(
        "2.6.0",
        "key field increment",
        "O(1)",
        "Increments the floating point value of a field by a number. Uses 0 as initial value if the field doesn't exist.",
    ),
    command("hkeys", Exactly(2), READ, READS, get::hkeys).docs(
        "2.0.0",
        "key",
        WHOLE_HASH,
        "Returns all fields in a hash.",
    )
    .tips(UNORDERED),
    command("hlen", Exactly(2), READ.and(FAST), LOOKED_AT, get::hlen).docs(
        "2.0.0",
        "key",
        "O(1)",
        "Returns the number of fields in a hash.",
    ),
    command("hmget", AtLeast(3), READ.and(FAST), READS, get::hmget).docs(
        "2.0.0",
        "key field [field ...]",
        "O(N) where N is the number of fields being requested.",
        "Returns the values of all fields in a hash.",
    ),
    command("hmset", AtLeast(4), STORE, SETS, set::hmset).docs(
        "2.0.0",
        "key field value [field value ...]",
        "O(N) where N is the number of fields being set.",
        "Sets the values of multiple fields.",
    ),
    command("hpersist", AtLeast(5), WRITE.and(FAST), SETS, expire::hpersist).docs(
        "9.0.0",
        "key FIELDS numfields field [field ...]",
        NAMED_FIELDS,
        "Remove the existing expiration on a hash key's field(s).",
    ),
    command("hpexpire", AtLeast(6), WRITE.and(FAST), SETS, expire::hpexpire).docs(
        "9.0.0",
        "key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
        NAMED_FIELDS,
        "Sets expiry time on hash object.",
    ),
    command("hpexpireat", AtLeast(6), WRITE.and(FAST), SETS, expire::hpexpireat).docs(
        "9.0.0",
        "key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
        NAMED_FIELDS,
        "Sets expiration time on hash field.",
    ),
    command("hpexpiretime", AtLeast(5), READ.and(FAST), READS, expire::hpexpiretime).docs(
        "9.0.0",
        "key FIELDS numfields field [field ...]",
        NAMED_FIELDS,
        "Returns the Unix timestamp in milliseconds since Unix epoch at which the given key's field(s) will expire.",
    ),
    command("hpttl", AtLeast(5), READ.and(FAST), READS, expire::hpttl).docs(
        "9.0.0",
        "key FIELDS numfields field [field ...]",
        NAMED_FIELDS,
        "Returns the remaining time to live in milliseconds of a hash key's field(s) that have an associated expiration.",
    ),
    command("hrandfield", AtLeast(2), READ, READS, random::hrandfield).docs(
        "6.2.0",
        "key [count [WITHVALUES]]",
        "O(N) where N is the number of fields returned",
        "Returns one or more random fields from a hash.",
    )
    .tips(RANDOM),
    command("hscan", AtLeast(3), READ, READS, scan::hscan).docs(
        "2.8.0",
        "key cursor [MATCH pattern] [COUNT count] [NOVALUES]",
        SCAN_COMPLEXITY,
        "Iterates over fields and values of a hash.",
    )
    .tips(RANDOM),
    command("hset", AtLeast(4), STORE, SETS, set::hset).docs(
        "2.0.0",
        "key field value [field value ...]",
        HSET_COMPLEXITY,
        "Creates or modifies the value of a field in a hash.",
    ),
    command("hsetex", AtLeast(6), STORE, &[one(RW.and(INSERT))], setex::hsetex).docs(
        "9.0.0",
        "key [NX | XX] [FNX | FXX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL] FIELDS numfields field value [field value ...]",
        NAMED_FIELDS,
        "Sets the value of one or more fields of a given hash key, and optionally sets their expiration time.",
    ),
    command("hsetnx", Exactly(4), STORE, &[one(RW.and(INSERT))], set::hsetnx).docs(
        "2.0.0",
        "key field value",
        "O(1)",
        "Sets the value of a field in a hash only when the field doesn't exist.",
    ),
    command("hstrlen", Exactly(3), READ.and(FAST), LOOKED_AT, get::hstrlen).docs(
        "3.2.0",
        "key field",
        "O(1)",
        "Returns the length of the value of a field.",
    ),
    command("httl", AtLeast(5), READ.and(FAST), READS, expire::httl).docs(
        "9.0.0",
        "key FIELDS numfields field [field ...]",
        NAMED_FIELDS,
        "Returns the remaining time to live (in seconds) of a hash key's field(s) that have an associated expiration.",
    ),
    command("hvals", Exactly(2), READ, READS, get::hvals).docs(
        "2.0.0",
        "key",
        WHOLE_HASH,
        "Returns all values in a hash.",
    )
    .tips(UNORDERED),
];

const NAMED_FIELDS: &str = "O(N) where N is the number of specified fields.";
const WHOLE_HASH: &str = "O(N) where N is the size of the hash.";
const HSET_COMPLEXITY: &str = "O(1) for each field/value pair added, so O(N) to add N field/value \
    pairs when the command is called with multiple field/value pairs.";
const SCAN_COMPLEXITY: &str = "O(1) for every call. O(N) for a complete iteration, including \
    enough command calls for the cursor to return back to 0. N is the number of elements inside \
    the collection.";

/// Where the hash at `key` is, for a command that changes or removes `fields` of it. Those of them that have expired are
/// removed first, and others told: what the command does to the rest must be the same wherever it is repeated.
fn find_to_change<'a>(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    fields: impl Iterator<Item = &'a [u8]> + Clone,
) -> Result<Option<Slot>, WrongType> {
    let found = ctx.db.find_collection::<Hash>(key)?;
    Ok(found.and_then(|slot| ctx.db.expire_fields(slot, fields)))
}

/// Lets `change` add to the hash at `found`, or to a new one at `key`.
fn change<R>(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    found: Option<Slot>,
    change: impl FnOnce(&mut Hash) -> R,
) -> R {
    match found {
        Some(slot) => ctx.db.change_at(slot, change).result,
        None => {
            let mut hash = Hash::new();
            let result = change(&mut hash);
            ctx.db.set_collection(key, hash, Expiry::Clear);
            result
        }
    }
}

/// Writes a name or a value.
#[inline]
fn reply_element(reply: &mut Reply, element: Element<'_>) {
    match element {
        Element::Int(number) => reply.bulk_integer(number),
        Element::Str(bytes) => reply.bulk(bytes),
    }
}

/// Writes the value of a field, or null.
#[inline]
fn reply_value(reply: &mut Reply, field: Option<Field<'_>>) {
    match field {
        Some(field) => reply_element(reply, field.value),
        None => reply.null(),
    }
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    /// What the log would be given since the last look: commands with `; ` between them.
    pub(super) fn propagated(redis: &mut TestServer) -> String {
        let stream = String::from_utf8(redis.server.state.effects.take()).unwrap();
        let is_text = |line: &&str| !line.is_empty() && !line.starts_with(['*', '$']);
        let commands = stream.split('*').skip(1);
        let text = |command: &str| {
            command.split("\r\n").skip(1).filter(is_text).collect::<Vec<_>>().join(" ")
        };
        commands
            .map(text)
            .filter(|command| !command.starts_with("SELECT"))
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// A server whose log is wanted, and that removes what is due only where a command comes across it.
    pub(super) fn lazy_and_logged() -> TestServer {
        let mut redis = TestServer::new();
        redis.server.state.effects.on = true;
        redis.server.state.active_expire = false;
        redis
    }

    #[test]
    fn others_are_told_of_an_expired_field_before_the_command_that_found_it() {
        for (command, reply) in [
            ("HSET h f 9", ":1"),
            ("HINCRBY h f 9", ":9"),
            ("HSETNX h f 9", ":1"),
            ("HMSET h f 9", "+OK"),
        ] {
            let mut redis = lazy_and_logged();
            redis.run("HSET h f 1 g 2");
            redis.run("HPEXPIRE h 10 FIELDS 1 f");
            redis.advance_ms(11);
            propagated(&mut redis);
            redis.run(command).is(reply);
            assert_eq!(propagated(&mut redis), format!("MULTI; HDEL h f; {command}; EXEC"));
            assert_eq!(redis.server.keyspace.stats.expired_fields, 1);
            redis.run("HTTL h FIELDS 1 f").is("*1 :-1");
        }
    }

    #[test]
    fn a_command_that_changes_nothing_still_tells_of_what_has_expired() {
        for (command, reply) in [
            ("HDEL h f", ":0"),
            ("HEXPIRE h 9 FIELDS 1 f", "*1 :-2"),
            ("HPERSIST h FIELDS 1 f", "*1 :-2"),
            ("HGETEX h EX 9 FIELDS 1 f", "*1 $-1"),
            ("HGETDEL h FIELDS 1 f", "*1 $-1"),
            ("HSETEX h FXX FIELDS 1 f 9", ":0"),
        ] {
            let mut redis = lazy_and_logged();
            redis.run("HSET h f 1 g 2");
            redis.run("HPEXPIRE h 10 FIELDS 1 f");
            redis.advance_ms(11);
            propagated(&mut redis);
            redis.run(command).is(reply);
            assert_eq!(propagated(&mut redis), "HDEL h f", "{command}");
            redis.run("HLEN h").is(":1");
        }
    }

    #[test]
    fn a_key_whose_last_field_has_expired_begins_anew() {
        let mut redis = lazy_and_logged();
        redis.run("HSET h f 1");
        redis.run("EXPIRE h 100");
        redis.run("HPEXPIRE h 10 FIELDS 1 f");
        redis.advance_ms(11);
        propagated(&mut redis);
        redis.run("HINCRBY h f 5").is(":5");
        assert_eq!(propagated(&mut redis), "MULTI; HDEL h f; HINCRBY h f 5; EXEC");
        redis.run("TTL h").is(":-1");
        redis.run("HPEXPIRE h 10 FIELDS 1 f");
        redis.advance_ms(11);
        redis.run("HDEL h f").is(":0");
        redis.run("EXISTS h").is(":0");
    }

    #[test]
    fn while_expiry_is_frozen_fields_are_hidden_and_stay() {
        let mut redis = lazy_and_logged();
        redis.run("HSET h f 1 g 2");
        redis.run("HPEXPIRE h 10 FIELDS 1 f");
        redis.server.keyspace.expiry_frozen = true;
        redis.server.state.active_expire = true;
        redis.advance_ms(1000);
        redis.run("HGETALL h").is("*2 $1 g $1 2");
        redis.run("HDEL h x").is(":0");
        redis.run("HLEN h").is(":2");
        redis.server.keyspace.expiry_frozen = false;
        redis.advance_ms(1000);
        redis.run("HLEN h").is(":1");
    }

    #[test]
    fn a_hundred_thousand_fields_that_expire_at_once_go_in_short_turns() {
        const FIELDS: usize = 100_000;
        let mut redis = lazy_and_logged();
        for start in (0..FIELDS).step_by(1000) {
            let pairs: Vec<String> = (start..start + 1000).map(|i| format!("f{i} v")).collect();
            redis.run(&format!("HSETEX h PX 50 FIELDS 1000 {}", pairs.join(" "))).is(":1");
        }
        redis.run("HSET h stays 1");
        redis.run("HSET other f 1");
        redis.run("HPEXPIRE other 50 FIELDS 1 f");
        propagated(&mut redis);
        redis.advance_ms(100);
        redis.server.state.active_expire = true;
        redis.world.borrow_mut().now_step_us = 2000; // each look at the clock ends the turn
        let (mut turns, mut longest, mut left) = (0, 0, FIELDS + 1);
        while left > 1 {
            redis.advance_ms(0);
            let now_left: usize = redis.run("HLEN h").0[1..].parse().unwrap();
            longest = longest.max(left - now_left);
            left = now_left;
            turns += 1;
            assert!(turns < 5000, "{left} fields are left");
        }
        assert!(longest <= 4000, "{longest} fields in one turn");
        redis.advance_ms(200);
        redis.advance_ms(200);
        redis.run("HGETALL h").is("*2 $5 stays $1 1");
        redis.run("EXISTS other").is(":0");
        assert_eq!(redis.server.keyspace.stats.expired_fields, FIELDS as u64 + 1);
        let log = propagated(&mut redis);
        let words = log.split([' ', ';']).filter(|word| word.starts_with('f'));
        assert_eq!(words.count(), FIELDS + 1);
    }

    #[test]
    fn the_times_of_fields_move_with_their_key() {
        for command in ["RENAME h x", "COPY h x", "MOVE h 1", "SWAPDB 0 1", "COPY h x DB 1"] {
            for fields in [2, 1000] {
                let mut redis = TestServer::new();
                for number in 0..fields {
                    redis.run(&format!("HSET h f{number} v"));
                }
                redis.run("HPEXPIRE h 50 FIELDS 1 f1").is("*1 :1");
                redis.run(command);
                for _ in 0..4 {
                    redis.advance_ms(100);
                }
                let lens = redis.server.keyspace.databases().iter().flat_map(|database| {
                    database.entries().map(|entry| match database.value(entry) {
                        crate::keyspace::ValueRef::Hash(hash) => hash.len(),
                        _ => 0,
                    })
                });
                assert!(lens.into_iter().all(|len| len == fields - 1), "{command} {fields}");
            }
        }
    }

    #[test]
    fn keys_with_expiring_fields_are_no_expiring_keys() {
        let mut redis = TestServer::new();
        redis.run("HSET h f 1 g 2");
        redis.run("HPEXPIRE h 50 FIELDS 1 f");
        assert_eq!(redis.server.keyspace.databases()[0].keys_with_expiry(), 0);
        assert!(redis.run("INFO keyspace").0.contains("db0:keys=1,expires=0"));
        redis.advance_ms(100);
        assert!(redis.run("INFO stats").0.contains("expired_fields:1"));
        assert!(redis.run("INFO stats").0.contains("expired_keys:0"));
    }
}
