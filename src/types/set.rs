//! Sets: members without order.
//!
//! A few integers are an intset, few short members of any kind a listpack, more a [`Table`]. The conversions are those of
//! Redis 7.2; with a listpack limit of 0 entries there are no listpacks, as in Redis 7.0.
//!
//! ```text
//! record   length of the member | member
//! ```

use super::either::Either;
use super::intset::{self, Intset};
use super::limits::PackedLimits;
use super::listpack::{self, Element, Listpack};
use super::table::{HashKey, Record, Table, below, len_size, read_len, sample_in_order, write_len};
use crate::dict::SharedBlocks;
use crate::resp::number::parse_i64;

/// Redis's cap for `set-max-intset-entries`: an intset is copied when it grows.
const INTSET_ENTRIES_MAX: usize = 1 << 30;

/// The layout of a member's record.
#[derive(Debug)]
pub struct Member;

impl Record for Member {
    #[inline]
    fn name(block: &[u8]) -> &[u8] {
        let (len, size) = read_len(block);
        &block[size..size + len]
    }
}

/// The member of a block that [`SetRef::share`] gave.
pub fn member_of(block: &[u8]) -> &[u8] {
    Member::name(block)
}

/// When a set leaves which form, and the secret for a hash table's hash function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetLimits {
    /// `set-max-intset-entries`.
    pub intset_entries: usize,
    /// `set-max-listpack-entries` and `-value`.
    pub packed: PackedLimits,
    /// For tables.
    pub hash_key: HashKey,
}

impl SetLimits {
    fn intset_entries(&self) -> usize {
        self.intset_entries.min(INTSET_ENTRIES_MAX)
    }
}

/// A set, to be changed.
#[derive(Clone, Debug)]
pub enum Set {
    /// An intset.
    Intset(Vec<u8>),
    /// A listpack of members.
    Packed(Vec<u8>),
    /// A hash table.
    Table(Box<Table<Member>>),
}

