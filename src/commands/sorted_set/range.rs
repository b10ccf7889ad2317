//! Ranges of members, answered or stored: `ZRANGE` with its options, and the older commands that it contains.

use std::ops::Range;

use super::members::Shape;
use super::selection::{By, Selection};
use super::store::store;
use crate::commands::{CommandError, CommandResult, Ctx};
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::types::sorted_set::SortedSet;

const LIMIT_BY_INDEX: CommandError = CommandError::Text(
    "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
);
const SCORES_BY_LEX: CommandError =
    CommandError::Text("ERR syntax error, WITHSCORES not supported in combination with BYLEX");

/// What a command's name says; the rest is up to its options.
#[derive(Clone, Copy)]
struct Form {
    by: Option<By>,
    reverse: Option<bool>,
    stores: bool,
}

/// `ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]` -> members. O(log n + members).
pub(super) fn zrange(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    reply_range(ctx, args, Form { by: None, reverse: None, stores: false })
}

/// `ZREVRANGE key start stop [WITHSCORES]` -> members from the highest score down. O(log n + members).
pub(super) fn zrevrange(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    reply_by(ctx, args, By::Index, true)
}

/// `ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]` -> members. O(log n + members).
pub(super) fn zrangebyscore(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    reply_by(ctx, args, By::Score, false)
}

/// `ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]` -> members, highest first. O(log n + members).
pub(super) fn zrevrangebyscore(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    reply_by(ctx, args, By::Score, true)
}

/// `ZRANGEBYLEX key min max [LIMIT offset count]` -> members, if all scores are equal. O(log n + members).
pub(super) fn zrangebylex(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    reply_by(ctx, args, By::Lex, false)
}

/// `ZREVRANGEBYLEX key max min [LIMIT offset count]` -> members from the last to the first. O(log n + members).
pub(super) fn zrevrangebylex(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    reply_by(ctx, args, By::Lex, true)
}

fn reply_by(ctx: &mut Ctx<'_>, args: &Args<'_>, by: By, reverse: bool) -> CommandResult {
    reply_range(ctx, args, Form { by: Some(by), reverse: Some(reverse), stores: false })
}

fn reply_range(ctx: &mut Ctx<'_>, args: &Args<'_>, form: Form) -> CommandResult {
    let query = Query::parse(args.tail(2), form)?;
    let shape = Shape::with_scores(query.with_scores);
    let Some(set) = ctx.db.read::<SortedSet>(args.key(1))? else {
        ctx.reply.array(0);
        return Ok(());
    };
    let ranks = query.ranks(query.selection.ranks(set, query.reverse));
    shape.begin(ctx.reply, ranks.len());
    let members = set.range(ranks);
    if query.reverse {
        shape.write_all(ctx.reply, members.rev());
    } else {
        shape.write_all(ctx.reply, members);
    }
    Ok(())
}

/// `ZRANGESTORE dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]` -> number of members stored.
/// O(log n + members).
pub(super) fn zrangestore(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let query = Query::parse(args.tail(3), Form { by: None, reverse: None, stores: true })?;
    let (limits, hash_key) = ctx.zset_limits();
    let mut result = SortedSet::default();
    if let Some(set) = ctx.db.read::<SortedSet>(args.key(2))? {
        let ranks = query.ranks(query.selection.ranks(set, query.reverse));
        result = SortedSet::from_ordered(ranks.len(), set.range(ranks), limits, hash_key);
    }
    store(ctx, args.key(1), result, "zrangestore")
}

/// What is asked for.
struct Query<'a> {
    selection: Selection<'a>,
    reverse: bool,
    with_scores: bool,
    /// Offset and count; a negative count is "all".
    limit: (i64, i64),
}

impl<'a> Query<'a> {
    /// Reads the ends of the range and the options behind them.
    fn parse(args: Args<'a>, form: Form) -> Result<Self, CommandError> {
        let Form { mut by, mut reverse, stores } = form;
        let (mut with_scores, mut limit) = (false, (0, -1));
        let mut rest = args.tail(2);
        while !rest.is_empty() {
            let mut taken = 1;
            match rest.bytes(0).to_ascii_lowercase().as_slice() {
                b"withscores" if !stores => with_scores = true,
                b"limit" if rest.len() > 2 => {
                    let number =
                        |index| parse_i64(rest.bytes(index)).ok_or(CommandError::NotAnInteger);
                    limit = (number(1)?, number(2)?);
                    taken = 3;
                }
                b"rev" if reverse.is_none() => reverse = Some(true),
                b"bylex" if by.is_none() => by = Some(By::Lex),
                b"byscore" if by.is_none() => by = Some(By::Score),
                _ => return Err(CommandError::Syntax),
            }
            rest = rest.tail(taken);
        }
        let (by, reverse) = (by.unwrap_or(By::Index), reverse.unwrap_or(false));
        if by == By::Index {
            if limit.1 != -1 {
                return Err(LIMIT_BY_INDEX);
            }
            limit = (0, -1);
        }
        if by == By::Lex && with_scores {
            return Err(SCORES_BY_LEX);
        }
        let (mut min, mut max) = (args.bytes(0), args.bytes(1));
        if reverse && by != By::Index {
            (min, max) = (max, min);
        }
        Ok(Self { selection: Selection::parse(by, min, max)?, reverse, with_scores, limit })
    }

