//! `SORT` and `SORT_RO`: the elements of a list, a set or a sorted set in another order, or what is stored under their names.
//!
//! The elements are copied first: looking up what `BY` and `GET` name may remove keys that are due.

mod options;
mod order;
mod pattern;

use crate::commands::string::reply_string;
use crate::commands::{CommandError, CommandResult, Ctx};
use crate::config::KeyspaceEvents;
use crate::keyspace::{Expiry, StringValue, ValueRef};
use crate::resp::{Args, OwnedArgs};
use crate::types::list::{End, List, ListRef};
use crate::types::listpack::Element;
use crate::types::sorted_set::SortedSetRef;
use options::Options;

/// `SORT key [option ...]` -> the elements in order; with `STORE`, how many there are in the list that is now at its key.
/// O(elements + returned * log(returned)).
pub(super) fn sort(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    run(ctx, args.key(1), Options::parse(args.tail(2), true)?)
}

/// `SORT_RO key [option ...]` -> the elements in order. O(elements + returned * log(returned)).
pub(super) fn sort_ro(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    run(ctx, args.key(1), Options::parse(args.tail(2), false)?)
}

fn run(ctx: &mut Ctx<'_>, key: &[u8], mut options: Options<'_>) -> CommandResult {
    let mut elements = OwnedArgs::default();
    if let Some(slot) = ctx.db.find_read(key) {
        let value = ctx.db.database().value(ctx.db.database().entry(slot));
        if options.unsorted && options.store.is_some() && matches!(value, ValueRef::Set(_)) {
            // A set has no order that would be the same on a replica: it gets one.
            (options.unsorted, options.alpha, options.by) = (false, true, None);
        }
        elements = copy_elements(value, &options)?;
    }
    let elements = elements.args();
    if options.unsorted {
        return finish(ctx, elements.iter(), &options);
    }
    let mut items = order::weigh(&mut ctx.db, &elements, &options)?;
    let window = options.window(items.len());
    order::sort(&mut items, window.clone(), &elements, &options);
    finish(ctx, items[window].iter().map(|item| elements.bytes(item.number)), &options)
}

/// The elements to be sorted; of those that stay in their order, the ones that are asked for.
fn copy_elements(value: ValueRef<'_>, options: &Options<'_>) -> Result<OwnedArgs, CommandError> {
    let mut copy = OwnedArgs::default();
    let push = |element: Element<'_>| copy.push(element.text(&mut itoa::Buffer::new()));
    match value {
        ValueRef::List(list) if options.unsorted => each_in_list(list, options, push),
        ValueRef::List(list) => list.iter().for_each(push),
        ValueRef::Set(set) if options.unsorted => {
            let window = options.window(set.len());
            set.iter().skip(window.start).take(window.len()).for_each(push);
        }
        ValueRef::Set(set) => set.iter().for_each(push),
        ValueRef::SortedSet(members) if options.unsorted => each_member(members, options, push),
        ValueRef::SortedSet(members) => members.iter().map(|(member, _)| member).for_each(push),
        ValueRef::String(_) | ValueRef::Hash(_) => return Err(CommandError::WrongType),
    }
    Ok(copy)
}

