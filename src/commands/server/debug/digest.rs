//! `DEBUG DIGEST`: what two datasets share when they hold the same, whatever server they are in and however it keeps them.

use crate::commands::{CommandResult, Ctx};
use crate::keyspace::{Database, Entry, ValueRef};
use crate::resp::Args;
use crate::resp::number::format_f64;
use crate::types::digest::{Digest, ObjectType};

/// `DEBUG DIGEST` -> 40 hexadecimal digits. O(data).
pub fn digest(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    let (mut dataset, now_ms) = (Digest::default(), ctx.now_ms());
    let databases = ctx.db.keyspace.databases().iter().enumerate();
    for (index, database) in databases.filter(|(_, database)| !database.is_empty()) {
        dataset.start_db(index as u32);
        for entry in database.entries() {
            let (kind, expires) = attributes(database, entry);
            dataset.add_key(entry.key(), kind, expires, |digest| {
                add_value(digest, database.value(entry), now_ms);
            });
        }
    }
    ctx.reply.simple(&dataset.to_string());
    Ok(())
}

/// `DEBUG DIGEST-VALUE [key ...]` -> of each key the digest of its value; zeros if there is none. O(data).
pub fn digest_value(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let now_ms = ctx.now_ms();
    let database = ctx.db.database(); // as stored: a key that is due still has its value
    ctx.reply.array(args.len() - 2);
    for key in args.iter().skip(2) {
        let mut digest = Digest::default();
        if let Some(slot) = database.find(ctx.db.keyspace.name(key)) {
            let entry = database.entry(slot);
            let (kind, expires) = attributes(database, entry);
            digest.add_object(kind, expires, |digest| {
                add_value(digest, database.value(entry), now_ms);
            });
        }
        ctx.reply.simple(&digest.to_string());
    }
    Ok(())
}

/// Type, and whether the key expires.
fn attributes(database: &Database, entry: Entry<'_>) -> (ObjectType, bool) {
    let kind = match database.value(entry) {
        ValueRef::String(_) => ObjectType::String,
        ValueRef::List(_) => ObjectType::List,
        ValueRef::Set(_) => ObjectType::Set,
        ValueRef::SortedSet(_) => ObjectType::SortedSet,
        ValueRef::Hash(_) => ObjectType::Hash,
    };
    (kind, entry.expire_at_ms().is_some())
}

/// As [`crate::types::digest`] says for each type. That a field of a hash expires does not count, as in Valkey.
fn add_value(digest: &mut Digest, value: ValueRef<'_>, now_ms: i64) {
    let (mut buffer, mut other) = (itoa::Buffer::new(), itoa::Buffer::new());
    match value {
        ValueRef::String(string) => digest.mix(string.bytes(&mut buffer)),
        ValueRef::List(list) => {
            list.iter().for_each(|element| digest.mix(element.text(&mut buffer)))
        }
        ValueRef::Set(set) => set.iter().for_each(|member| digest.xor(member.text(&mut buffer))),
        ValueRef::SortedSet(members) => members.iter().for_each(|(member, score)| {
            digest.xor_element(&[member.text(&mut buffer), &format_f64(score)]);
        }),
        ValueRef::Hash(hash) => hash.iter(now_ms).for_each(|field| {
            digest.xor_element(&[field.name.text(&mut buffer), field.value.text(&mut other)]);
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::debuggable;
    use crate::keyspace::{Expiry, NewString};
    use crate::types::hash::{FieldExpiry, Hash, HashLimits};
    use crate::types::limits::PackedLimits;
    use crate::types::list::{End, List, NodeLimit};
    use crate::types::sorted_set::SortedSet;

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
    fn digests_of_collections_are_those_of_redis_in_every_form() {
        for entries in [0, 9] {
            let packed = PackedLimits { entries, value_bytes: 99 };
            let mut redis = debuggable();
            redis.server.state.config.set_max_listpack_entries = entries as u64;
            redis.run_bytes(&[b"SADD", b"s", b"a", b"5", b""]).is(":3");
            let hash_key = redis.server.keyspace.hash_key();
            let mut db = redis.server.keyspace.db(0);
            let mut list = List::default();
            let texts: [&[u8]; 4] = [b"a", b"5", b"", b"a"];
            list.push(
                End::Right,
                texts.into_iter(),
                NodeLimit::new(if entries == 0 { 1 } else { -2 }),
            );
            db.set_collection(b"l", list, Expiry::Clear);
            let mut members = SortedSet::new(1, 1, packed, hash_key);
            for (member, score) in [("a", 1.5), ("b", 0.1), ("5", 3.0), ("c", f64::INFINITY)] {
                members.set(member.as_bytes(), score, packed, hash_key);
            }
            db.set_collection(b"z", members, Expiry::Clear);
            let (mut hash, limits) = (Hash::new(), HashLimits { packed, hash_key, now_ms: 0 });
            hash.set(b"f", b"v", FieldExpiry::Never, &limits);
            hash.set(b"5", b"7", FieldExpiry::Never, &limits);
            db.set_collection(b"h", hash, Expiry::Clear);
            redis.run("DEBUG DIGEST-VALUE l s z h").is(
                "*4 +28e2b91fe193d243a081fbd79dab8a6f077158c4 +4243f6f64054e885b185b58883750e587192e393 \
                 +00c3ea3e0e30ea98d84f8455d0f7740e50f54155 +70794beb367d75c1c1ff75ebed7c3aad63c0f9a8",
            );
            redis.run("DEBUG DIGEST").is("+78894a5c9c4be3930498b95f94b48b212e399d27");
        }
    }
}
