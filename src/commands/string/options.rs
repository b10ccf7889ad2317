//! The options that `SET`, `GETEX` and `MSETEX` share, and `HSETEX` and `HGETEX` for fields of a hash: on which condition, and until when.
//!
//! Reading them only sorts words: an expire time is not yet a number, a condition not yet compared, because Redis
//! reports what is wrong with those later than what is wrong with the words.

use super::condition::{Comparison, Condition};
use crate::commands::{CommandError, Ctx};
use crate::keyspace::Expiry;
use crate::resp::Args;
use crate::resp::number::parse_i64;

/// Commands that take options, a bit for each.
#[derive(Clone, Copy)]
pub(in crate::commands) struct Taker(u8);

pub(super) const SET: Taker = Taker(1);
pub(super) const GETEX: Taker = Taker(2);
pub(super) const MSETEX: Taker = Taker(4);
pub(in crate::commands) const HSETEX: Taker = Taker(8);
pub(in crate::commands) const HGETEX: Taker = Taker(16);
const STORING: Taker = Taker(SET.0 | MSETEX.0 | HSETEX.0);
const READING: Taker = Taker(GETEX.0 | HGETEX.0);
const EXPIRING: Taker = Taker(STORING.0 | READING.0);

/// What an option is about.
#[derive(Clone, Copy)]
enum Word {
    Nx,
    Xx,
    Fnx,
    Fxx,
    Compare(Comparison),
    Get,
    Expire(Clock),
    Keepttl,
    Persist,
}

/// Every option, and who takes it.
const WORDS: &[(&str, Word, Taker)] = &[
    ("ex", Word::Expire(Clock::InSeconds), EXPIRING),
    ("px", Word::Expire(Clock::InMilliseconds), EXPIRING),
    ("nx", Word::Nx, STORING),
    ("xx", Word::Xx, STORING),
    ("fnx", Word::Fnx, HSETEX),
    ("fxx", Word::Fxx, HSETEX),
    ("get", Word::Get, SET),
    ("exat", Word::Expire(Clock::AtSecond), EXPIRING),
    ("pxat", Word::Expire(Clock::AtMillisecond), EXPIRING),
    ("keepttl", Word::Keepttl, STORING),
    ("persist", Word::Persist, READING),
    ("ifeq", Word::Compare(Comparison::Equal), SET),
    ("ifne", Word::Compare(Comparison::NotEqual), SET),
    ("ifdeq", Word::Compare(Comparison::DigestEqual), SET),
    ("ifdne", Word::Compare(Comparison::DigestNotEqual), SET),
];

/// What an expire time counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::commands) enum Clock {
    /// `EX`: seconds from now.
    InSeconds,
    /// `PX`: milliseconds from now.
    InMilliseconds,
    /// `EXAT`: Unix seconds.
    AtSecond,
    /// `PXAT`: Unix milliseconds.
    AtMillisecond,
}

/// What is to become of a key's expire time.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::commands) enum Lifetime<'a> {
    /// Nothing was said.
    #[default]
    Unsaid,
    /// It ends at a time, not yet read.
    Until(Clock, &'a [u8]),
    /// `KEEPTTL`.
    Keep,
    /// `PERSIST`.
    Persist,
}

/// The options of one call.
#[derive(Default)]
pub(in crate::commands) struct Options<'a> {
    /// Without one, the command always acts.
    pub condition: Option<Condition<'a>>,
    /// The same for each field of a hash; never a comparison.
    pub fields: Option<Condition<'a>>,
    /// `GET`: the old value is the reply.
    pub get: bool,
    /// Until when.
    pub lifetime: Lifetime<'a>,
}

impl<'a> Options<'a> {
    /// Reads all of `args`. An option may be repeated, the last one counts; one that contradicts another may not.
    pub fn parse(args: Args<'a>, taker: Taker) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match find(arg, taker).ok_or(CommandError::Syntax)? {
                Word::Nx => require(&mut options.condition, Condition::Missing)?,
                Word::Xx => require(&mut options.condition, Condition::Present)?,
                Word::Fnx => require(&mut options.fields, Condition::Missing)?,
                Word::Fxx => require(&mut options.fields, Condition::Present)?,
                Word::Compare(comparison) => {
                    let operand = args.next().ok_or(CommandError::Syntax)?;
                    require(&mut options.condition, Condition::Value(comparison, operand))?;
                }
                Word::Get => options.get = true,
                Word::Expire(clock) => {
                    let amount = args.next().ok_or(CommandError::Syntax)?;
                    options.live(Lifetime::Until(clock, amount))?;
                }
                Word::Keepttl => options.live(Lifetime::Keep)?,
                Word::Persist => options.live(Lifetime::Persist)?,
            }
        }
        Ok(options)
    }

    fn live(&mut self, lifetime: Lifetime<'a>) -> Result<(), CommandError> {
        match (self.lifetime, lifetime) {
            (Lifetime::Unsaid, _)
            | (Lifetime::Keep, Lifetime::Keep)
            | (Lifetime::Persist, Lifetime::Persist) => {}
            (Lifetime::Until(one, _), Lifetime::Until(other, _)) if one == other => {}
            _ => return Err(CommandError::Syntax),
        }
        self.lifetime = lifetime;
        Ok(())
    }
}

