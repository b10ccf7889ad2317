//! Expire times: set, removed, asked for. Within the server they are Unix milliseconds.

use crate::commands::{CommandError, CommandResult, Ctx};
use crate::config::KeyspaceEvents;
use crate::resp::Args;
use crate::resp::number::parse_i64;

/// `EXPIRE key seconds [NX | XX | GT | LT]` -> whether it was set. O(1).
pub(super) fn expire(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    set_expire(ctx, args, 1000, ctx.now_ms())
}

/// `PEXPIRE key milliseconds [NX | XX | GT | LT]` -> whether it was set. O(1).
pub(super) fn pexpire(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    set_expire(ctx, args, 1, ctx.now_ms())
}

/// `EXPIREAT key unix-time-seconds [NX | XX | GT | LT]` -> whether it was set. O(1).
pub(super) fn expireat(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    set_expire(ctx, args, 1000, 0)
}

/// `PEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT]` -> whether it was set. O(1).
pub(super) fn pexpireat(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    set_expire(ctx, args, 1, 0)
}

/// Sets the expire time to so many units of `unit_ms` after `base_ms`. A time that is not in the future deletes the key.
fn set_expire(ctx: &mut Ctx<'_>, args: &Args<'_>, unit_ms: i64, base_ms: i64) -> CommandResult {
    let key = args.key(1);
    let condition = Condition::parse(&args.tail(3))?;
    let units = parse_i64(args.bytes(2)).ok_or(CommandError::NotAnInteger)?;
    let at_ms = units
        .checked_mul(unit_ms)
        .and_then(|ms| ms.checked_add(base_ms))
        .ok_or(CommandError::InvalidExpire(ctx.command.name))?;
    let found = ctx.db.find_write(key);
    let Some(slot) = found.filter(|&slot| condition.allows(ctx.db.expire_at_ms(slot), at_ms))
    else {
        ctx.reply.integer(0);
        return Ok(());
    };
    let event = if at_ms <= ctx.now_ms() {
        ctx.db.remove(slot);
        "del"
    } else {
        ctx.db.set_expire_at(slot, Some(at_ms));
        "expire"
    };
    ctx.modified(key);
    ctx.notify(KeyspaceEvents::GENERIC, event, key);
    match event {
        "expire" => ctx.propagate(&[b"PEXPIREAT", key, at_ms.to_string().as_bytes()]),
        _ => ctx.propagate(&[b"DEL", key]),
    }
    ctx.reply.integer(1);
    Ok(())
}

/// What the expire time there is must be like for a new one to be set. A key without one lives forever.
#[derive(Default)]
pub(in crate::commands) struct Condition {
    none: bool,
    some: bool,
    earlier: bool,
    later: bool,
}

