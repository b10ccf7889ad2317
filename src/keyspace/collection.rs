//! Collections as values of keys: lists, hashes, sets and sorted sets.
//!
//! A small one is packed bytes in its entry's block; larger packed bytes and big structures are objects. Commands do not
//! see the difference: they read a view, and change a value that was taken out of the block and is put back.

use super::entry::Encoding;
use super::object::Object;
use super::value::Type;
use crate::types::hash::{Hash, HashRef};
use crate::types::list::{List, ListRef};
use crate::types::set::{Set, SetRef};
use crate::types::sorted_set::{SortedSet, SortedSetRef};

/// A type of collection.
pub trait Collection: Sized + 'static {
    /// The type a user sees.
    const TYPE: Type;
    /// What it is read through.
    type Ref<'a>: Copy;

    /// To read it.
    fn view(&self) -> Self::Ref<'_>;
    /// To read packed bytes.
    fn view_packed(encoding: Encoding, bytes: &[u8]) -> Self::Ref<'_>;
    /// A value of packed bytes.
    fn from_packed(encoding: Encoding, bytes: Vec<u8>) -> Self;
    /// The packed bytes, if it is that small, or itself.
    fn into_packed(self) -> Result<(Encoding, Vec<u8>), Self>;
    /// Whether nothing is left in it.
    fn is_empty(&self) -> bool;
    /// The packed bytes' length, if it is that small.
    fn packed_len(&self) -> Option<usize>;
    /// As an object.
    fn into_object(self) -> Object;
    /// Back from an object, which must be of this type.
    fn take(object: Object) -> Self;
    /// What is in an object, which must be of this type.
    fn of(object: &Object) -> &Self;
    /// What is in an object, which must be of this type.
    fn of_mut(object: &mut Object) -> &mut Self;
}

/// What a change of a collection came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Changed<R> {
    /// What the change returned.
    pub result: R,
    /// Nothing was left in the collection: its key is gone.
    pub emptied: bool,
}

/// The parts of the implementations that are the same for all.
macro_rules! object_conversions {
    ($variant:ident) => {
        fn into_object(self) -> Object {
            Object::$variant(self)
        }

        fn take(object: Object) -> Self {
            match object {
                Object::$variant(value) => value,
                _ => unreachable!("the entry says what the object is"),
            }
        }

        fn of(object: &Object) -> &Self {
            match object {
                Object::$variant(value) => value,
                _ => unreachable!("the entry says what the object is"),
            }
        }

        fn of_mut(object: &mut Object) -> &mut Self {
            match object {
                Object::$variant(value) => value,
                _ => unreachable!("the entry says what the object is"),
            }
        }
    };
}

impl Collection for List {
    const TYPE: Type = Type::List;
    type Ref<'a> = ListRef<'a>;

    fn view(&self) -> ListRef<'_> {
        Self::view(self)
    }

    fn view_packed(_: Encoding, bytes: &[u8]) -> ListRef<'_> {
        ListRef::Packed(bytes)
    }

    fn from_packed(_: Encoding, bytes: Vec<u8>) -> Self {
        Self::Packed(bytes)
    }

    fn into_packed(self) -> Result<(Encoding, Vec<u8>), Self> {
        match self {
            Self::Packed(bytes) => Ok((Encoding::Packed, bytes)),
            chain @ Self::Chain(_) => Err(chain),
        }
    }

    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }

    fn packed_len(&self) -> Option<usize> {
        match self {
            Self::Packed(bytes) => Some(bytes.len()),
            Self::Chain(_) => None,
        }
    }

    object_conversions!(List);
}

impl Collection for Hash {
    const TYPE: Type = Type::Hash;
    type Ref<'a> = HashRef<'a>;

    fn view(&self) -> HashRef<'_> {
        self.as_ref()
    }

    fn view_packed(encoding: Encoding, bytes: &[u8]) -> HashRef<'_> {
        match encoding {
            Encoding::PackedEx => HashRef::PackedEx(bytes),
            _ => HashRef::Packed(bytes),
        }
    }

    fn from_packed(encoding: Encoding, bytes: Vec<u8>) -> Self {
        match encoding {
            Encoding::PackedEx => Self::PackedEx(bytes),
            _ => Self::Packed(bytes),
        }
    }

    fn into_packed(self) -> Result<(Encoding, Vec<u8>), Self> {
        match self {
            Self::Packed(bytes) => Ok((Encoding::Packed, bytes)),
            Self::PackedEx(bytes) => Ok((Encoding::PackedEx, bytes)),
            table @ Self::Table(_) => Err(table),
        }
    }

    fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }

    fn packed_len(&self) -> Option<usize> {
        match self {
            Self::Packed(bytes) | Self::PackedEx(bytes) => Some(bytes.len()),
            Self::Table(_) => None,
        }
    }

    object_conversions!(Hash);
}

impl Collection for Set {
    const TYPE: Type = Type::Set;
    type Ref<'a> = SetRef<'a>;

    fn view(&self) -> SetRef<'_> {
        self.as_ref()
    }

    fn view_packed(encoding: Encoding, bytes: &[u8]) -> SetRef<'_> {
        match encoding {
            Encoding::Intset => SetRef::Intset(bytes),
            _ => SetRef::Packed(bytes),
        }
    }

    fn from_packed(encoding: Encoding, bytes: Vec<u8>) -> Self {
        match encoding {
            Encoding::Intset => Self::Intset(bytes),
            _ => Self::Packed(bytes),
        }
    }

    fn into_packed(self) -> Result<(Encoding, Vec<u8>), Self> {
        match self {
            Self::Packed(bytes) => Ok((Encoding::Packed, bytes)),
            Self::Intset(bytes) => Ok((Encoding::Intset, bytes)),
            table @ Self::Table(_) => Err(table),
        }
    }

    fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }

    fn packed_len(&self) -> Option<usize> {
        match self {
            Self::Packed(bytes) | Self::Intset(bytes) => Some(bytes.len()),
            Self::Table(_) => None,
        }
    }

    object_conversions!(Set);
}

impl Collection for SortedSet {
    const TYPE: Type = Type::Zset;
    type Ref<'a> = SortedSetRef<'a>;

    fn view(&self) -> SortedSetRef<'_> {
        self.as_ref()
    }

    fn view_packed(_: Encoding, bytes: &[u8]) -> SortedSetRef<'_> {
        SortedSetRef::Packed(bytes)
    }

    fn from_packed(_: Encoding, bytes: Vec<u8>) -> Self {
        Self::Packed(bytes)
    }

    fn into_packed(self) -> Result<(Encoding, Vec<u8>), Self> {
        match self {
            Self::Packed(bytes) => Ok((Encoding::Packed, bytes)),
            tree @ Self::Tree(_) => Err(tree),
        }
    }

    fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }

    fn packed_len(&self) -> Option<usize> {
        match self {
            Self::Packed(bytes) => Some(bytes.len()),
            Self::Tree(_) => None,
        }
    }

    object_conversions!(SortedSet);
}
