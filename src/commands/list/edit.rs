//! Changing lists anywhere but at their ends.

use super::notify_emptied;
use crate::commands::{CommandError, CommandResult, Ctx};
use crate::config::KeyspaceEvents;
use crate::keyspace::Object;
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::types::list::{End, List};

/// `LSET key index element` -> `+OK`. O(nodes to the nearer end).
pub(super) fn lset(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (key, element, limit) = (args.key(1), args.bytes(3), ctx.list_limit());
    let slot = ctx.db.find_collection::<List>(key)?.ok_or(CommandError::NoSuchKey)?;
    let index = parse_i64(args.bytes(2)).ok_or(CommandError::NotAnInteger)?;
    let index = ctx.db.collection::<List>(slot)?.resolve_index(index);
    let index = index.ok_or(CommandError::OutOfRange)?;
    ctx.db.change_at(slot, |list: &mut List| list.set(index, element, limit));
    ctx.modified(key);
    ctx.notify(KeyspaceEvents::LIST, "lset", key);
    ctx.reply.ok();
    Ok(())
}

/// `LINSERT key <BEFORE | AFTER> pivot element` -> length of the list, -1 without the pivot, 0 without a list.
/// O(elements up to the pivot).
pub(super) fn linsert(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let side = match args.bytes(2) {
        before if before.eq_ignore_ascii_case(b"before") => End::Left,
        after if after.eq_ignore_ascii_case(b"after") => End::Right,
        _ => return Err(CommandError::Syntax),
    };
    let (key, pivot, element, limit) =
        (args.key(1), args.bytes(3), args.bytes(4), ctx.list_limit());
    let Some(slot) = ctx.db.find_collection::<List>(key)? else {
        ctx.reply.integer(0);
        return Ok(());
    };
    let list = ctx.db.collection::<List>(slot)?;
    let Some(index) = list.positions(pivot, End::Left).next() else {
        ctx.reply.integer(-1);
        return Ok(());
    };
    let len = list.len() + 1;
    ctx.db.change_at(slot, |list: &mut List| list.insert(index, side, element, limit));
    ctx.modified(key);
    ctx.notify(KeyspaceEvents::LIST, "linsert", key);
    ctx.reply.integer(len as i64);
    Ok(())
}

/// `LREM key count element` -> how many were removed: so many from the left, from the right if negative, all if 0.
/// O(elements).
pub(super) fn lrem(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let count = parse_i64(args.bytes(2)).ok_or(CommandError::NotAnInteger)?;
    let (key, element, limit) = (args.key(1), args.bytes(3), ctx.list_limit());
    let from = if count < 0 { End::Right } else { End::Left };
    let max = match usize::try_from(count.unsigned_abs()) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(max) => max,
    };
    let Some(slot) = ctx.db.find_collection::<List>(key)? else {
        ctx.reply.integer(0);
        return Ok(());
    };
    let is_there = ctx.db.collection::<List>(slot)?.positions(element, from).next().is_some();
    if !is_there {
        ctx.reply.integer(0);
        return Ok(());
    }
    let changed = ctx.db.change_at(slot, |list: &mut List| list.remove(element, from, max, limit));
    ctx.modified(key);
    ctx.notify(KeyspaceEvents::LIST, "lrem", key);
    notify_emptied(ctx, key, changed.emptied);
    ctx.reply.integer(changed.result as i64);
    Ok(())
}

