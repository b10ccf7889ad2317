//! Collections in a database: in the entry's block while they are small, else as objects.

use super::{Attributes, Database, Name, inline_max, object_number};
use crate::dict::{Handle, Slot};
use crate::keyspace::collection::{Changed, Collection};
use crate::keyspace::entry::{self, Encoding, Entry, Parts};
use crate::keyspace::object::Object;
use crate::keyspace::value::{Type, ValueRef, WrongType};
use crate::types::hash::Hash;
use crate::types::list::List;
use crate::types::set::Set;
use crate::types::sorted_set::SortedSet;

impl Database {
    /// The value of an entry of this database, to be read.
    pub fn value<'a>(&'a self, entry: Entry<'a>) -> ValueRef<'a> {
        match entry.kind() {
            Type::String => ValueRef::String(self.string_of(entry).expect("it is a string")),
            Type::List => ValueRef::List(self.view::<List>(entry)),
            Type::Set => ValueRef::Set(self.view::<Set>(entry)),
            Type::Zset => ValueRef::SortedSet(self.view::<SortedSet>(entry)),
            Type::Hash => ValueRef::Hash(self.view::<Hash>(entry)),
            Type::Stream => unreachable!("there are no streams"),
        }
    }

    /// The collection of an entry of this database, to be read.
    #[inline]
    pub fn collection_of<'a, C: Collection>(
        &'a self,
        entry: Entry<'a>,
    ) -> Result<C::Ref<'a>, WrongType> {
        if entry.kind() != C::TYPE {
            return Err(WrongType);
        }
        Ok(self.view::<C>(entry))
    }

    #[inline]
    fn view<'a, C: Collection>(&'a self, entry: Entry<'a>) -> C::Ref<'a> {
        match entry.encoding() {
            Encoding::Object => C::of(self.objects.get(object_number(entry.value()))).view(),
            encoding => C::view_packed(encoding, entry.value()),
        }
    }

    /// Stores `key` with a collection: in place of what is at `found`, else as a new key. Returns the object that was
    /// replaced, if any, for the caller to drop where it likes. O(1), plus a copy of a small one's bytes.
    pub fn set_collection<C: Collection>(
        &mut self,
        found: Option<Slot>,
        name: Name<'_>,
        value: C,
        attributes: Attributes,
    ) -> Option<Object> {
        let room = inline_max(name.key.len(), attributes.expire_at_ms.is_some());
        let replaced = match self.store(value, room) {
            (encoding, Stored::Block(bytes)) => {
                self.put(found, name, C::TYPE, encoding, &bytes, attributes)
            }
            (encoding, Stored::Object(number)) => {
                self.put(found, name, C::TYPE, encoding, &number, attributes)
            }
        };
        self.note_next_field_expiry(name, C::TYPE);
        replaced
    }

    fn store<C: Collection>(&mut self, value: C, room: usize) -> (Encoding, Stored) {
        let object = match value.into_packed() {
            Ok((encoding, bytes)) if bytes.len() <= room => {
                return (encoding, Stored::Block(bytes));
            }
            Ok((encoding, mut bytes)) => {
                bytes.shrink_to_fit();
                C::from_packed(encoding, bytes)
            }
            Err(big) => big,
        };
        let number = self.objects.insert(object.into_object());
        (Encoding::Object, Stored::Object(number.to_le_bytes()))
    }

    /// Lets `change` change the collection at `slot`, which must be of this type. The slot stays valid. One that is
    /// empty afterwards is still there: the caller removes it. Beside the change O(1), plus two copies of a small
    /// collection's bytes.
    pub fn change_collection<C: Collection, R>(
        &mut self,
        slot: Slot,
        change: impl FnOnce(&mut C) -> R,
    ) -> Changed<R> {
        let handle = self.dict.handle(slot);
        self.before_change(handle);
        let entry = self.entry_in(handle);
        assert_eq!(entry.kind(), C::TYPE, "the caller has checked the type");
        match entry.encoding() {
            Encoding::Object => {
                let number = object_number(entry.value());
                self.change_object(slot, handle, number, change)
            }
            encoding => self.change_in_block(slot, handle, encoding, change),
        }
    }

    fn change_in_block<C: Collection, R>(
        &mut self,
        slot: Slot,
        handle: Handle,
        encoding: Encoding,
        change: impl FnOnce(&mut C) -> R,
    ) -> Changed<R> {
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        let entry = self.entry_in(handle);
        bytes.extend_from_slice(entry.value());
        let room = inline_max(entry.key().len(), entry.expire_at_ms().is_some());
        let mut collection = C::from_packed(encoding, bytes);
        let result = change(&mut collection);
        let emptied = collection.is_empty();
        match self.store(collection, room) {
            (encoding, Stored::Block(bytes)) => {
                if !emptied {
                    self.replace_value(slot, handle, encoding, &bytes);
                }
                self.scratch = bytes;
            }
            (encoding, Stored::Object(number)) => {
                self.replace_value(slot, handle, encoding, &number);
            }
        }
        Changed { result, emptied }
    }

    fn change_object<C: Collection, R>(
        &mut self,
        slot: Slot,
        handle: Handle,
        number: u32,
        change: impl FnOnce(&mut C) -> R,
    ) -> Changed<R> {
        let (result, emptied, packed_len) = self.objects.update(number, |object| {
            let collection = C::of_mut(object);
            let result = change(collection);
            (result, collection.is_empty(), collection.packed_len())
        });
        let entry = self.entry_in(handle);
        let room = inline_max(entry.key().len(), entry.expire_at_ms().is_some());
        // Half: one that grows and shrinks by turns is not to move each time.
        if !emptied && packed_len.is_some_and(|len| len <= room / 2) {
            let packed = C::take(self.objects.remove(number)).into_packed();
            let Ok((encoding, bytes)) = packed else { unreachable!("it has a packed length") };
            self.replace_value(slot, handle, encoding, &bytes);
        }
        Changed { result, emptied }
    }

    /// Writes another value into the entry at `slot`, all else stays. O(entry).
    pub(super) fn replace_value(
        &mut self,
        slot: Slot,
        handle: Handle,
        encoding: Encoding,
        value: &[u8],
    ) {
        let entry = self.entry_in(handle);
        let (kind, access, epoch) = (entry.kind(), entry.access(), entry.epoch());
        let expire_at_ms = entry.expire_at_ms();
        let size = entry::size(entry.key().len(), value.len(), expire_at_ms.is_some());
        if self.blocks.fits(handle, size)
            && entry::set_value_resized(self.blocks.block_mut(handle), encoding, value)
        {
            return;
        }
        let mut key = std::mem::take(&mut self.key_scratch);
        key.clear();
        key.extend_from_slice(self.entry_in(handle).key());
        let parts = Parts { kind, encoding, expire_at_ms, access, epoch, key: &key, value };
        self.rewrite(slot, handle, expire_at_ms.is_some(), &parts);
        self.key_scratch = key;
        self.key_scratch.shrink_to(entry::INLINE_MAX);
    }
}

