//! Adding members and changing scores.

use crate::commands::{CommandError, CommandResult, Ctx};
use crate::config::KeyspaceEvents;
use crate::keyspace::{Expiry, HashKey};
use crate::resp::Args;
use crate::resp::number::parse_f64;
use crate::types::limits::PackedLimits;
use crate::types::sorted_set::SortedSet;

const NX_AND_XX: CommandError =
    CommandError::Text("ERR XX and NX options at the same time are not compatible");
const GT_LT_NX: CommandError =
    CommandError::Text("ERR GT, LT, and/or NX options at the same time are not compatible");
const ONE_INCREMENT: CommandError =
    CommandError::Text("ERR INCR option supports a single increment-element pair");
const NOT_A_NUMBER: CommandError = CommandError::Text("ERR resulting score is not a number (NaN)");

/// `ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]` -> how many are new, with `CH` how many are
/// new or changed; with `INCR` the score, or null if a condition forbids it. O(log n) each.
pub(super) fn zadd(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (options, pairs) = Options::parse(args.tail(2))?;
    add(ctx, args.key(1), &pairs, options)
}

/// `ZINCRBY key increment member` -> the score. O(log n).
pub(super) fn zincrby(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    add(ctx, args.key(1), &args.tail(2), Options { incr: true, ..Options::default() })
}

fn add(ctx: &mut Ctx<'_>, key: &[u8], pairs: &Args<'_>, options: Options) -> CommandResult {
    let (one, many);
    // All scores are read before the first is set. Most commands have one, which needs no memory.
    let scores: &[f64] = if pairs.len() == 2 {
        one = [parse_score(pairs.bytes(0))?];
        &one
    } else {
        many = pairs.iter().step_by(2).map(parse_score).collect::<Result<Vec<_>, _>>()?;
        &many
    };
    let limits @ (packed, hash_key) = ctx.zset_limits();
    let mut adding = Adding { options, ..Adding::default() };
    match ctx.db.find_collection::<SortedSet>(key)? {
        Some(slot) => {
            ctx.db.change_at(slot, |set: &mut SortedSet| {
                adding.add_all(set, scores, pairs, limits);
            });
        }
        None if options.xx => {}
        None => {
            let mut set = SortedSet::new(1, pairs.bytes(1).len(), packed, hash_key);
            adding.add_all(&mut set, scores, pairs, limits);
            ctx.db.set_collection(key, set, Expiry::Clear);
        }
    }
    if adding.is_nan {
        return Err(NOT_A_NUMBER);
    }
    if adding.added + adding.updated > 0 {
        ctx.modified(key);
        ctx.notify(KeyspaceEvents::ZSET, if options.incr { "zincr" } else { "zadd" }, key);
    }
    match (options.incr, adding.score) {
        (true, Some(score)) => ctx.reply.double(score),
        (true, None) => ctx.reply.null(),
        (false, _) if options.ch => ctx.reply.integer((adding.added + adding.updated) as i64),
        (false, _) => ctx.reply.integer(adding.added as i64),
    }
    Ok(())
}

fn parse_score(text: &[u8]) -> Result<f64, CommandError> {
    parse_f64(text).ok_or(CommandError::NotAFloat)
}

/// What stands between the key and the first score.
#[derive(Clone, Copy, Default)]
struct Options {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
    ch: bool,
    incr: bool,
}

impl Options {
    /// The options at the front of `rest`, and the pairs of score and member behind them.
    fn parse(rest: Args<'_>) -> Result<(Self, Args<'_>), CommandError> {
        let mut options = Self::default();
        let count = rest.iter().take_while(|word| options.take(word)).count();
        let pairs = rest.tail(count);
        if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
            return Err(CommandError::Syntax);
        }
        let Self { nx, xx, gt, lt, incr, .. } = options;
        if nx && xx {
            return Err(NX_AND_XX);
        }
        if (gt || lt) && nx || gt && lt {
            return Err(GT_LT_NX);
        }
        if incr && pairs.len() > 2 {
            return Err(ONE_INCREMENT);
        }
        Ok((options, pairs))
    }

    /// Takes one option; false if `word` is none.
    #[inline]
    fn take(&mut self, word: &[u8]) -> bool {
        // Most words that stand here are scores.
        if !word.first().is_some_and(u8::is_ascii_alphabetic) {
            return false;
        }
        let option = match word.to_ascii_lowercase().as_slice() {
            b"nx" => &mut self.nx,
            b"xx" => &mut self.xx,
            b"gt" => &mut self.gt,
            b"lt" => &mut self.lt,
            b"ch" => &mut self.ch,
            b"incr" => &mut self.incr,
            _ => return false,
        };
        *option = true;
        true
    }
}

/// Adding under conditions, and what it has come to.
#[derive(Default)]
struct Adding {
    options: Options,
    added: usize,
    updated: usize,
    /// The last score that was set, or was the same already.
    score: Option<f64>,
    is_nan: bool,
}

impl Adding {
    fn add_all(
        &mut self,
        set: &mut SortedSet,
        scores: &[f64],
        pairs: &Args<'_>,
        (limits, hash_key): (PackedLimits, HashKey),
    ) {
        for (&score, member) in scores.iter().zip(pairs.iter().skip(1).step_by(2)) {
            set.update(member, limits, hash_key, |old| self.decide(score, old));
        }
    }

