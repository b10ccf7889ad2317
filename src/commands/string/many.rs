//! Several keys at once, all or none.

use super::options::{MSETEX, Options};
use super::{propagate_set, reply_string, stored};
use crate::commands::{CommandError, CommandResult, Ctx};
use crate::keyspace::{Expiry, NewString};
use crate::resp::Args;
use crate::resp::number::parse_i64;

/// `MGET key [key ...]` -> the strings; null where there is none, or another type. Linear in the keys.
pub(super) fn mget(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let keys = args.tail(1);
    ctx.reply.array(keys.len());
    for key in keys.iter() {
        reply_string(ctx.reply, ctx.db.read_string(key).unwrap_or(None));
    }
    Ok(())
}

/// `MSET key value [key value ...]` -> `+OK`. Linear in the keys.
pub(super) fn mset(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    set_pairs(ctx, pairs_of(ctx, args)?, args, Expiry::Clear);
    ctx.reply.ok();
    Ok(())
}

/// `MSETNX key value [key value ...]` -> 1, or 0 if one of the keys exists. Linear in the keys.
pub(super) fn msetnx(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let pairs = pairs_of(ctx, args)?;
    let sets = pairs.clone().all(|at| ctx.db.find_write(args.key(at)).is_none());
    if sets {
        set_pairs(ctx, pairs, args, Expiry::Clear);
    }
    ctx.reply.integer(i64::from(sets));
    Ok(())
}

/// `MSETEX numkeys key value [key value ...] [option ...]` -> 1, or 0 if a condition forbids it. Linear in the keys.
pub(super) fn msetex(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let numkeys = parse_i64(args.bytes(1)).filter(|keys| (1..=i64::from(i32::MAX)).contains(keys));
    let numkeys = numkeys.ok_or(BAD_NUMKEYS)? as usize;
    let end = numkeys.checked_mul(2).and_then(|pairs| pairs.checked_add(2));
    let end = end.filter(|&end| end <= args.len()).ok_or(CommandError::Syntax)?;
    let options = Options::parse(args.tail(end), MSETEX)?;
    let expiry = options.lifetime.expiry(ctx)?;

    let pairs = (2..end).step_by(2);
    if let Some(condition) = options.condition {
        for at in pairs.clone() {
            let value = ctx.db.find_write(args.key(at)).map(|slot| ctx.db.string(slot));
            if !condition.holds(value)? {
                ctx.reply.integer(0);
                return Ok(());
            }
        }
    }
    set_pairs(ctx, pairs.clone(), args, expiry);
    for at in pairs {
        propagate_set(ctx, args.key(at), args.bytes(at + 1), expiry);
    }
    ctx.reply.integer(1);
    Ok(())
}

const BAD_NUMKEYS: CommandError = CommandError::Text("ERR invalid numkeys value or out of range");

/// Where the keys are among `key value key value ...`.
fn pairs_of(
    ctx: &Ctx<'_>,
    args: &Args<'_>,
) -> Result<impl Iterator<Item = usize> + Clone + use<>, CommandError> {
    if args.len().is_multiple_of(2) {
        return Err(CommandError::WrongArity(ctx.command.name.into()));
    }
    Ok((1..args.len()).step_by(2))
}

fn set_pairs(
    ctx: &mut Ctx<'_>,
    pairs: impl Iterator<Item = usize>,
    args: &Args<'_>,
    expiry: Expiry,
) {
    for at in pairs {
        let key = args.key(at);
        ctx.db.set_string(key, NewString::encode(args.bytes(at + 1)), expiry);
        stored(ctx, key, expiry);
    }
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn mget_answers_null_for_what_is_missing() {
        let mut redis = TestServer::new();
        redis.run("MSET a 1 b x").is("+OK");
        redis.run("MGET a missing b a").is("*4 $1 1 $-1 $1 x $1 1");
    }

    #[test]
    fn mset_takes_the_last_of_equal_keys_and_clears_expire_times() {
        let mut redis = TestServer::new();
        redis.run("SET a 1 PX 10");
        redis.run("MSET a 2 a 3").is("+OK");
        redis.advance_ms(11);
        redis.run("GET a").is("$1 3");
    }

    #[test]
    fn a_key_without_a_value_is_refused() {
        let mut redis = TestServer::new();
        redis.run("MSET a 1 b").is("-ERR wrong number of arguments for 'mset' command");
        redis.run("MSETNX a 1 b").is("-ERR wrong number of arguments for 'msetnx' command");
        redis.run("MGET a b").is("*2 $-1 $-1");
    }

    #[test]
    fn msetnx_sets_all_or_none() {
        let mut redis = TestServer::new();
        redis.run("SET b x PX 10");
        redis.run("MSETNX a 1 b 2").is(":0");
        redis.run("MGET a b").is("*2 $-1 $1 x");
        redis.advance_ms(11);
        redis.run("MSETNX a 1 b 2 a 3").is(":1");
        redis.run("MGET a b").is("*2 $1 3 $1 2");
    }

    #[test]
    fn msetex_sets_all_with_one_expire_time() {
        let mut redis = TestServer::new();
        redis.run("MSETEX 2 a 1 b 2 PX 10").is(":1");
        redis.run("MSETEX 1 a 3 KEEPTTL").is(":1");
        redis.run("MSETEX 1 b 4").is(":1");
        redis.advance_ms(11);
        redis.run("MGET a b").is("*2 $-1 $1 4");
        redis.run("MSETEX 1 b 5 PXAT 1").is(":1");
        redis.run("GET b").is("$-1");
    }

    #[test]
    fn msetex_checks_all_keys_before_it_sets_one() {
        let mut redis = TestServer::new();
        redis.run("MSETEX 2 a 1 b 2 XX").is(":0");
        redis.run("SET a 1");
        redis.run("MSETEX 2 b 2 a 2 NX").is(":0");
        redis.run("MSETEX 2 a 2 b 2 XX EX 9").is(":0");
        redis.run("MGET a b").is("*2 $1 1 $-1");
        redis.run("MSETEX 1 b 2 NX NX").is(":1");
        redis.run("MSETEX 2 a 3 b 3 EX 9 XX").is(":1");
        redis.run("MGET a b").is("*2 $1 3 $1 3");
    }

    #[test]
    fn msetex_refuses_a_number_of_keys_that_cannot_be() {
        let mut redis = TestServer::new();
        for numkeys in ["0", "-1", "x", "2147483648", "9223372036854775807"] {
            redis
                .run(&format!("MSETEX {numkeys} a 1"))
                .is("-ERR invalid numkeys value or out of range");
        }
        for rest in ["2 a 1", "2147483647 a 1", "1 a 1 b", "2 a 1 EX", "1 a 1 GET", "1 a 1 IFEQ 1"]
        {
            redis.run(&format!("MSETEX {rest}")).is("-ERR syntax error");
        }
        // As in Redis, words where keys are expected are keys.
        redis.run("MSETEX 2 a 1 EX 10").is(":1");
        redis.run("GET EX").is("$2 10");
    }
}
