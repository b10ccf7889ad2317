//! Storing a value whole: `SET` and its older forms.

use super::options::{Clock, Options, SET, expire_at_ms};
use super::{propagate_set, reply_string, stored};
use crate::commands::{CommandResult, Ctx};
use crate::keyspace::{Expiry, NewString};
use crate::resp::Args;

/// `SET key value [option ...]` -> `+OK`, null if a condition forbids it, or with `GET` the old value. O(1).
pub(super) fn set(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if args.len() > 3 {
        return set_with_options(ctx, args);
    }
    let key = args.key(1);
    ctx.db.set_string(key, NewString::encode(args.bytes(2)), Expiry::Clear);
    stored(ctx, key, Expiry::Clear);
    ctx.reply.ok();
    Ok(())
}

fn set_with_options(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.key(1);
    let options = Options::parse(args.tail(3), SET)?;
    let expiry = options.lifetime.expiry(ctx)?;
    let found = if options.get { ctx.db.find_read(key) } else { ctx.db.find_write(key) };
    let old = found.map(|slot| ctx.db.string(slot));
    let sets = match options.condition {
        Some(condition) => condition.holds(old)?,
        None => true,
    };
    if options.get {
        reply_string(ctx.reply, old.transpose()?);
    }
    if sets {
        ctx.db.set_string_at(found, key, NewString::encode(args.bytes(2)), expiry);
        stored(ctx, key, expiry);
        propagate_set(ctx, key, args.bytes(2), expiry);
    }
    match (options.get, sets) {
        (true, _) => {}
        (false, true) => ctx.reply.ok(),
        (false, false) => ctx.reply.null(),
    }
    Ok(())
}

/// `SETNX key value` -> 1, or 0 if the key exists. O(1).
pub(super) fn setnx(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.key(1);
    let found = ctx.db.find_write(key).is_some();
    if !found {
        ctx.db.set_string_at(None, key, NewString::encode(args.bytes(2)), Expiry::Clear);
        stored(ctx, key, Expiry::Clear);
    }
    ctx.reply.integer(i64::from(!found));
    Ok(())
}

/// `SETEX key seconds value` -> `+OK`. O(1).
pub(super) fn setex(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    set_with_ttl(ctx, args, Clock::InSeconds)
}

/// `PSETEX key milliseconds value` -> `+OK`. O(1).
pub(super) fn psetex(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    set_with_ttl(ctx, args, Clock::InMilliseconds)
}

fn set_with_ttl(ctx: &mut Ctx<'_>, args: &Args<'_>, clock: Clock) -> CommandResult {
    let key = args.key(1);
    let expiry = Expiry::At(expire_at_ms(ctx, clock, args.bytes(2))?);
    ctx.db.set_string(key, NewString::encode(args.bytes(3)), expiry);
    stored(ctx, key, expiry);
    propagate_set(ctx, key, args.bytes(3), expiry);
    ctx.reply.ok();
    Ok(())
}

/// `GETSET key value` -> the old string, or null. O(1).
pub(super) fn getset(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.key(1);
    let found = ctx.db.find_read(key);
    let old = found.map(|slot| ctx.db.string(slot)).transpose()?;
    reply_string(ctx.reply, old);
    ctx.db.set_string_at(found, key, NewString::encode(args.bytes(2)), Expiry::Clear);
    stored(ctx, key, Expiry::Clear);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn set_replaces_value_and_expire_time() {
        let mut redis = TestServer::new();
        redis.run("SET k ab PX 10").is("+OK");
        redis.run("SET k cd").is("+OK");
        redis.advance_ms(100);
        redis.run("GET k").is("$2 cd");
        redis.run("SET k ef PX 10").is("+OK");
        redis.run("SET k gh KEEPTTL").is("+OK");
        redis.advance_ms(11);
        redis.run("GET k").is("$-1");
    }

    #[test]
    fn nx_and_xx_look_at_whether_the_key_exists() {
        let mut redis = TestServer::new();
        redis.run("SET k a XX").is("$-1");
        redis.run("SET k a NX PX 10").is("+OK");
        redis.run("SET k b NX").is("$-1");
        redis.run("SET k c XX").is("+OK");
        redis.run("GET k").is("$1 c");
        redis.run("SET k d PX 10").is("+OK");
        redis.advance_ms(11);
        redis.run("SET k e NX").is("+OK");
    }

    #[test]
    fn get_answers_the_old_value_whether_or_not_it_is_replaced() {
        let mut redis = TestServer::new();
        redis.run("SET k a XX GET").is("$-1");
        redis.run("SET k a GET").is("$-1");
        redis.run("SET k b NX GET").is("$1 a");
        redis.run("SET k 12 XX GET EX 5").is("$1 a");
        redis.run("SET k c GET").is("$2 12");
        redis.run("GET k").is("$1 c");
    }

    #[test]
    fn set_takes_absolute_times_even_past_or_far_ones() {
        let mut redis = TestServer::new();
        redis.run("SET k a EXAT 1700000001").is("+OK");
        redis.advance_ms(1000);
        redis.run("GET k").is("$1 a");
        redis.advance_ms(1);
        redis.run("GET k").is("$-1");
        redis.run("SET k a").is("+OK");
        redis.run("SET k b PXAT 1").is("+OK");
        redis.run("GET k").is("$-1");
        redis.run("SET k c PXAT 9223372036854775807").is("+OK");
        redis.run("GET k").is("$1 c");
    }

    #[test]
    fn the_older_forms_answer_as_ever() {
        let mut redis = TestServer::new();
        redis.run("SETNX k a").is(":1");
        redis.run("SETNX k b").is(":0");
        redis.run("GETSET k c").is("$1 a");
        redis.run("GETSET other c").is("$-1");
        redis.run("SETEX k 1 d").is("+OK");
        redis.advance_ms(1000);
        redis.run("GET k").is("$1 d");
        redis.advance_ms(1);
        redis.run("PSETEX k 10 e").is("+OK");
        redis.run("GETSET k f").is("$1 e");
        redis.advance_ms(11);
        redis.run("GET k").is("$1 f");
    }

    #[test]
    fn the_older_forms_name_themselves_when_they_refuse() {
        let mut redis = TestServer::new();
        redis.run("SETEX k 0 v").is("-ERR invalid expire time in 'setex' command");
        redis.run("PSETEX k -1 v").is("-ERR invalid expire time in 'psetex' command");
        redis
            .run("SETEX k 9223372036854775807 v")
            .is("-ERR invalid expire time in 'setex' command");
        redis.run("SETEX k x v").is("-ERR value is not an integer or out of range");
        redis.run("SETNX k").is("-ERR wrong number of arguments for 'setnx' command");
        redis.run("GET k").is("$-1");
    }
}
