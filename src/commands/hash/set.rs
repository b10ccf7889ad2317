//! Setting and removing fields.

use super::fields::{Fields, Mismatch};
use super::{change, find_to_change, reply_value};
use crate::commands::{CommandError, CommandResult, Ctx};
use crate::config::KeyspaceEvents;
use crate::keyspace::Changed;
use crate::resp::Args;
use crate::types::hash::{FieldExpiry, Hash};

/// `HSET key field value [field value ...]` -> number of fields that are new. O(1) for each.
pub(super) fn hset(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let created = set_pairs(ctx, args)?;
    ctx.reply.integer(created);
    Ok(())
}

/// `HMSET key field value [field value ...]` -> `+OK`. O(1) for each.
pub(super) fn hmset(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    set_pairs(ctx, args)?;
    ctx.reply.ok();
    Ok(())
}

/// Sets the pairs after the key. Their fields lose the expire times they have.
fn set_pairs(ctx: &mut Ctx<'_>, args: &Args<'_>) -> Result<i64, CommandError> {
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::WrongArity(ctx.command.name.into()));
    }
    let (key, names) = (args.key(1), (2..args.len()).step_by(2));
    let found = find_to_change(ctx, key, names.clone().map(|at| args.bytes(at)))?;
    let limits = ctx.hash_limits();
    let created = change(ctx, key, found, |hash| {
        let is_new =
            |at: &usize| hash.set(args.bytes(*at), args.bytes(at + 1), FieldExpiry::Never, &limits);
        names.filter(is_new).count() as i64
    });
    ctx.modified(key);
    ctx.notify(KeyspaceEvents::HASH, "hset", key);
    Ok(created)
}

/// `HSETNX key field value` -> 1, or 0 if the field is there already. O(1).
pub(super) fn hsetnx(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (key, name, value) = (args.key(1), args.bytes(2), args.bytes(3));
    let found = find_to_change(ctx, key, std::iter::once(name))?;
    let now_ms = ctx.now_ms();
    if let Some(slot) = found
        && ctx.db.collection::<Hash>(slot)?.contains(name, now_ms)
    {
        ctx.reply.integer(0);
        return Ok(());
    }
    let limits = ctx.hash_limits();
    change(ctx, key, found, |hash| hash.set(name, value, FieldExpiry::Never, &limits));
    ctx.modified(key);
    ctx.notify(KeyspaceEvents::HASH, "hset", key);
    ctx.reply.integer(1);
    Ok(())
}

/// `HDEL key field [field ...]` -> number of fields that were there. O(1) for each.
pub(super) fn hdel(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (key, names) = (args.key(1), args.tail(2));
    let Some(slot) = find_to_change(ctx, key, names.iter())? else {
        ctx.reply.integer(0);
        return Ok(());
    };
    let now_ms = ctx.now_ms();
    let removed = ctx.db.change_at(slot, |hash: &mut Hash| {
        names.iter().filter(|name| hash.remove(name, now_ms)).count()
    });
    if removed.result > 0 {
        ctx.modified(key);
        notify_removed(ctx, key, &removed);
    }
    ctx.reply.integer(removed.result as i64);
    Ok(())
}

/// `HGETDEL key FIELDS numfields field [field ...]` -> the values of the fields, which are deleted. O(1) for each.
pub(super) fn hgetdel(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (key, names) = (args.key(1), Fields::at_2(args, Mismatch::Explained)?);
    let found = find_to_change(ctx, key, names.iter())?;
    ctx.reply.array(names.len());
    let Some(slot) = found else {
        names.iter().for_each(|_| ctx.reply.null());
        return Ok(());
    };
    let (now_ms, reply) = (ctx.now_ms(), &mut *ctx.reply);
    let removed = ctx.db.change_at(slot, |hash: &mut Hash| {
        let remove = |name: &&[u8]| {
            reply_value(reply, hash.as_ref().get(name, now_ms));
            hash.remove(name, now_ms)
        };
        names.iter().filter(remove).collect::<Vec<_>>()
    });
    if !removed.result.is_empty() {
        ctx.modified(key);
        // HDEL, which also those know who have no HGETDEL.
        ctx.propagate(&[&[&b"HDEL"[..], key], &removed.result[..]].concat());
        notify_removed(ctx, key, &removed);
    }
    Ok(())
}

