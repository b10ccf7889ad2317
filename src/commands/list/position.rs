//! Where in a list an element is.

use crate::commands::{CommandError, CommandResult, Ctx};
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::types::list::{End, List};

/// What `LPOS` is to find.
struct Options {
    /// From where it looks.
    from: End,
    /// Matches before the first one that counts.
    skip: usize,
    /// How many it is to find; all if 0. Without it, the reply is one position.
    count: Option<usize>,
    /// How many elements it looks at.
    elements_max: usize,
}

/// `LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len]` -> the index of the element or null; with `COUNT`, an
/// array of indices. O(elements looked at).
pub(super) fn lpos(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let options = Options::parse(args.tail(3))?;
    let list = ctx.db.read::<List>(args.key(1))?;
    let positions = list.map(|list| {
        let found = list.positions_within(args.bytes(2), options.from, options.elements_max);
        found.skip(options.skip)
    });
    let mut positions = positions.into_iter().flatten();
    let Some(count) = options.count else {
        match positions.next() {
            Some(index) => ctx.reply.integer(index as i64),
            None => ctx.reply.null(),
        }
        return Ok(());
    };
    let array = ctx.reply.deferred();
    let mut len = 0;
    for index in positions.take(if count == 0 { usize::MAX } else { count }) {
        ctx.reply.integer(index as i64);
        len += 1;
    }
    ctx.reply.finish_array(array, len);
    Ok(())
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self { from: End::Left, skip: 0, count: None, elements_max: usize::MAX };
        let mut args = args.iter();
        while let Some(option) = args.next() {
            let value = args.next().ok_or(CommandError::Syntax)?;
            if option.eq_ignore_ascii_case(b"rank") {
                (options.from, options.skip) = parse_rank(value)?;
            } else if option.eq_ignore_ascii_case(b"count") {
                options.count = Some(parse_size(value, "ERR COUNT can't be negative")?);
            } else if option.eq_ignore_ascii_case(b"maxlen") {
                let len = parse_size(value, "ERR MAXLEN can't be negative")?;
                options.elements_max = if len == 0 { usize::MAX } else { len };
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
}

/// The rank of the first match that counts: from 1 upwards from the left, from -1 downwards from the right.
fn parse_rank(text: &[u8]) -> Result<(End, usize), CommandError> {
    let rank = parse_i64(text).ok_or(CommandError::NotAnInteger)?;
    let before = match rank {
        0 => return Err(RANK_ZERO),
        i64::MIN => return Err(RANK_OUT_OF_RANGE),
        _ => rank.unsigned_abs() - 1,
    };
    let from = if rank > 0 { End::Left } else { End::Right };
    Ok((from, usize::try_from(before).unwrap_or(usize::MAX)))
}

const RANK_ZERO: CommandError = CommandError::Text(
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from \
     the end of the list",
);
/// The one number whose opposite is none; Redis 7.0 negates it all the same.
const RANK_OUT_OF_RANGE: CommandError = CommandError::Text(
    "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
);

fn parse_size(text: &[u8], refusal: &'static str) -> Result<usize, CommandError> {
    let size = parse_i64(text).and_then(|size| usize::try_from(size).ok());
    size.ok_or(CommandError::Text(refusal))
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    /// A list that is one listpack, or several nodes.
    fn with_list(max_listpack_size: i32) -> TestServer {
        let mut redis =
            TestServer::with(|config| config.list_max_listpack_size = max_listpack_size);
        redis.run("RPUSH l a b c 1 2 3 c c").is(":8");
        redis
    }

    #[test]
    fn positions_count_from_the_left_whatever_the_direction() {
        for max_listpack_size in [-2, 2] {
            let mut redis = with_list(max_listpack_size);
            let mut positions = |arguments: &str, expected: &str| {
                redis.run(&format!("LPOS l {arguments}")).is(expected);
            };
            positions("a", ":0");
            positions("c", ":2");
            positions("2", ":4");
            positions("x", "$-1");
            positions("c RANK 2", ":6");
            positions("c RANK 4", "$-1");
            positions("c RANK -1", ":7");
            positions("c rank -3", ":2");
            positions("c COUNT 0", "*3 :2 :6 :7");
            positions("c COUNT 2", "*2 :2 :6");
            positions("c RANK 2 COUNT 5", "*2 :6 :7");
            positions("c RANK -1 COUNT 2", "*2 :7 :6");
            positions("x COUNT 0", "*0");
            positions("c COUNT 0 MAXLEN 7", "*2 :2 :6");
            positions("c MAXLEN 2", "$-1");
            positions("c RANK -1 COUNT 0 MAXLEN 2", "*2 :7 :6");
            positions("c COUNT 1 MAXLEN 0", "*1 :2");
        }
    }

    #[test]
    fn without_a_list_nothing_is_found_but_options_are_read() {
        let mut redis = TestServer::new();
        redis.run("LPOS none a").is("$-1");
        redis.run("LPOS none a COUNT 0").is("*0");
        redis.run("LPOS none a RANK 0").is(
            "-ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to \
             start from the end of the list",
        );
        redis.run("LPOS none a RANK x").is("-ERR value is not an integer or out of range");
        redis
            .run("LPOS none a RANK -9223372036854775808")
            .starts("-ERR value is out of range, value must between");
        redis.run("LPOS none a COUNT -1").is("-ERR COUNT can't be negative");
        redis.run("LPOS none a COUNT x").is("-ERR COUNT can't be negative");
        redis.run("LPOS none a MAXLEN -1").is("-ERR MAXLEN can't be negative");
        redis.run("LPOS none a RANK").is("-ERR syntax error");
        redis.run("LPOS none a FOO 1").is("-ERR syntax error");
    }
}