fn each_in_list(list: ListRef<'_>, options: &Options<'_>, push: impl FnMut(Element<'_>)) {
    let window = options.window(list.len());
    let elements = match options.descending {
        _ if window.is_empty() => return,
        true => list.iter_from(list.len() - 1 - window.start, End::Left),
        false => list.iter_from(window.start, End::Right),
    };
    elements.take(window.len()).for_each(push);
}

fn each_member(members: SortedSetRef<'_>, options: &Options<'_>, push: impl FnMut(Element<'_>)) {
    let (len, window) = (members.len(), options.window(members.len()));
    if options.descending {
        let ranks = len - window.end..len - window.start;
        members.range(ranks).rev().map(|(member, _)| member).for_each(push);
    } else {
        members.range(window).map(|(member, _)| member).for_each(push);
    }
}

fn finish<'e>(
    ctx: &mut Ctx<'_>,
    elements: impl ExactSizeIterator<Item = &'e [u8]>,
    options: &Options<'_>,
) -> CommandResult {
    match options.store {
        None => reply(ctx, elements, options),
        Some(key) => store(ctx, key, elements, options),
    }
    Ok(())
}

fn reply<'e>(
    ctx: &mut Ctx<'_>,
    elements: impl ExactSizeIterator<Item = &'e [u8]>,
    options: &Options<'_>,
) {
    let unsent_max = ctx.server.unsent_max(ctx.token);
    ctx.reply.array(elements.len().saturating_mul(options.get.len().max(1)));
    for element in elements {
        // A few `GET`s multiply what is there. The client is closed for so long a reply: the rest is of no use.
        if ctx.reply.output.len() >= unsent_max {
            return;
        }
        if options.get.is_empty() {
            ctx.reply.bulk(element);
        }
        for pattern in &options.get {
            reply_string(ctx.reply, pattern.look_up(&mut ctx.db, element));
        }
    }
}

fn store<'e>(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    elements: impl ExactSizeIterator<Item = &'e [u8]>,
    options: &Options<'_>,
) {
    let limit = ctx.list_limit();
    let mut list = List::default();
    for element in elements {
        if options.get.is_empty() {
            list.push(End::Right, std::iter::once(element), limit);
        }
        for pattern in &options.get {
            let value = pattern.look_up(&mut ctx.db, element).unwrap_or(StringValue::Bytes(b""));
            let mut buffer = itoa::Buffer::new();
            list.push(End::Right, std::iter::once(value.bytes(&mut buffer)), limit);
        }
    }
    let len = list.len();
    if len > 0 {
        ctx.db.set_collection(key, list, Expiry::Clear);
        ctx.modified(key);
        ctx.notify(KeyspaceEvents::LIST, "sortstore", key);
    } else if ctx.db.delete(key) {
        ctx.modified(key);
        ctx.notify(KeyspaceEvents::GENERIC, "del", key);
    }
    ctx.reply.integer(len as i64);
}

#[cfg(test)]
mod tests {
    use crate::keyspace::Expiry;
    use crate::server::testing::TestServer;
    use crate::types::hash::{FieldExpiry, Hash};
    use crate::types::limits::PackedLimits;
    use crate::types::list::{End, List, NodeLimit};
    use crate::types::sorted_set::SortedSet;

    fn push(redis: &mut TestServer, key: &str, texts: &str) {
        let mut list = List::default();
        list.push(End::Right, texts.split(' ').map(str::as_bytes), NodeLimit::new(-2));
        redis.server.keyspace.db(0).set_collection(key.as_bytes(), list, Expiry::Clear);
    }

    /// What a list holds, which a sort by a constant tells.
    fn elements(redis: &mut TestServer, key: &str) -> String {
        words(&redis.run(&format!("SORT {key} BY nosort")).0)
    }

    /// The strings of a reply.
    fn words(reply: &str) -> String {
        let mut words = reply.split(' ');
        assert!(words.next().unwrap().starts_with('*'), "{reply}");
        let mut strings = Vec::new();
        while let Some(head) = words.next() {
            strings.push(if head == "$-1" { "nil" } else { words.next().unwrap_or("") });
        }
        strings.join(" ")
    }

    #[track_caller]
    fn check(redis: &mut TestServer, line: &str, expected: &str) {
        assert_eq!(words(&redis.run(line).0), expected, "{line}");
    }