/// A set, to be read.
#[derive(Clone, Copy, Debug)]
pub enum SetRef<'a> {
    /// An intset.
    Intset(&'a [u8]),
    /// A listpack of members.
    Packed(&'a [u8]),
    /// A hash table.
    Table(&'a Table<Member>),
}

fn add_to_table(table: &mut Table<Member>, member: &[u8]) -> bool {
    if table.find(member).is_some() {
        return false;
    }
    table.insert(member, len_size(member.len()) + member.len(), |block| {
        let at = write_len(block, member.len());
        block[at..at + member.len()].copy_from_slice(member);
    });
    true
}

/// Whether `bytes` are a listpack of at least one member and none twice. Takes bytes of any origin. O(n log n).
pub fn validate_packed(bytes: &[u8]) -> bool {
    if !listpack::validate(bytes) {
        return false;
    }
    let mut members: Vec<Vec<u8>> = Listpack::new(bytes).iter().map(Element::to_vec).collect();
    members.sort_unstable();
    !members.is_empty() && members.windows(2).all(|pair| pair[0] != pair[1])
}

impl Set {
    /// An empty set in the form for `len_hint` members (1 if not known) of which `first` is one.
    pub fn new(first: &[u8], len_hint: usize, limits: &SetLimits) -> Self {
        if parse_i64(first).is_some() && len_hint <= limits.intset_entries() {
            Self::Intset(intset::new())
        } else if len_hint <= limits.packed.entries {
            Self::Packed(listpack::new())
        } else {
            Self::Table(Box::new(Table::new(limits.hash_key, 0)))
        }
    }

    /// To read it.
    pub fn as_ref(&self) -> SetRef<'_> {
        match self {
            Self::Intset(bytes) => SetRef::Intset(bytes),
            Self::Packed(bytes) => SetRef::Packed(bytes),
            Self::Table(table) => SetRef::Table(table),
        }
    }

    /// Adds a member. Returns whether it is new. It may be one too many, too long, or no integer: then the set changes
    /// its form. O(1).
    pub fn add(&mut self, member: &[u8], limits: &SetLimits) -> bool {
        match self {
            Self::Intset(bytes) => match parse_i64(member) {
                Some(number) => {
                    let is_new = intset::add(bytes, number);
                    if is_new && Intset::new(bytes).len() > limits.intset_entries() {
                        self.unpack(limits.hash_key);
                    }
                    is_new
                }
                None => self.add_text_to_intset(member, limits),
            },
            Self::Packed(bytes) => {
                let packed = Listpack::new(bytes);
                if packed.find(member, 0).is_some() {
                    return false;
                }
                let fits = packed.len() < limits.packed.entries
                    && member.len() <= limits.packed.value_bytes
                    && listpack::safe_to_add(bytes.len(), member.len());
                if fits {
                    listpack::append(bytes, member);
                    return true;
                }
                add_to_table(self.unpack(limits.hash_key), member)
            }
            Self::Table(table) => add_to_table(table, member),
        }
    }

    /// The first member that is no integer.
    fn add_text_to_intset(&mut self, member: &[u8], limits: &SetLimits) -> bool {
        let SetRef::Intset(bytes) = self.as_ref() else { return self.add(member, limits) };
        let numbers = Intset::new(bytes);
        // The longest number is the smallest or the largest.
        let ends = [numbers.min(), numbers.max()].into_iter().flatten();
        let longest = ends.clone().map(|end| Element::Int(end).text_len()).max().unwrap_or(0);
        let bytes_max = ends.map(|end| listpack::estimate_bytes(end, numbers.len())).max();
        let fits = numbers.len() < limits.packed.entries
            && member.len().max(longest) <= limits.packed.value_bytes
            && listpack::safe_to_add(bytes_max.unwrap_or(0), member.len());
        if !fits {
            return add_to_table(self.unpack(limits.hash_key), member);
        }
        let mut packed = listpack::new();
        numbers.iter().for_each(|number| listpack::append(&mut packed, number));
        listpack::append(&mut packed, member);
        *self = Self::Packed(packed);
        true
    }

    /// Makes it a table.
    fn unpack(&mut self, hash_key: HashKey) -> &mut Table<Member> {
        if !matches!(self, Self::Table(_)) {
            let mut table = Box::new(Table::new(hash_key, 0));
            let mut buffer = itoa::Buffer::new();
            for member in self.as_ref().iter() {
                add_to_table(&mut table, member.text(&mut buffer));
            }
            *self = Self::Table(table);
        }
        match self {
            Self::Table(table) => table,
            _ => unreachable!("it has just been unpacked"),
        }
    }

    /// Makes a set of nothing but integers an intset if it is within the limit: what Redis does with the result of
    /// SINTERSTORE. O(n) for a set of up to that many members.
    pub fn pack_integers(&mut self, limits: &SetLimits) {
        if matches!(self, Self::Intset(_)) || self.as_ref().len() > limits.intset_entries() {
            return;
        }
        let number_of = |member: Element<'_>| match member {
            Element::Int(number) => Some(number),
            Element::Str(text) => parse_i64(text),
        };
        let Some(mut numbers) = self.as_ref().iter().map(number_of).collect::<Option<Vec<_>>>()
        else {
            return;
        };
        numbers.sort_unstable(); // so that each is appended
        let mut bytes = intset::new();
        for number in numbers {
            intset::add(&mut bytes, number);
        }
        *self = Self::Intset(bytes);
    }

    /// Removes a member. Returns whether it was there. O(1).
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match self {
            Self::Intset(bytes) => {
                parse_i64(member).is_some_and(|number| intset::remove(bytes, number))
            }
            Self::Packed(bytes) => {
                let found = Listpack::new(bytes).find(member, 0);
                found.is_some_and(|position| {
                    listpack::delete(bytes, position);
                    true
                })
            }
            Self::Table(table) => table.find(member).is_some_and(|slot| {
                table.remove(slot);
                true
            }),
        }
    }

    /// Removes a random member, which `taken` sees before. False if there is none. `random` gives uniformly distributed
    /// numbers. O(1).
    pub fn remove_random(
        &mut self,
        mut random: impl FnMut() -> u64,
        taken: impl FnOnce(Element<'_>),
    ) -> bool {
        match self {
            _ if self.as_ref().is_empty() => return false,
            Self::Intset(bytes) => {
                let numbers = Intset::new(bytes);
                let number = numbers.get(below(numbers.len(), &mut random)).expect("an index");
                taken(Element::Int(number));
                intset::remove(bytes, number);
            }
            Self::Packed(bytes) => {
                let packed = Listpack::new(bytes);
                let position = packed.seek(below(packed.len(), &mut random)).expect("an index");
                taken(packed.get(position));
                listpack::delete(bytes, position);
            }
            Self::Table(table) => {
                let handle = table.random(random).expect("it is not empty");
                taken(Element::Str(Member::name(table.block(handle))));
                table.remove_handle(handle);
            }
        }
        true
    }

    /// Frees a set that nobody will use again in steps of up to `steps_max` pages of 64 KiB, and returns true when it
    /// is empty.
    pub fn drop_step(&mut self, steps_max: usize) -> bool {
        match self {
            Self::Intset(bytes) | Self::Packed(bytes) => {
                *bytes = Vec::new();
                true
            }
            Self::Table(table) => table.drop_step(steps_max),
        }
    }

    /// Heap memory. O(1).
    pub fn memory_bytes(&self) -> usize {
        match self {
            Self::Intset(bytes) | Self::Packed(bytes) => bytes.capacity(),
            Self::Table(table) => size_of_val(&**table) + table.memory_bytes(),
        }
    }
}

