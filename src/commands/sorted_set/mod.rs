//! Sorted sets: members with scores, in the order of the scores, and everything that is done with them.

mod add;
mod algebra;
mod blocking;
mod lookup;
mod members;
mod pop;
mod random;
mod range;
mod remove;
mod scan;
mod selection;
mod store;

use super::Command;
use super::table::*;
use Arity::{AtLeast, Exactly};

const READ_FAST: Flags = READ.and(FAST);
const WRITE_FAST: Flags = WRITE.and(FAST);
const STORE: Flags = WRITE.and(DENYOOM);
const STORE_FAST: Flags = STORE.and(FAST);
const BLOCKING_FAST: Flags = WRITE.and(BLOCKING).and(FAST);

const READ_ONLY: &[KeySpec] = &[one(RO.and(ACCESS))];
const REMOVED_FROM: &[KeySpec] = &[one(RW.and(DELETE))];
const POPPED_FROM: &[KeySpec] = &[one(RW.and(ACCESS).and(DELETE))];
const POPPED_BEFORE_TIMEOUT: &[KeySpec] =
    &[KeySpec::Range { first: 1, last: -2, step: 1, flags: RW.and(ACCESS).and(DELETE) }];
const INPUTS: &[KeySpec] = &[counted(1, 1, RO.and(ACCESS))];
const DESTINATION_AND_INPUTS: &[KeySpec] = &[one(OW.and(UPDATE)), counted(2, 1, RO.and(ACCESS))];

