//! Reading fields and values. Fields that have expired are not seen.

use super::{reply_element, reply_value};
use crate::commands::{CommandResult, Ctx};
use crate::resp::Args;
use crate::types::hash::{Hash, HashRef};

/// `HGET key field` -> the value, or null. O(1).
pub(super) fn hget(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let now_ms = ctx.now_ms();
    let hash = ctx.db.read::<Hash>(args.key(1))?;
    reply_value(ctx.reply, hash.and_then(|hash| hash.get(args.bytes(2), now_ms)));
    Ok(())
}

/// `HMGET key field [field ...]` -> the values, null where there is none. Linear in the fields asked for.
pub(super) fn hmget(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let now_ms = ctx.now_ms();
    let (hash, names) = (ctx.db.read::<Hash>(args.key(1))?, args.tail(2));
    ctx.reply.array(names.len());
    for name in names.iter() {
        reply_value(ctx.reply, hash.and_then(|hash| hash.get(name, now_ms)));
    }
    Ok(())
}

/// `HEXISTS key field` -> whether it is there. O(1).
pub(super) fn hexists(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let now_ms = ctx.now_ms();
    let hash = ctx.db.read::<Hash>(args.key(1))?;
    let exists = hash.is_some_and(|hash| hash.contains(args.bytes(2), now_ms));
    ctx.reply.integer(i64::from(exists));
    Ok(())
}

/// `HSTRLEN key field` -> length of the value in bytes, 0 if there is none. O(1).
pub(super) fn hstrlen(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let now_ms = ctx.now_ms();
    let hash = ctx.db.read::<Hash>(args.key(1))?;
    let field = hash.and_then(|hash| hash.get(args.bytes(2), now_ms));
    ctx.reply.integer(field.map_or(0, |field| field.value.text_len()) as i64);
    Ok(())
}

/// `HLEN key` -> number of fields; as in Redis and Valkey, those count that have expired and were not removed yet. O(1).
pub(super) fn hlen(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let len = ctx.db.read::<Hash>(args.key(1))?.map_or(0, HashRef::len);
    ctx.reply.integer(len as i64);
    Ok(())
}

/// `HKEYS key` -> the names of all fields. Linear.
pub(super) fn hkeys(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let now_ms = ctx.now_ms();
    let hash = ctx.db.read::<Hash>(args.key(1))?;
    ctx.reply.array(hash.map_or(0, |hash| hash.len_unexpired(now_ms)));
    for field in hash.into_iter().flat_map(|hash| hash.iter(now_ms)) {
        reply_element(ctx.reply, field.name);
    }
    Ok(())
}

/// `HVALS key` -> the values of all fields. Linear.
pub(super) fn hvals(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let now_ms = ctx.now_ms();
    let hash = ctx.db.read::<Hash>(args.key(1))?;
    ctx.reply.array(hash.map_or(0, |hash| hash.len_unexpired(now_ms)));
    for field in hash.into_iter().flat_map(|hash| hash.iter(now_ms)) {
        reply_element(ctx.reply, field.value);
    }
    Ok(())
}

/// `HGETALL key` -> a map of all fields and values. Linear.
pub(super) fn hgetall(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let now_ms = ctx.now_ms();
    let hash = ctx.db.read::<Hash>(args.key(1))?;
    ctx.reply.map(hash.map_or(0, |hash| hash.len_unexpired(now_ms)));
    for field in hash.into_iter().flat_map(|hash| hash.iter(now_ms)) {
        reply_element(ctx.reply, field.name);
        reply_element(ctx.reply, field.value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn fields_are_read_one_by_one_and_all_together() {
        let mut redis = TestServer::new();
        redis.run("HSET h a 1 b xyz").is(":2");
        redis.run("HGET h a").is("$1 1");
        redis.run("HGET h c").is("$-1");
        redis.run("HMGET h a c b a").is("*4 $1 1 $-1 $3 xyz $1 1");
        redis.run("HEXISTS h a").is(":1");
        redis.run("HEXISTS h c").is(":0");
        redis.run("HSTRLEN h b").is(":3");
        redis.run("HSTRLEN h c").is(":0");
        redis.run("HLEN h").is(":2");
        redis.run("HKEYS h").is("*2 $1 a $1 b");
        redis.run("HVALS h").is("*2 $1 1 $3 xyz");
        redis.run("HGETALL h").is("*4 $1 a $1 1 $1 b $3 xyz");
        redis.run("HELLO 3");
        redis.run("HGETALL h").is("%2 $1 a $1 1 $1 b $3 xyz");
        redis.run("HKEYS h").is("*2 $1 a $1 b");
        redis.run("HGET h c").is("_");
    }

    #[test]
    fn a_missing_key_is_a_hash_without_fields() {
        let mut redis = TestServer::new();
        redis.run("HGET h a").is("$-1");
        redis.run("HMGET h a b").is("*2 $-1 $-1");
        for zero in ["HLEN h", "HEXISTS h a", "HSTRLEN h a"] {
            redis.run(zero).is(":0");
        }
        for empty in ["HKEYS h", "HVALS h", "HGETALL h"] {
            redis.run(empty).is("*0");
        }
    }

    #[test]
    fn other_types_are_refused() {
        let mut redis = TestServer::new();
        redis.run("SET s 1");
        for read in ["HGET s a", "HMGET s a", "HLEN s", "HEXISTS s a", "HSTRLEN s a", "HGETALL s"] {
            redis
                .run(read)
                .is("-WRONGTYPE Operation against a key holding the wrong kind of value");
        }
    }

    #[test]
    fn expired_fields_are_hidden_at_once_but_counted_until_they_are_removed() {
        let mut redis = TestServer::new();
        redis.server.state.active_expire = false;
        redis.run("HSET h a 1 b 2");
        redis.run("HPEXPIRE h 10 FIELDS 1 a").is("*1 :1");
        redis.advance_ms(10);
        redis.run("HGET h a").is("$1 1");
        redis.advance_ms(1);
        redis.run("HGET h a").is("$-1");
        redis.run("HMGET h a b").is("*2 $-1 $1 2");
        redis.run("HEXISTS h a").is(":0");
        redis.run("HSTRLEN h a").is(":0");
        redis.run("HGETALL h").is("*2 $1 b $1 2");
        redis.run("HKEYS h").is("*1 $1 b");
        redis.run("HVALS h").is("*1 $1 2");
        redis.run("HLEN h").is(":2");
        redis.server.state.active_expire = true;
        redis.advance_ms(100);
        redis.run("HLEN h").is(":1");
    }
}
