//! `HRANDFIELD`: fields at random.

use rand::RngExt as _;

use super::reply_element;
use crate::commands::{CommandError, CommandResult, Ctx};
use crate::resp::number::parse_i64;
use crate::resp::{Args, Protocol, Reply};
use crate::types::hash::{Field, Hash, HashRef};
use crate::types::table::below;

const COUNT_OUT_OF_RANGE: CommandError = CommandError::Text(
    "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
);
const PAIRS_OUT_OF_RANGE: CommandError = CommandError::Text("ERR value is out of range");

/// `HRANDFIELD key [count [WITHVALUES]]` -> a field, or up to so many different ones; a negative count allows
/// repetitions and gives just so many. Linear in the count.
pub(super) fn hrandfield(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let Some(count) = args.get(2) else { return one_field(ctx, args) };
    let count = parse_i64(count).ok_or(CommandError::NotAnInteger)?;
    if count == i64::MIN {
        return Err(COUNT_OUT_OF_RANGE);
    }
    let with_values = match args.get(3) {
        None => false,
        Some(word) if args.len() == 4 && word.eq_ignore_ascii_case(b"withvalues") => true,
        Some(_) => return Err(CommandError::Syntax),
    };
    if with_values && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(PAIRS_OUT_OF_RANGE);
    }
    let form = Form { with_values, nested: ctx.reply.protocol == Protocol::Resp3 };
    let (now_ms, hash) = (ctx.now_ms(), ctx.db.read::<Hash>(args.key(1))?);
    let Some(hash) = hash.filter(|hash| hash.len_unexpired(now_ms) > 0) else {
        ctx.reply.array(0);
        return Ok(());
    };
    let Ok(count) = usize::try_from(count) else {
        let mut draws = Draws::new(hash, now_ms);
        let count = count.unsigned_abs();
        form.reply_len(ctx.reply, count as usize);
        let unsent_max = ctx.server.unsent_max(ctx.token);
        for _ in 0..count {
            if ctx.reply.output.len() > unsent_max {
                break; // the client is closed for it, and gets nothing
            }
            form.reply(ctx.reply, draws.next(|| ctx.server.random.random()));
        }
        return Ok(());
    };
    form.reply_len(ctx.reply, hash.len_unexpired(now_ms).min(count));
    let random = || ctx.server.random.random();
    hash.sample(count, now_ms, random, |field| form.reply(ctx.reply, field));
    Ok(())
}