    #[test]
    fn numbers_or_texts_are_sorted_up_or_down_and_cut() {
        let mut redis = TestServer::new();
        push(&mut redis, "l", "10 9 -1.5 100 9");
        check(&mut redis, "SORT l", "-1.5 9 9 10 100");
        check(&mut redis, "SORT l DESC", "100 10 9 9 -1.5");
        check(&mut redis, "sort_ro l alpha", "-1.5 10 100 9 9");
        check(&mut redis, "SORT l ALPHA DESC", "9 9 100 10 -1.5");
        check(&mut redis, "SORT l LIMIT 1 2", "9 9");
        check(&mut redis, "SORT l LIMIT 3 -1", "10 100");
        check(&mut redis, "SORT l LIMIT -5 1", "-1.5");
        check(&mut redis, "SORT l DESC LIMIT 0 2", "100 10");
        for nothing in ["LIMIT 5 10", "LIMIT 2 0", "LIMIT 9223372036854775807 9223372036854775807"]
        {
            redis.run(&format!("SORT l {nothing}")).is("*0");
        }
        redis.run("SORT none").is("*0");
        redis.run("SADD s b a c").is(":3");
        check(&mut redis, "SORT s ALPHA", "a b c");
    }

    #[test]
    fn windows_of_a_long_list_are_parts_of_the_whole() {
        let mut redis = TestServer::new();
        let numbers: Vec<String> = (0..500).map(|n| (n * 7919 % 1009).to_string()).collect();
        push(&mut redis, "l", &numbers.join(" "));
        let whole = words(&redis.run("SORT l").0);
        let whole: Vec<&str> = whole.split(' ').collect();
        for (start, count) in [(0, 1), (0, 10), (250, 100), (490, 10), (495, 100), (0, 500)] {
            let end = (start + count).min(500);
            check(
                &mut redis,
                &format!("SORT l LIMIT {start} {count}"),
                &whole[start..end].join(" "),
            );
        }
    }

    #[test]
    fn weights_come_from_strings_or_fields_of_hashes() {
        let mut redis = TestServer::new();
        push(&mut redis, "l", "1 2 3");
        redis.run("MSET w1 3 w2 2 w3 1");
        check(&mut redis, "SORT l BY w*", "3 2 1");
        redis.run("DEL w2");
        check(&mut redis, "SORT l BY w*", "2 3 1");
        check(&mut redis, "SORT l BY w* ALPHA DESC", "1 3 2");
        redis.run("SET w2 x");
        redis.run("SORT l BY w*").is("-ERR One or more scores can't be converted into double");
        check(&mut redis, "SORT l BY w* ALPHA", "3 1 2");
        let limits = crate::types::hash::HashLimits {
            packed: PackedLimits { entries: 9, value_bytes: 99 },
            hash_key: (1, 2),
            now_ms: 0,
        };
        for (element, weight) in [("1", "5"), ("2", "4"), ("3", "4.5")] {
            let mut hash = Hash::new();
            hash.set(b"f", weight.as_bytes(), FieldExpiry::Never, &limits);
            let key = format!("h{element}:");
            redis.server.keyspace.db(0).set_collection(key.as_bytes(), hash, Expiry::Clear);
        }
        check(&mut redis, "SORT l BY h*:->f GET # GET h*:->f GET h*:->no GET h*: GET w*", {
            "2 4 nil nil x 3 4.5 nil nil 1 1 5 nil nil 3"
        });
        check(&mut redis, "SORT l DESC GET const GET w*", "nil 1 nil x nil 3");
    }

    #[test]
    fn equal_weights_fall_back_to_the_elements_or_to_their_order() {
        let mut redis = TestServer::new();
        push(&mut redis, "l", "c a b d");
        check(&mut redis, "SORT l BY none:*", "a b c d");
        check(&mut redis, "SORT l BY none:* DESC", "d c b a");
        check(&mut redis, "SORT l BY none:* ALPHA", "c a b d");
        check(&mut redis, "SORT l BY none:* ALPHA DESC LIMIT 1 2", "a b");
    }

