//! Unions, intersections and differences: `ZUNION`, `ZINTER`, `ZDIFF`, their forms that store, and `ZINTERCARD`.

mod compute;
mod inputs;
mod options;

use super::members::Shape;
use super::store::store;
use crate::commands::{CommandResult, Ctx};
use crate::resp::Args;
use crate::types::sorted_set::SortedSet;
use compute::{Members, count_common, difference, intersection, union};
use inputs::Input;
use options::{Keys, Options, Use};

/// What is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// `ZUNION numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]` -> members.
/// O(n) + O(m log m) for n members of all inputs and m of the result.
pub(super) fn zunion(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    reply_result(ctx, args, Operation::Union)
}

/// `ZINTER numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]` -> members.
/// O(n k) + O(m log m) for n members of the smallest of k inputs and m of the result.
pub(super) fn zinter(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    reply_result(ctx, args, Operation::Intersection)
}

/// `ZDIFF numkeys key [key ...] [WITHSCORES]` -> members of the first that are in no other. O(n) + O(m log m) for n members
/// of all inputs and m of the result.
pub(super) fn zdiff(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    reply_result(ctx, args, Operation::Difference)
}

fn reply_result(ctx: &mut Ctx<'_>, args: &Args<'_>, operation: Operation) -> CommandResult {
    let keys = Keys::parse(args.tail(1), ctx.command.name)?;
    let mut inputs = inputs::find(&mut ctx.db, keys.iter())?;
    let options = Options::parse(keys.options(), operation, Use::Reply, &mut inputs)?;
    let members = operation.compute(inputs, &options);
    let shape = Shape::with_scores(options.with_scores);
    shape.begin(ctx.reply, members.len());
    shape.write_all(ctx.reply, members.into_iter());
    Ok(())
}

/// `ZUNIONSTORE destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]` -> number of
/// members. As `ZUNION`.
pub(super) fn zunionstore(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    store_result(ctx, args, Operation::Union)
}

/// `ZINTERSTORE destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]` -> number of
/// members. As `ZINTER`.
pub(super) fn zinterstore(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    store_result(ctx, args, Operation::Intersection)
}

/// `ZDIFFSTORE destination numkeys key [key ...]` -> number of members. As `ZDIFF`.
pub(super) fn zdiffstore(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    store_result(ctx, args, Operation::Difference)
}

fn store_result(ctx: &mut Ctx<'_>, args: &Args<'_>, operation: Operation) -> CommandResult {
    let (limits, hash_key) = ctx.zset_limits();
    let keys = Keys::parse(args.tail(2), ctx.command.name)?;
    let mut inputs = inputs::find(&mut ctx.db, keys.iter())?;
    let options = Options::parse(keys.options(), operation, Use::Store, &mut inputs)?;
    let members = operation.compute(inputs, &options);
    let result = SortedSet::from_ordered(members.len(), members.into_iter(), limits, hash_key);
    // The name of the command is that of the event.
    store(ctx, args.key(1), result, ctx.command.name)
}

/// `ZINTERCARD numkeys key [key ...] [LIMIT limit]` -> how many members all inputs have, the limit if there are more.
/// O(n k) for n members of the smallest of k inputs.
pub(super) fn zintercard(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let keys = Keys::parse(args.tail(1), ctx.command.name)?;
    let mut inputs = inputs::find(&mut ctx.db, keys.iter())?;
    let operation = Operation::Intersection;
    let options = Options::parse(keys.options(), operation, Use::Count, &mut inputs)?;
    ctx.reply.integer(count_common(inputs, options.limit) as i64);
    Ok(())
}

