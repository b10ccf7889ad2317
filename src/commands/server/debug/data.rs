//! The data as it is stored: encodings, sizes, and many keys at once.

use crate::commands::{CommandError, CommandResult, Ctx};
use crate::keyspace::{Expiry, NewString, StringValue, ValueRef};
use crate::resp::Args;
use crate::resp::number::{parse_i64, parse_memory};
use crate::types::hash::HashRef;
use crate::types::list::{Block, ListRef};
use crate::types::listpack::Element;
use crate::types::set::SetRef;
use crate::types::sorted_set::SortedSetRef;

const NOT_POSITIVE: CommandError =
    CommandError::Text("ERR value is out of range, must be positive");

/// `DEBUG HTSTATS dbid` -> size of the index and of what expires, in words. O(1).
pub fn htstats(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let index = parse_i64(args.bytes(2)).ok_or(CommandError::NotAnInteger)?;
    let databases = ctx.db.keyspace.databases();
    let database = usize::try_from(index).ok().and_then(|index| databases.get(index));
    let database = database.ok_or(CommandError::Text("ERR Out of range database"))?;
    // Expire times live in the entries and their hints in the index: they take no table.
    let text = format!(
        "[Dictionary HT]\n{}[Expires HT]\n{}",
        table_stats(database.len(), database.index_bytes()),
        table_stats(database.keys_with_expiry(), 0)
    );
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// `DEBUG HTSTATS-KEY key` -> size of the hash table that the value is, in words. O(1).
pub fn htstats_key(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let slot = ctx.db.find(args.key(2)).ok_or(CommandError::NoSuchKey)?;
    let database = ctx.db.database();
    let len = match database.value(database.entry(slot)) {
        ValueRef::Set(set @ SetRef::Table(_)) => set.len(),
        ValueRef::Hash(hash @ HashRef::Table(_)) => hash.len(),
        ValueRef::SortedSet(members @ SortedSetRef::Tree(_)) => members.len(),
        _ => {
            return Err(CommandError::Text(
                "ERR The value stored at the specified key is not represented using an hash table",
            ));
        }
    };
    let text = table_stats(len, database.key_memory_bytes(slot));
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn table_stats(elements: usize, bytes: usize) -> String {
    match elements {
        0 => "No stats available for empty dictionaries\n".to_string(),
        _ => format!(
            " number of elements: {elements}\n bytes: {bytes}\n bytes per element: {:.2}\n",
            bytes as f64 / elements as f64
        ),
    }
}

/// `DEBUG OBJECT key` -> where and how the value is stored. O(value).
pub fn object(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let database = ctx.db.database();
    let slot = database.find(ctx.db.keyspace.name(args.key(2))).ok_or(CommandError::NoSuchKey)?;
    let entry = database.entry(slot);
    let idle_seconds = ctx.db.keyspace.policy.idle_seconds(entry.access(), ctx.db.now_ms());
    let value = database.value(entry);
    let text = format!(
        "Value at:{:p} refcount:1 encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{idle_seconds}{}",
        entry.value().as_ptr(),
        database.encoding_name(slot),
        serialized_len(value),
        entry.access(),
        list_nodes(value, ctx.server.config.list_max_listpack_size),
    );
    ctx.reply.simple(&text);
    Ok(())
}

/// What is told of a list in several nodes.
fn list_nodes(value: ValueRef<'_>, node_max: i32) -> String {
    let ValueRef::List(list @ ListRef::Chain(_)) = value else { return String::new() };
    let (nodes, bytes) = list.blocks().fold((0usize, 0), |(nodes, bytes), block| {
        let (Block::Packed(block) | Block::Plain(block)) = block;
        (nodes + 1, bytes + block.len())
    });
    let average = list.len() as f64 / nodes as f64;
    format!(
        " ql_nodes:{nodes} ql_avg_node:{average:.2} ql_listpack_max:{node_max} ql_compressed:0 ql_uncompressed_size:{bytes}"
    )
}

/// Bytes of a value in an RDB file that is not compressed.
fn serialized_len(value: ValueRef<'_>) -> usize {
    let strings = |strings: &mut dyn Iterator<Item = Element<'_>>, len: usize| {
        length_len(len) + strings.map(element_len).sum::<usize>()
    };
    match value {
        ValueRef::String(string) => string_len(string),
        ValueRef::List(list) => {
            let blocks = list.blocks().map(|block| match block {
                Block::Packed(bytes) | Block::Plain(bytes) => 1 + blob_len(bytes.len()),
            });
            length_len(list.blocks().count()) + blocks.sum::<usize>()
        }
        ValueRef::Set(SetRef::Intset(bytes) | SetRef::Packed(bytes))
        | ValueRef::SortedSet(SortedSetRef::Packed(bytes))
        | ValueRef::Hash(HashRef::Packed(bytes) | HashRef::PackedEx(bytes)) => {
            blob_len(bytes.len())
        }
        ValueRef::Set(set) => strings(&mut set.iter(), set.len()),
        ValueRef::SortedSet(members) => {
            strings(&mut members.iter().map(|(member, _)| member), members.len())
                + 8 * members.len()
        }
        ValueRef::Hash(hash) => {
            strings(&mut hash.iter_all().flat_map(|field| [field.name, field.value]), hash.len())
        }
    }
}

fn element_len(element: Element<'_>) -> usize {
    string_len(match element {
        Element::Int(number) => StringValue::Int(number),
        Element::Str(text) => StringValue::Bytes(text),
    })
}

/// Bytes of a string; one that looks like a number of up to 32 bits is written as one.
fn string_len(value: StringValue<'_>) -> usize {
    let number = match value {
        StringValue::Int(number) => Some(number),
        _ if value.len() <= 11 => parse_i64(&value.to_vec()),
        _ => None,
    };
    let fits = |number: i64, bits: u32| (-(1 << (bits - 1))..1 << (bits - 1)).contains(&number);
    match number {
        Some(number) if fits(number, 8) => 2,
        Some(number) if fits(number, 16) => 3,
        Some(number) if fits(number, 32) => 5,
        _ => blob_len(value.len()),
    }
}

fn blob_len(len: usize) -> usize {
    length_len(len) + len
}

/// Bytes of a length.
fn length_len(len: usize) -> usize {
    match len {
        0..64 => 1,
        64..16_384 => 2,
        _ if u32::try_from(len).is_ok() => 5,
        _ => 9,
    }
}

/// `DEBUG POPULATE count [prefix] [size]` -> `+OK`: there are now keys `prefix:0` to `prefix:count-1`. O(count * size).
pub fn populate(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let positive = |text| parse_i64(text).and_then(|n| u64::try_from(n).ok()).ok_or(NOT_POSITIVE);
    let count = positive(args.bytes(2))?;
    let prefix = args.get(3).unwrap_or(b"key");
    let size = args.get(4).map_or(Ok(0), positive)?;
    if size > ctx.server.config.proto_max_bulk_len {
        return Err(CommandError::StringTooLong);
    }
    let mut buffer = itoa::Buffer::new();
    for number in 0..count {
        let number = buffer.format(number).as_bytes();
        let key = [prefix, b":", number].concat();
        if ctx.db.find(&key).is_some() {
            continue;
        }
        let mut value = [b"value:", number].concat();
        if size > 0 {
            value.resize(size as usize, 0);
        }
        ctx.db.set_string(&key, NewString::Bytes(&value), Expiry::Clear);
        ctx.modified(&key);
        ctx.propagate(&[b"SET", &key, &value]);
    }
    ctx.reply.ok();
    Ok(())
}

/// Lengths in a listpack have 32 bits; elements from this length on could be too much for one.
const PACKED_THRESHOLD_MAX: u64 = (1 << 32) - (1 << 20);

/// `DEBUG QUICKLIST-PACKED-THRESHOLD size` -> `+OK`: list elements of that length are nodes of their own from now on. O(1).
pub fn quicklist_packed_threshold(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let size = parse_memory(args.bytes(2)).filter(|&size| size <= PACKED_THRESHOLD_MAX);
    let size = size.and_then(|size| usize::try_from(size).ok()).ok_or(BAD_THRESHOLD)?;
    ctx.server.list_packed_threshold = (size > 0).then_some(size);
    ctx.reply.ok();
    Ok(())
}

const BAD_THRESHOLD: CommandError =
    CommandError::Text("ERR argument must be a memory value bigger than 1 and smaller than 4gb");

#[cfg(test)]
mod tests {
    use super::super::tests::debuggable;

    #[test]
    fn populate_makes_keys_and_leaves_those_that_are_there() {
        let mut redis = debuggable();
        redis.run("SET key:1 mine").is("+OK");
        redis.run("DEBUG POPULATE 3").is("+OK");
        redis.run("DBSIZE").is(":3");
        redis.run("GET key:1").is("$4 mine");
        redis.run("GET key:2").is("$7 value:2");
        redis.run("DEBUG POPULATE 1 p 9").is("+OK");
        redis.run("GET p:0").is("$9 value:0\0\0");
        redis.run("DEBUG POPULATE 1 q 3").is("+OK");
        redis.run("GET q:0").is("$3 val");
    }

    #[test]
    fn populate_refuses_what_cannot_be() {
        let mut redis = debuggable();
        for line in ["DEBUG POPULATE -1", "DEBUG POPULATE x", "DEBUG POPULATE 1 p -1"] {
            redis.run(line).is("-ERR value is out of range, must be positive");
        }
        redis
            .run("DEBUG POPULATE 1 p 9223372036854775807")
            .is("-ERR string exceeds maximum allowed size (proto-max-bulk-len)");
        redis.run("DBSIZE").is(":0");
    }

    #[test]
    fn object_tells_how_a_value_is_stored() {
        let mut redis = debuggable();
        redis.run("DEBUG OBJECT k").is("-ERR no such key");
        let mut object = |value: &[u8]| {
            redis.run_bytes(&[b"SET", b"k", value]).is("+OK");
            let text = redis.run("DEBUG OBJECT k").0;
            let from = text.find("refcount").unwrap();
            text[from..text.find(" lru:").unwrap()].to_string()
        };
        assert_eq!(object(b"123"), "refcount:1 encoding:int serializedlength:2");
        assert_eq!(object(b"-70000"), "refcount:1 encoding:int serializedlength:5");
        assert_eq!(object(b"b"), "refcount:1 encoding:embstr serializedlength:2");
        assert_eq!(object(&[b'x'; 100]), "refcount:1 encoding:raw serializedlength:102");
        redis.advance_ms(5000);
        assert!(redis.run("DEBUG OBJECT k").0.ends_with(" lru_seconds_idle:5"));
    }

    #[test]
    fn object_tells_the_form_and_the_length_of_collections() {
        let mut redis = debuggable();
        let mut object = |line: &str| {
            redis.run("DEL k");
            redis.run(line).starts(":");
            let text = redis.run("DEBUG OBJECT k").0;
            text[text.find("encoding").unwrap()..text.find(" lru:").unwrap()].to_string()
        };
        assert_eq!(object("SADD k 1 2 3"), "encoding:intset serializedlength:15");
        assert_eq!(object("SADD k a b 3"), "encoding:listpack serializedlength:16");
        let long = "x".repeat(100);
        assert_eq!(
            object(&format!("SADD k a 300 {long}")),
            "encoding:hashtable serializedlength:108"
        );
        redis.run("SADD k a b");
        redis.run("SORT k ALPHA STORE l").is(":4");
        assert!(redis.run("DEBUG OBJECT l").0.contains("encoding:listpack "));
        redis.run("CONFIG SET list-max-listpack-size 1");
        redis.run("SORT k ALPHA STORE l");
        let text = redis.run("DEBUG OBJECT l").0;
        assert!(text.ends_with(" ql_nodes:4 ql_avg_node:1.00 ql_listpack_max:1 ql_compressed:0 ql_uncompressed_size:140"), "{text}");
    }

    #[test]
    fn htstats_key_tells_of_tables_only() {
        let mut redis = debuggable();
        redis.run("DEBUG HTSTATS-KEY none").is("-ERR no such key");
        redis.run("SADD small 1 2");
        redis.run("DEBUG HTSTATS-KEY small").is(
            "-ERR The value stored at the specified key is not represented using an hash table",
        );
        redis.run("CONFIG SET set-max-intset-entries 1");
        redis.run("CONFIG SET set-max-listpack-entries 1");
        redis.run("SADD big 1 2");
        assert!(redis.run("DEBUG HTSTATS-KEY big").0.contains(" number of elements: 2\n"));
    }

    #[test]
    fn htstats_tells_of_one_database() {
        let mut redis = debuggable();
        let empty = "No stats available for empty dictionaries\n";
        redis
            .run("DEBUG HTSTATS 0")
            .is(&format!("$113 [Dictionary HT]\n{empty}[Expires HT]\n{empty}"));
        redis.run("SET k v").is("+OK");
        assert!(redis.run("DEBUG HTSTATS 0").0.contains(" number of elements: 1\n"));
        redis.run("DEBUG HTSTATS 16").is("-ERR Out of range database");
        redis.run("DEBUG HTSTATS -1").is("-ERR Out of range database");
        redis.run("DEBUG HTSTATS x").is("-ERR value is not an integer or out of range");
    }

    #[test]
    fn the_packed_threshold_makes_small_elements_nodes_of_their_own() {
        let mut redis = debuggable();
        redis.run("DEBUG QUICKLIST-PACKED-THRESHOLD 5b").is("+OK");
        redis.run("RPUSH l abcd abcde").is(":2");
        redis.run("OBJECT ENCODING l").is("$8 listpack");
        redis.run("CONFIG SET list-max-listpack-size 2").is("+OK");
        redis.run("RPUSH l x y abcdef").is(":5");
        redis.run("LRANGE l 0 -1").is("*5 $4 abcd $5 abcde $1 x $1 y $6 abcdef");
        redis.run("DEBUG QUICKLIST-PACKED-THRESHOLD 0").is("+OK");
        for size in ["x", "4gb", "-1", "4293918721"] {
            redis
                .run(&format!("DEBUG QUICKLIST-PACKED-THRESHOLD {size}"))
                .is("-ERR argument must be a memory value bigger than 1 and smaller than 4gb");
        }
    }
}
