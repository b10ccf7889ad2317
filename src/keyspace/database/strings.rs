//! Values that are strings: in the block of the key where they are short, else objects.

use bytes::Bytes;

use super::{Attributes, Database, Name, inline_max, object_number};
use crate::dict::Slot;
use crate::keyspace::entry::{self, Encoding, Entry, INLINE_MAX};
use crate::keyspace::object::Object;
use crate::keyspace::value::{NewString, StringValue, Type, WrongType};

impl Database {
    /// The string at `slot`.
    #[inline]
    pub fn string(&self, slot: Slot) -> Result<StringValue<'_>, WrongType> {
        self.string_of(self.entry(slot))
    }

    #[inline]
    pub(in crate::keyspace) fn string_of<'a>(
        &'a self,
        entry: Entry<'a>,
    ) -> Result<StringValue<'a>, WrongType> {
        if !entry.is_string() {
            return Err(WrongType);
        }
        let value = entry.value();
        Ok(match entry.encoding() {
            Encoding::Embstr | Encoding::Raw => StringValue::Bytes(value),
            Encoding::Int => StringValue::Int(i64::from_le_bytes(
                value.try_into().expect("an integer has 8 bytes"),
            )),
            _ => match self.objects.get(object_number(value)) {
                Object::String(bytes) => StringValue::Shared(bytes),
                _ => unreachable!("the entry says what the object is"),
            },
        })
    }

    /// The string value of an entry that `entries` or `scan` gave.
    pub fn entry_string<'a>(&'a self, entry: Entry<'a>) -> Result<StringValue<'a>, WrongType> {
        self.string_of(entry)
    }

    /// Stores `key` with a string value: in place of what is at `found`, else as a new key. Returns the object that was
    /// replaced, if any, for the caller to drop where it likes. O(1), plus a copy of the value.
    pub fn set_string(
        &mut self,
        found: Option<Slot>,
        name: Name<'_>,
        value: NewString<'_>,
        attributes: Attributes,
    ) -> Option<Object> {
        let inline_max = inline_max(name.key.len(), attributes.expire_at_ms.is_some());
        let mut number = [0; 8];
        let (encoding, bytes): (Encoding, &[u8]) = match &value {
            NewString::Int(integer) => {
                number = integer.to_le_bytes();
                (Encoding::Int, &number)
            }
            NewString::Bytes(bytes) if bytes.len() <= inline_max => (Encoding::Embstr, bytes),
            NewString::Edited(bytes) if bytes.len() <= inline_max => (Encoding::Raw, bytes),
            NewString::Shared(bytes) if bytes.len() <= inline_max => (Encoding::Raw, bytes),
            NewString::Bytes(bytes) | NewString::Edited(bytes) => {
                (Encoding::Object, self.add_object(Bytes::copy_from_slice(bytes), &mut number))
            }
            NewString::Shared(bytes) => {
                (Encoding::Object, self.add_object(bytes.clone(), &mut number))
            }
        };
        self.put(found, name, Type::String, encoding, bytes, attributes)
    }

    fn add_object<'n>(&mut self, bytes: Bytes, number: &'n mut [u8; 8]) -> &'n [u8] {
        number[..4].copy_from_slice(&self.objects.insert(Object::String(bytes)).to_le_bytes());
        &number[..4]
    }

    /// Replaces the integer at `slot`, which must hold one, in place.
    pub fn set_integer(&mut self, slot: Slot, number: i64) {
        debug_assert_eq!(self.entry(slot).encoding(), Encoding::Int);
        let handle = self.dict.handle(slot);
        self.before_change(handle);
        entry::set_value(self.blocks.block_mut(handle), Encoding::Int, &number.to_le_bytes());
    }

    /// Lets `edit` change the bytes of the string at `slot`. A long value that no reply is still sending is edited
    /// where it is: amortized O(change). On `Err` nothing is changed.
    pub fn edit_string<E>(
        &mut self,
        slot: Slot,
        edit: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.before_change(self.dict.handle(slot));
        let entry = self.entry(slot);
        if entry.encoding() == Encoding::Object {
            let mut result = Ok(());
            let number = object_number(entry.value());
            self.objects.update(number, |object| {
                let Object::String(shared) = object else {
                    unreachable!("the entry says what the object is")
                };
                let mut bytes = Vec::from(std::mem::take(shared));
                result = edit(&mut bytes);
                *shared = Bytes::from(bytes);
            });
            return result;
        }
        let mut value = std::mem::take(&mut self.scratch);
        value.clear();
        let old = self.string(slot).expect("the caller has checked the type");
        value.extend_from_slice(old.bytes(&mut itoa::Buffer::new()));
        let result = edit(&mut value);
        if result.is_ok() {
            self.set_edited(slot, &value);
        }
        value.shrink_to(INLINE_MAX);
        self.scratch = value;
        result
    }

    /// Gives the key at `slot`, whose value is in the block, another value that came from editing it.
    fn set_edited(&mut self, slot: Slot, value: &[u8]) {
        let handle = self.dict.handle(slot);
        let entry = self.entry_in(handle);
        let (expire_at_ms, access) = (entry.expire_at_ms(), entry.access());
        if value.len() <= inline_max(entry.key().len(), expire_at_ms.is_some()) {
            return self.replace_value(slot, handle, Encoding::Raw, value);
        }
        let key = entry.key().to_vec();
        let name = Name { key: &key, hash: 0 }; // the key is there: its hash is not asked for
        let attributes = Attributes { expire_at_ms, access };
        self.set_string(Some(slot), name, NewString::Edited(value), attributes);
    }
}
