//! Lists: elements in the order in which they were added, at either end. Those that wait for elements are here, too; how
//! waiting works is in `server/blocking`.

mod edit;
mod moving;
mod pop;
mod position;
mod push;
mod read;

use super::table::*;
use super::{Command, CommandError, Ctx};
use crate::config::KeyspaceEvents;
use crate::resp::Reply;
use crate::types::list::End;
use crate::types::listpack::Element;
use Arity::{AtLeast, Exactly};

const ADD: Flags = WRITE.and(DENYOOM).and(FAST);
/// Slow by Redis's flags, but in truth like the fast ones.
const MOVE: Flags = WRITE.and(DENYOOM).and(QUICK);
const WAIT: Flags = WRITE.and(BLOCKING);

const READ_ONLY: &[KeySpec] = &[one(RO.and(ACCESS))];
const ADDED_TO: &[KeySpec] = &[one(RW.and(INSERT))];
const POPPED: &[KeySpec] = &[one(RW.and(ACCESS).and(DELETE))];
const MANY_POPPED: &[KeySpec] = &[KeySpec::Range {
    first: 1,
    last: -2, // behind them is a timeout
    step: 1,
    flags: RW.and(ACCESS).and(DELETE),
}];
const MOVED: &[KeySpec] = &[one(RW.and(ACCESS).and(DELETE)), at(2, RW.and(INSERT))];

