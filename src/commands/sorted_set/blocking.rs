//! Taking members from either end, and waiting for some while there are none.

use std::ops::Range;

use super::members::Shape;
use super::pop::{End, ManyKeys, first_of, pop, pop_of_many};
use crate::commands::{CommandResult, Ctx, Timeout};
use crate::keyspace::Type;
use crate::resp::Args;

/// `BZPOPMIN key [key ...] timeout` -> the first key that is there, its member with the lowest score, the score; null when
/// the time is over. O(keys) + O(log n).
pub(super) fn bzpopmin(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    bzpop(ctx, args, End::Min)
}

/// `BZPOPMAX key [key ...] timeout` -> the first key that is there, its member with the highest score, the score; null when
/// the time is over. O(keys) + O(log n).
pub(super) fn bzpopmax(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    bzpop(ctx, args, End::Max)
}

fn bzpop(ctx: &mut Ctx<'_>, args: &Args<'_>, end: End) -> CommandResult {
    let last = args.len() - 1;
    let timeout = Timeout::from_seconds(ctx, args.bytes(last))?;
    match first_of(ctx, (1..last).map(|at| args.key(at)))? {
        Some((key, slot)) => {
            ctx.reply.array(3);
            ctx.reply.bulk(key);
            pop(ctx, key, slot, end, 1, Shape::Bare);
            ctx.propagate(&[end.effect(), key]);
        }
        None => wait(ctx, args, 1..last, timeout),
    }
    Ok(())
}

/// `BZMPOP timeout numkeys key [key ...] <MIN | MAX> [COUNT count]` -> the first key that is there, and members and scores
/// of it; null when the time is over. O(keys) + O(log n) for each member.
pub(super) fn bzmpop(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let request = ManyKeys::parse(args.tail(2))?;
    let timeout = Timeout::from_seconds(ctx, args.bytes(1))?;
    match first_of(ctx, request.keys())? {
        Some((key, slot)) => pop_of_many(ctx, key, slot, &request),
        None => wait(ctx, args, 3..3 + request.keys().len(), timeout),
    }
    Ok(())
}

/// Waits for one of the arguments `keys` to become the name of a sorted set.
fn wait(ctx: &mut Ctx<'_>, args: &Args<'_>, keys: Range<usize>, timeout: Timeout) {
    if ctx.may_wait() {
        ctx.wait_for_keys(args, keys, Type::Zset, timeout);
    } else {
        ctx.reply.null_array();
    }
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn what_is_there_is_taken_at_once() {
        let mut redis = TestServer::new();
        redis.run("ZADD b 1 x 2 y 3 z");
        redis.run("BZPOPMIN a b 0").is("*3 $1 b $1 x $1 1");
        redis.run("BZPOPMAX b a 1.5").is("*3 $1 b $1 z $1 3");
        redis.run("HELLO 3");
        redis.run("BZPOPMAX b 0").is("*3 $1 b $1 y ,2");
        redis.run("ZADD b 1 x 2 y");
        redis.run("BZMPOP 0 2 a b MAX COUNT 5").is("*2 $1 b *2 *2 $1 y ,2 *2 $1 x ,1");
        redis.run("EXISTS b").is(":0");
    }

    #[test]
    fn who_waits_gets_what_is_added_in_the_order_of_waiting() {
        let mut redis = TestServer::new();
        let [first, second, third] = [redis.connect(), redis.connect(), redis.connect()];
        redis.run_as(first, "BZPOPMAX a b 0").is("");
        redis.run_as(second, "BZMPOP 0 2 b c MIN COUNT 2").is("");
        redis.run_as(third, "BZPOPMIN b 0").is("");
        redis.run("ZADD b 1 p 2 q 3 r 4 s").is(":4");
        redis.take(first).is("*3 $1 b $1 s $1 4");
        redis.take(second).is("*2 $1 b *2 *2 $1 p $1 1 *2 $1 q $1 2");
        redis.take(third).is("*3 $1 b $1 r $1 3");
        redis.run("EXISTS b").is(":0");
    }

    #[test]
    fn stored_results_end_the_waiting_and_other_types_do_not() {
        let mut redis = TestServer::new();
        let waiting = redis.connect();
        redis.run("ZADD x 1 a 2 b");
        redis.run_as(waiting, "BZPOPMIN k 0").is("");
        redis.run("SET k x");
        redis.take(waiting).is("");
        redis.run("ZUNIONSTORE k 1 x").is(":2");
        redis.take(waiting).is("*3 $1 k $1 a $1 1");
        redis.run("DEL k");
        redis.run_as(waiting, "BZPOPMIN k 0").is("");
        redis.run("ZRANGESTORE k x 1 1").is(":1");
        redis.take(waiting).is("*3 $1 k $1 b $1 2");
    }

    #[test]
    fn the_log_gets_what_was_taken_and_not_who_waited() {
        let mut redis = TestServer::new();
        redis.run("ZADD z 1 a 2 b 3 c 4 d 5 e");
        redis.server.state.effects.on = true;
        redis.run("BZPOPMIN nosuch z 0");
        redis.run("ZMPOP 2 nosuch z MAX COUNT 2");
        redis.run("BZMPOP 0 1 z MIN COUNT 10");
        redis.run("ZMPOP 1 z MIN");
        let stream = String::from_utf8(redis.server.state.effects.take()).unwrap();
        let words: Vec<&str> = stream.lines().filter(|l| !l.starts_with(['*', '$'])).collect();
        assert_eq!(words.join(" "), "SELECT 0 ZPOPMIN z ZPOPMAX z 2 ZPOPMIN z 2");
    }

    #[test]
    fn when_the_time_is_over_there_is_nothing() {
        let mut redis = TestServer::new();
        let waiting = redis.connect();
        for line in ["BZPOPMIN a b 0.05", "BZMPOP 0.05 1 a MAX"] {
            redis.run_as(waiting, line).is("");
            redis.advance_ms(200);
            redis.take(waiting).is("*-1");
        }
    }

    #[test]
    fn bad_arguments_are_refused() {
        let mut redis = TestServer::new();
        redis.run("SET s x");
        redis.run("BZPOPMIN s x").is("-ERR timeout is not a float or out of range");
        redis.run("BZPOPMIN s -1").is("-ERR timeout is negative");
        redis.run("BZPOPMAX a s 0").starts("-WRONGTYPE ");
        redis.run("BZMPOP x 0 a MIN").is("-ERR numkeys should be greater than 0");
        redis.run("BZMPOP x 1 a BAD").is("-ERR syntax error");
        redis.run("BZMPOP x 1 a MIN").is("-ERR timeout is not a float or out of range");
        redis.run("BZMPOP 0 1 s MIN").starts("-WRONGTYPE ");
    }
}
