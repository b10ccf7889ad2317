//! `ZRANDMEMBER`.

use rand::RngExt as _;

use super::members::{Shape, reply_member};
use crate::commands::{CommandError, CommandResult, Ctx};
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::types::sorted_set::SortedSet;

const COUNT_OUT_OF_RANGE: CommandError = CommandError::Text(
    "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
);
const TWICE_OUT_OF_RANGE: CommandError = CommandError::Text("ERR value is out of range");

/// `ZRANDMEMBER key [count [WITHSCORES]]` -> a member, or null; with a count an array of different members, with a
/// negative one of as many as asked for, some of them more than once. O(count), and a listpack's length.
pub(super) fn zrandmember(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if let Some(count) = args.get(2) {
        return several(ctx, args, count);
    }
    let random = &mut ctx.server.random;
    let set = ctx.db.read::<SortedSet>(args.key(1))?;
    match set.and_then(|set| set.random(|| random.random())) {
        Some((member, _)) => reply_member(ctx.reply, member),
        None => ctx.reply.null(),
    }
    Ok(())
}

fn several(ctx: &mut Ctx<'_>, args: &Args<'_>, count: &[u8]) -> CommandResult {
    let count = parse_i64(count).ok_or(CommandError::NotAnInteger)?;
    if count == i64::MIN {
        return Err(COUNT_OUT_OF_RANGE);
    }
    let shape = match args.get(3) {
        None => Shape::Members,
        Some(word) if args.len() == 4 && word.eq_ignore_ascii_case(b"withscores") => {
            Shape::WithScores
        }
        Some(_) => return Err(CommandError::Syntax),
    };
    // Twice as many elements must have a number, too.
    if shape == Shape::WithScores && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(TWICE_OUT_OF_RANGE);
    }
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let random = &mut ctx.server.random;
    let Some(set) = ctx.db.read::<SortedSet>(args.key(1))? else {
        ctx.reply.array(0);
        return Ok(());
    };
    if count >= 0 {
        shape.begin(ctx.reply, wanted.min(set.len()));
        let reply = &mut *ctx.reply;
        set.sample(wanted, || random.random(), |member, score| shape.write(reply, member, score));
        return Ok(());
    }
    shape.begin(ctx.reply, wanted);
    let unsent_max = ctx.server.unsent_max(ctx.token);
    for _ in 0..wanted {
        let random = &mut ctx.server.random;
        let Some((member, score)) = set.random(|| random.random()) else { break };
        shape.write(ctx.reply, member, score);
        if ctx.reply.output.len() > unsent_max {
            break; // the client is closed for it, and gets nothing
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::server::testing::TestServer;

    /// A server with a listpack and a tree of `len` members `m0` and so on, whose scores are their numbers.
    fn with_sets(len: usize) -> TestServer {
        let mut redis = TestServer::new();
        for i in 0..len {
            redis.run(&format!("ZADD packed {i} m{i}"));
            redis.run(&format!("ZADD tree {i} m{i}"));
        }
        redis.run(&format!("ZADD tree 0 {}", "x".repeat(100)));
        redis.run(&format!("ZREM tree {}", "x".repeat(100)));
        redis.run("OBJECT ENCODING packed").is("$8 listpack");
        redis.run("OBJECT ENCODING tree").is("$8 skiplist");
        redis
    }

    /// The strings of an array.
    fn strings(answer: &str) -> Vec<String> {
        answer.split(' ').skip(2).step_by(2).map(str::to_string).collect()
    }

    #[test]
    fn a_positive_count_gives_different_members() {
        let mut redis = with_sets(100);
        for key in ["packed", "tree"] {
            for (count, len) in [(0, 0), (1, 1), (10, 10), (90, 90), (100, 100), (1000, 100)] {
                let answer = redis.run(&format!("ZRANDMEMBER {key} {count}")).0;
                assert!(answer.starts_with(&format!("*{len}")), "{answer}");
                assert_eq!(strings(&answer).into_iter().collect::<BTreeSet<_>>().len(), len);
            }
        }
    }

    #[test]
    fn a_negative_count_gives_as_many_as_asked_for() {
        let mut redis = with_sets(3);
        for key in ["packed", "tree"] {
            let members = strings(&redis.run(&format!("ZRANDMEMBER {key} -1000")).0);
            assert_eq!(members.len(), 1000);
            for member in ["m0", "m1", "m2"] {
                let times = members.iter().filter(|other| *other == member).count();
                assert!((200..470).contains(&times), "{times}"); // 333 +- 9 standard deviations
            }
        }
    }

    #[test]
    fn scores_come_with_their_members() {
        let mut redis = with_sets(20);
        for key in ["packed", "tree"] {
            for count in [5, 19, 30, -40] {
                let answer = redis.run(&format!("ZRANDMEMBER {key} {count} WITHSCORES")).0;
                let strings = strings(&answer);
                assert_eq!(strings.len() % 2, 0);
                for pair in strings.chunks(2) {
                    assert_eq!(pair[0], format!("m{}", pair[1]));
                }
            }
        }
        redis.run("ZADD one 1.5 a");
        redis.run("ZRANDMEMBER one").is("$1 a");
        redis.run("HELLO 3");
        redis.run("ZRANDMEMBER one 1 WITHSCORES").is("*1 *2 $1 a ,1.5");
        redis.run("ZRANDMEMBER one -2 WITHSCORES").is("*2 *2 $1 a ,1.5 *2 $1 a ,1.5");
    }

    #[test]
    fn p20_a_count_beyond_all_memory_costs_the_client_its_connection() {
        let mut redis = TestServer::with(|config| {
            config.client_output_buffer_limit.normal.hard_bytes = 1 << 20;
        });
        redis.run("ZADD z 1 a");
        let greedy = redis.connect();
        redis.run_as(greedy, "ZRANDMEMBER z -4611686018427387903 WITHSCORES");
        assert!(!redis.is_connected(greedy));
        redis.run("ZRANDMEMBER z").is("$1 a");
    }

    #[test]
    fn bad_arguments_are_refused() {
        let mut redis = with_sets(1);
        let syntax = "-ERR syntax error";
        redis.run("ZRANDMEMBER nosuch").is("$-1");
        redis.run("ZRANDMEMBER nosuch 3").is("*0");
        redis.run("ZRANDMEMBER tree x").is("-ERR value is not an integer or out of range");
        redis.run("ZRANDMEMBER tree 1 BAD").is(syntax);
        redis.run("ZRANDMEMBER tree 1 WITHSCORES x").is(syntax);
        redis.run("ZRANDMEMBER tree -9223372036854775808").is(
            "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        );
        for count in ["4611686018427387904", "-4611686018427387905"] {
            redis
                .run(&format!("ZRANDMEMBER tree {count} WITHSCORES"))
                .is("-ERR value is out of range");
        }
        redis.run("ZRANDMEMBER tree 9223372036854775807").is("*1 $2 m0");
        redis.run("SET s x");
        redis.run("ZRANDMEMBER s").starts("-WRONGTYPE ");
        redis.run("ZRANDMEMBER s 1").starts("-WRONGTYPE ");
    }
}
