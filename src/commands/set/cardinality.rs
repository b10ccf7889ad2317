//! How many members a combination of sets has, without the members.

use super::algebra::{Operands, Operation, find_sets};
use crate::commands::{CommandError, CommandResult, Ctx};
use crate::resp::Args;
use crate::resp::number::parse_i64;

const BAD_NUMKEYS: CommandError = CommandError::Text("ERR numkeys should be greater than 0");
const TOO_MANY_KEYS: CommandError =
    CommandError::Text("ERR Number of keys can't be greater than number of args");
const BAD_LIMIT: CommandError = CommandError::Text("ERR LIMIT can't be negative");

/// `SINTERCARD numkeys key [key ...] [LIMIT limit]` -> number of members that are in all sets, counted up to `limit`.
/// O(smallest set * sets).
pub(super) fn sintercard(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    reply_count(ctx, args, Operation::Intersection)
}

/// `SUNIONCARD numkeys key [key ...] [APPROX] [LIMIT limit]` -> number of members that are in any set, counted up to
/// `limit`. An approximation is allowed with `APPROX`; the number is exact all the same. O(members of all sets).
pub(super) fn sunioncard(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    reply_count(ctx, args, Operation::Union)
}

/// `SDIFFCARD numkeys key [key ...] [LIMIT limit]` -> number of members of the first set that are in none of the others,
/// counted up to `limit`. O(members of all sets).
pub(super) fn sdiffcard(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    reply_count(ctx, args, Operation::Difference)
}

fn reply_count(ctx: &mut Ctx<'_>, args: &Args<'_>, operation: Operation) -> CommandResult {
    let numkeys = parse_i64(args.bytes(1)).and_then(|keys| usize::try_from(keys).ok());
    let numkeys = numkeys.filter(|&keys| keys > 0).ok_or(BAD_NUMKEYS)?;
    if numkeys > args.len() - 2 {
        return Err(TOO_MANY_KEYS);
    }
    let count_max = limit(args.tail(2 + numkeys), operation == Operation::Union)?;
    let slots = find_sets(ctx, args.tail(2).iter().take(numkeys))?;
    let limits = ctx.set_limits();
    let mut count = 0;
    if let Some(operands) = Operands::new(&ctx.db, operation, &slots) {
        operands.each(&limits, |_| {
            count += 1;
            count < count_max
        });
    }
    ctx.reply.integer(count as i64);
    Ok(())
}

/// How far to count: the last `LIMIT` among the options, of which 0 means that there is none.
fn limit(mut options: Args<'_>, has_approx: bool) -> Result<usize, CommandError> {
    let mut limit = 0;
    while let Some(option) = options.get(0) {
        if has_approx && option.eq_ignore_ascii_case(b"approx") {
            options = options.tail(1);
            continue;
        }
        let value = options.get(1).filter(|_| option.eq_ignore_ascii_case(b"limit"));
        let value = parse_i64(value.ok_or(CommandError::Syntax)?);
        limit = value.and_then(|value| usize::try_from(value).ok()).ok_or(BAD_LIMIT)?;
        options = options.tail(2);
    }
    Ok(if limit == 0 { usize::MAX } else { limit })
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn arguments_are_checked() {
        let mut redis = TestServer::new();
        redis.run("SADD a 1 2 3");
        redis.run("SET text x");
        for command in ["SINTERCARD", "SUNIONCARD", "SDIFFCARD"] {
            let mut refused = |arguments: &str, error: &str| {
                redis.run(&format!("{command} {arguments}")).is(&format!("-{error}"));
            };
            for numkeys in ["0 a", "-1 a", "a a", "0 a b"] {
                refused(numkeys, "ERR numkeys should be greater than 0");
            }
            refused("2 a", "ERR Number of keys can't be greater than number of args");
            refused("1 a b", "ERR syntax error");
            refused("1 a LIMIT", "ERR syntax error");
            refused("1 a LIMIT 1 x", "ERR syntax error");
            refused("1 a LIMIT -1", "ERR LIMIT can't be negative");
            refused("1 a LIMIT x", "ERR LIMIT can't be negative");
            refused(
                "2 a text",
                "WRONGTYPE Operation against a key holding the wrong kind of value",
            );
        }
    }

    #[test]
    fn a_limit_ends_the_count() {
        let mut redis = TestServer::new();
        redis.run("SADD a 1 2 3");
        redis.run("SADD b 3 4");
        redis.run("SUNIONCARD 2 a b").is(":4");
        redis.run("SUNIONCARD 2 a b APPROX LIMIT 3").is(":3");
        redis.run("SUNIONCARD 2 a b LIMIT 0 APPROX").is(":4");
        redis.run("SDIFFCARD 2 a b LIMIT 1").is(":1");
        redis.run("SDIFFCARD 2 a b APPROX").is("-ERR syntax error");
        redis.run("SINTERCARD 2 a a LIMIT 2").is(":2");
        redis.run("SINTERCARD 2 a a LIMIT 0").is(":3");
        redis.run("SINTERCARD 2 a none").is(":0");
    }
}
