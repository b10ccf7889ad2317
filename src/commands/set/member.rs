//! One set and its members: adding, removing, asking, all of them.

use super::reply_member;
use crate::commands::scan::{ScanOptions, parse_cursor};
use crate::commands::{CommandResult, Ctx};
use crate::config::KeyspaceEvents;
use crate::keyspace::{Expiry, WrongType};
use crate::resp::Args;
use crate::types::set::Set;

/// `SADD key member [member ...]` -> how many were not there before. O(1) each.
pub(super) fn sadd(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (key, members) = (args.key(1), args.tail(2));
    let added = add(ctx, key, &members)?;
    if added > 0 {
        ctx.modified(key);
        ctx.notify(KeyspaceEvents::SET, "sadd", key);
    }
    ctx.reply.integer(added as i64);
    Ok(())
}

/// Adds members, of which there is at least one, to the set at `key`, new or not. Returns how many were not there before.
fn add(ctx: &mut Ctx<'_>, key: &[u8], members: &Args<'_>) -> Result<usize, WrongType> {
    let limits = ctx.set_limits();
    let add_to = |set: &mut Set| members.iter().filter(|member| set.add(member, &limits)).count();
    match ctx.db.find_collection::<Set>(key)? {
        Some(slot) => Ok(ctx.db.change_at(slot, add_to).result),
        None => {
            let mut set = Set::new(members.bytes(0), members.len(), &limits);
            let added = add_to(&mut set);
            ctx.db.set_collection(key, set, Expiry::Clear);
            Ok(added)
        }
    }
}

/// `SREM key member [member ...]` -> how many were there; a set without members is gone. O(1) each.
pub(super) fn srem(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (key, members) = (args.key(1), args.tail(2));
    let removed = match ctx.db.find_collection::<Set>(key)? {
        None => 0,
        Some(slot) => {
            let changed = ctx.db.change_at(slot, |set: &mut Set| {
                members.iter().filter(|member| set.remove(member)).count()
            });
            if changed.result > 0 {
                members_left(ctx, key, "srem", changed.emptied);
            }
            changed.result
        }
    };
    ctx.reply.integer(removed as i64);
    Ok(())
}

/// What follows when members have left a set: `event` says by which command, `emptied` whether it is gone.
pub(super) fn members_left(ctx: &mut Ctx<'_>, key: &[u8], event: &str, emptied: bool) {
    ctx.modified(key);
    ctx.notify(KeyspaceEvents::SET, event, key);
    if emptied {
        ctx.notify(KeyspaceEvents::GENERIC, "del", key);
    }
}

/// `SMOVE source destination member` -> whether it was in `source`. O(1).
pub(super) fn smove(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (source, destination, member) = (args.key(1), args.key(2), args.bytes(3));
    // The destination comes first: looking for it may remove a key that is due, and that moves slots.
    let destination_type = ctx.db.find_collection::<Set>(destination);
    let Some(slot) = ctx.db.find_collection::<Set>(source)? else {
        ctx.reply.integer(0);
        return Ok(());
    };
    destination_type?;
    let is_member = ctx.db.collection::<Set>(slot)?.contains(member);
    if is_member && source != destination {
        let removed = ctx.db.change_at(slot, |set: &mut Set| set.remove(member));
        members_left(ctx, source, "srem", removed.emptied);
        if add(ctx, destination, &args.tail(3))? > 0 {
            ctx.modified(destination);
            ctx.notify(KeyspaceEvents::SET, "sadd", destination);
        }
    }
    ctx.reply.integer(i64::from(is_member));
    Ok(())
}

/// `SISMEMBER key member` -> whether it is a member. O(1).
pub(super) fn sismember(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let set = ctx.db.read::<Set>(args.key(1))?;
    ctx.reply.integer(i64::from(set.is_some_and(|set| set.contains(args.bytes(2)))));
    Ok(())
}

/// `SMISMEMBER key member [member ...]` -> of each, whether it is a member. O(1) each.
pub(super) fn smismember(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let set = ctx.db.read::<Set>(args.key(1))?;
    let members = args.tail(2);
    ctx.reply.array(members.len());
    for member in members.iter() {
        ctx.reply.integer(i64::from(set.is_some_and(|set| set.contains(member))));
    }
    Ok(())
}