/// The group's rows.
pub const COMMANDS: &[Command] = &[
    command("bzmpop", AtLeast(5), WRITE.and(BLOCKING), &[counted(2, 1, RW.and(ACCESS).and(DELETE))], blocking::bzmpop).docs(
        "7.0.0",
        "timeout numkeys key [key ...] <MIN | MAX> [COUNT count]",
        MPOP_COMPLEXITY,
        "Removes and returns a member by score from one or more sorted sets. Blocks until a member is available otherwise. Deletes the sorted set if the last element was popped.",
    ),
    command("bzpopmax", AtLeast(3), BLOCKING_FAST, POPPED_BEFORE_TIMEOUT, blocking::bzpopmax).docs(
        "5.0.0",
        "key [key ...] timeout",
        LOG_COMPLEXITY,
        "Removes and returns the member with the highest score from one or more sorted sets. Blocks until a member is available otherwise. Deletes the sorted set if the last element was popped.",
    ),
    command("bzpopmin", AtLeast(3), BLOCKING_FAST, POPPED_BEFORE_TIMEOUT, blocking::bzpopmin).docs(
        "5.0.0",
        "key [key ...] timeout",
        LOG_COMPLEXITY,
        "Removes and returns the member with the lowest score from one or more sorted sets. Blocks until a member is available otherwise. Deletes the sorted set if the last element was popped.",
    ),
    command("zadd", AtLeast(4), STORE_FAST, &[one(RW.and(UPDATE))], add::zadd).docs(
        "1.2.0",
        "key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]",
        "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
        "Adds one or more members to a sorted set, or updates their scores. Creates the key if it doesn't exist.",
    ),
    command("zcard", Exactly(2), READ_FAST, &[one(RO)], lookup::zcard).docs(
        "1.2.0",
        "key",
        "O(1)",
        "Returns the number of members in a sorted set.",
    ),
    command("zcount", Exactly(4), READ_FAST, READ_ONLY, lookup::zcount).docs(
        "2.0.0",
        "key min max",
        LOG_COMPLEXITY,
        "Returns the count of members in a sorted set that have scores within a range.",
    ),
    command("zdiff", AtLeast(3), READ, INPUTS, algebra::zdiff).docs(
        "6.2.0",
        "numkeys key [key ...] [WITHSCORES]",
        DIFF_COMPLEXITY,
        "Returns the difference between multiple sorted sets.",
    ),
    command("zdiffstore", AtLeast(4), STORE, DESTINATION_AND_INPUTS, algebra::zdiffstore).docs(
        "6.2.0",
        "destination numkeys key [key ...]",
        DIFF_COMPLEXITY,
        "Stores the difference of multiple sorted sets in a key.",
    ),
    command("zincrby", Exactly(4), STORE_FAST, &[one(RW.and(ACCESS).and(UPDATE))], add::zincrby).docs(
        "1.2.0",
        "key increment member",
        "O(log(N)) where N is the number of elements in the sorted set.",
        "Increments the score of a member in a sorted set.",
    ),
    command("zinter", AtLeast(3), READ, INPUTS, algebra::zinter).docs(
        "6.2.0",
        "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
        INTER_COMPLEXITY,
        "Returns the intersect of multiple sorted sets.",
    ),
    command("zintercard", AtLeast(3), READ, INPUTS, algebra::zintercard).docs(
        "7.0.0",
        "numkeys key [key ...] [LIMIT limit]",
        "O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.",
        "Returns the number of members of the intersect of multiple sorted sets.",
    ),
    command("zinterstore", AtLeast(4), STORE, DESTINATION_AND_INPUTS, algebra::zinterstore).docs(
        "2.0.0",
        "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]",
        INTER_COMPLEXITY,
        "Stores the intersect of multiple sorted sets in a key.",
    ),
    command("zlexcount", Exactly(4), READ_FAST, READ_ONLY, lookup::zlexcount).docs(
        "2.8.9",
        "key min max",
        LOG_COMPLEXITY,
        "Returns the number of members in a sorted set within a lexicographical range.",
    ),
    command("zmpop", AtLeast(4), WRITE, &[counted(1, 1, RW.and(ACCESS).and(DELETE))], pop::zmpop).docs(
        "7.0.0",
        "numkeys key [key ...] <MIN | MAX> [COUNT count]",
        MPOP_COMPLEXITY,
        "Returns the highest- or lowest-scoring members from one or more sorted sets after removing them. Deletes the sorted set if the last member was popped.",
    ),
    command("zmscore", AtLeast(3), READ_FAST, READ_ONLY, lookup::zmscore).docs(
        "6.2.0",
        "key member [member ...]",
        "O(N) where N is the number of members being requested.",
        "Returns the score of one or more members in a sorted set.",
    ),
    command("zpopmax", AtLeast(2), WRITE_FAST, POPPED_FROM, pop::zpopmax).docs(
        "5.0.0",
        "key [count]",
        POP_COMPLEXITY,
        "Returns the highest-scoring members from a sorted set after removing them. Deletes the sorted set if the last member was popped.",
    ),
    command("zpopmin", AtLeast(2), WRITE_FAST, POPPED_FROM, pop::zpopmin).docs(
        "5.0.0",
        "key [count]",
        POP_COMPLEXITY,
        "Returns the lowest-scoring members from a sorted set after removing them. Deletes the sorted set if the last member was popped.",
    ),
    command("zrandmember", AtLeast(2), READ, READ_ONLY, random::zrandmember).docs(
        "6.2.0",
        "key [count [WITHSCORES]]",
        "O(N) where N is the number of members returned",
        "Returns one or more random members from a sorted set.",
    ).tips(&["nondeterministic_output"]),
    command("zrange", AtLeast(4), READ, READ_ONLY, range::zrange).docs(
        "1.2.0",
        "key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
        RANGE_COMPLEXITY,
        "Returns members in a sorted set within a range of indexes.",
    ),
    command("zrangebylex", AtLeast(4), READ, READ_ONLY, range::zrangebylex).docs(
        "2.8.9",
        "key min max [LIMIT offset count]",
        LIMITED_COMPLEXITY,
        "Returns members in a sorted set within a lexicographical range.",
    ),
    command("zrangebyscore", AtLeast(4), READ, READ_ONLY, range::zrangebyscore).docs(
        "1.0.5",
        "key min max [WITHSCORES] [LIMIT offset count]",
        LIMITED_COMPLEXITY,
        "Returns members in a sorted set within a range of scores.",
    ),
    command("zrangestore", AtLeast(5), STORE, &[one(OW.and(UPDATE)), at(2, RO.and(ACCESS))], range::zrangestore).docs(
        "6.2.0",
        "dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]",
        "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements stored into the destination key.",
        "Stores a range of members from sorted set in a key.",
    ),
    command("zrank", AtLeast(3), READ_FAST, READ_ONLY, lookup::zrank).docs(
        "2.0.0",
        "key member [WITHSCORE]",
        "O(log(N))",
        "Returns the index of a member in a sorted set ordered by ascending scores.",
    ),
    command("zrem", AtLeast(3), WRITE_FAST, REMOVED_FROM, remove::zrem).docs(
        "1.2.0",
        "key member [member ...]",
        "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be removed.",
        "Removes one or more members from a sorted set. Deletes the sorted set if all members were removed.",
    ),
    command("zremrangebylex", Exactly(4), WRITE, REMOVED_FROM, remove::zremrangebylex).docs(
        "2.8.9",
        "key min max",
        REMOVAL_COMPLEXITY,
        "Removes members in a sorted set within a lexicographical range. Deletes the sorted set if all members were removed.",
    ),
    command("zremrangebyrank", Exactly(4), WRITE, REMOVED_FROM, remove::zremrangebyrank).docs(
        "2.0.0",
        "key start stop",
        REMOVAL_COMPLEXITY,
        "Removes members in a sorted set within a range of indexes. Deletes the sorted set if all members were removed.",
    ),
    command("zremrangebyscore", Exactly(4), WRITE, REMOVED_FROM, remove::zremrangebyscore).docs(
        "1.2.0",
        "key min max",
        REMOVAL_COMPLEXITY,
        "Removes members in a sorted set within a range of scores. Deletes the sorted set if all members were removed.",
    ),
    command("zrevrange", AtLeast(4), READ, READ_ONLY, range::zrevrange).docs(
        "1.2.0",
        "key start stop [WITHSCORES]",
        RANGE_COMPLEXITY,
        "Returns members in a sorted set within a range of indexes in reverse order.",
    ),
    command("zrevrangebylex", AtLeast(4), READ, READ_ONLY, range::zrevrangebylex).docs(
        "2.8.9",
        "key max min [LIMIT offset count]",
        LIMITED_COMPLEXITY,
        "Returns members in a sorted set within a lexicographical range in reverse order.",
    ),
    command("zrevrangebyscore", AtLeast(4), READ, READ_ONLY, range::zrevrangebyscore).docs(
        "2.2.0",
        "key max min [WITHSCORES] [LIMIT offset count]",
        LIMITED_COMPLEXITY,
        "Returns members in a sorted set within a range of scores in reverse order.",
    ),
    command("zrevrank", AtLeast(3), READ_FAST, READ_ONLY, lookup::zrevrank).docs(
        "2.0.0",
        "key member [WITHSCORE]",
        "O(log(N))",
        "Returns the index of a member in a sorted set ordered by descending scores.",
    ),
    command("zscan", AtLeast(3), READ, READ_ONLY, scan::zscan).docs(
        "2.8.0",
        "key cursor [MATCH pattern] [COUNT count] [NOSCORES]",
        "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.",
        "Iterates over members and scores of a sorted set.",
    ).tips(&["nondeterministic_output"]),
    command("zscore", Exactly(3), READ_FAST, READ_ONLY, lookup::zscore).docs(
        "1.2.0",
        "key member",
        "O(1)",
        "Returns the score of a member in a sorted set.",
    ),
    command("zunion", AtLeast(3), READ, INPUTS, algebra::zunion).docs(
        "6.2.0",
        "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
        "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.",
        "Returns the union of multiple sorted sets.",
    ),
    command("zunionstore", AtLeast(4), STORE, DESTINATION_AND_INPUTS, algebra::zunionstore).docs(
        "2.0.0",
        "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]",
        "O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.",
        "Stores the union of multiple sorted sets in a key.",
    ),
];

