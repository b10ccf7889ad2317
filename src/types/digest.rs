//! Fingerprints of values: `DIGEST` (XXH3 of one string) and `DEBUG DIGEST` (SHA-1 of a whole dataset).
//!
//! `DEBUG DIGEST` is how one tells that two servers hold the same data, so ours is Redis's to the byte (debug.c). Two steps
//! on 20 bytes make all of it: [`Digest::mix`] where order counts, [`Digest::xor`] where it must not. What is mixed for a
//! type is left to that type, by way of [`Digest::add_object`]:
//!
//! | type | value |
//! |---|---|
//! | string | `mix(value)` |
//! | list | `mix(element)` in order |
//! | set | `xor(member)` |
//! | sorted set | `xor_element([member, score as %.17g])` |
//! | hash | `xor_element([field, value])` |
//! | stream | in order `mix("ms.seq")`, then `mix(field)`, `mix(value)` |

use std::fmt;

use sha1::{Digest as _, Sha1};
use xxhash_rust::xxh3::xxh3_64;

/// What is mixed in for a key that expires; when it does, does not matter.
const EXPIRE_MARK: &[u8] = b"!!expire!!";

/// The reply of `DIGEST`, 16 lower-case hexadecimal digits: the 64-bit XXH3 of a string's bytes. O(length).
#[must_use]
pub fn string_digest(value: &[u8]) -> String {
    format!("{:016x}", xxh3_64(value))
}

/// Redis's numbers for the types, as they enter a digest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum ObjectType {
    /// A string, however encoded.
    String = 0,
    /// A list.
    List = 1,
    /// A set.
    Set = 2,
    /// A sorted set.
    SortedSet = 3,
    /// A hash.
    Hash = 4,
    /// A stream. Number 5 is for the types of modules.
    Stream = 6,
}

/// A digest being computed: 20 bytes, at first all zero, printed in lower-case hexadecimal.
///
/// A key that does not exist has the digest of zeros.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Digest([u8; 20]);

impl Digest {
    /// Adds data among which order does not count: `digest ^= SHA1(data)`.
    pub fn xor(&mut self, data: &[u8]) {
        let hash: [u8; 20] = Sha1::digest(data).into();
        for (byte, hashed) in self.0.iter_mut().zip(hash) {
            *byte ^= hashed;
        }
    }

    /// Adds data in order: `digest = SHA1(digest ^ SHA1(data))`.
    pub fn mix(&mut self, data: &[u8]) {
        self.xor(data);
        self.0 = Sha1::digest(self.0).into();
    }

    /// Adds one of many elements without order, whose own parts have one: a field and its value.
    pub fn xor_element(&mut self, parts: &[&[u8]]) {
        let mut element = Self::default();
        for part in parts {
            element.mix(part);
        }
        self.xor(&element.0);
    }

    /// Adds a value: its type, what `add_value` adds, and whether it expires. On a new digest: `DEBUG DIGEST-VALUE`.
    pub fn add_object(
        &mut self,
        object_type: ObjectType,
        expires: bool,
        add_value: impl FnOnce(&mut Self),
    ) {
        self.mix(&(object_type as u32).to_be_bytes());
        add_value(self);
        if expires {
            self.xor(EXPIRE_MARK);
        }
    }

    /// For `DEBUG DIGEST`: begins a database that has keys. Databases come in the order of their numbers.
    pub fn start_db(&mut self, db_index: u32) {
        self.mix(&db_index.to_be_bytes());
    }

