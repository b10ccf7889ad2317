//! `SCAN`: all keys, some at a time, with no state in the server.

use crate::commands::{CommandError, CommandResult, Ctx};
use crate::glob::Pattern;
use crate::keyspace::Entry;
use crate::resp::number::parse_i64;
use crate::resp::{Args, OwnedArgs};

/// Keys looked at in a call that does not say how many.
const COUNT_DEFAULT: u64 = 10;
/// A sparse table may have this many buckets per key asked for; a call that finds no more keys there ends early.
const STEPS_PER_KEY: u64 = 10;

/// `SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]` -> next cursor, keys. O(count). A key that is there from the
/// first call with cursor 0 to the one that returns 0 is returned at least once.
pub(super) fn scan(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let mut cursor = parse_cursor(args.bytes(1)).ok_or(CommandError::Text("ERR invalid cursor"))?;
    let options = Options::parse(args.tail(2))?;
    let mut keys = OwnedArgs::default();
    let mut seen = 0;
    for _ in 0..=options.count.saturating_mul(STEPS_PER_KEY) {
        cursor = ctx.db.scan(cursor, |entry| {
            seen += 1;
            if options.pass(entry) {
                keys.push(entry.key());
            }
        });
        if cursor == 0 || seen >= options.count {
            break;
        }
    }
    ctx.reply.array(2);
    ctx.reply.bulk(itoa::Buffer::new().format(cursor).as_bytes());
    ctx.reply.array(keys.args().len());
    for key in keys.args().iter() {
        ctx.reply.bulk(key);
    }
    Ok(())
}

/// What C's `strtoul` reads: a sign and leading zeros are allowed, minus counts down from 2^64, nothing is 0.
fn parse_cursor(text: &[u8]) -> Option<u64> {
    let (is_negative, digits) = match text {
        [] => return Some(0),
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let magnitude = digits.iter().try_fold(0u64, |value, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })?;
    Some(if is_negative { magnitude.wrapping_neg() } else { magnitude })
}

