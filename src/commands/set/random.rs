//! Members that chance takes.
//!
//! The log and the replicas are told which members it took. Redis changes its way of popping when most of a set goes,
//! because a hash table that is nearly empty is slow to draw from; ours shrinks as it empties, so there is one way.

use rand::RngExt as _;

use super::member::members_left;
use super::reply_member;
use crate::commands::{CommandError, CommandResult, Ctx};
use crate::resp::number::parse_i64;
use crate::resp::{Args, OwnedArgs};
use crate::types::set::Set;

/// Members in one SREM that stands for a part of SPOP.
const PROPAGATED_MAX: usize = 1024;

const NOT_POSITIVE: CommandError =
    CommandError::Text("ERR value is out of range, must be positive");
const COUNT_OUT_OF_RANGE: CommandError = CommandError::Text(
    "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
);

/// `SPOP key [count]` -> a random member, or `count` different ones, which are removed; null or nothing without a set.
/// O(1) each.
pub(super) fn spop(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    match args.len() {
        2 => pop_one(ctx, args.key(1)),
        3 => pop_some(ctx, args.key(1), args.bytes(2)),
        _ => Err(CommandError::Syntax),
    }
}

fn pop_one(ctx: &mut Ctx<'_>, key: &[u8]) -> CommandResult {
    let Some(slot) = ctx.db.find_collection::<Set>(key)? else {
        ctx.reply.null();
        return Ok(());
    };
    let random = &mut ctx.server.random;
    let effects = &mut ctx.server.effects;
    let (reply, db) = (&mut *ctx.reply, ctx.db.index);
    let changed = ctx.db.change_at(slot, |set: &mut Set| {
        set.remove_random(
            || random.random(),
            |member| {
                let mut buffer = itoa::Buffer::new();
                effects.replace(db, &[b"SREM", key, member.text(&mut buffer)]);
                reply_member(reply, member);
            },
        )
    });
    members_left(ctx, key, "spop", changed.emptied);
    Ok(())
}

fn pop_some(ctx: &mut Ctx<'_>, key: &[u8], count: &[u8]) -> CommandResult {
    let count =
        parse_i64(count).and_then(|count| usize::try_from(count).ok()).ok_or(NOT_POSITIVE)?;
    let Some(slot) = ctx.db.find_collection::<Set>(key)?.filter(|_| count > 0) else {
        ctx.reply.set(0);
        return Ok(());
    };
    let set = ctx.db.collection::<Set>(slot)?;
    if count >= set.len() {
        ctx.reply.set(set.len());
        set.iter().for_each(|member| reply_member(ctx.reply, member));
        ctx.db.remove(slot);
        ctx.propagate(&[b"DEL", key]);
        members_left(ctx, key, "spop", true);
        return Ok(());
    }
    ctx.reply.set(count);
    let (reply, random) = (&mut *ctx.reply, &mut ctx.server.random);
    let mut popped = ctx.server.effects.on.then(OwnedArgs::default);
    ctx.db.change_at(slot, |set: &mut Set| {
        for _ in 0..count {
            set.remove_random(
                || random.random(),
                |member| {
                    reply_member(reply, member);
                    if let Some(popped) = &mut popped {
                        popped.push(member.text(&mut itoa::Buffer::new()));
                    }
                },
            );
        }
    });
    propagate_removals(ctx, key, &popped.unwrap_or_default().args());
    members_left(ctx, key, "spop", false);
    Ok(())
}

fn propagate_removals(ctx: &mut Ctx<'_>, key: &[u8], members: &Args<'_>) {
    let members: Vec<&[u8]> = members.iter().collect();
    ctx.propagate_nothing();
    for members in members.chunks(PROPAGATED_MAX) {
        ctx.propagate(&[&[b"SREM", key], members].concat());
    }
}

