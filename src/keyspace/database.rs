//! One database: an index of keys, the blocks their entries live in, and the values too big for a block.
//!
//! It knows nothing of time: whether a key is expired is for `Db` to say. Blocks are addressed by handle, so an entry
//! can move without anyone but the index noticing.

mod collections;
mod lookup;
mod snapshot;
mod strings;
mod sweep;
mod visit;

pub use lookup::{Candidate, Name};
pub(super) use lookup::{Found, hash};
pub use sweep::Sweep;

use self::snapshot::Snapshot;
pub use self::snapshot::SnapshotSink;
use super::entry::{self, Encoding, Entry, INLINE_MAX, Parts};
use super::object::{Object, Objects};
use super::value::{Type, ValueRef};
use crate::dict::{Arena, Dict, Handle, Slot};

/// The secret that keeps clients from choosing keys that collide.
pub type HashKey = (u64, u64);

/// Values up to this length stay in the block even where a long key makes the entry big.
const SHORT_VALUE: usize = 64;

/// What a key's entry should be like, apart from key and value.
#[derive(Clone, Copy)]
pub struct Attributes {
    /// Unix milliseconds, `None` = never.
    pub expire_at_ms: Option<i64>,
    /// 24 bits of access clock.
    pub access: u32,
}

/// One database.
pub struct Database {
    dict: Dict,
    blocks: Arena,
    objects: Objects,
    hash_key: HashKey,
    keys_with_expiry: usize,
    /// Which database it is, never told twice.
    serial: u32,
    /// What entries that are done with carry, while a snapshot is taken and after it.
    epoch: bool,
    snapshot: Option<Box<Snapshot>>,
    /// Whether a field of a hash ever had an expire time.
    field_expiry: bool,
    /// Where the last scan for keys with an expire time has stopped.
    expiring_cursor: u64,
    scratch: Vec<u8>,
    key_scratch: Vec<u8>,
}

impl Database {
    /// An empty database. `serial` is another for each; `base_ms` is about now: expire times are indexed relative to it.
    pub fn new(serial: u32, hash_key: HashKey, base_ms: i64) -> Self {
        Self {
            dict: Dict::with_base(base_ms),
            blocks: Arena::new(),
            objects: Objects::default(),
            hash_key,
            keys_with_expiry: 0,
            serial,
            epoch: false,
            snapshot: None,
            field_expiry: false,
            expiring_cursor: 0,
            scratch: Vec::new(),
            key_scratch: Vec::new(),
        }
    }

    /// Makes it another database than any that something was looked up in.
    pub fn renumber(&mut self, serial: u32) {
        self.serial = serial;
    }

    /// Number of keys, expired ones that were not found yet included.
    pub fn len(&self) -> usize {
        self.dict.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.dict.len() == 0
    }

    /// Number of keys with an expire time.
    pub fn keys_with_expiry(&self) -> usize {
        self.keys_with_expiry
    }

    /// Whether a field of a hash may have an expire time.
    pub fn has_field_expiry(&self) -> bool {
        self.field_expiry
    }

    /// Bytes of index, blocks and values.
    pub fn memory_bytes(&self) -> usize {
        self.dict.memory_bytes() + self.blocks.resident_bytes() + self.objects.memory_bytes()
    }

    /// Bytes that keys have left and that the next ones will take. O(1).
    pub fn vacant_bytes(&self) -> usize {
        self.blocks.vacant_bytes()
    }

    /// Bytes of the index alone.
    pub fn index_bytes(&self) -> usize {
        self.dict.memory_bytes()
    }