const LOG_COMPLEXITY: &str = "O(log(N)) with N being the number of elements in the sorted set.";
const RANGE_COMPLEXITY: &str = "O(log(N)+M) with N being the number of elements in the sorted set and M the number of \
    elements returned.";
const LIMITED_COMPLEXITY: &str = "O(log(N)+M) with N being the number of elements in the sorted set and M the number of \
    elements being returned. If M is constant (e.g. always asking for the first 10 elements \
    with LIMIT), you can consider it O(log(N)).";
const REMOVAL_COMPLEXITY: &str = "O(log(N)+M) with N being the number of elements in the sorted set and M the number of \
    elements removed by the operation.";
const POP_COMPLEXITY: &str = "O(log(N)*M) with N being the number of elements in the sorted set, and M being the \
    number of elements popped.";
const MPOP_COMPLEXITY: &str = "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of \
    elements in the sorted set, and M being the number of elements popped.";
const INTER_COMPLEXITY: &str = "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the \
    number of input sorted sets and M being the number of elements in the resulting sorted \
    set.";
const DIFF_COMPLEXITY: &str = "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N \
    is the size of the first set, and K is the size of the result set.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::OwnedArgs;

    /// Which arguments of a command line the rows say are keys.
    fn keys_of(line: &str) -> Option<String> {
        let args: OwnedArgs = line.split(' ').map(str::as_bytes).collect();
        let args = args.args();
        let is_named = |row: &&Command| row.name.as_bytes().eq_ignore_ascii_case(args.bytes(0));
        let row = COMMANDS.iter().find(is_named).expect("a command of this group");
        let keys = row.key_positions(&args)?;
        let keys = keys.iter().map(|(at, _)| String::from_utf8_lossy(args.bytes(*at)));
        Some(keys.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn the_rows_know_where_the_keys_are() {
        for (line, keys) in [
            ("ZADD a 1 x", Some("a")),
            ("ZRANGESTORE a b 0 -1", Some("a b")),
            ("ZUNION 2 a b WITHSCORES", Some("a b")),
            ("ZUNIONSTORE d 2 a b WEIGHTS 1 2", Some("d a b")),
            ("ZDIFFSTORE d 3 a b", None),
            ("ZMPOP 2 a b MIN", Some("a b")),
            ("BZMPOP 0 2 a b MIN", Some("a b")),
            ("BZPOPMIN a b c 0", Some("a b c")),
        ] {
            assert_eq!(keys_of(line).as_deref(), keys, "{line}");
        }
    }

    #[test]
    fn every_command_is_documented_and_the_rows_are_in_order() {
        assert!(COMMANDS.is_sorted_by_key(|row| row.name));
        for row in COMMANDS {
            let texts = [row.since, row.syntax, row.complexity, row.summary];
            assert!(texts.iter().all(|text| !text.is_empty()), "{}", row.name);
        }
    }
}
