//! `ZSCAN`: all members, some at a time.

use super::members::reply_member;
use crate::commands::scan::{ScanOptions, parse_cursor};
use crate::commands::{CommandResult, Ctx};
use crate::resp::number::format_f64;
use crate::resp::{Args, Reply};
use crate::types::listpack::Listpack;
use crate::types::sorted_set::{SortedSet, SortedSetRef};

/// `ZSCAN key cursor [MATCH pattern] [COUNT count] [NOSCORES]` -> next cursor, members and scores. O(count), a listpack
/// whole. A member that is there from the first call to the one that returns 0 is returned at least once.
pub(super) fn zscan(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let cursor = parse_cursor(args.bytes(2))?;
    let set = ctx.db.read::<SortedSet>(args.key(1))?;
    let page = ctx.reply.deferred();
    // Whether the options are any good is asked only of what is there: so does Redis.
    let Some(set) = set else {
        ctx.reply.finish_page(page, 0, 0);
        return Ok(());
    };
    let options = ScanOptions::of_sorted_set(args.tail(3))?;
    let (next, members) = match set {
        SortedSetRef::Packed(bytes) => (0, write_packed(ctx.reply, Listpack::new(bytes), &options)),
        SortedSetRef::Tree(_) => write_steps(ctx.reply, set, cursor, &options),
    };
    ctx.reply.finish_page(page, next, if options.no_values { members } else { members * 2 });
    Ok(())
}

/// Writes all members of a listpack that match, with their scores as they are stored, and returns how many.
fn write_packed(reply: &mut Reply, elements: Listpack<'_>, options: &ScanOptions<'_>) -> usize {
    let (mut members, mut elements) = (0, elements.iter());
    while let (Some(member), Some(score)) = (elements.next(), elements.next()) {
        if options.matches(member.text(&mut itoa::Buffer::new())) {
            members += 1;
            reply_member(reply, member);
            if !options.no_values {
                reply_member(reply, score);
            }
        }
    }
    members
}

/// Writes some members that match, and returns the next cursor and how many. Scores are strings in both protocols.
fn write_steps(
    reply: &mut Reply,
    set: SortedSetRef<'_>,
    cursor: u64,
    options: &ScanOptions<'_>,
) -> (u64, usize) {
    let mut members = 0;
    let next = options.run(cursor, |cursor| {
        let mut seen = 0;
        let next = set.scan(cursor, |member, score| {
            seen += 1;
            if options.matches(member.text(&mut itoa::Buffer::new())) {
                members += 1;
                reply_member(reply, member);
                if !options.no_values {
                    reply.bulk(&format_f64(score));
                }
            }
        });
        (next, seen)
    });
    (next, members)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::server::testing::TestServer;

    /// All pairs of a whole scan, and how many calls it took.
    fn scan_all(redis: &mut TestServer, options: &str) -> (BTreeMap<String, String>, usize) {
        let (mut pairs, mut calls, mut cursor) = (BTreeMap::new(), 0, "0".to_string());
        loop {
            let answer = redis.run(&format!("ZSCAN z {cursor}{options}")).0;
            let words: Vec<&str> = answer.split(' ').collect();
            cursor = words[2].to_string();
            for pair in words[4..].chunks(4) {
                pairs.insert(pair[1].to_string(), pair[3].to_string());
            }
            calls += 1;
            if cursor == "0" {
                return (pairs, calls);
            }
        }
    }

    #[test]
    fn a_whole_scan_returns_every_member_with_its_score() {
        let mut redis = TestServer::new();
        for len in [50, 1000] {
            for i in 0..len {
                redis.run(&format!("ZADD z {i} m{i}"));
            }
            for options in ["", " COUNT 1", " count 9223372036854775807"] {
                let (pairs, calls) = scan_all(&mut redis, options);
                assert_eq!(pairs.len(), len);
                assert!(pairs.iter().all(|(member, score)| member[1..] == *score));
                assert_eq!(calls > 1, len > 128 && options.len() < 10);
            }
            assert_eq!(scan_all(&mut redis, " MATCH m4? COUNT 100").0.len(), 10);
        }
    }

    #[test]
    fn scores_can_be_left_out_and_are_strings_in_resp3() {
        let mut redis = TestServer::new();
        redis.run("ZADD z 1.5 a 100000000000000000 7");
        redis.run("ZSCAN z 0").is("*2 $1 0 *4 $1 a $3 1.5 $1 7 $18 100000000000000000");
        redis.run("ZSCAN z 0 NOSCORES MATCH ?").is("*2 $1 0 *2 $1 a $1 7");
        redis.run("HELLO 3");
        redis.run("ZSCAN z 0 MATCH a").is("*2 $1 0 *2 $1 a $3 1.5");
    }

    #[test]
    fn bad_arguments_are_refused() {
        let mut redis = TestServer::new();
        redis.run("ZSCAN z x").is("-ERR invalid cursor");
        redis.run("ZSCAN z 0 BAD").is("*2 $1 0 *0");
        redis.run("ZADD z 1 a");
        redis.run("ZSCAN z 0 BAD").is("-ERR syntax error");
        redis.run("ZSCAN z 0 COUNT").is("-ERR syntax error");
        redis.run("ZSCAN z 0 COUNT 0").is("-ERR syntax error");
        redis.run("ZSCAN z 0 COUNT x").is("-ERR value is not an integer or out of range");
        redis.run("ZSCAN z 0 TYPE zset").is("-ERR syntax error");
        redis.run("SET s x");
        redis.run("ZSCAN s 0 BAD").starts("-WRONGTYPE ");
    }
}