    /// The entry at `slot`.
    #[inline]
    pub fn entry(&self, slot: Slot) -> Entry<'_> {
        self.entry_in(self.dict.handle(slot))
    }

    /// Redis's name for how the value at `slot` is stored.
    pub fn encoding_name(&self, slot: Slot) -> &'static str {
        let entry = self.entry(slot);
        match self.value(entry) {
            ValueRef::String(_) => match entry.encoding() {
                Encoding::Int => "int",
                Encoding::Embstr if entry.value().len() <= 44 => "embstr",
                _ => "raw",
            },
            ValueRef::List(list) => list.encoding_name(),
            ValueRef::Set(set) => set.encoding(),
            ValueRef::SortedSet(sorted_set) => sorted_set.encoding(),
            ValueRef::Hash(hash) => hash.encoding(),
        }
    }

    /// Bytes that the key at `slot` takes: block, share of the index, value.
    pub fn key_memory_bytes(&self, slot: Slot) -> usize {
        let entry = self.entry(slot);
        let object = match entry.encoding() {
            Encoding::Object => {
                self.objects.get(object_number(entry.value())).memory_bytes() + size_of::<Object>()
            }
            _ => 0,
        };
        self.blocks.capacity(self.dict.handle(slot)) + size_of::<u64>() + object
    }

    /// The block of the entry at `slot`.
    #[inline]
    pub(super) fn handle(&self, slot: Slot) -> Handle {
        self.dict.handle(slot)
    }

    /// Sets the access clock of the entry in a block.
    #[inline]
    pub(super) fn set_access_in(&mut self, handle: Handle, access: u32) {
        entry::set_access(self.blocks.block_mut(handle), access);
    }

    fn put(
        &mut self,
        found: Option<Slot>,
        name: Name<'_>,
        kind: Type,
        encoding: Encoding,
        value: &[u8],
        attributes: Attributes,
    ) -> Option<Object> {
        let Attributes { expire_at_ms, access } = attributes;
        let key = name.key;
        let parts = Parts { kind, encoding, expire_at_ms, access, epoch: self.epoch, key, value };
        match found {
            Some(slot) => {
                let handle = self.dict.handle(slot);
                self.before_change(handle);
                let (had_expiry, object) = self.outline(handle);
                self.rewrite(slot, handle, had_expiry, &parts);
                object.map(|number| self.objects.remove(number))
            }
            None => {
                let handle = self.blocks.allocate(entry::size(
                    key.len(),
                    value.len(),
                    expire_at_ms.is_some(),
                ));
                entry::write(self.blocks.block_mut(handle), &parts);
                self.insert(handle, name.hash, expire_at_ms);
                None
            }
        }
    }

    fn insert(&mut self, handle: Handle, key_hash: u64, expire_at_ms: Option<i64>) {
        let (blocks, hash_key) = (&self.blocks, self.hash_key);
        let slot = self.dict.insert(key_hash, handle, |handle| {
            hash(hash_key, Entry::new(blocks.block(handle)).key())
        });
        if let Some(at_ms) = expire_at_ms {
            self.keys_with_expiry += 1;
            self.dict.note_expiry(slot, at_ms);
        }
    }

    /// Whether the entry in a block has an expire time, and the number of its object, if it has one.
    #[inline]
    fn outline(&self, handle: Handle) -> (bool, Option<u32>) {
        let entry = self.entry_in(handle);
        let has_object = entry.encoding() == Encoding::Object;
        (entry.has_expiry(), has_object.then(|| object_number(entry.value())))
    }

    /// Writes `parts` over the entry at `slot`, in block `old`: in place where that fits, else into a new block.
    fn rewrite(&mut self, slot: Slot, old: Handle, had_expiry: bool, parts: &Parts<'_>) {
        let size = entry::size(parts.key.len(), parts.value.len(), parts.expire_at_ms.is_some());
        if self.blocks.fits(old, size) {
            entry::write(self.blocks.block_mut(old), parts);
        } else {
            let new = self.blocks.allocate(size);
            entry::write(self.blocks.block_mut(new), parts);
            self.dict.replace(slot, new);
            self.blocks.free(old);
        }
        self.keys_with_expiry -= usize::from(had_expiry);
        if let Some(at_ms) = parts.expire_at_ms {
            self.keys_with_expiry += 1;
            self.dict.note_expiry(slot, at_ms);
        }
    }

    /// Sets or removes the expire time of the key at `slot`.
    pub fn set_expire(&mut self, slot: Slot, expire_at_ms: Option<i64>) {
        let handle = self.dict.handle(slot);
        self.before_change(handle);
        match (self.entry(slot).expire_at_ms(), expire_at_ms) {
            (None, None) => {}
            (Some(_), Some(at_ms)) => {
                entry::set_expire_at_ms(self.blocks.block_mut(handle), at_ms);
                self.dict.note_expiry(slot, at_ms);
            }
            _ => {
                let mut scratch = std::mem::take(&mut self.scratch);
                scratch.clear();
                scratch.extend_from_slice(self.blocks.block(handle));
                let old = Entry::new(&scratch);
                let parts = Parts { expire_at_ms, ..old.parts() };
                self.rewrite(slot, handle, old.has_expiry(), &parts);
                self.scratch = scratch;
                self.scratch.shrink_to(INLINE_MAX);
            }
        }
    }

    /// Removes the key at `slot`. Returns its object, if any, for the caller to drop where it likes. O(1).
    pub fn remove(&mut self, slot: Slot) -> Option<Object> {
        self.before_change(self.dict.handle(slot));
        let (had_expiry, object) = self.outline(self.dict.handle(slot));
        self.keys_with_expiry -= usize::from(had_expiry);
        let object = object.map(|number| self.objects.remove(number));
        let handle = self.dict.remove(slot);
        self.blocks.free(handle);
        object
    }

    /// Takes the key at `slot` out, to be stored again by `attach`. O(1) however big the value is.
    pub fn detach(&mut self, slot: Slot) -> Detached {
        let block = self.blocks.block(self.dict.handle(slot)).to_vec();
        Detached { block, object: self.remove(slot) }
    }

    /// A copy of the key at `slot` with the access clock of a new key. Long strings are shared, not copied.
    pub fn duplicate(&self, slot: Slot, access: u32) -> Detached {
        let entry = self.entry(slot);
        let object = (entry.encoding() == Encoding::Object)
            .then(|| self.objects.get(object_number(entry.value())).clone());
        let mut block = self.blocks.block(self.dict.handle(slot)).to_vec();
        entry::set_access(&mut block, access);
        Detached { block, object }
    }

    /// Stores what was taken out or copied under the name `key`, which must not be there.
    pub fn attach(&mut self, name: Name<'_>, detached: Detached) {
        let Parts { kind, encoding, value, expire_at_ms, access, .. } =
            Entry::new(&detached.block).parts();
        let number = detached.object.map(|object| self.objects.insert(object).to_le_bytes());
        let value = number.as_ref().map_or(value, |number| &number[..]);
        self.put(None, name, kind, encoding, value, Attributes { expire_at_ms, access });
        self.note_next_field_expiry(name, kind);
    }
}