/// `SCARD key` -> number of members, 0 if there is none. O(1).
pub(super) fn scard(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let set = ctx.db.read::<Set>(args.key(1))?;
    ctx.reply.integer(set.map_or(0, |set| set.len()) as i64);
    Ok(())
}

/// `SMEMBERS key` -> all members. O(members).
pub(super) fn smembers(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let set = ctx.db.read::<Set>(args.key(1))?;
    ctx.reply.set(set.map_or(0, |set| set.len()));
    set.into_iter().flat_map(|set| set.iter()).for_each(|member| reply_member(ctx.reply, member));
    Ok(())
}

/// `SSCAN key cursor [MATCH pattern] [COUNT count]` -> next cursor, members. O(count). A member that is there from the
/// first call with cursor 0 to the one that returns 0 is returned at least once.
pub(super) fn sscan(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let cursor = parse_cursor(args.bytes(2))?;
    let Some(set) = ctx.db.read::<Set>(args.key(1))? else {
        let page = ctx.reply.deferred();
        ctx.reply.finish_page(page, 0, 0);
        return Ok(());
    };
    let options = ScanOptions::of_set(args.tail(3))?;
    let page = ctx.reply.deferred();
    let mut returned = 0;
    let cursor = options.run(cursor, |cursor| {
        let mut seen = 0;
        let next = set.scan(cursor, |member| {
            seen += 1;
            if options.matches(member.text(&mut itoa::Buffer::new())) {
                returned += 1;
                reply_member(ctx.reply, member);
            }
        });
        (next, seen)
    });
    ctx.reply.finish_page(page, cursor, returned);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    /// One set in each form.
    fn with_sets() -> TestServer {
        let mut redis = TestServer::with(|config| {
            config.set_max_intset_entries = 4;
            config.set_max_listpack_entries = 6;
        });
        redis.run("SADD ints 3 1 2").is(":3");
        redis.run("SADD packed a b 7").is(":3");
        redis.run("SADD table a b c d e f 7").is(":7");
        for (key, encoding) in [("ints", "intset"), ("packed", "listpack"), ("table", "hashtable")]
        {
            redis
                .run(&format!("OBJECT ENCODING {key}"))
                .is(&format!("${} {encoding}", encoding.len()));
        }
        redis
    }

    #[test]
    fn a_member_is_there_once() {
        let mut redis = with_sets();
        redis.run("SADD ints 1 2 4 4").is(":1");
        redis.run("SADD packed a x 7 x").is(":1");
        redis.run("SADD table a x 7 x").is(":1");
        for (key, len, member) in [("ints", 4, "1"), ("packed", 4, "7"), ("table", 8, "7")] {
            redis.run(&format!("SCARD {key}")).is(&format!(":{len}"));
            redis.run(&format!("SISMEMBER {key} {member}")).is(":1");
            redis.run(&format!("SISMEMBER {key} 07")).is(":0");
            redis.run(&format!("SMISMEMBER {key} {member} no {member}")).is("*3 :1 :0 :1");
        }
        redis.run("SMISMEMBER none a b").is("*2 :0 :0");
        redis.run("SCARD none").is(":0");
    }

    #[test]
    fn removing_the_last_member_removes_the_key() {
        let mut redis = with_sets();
        redis.run("SREM ints 1 9 2").is(":2");
        redis.run("SREM ints 9").is(":0");
        redis.run("SREM ints 3 3 3").is(":1");
        redis.run("EXISTS ints").is(":0");
        redis.run("SREM table a b c d e f 7").is(":7");
        redis.run("SREM table a").is(":0");
        redis.run("DBSIZE").is(":1");
    }

    #[test]
    fn only_a_change_counts_as_one() {
        let mut redis = with_sets();
        let before = redis.server.state.dirty;
        redis.run("SADD ints 1").is(":0");
        redis.run("SREM table x").is(":0");
        redis.run("SMOVE table ints x").is(":0");
        redis.run("SMOVE ints ints 1").is(":1");
        assert_eq!(redis.server.state.dirty, before);
        redis.run("SMOVE ints table 1").is(":1");
        assert_eq!(redis.server.state.dirty, before + 2);
    }

    #[test]
    fn smove_changes_forms_and_makes_and_removes_keys() {
        let mut redis = with_sets();
        redis.run("SMOVE packed ints a").is(":1");
        redis.run("OBJECT ENCODING ints").is("$8 listpack");
        redis.run("SMOVE packed new 7").is(":1");
        redis.run("OBJECT ENCODING new").is("$6 intset");
        redis.run("SMOVE packed table b").is(":1");
        redis.run("EXISTS packed").is(":0");
        redis.run("SCARD table").is(":7");
        redis.run("SMOVE packed table b").is(":0");
        redis.run("SMOVE none ints b").is(":0");
    }

    #[test]
    fn smove_checks_types_only_if_the_source_is_there() {
        let mut redis = with_sets();
        redis.run("SET text x");
        let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
        redis.run("SMOVE none text a").is(":0");
        redis.run("SMOVE ints text 1").is(wrong);
        redis.run("SMOVE text ints 1").is(wrong);
        redis.run("SISMEMBER ints 1").is(":1");
    }

    #[test]
    fn smove_to_a_key_that_is_due_makes_a_new_set() {
        let mut redis = with_sets();
        redis.run("PEXPIRE table 10");
        redis.server.state.active_expire = false;
        redis.advance_ms(11);
        redis.run("SMOVE ints table 1").is(":1");
        redis.run("SMEMBERS table").is("*1 $1 1");
        redis.run("TTL table").is(":-1");
    }

    #[test]
    fn smembers_is_a_set_in_resp3() {
        let mut redis = with_sets();
        redis.run("SMEMBERS ints").is("*3 $1 1 $1 2 $1 3");
        redis.run("SMEMBERS none").is("*0");
        redis.run("HELLO 3");
        redis.run("SMEMBERS packed").is("~3 $1 a $1 b $1 7");
        redis.run("SMEMBERS none").is("~0");
    }

    #[test]
    fn sscan_returns_small_sets_whole_and_big_ones_in_pages() {
        let mut redis = with_sets();
        redis.run("SSCAN ints 0 COUNT 1").is("*2 $1 0 *3 $1 1 $1 2 $1 3");
        redis.run("SSCAN packed 0 MATCH [0-9]").is("*2 $1 0 *1 $1 7");
        redis.run("SSCAN none 5 FOO").is("*2 $1 0 *0");
        redis.run("SSCAN ints x").is("-ERR invalid cursor");
        redis.run("SSCAN ints 0 TYPE set").is("-ERR syntax error");
        for number in 0..1000 {
            redis.run(&format!("SADD big m{number}"));
        }
        let (mut cursor, mut seen, mut pages) =
            ("0".to_string(), std::collections::HashSet::new(), 0);
        loop {
            let page = redis.run(&format!("SSCAN big {cursor} COUNT 20 MATCH m*")).0;
            let words: Vec<&str> = page.split(' ').collect();
            seen.extend(words[4..].iter().skip(1).step_by(2).map(|word| word.to_string()));
            (cursor, pages) = (words[2].to_string(), pages + 1);
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(seen.len(), 1000);
        assert!(pages > 5, "{pages}");
    }

    #[test]
    fn another_type_is_refused() {
        let mut redis = TestServer::new();
        redis.run("SET k v");
        let lines = [
            "SADD k a",
            "SREM k a",
            "SISMEMBER k a",
            "SMISMEMBER k a",
            "SCARD k",
            "SMEMBERS k",
            "SSCAN k 0 FOO",
        ];
        for line in lines {
            redis
                .run(line)
                .is("-WRONGTYPE Operation against a key holding the wrong kind of value");
        }
        redis.run("GET k").is("$1 v");
    }

    #[test]
    fn an_expire_time_stays_until_the_set_is_empty() {
        let mut redis = with_sets();
        redis.run("EXPIRE ints 100");
        redis.run("SADD ints 4 a");
        redis.run("TTL ints").is(":100");
        redis.run("SREM ints 1 2 3 4 a").is(":5");
        redis.run("SADD ints 1").is(":1");
        redis.run("TTL ints").is(":-1");
    }
}