/// The group's rows.
pub const COMMANDS: &[Command] = &[
    command("blmove", Exactly(6), WAIT.and(DENYOOM), MOVED, moving::blmove).docs(
        "6.2.0",
        "source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout",
        "O(1)",
        "Pops an element from a list, pushes it to another list and returns it. Blocks until an element is available otherwise. Deletes the list if the last element was moved.",
    ),
    command("blmpop", AtLeast(5), WAIT, &[counted(2, 1, RW.and(ACCESS).and(DELETE))], pop::blmpop).docs(
        "7.0.0",
        "timeout numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
        "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
        "Pops the first element from one of multiple lists. Blocks until an element is available otherwise. Deletes the list if the last element was popped.",
    ),
    command("blpop", AtLeast(3), WAIT, MANY_POPPED, pop::blpop).docs(
        "2.0.0",
        "key [key ...] timeout",
        "O(N) where N is the number of provided keys.",
        "Removes and returns the first element in a list. Blocks until an element is available otherwise. Deletes the list if the last element was popped.",
    ),
    command("brpop", AtLeast(3), WAIT, MANY_POPPED, pop::brpop).docs(
        "2.0.0",
        "key [key ...] timeout",
        "O(N) where N is the number of provided keys.",
        "Removes and returns the last element in a list. Blocks until an element is available otherwise. Deletes the list if the last element was popped.",
    ),
    command("brpoplpush", Exactly(4), WAIT.and(DENYOOM), MOVED, moving::brpoplpush).docs(
        "2.2.0",
        "source destination timeout",
        "O(1)",
        "Pops an element from a list, pushes it to another list and returns it. Blocks until an element is available otherwise. Deletes the list if the last element was popped.",
    ),
    command("lindex", Exactly(3), READ, READ_ONLY, read::lindex).docs(
        "1.0.0",
        "key index",
        "O(N) where N is the number of elements to traverse to get to the element at index. This makes asking for the first or the last element of the list O(1).",
        "Returns an element from a list by its index.",
    ),
    command("linsert", Exactly(5), WRITE.and(DENYOOM), ADDED_TO, edit::linsert).docs(
        "2.2.0",
        "key <BEFORE | AFTER> pivot element",
        "O(N) where N is the number of elements to traverse before seeing the value pivot. This means that inserting somewhere on the left end on the list (head) can be considered O(1) and inserting somewhere on the right end (tail) is O(N).",
        "Inserts an element before or after another element in a list.",
    ),
    command("llen", Exactly(2), READ.and(FAST), &[one(RO)], read::llen).docs(
        "1.0.0",
        "key",
        "O(1)",
        "Returns the length of a list.",
    ),
    command("lmove", Exactly(5), MOVE, MOVED, moving::lmove).docs(
        "6.2.0",
        "source destination <LEFT | RIGHT> <LEFT | RIGHT>",
        "O(1)",
        "Returns an element after popping it from one list and pushing it to another. Deletes the list if the last element was moved.",
    ),
    command("lmpop", AtLeast(4), WRITE, &[counted(1, 1, RW.and(ACCESS).and(DELETE))], pop::lmpop).docs(
        "7.0.0",
        "numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
        "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
        "Returns multiple elements from a list after removing them. Deletes the list if the last element was popped.",
    ),
    command("lpop", AtLeast(2), WRITE.and(FAST), POPPED, pop::lpop).docs(
        "1.0.0",
        "key [count]",
        "O(N) where N is the number of elements returned",
        "Returns and removes one or more elements from the beginning of a list. Deletes the list if the last element was popped.",
    ),
    command("lpos", AtLeast(3), READ, READ_ONLY, position::lpos).docs(
        "6.0.6",
        "key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
        "O(N) where N is the number of elements in the list, for the average case. When searching for elements near the head or the tail of the list, or when the MAXLEN option is provided, the command may run in constant time.",
        "Returns the index of matching elements in a list.",
    ),
    command("lpush", AtLeast(3), ADD, ADDED_TO, push::lpush).docs(
        "1.0.0",
        "key element [element ...]",
        PUSH_COMPLEXITY,
        "Prepends one or more elements to a list. Creates the key if it doesn't exist.",
    ),
    command("lpushx", AtLeast(3), ADD, ADDED_TO, push::lpushx).docs(
        "2.2.0",
        "key element [element ...]",
        PUSH_COMPLEXITY,
        "Prepends one or more elements to a list only when the list exists.",
    ),
    command("lrange", Exactly(4), READ, READ_ONLY, read::lrange).docs(
        "1.0.0",
        "key start stop",
        "O(S+N) where S is the distance of start offset from HEAD for small lists, from nearest end (HEAD or TAIL) for large lists; and N is the number of elements in the specified range.",
        "Returns a range of elements from a list.",
    ),
    command("lrem", Exactly(4), WRITE, &[one(RW.and(DELETE))], edit::lrem).docs(
        "1.0.0",
        "key count element",
        "O(N+M) where N is the length of the list and M is the number of elements removed.",
        "Removes elements from a list. Deletes the list if the last element was removed.",
    ),
    command("lset", Exactly(4), WRITE.and(DENYOOM), &[one(RW.and(UPDATE))], edit::lset).docs(
        "1.0.0",
        "key index element",
        "O(N) where N is the length of the list. Setting either the first or the last element of the list is O(1).",
        "Sets the value of an element in a list by its index.",
    ),
    command("ltrim", Exactly(4), WRITE, &[one(RW.and(DELETE))], edit::ltrim).docs(
        "1.0.0",
        "key start stop",
        "O(N) where N is the number of elements to be removed by the operation.",
        "Removes elements from both ends of a list. Deletes the list if all elements were trimmed.",
    ),
    command("rpop", AtLeast(2), WRITE.and(FAST), POPPED, pop::rpop).docs(
        "1.0.0",
        "key [count]",
        "O(N) where N is the number of elements returned",
        "Returns and removes one or more elements from the end of a list. Deletes the list if the last element was popped.",
    ),
    command("rpoplpush", Exactly(3), MOVE, MOVED, moving::rpoplpush).docs(
        "1.2.0",
        "source destination",
        "O(1)",
        "Returns the last element of a list after removing and pushing it to another list. Deletes the list if the last element was popped.",
    ),
    command("rpush", AtLeast(3), ADD, ADDED_TO, push::rpush).docs(
        "1.0.0",
        "key element [element ...]",
        PUSH_COMPLEXITY,
        "Appends one or more elements to a list. Creates the key if it doesn't exist.",
    ),
    command("rpushx", AtLeast(3), ADD, ADDED_TO, push::rpushx).docs(
        "2.2.0",
        "key element [element ...]",
        PUSH_COMPLEXITY,
        "Appends one or more elements to a list only when the list exists.",
    ),
];

