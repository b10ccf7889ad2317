//! Taking members from either end.

use super::members::Shape;
use super::remove::{remove_ranks, report};
use crate::commands::{CommandError, CommandResult, Ctx};
use crate::dict::Slot;
use crate::keyspace::WrongType;
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::types::sorted_set::SortedSet;

const NOT_A_COUNT: CommandError = CommandError::Text("ERR value is out of range, must be positive");
const NO_KEYS: CommandError = CommandError::Text("ERR numkeys should be greater than 0");
const COUNT_TOO_SMALL: CommandError = CommandError::Text("ERR count should be greater than 0");

/// Where members are taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// The lowest scores.
    Min,
    /// The highest.
    Max,
}

impl End {
    fn event(self) -> &'static str {
        match self {
            Self::Min => "zpopmin",
            Self::Max => "zpopmax",
        }
    }

    /// The command that has the effect of taking members there, whichever has taken them.
    pub(super) fn effect(self) -> &'static [u8] {
        match self {
            Self::Min => b"ZPOPMIN",
            Self::Max => b"ZPOPMAX",
        }
    }
}

/// `ZPOPMIN key [count]` -> members and scores, lowest first. O(log n) each.
pub(super) fn zpopmin(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    zpop(ctx, args, End::Min)
}

/// `ZPOPMAX key [count]` -> members and scores, highest first. O(log n) each.
pub(super) fn zpopmax(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    zpop(ctx, args, End::Max)
}

fn zpop(ctx: &mut Ctx<'_>, args: &Args<'_>, end: End) -> CommandResult {
    if args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    let count = args.get(2).map(parse_count).transpose()?;
    let key = args.key(1);
    let Some(slot) = ctx.db.find_collection::<SortedSet>(key)?.filter(|_| count != Some(0)) else {
        ctx.reply.array(0);
        return Ok(());
    };
    match count {
        Some(count) => pop(ctx, key, slot, end, count, Shape::WithScores),
        None => {
            ctx.reply.array(2);
            pop(ctx, key, slot, end, 1, Shape::Bare)
        }
    };
    Ok(())
}

fn parse_count(text: &[u8]) -> Result<usize, CommandError> {
    parse_i64(text).and_then(|count| usize::try_from(count).ok()).ok_or(NOT_A_COUNT)
}

/// Takes up to `count` members, which is not 0, from the sorted set at `slot`, answers them, and returns how many.
pub(super) fn pop(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    slot: Slot,
    end: End,
    count: usize,
    shape: Shape,
) -> usize {
    let set = ctx.db.collection::<SortedSet>(slot).expect("a sorted set was found there");
    let len = set.len();
    let count = count.min(len);
    let ranks = match end {
        End::Min => 0..count,
        End::Max => len - count..len,
    };
    // Answered from where they are, before they are gone: nothing can fail any more.
    shape.begin(ctx.reply, count);
    match end {
        End::Min => shape.write_all(ctx.reply, set.range(ranks.clone())),
        End::Max => shape.write_all(ctx.reply, set.range(ranks.clone()).rev()),
    }
    let emptied = remove_ranks(ctx, slot, ranks);
    report(ctx, key, end.event(), emptied);
    count
}

/// `ZMPOP numkeys key [key ...] <MIN | MAX> [COUNT count]` -> the first key that is there, and members and scores of it;
/// null if none is. O(keys) + O(log n) for each member.
pub(super) fn zmpop(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let request = ManyKeys::parse(args.tail(1))?;
    match first_of(ctx, request.keys())? {
        Some((key, slot)) => pop_of_many(ctx, key, slot, &request),
        None => ctx.reply.null_array(),
    }
    Ok(())
}

/// Takes members for `ZMPOP` and the like. The log gets what has been done, with the number that there was.
pub(super) fn pop_of_many(ctx: &mut Ctx<'_>, key: &[u8], slot: Slot, request: &ManyKeys<'_>) {
    ctx.reply.array(2);
    ctx.reply.bulk(key);
    let count = pop(ctx, key, slot, request.end, request.count, Shape::Pairs);
    let mut buffer = itoa::Buffer::new();
    ctx.propagate(&[request.end.effect(), key, buffer.format(count).as_bytes()]);
}

/// `numkeys key [key ...] <MIN | MAX> [COUNT count]`.
pub(super) struct ManyKeys<'a> {
    args: Args<'a>,
    numkeys: usize,
    end: End,
    count: usize,
}

impl<'a> ManyKeys<'a> {
    /// Reads what begins with the number of keys.
    pub(super) fn parse(args: Args<'a>) -> Result<Self, CommandError> {
        let positive = |text: &[u8]| {
            let number = usize::try_from(parse_i64(text)?).ok()?;
            (number > 0).then_some(number)
        };
        let numkeys = positive(args.bytes(0)).ok_or(NO_KEYS)?;
        let rest = args.tail(numkeys.saturating_add(1));
        let end = match rest.get(0) {
            Some(word) if word.eq_ignore_ascii_case(b"min") => End::Min,
            Some(word) if word.eq_ignore_ascii_case(b"max") => End::Max,
            _ => return Err(CommandError::Syntax),
        };
        let count = match (rest.len(), rest.get(1)) {
            (1, _) => 1,
            (2.., Some(word)) if rest.len() > 2 && word.eq_ignore_ascii_case(b"count") => {
                positive(rest.bytes(2)).ok_or(COUNT_TOO_SMALL)?
            }
            _ => return Err(CommandError::Syntax),
        };
        if rest.len() > 3 {
            return Err(CommandError::Syntax);
        }
        Ok(Self { args, numkeys, end, count })
    }