impl<'a> SetRef<'a> {
    /// Redis's name for the form.
    pub fn encoding(self) -> &'static str {
        match self {
            Self::Intset(_) => "intset",
            Self::Packed(_) => "listpack",
            Self::Table(_) => "hashtable",
        }
    }

    /// Number of members. O(1).
    pub fn len(self) -> usize {
        match self {
            Self::Intset(bytes) => Intset::new(bytes).len(),
            Self::Packed(bytes) => Listpack::new(bytes).len(),
            Self::Table(table) => table.len(),
        }
    }

    /// The members of a table as they are now, to be read while the set goes on changing. O(pages).
    pub fn share(self) -> Option<SharedBlocks> {
        match self {
            Self::Table(table) => Some(table.share()),
            Self::Intset(_) | Self::Packed(_) => None,
        }
    }

    /// True without members.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether it has a member. O(1).
    #[inline]
    pub fn contains(self, member: &[u8]) -> bool {
        match self {
            Self::Intset(bytes) => {
                parse_i64(member).is_some_and(|number| Intset::new(bytes).contains(number))
            }
            Self::Packed(bytes) => Listpack::new(bytes).find(member, 0).is_some(),
            Self::Table(table) => table.find(member).is_some(),
        }
    }

    /// The same, for a member as another set gave it.
    #[inline]
    pub fn contains_element(self, member: Element<'_>) -> bool {
        match (self, member) {
            (Self::Intset(bytes), Element::Int(number)) => Intset::new(bytes).contains(number),
            _ => self.contains(member.text(&mut itoa::Buffer::new())),
        }
    }

    /// All members: an intset's ascending, a listpack's as they came, a table's in no order.
    pub fn iter(self) -> impl Iterator<Item = Element<'a>> {
        match self {
            Self::Intset(bytes) => {
                Either::Packed(Either::Packed(Intset::new(bytes).iter().map(Element::Int)))
            }
            Self::Packed(bytes) => Either::Packed(Either::Big(Listpack::new(bytes).iter())),
            Self::Table(table) => {
                Either::Big(table.iter().map(|block| Element::Str(Member::name(block))))
            }
        }
    }

    /// One step of SSCAN: emits members and returns the next cursor, 0 at the end. What is not a table is emitted whole.
    /// A member that is there all the time is emitted at least once.
    pub fn scan(self, cursor: u64, mut emit: impl FnMut(Element<'_>)) -> u64 {
        match self {
            Self::Table(table) => {
                table.scan(cursor, |block| emit(Element::Str(Member::name(block))))
            }
            _ => {
                self.iter().for_each(emit);
                0
            }
        }
    }

    /// A random member; `None` without any. `random` gives uniformly distributed numbers. O(1).
    pub fn random(self, mut random: impl FnMut() -> u64) -> Option<Element<'a>> {
        match self {
            _ if self.is_empty() => None,
            Self::Intset(bytes) => {
                Intset::new(bytes).get(below(self.len(), &mut random)).map(Element::Int)
            }
            Self::Packed(bytes) => {
                let packed = Listpack::new(bytes);
                packed.seek(below(self.len(), &mut random)).map(|position| packed.get(position))
            }
            Self::Table(table) => {
                table.random(random).map(|handle| Element::Str(Member::name(table.block(handle))))
            }
        }
    }

    /// Emits `count` different random members, or all if there are no more, in no order. O(count); what is not a table,
    /// O(n).
    pub fn sample(
        self,
        count: usize,
        random: impl FnMut() -> u64,
        mut emit: impl FnMut(Element<'_>),
    ) {
        match self {
            Self::Table(table) => {
                table.sample(count, random, |block| emit(Element::Str(Member::name(block))));
            }
            _ => sample_in_order(self.iter(), self.len(), count, random, emit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use std::collections::BTreeSet;

    const LIMITS: SetLimits = SetLimits {
        intset_entries: 16,
        packed: PackedLimits { entries: 20, value_bytes: 10 },
        hash_key: (3, 4),
    };

    fn of(members: &[&str], limits: &SetLimits) -> Set {
        let mut set = Set::new(members[0].as_bytes(), 1, limits);
        members.iter().for_each(|member| _ = set.add(member.as_bytes(), limits));
        set
    }

    fn encoding(set: &Set) -> &'static str {
        set.as_ref().encoding()
    }

    fn members(set: &Set) -> BTreeSet<Vec<u8>> {
        set.as_ref().iter().map(Element::to_vec).collect()
    }

    #[test]
    fn random_operations_match_a_btree_set_in_every_form() {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        for round in 0..200 {
            let mut set = Set::new([&b"1"[..], b"a"][round % 2], 1, &LIMITS);
            let mut model: BTreeSet<Vec<u8>> = BTreeSet::new();
            for _ in 0..150 {
                let number: i32 = random.random_range(-20..20) * [1, 70_000][round / 2 % 2];
                let text = match round % 5 {
                    0 | 1 => number.to_string(),
                    2 if number == 7 => "a rather long one".to_string(),
                    _ => format!("{number}{}", ["", "x"][random.random_range(0..2)]),
                };
                let member = text.as_bytes();
                assert_eq!(set.as_ref().contains(member), model.contains(member));
                match random.random_range(0..8) {
                    0..5 => {
                        assert_eq!(set.add(member, &LIMITS), model.insert(member.to_vec()));
                    }
                    5 | 6 => assert_eq!(set.remove(member), model.remove(member)),
                    _ => {
                        let mut taken = None;
                        let removed = set.remove_random(
                            || random.random(),
                            |member| taken = Some(member.to_vec()),
                        );
                        assert_eq!(removed, !model.is_empty());
                        assert!(taken.is_none_or(|member| model.remove(&member)));
                    }
                }
                assert_eq!((members(&set), set.as_ref().len()), (model.clone(), model.len()));
                let one = set.as_ref().random(|| random.random()).map(Element::to_vec);
                assert_eq!(one.is_none(), model.is_empty());
                assert!(one.is_none_or(|member| model.contains(&member)));
            }
            let mut sampled = BTreeSet::new();
            set.as_ref().sample(5, rand::random, |member| _ = sampled.insert(member.to_vec()));
            assert!(sampled.len() == model.len().min(5) && sampled.is_subset(&model));
            let (mut cursor, mut seen) = (0, BTreeSet::new());
            loop {
                cursor = set.as_ref().scan(cursor, |member| _ = seen.insert(member.to_vec()));
                if cursor == 0 {
                    break;
                }
            }
            assert_eq!(seen, model);
            if let Set::Packed(bytes) = &set {
                assert_eq!(validate_packed(bytes), !model.is_empty());
            }
            assert_eq!(members(&set.clone()), model);
        }
    }

    #[test]
    fn the_first_member_chooses_the_form() {
        assert_eq!(encoding(&of(&["1"], &LIMITS)), "intset");
        assert_eq!(encoding(&of(&["01"], &LIMITS)), "listpack");
        assert_eq!(encoding(&Set::new(b"1", 17, &LIMITS)), "listpack");
        assert_eq!(encoding(&Set::new(b"1", 21, &LIMITS)), "hashtable");
        assert_eq!(encoding(&Set::new(b"a", 20, &LIMITS)), "listpack");
    }

    #[test]
    fn an_intset_gets_too_long_or_a_text() {
        let mut set = of(&["1"], &LIMITS);
        (2..=16).for_each(|number: u32| _ = set.add(number.to_string().as_bytes(), &LIMITS));
        let full = set.clone();
        assert_eq!(encoding(&set), "intset");
        set.add(b"17", &LIMITS);
        assert_eq!((encoding(&set), set.as_ref().len()), ("hashtable", 17));
        set = full.clone();
        set.add(b"x", &LIMITS);
        assert_eq!((encoding(&set), set.as_ref().len()), ("listpack", 17));
        set = full;
        set.add(b"longer than ten bytes", &LIMITS);
        assert_eq!(encoding(&set), "hashtable");
        set = of(&["12345678901"], &LIMITS);
        set.add(b"x", &LIMITS);
        assert_eq!(encoding(&set), "hashtable", "the number is longer than ten bytes");
    }

    #[test]
    fn a_listpack_gets_too_long() {
        let mut set = of(&["a"], &LIMITS);
        (2..=20).for_each(|number: u32| _ = set.add(number.to_string().as_bytes(), &LIMITS));
        assert_eq!(encoding(&set), "listpack");
        assert!(!set.add(b"a", &LIMITS));
        assert_eq!(encoding(&set), "listpack");
        set.add(b"21", &LIMITS);
        assert_eq!((encoding(&set), set.as_ref().len()), ("hashtable", 21));
        set = of(&["a", "longer than ten bytes"], &LIMITS);
        assert_eq!(encoding(&set), "hashtable");
    }

    #[test]
    fn without_listpacks_it_is_as_in_redis_7_0() {
        let limits = SetLimits { packed: PackedLimits { entries: 0, value_bytes: 64 }, ..LIMITS };
        assert_eq!(encoding(&of(&["1"], &limits)), "intset");
        assert_eq!(encoding(&of(&["a"], &limits)), "hashtable");
        assert_eq!(encoding(&of(&["1", "a"], &limits)), "hashtable");
    }

    #[test]
    fn integers_are_packed_again_on_demand() {
        let mut set = of(&["a", "5", "-3", "70000"], &LIMITS);
        set.pack_integers(&LIMITS);
        assert_eq!(encoding(&set), "listpack");
        set.remove(b"a");
        set.pack_integers(&LIMITS);
        assert_eq!(encoding(&set), "intset");
        assert!(set.as_ref().iter().eq([-3, 5, 70_000].map(Element::Int)));
    }

    #[test]
    fn members_may_be_empty_or_long() {
        let limits = SetLimits { packed: PackedLimits { entries: 0, value_bytes: 0 }, ..LIMITS };
        let long = vec![b'x'; 100_000];
        let mut set = Set::new(b"", 1, &limits);
        assert!(set.add(b"", &limits) && set.add(&long, &limits) && !set.add(&long, &limits));
        assert!(set.as_ref().contains(b"") && set.as_ref().contains(&long));
        assert!(set.memory_bytes() > 100_000);
        while !set.drop_step(1) {}
    }

    #[test]
    fn the_bytes_are_those_that_redis_dumps() {
        let mut set = of(&["1", "2", "x", "-70000", ""], &LIMITS);
        let hex = |set: &Set| -> String {
            let Set::Packed(bytes) = set else { panic!("a listpack") };
            bytes.iter().map(|byte| format!("{byte:02x}")).collect()
        };
        assert_eq!(hex(&set), "15000000050001010201817802f290eefe048001ff");
        set.remove(b"2");
        assert_eq!(hex(&set), "1300000004000101817802f290eefe048001ff");
    }

    #[test]
    fn damaged_listpacks_are_refused() {
        let Set::Packed(sound) = of(&["a", "5", "-3"], &LIMITS) else { panic!("a listpack") };
        assert!(validate_packed(&sound));
        let mut twice = sound.clone();
        listpack::append(&mut twice, 5);
        assert!(!validate_packed(&twice) && !validate_packed(&listpack::new()));
        assert!(!validate_packed(&sound[1..]));
    }
}