/// `LTRIM key start stop` -> `+OK`; only these elements are left. O(nodes), what is cut off is dropped elsewhere.
pub(super) fn ltrim(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let start = parse_i64(args.bytes(2)).ok_or(CommandError::NotAnInteger)?;
    let stop = parse_i64(args.bytes(3)).ok_or(CommandError::NotAnInteger)?;
    let (key, limit) = (args.key(1), ctx.list_limit());
    let Some(slot) = ctx.db.find_collection::<List>(key)? else {
        ctx.reply.ok();
        return Ok(());
    };
    let list = ctx.db.collection::<List>(slot)?;
    let (range, len) = (list.resolve_range(start, stop), list.len());
    if range.is_empty() {
        ctx.db.remove(slot);
    } else if range.len() < len {
        let kept = range.clone();
        let cut = ctx.db.change_at(slot, |list: &mut List| list.trim(kept, limit)).result;
        ctx.db.discard(Object::List(List::Chain(Box::new(cut))));
    }
    if range.len() < len {
        ctx.modified(key);
    } else {
        ctx.server.key_changed(ctx.db.index, key); // nothing to be told to the log, but as in Redis a WATCH fails
    }
    ctx.notify(KeyspaceEvents::LIST, "ltrim", key);
    notify_emptied(ctx, key, range.is_empty());
    ctx.reply.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    /// Runs `lines` and compares what is left, for a list that is one listpack and for one of several nodes.
    fn leaves(lines: &[(&str, &str)], expected: &str) {
        for max_listpack_size in [-2, 2] {
            let mut redis =
                TestServer::with(|config| config.list_max_listpack_size = max_listpack_size);
            for (line, reply) in lines {
                redis.run(line).is(reply);
            }
            redis.run("LRANGE l 0 -1").is(expected);
        }
    }

    #[test]
    fn an_element_is_replaced() {
        leaves(
            &[
                ("RPUSH l a b 3 d e", ":5"),
                ("LSET l 0 longer-than-before", "+OK"),
                ("LSET l -1 7", "+OK"),
                ("LSET l 2 c", "+OK"),
                ("LSET l 5 x", "-ERR index out of range"),
                ("LSET l -6 x", "-ERR index out of range"),
                ("LSET l x x", "-ERR value is not an integer or out of range"),
                ("LSET none x x", "-ERR no such key"),
            ],
            "*5 $18 longer-than-before $1 b $1 c $1 d $1 7",
        );
    }

    #[test]
    fn an_element_is_inserted_beside_the_first_pivot() {
        leaves(
            &[
                ("RPUSH l a b a 5", ":4"),
                ("LINSERT l BEFORE a x", ":5"),
                ("LINSERT l after a 12", ":6"),
                ("LINSERT l AFTER 5 y", ":7"),
                ("LINSERT l BEFORE none y", ":-1"),
                ("LINSERT l BESIDE a y", "-ERR syntax error"),
                ("LINSERT none BEFORE a y", ":0"),
                ("EXISTS none", ":0"),
            ],
            "*7 $1 x $1 a $2 12 $1 b $1 a $1 5 $1 y",
        );
    }

    #[test]
    fn elements_are_removed_from_either_side() {
        leaves(
            &[
                ("RPUSH l a 1 a 1 a b a", ":7"),
                ("LREM l 1 a", ":1"),
                ("LREM l -1 a", ":1"),
                ("LREM l 0 1", ":2"),
                ("LREM l 5 c", ":0"),
                ("LREM l x a", "-ERR value is not an integer or out of range"),
                ("LREM none x a", "-ERR value is not an integer or out of range"),
                ("LREM none 0 a", ":0"),
            ],
            "*3 $1 a $1 a $1 b",
        );
        leaves(&[("RPUSH l a a", ":2"), ("LREM l -9223372036854775808 a", ":2")], "*0");
    }

    #[test]
    fn a_list_is_cut_down_to_a_range() {
        let push = ("RPUSH l 0 1 2 3 4 5 6", ":7");
        leaves(&[push, ("LTRIM l 2 4", "+OK")], "*3 $1 2 $1 3 $1 4");
        leaves(&[push, ("LTRIM l -2 100", "+OK")], "*2 $1 5 $1 6");
        leaves(&[push, ("LTRIM l 5 2", "+OK"), ("EXISTS l", ":0")], "*0");
        leaves(&[push, ("LTRIM l 7 9", "+OK"), ("EXISTS l", ":0")], "*0");
        leaves(&[("LTRIM none 0 1", "+OK")], "*0");
        leaves(&[("LTRIM none x 1", "-ERR value is not an integer or out of range")], "*0");
    }

    #[test]
    fn a_big_part_that_is_cut_off_is_dropped_elsewhere() {
        let mut redis = TestServer::new();
        let element = [b'x'; 5000];
        for _ in 0..500 {
            redis.run_bytes(&[b"RPUSH", b"l", &element]);
        }
        redis.run("LTRIM l 0 9").is("+OK");
        assert_eq!(redis.world.borrow().discarded, 1);
        redis.run("LLEN l").is(":10");
    }

    #[test]
    fn a_trim_that_cuts_nothing_is_no_change() {
        let mut redis = TestServer::new();
        redis.run("RPUSH l a b");
        let dirty = redis.server.state.dirty;
        redis.run("LTRIM l 0 -1").is("+OK");
        assert_eq!(redis.server.state.dirty, dirty);
    }
}
