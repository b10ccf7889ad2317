//! Taking elements from the ends: at once, or as soon as there are some.

use std::ops::Range;

use super::{parse_end, popped, reply_element};
use crate::commands::{CommandError, CommandResult, Ctx, Timeout};
use crate::dict::Slot;
use crate::keyspace::Type;
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::types::list::{End, List};

/// `LPOP key [count]` -> the first element, or an array of so many of them; null without a list. O(elements returned).
pub(super) fn lpop(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    pop(ctx, args, End::Left)
}

/// `RPOP key [count]` -> the last element, or an array of so many of them; null without a list. O(elements returned).
pub(super) fn rpop(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    pop(ctx, args, End::Right)
}

fn pop(ctx: &mut Ctx<'_>, args: &Args<'_>, end: End) -> CommandResult {
    if args.len() > 3 {
        return Err(CommandError::WrongArity(ctx.command.name.into()));
    }
    let count = args.get(2).map(parse_count).transpose()?;
    let key = args.key(1);
    match (ctx.db.find_collection::<List>(key)?, count) {
        (None, None) => ctx.reply.null(),
        (None, Some(_)) => ctx.reply.null_array(),
        (Some(_), Some(0)) => ctx.reply.array(0),
        (Some(slot), None) => pop_one(ctx, key, slot, end)?,
        (Some(slot), Some(count)) => drop(pop_many(ctx, key, slot, end, count)?),
    }
    Ok(())
}

fn parse_count(text: &[u8]) -> Result<usize, CommandError> {
    let count = parse_i64(text).and_then(|count| usize::try_from(count).ok());
    count.ok_or(CommandError::Text("ERR value is out of range, must be positive"))
}

/// Takes one element and writes it.
fn pop_one(ctx: &mut Ctx<'_>, key: &[u8], slot: Slot, end: End) -> CommandResult {
    let len = ctx.db.collection::<List>(slot)?.len();
    take(ctx, key, slot, end, 1, len)
}

/// Takes up to `count` elements and writes an array of them. Returns how many.
fn pop_many(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    slot: Slot,
    end: End,
    count: usize,
) -> Result<usize, CommandError> {
    let len = ctx.db.collection::<List>(slot)?.len();
    let count = count.min(len);
    ctx.reply.array(count);
    take(ctx, key, slot, end, count, len)?;
    Ok(count)
}

/// Takes `count` of the `len` elements and writes them. A list of which all is taken is only read, and goes as a whole.
fn take(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    slot: Slot,
    end: End,
    count: usize,
    len: usize,
) -> CommandResult {
    let limit = ctx.list_limit();
    if count == len {
        let first = if end == End::Left { 0 } else { len - 1 };
        let elements = ctx.db.collection::<List>(slot)?.iter_from(first, end.opposite());
        elements.for_each(|element| reply_element(ctx.reply, element));
        ctx.db.remove(slot);
    } else {
        ctx.db.change_at(slot, |list: &mut List| {
            list.pop(end, count, limit, |element| reply_element(ctx.reply, element))
        });
    }
    popped(ctx, key, end, count == len);
    Ok(())
}

/// What `LMPOP` and `BLMPOP` are to do.
struct Choice {
    /// Which arguments are keys.
    keys: Range<usize>,
    end: End,
    /// How many elements at most, from 1 on.
    count: usize,
}

impl Choice {
    /// Reads `numkeys key [key ...] <LEFT | RIGHT> [COUNT count]` from argument `first` on.
    fn parse(args: &Args<'_>, first: usize) -> Result<Self, CommandError> {
        let numkeys = parse_positive(args.bytes(first), "ERR numkeys should be greater than 0")?;
        let keys_end = (first + 1).checked_add(numkeys).ok_or(CommandError::Syntax)?;
        let end = parse_end(args.get(keys_end).ok_or(CommandError::Syntax)?)?;
        let options = args.tail(keys_end + 1);
        let count = match options.len() {
            0 => 1,
            // As in Redis, a number that is none is seen before a word too many.
            2.. if options.bytes(0).eq_ignore_ascii_case(b"count") => {
                parse_positive(options.bytes(1), "ERR count should be greater than 0")?
            }
            _ => return Err(CommandError::Syntax),
        };
        if options.len() > 2 {
            return Err(CommandError::Syntax);
        }
        Ok(Self { keys: first + 1..keys_end, end, count })
    }