impl Condition {
    /// Reads `NX`, `XX`, `GT` and `LT`, of which some go together.
    pub(in crate::commands) fn parse(options: &Args<'_>) -> Result<Self, CommandError> {
        let mut condition = Self::default();
        for option in options.iter() {
            match option.to_ascii_lowercase().as_slice() {
                b"nx" => condition.none = true,
                b"xx" => condition.some = true,
                b"gt" => condition.earlier = true,
                b"lt" => condition.later = true,
                _ => {
                    return Err(CommandError::quoting("ERR Unsupported option ", option, ""));
                }
            }
        }
        let Self { none, some, earlier, later } = condition;
        if none && (some || earlier || later) {
            return Err(CommandError::Text(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if earlier && later {
            return Err(CommandError::Text(
                "ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(condition)
    }

    /// Whether a time may be set where there is this one.
    pub(in crate::commands) fn allows(&self, current_ms: Option<i64>, new_ms: i64) -> bool {
        match current_ms {
            None => !self.some && !self.earlier,
            Some(current_ms) => {
                !self.none
                    && (!self.earlier || current_ms < new_ms)
                    && (!self.later || current_ms > new_ms)
            }
        }
    }
}

/// `PERSIST key` -> whether there was an expire time to remove. O(1).
pub(super) fn persist(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.key(1);
    let found = ctx.db.find_write(key).filter(|&slot| ctx.db.expire_at_ms(slot).is_some());
    if let Some(slot) = found {
        ctx.db.set_expire_at(slot, None);
        ctx.modified(key);
        ctx.notify(KeyspaceEvents::GENERIC, "persist", key);
    }
    ctx.reply.integer(i64::from(found.is_some()));
    Ok(())
}

/// `TTL key` -> seconds left, rounded; -1 = forever, -2 = no such key. O(1).
pub(super) fn ttl(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let now_ms = ctx.now_ms();
    reply_expire(ctx, args, |at_ms| rounded_seconds(at_ms - now_ms))
}

/// `PTTL key` -> milliseconds left; -1 = forever, -2 = no such key. O(1).
pub(super) fn pttl(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let now_ms = ctx.now_ms();
    reply_expire(ctx, args, |at_ms| at_ms - now_ms)
}

/// `EXPIRETIME key` -> the expire time in Unix seconds, rounded; -1 = never, -2 = no such key. O(1).
pub(super) fn expiretime(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    reply_expire(ctx, args, rounded_seconds)
}

/// `PEXPIRETIME key` -> the expire time in Unix milliseconds; -1 = never, -2 = no such key. O(1).
pub(super) fn pexpiretime(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    reply_expire(ctx, args, |at_ms| at_ms)
}

/// Replies `form` of the expire time of a key that has one. It is not in the past: such a key is not found.
fn reply_expire(
    ctx: &mut Ctx<'_>,
    args: &Args<'_>,
    form: impl FnOnce(i64) -> i64,
) -> CommandResult {
    let answer = match ctx.db.find_peek(args.key(1)) {
        None => -2,
        Some(slot) => ctx.db.expire_at_ms(slot).map_or(-1, form),
    };
    ctx.reply.integer(answer);
    Ok(())
}

/// Half a second is rounded up. The sum of an expire time and 500 may be too big for an i64; this is not.
pub(in crate::commands) fn rounded_seconds(ms: i64) -> i64 {
    ms / 1000 + i64::from(ms % 1000 >= 500)
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    /// The second in which a test begins.
    const START: i64 = 1_700_000_000;

    fn with_key() -> TestServer {
        let mut redis = TestServer::new();
        redis.run("SET k v").is("+OK");
        redis
    }

    #[test]
    fn a_key_lives_through_its_last_millisecond() {
        let mut redis = with_key();
        redis.run("PEXPIRE k 100").is(":1");
        redis.advance_ms(100);
        redis.run("PTTL k").is(":0");
        redis.run("GET k").is("$1 v");
        redis.advance_ms(1);
        redis.run("GET k").is("$-1");
        redis.run("PTTL k").is(":-2");
    }

    #[test]
    fn all_four_forms_set_the_same_time() {
        let mut redis = with_key();
        for line in [
            "EXPIRE k 100".to_string(),
            "PEXPIRE k 100000".to_string(),
            format!("EXPIREAT k {}", START + 100),
            format!("PEXPIREAT k {}", (START + 100) * 1000),
        ] {
            redis.run("PERSIST k");
            redis.run(&line).is(":1");
            redis.run("PTTL k").is(":100000");
            redis.run("TTL k").is(":100");
            redis.run("EXPIRETIME k").is(&format!(":{}", START + 100));
            redis.run("PEXPIRETIME k").is(&format!(":{}", (START + 100) * 1000));
        }
    }

    #[test]
    fn seconds_are_rounded_to_the_nearest() {
        let mut redis = with_key();
        redis.run("PEXPIRE k 1499").is(":1");
        redis.run("TTL k").is(":1");
        redis.run("EXPIRETIME k").is(&format!(":{}", START + 1));
        redis.run("PEXPIRE k 1500").is(":1");
        redis.run("TTL k").is(":2");
        redis.run("EXPIRETIME k").is(&format!(":{}", START + 2));
        redis.run("PEXPIRE k 1").is(":1");
        redis.run("TTL k").is(":0");
    }

    #[test]
    fn questions_about_a_missing_or_eternal_key() {
        let mut redis = with_key();
        for command in ["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"] {
            redis.run(&format!("{command} k")).is(":-1");
            redis.run(&format!("{command} missing")).is(":-2");
        }
    }

    #[test]
    fn persist_removes_the_time() {
        let mut redis = with_key();
        redis.run("PERSIST k").is(":0");
        redis.run("PERSIST missing").is(":0");
        redis.run("EXPIRE k 1").is(":1");
        redis.run("PERSIST k").is(":1");
        redis.advance_ms(10_000);
        redis.run("GET k").is("$1 v");
        redis.run("TTL k").is(":-1");
    }

    #[test]
    fn a_time_that_is_not_in_the_future_deletes_the_key() {
        for line in [
            "EXPIRE k 0".to_string(),
            "EXPIRE k -1".to_string(),
            "EXPIRE k -9223372036854775".to_string(),
            "PEXPIRE k -9223372036854775808".to_string(),
            "PEXPIREAT k -9223372036854775808".to_string(),
            "EXPIREAT k 0".to_string(),
            format!("EXPIREAT k {START}"),
        ] {
            let mut redis = with_key();
            let before = redis.server.state.dirty;
            redis.run(&line).is(":1");
            redis.run("EXISTS k").is(":0");
            assert_eq!(redis.server.state.dirty, before + 1, "{line}");
        }
    }

    #[test]
    fn times_beyond_an_i64_of_milliseconds_are_refused() {
        let mut redis = with_key();
        for (command, time) in [
            ("expire", "9223372036854775807"),
            ("expire", "9223372036854775"),
            ("expire", "-9223372036854775808"),
            ("expire", "-9223372036854776"),
            ("pexpire", "9223372036854775807"),
            ("expireat", "9223372036854776"),
        ] {
            let refused = format!("-ERR invalid expire time in '{command}' command");
            redis.run(&format!("{command} k {time}")).is(&refused);
            redis.run(&format!("{command} missing {time}")).is(&refused);
        }
        redis.run("TTL k").is(":-1");
    }

    #[test]
    fn the_last_possible_time_is_reported_without_overflow() {
        let mut redis = with_key();
        redis.run("PEXPIREAT k 9223372036854775807").is(":1");
        redis.run("PEXPIRETIME k").is(":9223372036854775807");
        redis.run("EXPIRETIME k").is(":9223372036854776");
        redis.run("PTTL k").is(&format!(":{}", i64::MAX - START * 1000));
        redis.advance_ms(1000);
        redis.run("GET k").is("$1 v");
    }

    #[test]
    fn nx_and_xx_ask_whether_there_is_a_time() {
        let mut redis = with_key();
        redis.run("EXPIRE k 10 XX").is(":0");
        redis.run("TTL k").is(":-1");
        redis.run("EXPIRE k 10 NX").is(":1");
        redis.run("EXPIRE k 20 nx").is(":0");
        redis.run("TTL k").is(":10");
        redis.run("EXPIRE k 20 xx").is(":1");
        redis.run("TTL k").is(":20");
    }

    #[test]
    fn gt_and_lt_compare_with_the_time_there_is() {
        let mut redis = with_key();
        redis.run("EXPIRE k 10 GT").is(":0");
        redis.run("EXPIRE k 10 LT").is(":1");
        redis.run("EXPIRE k 10 GT").is(":0");
        redis.run("EXPIRE k 10 LT").is(":0");
        redis.run("EXPIRE k 11 GT").is(":1");
        redis.run("EXPIRE k 10 LT XX").is(":1");
        redis.run("EXPIRE k 20 XX GT GT").is(":1");
        redis.run("TTL k").is(":20");
        redis.run("EXPIRE k -1 GT").is(":0");
        redis.run("EXPIRE k -1 LT").is(":1");
        redis.run("EXISTS k").is(":0");
    }

    #[test]
    fn lt_with_xx_does_not_touch_an_eternal_key() {
        let mut redis = with_key();
        redis.run("EXPIRE k 10 LT XX").is(":0");
        redis.run("TTL k").is(":-1");
    }

    #[test]
    fn options_that_do_not_go_together_are_refused_first() {
        let mut redis = with_key();
        for options in ["NX XX", "NX GT", "LT NX", "GT LT NX"] {
            redis
                .run(&format!("EXPIRE k x {options}"))
                .is("-ERR NX and XX, GT or LT options at the same time are not compatible");
        }
        redis
            .run("EXPIRE k x GT LT")
            .is("-ERR GT and LT options at the same time are not compatible");
        redis.run("EXPIRE k x AB").is("-ERR Unsupported option AB");
        redis.run("EXPIRE k 1 XX AB").is("-ERR Unsupported option AB");
        redis.run("EXPIRE k x XX").is("-ERR value is not an integer or out of range");
        redis.run("EXPIRE k \"\"").is("-ERR value is not an integer or out of range");
        redis.run("EXPIRE k").is("-ERR wrong number of arguments for 'expire' command");
        redis.run("EXPIRE missing 10").is(":0");
    }

    #[test]
    fn changing_the_time_keeps_every_kind_of_value() {
        let mut redis = TestServer::new();
        let long = "x".repeat(5000);
        for (value, reply) in [
            ("12345", "$5 12345".to_string()),
            ("short", "$5 short".to_string()),
            (long.as_str(), format!("$5000 {long}")),
        ] {
            redis.run(&format!("SET k {value}"));
            redis.run("EXPIRE k 10").is(":1");
            redis.run("GET k").is(&reply);
            redis.run("EXPIRE k 20").is(":1");
            redis.run("GET k").is(&reply);
            redis.run("PERSIST k").is(":1");
            redis.run("GET k").is(&reply);
        }
    }
}