/// A key and its value outside of any database, on the way to another name or another database.
pub struct Detached {
    block: Vec<u8>,
    object: Option<Object>,
}

/// The longest value that goes into the block of an entry.
fn inline_max(key_len: usize, has_expiry: bool) -> usize {
    INLINE_MAX.saturating_sub(entry::size(key_len, 0, has_expiry) + 3).max(SHORT_VALUE)
}

fn object_number(value: &[u8]) -> u32 {
    u32::from_le_bytes(value.try_into().expect("an object number has 4 bytes"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::keyspace::value::NewString;

    const HASH_KEY: HashKey = (1, 2);
    const FOREVER: Attributes = Attributes { expire_at_ms: None, access: 7 };
    const UNTIL_500: Attributes = Attributes { expire_at_ms: Some(500), access: 7 };

    fn database() -> Database {
        Database::new(0, HASH_KEY, 0)
    }

    fn name(key: &[u8]) -> Name<'_> {
        Name { key, hash: hash(HASH_KEY, key) }
    }

    fn set(database: &mut Database, key: &[u8], value: &[u8], attributes: Attributes) {
        let found = database.find(name(key));
        database.set_string(found, name(key), NewString::encode(value), attributes);
    }

    fn get(database: &Database, key: &[u8]) -> Option<Vec<u8>> {
        let slot = database.find(name(key))?;
        Some(database.string(slot).unwrap().to_vec())
    }

    #[test]
    fn a_value_reads_back_whatever_the_lengths() {
        let mut database = database();
        for key_len in [0, 1, 255, 256, 1100, 70_000] {
            for value_len in [0, 1, 44, 45, 64, 65, 255, 256, 1000, 1100, 70_000] {
                let (key, value) = (vec![b'k'; key_len], vec![b'v'; value_len]);
                set(&mut database, &key, &value, FOREVER);
                assert_eq!(get(&database, &key), Some(value.clone()));
                set(&mut database, &key, b"12345", UNTIL_500);
                assert_eq!(get(&database, &key).as_deref(), Some(&b"12345"[..]));
                set(&mut database, &key, &value, UNTIL_500);
                assert_eq!(get(&database, &key), Some(value));
            }
        }
        assert_eq!((database.len(), database.keys_with_expiry()), (6, 6));
    }

    #[test]
    fn encodings_follow_from_how_a_value_came_to_be() {
        let mut database = database();
        let mut encoding = |value: NewString<'_>| {
            let found = database.find(name(b"k"));
            database.set_string(found, name(b"k"), value, FOREVER);
            database.encoding_name(database.find(name(b"k")).unwrap())
        };
        assert_eq!(encoding(NewString::Int(5)), "int");
        assert_eq!(encoding(NewString::Bytes(&[b'x'; 44])), "embstr");
        assert_eq!(encoding(NewString::Bytes(&[b'x'; 45])), "raw");
        assert_eq!(encoding(NewString::Edited(b"x")), "raw");
        assert_eq!(encoding(NewString::Shared(Bytes::from_static(b"x"))), "raw");
        assert_eq!(encoding(NewString::Bytes(&[b'x'; 5000])), "raw");
    }

    #[test]
    fn an_edit_that_fails_changes_nothing() {
        let mut database = database();
        for value in [&b"12"[..], b"short", &[b'x'; 5000]] {
            set(&mut database, b"k", value, UNTIL_500);
            let slot = database.find(name(b"k")).unwrap();
            assert_eq!(database.edit_string(slot, |_| Err(())), Err(()));
            assert_eq!(get(&database, b"k").as_deref(), Some(value));
            let append = |bytes: &mut Vec<u8>| -> Result<(), ()> {
                bytes.push(b'!');
                Ok(())
            };
            assert_eq!(database.edit_string(slot, append), Ok(()));
            assert_eq!(get(&database, b"k"), Some([value, b"!"].concat()));
            let slot = database.find(name(b"k")).unwrap();
            assert_eq!(database.entry(slot).expire_at_ms(), Some(500));
        }
    }

    #[test]
    fn editing_a_copy_leaves_the_original() {
        let mut database = database();
        let value = vec![b'x'; 5000];
        set(&mut database, b"a", &value, FOREVER);
        let copy = database.duplicate(database.find(name(b"a")).unwrap(), 9);
        database.attach(name(b"b"), copy);
        let slot = database.find(name(b"b")).unwrap();
        assert_eq!(database.entry(slot).access(), 9);
        let clear = |bytes: &mut Vec<u8>| -> Result<(), ()> {
            bytes.fill(b'y');
            Ok(())
        };
        assert_eq!(database.edit_string(slot, clear), Ok(()));
        assert_eq!(get(&database, b"a"), Some(value));
        assert_eq!(get(&database, b"b"), Some(vec![b'y'; 5000]));
    }

    #[test]
    fn a_detached_key_keeps_value_time_and_clock_under_any_name() {
        let (mut from, mut to) = (database(), database());
        for value in [&b"12345"[..], b"short", &[b'x'; 900], &[b'x'; 5000]] {
            for other in [&b""[..], b"other", &[b'n'; 2000]] {
                set(&mut from, b"key", value, UNTIL_500);
                let encoding = from.encoding_name(from.find(name(b"key")).unwrap());
                let detached = from.detach(from.find(name(b"key")).unwrap());
                assert_eq!((from.len(), from.keys_with_expiry()), (0, 0));
                assert_eq!(from.objects.memory_bytes(), 0);
                to.attach(name(other), detached);
                let slot = to.find(name(other)).unwrap();
                assert_eq!(to.entry(slot).expire_at_ms(), Some(500));
                assert_eq!(to.entry(slot).access(), 7);
                assert_eq!(to.encoding_name(slot), encoding);
                assert_eq!(get(&to, other).as_deref(), Some(value));
                to.remove(slot);
            }
        }
    }

    #[test]
    fn memory_goes_back_when_everything_is_deleted() {
        let mut database = database();
        let key = |i: u32| format!("key:{i}").into_bytes();
        for i in 0..50_000 {
            let value = vec![b'v'; (i as usize * 7) % 1500];
            set(&mut database, &key(i), &value, if i % 2 == 0 { FOREVER } else { UNTIL_500 });
        }
        let full_bytes = database.memory_bytes();
        for i in 0..50_000 {
            let slot = database.find(name(&key(i))).unwrap();
            database.remove(slot);
        }
        assert!(database.is_empty());
        assert_eq!(database.keys_with_expiry(), 0);
        assert_eq!(database.objects.memory_bytes(), 0);
        let left_bytes = database.memory_bytes();
        assert!(left_bytes < full_bytes / 150, "{left_bytes} of {full_bytes} bytes are left");
    }

    #[test]
    fn the_count_of_keys_with_a_time_follows_every_change() {
        let mut database = database();
        set(&mut database, b"k", b"v", UNTIL_500);
        assert_eq!(database.keys_with_expiry(), 1);
        set(&mut database, b"k", b"w", UNTIL_500);
        assert_eq!(database.keys_with_expiry(), 1);
        let slot = database.find(name(b"k")).unwrap();
        database.set_expire(slot, None);
        assert_eq!(database.keys_with_expiry(), 0);
        database.set_expire(slot, None);
        database.set_expire(slot, Some(9));
        database.set_expire(slot, Some(10));
        assert_eq!(database.keys_with_expiry(), 1);
        set(&mut database, b"k", b"w", FOREVER);
        assert_eq!(database.keys_with_expiry(), 0);
    }
}