    /// Takes elements of the first list there is, if there is one, and writes its name and them.
    fn pop_first(&self, ctx: &mut Ctx<'_>, args: &Args<'_>) -> Result<bool, CommandError> {
        let Some((key, slot)) = find_first(ctx, args, self.keys.clone())? else { return Ok(false) };
        ctx.reply.array(2);
        ctx.reply.bulk(key);
        let count = pop_many(ctx, key, slot, self.end, self.count)?;
        let mut digits = itoa::Buffer::new();
        ctx.propagate(&[pop_name(self.end), key, digits.format(count).as_bytes()]);
        Ok(true)
    }
}

fn parse_positive(text: &[u8], refusal: &'static str) -> Result<usize, CommandError> {
    let number = parse_i64(text).and_then(|number| usize::try_from(number).ok());
    number.filter(|&number| number > 0).ok_or(CommandError::Text(refusal))
}

/// The first of the arguments `keys` that is the name of a list, if another type does not come before it. When the command
/// has waited, only the key that has changed is looked at.
fn find_first<'k>(
    ctx: &mut Ctx<'_>,
    args: &Args<'k>,
    keys: Range<usize>,
) -> Result<Option<(&'k [u8], Slot)>, CommandError> {
    for at in keys {
        let key = args.key(at);
        if ctx.is_tried(key)
            && let Some(slot) = ctx.db.find_collection::<List>(key)?
        {
            return Ok(Some((key, slot)));
        }
    }
    Ok(None)
}

fn pop_name(end: End) -> &'static [u8] {
    if end == End::Left { b"LPOP" } else { b"RPOP" }
}

/// `LMPOP numkeys key [key ...] <LEFT | RIGHT> [COUNT count]` -> name and elements of the first list there is, or null.
/// O(keys + elements returned).
pub(super) fn lmpop(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if !Choice::parse(args, 1)?.pop_first(ctx, args)? {
        ctx.reply.null_array();
    }
    Ok(())
}

/// `BLMPOP timeout numkeys key [key ...] <LEFT | RIGHT> [COUNT count]` -> as `LMPOP`, as soon as there is a list; null
/// after so many seconds. O(keys + elements returned).
pub(super) fn blmpop(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let choice = Choice::parse(args, 2)?;
    let timeout = Timeout::from_seconds(ctx, args.bytes(1))?;
    if !choice.pop_first(ctx, args)? {
        wait(ctx, args, choice.keys, timeout);
    }
    Ok(())
}

/// `BLPOP key [key ...] timeout` -> name and first element of the first list there is, as soon as there is one; null after
/// so many seconds. O(keys).
pub(super) fn blpop(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    blocking_pop(ctx, args, End::Left)
}

/// `BRPOP key [key ...] timeout` -> name and last element of the first list there is, as soon as there is one; null after
/// so many seconds. O(keys).
pub(super) fn brpop(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    blocking_pop(ctx, args, End::Right)
}

fn blocking_pop(ctx: &mut Ctx<'_>, args: &Args<'_>, end: End) -> CommandResult {
    let keys = 1..args.len() - 1;
    let timeout = Timeout::from_seconds(ctx, args.bytes(args.len() - 1))?;
    let Some((key, slot)) = find_first(ctx, args, keys.clone())? else {
        wait(ctx, args, keys, timeout);
        return Ok(());
    };
    ctx.reply.array(2);
    ctx.reply.bulk(key);
    pop_one(ctx, key, slot, end)?;
    ctx.propagate(&[pop_name(end), key]);
    Ok(())
}

