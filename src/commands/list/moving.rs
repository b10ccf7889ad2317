//! From one list to another, or from one end of a list to the other.

use super::{parse_end, popped, pushed, reply_element};
use crate::commands::{CommandError, CommandResult, Ctx, Timeout};
use crate::dict::Slot;
use crate::keyspace::{Expiry, Type};
use crate::resp::Args;
use crate::types::list::{End, List, ListRef};

/// `LMOVE source destination <LEFT | RIGHT> <LEFT | RIGHT>` -> the element, or null without a source. O(1).
pub(super) fn lmove(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (from, to) = (parse_end(args.bytes(3))?, parse_end(args.bytes(4))?);
    if !move_element(ctx, args, from, to)? {
        ctx.reply.null();
    }
    Ok(())
}

/// `RPOPLPUSH source destination` -> the element, or null without a source. O(1).
pub(super) fn rpoplpush(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if !move_element(ctx, args, End::Right, End::Left)? {
        ctx.reply.null();
    }
    Ok(())
}

/// `BLMOVE source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout` -> the element, as soon as there is one; null after so
/// many seconds. O(1).
pub(super) fn blmove(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (from, to) = (parse_end(args.bytes(3))?, parse_end(args.bytes(4))?);
    let timeout = Timeout::from_seconds(ctx, args.bytes(5))?;
    if move_element(ctx, args, from, to)? {
        let (source, destination) = (args.key(1), args.key(2));
        ctx.propagate(&[b"LMOVE", source, destination, args.bytes(3), args.bytes(4)]);
    } else {
        wait(ctx, args, timeout);
    }
    Ok(())
}

/// `BRPOPLPUSH source destination timeout` -> the element, as soon as there is one; null after so many seconds. O(1).
pub(super) fn brpoplpush(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let timeout = Timeout::from_seconds(ctx, args.bytes(3))?;
    if move_element(ctx, args, End::Right, End::Left)? {
        ctx.propagate(&[b"RPOPLPUSH", args.key(1), args.key(2)]);
    } else {
        wait(ctx, args, timeout);
    }
    Ok(())
}

fn wait(ctx: &mut Ctx<'_>, args: &Args<'_>, timeout: Timeout) {
    if ctx.may_wait() {
        ctx.wait_for_keys(args, 1..2, Type::List, timeout);
    } else {
        ctx.reply.null();
    }
}

/// Moves one element from the source (argument 1) to the destination (argument 2) and writes it. Returns whether there is a
/// source.
fn move_element(
    ctx: &mut Ctx<'_>,
    args: &Args<'_>,
    from: End,
    to: End,
) -> Result<bool, CommandError> {
    let (source, destination, limit) = (args.key(1), args.key(2), ctx.list_limit());
    let Some(slot) = ctx.db.find_collection::<List>(source)? else { return Ok(false) };
    let emptied = if source == destination {
        ctx.db.change_at(slot, |list: &mut List| {
            list.rotate(from, to, limit, |element| reply_element(ctx.reply, element))
        });
        false
    } else {
        let target = ctx.db.find_collection::<List>(destination)?;
        let element = element_at(ctx.db.collection::<List>(slot)?, from);
        push_to(ctx, target, destination, to, &element);
        // A key that is new may have moved the others.
        let slot = if target.is_some() { Some(slot) } else { ctx.db.find(source) };
        let slot = slot.expect("the source was there a moment ago");
        ctx.reply.bulk(&element);
        ctx.db.change_at(slot, |list: &mut List| list.pop(from, 1, limit, |_| ())).emptied
    };
    pushed(ctx, destination, to);
    popped(ctx, source, from, emptied);
    Ok(true)
}

fn element_at(list: ListRef<'_>, end: End) -> Vec<u8> {
    let index = if end == End::Left { 0 } else { list.len() - 1 };
    list.get(index).expect("a key has no empty list").to_vec()
}

