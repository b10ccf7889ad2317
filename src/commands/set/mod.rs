//! Sets: members without order.

mod algebra;
mod cardinality;
mod combine;
mod member;
mod random;

use super::Command;
use super::table::*;
use crate::resp::Reply;
use crate::types::listpack::Element;
use Arity::{AtLeast, Exactly};

const READ_ONLY: &[KeySpec] = &[one(RO.and(ACCESS))];
const ALL_READ: &[KeySpec] = &[all(RO.and(ACCESS))];
const COUNTED: &[KeySpec] = &[counted(1, 1, RO.and(ACCESS))];
const STORED: &[KeySpec] =
    &[one(OW.and(UPDATE)), KeySpec::Range { first: 2, last: -1, step: 1, flags: RO.and(ACCESS) }];
const STORE: Flags = WRITE.and(DENYOOM);
const UNORDERED: &[&str] = &["nondeterministic_output_order"];
const RANDOM: &[&str] = &["nondeterministic_output"];

/// The group's rows.
pub const COMMANDS: &[Command] = &[
    command("sadd", AtLeast(3), STORE.and(FAST), &[one(RW.and(INSERT))], member::sadd).docs(
        "1.0.0",
        "key member [member ...]",
        "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
        "Adds one or more members to a set. Creates the key if it doesn't exist.",
    ),
    command("scard", Exactly(2), READ.and(FAST), &[one(RO)], member::scard).docs(
        "1.0.0",
        "key",
        "O(1)",
        "Returns the number of members in a set.",
    ),
    command("sdiff", AtLeast(2), READ, ALL_READ, combine::sdiff)
        .docs("1.0.0", "key [key ...]", ALL_MEMBERS, "Returns the difference of multiple sets.")
        .tips(UNORDERED),
    command("sdiffcard", AtLeast(3), READ, COUNTED, cardinality::sdiffcard).docs(
        "8.10.0",
        "numkeys key [key ...] [LIMIT limit]",
        ALL_MEMBERS,
        "Returns the number of members of the difference between the first set and all successive sets.",
    ),
    command("sdiffstore", AtLeast(3), STORE, STORED, combine::sdiffstore).docs(
        "1.0.0",
        "destination key [key ...]",
        ALL_MEMBERS,
        "Stores the difference of multiple sets in a key.",
    ),
    command("sinter", AtLeast(2), READ, ALL_READ, combine::sinter)
        .docs("1.0.0", "key [key ...]", SMALLEST, "Returns the intersect of multiple sets.")
        .tips(UNORDERED),
    command("sintercard", AtLeast(3), READ, COUNTED, cardinality::sintercard).docs(
        "7.0.0",
        "numkeys key [key ...] [LIMIT limit]",
        SMALLEST,
        "Returns the number of members of the intersect of multiple sets.",
    ),
    command("sinterstore", AtLeast(3), STORE, STORED, combine::sinterstore).docs(
        "1.0.0",
        "destination key [key ...]",
        SMALLEST,
        "Stores the intersect of multiple sets in a key.",
    ),
    command("sismember", Exactly(3), READ.and(FAST), &[one(RO)], member::sismember).docs(
        "1.0.0",
        "key member",
        "O(1)",
        "Determines whether a member belongs to a set.",
    ),
    command("smembers", Exactly(2), READ, READ_ONLY, member::smembers)
        .docs("1.0.0", "key", "O(N) where N is the set cardinality.", "Returns all members of a set.")
        .tips(UNORDERED),
    command("smismember", AtLeast(3), READ.and(FAST), READ_ONLY, member::smismember).docs(
        "6.2.0",
        "key member [member ...]",
        "O(N) where N is the number of elements being checked for membership",
        "Determines whether multiple members belong to a set.",
    ),
    command(
        "smove",
        Exactly(4),
        WRITE.and(FAST),
        &[at(1, RW.and(ACCESS).and(DELETE)), at(2, RW.and(INSERT))],
        member::smove,
    )
    .docs("1.0.0", "source destination member", "O(1)", "Moves a member from one set to another."),
    command("spop", AtLeast(2), WRITE.and(FAST), &[one(RW.and(ACCESS).and(DELETE))], random::spop)
        .docs(
            "1.0.0",
            "key [count]",
            "Without the count argument O(1), otherwise O(N) where N is the value of the passed count.",
            "Returns one or more random members from a set after removing them. Deletes the set if the last member was popped.",
        )
        .tips(RANDOM),
    command("srandmember", AtLeast(2), READ, READ_ONLY, random::srandmember)
        .docs(
            "1.0.0",
            "key [count]",
            "Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count.",
            "Gets one or multiple random members from a set.",
        )
        .tips(RANDOM),
    command("srem", AtLeast(3), WRITE.and(FAST), &[one(RW.and(DELETE))], member::srem).docs(
        "1.0.0",
        "key member [member ...]",
        "O(N) where N is the number of members to be removed.",
        "Removes one or more members from a set. Deletes the set if the last member was removed.",
    ),
    command("sscan", AtLeast(3), READ, READ_ONLY, member::sscan)
        .docs(
            "2.8.0",
            "key cursor [MATCH pattern] [COUNT count]",
            "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.",
            "Iterates over members of a set.",
        )
        .tips(RANDOM),
    command("sunion", AtLeast(2), READ, ALL_READ, combine::sunion)
        .docs("1.0.0", "key [key ...]", ALL_MEMBERS, "Returns the union of multiple sets.")
        .tips(UNORDERED),
    command("sunioncard", AtLeast(3), READ, COUNTED, cardinality::sunioncard).docs(
        "8.10.0",
        "numkeys key [key ...] [APPROX] [LIMIT limit]",
        ALL_MEMBERS,
        "Returns the number of members of the union of multiple sets.",
    ),
    command("sunionstore", AtLeast(3), STORE, STORED, combine::sunionstore).docs(
        "1.0.0",
        "destination key [key ...]",
        ALL_MEMBERS,
        "Stores the union of multiple sets in a key.",
    ),
];

const ALL_MEMBERS: &str = "O(N) where N is the total number of elements in all given sets.";
const SMALLEST: &str =
    "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.";

/// Writes a member.
#[inline]
fn reply_member(reply: &mut Reply, member: Element<'_>) {
    match member {
        Element::Int(number) => reply.bulk_integer(number),
        Element::Str(text) => reply.bulk(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_documented_and_the_rows_are_in_order() {
        assert!(COMMANDS.is_sorted_by_key(|row| row.name));
        for row in COMMANDS {
            let texts = [row.since, row.syntax, row.complexity, row.summary];
            assert!(texts.iter().all(|text| !text.is_empty()), "{}", row.name);
        }
    }
}
