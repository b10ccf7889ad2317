//! Adding elements at the ends.

use super::pushed;
use crate::commands::{CommandResult, Ctx};
use crate::keyspace::Expiry;
use crate::resp::Args;
use crate::types::list::{End, List};

/// `LPUSH key element [element ...]` -> length of the list. O(1) each.
pub(super) fn lpush(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    push(ctx, args, End::Left, false)
}

/// `RPUSH key element [element ...]` -> length of the list. O(1) each.
pub(super) fn rpush(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    push(ctx, args, End::Right, false)
}

/// `LPUSHX key element [element ...]` -> length of the list, 0 if there is none. O(1) each.
pub(super) fn lpushx(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    push(ctx, args, End::Left, true)
}

/// `RPUSHX key element [element ...]` -> length of the list, 0 if there is none. O(1) each.
pub(super) fn rpushx(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    push(ctx, args, End::Right, true)
}

fn push(ctx: &mut Ctx<'_>, args: &Args<'_>, end: End, only_existing: bool) -> CommandResult {
    let (key, elements, limit) = (args.key(1), args.tail(2), ctx.list_limit());
    let len = match ctx.db.find_collection::<List>(key)? {
        Some(slot) => {
            let changed = ctx.db.change_at(slot, |list: &mut List| {
                list.push(end, elements.iter(), limit);
                list.len()
            });
            changed.result
        }
        None if only_existing => {
            ctx.reply.integer(0);
            return Ok(());
        }
        None => {
            let mut list = List::default();
            list.push(end, elements.iter(), limit);
            ctx.db.set_collection(key, list, Expiry::Clear);
            elements.len()
        }
    };
    pushed(ctx, key, end);
    ctx.reply.integer(len as i64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn elements_are_added_one_after_the_other_at_either_end() {
        let mut redis = TestServer::new();
        redis.run("LPUSH l a b").is(":2");
        redis.run("RPUSH l c 5").is(":4");
        redis.run("LRANGE l 0 -1").is("*4 $1 b $1 a $1 c $1 5");
        redis.run("TYPE l").is("+list");
    }

    #[test]
    fn the_x_forms_only_add_to_what_is_there() {
        let mut redis = TestServer::new();
        redis.run("LPUSHX l a").is(":0");
        redis.run("RPUSHX l a b").is(":0");
        redis.run("EXISTS l").is(":0");
        redis.run("RPUSH l a").is(":1");
        redis.run("LPUSHX l b c").is(":3");
        redis.run("RPUSHX l d").is(":4");
        redis.run("LRANGE l 0 -1").is("*4 $1 c $1 b $1 a $1 d");
    }

    #[test]
    fn a_push_keeps_the_ttl_and_a_new_list_has_none() {
        let mut redis = TestServer::new();
        redis.run("RPUSH l a");
        redis.run("PTTL l").is(":-1");
        redis.run("PEXPIRE l 100").is(":1");
        redis.run("RPUSH l b").is(":2");
        redis.run("PTTL l").is(":100");
        redis.advance_ms(101);
        redis.run("LPUSH l c").is(":1");
        redis.run("PTTL l").is(":-1");
    }

    #[test]
    fn a_list_grows_from_a_listpack_to_a_quicklist() {
        let mut redis = TestServer::with(|config| config.list_max_listpack_size = 3);
        redis.run("RPUSH l a b c").is(":3");
        redis.run("OBJECT ENCODING l").is("$8 listpack");
        redis.run("LPUSH l x").is(":4");
        redis.run("OBJECT ENCODING l").is("$9 quicklist");
        redis.run("LRANGE l 0 -1").is("*4 $1 x $1 a $1 b $1 c");
    }
}