/// How many keys are looked at, and which of them are returned.
struct Options<'a> {
    count: u64,
    pattern: Option<Pattern>,
    /// The name of a type; no key passes one that is unknown.
    kind: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(mut rest: Args<'a>) -> Result<Self, CommandError> {
        let mut options = Self { count: COUNT_DEFAULT, pattern: None, kind: None };
        while !rest.is_empty() {
            let value = rest.get(1).ok_or(CommandError::Syntax)?;
            match rest.bytes(0).to_ascii_lowercase().as_slice() {
                b"count" => {
                    let count = parse_i64(value).ok_or(CommandError::NotAnInteger)?;
                    options.count = u64::try_from(count)
                        .ok()
                        .filter(|&count| count > 0)
                        .ok_or(CommandError::Syntax)?;
                }
                b"match" => options.pattern = Some(Pattern::new(value)),
                b"type" => options.kind = Some(value),
                _ => return Err(CommandError::Syntax),
            }
            rest = rest.tail(2);
        }
        options.pattern = options.pattern.filter(|pattern| !pattern.is_star());
        Ok(options)
    }

    fn pass(&self, entry: Entry<'_>) -> bool {
        let name = entry.kind().name().as_bytes();
        self.kind.is_none_or(|kind| kind.eq_ignore_ascii_case(name))
            && self.pattern.as_ref().is_none_or(|pattern| pattern.matches(entry.key()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::testing::TestServer;

    /// A server with keys `key:0` to `key:len-1`.
    fn with_keys(len: usize) -> TestServer {
        let mut redis = TestServer::new();
        for i in 0..len {
            redis.run(&format!("SET key:{i} {i}"));
        }
        redis
    }

    /// All keys that a whole scan returns, as often as it does, and how many calls it took.
    fn scan_all(redis: &mut TestServer, options: &str) -> (Vec<String>, usize) {
        let (mut keys, mut calls) = (Vec::new(), 0);
        let mut cursor = "0".to_string();
        loop {
            let answer = redis.run(&format!("SCAN {cursor}{options}")).0;
            let words: Vec<&str> = answer.split(' ').collect();
            cursor = words[2].to_string();
            keys.extend(words[4..].iter().skip(1).step_by(2).map(|key| key.to_string()));
            calls += 1;
            if cursor == "0" {
                keys.sort();
                return (keys, calls);
            }
        }
    }

    #[test]
    fn a_whole_scan_returns_every_key_once_when_nothing_changes() {
        let mut redis = with_keys(1000);
        for options in ["", " COUNT 1", " COUNT 5", " COUNT 100000", " COUNT 9223372036854775807"] {
            let (mut keys, calls) = scan_all(&mut redis, options);
            assert_eq!(keys.len(), 1000);
            keys.dedup();
            assert_eq!(keys.len(), 1000);
            assert_eq!(calls == 1, options.len() > 10, "{options}");
        }
    }

    #[test]
    fn an_empty_database_ends_at_once() {
        TestServer::new().run("SCAN 0").is("*2 $1 0 *0");
    }

    #[test]
    fn match_and_type_filter_what_is_returned() {
        let mut redis = with_keys(1000);
        assert_eq!(scan_all(&mut redis, " MATCH key:1??").0.len(), 100);
        assert_eq!(scan_all(&mut redis, " match * COUNT 50").0.len(), 1000);
        assert_eq!(scan_all(&mut redis, " TYPE STRING").0.len(), 1000);
        assert_eq!(scan_all(&mut redis, " TYPE list").0.len(), 0);
        assert_eq!(scan_all(&mut redis, " TYPE unknown").0.len(), 0);
        assert_eq!(scan_all(&mut redis, " TYPE string MATCH key:5").0, ["key:5"]);
    }

    #[test]
    fn the_empty_key_passes_a_star() {
        let mut redis = TestServer::new();
        redis.run_bytes(&[b"SET", b"", b"v"]);
        redis.run("SCAN 0 MATCH *").is("*2 $1 0 *1 $0");
        redis.run("SCAN 0 MATCH **").is("*2 $1 0 *0");
    }

    #[test]
    fn keys_that_stay_are_returned_while_others_come_and_go() {
        let mut redis = with_keys(500);
        let mut seen = std::collections::HashSet::new();
        let mut cursor = "0".to_string();
        for call in 0.. {
            let answer = redis.run(&format!("SCAN {cursor}")).0;
            let words: Vec<&str> = answer.split(' ').collect();
            seen.extend(words[4..].iter().map(|key| key.to_string()));
            cursor = words[2].to_string();
            if cursor == "0" {
                break;
            }
            let change = match call {
                3 => "SET",
                12 => "DEL",
                _ => continue,
            };
            for i in 0..2000 {
                let value = if change == "SET" { " v" } else { "" };
                redis.run(&format!("{change} other:{i}{value}"));
            }
        }
        assert!((0..500).all(|i| seen.contains(&format!("key:{i}"))));
    }

    #[test]
    fn expired_keys_are_removed_instead_of_returned() {
        let mut redis = with_keys(100);
        redis.server.state.active_expire = false;
        for i in 0..50 {
            redis.run(&format!("PEXPIRE key:{i} 10"));
        }
        redis.advance_ms(11);
        assert_eq!(redis.server.keyspace.databases()[0].len(), 100);
        let (mut keys, _) = scan_all(&mut redis, "");
        keys.dedup(); // the table shrinks meanwhile, so some may come twice
        assert_eq!(keys.len(), 50);
        assert_eq!(redis.server.keyspace.databases()[0].len(), 50);
        assert_eq!(redis.server.keyspace.stats.expired, 50);
    }

    #[test]
    fn a_cursor_is_what_strtoul_reads() {
        for (text, cursor) in [
            ("0", Some(0)),
            ("", Some(0)),
            ("007", Some(7)),
            ("+5", Some(5)),
            ("-1", Some(u64::MAX)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-18446744073709551615", Some(1)),
            (" 0", None),
            ("0x", None),
            ("+", None),
            ("-", None),
            ("+-1", None),
        ] {
            assert_eq!(parse_cursor(text.as_bytes()), cursor, "{text:?}");
        }
    }

    #[test]
    fn bad_arguments_are_refused() {
        let mut redis = with_keys(3);
        redis.run("SCAN x").is("-ERR invalid cursor");
        redis.run("SCAN x foo").is("-ERR invalid cursor");
        redis.run("SCAN 0 COUNT 0").is("-ERR syntax error");
        redis.run("SCAN 0 COUNT -1").is("-ERR syntax error");
        redis.run("SCAN 0 COUNT x").is("-ERR value is not an integer or out of range");
        redis.run("SCAN 0 COUNT").is("-ERR syntax error");
        redis.run("SCAN 0 MATCH a TYPE").is("-ERR syntax error");
        redis.run("SCAN 0 FOO bar").is("-ERR syntax error");
        redis.run("SCAN").is("-ERR wrong number of arguments for 'scan' command");
        redis.run("SCAN 18446744073709551615").starts("*2 ");
    }
}