    /// For `DEBUG DIGEST`: adds one key of the database begun last, in any order. Arguments as for `add_object`.
    pub fn add_key(
        &mut self,
        key: &[u8],
        object_type: ObjectType,
        expires: bool,
        add_value: impl FnOnce(&mut Self),
    ) {
        let mut entry = Self::default();
        entry.mix(key);
        entry.add_object(object_type, expires, add_value);
        self.xor(&entry.0);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The digests below are the answers of Redis 7.0.15.

    fn value(object_type: ObjectType, add_value: impl FnOnce(&mut Digest)) -> String {
        let mut digest = Digest::default();
        digest.add_object(object_type, false, add_value);
        digest.to_string()
    }

    /// Database 0: three strings and one that expires.
    fn add_strings(dataset: &mut Digest) {
        let entries: [(&[u8], &[u8], bool); 4] = [
            (b"volatile", b"x", true),
            (b"empty", b"", false),
            (b"text", b"Hello world", false),
            (b"number", b"12345", false),
        ];
        dataset.start_db(0);
        for (key, value, expires) in entries {
            dataset.add_key(key, ObjectType::String, expires, |digest| digest.mix(value));
        }
    }

    #[test]
    fn string_digest_is_xxh3_in_sixteen_digits() {
        assert_eq!(string_digest(b"Hello world"), "b6acb9d84a38ff74"); // the example of redis.io
        assert_eq!(string_digest(b""), "2d06800538d394c2");
        let short =
            (0..1000).map(|n: i32| n.to_string()).find(|text| xxh3_64(text.as_bytes()) >> 60 == 0);
        assert_eq!(string_digest(short.expect("one in sixteen").as_bytes()).len(), 16);
    }

    #[test]
    fn strings_have_the_digests_of_redis() {
        let string = |bytes: &[u8]| value(ObjectType::String, |digest| digest.mix(bytes));
        assert_eq!(string(b"Hello world"), "46c8521b62efb70c938538a44e81709d75b724e3");
        assert_eq!(string(b"12345"), "e1cf90774e995ae03de66e8109dc5cb9d9c2dc83");
        assert_eq!(string(b""), "8b3447c33a834b810e3e181b6fd6a2ee1020921c");
        let mut volatile = Digest::default();
        volatile.add_object(ObjectType::String, true, |digest| digest.mix(b"x"));
        assert_eq!(volatile.to_string(), "0745672cb1bf060476eedeb8a28f5ffe1ff5a2be");
        assert_eq!(Digest::default().to_string(), "0".repeat(40));
    }

    #[test]
    fn collections_have_the_digests_of_redis() {
        let list = value(ObjectType::List, |digest| {
            [b"a", b"b", b"7"].into_iter().for_each(|e| digest.mix(e))
        });
        assert_eq!(list, "0f7e0c22324402ffb83715eb3be2870ba4e186e2");
        let set = value(ObjectType::Set, |digest| {
            [b"y", b"1", b"x"].into_iter().for_each(|m| digest.xor(m))
        });
        assert_eq!(set, "03ee76a1ebe8db27d61b3ea784011d5acc537675");
        let sorted_set = value(ObjectType::SortedSet, |digest| {
            digest.xor_element(&[b"b", b"2"]);
            digest.xor_element(&[b"a", b"1.5"]);
        });
        assert_eq!(sorted_set, "445b877af3c3ec83af30529ddbbdda3185172254");
        let hash = value(ObjectType::Hash, |digest| {
            digest.xor_element(&[b"g", b"10"]);
            digest.xor_element(&[b"f", b"v"]);
        });
        assert_eq!(hash, "b78da3e453d3406f300e52821aa4b19724cfdb53");
        let stream = value(ObjectType::Stream, |digest| {
            [&b"1.2"[..], b"f", b"v"].into_iter().for_each(|part| digest.mix(part));
        });
        assert_eq!(stream, "e447c781d6afa47d4b7e754569e4d422c853f851");
    }

    #[test]
    fn a_dataset_has_the_digest_of_redis_in_any_order_of_keys() {
        let mut dataset = Digest::default();
        add_strings(&mut dataset);
        assert_eq!(dataset.to_string(), "57bfcd1bf45dfcebe8c2b2a79911ca947f15f2ae");
        dataset.start_db(3);
        dataset.add_key(b"text", ObjectType::String, false, |digest| digest.mix(b"other"));
        assert_eq!(dataset.to_string(), "8d6861f614db656fb5189f888781824843a8cb60");
    }
}