    #[test]
    fn by_a_constant_leaves_the_order_of_lists_and_sorted_sets() {
        let mut redis = TestServer::new();
        push(&mut redis, "l", "c a b d");
        let limits = PackedLimits { entries: 9, value_bytes: 99 };
        let mut members = SortedSet::new(1, 1, limits, (1, 2));
        for (score, member) in ["c", "a", "b", "d"].iter().enumerate() {
            members.set(member.as_bytes(), score as f64, limits, (1, 2));
        }
        redis.server.keyspace.db(0).set_collection(b"z", members, Expiry::Clear);
        for key in ["l", "z"] {
            for (options, expected) in [
                ("BY nosort", "c a b d"),
                ("BY # DESC", "d b a c"),
                ("BY x LIMIT 1 2", "a b"),
                ("BY x DESC LIMIT 1 2", "b a"),
                ("BY x DESC LIMIT 3 9", "c"),
                ("BY x BY w_* LIMIT 1 2", "a b"),
                ("ALPHA", "a b c d"),
            ] {
                check(&mut redis, &format!("SORT {key} {options}"), expected);
            }
            redis.run(&format!("SORT {key} BY x LIMIT 4 9")).is("*0");
            redis.run(&format!("SORT {key} BY x DESC LIMIT 0 0")).is("*0");
        }
        redis.run("SADD s 2 10 1");
        check(&mut redis, "SORT s BY x DESC LIMIT 1 1", "2");
        redis.run("SORT s BY x STORE r").is(":3");
        assert_eq!(elements(&mut redis, "r"), "1 10 2", "a set is stored in the order of texts");
    }

    #[test]
    fn store_makes_a_list_or_removes_what_was_there() {
        let mut redis = TestServer::new();
        push(&mut redis, "l", "2 1");
        redis.run("SET r text EX 100");
        redis.run("SORT l STORE r").is(":2");
        redis.run("TYPE r").is("+list");
        redis.run("TTL r").is(":-1");
        assert_eq!(elements(&mut redis, "r"), "1 2");
        redis.run("SET w1 one");
        redis.run("SORT l GET # GET w* STORE l").is(":4");
        redis.run("SORT l BY nosort").is("*4 $1 1 $3 one $1 2 $0");
        let before = redis.server.state.dirty;
        redis.run("SORT none STORE r").is(":0");
        redis.run("EXISTS r").is(":0");
        redis.run("SORT none STORE r").is(":0");
        assert_eq!(redis.server.state.dirty, before + 1);
        redis.run("SORT_RO l STORE r").is("-ERR syntax error");
    }

    #[test]
    fn refusals_have_redis_texts_and_change_nothing() {
        let mut redis = TestServer::new();
        push(&mut redis, "l", "a 1");
        redis.run("SET text x");
        for line in ["SORT l FOO", "SORT l LIMIT 1", "SORT l BY", "SORT l GET", "SORT l STORE"] {
            redis.run(line).is("-ERR syntax error");
        }
        redis.run("SORT l LIMIT 1 x").is("-ERR value is not an integer or out of range");
        redis.run("SORT l STORE text").is("-ERR One or more scores can't be converted into double");
        redis.run("GET text").is("$1 x");
        redis
            .run("SORT text")
            .is("-WRONGTYPE Operation against a key holding the wrong kind of value");
    }

    #[test]
    fn getkeys_finds_the_last_key_to_store_to() {
        let mut redis = TestServer::new();
        redis
            .run("COMMAND GETKEYS SORT a BY x GET store LIMIT 1 2 STORE b STORE c")
            .is("*2 $1 a $1 c");
        redis.run("COMMAND GETKEYS SORT a BY store").is("*1 $1 a");
        redis.run("COMMAND GETKEYS SORT_RO a STORE b").is("*1 $1 a");
        redis
            .run("COMMAND GETKEYSANDFLAGS SORT a STORE c")
            .is("*2 *2 $1 a *2 +RO +access *2 $1 c *2 +OW +update");
    }
}
