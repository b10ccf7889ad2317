//! What several sets have in common, all they have, and what only the first one has: as a reply, or as a new set.

use super::algebra::{Members, Operands, Operation, find_sets};
use super::reply_member;
use crate::commands::{CommandResult, Ctx};
use crate::config::KeyspaceEvents;
use crate::keyspace::Expiry;
use crate::resp::Args;

/// `SINTER key [key ...]` -> the members that are in all sets. O(smallest set * sets).
pub(super) fn sinter(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    reply(ctx, args, Operation::Intersection)
}

/// `SUNION key [key ...]` -> the members that are in any set. O(members of all sets).
pub(super) fn sunion(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    reply(ctx, args, Operation::Union)
}

/// `SDIFF key [key ...]` -> the members of the first set that are in none of the others. O(members of all sets).
pub(super) fn sdiff(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    reply(ctx, args, Operation::Difference)
}

fn reply(ctx: &mut Ctx<'_>, args: &Args<'_>, operation: Operation) -> CommandResult {
    let slots = find_sets(ctx, args.tail(1).iter())?;
    let limits = ctx.set_limits();
    let Some(operands) = Operands::new(&ctx.db, operation, &slots) else {
        ctx.reply.set(0);
        return Ok(());
    };
    let (deferred, mut len) = (ctx.reply.deferred(), 0);
    operands.each(&limits, |member| {
        reply_member(ctx.reply, member);
        len += 1;
        true
    });
    ctx.reply.finish_set(deferred, len);
    Ok(())
}

/// `SINTERSTORE destination key [key ...]` -> number of members of the intersection, which is now at `destination`; an
/// empty one is no key. O(smallest set * sets).
pub(super) fn sinterstore(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    store(ctx, args, Operation::Intersection, "sinterstore")
}

/// `SUNIONSTORE destination key [key ...]` -> number of members of the union, which is now at `destination`; an empty one
/// is no key. O(members of all sets).
pub(super) fn sunionstore(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    store(ctx, args, Operation::Union, "sunionstore")
}

/// `SDIFFSTORE destination key [key ...]` -> number of members of the difference, which is now at `destination`; an empty
/// one is no key. O(members of all sets).
pub(super) fn sdiffstore(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    store(ctx, args, Operation::Difference, "sdiffstore")
}