    /// The keys.
    pub(super) fn keys(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        self.args.tail(1).iter().take(self.numkeys)
    }
}

/// The first of some keys that is there; it must hold a sorted set. A command that has waited looks only at the key that
/// has changed.
pub(super) fn first_of<'a>(
    ctx: &mut Ctx<'_>,
    keys: impl Iterator<Item = &'a [u8]>,
) -> Result<Option<(&'a [u8], Slot)>, WrongType> {
    for key in keys {
        if ctx.is_tried(key)
            && let Some(slot) = ctx.db.find_collection::<SortedSet>(key)?
        {
            return Ok(Some((key, slot)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn members_are_taken_from_either_end() {
        let mut redis = TestServer::new();
        redis.run("ZPOPMIN z").is("*0");
        redis.run("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f");
        redis.run("ZPOPMIN z").is("*2 $1 a $1 1");
        redis.run("ZPOPMAX z").is("*2 $1 f $1 6");
        redis.run("ZPOPMIN z 2").is("*4 $1 b $1 2 $1 c $1 3");
        redis.run("ZPOPMAX z 0").is("*0");
        redis.run("ZPOPMAX z 100").is("*4 $1 e $1 5 $1 d $1 4");
        redis.run("EXISTS z").is(":0");
        redis.run("ZPOPMAX z 100").is("*0");
    }

    #[test]
    fn many_are_taken_from_a_tree() {
        let mut redis = TestServer::new();
        for i in 0..300 {
            redis.run(&format!("ZADD z {i} m{i}"));
        }
        redis.run("ZPOPMAX z 2").is("*4 $4 m299 $3 299 $4 m298 $3 298");
        redis.run("ZPOPMIN z 295").starts("*590 $2 m0 $1 0 ");
        redis.run("ZRANGE z 0 -1").is("*3 $4 m295 $4 m296 $4 m297");
    }

    #[test]
    fn resp3_has_pairs_where_a_count_is_given() {
        let mut redis = TestServer::new();
        redis.run("ZADD z 1 a 2 b 3 c");
        redis.run("HELLO 3");
        redis.run("ZPOPMIN z").is("*2 $1 a ,1");
        redis.run("ZPOPMIN z 1").is("*1 *2 $1 b ,2");
        redis.run("ZMPOP 1 z MIN").is("*2 $1 z *1 *2 $1 c ,3");
        redis.run("ZMPOP 1 z MIN").is("_");
    }

    #[test]
    fn zmpop_takes_from_the_first_key_that_is_there() {
        let mut redis = TestServer::new();
        redis.run("ZMPOP 2 a b MIN").is("*-1");
        redis.run("ZADD b 1 x 2 y 3 z");
        redis.run("ZADD c 1 x");
        redis.run("ZMPOP 3 a b c max").is("*2 $1 b *1 *2 $1 z $1 3");
        redis.run("ZMPOP 3 a b c MIN COUNT 10").is("*2 $1 b *2 *2 $1 x $1 1 *2 $1 y $1 2");
        redis.run("EXISTS b").is(":0");
        redis.run("SET a x");
        redis.run("ZMPOP 2 a c MIN").starts("-WRONGTYPE ");
        redis.run("ZMPOP 2 c a MIN").is("*2 $1 c *1 *2 $1 x $1 1");
    }

    #[test]
    fn bad_arguments_are_refused() {
        let mut redis = TestServer::new();
        let syntax = "-ERR syntax error";
        redis.run("SET s x");
        redis.run("ZPOPMIN s 0").starts("-WRONGTYPE ");
        redis.run("ZPOPMIN s 1 2").is(syntax);
        for count in ["x", "-1"] {
            let line = format!("ZPOPMIN s {count}");
            redis.run(&line).is("-ERR value is out of range, must be positive");
        }
        for numkeys in ["0", "-1", "x"] {
            redis
                .run(&format!("ZMPOP {numkeys} s MIN"))
                .is("-ERR numkeys should be greater than 0");
        }
        for line in [
            "ZMPOP 1 s BAD",
            "ZMPOP 2 s MIN",
            "ZMPOP 9223372036854775807 s MIN",
            "ZMPOP 1 s MIN COUNT",
            "ZMPOP 1 s MIN BAD 1",
            "ZMPOP 1 s MIN COUNT 1 COUNT 1",
            "ZMPOP 1 s MIN MAX",
        ] {
            redis.run(line).is(syntax);
        }
        for count in ["0", "-1", "x"] {
            redis
                .run(&format!("ZMPOP 1 s MIN COUNT {count}"))
                .is("-ERR count should be greater than 0");
        }
    }
}
