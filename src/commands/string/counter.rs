//! Strings that are numbers.

use crate::commands::{CommandError, CommandResult, Ctx};
use crate::config::KeyspaceEvents;
use crate::keyspace::{Expiry, NewString, StringValue};
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::types::long_double::LongDouble;

const OVERFLOW: CommandError = CommandError::Text("ERR increment or decrement would overflow");
const NEGATION_OVERFLOW: CommandError = CommandError::Text("ERR decrement would overflow");
const NO_SUM: CommandError = CommandError::Text("ERR increment would produce NaN or Infinity");

/// `INCR key` -> the number after adding one. O(1).
pub(super) fn incr(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    add(ctx, args.key(1), 1)
}

/// `DECR key` -> the number after subtracting one. O(1).
pub(super) fn decr(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    add(ctx, args.key(1), -1)
}

/// `INCRBY key increment` -> the sum. O(1).
pub(super) fn incrby(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let increment = parse_i64(args.bytes(2)).ok_or(CommandError::NotAnInteger)?;
    add(ctx, args.key(1), increment)
}

/// `DECRBY key decrement` -> the difference. O(1).
pub(super) fn decrby(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let decrement = parse_i64(args.bytes(2)).ok_or(CommandError::NotAnInteger)?;
    add(ctx, args.key(1), decrement.checked_neg().ok_or(NEGATION_OVERFLOW)?)
}

/// Adds to the integer at `key`, 0 if there is none. One that is stored as an integer is changed where it is.
fn add(ctx: &mut Ctx<'_>, key: &[u8], increment: i64) -> CommandResult {
    let sum = match ctx.db.find_write(key) {
        None => {
            ctx.db.set_string_at(None, key, NewString::Int(increment), Expiry::Clear);
            increment
        }
        Some(slot) => match ctx.db.string(slot)? {
            StringValue::Int(number) => {
                let sum = number.checked_add(increment).ok_or(OVERFLOW)?;
                ctx.db.set_integer_at(slot, sum);
                sum
            }
            StringValue::Bytes(bytes) => {
                let number = parse_i64(bytes).ok_or(CommandError::NotAnInteger)?;
                let sum = number.checked_add(increment).ok_or(OVERFLOW)?;
                ctx.db.update_string_at(slot, key, NewString::Int(sum));
                sum
            }
            StringValue::Shared(_) => return Err(CommandError::NotAnInteger),
        },
    };
    ctx.modified(key);
    ctx.notify(KeyspaceEvents::STRING, "incrby", key);
    ctx.reply.integer(sum);
    Ok(())
}

