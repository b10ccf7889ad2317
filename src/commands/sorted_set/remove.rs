//! Removing members, by name or by range.

use std::ops::Range;

use super::selection::{By, Selection};
use crate::commands::{CommandResult, Ctx};
use crate::config::KeyspaceEvents;
use crate::dict::Slot;
use crate::resp::Args;
use crate::types::sorted_set::{SortedSet, SortedSetRef};

/// `ZREM key member [member ...]` -> how many there were. O(log n) each.
pub(super) fn zrem(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.key(1);
    let mut removed = 0;
    if let Some(slot) = ctx.db.find_collection::<SortedSet>(key)? {
        let changed = ctx.db.change_at(slot, |set: &mut SortedSet| {
            args.tail(2).iter().filter(|member| set.remove(member).is_some()).count()
        });
        removed = changed.result;
        if removed > 0 {
            report(ctx, key, "zrem", changed.emptied);
        }
    }
    ctx.reply.integer(removed as i64);
    Ok(())
}

/// `ZREMRANGEBYRANK key start stop` -> how many were removed. O(log n + removed).
pub(super) fn zremrangebyrank(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    remove_range(ctx, args, By::Index, "zremrangebyrank")
}

/// `ZREMRANGEBYSCORE key min max` -> how many were removed. O(log n + removed).
pub(super) fn zremrangebyscore(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    remove_range(ctx, args, By::Score, "zremrangebyscore")
}

/// `ZREMRANGEBYLEX key min max` -> how many were removed. O(log n + removed).
pub(super) fn zremrangebylex(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    remove_range(ctx, args, By::Lex, "zremrangebylex")
}

fn remove_range(ctx: &mut Ctx<'_>, args: &Args<'_>, by: By, event: &str) -> CommandResult {
    let key = args.key(1);
    let selection = Selection::parse(by, args.bytes(2), args.bytes(3))?;
    let mut removed = 0;
    if let Some(slot) = ctx.db.find_collection::<SortedSet>(key)? {
        let ranks = selection.ranks(sorted_set(ctx, slot), false);
        removed = ranks.len();
        if removed > 0 {
            let emptied = remove_ranks(ctx, slot, ranks);
            report(ctx, key, event, emptied);
        }
    }
    ctx.reply.integer(removed as i64);
    Ok(())
}

/// Removes the members with these ranks from the sorted set at `slot`, and says whether the key is gone with the last.
/// O(log n + removed); all of them O(1), as their memory is freed elsewhere.
pub(super) fn remove_ranks(ctx: &mut Ctx<'_>, slot: Slot, ranks: Range<usize>) -> bool {
    if ranks.len() == sorted_set(ctx, slot).len() {
        ctx.db.remove(slot);
        return true;
    }
    ctx.db.change_at(slot, |set: &mut SortedSet| set.remove_range(ranks, |_, _| ())).emptied
}

/// What is at a slot that `find_collection` gave.
pub(super) fn sorted_set<'a>(ctx: &'a Ctx<'_>, slot: Slot) -> SortedSetRef<'a> {
    ctx.db.collection::<SortedSet>(slot).expect("a sorted set was found there")
}

/// What follows from a removal.
pub(super) fn report(ctx: &mut Ctx<'_>, key: &[u8], event: &str, emptied: bool) {
    ctx.modified(key);
    ctx.notify(KeyspaceEvents::ZSET, event, key);
    if emptied {
        ctx.notify(KeyspaceEvents::GENERIC, "del", key);
    }
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    const FIVE: &str = "ZADD z 1 a 2 b 3 c 4 d 5 e";

    #[test]
    fn zrem_counts_and_removes_the_key_with_the_last_member() {
        let mut redis = TestServer::new();
        redis.run("ZREM z a").is(":0");
        redis.run(FIVE);
        redis.run("ZREM z a a x c").is(":2");
        redis.run("ZRANGE z 0 -1").is("*3 $1 b $1 d $1 e");
        redis.run("ZREM z b d e b").is(":3");
        redis.run("EXISTS z").is(":0");
    }

    #[test]
    fn ranges_are_removed_by_rank_score_and_member() {
        let mut redis = TestServer::new();
        for (command, removed, rest) in [
            ("ZREMRANGEBYRANK z 1 2", 2, "*3 $1 a $1 d $1 e"),
            ("ZREMRANGEBYRANK z -2 -1", 2, "*3 $1 a $1 b $1 c"),
            ("ZREMRANGEBYRANK z 3 1", 0, "*5 $1 a $1 b $1 c $1 d $1 e"),
            ("ZREMRANGEBYRANK z 0 -1", 5, "*0"),
            ("ZREMRANGEBYSCORE z (1 (4", 2, "*3 $1 a $1 d $1 e"),
            ("ZREMRANGEBYSCORE z 4 1", 0, "*5 $1 a $1 b $1 c $1 d $1 e"),
            ("ZREMRANGEBYSCORE z -inf +inf", 5, "*0"),
            ("ZREMRANGEBYLEX z [b (d", 2, "*3 $1 a $1 d $1 e"),
            ("ZREMRANGEBYLEX z - +", 5, "*0"),
            ("ZREMRANGEBYLEX nosuch - +", 0, "*5 $1 a $1 b $1 c $1 d $1 e"),
        ] {
            redis.run("DEL z");
            redis.run(FIVE);
            redis.run(command).is(&format!(":{removed}"));
            redis.run("ZRANGE z 0 -1").is(rest);
        }
    }

    #[test]
    fn a_removed_set_that_is_big_is_handed_out() {
        let mut redis = TestServer::new();
        for command in ["ZREMRANGEBYRANK z 0 -1", "ZREMRANGEBYSCORE z 0 inf", "ZPOPMIN z 50000"] {
            let discarded = redis.world.borrow().discarded;
            for chunk in 0..50 {
                let pairs = (0..1000).map(|i| format!(" {i} member:{chunk}:{i:020}"));
                redis.run(&format!("ZADD z{}", pairs.collect::<String>()));
            }
            redis.run("ZCARD z").is(":50000");
            redis.run(command);
            redis.run("EXISTS z").is(":0");
            assert_eq!(redis.world.borrow().discarded, discarded + 1, "{command}");
        }
    }

    #[test]
    fn bad_ranges_are_refused() {
        let mut redis = TestServer::new();
        redis.run("ZREMRANGEBYRANK z a 1").is("-ERR value is not an integer or out of range");
        redis.run("ZREMRANGEBYSCORE z 1 nan").is("-ERR min or max is not a float");
        redis.run("ZREMRANGEBYLEX z a [b").is("-ERR min or max not valid string range item");
        redis.run("SET s x");
        redis.run("ZREMRANGEBYRANK s x 1").is("-ERR value is not an integer or out of range");
        redis.run("ZREMRANGEBYRANK s 0 1").starts("-WRONGTYPE ");
        redis.run("ZREM s a").starts("-WRONGTYPE ");
    }
}
