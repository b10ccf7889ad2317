//! Compare, then act: the conditions of `SET`, `MSETEX` and `DELEX`, the two deletes that have one, and `DIGEST`.
//!
//! Two families meet here: Valkey's `DELIFEQ` and `SET ... IFEQ`, and Redis 8.4's `DELEX` and `SET ... IFEQ | IFNE |
//! IFDEQ | IFDNE`. A digest is the XXH3 hash of a value in 16 hexadecimal digits.

use super::equals;
use crate::commands::{CommandError, CommandResult, Ctx};
use crate::keyspace::{StringValue, WrongType};
use crate::resp::Args;
use crate::types::digest::string_digest;

/// Of 64 bits in hexadecimal.
const DIGEST_DIGITS: usize = 16;

/// What must hold of a key before a command acts on it.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) enum Condition<'a> {
    /// It does not exist.
    Missing,
    /// It exists.
    Present,
    /// Its value, or the digest of it, compares like this to these bytes.
    Value(Comparison, &'a [u8]),
}

/// How a value is compared. A missing one is unequal to everything.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) enum Comparison {
    /// `IFEQ`.
    Equal,
    /// `IFNE`.
    NotEqual,
    /// `IFDEQ`.
    DigestEqual,
    /// `IFDNE`.
    DigestNotEqual,
}

impl Condition<'_> {
    /// Whether the condition holds of a key with that value, or of a missing one. Linear for digests.
    pub fn holds(
        self,
        value: Option<Result<StringValue<'_>, WrongType>>,
    ) -> Result<bool, CommandError> {
        match self {
            Self::Missing => Ok(value.is_none()),
            Self::Present => Ok(value.is_some()),
            Self::Value(comparison, operand) => comparison.holds(value.transpose()?, operand),
        }
    }
}

impl Comparison {
    fn holds(self, value: Option<StringValue<'_>>, operand: &[u8]) -> Result<bool, CommandError> {
        let equal = match (self, value) {
            (_, None) => false,
            (Self::Equal | Self::NotEqual, Some(value)) => equals(value, operand),
            (Self::DigestEqual | Self::DigestNotEqual, Some(value)) => has_digest(value, operand)?,
        };
        Ok(equal == matches!(self, Self::Equal | Self::DigestEqual))
    }

    fn from_name(name: &[u8]) -> Result<Self, CommandError> {
        match name.to_ascii_lowercase().as_slice() {
            b"ifeq" => Ok(Self::Equal),
            b"ifne" => Ok(Self::NotEqual),
            b"ifdeq" => Ok(Self::DigestEqual),
            b"ifdne" => Ok(Self::DigestNotEqual),
            _ => Err(CommandError::Text("ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE")),
        }
    }
}

/// Of a digest only the length is checked: one that is no hexadecimal number is the digest of nothing.
fn has_digest(value: StringValue<'_>, digits: &[u8]) -> Result<bool, CommandError> {
    if digits.len() != DIGEST_DIGITS {
        return Err(CommandError::Text("ERR must be exactly 16 hexadecimal characters"));
    }
    Ok(digest_of(value).as_bytes().eq_ignore_ascii_case(digits))
}

fn digest_of(value: StringValue<'_>) -> String {
    string_digest(value.bytes(&mut itoa::Buffer::new()))
}