/// `INCRBYFLOAT key increment` -> the sum, as a string. O(1).
pub(super) fn incrbyfloat(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.key(1);
    let found = ctx.db.find_write(key);
    let number = match found {
        None => LongDouble::ZERO,
        Some(slot) => {
            let mut buffer = itoa::Buffer::new();
            let text = ctx.db.string(slot)?.bytes(&mut buffer);
            LongDouble::parse(text).ok_or(CommandError::NotAFloat)?
        }
    };
    let increment = LongDouble::parse(args.bytes(2)).ok_or(CommandError::NotAFloat)?;
    let sum = number.checked_add(increment).ok_or(NO_SUM)?.to_string();
    // Never an integer to `OBJECT ENCODING`, even where it looks like one: as in Redis.
    let value = NewString::Bytes(sum.as_bytes());
    match found {
        Some(slot) => ctx.db.update_string_at(slot, key, value),
        None => ctx.db.set_string_at(None, key, value, Expiry::Clear),
    }
    ctx.modified(key);
    ctx.notify(KeyspaceEvents::STRING, "incrbyfloat", key);
    super::propagate_set(ctx, key, sum.as_bytes(), Expiry::Keep);
    ctx.reply.bulk(sum.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range";

    #[test]
    fn counters_begin_at_zero() {
        let mut redis = TestServer::new();
        redis.run("INCR a").is(":1");
        redis.run("DECR b").is(":-1");
        redis.run("INCRBY c 20").is(":20");
        redis.run("DECRBY d 20").is(":-20");
        redis.run("INCRBYFLOAT e 1.5").is("$3 1.5");
    }

    #[test]
    fn counters_count_whatever_form_the_number_has() {
        let mut redis = TestServer::new();
        redis.run("SET k 9");
        redis.run("INCR k").is(":10");
        redis.run("APPEND k 0").is(":3");
        redis.run("INCRBY k 5").is(":105");
        redis.run("INCRBYFLOAT k 1.0").is("$3 106");
        redis.run("DECRBY k 6").is(":100");
        redis.run("GET k").is("$3 100");
    }

    #[test]
    fn a_counter_keeps_its_expire_time() {
        let mut redis = TestServer::new();
        for count in ["INCR k", "INCRBYFLOAT k 1"] {
            redis.run("SET k 1 PX 10");
            redis.run(count);
            redis.run("APPEND k 0");
            redis.run(count);
            redis.advance_ms(11);
            redis.run("GET k").is("$-1");
        }
    }

    #[test]
    fn p18_overflow_is_refused_and_changes_nothing() {
        let mut redis = TestServer::new();
        let overflow = "-ERR increment or decrement would overflow";
        redis.run("SET k 9223372036854775807");
        redis.run("INCR k").is(overflow);
        redis.run("DECRBY k -1").is(overflow);
        redis.run("DECRBY k -9223372036854775808").is("-ERR decrement would overflow");
        redis.run("GET k").is("$19 9223372036854775807");
        redis.run("SET k -9223372036854775808");
        redis.run("DECR k").is(overflow);
        redis.run("INCRBY k -1").is(overflow);
        redis.run("INCRBY k 9223372036854775807").is(":-1");
        redis.run("INCRBY new -9223372036854775808").is(":-9223372036854775808");
    }

    #[test]
    fn what_is_no_integer_is_refused() {
        let mut redis = TestServer::new();
        for value in ["abc", "1.5", "\"\"", "+1", "01", "9223372036854775808", "1a"] {
            redis.run(&format!("SET k {value}"));
            redis.run("INCR k").is(NOT_AN_INTEGER);
            redis.run(&format!("INCRBY other {value}")).is(NOT_AN_INTEGER);
            redis.run(&format!("DECRBY other {value}")).is(NOT_AN_INTEGER);
        }
        redis.run_bytes(&[b"SET", b"k", b" 1"]);
        redis.run("INCR k").is(NOT_AN_INTEGER);
        redis.run(&format!("SET k {}", "1".repeat(5000)));
        redis.run("INCR k").is(NOT_AN_INTEGER);
    }

    #[test]
    fn incrbyfloat_adds_as_redis_does() {
        let mut redis = TestServer::new();
        redis.run("SET k 3.0e3");
        redis.run("INCRBYFLOAT k 200").is("$4 3200");
        redis.run("INCRBYFLOAT k -0.1").is("$22 3199.89999999999999991");
        redis.run("SET k 17179869184");
        redis.run("INCRBYFLOAT k 1.5").is("$13 17179869185.5");
        redis.run("SET k 1");
        redis.run("INCRBYFLOAT k -1").is("$1 0");
    }

    #[test]
    fn incrbyfloat_refuses_what_has_no_sum() {
        let mut redis = TestServer::new();
        redis.run("SET k abc");
        redis.run("INCRBYFLOAT k 1").is("-ERR value is not a valid float");
        redis.run("SET k 1");
        redis.run("INCRBYFLOAT k nan").is("-ERR value is not a valid float");
        redis.run("INCRBYFLOAT k inf").is("-ERR increment would produce NaN or Infinity");
        redis.run("INCRBYFLOAT k -inf").is("-ERR increment would produce NaN or Infinity");
        redis.run("GET k").is("$1 1");
    }
}
