//! The data as it is stored: digests, encodings, sizes, and many keys at once.

use crate::commands::{CommandError, CommandResult, Ctx};
use crate::keyspace::{Database, Entry, Expiry, NewString, StringValue};
use crate::resp::Args;
use crate::resp::number::{parse_i64, parse_memory};
use crate::types::digest::{Digest, ObjectType};

const NOT_POSITIVE: CommandError =
    CommandError::Text("ERR value is out of range, must be positive");

/// `DEBUG DIGEST` -> 40 hexadecimal digits that two datasets share when they hold the same. O(data).
pub fn digest(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    let mut dataset = Digest::default();
    let databases = ctx.db.keyspace.databases().iter().enumerate();
    for (index, database) in databases.filter(|(_, database)| !database.is_empty()) {
        dataset.start_db(index as u32);
        for entry in database.entries() {
            let expires = entry.expire_at_ms().is_some();
            dataset.add_key(entry.key(), ObjectType::String, expires, |digest| {
                add_value(digest, database, entry);
            });
        }
    }
    ctx.reply.simple(&dataset.to_string());
    Ok(())
}

/// `DEBUG DIGEST-VALUE [key ...]` -> of each key the digest of its value; zeros if there is none. O(data).
pub fn digest_value(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let database = ctx.db.database(); // as stored: a key that is due still has its value
    ctx.reply.array(args.len() - 2);
    for key in args.iter().skip(2) {
        let mut digest = Digest::default();
        if let Some(slot) = database.find(ctx.db.keyspace.name(key)) {
            let entry = database.entry(slot);
            let expires = entry.expire_at_ms().is_some();
            digest.add_object(ObjectType::String, expires, |digest| {
                add_value(digest, database, entry);
            });
        }
        ctx.reply.simple(&digest.to_string());
    }
    Ok(())
}

fn add_value(digest: &mut Digest, database: &Database, entry: Entry<'_>) {
    let value = database.entry_string(entry).expect("there are only strings");
    digest.mix(value.bytes(&mut itoa::Buffer::new()));
}

/// `DEBUG HTSTATS dbid` -> size of the index and of what expires, in words. O(1).
pub fn htstats(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let index = parse_i64(args.bytes(2)).ok_or(CommandError::NotAnInteger)?;
    let databases = ctx.db.keyspace.databases();
    let database = usize::try_from(index).ok().and_then(|index| databases.get(index));
    let database = database.ok_or(CommandError::Text("ERR Out of range database"))?;
    let table = |elements: usize, bytes: usize| match elements {
        0 => "No stats available for empty dictionaries\n".to_string(),
        _ => format!(
            " number of elements: {elements}\n bytes: {bytes}\n bytes per element: {:.2}\n",
            bytes as f64 / elements as f64
        ),
    };
    // Expire times live in the entries and their hints in the index: they take no table.
    let text = format!(
        "[Dictionary HT]\n{}[Expires HT]\n{}",
        table(database.len(), database.index_bytes()),
        table(database.keys_with_expiry(), 0)
    );
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// `DEBUG OBJECT key` -> where and how the value is stored. O(1).
pub fn object(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let database = ctx.db.database();
    let slot = database.find(ctx.db.keyspace.name(args.key(2))).ok_or(CommandError::NoSuchKey)?;
    let entry = database.entry(slot);
    let idle_seconds = ctx.db.keyspace.policy.idle_seconds(entry.access(), ctx.db.now_ms());
    let text = format!(
        "Value at:{:p} refcount:1 encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{idle_seconds}",
        entry.value().as_ptr(),
        database.encoding_name(slot),
        serialized_len(database.string(slot)?),
        entry.access(),
    );
    ctx.reply.simple(&text);
    Ok(())
}

/// Bytes of a string in an RDB file that is not compressed.
fn serialized_len(value: StringValue<'_>) -> usize {
    let number = match value {
        StringValue::Int(number) => Some(number),
        _ if value.len() <= 11 => parse_i64(&value.to_vec()),
        _ => None,
    };
    let fits = |number: i64, bits: u32| (-(1 << (bits - 1))..1 << (bits - 1)).contains(&number);
    match (number, value.len()) {
        (Some(number), _) if fits(number, 8) => 2,
        (Some(number), _) if fits(number, 16) => 3,
        (Some(number), _) if fits(number, 32) => 5,
        (_, len @ 0..64) => 1 + len,
        (_, len @ 64..16_384) => 2 + len,
        (_, len) if u32::try_from(len).is_ok() => 5 + len,
        (_, len) => 9 + len,
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
    use super::*;

    #[test]
    fn digests_are_those_of_redis() {
        let mut redis = debuggable();
        redis.run("DEBUG DIGEST").is(&format!("+{}", "0".repeat(40)));
        let mut db = redis.server.keyspace.db(0);
        db.set_string(b"volatile", NewString::Bytes(b"x"), Expiry::At(i64::MAX));
        db.set_string(b"empty", NewString::Bytes(b""), Expiry::Clear);
        redis.run_bytes(&[b"SET", b"text", b"Hello world"]).is("+OK");
        redis.run("SET number 12345").is("+OK");
        redis.run("DEBUG DIGEST").is("+57bfcd1bf45dfcebe8c2b2a79911ca947f15f2ae");
        redis.run("DEBUG DIGEST-VALUE number volatile none").is(&format!(
            "*3 +e1cf90774e995ae03de66e8109dc5cb9d9c2dc83 +0745672cb1bf060476eedeb8a28f5ffe1ff5a2be +{}",
            "0".repeat(40)
        ));
        redis.run("DEBUG DIGEST-VALUE").is("*0");
    }

    #[test]
    fn a_digest_tells_databases_apart() {
        let mut redis = debuggable();
        redis.run("SET k v").is("+OK");
        let before = redis.run("DEBUG DIGEST").0;
        redis.run("SWAPDB 0 1").is("+OK");
        assert_ne!(redis.run("DEBUG DIGEST").0, before);
    }

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
