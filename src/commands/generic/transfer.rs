//! Keys that get another name or go to another database, their expire times with them.
//!
//! Looking for the target may remove a key that is due, and a removal moves slots: so the target comes first.

use crate::commands::{CommandError, CommandResult, Ctx};
use crate::config::KeyspaceEvents;
use crate::keyspace::Type;
use crate::resp::Args;
use crate::resp::number::parse_i64;

const SAME_OBJECT: CommandError =
    CommandError::Text("ERR source and destination objects are the same");

/// `RENAME key newkey` -> `+OK`; what `newkey` held is gone. O(1).
pub(super) fn rename(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (key, new_key) = (args.key(1), args.key(2));
    let replaced = type_of(ctx, ctx.db.index, new_key).filter(|_| key != new_key);
    let slot = ctx.db.find_write(key).ok_or(CommandError::NoSuchKey)?;
    if key != new_key {
        let kind = ctx.db.database().entry(slot).kind();
        ctx.db.move_at(slot, ctx.db.index, new_key);
        ctx.modified(key);
        ctx.modified(new_key);
        ctx.notify(KeyspaceEvents::GENERIC, "rename_from", key);
        ctx.notify(KeyspaceEvents::GENERIC, "rename_to", new_key);
        notify_replaced(ctx, replaced, kind, ctx.db.index, new_key);
    }
    ctx.reply.ok();
    Ok(())
}

/// `RENAMENX key newkey` -> whether it was renamed: `newkey` must not be there. O(1).
pub(super) fn renamenx(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (key, new_key) = (args.key(1), args.key(2));
    let is_free = ctx.db.find(new_key).is_none();
    let slot = ctx.db.find_write(key).ok_or(CommandError::NoSuchKey)?;
    if is_free {
        ctx.db.move_at(slot, ctx.db.index, new_key);
        ctx.modified(key);
        ctx.modified(new_key);
        ctx.notify(KeyspaceEvents::GENERIC, "rename_from", key);
        ctx.notify(KeyspaceEvents::GENERIC, "rename_to", new_key);
    }
    ctx.reply.integer(i64::from(is_free));
    Ok(())
}

/// `MOVE key db` -> whether it was moved: it must be here and not there. O(1).
pub(super) fn move_to_db(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.key(1);
    let target = db_index(ctx, args.bytes(2))?;
    if target == ctx.db.index {
        return Err(SAME_OBJECT);
    }
    let is_free = ctx.db.keyspace.db(target).find(key).is_none();
    let found = ctx.db.find_write(key).filter(|_| is_free);
    if let Some(slot) = found {
        ctx.db.move_at(slot, target, key);
        ctx.modified(key);
        ctx.modified_in(target, key);
        ctx.notify(KeyspaceEvents::GENERIC, "move_from", key);
        ctx.notify_in(KeyspaceEvents::GENERIC, "move_to", target, key);
    }
    ctx.reply.integer(i64::from(found.is_some()));
    Ok(())
}

/// The type of a key in any database.
fn type_of(ctx: &mut Ctx<'_>, db: usize, key: &[u8]) -> Option<Type> {
    let mut db = ctx.db.keyspace.db(db);
    db.find(key).map(|slot| db.database().entry(slot).kind())
}

/// Tells that a key of type `replaced` was there before the one of type `kind`.
fn notify_replaced(ctx: &mut Ctx<'_>, replaced: Option<Type>, kind: Type, db: usize, key: &[u8]) {
    let Some(replaced) = replaced else { return };
    ctx.notify_in(KeyspaceEvents::OVERWRITTEN, "overwritten", db, key);
    if replaced != kind {
        ctx.notify_in(KeyspaceEvents::TYPE_CHANGED, "type_changed", db, key);
    }
}