fn one_field(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let now_ms = ctx.now_ms();
    let hash = ctx.db.read::<Hash>(args.key(1))?;
    match hash.and_then(|hash| hash.random(now_ms, || ctx.server.random.random())) {
        Some(field) => reply_element(ctx.reply, field.name),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// Draws fields of a hash that has some, each time any of them.
enum Draws<'a> {
    /// A table finds one in O(1) if none has expired.
    Table(HashRef<'a>, i64),
    /// Else all that there are to draw from are put together once.
    Fields(Vec<Field<'a>>),
}

impl<'a> Draws<'a> {
    fn new(hash: HashRef<'a>, now_ms: i64) -> Self {
        let in_order =
            !matches!(hash, HashRef::Table(_)) || hash.len_unexpired(now_ms) < hash.len();
        if in_order { Self::Fields(hash.iter(now_ms).collect()) } else { Self::Table(hash, now_ms) }
    }

    fn next(&mut self, mut random: impl FnMut() -> u64) -> Field<'a> {
        match self {
            Self::Table(hash, now_ms) => hash.random(*now_ms, random).expect("it has fields"),
            Self::Fields(fields) => fields[below(fields.len(), &mut random)],
        }
    }
}

/// How fields are replied.
#[derive(Clone, Copy)]
struct Form {
    with_values: bool,
    /// RESP3: a pair is an array.
    nested: bool,
}

impl Form {
    fn reply_len(self, reply: &mut Reply, fields: usize) {
        reply.array(if self.with_values && !self.nested { fields * 2 } else { fields });
    }

    fn reply(self, reply: &mut Reply, field: Field<'_>) {
        if self.with_values && self.nested {
            reply.array(2);
        }
        reply_element(reply, field.name);
        if self.with_values {
            reply_element(reply, field.value);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    fn words(redis: &mut TestServer, line: &str) -> Vec<String> {
        redis.run(line).0.split(' ').map(str::to_string).collect()
    }

    #[test]
    fn positive_counts_give_different_fields_and_negative_ones_just_so_many() {
        for fields in [5, 600] {
            let mut redis = TestServer::new();
            for number in 0..fields {
                redis.run(&format!("HSET h f{number} v{number}"));
            }
            assert!(redis.run("HRANDFIELD h").0.contains(" f"));
            let drawn = words(&mut redis, "HRANDFIELD h 4");
            assert_eq!(drawn[0], "*4");
            let mut names: Vec<_> = drawn.iter().filter(|word| word.starts_with('f')).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), 4);
            assert_eq!(words(&mut redis, "HRANDFIELD h 1000")[0], format!("*{fields}"));
            assert_eq!(words(&mut redis, "HRANDFIELD h -1000")[0], "*1000");
            assert_eq!(words(&mut redis, "HRANDFIELD h -7 WITHVALUES")[0], "*14");
            redis.run("HELLO 3");
            let pairs = words(&mut redis, "HRANDFIELD h -3 WITHVALUES");
            assert_eq!((pairs[0].as_str(), pairs[1].as_str()), ("*3", "*2"));
            assert_eq!(pairs[3][1..], pairs[5][1..], "a field and its value");
            assert_eq!(words(&mut redis, "HRANDFIELD h 2 WITHVALUES")[0], "*2");
        }
    }

    #[test]
    fn only_fields_that_live_are_drawn() {
        for fields in [5, 600] {
            let mut redis = TestServer::new();
            redis.server.state.active_expire = false;
            redis.run("HSET h alive 1");
            for number in 0..fields {
                redis.run(&format!("HSETEX h PX 10 FIELDS 1 f{number} v"));
            }
            redis.advance_ms(11);
            redis.run("HRANDFIELD h").is("$5 alive");
            redis.run("HRANDFIELD h 9").is("*1 $5 alive");
            redis.run("HRANDFIELD h -2").is("*2 $5 alive $5 alive");
            redis.run("HPEXPIREAT h 1700000000012 FIELDS 1 alive").is("*1 :1");
            redis.advance_ms(2);
            redis.run("HRANDFIELD h").is("$-1");
            redis.run("HRANDFIELD h 9").is("*0");
            redis.run("HRANDFIELD h -2").is("*0");
        }
    }

    #[test]
    fn bad_counts_are_refused() {
        let mut redis = TestServer::new();
        redis.run("HRANDFIELD h").is("$-1");
        redis.run("HRANDFIELD h 5").is("*0");
        redis.run("HRANDFIELD h x").is("-ERR value is not an integer or out of range");
        redis.run("HRANDFIELD h -9223372036854775808").is(
            "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        );
        redis.run("HRANDFIELD h 5 BAD").is("-ERR syntax error");
        redis.run("HRANDFIELD h 5 WITHVALUES x").is("-ERR syntax error");
        redis.run("HRANDFIELD h -5000000000000000000 WITHVALUES").is("-ERR value is out of range");
    }

    #[test]
    fn one_who_asks_for_more_than_may_be_sent_is_closed() {
        let mut redis = TestServer::with(|config| {
            config.client_output_buffer_limit.normal.hard_bytes = 100_000;
        });
        redis.run("HSET h f v");
        let greedy = redis.connect();
        redis.run_as(greedy, "HRANDFIELD h -9223372036854775807");
        assert!(!redis.is_connected(greedy));
    }
}