const PUSH_COMPLEXITY: &str = "O(1) for each element added, so O(N) to add N elements when the \
    command is called with multiple arguments.";

/// Reads `LEFT` or `RIGHT`.
fn parse_end(argument: &[u8]) -> Result<End, CommandError> {
    match argument {
        left if left.eq_ignore_ascii_case(b"left") => Ok(End::Left),
        right if right.eq_ignore_ascii_case(b"right") => Ok(End::Right),
        _ => Err(CommandError::Syntax),
    }
}

fn reply_element(reply: &mut Reply, element: Element<'_>) {
    match element {
        Element::Int(number) => reply.bulk_integer(number),
        Element::Str(text) => reply.bulk(text),
    }
}

/// Tells of an element pushed to an end. What waits for the key learns of it by `modified`.
fn pushed(ctx: &mut Ctx<'_>, key: &[u8], end: End) {
    ctx.modified(key);
    let event = if end == End::Left { "lpush" } else { "rpush" };
    ctx.notify(KeyspaceEvents::LIST, event, key);
}

/// Tells of elements popped from an end, and that the key is gone if they were the last ones.
fn popped(ctx: &mut Ctx<'_>, key: &[u8], end: End, emptied: bool) {
    ctx.modified(key);
    let event = if end == End::Left { "lpop" } else { "rpop" };
    ctx.notify(KeyspaceEvents::LIST, event, key);
    notify_emptied(ctx, key, emptied);
}

fn notify_emptied(ctx: &mut Ctx<'_>, key: &[u8], emptied: bool) {
    if emptied {
        ctx.notify(KeyspaceEvents::GENERIC, "del", key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::testing::TestServer;

    #[test]
    fn every_command_is_documented_and_the_rows_are_in_order() {
        assert!(COMMANDS.is_sorted_by_key(|row| row.name));
        for row in COMMANDS {
            let texts = [row.since, row.syntax, row.complexity, row.summary];
            assert!(texts.iter().all(|text| !text.is_empty()), "{}", row.name);
        }
    }

    #[test]
    fn the_rows_know_where_the_keys_are() {
        let mut redis = TestServer::new();
        for (line, keys) in [
            ("BLPOP a b 0", "*2 $1 a $1 b"),
            ("BLMOVE a b LEFT RIGHT 0", "*2 $1 a $1 b"),
            ("LMPOP 2 a b LEFT", "*2 $1 a $1 b"),
            ("BLMPOP 0 1 a LEFT COUNT 2", "*1 $1 a"),
            ("LPOS a b", "*1 $1 a"),
        ] {
            redis.run(&format!("COMMAND GETKEYS {line}")).is(keys);
        }
    }

    #[test]
    fn every_command_refuses_another_type_and_changes_nothing() {
        let mut redis = TestServer::new();
        redis.run("SET s v");
        redis.run("RPUSH l a");
        for line in [
            "LPUSH s a",
            "RPUSH s a",
            "LPUSHX s a",
            "RPUSHX s a",
            "LPOP s",
            "RPOP s 2",
            "LPOP s 0",
            "LLEN s",
            "LINDEX s x",
            "LSET s 0 a",
            "LINSERT s BEFORE a b",
            "LRANGE s 0 -1",
            "LREM s 0 a",
            "LTRIM s 0 1",
            "LPOS s a COUNT 0",
            "LMOVE s l LEFT LEFT",
            "LMOVE l s LEFT LEFT",
            "RPOPLPUSH s l",
            "RPOPLPUSH l s",
            "LMPOP 2 none s LEFT",
            "BLMPOP 0 2 none s LEFT",
            "BLPOP none s l 0",
            "BRPOP s 0",
            "BLMOVE s l LEFT LEFT 0",
            "BLMOVE l s LEFT LEFT 0",
            "BRPOPLPUSH s l 0",
            "BRPOPLPUSH l s 0",
        ] {
            redis
                .run(line)
                .is("-WRONGTYPE Operation against a key holding the wrong kind of value");
        }
        redis.run("LRANGE l 0 -1").is("*1 $1 a");
        redis.run("GET s").is("$1 v");
    }
}