/// `SRANDMEMBER key [count]` -> a random member; `count` different ones, or as many as there are; for a negative count
/// so many draws that may repeat. O(1) each.
pub(super) fn srandmember(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let count = match args.len() {
        2 => None,
        3 => Some(parse_i64(args.bytes(2)).ok_or(CommandError::NotAnInteger)?),
        _ => return Err(CommandError::Syntax),
    };
    if count == Some(i64::MIN) {
        return Err(COUNT_OUT_OF_RANGE);
    }
    let unsent_max = ctx.server.unsent_max(ctx.token);
    let Some(set) = ctx.db.read::<Set>(args.key(1))? else {
        match count {
            None => ctx.reply.null(),
            Some(_) => ctx.reply.array(0),
        }
        return Ok(());
    };
    let (reply, random) = (&mut *ctx.reply, &mut ctx.server.random);
    let mut random = || random.random();
    match count {
        None => set.random(random).into_iter().for_each(|member| reply_member(reply, member)),
        Some(count @ 0..) => {
            let count = usize::try_from(count).unwrap_or(usize::MAX).min(set.len());
            reply.array(count);
            set.sample(count, random, |member| reply_member(reply, member));
        }
        Some(draws) => {
            reply.array(usize::try_from(draws.unsigned_abs()).unwrap_or(usize::MAX));
            for _ in 0..draws.unsigned_abs() {
                // The client is closed for so long a reply: there is no use in the rest of it.
                if reply.output.len() >= unsent_max {
                    break;
                }
                set.random(&mut random).into_iter().for_each(|member| reply_member(reply, member));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use crate::server::testing::TestServer;

    /// A server that records effects, with a set in each form, of the numbers below `len`.
    fn with_sets(len: usize) -> TestServer {
        let mut redis = TestServer::with(|config| config.set_max_listpack_entries = 600);
        for number in 0..len {
            redis.run(&format!("SADD ints {number}"));
            redis.run(&format!("SADD packed m{number}"));
            redis.run(&format!("SADD table m{number}"));
        }
        redis.run(&format!("SADD table {}", "long".repeat(20)));
        redis.run(&format!("SREM table {}", "long".repeat(20)));
        redis
    }

    const KEYS: [&str; 3] = ["ints", "packed", "table"];

    /// The strings of an array.
    fn items(reply: &str) -> Vec<String> {
        reply.split(' ').skip(1).skip(1).step_by(2).map(str::to_string).collect()
    }

    /// The stream of effects since the last look, as words.
    fn effects(redis: &mut TestServer) -> String {
        let stream = redis.server.state.effects.take();
        String::from_utf8(stream).unwrap().replace("\r\n", " ").trim_end().to_string()
    }

    #[test]
    fn spop_takes_every_member_once() {
        let mut redis = with_sets(200);
        for key in KEYS {
            let mut popped = HashSet::new();
            for count in [1, 150, 0, 1, 40] {
                let reply = redis.run(&format!("SPOP {key} {count}")).0;
                assert!(reply.starts_with(&format!("*{count}")));
                popped.extend(items(&reply));
            }
            popped.extend(items(&format!("*1 {}", redis.run(&format!("SPOP {key}")).0)));
            redis.run(&format!("SCARD {key}")).is(":7");
            popped.extend(items(&redis.run(&format!("SPOP {key} 1000")).0));
            assert_eq!(popped.len(), 200);
            redis.run(&format!("EXISTS {key}")).is(":0");
            redis.run(&format!("SPOP {key}")).is("$-1");
            redis.run(&format!("SPOP {key} 3")).is("*0");
        }
    }

    #[test]
    fn spop_checks_its_count_and_the_type() {
        let mut redis = TestServer::new();
        redis.run("SET text x");
        for count in ["-1", "x", "9223372036854775808"] {
            redis
                .run(&format!("SPOP text {count}"))
                .is("-ERR value is out of range, must be positive");
        }
        redis.run("SPOP text 1 2").is("-ERR syntax error");
        for line in ["SPOP text", "SPOP text 0", "SRANDMEMBER text", "SRANDMEMBER text 0"] {
            redis
                .run(line)
                .is("-WRONGTYPE Operation against a key holding the wrong kind of value");
        }
    }

    #[test]
    fn spop_is_recorded_as_what_it_took() {
        let mut redis = with_sets(3);
        redis.server.state.effects.on = true;
        let member = redis.run("SPOP packed").0;
        assert_eq!(effects(&mut redis), format!("*2 $6 SELECT $1 0 *3 $4 SREM $6 packed {member}"));
        let members = redis.run("SPOP table 2").0;
        assert_eq!(effects(&mut redis), format!("*4 $4 SREM $5 table {}", &members[3..]));
        redis.run("SPOP ints 3");
        assert_eq!(effects(&mut redis), "*2 $3 DEL $4 ints");
        redis.run("SPOP packed 0");
        redis.run("SPOP none 1");
        redis.run("SPOP none");
        assert_eq!(effects(&mut redis), "");
    }

    #[test]
    fn srandmember_draws_different_members_or_with_repeats() {
        let mut redis = with_sets(100);
        for key in KEYS {
            for count in [0, 1, 5, 50, 99, 100] {
                let members = items(&redis.run(&format!("SRANDMEMBER {key} {count}")).0);
                assert_eq!(members.len(), count);
                assert_eq!(members.into_iter().collect::<HashSet<_>>().len(), count);
            }
            assert_eq!(items(&redis.run(&format!("SRANDMEMBER {key} 1000")).0).len(), 100);
            let drawn = items(&redis.run(&format!("SRANDMEMBER {key} -500")).0);
            assert_eq!(drawn.len(), 500);
            let different: HashSet<_> = drawn.into_iter().collect();
            assert!((50..=100).contains(&different.len()), "{}", different.len());
            redis.run(&format!("SRANDMEMBER {key}")).starts("$");
            redis.run(&format!("SCARD {key}")).is(":100");
        }
        redis.run("SRANDMEMBER none").is("$-1");
        redis.run("SRANDMEMBER none 5").is("*0");
        redis.run("SRANDMEMBER none -5").is("*0");
    }

    #[test]
    fn p20_srandmember_bounds_its_count_and_its_reply() {
        let mut redis = TestServer::with(|config| {
            config.client_output_buffer_limit.normal.hard_bytes = 1 << 20;
        });
        redis.run("SADD s member");
        redis.run("SRANDMEMBER s x").is("-ERR value is not an integer or out of range");
        redis.run("SRANDMEMBER s -9223372036854775808").is(
            "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        );
        redis.run("SRANDMEMBER s 9223372036854775807").is("*1 $6 member");
        let greedy = redis.connect();
        redis.run_as(greedy, "SRANDMEMBER s -4611686018427387905");
        assert!(!redis.is_connected(greedy));
        redis.run("SCARD s").is(":1");
    }
}
