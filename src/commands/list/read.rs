//! Reading lists: how long, which element, which elements.

use super::reply_element;
use crate::commands::{CommandError, CommandResult, Ctx};
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::types::list::{End, List};

/// `LLEN key` -> number of elements. O(1).
pub(super) fn llen(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let len = ctx.db.read::<List>(args.key(1))?.map_or(0, |list| list.len());
    ctx.reply.integer(len as i64);
    Ok(())
}

/// `LINDEX key index` -> the element, or null. O(nodes to the nearer end).
pub(super) fn lindex(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    // As in Redis, what is no index is only seen where there is a list.
    let Some(list) = ctx.db.read::<List>(args.key(1))? else {
        ctx.reply.null();
        return Ok(());
    };
    let index = parse_i64(args.bytes(2)).ok_or(CommandError::NotAnInteger)?;
    match list.resolve_index(index).and_then(|index| list.get(index)) {
        Some(element) => reply_element(ctx.reply, element),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// `LRANGE key start stop` -> the elements. O(nodes to the nearer end + elements returned).
pub(super) fn lrange(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let start = parse_i64(args.bytes(2)).ok_or(CommandError::NotAnInteger)?;
    let stop = parse_i64(args.bytes(3)).ok_or(CommandError::NotAnInteger)?;
    let Some(list) = ctx.db.read::<List>(args.key(1))? else {
        ctx.reply.array(0);
        return Ok(());
    };
    let range = list.resolve_range(start, stop);
    ctx.reply.array(range.len());
    for element in list.iter_from(range.start, End::Right).take(range.len()) {
        reply_element(ctx.reply, element);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    /// A list `a` of one listpack and a list `b` of several nodes, both of the numbers from 0 to 9.
    fn two_lists() -> TestServer {
        let mut redis = TestServer::new();
        redis.run("RPUSH a 0 1 2 3 4 5 6 7 8 9").is(":10");
        redis.run("CONFIG SET list-max-listpack-size 3");
        redis.run("RPUSH b 0 1 2 3 4 5 6 7 8 9").is(":10");
        redis.run("OBJECT ENCODING a").is("$8 listpack");
        redis.run("OBJECT ENCODING b").is("$9 quicklist");
        redis
    }

    #[test]
    fn an_index_counts_from_either_end() {
        let mut redis = two_lists();
        for key in ["a", "b"] {
            redis.run(&format!("LLEN {key}")).is(":10");
            for (index, element) in [(0, "0"), (4, "4"), (9, "9"), (-1, "9"), (-10, "0")] {
                redis.run(&format!("LINDEX {key} {index}")).is(&format!("$1 {element}"));
            }
            for index in ["10", "-11", "9223372036854775807", "-9223372036854775808"] {
                redis.run(&format!("LINDEX {key} {index}")).is("$-1");
            }
            redis
                .run(&format!("LINDEX {key} x"))
                .is("-ERR value is not an integer or out of range");
        }
        redis.run("LINDEX none x").is("$-1");
        redis.run("LLEN none").is(":0");
    }

    #[test]
    fn a_range_is_cut_to_what_is_there() {
        let mut redis = two_lists();
        for key in ["a", "b"] {
            let mut range = |range: &str, expected: &str| {
                redis.run(&format!("LRANGE {key} {range}")).is(expected);
            };
            range("0 2", "*3 $1 0 $1 1 $1 2");
            range("-3 100", "*3 $1 7 $1 8 $1 9");
            range("-100 0", "*1 $1 0");
            range("4 5", "*2 $1 4 $1 5");
            range("5 4", "*0");
            range("10 20", "*0");
            range("-9223372036854775808 -10", "*1 $1 0");
            range("9 9223372036854775807", "*1 $1 9");
            range("x 1", "-ERR value is not an integer or out of range");
            range("1 y", "-ERR value is not an integer or out of range");
        }
        redis.run("LRANGE none 0 -1").is("*0");
        redis.run("LRANGE none x 1").is("-ERR value is not an integer or out of range");
    }
}