fn store(ctx: &mut Ctx<'_>, args: &Args<'_>, operation: Operation, event: &str) -> CommandResult {
    let destination = args.key(1);
    let slots = find_sets(ctx, args.tail(2).iter())?;
    let limits = ctx.set_limits();
    let mut members = Members::new(&limits);
    if let Some(operands) = Operands::new(&ctx.db, operation, &slots) {
        operands.each(&limits, |member| {
            members.add(member);
            true
        });
    }
    let (len, set) = members.finish();
    if let Some(set) = set {
        ctx.db.set_collection(destination, set, Expiry::Clear);
        ctx.modified(destination);
        ctx.notify(KeyspaceEvents::SET, event, destination);
    } else if ctx.db.delete(destination) {
        ctx.modified(destination);
        ctx.notify(KeyspaceEvents::GENERIC, "del", destination);
    }
    ctx.reply.integer(len as i64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    use crate::server::testing::TestServer;

    /// The members in a reply.
    fn members(reply: &str) -> BTreeSet<String> {
        let members: Vec<&str> = reply.split(' ').skip(2).step_by(2).collect();
        let different: BTreeSet<_> = members.iter().map(|member| member.to_string()).collect();
        assert_eq!(members.len(), different.len(), "a member comes twice: {reply}");
        assert!(reply.starts_with(&format!("*{}", members.len())), "{reply}");
        different
    }

    #[test]
    fn random_sets_give_what_a_btree_set_gives() {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        for round in 0..150 {
            let mut redis = TestServer::with(|config| {
                config.set_max_intset_entries = 10;
                config.set_max_listpack_entries = 12;
            });
            let mut model: Vec<BTreeSet<String>> = vec![BTreeSet::new(); 6];
            for (key, model) in model.iter_mut().enumerate().skip(1) {
                let text = ["", "m"][random.random_range(0..2)];
                for _ in 0..random.random_range(1..if key == 1 { 300 } else { 40 }) {
                    let member = format!("{text}{}", random.random_range(0..60 + round));
                    redis.run(&format!("SADD {key} {member}"));
                    model.insert(member);
                }
            }
            for _ in 0..20 {
                let keys: Vec<usize> =
                    (0..random.random_range(1..9)).map(|_| random.random_range(0..6)).collect();
                let sets = || keys.iter().map(|&key| &model[key]);
                let (first, others) = (&model[keys[0]], || sets().skip(1));
                let all = first.iter().filter(|member| others().all(|set| set.contains(*member)));
                let only = first.iter().filter(|member| !others().any(|set| set.contains(*member)));
                let expected = [
                    ("SINTER", all.cloned().collect()),
                    ("SUNION", sets().flatten().cloned().collect()),
                    ("SDIFF", only.cloned().collect::<BTreeSet<_>>()),
                ];
                let keys = keys.iter().map(|key| format!(" {key}")).collect::<String>();
                for (command, expected) in expected {
                    let line = format!("{command}{keys}");
                    assert_eq!(members(&redis.run(&line).0), expected, "{line}");
                    let len = expected.len();
                    redis.run(&format!("{command}STORE result{keys}")).is(&format!(":{len}"));
                    assert_eq!(members(&redis.run("SMEMBERS result").0), expected, "{line}");
                    let numkeys = keys.len() / 2;
                    redis.run(&format!("{command}CARD {numkeys}{keys}")).is(&format!(":{len}"));
                    let limited = len.min(7);
                    redis
                        .run(&format!("{command}CARD {numkeys}{keys} LIMIT 7"))
                        .is(&format!(":{limited}"));
                }
            }
        }
    }

    #[test]
    fn a_result_of_integers_is_an_intset() {
        let mut redis = TestServer::new();
        redis.run("SADD a 1 2 x");
        redis.run("SADD b 2 1 y");
        redis.run("SINTERSTORE r a b").is(":2");
        redis.run("OBJECT ENCODING r").is("$6 intset");
        redis.run("SDIFFSTORE r a b").is(":1");
        redis.run("OBJECT ENCODING r").is("$8 listpack");
        redis.run("SUNIONSTORE r a b").is(":4");
        redis.run("OBJECT ENCODING r").is("$8 listpack");
    }

    #[test]
    fn a_result_replaces_what_was_there_whatever_it_was() {
        let mut redis = TestServer::new();
        redis.run("SET r text EX 100");
        redis.run("SADD a 1 2");
        redis.run("SUNIONSTORE r a").is(":2");
        redis.run("TYPE r").is("+set");
        redis.run("TTL r").is(":-1");
        redis.run("SUNIONSTORE a a none").is(":2");
        redis.run("SMEMBERS a").is("*2 $1 1 $1 2");
        let before = redis.server.state.dirty;
        redis.run("SINTERSTORE r a none").is(":0");
        redis.run("EXISTS r").is(":0");
        redis.run("SINTERSTORE r a none").is(":0");
        assert_eq!(redis.server.state.dirty, before + 1);
    }

    #[test]
    fn replies_are_sets_in_resp3() {
        let mut redis = TestServer::new();
        redis.run("HELLO 3");
        redis.run("SADD a 1 2 3");
        redis.run("SADD b 2 3 4");
        redis.run("SINTER a b").is("~2 $1 2 $1 3");
        redis.run("SUNION a b").is("~4 $1 1 $1 2 $1 3 $1 4");
        redis.run("SDIFF a b none a2").is("~1 $1 1");
        for line in ["SDIFF a b a", "SDIFF none a", "SINTER a none", "SUNION none"] {
            redis.run(line).is("~0");
        }
    }

    #[test]
    fn a_key_that_is_due_counts_as_none_and_moves_no_other() {
        let mut redis = TestServer::new();
        redis.server.state.active_expire = false;
        for number in 0..50 {
            redis.run(&format!("SADD due:{number} 1 2"));
            redis.run(&format!("PEXPIRE due:{number} 10"));
            redis.run(&format!("SADD k:{number} {number}"));
        }
        redis.advance_ms(11);
        let keys: String = (0..50).map(|number| format!(" k:{number} due:{number}")).collect();
        let union = members(&redis.run(&format!("SUNION{keys}")).0);
        assert_eq!(union, (0..50).map(|number| number.to_string()).collect());
    }

    #[test]
    fn a_key_of_another_type_is_refused_even_beside_one_that_is_not_there() {
        let mut redis = TestServer::new();
        redis.run("SADD a 1");
        redis.run("SET text x");
        for line in
            ["SINTER none text", "SUNION a text", "SDIFF none text", "SDIFFSTORE a text none"]
        {
            redis
                .run(line)
                .is("-WRONGTYPE Operation against a key holding the wrong kind of value");
        }
        redis.run("SMEMBERS a").is("*1 $1 1");
    }

    /// Makes `key` a set of more than 1 MiB.
    fn add_much(redis: &mut TestServer, key: &str) {
        for number in 0..1200 {
            redis.run(&format!("SADD {key} {number}{}", "x".repeat(1000)));
        }
    }

    #[test]
    fn the_memory_of_big_sets_is_freed_elsewhere() {
        let mut redis = TestServer::new();
        for line in [
            "DEL big",
            "UNLINK big",
            "SET big text",
            "SUNIONSTORE big small",
            "SINTERSTORE big none",
            "RENAME small big",
            "COPY small big REPLACE",
            "SPOP big 2000",
            "PEXPIRE big -1",
            "FLUSHALL",
        ] {
            redis.run("DEL big");
            redis.run("SADD small 1");
            add_much(&mut redis, "big");
            let before = redis.world.borrow().discarded;
            redis.run(line);
            assert_eq!(redis.world.borrow().discarded, before + 1, "{line}");
        }
        for active in [true, false] {
            add_much(&mut redis, "big");
            redis.run("PEXPIRE big 10");
            redis.server.state.active_expire = active;
            let before = redis.world.borrow().discarded;
            redis.advance_ms(200);
            redis.run("EXISTS big").is(":0");
            assert_eq!(redis.world.borrow().discarded, before + 1);
        }
    }
}