fn notify_removed<R>(ctx: &mut Ctx<'_>, key: &[u8], removed: &Changed<R>) {
    ctx.notify(KeyspaceEvents::HASH, "hdel", key);
    if removed.emptied {
        ctx.notify(KeyspaceEvents::GENERIC, "del", key);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{lazy_and_logged, propagated};
    use crate::server::testing::TestServer;

    const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

    #[test]
    fn hset_counts_new_fields_and_hmset_does_not() {
        let mut redis = TestServer::new();
        redis.run("HSET h a 1 b 2").is(":2");
        redis.run("HSET h a 3 c 4 c 5").is(":1");
        redis.run("HMSET h a 6 d 7").is("+OK");
        redis.run("HGETALL h").is("*8 $1 a $1 6 $1 b $1 2 $1 c $1 5 $1 d $1 7");
    }

    #[test]
    fn hset_takes_the_expire_time_of_a_field_away() {
        let mut redis = TestServer::new();
        redis.run("HSET h a 1");
        redis.run("HEXPIRE h 100 FIELDS 1 a");
        redis.run("HSET h a 2").is(":0");
        redis.run("HTTL h FIELDS 1 a").is("*1 :-1");
    }

    #[test]
    fn a_field_without_a_value_is_refused() {
        let mut redis = TestServer::new();
        for (command, name) in
            [("HSET h a 1 b", "hset"), ("HMSET h a 1 b", "hmset"), ("HSET h a", "hset")]
        {
            let text = format!("-ERR wrong number of arguments for '{name}' command");
            redis.run(command).is(&text);
        }
        redis.run("EXISTS h").is(":0");
    }

    #[test]
    fn hsetnx_sets_only_what_is_not_there() {
        let mut redis = TestServer::new();
        redis.run("HSETNX h a 1").is(":1");
        redis.run("HSETNX h a 2").is(":0");
        redis.run("HGET h a").is("$1 1");
    }

    #[test]
    fn hdel_of_the_last_field_deletes_the_key() {
        let mut redis = lazy_and_logged();
        redis.run("HSET h a 1 b 2 c 3");
        propagated(&mut redis);
        redis.run("HDEL h x").is(":0");
        redis.run("HDEL missing x").is(":0");
        assert_eq!(propagated(&mut redis), "");
        redis.run("HDEL h a x a").is(":1");
        redis.run("HDEL h b c").is(":2");
        redis.run("EXISTS h").is(":0");
        assert_eq!(propagated(&mut redis), "HDEL h a x a; HDEL h b c");
    }

    #[test]
    fn hgetdel_returns_what_it_deletes() {
        let mut redis = lazy_and_logged();
        redis.run("HSET h a 1 b 2 c 3");
        propagated(&mut redis);
        redis.run("HGETDEL h FIELDS 4 a x a b").is("*4 $1 1 $-1 $-1 $1 2");
        assert_eq!(propagated(&mut redis), "HDEL h a b");
        redis.run("HGETDEL h FIELDS 1 c").is("*1 $1 3");
        redis.run("EXISTS h").is(":0");
        redis.run("HGETDEL h FIELDS 2 c d").is("*2 $-1 $-1");
        redis.run("HGETDEL h NONE 1 c").is("-ERR syntax error");
        let text =
            "-ERR numfields should be greater than 0 and match the provided number of fields";
        for number in ["0", "-1", "2", "9223372036854775807"] {
            redis.run(&format!("HGETDEL h FIELDS {number} c")).is(text);
        }
        redis.run("HGETDEL h FIELDS x c").is("-ERR value is not an integer or out of range");
    }

    #[test]
    fn other_types_are_refused() {
        let mut redis = TestServer::new();
        redis.run("SET s 1");
        for command in ["HSET s a 1", "HSETNX s a 1", "HDEL s a", "HGETDEL s FIELDS 1 a"] {
            redis.run(command).is(WRONG_TYPE);
        }
        redis.run("GET s").is("$1 1");
    }

    #[test]
    fn a_hash_grows_from_a_listpack_to_a_table() {
        let mut redis = TestServer::new();
        for number in 0..512 {
            redis.run(&format!("HSET h f{number} v"));
        }
        redis.run("OBJECT ENCODING h").is("$8 listpack");
        redis.run("HSET h one-more v").is(":1");
        redis.run("OBJECT ENCODING h").is("$9 hashtable");
        redis.run(&format!("HSET long f {}", "x".repeat(65)));
        redis.run("OBJECT ENCODING long").is("$9 hashtable");
        redis.run("HLEN h").is(":513");
    }
}