/// `COPY source destination [DB destination-db] [REPLACE]` -> whether it was copied. O(1) for strings: long ones are
/// shared until one of them is changed.
pub(super) fn copy(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (key, new_key) = (args.key(1), args.key(2));
    let CopyOptions { target, replace } = CopyOptions::parse(ctx, args.tail(3))?;
    if target == ctx.db.index && key == new_key {
        return Err(SAME_OBJECT);
    }
    let replaced = type_of(ctx, target, new_key);
    let found = ctx.db.find_read(key).filter(|_| replaced.is_none() || replace);
    if let Some(slot) = found {
        let kind = ctx.db.database().entry(slot).kind();
        ctx.db.copy_at(slot, target, new_key);
        ctx.modified_in(target, new_key);
        ctx.notify_in(KeyspaceEvents::GENERIC, "copy_to", target, new_key);
        notify_replaced(ctx, replaced, kind, target, new_key);
    }
    ctx.reply.integer(i64::from(found.is_some()));
    Ok(())
}

struct CopyOptions {
    target: usize,
    replace: bool,
}

impl CopyOptions {
    fn parse(ctx: &Ctx<'_>, mut rest: Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self { target: ctx.db.index, replace: false };
        while let Some(option) = rest.get(0) {
            if option.eq_ignore_ascii_case(b"replace") {
                options.replace = true;
                rest = rest.tail(1);
            } else if option.eq_ignore_ascii_case(b"db") {
                options.target = db_index(ctx, rest.get(1).ok_or(CommandError::Syntax)?)?;
                rest = rest.tail(2);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
}

/// The database that `argument` names.
fn db_index(ctx: &Ctx<'_>, argument: &[u8]) -> Result<usize, CommandError> {
    let number = parse_i64(argument).ok_or(CommandError::NotAnInteger)?;
    let number = i32::try_from(number).map_err(|_| {
        CommandError::Text(
            "ERR value is out of range, value must between -2147483648 and 2147483647",
        )
    })?;
    usize::try_from(number)
        .ok()
        .filter(|&index| index < ctx.db.keyspace.databases_len())
        .ok_or(CommandError::DbIndexOutOfRange)
}

#[cfg(test)]
mod tests {
    use crate::keyspace::Expiry;
    use crate::server::testing::TestServer;
    use crate::types::hash::{FieldExpiry, Hash, HashLimits};
    use crate::types::limits::PackedLimits;
    use crate::types::list::{End, List, NodeLimit};
    use crate::types::sorted_set::SortedSet;

    /// A string in each way a string can be stored: integer, in the entry, as an object.
    fn values() -> [String; 3] {
        ["12345".into(), "short".into(), "x".repeat(5000)]
    }

    fn bulk(value: &str) -> String {
        format!("${} {value}", value.len())
    }

    /// Runs a command in another database, as a client of its own.
    fn run_in(redis: &mut TestServer, db: usize, line: &str) -> String {
        let client = redis.connect();
        redis.server.state.clients.get_mut(client).db = db;
        redis.run_as(client, line).0
    }

    #[test]
    fn rename_takes_value_and_time_along() {
        for value in values() {
            let mut redis = TestServer::new();
            redis.run(&format!("SET a {value}"));
            redis.run("SET b other");
            redis.run("EXPIRE a 10");
            redis.run("RENAME a b").is("+OK");
            redis.run("EXISTS a").is(":0");
            redis.run("GET b").is(&bulk(&value));
            redis.run("TTL b").is(":10");
            redis.advance_ms(10_001);
            redis.run("EXISTS b").is(":0");
        }
    }

    #[test]
    fn rename_does_not_inherit_the_time_of_the_target() {
        let mut redis = TestServer::new();
        redis.run("SET a 1");
        redis.run("SET b 2");
        redis.run("EXPIRE b 10");
        redis.run("RENAME a b").is("+OK");
        redis.run("TTL b").is(":-1");
    }

    #[test]
    fn rename_of_a_missing_key_is_an_error_even_to_itself() {
        let mut redis = TestServer::new();
        redis.run("RENAME a b").is("-ERR no such key");
        redis.run("RENAME a a").is("-ERR no such key");
        redis.run("RENAMENX a b").is("-ERR no such key");
        redis.run("SET a 1");
        let before = redis.server.state.dirty;
        redis.run("RENAME a a").is("+OK");
        redis.run("RENAMENX a a").is(":0");
        assert_eq!(redis.server.state.dirty, before);
        redis.run("GET a").is("$1 1");
    }

    #[test]
    fn renamenx_spares_a_key_that_is_there_but_not_one_that_is_due() {
        let mut redis = TestServer::new();
        redis.run("SET a 1");
        redis.run("SET b 2");
        redis.run("RENAMENX a b").is(":0");
        redis.run("GET b").is("$1 2");
        redis.run("PEXPIRE b 10");
        redis.server.state.active_expire = false;
        redis.advance_ms(11);
        redis.run("RENAMENX a b").is(":1");
        redis.run("GET b").is("$1 1");
        redis.run("TTL b").is(":-1");
        redis.run("EXISTS a").is(":0");
    }

    #[test]
    fn move_takes_value_and_time_along() {
        for value in values() {
            let mut redis = TestServer::new();
            redis.run(&format!("SET k {value}"));
            redis.run("PEXPIRE k 5000");
            redis.run("MOVE k 10").is(":1");
            redis.run("EXISTS k").is(":0");
            assert_eq!(run_in(&mut redis, 10, "GET k"), bulk(&value));
            assert_eq!(run_in(&mut redis, 10, "PTTL k"), ":5000");
            redis.run("SET k again");
            redis.run("MOVE k 10").is(":0");
            redis.run("GET k").is("$5 again");
            redis.run("MOVE missing 10").is(":0");
        }
    }

    #[test]
    fn move_and_copy_refuse_databases_that_are_not_there() {
        let mut redis = TestServer::new();
        redis.run("SET k v");
        for command in ["MOVE k", "COPY k k DB", "MOVE missing"] {
            redis.run(&format!("{command} 16")).is("-ERR DB index is out of range");
            redis.run(&format!("{command} -1")).is("-ERR DB index is out of range");
            redis.run(&format!("{command} x")).is("-ERR value is not an integer or out of range");
            redis
                .run(&format!("{command} 3000000000"))
                .is("-ERR value is out of range, value must between -2147483648 and 2147483647");
        }
        redis.run("MOVE k 0").is("-ERR source and destination objects are the same");
        redis.run("COPY k k").is("-ERR source and destination objects are the same");
        redis.run("COPY k k DB 0").is("-ERR source and destination objects are the same");
        redis.run("COPY k x DB").is("-ERR syntax error");
        redis.run("COPY k x FOO").is("-ERR syntax error");
    }

    #[test]
    fn copy_is_independent_of_its_source() {
        for value in values() {
            let mut redis = TestServer::new();
            redis.run(&format!("SET a {value}"));
            redis.run("EXPIRE a 10");
            redis.run("COPY a b").is(":1");
            redis.run("SET a changed");
            redis.run("GET b").is(&bulk(&value));
            redis.run("TTL b").is(":10");
            redis.run("TTL a").is(":-1");
        }
    }

    #[test]
    fn copy_replaces_only_when_told_to() {
        let mut redis = TestServer::new();
        redis.run("SET a 1");
        redis.run("SET b 2");
        redis.run("EXPIRE b 10");
        redis.run("COPY a b").is(":0");
        redis.run("GET b").is("$1 2");
        redis.run("COPY a b replace").is(":1");
        redis.run("GET b").is("$1 1");
        redis.run("TTL b").is(":-1");
        redis.run("COPY missing b REPLACE").is(":0");
        redis.run("GET b").is("$1 1");
    }

    #[test]
    fn copy_reaches_other_databases() {
        for value in values() {
            let mut redis = TestServer::new();
            redis.run(&format!("SET a {value}"));
            redis.run("COPY a a DB 3").is(":1");
            redis.run("COPY a a DB 3").is(":0");
            redis.run("COPY a a REPLACE DB 3").is(":1");
            assert_eq!(run_in(&mut redis, 3, "GET a"), bulk(&value));
            redis.run("GET a").is(&bulk(&value));
        }
    }

    /// A collection of each type, small and big, at keys that tell its type.
    fn with_collections() -> (TestServer, Vec<(String, &'static str)>) {
        let mut redis = TestServer::with(|config| {
            config.enable_debug_command = crate::config::value::ProtectedAction::Yes;
        });
        let (mut keys, hash_key) = (Vec::new(), redis.server.keyspace.hash_key());
        for len in [3, 2000] {
            let packed = PackedLimits { entries: 128, value_bytes: 64 };
            let limits = HashLimits { packed, hash_key, now_ms: 0 };
            let mut list = List::default();
            let mut hash = Hash::new();
            let mut members = SortedSet::new(1, 1, packed, hash_key);
            for number in 0..len {
                let text = format!("element {number}");
                redis.run_bytes(&[b"SADD", format!("set{len}").as_bytes(), text.as_bytes()]);
                list.push(End::Right, std::iter::once(text.as_bytes()), NodeLimit::new(-2));
                hash.set(text.as_bytes(), text.as_bytes(), FieldExpiry::Never, &limits);
                members.set(text.as_bytes(), f64::from(number), packed, hash_key);
            }
            let mut db = redis.server.keyspace.db(0);
            db.set_collection(format!("list{len}").as_bytes(), list, Expiry::Clear);
            db.set_collection(format!("hash{len}").as_bytes(), hash, Expiry::Clear);
            db.set_collection(format!("zset{len}").as_bytes(), members, Expiry::Clear);
            keys.extend(["set", "list", "hash", "zset"].map(|kind| (format!("{kind}{len}"), kind)));
        }
        (redis, keys)
    }

    #[test]
    fn collections_of_every_type_are_copied_renamed_and_moved_whole() {
        let (mut redis, keys) = with_collections();
        for (key, kind) in keys {
            redis.run(&format!("EXPIRE {key} 100"));
            redis.run(&format!("TYPE {key}")).is(&format!("+{kind}"));
            let digest = redis.run(&format!("DEBUG DIGEST-VALUE {key}")).0;
            let encoding = redis.run(&format!("OBJECT ENCODING {key}")).0;
            redis.run("SADD other 1 2 3");
            redis.run(&format!("COPY {key} other")).is(":0");
            redis.run(&format!("COPY {key} other REPLACE")).is(":1");
            redis.run("DEBUG DIGEST-VALUE other").is(&digest);
            redis.run(&format!("DEL {key}")).is(":1");
            redis.run("DEBUG DIGEST-VALUE other").is(&digest);
            redis.run(&format!("RENAME other {key}")).is("+OK");
            redis.run(&format!("MOVE {key} 3")).is(":1");
            assert_eq!(run_in(&mut redis, 3, &format!("DEBUG DIGEST-VALUE {key}")), digest);
            assert_eq!(run_in(&mut redis, 3, &format!("OBJECT ENCODING {key}")), encoding);
            assert_eq!(run_in(&mut redis, 3, &format!("TTL {key}")), ":100");
            assert_eq!(run_in(&mut redis, 3, &format!("OBJECT IDLETIME {key}")), ":0");
            redis.run(&format!("EXISTS {key} other")).is(":0");
        }
    }

    #[test]
    fn scan_tells_types_apart_and_memory_usage_counts_what_is_in_them() {
        let (mut redis, keys) = with_collections();
        for (key, kind) in keys {
            let page = redis.run(&format!("SCAN 0 COUNT 100 TYPE {kind}")).0;
            assert!(page.starts_with("*2 $1 0 *2 ") && page.contains(&key), "{page}");
            let usage: usize =
                redis.run(&format!("MEMORY USAGE {key} SAMPLES 0")).0[1..].parse().unwrap();
            let expected = if key.ends_with("2000") { 20_000..250_000 } else { 60..250 };
            assert!(expected.contains(&usage), "{key} {usage}");
        }
    }
}