    /// The score that a member gets, `None` if it is left alone.
    fn decide(&mut self, given: f64, old: Option<f64>) -> Option<f64> {
        let Options { nx, xx, gt, lt, incr, .. } = self.options;
        let new = match old {
            None if xx => return None,
            None => {
                self.added += 1;
                given
            }
            Some(_) if nx => return None,
            Some(old) => {
                let new = if incr { old + given } else { given };
                self.is_nan |= new.is_nan();
                if new.is_nan() || lt && new >= old || gt && new <= old {
                    return None;
                }
                self.updated += usize::from(new != old);
                new
            }
        };
        self.score = Some(new);
        Some(new)
    }
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn zadd_counts_what_is_new_and_with_ch_what_changes() {
        let mut redis = TestServer::new();
        redis.run("ZADD z 1 a 2 b 3 c").is(":3");
        redis.run("ZADD z 1 a 5 b 4 d").is(":1");
        redis.run("ZADD z CH 1 a 6 b 7 e").is(":2");
        redis.run("ZADD z CH 1 a").is(":0");
        redis.run("ZADD z 1 x 2 x").is(":1");
        redis.run("ZSCORE z x").is("$1 2");
    }

    #[test]
    fn conditions_hold_back_what_they_say() {
        let mut redis = TestServer::new();
        redis.run("ZADD z XX 1 a").is(":0");
        redis.run("EXISTS z").is(":0");
        redis.run("ZADD z NX 1 a 2 b").is(":2");
        redis.run("ZADD z NX CH 9 a 9 c").is(":1");
        redis.run("ZADD z XX CH 9 a 9 d").is(":1");
        redis.run("ZRANGE z 0 -1 WITHSCORES").is("*6 $1 b $1 2 $1 a $1 9 $1 c $1 9");
        redis.run("ZADD z GT CH 1 a 10 b 3 new").is(":2");
        redis.run("ZADD z LT CH 1 a 100 b").is(":1");
        redis.run("ZADD z XX GT CH 2 a 5 none").is(":1");
        redis.run("ZMSCORE z a b new none").is("*4 $1 2 $2 10 $1 3 $-1");
    }

    #[test]
    fn incr_answers_the_score_or_null() {
        let mut redis = TestServer::new();
        redis.run("ZADD z INCR 1.5 a").is("$3 1.5");
        redis.run("ZADD z INCR 1 a").is("$3 2.5");
        redis.run("ZADD z NX INCR 1 a").is("$-1");
        redis.run("ZADD z XX INCR 1 b").is("$-1");
        redis.run("ZADD nosuch XX INCR 1 b").is("$-1");
        redis.run("ZADD z GT INCR -1 a").is("$-1");
        redis.run("ZADD z LT INCR -1 a").is("$3 1.5");
        redis.run("ZINCRBY z 0 a").is("$3 1.5");
        redis.run("ZINCRBY z -10 new").is("$3 -10");
        redis.run("HELLO 3");
        redis.run("ZINCRBY z 0.1 new").is(",-9.9000000000000004");
        redis.run("ZADD z XX INCR 1 b").is("_");
    }

    #[test]
    fn a_sum_that_is_no_number_is_refused() {
        let mut redis = TestServer::new();
        redis.run("ZADD z inf a").is(":1");
        redis.run("ZINCRBY z -inf a").is("-ERR resulting score is not a number (NaN)");
        redis.run("ZADD z INCR -inf a").is("-ERR resulting score is not a number (NaN)");
        redis.run("ZINCRBY z inf a").is("$3 inf");
        redis.run("ZSCORE z a").is("$3 inf");
    }

    #[test]
    fn bad_arguments_are_refused_and_nothing_is_added() {
        let mut redis = TestServer::new();
        let float = "-ERR value is not a valid float";
        redis.run("ZADD z 1 a x b").is(float);
        redis.run("ZADD z nan a").is(float);
        redis.run("ZINCRBY z x a").is(float);
        redis.run("ZADD z 1 a 2").is("-ERR syntax error");
        redis.run("ZADD z NX XX").is("-ERR syntax error");
        redis
            .run("ZADD z nx xx 1 a")
            .is("-ERR XX and NX options at the same time are not compatible");
        for options in ["GT LT", "NX GT", "lt nx"] {
            redis
                .run(&format!("ZADD z {options} 1 a"))
                .is("-ERR GT, LT, and/or NX options at the same time are not compatible");
        }
        redis
            .run("ZADD z INCR 1 a 2 b")
            .is("-ERR INCR option supports a single increment-element pair");
        redis.run("EXISTS z").is(":0");
        redis.run("SET s x");
        redis.run("ZADD s 1 a").starts("-WRONGTYPE ");
        redis.run("ZADD s x a").is(float);
    }

    #[test]
    fn a_set_outgrows_its_listpack_by_number_and_by_length() {
        let mut redis = TestServer::new();
        for i in 0..128 {
            redis.run(&format!("ZADD z {i} m{i}"));
        }
        redis.run("OBJECT ENCODING z").is("$8 listpack");
        redis.run("ZADD z 0.5 more").is(":1");
        redis.run("OBJECT ENCODING z").is("$8 skiplist");
        redis.run("ZCARD z").is(":129");
        redis.run("ZRANGE z 0 2").is("*3 $2 m0 $4 more $2 m1");
        let long = "x".repeat(65);
        redis.run(&format!("ZADD l 1 {long}")).is(":1");
        redis.run("OBJECT ENCODING l").is("$8 skiplist");
    }

    #[test]
    fn many_members_come_in_one_command() {
        let mut redis = TestServer::new();
        let numbers: Vec<String> = (0..200_000).map(|i| (i % 1000).to_string()).collect();
        let members: Vec<String> = (0..200_000).map(|i| format!("member:{i}")).collect();
        let mut words: Vec<&[u8]> = vec![b"ZADD", b"z"];
        for (score, member) in numbers.iter().zip(&members) {
            words.extend([score.as_bytes(), member.as_bytes()]);
        }
        redis.run_bytes(&words).is(":200000");
        redis.run("ZCOUNT z 10 (12").is(":400");
    }
}