/// `DIGEST key` -> the XXH3 hash of the string in hexadecimal, or null. Linear.
pub(super) fn digest(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    match ctx.db.read_string(args.key(1))? {
        Some(value) => ctx.reply.bulk(digest_of(value).as_bytes()),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// `DELIFEQ key value` -> 1 if the key held that value and is gone, else 0. O(1), plus the comparison.
pub(super) fn delifeq(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.key(1);
    let found = ctx.db.find_write(key);
    let value = found.map(|slot| ctx.db.string(slot)).transpose()?;
    let deletes = value.is_some_and(|value| equals(value, args.bytes(2)));
    if let Some(slot) = found.filter(|_| deletes) {
        ctx.delete(slot, key);
    }
    ctx.reply.integer(i64::from(deletes));
    Ok(())
}

/// `DELEX key [condition]` -> 1 if the condition held and the key is gone, else 0. O(1), digests are linear.
pub(super) fn delex(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if args.len() != 2 && args.len() != 4 {
        return Err(CommandError::WrongArity(ctx.command.name.into()));
    }
    let key = args.key(1);
    let Some(slot) = ctx.db.find_write(key) else {
        ctx.reply.integer(0);
        return Ok(());
    };
    let deletes = match args.get(2) {
        None => true,
        Some(condition) => {
            let value = ctx.db.string(slot).map_err(|WrongType| {
                CommandError::Text("ERR Key should be of string type if conditions are specified")
            })?;
            Comparison::from_name(condition)?.holds(Some(value), args.bytes(3))?
        }
    };
    if deletes {
        ctx.delete(slot, key);
    }
    ctx.reply.integer(i64::from(deletes));
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    /// Of "hello".
    const DIGEST: &str = "9555e8555c62dcfd";
    const BAD_DIGEST: &str = "-ERR must be exactly 16 hexadecimal characters";

    #[test]
    fn digest_is_the_xxh3_of_the_value_with_leading_zeros() {
        let mut redis = TestServer::new();
        redis.run("DIGEST k").is("$-1");
        let cases = [
            ("hello", DIGEST),
            ("123", "404a763b3f4c8c9a"),
            ("v8", "0cc76dbb41381419"),
            ("\"\"", "2d06800538d394c2"),
        ];
        for (value, digest) in cases {
            redis.run(&format!("SET k {value}"));
            redis.run("DIGEST k").is(&format!("$16 {digest}"));
        }
    }

    #[test]
    fn delifeq_deletes_only_the_value_it_names() {
        let mut redis = TestServer::new();
        redis.run("DELIFEQ k v").is(":0");
        redis.run("SET k 12");
        redis.run("DELIFEQ k 012").is(":0");
        redis.run("DELIFEQ k 12").is(":1");
        redis.run("GET k").is("$-1");
    }

    #[test]
    fn delex_without_a_condition_deletes() {
        let mut redis = TestServer::new();
        redis.run("DELEX k").is(":0");
        redis.run("SET k v");
        redis.run("DELEX k").is(":1");
        redis.run("GET k").is("$-1");
    }

    #[test]
    fn delex_compares_value_or_digest() {
        let mut redis = TestServer::new();
        let upper = DIGEST.to_ascii_uppercase();
        let unmet = ["IFEQ other", "IFNE hello", "IFDEQ 0000000000000000"];
        for condition in unmet.map(String::from).into_iter().chain([format!("IFDNE {upper}")]) {
            redis.run("SET k hello");
            redis.run(&format!("DELEX k {condition}")).is(":0");
            redis.run("GET k").is("$5 hello");
        }
        let met = ["ifeq hello", "IFNE other", "IFDNE zzzzzzzzzzzzzzzz"];
        for condition in met.map(String::from).into_iter().chain([format!("IFDEQ {upper}")]) {
            redis.run("SET k hello");
            redis.run(&format!("DELEX k {condition}")).is(":1");
            redis.run("GET k").is("$-1");
        }
    }

    #[test]
    fn delex_says_what_is_wrong_with_its_condition() {
        let mut redis = TestServer::new();
        let arity = "-ERR wrong number of arguments for 'delex' command";
        redis.run("DELEX k FOO v").is(":0");
        redis.run("DELEX k IFEQ").is(arity);
        redis.run("DELEX k IFEQ v w").is(arity);
        redis.run("SET k hello");
        redis.run("DELEX k FOO v").is("-ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE");
        redis.run("DELEX k IFDEQ 12").is(BAD_DIGEST);
        redis.run("DELEX k IFDNE 09555e8555c62dcfd").is(BAD_DIGEST);
        redis.run("GET k").is("$5 hello");
    }

    #[test]
    fn set_compares_value_or_digest() {
        let mut redis = TestServer::new();
        redis.run("SET k hello IFEQ hello").is("$-1");
        redis.run("SET k hello IFDEQ 9555e8555c62dcfd").is("$-1");
        redis.run("GET k").is("$-1");
        redis.run("SET k hello IFNE hello").is("+OK");
        redis.run("SET k w IFNE hello").is("$-1");
        redis.run("SET k w IFDNE 9555e8555c62dcfd").is("$-1");
        redis.run("SET k w IFDEQ 12").is(BAD_DIGEST);
        redis.run("SET k w IFEQ x GET").is("$5 hello");
        redis.run("SET k 7 IFDEQ 9555E8555C62DCFD GET").is("$5 hello");
        redis.run("SET k 8 IFEQ 7 PX 10").is("+OK");
        redis.advance_ms(11);
        redis.run("SET k v IFDNE 9555e8555c62dcfd").is("+OK");
    }
}