/// Where a collection's bytes go.
enum Stored {
    /// Into the entry's block.
    Block(Vec<u8>),
    /// The number of the object that was made of it.
    Object([u8; 4]),
}

#[cfg(test)]
mod tests {
    use crate::keyspace::{Expiry, Keyspace, NewString, ValueRef, WrongType};
    use crate::types::limits::PackedLimits;
    use crate::types::list::{End, List, NodeLimit};
    use crate::types::sorted_set::SortedSet;

    const LIMITS: PackedLimits = PackedLimits { entries: 1000, value_bytes: 1000 };

    fn keyspace() -> Keyspace {
        Keyspace::new(2, 1, 1000)
    }

    fn push(keyspace: &mut Keyspace, key: &[u8], texts: &[&[u8]]) {
        let limit = NodeLimit::new(-2);
        let mut db = keyspace.db(0);
        match db.find_collection::<List>(key).unwrap() {
            Some(slot) => {
                db.change_at(slot, |list: &mut List| {
                    list.push(End::Right, texts.iter().copied(), limit);
                });
            }
            None => {
                let mut list = List::default();
                list.push(End::Right, texts.iter().copied(), limit);
                db.set_collection(key, list, Expiry::Clear);
            }
        }
    }

    fn pop(keyspace: &mut Keyspace, key: &[u8]) -> (Vec<u8>, bool) {
        let mut db = keyspace.db(0);
        let slot = db.find_collection::<List>(key).unwrap().unwrap();
        let changed = db.change_at(slot, |list: &mut List| {
            let mut popped = Vec::new();
            list.pop(End::Left, 1, NodeLimit::new(-2), |element| popped = element.to_vec());
            popped
        });
        (changed.result, changed.emptied)
    }