impl Operation {
    /// The members of the result, in order.
    fn compute<'a>(self, inputs: Vec<Input<'a>>, options: &Options) -> Members<'a> {
        match self {
            Self::Union => union(inputs, options.aggregate),
            Self::Intersection => intersection(inputs, options.aggregate),
            Self::Difference => difference(&inputs),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::keyspace::Expiry;
    use crate::server::testing::TestServer;
    use crate::types::limits::PackedLimits;
    use crate::types::set::{Set, SetLimits};

    #[test]
    fn unions_intersections_and_differences() {
        let mut redis = TestServer::new();
        redis.run("ZADD x 1 a 2 b 3 c 4 10");
        redis.run("ZADD y 10 b 20 c 30 d 5 10");
        redis
            .run("ZUNION 2 x y WITHSCORES")
            .is("*10 $1 a $1 1 $2 10 $1 9 $1 b $2 12 $1 c $2 23 $1 d $2 30");
        redis.run("ZINTER 2 x y WITHSCORES").is("*6 $2 10 $1 9 $1 b $2 12 $1 c $2 23");
        redis.run("ZDIFF 2 x y WITHSCORES").is("*2 $1 a $1 1");
        redis.run("ZUNION 2 x y").is("*5 $1 a $2 10 $1 b $1 c $1 d");
        redis.run("ZUNION 2 nosuch x").is("*4 $1 a $1 b $1 c $2 10");
        redis.run("ZINTER 2 nosuch x").is("*0");
        redis.run("ZDIFF 2 x nosuch").is("*4 $1 a $1 b $1 c $2 10");
        redis.run("ZDIFF 2 x x").is("*0");
        redis.run("ZINTER 2 x x WITHSCORES").starts("*8 $1 a $1 2 ");
        redis.run("ZINTERCARD 2 x y").is(":3");
        redis.run("ZINTERCARD 2 x y LIMIT 2").is(":2");
        redis.run("ZINTERCARD 2 x y limit 0").is(":3");
        redis.run("ZINTERCARD 2 x nosuch LIMIT 1").is(":0");
    }

    #[test]
    fn numbers_are_the_same_members_in_a_listpack_and_in_a_tree() {
        let mut redis = TestServer::new();
        redis.run("ZADD packed 1 7 1 -3 1 07");
        redis.run(&format!("ZADD tree 1 7 1 -3 1 07 1 {}", "x".repeat(70)));
        redis.run("ZUNIONSTORE d 2 packed tree").is(":4");
        redis.run("ZINTERCARD 2 packed tree").is(":3");
        redis.run("ZDIFF 2 packed tree").is("*0");
        // So many inputs that the members of the others are taken out instead of searched.
        redis.run("ZDIFF 9 tree packed a b c e f g h").starts("*1 $70 x");
    }

    #[test]
    fn the_members_of_a_set_have_score_one() {
        let mut redis = TestServer::new();
        redis.run("ZADD z 5 a 6 7 7 c");
        let limits = |intset_entries, entries| SetLimits {
            intset_entries,
            packed: PackedLimits { entries, value_bytes: 64 },
            hash_key: (1, 2),
        };
        let forms: [(&[&str], SetLimits, &str); 3] = [
            (&["7", "8"], limits(10, 10), "intset"),
            (&["a", "7"], limits(10, 10), "listpack"),
            (&["a", "7"], limits(0, 0), "hashtable"),
        ];
        for (members, limits, encoding) in forms {
            let mut set = Set::new(members[0].as_bytes(), 1, &limits);
            members.iter().for_each(|member| _ = set.add(member.as_bytes(), &limits));
            redis.server.keyspace.db(0).set_collection(b"s", set, Expiry::Clear);
            redis.run("OBJECT ENCODING s").is(&format!("${} {encoding}", encoding.len()));
            redis.run("ZINTER 2 z s WEIGHTS 1 10 AGGREGATE MAX WITHSCORES").starts(
                if encoding == "intset" { "*2 $1 7 $2 10" } else { "*4 $1 7 $2 10 $1 a $2 10" },
            );
            redis.run("ZUNION 2 s nosuch WITHSCORES").starts("*4 $1 7 $1 1 ");
            redis.run("ZDIFF 2 s z").is(if encoding == "intset" { "*1 $1 8" } else { "*0" });
            redis.run("ZDIFF 2 z s").starts(if encoding == "intset" {
                "*2 $1 a "
            } else {
                "*1 $1 c"
            });
            redis.run("ZINTERCARD 2 s s").is(":2");
        }
        redis.run("ZUNIONSTORE s 1 s").is(":2");
        redis.run("TYPE s").is("+zset");
    }

    #[test]
    fn weights_and_aggregates() {
        let mut redis = TestServer::new();
        redis.run("ZADD x 1 a 2 b");
        redis.run("ZADD y 10 b 20 c");
        redis.run("ZUNION 2 x y WEIGHTS 2 0.5 WITHSCORES").is("*6 $1 a $1 2 $1 b $1 9 $1 c $2 10");
        redis.run("ZINTER 2 x y weights 2 0.5 aggregate max withscores").is("*2 $1 b $1 5");
        redis.run("ZINTER 2 x y AGGREGATE MIN WITHSCORES").is("*2 $1 b $1 2");
        redis.run("ZUNION 2 x y AGGREGATE MAX WITHSCORES").is("*6 $1 a $1 1 $1 b $2 10 $1 c $2 20");
        redis
            .run("ZUNION 2 x y WEIGHTS 0 inf WITHSCORES")
            .is("*6 $1 a $1 0 $1 b $3 inf $1 c $3 inf");
    }

    #[test]
    fn what_would_be_no_number_is_zero() {
        let mut redis = TestServer::new();
        redis.run("ZADD plus inf a");
        redis.run("ZADD minus -inf a");
        redis.run("ZADD zero 0 a");
        for command in ["ZUNION", "ZINTER"] {
            redis.run(&format!("{command} 2 plus minus WITHSCORES")).is("*2 $1 a $1 0");
            redis.run(&format!("{command} 1 zero WEIGHTS inf WITHSCORES")).is("*2 $1 a $1 0");
            redis
                .run(&format!("{command} 2 zero plus WEIGHTS inf 0 WITHSCORES"))
                .is("*2 $1 a $1 0");
        }
    }

    #[test]
    fn the_result_is_stored_in_place_of_what_was_there() {
        let mut redis = TestServer::new();
        redis.run("ZADD x 1 a 2 b");
        redis.run("ZADD y 10 b 20 c");
        redis.run("SET d x EX 100");
        redis.run("ZUNIONSTORE d 2 x y").is(":3");
        redis.run("TTL d").is(":-1");
        redis.run("OBJECT ENCODING d").is("$8 listpack");
        redis.run("ZRANGE d 0 -1 WITHSCORES").is("*6 $1 a $1 1 $1 b $2 12 $1 c $2 20");
        redis.run("ZINTERSTORE x 2 x y WEIGHTS 1 2").is(":1");
        redis.run("ZRANGE x 0 -1 WITHSCORES").is("*2 $1 b $2 22");
        redis.run("ZDIFFSTORE d 2 x y").is(":0");
        redis.run("EXISTS d").is(":0");
        for i in 0..200 {
            redis.run(&format!("ZADD big {i} m{i}"));
        }
        redis.run("ZUNIONSTORE d 2 big y").is(":202");
        redis.run("OBJECT ENCODING d").is("$8 skiplist");
        redis.run("ZRANGE d 199 -1").is("*3 $4 m197 $4 m198 $4 m199");
    }

    #[test]
    fn pairs_are_nested_in_resp3() {
        let mut redis = TestServer::new();
        redis.run("ZADD x 1 a 2.5 b");
        redis.run("HELLO 3");
        redis.run("ZUNION 1 x WITHSCORES").is("*2 *2 $1 a ,1 *2 $1 b ,2.5");
        redis.run("ZDIFF 1 x").is("*2 $1 a $1 b");
    }

    #[test]
    fn both_ways_to_a_difference_give_the_same() {
        let mut redis = TestServer::new();
        for i in 0..300 {
            redis.run(&format!("ZADD first {i} m{i}"));
        }
        redis.run("ZADD a 1 m1 1 m2 1 x");
        redis.run("ZADD b 1 m3 1 m299");
        let searched = redis.run("ZDIFF 3 first a b WITHSCORES").0;
        assert!(searched.starts_with("*592 $2 m0 $1 0 $2 m4 $1 4"), "{searched}");
        redis.run("ZDIFF 8 first a b a b a b a WITHSCORES").is(&searched);
        redis.run("ZDIFF 8 a first b b b b b b").is("*1 $1 x");
    }

    #[test]
    fn bad_arguments_are_refused() {
        let mut redis = TestServer::new();
        let syntax = "-ERR syntax error";
        redis.run("SET s x");
        redis.run("ZADD z 1 a");
        redis.run("ZUNION x z").is("-ERR value is not an integer or out of range");
        redis.run("ZUNION 0 z").is("-ERR at least 1 input key is needed for 'zunion' command");
        redis
            .run("ZDIFFSTORE d -1 z")
            .is("-ERR at least 1 input key is needed for 'zdiffstore' command");
        redis.run("ZUNION 2 z").is(syntax);
        redis.run("ZUNION 9223372036854775807 z").is(syntax);
        redis.run("ZUNION 1 s BAD").starts("-WRONGTYPE ");
        redis.run("ZUNION 2 z s").starts("-WRONGTYPE ");
        redis.run("ZUNION 1 z WEIGHTS x").is("-ERR weight value is not a float");
        redis.run("ZUNION 1 z WEIGHTS nan").is("-ERR weight value is not a float");
        redis.run("ZINTERCARD 1 z LIMIT -1").is("-ERR LIMIT can't be negative");
        redis.run("ZINTERCARD 1 z LIMIT x").is("-ERR LIMIT can't be negative");
        for line in [
            "ZUNION 2 z z WEIGHTS 1",
            "ZUNION 1 z AGGREGATE AVG",
            "ZUNION 1 z AGGREGATE",
            "ZUNION 1 z LIMIT 1",
            "ZUNIONSTORE d 1 z WITHSCORES",
            "ZDIFF 1 z WEIGHTS 1",
            "ZDIFF 1 z AGGREGATE SUM",
            "ZINTERCARD 1 z WITHSCORES",
            "ZINTERCARD 1 z WEIGHTS 1",
        ] {
            redis.run(line).is(syntax);
        }
    }
}