fn wait(ctx: &mut Ctx<'_>, args: &Args<'_>, keys: Range<usize>, timeout: Timeout) {
    if ctx.may_wait() {
        ctx.wait_for_keys(args, keys, Type::List, timeout);
    } else {
        ctx.reply.null_array();
    }
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn elements_are_taken_from_either_end() {
        for max_listpack_size in [-2, 2] {
            let mut redis =
                TestServer::with(|config| config.list_max_listpack_size = max_listpack_size);
            redis.run("RPUSH l a b c d 5 6 7");
            redis.run("LPOP l").is("$1 a");
            redis.run("RPOP l").is("$1 7");
            redis.run("LPOP l 2").is("*2 $1 b $1 c");
            redis.run("RPOP l 2").is("*2 $1 6 $1 5");
            redis.run("LPOP l 0").is("*0");
            redis.run("RPOP l 100").is("*1 $1 d");
            redis.run("EXISTS l").is(":0");
            redis.run("RPUSH l a b c");
            redis.run("RPOP l 3").is("*3 $1 c $1 b $1 a");
            redis.run("EXISTS l").is(":0");
        }
    }

    #[test]
    fn without_a_list_the_null_is_of_the_kind_of_the_reply() {
        let mut redis = TestServer::new();
        redis.run("LPOP none").is("$-1");
        redis.run("LPOP none 0").is("*-1");
        redis.run("RPOP none 2").is("*-1");
        redis.run("LMPOP 2 none none LEFT").is("*-1");
        redis.run("HELLO 3");
        redis.run("LPOP none 2").is("_");
        redis.run("LMPOP 1 none RIGHT").is("_");
    }

    #[test]
    fn what_is_no_count_is_refused() {
        let mut redis = TestServer::new();
        redis.run("RPUSH l a");
        for count in ["-1", "x", "9223372036854775808"] {
            redis
                .run(&format!("LPOP l {count}"))
                .is("-ERR value is out of range, must be positive");
        }
        redis.run("RPOP l 1 2").is("-ERR wrong number of arguments for 'rpop' command");
        for (arguments, error) in [
            ("0 l LEFT", "numkeys should be greater than 0"),
            ("x l LEFT", "numkeys should be greater than 0"),
            ("2 l LEFT", "syntax error"),
            ("9223372036854775807 l LEFT", "syntax error"),
            ("1 l MIDDLE", "syntax error"),
            ("1 l LEFT COUNT", "syntax error"),
            ("1 l LEFT COUNT 0", "count should be greater than 0"),
            ("1 l LEFT COUNT x y", "count should be greater than 0"),
            ("1 l LEFT COUNT 1 COUNT 1", "syntax error"),
            ("1 l LEFT FOO 1", "syntax error"),
        ] {
            redis.run(&format!("LMPOP {arguments}")).is(&format!("-ERR {error}"));
            redis.run(&format!("BLMPOP x {arguments}")).is(&format!("-ERR {error}"));
        }
        redis.run("LLEN l").is(":1");
    }

    #[test]
    fn lmpop_takes_from_the_first_list_there_is() {
        let mut redis = TestServer::new();
        redis.run("RPUSH a 1 2 3");
        redis.run("RPUSH b 4");
        redis.run("LMPOP 3 none a b LEFT").is("*2 $1 a *1 $1 1");
        redis.run("LMPOP 2 a b RIGHT COUNT 10").is("*2 $1 a *2 $1 3 $1 2");
        redis.run("BLMPOP 0 2 a b LEFT COUNT 2").is("*2 $1 b *1 $1 4");
        redis.run("DBSIZE").is(":0");
    }

    #[test]
    fn what_was_popped_goes_to_log_and_replicas_as_a_plain_pop() {
        let mut redis = TestServer::new();
        redis.server.state.effects.on = true;
        redis.run("RPUSH l a b c d e f g");
        redis.server.state.effects.take();
        for line in ["BLPOP none l 0", "LMPOP 1 l LEFT COUNT 2", "BLMPOP 0 1 l RIGHT COUNT 9"] {
            redis.run(line).starts("*2");
        }
        let stream = String::from_utf8(redis.server.state.effects.take()).unwrap();
        let stream = stream.replace("\r\n", " ");
        assert_eq!(stream, "*2 $4 LPOP $1 l *3 $4 LPOP $1 l $1 2 *3 $4 RPOP $1 l $1 4 ");
    }
}