/// Sets a condition that does not contradict the one there is.
fn require<'a>(old: &mut Option<Condition<'a>>, new: Condition<'a>) -> Result<(), CommandError> {
    match (*old, new) {
        (None, _)
        | (Some(Condition::Missing), Condition::Missing)
        | (Some(Condition::Present), Condition::Present) => {}
        _ => return Err(CommandError::Syntax),
    }
    *old = Some(new);
    Ok(())
}

fn find(name: &[u8], taker: Taker) -> Option<Word> {
    let (_, word, _) = WORDS.iter().find(|(word, _, takers)| {
        takers.0 & taker.0 != 0 && word.as_bytes().eq_ignore_ascii_case(name)
    })?;
    Some(*word)
}

impl Lifetime<'_> {
    /// What this means for a value that is set now.
    pub fn expiry(self, ctx: &Ctx<'_>) -> Result<Expiry, CommandError> {
        match self {
            Self::Unsaid | Self::Persist => Ok(Expiry::Clear),
            Self::Keep => Ok(Expiry::Keep),
            Self::Until(clock, amount) => Ok(Expiry::At(expire_at_ms(ctx, clock, amount)?)),
        }
    }
}

/// The Unix milliseconds that an expire time means. It is positive, and may be past.
pub(super) fn expire_at_ms(
    ctx: &Ctx<'_>,
    clock: Clock,
    amount: &[u8],
) -> Result<i64, CommandError> {
    let amount = parse_i64(amount).ok_or(CommandError::NotAnInteger)?;
    let in_ms = match clock {
        Clock::InSeconds | Clock::AtSecond => amount.checked_mul(1000),
        Clock::InMilliseconds | Clock::AtMillisecond => Some(amount),
    };
    let base_ms = match clock {
        Clock::InSeconds | Clock::InMilliseconds => ctx.now_ms(),
        Clock::AtSecond | Clock::AtMillisecond => 0,
    };
    in_ms
        .filter(|&ms| ms > 0)
        .and_then(|ms| ms.checked_add(base_ms))
        .ok_or(CommandError::InvalidExpire(ctx.command.name))
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    /// What every command that takes expire times answers to `<command> <option> <time>`.
    fn refusals(command: &str, name: &str) {
        let mut redis = TestServer::new();
        redis.run("SET k v");
        let invalid = format!("-ERR invalid expire time in '{name}' command");
        for time in ["EX 0", "PX -1", "EXAT 0", "PXAT -1", "EX 9223372036854775807"] {
            redis.run(&format!("{command} {time}")).is(&invalid);
        }
        for time in ["EX 9223372036854775", "PX 9223372036854775807", "EXAT 9223372036854776"] {
            redis.run(&format!("{command} {time}")).is(&invalid);
        }
        for time in ["EX abc", "PX 1.5", "PXAT 99999999999999999999"] {
            redis
                .run(&format!("{command} {time}"))
                .is("-ERR value is not an integer or out of range");
        }
        for wrong in ["EX", "EX 1 PX 1", "EX 1 EXAT 9", "PX", "PXAT", "FOO", "IFEQ", "EX 1 FOO"] {
            redis.run(&format!("{command} {wrong}")).is("-ERR syntax error");
        }
        redis.run("GET k").is("$1 v");
    }

    #[test]
    fn p17_what_is_no_expire_time_is_refused() {
        refusals("SET k w", "set");
        refusals("GETEX k", "getex");
        refusals("MSETEX 1 k w", "msetex");
    }

    #[test]
    fn contradictions_are_refused_and_repetitions_are_not() {
        let mut redis = TestServer::new();
        for wrong in [
            "NX XX",
            "XX NX",
            "KEEPTTL EX 1",
            "EX 1 KEEPTTL",
            "PERSIST",
            "IFEQ a NX",
            "NX IFEQ a",
            "IFEQ a IFEQ a",
            "IFEQ a IFNE a",
            "IFDEQ",
        ] {
            redis.run(&format!("SET k v {wrong}")).is("-ERR syntax error");
        }
        redis.run("SET k v NX nx").is("+OK");
        redis.run("SET k v XX GET GET xx").is("$1 v");
        redis.run("SET k v KEEPTTL KEEPTTL").is("+OK");
        redis.run("SET k v PX 5 PX 10").is("+OK");
        redis.advance_ms(10);
        redis.run("GET k").is("$1 v");
        redis.advance_ms(1);
        redis.run("GET k").is("$-1");
        for wrong in ["PERSIST EX 1", "EX 1 PERSIST", "NX", "GET", "KEEPTTL"] {
            redis.run(&format!("GETEX k {wrong}")).is("-ERR syntax error");
        }
        redis.run("GETEX k PERSIST PERSIST").is("$-1");
    }
}