    #[test]
    fn a_list_moves_from_its_block_to_an_object_and_back_and_is_gone_when_it_is_empty() {
        let mut keyspace = keyspace();
        let text =
            |number: usize| format!("element {number:6} {}", "x".repeat(number % 90)).into_bytes();
        for number in 0..1000 {
            push(&mut keyspace, b"list", &[&text(number)]);
            let mut db = keyspace.db(0);
            let slot = db.find(b"list").unwrap();
            db.set_expire_at(slot, Some(5000 + number as i64));
            let list = db.read::<List>(b"list").unwrap().unwrap();
            assert_eq!(list.len(), number + 1);
            assert_eq!(list.get(number).unwrap().to_vec(), text(number));
        }
        assert!(keyspace.databases()[0].objects.memory_bytes() > 30_000);
        for number in 0..1000 {
            assert_eq!(pop(&mut keyspace, b"list"), (text(number), number == 999));
        }
        let database = &keyspace.databases()[0];
        assert_eq!((database.len(), database.keys_with_expiry()), (0, 0));
        assert_eq!(database.objects.memory_bytes(), 0);
    }

    #[test]
    fn a_change_keeps_expire_time_and_key() {
        for key_len in [1, 255, 256, 900, 5000] {
            let mut keyspace = keyspace();
            let key = vec![b'k'; key_len];
            for number in 0..300 {
                push(&mut keyspace, &key, &[b"some text"]);
                if number == 0 {
                    let mut db = keyspace.db(0);
                    let slot = db.find(&key).unwrap();
                    db.set_expire_at(slot, Some(7777));
                }
            }
            let mut db = keyspace.db(0);
            let slot = db.find(&key).unwrap();
            assert_eq!(db.expire_at_ms(slot), Some(7777));
            assert_eq!(db.read::<List>(&key).unwrap().unwrap().len(), 300);
        }
    }

    #[test]
    fn another_type_is_refused_and_replaced() {
        let mut keyspace = keyspace();
        push(&mut keyspace, b"list", &[b"a"]);
        let mut db = keyspace.db(0);
        assert!(matches!(db.read::<SortedSet>(b"list"), Err(WrongType)));
        assert!(matches!(db.find_collection::<SortedSet>(b"list"), Err(WrongType)));
        assert!(matches!(db.read_string(b"list"), Err(WrongType)));
        let hash_key = db.keyspace.hash_key();
        let mut sorted_set = SortedSet::new(1, 1, LIMITS, hash_key);
        sorted_set.set(b"m", 1.5, LIMITS, hash_key);
        db.set_collection(b"list", sorted_set, Expiry::Clear);
        assert_eq!(db.read::<SortedSet>(b"list").unwrap().unwrap().score(b"m"), Some(1.5));
        db.set_string(b"list", NewString::encode(b"12"), Expiry::Clear);
        let entry = db.database().entries().next().unwrap();
        assert!(matches!(db.database().value(entry), ValueRef::String(_)));
        assert_eq!(db.database().len(), 1);
    }

    #[test]
    fn copies_of_big_collections_are_their_own() {
        let mut keyspace = keyspace();
        for number in 0..2000 {
            push(&mut keyspace, b"a", &[format!("element {number}").as_bytes()]);
        }
        let slot = keyspace.db(0).find(b"a").unwrap();
        keyspace.db(0).copy_at(slot, 1, b"b");
        pop(&mut keyspace, b"a");
        assert_eq!(keyspace.db(1).read::<List>(b"b").unwrap().unwrap().len(), 2000);
        assert_eq!(keyspace.db(0).read::<List>(b"a").unwrap().unwrap().len(), 1999);
    }
}
