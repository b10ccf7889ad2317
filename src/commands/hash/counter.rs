//! Values that are numbers.

use super::{change, find_to_change};
use crate::commands::{CommandError, CommandResult, Ctx};
use crate::config::KeyspaceEvents;
use crate::keyspace::WrongType;
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::types::hash::{Field, FieldExpiry, Hash};
use crate::types::listpack::Element;
use crate::types::long_double::LongDouble;

const NOT_AN_INTEGER: CommandError = CommandError::Text("ERR hash value is not an integer");
const OVERFLOW: CommandError = CommandError::Text("ERR increment or decrement would overflow");
const NOT_A_FLOAT: CommandError = CommandError::Text("ERR hash value is not a float");
const INFINITE_INCREMENT: CommandError = CommandError::Text("ERR value is NaN or Infinity");
const NO_SUM: CommandError = CommandError::Text("ERR increment would produce NaN or Infinity");

/// `HINCRBY key field increment` -> the sum. The field keeps its expire time. O(1).
pub(super) fn hincrby(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (key, name) = (args.key(1), args.bytes(2));
    let increment = parse_i64(args.bytes(3)).ok_or(CommandError::NotAnInteger)?;
    let found = find_to_change(ctx, key, std::iter::once(name))?;
    let field = found.map(|slot| field_at(ctx, slot, name)).transpose()?.flatten();
    let number = match field.map(|field| field.value) {
        None => 0,
        Some(Element::Int(number)) => number,
        Some(Element::Str(text)) => parse_i64(text).ok_or(NOT_AN_INTEGER)?,
    };
    let sum = number.checked_add(increment).ok_or(OVERFLOW)?;
    let (limits, mut digits) = (ctx.hash_limits(), itoa::Buffer::new());
    let value = digits.format(sum).as_bytes();
    change(ctx, key, found, |hash| hash.set(name, value, FieldExpiry::Keep, &limits));
    ctx.modified(key);
    ctx.notify(KeyspaceEvents::HASH, "hincrby", key);
    ctx.reply.integer(sum);
    Ok(())
}

/// `HINCRBYFLOAT key field increment` -> the sum, as a string. The field keeps its expire time. O(1).
pub(super) fn hincrbyfloat(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (key, name) = (args.key(1), args.bytes(2));
    let increment = LongDouble::parse(args.bytes(3)).ok_or(CommandError::NotAFloat)?;
    if !increment.is_finite() {
        return Err(INFINITE_INCREMENT);
    }
    let found = find_to_change(ctx, key, std::iter::once(name))?;
    let field = found.map(|slot| field_at(ctx, slot, name)).transpose()?.flatten();
    let expires = field.is_some_and(|field| field.expire_at_ms.is_some());
    let number = match field.map(|field| field.value) {
        None => LongDouble::ZERO,
        Some(Element::Int(number)) => LongDouble::from(number),
        Some(Element::Str(text)) => LongDouble::parse(text).ok_or(NOT_A_FLOAT)?,
    };
    let sum = number.checked_add(increment).ok_or(NO_SUM)?.to_string();
    let (limits, value) = (ctx.hash_limits(), sum.as_bytes());
    change(ctx, key, found, |hash| hash.set(name, value, FieldExpiry::Keep, &limits));
    ctx.modified(key);
    // The sum and not the increment: others may round and print it in another way.
    match expires {
        false => ctx.propagate(&[b"HSET", key, name, value]),
        true => ctx.propagate(&[b"HSETEX", key, b"KEEPTTL", b"FIELDS", b"1", name, value]),
    }
    ctx.notify(KeyspaceEvents::HASH, "hincrbyfloat", key);
    ctx.reply.bulk(value);
    Ok(())
}

fn field_at<'a>(
    ctx: &'a Ctx<'_>,
    slot: crate::dict::Slot,
    name: &[u8],
) -> Result<Option<Field<'a>>, WrongType> {
    Ok(ctx.db.collection::<Hash>(slot)?.get(name, ctx.now_ms()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{lazy_and_logged, propagated};
    use crate::server::testing::TestServer;

    #[test]
    fn hincrby_adds_to_integers() {
        let mut redis = TestServer::new();
        redis.run("HINCRBY h a 5").is(":5");
        redis.run("HINCRBY h a -7").is(":-2");
        redis.run("HGET h a").is("$2 -2");
        redis.run("HSET h max 9223372036854775807 min -9223372036854775808");
        redis.run("HINCRBY h max 1").is("-ERR increment or decrement would overflow");
        redis.run("HINCRBY h min -1").is("-ERR increment or decrement would overflow");
        redis.run("HINCRBY h a x").is("-ERR value is not an integer or out of range");
        redis.run("HSET h text abc float 1.5 long 1000000000000000000000");
        for field in ["text", "float", "long"] {
            redis.run(&format!("HINCRBY h {field} 1")).is("-ERR hash value is not an integer");
        }
    }

    #[test]
    fn hincrbyfloat_adds_as_redis_does() {
        let mut redis = TestServer::new();
        redis.run("HINCRBYFLOAT h a 10.5").is("$4 10.5");
        redis.run("HINCRBYFLOAT h a 0.1").is("$4 10.6");
        redis.run("HINCRBYFLOAT h a 5.0e3").is("$22 5010.60000000000000009");
        redis.run("HSET h i 2 text abc inf inf");
        redis.run("HINCRBYFLOAT h i 1").is("$1 3");
        redis.run("HINCRBYFLOAT h text 1").is("-ERR hash value is not a float");
        redis.run("HINCRBYFLOAT h a x").is("-ERR value is not a valid float");
        redis.run("HINCRBYFLOAT h a nan").is("-ERR value is not a valid float");
        redis.run("HINCRBYFLOAT h a -inf").is("-ERR value is NaN or Infinity");
        redis.run("HINCRBYFLOAT h inf 1").is("-ERR increment would produce NaN or Infinity");
        redis.run("HGET h a").is("$22 5010.60000000000000009");
    }

    #[test]
    fn sums_keep_the_expire_time_everywhere() {
        let mut redis = lazy_and_logged();
        redis.run("HSET h a 1");
        propagated(&mut redis);
        redis.run("HINCRBYFLOAT h a 0.5").is("$3 1.5");
        assert_eq!(propagated(&mut redis), "HSET h a 1.5");
        redis.run("HPEXPIREAT h 1800000000000 FIELDS 1 a").is("*1 :1");
        propagated(&mut redis);
        redis.run("HINCRBYFLOAT h a 0.5").is("$1 2");
        assert_eq!(propagated(&mut redis), "HSETEX h KEEPTTL FIELDS 1 a 2");
        redis.run("HINCRBY h a 1").is(":3");
        assert_eq!(propagated(&mut redis), "HINCRBY h a 1");
        redis.run("HPEXPIRETIME h FIELDS 1 a").is("*1 :1800000000000");
    }
}