    /// What `LIMIT` leaves of a range of ranks.
    fn ranks(&self, ranks: Range<usize>) -> Range<usize> {
        let (offset, count) = self.limit;
        let Ok(offset) = usize::try_from(offset) else { return 0..0 };
        let offset = offset.min(ranks.len());
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(ranks.len() - offset);
        if self.reverse {
            let end = ranks.end - offset;
            end - count..end
        } else {
            let start = ranks.start + offset;
            start..start + count
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    /// A server with listpacks and trees: `packed` and `tree` have scores, the members of `names` and `names-tree` none.
    fn with_sets() -> TestServer {
        let mut redis = TestServer::new();
        let long = "x".repeat(100);
        for key in ["packed", "tree"] {
            redis.run(&format!("ZADD {key} 1 a 2 b 3 c 3 d 5.5 e"));
        }
        for key in ["names", "names-tree"] {
            redis.run(&format!("ZADD {key} 0 a 0 b 0 c 0 d 0 e"));
        }
        for key in ["tree", "names-tree"] {
            redis.run(&format!("ZADD {key} 0 {long}"));
            redis.run(&format!("ZREM {key} {long}"));
            redis.run(&format!("OBJECT ENCODING {key}")).is("$8 skiplist");
        }
        redis
    }

    /// Asserts the members that are answered, each a letter.
    #[track_caller]
    fn are(redis: &mut TestServer, line: &str, members: &str) {
        let bulks = members.chars().map(|member| format!(" $1 {member}"));
        redis.run(line).is(&format!("*{}{}", members.len(), bulks.collect::<String>()));
    }

    #[test]
    fn ranges_by_index() {
        let mut redis = with_sets();
        for key in ["packed", "tree"] {
            are(&mut redis, &format!("ZRANGE {key} 0 -1"), "abcde");
            are(&mut redis, &format!("ZRANGE {key} 1 -2"), "bcd");
            are(&mut redis, &format!("ZRANGE {key} -2 100"), "de");
            are(&mut redis, &format!("ZRANGE {key} 3 1"), "");
            are(&mut redis, &format!("ZRANGE {key} 0 1 rev"), "ed");
            are(&mut redis, &format!("ZREVRANGE {key} 1 2"), "dc");
            are(&mut redis, &format!("ZREVRANGE {key} -1 -1"), "a");
        }
    }

    #[test]
    fn ranges_by_score() {
        let mut redis = with_sets();
        for key in ["packed", "tree"] {
            are(&mut redis, &format!("ZRANGEBYSCORE {key} 2 3"), "bcd");
            are(&mut redis, &format!("ZRANGEBYSCORE {key} (2 +inf"), "cde");
            are(&mut redis, &format!("ZREVRANGEBYSCORE {key} 5 (1"), "dcb");
            are(&mut redis, &format!("ZRANGE {key} (3 1 BYSCORE"), "");
            are(&mut redis, &format!("ZRANGE {key} 3 1 BYSCORE REV LIMIT 1 2"), "cb");
            are(&mut redis, &format!("ZRANGEBYSCORE {key} -inf inf LIMIT 1 2"), "bc");
            are(&mut redis, &format!("ZRANGEBYSCORE {key} -inf inf LIMIT 3 -1"), "de");
            are(&mut redis, &format!("ZRANGEBYSCORE {key} -inf inf LIMIT 5 1"), "");
            are(&mut redis, &format!("ZRANGEBYSCORE {key} -inf inf LIMIT 0 0"), "");
            are(&mut redis, &format!("ZRANGEBYSCORE {key} -inf inf LIMIT -1 2"), "");
            let huge = i64::MAX;
            are(&mut redis, &format!("ZRANGEBYSCORE {key} -inf inf LIMIT 4 {huge}"), "e");
            are(&mut redis, &format!("ZREVRANGEBYSCORE {key} inf 0 LIMIT {huge} {huge}"), "");
        }
    }

    #[test]
    fn ranges_by_member() {
        let mut redis = with_sets();
        for key in ["names", "names-tree"] {
            are(&mut redis, &format!("ZRANGEBYLEX {key} - +"), "abcde");
            are(&mut redis, &format!("ZRANGEBYLEX {key} [b (d"), "bc");
            are(&mut redis, &format!("ZRANGEBYLEX {key} (b +"), "cde");
            are(&mut redis, &format!("ZREVRANGEBYLEX {key} [d [b"), "dcb");
            are(&mut redis, &format!("ZRANGE {key} + - BYLEX REV LIMIT 1 2"), "dc");
            are(&mut redis, &format!("ZRANGE {key} + - BYLEX"), "");
        }
    }

    #[test]
    fn scores_come_flat_in_resp2_and_in_pairs_in_resp3() {
        let mut redis = with_sets();
        redis.run("ZRANGE tree -2 -1 WITHSCORES").is("*4 $1 d $1 3 $1 e $3 5.5");
        redis.run("ZRANGEBYSCORE packed 5 6 WITHSCORES").is("*2 $1 e $3 5.5");
        redis.run("HELLO 3");
        redis.run("ZRANGE tree -2 -1 WITHSCORES").is("*2 *2 $1 d ,3 *2 $1 e ,5.5");
        redis.run("ZRANGE tree 0 0").is("*1 $1 a");
        redis.run("ZRANGE nosuch 0 -1 WITHSCORES").is("*0");
    }

    #[test]
    fn a_range_is_stored_in_place_of_what_was_there() {
        let mut redis = with_sets();
        redis.run("SET d x EX 100");
        redis.run("ZRANGESTORE d tree 1 2").is(":2");
        redis.run("TTL d").is(":-1");
        redis.run("OBJECT ENCODING d").is("$8 listpack");
        redis.run("ZRANGE d 0 -1 WITHSCORES").is("*4 $1 b $1 2 $1 c $1 3");
        redis.run("ZRANGESTORE d packed 5 3 BYSCORE REV LIMIT 0 1").is(":1");
        are(&mut redis, "ZRANGE d 0 -1", "d");
        redis.run("ZRANGESTORE tree tree 0 1 REV").is(":2");
        are(&mut redis, "ZRANGE tree 0 -1", "de");
        redis.run("ZRANGESTORE d nosuch 0 -1").is(":0");
        redis.run("EXISTS d").is(":0");
        redis.run("CONFIG SET zset-max-listpack-entries 1").is("+OK");
        redis.run("ZRANGESTORE d packed 0 -1").is(":5");
        redis.run("OBJECT ENCODING d").is("$8 skiplist");
        are(&mut redis, "ZRANGE d 0 -1", "abcde");
    }

    #[test]
    fn bad_arguments_are_refused() {
        let mut redis = with_sets();
        redis.run("SET s x");
        let syntax = "-ERR syntax error";
        redis.run("ZRANGE s 0 -1").starts("-WRONGTYPE ");
        redis.run("ZRANGE s x -1").is("-ERR value is not an integer or out of range");
        redis.run("ZRANGE s a b BYSCORE").is("-ERR min or max is not a float");
        redis.run("ZRANGE s a b BYLEX").is("-ERR min or max not valid string range item");
        redis.run("ZRANGE s 0 -1 LIMIT 0 1").is(
            "-ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
        );
        redis.run("ZRANGE packed 0 0 LIMIT 7 -1").is("*1 $1 a");
        redis
            .run("ZRANGE s - + BYLEX WITHSCORES")
            .is("-ERR syntax error, WITHSCORES not supported in combination with BYLEX");
        redis.run("ZRANGE s 0 1 BYSCORE LIMIT 0").is(syntax);
        redis
            .run("ZRANGE s 0 1 BYSCORE LIMIT x 1")
            .is("-ERR value is not an integer or out of range");
        redis.run("ZRANGE s 0 1 BYSCORE BYLEX").is(syntax);
        redis.run("ZRANGE s 0 1 REV REV").is(syntax);
        redis.run("ZREVRANGE s 0 1 REV").is(syntax);
        redis.run("ZREVRANGE s 0 1 BYSCORE").is(syntax);
        redis.run("ZRANGEBYSCORE s 0 1 REV").is(syntax);
        redis.run("ZRANGESTORE d s 0 1 WITHSCORES").is(syntax);
        redis.run("ZRANGESTORE d s 0 1").starts("-WRONGTYPE ");
    }
}