/// Adds an element to the list at `target`, or as a new list.
fn push_to(ctx: &mut Ctx<'_>, target: Option<Slot>, key: &[u8], end: End, element: &[u8]) {
    let limit = ctx.list_limit();
    let push = |list: &mut List| list.push(end, std::iter::once(element), limit);
    if let Some(slot) = target {
        ctx.db.change_at(slot, push);
    } else {
        let mut list = List::default();
        push(&mut list);
        ctx.db.set_collection(key, list, Expiry::Clear);
    }
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn an_element_moves_from_end_to_end_of_other_lists() {
        for max_listpack_size in [-2, 1] {
            for (ends, element, destination) in [
                ("LEFT LEFT", "a", "$1 a $1 x $1 y"),
                ("LEFT right", "a", "$1 x $1 y $1 a"),
                ("RIGHT LEFT", "3", "$1 3 $1 x $1 y"),
                ("right RIGHT", "3", "$1 x $1 y $1 3"),
            ] {
                let mut redis =
                    TestServer::with(|config| config.list_max_listpack_size = max_listpack_size);
                redis.run("RPUSH s a b 3");
                redis.run("RPUSH d x y");
                redis.run(&format!("LMOVE s d {ends}")).is(&format!("$1 {element}"));
                redis.run("LRANGE d 0 -1").is(&format!("*3 {destination}"));
                redis.run("LLEN s").is(":2");
            }
        }
    }

    #[test]
    fn a_list_rotates_onto_itself() {
        for max_listpack_size in [-2, 1] {
            let mut redis =
                TestServer::with(|config| config.list_max_listpack_size = max_listpack_size);
            redis.run("RPUSH l a b 3");
            redis.run("RPOPLPUSH l l").is("$1 3");
            redis.run("LRANGE l 0 -1").is("*3 $1 3 $1 a $1 b");
            redis.run("LMOVE l l LEFT RIGHT").is("$1 3");
            redis.run("LMOVE l l LEFT LEFT").is("$1 a");
            redis.run("LRANGE l 0 -1").is("*3 $1 a $1 b $1 3");
            redis.run("RPUSH one x");
            redis.run("BLMOVE one one LEFT RIGHT 0").is("$1 x");
            redis.run("LRANGE one 0 -1").is("*1 $1 x");
        }
    }

    #[test]
    fn the_last_element_takes_its_key_with_it_and_the_first_brings_one() {
        let mut redis = TestServer::new();
        for number in 0..2000 {
            let (source, destination) = (format!("s{number}"), format!("d{number}"));
            redis.run(&format!("RPUSH {source} {number}")).is(":1");
            redis
                .run(&format!("RPOPLPUSH {source} {destination}"))
                .is(&format!("${} {number}", number.to_string().len()));
            redis.run(&format!("EXISTS {source}")).is(":0");
        }
        redis.run("DBSIZE").is(":2000");
        redis.run("LRANGE d1999 0 -1").is("*1 $4 1999");
    }

    #[test]
    fn without_a_source_the_destination_does_not_matter() {
        let mut redis = TestServer::new();
        redis.run("SET s v");
        redis.run("LMOVE none s LEFT LEFT").is("$-1");
        redis.run("RPOPLPUSH none s").is("$-1");
        redis.run("LMOVE none s UP LEFT").is("-ERR syntax error");
        redis.run("BLMOVE none s LEFT UP 0").is("-ERR syntax error");
        redis.run("BLMOVE none s LEFT LEFT x").is("-ERR timeout is not a float or out of range");
        redis.run("BRPOPLPUSH none s -1").is("-ERR timeout is negative");
    }

    #[test]
    fn a_move_that_need_not_wait_goes_to_log_and_replicas_as_a_plain_move() {
        let mut redis = TestServer::new();
        redis.run("RPUSH l a b");
        redis.server.state.effects.on = true;
        redis.run("BLMOVE l d LEFT right 0").is("$1 a");
        redis.run("BRPOPLPUSH l d 0").is("$1 b");
        let stream = String::from_utf8(redis.server.state.effects.take()).unwrap();
        assert_eq!(
            stream.replace("\r\n", " "),
            "*2 $6 SELECT $1 0 *5 $5 LMOVE $1 l $1 d $4 LEFT $5 right *3 $9 RPOPLPUSH $1 l $1 d "
        );
    }
}
