//! Questions about single members, and how many there are.

use super::selection::{By, Selection};
use crate::commands::{CommandError, CommandResult, Ctx};
use crate::resp::Args;
use crate::types::sorted_set::SortedSet;

/// `ZCARD key` -> number of members. O(1).
pub(super) fn zcard(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let set = ctx.db.read::<SortedSet>(args.key(1))?;
    ctx.reply.integer(set.map_or(0, |set| set.len()) as i64);
    Ok(())
}

/// `ZSCORE key member` -> the score, or null. O(1).
pub(super) fn zscore(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let set = ctx.db.read::<SortedSet>(args.key(1))?;
    match set.and_then(|set| set.score(args.bytes(2))) {
        Some(score) => ctx.reply.double(score),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// `ZMSCORE key member [member ...]` -> for each the score, or null. O(1) each.
pub(super) fn zmscore(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let set = ctx.db.read::<SortedSet>(args.key(1))?;
    let members = args.tail(2);
    ctx.reply.array(members.len());
    for member in members.iter() {
        match set.and_then(|set| set.score(member)) {
            Some(score) => ctx.reply.double(score),
            None => ctx.reply.null(),
        }
    }
    Ok(())
}

/// `ZCOUNT key min max` -> how many have a score in the range. O(log n).
pub(super) fn zcount(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    count(ctx, args, By::Score)
}

/// `ZLEXCOUNT key min max` -> how many are in the range, if all scores are equal. O(log n).
pub(super) fn zlexcount(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    count(ctx, args, By::Lex)
}

fn count(ctx: &mut Ctx<'_>, args: &Args<'_>, by: By) -> CommandResult {
    let selection = Selection::parse(by, args.bytes(2), args.bytes(3))?;
    let set = ctx.db.read::<SortedSet>(args.key(1))?;
    let count = set.map_or(0, |set| selection.ranks(set, false).len());
    ctx.reply.integer(count as i64);
    Ok(())
}

/// `ZRANK key member [WITHSCORE]` -> how many members are before it, or null. O(log n).
pub(super) fn zrank(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    rank(ctx, args, |_, rank| rank)
}

/// `ZREVRANK key member [WITHSCORE]` -> how many members are behind it, or null. O(log n).
pub(super) fn zrevrank(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    rank(ctx, args, |len, rank| len - 1 - rank)
}

fn rank(
    ctx: &mut Ctx<'_>,
    args: &Args<'_>,
    counted: impl FnOnce(usize, usize) -> usize,
) -> CommandResult {
    let with_score = match args.get(3) {
        _ if args.len() > 4 => return Err(CommandError::WrongArity(ctx.command.name.into())),
        None => false,
        Some(word) if word.eq_ignore_ascii_case(b"withscore") => true,
        Some(_) => return Err(CommandError::Syntax),
    };
    let member = args.bytes(2);
    let set = ctx.db.read::<SortedSet>(args.key(1))?;
    let rank = set.and_then(|set| Some((counted(set.len(), set.rank(member)?), set)));
    match rank {
        Some((rank, set)) if with_score => {
            ctx.reply.array(2);
            ctx.reply.integer(rank as i64);
            ctx.reply.double(set.score(member).expect("what has a rank has a score"));
        }
        Some((rank, _)) => ctx.reply.integer(rank as i64),
        None if with_score => ctx.reply.null_array(),
        None => ctx.reply.null(),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    /// A server with a listpack and a tree, both of the members a to e.
    fn with_sets() -> TestServer {
        let mut redis = TestServer::new();
        for key in ["packed", "tree"] {
            redis.run(&format!("ZADD {key} 1 a 2 b 2 c 3.5 d inf e"));
        }
        redis.run(&format!("ZADD tree 0 {}", "x".repeat(100)));
        redis.run("ZREMRANGEBYRANK tree 0 0");
        redis.run("OBJECT ENCODING tree").is("$8 skiplist");
        redis
    }

    #[test]
    fn scores_ranks_and_counts_are_the_same_in_both_forms() {
        let mut redis = with_sets();
        for key in ["packed", "tree"] {
            let mut run = |line: &str| redis.run(&line.replace("KEY", key));
            run("ZCARD KEY").is(":5");
            run("ZSCORE KEY d").is("$3 3.5");
            run("ZSCORE KEY x").is("$-1");
            run("ZMSCORE KEY a x e").is("*3 $1 1 $-1 $3 inf");
            run("ZRANK KEY a").is(":0");
            run("ZRANK KEY c").is(":2");
            run("ZREVRANK KEY c").is(":2");
            run("ZREVRANK KEY a").is(":4");
            run("ZRANK KEY x").is("$-1");
            run("ZRANK KEY d WITHSCORE").is("*2 :3 $3 3.5");
            run("ZREVRANK KEY d withscore").is("*2 :1 $3 3.5");
            run("ZRANK KEY x WITHSCORE").is("*-1");
            run("ZCOUNT KEY 2 3.5").is(":3");
            run("ZCOUNT KEY (2 +inf").is(":2");
            run("ZCOUNT KEY (inf inf").is(":0");
            run("ZCOUNT KEY 3 1").is(":0");
        }
        redis.run("HELLO 3");
        redis.run("ZSCORE tree d").is(",3.5");
        redis.run("ZSCORE tree x").is("_");
        redis.run("ZRANK tree d WITHSCORE").is("*2 :3 ,3.5");
    }

    #[test]
    fn members_are_counted_by_name_where_scores_are_equal() {
        let mut redis = TestServer::new();
        redis.run("ZADD z 0 a 0 b 0 c 0 d");
        redis.run("ZLEXCOUNT z - +").is(":4");
        redis.run("ZLEXCOUNT z [b (d").is(":2");
        redis.run("ZLEXCOUNT z + -").is(":0");
        redis.run("ZLEXCOUNT nosuch - +").is(":0");
    }

    #[test]
    fn a_key_that_is_not_there_is_an_empty_set() {
        let mut redis = TestServer::new();
        redis.run("ZCARD z").is(":0");
        redis.run("ZSCORE z a").is("$-1");
        redis.run("ZMSCORE z a b").is("*2 $-1 $-1");
        redis.run("ZRANK z a").is("$-1");
        redis.run("ZCOUNT z 0 1").is(":0");
    }

    #[test]
    fn bad_arguments_and_other_types_are_refused() {
        let mut redis = TestServer::new();
        redis.run("SET s x");
        for line in ["ZCARD s", "ZSCORE s a", "ZMSCORE s a", "ZRANK s a", "ZCOUNT s 0 1"] {
            redis.run(line).starts("-WRONGTYPE ");
        }
        redis.run("ZCOUNT s x 1").is("-ERR min or max is not a float");
        redis.run("ZLEXCOUNT s - 1").is("-ERR min or max not valid string range item");
        redis.run("ZRANK s a SCORE").is("-ERR syntax error");
        redis.run("ZRANK s a WITHSCORE x").is("-ERR wrong number of arguments for 'zrank' command");
    }
}
